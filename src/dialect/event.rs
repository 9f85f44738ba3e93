//! What happens in a streamed answer, in no dialect's words: readers tell it, writers write it.
//!
//! A provider's event is told as none, one or several of these. A text is a span of the event that
//! was read: the inside of a JSON string, escapes as written, so that it is copied once and
//! unchanged into a string of the other dialect.

use crate::base::tokens::Tokens;
use crate::wire::usage::Usage;

/// One thing that happens in an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The answer begins. It comes once at most, before anything else.
    Start {
        /// The inside of a JSON string.
        id: Option<&'a [u8]>,
        /// The provider's name for the model, the inside of a JSON string.
        model: Option<&'a [u8]>,
    },
    /// More text for the caller's user. It is not empty.
    Text(Piece<'a>),
    /// More of what the model thinks. It is not empty.
    Thought(Piece<'a>),
    /// What proves to the provider that the thoughts told so far are its own, when the caller sends
    /// them back: the inside of a JSON string. A later one takes the place of an earlier one.
    Signature(&'a [u8]),
    /// How likely the pieces of the text that comes next were: the elements of a JSON list, with
    /// commas between them. Told only for a caller who gets them.
    Logprobs(&'a [u8]),
    /// The provider's word for how it serves the request, the inside of a JSON string. Told only
    /// for a caller who gets it.
    Tier(&'a [u8]),
    /// More of the reason why the model does not answer. It is not empty.
    Refusal(Piece<'a>),
    /// A call of a tool begins. Calls are numbered from 0, without gaps, in the order in which
    /// they begin, and several may be open.
    ToolStart {
        /// The call's number.
        call: u32,
        /// The inside of a JSON string; `None`: the provider gives none.
        id: Option<&'a [u8]>,
        /// The inside of a JSON string.
        name: &'a [u8],
        /// What proves to the provider that the call is its own, when the caller sends it back: the
        /// inside of a JSON string.
        signature: Option<&'a [u8]>,
    },
    /// More of the arguments of a call that has begun. It is not empty.
    ToolArguments {
        /// The call's number.
        call: u32,
        /// JSON text, as the inside of a JSON string.
        text: Piece<'a>,
    },
    /// All arguments of a call have come. A dialect that cannot tell leaves it out.
    ToolEnd {
        /// The call's number.
        call: u32,
    },
    /// The model has stopped. Usage may follow.
    Stop {
        /// Why.
        reason: Stop,
        /// The stop sequence that was met, the inside of a JSON string.
        sequence: Option<&'a [u8]>,
        /// Why the model does not answer, the inside of a JSON string.
        explanation: Option<&'a [u8]>,
    },
    /// What has been used so far: this takes the place of what was said earlier.
    Usage {
        /// The counts.
        usage: Usage,
        /// The part of the output that the model has thought, where that is told.
        thinking: Option<Tokens>,
        /// Whether the output counts all of the answer, and not only its beginning.
        is_total: bool,
    },
    /// The provider says that the answer is complete.
    Done,
    /// The provider has sent an error: the data of its event. Nothing follows.
    Error(&'a [u8]),
}

/// A text and where it stands in the data of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The inside of a JSON string: valid UTF-8, escapes valid.
    pub text: &'a [u8],
    /// The place of its first byte in the data; `None` where it was not copied from there.
    pub at: Option<usize>,
}

/// Why a model stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has said everything, or met a stop sequence.
    End,
    /// It waits for the results of its calls.
    ToolUse,
    /// The answer is as long as it may be, or goes on in another turn.
    Length,
    /// A filter, or the model itself, refuses to answer.
    Refusal,
}
