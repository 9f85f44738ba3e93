//! Tests of the translation: the vectors, the rules one by one, and any split of any stream.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::driven::{self, Former, Run};
use super::*;
use crate::base::endpoint::Endpoint;
use crate::base::limits::OPEN_BLOCKS_MAX;
use crate::base::tokens::{Counts, Tokens};
use crate::decide::outcome::{KeyOwner, Next, Outcome};
use crate::dialect::chat::write_error;
use crate::dialect::messages::read_error;
use crate::dialect::shell::plan::{IncludeUsage, UsageChunk, Wanted};
use crate::wire::json::respelt::respelt;

const PLAN: StreamPlan<'static> = StreamPlan {
    caller: Dialect::Chat,
    provider: Dialect::Messages,
    endpoint: Endpoint::ChatCompletions,
    caller_model: b"\"mine\"",
    usage: UsageChunk::Untouched,
    include_usage: IncludeUsage::No,
    notes_apart: false,
    wanted: Wanted::NOTHING,
    tariff: None,
    created: 7,
    event_bytes_max: EVENT_BYTES_MAX,
};

const EVENT_BYTES_MAX: usize = 1 << 20;

impl Run {
    /// The data of every event; data that is not JSON as a string.
    fn events(&self) -> Vec<Json> {
        let events = self.out.split_terminator("\n\n").map(|event| {
            let data = event.strip_prefix("data: ").unwrap();
            assert!(!data.contains(['\n', '\r']), "{event}");
            serde_json::from_str(data).unwrap_or_else(|_| data.into())
        });
        events.collect()
    }

    /// The deltas of all chunks with a choice.
    fn deltas(&self) -> Vec<Json> {
        let events = self.events();
        let deltas = events
            .iter()
            .map(|event| event["choices"][0]["delta"].clone());
        deltas.filter(|delta| !delta.is_null()).collect()
    }

    /// The finish reasons of all chunks.
    fn finish_reasons(&self) -> Vec<String> {
        let events = self.events();
        let reasons = events
            .iter()
            .filter_map(|event| event["choices"][0]["finish_reason"].as_str());
        reasons.map(str::to_owned).collect()
    }
}

/// Translates the stream that comes in `reads`.
fn translate(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    with_former(|former| driven::drive(plan, former, reads))
}

/// Translates `stream`, in any split.
fn run(plan: &StreamPlan<'_>, stream: &str) -> Run {
    with_former(|former| driven::run(plan, former, stream))
}

fn with_former(drive: impl Fn(&Former<'_>) -> Run) -> Run {
    let before = [
        MESSAGE,
        &tool_start(0, r#"{"a":1}"#),
        &text_delta(3, "x"),
        "data: {\"type",
    ]
    .concat();
    drive(&Former {
        plan: StreamPlan {
            caller_model: b"\"other\"",
            include_usage: IncludeUsage::Yes,
            created: 1,
            ..PLAN
        },
        bytes: before.as_bytes(),
    })
}

/// Joins events and translates them.
fn run_all(events: &[&str]) -> Run {
    run(&PLAN, &events.concat())
}

const MESSAGE: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",",
    "\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
);
const END_TURN: &str = concat!(
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
    "\"usage\":{\"output_tokens\":9}}\n\n",
);
const STOP: &str = "data: {\"type\":\"message_stop\"}\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const ERROR: &str = concat!(
    "data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",",
    "\"message\":\"say \\\"no\\\"\"}}\n\n",
);

fn start(index: u32, block: &str) -> String {
    format!(
        "data: {{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{block}}}\n\n"
    )
}

