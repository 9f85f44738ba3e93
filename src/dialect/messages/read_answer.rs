//! Reads a message that is not streamed (rules P of reference/translation.md).

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::base::tokens::Tokens;
use crate::dialect::answer::{Answer, AnswerFault, Call};
use crate::dialect::compose::between_quotes;
use crate::dialect::event::Stop;
use crate::dialect::messages::usage::Counters;
use crate::dialect::prompt::Input;
use crate::dialect::verbatim;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};

/// Reads the body of an answer of status 2xx.
///
/// # Errors
/// The body is no message, and another provider may be tried.
pub fn read(body: &[u8]) -> Result<Answer<'_>, AnswerFault> {
    // Copied parts of the body must be valid JSON.
    let message = verbatim::walked(body, Message::walk, Message::walk);
    let message = message.map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    if message.is_error
        || message
            .stop_reason
            .is_some_and(|reason| reason.says("error"))
    {
        return Err(AnswerFault::Error);
    }
    let content = message.content.as_ref().ok_or(AnswerFault::NoContent)?;
    let stop = message.stop_reason.map(|reason| stop_of(&reason.word()));
    let explanation = || json::member(message.details?.text, b"explanation");
    let refusal = explanation().filter(|_| stop == Some(Stop::Refusal));
    let counters = message.counters;
    let mut answer = Answer {
        id: message.id,
        stop,
        sequence: message.stop_sequence.map(between_quotes),
        refusal: refusal.and_then(|member| string(&member.value)),
        usage: counters.map(|counters| counters.usage(Tokens::ZERO).unwrap_or_default()),
        thinking: counters.and_then(|counters| counters.thinking()),
        ..Answer::default()
    };
    for block in content.as_slice() {
        add(block, &mut answer)?;
    }
    Ok(answer)
}

/// Why a model stops, from Anthropic's word for it.
#[must_use]
pub(super) fn stop_of(stop_reason: &[u8]) -> Stop {
    match stop_reason {
        // A paused turn is not finished.
        b"max_tokens" | b"model_context_window_exceeded" | b"pause_turn" => Stop::Length,
        b"tool_use" => Stop::ToolUse,
        b"refusal" => Stop::Refusal,
        _ => Stop::End,
    }
}

/// The members of a message. Strings keep their quotes.
#[derive(Default)]
struct Message<'a> {
    id: Option<&'a [u8]>,
    /// The blocks of a list.
    content: Option<SmallVec<[Block<'a>; 2]>>,
    stop_reason: Option<Value<'a>>,
    stop_sequence: Option<&'a [u8]>,
    details: Option<Value<'a>>,
    counters: Option<Counters>,
    is_error: bool,
}

impl<'a> Message<'a> {
    fn walk<const STRICT: bool>(mut walk: Walk<'a, STRICT>) -> Result<Self, NotJson> {
        let (mut message, mut room) = (Self::default(), Vec::new());
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        while let Some(name) = walk.name()? {
            match name.read(&mut room) {
                b"id" => message.id = string(&walk.value()?),
                b"content" => message.content = read_content(&mut walk)?,
                b"stop_reason" => message.stop_reason = Some(walk.value()?),
                b"stop_sequence" => message.stop_sequence = string(&walk.value()?),
                b"stop_details" => message.details = Some(walk.value()?),
                b"usage" => {
                    let mut counters = Counters::default();
                    if counters.walk(&mut walk)? {
                        message.counters = Some(counters);
                    }
                }
                b"error" => message.is_error = !walk.value()?.is_blank(),
                _ => drop(walk.value()?),
            }
        }
        walk.end().map(|()| message)
    }
}

fn read_content<'a, const STRICT: bool>(
    walk: &mut Walk<'a, STRICT>,
) -> Result<Option<SmallVec<[Block<'a>; 2]>>, NotJson> {
    if !walk.enter(Bracket::Array)? {
        return Ok(None);
    }
    let mut content = SmallVec::new();
    while walk.element()? {
        content.push(Block::walk(walk)?);
    }
    Ok(Some(content))
}

/// A block of content; of several members with one name, the last counts. Strings keep their
/// quotes; a member that should be a string and is none counts as absent.
#[derive(Clone, Copy, Default)]
struct Block<'a> {
    kind: BlockKind,
    text: Option<&'a [u8]>,
    thinking: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    /// Anything but `null`.
    input: Option<Value<'a>>,
}

#[derive(Clone, Copy, Default)]
enum BlockKind {
    Text,
    Thinking,
    ToolUse,
    #[default]
    Other,
}

impl<'a> Block<'a> {
    fn walk<const STRICT: bool>(walk: &mut Walk<'a, STRICT>) -> Result<Self, NotJson> {
        let (mut read, mut room) = (Self::default(), Vec::new());
        if !walk.enter(Bracket::Object)? {
            return Ok(read);
        }
        while let Some(name) = walk.name()? {
            let value = walk.value()?;
            match name.read(&mut room) {
                b"type" => read.kind = value.known(BlockKind::of).unwrap_or_default(),
                b"text" => read.text = string(&value),
                b"thinking" => read.thinking = string(&value),
                b"signature" => read.signature = string(&value),
                b"id" => read.id = string(&value),
                b"name" => read.name = string(&value),
                b"input" => read.input = Some(value).filter(|value| value.kind != Kind::Null),
                _ => {}
            }
        }
        Ok(read)
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

/// Adds a block. Kinds of blocks that are not listed belong to the provider itself, such as tools
/// that its server runs, and their results.
fn add<'a>(block: &Block<'a>, answer: &mut Answer<'a>) -> Result<(), AnswerFault> {
    match block.kind {
        BlockKind::Text => {
            let text = block.text.ok_or(AnswerFault::Malformed)?;
            answer.text_bytes += json::text_len(between_quotes(text));
            answer.texts.push(text);
        }
        BlockKind::Thinking => {
            let text = block.thinking.unwrap_or(b"\"\"");
            answer.text_bytes += json::text_len(between_quotes(text));
            answer.thoughts.push(text);
            answer.signature = block.signature.map(between_quotes).or(answer.signature);
        }
        BlockKind::ToolUse => {
            let id = block.id.ok_or(AnswerFault::Malformed)?;
            let name = block.name.ok_or(AnswerFault::Malformed)?;
            let input = block.input.map_or(&b"{}"[..], |input| input.text);
            answer.text_bytes += json::text_len(between_quotes(name)) + input.len();
            let is_object = block.input.is_none_or(|input| input.kind == Kind::Object);
            answer.calls.push(Call {
                id: Some(id),
                name: Cow::Borrowed(name),
                input: if is_object {
                    Input::Object(Cow::Borrowed(input))
                } else {
                    Input::Other(Cow::Borrowed(input))
                },
                written: None,
                signature: None,
            });
        }
        BlockKind::Other => {}
    }
    Ok(())
}

fn string<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    (value.kind == Kind::String).then_some(value.text)
}

#[cfg(test)]
#[path = "read_answer_tests.rs"]
mod tests;
