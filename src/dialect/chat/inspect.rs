//! An answer that is not streamed, in the caller's own dialect: what the router reads of it.

use crate::base::endpoint::Endpoint;

use crate::dialect::answer::AnswerFault;
use crate::dialect::chat::choices::Choices;
use crate::dialect::view::View;
use crate::wire::json::{Bracket, Kind, NotJson, Walk};
use crate::wire::seen::{self, Seen};
use crate::wire::usage::Usage;

/// Reads the body of an answer of status 2xx.
///
/// Only the levels that are read are checked to be JSON: deeper ones go to the caller as they are,
/// and a body that was cut off is noticed in any case.
///
/// # Errors
/// The body is no answer, and another provider may be tried.
pub fn inspect(body: &[u8], endpoint: Endpoint) -> Result<View, AnswerFault> {
    let mut found = Found::default();
    found
        .read(body, endpoint)
        .map_err(|NotJson { .. }| AnswerFault::Malformed)?;
    if found.is_error || found.choices.error.is_some() {
        return Err(AnswerFault::Error);
    }
    if endpoint.is_written() && found.choices.count == 0 {
        return Err(AnswerFault::NoContent);
    }
    if !endpoint.is_written() && !found.has_data {
        return Err(AnswerFault::NoContent);
    }
    Ok(View {
        text_bytes: found.choices.text_bytes,
        ..found.view
    })
}

/// Usage and text in the body of a 2xx answer that no caller gets; see `seen::seen`.
#[must_use]
pub fn seen(body: &[u8], endpoint: Endpoint) -> Option<Seen> {
    if endpoint.is_written() {
        seen::seen(body, Some(b"choices"), Usage::read)
    } else {
        seen::seen(body, None, |usage| Usage::read(usage).map(Usage::of_prompt))
    }
}

#[derive(Default)]
struct Found {
    view: View,
    choices: Choices,
    has_data: bool,
    is_error: bool,
}

impl Found {
    fn read(&mut self, body: &[u8], endpoint: Endpoint) -> Result<(), NotJson> {
        let mut walk = Walk::new(body);
        if !walk.enter(Bracket::Object)? {
            return Err(NotJson { at: 0 });
        }
        let mut room = Vec::new();
        while let Some(name) = walk.name()? {
            match name.read(&mut room) {
                b"model" => self.view.model = Some(walk.value()?.span()),
                b"usage" => self.view.usage = usage(&mut walk, endpoint)?,
                b"error" => self.is_error = !walk.value()?.is_blank(),
                b"data" => self.has_data = walk.value()?.kind == Kind::Array,
                b"choices" => self.choices.read(&mut walk, endpoint)?,
                _ => drop(walk.value()?),
            }
        }
        walk.end()
    }
}

