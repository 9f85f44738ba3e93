//! The last five minutes of the process, point by point: whoever looks later sees them, too.
//!
//! A look reads all counters; what they have gained since the look before is a point. Nothing is
//! counted for it on any request's way.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::limits::ERROR_CODES_MAX;
use crate::base::spent::Spent;
use crate::base::time::{Instant, WallTime};
use crate::ledger::totals::Totals;
use crate::link::histogram::{HistogramSum, Part};
use crate::link::meters::{Account, NOBODY, STATUSES};

/// The points of the last five minutes.
#[derive(Debug, Default)]
pub struct Lately {
    points: VecDeque<Point>,
    /// The look that the running point counts from.
    before: Option<Look>,
}

/// All counters at a moment.
#[derive(Clone, Debug)]
pub struct Look {
    at: Instant,
    wall: WallTime,
    requests: u64,
    spent: Spent,
    tallies: Tallies,
    latency: HistogramSum,
    first_content: HistogramSum,
}

/// Requests by what they were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallies {
    /// By place in [`STATUSES`]; the last one is for all other statuses.
    pub statuses: [u64; STATUSES.len() + 1],
    /// infermux's own errors, by the code's place in their table.
    pub codes: [u64; ERROR_CODES_MAX],
}

/// A few seconds.
#[derive(Clone, Debug)]
pub struct Point {
    /// When they began.
    pub start: WallTime,
    /// How long they were.
    pub length: Duration,
    /// Requests that ended in them.
    pub requests: u64,
    /// What these have used and cost.
    pub spent: Spent,
    /// What they were told.
    pub tallies: Tallies,
    /// Response times of answers: to their ends, or to the first content of streams.
    pub latency: Part,
    /// Of these, those of streams.
    pub first_content: Part,
}

/// The sum over all points.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// How long they were together.
    pub length: Duration,
    /// Requests that ended.
    pub requests: u64,
    /// What these have used and cost.
    pub spent: Spent,
    /// What they were told.
    pub tallies: Tallies,
    /// Response times of answers.
    pub latency: HistogramSum,
    /// Of these, those of streams.
    pub first_content: HistogramSum,
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            statuses: [0; STATUSES.len() + 1],
            codes: [0; ERROR_CODES_MAX],
        }
    }
}

impl Tallies {
    fn minus(&self, other: &Self) -> Self {
        let mut left = self.clone();
        let pairs = left.statuses.iter_mut().zip(other.statuses);
        for (one, other) in pairs.chain(left.codes.iter_mut().zip(other.codes)) {
            *one = one.saturating_sub(other);
        }
        left
    }

    fn add(&mut self, other: &Self) {
        let pairs = self.statuses.iter_mut().zip(other.statuses);
        for (one, other) in pairs.chain(self.codes.iter_mut().zip(other.codes)) {
            *one += other;
        }
    }

    /// Requests that were told 429 or 5xx.
    #[must_use]
    pub fn errors(&self) -> u64 {
        let told = STATUSES.iter().zip(self.statuses);
        let told = told.filter(|(status, _)| **status == 429 || **status >= 500);
        told.map(|(_, count)| count).sum()
    }
}

impl Look {
    /// All counters of `totals` at a moment.
    #[must_use]
    pub fn of(totals: &Totals, (at, wall): (Instant, WallTime)) -> Self {
        let mut look = Self {
            at,
            wall,
            requests: 0,
            spent: Spent::default(),
            tallies: Tallies::default(),
            latency: HistogramSum::default(),
            first_content: HistogramSum::default(),
        };
        for (_, meter) in totals.loops() {
            look.requests += meter.requests_total.get();
            look.spent = look.spent.plus(Account::ever(&meter.account));
            for (sum, count) in look.tallies.codes.iter_mut().zip(&meter.refusals) {
                *sum += count.get();
            }
        }
        for (one, shard) in totals.series() {
            for (sum, count) in look.tallies.statuses.iter_mut().zip(&shard.statuses) {
                *sum += count.get();
            }
            if one != NOBODY {
                shard.latency.add_to(&mut look.latency);
                shard.first_token.add_to(&mut look.first_content);
            }
        }
        look
    }

    /// What they were told since the start.
    #[must_use]
    pub const fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    fn since(&self, before: &Self) -> Point {
        Point {
            start: before.wall,
            length: self.at.since(before.at),
            requests: self.requests.saturating_sub(before.requests),
            spent: self.spent.minus(before.spent),
            tallies: self.tallies.minus(&before.tallies),
            latency: self.latency.since(&before.latency),
            first_content: self.first_content.since(&before.first_content),
        }
    }
}

impl Lately {
    /// Ends the running point with this look, and begins the next one.
    pub fn look(&mut self, look: Look) {
        if let Some(before) = &self.before {
            self.points.push_back(look.since(before));
        }
        self.before = Some(look);
        let mut age = Duration::ZERO;
        let young = self.points.iter().rev().take_while(|point| {
            age += point.length;
            age <= SPAN
        });
        let old = self.points.len() - young.count();
        self.points.drain(..old);
    }

