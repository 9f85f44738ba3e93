//! What answers are expected to be.

/// What a stream of answers is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One answer per request.
    Plain,
    /// Server-sent events that end with `[DONE]` or `message_stop`.
    Stream,
    /// The same, each event with the time at which it was sent.
    StampedStream,
}
