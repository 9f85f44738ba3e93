//! The circuit breaker of one provider: closed, open, half-open, and what moves it.

use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::backoff::Backoff;
use crate::decide::outcome::Signal;
use crate::decide::percentile::Percentile;
use crate::decide::policy::BreakerPolicy;
use crate::decide::window::{Counts, Window};

/// One provider's circuit for the whole process.
///
/// It is told what ended, who took the permit and what time it is, and answers with its
/// transitions. It wants to be called again at [`Breaker::deadline`].
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    backoff: Backoff,
    /// When requests were last held back. One that was admitted before belongs to the time before:
    /// it may end minutes later and says nothing about what has become of the provider.
    fresh_from: Instant,
    /// Failures in a row.
    streak: u32,
    window: Window,
    response_times: Percentile,
    minute: Window,
    /// The latest permit; its successor has a number of its own.
    generation: u32,
    /// The latest permit whose probe was not heard of in time.
    late: Option<u32>,
}

/// What a circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In service.
    Closed,
    /// Out of service.
    Open {
        /// From when.
        since: Instant,
        /// When it becomes half-open.
        until: Instant,
    },
    /// One probe may be sent.
    HalfOpen {
        /// Tells this permit from the ones before.
        generation: u32,
        /// Whether it may still be taken.
        permit: Permit,
    },
}

/// Whether the permit for the one probe may still be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, for as long as nobody does.
    Free,
    /// A probe is on its way.
    Taken {
        /// When it counts as failed.
        until: Instant,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When the attempt was admitted.
    pub admitted: Instant,
    /// What it says about the provider.
    pub signal: Signal,
    /// How long the provider took, where that says something.
    pub response_time: Option<ResponseTime>,
    /// The permit that it was sent with, if it was a probe.
    pub probe: Option<u32>,
}

/// How long a provider took, by what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTime {
    /// The first content of a stream.
    FirstContent(Duration),
    /// The last byte of an answer that was not streamed.
    WholeAnswer(Duration),
}

