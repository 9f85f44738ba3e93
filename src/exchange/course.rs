//! The course of one request over its candidates: who is asked next, what becomes of the permit
//! when an attempt has ended, and what the caller is told in the end.
//!
//! A [`Course`] knows no socket, no clock and no gate. It says what is to be done next
//! ([`Action`]); a shard does it with real sockets, and the simulation does it with played ones.

use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::eligible::Eligible;
use crate::decide::failover::{Attempts, Blamed, Grant, Step};
use crate::decide::outcome::{Outcome, Sample, Signal, Verdict};
use crate::decide::policy::BreakerPolicy;
use crate::dialect::chat::lessons::Keys;

/// The course of one request.
#[derive(Clone, Debug)]
pub struct Course {
    attempts: Attempts,
    /// The attempt that is being made.
    this: Option<Try>,
    /// How the last attempt at another provider ended.
    before: Option<Outcome>,
    /// Whether no further attempt may be made.
    is_over: bool,
}

/// Whether a candidate that was not tried may take the request later: it is out of service, or at
/// its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// Nobody but the eligible could take it, now or later.
    Nobody,
    /// Somebody may.
    Somebody,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at which candidates can take the request, leave out those of [`Course::tried`], and
    /// choose one; then tell [`Course::chosen`].
    Survey,
    /// Write the request in the dialect of this candidate, and take one of its permits; then tell
    /// [`Course::permit`], or [`Course::inexpressible`].
    Take(usize),
    /// Send the request; then tell [`Course::ended`] and [`Course::go_on`], or
    /// [`Course::without`].
    Send(Try),
    /// Tell the caller that nobody can take the request.
    Refuse,
    /// Tell the caller what this verdict says.
    Tell(Verdict),
}

/// One attempt at one candidate, over one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// Place of the candidate on its route.
    pub place: usize,
    /// Whether a pooled connection will do.
    pub fresh: Fresh,
    /// Whether the usage of a stream may be asked for.
    pub injection: Injection,
    /// Keys that infermux derives and the provider has just refused.
    pub left_out: Keys,
    /// Whether reasoning that only its maker can open is sent.
    pub reasoning: Reasoning,
    /// When it begins.
    pub started: Instant,
}

impl Try {
    /// The first attempt at this candidate.
    #[must_use]
    pub fn first(place: usize, started: Instant) -> Self {
        Self {
            place,
            fresh: Fresh::NotNeeded,
            injection: Injection::Allowed,
            left_out: Keys::default(),
            reasoning: Reasoning::Sent,
            started,
        }
    }
}

/// Whether a pooled connection will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// A pooled connection will do.
    NotNeeded,
    /// A pooled connection has just died: this time, a new one is opened.
    Needed,
}

/// Whether infermux may ask for the usage of a stream that its caller did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// It may, unless the provider is known to refuse it.
    Allowed,
    /// The provider has just refused the request with it.
    Refused,
}

/// Whether reasoning that only its maker can open is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// It is, unless another provider is known to have made it.
    Sent,
    /// All who were asked have refused it, and it is left out.
    LeftOut,
}

/// A part of a request that was infermux's choice, and that a provider may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Reasoning that only its maker can open.
    Reasoning,
    /// The question for the usage of a stream.
    Usage,
    /// These keys.
    Keys(Keys),
    /// The dialect: the provider was taken to have Responses.
    Responses,
}

/// What becomes of the permit of an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The permit is settled. It is not where a pooled connection was dead: the same attempt goes
    /// on over a new connection.
    pub is_settled: bool,
    /// The provider's timeout counts as its response time.
    pub counts_timeout: bool,
    /// What follows for the provider is in force everywhere before anybody is told of the end
    /// (promise `verdict.before-cause`).
    pub is_enforced: bool,
    /// The provider has shown that it refuses to be asked for the usage of a stream.
    pub refuses_injection: bool,
}

/// What is kept for other providers may go; only a commitment gives one of these.
#[must_use = "the request's body is held until it is let go"]
#[derive(Debug)]
pub struct Release(());

impl Course {
    /// A request that begins at `now`: it has `attempts_max` attempts, all within `span`.
    #[must_use]
    pub fn new(attempts_max: u32, now: Instant, span: Duration) -> Self {
        Self {
            attempts: Attempts::new(attempts_max, now, span),
            this: None,
            before: None,
            is_over: false,
        }
    }

    /// This candidate has been chosen; `None`: nobody is left to choose.
    ///
    /// A caller is not told that its prompt is too long while a larger candidate is merely out of
    /// service (promise `overflow.told-last`): those that are left behind an overflow are larger.
    #[must_use]
    pub fn chosen(&self, place: Option<usize>, later: Later) -> Action {
        match (place.filter(|_| !self.is_over), self.attempts.blamed()) {
            (Some(place), _) => Action::Take(place),
            (None, Some(blamed))
                if blamed.outcome == Outcome::Overflowed && later == Later::Somebody =>
            {
                Action::Refuse
            }
            (None, Some(blamed)) => Action::Tell(blamed.outcome.verdict()),
            (None, None) => Action::Refuse,
        }
    }

