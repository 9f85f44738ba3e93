//! How a stream can end before it is complete, whatever dialect it was read in.

use crate::wire::json::NotJson;
use crate::wire::sse::EventTooLong;

/// Why a stream is over before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// An event is not a JSON object, or lacks what its dialect requires.
    #[error("the provider sent an event that cannot be read")]
    Malformed,
    /// An event is longer than a reader keeps.
    #[error("the provider sent an event that is too long")]
    EventTooLong,
    /// The events before the first content are longer than is held back.
    #[error("the provider sent too much before any content")]
    HeldBackTooLong,
    /// The stream says that it is complete, but had no content.
    #[error("the provider's stream has no content")]
    NoContent,
    /// The provider sent an error, and the caller does not know of it.
    #[error("the provider sent an error")]
    Error,
    /// The provider sent an error, and the caller has been told: no further frame may follow.
    #[error("the provider sent an error after content")]
    ErrorRelayed,
    /// The provider's bytes end before the answer does.
    #[error("the provider's stream ended before its answer was complete")]
    Cut,
}

impl From<NotJson> for StreamFault {
    fn from(_: NotJson) -> Self {
        Self::Malformed
    }
}

impl From<EventTooLong> for StreamFault {
    fn from(_: EventTooLong) -> Self {
        Self::EventTooLong
    }
}
