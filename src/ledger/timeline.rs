//! What was spent over time: by minute for a day, by hour for a month.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::range::{HOURS_KEPT, MINUTES_KEPT, Range};
use crate::base::spent::Spent;
use crate::base::time::WallTime;

/// What was spent in each minute and hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    minutes: Buckets,
    hours: Buckets,
}

/// What was spent in each span of one length; spans without spend take no room.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Buckets {
    /// How long a span is, in milliseconds.
    step: u64,
    /// How many spans are kept.
    kept: u64,
    /// By number of the span since 1970.
    spent: BTreeMap<u64, Spent>,
}

/// One span of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it starts.
    pub start: WallTime,
    /// What was spent in it.
    pub spent: Spent,
}

impl Default for Timeline {
    fn default() -> Self {
        let buckets = |step: Duration, kept| Buckets {
            step: u64::try_from(step.as_millis()).unwrap_or(u64::MAX),
            kept,
            spent: BTreeMap::new(),
        };
        Self {
            minutes: buckets(Duration::from_secs(60), MINUTES_KEPT),
            hours: buckets(Duration::from_secs(3_600), HOURS_KEPT),
        }
    }
}

impl Timeline {
    /// The timeline from its minutes and hours, in any order.
    #[must_use]
    pub fn restored(minutes: &[(u64, Spent)], hours: &[(u64, Spent)]) -> Self {
        let mut timeline = Self::default();
        timeline.minutes.spent.extend(minutes.iter().copied());
        timeline.hours.spent.extend(hours.iter().copied());
        timeline
    }

    /// What was spent by minute since 1970, and by hour since 1970.
    #[must_use]
    pub fn kept(&self) -> [Vec<(u64, Spent)>; 2] {
        [&self.minutes, &self.hours].map(|buckets| {
            let spent = buckets.spent.iter();
            spent.map(|(number, spent)| (*number, *spent)).collect()
        })
    }

    /// Something was spent at `wall`.
    pub fn add(&mut self, wall: WallTime, spent: Spent) {
        self.minutes.add(wall, spent);
        self.hours.add(wall, spent);
    }

    /// The spans of a report at `wall`, the earliest first; the last one is the running one.
    #[must_use]
    pub fn spans(&self, wall: WallTime, range: Range) -> Vec<Span> {
        let Range { hours, step } = range;
        let source = if step.is_multiple_of(60) {
            &self.hours
        } else {
            &self.minutes
        };
        let step = step * 60_000;
        let last = wall.unix_millis() / step;
        let count = (hours * 3_600_000).div_ceil(step);
        let numbers = last.saturating_sub(count - 1)..=last;
        let span = |number: u64| {
            let from = number * step / source.step;
            let to = (number + 1) * step / source.step;
            Span {
                start: WallTime::from_unix_millis(number * step),
                spent: source.spent.range(from..to).map(|(_, spent)| *spent).sum(),
            }
        };
        numbers.map(span).collect()
    }
}

impl Buckets {
    fn add(&mut self, wall: WallTime, spent: Spent) {
        let number = wall.unix_millis() / self.step;
        let sum = self.spent.entry(number).or_default();
        *sum = sum.plus(spent);
        while self.spent.len() as u64 > self.kept {
            self.spent.pop_first();
        }
        // A report counts back from now and may begin within a span.
        let oldest = number.saturating_sub(self.kept);
        while let Some(first) = self.spent.first_entry()
            && *first.key() < oldest
        {
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn requests(requests: u64) -> Spent {
        Spent {
            requests,
            ..Spent::default()
        }
    }

    fn shown(timeline: &Timeline, wall: u64, hours: &str, bucket: &str) -> Vec<(u64, u64)> {
        let range = Range::read(Some(hours), Some(bucket)).unwrap();
        let spans = timeline.spans(WallTime::from_unix_millis(wall), range);
        let spans = spans.iter();
        spans
            .map(|span| (span.start.unix_millis(), span.spent.requests))
            .collect()
    }

    #[test]
    fn spans_end_with_the_running_one() {
        let mut timeline = Timeline::default();
        for (at, count) in [(10 * HOUR, 1), (11 * HOUR + 59 * 60_000, 2), (12 * HOUR, 4)] {
            timeline.add(WallTime::from_unix_millis(at), requests(count));
        }
        let now = 12 * HOUR + 5 * 60_000;
        let found = shown(&timeline, now, "3", "1h");
        assert_eq!(found, [(10 * HOUR, 1), (11 * HOUR, 2), (12 * HOUR, 4)]);
        let found = shown(&timeline, now, "1", "30m");
        assert_eq!(found, [(11 * HOUR + HOUR / 2, 2), (12 * HOUR, 4)]);
        assert_eq!(shown(&timeline, now, "24", "1d"), [(0, 7)]);
        assert_eq!(shown(&timeline, now, "744", "1h").len(), 13);
        assert_eq!(shown(&timeline, 800 * HOUR, "744", "1h").len(), 744);
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut timeline = Timeline::default();
        for hour in 0..2_000 {
            timeline.add(WallTime::from_unix_millis(hour * HOUR), requests(1));
        }
        let [minutes, hours] = timeline.kept();
        assert!(minutes.len() <= 25 && hours.len() as u64 <= HOURS_KEPT);
        assert_eq!(Timeline::restored(&minutes, &hours), timeline);
    }
}
