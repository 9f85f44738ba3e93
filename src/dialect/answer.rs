//! A message that is not streamed as a chat completion (rules P of reference/translation.md).

use crate::base::tokens::Tokens;
use crate::decide::outcome::{Failure, Outcome};
use crate::dialect::chat::usage;
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::usage::Counters;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, NotJson, Value};
use crate::wire::usage::Usage;

/// What is known about an answer besides its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// The usage that the provider states; `None`: it must be estimated.
    pub usage: Option<Usage>,
    /// Length of everything that was generated, thoughts and arguments included, for an estimate.
    pub text_bytes: usize,
}

/// Why a body with a success status is no answer. Each is a failure of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// The body is not one JSON object, or not a message.
    #[error("the provider's answer is not a message")]
    Malformed,
    /// An `error` in an answer of status 200.
    #[error("the provider's answer is an error")]
    Error,
    /// No list of `content`.
    #[error("the provider's answer has no content")]
    NoContent,
}

impl AnswerFault {
    /// The outcome of the attempt.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        Outcome::Failed(match self {
            Self::Malformed => Failure::Malformed,
            Self::Error => Failure::ErrorObject,
            Self::NoContent => Failure::NoChoices,
        })
    }
}

/// Appends the chat completion for the message `body`.
///
/// `caller_model` is the caller's name for the model, a JSON string with its quotes; `created` is
/// the time of the answer in Unix seconds.
///
/// # Errors
/// The body is no message, and another provider may be tried; nothing has been appended.
pub fn write(
    body: &[u8],
    caller_model: &[u8],
    created: u64,
    out: &mut Vec<u8>,
) -> Result<Translated, AnswerFault> {
    // Copied parts of the body must be valid JSON, and the reader does not validate.
    if !is_json(body) {
        return Err(AnswerFault::Malformed);
    }
    let message = Message::read(body)?;
    out.reserve(body.len() + FRAME_BYTES);
    message.write(caller_model, created, out);
    Ok(Translated {
        usage: message
            .counters
            .and_then(|counters| counters.usage(Tokens::ZERO)),
        text_bytes: message.text_bytes,
    })
}

/// Approximate length of what a completion has around a message, in bytes.
const FRAME_BYTES: usize = 256;

/// OpenAI's word for the reason why the model stopped.
#[must_use]
pub fn finish_reason(stop_reason: &str, has_calls: bool) -> &'static str {
    match stop_reason {
        // A paused turn is not finished.
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => "length",
        "tool_use" if has_calls => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    }
}

/// The members of a message. Strings keep their quotes.
#[derive(Default)]
struct Message<'a> {
    id: Option<&'a [u8]>,
    texts: Vec<&'a [u8]>,
    thoughts: Vec<&'a [u8]>,
    calls: Vec<Call<'a>>,
    stop_reason: Option<Value<'a>>,
    refusal: Option<&'a [u8]>,
    counters: Option<Counters>,
    text_bytes: usize,
}

struct Call<'a> {
    id: &'a [u8],
    name: &'a [u8],
    input: &'a [u8],
}

/// A block of content; of several members with one name, the last counts. Strings keep their
/// quotes; a member that should be a string and is none counts as absent.
#[derive(Default)]
struct Block<'a> {
    kind: BlockKind,
    text: Option<&'a [u8]>,
    thinking: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    /// Anything but `null`.
    input: Option<&'a [u8]>,
}

#[derive(Default)]
enum BlockKind {
    Text,
    Thinking,
    ToolUse,
    #[default]
    Other,
}

impl<'a> Block<'a> {
    fn read(block: &Value<'a>) -> Self {
        let (mut read, mut room) = (Self::default(), Vec::new());
        for member in json::members(block.text).map_while(Result::ok) {
            let value = member.value;
            match member.name.read(&mut room) {
                b"type" => read.kind = value.known(BlockKind::of).unwrap_or_default(),
                b"text" => read.text = string(&value),
                b"thinking" => read.thinking = string(&value),
                b"id" => read.id = string(&value),
                b"name" => read.name = string(&value),
                b"input" => read.input = (value.kind != Kind::Null).then_some(value.text),
                _ => {}
            }
        }
        read
    }
}

impl BlockKind {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"text" => Some(Self::Text),
            b"thinking" => Some(Self::Thinking),
            b"tool_use" => Some(Self::ToolUse),
            _ => None,
        }
    }
}

