//! The circuit breaker of one provider: closed, open, half-open, and what moves it.

use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::backoff::Backoff;
use crate::decide::circuit::{End, Permit, Reason, ResponseTime, State, Transition};
use crate::decide::outcome::Signal;
use crate::decide::percentile::Percentile;
use crate::decide::policy::BreakerPolicy;
use crate::decide::rows::Rows;
use crate::decide::window::{Tally, Window};

/// One provider's circuit for the whole process.
///
/// It is told which attempts ended, who took the permit and what time it is, and returns its
/// transitions. It wants to be called again at [`Breaker::deadline`].
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    backoff: Backoff,
    /// When requests were last held back. An attempt that was admitted earlier says nothing about
    /// what the provider has become since: it may have been under way for minutes.
    fresh_from: Instant,
    rows: Rows,
    window: Window,
    response_times: Percentile,
    minute: Window,
    /// The number of the latest permit; the next permit has the next number.
    generation: u32,
    /// The latest permit whose probe did not end in time.
    late: Option<u32>,
    /// The latest probe that was sent.
    sent: Sent,
}

/// A probe that was sent, whatever the circuit has become since.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// The permit that it was sent with; 0 is none.
    generation: u32,
    /// Until when no other probe may be sent; `None` once this one has ended.
    until: Option<Instant>,
}

