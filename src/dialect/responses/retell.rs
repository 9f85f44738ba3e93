//! Tells a whole response as a stream, for a caller that wants a stream of a provider without any.
//!
//! Values of members are copied as they stand; items of kinds that do not grow come whole.

use crate::base::money::NanoUsd;
use crate::dialect::compose::{Composer, compact};
use crate::dialect::tariff;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;
use crate::wire::sse;

/// Appends the events for the response `body`, with `cost` where the caller wants it in the usage;
/// returns false, and appends nothing, where that is no JSON object. `caller_model` is the caller's
/// name for the model, a JSON string with its quotes.
#[must_use]
pub fn write(body: &[u8], caller_model: &[u8], cost: Option<NanoUsd>, out: &mut Vec<u8>) -> bool {
    if !is_json(body) || json::members(body).any(|member| member.is_err()) {
        return false;
    }
    let mut events = Events { number: 0, out };
    for name in ["response.created", "response.in_progress"] {
        events.tell(name, |event| {
            copy(body, event.member("response"), |name| match name {
                b"status" => Some(b"\"in_progress\""),
                b"model" => Some(caller_model),
                b"output" | b"tools" => Some(b"[]"),
                b"instructions" | b"usage" | b"error" | b"incomplete_details" => Some(b"null"),
                _ => None,
            });
        });
    }
    let output = json::member(body, b"output").map(|output| output.value);
    let items = output.iter().flat_map(elements);
    for (index, item) in (0..).zip(items) {
        tell_item(&mut events, index, &item);
    }
    tell_end(&mut events, body, caller_model, cost);
    true
}

/// Events, which have numbers.
struct Events<'o> {
    number: u64,
    out: &'o mut Vec<u8>,
}

impl Events<'_> {
    /// Appends the event of this name; `write` adds its other members.
    fn tell(&mut self, name: &str, write: impl FnOnce(&mut Composer<'_>)) {
        for part in [b"event: ", name.as_bytes(), b"\ndata: "] {
            self.out.extend_from_slice(part);
        }
        let start = self.out.len();
        let mut event = Composer::object(self.out);
        event.string("type", name);
        event.number("sequence_number", self.number);
        write(&mut event);
        event.end();
        sse::end_event(start, self.out);
        self.number += 1;
    }
}

/// Where something stands: its item, and its place within that.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The item's id, as JSON.
    item: &'a [u8],
    index: u64,
    /// The name of the place within, and its number.
    part: Option<(&'static str, u64)>,
}

impl Place<'_> {
    fn write(self, event: &mut Composer<'_>) {
        event.raw("item_id", self.item);
        event.number("output_index", self.index);
        if let Some((name, number)) = self.part {
            event.number(name, number);
        }
    }
}

fn tell_item(events: &mut Events<'_>, index: u64, item: &Value<'_>) {
    let member = |name: &[u8]| json::member(item.text, name).map(|member| member.value);
    let kind = member(b"type").map(|kind| kind.word().into_owned());
    let (grows, empty): (Option<&[u8]>, &[u8]) = match kind.as_deref() {
        Some(b"message") => (Some(b"content"), b"[]"),
        Some(b"reasoning") => (Some(b"summary"), b"[]"),
        Some(b"function_call") => (Some(b"arguments"), b"\"\""),
        Some(b"custom_tool_call") => (Some(b"input"), b"\"\""),
        _ => (None, b""),
    };
    events.tell("response.output_item.added", |event| {
        event.number("output_index", index);
        copy(item.text, event.member("item"), |name| match name {
            b"status" => Some(b"\"in_progress\""),
            name if Some(name) == grows => Some(empty),
            _ => None,
        });
    });
    let place = Place {
        item: member(b"id").map_or(b"\"\"", |id| id.text),
        index,
        part: None,
    };
    if let Some((grows, grown)) = grows.and_then(|name| Some((name, member(name)?))) {
        match grows {
            b"content" => tell_parts(events, place, &grown, &MESSAGE),
            b"summary" => tell_parts(events, place, &grown, &REASONING),
            b"arguments" => {
                let name = member(b"name").map(|name| name.text);
                tell_text(
                    events,
                    place,
                    &Text::of("response.function_call_arguments", &grown),
                    |event| event.raw_if("name", name),
                );
            }
            _ => {
                let text = Text::of("response.custom_tool_call_input", &grown);
                tell_text(events, place, &text, |_| {});
            }
        }
    }
    events.tell("response.output_item.done", |event| {
        event.number("output_index", index);
        compact(item.text, event.member("item"));
    });
}

/// How the parts of an item are called.
struct Parts {
    /// The name of the events with a part.
    part: &'static str,
    /// The name of its number.
    number: &'static str,
    /// The members that grow, and the names of the events with them.
    grow: &'static [(&'static str, &'static str)],
}