    /// All points, the oldest first, the running one as this look finds it.
    #[must_use]
    pub fn points(&self, look: &Look) -> Vec<Point> {
        let running = self.before.as_ref().map(|before| look.since(before));
        let running = running.filter(|point| point.length > Duration::ZERO);
        self.points.iter().cloned().chain(running).collect()
    }
}

impl Sum {
    /// The sum over `points`.
    #[must_use]
    pub fn of<'a>(points: impl IntoIterator<Item = &'a Point>) -> Self {
        let mut sum = Self::default();
        for point in points {
            sum.length += point.length;
            sum.requests += point.requests;
            sum.spent = sum.spent.plus(point.spent);
            sum.tallies.add(&point.tallies);
            sum.latency.add(&point.latency);
            sum.first_content.add(&point.first_content);
        }
        sum
    }

    /// Response times of answers that were not streamed.
    #[must_use]
    pub fn whole_answers(&self) -> HistogramSum {
        let mut whole = HistogramSum::default();
        whole.add(&self.latency.since(&self.first_content));
        whole
    }
}

/// The time that is kept.
const SPAN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::ids::ShardId;
    use crate::ledger::state::State;
    use crate::link::histogram::Histogram;
    use crate::link::meters::{Kept, LoopMeter, Meter, Priced, Series};

    struct Counters {
        totals: Totals,
        own: Arc<LoopMeter>,
        series: Arc<Series>,
    }

    fn counters() -> Counters {
        let mut totals = Totals::new(WallTime::from_unix_millis(0), &State::default());
        let (own, series) = (Arc::<LoopMeter>::default(), Arc::<Series>::default());
        totals.begin(Meter::Loop(ShardId(0), Arc::clone(&own)));
        totals.begin(Meter::Series {
            provider: "p".into(),
            model: "m".into(),
            priced: Priced::Yes,
            kept: Kept::Always,
            meter: Arc::clone(&series),
        });
        Counters {
            totals,
            own,
            series,
        }
    }

    impl Counters {
        fn answer(&self, status: u16, millis: u64) {
            self.own.requests_total.add(1);
            self.series.count(status);
            self.series.latency.observe(Duration::from_millis(millis));
        }

        fn look(&self, second: u64) -> Look {
            let wall = WallTime::from_unix_millis(1_000_000 + 1_000 * second);
            Look::of(&self.totals, (Instant::from_millis(1_000 * second), wall))
        }
    }

    #[test]
    fn what_happened_between_two_looks_is_a_point() {
        let (all, mut lately) = (counters(), Lately::default());
        all.answer(200, 10);
        assert!(lately.points(&all.look(0)).is_empty());
        lately.look(all.look(0));
        all.answer(200, 100);
        all.answer(503, 100);
        all.own.refusals[3].add(1);
        lately.look(all.look(5));
        all.answer(429, 1_000);
        let points = lately.points(&all.look(7));
        let told: Vec<_> = points
            .iter()
            .map(|one| (one.start.unix_millis(), one.length.as_secs(), one.requests))
            .collect();
        assert_eq!(told, [(1_000_000, 5, 2), (1_005_000, 2, 1)]);
        assert_eq!(points[0].tallies.errors(), 1);
        assert_eq!(points[0].tallies.codes[3], 1);
        let p50 = points[1].latency.percentile(50).unwrap();
        assert!((p50 / 1_000.0 - 1.0).abs() < 0.02, "{p50}");
        let sum = Sum::of(&points);
        assert_eq!((sum.requests, sum.tallies.errors()), (3, 2));
        assert_eq!(sum.latency.count(), 3);
        assert_eq!(all.look(7).tallies().errors(), 2);
    }

    #[test]
    fn five_minutes_are_kept_whatever_the_pace_of_looks() {
        for pace in [5_usize, 7, 60, 299] {
            let (all, mut lately) = (counters(), Lately::default());
            for second in (0..2_000).step_by(pace) {
                all.answer(200, 1);
                lately.look(all.look(second));
            }
            assert_eq!(lately.points.len(), 300 / pace, "{pace}");
        }
    }

    #[test]
    fn streams_are_told_from_whole_answers() {
        let (all, mut lately) = (counters(), Lately::default());
        lately.look(all.look(0));
        for (millis, is_stream) in [(10, true), (10, false), (500, false), (20, true)] {
            let span = Duration::from_millis(millis);
            all.series.latency.observe(span);
            if is_stream {
                all.series.first_token.observe(span);
            }
        }
        let sum = Sum::of(&lately.points(&all.look(1)));
        let mut expected = HistogramSum::default();
        let whole = Histogram::default();
        whole.observe(Duration::from_millis(10));
        whole.observe(Duration::from_millis(500));
        whole.add_to(&mut expected);
        let counts = |sum: &HistogramSum| sum.buckets().collect::<Vec<_>>();
        assert_eq!(counts(&sum.whole_answers()), counts(&expected));
        assert_eq!(sum.first_content.count(), 2);
    }
}
