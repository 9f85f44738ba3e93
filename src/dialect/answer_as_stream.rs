//! Writes a whole answer as a stream, for a caller that wants a stream of a provider that has none.
//!
//! Values of members are copied as they stand; what streams have around them is added.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::money::NanoUsd;

use crate::dialect::{messages, responses, tariff};
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, Member, Value};
use crate::wire::splice::Splice;
use crate::wire::sse;

/// What is needed to write an answer as a stream.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The endpoint that it answers.
    pub endpoint: Endpoint,
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// Whether the caller asked for the usage chunk.
    pub include_usage: bool,
    /// Its cost, where the caller wants it in the usage.
    pub cost: Option<NanoUsd>,
}

/// Appends the events for the answer `body`; returns false, and appends nothing, where that is
/// not valid JSON.
#[must_use]
pub fn write(body: &[u8], telling: &Telling<'_>, out: &mut Vec<u8>) -> bool {
    let (model, cost) = (telling.caller_model, telling.cost);
    match telling.endpoint.dialect() {
        Dialect::Chat => {}
        Dialect::Messages => return messages::retell::write(body, model, cost, out),
        Dialect::Responses => return responses::retell::write(body, model, cost, out),
    }
    if !is_json(body) {
        return false;
    }
    let teller = Teller::new(body, telling);
    let choices = json::member(body, b"choices").map(|choices| choices.value);
    for choice in choices
        .iter()
        .flat_map(|choices| json::elements(choices.text))
        .map_while(Result::ok)
    {
        if telling.endpoint.takes_conversation() {
            teller.chat(&choice, out);
        } else {
            teller.event(choice.text, b"", out);
        }
    }
    let usage = json::member(body, b"usage").map(|usage| usage.value);
    if let Some(usage) = usage.filter(|usage| telling.include_usage && usage.kind == Kind::Object) {
        let cost = telling.cost.map(tariff::number);
        let mut splice = Splice::new(usage.text);
        if let Some(cost) = &cost {
            tariff::insert(&Value { at: 0, ..usage }, cost, &mut splice);
        }
        let mut after = b",\"usage\":".to_vec();
        splice.write(&mut after);
        teller.event(b"", &after, out);
    }
    sse::write_event(b"[DONE]", out);
    true
}

struct Teller {
    /// A chunk up to its choices.
    head: Vec<u8>,
}

impl Teller {
    fn new(body: &[u8], telling: &Telling<'_>) -> Self {
        let mut head = b"{".to_vec();
        let is_chat = telling.endpoint.takes_conversation();
        let mut room = Vec::new();
        for member in json::members(body).map_while(Result::ok) {
            match member.name.read(&mut room) {
                b"choices" | b"usage" | b"model" | b"error" => {}
                b"object" if is_chat => {}
                _ => add(&member, &mut head),
            }
        }
        if is_chat {
            head.extend_from_slice(b"\"object\":\"chat.completion.chunk\",");
        }
        head.extend_from_slice(b"\"model\":");
        head.extend_from_slice(telling.caller_model);
        head.extend_from_slice(b",\"choices\":[");
        Self { head }
    }

    /// Appends role, content, tool calls and finish reason, each in an event of its own.
    fn chat(&self, choice: &Value<'_>, out: &mut Vec<u8>) {
        let member = |name: &[u8]| json::member(choice.text, name).map(|member| member.value);
        let index = member(b"index").map_or(b"0".as_slice(), |index| index.text);
        let message = member(b"message").map_or(b"{}".as_slice(), |message| message.text);
        let role = json::member(message, b"role").map(|role| role.value);
        let role = role.filter(|role| role.kind == Kind::String);
        let role = role.map_or(b"\"assistant\"".as_slice(), |role| role.text);
        let begin = [b"{\"index\":", index].concat();
        let delta = |delta: &[u8], out: &mut Vec<u8>| {
            let end = b"},\"finish_reason\":null}";
            let choice = [&begin, b",\"delta\":{".as_slice(), delta, end].concat();
            self.event(&choice, b"", out);
        };
        delta(&[b"\"role\":", role].concat(), out);
        let (said, calls) = read_message(message);
        if let [said @ .., b','] = &*said {
            delta(said, out);
        }
        if !calls.is_empty() {
            delta(&[b"\"tool_calls\":[", &*calls, b"]"].concat(), out);
        }
        let mut last = [&begin, b",\"delta\":{},".as_slice()].concat();
        let mut room = Vec::new();
        for other in json::members(choice.text).map_while(Result::ok) {
            match other.name.read(&mut room) {
                b"index" | b"message" | b"delta" | b"finish_reason" => {}
                _ => add(&other, &mut last),
            }
        }
        let reason = member(b"finish_reason").filter(|reason| !reason.is_blank());
        last.extend_from_slice(b"\"finish_reason\":");
        last.extend_from_slice(reason.map_or(b"\"stop\"", |reason| reason.text));
        last.push(b'}');
        self.event(&last, b"", out);
    }

