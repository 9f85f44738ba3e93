//! What the router reads of a whole answer of a provider that has Responses (rules N4, N6 and M1 of
//! reference/responses-inbound.md).

use crate::decide::outcome::KeyOwner;
use crate::dialect::answer::AnswerFault;
use crate::dialect::responses::blame::Blame;
use crate::dialect::view::View;
use crate::wire::json::{self, Bracket, Kind, NotJson, Value, Walk};
use crate::wire::usage::Usage;

/// Reads the body of an answer of status 2xx to a request that was sent with this `key`.
///
/// Only the levels that are read are checked to be JSON, those of the body and of its usage: deeper
/// ones go to the caller as they are, and a body that was cut off is noticed in any case. A
/// response that failed because of its request is an answer: no other provider would give a better
/// one, unless its model has a larger window.
///
/// # Errors
/// The body is no response, and another provider may be tried.
pub fn inspect(body: &[u8], key: KeyOwner) -> Result<View, AnswerFault> {
    let found = Found::read(body).map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    let output = found.output.filter(|output| output.kind == Kind::Array);
    let mut view = found.view;
    let is_error = found.error.is_some_and(|error| !error.is_blank());
    if is_error || found.has_failed {
        let blame = Blame::of(found.error.map_or(b"{}", |error| error.text));
        if output.is_none() || !blame.is_for_caller(key) {
            return Err(fault(blame, key));
        }
        view.is_overflow = blame == Blame::Length;
    }
    let output = output.ok_or(AnswerFault::Malformed)?;
    if view.usage.is_none() {
        view.text_bytes = text_bytes(output.text);
    }
    Ok(view)
}

const fn fault(blame: Blame, key: KeyOwner) -> AnswerFault {
    match (blame, key) {
        (Blame::RateLimit, _) => AnswerFault::RateLimit,
        (Blame::Account, KeyOwner::Infermux) => AnswerFault::Account,
        (Blame::Account, KeyOwner::Caller)
        | (Blame::Provider | Blame::Request | Blame::Length, _) => AnswerFault::Error,
    }
}

#[derive(Default)]
struct Found<'a> {
    view: View,
    output: Option<Value<'a>>,
    error: Option<Value<'a>>,
    has_failed: bool,
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
            match name.read(&mut room) {
                b"model" => found.view.model = Some(walk.value()?.span()),
                b"usage" => found.view.usage = Usage::walk_response(&mut walk)?,
                b"output" => found.output = Some(walk.value()?),
                b"error" => found.error = Some(walk.value()?),
                b"status" => found.has_failed = walk.value()?.says("failed"),
                _ => drop(walk.value()?),
            }
        }
        walk.end().map(|()| found)
    }
}

/// Length of everything that was generated, thoughts and arguments included.
fn text_bytes(output: &[u8]) -> usize {
    let items = json::elements(output).map_while(Result::ok);
    items.map(|item| item_bytes(&item)).sum()
}

fn item_bytes(item: &Value<'_>) -> usize {
    let (mut bytes, mut room) = (0_usize, Vec::new());
    for member in json::members(item.text).map_while(Result::ok) {
        let value = member.value;
        bytes += match member.name.read(&mut room) {
            b"name" | b"arguments" | b"input" | b"code" => value.string_len(),
            b"content" | b"summary" => {
                let parts = json::elements(value.text).map_while(Result::ok);
                parts.map(|part| part_bytes(&part)).sum()
            }
            _ => 0,
        };
    }
    bytes
}

