//! Counts of one shard over the last seconds.

use crate::link::atomic::{AtomicU64, Ordering};

use crate::base::time::Instant;

/// Counts by second, for the last `N` seconds, the running one included.
///
/// The upper half of a bucket's word is the second that it counts, the lower half the count.
#[derive(Debug)]
pub struct Recent<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Recent<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl<const N: usize> Recent<N> {
    /// Counts one; only the shard that owns this may call it.
    pub fn count(&self, now: Instant) {
        let second = now.as_secs() & LOW;
        let bucket = &self.0[bucket_of(second, N)];
        let word = bucket.load(Ordering::Relaxed);
        let before = if word >> 32 == second { word & LOW } else { 0 };
        bucket.store(second << 32 | (before + 1).min(LOW), Ordering::Release);
    }

    /// The count over the `N` seconds before `now`.
    #[must_use]
    pub fn sum(&self, now: Instant) -> u64 {
        let second = now.as_secs() & LOW;
        let words = self.0.iter().map(|bucket| bucket.load(Ordering::Acquire));
        words
            .filter(|word| second.wrapping_sub(word >> 32) < N as u64)
            .map(|word| word & LOW)
            .sum()
    }
}

fn bucket_of(second: u64, buckets: usize) -> usize {
    usize::try_from(second % buckets as u64).unwrap_or(0)
}

/// The lower half of a word.
const LOW: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1_000)
    }

    #[test]
    fn counts_leave_after_their_time() {
        let recent = Recent::<10>::default();
        (100..105).for_each(|second| recent.count(at(second)));
        for (second, expected) in [(104, 5), (109, 5), (110, 4), (114, 0), (9_000, 0)] {
            assert_eq!(recent.sum(at(second)), expected, "{second}");
        }
    }

    #[test]
    fn a_bucket_used_again_starts_over() {
        let recent = Recent::<10>::default();
        recent.count(at(7));
        recent.count(at(17));
        assert_eq!(recent.sum(at(17)), 1);
    }
}
