//! Tells a whole message as a stream, for a caller that wants a stream of a provider that has none.
//!
//! Values of members are copied as they stand; blocks of kinds that do not grow come whole.

use super::write_event::frames::{self, Delta};
use crate::base::money::NanoUsd;
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::{tariff, verbatim};
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;

/// Appends the events for the message `body`, with `cost` where the caller wants it in the usage;
/// returns false, and appends nothing, where that is no JSON object. `caller_model` is the caller's
/// name for the model, a JSON string with its quotes.
#[must_use]
pub fn write(body: &[u8], caller_model: &[u8], cost: Option<NanoUsd>, out: &mut Vec<u8>) -> bool {
    if !is_json(body) || json::members(body).any(|member| member.is_err()) {
        return false;
    }
    write_start(body, caller_model, out);
    let content = json::member(body, b"content").map(|content| content.value);
    let blocks = content.iter().flat_map(|list| json::elements(list.text));
    for (index, block) in (0..).zip(blocks.map_while(Result::ok)) {
        write_block(index, &block, out);
    }
    write_end(body, cost, out);
    true
}

/// The beginning of the message: all of its members, but nothing of what comes later.
fn write_start(body: &[u8], caller_model: &[u8], out: &mut Vec<u8>) {
    let (mut data, mut room) = (Vec::new(), Vec::new());
    let mut event = Composer::object(&mut data);
    event.string("type", "message_start");
    let mut message = Composer::object(event.member("message"));
    for member in json::members(body).map_while(Result::ok) {
        let to = message.element();
        to.extend_from_slice(member.name.quoted);
        to.push(b':');
        match member.name.read(&mut room) {
            b"content" => to.extend_from_slice(b"[]"),
            b"model" => to.extend_from_slice(caller_model),
            b"stop_reason" | b"stop_sequence" | b"stop_details" => to.extend_from_slice(b"null"),
            _ => compact(member.value.text, to),
        }
    }
    message.end();
    event.end();
    frames::write("message_start", &[&data], out);
}

fn write_block(index: u32, block: &Value<'_>, out: &mut Vec<u8>) {
    let mut grown = [None; 3];
    let (mut start, mut room) = (Vec::new(), Vec::new());
    let mut copied = Composer::object(&mut start);
    for member in json::members(block.text).map_while(Result::ok) {
        let to = copied.element();
        to.extend_from_slice(member.name.quoted);
        to.push(b':');
        let value = member.value;
        let (delta, empty) = match (member.name.read(&mut room), value.kind) {
            (b"text", Kind::String) => (Delta::Text, &b"\"\""[..]),
            (b"thinking", Kind::String) => (Delta::Thinking, &b"\"\""[..]),
            (b"signature", Kind::String) => (Delta::Signature, &b"\"\""[..]),
            (b"input", Kind::Object) => (Delta::Arguments, &b"{}"[..]),
            (_, _) => {
                compact(value.text, to);
                continue;
            }
        };
        to.extend_from_slice(empty);
        // The signature comes behind what it signs.
        let place =
            usize::from(delta == Delta::Signature) + 2 * usize::from(delta == Delta::Arguments);
        grown[place] = Some((delta, value));
    }
    copied.end();
    frames::write_start(index, &start, out);
    for (delta, value) in grown.into_iter().flatten() {
        let mut text = Vec::new();
        let piece = match delta {
            Delta::Arguments => match verbatim::write_compact(&value, &mut text) {
                Ok(()) => &*text,
                Err(_) => b"{}",
            },
            Delta::Text | Delta::Thinking | Delta::Signature => between_quotes(value.text),
        };
        if !piece.is_empty() {
            frames::write_delta(index, delta, piece, out);
        }
    }
    frames::write_stop(index, out);
}

