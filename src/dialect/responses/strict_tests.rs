//! What every stream of Responses has to keep to, for tests: a reader that insists on all of it.

use serde_json::{Value as Json, json};

/// A response as a caller puts it together of events.
#[derive(Debug, Default, PartialEq)]
pub(in crate::dialect) struct Told {
    pub(in crate::dialect) text: String,
    pub(in crate::dialect) refusal: String,
    pub(in crate::dialect) thinking: String,
    /// Call id, name and arguments or input of each call.
    pub(in crate::dialect) calls: Vec<[String; 3]>,
    /// The status of the response at its end; `None`: it has not ended.
    pub(in crate::dialect) status: Option<String>,
    /// The code of its error.
    pub(in crate::dialect) code: Option<String>,
}

/// The members that every response has.
const MEMBERS: [&str; 29] = [
    "id",
    "object",
    "created_at",
    "status",
    "background",
    "error",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "user",
];

/// The data of all events of a stream but signs of life; the events' names must be their types, and
/// their numbers must count from zero.
pub(in crate::dialect) fn events(out: &str) -> Vec<Json> {
    let mut found = Vec::new();
    for (number, event) in out.split_terminator("\n\n").enumerate() {
        let (name, data) = event.split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        assert!(!data.contains(['\n', '\r']), "{event}");
        let data: Json = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        assert_eq!(data["sequence_number"], number, "{event}");
        if data["type"] != "keepalive" {
            found.push(data);
        }
    }
    found
}

/// Checks that an object has exactly these members.
fn has(object: &Json, members: &[&str]) {
    let mut found: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(|key| &**key)
        .collect();
    let mut members = members.to_vec();
    found.sort_unstable();
    members.sort_unstable();
    assert_eq!(found, members, "{object}");
}

fn text<'j>(object: &'j Json, member: &str) -> &'j str {
    let value = &object[member];
    value
        .as_str()
        .unwrap_or_else(|| panic!("no {member} in {object}"))
}

/// An item that has begun and not ended.
struct Open {
    index: usize,
    item: Json,
    /// The parts that have ended.
    parts: Vec<Json>,
    /// The text and the logprobs of the open part.
    part: Option<(Json, String, Vec<Json>)>,
    /// Whether the text of a call has ended.
    has_ended: bool,
}

/// Puts a response together, and makes sure that each event has its place.
pub(in crate::dialect) fn told(events: &[Json]) -> Told {
    let (mut told, mut open, mut done) = (Told::default(), None::<Open>, Vec::new());
    for (place, event) in events.iter().enumerate() {
        assert_eq!(told.status, None, "{events:#?}");
        let kind = text(event, "type").strip_prefix("response.").unwrap();
        assert_eq!(place == 0, kind == "created");
        assert_eq!(place == 1, kind == "in_progress");
        match kind {
            "created" | "in_progress" => {
                has(event, &["type", "sequence_number", "response"]);
                check_response(&event["response"], "in_progress", &[]);
            }
            "completed" | "incomplete" | "failed" => {
                has(event, &["type", "sequence_number", "response"]);
                let response = &event["response"];
                check_response(response, kind, &done);
                assert!(kind == "failed" || open.is_none(), "{events:#?}");
                assert_eq!(response["error"].is_null(), kind != "failed");
                let details = &response["incomplete_details"];
                assert_eq!(details.is_null(), kind != "incomplete");
                told.status = Some(kind.to_owned());
                let code = response["error"]["code"].as_str();
                told.code = code.map(str::to_owned);
            }
            "output_item.added" => {
                assert!(open.is_none(), "{events:#?}");
                open = Some(begin(event, done.len()));
            }
            "output_item.done" => {
                let open = open.take().unwrap();
                done.push(end(open, event, &mut told));
            }
            kind => go_on(open.as_mut().unwrap(), kind, event),
        }
    }
    told
}

fn check_response(response: &Json, status: &str, output: &[Json]) {
    has(response, &MEMBERS);
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], status);
    assert!(text(response, "id").starts_with("resp_ifx_"));
    assert!(response["created_at"].is_u64());
    assert_eq!(response["output"], json!(output));
    assert_eq!(response["store"], false);
    if !response["usage"].is_null() {
        let usage = &response["usage"];
        let total = ["input_tokens", "output_tokens"].map(|name| usage[name].as_u64().unwrap());
        assert_eq!(usage["total_tokens"], total[0] + total[1]);
    }
}

