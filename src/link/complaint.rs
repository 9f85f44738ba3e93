//! Why a provider is unhealthy, in words.

use crate::base::time::WallTime;

/// What the last health check that did not succeed has found. Only who reports or refuses reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What was wrong.
    pub why: Box<str>,
    /// When.
    pub at: WallTime,
    /// Since when no check has succeeded.
    pub since: WallTime,
}
