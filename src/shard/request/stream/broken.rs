//! How a stream breaks, and what that means.

use crate::decide::outcome::{Failure, Outcome, Waiting};
use crate::shard::http::caller::Caller;
use crate::wire::stream_fault::StreamFault;

/// How a stream broke: what that means before it is committed, and afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) before: Outcome,
    pub(super) after: Outcome,
    pub(super) caller_knows: CallerKnows,
}

/// Whether the caller has the provider's own error frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerKnows {
    Yes,
    No,
    /// The caller has left.
    Never,
}

impl Broken {
    pub(super) const GONE: Self = Self {
        before: Outcome::CallerGone,
        after: Outcome::CallerGone,
        caller_knows: CallerKnows::Never,
    };
    /// infermux stops: nobody is to blame.
    const STOPPED: Self = Self::new(Outcome::CallerGone, Outcome::CallerGone);
    pub(super) const STALLED: Self =
        Self::new(Outcome::TimedOut(Waiting::Content), Outcome::StreamStalled);
    pub(super) const CUT: Self = Self::new(Outcome::Failed(Failure::Cut), Outcome::StreamCut);
    pub(super) const TOO_LARGE: Self = Self::new(Outcome::TooLarge, Outcome::TooLarge);
    pub(super) const MALFORMED: Self =
        Self::new(Outcome::Failed(Failure::Malformed), Outcome::StreamCut);

    /// What the caller of a committed stream is told: a stream that cannot be read was not cut.
    pub(super) fn told(self) -> Outcome {
        let malformed = Outcome::Failed(Failure::Malformed);
        if self.before == malformed {
            malformed
        } else {
            self.after
        }
    }

    /// A caller has left, or was cut off.
    pub(super) fn by(caller: &Caller) -> Self {
        if caller.is_cut_off() {
            Self::STOPPED
        } else {
            Self::GONE
        }
    }

    const fn new(before: Outcome, after: Outcome) -> Self {
        Self {
            before,
            after,
            caller_knows: CallerKnows::No,
        }
    }

    pub(super) fn of(fault: StreamFault) -> Self {
        let failure = match fault {
            StreamFault::EventTooLong => return Self::TOO_LARGE,
            StreamFault::Malformed | StreamFault::HeldBackTooLong => Failure::Malformed,
            StreamFault::NoContent => Failure::NoChoices,
            StreamFault::Error | StreamFault::ErrorRelayed => Failure::ErrorObject,
            StreamFault::Cut => Failure::Cut,
        };
        let caller_knows = if fault == StreamFault::ErrorRelayed {
            CallerKnows::Yes
        } else {
            CallerKnows::No
        };
        Self {
            before: Outcome::Failed(failure),
            after: Outcome::StreamCut,
            caller_knows,
        }
    }
}
