//! The results of one thread, and the sum over threads.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart from longer ones.
const LATENCY_NANOS_MAX: u64 = 3_600_000_000_000;

/// Points of a curve, from p0 to p99.99.
const CURVE_POINTS: u32 = 64;

/// Why a request has no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No connection could be made.
    Connect,
    /// No TLS session could be made on a connection.
    Tls,
    /// The connection ended before the answer did.
    Reset,
    /// No whole answer in time.
    Timeout,
    /// The answer is not HTTP, or not framed as it says.
    Malformed,
    /// An answer with this status, not 2xx.
    Status(u16),
    /// A stream that carried an error.
    ErrorEvent,
    /// A stream that ended in good order but without `[DONE]`.
    NoDone,
}

/// The name under which a failure is reported.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Malformed => f.write_str("malformed"),
            Self::Status(code) => write!(f, "status_{code}"),
            Self::ErrorEvent => f.write_str("error_event"),
            Self::NoDone => f.write_str("no_done"),
        }
    }
}

/// Times with three significant digits each.
#[derive(Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3);
        Self(histogram.expect("the bounds are constants in range"))
    }

    /// Counts `time`.
    pub(crate) fn record(&mut self, time: Duration) {
        self.0
            .saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many were counted.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// The time that `share` of all (0 to 1) did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    /// The times at [`CURVE_POINTS`] shares, ever closer together towards the longest.
    pub(crate) fn curve(&self) -> Vec<(f64, Duration)> {
        let share = |step: u32| 1.0 - 10_f64.powf(-4.0 * f64::from(step) / f64::from(CURVE_POINTS));
        let shares = (0..=CURVE_POINTS).map(share);
        shares.map(|share| (share, self.quantile(share))).collect()
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The mean.
    pub(crate) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }
}

/// How many answers ended in each tenth of a second of the measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline(pub(crate) Vec<u64>);

impl Timeline {
    /// The length of one slot.
    pub(crate) const SLOT: Duration = Duration::from_millis(100);
    /// Most slots: what ends after an hour counts into the last one.
    const SLOTS_MAX: usize = 36_000;

    /// Counts an answer that ended at `at`, counted from the end of the warm-up.
    pub(crate) fn record(&mut self, at: Duration) {
        let slot = at.as_millis() / Self::SLOT.as_millis();
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        let slot = slot.min(Self::SLOTS_MAX - 1);
        if slot >= self.0.len() {
            self.0.resize(slot + 1, 0);
        }
        if let Some(count) = self.0.get_mut(slot) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            *own += theirs;
        }
    }
}

/// Counts and times of the measured requests.
pub(crate) struct Tally {
    /// From start to last byte, of every good answer.
    pub(crate) latency: Times,
    /// From start to first byte, of streams.
    pub(crate) first_byte: Times,
    /// From start to the first event with content, of streams.
    pub(crate) first_content: Times,
    /// Between one event and the next, of streams.
    pub(crate) gap: Times,
    /// From the moment the server wrote an event to its arrival, of stamped streams.
    pub(crate) delay: Times,
    /// Good answers by the time of their end.
    pub(crate) timeline: Timeline,
    /// Good answers that ended inside the measured window.
    pub(crate) in_window: u64,
    /// Events of streams.
    pub(crate) events: u64,
    /// Bytes received for measured requests.
    pub(crate) received: u64,
    /// Bytes sent for measured requests.
    pub(crate) sent: u64,
    /// Requests without a good answer, by reason.
    pub(crate) failures: BTreeMap<Failure, u64>,
    /// Requests of an open loop that were due and never sent.
    pub(crate) unsent: u64,
    /// When the last measured request ended.
    pub(crate) last_end: Duration,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            latency: Times::new(),
            first_byte: Times::new(),
            first_content: Times::new(),
            gap: Times::new(),
            delay: Times::new(),
            timeline: Timeline::default(),
            in_window: 0,
            events: 0,
            received: 0,
            sent: 0,
            failures: BTreeMap::new(),
            unsent: 0,
            last_end: Duration::ZERO,
        }
    }

    /// Counts a request that failed at `now`.
    pub(crate) fn fail(&mut self, failure: Failure, now: Duration) {
        *self.failures.entry(failure).or_default() += 1;
        self.last_end = self.last_end.max(now);
    }

    /// Failures of every kind together.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Adds what another thread has seen.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.first_byte, &other.first_byte),
            (&mut self.first_content, &other.first_content),
            (&mut self.gap, &other.gap),
            (&mut self.delay, &other.delay),
        ] {
            own.0
                .add(&theirs.0)
                .expect("all histograms have the same bounds");
        }
        self.timeline.add(&other.timeline);
        self.in_window += other.in_window;
        self.events += other.events;
        self.received += other.received;
        self.sent += other.sent;
        self.unsent += other.unsent;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.last_end = self.last_end.max(other.last_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_threads() {
        let (mut one, mut other) = (Tally::new(), Tally::new());
        one.latency.record(Duration::from_millis(1));
        other.latency.record(Duration::from_millis(3));
        one.fail(Failure::Status(503), Duration::from_secs(1));
        other.fail(Failure::Status(503), Duration::from_secs(2));
        other.fail(Failure::Reset, Duration::from_secs(2));
        one.add(&other);
        assert_eq!((one.latency.len(), one.failed()), (2, 3));
        assert_eq!(one.failures[&Failure::Status(503)], 2);
        assert_eq!(one.last_end, Duration::from_secs(2));
        assert!(one.latency.max() >= Duration::from_millis(3));
    }

    #[test]
    fn counts_answers_by_tenths_of_a_second() {
        let (mut one, mut other) = (Timeline::default(), Timeline::default());
        for millis in [0, 99, 250] {
            one.record(Duration::from_millis(millis));
        }
        other.record(Duration::from_millis(399));
        other.record(Duration::from_secs(1 << 40));
        one.add(&other);
        assert_eq!(one.0.get(..4), Some(&[2, 0, 1, 1][..]));
        assert_eq!((one.0.len(), one.0.last()), (Timeline::SLOTS_MAX, Some(&1)));
    }

    #[test]
    fn keeps_three_digits_of_a_time() {
        let mut times = Times::new();
        for micros in 1..=1_000 {
            times.record(Duration::from_micros(micros));
        }
        let p99 = times.quantile(0.99).as_nanos();
        assert!((989_000..=991_000).contains(&p99), "{p99}");
    }
}