fn write_end(body: &[u8], cost: Option<NanoUsd>, out: &mut Vec<u8>) {
    let member = |name: &[u8]| json::member(body, name).map(|member| member.value);
    let mut data = Vec::new();
    let mut event = Composer::object(&mut data);
    event.string("type", "message_delta");
    let mut delta = Composer::object(event.member("delta"));
    // Without a reason, readers take the message for one that was cut.
    let reason = member(b"stop_reason").filter(|reason| reason.kind == Kind::String);
    delta.raw(
        "stop_reason",
        reason.map_or(b"\"end_turn\"", |reason| reason.text),
    );
    for name in ["stop_sequence", "stop_details"] {
        if let Some(value) = member(name.as_bytes()) {
            compact(value.text, delta.member(name));
        }
    }
    delta.end();
    if let Some(usage) = member(b"usage").filter(|usage| usage.kind == Kind::Object) {
        let cost = cost.map(tariff::number);
        let mut splice = Splice::new(usage.text);
        if let Some(cost) = &cost {
            tariff::insert(&Value { at: 0, ..usage }, cost, &mut splice);
        }
        let mut told = Vec::new();
        splice.write(&mut told);
        compact(&told, event.member("usage"));
    }
    event.end();
    frames::write("message_delta", &[&data], out);
    frames::write("message_stop", &[br#"{"type":"message_stop"}"#], out);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::dialect::expected::events;

    fn told(body: &Json, cost: Option<NanoUsd>) -> Vec<Json> {
        let mut out = Vec::new();
        let pretty = serde_json::to_string_pretty(body).unwrap();
        assert!(write(pretty.as_bytes(), b"\"mine\"", cost, &mut out));
        events(&String::from_utf8(out).unwrap())
    }

    fn start(index: usize, block: &Json) -> Json {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    fn delta(index: usize, delta: &Json) -> Json {
        json!({"type": "content_block_delta", "index": index, "delta": delta})
    }

    #[test]
    fn a_message_comes_as_its_blocks() {
        let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "theirs",
            "content": [
                {"type": "thinking", "signature": "s", "thinking": "hm\n"},
                {"type": "text", "text": "Hi", "citations": [1]},
                {"type": "text", "text": ""},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": "\"é"}},
                {"type": "new", "payload": {"n": 1.5}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 3, "output_tokens": 5}});
        let stop = |index: usize| json!({"type": "content_block_stop", "index": index});
        let mut first = body.clone();
        for (name, value) in [
            ("content", json!([])),
            ("model", json!("mine")),
            ("stop_reason", Json::Null),
        ] {
            first[name] = value;
        }
        let expected = [
            json!({"type": "message_start", "message": first}),
            start(
                0,
                &json!({"type": "thinking", "thinking": "", "signature": ""}),
            ),
            delta(0, &json!({"type": "thinking_delta", "thinking": "hm\n"})),
            delta(0, &json!({"type": "signature_delta", "signature": "s"})),
            stop(0),
            start(1, &json!({"type": "text", "text": "", "citations": [1]})),
            delta(1, &json!({"type": "text_delta", "text": "Hi"})),
            stop(1),
            start(2, &json!({"type": "text", "text": ""})),
            stop(2),
            start(
                3,
                &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
            ),
            delta(
                3,
                &json!({"type": "input_json_delta", "partial_json": r#"{"a":"\"é"}"#}),
            ),
            stop(3),
            start(4, &json!({"type": "new", "payload": {"n": 1.5}})),
            stop(4),
            json!({"type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"input_tokens": 3, "output_tokens": 5, "cost_usd": 0.5}}),
            json!({"type": "message_stop"}),
        ];
        assert_eq!(told(&body, Some(NanoUsd::new(500_000_000))), expected);
    }

    #[test]
    fn what_is_missing_is_put_in_place() {
        let events = told(&json!({"content": []}), None);
        assert_eq!(events.len(), 3);
        assert_eq!(events[1]["delta"]["stop_reason"], "end_turn");
        for body in ["", "[]", "{\"content\":01}"] {
            let mut out = Vec::new();
            assert!(!write(body.as_bytes(), b"\"m\"", None, &mut out) && out.is_empty());
        }
    }
}
