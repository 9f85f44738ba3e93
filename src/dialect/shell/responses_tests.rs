//! Tests of a stream between sides that speak Responses: the published vectors, the rules one by
//! one, and any split of any stream.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::driven::{self, Former, Run};
use super::*;
use crate::base::endpoint::Endpoint;
use crate::base::limits::HELD_BACK_BYTES_MAX;
use crate::base::money::Price;
use crate::decide::outcome::KeyOwner;
use crate::decide::pricing::Row;
use crate::dialect::expected;
use crate::dialect::shell::plan::Wanted;
use crate::dialect::tariff::Tariff;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    upstream_sse: Option<String>,
    client_sse: Option<String>,
    recorded_usage: Option<Json>,
    #[serde(default)]
    added_events: Vec<Json>,
}

fn vectors() -> Vec<Vector> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/responses/passthrough"
    );
    let files = Path::new(folder).read_dir().unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    texts
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

/// Relays `stream`, in any split.
fn run(plan: &StreamPlan<'_>, stream: &str) -> Run {
    driven::run(plan, &former(plan), stream)
}

/// As [`run`], for a long stream: a byte at a time, and in some splits.
fn run_in_some_splits(plan: &StreamPlan<'_>, stream: &str) -> Run {
    let stream = stream.as_bytes();
    let whole = relay(plan, &[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(relay(plan, &single), whole);
    for at in (0..stream.len()).step_by(29) {
        let (head, rest) = stream.split_at(at);
        assert_eq!(relay(plan, &[head, rest]), whole, "split at {at}");
    }
    whole
}

/// Relays the stream that comes in `reads`.
fn relay(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    driven::drive(plan, &former(plan), reads)
}

fn former<'a>(plan: &StreamPlan<'a>) -> Former<'a> {
    Former {
        plan: *plan,
        bytes: b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":\
            {\"id\":\"resp_0\",\"model\":\"x\"},\"sequence_number\":7}\n\n\
            data: {\"type\":\"x.delta\",\"delta\":\"Hi\",\"sequence_number\":8}\n\n",
    }
}

fn plan(caller_model: &[u8]) -> StreamPlan<'_> {
    StreamPlan {
        caller: Dialect::Responses,
        provider: Dialect::Responses,
        endpoint: Endpoint::Responses,
        ..expected::plan(caller_model, Wanted::NOTHING)
    }
}

/// An event as OpenAI writes it.
fn event(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n")
}