/// Length of the text of a message's or a summary's part.
fn part_bytes(part: &Value<'_>) -> usize {
    let (mut bytes, mut room) = (0, Vec::new());
    for member in json::members(part.text).map_while(Result::ok) {
        bytes += match member.name.read(&mut room) {
            b"text" | b"refusal" => member.value.string_len(),
            _ => 0,
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::json::respelt::respelt;

    fn check(body: &str, expected: &str, counts: (Option<[u64; 3]>, usize)) {
        let view = inspect(body.as_bytes(), KeyOwner::Infermux).unwrap();
        let mut out = Vec::new();
        view.edit(body.as_bytes(), br#""mine""#).write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let usage = view.usage.map(|usage| {
            let counts = usage.counts();
            [counts.input, counts.cache_read, counts.output].map(crate::base::tokens::Tokens::get)
        });
        assert_eq!((usage, view.text_bytes), counts, "{body}");
    }

    #[test]
    fn nothing_but_the_model_changes() {
        let counted = |model: &str| {
            let usage = r#"{"input_tokens":7,"input_tokens_details":{"cached_tokens":4},
                "output_tokens":2}"#;
            let rest = r#""tools":[{"model":"x"}],"metadata":{"model":"y"},"error": null"#;
            format!(r#"{{"x":1.50, "model" : "{model}","output":[],"usage":{usage},{rest}}} "#)
        };
        check(&counted("gpt-1"), &counted("mine"), (Some([3, 4, 2]), 0));
        let uncounted = |model: &str| {
            let text = r#"{"type":"output_text","text":"abc"},{"type":"refusal","refusal":"de"}"#;
            let message = format!(r#"{{"type":"message","content":[{text}]}}"#);
            let call = r#"{"type":"function_call","name":"f","arguments":"{}","call_id":"long"}"#;
            let thought = r#"{"type":"reasoning","summary":[{"text":"hm"}],"id":"long"}"#;
            let output = format!(r#"[{message},{call},{thought},{{"type":"new","model":"x"}}]"#);
            format!(r#"{{"output":{output},"status":"incomplete","m\u006fdel":"{model}"}}"#)
        };
        check(&uncounted("x"), &uncounted("mine"), (None, 10));
        let background = r#"{"status":"queued","output":[],"usage":null}"#;
        check(background, background, (None, 0));
    }

    #[test]
    fn what_is_no_response_fails() {
        for (body, fault) in [
            ("", AnswerFault::Malformed),
            ("[]", AnswerFault::Malformed),
            (r#"{"output":[]"#, AnswerFault::Malformed),
            (r#"{"output":[]} x"#, AnswerFault::Malformed),
            ("{}", AnswerFault::Malformed),
            (r#"{"output":"x","error":null}"#, AnswerFault::Malformed),
            (r#"{"choices":[{}]}"#, AnswerFault::Malformed),
            (r#"{"error":{"message":"x"}}"#, AnswerFault::Error),
            (r#"{"error":{"code":"invalid_prompt"}}"#, AnswerFault::Error),
            (
                r#"{"status":"failed","output":[],"error":{"code":"server_error"}}"#,
                AnswerFault::Error,
            ),
            (r#"{"status":"failed","output":[]}"#, AnswerFault::Error),
            (
                r#"{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded"}}"#,
                AnswerFault::RateLimit,
            ),
            (
                r#"{"status":"failed","output":[],"error":{"code":"insufficient_quota"}}"#,
                AnswerFault::Account,
            ),
        ] {
            assert_eq!(
                inspect(body.as_bytes(), KeyOwner::Infermux),
                Err(fault),
                "{body}"
            );
        }
    }

    #[test]
    fn a_failure_of_the_request_is_an_answer() {
        for (code, key) in [
            ("context_length_exceeded", KeyOwner::Infermux),
            ("invalid_image", KeyOwner::Infermux),
            ("insufficient_quota", KeyOwner::Caller),
        ] {
            let body = format!(
                r#"{{"status":"failed","model":"x","output":[],"error":{{"code":"{code}"}}}}"#
            );
            let view = inspect(body.as_bytes(), key).unwrap();
            assert_eq!(view.usage, None);
            assert_eq!(view.is_overflow, code == "context_length_exceeded");
            assert!(view.model.is_some());
        }
    }

    proptest! {
        #[test]
        fn no_spelling_makes_a_difference(seed: u64) {
            let plain = r#"{"id":"x","model":"theirs","status":"completed","error":null,
                "output":[{"type":"message","content":[{"type":"output_text","text":"a b"}]}]}"#;
            let other = respelt(plain, seed);
            let [one, two] = [plain, &other].map(|body| {
                let view = inspect(body.as_bytes(), KeyOwner::Infermux).unwrap();
                let mut out = Vec::new();
                view.edit(body.as_bytes(), b"\"mine\"").write(&mut out);
                let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
                (said, view.usage, view.text_bytes)
            });
            prop_assert_eq!(one, two);
        }

        #[test]
        fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = inspect(&body, KeyOwner::Caller);
        }
    }
}
