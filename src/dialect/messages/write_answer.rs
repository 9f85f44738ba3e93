//! Writes an answer as a message (section 4 of reference/messages-inbound.md).

use super::stop::Stopped;
use super::write_event::frames;
use super::write_event::ids::Ids;
use crate::dialect::answer::{Answer, Call};
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::event::{Event, Stop};
use crate::dialect::fresh::Fresh;
use crate::dialect::prompt::Input;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::plan::{Thoughts, Wanted};

/// Appends the message for `answer`. `caller_model` is the caller's name for the model, a JSON
/// string with its quotes.
pub fn write(answer: &Answer<'_>, caller_model: &[u8], wanted: &Wanted<'_>, out: &mut Vec<u8>) {
    let mut ids = Ids::default();
    ids.reset(Fresh::new(wanted.seed));
    out.extend_from_slice(br#"{"id":""#);
    ids.write_fresh(b"msg_", out);
    out.extend_from_slice(br#"","type":"message","role":"assistant","model":"#);
    out.extend_from_slice(caller_model);
    out.extend_from_slice(br#","content":"#);
    let mut content = Composer::array(out);
    if wanted.thoughts == Thoughts::Shown {
        write_thoughts(answer, &mut content);
    }
    write_text(answer, &mut content);
    for call in &answer.calls {
        write_call(call, &mut ids, content.element());
    }
    content.end();
    let mut message = Composer::within(out);
    write_stop(answer, message.element());
    let books = Books {
        told: answer.known().usage,
        thinking: answer.thinking,
        is_total: true,
        text_bytes: answer.text_bytes,
        tariff: None,
    };
    frames::write_usage(&books, wanted.prompt, message.member("usage"));
    message.end();
}

fn write_thoughts(answer: &Answer<'_>, content: &mut Composer<'_>) {
    if answer.thoughts.iter().all(|text| text.len() <= 2) {
        return;
    }
    let mut block = Composer::object(content.element());
    block.word("type", "thinking");
    write_joined(answer.thoughts.iter().copied(), block.member("thinking"));
    write_joined(
        std::iter::once(&*quoted(answer.signature.unwrap_or_default())),
        block.member("signature"),
    );
    block.end();
}

/// Text, and behind it why the model does not answer.
fn write_text(answer: &Answer<'_>, content: &mut Composer<'_>) {
    let texts = || answer.texts.iter().copied().chain(answer.refusal);
    if texts().all(|text| text.len() <= 2) {
        return;
    }
    let mut block = Composer::object(content.element());
    block.word("type", "text");
    write_joined(texts(), block.member("text"));
    block.end();
}

fn write_call(call: &Call<'_>, ids: &mut Ids, out: &mut Vec<u8>) {
    let mut block = Composer::object(out);
    block.word("type", "tool_use");
    let id = block.member("id");
    id.push(b'"');
    let signature = call.signature.map(between_quotes);
    ids.write_id(call.id.map(between_quotes), signature, id);
    id.push(b'"');
    block.raw("name", &call.name);
    match &call.input {
        Input::Object(input) => compact(input, block.member("input")),
        // An input must be an object.
        Input::Other(input) => {
            let mut object = Composer::object(block.member("input"));
            compact(input, object.member("arguments"));
            object.end();
        }
    }
    block.end();
}

fn write_stop(answer: &Answer<'_>, out: &mut Vec<u8>) {
    let mut stopped = Stopped::default();
    stopped.note(&Event::Stop {
        reason: answer.stop.unwrap_or(Stop::End),
        sequence: answer.sequence,
        explanation: answer.refusal.map(between_quotes),
    });
    stopped.write(!answer.calls.is_empty(), out);
}

/// Strings as one string.
fn write_joined<'t>(strings: impl Iterator<Item = &'t [u8]>, out: &mut Vec<u8>) {
    out.push(b'"');
    strings.for_each(|string| out.extend_from_slice(between_quotes(string)));
    out.push(b'"');
}

fn quoted(inside: &[u8]) -> Vec<u8> {
    [b"\"", inside, b"\""].concat()
}

#[cfg(test)]
#[path = "write_answer_tests.rs"]
mod tests;
