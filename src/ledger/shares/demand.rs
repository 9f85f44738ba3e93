//! How much of a quota is taken per second, and how much of what is there nobody needs.

use std::time::Duration;

use crate::base::time::Instant;

/// What was seen of a quota's word.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// Thousandths of a unit per second, averaged over about a second.
    rate: u64,
    /// What was in use when it was last looked at, and when that was.
    used: u64,
    looked: Instant,
    /// What was given back to the word since then: it was taken before, and may be taken again.
    returned: u64,
    /// The least that was left, since a moment, and in the second before that.
    least: u64,
    since: Instant,
    least_before: u64,
}

impl Demand {
    /// This much is in use at `now`, and this much is left.
    pub fn look(&mut self, now: Instant, used: u64, left: u64) {
        let span = now.since(self.looked).min(LONGEST);
        let taken = used.saturating_add(self.returned).saturating_sub(self.used);
        (self.used, self.looked, self.returned) = (used, now, 0);
        // (rate · 1 s + taken) / (1 s + span): what is taken evenly is told exactly.
        let millis = u128::from(u64::try_from(span.as_millis()).unwrap_or(0));
        let sum = (u128::from(self.rate) + u128::from(taken) * 1_000) * 1_000;
        self.rate = u64::try_from(sum / (1_000 + millis)).unwrap_or(u64::MAX);
        if now.since(self.since) >= UNUSED_AFTER {
            (self.least_before, self.least, self.since) = (self.least, left, now);
        }
        self.least = self.least.min(left);
    }

    /// This much came back from use.
    pub fn on_returned(&mut self, count: u64) {
        self.returned = self.returned.saturating_add(count);
    }

    /// The allowance was lowered by this much that was left.
    pub fn on_lowered(&mut self, count: u64) {
        self.least = self.least.saturating_sub(count);
        self.least_before = self.least_before.saturating_sub(count);
    }

    /// What `span` takes, rounded up.
    #[must_use]
    pub fn of(&self, span: Duration) -> u64 {
        let exact = u128::from(self.rate) * span.as_millis();
        u64::try_from(exact.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// What was left all the time for at least a second.
    #[must_use]
    pub fn unused(&self) -> u64 {
        self.least.min(self.least_before)
    }
}

/// What waiting requests lack, and those that were refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lack {
    sum: u64,
    /// What the smallest of them lacks.
    unit: u64,
}

impl Lack {
    /// One more lacks this much, at least one.
    pub fn add(&mut self, count: u64) {
        let count = count.max(1);
        self.unit = if self.sum == 0 {
            count
        } else {
            self.unit.min(count)
        };
        self.sum = self.sum.saturating_add(count);
    }

    /// Whether nobody lacks any.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.sum == 0
    }

    /// What all, and what the smallest of them lack beyond what is `left`.
    #[must_use]
    pub fn beyond(&self, left: u64) -> (u64, u64) {
        let need = self.sum.saturating_sub(left);
        (need, self.unit.saturating_sub(left).max(1).min(need))
    }

    /// What of what is `left` is of no use to them: all of it where it is less than the smallest of
    /// them needs, so that two instances do not hold halves.
    #[must_use]
    pub fn useless(&self, left: u64) -> u64 {
        if self.unit > left {
            return left;
        }
        self.spared(left)
    }

    /// What they leave of what is `left`.
    #[must_use]
    pub fn spared(&self, left: u64) -> u64 {
        left.saturating_sub(self.sum)
    }
}

/// What is left for this long is not needed.
const UNUSED_AFTER: Duration = Duration::from_secs(1);
/// A rate that was not looked at for this long is told by its last second alone.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_demand_is_told_exactly() {
        let (mut demand, second) = (Demand::default(), Duration::from_secs(1));
        for tick in 1..200_u64 {
            demand.look(Instant::from_millis(tick * 100), tick * 5, 0);
        }
        assert_eq!((demand.of(second), demand.of(second / 5)), (50, 10));
        // What comes back and is taken again is demand, too.
        for tick in 200..400_u64 {
            demand.on_returned(5);
            demand.look(Instant::from_millis(tick * 100), 995, 0);
        }
        assert_eq!(demand.of(second), 50);
    }

    #[test]
    fn only_what_was_left_for_a_second_is_unused() {
        let mut demand = Demand::default();
        for (millis, left, unused) in [
            (1_000, 9, 0),
            (1_500, 4, 0),
            (2_000, 9, 4),
            (2_100, 9, 4),
            (3_000, 9, 9),
            (4_000, 3, 3),
            (4_100, 2, 2),
        ] {
            demand.look(Instant::from_millis(millis), 0, left);
            assert_eq!(demand.unused(), unused, "at {millis} ms");
        }
        demand.on_lowered(1);
        assert_eq!(demand.unused(), 1);
    }
}