fn tool_start(index: u32, input: &str) -> String {
    let block =
        format!(r#"{{"type":"tool_use","id":"toolu_{index}","name":"f{index}","input":{input}}}"#);
    start(index, &block)
}

fn delta(index: u32, delta: &str) -> String {
    format!("data: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{delta}}}\n\n")
}

/// A delta of text, which is the inside of a JSON string.
fn text_delta(index: u32, text: &str) -> String {
    delta(
        index,
        &format!(r#"{{"type":"text_delta","text":"{text}"}}"#),
    )
}

fn input_delta(index: u32, json: &str) -> String {
    let json = Json::from(json);
    delta(
        index,
        &format!(r#"{{"type":"input_json_delta","partial_json":{json}}}"#),
    )
}

fn stop(index: u32) -> String {
    format!("data: {{\"type\":\"content_block_stop\",\"index\":{index}}}\n\n")
}

fn message_delta(delta: &str) -> String {
    format!("data: {{\"type\":\"message_delta\",\"delta\":{delta}}}\n\n")
}

fn arguments(tool: u32, text: &str) -> Json {
    json!({"tool_calls": [{"index": tool, "function": {"arguments": text}}]})
}

fn call(tool: u32, block: u32) -> Json {
    json!({"tool_calls": [{
        "index": tool,
        "id": format!("toolu_{block}"),
        "type": "function",
        "function": {"name": format!("f{block}"), "arguments": ""},
    }]})
}

fn role() -> Json {
    json!({"role": "assistant", "content": ""})
}

#[test]
fn the_published_vectors_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/anthropic/stream");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        check_vector(&serde_json::from_str(&text).unwrap());
        count += 1;
    }
    assert_eq!(count, 47);
}

fn check_vector(vector: &Json) {
    let id = vector["id"].as_str().unwrap();
    let caller_model = json::quoted(vector["caller_model"].as_str().unwrap());
    let plan = StreamPlan {
        caller_model: &caller_model,
        include_usage: if vector["include_usage"] == true {
            IncludeUsage::Yes
        } else {
            IncludeUsage::No
        },
        created: 0,
        ..PLAN
    };
    let stream = vector["anthropic_sse"].as_str().unwrap();
    let run = run(&plan, stream);
    if let Some(splits) = vector["read_splits"].as_array() {
        let mut places: Vec<usize> = vec![0, stream.len()];
        places.extend(
            splits
                .iter()
                .map(|at| usize::try_from(at.as_u64().unwrap()).unwrap()),
        );
        assert_eq!(translate(&plan, &cut(stream.as_bytes(), places)), run);
    }
    if let Some(before) = vector.get("before_commit") {
        assert_eq!((run.out.as_str(), run.committed), ("", false), "{id}");
        return check_failed_attempt(id, &run, before);
    }
    let mut expected = vector["openai_events"].as_array().unwrap().clone();
    let is_complete = expected.last() == Some(&"[DONE]".into());
    assert_eq!(run.end.is_ok(), is_complete, "{id}");
    // `exchange` writes infermux's own errors.
    if run.end == Err(StreamFault::Cut) {
        assert_eq!(expected.pop().unwrap()["error"]["type"], "infermux_error");
    }
    assert_eq!(run.events(), expected, "{id}");
    let recorded = &vector["recorded_usage"];
    if let Some(prompt) = recorded["prompt_tokens"].as_u64() {
        let usage = run.usage.unwrap();
        let details = &recorded["prompt_tokens_details"];
        assert_eq!(usage.prompt.get(), prompt, "{id}");
        assert_eq!(
            recorded["completion_tokens"],
            usage.completion.get(),
            "{id}"
        );
        assert_eq!(details["cached_tokens"], usage.cache_read.get(), "{id}");
        assert_eq!(
            details["cache_write_tokens"],
            usage.cache_write.get(),
            "{id}"
        );
    }
}

/// The outcome of an attempt that failed before the caller was sent anything.
fn check_failed_attempt(id: &str, run: &Run, expected: &Json) {
    let Some(event) = &run.error else {
        assert_eq!(expected["translated"], Json::Null, "{id}");
        assert_eq!(run.end, Err(StreamFault::Cut), "{id}");
        return;
    };
    assert_eq!(run.end, Err(StreamFault::Error), "{id}");
    let mut told = Vec::new();
    let complaint = read_error::read(None, event);
    write_error::write(&complaint, &mut told);
    let told: Json = serde_json::from_slice(&told).unwrap();
    assert_eq!(told, expected["translated"]["body"], "{id}");
    let outcome = read_error::outcome(&complaint, KeyOwner::Infermux);
    let goes_on = outcome.next() == Next::Another;
    assert_eq!(goes_on, expected["outcome"]["next_provider"], "{id}");
    if let Outcome::RequestRefused(status) = outcome {
        assert_eq!(status, expected["translated"]["status"], "{id}");
    }
}

/// The pieces of `stream` between `places`.
fn cut(stream: &[u8], mut places: Vec<usize>) -> Vec<&[u8]> {
    places.sort_unstable();
    let pairs = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
    pairs.collect()
}

#[test]
fn text_is_copied_as_it_was_written() {
    let text = r#"\"a\\\/\n\u00e9\ud83d\ude00 水 "#;
    let run = run_all(&[MESSAGE, &text_delta(0, text), END_TURN, STOP]);
    let head = concat!(
        r#"data: {"id":"msg_1","object":"chat.completion.chunk","created":7,"model":"mine","#,
        r#""choices":[{"index":0,"delta":"#,
    );
    let tail = r#","finish_reason":null}]}"#;
    let chunk = format!("{head}{{\"content\":\"{text}\"}}{tail}\n\n");
    assert!(run.out.contains(&chunk), "{}", run.out);
    assert!(run.out.ends_with("data: [DONE]\n\n"));
}

#[test]
fn deltas_that_look_alike_are_not_read_again() {
    let mut translator = Shell::default();
    translator.reset(&PLAN);
    let mut out = Vec::new();
    for first in [
        MESSAGE,
        &tool_start(1, "{}"),
        &text_delta(0, "a"),
        &input_delta(1, "{"),
    ] {
        translator.push(first.as_bytes(), &mut out).unwrap();
    }
    let alike = [
        text_delta(0, "bé"),
        input_delta(1, "\"x"),
        text_delta(0, "c"),
    ]
    .concat();
    let mut read = out.clone();
    assert_eq!(
        translator.course.pass_alike(alike.as_bytes(), &mut out),
        b""
    );
    for byte in alike.as_bytes().chunks(1) {
        translator.push(byte, &mut read).unwrap();
    }
    assert_eq!(
        String::from_utf8(out).unwrap(),
        String::from_utf8(read).unwrap()
    );
    translator
        .push(stop(0).as_bytes(), &mut Vec::new())
        .unwrap();
    assert_eq!(
        translator
            .course
            .pass_alike(alike.as_bytes(), &mut Vec::new()),
        alike.as_bytes()
    );
}

#[test]
fn nothing_but_content_commits() {
    let empty = start(0, r#"{"type":"text","text":""}"#);
    for (event, commits) in [
        (PING, false),
        (": open\n\n", false),
        ("data: {}\n\n", false),
        (&empty, false),
        (&stop(0), false),
        (&text_delta(0, ""), false),
        (
            &delta(0, r#"{"type":"signature_delta","signature":"x"}"#),
            false,
        ),
        (&message_delta(r#"{"stop_reason":null}"#), false),
        (&input_delta(0, "{}"), false),
        (
            &start(1, r#"{"type":"redacted_thinking","data":"x"}"#),
            false,
        ),
        (&start(1, r#"{"type":"text","text":"x"}"#), true),
        (&start(1, r#"{"type":"thinking","thinking":"x"}"#), true),
        (&tool_start(1, "{}"), true),
        (&text_delta(0, "x"), true),
        (
            &delta(0, r#"{"type":"thinking_delta","thinking":"x"}"#),
            true,
        ),
        (END_TURN, true),
    ] {
        let run = run_all(&[MESSAGE, &empty, event]);
        assert_eq!(run.committed, commits, "{event}");
        assert_eq!(run.out.is_empty(), !commits, "{event}");
        if commits {
            assert_eq!(run.deltas()[0], role());
        }
    }
}

#[test]
fn calls_are_numbered_without_gaps_even_where_blocks_overlap() {
    let run = run_all(&[
        MESSAGE,
        &start(0, r#"{"type":"text","text":"a"}"#),
        &start(
            3,
            r#"{"type":"server_tool_use","id":"s","name":"n","input":{"q":1}}"#,
        ),
        &tool_start(5, "{}"),
        &tool_start(7, "{}"),
        &input_delta(7, "{\"b\":"),
        &input_delta(3, "no"),
        &input_delta(5, "{\"a\":1}"),
        &input_delta(7, "2}"),
        &stop(7),
        &stop(5),
        &stop(3),
        &message_delta(r#"{"stop_reason":"tool_use"}"#),
        STOP,
    ]);
    let expected = [
        role(),
        json!({"content": "a"}),
        call(0, 5),
        call(1, 7),
        arguments(1, "{\"b\":"),
        arguments(0, "{\"a\":1}"),
        arguments(1, "2}"),
        json!({}),
    ];
    assert_eq!(run.deltas(), expected);
    assert_eq!(run.finish_reasons(), ["tool_calls"]);
}

#[test]
fn arguments_of_the_start_count_unless_deltas_follow() {
    let big = r#"{ "n" : 123456789012345678901234567890, "s" : "a \" b" }"#;
    let compact = r#"{"n":123456789012345678901234567890,"s":"a \" b"}"#;
    for (events, expected) in [
        (
            vec![tool_start(0, big), stop(0)],
            vec![arguments(0, compact)],
        ),
        (
            vec![tool_start(0, big), input_delta(0, "{}"), stop(0)],
            vec![arguments(0, "{}")],
        ),
        // Without a stop event, the stop reason or the next start with its index ends the block.
        (vec![tool_start(0, big)], vec![arguments(0, compact)]),
        (vec![tool_start(0, "null")], vec![arguments(0, "{}")]),
        (
            vec![tool_start(0, big), tool_start(0, "{}")],
            vec![arguments(0, compact), call(1, 0), arguments(1, "{}")],
        ),
        (
            vec![tool_start(0, "[1]"), tool_start(1, big), stop(0), stop(1)],
            vec![call(1, 1), arguments(0, "[1]"), arguments(1, compact)],
        ),
    ] {
        let stream = [MESSAGE, &events.concat(), END_TURN].concat();
        let run = run(&PLAN, &stream);
        let deltas = run.deltas();
        let [first, second, between @ .., last] = deltas.as_slice() else {
            panic!("{stream}");
        };
        assert_eq!((first, second, last), (&role(), &call(0, 0), &json!({})));
        assert_eq!(between, expected, "{stream}");
    }
}

#[test]
fn the_finish_reason_says_why_it_ended() {
    let tool = tool_start(0, "{}");
    for (events, reason, expected) in [
        ("", "\"end_turn\"", "stop"),
        ("", "\"stop_sequence\"", "stop"),
        ("", "\"max_tokens\"", "length"),
        ("", "\"model_context_window_exceeded\"", "length"),
        ("", "\"pause_turn\"", "length"),
        ("", "\"tool_use\"", "stop"),
        (&tool, "\"tool_use\"", "tool_calls"),
        ("", "\"refusal\"", "content_filter"),
        ("", "\"of_tomorrow\"", "stop"),
    ] {
        let delta = message_delta(&format!("{{\"stop_reason\":{reason}}}"));
        let run = run_all(&[MESSAGE, events, &delta, &delta, STOP]);
        assert_eq!(run.finish_reasons(), [expected], "{reason}");
        assert_eq!(run.end, Ok(()));
    }
    let end = run_all(&[MESSAGE, &text_delta(0, "x"), STOP]);
    assert_eq!(end.finish_reasons(), ["stop"]);
}

#[test]
fn a_refusal_carries_its_explanation_alone() {
    for (details, delta) in [
        (
            r#"{"explanation":"No \"x\"."}"#,
            json!({"refusal": "No \"x\"."}),
        ),
        (r#"{"explanation":null}"#, json!({})),
        (r#"{"explanation":""}"#, json!({})),
        ("null", json!({})),
    ] {
        let refusal = format!(r#"{{"stop_reason":"refusal","stop_details":{details}}}"#);
        let run = run_all(&[MESSAGE, &message_delta(&refusal), STOP]);
        assert_eq!(run.deltas(), [role(), delta]);
    }
    let other = r#"{"stop_reason":"end_turn","stop_details":{"explanation":"x"}}"#;
    let run = run_all(&[MESSAGE, &message_delta(other), STOP]);
    assert_eq!(run.deltas(), [role(), json!({})]);
}

#[test]
fn the_end_is_complete_or_it_is_cut() {
    let text = text_delta(0, "x");
    let done = "data: [DONE]\n\n";
    let cut = Err(StreamFault::Cut);
    for (events, end) in [
        (vec![], cut),
        (vec![MESSAGE], cut),
        (vec![MESSAGE, &text], cut),
        (vec![MESSAGE, &text, END_TURN], Ok(())),
        (vec![MESSAGE, &text, END_TURN, STOP], Ok(())),
        (
            vec![MESSAGE, &text, END_TURN, STOP, done, &text, ERROR],
            Ok(()),
        ),
        (vec![MESSAGE, &text, END_TURN, done], Ok(())),
        (vec![MESSAGE, &text, done], Ok(())),
        (vec![MESSAGE, &text, END_TURN.trim_end()], Ok(())),
        (vec![MESSAGE, &text, &END_TURN[..END_TURN.len() - 3]], cut),
        (vec![MESSAGE, STOP], Err(StreamFault::NoContent)),
        (vec![STOP], Err(StreamFault::NoContent)),
        (vec![done], Err(StreamFault::NoContent)),
    ] {
        let run = run_all(&events);
        assert_eq!(run.end, end, "{events:?}");
        let dones = run.out.matches("[DONE]").count();
        assert_eq!(dones, usize::from(end.is_ok()), "{events:?}");
    }
}

#[test]
fn an_error_is_told_once_there_is_content() {
    let before = run_all(&[MESSAGE, PING, ERROR, STOP]);
    assert_eq!(
        (before.end, before.out.as_str()),
        (Err(StreamFault::Error), "")
    );
    let raw = ERROR.trim_start_matches("data: ").trim_end();
    assert_eq!(before.error.as_deref(), Some(raw.as_bytes()));
    let after = run_all(&[MESSAGE, &text_delta(0, "x"), ERROR, STOP]);
    assert_eq!(after.end, Err(StreamFault::ErrorRelayed));
    let told = r#"{"message":"say \"no\"","type":"server_error","param":null,"code":null}"#;
    assert!(
        after
            .out
            .ends_with(&format!("\n\ndata: {{\"error\":{told}}}\n\n"))
    );
}

#[test]
fn errors_have_openais_names() {
    for (error, kind, code) in [
        (
            r#"{"type":"invalid_request_error","message":"x"}"#,
            "invalid_request_error",
            None,
        ),
        (
            r#"{"type":"invalid_request_error","message":"prompt is too long: 9"}"#,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        (
            r#"{"type":"invalid_request_error","message":"Your credit balance is too low"}"#,
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        (
            r#"{"type":"authentication_error"}"#,
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        (
            r#"{"type":"billing_error"}"#,
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        (
            r#"{"type":"permission_error"}"#,
            "invalid_request_error",
            Some("permission_denied"),
        ),
        (
            r#"{"type":"not_found_error","message":"model: y"}"#,
            "invalid_request_error",
            Some("model_not_found"),
        ),
        (
            r#"{"type":"not_found_error"}"#,
            "invalid_request_error",
            Some("not_found"),
        ),
        (
            r#"{"type":"conflict_error"}"#,
            "invalid_request_error",
            Some("conflict"),
        ),
        (
            r#"{"type":"request_too_large"}"#,
            "invalid_request_error",
            Some("request_too_large"),
        ),
        (
            r#"{"type":"rate_limit_error"}"#,
            "rate_limit_error",
            Some("rate_limit_exceeded"),
        ),
        (
            r#"{"type":"timeout_error"}"#,
            "server_error",
            Some("timeout"),
        ),
        (
            r#"{"type":"overloaded_error"}"#,
            "service_unavailable_error",
            Some("server_is_overloaded"),
        ),
        ("\"boom\"", "server_error", None),
        ("7", "server_error", None),
    ] {
        // A proxy's error event has no type.
        for event in ["\"type\":\"error\",", ""] {
            let event = format!("data: {{{event}\"error\":{error}}}\n\n");
            let run = run_all(&[&text_delta(0, "x"), &event]);
            let events = run.events();
            let told = &events.last().unwrap()["error"];
            assert_eq!(
                (&told["type"], &told["code"]),
                (&json!(kind), &json!(code)),
                "{error}"
            );
            assert!(told["message"].is_string() && told["param"].is_null());
        }
    }
}

#[test]
fn what_cannot_be_read_ends_the_stream() {
    for event in [
        "data: x\n\n".to_owned(),
        "data: [1]\n\n".to_owned(),
        "data: {\"type\":\"content_block_delta\"\n\n".to_owned(),
        text_delta(0, "\\x"),
        text_delta(0, "\u{1}"),
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\
            \"text\":\"a\ndata: b\"}}\n\n"
            .to_owned(),
        delta(0, r#"{"type":"text_delta","text":7}"#),
        start(0, r#"{"type":"tool_use","name":"f"}"#),
        tool_start(0, "{\"a\" 1}"),
    ] {
        let before = run_all(&[MESSAGE, &event]);
        assert_eq!(before.end, Err(StreamFault::Malformed), "{event}");
        let after = run_all(&[MESSAGE, &text_delta(0, "x"), &event, END_TURN, STOP]);
        assert_eq!(after.end, Err(StreamFault::Malformed), "{event}");
        assert!(!after.out.contains("[DONE]"));
        assert!(after.deltas().len() >= 2);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let long = format!("data: {}", "x".repeat(EVENT_BYTES_MAX));
    let run = translate(&PLAN, &[long.as_bytes()]);
    assert_eq!(run.end, Err(StreamFault::EventTooLong));
    let block = r#"{"type":"text","text":""}"#;
    let blocks = |count: usize| -> String {
        let indexes = (0..).take(count);
        indexes.map(|index| start(index, block)).collect()
    };
    let fits = [&blocks(OPEN_BLOCKS_MAX), END_TURN].concat();
    assert_eq!(translate(&PLAN, &[fits.as_bytes()]).end, Ok(()));
    let one_more = [&blocks(OPEN_BLOCKS_MAX + 1), END_TURN].concat();
    let run = translate(&PLAN, &[one_more.as_bytes()]);
    assert_eq!(run.end, Err(StreamFault::Malformed));
    // Every chunk would repeat an id.
    let id = "x".repeat(1_000);
    let message =
        format!("data: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{id}\"}}}}\n\n");
    let run = translate(&PLAN, &[message.as_bytes(), END_TURN.as_bytes()]);
    assert_eq!(run.events()[0]["id"], "chatcmpl-7");
}

#[test]
fn of_every_counter_the_largest_counts() {
    let stream = [
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\
            \"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":2000,\
            \"output_tokens\":4}}}\n\n",
        &text_delta(0, "x"),
        "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":6}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
            \"usage\":{\"input_tokens\":0,\"cache_read_input_tokens\":null,\"output_tokens\":5,\
            \"output_tokens_details\":{\"thinking_tokens\":2}}}\n\n",
        STOP,
    ]
    .concat();
    let plan = StreamPlan {
        include_usage: IncludeUsage::Yes,
        ..PLAN
    };
    let run = run(&plan, &stream);
    let expected = Counts {
        input: Tokens::new(3),
        cache_read: Tokens::new(2_000),
        cache_write: Tokens::new(100),
        cache_write_1h: Tokens::ZERO,
        output: Tokens::new(6),
    };
    assert_eq!(run.usage.unwrap().counts(), expected);
    let events = run.events();
    let usage = &events[events.len() - 2];
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"],
        json!({
            "prompt_tokens": 2103, "completion_tokens": 6, "total_tokens": 2109,
            "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 2},
        })
    );
}

#[test]
fn a_stream_that_broke_costs_what_was_seen() {
    let text = text_delta(0, &"x".repeat(400));
    let usage = |events: &[&str]| {
        let usage = run_all(events).usage;
        usage.map(|usage| (usage.prompt.get(), usage.completion.get()))
    };
    assert_eq!(usage(&[MESSAGE, &text]), Some((5, 100)));
    assert_eq!(usage(&[MESSAGE, &text, ERROR]), Some((5, 100)));
    assert_eq!(usage(&[MESSAGE, &text, END_TURN]), Some((5, 9)));
    assert_eq!(usage(&[&text]), None);
    let only_prompt = MESSAGE.replace(",\"output_tokens\":1", "");
    let end = message_delta(r#"{"stop_reason":"end_turn"}"#);
    assert_eq!(usage(&[&only_prompt, &text, &end]), Some((5, 100)));
    assert_eq!(run_all(&[&text, &input_delta(0, "no")]).text_bytes, 400);
    let call = run_all(&[&tool_start(0, "{}"), &input_delta(0, "{\"a\":1}")]);
    assert_eq!(call.text_bytes, "f0".len() + "{\"a\":1}".len());
}

#[test]
fn a_caller_hears_of_work_that_it_does_not_see() {
    let mut translator = Shell::default();
    translator.reset(&PLAN);
    let mut push = |bytes: &str| {
        let mut out = Vec::new();
        translator.push(bytes.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(push(&[MESSAGE, PING, ": x\n\n"].concat()), "");
    assert!(!push(&[PING, &text_delta(0, "x"), PING].concat()).contains("ping"));
    assert_eq!(push(&[PING, PING].concat()), ": ping\n\n");
    assert_eq!(push(": x\n\n: y\n\n"), ": ping\n\n");
    assert_eq!(push("data: {\"type\""), "");
    assert_eq!(push(":\"ping\"}\n\n"), ": ping\n\n");
    assert!(push(&[END_TURN, STOP].concat()).ends_with("[DONE]\n\n"));
    assert_eq!(push(PING), "");
    assert_eq!(translator.upstream_model(), b"claude-x");
}

/// Pieces that streams are made of, good and bad.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let index = 0..3_u32;
    let piece = prop_oneof![
        4 => index.clone().prop_map(|index| text_delta(index, "é\\n水")),
        2 => Just(MESSAGE.to_owned()),
        2 => index.clone().prop_map(|index| tool_start(index, r#"{"a" : "\""}"#)),
        2 => index.clone().prop_map(|index| input_delta(index, "{\"a\":")),
        2 => index.clone().prop_map(|index| start(index, r#"{"type":"text","text":"t"}"#)),
        1 => index.clone().prop_map(|index| start(index, r#"{"type":"new"}"#)),
        2 => index.prop_map(stop),
        1 => Just(message_delta(r#"{"stop_reason":"tool_use"}"#)),
        1 => Just(END_TURN.replace("\n", "\r\n")),
        1 => Just(STOP.to_owned()),
        1 => Just(ERROR.replace("\n", "\r")),
        1 => Just(": ping\r\rid: 1\n".to_owned()),
        1 => Just("data: {\"type\":\r\ndata: \"ping\"}\n\n".to_owned()),
        1 => r#"(data: |\{|\}|"type"|"delta"|:|\[|\]|"|,|\n|\r|\n\n){0,12}"#,
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes())
}

/// An event that fits a form, and changes of it in each place where events may differ.
fn any_alike() -> impl Strategy<Value = String> {
    let text = r#"([a-zé ]{0,20}|\\\\|\\"|\\n|\\u00e9|\\u00|\\x|\t|\\\n|"){0,4}"#;
    let delta = (0..5_u8, text).prop_map(|(kind, text)| match kind {
        0 => format!(r#"{{"type":"input_json_delta","partial_json":"{text}"}}"#),
        1 => format!(r#"{{"type":"thinking_delta","thinking":"{text}"}}"#),
        _ => format!(r#"{{"type":"text_delta","text":"{text}"}}"#),
    });
    let event = (0..3_u32, delta).prop_map(|(index, delta)| self::delta(index, &delta));
    prop_oneof![
        20 => event.clone(),
        1 => event.prop_map(|event| event.replace('\n', "\r\n")),
        1 => Just(PING.to_owned()),
        1 => (0..3_u32).prop_map(stop),
        1 => (0..3_u32).prop_map(|index| tool_start(index, r#"{"a":1}"#)),
        1 => (0..3_u32).prop_map(|index| start(index, r#"{"type":"new"}"#)),
    ]
}

/// What must hold for every output: it consists of whole events; each is a chunk of the same
/// completion, or, as the last one, an error or the end.
fn check_answer(run: &Run) {
    let events = run.events();
    assert!(run.out.is_empty() || run.out.ends_with("\n\n"));
    assert_eq!(run.committed, !events.is_empty());
    let mut tools = 0;
    for (at, event) in events.iter().enumerate() {
        if *event == "[DONE]" || event.get("error").is_some() {
            assert_eq!(at, events.len() - 1);
            continue;
        }
        assert_eq!(event["object"], "chat.completion.chunk", "{event}");
        assert_eq!(
            (&event["id"], &event["model"]),
            (&events[0]["id"], &json!("mine"))
        );
        let delta = &event["choices"][0]["delta"];
        assert_eq!(delta.get("role").is_some(), at == 0);
        if let Some(call) = delta["tool_calls"].get(0) {
            tools += u64::from(call.get("id").is_some());
            assert!(call["index"].as_u64().unwrap() < tools);
        }
    }
    let is_done = events.last() == Some(&json!("[DONE]"));
    assert_eq!(is_done, run.end.is_ok());
}

proptest! {
    #[test]
    fn any_split_gives_the_same_stream(
        stream in any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        asked: bool,
    ) {
        let plan = StreamPlan {
            include_usage: if asked { IncludeUsage::Yes } else { IncludeUsage::No },
            ..PLAN
        };
        let whole = translate(&plan, &[&stream]);
        check_answer(&whole);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        prop_assert_eq!(translate(&plan, &cut(&stream, places)), whole);
    }

    /// Byte by byte, each event is read; whole, those that fit a form are not.
    #[test]
    fn what_looks_alike_is_translated_as_if_it_were_read(
        events in prop::collection::vec(any_alike(), 0..12),
    ) {
        let text_block = start(0, r#"{"type":"text","text":""}"#);
        let opening = [MESSAGE, &text_block, &tool_start(1, "{}")].concat();
        let stream = opening.clone() + &events.concat() + END_TURN + STOP;
        let read: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(translate(&PLAN, &[stream.as_bytes()]), translate(&PLAN, &read));
        let by_event: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
        let (before, after) = (opening.len(), opening.len() + events.concat().len());
        prop_assert_eq!(
            translate(&PLAN, &[&read[..before], &by_event, &read[after..]].concat()),
            translate(&PLAN, &read)
        );
    }

    /// Events have the same meaning however a provider spells them.
    #[test]
    fn no_spelling_makes_a_difference(
        stop in prop_oneof![
            Just("end_turn"), Just("max_tokens"), Just("tool_use"), Just("refusal"),
        ],
        seed: u64,
    ) {
        let delta_of_message =
            json!({"stop_reason": stop, "stop_details": {"explanation": "e"}});
        let last = json!({
            "type": "message_delta", "delta": delta_of_message, "usage": {"output_tokens": 9},
        });
        let last = format!("data: {last}");
        let stream = [
            MESSAGE,
            &start(0, r#"{"type":"text","text":""}"#),
            &delta(0, r#"{"type":"text_delta","text":"abc"}"#),
            &delta(0, r#"{"type":"thinking_delta","thinking":"abc"}"#),
            &tool_start(1, "{}"),
            &delta(1, r#"{"type":"input_json_delta","partial_json":"{}"}"#),
            &last, "\n\n",
            STOP,
        ]
        .concat();
        let other: String = stream
            .split_inclusive('\n')
            .map(|line| match line.strip_prefix("data: ") {
                Some(data) => format!("data: {}", respelt(data, seed)),
                None => line.to_owned(),
            })
            .collect();
        let plan = StreamPlan { include_usage: IncludeUsage::Yes, ..PLAN };
        let (plain, other) =
            (translate(&plan, &[stream.as_bytes()]), translate(&plan, &[other.as_bytes()]));
        prop_assert_eq!(plain.events(), other.events());
        prop_assert_eq!((plain.end, plain.usage), (other.end, other.usage));
        prop_assert!(plain.usage.is_some() && plain.finish_reasons().len() == 1);
    }

    #[test]
    fn whatever_a_stream_is_made_into_the_answer_is_json(
        mut stream in any_stream(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        for (at, byte) in changes {
            if !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
        }
        check_answer(&translate(&PLAN, &[&stream]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..128)) {
        check_answer(&translate(&PLAN, &[&stream]));
    }
}

#[test]
fn usage_is_awaited_while_no_block_is_open_and_none_was_told() {
    let block = r#"{"type":"text","text":""}"#;
    let begun = [MESSAGE, &start(0, block), &text_delta(0, "x")].concat();
    let untold = message_delta(r#"{"stop_reason":"end_turn"}"#);
    for (more, awaits) in [
        (String::new(), false),
        (stop(0), true),
        // Another block begins: the content was not complete.
        ([stop(0), start(1, block)].concat(), false),
        ([stop(0), message_delta("{}")].concat(), true),
        // The output that the start of a message states is not final.
        ([stop(0), untold].concat(), true),
        ([&stop(0), END_TURN].concat(), false),
        (END_TURN.to_owned(), false),
    ] {
        let mut translator = Shell::default();
        translator.reset(&PLAN);
        let stream = [begun.as_str(), &more].concat();
        translator.push(stream.as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(translator.awaits_usage(), awaits, "{stream}");
    }
}

#[test]
fn output_that_is_not_told_at_the_end_is_what_was_seen() {
    let stream = [
        MESSAGE,
        &text_delta(0, &"x".repeat(400)),
        &message_delta(r#"{"stop_reason":"end_turn"}"#),
        STOP,
    ];
    assert_eq!(run_all(&stream).usage.unwrap().completion, Tokens::new(100));
}
