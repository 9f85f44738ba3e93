//! Reads of a message that goes to a caller of Messages as it is what the router must know (rule
//! MP3 of reference/messages-inbound.md).

use crate::dialect::answer::AnswerFault;
use crate::dialect::messages::usage::Counters;
use crate::dialect::view::View;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};

/// Reads the body of an answer of status 2xx.
///
/// Only the level that is read is checked to be JSON: deeper ones go to the caller as they are, and
/// a body that was cut off is noticed in any case.
///
/// # Errors
/// The body is no message, and another provider may be tried.
pub fn inspect(body: &[u8]) -> Result<View, AnswerFault> {
    let found = Found::read(body).map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    if found.is_error {
        return Err(AnswerFault::Error);
    }
    let content = found.content.filter(|content| content.kind == Kind::Array);
    let content = content.ok_or(AnswerFault::NoContent)?;
    let mut view = found.view;
    if view.usage.is_none() {
        view.text_bytes = text_bytes(content.text);
    }
    Ok(view)
}

#[derive(Default)]
struct Found<'a> {
    view: View,
    content: Option<Value<'a>>,
    is_error: bool,
}

impl<'a> Found<'a> {
    fn read(body: &'a [u8]) -> Result<Self, NotJson> {
        let mut found = Self::default();
        let mut walk = Walk::new(body);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            let name = name.read(&mut room);
            let value = walk.value()?;
            match name {
                b"model" => found.view.model = Some(value.span()),
                b"usage" => found.view.usage = Counters::told(&value),
                b"content" => found.content = Some(value),
                b"error" => found.is_error |= !value.is_blank(),
                b"stop_reason" => found.is_error |= value.says("error"),
                _ => {}
            }
        }
        walk.end().map(|()| found)
    }
}

/// Length of everything that was generated, thoughts and arguments included.
fn text_bytes(content: &[u8]) -> usize {
    let blocks = json::elements(content).map_while(Result::ok);
    let lengths = blocks.flat_map(|block| {
        let members = json::members(block.text).map_while(Result::ok);
        members.map(|member| {
            let value = member.value;
            if [&b"text"[..], b"thinking", b"name"]
                .iter()
                .any(|one| member.name.is(one))
            {
                value.string_len()
            } else if member.name.is(b"input") {
                value.text.len()
            } else {
                0
            }
        })
    });
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, expected: &str, counts: (Option<(u64, u64)>, usize)) {
        let view = inspect(body.as_bytes()).unwrap();
        let mut out = Vec::new();
        view.edit(body.as_bytes(), br#""mine""#).write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let usage = view
            .usage
            .map(|usage| (usage.prompt.get(), usage.completion.get()));
        assert_eq!((usage, view.text_bytes), counts, "{body}");
    }

    #[test]
    fn nothing_but_the_model_changes() {
        let counted = |model: &str| {
            let usage = r#"{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":2}"#;
            format!(r#"{{"x":1.50, "model" : "{model}","content":[],"usage":{usage}}} "#)
        };
        check(&counted("claude-1"), &counted("mine"), (Some((7, 2)), 0));
        let uncounted = |model: &str| {
            let text = r#"{"type":"text","text":"abc"},{"type":"thinking","thinking":"de"}"#;
            let call = r#"{"type":"tool_use","name":"f","input":{"a":1}}"#;
            let content = format!(r#"[{text},{call},{{"type":"new","model":"x"}}]"#);
            format!(r#"{{"content":{content},"m\u006fdel":"{model}"}}"#)
        };
        check(&uncounted("x"), &uncounted("mine"), (None, 13));
    }

    #[test]
    fn what_is_no_message_fails() {
        for (body, fault) in [
            ("", AnswerFault::Malformed),
            ("[]", AnswerFault::Malformed),
            (r#"{"content":[]"#, AnswerFault::Malformed),
            (r#"{"content":[]} x"#, AnswerFault::Malformed),
            ("{}", AnswerFault::NoContent),
            (r#"{"content":"x"}"#, AnswerFault::NoContent),
            (
                r#"{"type":"error","error":{"type":"api_error"}}"#,
                AnswerFault::Error,
            ),
            (
                r#"{"content":[],"stop_reason":"error"}"#,
                AnswerFault::Error,
            ),
        ] {
            assert_eq!(inspect(body.as_bytes()), Err(fault), "{body}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = inspect(&body);
        }
    }
}