impl<'a> Message<'a> {
    fn read(body: &'a [u8]) -> Result<Self, AnswerFault> {
        let mut message = Self::default();
        let (mut content, mut details, mut is_error) = (None, None, false);
        let mut room = Vec::new();
        for member in json::members(body) {
            let member = member.map_err(|NotJson { .. }| AnswerFault::Malformed)?;
            let value = member.value;
            match member.name.read(&mut room) {
                b"id" => message.id = string(&value),
                b"content" => content = Some(value),
                b"stop_reason" => message.stop_reason = Some(value),
                b"stop_details" => details = Some(value),
                b"usage" if value.kind == Kind::Object => {
                    message.counters = Some(Counters::read(&value));
                }
                b"error" => is_error = !value.is_blank(),
                _ => {}
            }
        }
        if is_error {
            return Err(AnswerFault::Error);
        }
        let content = content.filter(|content| content.kind == Kind::Array);
        let content = content.ok_or(AnswerFault::NoContent)?;
        for block in json::elements(content.text) {
            message.add(&block.map_err(|NotJson { .. }| AnswerFault::Malformed)?)?;
        }
        let reason = message.stop_reason();
        if reason.as_deref() == Some("error") {
            return Err(AnswerFault::Error);
        }
        if reason.as_deref() == Some("refusal") {
            let explanation =
                details.and_then(|details| json::member(details.text, b"explanation"));
            message.refusal = explanation.and_then(|member| string(&member.value));
        }
        Ok(message)
    }

    /// Kinds of blocks that are not listed belong to the provider itself, such as tools that its
    /// server runs, and their results.
    fn add(&mut self, block: &Value<'a>) -> Result<(), AnswerFault> {
        let block = Block::read(block);
        match block.kind {
            BlockKind::Text => {
                let text = block.text.ok_or(AnswerFault::Malformed)?;
                self.text_bytes += between_quotes(text).len();
                self.texts.push(text);
            }
            BlockKind::Thinking => {
                let text = block.thinking.unwrap_or(b"\"\"");
                self.text_bytes += between_quotes(text).len();
                self.thoughts.push(text);
            }
            BlockKind::ToolUse => {
                let call = Call {
                    id: block.id.ok_or(AnswerFault::Malformed)?,
                    name: block.name.ok_or(AnswerFault::Malformed)?,
                    input: block.input.unwrap_or(b"{}"),
                };
                self.text_bytes += call.name.len() + call.input.len();
                self.calls.push(call);
            }
            BlockKind::Other => {}
        }
        Ok(())
    }

    fn stop_reason(&self) -> Option<std::borrow::Cow<'a, str>> {
        self.stop_reason?.string()
    }

    fn write(&self, caller_model: &[u8], created: u64, out: &mut Vec<u8>) {
        let mut completion = Composer::object(out);
        completion.raw("id", self.id.unwrap_or(b"\"\""));
        completion.string("object", "chat.completion");
        completion.number("created", created);
        completion.raw("model", caller_model);
        let mut choices = Composer::array(completion.member("choices"));
        let mut choice = Composer::object(choices.element());
        choice.number("index", 0);
        self.write_message(choice.member("message"));
        choice.raw("logprobs", b"null");
        let stop_reason = self.stop_reason().unwrap_or_default();
        let has_calls = !self.calls.is_empty();
        choice.string("finish_reason", finish_reason(&stop_reason, has_calls));
        choice.end();
        choices.end();
        if let Some(counters) = &self.counters {
            let told = counters.usage(Tokens::ZERO).unwrap_or_default();
            let out = completion.member("usage");
            usage::write(&told, counters.thinking(), None, out);
        }
        completion.end();
    }

    fn write_message(&self, out: &mut Vec<u8>) {
        let mut message = Composer::object(out);
        message.string("role", "assistant");
        let content = message.member("content");
        if self.texts.is_empty() {
            content.extend_from_slice(b"null");
        } else {
            write_joined(&self.texts, content);
        }
        message.raw("refusal", self.refusal.unwrap_or(b"null"));
        if self.thoughts.iter().any(|text| text.len() > 2) {
            write_joined(&self.thoughts, message.member("reasoning_content"));
        }
        if !self.calls.is_empty() {
            let mut calls = Composer::array(message.member("tool_calls"));
            for call in &self.calls {
                call.write(calls.element());
            }
            calls.end();
        }
        message.end();
    }
}

impl Call<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut call = Composer::object(out);
        call.raw("id", self.id);
        call.string("type", "function");
        let mut function = Composer::object(call.member("function"));
        function.raw("name", self.name);
        let mut arguments = Vec::with_capacity(self.input.len());
        compact(self.input, &mut arguments);
        function.string("arguments", &String::from_utf8_lossy(&arguments));
        function.end();
        call.end();
    }
}

/// Strings as one string.
fn write_joined(strings: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'"');
    for string in strings {
        out.extend_from_slice(between_quotes(string));
    }
    out.push(b'"');
}

fn string<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    (value.kind == Kind::String).then_some(value.text)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
