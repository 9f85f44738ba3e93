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
        Echoed::default().into_echo()
    }
}

/// What a request has of what its answer repeats, while the request is read.
#[derive(Default)]
pub struct Echoed<'a> {
    values: [Option<Value<'a>>; ECHOED.len()],
    wants_encrypted: bool,
}

impl<'a> Echoed<'a> {
    /// Takes in a member of the request. Of several with one name the last counts.
    pub fn note(&mut self, name: &[u8], value: &Value<'a>) {
        if name == b"include" {
            let mut wanted = json::elements(value.text).map_while(Result::ok);
            self.wants_encrypted = wanted.any(|wanted| wanted.says("reasoning.encrypted_content"));
        }
        let mut echoed = ECHOED.iter();
        if let Some(place) = echoed.position(|(echoed, _)| echoed.as_bytes() == name) {
            self.values[place] = Some(*value).filter(|value| value.kind != Kind::Null);
        }
    }

    /// What the answer repeats.
    #[must_use]
    pub fn into_echo(self) -> Echo {
        let given = self.values.iter().flatten();
        let given: usize = given.map(|value| value.text.len()).sum();
        let mut all = Vec::with_capacity(UNSENT.len() + given);
        let (mut long_at, mut from) = (0, 0);
        for (place, value) in self.values.iter().enumerate() {
            if place == SHORT {
                all.extend_from_slice(UNSENT.get(from..PLACES[place]).unwrap_or_default());
                (from, long_at) = (PLACES[place], all.len());
            }
            if let Some(value) = value {
                let name = ECHOED[place].0;
                let behind_name = PLACES[place] + b",\"\":".len() + name.len();
                all.extend_from_slice(UNSENT.get(from..behind_name).unwrap_or_default());
                from = PLACES[place + 1];
                if name == "text" {
                    write_text(value, &mut all);
                } else {
                    compact(value.text, &mut all);
                }
            }
        }
        all.extend_from_slice(UNSENT.get(from..).unwrap_or_default());
        Echo {
            wants_encrypted: self.wants_encrypted,
            texts: Arc::new(Texts { all, long_at }),
        }
    }
}

impl Echo {
    /// What the answer to the request `body`, which is JSON, repeats. Of several members with one
    /// name the last counts.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let (mut echoed, mut room) = (Echoed::default(), Vec::new());
        for member in json::members(body).map_while(Result::ok) {
            echoed.note(member.name.read(&mut room), &member.value);
        }
        echoed.into_echo()
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

/// Where each of them begins in [`UNSENT`], and where the last one ends.
const PLACES: [usize; ECHOED.len() + 1] = {
    let mut ends = [0; ECHOED.len() + 1];
    let mut place = 0;
    while place < ECHOED.len() {
        ends[place + 1] = ends[place] + ECHOED[place].1.len();
        place += 1;
    }
    ends
};
/// All of them as they are without a request.
static UNSENT: [u8; PLACES[ECHOED.len()]] = {
    let mut all = [0; PLACES[ECHOED.len()]];
    let mut place = 0;
    while place < ECHOED.len() {
        let (_, rest) = all.split_at_mut(PLACES[place]);
        rest.split_at_mut(ECHOED[place].1.len())
            .0
            .copy_from_slice(ECHOED[place].1);
        place += 1;
    }
    all
};

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
