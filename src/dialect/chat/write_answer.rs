//! Writes an answer as a chat completion (rules P of reference/translation.md).

use crate::dialect::answer::{Answer, Call};
use crate::dialect::chat::usage;
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::event::Stop;
use crate::dialect::prompt::Input;

/// Appends the chat completion for `answer`.
///
/// `caller_model` is the caller's name for the model, a JSON string with its quotes; `created` is
/// the time of the answer in Unix seconds.
pub fn write(answer: &Answer<'_>, caller_model: &[u8], created: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"id":"#);
    out.extend_from_slice(answer.id.unwrap_or(b"\"\""));
    out.extend_from_slice(br#","object":"chat.completion","created":"#);
    out.extend_from_slice(itoa::Buffer::new().format(created).as_bytes());
    out.extend_from_slice(br#","model":"#);
    out.extend_from_slice(caller_model);
    out.extend_from_slice(br#","choices":[{"index":0,"message":"#);
    write_message(answer, out);
    out.extend_from_slice(br#","logprobs":null,"finish_reason":""#);
    let has_calls = !answer.calls.is_empty();
    out.extend_from_slice(finish_reason(answer.stop, has_calls).as_bytes());
    out.extend_from_slice(br#""}]"#);
    if let Some(told) = &answer.usage {
        out.extend_from_slice(br#","usage":"#);
        usage::write(told, answer.thinking, None, out);
    }
    out.push(b'}');
}

/// OpenAI's word for the reason why the model stopped.
const fn finish_reason(stop: Option<Stop>, has_calls: bool) -> &'static str {
    match stop {
        Some(Stop::Length) => "length",
        Some(Stop::ToolUse) if has_calls => "tool_calls",
        Some(Stop::Refusal) => "content_filter",
        Some(Stop::ToolUse | Stop::End) | None => "stop",
    }
}

fn write_message(answer: &Answer<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"role":"assistant","content":"#);
    if answer.texts.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        write_joined(&answer.texts, out);
    }
    out.extend_from_slice(br#","refusal":"#);
    out.extend_from_slice(answer.refusal.unwrap_or(b"null"));
    let mut message = Composer::within(out);
    if answer.thoughts.iter().any(|text| text.len() > 2) {
        write_joined(&answer.thoughts, message.member("reasoning_content"));
    }
    if !answer.calls.is_empty() {
        let mut calls = Composer::array(message.member("tool_calls"));
        for call in &answer.calls {
            write_call(call, calls.element());
        }
        calls.end();
    }
    message.end();
}

fn write_call(call: &Call<'_>, out: &mut Vec<u8>) {
    let mut written = Composer::object(out);
    written.raw("id", call.id.unwrap_or(b"\"\""));
    written.word("type", "function");
    let mut function = Composer::object(written.member("function"));
    function.raw("name", &call.name);
    let (Input::Object(input) | Input::Other(input)) = &call.input;
    let mut arguments = Vec::with_capacity(input.len());
    compact(input, &mut arguments);
    function.string("arguments", &String::from_utf8_lossy(&arguments));
    function.end();
    written.end();
}

/// Strings as one string.
fn write_joined(strings: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'"');
    for string in strings {
        out.extend_from_slice(between_quotes(string));
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_to_stop_have_their_names() {
        for (stop, has_calls, expected) in [
            (Some(Stop::ToolUse), true, "tool_calls"),
            (Some(Stop::ToolUse), false, "stop"),
            (Some(Stop::End), true, "stop"),
            (Some(Stop::Refusal), false, "content_filter"),
            (Some(Stop::Length), true, "length"),
            (None, false, "stop"),
        ] {
            assert_eq!(finish_reason(stop, has_calls), expected);
        }
    }
}