/// A change that shards and the log are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What the circuit was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// Why a circuit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a share of failures over the window.
    ErrorRate,
    /// Too slow a p95 over the window.
    LatencyP95,
    /// The recovery window is over.
    RecoveryWindow,
    /// The provider answered its probe.
    ProbeSucceeded,
    /// It failed its probe.
    ProbeFailed,
    /// It was not heard of in time.
    ProbeTimeout,
    /// The probe ended without a word about the provider; another may be sent.
    ProbeNeutral,
    /// An operator said so.
    Manual,
    /// The configuration was reloaded while its probe was out.
    Reload,
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
            streak: 0,
            window: Window::new(policy.window),
            response_times: Percentile::new(policy.window),
            minute: Window::new(MINUTE),
            generation: 0,
            late: None,
        }
    }

    /// An attempt ended.
    pub fn on_end(&mut self, now: Instant, end: End) -> Option<Transition> {
        let request = Counts {
            requests: 1,
            ..Counts::default()
        };
        self.minute.add(now, request);
        let transition = match (self.state, end.probe) {
            (State::Closed, _) => self.count(now, end),
            (State::Open { .. } | State::HalfOpen { .. }, Some(generation)) => {
                self.settle(now, generation, end.signal)
            }
            // It was on its way when the circuit opened: it neither closes nor extends it.
            (State::Open { .. } | State::HalfOpen { .. }, None) => None,
        };
        self.check();
        transition
    }

    /// The permit of this generation was taken at `at`. Telling it twice does no harm.
    pub fn on_probe_taken(&mut self, at: Instant, generation: u32) {
        let free = State::HalfOpen {
            generation,
            permit: Permit::Free,
        };
        if self.state == free {
            let until = at + self.policy.probe_timeout;
            let permit = Permit::Taken { until };
            self.state = State::HalfOpen { generation, permit };
        }
        self.check();
    }

    /// The probe of this generation has its answer, which may yet take long to be relayed: a stream
    /// is not judged by its length. Its end is then told like that of any other attempt.
    pub fn on_probe_answered(&mut self, now: Instant, generation: u32) -> Option<Transition> {
        let transition = self.settle(now, generation, Signal::Success);
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

    /// When [`Breaker::on_time`] has something to do. A permit that nobody takes waits for ever.
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

    /// An operator opens the circuit: out of service until closed, reset, or a probe succeeds that
    /// is sent after the recovery window. Probes from before do not count.
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

    /// An operator closes the circuit and clears its statistics, also where it is closed already.
    pub fn reset(&mut self) -> Option<Transition> {
        let transition = self.close();
        self.forget();
        self.minute.clear();
        self.check();
        transition
    }

    /// The configuration was reloaded: these are the figures from now on. The circuit stays what it
    /// is and keeps what it has counted; only one whose probe is out is open again, since that
    /// probe was sent by other terms. Its late success closes the circuit all the same.
    pub fn adopt(&mut self, now: Instant, policy: BreakerPolicy) -> Option<Transition> {
        if policy.window != self.policy.window {
            self.window = Window::new(policy.window);
            self.response_times = Percentile::new(policy.window);
        }
        // A file opens no circuit; the next failure may.
        self.streak = self
            .streak
            .min(policy.consecutive_failures.saturating_sub(1));
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

    /// Forgets what is too old to count: for a circuit that nobody asks about any more.
    pub fn age(&mut self, now: Instant) {
        self.response_times.age(now);
    }

    /// What the circuit is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How long a probe may take.
    #[must_use]
    pub fn probe_timeout(&self) -> Duration {
        self.policy.probe_timeout
    }

    /// The share of failures over the window. While the circuit is open nothing is added to it, so
    /// that it shows what opened the circuit until that is too old.
    pub fn error_rate(&mut self, now: Instant) -> f64 {
        self.window.total(now).error_rate()
    }

    /// The p95 of all response times over the window, for reports. The threshold may be about
    /// streams alone; a provider without streams has response times all the same.
    pub fn p95(&mut self, now: Instant) -> Option<Duration> {
        self.response_times.p95(now)
    }

    /// Attempts that ended within the last minute, whatever the circuit was.
    pub fn requests_last_minute(&mut self, now: Instant) -> u64 {
        self.minute.total(now).requests
    }

    /// Counts what ended while the circuit is closed.
    fn count(&mut self, now: Instant, end: End) -> Option<Transition> {
        if end.admitted < self.fresh_from {
            return None;
        }
        let mut counts = Counts::default();
        match end.signal {
            Signal::Success => (counts.successes, self.streak) = (1, 0),
            Signal::Failure => {
                counts.failures = 1;
                self.streak = self.streak.saturating_add(1);
            }
            Signal::Neutral => return None,
        }
        if let Some(time) = end.response_time {
            let covered = u64::from(self.covers(time));
            counts.timed = covered;
            counts.slow = covered * u64::from(time.span() > self.policy.latency_p95);
            self.response_times.add(now, time.span());
        }
        self.window.add(now, counts);
        let reason = self.fault(now)?;
        Some(self.go_open(now, reason))
    }

    /// Whether the threshold of response times is about this one.
    fn covers(&self, time: ResponseTime) -> bool {
        match time {
            ResponseTime::FirstContent(_) => true,
            // By default it is not: such an answer takes as long as its text is long.
            ResponseTime::WholeAnswer(_) => self.policy.latency_covers_all,
        }
    }

    /// What is wrong with the provider, if anything.
    fn fault(&mut self, now: Instant) -> Option<Reason> {
        let counts = self.window.total(now);
        let minimum = u64::from(self.policy.min_requests);
        if self.streak >= self.policy.consecutive_failures {
            Some(Reason::ConsecutiveFailures)
        } else if counts.judged() >= minimum && counts.fail_at(self.policy.error_rate_permille) {
            Some(Reason::ErrorRate)
        } else if counts.timed >= minimum && counts.p95_is_slow() {
            Some(Reason::LatencyP95)
        } else {
            None
        }
    }

    /// A probe ended while the circuit is not closed.
    fn settle(&mut self, now: Instant, probe: u32, signal: Signal) -> Option<Transition> {
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
                self.backoff.grow();
                self.go_open(now, Reason::ProbeFailed)
            }
            (Signal::Neutral, Permit::Taken { until }) if until <= now => self.time_out(now),
            (Signal::Neutral, Permit::Free | Permit::Taken { .. }) => {
                self.go_half_open(now, Reason::ProbeNeutral)
            }
        })
    }

    /// The probe was not heard of in time.
    fn time_out(&mut self, now: Instant) -> Transition {
        self.late = Some(self.generation);
        self.backoff.grow();
        self.go_open(now, Reason::ProbeTimeout)
    }

    fn go_open(&mut self, now: Instant, reason: Reason) -> Transition {
        self.fresh_from = now;
        let until = now + self.backoff.span();
        self.go(State::Open { since: now, until }, reason)
    }

    fn go_half_open(&mut self, now: Instant, reason: Reason) -> Transition {
        // Until now nobody was let through, so this splits before from after with room to spare on
        // both sides, whatever the shards' clocks lag behind.
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
        // The failures that opened it would open it again at the next one.
        self.forget();
        self.go(State::Closed, reason)
    }

    fn go(&mut self, to: State, reason: Reason) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        Transition { from, to, reason }
    }

    fn forget(&mut self) {
        self.streak = 0;
        self.window.clear();
        self.response_times.clear();
    }

    fn check(&self) {
        match self.state {
            State::Closed => {
                debug_assert_eq!(self.late, None);
                debug_assert!(self.streak < self.policy.consecutive_failures);
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

impl State {
    /// Its name in reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

impl ResponseTime {
    /// How long it was.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self {
            Self::FirstContent(span) | Self::WholeAnswer(span) => span,
        }
    }
}

impl Reason {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::ErrorRate => "error_rate",
            Self::LatencyP95 => "latency_p95",
            Self::RecoveryWindow => "recovery_window",
            Self::ProbeSucceeded => "probe_succeeded",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeTimeout => "probe_timeout",
            Self::ProbeNeutral => "probe_neutral",
            Self::Manual => "manual",
            Self::Reload => "reload",
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
