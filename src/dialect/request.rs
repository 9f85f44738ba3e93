//! A request of a caller in the words of a provider: the one's reader and the other's writer.

use crate::base::endpoint::Dialect;
use crate::dialect::chat;
use crate::dialect::chat::lessons::Keys;
use crate::dialect::chat::write_prompt::{ChatModel, Host, Stream};
use crate::dialect::messages;
use crate::dialect::messages::write_prompt::Upstream;
use crate::dialect::names::Names;
use crate::dialect::responses;
use crate::dialect::responses::echo::Echo;
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::unsent::{self, Dropped, Given};
use crate::dialect::unsupported::Unsupported;

/// The provider that a request is written for, as far as its writer must know.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'d> {
    /// What it speaks.
    pub dialect: Dialect,
    /// What it calls the model.
    pub model: &'d str,
    /// What serves the model.
    pub host: Host,
    /// Most tokens that the model gives in one answer, where that is known.
    pub max_output: Option<u64>,
    /// Keys that the provider was seen to refuse.
    pub left_out: Keys,
    /// Whether the answer is to be streamed.
    pub stream: Stream,
}

/// A request as a caller has sent it.
#[derive(Clone, Copy)]
pub struct Received<'r> {
    /// What the caller speaks.
    pub dialect: Dialect,
    /// The request's body, which is a JSON object.
    pub body: &'r [u8],
    /// What the body may refer to.
    pub remembered: &'r dyn Remembered,
}

/// What is known of a request that was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Parameters that were left out, for the log.
    pub dropped: Dropped,
    /// What the reader of the answer must know.
    pub kept: Kept,
}

/// What the reader of an answer must know of its request.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Names to be restored in the answer.
    pub names: Names,
    /// The keys that infermux has derived.
    pub sent: Keys,
    /// Whether the caller has asked for what the model thinks.
    pub shows_thoughts: bool,
    /// The texts at which the caller wants the answer to end.
    pub stops: Box<[Box<str>]>,
    /// What a response repeats of its request.
    pub echo: Option<Echo>,
    /// Whether the caller may refer to a response later.
    pub is_stored: bool,
}

/// Appends the request `received` in the words of its provider.
///
/// # Errors
/// A part of the request that shapes the answer has no equivalent, or is malformed; nothing has
/// been appended.
pub fn write(
    received: Received<'_>,
    to: &Destination<'_>,
    out: &mut Vec<u8>,
) -> Result<Written, Unsupported> {
    let mut kept = Kept::default();
    let body = received.body;
    // Set in their places: they are large to be moved.
    let (mut prompt, given);
    match received.dialect {
        Dialect::Chat => (prompt, given) = chat::read_prompt::read(body)?,
        Dialect::Messages => {
            prompt = messages::read_prompt::read(body)?;
            given = Given::default();
        }
        Dialect::Responses => {
            let read = responses::read_prompt::read(body, received.remembered)?;
            kept.names = read.names;
            kept.echo = Some(read.echo);
            kept.is_stored = read.is_stored;
            (prompt, given) = (read.prompt, read.given);
        }
    }
    kept.shows_thoughts = prompt.shows_thoughts;
    kept.stops = texts(&prompt.stop);
    // Who asks for a chat completion or a response chooses its length; Claude Code asks all models
    // for the same.
    let cap = to
        .max_output
        .filter(|_| received.dialect == Dialect::Messages);
    let dropped = match to.dialect {
        Dialect::Chat | Dialect::Responses => {
            let model = ChatModel {
                id: to.model,
                host: to.host,
                max_output: cap,
                left_out: to.left_out,
                stream: to.stream,
            };
            let written = chat::write_prompt::write(&prompt, &model, out)?;
            kept.sent = written.sent;
            // Names that were made to fit by the reader need no more of it.
            if kept.names.is_empty() {
                kept.names = written.names;
            }
            given.dropped(unsent::Sent::ALL)
        }
        Dialect::Messages => {
            let upstream = Upstream {
                model: to.model,
                is_streamed: to.stream != Stream::No,
            };
            if received.dialect == Dialect::Responses {
                responses::for_messages::shape(&mut prompt)?;
            }
            given.dropped(messages::write_prompt::write(prompt, upstream, out)?)
        }
    };
    Ok(Written { dropped, kept })
}

/// What these JSON strings say.
fn texts(strings: &[&[u8]]) -> Box<[Box<str>]> {
    let texts = strings
        .iter()
        .filter_map(|text| serde_json::from_slice(text).ok());
    texts.collect()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "request_properties_tests.rs"]
mod properties;

#[cfg(test)]
#[path = "responses/request_tests.rs"]
mod responses_tests;

#[cfg(test)]
#[path = "responses/request_properties_tests.rs"]
mod responses_properties;
