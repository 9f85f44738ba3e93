//! How many extra attempts an outage may cause: a share of the requests of the last 10 s.

use crate::base::time::Instant;

/// Whether one more extra attempt stays within `permille` thousandths of the window's requests.
///
/// The floor lets failover work where traffic is thin: three requests in ten seconds would never
/// earn a retry.
#[must_use]
pub fn may_retry(requests: u64, retries: u64, permille: u32) -> bool {
    let share = u128::from(requests) * u128::from(permille) / 1_000;
    u128::from(retries) < share.max(u128::from(FLOOR))
}

/// Events counted over the last 10 s: the running second and the nine before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window10 {
    buckets: [u32; SECONDS],
    /// The second that was counted last; its bucket is its remainder.
    second: u64,
}

impl Window10 {
    /// Counts one event at `now`. A moment before the last one counts as the last one.
    pub fn add(&mut self, now: Instant) {
        self.advance(now);
        let bucket = &mut self.buckets[place(self.second)];
        *bucket = bucket.saturating_add(1);
    }

    /// Events in the window that ends at `now`.
    pub fn sum(&mut self, now: Instant) -> u64 {
        self.advance(now);
        self.buckets.iter().map(|&count| u64::from(count)).sum()
    }

    /// Empties the buckets of the seconds that have passed since the last call.
    fn advance(&mut self, now: Instant) {
        let passed = now.as_secs().saturating_sub(self.second);
        for step in 1..=passed.min(SECONDS as u64) {
            self.buckets[place(self.second + step)] = 0;
        }
        self.second += passed;
    }
}

/// The bucket of a second.
fn place(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

const SECONDS: usize = 10;
/// Extra attempts that any window may hold: 3 a second.
const FLOOR: u64 = 3 * SECONDS as u64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grants_a_share_of_the_requests_but_never_less_than_the_floor() {
        for (requests, retries, permille, granted) in [
            (0, 0, 200, true),
            (1, 29, 200, true),
            (1, 30, 200, false),
            (150, 29, 200, true),
            (150, 30, 200, false),
            (155, 30, 200, true),
            (1_000, 199, 200, true),
            (1_000, 200, 200, false),
            (1_000, 29, 0, true),
            (1_000, 30, 0, false),
            (1_000, 999, 1_000, true),
            (u64::MAX, u64::MAX - 1, 1_000, true),
            (u64::MAX, u64::MAX, 1_000, false),
        ] {
            assert_eq!(
                may_retry(requests, retries, permille),
                granted,
                "{retries} retries in {requests} requests at {permille}"
            );
        }
    }

    #[test]
    fn forgets_what_is_older_than_ten_seconds() {
        let mut window = Window10::default();
        for (at_ms, adds, expected) in [
            (0, 2, 2),
            (999, 1, 3),
            (1_000, 1, 4),
            (9_999, 0, 4),
            (10_000, 0, 1),
            (10_500, 5, 6),
            (9_000, 1, 7),
            (11_000, 0, 6),
            (20_999, 0, 0),
            (1_000_000, 1, 1),
            (u64::MAX, 0, 0),
        ] {
            let now = Instant::from_millis(at_ms);
            (0..adds).for_each(|_| window.add(now));
            assert_eq!(window.sum(now), expected, "at {at_ms} ms");
        }
    }

    proptest! {
        #[test]
        fn counts_exactly_the_last_ten_seconds(
            gaps in prop::collection::vec(0..4_000_u64, 0..100),
        ) {
            let (mut window, mut now, mut added) = (Window10::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                window.add(Instant::from_millis(now));
                added.push(now / 1_000);
                let alive = added.iter().filter(|&&second| second + 10 > now / 1_000).count();
                prop_assert_eq!(window.sum(Instant::from_millis(now)), alive as u64);
            }
        }
    }
}