fn created(model: &str) -> String {
    let response = format!(r#"{{"id":"resp_1","created_at":5,"model":"{model}","tools":[]}}"#);
    let rest = format!(r#""response":{response},"sequence_number":0"#);
    event("response.created", &rest)
}

fn delta(text: &str, number: u64) -> String {
    let rest = format!(
        concat!(
            r#""item_id":"msg_1","output_index":0,"content_index":0,"delta":"{}","#,
            r#""logprobs":[],"obfuscation":"aB{}","sequence_number":{}"#,
        ),
        text, number, number
    );
    event("response.output_text.delta", &rest)
}

fn completed(model: &str, number: u64) -> String {
    let usage =
        r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":4}"#;
    let rest = format!(
        r#""response":{{"model":"{model}","output":[],"usage":{usage}}},"sequence_number":{number}"#
    );
    event("response.completed", &rest)
}

const QUOTED: &[u8] = b"\"mine\"";

#[test]
fn the_published_vectors_hold() {
    let mut streams = 0;
    for vector in &vectors() {
        let Some(upstream) = &vector.upstream_sse else {
            continue;
        };
        streams += 1;
        let model = json::quoted(&vector.caller_model);
        let (run, id) = (run_in_some_splits(&plan(&model), upstream), &vector.id);
        let is_kept = run.error.is_some() && !run.committed;
        let told = if is_kept { &run.last_words } else { &run.out };
        assert_eq!(Some(told), vector.client_sse.as_ref(), "{id}");
        let is_whole = vector.recorded_usage.is_some();
        assert_eq!(run.end.is_ok(), is_whole, "{id}");
        assert_eq!(
            run.end == Err(StreamFault::Cut),
            !vector.added_events.is_empty(),
            "{id}"
        );
        let told = run.usage.map(|usage| {
            let [prompt, completion] = [usage.prompt.get(), usage.completion.get()];
            json!({"prompt_tokens": prompt, "completion_tokens": completion,
                "total_tokens": prompt + completion})
        });
        assert_eq!(told, vector.recorded_usage, "{id}");
        for split in [0, upstream.len() / 2, upstream.len() - 1] {
            let (head, rest) = upstream.split_at(floor(upstream, split));
            let reason = "upstream closed the stream before completion";
            let added = broken_off(&plan(&model), &[head, rest], reason);
            assert_eq!(added, vector.added_events, "{id}");
        }
    }
    assert_eq!(streams, 9);
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What is added to a stream that the provider does not end, for this reason.
fn broken_off(plan: &StreamPlan<'_>, reads: &[&str], reason: &str) -> Vec<Json> {
    let mut shell = Shell::default();
    shell.reset(plan);
    let (mut out, mut end) = (Vec::new(), Ok(()));
    for read in reads {
        end = end.and_then(|()| shell.push(read.as_bytes(), &mut out));
    }
    end = end.and_then(|()| shell.finish(&mut out));
    let mut added = Vec::new();
    if end == Err(StreamFault::Cut) {
        assert_eq!(shell.break_off(reason, &mut added), BrokenEnd::Told);
    }
    let events = expected::events(std::str::from_utf8(&added).unwrap());
    for event in &events {
        let number = event["sequence_number"].as_u64().unwrap() - 1;
        assert_eq!(shell.sign(), Sign::Numbered { number, step: 0 });
    }
    events
}

#[test]
fn what_is_relayed_alike_is_relayed_as_it_came() {
    let texts = [
        "Hi",
        "\\u00e9 \\\"",
        "é",
        "",
        "a\\nb",
        "\\\"model\\\":\\\"x\\\"",
    ];
    let deltas: Vec<_> = (1..).zip(texts).map(|(n, text)| delta(text, n)).collect();
    let other = concat!(
        "event: response.function_call_arguments.delta\n",
        r#"data: {"type":"response.function_call_arguments.delta","delta":"{}","x":[1e400]}"#,
        "\n\n",
    );
    let stream = [
        created("theirs"),
        deltas.concat(),
        other.repeat(3),
        completed("theirs", 9),
    ];
    let expected = [
        created("mine"),
        deltas.concat(),
        other.repeat(3),
        completed("mine", 9),
    ];
    let found = run(&plan(QUOTED), &stream.concat());
    assert_eq!((found.out, found.end), (expected.concat(), Ok(())));
    assert_eq!(found.text_bytes, 2 + 3 + 2 + 3 + 11 + 3 * 2);
    assert_eq!(found.usage.unwrap().cache_read.get(), 2);
}

#[test]
fn lines_that_are_no_part_of_an_event_go() {
    let stream = concat!(
        ": hello\n\nid: 1\nevent: response.created\nretry: 5\n",
        "data: {\"type\":\"response.created\",\ndata: \"response\":{\"model\":\"theirs\"}}\r\n\r\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\nid: 2\n\n",
        "event:other\ndata:{\"type\":\"response.incomplete\",\"response\":{}}\n\nevent: x\n\n",
        "data: [DONE]\n\n",
    );
    let expected = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\n",
        "data: \"response\":{\"model\":\"mine\"}}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n",
        "event: other\ndata: {\"type\":\"response.incomplete\",\"response\":{}}\n\n",
        "data: [DONE]\n\n",
    );
    let found = run(&plan(QUOTED), stream);
    assert_eq!((&*found.out, found.end), (expected, Ok(())));
    assert_eq!(found.usage, None);
}

#[test]
fn nothing_is_sent_before_there_is_content() {
    let item = |kind: &str| {
        let rest = format!(r#""output_index":0,"item":{{"type":"{kind}"}}"#);
        event("response.output_item.added", &rest)
    };
    let held = [
        created("theirs"),
        event("response.queued", r#""response":{}"#),
        event("response.in_progress", r#""response":{}"#),
        event("response.metadata", r#""output_index":0"#),
        event("keepalive", r#" "sequence_number":1"#),
        event("response.new_thing", r#""x":1"#),
        item("message"),
        item("reasoning"),
        event("response.content_part.added", r#""output_index":0"#),
        event(
            "response.reasoning_summary_part.added",
            r#""output_index":0"#,
        ),
    ]
    .concat();
    let silent = relay(&plan(QUOTED), &[held.as_bytes()]);
    assert_eq!((silent.out.as_str(), silent.committed), ("", false));
    assert_eq!(silent.end, Err(StreamFault::Cut));
    for content in [
        delta("a", 1),
        delta("", 1),
        event("response.refusal.delta", r#""delta":"a""#),
        event("response.function_call_arguments.delta", r#""delta":"""#),
        item("function_call"),
        item("web_search_call"),
        event("response.output_item.done", r#""output_index":0"#),
        event("response.new_thing", r#""output_index":0"#),
        event("response.completed", r#""response":{}"#),
        event("response.incomplete", r#""response":{}"#),
    ] {
        let found = relay(&plan(QUOTED), &[held.as_bytes(), content.as_bytes()]);
        assert!(found.committed, "{content}");
        let expected = [held.replace("theirs", "mine"), content].concat();
        assert_eq!(found.out, expected);
    }
    let pad = "x".repeat(HELD_BACK_BYTES_MAX);
    let long = event("response.in_progress", &format!(r#""x":"{pad}""#));
    let long = relay(&plan(QUOTED), &[long.as_bytes()]);
    assert_eq!(long.end, Err(StreamFault::HeldBackTooLong));
    let odd = relay(&plan(QUOTED), &[b"data: [1]\n\n"]);
    assert_eq!(odd.end, Err(StreamFault::Malformed));
}

fn failed(code: &str) -> String {
    let response = format!(r#"{{"model":"theirs","error":{{"code":{code},"message":"m"}}}}"#);
    event("response.failed", &format!(r#""response":{response}"#))
}

fn error(code: &str) -> String {
    event("error", &format!(r#""code":{code},"message":"m""#))
}

/// It is kept until it is clear that no larger model answers, and then told as it came.
#[test]
fn an_overflow_before_content_is_kept() {
    let plan = plan(QUOTED);
    let (start, code) = (created("theirs"), "\"context_length_exceeded\"");
    for (event, is_end) in [(failed(code), true), (error(code), false)] {
        let found = relay(&plan, &[start.as_bytes(), event.as_bytes()]);
        assert_eq!(found.end, Err(StreamFault::Error));
        assert!(!found.committed && found.out.is_empty() && found.error.is_some());
        let expected = [&*start, &event].concat().replace("theirs", "mine");
        let added = found.last_words.strip_prefix(&expected).unwrap();
        assert_eq!(added.is_empty(), is_end, "{added}");
        assert!(is_end || added.starts_with("event: response.failed\n") && added.contains(code));
    }
}

#[test]
fn a_failure_before_content_is_told_by_its_code() {
    let infermux = plan(QUOTED);
    let callers = StreamPlan {
        wanted: Wanted {
            key: KeyOwner::Caller,
            ..infermux.wanted
        },
        ..infermux
    };
    let start = created("theirs");
    for code in [
        "\"server_error\"",
        "\"rate_limit_exceeded\"",
        "\"server_is_overloaded\"",
        "\"slow_down\"",
        "\"vector_store_timeout\"",
        "null",
    ] {
        for plan in [&infermux, &callers] {
            for event in [failed(code), error(code)] {
                let found = relay(plan, &[start.as_bytes(), event.as_bytes()]);
                assert_eq!(found.end, Err(StreamFault::Error), "{code}");
                assert!(!found.committed && found.error.is_some());
            }
        }
    }
    let quota = failed("\"insufficient_quota\"");
    let found = relay(&infermux, &[start.as_bytes(), quota.as_bytes()]);
    assert_eq!(
        (found.end, found.committed),
        (Err(StreamFault::Error), false)
    );
    for (plan, code) in [
        (&callers, "\"insufficient_quota\""),
        (&infermux, "\"image_too_large\""),
        (&callers, "\"image_too_large\""),
    ] {
        let found = relay(plan, &[start.as_bytes(), failed(code).as_bytes()]);
        let expected = [start.as_str(), &failed(code)].concat();
        assert_eq!(found.out, expected.replace("theirs", "mine"));
        assert_eq!(found.end, Err(StreamFault::ErrorRelayed), "{code}");
        assert!(
            String::from_utf8(found.error.unwrap())
                .unwrap()
                .contains(code)
        );
        // An `error` alone does not end a stream.
        let event = error(code);
        let found = relay(plan, &[start.as_bytes(), event.as_bytes()]);
        assert_eq!(found.out, [start.replace("theirs", "mine"), event].concat());
        assert_eq!(found.end, Err(StreamFault::Cut), "{code}");
        assert!(found.error.is_some());
    }
}

#[test]
fn a_failure_after_content_is_relayed() {
    let begun = [created("mine"), delta("a", 1)].concat();
    for code in ["\"server_error\"", "\"invalid_prompt\""] {
        let stream = [begun.clone(), failed(code)].concat();
        let found = run(&plan(QUOTED), &stream);
        assert_eq!(found.out, stream.replace("theirs", "mine"));
        assert_eq!(found.end, Err(StreamFault::ErrorRelayed));
        let stream = [begun.clone(), error(code), failed(code)].concat();
        let found = run(&plan(QUOTED), &stream);
        assert_eq!(found.out, stream.replace("theirs", "mine"));
        assert_eq!(found.end, Err(StreamFault::ErrorRelayed));
        // A provider may go on all the same.
        let stream = [begun.clone(), error(code), completed("mine", 3)].concat();
        let found = run(&plan(QUOTED), &stream);
        assert_eq!((found.out, found.end), (stream, Ok(())));
    }
    let done = [begun, "data: [DONE]\n\n".to_owned()].concat();
    assert_eq!(run(&plan(QUOTED), &done).end, Err(StreamFault::Cut));
}

#[test]
fn a_stream_that_breaks_off_is_ended() {
    let begun = [
        created("theirs"),
        delta("a", 4),
        delta("b", 5),
        delta("c", 6),
    ]
    .concat();
    let told = |stream: &str| {
        let mut events = broken_off(&plan(QUOTED), &[stream], "upstream sent nothing for 3 s");
        assert_eq!(events.len(), 1, "{stream}");
        events.remove(0)
    };
    let ended = told(&begun);
    assert_eq!(ended["sequence_number"], 7);
    let response = json!({"id": "resp_1", "object": "response", "created_at": 5,
        "status": "failed", "model": "mine", "output": [], "parallel_tool_calls": true,
        "tool_choice": "auto", "tools": [],
        "error": {"code": "server_error", "message": "upstream sent nothing for 3 s"}});
    assert_eq!(ended["response"], response);
    for (rest, code, message) in [
        (
            r#""code":"rate_limit_exceeded","message":"a\n""#,
            "rate_limit_exceeded",
            "a\n",
        ),
        (r#""code":"slow_down","message":"b""#, "server_error", "b"),
        (
            r#""error":{"type":"invalid_request_error","message":"c"}"#,
            "invalid_prompt",
            "c",
        ),
        (
            r#""code":"context_length_exceeded""#,
            "context_length_exceeded",
            "upstream sent nothing for 3 s",
        ),
    ] {
        let rest = format!(r#"{rest},"sequence_number":7"#);
        let stream = [begun.as_str(), &event("error", &rest)].concat();
        let ended = told(&stream);
        let expected = json!({"code": code, "message": message});
        assert_eq!(ended["response"]["error"], expected);
        assert_eq!(ended["sequence_number"], 8);
    }
    // A provider may leave out what all others tell.
    let bare = r#"{"type":"x.delta","delta":"a","sequence_number":"1"}"#;
    let mut shell = Shell::default();
    shell.reset(&plan(QUOTED));
    let mut out = Vec::new();
    let read = format!("data: {bare}\n\n");
    shell.push(read.as_bytes(), &mut out).unwrap();
    out.clear();
    assert_eq!(shell.break_off("x", &mut out), BrokenEnd::Told);
    let events = expected::events(std::str::from_utf8(&out).unwrap());
    assert_eq!(events[0]["sequence_number"], 0);
    let id = events[0]["response"]["id"].as_str().unwrap();
    assert!(id.starts_with("resp_ifx_"), "{id}");
}

#[test]
fn signs_of_life_have_the_last_number() {
    let mut shell = Shell::default();
    shell.reset(&plan(QUOTED));
    let mut out = Vec::new();
    let begun = [created("m"), delta("a", 1), delta("b", 2), delta("c", 3)].concat();
    shell.push(begun.as_bytes(), &mut out).unwrap();
    for _ in 0..2 {
        out.clear();
        shell.push(b": ping\n\n", &mut out).unwrap();
        let sign = event("keepalive", r#""sequence_number":3"#);
        assert_eq!(std::str::from_utf8(&out), Ok(&*sign));
    }
}

#[test]
fn a_model_that_thinks_in_silence_is_at_work() {
    let reasoning = r#""output_index":1,"item":{"type":"reasoning"}"#;
    let keepalive = event("keepalive", r#""sequence_number":9"#);
    let mut shell = Shell::default();
    shell.reset(&plan(QUOTED));
    let mut moved = |event: &str| {
        shell.begin_read();
        shell.push(event.as_bytes(), &mut Vec::new()).unwrap();
        shell.has_moved()
    };
    assert!(moved(&delta("a", 1)));
    assert!(!moved(&keepalive));
    assert!(moved(&event("response.output_item.added", reasoning)));
    assert!(moved(&keepalive) && moved(&keepalive));
    assert!(moved(&event("response.output_item.done", reasoning)));
    assert!(!moved(&keepalive));
}

#[test]
fn the_end_of_the_body_is_awaited() {
    let plan = plan(QUOTED);
    let mut shell = Shell::default();
    shell.reset(&plan);
    let mut out = Vec::new();
    let begun = [created("m"), delta("a", 1)].concat();
    shell.push(begun.as_bytes(), &mut out).unwrap();
    assert!(!shell.awaits_end() && !shell.is_done());
    shell.push(completed("m", 2).as_bytes(), &mut out).unwrap();
    assert!(shell.awaits_end() && !shell.is_done() && !shell.awaits_usage());
    shell.push(b"data: [DONE]\n\n", &mut out).unwrap();
    assert!(!shell.awaits_end() && shell.is_done());
}

#[test]
fn the_cost_stands_in_the_usage_of_the_last_event() {
    let price = |usd: u64| Price::per_million(usd * 1_000_000_000);
    let tariff = Tariff {
        row: Row::flat(price(2), price(4)),
        prompt_bytes: 0,
    };
    let plan = StreamPlan {
        tariff: Some(tariff),
        ..plan(QUOTED)
    };
    let stream = [created("mine"), delta("a", 1), completed("mine", 2)].concat();
    let found = run(&plan, &stream);
    let told = "\"output_tokens\":4,\"cost_usd\":0.000026}";
    assert_eq!(found.out, stream.replace("\"output_tokens\":4}", told));
}

proptest! {
    /// A plain reader of whole events, that writes each with the caller's name for the model.
    #[test]
    fn only_the_model_differs(
        picked in prop::collection::vec((0..11_usize, "[a-z\\\\\"é ]{0,6}"), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut stream = String::new();
        for (number, (kind, text)) in (0..).zip(&picked) {
            let quoted = serde_json::to_string(text).unwrap();
            let inner = &quoted[1..quoted.len() - 1];
            stream += &match kind {
                0 => created(inner),
                1 => format!("data: {{\"type\":\"keepalive\",\"model\":{quoted}}}\n\n"),
                2 => event("response.x", &format!(r#""response":{{"model":{quoted},"y":[]}}"#)),
                3 => event("response.x.delta", &format!(r#""delta":{quoted},"n":{number}"#)),
                4 => event("response.output_item.added", &format!(
                    r#""item":{{"model":{quoted}}},"response":null,"output_index":{number}"#
                )),
                5 => event("error", &format!(r#""code":"invalid_prompt","message":{quoted}"#)),
                _ => delta(inner, number),
            };
        }
        stream += &completed("theirs", 99);
        let (plan, mut reads, mut rest) = (plan(QUOTED), Vec::new(), stream.as_bytes());
        for cut in cuts {
            let (head, behind) = rest.split_at(cut % (rest.len() + 1));
            reads.push(head);
            rest = behind;
        }
        reads.push(rest);
        let found = relay(&plan, &reads);
        prop_assert_eq!(found.end, Ok(()));
        prop_assert_eq!(found.out, plainly(&stream));
    }

    #[test]
    fn arbitrary_events_never_panic(
        stream in concat!(
            r#"(event: x\n|data: |\{|\}|"type"|"response"|"delta"|"sequence_number"|:|"m"|"#,
            r#""error"|"response.failed"|"response.completed"|,|7|\n\n|null|\[DONE\]){0,30}"#,
        ),
        cut: usize,
    ) {
        let (head, rest) = stream.as_bytes().split_at(cut % (stream.len() + 1));
        let whole = relay(&plan(QUOTED), &[stream.as_bytes()]);
        prop_assert_eq!(relay(&plan(QUOTED), &[head, rest]), whole);
    }
}

/// The stream as a plain program relays it: values are replaced in the text that holds them.
fn plainly(stream: &str) -> String {
    let events = stream.split_inclusive("\n\n").map(|event| {
        let (before, data) = event.split_at(event.find("data: ").unwrap() + 6);
        let read: Json = serde_json::from_str(data).unwrap();
        let Some(model) = read["response"].get("model") else {
            return event.to_owned();
        };
        let old = format!("\"model\":{model}");
        [before, &data.replacen(&old, "\"model\":\"mine\"", 1)].concat()
    });
    events.collect()
}
