//! The trace that a request belongs to, and its place there.

use crate::base::trace::{SpanId, TraceId};
use crate::wire::trace_context::{Context, Flags};

/// The trace that a request belongs to, and its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The request's span.
    pub span: SpanId,
    /// What is known of the trace.
    pub flags: Flags,
    /// The list of `tracestate`, one line; empty for none.
    pub state: Box<str>,
    /// How the request's span stands to its caller's.
    pub caller: Calling,
}

/// How the span of a request stands to its caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calling {
    /// The caller told of none.
    Untold,
    /// It is part of that span.
    Part(SpanId),
    /// It begins another trace, with a link to that span.
    Linked(Context),
}

impl Trace {
    /// Whether the trace is told.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.flags.is_sampled()
    }
}
