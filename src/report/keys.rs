//! Callers' keys as the management API shows them: never a secret, nor the digest of one.

use serde::Serialize;

use crate::base::time::WallTime;
use crate::report::providers::{body as json, rfc_3339};

/// One key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// The team that it belongs to.
    pub team: Option<&'a str>,
    /// The caller that its requests are counted for.
    pub caller: &'a str,
    /// `active`, `disabled` or `expired`.
    pub state: &'static str,
    /// From when on it is not good any more.
    #[serde(serialize_with = "rfc_3339")]
    pub expires: Option<WallTime>,
    /// How many of its secrets are good.
    pub secrets: usize,
}

#[derive(Serialize)]
struct KeysReport<'a> {
    keys: &'a [KeyReport<'a>],
}

/// The body of the answer that tells of `keys`.
#[must_use]
pub fn body(keys: &[KeyReport<'_>]) -> Vec<u8> {
    json(&KeysReport { keys })
}
