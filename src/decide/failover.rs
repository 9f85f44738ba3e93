//! The attempts of one request: whether another provider may be tried, and what the caller gets.

use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::eligible::Eligible;
use crate::decide::outcome::{Next, Outcome, Verdict};

/// The attempts of one request.
///
/// The driver of a request chooses a candidate that is not in [`Attempts::tried`], calls
/// [`Attempts::begin`], sends, and reports how the attempt ended; the returned [`Step`] says what
/// to do next. When no candidate is left, [`Attempts::blamed`] says which attempt the caller is
/// told of.
#[derive(Clone, Debug)]
pub struct Attempts {
    max: u32,
    deadline: Instant,
    tried: Eligible,
    /// Candidates that have no more room than one for which the prompt was too long.
    too_small: Eligible,
    /// Attempts that were sent; an attempt that cannot be translated is taken back.
    sent: u32,
    /// Attempts that may be sent: the first, and one for each grant of the retry budget.
    granted: u32,
    current: usize,
    connection: Connection,
    stage: Stage,
    blamed: Option<Blamed>,
    /// Attempts at candidates that may answer the same request another time.
    failed: Vec<Blamed>,
}

/// The attempt that the caller's error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blamed {
    /// The candidate.
    pub candidate: usize,
    /// How its attempt ended.
    pub outcome: Outcome,
}

/// Whether the retry budget allows one more attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It may be sent.
    Granted,
    /// It may not: too many extra attempts are under way.
    Denied,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send to the same provider again, on a fresh connection; the attempt goes on.
    SameProviderFresh,
    /// Choose another of the eligible candidates that were not tried.
    Another,
    /// The request is over.
    End(Verdict),
}

/// Whether the current attempt has used its second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    First,
    Second,
}

/// Whether the caller has received any of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Replaceable,
    Committed,
}

impl Attempts {
    /// No attempt yet; at most `max` follow (the first included), all within `span` from `now`.
    #[must_use]
    pub fn new(max: u32, now: Instant, span: Duration) -> Self {
        Self {
            max: max.max(1),
            deadline: now + span,
            tried: Eligible::NONE,
            too_small: Eligible::NONE,
            sent: 0,
            granted: 1,
            current: 0,
            connection: Connection::First,
            stage: Stage::Replaceable,
            blamed: None,
            failed: Vec::new(),
        }
    }

    /// The prompt is too long for the current candidate, and so for these candidates.
    pub fn rule_out(&mut self, candidates: &Eligible) {
        for one in candidates.iter() {
            self.tried.insert(one);
            self.too_small.insert(one);
        }
    }

    /// An attempt at `candidate` begins.
    pub fn begin(&mut self, candidate: usize) {
        debug_assert!(
            !self.tried.contains(candidate),
            "each candidate is tried once"
        );
        debug_assert!(
            self.stage == Stage::Replaceable,
            "a committed answer is not replaced"
        );
        self.tried.insert(candidate);
        self.current = candidate;
        self.connection = Connection::First;
        self.sent += 1;
        self.check();
    }

    /// The first byte of an answer is about to be sent: from here on no other provider can take
    /// over.
    pub fn commit(&mut self) {
        self.stage = Stage::Committed;
    }

    /// The current attempt ended. `grant` asks the retry budget, and is called only when an extra
    /// attempt would otherwise be made.
    pub fn on_outcome(
        &mut self,
        now: Instant,
        outcome: Outcome,
        grant: impl FnOnce() -> Grant,
    ) -> Step {
        if outcome == Outcome::Untranslatable {
            self.sent = self.sent.saturating_sub(1);
        }
        if outcome == Outcome::NotMine {
            // The search for the owner takes no attempt from the request: it has done no work.
            self.max += 1;
            self.granted += 1;
        }
        let blamed = self.blame(outcome);
        let step = match (outcome.next(), self.stage) {
            (Next::Stop, _) => Step::End(outcome.verdict()),
            (_, Stage::Committed) => Step::End(once_committed(outcome)),
            (Next::SameProviderFresh, Stage::Replaceable) if self.may_reconnect(now) => {
                self.connection = Connection::Second;
                Step::SameProviderFresh
            }
            (Next::SameProviderFresh | Next::Another, Stage::Replaceable) => {
                self.go_on(now, grant, blamed)
            }
            // The retry budget is for outages, and this is none.
            (Next::Larger, Stage::Replaceable) => self.go_on(now, || Grant::Granted, blamed),
        };
        self.check();
        step
    }