    fn event(&self, choice: &[u8], after: &[u8], out: &mut Vec<u8>) {
        let chunk = [self.head.as_slice(), choice, b"]", after, b"}"].concat();
        sse::write_event(&chunk, out);
    }
}

/// The members of a message, each with a comma behind it, and its calls with their numbers.
fn read_message(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut said, mut calls, mut room) = (Vec::new(), Vec::new(), Vec::new());
    for member in json::members(message).map_while(Result::ok) {
        match member.name.read(&mut room) {
            b"role" => {}
            b"tool_calls" => {
                calls.clear();
                write_calls(&member.value, &mut calls);
            }
            _ if member.value.is_blank() => {}
            _ => add(&member, &mut said),
        }
    }
    (said, calls)
}

/// Callers put the parts of a call together by its number.
fn write_calls(calls: &Value<'_>, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let calls = json::elements(calls.text).map_while(Result::ok);
    for (number, call) in calls.enumerate() {
        out.extend_from_slice(if number == 0 { b"" } else { b"," });
        out.extend_from_slice(b"{\"index\":");
        out.extend_from_slice(digits.format(number).as_bytes());
        for member in json::members(call.text).map_while(Result::ok) {
            if !member.name.is(b"index") {
                out.push(b',');
                out.extend_from_slice(member.name.quoted);
                out.push(b':');
                out.extend_from_slice(member.value.text);
            }
        }
        out.push(b'}');
    }
}

fn add(member: &Member<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(member.name.quoted);
    out.push(b':');
    out.extend_from_slice(member.value.text);
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::wire::json::respelt::respelt;

    fn told(body: &str, endpoint: Endpoint, include_usage: bool) -> Vec<Json> {
        let telling = Telling {
            endpoint,
            caller_model: b"\"mine\"",
            include_usage,
            cost: include_usage.then_some(NanoUsd::new(1_500)),
        };
        let mut out = Vec::new();
        assert!(write(body.as_bytes(), &telling, &mut out));
        let text = String::from_utf8(out).unwrap();
        let events = text.split_terminator("\n\n").map(|event| {
            let data = event.strip_prefix("data: ").unwrap();
            assert!(!data.contains(['\n', '\r']), "{event}");
            serde_json::from_str(data).unwrap_or_else(|_| data.into())
        });
        events.collect()
    }

    const BODY: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"theirs",
        "choices":[{"index":1,"message":{"role":"assistant","content":"whole\n text",
        "refusal":null,"tool_calls":[{"id":"t1","type":"function",
        "function":{"name":"look","arguments":"{}"}},{"id":"t2"}]},
        "logprobs":null,"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":10,"completion_tokens":5},"error":null,"x":[1]}"#;

    #[test]
    fn a_chat_completion_comes_as_role_content_calls_and_finish_reason() {
        let chunk = |delta: Json, reason: Json| {
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mine",
                "x": [1], "choices": [{"index": 1, "delta": delta, "finish_reason": reason}]})
        };
        let call = json!([
            {"index": 0, "id": "t1", "type": "function",
                "function": {"name": "look", "arguments": "{}"}},
            {"index": 1, "id": "t2"},
        ]);
        let mut last = chunk(json!({}), json!("tool_calls"));
        last["choices"][0]["logprobs"] = Json::Null;
        let mut expected = vec![
            chunk(json!({"role": "assistant"}), Json::Null),
            chunk(json!({"content": "whole\n text"}), Json::Null),
            chunk(json!({"tool_calls": call}), Json::Null),
            last,
            json!("[DONE]"),
        ];
        assert_eq!(told(BODY, Endpoint::ChatCompletions, false), expected);
        let usage = json!({"id": "c", "object": "chat.completion.chunk", "created": 1,
            "model": "mine", "x": [1], "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.000_001_5}});
        expected.insert(4, usage);
        assert_eq!(told(BODY, Endpoint::ChatCompletions, true), expected);
    }

    #[test]
    fn what_is_missing_is_put_in_place() {
        let events = told(r#"{"choices":[{}]}"#, Endpoint::ChatCompletions, true);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events[1]["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn a_legacy_completion_comes_in_one_event_for_each_choice() {
        let body = r#"{"object":"text_completion","model":"theirs",
            "choices":[{"text":"a","index":0,"finish_reason":"stop"},{"text":"b","index":1}]}"#;
        let events = told(body, Endpoint::Completions, false);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["object"], "text_completion");
        assert_eq!(events[1]["choices"][0]["text"], "b");
        assert_eq!(events[1]["model"], "mine");
    }

    #[test]
    fn what_is_no_json_is_not_told() {
        let telling = Telling {
            endpoint: Endpoint::ChatCompletions,
            caller_model: b"\"m\"",
            include_usage: true,
            cost: None,
        };
        let mut out = Vec::new();
        assert!(!write(
            br#"{"choices":[{"message":{"content":01}}]}"#,
            &telling,
            &mut out
        ));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn no_spelling_makes_a_difference(seed: u64) {
            let other = respelt(BODY, seed);
            let tell = |body: &str| told(body, Endpoint::ChatCompletions, true);
            prop_assert_eq!(tell(&other), tell(BODY));
        }
    }
}
