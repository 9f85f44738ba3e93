//! What a step of an answer came to.

use std::time::Instant;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// Something was written or passed; ask again.
    Go,
    /// Nothing to do before then.
    Until(Instant),
    /// Nothing to do before the goals are met, or then.
    Parked(Instant),
    /// Nothing to do any more but to watch the peer.
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