    /// The candidates that were tried, and those that cannot take the request.
    #[must_use]
    pub const fn tried(&self) -> &Eligible {
        &self.tried
    }

    /// Providers that the request was sent to.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.sent
    }

    /// When all attempts together must have ended.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When an attempt that starts at `now` must have ended, with its provider's own `timeout`.
    #[must_use]
    pub fn attempt_deadline(&self, now: Instant, timeout: Duration) -> Instant {
        self.deadline.min(now + timeout)
    }

    /// The attempt that the caller's error is about; `None` before the first attempt has ended.
    ///
    /// It is the last attempt, with three exceptions: a rate limit is reported only when every
    /// attempt met one, since a caller who is told to wait must be able to rely on it, an
    /// untranslatable request only when no provider could be sent it, and a prompt that is too long
    /// only when no larger candidate has failed or was at its limit, since that may answer another
    /// time (promise `overflow.told-last`).
    #[must_use]
    pub const fn blamed(&self) -> Option<Blamed> {
        self.blamed
    }

    fn go_on(&mut self, now: Instant, grant: impl FnOnce() -> Grant, blamed: Blamed) -> Step {
        match self.may_send_another(now, grant) {
            Grant::Granted => Step::Another,
            Grant::Denied => Step::End(blamed.outcome.verdict()),
        }
    }

    fn may_reconnect(&self, now: Instant) -> bool {
        self.connection == Connection::First && now < self.deadline
    }

    fn may_send_another(&mut self, now: Instant, grant: impl FnOnce() -> Grant) -> Grant {
        if self.sent >= self.max || now >= self.deadline {
            return Grant::Denied;
        }
        if self.sent < self.granted {
            return Grant::Granted;
        }
        let answer = grant();
        self.granted += u32::from(answer == Grant::Granted);
        answer
    }

    fn blame(&mut self, outcome: Outcome) -> Blamed {
        let latest = Blamed {
            candidate: self.current,
            outcome,
        };
        if may_pass(outcome) {
            self.failed.push(latest);
        }
        let heavier = if outcome == Outcome::Overflowed {
            let failed = self.failed.iter();
            let larger = failed.filter(|earlier| !self.too_small.contains(earlier.candidate));
            larger
                .max_by_key(|earlier| weight(earlier.outcome))
                .copied()
        } else {
            let is_heavier = |earlier: &Blamed| weight(earlier.outcome) > weight(outcome);
            self.blamed.filter(is_heavier)
        };
        *self.blamed.insert(heavier.unwrap_or(latest))
    }

    fn check(&self) {
        debug_assert!(self.sent <= self.max);
        debug_assert!(self.sent <= self.granted);
        debug_assert!(self.sent as usize <= self.tried.count());
    }
}

/// What the caller gets when an attempt ends too late for another provider to take over.
const fn once_committed(outcome: Outcome) -> Verdict {
    match outcome.verdict() {
        Verdict::UpstreamTimeout | Verdict::StreamStalled => Verdict::StreamStalled,
        Verdict::Answer
        | Verdict::PassThrough
        | Verdict::UpstreamError
        | Verdict::RateLimit
        | Verdict::InvalidRequest
        | Verdict::StreamCut
        | Verdict::Nothing => Verdict::StreamCut,
    }
}

/// Whether a candidate whose attempt ended so may answer the same request another time.
const fn may_pass(outcome: Outcome) -> bool {
    match outcome.verdict() {
        Verdict::UpstreamError | Verdict::UpstreamTimeout | Verdict::RateLimit => true,
        Verdict::Answer
        | Verdict::PassThrough
        | Verdict::InvalidRequest
        | Verdict::StreamCut
        | Verdict::StreamStalled
        | Verdict::Nothing => false,
    }
}

/// How much an outcome says about the whole request: a later outcome replaces an earlier one of the
/// same weight or less.
const fn weight(outcome: Outcome) -> u8 {
    match (outcome, outcome.verdict()) {
        (_, Verdict::InvalidRequest) => 0,
        // Whoever is asked behind an overflow is larger.
        (Outcome::Overflowed, _) | (_, Verdict::RateLimit) => 1,
        (
            _,
            Verdict::Answer
            | Verdict::PassThrough
            | Verdict::UpstreamError
            | Verdict::UpstreamTimeout
            | Verdict::StreamCut
            | Verdict::StreamStalled
            | Verdict::Nothing,
        ) => 2,
    }
}

#[cfg(test)]
#[path = "failover_tests.rs"]
mod tests;
