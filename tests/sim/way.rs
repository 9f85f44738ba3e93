//! The judge's view of one request's way: whom it was sent to, and when it must not go on.

use infermux::testing::base::tokens::Tokens;
use infermux::testing::decide::outcome::{Next, Outcome, Verdict};

use crate::promise::{Held, promise};

/// Whom a request was sent to.
pub(crate) struct Way {
    attempts_max: u32,
    /// Candidates that were asked, or whose dialect cannot express the request.
    tried: Vec<usize>,
    /// To how many of them it was sent.
    sent: u32,
    /// The candidate that a dead connection has led to once more.
    redialled: Option<usize>,
    /// Whether the next attempt may be at the last candidate again.
    may_repeat: bool,
    is_committed: bool,
    /// How the last attempt ended.
    ended: Option<Outcome>,
    /// The window that its prompt was too long for.
    overflowed: Option<Tokens>,
    /// Candidates that have failed, or were at their limit.
    outages: Vec<usize>,
}

impl Way {
    pub(crate) fn new(attempts_max: u32) -> Self {
        Self {
            attempts_max,
            tried: Vec::new(),
            sent: 0,
            redialled: None,
            may_repeat: false,
            is_committed: false,
            ended: None,
            overflowed: None,
            outages: Vec::new(),
        }
    }

    /// The prompt is too long for a candidate with this window.
    pub(crate) fn on_overflow(&mut self, window: Tokens) {
        self.overflowed = Some(window);
    }

    /// The request is sent to the candidate `place`, which has this window.
    pub(crate) fn on_sent(&mut self, place: usize, window: Option<Tokens>) -> Held {
        let limit = self.overflowed;
        let is_larger = limit.is_none_or(|limit| window.is_some_and(|window| window > limit));
        // proves: overflow.larger-only
        promise("overflow.larger-only", is_larger, || {
            format!("candidate {place} has {window:?}, and {limit:?} was too little")
        })?;
        let (ended, tried) = (self.ended, &self.tried);
        let goes_on = ended.is_none_or(|outcome| outcome.next() != Next::Stop);
        let repeats = std::mem::take(&mut self.may_repeat) && tried.last() == Some(&place);
        // proves: attempt.once
        promise(
            "attempt.once",
            !self.is_committed && (goes_on || repeats),
            || format!("candidate {place} is asked after {ended:?}, when the request was over"),
        )?;
        if repeats {
            return Ok(());
        }
        self.on_tried(place)?;
        self.sent += 1;
        let (sent, max) = (self.sent, self.attempts_max);
        promise("attempt.once", sent <= max, || {
            format!("{sent} candidates are asked of {max}")
        })
    }

    /// The dialect of the candidate `place` cannot express the request, or can: it is tried.
    pub(crate) fn on_tried(&mut self, place: usize) -> Held {
        promise("attempt.once", !self.tried.contains(&place), || {
            format!("candidate {place} is tried twice: {:?}", self.tried)
        })?;
        self.tried.push(place);
        Ok(())
    }

    /// The first byte of an answer leaves.
    pub(crate) fn on_committed(&mut self) {
        self.is_committed = true;
    }

    /// The provider refuses to be asked for the usage of a stream.
    pub(crate) fn on_injection_refused(&mut self) {
        self.may_repeat = true;
    }

    /// An attempt has ended.
    pub(crate) fn on_ended(&mut self, outcome: Outcome) {
        self.ended = Some(outcome);
        let (verdict, last) = (outcome.verdict(), self.tried.last().copied());
        let is_outage = matches!(
            verdict,
            Verdict::UpstreamError | Verdict::UpstreamTimeout | Verdict::RateLimit
        );
        self.outages.extend(last.filter(|_| is_outage));
        if outcome == Outcome::StaleConnection && self.redialled != last {
            self.redialled = last;
            self.may_repeat = true;
        }
    }

    /// The caller is told how it ended, while the candidate `place` has this window and is out of
    /// service or at its limit, or is not.
    pub(crate) fn on_told_beside(
        &self,
        verdict: Verdict,
        (place, window): (usize, Option<Tokens>),
        is_ready: bool,
    ) -> Held {
        let is_told = self.ended == Some(Outcome::Overflowed) && verdict == Verdict::PassThrough;
        let limit = self.overflowed;
        let is_larger = limit.is_some_and(|limit| window.is_some_and(|window| window > limit));
        let may_answer = if self.tried.contains(&place) {
            self.outages.contains(&place)
        } else {
            !is_ready
        };
        // proves: overflow.told-last
        let holds = !(is_told && is_larger && may_answer);
        promise("overflow.told-last", holds, || {
            format!("candidate {place} has {window:?}, and {limit:?} was too little")
        })
    }

    /// The caller is told how it ended.
    pub(crate) fn on_told(&self, verdict: Verdict) -> Held {
        let is_whole = self.ended == Some(Outcome::Answered);
        let is_short = matches!(verdict, Verdict::StreamCut | Verdict::StreamStalled);
        let holds = match verdict {
            Verdict::Answer => is_whole,
            Verdict::Nothing => self.ended == Some(Outcome::CallerGone),
            _ => !is_whole && is_short == self.is_committed,
        };
        // proves: stream.never-short
        promise("stream.never-short", holds, || {
            let (committed, ended) = (self.is_committed, self.ended);
            format!("the caller is told {verdict:?} after {ended:?}, committed: {committed}")
        })
    }
}