    /// The dialect of the candidate `place` cannot express the request.
    #[must_use]
    pub fn inexpressible(&mut self, now: Instant, place: usize) -> Action {
        let outcome = Outcome::Untranslatable;
        self.attempts.begin(place);
        self.before = self.before.or(Some(outcome));
        match self.attempts.on_outcome(now, outcome, || Grant::Granted) {
            Step::Another | Step::SameProviderFresh => Action::Survey,
            Step::End(verdict) => Action::Tell(verdict),
        }
    }

    /// A permit of the candidate `place` was taken at that time; `None`: others were faster, which
    /// the next survey shows.
    #[must_use]
    pub fn permit(&mut self, place: usize, taken: Option<Instant>) -> Action {
        let Some(started) = taken else {
            return Action::Survey;
        };
        self.attempts.begin(place);
        self.send(Try::first(place, started))
    }

    /// The prompt is too long for the candidate that was asked, and so for these.
    pub fn rule_out(&mut self, places: &Eligible) {
        self.attempts.rule_out(places);
    }

    /// The first byte of an answer is about to leave: nobody can take over any more, so the
    /// request's body is needed no longer.
    pub fn commit(&mut self) -> Release {
        self.attempts.commit();
        Release(())
    }

    /// The provider has refused, at `now`, a part of the request: it is sent again without that.
    #[must_use]
    pub fn without(&mut self, now: Instant, part: Part) -> Action {
        let Some(this) = self.this else {
            return Action::Survey;
        };
        let again = Try {
            started: now,
            ..this
        };
        self.send(match part {
            Part::Usage => Try {
                injection: Injection::Refused,
                ..again
            },
            Part::Keys(left_out) => Try { left_out, ..again },
            Part::Responses => again,
            Part::Reasoning => Try {
                reasoning: Reasoning::LeftOut,
                ..again
            },
        })
    }

    /// The attempt has ended: what becomes of its permit, given how the provider's circuit counts.
    #[must_use]
    pub fn ended(&self, outcome: Outcome, policy: &BreakerPolicy) -> Closing {
        let is_failure = outcome.for_breaker(policy) == Signal::Failure;
        // Only an answer makes sure that the injection was to blame, and not what the caller wrote.
        let is_answered = outcome == Outcome::Answered;
        let was_refused = |this: Try| this.injection == Injection::Refused;
        Closing {
            is_settled: outcome != Outcome::StaleConnection,
            counts_timeout: outcome.sample() == Sample::TheTimeout,
            is_enforced: is_failure || outcome == Outcome::RateLimited,
            refuses_injection: is_answered && self.this.is_some_and(was_refused),
        }
    }

    /// What follows from an attempt that ended at `now`. `grant` asks the retry budget, and is
    /// called only where another attempt would be made.
    #[must_use]
    pub fn go_on(
        &mut self,
        now: Instant,
        outcome: Outcome,
        grant: impl FnOnce() -> Grant,
    ) -> Action {
        match (self.attempts.on_outcome(now, outcome, grant), self.this) {
            (Step::SameProviderFresh, Some(this)) => self.send(Try {
                fresh: Fresh::Needed,
                started: now,
                ..this
            }),
            (Step::Another | Step::SameProviderFresh, _) => {
                self.this = None;
                self.before = Some(outcome);
                Action::Survey
            }
            (Step::End(Verdict::PassThrough), _) if outcome == Outcome::Overflowed => {
                // Who is left says what the caller is told.
                self.this = None;
                self.is_over = true;
                Action::Survey
            }
            (Step::End(verdict), _) => Action::Tell(verdict),
        }
    }

    fn send(&mut self, this: Try) -> Action {
        self.this = Some(this);
        Action::Send(this)
    }

    /// The candidates that were tried, and those that cannot take the request.
    #[must_use]
    pub const fn tried(&self) -> &Eligible {
        self.attempts.tried()
    }

    /// Providers that the request was sent to.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.attempts.count()
    }

    /// How the last attempt at another provider ended: why the request comes to the next one.
    #[must_use]
    pub const fn before(&self) -> Option<Outcome> {
        self.before
    }

    /// The attempt that the caller's error is about; see `Attempts::blamed`.
    #[must_use]
    pub const fn blamed(&self) -> Option<Blamed> {
        self.attempts.blamed()
    }

    /// When all attempts together must have ended.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.attempts.deadline()
    }

    /// When an attempt that starts at `now` must have ended, with its provider's own `timeout`.
    #[must_use]
    pub fn attempt_deadline(&self, now: Instant, timeout: Duration) -> Instant {
        self.attempts.attempt_deadline(now, timeout)
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