fn begin(event: &Json, index: usize) -> Open {
    has(event, &["type", "sequence_number", "output_index", "item"]);
    assert_eq!(event["output_index"], index);
    let item = &event["item"];
    assert_eq!(item["status"], "in_progress");
    let empty = match text(item, "type") {
        "reasoning" => ("summary", json!([]), "rs_ifx_"),
        "message" => ("content", json!([]), "msg_ifx_"),
        "function_call" => ("arguments", json!(""), "fc_ifx_"),
        "custom_tool_call" => ("input", json!(""), "ctc_ifx_"),
        other => panic!("{other}"),
    };
    assert_eq!(item[empty.0], empty.1);
    assert!(text(item, "id").starts_with(empty.2));
    let is_call = empty.1.is_string();
    Open {
        index,
        item: item.clone(),
        parts: Vec::new(),
        part: is_call.then(|| (Json::Null, String::new(), Vec::new())),
        has_ended: false,
    }
}

/// Takes in an event within an item.
fn go_on(open: &mut Open, kind: &str, event: &Json) {
    assert_eq!(event["item_id"], open.item["id"], "{event}");
    assert_eq!(event["output_index"], open.index, "{event}");
    let item = text(&open.item, "type").to_owned();
    let within = ["type", "sequence_number", "item_id", "output_index"];
    let index = match &*item {
        "reasoning" => Some("summary_index"),
        "message" => Some("content_index"),
        _ => None,
    };
    if let Some(index) = index {
        assert_eq!(event[index], open.parts.len(), "{event}");
    }
    let with = |more: &[&str]| {
        let members: Vec<&str> = within
            .into_iter()
            .chain(index)
            .chain(more.to_vec())
            .collect();
        has(event, &members);
    };
    match kind {
        "reasoning_summary_part.added" | "content_part.added" => {
            with(&["part"]);
            assert!(open.part.is_none() && !open.has_ended, "{event}");
            let part = &event["part"];
            let of = match (&*item, text(part, "type")) {
                ("reasoning", "summary_text") | ("message", "output_text") => "text",
                ("message", "refusal") => "refusal",
                other => panic!("{other:?}"),
            };
            assert_eq!(part[of], "");
            open.part = Some((part.clone(), String::new(), Vec::new()));
        }
        "output_text.delta" => {
            with(&["delta", "logprobs"]);
            let (part, told, logprobs) = open.part.as_mut().unwrap();
            assert_eq!(part["type"], "output_text");
            told.push_str(text(event, "delta"));
            logprobs.extend_from_slice(event["logprobs"].as_array().unwrap());
        }
        "reasoning_summary_text.delta"
        | "refusal.delta"
        | "function_call_arguments.delta"
        | "custom_tool_call_input.delta" => {
            with(&["delta"]);
            assert!(
                !open.has_ended && !text(event, "delta").is_empty(),
                "{event}"
            );
            assert_eq!(kind, delta_of(open));
            open.part.as_mut().unwrap().1.push_str(text(event, "delta"));
        }
        "output_text.done" => {
            with(&["text", "logprobs"]);
            let (_, told, logprobs) = open.part.as_ref().unwrap();
            assert_eq!(
                (text(event, "text"), &event["logprobs"]),
                (&**told, &json!(logprobs))
            );
            open.has_ended = true;
        }
        "reasoning_summary_text.done" | "refusal.done" => {
            let member = if kind == "refusal.done" {
                "refusal"
            } else {
                "text"
            };
            with(&[member]);
            assert_eq!(text(event, member), open.part.as_ref().unwrap().1);
            open.has_ended = true;
        }
        "reasoning_summary_part.done" | "content_part.done" => {
            with(&["part"]);
            assert!(std::mem::take(&mut open.has_ended));
            let (mut part, told, logprobs) = open.part.take().unwrap();
            match text(&part, "type") {
                "refusal" => part["refusal"] = json!(told),
                "output_text" => {
                    part["text"] = json!(told);
                    part["logprobs"] = json!(logprobs);
                }
                _ => part["text"] = json!(told),
            }
            assert_eq!(event["part"], part);
            open.parts.push(part);
        }
        "function_call_arguments.done" => {
            with(&["name", "arguments"]);
            assert_eq!(event["name"], open.item["name"]);
            assert_eq!(text(event, "arguments"), open.part.as_ref().unwrap().1);
            open.has_ended = true;
        }
        "custom_tool_call_input.done" => {
            with(&["input"]);
            assert_eq!(text(event, "input"), open.part.as_ref().unwrap().1);
            open.has_ended = true;
        }
        other => panic!("{other}"),
    }
}

