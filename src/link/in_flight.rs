//! The places of requests in flight at one provider, over all shards.

use crate::link::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use crate::link::Padded;
use crate::link::lease::Leases;

/// How many places are taken, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    /// Places that are taken.
    pub(super) now: Arc<Padded<AtomicU32>>,
    /// Places that there are.
    pub(super) max: u32,
    /// The instance's part of the places, where it does not have all of them.
    pub(super) leased: Option<Arc<Padded<Leases>>>,
}

impl InFlight {
    /// Places that are counted in `now`, and of which there are any number.
    pub(super) const fn without_limit(now: Arc<Padded<AtomicU32>>) -> Self {
        Self {
            now,
            max: u32::MAX,
            leased: None,
        }
    }

    /// Places that are taken.
    pub(super) fn count(&self) -> u32 {
        self.now.0.load(Ordering::Relaxed)
    }

    /// Whether all places are taken.
    pub(super) fn is_full(&self) -> bool {
        match &self.leased {
            None => self.count() >= self.max,
            Some(leases) => leases.0.is_full(),
        }
    }

    /// Takes a place; returns whether there was one.
    pub(super) fn take(&self) -> bool {
        if let Some(leases) = &self.leased {
            let taken = leases.0.take_place();
            if taken {
                self.now.0.fetch_add(1, Ordering::Relaxed);
            }
            return taken;
        }
        let more = |now| (now < self.max).then_some(now + 1);
        self.now
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Gives a place back.
    pub(super) fn release(&self) {
        if let Some(leases) = &self.leased {
            leases.0.give_places(1);
        }
        self.now.0.fetch_sub(1, Ordering::Relaxed);
    }
}
