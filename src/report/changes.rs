//! Changes of circuits as the management API shows them.

use serde::{Serialize, Serializer};

use crate::base::time::WallTime;

/// A change of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// When, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub time: WallTime,
    /// The provider.
    pub provider: Box<str>,
    /// The state before.
    pub from: &'static str,
    /// The state after.
    pub to: &'static str,
    /// Why.
    pub reason: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn shown<S: Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
