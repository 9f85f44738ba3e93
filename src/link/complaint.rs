//! What is told of a provider in words: why it is unhealthy, and how often that it fails.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::base::time::WallTime;
use crate::link::pause::Pauses;

/// What is told of one provider.
#[derive(Debug, Default)]
pub struct Told {
    complaint: ArcSwapOption<Complaint>,
    /// How often warnings about it are told.
    pub pauses: Pauses,
}

impl Told {
    /// Publishes what a health check has found; only the coordinator does, before the health.
    pub fn set_complaint(&self, complaint: Arc<Complaint>) {
        self.complaint.store(Some(complaint));
    }

    /// What the last health check that did not succeed has found.
    #[must_use]
    pub fn complaint(&self) -> Option<Arc<Complaint>> {
        self.complaint.load_full()
    }
}

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
