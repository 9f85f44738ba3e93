//! Failures in a row, counted in the order in which answers ended, in whatever order they are
//! reported.

use crate::base::limits::ROWS_KEPT_MAX;

/// The rows of one provider's failures, and how many of its successes are known.
///
/// Answers end on many shards, which report failures at once and successes later. So a failure
/// comes with the number of successes that had ended before it on any shard: failures with the same
/// number belong to one row, whatever is reported between them, and no other failures do.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The latest first. Invariant: each row ended before the one in front of it.
    rows: [Row; ROWS_KEPT_MAX],
    /// Successes that have been reported.
    told: u64,
    /// Successes that have ended, as far as reports of failures say.
    ended: u64,
}

/// Failures with no success between them.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// How many successes had ended before it.
    after: u64,
    /// How many failures the row has; 0: there is no such row.
    failures: u32,
}

impl Rows {
    /// So many successes are reported.
    pub fn on_successes(&mut self, count: u64) {
        self.told += count;
    }

    /// A failure is reported that came after so many successes; returns how many failures its row
    /// has now. A failure whose row is no longer kept counts as a row of one.
    pub fn on_failure(&mut self, after: u64) -> u32 {
        self.ended = self.ended.max(after);
        // Nearly all failures belong to the latest row.
        let [latest, ..] = &mut self.rows;
        if latest.failures > 0 && latest.after == after {
            latest.failures = latest.failures.saturating_add(1);
            return latest.failures;
        }
        let is_later = |row: &&Row| row.failures > 0 && row.after > after;
        let place = self.rows.iter().take_while(is_later).count();
        let Some(row) = self.rows.get(place) else {
            return 1;
        };
        if row.failures == 0 || row.after != after {
            self.rows[place..].rotate_right(1);
            self.rows[place] = Row { after, failures: 0 };
        }
        let row = &mut self.rows[place];
        row.failures = row.failures.saturating_add(1);
        self.rows[place].failures
    }

    /// Successes that have ended and are not reported yet.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.ended.saturating_sub(self.told)
    }

    /// The length of the longest row.
    #[must_use]
    pub fn longest(&self) -> u32 {
        self.rows.iter().map(|row| row.failures).max().unwrap_or(0)
    }

    /// Cuts each row to at most `max` failures.
    pub fn shorten(&mut self, max: u32) {
        for row in &mut self.rows {
            row.failures = row.failures.min(max);
        }
    }

    /// Forgets all failures. The count of successes goes on.
    pub fn clear(&mut self) {
        self.rows = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_success_that_ended_between_two_failures_parts_them() {
        let mut rows = Rows::default();
        let lengths = [0, 0, 3, 0, 3, 1, 2].map(|after| rows.on_failure(after));
        assert_eq!(lengths, [1, 2, 1, 3, 2, 1, 1]);
        assert_eq!((rows.longest(), rows.untold()), (3, 3));
        rows.on_successes(2);
        assert_eq!((rows.longest(), rows.untold()), (3, 1));
        rows.shorten(2);
        assert_eq!((rows.longest(), rows.on_failure(3)), (2, 3));
        rows.clear();
        assert_eq!((rows.longest(), rows.untold()), (0, 1));
        assert_eq!(rows.on_failure(3), 1);
    }

    #[test]
    fn the_oldest_row_goes_when_there_are_too_many() {
        let mut rows = Rows::default();
        for after in 0..=ROWS_KEPT_MAX as u64 {
            assert_eq!(rows.on_failure(2 * after), 1);
        }
        assert_eq!(rows.on_failure(0), 1);
        assert_eq!(rows.on_failure(1), 1);
        assert_eq!(rows.on_failure(2), 2);
        assert_eq!(rows.on_failure(3), 1);
        assert_eq!(rows.on_failure(2), 1, "it has made room");
    }

    proptest! {
        #[test]
        fn the_order_in_which_failures_are_told_does_not_matter(
            (sorted, told) in prop::collection::vec(0..ROWS_KEPT_MAX as u64, 0..40)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let longest = |failures: Vec<u64>| {
                let mut rows = Rows::default();
                let lengths = failures.into_iter().map(|after| rows.on_failure(after));
                let longest = lengths.max().unwrap_or(0);
                (longest, rows.longest())
            };
            prop_assert_eq!(longest(sorted), longest(told));
        }
    }
}
