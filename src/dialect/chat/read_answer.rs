//! Reads a chat completion that is not streamed (section 4 of reference/messages-inbound.md).

use std::borrow::Cow;

use smallvec::SmallVec;

use super::chunk::{self, Choice, Chunk, Of, telling};
use super::read_event::{stop_of, stop_sequence};
use crate::dialect::answer::{Answer, AnswerFault, Call};
use crate::dialect::compose::between_quotes;
use crate::dialect::names::Names;
use crate::dialect::prompt::Input;
use crate::dialect::shell::plan::Wanted;
use crate::dialect::signature::ThoughtField;
use crate::dialect::verbatim;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, NotJson, Value};
use crate::wire::stream_fault::StreamFault;

/// Reads the body of an answer of status 2xx; of several choices, the first.
///
/// # Errors
/// The body is no completion, and another provider may be tried.
pub fn read<'a>(body: &'a [u8], wanted: &Wanted<'_>) -> Result<Answer<'a>, AnswerFault> {
    // Copied parts of the body must be valid JSON.
    let chunk = verbatim::walked(body, Chunk::walk, Chunk::walk);
    let chunk = chunk.map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    if chunk.error.is_some() {
        return Err(AnswerFault::Error);
    }
    let choice = chunk.choice.ok_or(AnswerFault::NoContent)?;
    if choice.error().is_some() {
        return Err(AnswerFault::Error);
    }
    let told = chunk.usage;
    let stop = choice.finish_reason.map(|reason| stop_of(&reason.word()));
    let mut answer = Answer {
        id: chunk
            .id
            .filter(|id| id.kind == Kind::String)
            .map(|id| id.text),
        stop,
        sequence: stop_sequence(&choice, wanted.stops),
        refusal: choice.said.refusal.map(|refusal| refusal.text),
        usage: told.usage,
        thinking: told.thinking,
        logprobs: choice.logprobs().filter(|_| wanted.is_response()),
        tier: telling(chunk.tier).map(|tier| tier.text),
        ..Answer::default()
    };
    let none = Names::default();
    let names = wanted.read_names().unwrap_or(&none);
    add_message(&choice, names, &mut answer).map_err(|_| AnswerFault::Malformed)?;
    Ok(answer)
}

fn add_message<'a>(
    choice: &Choice<'a>,
    names: &Names,
    answer: &mut Answer<'a>,
) -> Result<(), StreamFault> {
    let said = &choice.said;
    let mut thoughts = SmallVec::new();
    let field = said.thoughts(|text| {
        thoughts.push(text.text);
        Ok(())
    })?;
    answer.thoughts = thoughts;
    answer.signature = field.map(|field| ThoughtField::signature(field).as_bytes());
    said.texts(Of::Text, |text| {
        answer.texts.push(text.text);
        Ok(())
    })?;
    said.calls(|call| {
        // A call without a name is none.
        if let Some(name) = &call.name {
            answer.text_bytes += name.string_len();
            answer.text_bytes += call.arguments.map_or(0, length_of);
            answer.calls.push(Call {
                id: call.id.map(|id| id.text),
                name: call.restored_name(names).unwrap_or_default(),
                input: input_of(call),
                written: call
                    .arguments
                    .filter(|arguments| arguments.kind == Kind::String)
                    .map(|arguments| arguments.text),
                signature: call.signature.map(|signature| signature.text),
            });
        }
        Ok(())
    })?;
    let strings = answer.texts.iter().chain(&answer.thoughts);
    let strings = strings.chain(&answer.refusal);
    let lengths = strings.map(|text| json::text_len(between_quotes(text)));
    answer.text_bytes += lengths.sum::<usize>();
    Ok(())
}

/// How long arguments are, whose text is in a string as a rule.
fn length_of(arguments: Value<'_>) -> usize {
    if arguments.kind == Kind::String {
        arguments.string_len()
    } else {
        arguments.text.len()
    }
}

/// The arguments of a call: as a rule, JSON in a string.
fn input_of<'a>(call: &chunk::Call<'a>) -> Input<'a> {
    let Some(arguments) = call.arguments else {
        return Input::Object(Cow::Borrowed(b"{}"));
    };
    match arguments.kind {
        Kind::Object => Input::Object(Cow::Borrowed(arguments.text)),
        Kind::String => input_of_string(&arguments),
        Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => {
            Input::Other(Cow::Borrowed(arguments.text))
        }
    }
}

fn input_of_string<'a>(arguments: &Value<'a>) -> Input<'a> {
    let text = arguments.string().map(|text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    });
    match text {
        Some(text) if text.trim_ascii().is_empty() => Input::Object(Cow::Borrowed(b"{}")),
        Some(text) if !is_json(&text) => Input::Other(Cow::Borrowed(arguments.text)),
        Some(text) if text.trim_ascii_start().starts_with(b"{") => Input::Object(text),
        Some(text) => Input::Other(text),
        None => Input::Other(Cow::Borrowed(arguments.text)),
    }
}