const MESSAGE: Parts = Parts {
    part: "response.content_part",
    number: "content_index",
    grow: &[
        ("text", "response.output_text"),
        ("refusal", "response.refusal"),
    ],
};
const REASONING: Parts = Parts {
    part: "response.reasoning_summary_part",
    number: "summary_index",
    grow: &[("text", "response.reasoning_summary_text")],
};

fn tell_parts(events: &mut Events<'_>, item: Place<'_>, parts: &Value<'_>, names: &Parts) {
    for (number, part) in (0..).zip(elements(parts)) {
        let place = Place {
            part: Some((names.number, number)),
            ..item
        };
        let member = |name: &str| json::member(part.text, name.as_bytes());
        let mut grown = names.grow.iter();
        let grown = grown.find_map(|(name, events)| Some((*name, *events, member(name)?.value)));
        events.tell(&format!("{}.added", names.part), |event| {
            place.write(event);
            copy(part.text, event.member("part"), |name| {
                let is_grown = grown.is_some_and(|(grown, ..)| name == grown.as_bytes());
                is_grown.then_some(&b"\"\""[..])
            });
        });
        if let Some((name, stem, value)) = grown {
            let probabilities = member("logprobs").map(|list| list.value.text);
            let is_told = stem == "response.output_text";
            let text = Text {
                member: name,
                ..Text::of(stem, &value)
            };
            tell_text(events, place, &text, |event| {
                if is_told {
                    event.raw("logprobs", probabilities.unwrap_or(b"[]"));
                }
            });
        }
        events.tell(&format!("{}.done", names.part), |event| {
            place.write(event);
            compact(part.text, event.member("part"));
        });
    }
}

/// A text that grows.
struct Text<'v> {
    /// How its events are called.
    stem: &'static str,
    /// The name of the member that has all of it.
    member: &'static str,
    /// The text, a JSON string.
    value: &'v [u8],
}

impl<'v> Text<'v> {
    fn of(stem: &'static str, value: &Value<'v>) -> Self {
        let member = stem.rsplit('_').next().unwrap_or_default();
        Self {
            stem,
            member,
            value: value.text,
        }
    }
}

/// Tells a text: in one piece, unless it is empty, and then that this is all. `add` writes what
/// these events have besides.
fn tell_text(
    events: &mut Events<'_>,
    place: Place<'_>,
    text: &Text<'_>,
    add: impl Fn(&mut Composer<'_>),
) {
    if text.value != b"\"\"" {
        events.tell(&format!("{}.delta", text.stem), |event| {
            place.write(event);
            event.raw("delta", text.value);
            if text.stem == "response.output_text" {
                add(event);
            }
        });
    }
    events.tell(&format!("{}.done", text.stem), |event| {
        place.write(event);
        event.raw(text.member, text.value);
        add(event);
    });
}

/// The end of the response: all of it.
fn tell_end(events: &mut Events<'_>, body: &[u8], caller_model: &[u8], cost: Option<NanoUsd>) {
    let member = |name: &[u8]| json::member(body, name).map(|member| member.value);
    let status = member(b"status").map(|status| status.word().into_owned());
    let name = match status.as_deref() {
        Some(b"incomplete") => "response.incomplete",
        Some(b"failed") => "response.failed",
        _ => "response.completed",
    };
    let cost = cost.map(tariff::number);
    let usage = member(b"usage").filter(|usage| usage.kind == Kind::Object);
    let usage = usage.zip(cost.as_ref()).map(|(usage, cost)| {
        let mut splice = Splice::new(usage.text);
        tariff::insert(&Value { at: 0, ..usage }, cost, &mut splice);
        let mut told = Vec::new();
        splice.write(&mut told);
        told
    });
    events.tell(name, |event| {
        copy(body, event.member("response"), |name| match name {
            b"model" => Some(caller_model),
            b"usage" => usage.as_deref(),
            _ => None,
        });
    });
}

/// Appends an object with some members changed: `change` gives the other value of the member with
/// this name.
fn copy<'c>(object: &[u8], out: &mut Vec<u8>, change: impl Fn(&[u8]) -> Option<&'c [u8]>) {
    let (mut copied, mut room) = (Composer::object(out), Vec::new());
    for member in json::members(object).map_while(Result::ok) {
        let to = copied.element();
        to.extend_from_slice(member.name.quoted);
        to.push(b':');
        match change(member.name.read(&mut room)) {
            Some(other) => compact(other, to),
            None => compact(member.value.text, to),
        }
    }
    copied.end();
}

