//! Counts of attempts over a sliding window.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::slices::Slices;

/// A sliding window of counts, in slices of a twentieth of its length (see [`Slices`]).
#[derive(Clone, Debug)]
pub struct Window {
    slices: Slices<Tally, SLICES>,
    /// Invariant: the sum of all slices.
    total: Tally,
}

/// Counts of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts that ended, whether or not they say anything about the provider.
    pub requests: u64,
    /// Attempts that say that the provider works.
    pub successes: u64,
    /// Attempts that say that it does not.
    pub failures: u64,
    /// Response times that were compared with a threshold.
    pub timed: u64,
    /// Response times that were above it.
    pub slow: u64,
}

impl Window {
    /// An empty window of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            slices: Slices::new(length),
            total: Tally::default(),
        }
    }

    /// Counts attempts that ended at `at`, in whatever order they are reported; attempts that have
    /// left the window are not counted.
    #[inline]
    pub fn add(&mut self, at: Instant, counts: Tally) {
        let slice = self.slices.at(at, |left| self.total -= left);
        if let Some(slice) = slice {
            *slice += counts;
            self.total += counts;
        }
        self.check();
    }

    /// The sums over the window that ends at `now`.
    pub fn total(&mut self, now: Instant) -> Tally {
        self.go_on(now);
        self.check();
        self.total
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slices.clear();
        self.total = Tally::default();
    }

    fn go_on(&mut self, now: Instant) {
        self.slices.go_on(now, |left| self.total -= left);
    }

    fn check(&self) {
        debug_assert_eq!(self.total, self.slices.iter().fold(Tally::default(), sum));
    }
}

impl Tally {
    /// Attempts that say something about the provider.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.successes + self.failures
    }

    /// The share of failures among attempts that say something about the provider; 0 without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share to show to people")]
    pub fn error_rate(&self) -> f64 {
        self.failures as f64 / self.judged().max(1) as f64
    }

    /// Whether failures have reached this share, in thousandths.
    #[must_use]
    pub fn fail_at(&self, permille: u32) -> bool {
        let share = u128::from(self.judged()) * u128::from(permille);
        self.failures > 0 && u128::from(self.failures) * 1_000 >= share
    }

    /// Whether the 95th percentile (nearest rank) of the response times is above the threshold.
    ///
    /// That holds exactly when more than a twentieth of them are, so no percentile has to be found.
    #[must_use]
    pub fn p95_is_slow(&self) -> bool {
        self.slow > self.timed / 20
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.successes += other.successes;
        self.failures += other.failures;
        self.timed += other.timed;
        self.slow += other.slow;
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.requests -= other.requests;
        self.successes -= other.successes;
        self.failures -= other.failures;
        self.timed -= other.timed;
        self.slow -= other.slow;
    }
}

fn sum(mut total: Tally, slice: &Tally) -> Tally {
    total += *slice;
    total
}

const SLICES: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: Tally = Tally {
        requests: 1,
        successes: 0,
        failures: 0,
        timed: 0,
        slow: 0,
    };

    #[test]
    fn forgets_what_is_older_than_its_length() {
        let mut window = Window::new(Duration::from_secs(60));
        for (at_ms, adds, expected) in [
            (0, 2, 2),
            (2_999, 1, 3),
            (3_000, 1, 4),
            (59_999, 0, 4),
            (60_000, 0, 1),
            (62_999, 5, 6),
            (61_000, 1, 7),
            // An attempt that is reported late counts in the slice in which it ended.
            (4_000, 2, 9),
            (63_000, 0, 6),
            (2_000, 3, 6),
            (119_999, 0, 6),
            (120_000, 0, 0),
            (1_000_000, 1, 1),
            (u64::MAX, 0, 0),
        ] {
            let now = Instant::from_millis(at_ms);
            (0..adds).for_each(|_| window.add(now, REQUEST));
            assert_eq!(window.total(now).requests, expected, "at {at_ms} ms");
        }
    }

    #[test]
    fn rates_are_compared_exactly() {
        for (failures, successes, permille, fails) in [
            (0, 0, 500, false),
            (0, 9, 0, false),
            (1, 1, 500, true),
            (1, 2, 333, true),
            (1, 2, 334, false),
            (9, 0, 1_000, true),
            (999, 1, 1_000, false),
            (u64::MAX / 2, u64::MAX / 2, 500, true),
        ] {
            let counts = Tally {
                successes,
                failures,
                ..Tally::default()
            };
            assert_eq!(counts.fail_at(permille), fails, "{counts:?} at {permille}");
        }
    }

    proptest! {
        #[test]
        fn counts_nothing_older_and_everything_younger_by_a_slice(
            seconds in 1..3_600_u64,
            gaps in prop::collection::vec(0..400_u64, 1..60),
        ) {
            let mut window = Window::new(Duration::from_secs(seconds));
            let (length, slice) = (seconds * 1_000, seconds * 1_000 / 20);
            let (mut now, mut added) = (0, Vec::new());
            for gap in gaps {
                now += gap * slice / 50;
                window.add(Instant::from_millis(now), REQUEST);
                added.push(now);
                let younger = |age| added.iter().filter(|&&at| now - at < age).count() as u64;
                let total = window.total(Instant::from_millis(now)).requests;
                prop_assert!(total <= younger(length));
                prop_assert!(total >= younger(length - slice));
            }
        }

        #[test]
        fn the_shortcut_agrees_with_the_percentile(
            mut times in prop::collection::vec(0..100_u64, 1..300),
            threshold in 0..100_u64,
        ) {
            let counts = Tally {
                timed: times.len() as u64,
                slow: times.iter().filter(|&&time| time > threshold).count() as u64,
                ..Tally::default()
            };
            times.sort_unstable();
            let p95 = times[(times.len() * 95).div_ceil(100) - 1];
            prop_assert_eq!(counts.p95_is_slow(), p95 > threshold);
        }
    }
}
