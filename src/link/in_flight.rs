//! The places of requests in flight at one provider, over all shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::link::Padded;

/// How many places are taken, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    /// Places that are taken.
    pub(super) now: Arc<Padded<AtomicU32>>,
    /// Places that there are.
    pub(super) max: u32,
}

impl InFlight {
    /// Whether all places are taken.
    pub(super) fn is_full(&self) -> bool {
        self.now.0.load(Ordering::Relaxed) >= self.max
    }

    /// Takes a place; returns whether there was one.
    pub(super) fn take(&self) -> bool {
        let more = |now| (now < self.max).then_some(now + 1);
        self.now
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Gives a place back.
    pub(super) fn release(&self) {
        self.now.0.fetch_sub(1, Ordering::Relaxed);
    }
}
