//! What the vectors of Messages expect, and what every stream of Messages has to keep to.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::tokens::Tokens;
use crate::dialect::shell::plan::{IncludeUsage, StreamPlan, Thoughts, UsageChunk, Wanted};

/// A stream of chat completions for a caller of Messages.
pub(super) fn plan<'a>(caller_model: &'a [u8], wanted: Wanted<'a>) -> StreamPlan<'a> {
    StreamPlan {
        caller: Dialect::Messages,
        provider: Dialect::Chat,
        endpoint: Endpoint::ChatCompletions,
        caller_model,
        usage: UsageChunk::Injected,
        include_usage: IncludeUsage::No,
        notes_apart: false,
        wanted: Wanted {
            prompt: Tokens::new(7),
            seed: [1, 2],
            ..wanted
        },
        tariff: None,
        created: 0,
        event_bytes_max: 1 << 20,
    }
}

/// The vectors in this folder of tests/golden/messages.
pub(super) fn vectors<V: DeserializeOwned>(kind: &str) -> Vec<V> {
    vectors_of("messages", kind)
}

/// The vectors in this folder of tests/golden and this dialect.
pub(super) fn vectors_of<V: DeserializeOwned>(dialect: &str, kind: &str) -> Vec<V> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = folder.join(dialect).join(kind).read_dir().unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    texts
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

/// Whether the members of a caller's request ask for thoughts.
pub(super) fn thoughts(request: &Json) -> Thoughts {
    match request["thinking"]["type"].as_str() {
        Some("enabled" | "adaptive" | "between_tools") => Thoughts::Shown,
        _ => Thoughts::Hidden,
    }
}

/// The stop sequences of a caller's request.
pub(super) fn stops(request: &Json) -> Vec<Box<str>> {
    serde_json::from_value(request["stop_sequences"].clone()).unwrap_or_default()
}

/// Whether `found` is as expected: there are open places, and members that may be `null` (section
/// 10 of reference/messages-inbound.md). `place` is the name of the member.
pub(super) fn fits(found: &Json, expected: &Json, place: &str) -> bool {
    match (found, expected) {
        (Json::String(found), Json::String(expected)) if expected == "*" => {
            place != "id" || (found.len() >= 20 && found.is_ascii())
        }
        (Json::Object(usage), Json::String(expected)) if expected == "#" => {
            usage.len() >= 4 && usage.values().all(Json::is_u64)
        }
        (Json::Number(count), Json::String(expected)) if expected == "#" => {
            count.as_u64().is_some_and(|count| count > 0)
        }
        (Json::Object(found), Json::Object(expected)) => {
            let is_known = |name: &String| expected.contains_key(name) || found[name].is_null();
            let are_known = found.keys().all(is_known);
            let mut members = expected.iter();
            let member = |name: &String| found.get(name).unwrap_or(&Json::Null);
            are_known && members.all(|(name, value)| fits(member(name), value, name))
        }
        (Json::Array(found), Json::Array(expected)) => {
            let mut pairs = found.iter().zip(expected);
            found.len() == expected.len() && pairs.all(|(one, other)| fits(one, other, place))
        }
        (found, expected) => found == expected,
    }
}

/// The data of all events of a stream, pings aside; the events' names must be their types.
pub(super) fn events(out: &str) -> Vec<Json> {
    let events = out.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        assert!(!data.contains(['\n', '\r']), "{event}");
        // Half of a surrogate pair is JSON, which serde_json does not take for text.
        let data = data.replace("\\ud800", "\\ufffd");
        let data: Json = serde_json::from_str(&data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    });
    events.filter(|event| event["type"] != "ping").collect()
}

/// A message as a caller puts it together of events.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) thinking: String,
    /// Id, name and arguments of each call.
    pub(super) calls: Vec<[String; 3]>,
    pub(super) stop_reason: Option<String>,
    pub(super) is_whole: bool,
}

/// Puts a message together; makes sure that the blocks follow each other by their numbers, one open
/// at a time, and that beginning and end come once.
pub(super) fn told(events: &[Json]) -> Told {
    let (mut told, mut open, mut blocks) = (Told::default(), None, 0);
    for (place, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(place == 0, kind == "message_start", "{events:#?}");
        assert!(!told.is_whole);
        match kind {
            "message_start" => {}
            "content_block_start" => {
                assert!(open.is_none() && told.stop_reason.is_none(), "{events:#?}");
                assert_eq!(event["index"], blocks);
                let block = &event["content_block"];
                open = Some(block["type"].as_str().unwrap());
                blocks += 1;
                if block["type"] == "tool_use" {
                    let text = |name: &str| block[name].as_str().unwrap().to_owned();
                    told.calls.push([text("id"), text("name"), String::new()]);
                }
            }
            "content_block_delta" => {
                assert_eq!(event["index"], blocks - 1);
                let delta = &event["delta"];
                let text = |name: &str| delta[name].as_str().unwrap();
                match (delta["type"].as_str().unwrap(), open) {
                    ("text_delta", Some("text")) => told.text.push_str(text("text")),
                    ("thinking_delta", Some("thinking")) => {
                        told.thinking.push_str(text("thinking"));
                    }
                    ("signature_delta", Some("thinking")) => {
                        assert!(text("signature").starts_with("infermux."));
                    }
                    ("input_json_delta", Some("tool_use")) => {
                        told.calls.last_mut().unwrap()[2].push_str(text("partial_json"));
                    }
                    other => panic!("{other:?}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(event["index"], blocks - 1);
                assert!(open.take().is_some());
            }
            "message_delta" => {
                assert!(open.is_none() && told.stop_reason.is_none());
                told.stop_reason = event["delta"]["stop_reason"].as_str().map(str::to_owned);
            }
            "message_stop" => {
                assert!(told.stop_reason.is_some());
                told.is_whole = true;
            }
            "error" => assert_eq!(place + 1, events.len()),
            other => panic!("{other}"),
        }
    }
    told
}
