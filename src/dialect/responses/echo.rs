//! What an answer repeats of its request (rule A1 of reference/responses-inbound.md).

use std::sync::Arc;

use crate::dialect::compose::{Composer, compact};
use crate::wire::json::{self, Kind, Value};

/// What the answer to a request repeats of it, and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whether the caller wants reasoning in a form that it can send back.
    pub wants_encrypted: bool,
    texts: Arc<Texts>,
}

/// Members of a response, each behind a comma.
#[derive(Debug, PartialEq, Eq)]
struct Texts {
    /// First those that every form of it has, then those that may be long.
    all: Vec<u8>,
    /// Where those begin.
    long_at: usize,
}

/// Whether a response has all that may be long of its request: a stream has it once, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It has.
    Whole,
    /// It has something short in place of that.
    Brief,
}

impl Default for Echo {
    fn default() -> Self {
        Self::read(b"{}")
    }
}

impl Echo {
    /// What the answer to the request `body`, which is JSON, repeats. Of several members with one
    /// name the last counts.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let mut values = [None; ECHOED.len()];
        let (mut wants_encrypted, mut room) = (false, Vec::new());
        for member in json::members(body).map_while(Result::ok) {
            let name = member.name.read(&mut room);
            if name == b"include" {
                let mut wanted = json::elements(member.value.text).map_while(Result::ok);
                wants_encrypted = wanted.any(|wanted| wanted.says("reasoning.encrypted_content"));
            }
            let mut echoed = ECHOED.iter();
            if let Some(place) = echoed.position(|(echoed, _)| echoed.as_bytes() == name) {
                let value = Some(member.value);
                values[place] = value.filter(|value| value.kind != Kind::Null);
            }
        }
        let echoed = || ECHOED.into_iter().zip(values);
        let room = echoed()
            .map(|((_, unsent), value)| unsent.len() + value.map_or(0, |value| value.text.len()));
        let mut texts = Texts {
            all: Vec::with_capacity(room.sum()),
            long_at: 0,
        };
        for (place, ((name, unsent), value)) in echoed().enumerate() {
            let all = &mut texts.all;
            if place == SHORT {
                texts.long_at = all.len();
            }
            let Some(value) = value else {
                all.extend_from_slice(unsent);
                continue;
            };
            all.extend_from_slice(unsent.split_at(b",\"\":".len() + name.len()).0);
            if name == "text" {
                write_text(&value, all);
            } else {
                compact(value.text, all);
            }
        }
        Self {
            wants_encrypted,
            texts: Arc::new(texts),
        }
    }

    /// How much room it takes, in bytes.
    #[must_use]
    pub fn room(&self) -> usize {
        self.texts.all.len()
    }

    /// Appends the members of a response that repeat its request, each behind a comma.
    pub(super) fn write(&self, extent: Extent, out: &mut Vec<u8>) {
        match extent {
            Extent::Whole => out.extend_from_slice(&self.texts.all),
            Extent::Brief => {
                out.extend_from_slice(self.texts.all.split_at(self.texts.long_at).0);
                out.extend_from_slice(br#","instructions":null,"tools":[]"#);
            }
        }
    }
}

/// What is repeated: its name, and its member where the request does not have it. Those that may be
/// long are the last.
const ECHOED: [(&str, &[u8]); SHORT + 2] = [
    ("max_output_tokens", br#","max_output_tokens":null"#),
    ("max_tool_calls", br#","max_tool_calls":null"#),
    ("metadata", br#","metadata":{}"#),
    ("parallel_tool_calls", br#","parallel_tool_calls":true"#),
    ("prompt_cache_key", br#","prompt_cache_key":null"#),
    ("reasoning", br#","reasoning":null"#),
    ("safety_identifier", br#","safety_identifier":null"#),
    ("temperature", br#","temperature":null"#),
    ("text", br#","text":{"format":{"type":"text"}}"#),
    ("tool_choice", br#","tool_choice":"auto""#),
    ("top_logprobs", br#","top_logprobs":null"#),
    ("top_p", br#","top_p":null"#),
    ("user", br#","user":null"#),
    ("instructions", br#","instructions":null"#),
    ("tools", br#","tools":[]"#),
];
/// How many of them are short.
const SHORT: usize = 13;

/// Appends `text` with a format.
fn write_text(text: &Value<'_>, out: &mut Vec<u8>) {
    if text.kind != Kind::Object {
        return compact(text.text, out);
    }
    let mut told = Composer::object(out);
    let mut has_format = false;
    for member in json::members(text.text).map_while(Result::ok) {
        if member.name.is(b"format") {
            if member.value.kind == Kind::Null {
                continue;
            }
            has_format = true;
        }
        let to = told.element();
        to.extend_from_slice(member.name.quoted);
        to.push(b':');
        compact(member.value.text, to);
    }
    if !has_format {
        told.raw("format", br#"{"type":"text"}"#);
    }
    told.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::wire::json::respelt::respelt;

    fn echoed(body: &str, extent: Extent) -> Json {
        let mut out = b"{\"a\":0".to_vec();
        Echo::read(body.as_bytes()).write(extent, &mut out);
        out.push(b'}');
        assert!(!out.contains(&b'\n'));
        serde_json::from_slice(&out).unwrap()
    }

    const BODY: &str = r#"{"input":[{"role":"user","content":"x","tools":1}],
        "instructions":"Be\n brief.", "tools":[ {"type":"function","name":"f"} ],
        "temperature":0.50,"metadata":{"a":"b c"},"text":{"verbosity":"low","format":null},
        "top_p":null,"reasoning":{"effort":"low"},"user":"u","store":true,"truncation":"auto",
        "include":["x","reasoning.encrypted_content"]}"#;

    #[test]
    fn what_was_sent_comes_back_and_the_rest_is_as_it_is_without() {
        let all = echoed(BODY, Extent::Whole);
        let expected = json!({
            "a": 0, "instructions": "Be\n brief.", "max_output_tokens": null,
            "max_tool_calls": null, "metadata": {"a": "b c"}, "parallel_tool_calls": true,
            "prompt_cache_key": null, "reasoning": {"effort": "low"}, "safety_identifier": null,
            "temperature": 0.5, "text": {"verbosity": "low", "format": {"type": "text"}},
            "tool_choice": "auto", "tools": [{"type": "function", "name": "f"}],
            "top_logprobs": null, "top_p": null, "user": "u",
        });
        assert_eq!(all, expected);
        let mut brief = expected;
        brief["instructions"] = Json::Null;
        brief["tools"] = json!([]);
        assert_eq!(echoed(BODY, Extent::Brief), brief);
    }

    #[test]
    fn reasoning_is_marked_for_those_who_ask_for_that() {
        assert!(Echo::read(BODY.as_bytes()).wants_encrypted);
        for body in [
            "{}",
            r#"{"include":null}"#,
            r#"{"include":["reasoning"]}"#,
            r#"{"input":["reasoning.encrypted_content"]}"#,
        ] {
            assert!(!Echo::read(body.as_bytes()).wants_encrypted, "{body}");
        }
    }

    #[test]
    fn of_several_members_the_last_counts() {
        let body = r#"{"user":"a","user":"b","top_p":0.5,"top_p":null}"#;
        let echo = echoed(body, Extent::Whole);
        assert_eq!((&echo["user"], &echo["top_p"]), (&json!("b"), &Json::Null));
    }

    proptest! {
        #[test]
        fn no_spelling_makes_a_difference(seed: u64) {
            let other = respelt(BODY, seed);
            prop_assert_eq!(echoed(&other, Extent::Whole), echoed(BODY, Extent::Whole));
        }
    }
}
