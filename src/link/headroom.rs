//! What a provider may still be sent, which every shard takes from.

use crate::link::atomic::{AtomicI64, Ordering};
use std::sync::Arc;

use crate::link::Padded;

/// What is left of one of a provider's limits.
#[derive(Clone, Debug)]
pub(super) struct Headroom {
    pub(super) left: Arc<Padded<AtomicI64>>,
    pub(super) limit: i64,
}

impl Headroom {
    /// A request larger than the whole window takes the whole window.
    pub(super) fn needed(&self, amount: u64) -> i64 {
        i64::try_from(amount).unwrap_or(i64::MAX).min(self.limit)
    }

    /// Nothing can be had however much is overdrawn.
    pub(super) fn has(&self, amount: u64) -> bool {
        amount == 0 || self.left.0.load(Ordering::Relaxed) >= self.needed(amount)
    }

    pub(super) fn take(&self, amount: u64) -> bool {
        let needed = self.needed(amount);
        let less = |left: i64| (left >= needed).then_some(left - needed);
        let left = &self.left.0;
        amount == 0
            || left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
    }

    /// Takes what is not there; that is always possible.
    pub(super) fn overdraw(&self, amount: u64) -> bool {
        self.give(-self.needed(amount));
        true
    }

    pub(super) fn give(&self, amount: i64) {
        self.left.0.fetch_add(amount, Ordering::Relaxed);
    }
}

pub(super) fn signed(limit: Option<u64>) -> Option<i64> {
    limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX))
}
