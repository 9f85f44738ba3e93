//! Changes of circuits as the management API shows them.

use serde::{Serialize, Serializer};

use crate::base::time::WallTime;

/// A circuit has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// When, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub time: WallTime,
    /// Whose.
    pub provider: Box<str>,
    /// What it was.
    pub from: &'static str,
    /// What it became.
    pub to: &'static str,
    /// Why.
    pub reason: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn shown<S: Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
