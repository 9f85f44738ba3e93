//! Requests and extra attempts of the last ten seconds, over all shards.
//!
//! Each shard writes only its own line and nobody waits: a request costs one plain store. Only a
//! request that wants an extra attempt adds up all lines.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::ids::ShardId;
use crate::base::time::Instant;
use crate::link::Padded;

/// The counts of all shards.
#[derive(Debug)]
pub struct Retries {
    shards: Box<[Padded<Counts>]>,
}

/// One shard's counts, by second.
#[derive(Debug, Default)]
struct Counts {
    requests: [AtomicU64; BUCKETS],
    retries: [AtomicU64; BUCKETS],
}

/// What was counted over the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Requests that started.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retries: u64,
}

impl Retries {
    /// Counts for this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Padded::default()).collect(),
        }
    }

    /// Counts a request of `shard`; only that shard may call this.
    pub fn count_request(&self, shard: ShardId, now: Instant) {
        count(&self.shards[shard.index()].0.requests, now);
    }

    /// Counts an extra attempt of `shard`; only that shard may call this.
    pub fn count_retry(&self, shard: ShardId, now: Instant) {
        count(&self.shards[shard.index()].0.retries, now);
    }

    /// What all shards counted over the ten seconds before `now`.
    #[must_use]
    pub fn recent(&self, now: Instant) -> Recent {
        let mut recent = Recent {
            requests: 0,
            retries: 0,
        };
        for shard in &self.shards {
            recent.requests += sum(&shard.0.requests, now);
            recent.retries += sum(&shard.0.retries, now);
        }
        recent
    }
}

/// A bucket's word is the second it counts in its upper half, and the count in its lower.
fn count(buckets: &[AtomicU64; BUCKETS], now: Instant) {
    let second = now.as_secs() & LOW;
    let bucket = &buckets[bucket_of(second)];
    let word = bucket.load(Ordering::Relaxed);
    let before = if word >> 32 == second { word & LOW } else { 0 };
    bucket.store(second << 32 | (before + 1).min(LOW), Ordering::Relaxed);
}

fn sum(buckets: &[AtomicU64; BUCKETS], now: Instant) -> u64 {
    let second = now.as_secs() & LOW;
    let words = buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
    words
        .filter(|word| second.wrapping_sub(word >> 32) < 10)
        .map(|word| word & LOW)
        .sum()
}

fn bucket_of(second: u64) -> usize {
    usize::try_from(second % BUCKETS as u64).unwrap_or(0)
}

/// One bucket a second.
const BUCKETS: usize = 10;
/// The lower half of a word.
const LOW: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1_000)
    }

    #[test]
    fn counts_of_all_shards_leave_after_ten_seconds() {
        let retries = Retries::new(2);
        for second in 100..105 {
            retries.count_request(ShardId(0), at(second));
            retries.count_request(ShardId(1), at(second));
        }
        retries.count_retry(ShardId(1), at(104));
        assert_eq!(
            retries.recent(at(104)),
            Recent {
                requests: 10,
                retries: 1
            }
        );
        assert_eq!(
            retries.recent(at(109)),
            Recent {
                requests: 10,
                retries: 1
            }
        );
        assert_eq!(
            retries.recent(at(110)),
            Recent {
                requests: 8,
                retries: 1
            }
        );
        assert_eq!(
            retries.recent(at(114)),
            Recent {
                requests: 0,
                retries: 0
            }
        );
    }

    #[test]
    fn a_bucket_used_again_starts_over() {
        let retries = Retries::new(1);
        retries.count_request(ShardId(0), at(7));
        retries.count_request(ShardId(0), at(17));
        assert_eq!(retries.recent(at(17)).requests, 1);
    }
}