fn delta_of(open: &Open) -> &'static str {
    let part = &open.part.as_ref().unwrap().0;
    match (text(&open.item, "type"), part["type"].as_str()) {
        ("reasoning", _) => "reasoning_summary_text.delta",
        ("message", Some("refusal")) => "refusal.delta",
        ("function_call", _) => "function_call_arguments.delta",
        ("custom_tool_call", _) => "custom_tool_call_input.delta",
        other => panic!("{other:?}"),
    }
}

/// An item ends, and is as its events have told it.
fn end(open: Open, event: &Json, told: &mut Told) -> Json {
    has(event, &["type", "sequence_number", "output_index", "item"]);
    assert_eq!(event["output_index"], open.index);
    let mut expected = open.item;
    let item = &event["item"];
    expected["status"] = item["status"].clone();
    assert!(matches!(text(item, "status"), "completed" | "incomplete"));
    let all = |of: &str, member: &str| -> String {
        let parts = open.parts.iter().filter(|part| part["type"] == of);
        parts.map(|part| text(part, member)).collect()
    };
    match text(item, "type") {
        "reasoning" => {
            assert!(open.part.is_none());
            expected["summary"] = json!(open.parts);
            if !item["encrypted_content"].is_null() {
                assert!(text(item, "encrypted_content").starts_with("infermux.reasoning"));
                expected["encrypted_content"] = item["encrypted_content"].clone();
            }
            told.thinking.push_str(&all("summary_text", "text"));
        }
        "message" => {
            assert!(open.part.is_none() && !open.parts.is_empty());
            expected["content"] = json!(open.parts);
            told.text.push_str(&all("output_text", "text"));
            told.refusal.push_str(&all("refusal", "refusal"));
        }
        kind => {
            assert!(open.has_ended);
            let member = if kind == "function_call" {
                "arguments"
            } else {
                "input"
            };
            let whole = &open.part.as_ref().unwrap().1;
            expected[member] = json!(whole);
            let call = ["call_id", "name"].map(|name| text(item, name).to_owned());
            let [id, name] = call;
            told.calls.push([id, name, whole.clone()]);
        }
    }
    assert_eq!(*item, expected);
    item.clone()
}

/// Whether `found` is as expected: members without a value may be absent, ids and times are open
/// (section 9 of reference/responses-inbound.md). `ids` holds the ids that stand for each other.
pub(in crate::dialect) fn fits(
    found: &Json,
    expected: &Json,
    ids: &mut Vec<(String, String)>,
) -> bool {
    match (found, expected) {
        (Json::String(found), Json::String(expected)) if expected.contains("_ifx_") => {
            let [own, other] =
                [found, expected].map(|id| id.split_once("_ifx_").unwrap_or_default());
            let is_legal = |letter: char| matches!(letter, '0'..='9' | 'a'..='z');
            let pair = (found.clone(), expected.clone());
            let mut known = ids.iter().filter(|(a, b)| *a == pair.0 || *b == pair.1);
            let is_one_for_one = known.all(|known| *known == pair);
            ids.push(pair);
            own.0 == other.0 && own.1.len() >= 32 && own.1.chars().all(is_legal) && is_one_for_one
        }
        (Json::Object(found), Json::Object(expected)) => {
            let names = found.keys().chain(expected.keys());
            let value = |object: &'_ serde_json::Map<String, Json>, name: &String| {
                object.get(name).cloned().unwrap_or(Json::Null)
            };
            names.into_iter().all(|name| {
                name == "created_at" || fits(&value(found, name), &value(expected, name), ids)
            })
        }
        (Json::Array(found), Json::Array(expected)) => {
            let mut pairs = found.iter().zip(expected);
            found.len() == expected.len() && pairs.all(|(one, other)| fits(one, other, ids))
        }
        (found, expected) => found == expected,
    }
}