fn usage(walk: &mut Walk<'_>, endpoint: Endpoint) -> Result<Option<Usage>, NotJson> {
    let usage = Usage::walk(walk)?;
    Ok(if endpoint.is_written() {
        usage
    } else {
        usage.map(Usage::of_prompt)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::json::respelt::respelt;

    const CHAT: Endpoint = Endpoint::ChatCompletions;

    /// What the caller gets, and the told prompt and completion tokens.
    fn check(body: &str, endpoint: Endpoint, expected: &str, usage: Option<(u64, u64)>) {
        let view = inspect(body.as_bytes(), endpoint).unwrap();
        let told = view
            .usage
            .map(|usage| (usage.prompt.get(), usage.completion.get()));
        assert_eq!(told, usage, "{body}");
        let mut out = Vec::new();
        view.edit(body.as_bytes(), b"\"mine\"").write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(
            view.edit(body.as_bytes(), b"\"mine\"").len(),
            expected.len()
        );
    }

    #[test]
    fn the_model_is_the_callers_and_all_else_the_providers() {
        check(
            r#"{"id":"x","model" : "theirs", "choices":[{"message":{"content":"\"model\":\"a\""}}],
                "usage":{"prompt_tokens":9,"completion_tokens":2}, "x":[1e400]}"#,
            CHAT,
            r#"{"id":"x","model" : "mine", "choices":[{"message":{"content":"\"model\":\"a\""}}],
                "usage":{"prompt_tokens":9,"completion_tokens":2}, "x":[1e400]}"#,
            Some((9, 2)),
        );
        let same = r#"{"model":"mine","choices":[{}]}"#;
        check(same, CHAT, same, None);
        let nameless = r#"{"choices":[{}],"error":null}"#;
        check(nameless, CHAT, nameless, None);
        check(
            concat!(
                r#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":null,"#,
                r#""usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            ),
            Endpoint::Embeddings,
            concat!(
                r#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"mine","#,
                r#""usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            ),
            Some((5, 0)),
        );
    }

    #[test]
    fn text_is_measured_for_an_estimate() {
        for (body, endpoint, bytes) in [
            (
                r#"{"choices":[{"message":{"role":"assistant","content":"Hallo"}}]}"#,
                CHAT,
                5,
            ),
            (
                r#"{"choices":[{"text":"ab"},{"text":"c"}]}"#,
                Endpoint::Completions,
                3,
            ),
            (
                r#"{"data":[{"embedding":"AAAA"}]}"#,
                Endpoint::Embeddings,
                0,
            ),
        ] {
            assert_eq!(
                inspect(body.as_bytes(), endpoint).unwrap().text_bytes,
                bytes
            );
        }
    }

    #[test]
    fn a_success_without_an_answer_is_a_failure() {
        for (body, endpoint, fault) in [
            ("", CHAT, AnswerFault::Malformed),
            ("<html>", CHAT, AnswerFault::Malformed),
            ("[]", CHAT, AnswerFault::Malformed),
            (
                r#"{"choices":[{"message":{"content":"x"#,
                CHAT,
                AnswerFault::Malformed,
            ),
            (
                r#"{"choices":[{}],"usage":{}"#,
                CHAT,
                AnswerFault::Malformed,
            ),
            (r#"{"choices":[{}]} x"#, CHAT, AnswerFault::Malformed),
            (r#"{"choices":[{],"x":1}"#, CHAT, AnswerFault::Malformed),
            (r#"{"error":{"message":"x"}}"#, CHAT, AnswerFault::Error),
            (r#"{"choices":[{}],"error":"x"}"#, CHAT, AnswerFault::Error),
            (r#"{}"#, CHAT, AnswerFault::NoContent),
            (r#"{"choices":[]}"#, CHAT, AnswerFault::NoContent),
            (
                r#"{"choices":null}"#,
                Endpoint::Completions,
                AnswerFault::NoContent,
            ),
            (
                r#"{"choices":[{}]}"#,
                Endpoint::Embeddings,
                AnswerFault::NoContent,
            ),
            (
                r#"{"data":null}"#,
                Endpoint::Embeddings,
                AnswerFault::NoContent,
            ),
        ] {
            assert_eq!(inspect(body.as_bytes(), endpoint), Err(fault), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_spelling_makes_a_difference(seed: u64) {
            let plain = r#"{"id":"x","model":"theirs","choices":[{"message":{"content":"a b"}}],
                "usage":{"prompt_tokens":9,"completion_tokens":2,
                "prompt_tokens_details":{"cached_tokens":4}},"error":null}"#;
            let other = respelt(plain, seed);
            let [one, two] = [plain, &other].map(|body| {
                let view = inspect(body.as_bytes(), CHAT).unwrap();
                let mut out = Vec::new();
                view.edit(body.as_bytes(), b"\"mine\"").write(&mut out);
                let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
                (said, view.usage, view.text_bytes)
            });
            prop_assert_eq!(one, two);
            let error = respelt(r#"{"choices":[{}],"error":"x"}"#, seed);
            prop_assert_eq!(inspect(error.as_bytes(), CHAT), Err(AnswerFault::Error));
        }

        #[test]
        fn arbitrary_bodies_never_panic(
            body in r#"(\{|\}|"model"|"choices"|"usage"|:|"m"|,|null|\[|\]| |"|7|é){0,24}"#
        ) {
            for endpoint in [CHAT, Endpoint::Completions, Endpoint::Embeddings] {
                if let Ok(view) = inspect(body.as_bytes(), endpoint) {
                    view.edit(body.as_bytes(), b"\"mine\"").write(&mut Vec::new());
                }
            }
        }
    }
}
