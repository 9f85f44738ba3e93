//! Requests and extra attempts of the last ten seconds, over all shards.
//!
//! Each shard writes only its own cache line, without waiting: a request costs one plain store.
//! Only a request that wants an extra attempt adds up all of them.

use crate::base::ids::ShardId;
use crate::base::time::Instant;
use crate::link::Padded;
use crate::link::pause::Pause;
use crate::link::recent;

/// The counts of all shards.
#[derive(Debug)]
pub struct Retries {
    shards: Box<[Padded<Counters>]>,
    /// Between two warnings that the retry budget is used up.
    pub pause: Pause,
}

/// One shard's counts, by second.
#[derive(Debug, Default)]
struct Counters {
    requests: recent::Recent<SECONDS>,
    retries: recent::Recent<SECONDS>,
}

/// The counts over the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Requests that started.
    pub requests: u64,
    /// Attempts beyond the first.
    pub retries: u64,
}

impl Retries {
    /// Counters for this many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Padded::default()).collect(),
            pause: Pause::default(),
        }
    }

    /// Counts a request of `shard`; only that shard may call this.
    pub fn count_request(&self, shard: ShardId, now: Instant) {
        self.shards[shard.index()].0.requests.count(now);
    }

    /// Counts an extra attempt of `shard`; only that shard may call this.
    pub fn count_retry(&self, shard: ShardId, now: Instant) {
        self.shards[shard.index()].0.retries.count(now);
    }

    /// The counts of all shards over the ten seconds before `now`.
    #[must_use]
    pub fn recent(&self, now: Instant) -> Recent {
        let shards = || self.shards.iter().map(|shard| &shard.0);
        Recent {
            requests: shards().map(|shard| shard.requests.sum(now)).sum(),
            retries: shards().map(|shard| shard.retries.sum(now)).sum(),
        }
    }
}

/// Length of the window, in seconds.
const SECONDS: usize = 10;

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
}
