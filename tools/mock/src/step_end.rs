//! The result of a step of an answer.

use std::time::Instant;

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// Something was written or passed; ask again.
    Go,
    /// Nothing to do before that moment.
    Until(Instant),
    /// Nothing to do before the goals are met, or before that moment.
    Parked(Instant),
    /// Nothing to do but to watch the peer.
    Silence,
    /// The connection is to be cut when all is written.
    Cut(Cut),
    /// The answer is complete.
    Done,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The orderly way, with a FIN.
    Close,
    /// With an RST.
    Reset,
}