impl Breaker {
    /// A closed circuit that has seen nothing yet.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed,
            backoff: Backoff::new(&policy),
            fresh_from: Instant::ZERO,
            rows: Rows::default(),
            window: Window::new(policy.window),
            response_times: Percentile::new(policy.window),
            minute: Window::new(MINUTE),
            generation: 0,
            late: None,
            sent: Sent::default(),
        }
    }

    /// A closed circuit for another provider, which takes over this one's id; the count of
    /// successes goes on.
    #[must_use]
    pub fn successor(&self, policy: BreakerPolicy) -> Self {
        let mut rows = self.rows.clone();
        rows.clear();
        Self {
            rows,
            ..Self::new(policy)
        }
    }

    /// An attempt ended.
    pub fn on_end(&mut self, now: Instant, end: End) -> Option<Transition> {
        let request = Tally {
            requests: 1,
            ..Tally::default()
        };
        self.minute.add(end.at, request);
        let successes = u64::from(end.signal == Signal::Success);
        self.rows.on_successes(successes);
        if let Some(generation) = end.probe {
            self.on_probe_ended(generation);
        }
        let transition = match (self.state, end.probe) {
            (State::Closed, _) => self.count(now, end),
            (State::Open { .. } | State::HalfOpen { .. }, Some(generation)) => {
                self.end_probe(now, generation, end.signal)
            }
            // The attempt was under way when the circuit opened: it neither closes nor extends it.
            (State::Open { .. } | State::HalfOpen { .. }, None) => None,
        };
        self.check();
        transition
    }

    /// Attempts succeeded that were no probes: when each was admitted, and how long it took. All
    /// ended at about `at`, within the same slice of each window. It is the same as to be told of
    /// each by itself.
    pub fn on_succeeded(
        &mut self,
        now: Instant,
        at: Instant,
        all: impl Iterator<Item = (Instant, ResponseTime)> + Clone,
    ) -> Option<Transition> {
        let window = self.window.total(now);
        let (policy, fresh_from) = (self.policy, self.fresh_from);
        let covers = |time: ResponseTime| Self::covers(&policy, time);
        let is_slow = |time: ResponseTime| covers(time) && time.span() > policy.latency_p95;
        // Where nothing speaks against the provider, no success can open the circuit.
        let is_well = self.state == State::Closed
            && (window.failures, window.slow) == (0, 0)
            && all
                .clone()
                .all(|(admitted, time)| admitted >= fresh_from && !is_slow(time));
        if !is_well {
            let end = |(admitted, time)| End {
                admitted,
                at,
                signal: Signal::Success,
                response_time: Some(time),
                probe: None,
                successes_before: 0,
            };
            let ends = all.map(|success| self.on_end(now, end(success)));
            return ends.fold(None, Option::or);
        }
        let mut counts = Tally::default();
        for (_, time) in all.clone() {
            counts.successes += 1;
            counts.timed += u64::from(covers(time));
        }
        self.response_times
            .add_all(at, all.map(|(_, time)| time.span()));
        self.window.add(at, counts);
        let requests = counts.successes;
        let ended = Tally {
            requests,
            ..Tally::default()
        };
        self.minute.add(at, ended);
        self.rows.on_successes(requests);
        self.check();
        None
    }

    /// So many successes ended; nothing more is known of them.
    pub fn on_successes(&mut self, now: Instant, count: u64) {
        self.rows.on_successes(count);
        let counts = Tally {
            requests: count,
            ..Tally::default()
        };
        self.minute.add(now, counts);
        if self.state == State::Closed {
            let counts = Tally {
                successes: count,
                ..Tally::default()
            };
            self.window.add(now, counts);
        }
        self.check();
    }

    /// The permit of this generation was taken at `at`. Saying so twice does no harm, nor does
    /// saying so when the circuit has changed meanwhile: until that probe has ended or is overdue,
    /// no other is sent (promise `breaker.one-probe`).
    pub fn on_probe_taken(&mut self, at: Instant, generation: u32) {
        if generation <= self.sent.generation {
            return;
        }
        let overdue = at + self.policy.probe_timeout;
        let until = Some(overdue);
        self.sent = Sent { generation, until };
        if let State::Open { since, until } = self.state {
            let until = until.max(overdue);
            self.state = State::Open { since, until };
        }
        let free = State::HalfOpen {
            generation,
            permit: Permit::Free,
        };
        if self.state == free {
            let permit = Permit::Taken { until: overdue };
            self.state = State::HalfOpen { generation, permit };
        }
        self.check();
    }

    /// The probe of this generation has its answer, which may take long to be relayed: a stream is
    /// not judged by its length. The probe's end is then reported like that of any other attempt.
    pub fn on_probe_answered(&mut self, now: Instant, generation: u32) -> Option<Transition> {
        self.on_probe_ended(generation);
        let transition = self.end_probe(now, generation, Signal::Success);
        self.check();
        transition
    }

    /// Does what is due at `now`.
    pub fn on_time(&mut self, now: Instant) -> Option<Transition> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let transition = match self.state {
            State::Closed => None,
            State::Open { .. } => Some(self.go_half_open(now, Reason::RecoveryWindow)),
            State::HalfOpen { .. } => Some(self.time_out(now)),
        };
        self.check();
        transition
    }

    /// When [`Breaker::on_time`] has something to do. A permit that nobody takes stays valid
    /// without a deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. }
            | State::HalfOpen {
                permit: Permit::Taken { until },
                ..
            } => Some(until),
            State::Closed
            | State::HalfOpen {
                permit: Permit::Free,
                ..
            } => None,
        }
    }

    /// An operator opens the circuit. The provider is out of service until an operator closes or
    /// resets the circuit, or until a probe that is sent after the recovery window succeeds.
    /// Earlier probes do not count.
    pub fn open(&mut self, now: Instant) -> Transition {
        self.late = None;
        let transition = self.go_open(now, Reason::Manual);
        self.check();
        transition
    }

    /// An operator closes the circuit.
    pub fn close(&mut self) -> Option<Transition> {
        match self.state {
            State::Closed => None,
            State::Open { .. } | State::HalfOpen { .. } => {
                let transition = self.go_closed(Reason::Manual);
                self.check();
                Some(transition)
            }
        }
    }

    /// An operator closes the circuit and clears its statistics, even if it is closed already.
    pub fn reset(&mut self) -> Option<Transition> {
        let transition = self.close();
        self.forget();
        self.minute.clear();
        self.check();
        transition
    }

    /// The configuration was reloaded: this policy holds from now on. The circuit keeps its state
    /// and its counts; only a circuit whose probe is under way opens again, since that probe was
    /// sent under the former policy. A late success of that probe still closes the circuit.
    pub fn adopt(&mut self, now: Instant, policy: BreakerPolicy) -> Option<Transition> {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window);
            self.response_times = Percentile::new(policy.window);
        }
        // A reload does not open a circuit; the next failure may.
        self.rows
            .shorten(policy.consecutive_failures.saturating_sub(1));
        self.backoff.adopt(&policy);
        self.policy = policy;
        let transition = match self.state {
            State::HalfOpen {
                generation,
                permit: Permit::Taken { .. },
            } => {
                self.late = Some(generation);
                Some(self.go_open(now, Reason::Reload))
            }
            State::HalfOpen {
                permit: Permit::Free,
                ..
            }
            | State::Open { .. }
            | State::Closed => None,
        };
        self.check();
        transition
    }

    /// Forgets what is too old to count; called for circuits that no request asks about any more.
    pub fn age(&mut self, now: Instant) {
        self.response_times.age(now);
    }

    /// The circuit's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How long a probe may take.
    #[must_use]
    pub fn probe_timeout(&self) -> Duration {
        self.policy.probe_timeout
    }

    /// The share of failures over the window. While the circuit is open, only its failed probes are
    /// added, so that the rate shows what opened the circuit and whether that goes on. When the
    /// circuit closes, these failures are forgotten.
    pub fn error_rate(&mut self, now: Instant) -> f64 {
        self.window.total(now).error_rate()
    }

    /// The p95 of all response times over the window, for reports. The threshold may cover streams
    /// alone, but a provider without streams has response times too.
    pub fn p95(&mut self, now: Instant) -> Option<Duration> {
        self.response_times.p95(now)
    }

    /// Attempts that ended within the last minute, whatever the circuit's state was.
    pub fn requests_last_minute(&mut self, now: Instant) -> u64 {
        self.minute.total(now).requests
    }

    /// Counts an attempt that ended while the circuit was closed.
    fn count(&mut self, now: Instant, end: End) -> Option<Transition> {
        if end.admitted < self.fresh_from {
            return None;
        }
        let mut counts = Tally::default();
        let mut row = 0;
        match end.signal {
            Signal::Success => counts.successes = 1,
            Signal::Failure => {
                counts.failures = 1;
                row = self.rows.on_failure(end.successes_before);
            }
            Signal::Neutral => return None,
        }
        if let Some(time) = end.response_time {
            let covered = u64::from(Self::covers(&self.policy, time));
            counts.timed = covered;
            counts.slow = covered * u64::from(time.span() > self.policy.latency_p95);
            self.response_times.add(end.at, time.span());
        }
        self.window.add(end.at, counts);
        let reason = if row >= self.policy.consecutive_failures {
            Reason::ConsecutiveFailures
        } else {
            self.fault(now)?
        };
        Some(self.go_open(now, reason))
    }

    /// Whether the threshold of response times covers this one.
    fn covers(policy: &BreakerPolicy, time: ResponseTime) -> bool {
        match time {
            ResponseTime::FirstContent(_) => true,
            // By default it does not: a long answer takes longer.
            ResponseTime::WholeAnswer(_) => policy.latency_covers_all,
        }
    }

    /// Why the provider should be out of service, judged over the window; `None`: it should not.
    /// Successes that have ended but were not reported yet are included, so that the result does
    /// not depend on which shard they ended on.
    fn fault(&mut self, now: Instant) -> Option<Reason> {
        let mut counts = self.window.total(now);
        counts.successes += self.rows.untold();
        let minimum = u64::from(self.policy.min_requests);
        if counts.judged() >= minimum && counts.fail_at(self.policy.error_rate_permille) {
            Some(Reason::ErrorRate)
        } else if counts.timed >= minimum && counts.p95_is_slow() {
            Some(Reason::LatencyP95)
        } else {
            None
        }
    }

    /// A probe ended while the circuit is not closed.
    fn end_probe(&mut self, now: Instant, probe: u32, signal: Signal) -> Option<Transition> {
        if self.late == Some(probe) {
            // Evidence beats the timer, but a failure was counted when the timer ran out.
            return match signal {
                Signal::Success => Some(self.go_closed(Reason::ProbeSucceeded)),
                Signal::Failure | Signal::Neutral => None,
            };
        }
        let permit = match self.state {
            State::HalfOpen { generation, permit } if generation == probe => permit,
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => return None,
        };
        Some(match (signal, permit) {
            (Signal::Success, _) => self.go_closed(Reason::ProbeSucceeded),
            (Signal::Failure, _) => {
                self.count_probe(now);
                self.backoff.grow();
                self.go_open(now, Reason::ProbeFailed)
            }
            (Signal::Neutral, Permit::Taken { until }) if until <= now => self.time_out(now),
            (Signal::Neutral, Permit::Free | Permit::Taken { .. }) => {
                self.go_half_open(now, Reason::ProbeNeutral)
            }
        })
    }

    /// The probe of this generation is no longer under way.
    fn on_probe_ended(&mut self, generation: u32) {
        if generation >= self.sent.generation {
            let until = None;
            self.sent = Sent { generation, until };
        }
    }

    /// The probe did not end in time.
    fn time_out(&mut self, now: Instant) -> Transition {
        self.late = Some(self.generation);
        self.count_probe(now);
        self.backoff.grow();
        self.go_open(now, Reason::ProbeTimeout)
    }

    /// Counts a probe that failed.
    fn count_probe(&mut self, now: Instant) {
        let failed = Tally {
            failures: 1,
            ..Tally::default()
        };
        self.window.add(now, failed);
    }

    fn go_open(&mut self, now: Instant, reason: Reason) -> Transition {
        self.fresh_from = now;
        let until = now + self.backoff.span();
        let until = until.max(self.sent.until.unwrap_or(until));
        self.go(State::Open { since: now, until }, reason)
    }

    fn go_half_open(&mut self, now: Instant, reason: Reason) -> Transition {
        // Until now no request was let through, so this moment separates earlier attempts from
        // later ones, even if the clocks of shards differ a little.
        self.fresh_from = now;
        self.generation = self.generation.wrapping_add(1);
        let half_open = State::HalfOpen {
            generation: self.generation,
            permit: Permit::Free,
        };
        self.go(half_open, reason)
    }

    fn go_closed(&mut self, reason: Reason) -> Transition {
        self.late = None;
        self.backoff.reset();
        // The failures that opened the circuit would open it again at the next failure.
        self.forget();
        self.go(State::Closed, reason)
    }

    fn go(&mut self, to: State, reason: Reason) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        Transition { from, to, reason }
    }

    fn forget(&mut self) {
        self.rows.clear();
        self.window.clear();
        self.response_times.clear();
    }

    fn check(&self) {
        match self.state {
            State::Closed => {
                debug_assert_eq!(self.late, None);
                debug_assert!(self.rows.longest() < self.policy.consecutive_failures);
            }
            State::Open { since, until } => {
                debug_assert!(since <= until);
                debug_assert_eq!(since, self.fresh_from);
            }
            State::HalfOpen { generation, .. } => {
                debug_assert_eq!(generation, self.generation);
                debug_assert_ne!(self.late, Some(generation));
            }
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
