//! What is known about a provider in words: why it is unhealthy, and how often warnings about it
//! are logged.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::base::time::WallTime;
use crate::link::pause::Pauses;

/// What is known about one provider in words.
#[derive(Debug, Default)]
pub struct Told {
    complaint: ArcSwapOption<Complaint>,
    /// The pauses between warnings about it.
    pub pauses: Pauses,
}

impl Told {
    /// Publishes what a health check has found; only the coordinator calls this, before it
    /// publishes the health.
    pub fn set_complaint(&self, complaint: Arc<Complaint>) {
        self.complaint.store(Some(complaint));
    }

    /// What the last failed health check has found.
    #[must_use]
    pub fn complaint(&self) -> Option<Arc<Complaint>> {
        self.complaint.load_full()
    }
}

/// What the last failed health check has found. Only reports and refusals read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What was wrong.
    pub why: Box<str>,
    /// When that check ended.
    pub at: WallTime,
    /// Since when no check has succeeded.
    pub since: WallTime,
}