fn elements<'a>(list: &Value<'a>) -> impl Iterator<Item = Value<'a>> + use<'a> {
    json::elements(list.text).map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::dialect::expected::events;

    #[test]
    fn a_member_without_a_name_stays_as_it_is() {
        let item = json!({"type": "image_generation_call", "": "x"});
        let told = told(&json!({"id": "r", "output": [item]}), None);
        let of = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
        assert_eq!(of("response.output_item.added"), 1);
        assert_eq!(of("response.custom_tool_call_input.delta"), 0);
        let added = told.iter().find(|event| event["item"][""] == "x");
        assert!(added.is_some(), "{told:?}");
    }

    fn told(body: &Json, cost: Option<NanoUsd>) -> Vec<Json> {
        let mut out = Vec::new();
        let pretty = serde_json::to_string_pretty(body).unwrap();
        assert!(write(pretty.as_bytes(), b"\"mine\"", cost, &mut out));
        events(&String::from_utf8(out).unwrap())
    }

    fn response(status: &str, output: &Json) -> Json {
        json!({"id": "resp_1", "object": "response", "status": status, "model": "theirs",
            "error": null, "instructions": "be", "tools": [{"type": "function"}],
            "output": output, "usage": {"input_tokens": 3, "output_tokens": 5}})
    }

    #[test]
    fn a_response_comes_as_its_items() {
        let text = json!({"type": "output_text", "text": "Hi\n", "annotations": [1],
            "logprobs": [{"token": "Hi"}]});
        let refusal = json!({"type": "refusal", "refusal": "no"});
        let output = json!([
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}],
                "status": "completed"},
            {"type": "message", "id": "msg", "role": "assistant", "status": "completed",
                "content": [text, refusal, {"type": "output_text", "text": ""}]},
            {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "id": "ctc", "call_id": "d", "name": "g", "input": "x"},
            {"type": "web_search_call", "id": "ws", "status": "completed"},
        ]);
        let events = told(&response("completed", &output), None);
        let names: Vec<&str> = events
            .iter()
            .map(|one| one["type"].as_str().unwrap())
            .collect();
        let expected = "response.created response.in_progress \
            response.output_item.added response.reasoning_summary_part.added \
            response.reasoning_summary_text.delta response.reasoning_summary_text.done \
            response.reasoning_summary_part.done response.output_item.done \
            response.output_item.added \
            response.content_part.added response.output_text.delta response.output_text.done \
            response.content_part.done \
            response.content_part.added response.refusal.delta response.refusal.done \
            response.content_part.done \
            response.content_part.added response.output_text.done response.content_part.done \
            response.output_item.done \
            response.output_item.added response.function_call_arguments.delta \
            response.function_call_arguments.done response.output_item.done \
            response.output_item.added response.custom_tool_call_input.delta \
            response.custom_tool_call_input.done response.output_item.done \
            response.output_item.added response.output_item.done response.completed";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
        let begun = &events[0]["response"];
        for (name, value) in [
            ("status", json!("in_progress")),
            ("model", json!("mine")),
            ("output", json!([])),
            ("tools", json!([])),
            ("instructions", Json::Null),
            ("usage", Json::Null),
            ("id", json!("resp_1")),
        ] {
            assert_eq!(begun[name], value, "{name}");
        }
        let delta = json!({"type": "response.output_text.delta", "sequence_number": 10,
            "item_id": "msg", "output_index": 1, "content_index": 0, "delta": "Hi\n",
            "logprobs": [{"token": "Hi"}]});
        assert_eq!(events[10], delta);
        let mut emptied = text.clone();
        emptied["text"] = json!("");
        assert_eq!(events[9]["part"], emptied);
        assert_eq!(events[11]["text"], "Hi\n");
        assert_eq!(events[12]["part"], text);
        assert_eq!(events[15]["refusal"], "no");
        assert_eq!(events[2]["item"]["summary"], json!([]));
        assert_eq!(events[2]["item"]["status"], "in_progress");
        assert_eq!(
            (&events[4]["summary_index"], &events[4]["delta"]),
            (&json!(0), &json!("hm"))
        );
        let done = json!({"type": "response.function_call_arguments.done", "sequence_number": 23,
            "item_id": "fc", "output_index": 2, "arguments": "{}", "name": "f"});
        assert_eq!(events[23], done);
        assert_eq!(events[27]["input"], "x");
        assert_eq!(events[30]["item"], output[4]);
        let mut whole = response("completed", &output);
        whole["model"] = json!("mine");
        assert_eq!(events[31]["response"], whole);
    }

    #[test]
    fn its_end_says_how_it_ended_and_what_it_cost() {
        for (status, name) in [
            ("completed", "response.completed"),
            ("incomplete", "response.incomplete"),
            ("failed", "response.failed"),
        ] {
            let events = told(
                &response(status, &json!([])),
                Some(NanoUsd::new(500_000_000)),
            );
            assert_eq!(events.len(), 3);
            assert_eq!(events[2]["type"], name);
            let usage = json!({"input_tokens": 3, "output_tokens": 5, "cost_usd": 0.5});
            assert_eq!(events[2]["response"]["usage"], usage);
        }
        for body in ["", "[]", "{\"output\":01}"] {
            let mut out = Vec::new();
            assert!(!write(body.as_bytes(), b"\"m\"", None, &mut out) && out.is_empty());
        }
    }
}
