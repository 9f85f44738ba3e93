//! Dollars as the management API shows them: numbers in decimal notation with up to nine places, so
//! that the shown amounts add up exactly.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::base::money::NanoUsd;

/// An amount as a JSON number of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usd(pub NanoUsd);

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// An amount above or below zero, as a JSON number of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    limit: NanoUsd,
    spent: NanoUsd,
}

impl Left {
    /// What is left of `limit` after `spent`.
    #[must_use]
    pub const fn of(limit: NanoUsd, spent: NanoUsd) -> Self {
        Self { limit, spent }
    }
}

impl Serialize for Left {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let left = self.limit.saturating_sub(self.spent);
        let over = self.spent.saturating_sub(self.limit);
        let text = if over > NanoUsd::ZERO {
            format!("-{over}")
        } else {
            left.to_string()
        };
        let raw = RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Names and what belongs to them, as an object.
pub(super) fn pairs<S: Serializer, V: Serialize>(
    pairs: &[(&str, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
