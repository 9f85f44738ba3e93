//! Tests of streams for callers of Responses: the published vectors, the rules one by one, and what
//! holds for all streams.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::driven::{Former, Run, drive, run};
use super::*;
use crate::base::endpoint::Endpoint;
use crate::decide::outcome::KeyOwner;
use crate::dialect::chat::lessons::Keys;
use crate::dialect::chat::write_prompt::{Host, Stream};
use crate::dialect::names::Names;
use crate::dialect::request::{self, Destination, Received};
use crate::dialect::responses::echo::Echo;
use crate::dialect::responses::remembered::Nothing;
use crate::dialect::responses::strict::{Told, events, fits, told};
use crate::dialect::shell::plan::{IncludeUsage, UsageChunk, Wanted};

/// A stream of this provider's dialect for a caller whose request is repeated as `echo`.
fn plan<'a>(provider: Dialect, echo: &'a Echo, names: &'a Names) -> StreamPlan<'a> {
    StreamPlan {
        caller: Dialect::Responses,
        provider,
        endpoint: Endpoint::Responses,
        caller_model: b"\"m\"",
        usage: UsageChunk::Injected,
        include_usage: IncludeUsage::No,
        notes_apart: false,
        wanted: Wanted {
            names: Some(names),
            seed: [1, 2],
            echo: Some(echo),
            ..Wanted::NOTHING
        },
        tariff: None,
        created: 7,
        event_bytes_max: 1 << 20,
    }
}

/// What the machine had before, whose traces must not show.
fn former<'a>(plan: &StreamPlan<'a>) -> Former<'a> {
    let bytes = match plan.provider {
        Dialect::Chat | Dialect::Responses => FORMER_CHAT,
        Dialect::Messages => FORMER_MESSAGES,
    };
    Former {
        plan: *plan,
        bytes: bytes.as_bytes(),
    }
}

const FORMER_CHAT: &str = concat!(
    r#"data: {"service_tier":"flex","choices":[{"delta":{"reasoning":"x","content":"y"}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f"}}]}}]}"#,
    "\n\ndata: {\"choices\":[{\"del",
);
const FORMER_MESSAGES: &str = concat!(
    "data: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\ndata: {",
);

fn translate(provider: Dialect, reads: &[&[u8]]) -> Run {
    let (echo, names) = (Echo::default(), Names::default());
    let plan = plan(provider, &echo, &names);
    drive(&plan, &former(&plan), reads)
}

/// Drives a stream of chat completions with every split.
fn run_chat(chunks: &[String]) -> Run {
    let (echo, names) = (Echo::default(), Names::default());
    let plan = plan(Dialect::Chat, &echo, &names);
    run(&plan, &former(&plan), &chunks.concat())
}

fn chunk(delta: &Json) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
}

fn finishing(reason: &str) -> String {
    let choice = json!({"index": 0, "delta": {}, "finish_reason": reason});
    format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
}

fn call(index: usize, id: &str, name: &str, arguments: &str) -> String {
    let call = json!({
        "index": index, "id": id, "function": {"name": name, "arguments": arguments},
    });
    chunk(&json!({"tool_calls": [call]}))
}

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    provider_type: String,
    caller_model: String,
    responses_request: Json,
    chat_sse: Option<String>,
    anthropic_sse: Option<String>,
    #[serde(default)]
    read_splits: Vec<usize>,
    events: Vec<Json>,
    recorded_usage: Option<Json>,
}

/// What is kept of a request that goes to a provider of this dialect.
pub(in crate::dialect) fn kept(provider: Dialect, request: &Json) -> request::Kept {
    let body = request.to_string();
    let received = Received {
        dialect: Dialect::Responses,
        body: body.as_bytes(),
        remembered: &Nothing,
    };
    let to = Destination {
        dialect: provider,
        model: "kit-model",
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::WithUsage,
    };
    let written = request::write(received, &to, &mut Vec::new());
    written.unwrap().kept
}

#[test]
fn the_published_vectors_hold() {
    let vectors: Vec<Vector> = crate::dialect::expected::vectors_of("responses", "stream");
    assert_eq!(vectors.len(), 18);
    for vector in &vectors {
        let provider = match &*vector.provider_type {
            "anthropic" => Dialect::Messages,
            _ => Dialect::Chat,
        };
        let kept = kept(provider, &vector.responses_request);
        let model = json::quoted(&vector.caller_model);
        let plan = StreamPlan {
            caller_model: &model,
            ..plan(provider, kept.echo.as_ref().unwrap(), &kept.names)
        };
        let stream = vector.chat_sse.as_ref().or(vector.anthropic_sse.as_ref());
        let stream = stream.unwrap();
        let whole = drive(&plan, &former(&plan), &[stream.as_bytes()]);
        let (mut reads, mut rest) = (Vec::new(), stream.as_bytes());
        for at in vector.read_splits.iter().rev() {
            let (before, behind) = rest.split_at(*at);
            reads.insert(0, behind);
            rest = before;
        }
        reads.insert(0, rest);
        let single = stream.as_bytes().chunks(1).collect();
        for reads in [reads, single] {
            assert_eq!(drive(&plan, &former(&plan), &reads), whole, "{}", vector.id);
        }
        check(vector, &whole);
    }
}

fn check(vector: &Vector, run: &Run) {
    let (id, found) = (&vector.id, events(&run.out));
    assert_eq!(found.len(), vector.events.len(), "{id}: {found:#?}");
    let mut ids = Vec::new();
    for (found, expected) in found.iter().zip(&vector.events) {
        assert!(
            fits(found, expected, &mut ids),
            "{id}:\n{found}\n{expected}"
        );
    }
    told(&found);
    if let Some(usage) = &vector.recorded_usage {
        let told = run.usage.unwrap();
        assert_eq!(usage["prompt_tokens"], told.prompt.get(), "{id}");
        assert_eq!(usage["completion_tokens"], told.completion.get(), "{id}");
    }
}

#[test]
fn events_that_look_alike_have_numbers_of_their_own() {
    let mut chunks = Vec::new();
    for number in 0..120 {
        chunks.push(chunk(&json!({"reasoning": format!("r{number}\n")})));
    }
    for number in 0..12 {
        chunks.push(chunk(&json!({"content": format!("é{number}\"")})));
    }
    chunks.push(call(0, "a", "f", "{\"x\":\""));
    for number in 0..12 {
        chunks.push(call(0, "", "", &format!("\\n{number}")));
    }
    chunks.push(call(0, "", "", "\"}"));
    chunks.push(finishing("tool_calls"));
    let stream = chunks.concat();
    let whole = translate(Dialect::Chat, &[stream.as_bytes()]);
    let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    assert_eq!(translate(Dialect::Chat, &single), whole);
    let found = events(&whole.out);
    let deltas = found.iter().filter(|event| !event["delta"].is_null());
    assert_eq!(deltas.count(), 120 + 12 + 14);
    let told = told(&found);
    assert_eq!(told.status.as_deref(), Some("completed"));
    assert!(told.text.starts_with("é0\"é1\""), "{}", told.text);
}

#[test]
fn what_has_an_empty_or_blank_beginning_is_told_whole() {
    let run = run_chat(&[
        call(0, "a", "f", ""),
        call(0, "", "", " "),
        call(0, "", "", "\n{"),
        call(0, "", "", "}"),
        call(1, "b", "f", "  "),
        chunk(&json!({"content": ""})),
        finishing("tool_calls"),
    ]);
    let told = told(&events(&run.out));
    let calls = [["a", "f", " \n{}"], ["b", "f", "{}"]].map(|call| call.map(str::to_owned));
    assert_eq!(told.calls, calls);
    assert_eq!(told.text, "");
}

#[test]
fn ids_are_as_the_provider_gives_them_and_carry_what_has_no_other_place() {
    let signed = json!({"tool_calls": [{
        "id": "functions.f:0", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "AQL+/w=="}},
    }]});
    let run = run_chat(&[
        chunk(&signed),
        call(1, "x_ts_y.z", "f", "{}"),
        finishing("stop"),
    ]);
    let told = told(&events(&run.out));
    let ids: Vec<&str> = told.calls.iter().map(|call| &*call[0]).collect();
    assert_eq!(ids, ["functions.f:0_ts_AQL-_w", "x_ts-y.z"]);
}

#[test]
fn a_refusal_that_comes_at_the_end_is_told() {
    let stream = concat!(
        r#"data: {"type":"message_start","message":{"id":"a"}}"#,
        "\n\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"refusal","#,
        r#""stop_details":{"type":"refusal","explanation":"I won't."}},"#,
        r#""usage":{"output_tokens":5}}"#,
        "\n\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let (echo, names) = (Echo::default(), Names::default());
    let plan = plan(Dialect::Messages, &echo, &names);
    let told = told(&events(&run(&plan, &former(&plan), stream).out));
    let expected = Told {
        refusal: "I won't.".to_owned(),
        status: Some("completed".to_owned()),
        ..Told::default()
    };
    assert_eq!(told, expected);
}

#[test]
fn the_reason_for_its_end_decides_how_a_response_stands() {
    for (reason, refusal, status, why) in [
        ("stop", "", "completed", None),
        ("eos", "", "completed", None),
        ("length", "", "incomplete", Some("max_output_tokens")),
        (
            "model_length",
            "no",
            "incomplete",
            Some("max_output_tokens"),
        ),
        ("content_filter", "", "incomplete", Some("content_filter")),
        ("content_filter", "no", "completed", None),
        ("stop", "no", "completed", None),
        ("tool_calls", "", "completed", None),
    ] {
        let run = run_chat(&[
            chunk(&json!({"content": "a", "refusal": refusal})),
            finishing(reason),
        ]);
        let found = events(&run.out);
        let response = &found.last().unwrap()["response"];
        assert_eq!(response["status"], status, "{reason} {refusal}");
        assert_eq!(
            response["incomplete_details"]["reason"].as_str(),
            why,
            "{reason}"
        );
        assert_eq!(response["output"][0]["status"], status);
        told(&found);
    }
}

#[test]
fn a_stream_that_breaks_ends_with_an_event_that_says_so() {
    let begun = [chunk(&json!({"content": "Par"})), call(0, "a", "f", "{")];
    let run = run_chat(&begun);
    assert_eq!(run.end, Err(StreamFault::Cut));
    let found = events(&run.out);
    let told = told(&found);
    assert_eq!(told.code.as_deref(), Some("server_error"));
    let response = &found.last().unwrap()["response"];
    // What was done has its place, what is open has not.
    assert_eq!(response["output"].as_array().unwrap().len(), 1);
    assert_eq!(response["usage"], Json::Null);
}

#[test]
fn an_error_of_a_provider_has_a_code_that_says_whether_a_repeat_helps() {
    for (key, code) in [
        (KeyOwner::Infermux, "server_error"),
        (KeyOwner::Caller, "insufficient_quota"),
    ] {
        let error = r#"{"error":{"message":"No \"money\".","type":"insufficient_quota"}}"#;
        let stream = format!("{}data: {error}\n\n", chunk(&json!({"content": "a"})));
        let (echo, names) = (Echo::default(), Names::default());
        let mut plan = plan(Dialect::Chat, &echo, &names);
        plan.wanted.key = key;
        let run = run(&plan, &former(&plan), &stream);
        assert_eq!(run.end, Err(StreamFault::ErrorRelayed));
        let found = events(&run.out);
        assert_eq!(told(&found).code.as_deref(), Some(code));
        let message = &found.last().unwrap()["response"]["error"]["message"];
        assert_eq!(message, "No \"money\".");
    }
}

#[test]
fn signs_of_life_have_the_next_numbers() {
    let (echo, names) = (Echo::default(), Names::default());
    let mut shell = Shell::default();
    shell.reset(&plan(Dialect::Chat, &echo, &names));
    let mut out = Vec::new();
    let mut push = |text: &str, out: &mut Vec<u8>| shell.push(text.as_bytes(), out).unwrap();
    push(&chunk(&json!({"content": "a"})), &mut out);
    // One that the machine writes itself, and two of whoever drives it.
    push(": still there\n\n", &mut out);
    let mut sign = shell.sign();
    sign.write(&mut out);
    sign.write(&mut out);
    shell.note_signs(sign);
    let rest = [chunk(&json!({"content": "b"})), finishing("stop")].concat();
    shell.push(rest.as_bytes(), &mut out).unwrap();
    shell.finish(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("event: keepalive\n").count(), 3, "{text}");
    assert_eq!(told(&events(&text)).text, "ab");
}

#[derive(serde::Deserialize)]
struct ErrorVector {
    id: String,
    #[serde(default)]
    provider_type: String,
    #[serde(default)]
    upstream: Json,
    in_stream: Option<Json>,
}

#[test]
fn errors_behind_content_are_told_as_the_vectors_say() {
    let vectors: Vec<ErrorVector> = crate::dialect::expected::vectors_of("responses", "error");
    let mut count = 0;
    for vector in &vectors {
        let Some(expected) = &vector.in_stream else {
            continue;
        };
        count += 1;
        let delta = json!({"type": "text_delta", "text": "a"});
        let text = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let (provider, begun) = match &*vector.provider_type {
            "anthropic" => (Dialect::Messages, format!("data: {text}\n\n")),
            _ => (Dialect::Chat, chunk(&json!({"content": "a"}))),
        };
        let error = vector.upstream["body"].as_str().unwrap();
        let run = translate(provider, &[format!("{begun}data: {error}\n\n").as_bytes()]);
        let found = events(&run.out);
        told(&found);
        assert_eq!(
            found.last().unwrap()["response"]["error"],
            *expected,
            "{}",
            vector.id
        );
    }
    assert_eq!(count, 6);
}

/// What a provider says, piece by piece.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Thought(String),
    Refusal(String),
    /// The next piece of the arguments of this call.
    Call(usize),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let text = "[a-z\\\\\"\n {}é]{0,6}";
    prop::collection::vec(
        prop_oneof![
            text.prop_map(Piece::Text),
            text.prop_map(Piece::Text),
            text.prop_map(Piece::Thought),
            text.prop_map(Piece::Refusal),
            (0_usize..3).prop_map(Piece::Call),
            (0_usize..3).prop_map(Piece::Call),
        ],
        0..24,
    )
}

/// What the calls of these streams have as their arguments.
const ARGUMENTS: [&str; 3] = [r#"{"a":{"b":"}"}}"#, "{}", r#"{"x":"\"{é"}"#];

/// Takes the next `size` characters of the arguments of a call; returns whether they are its first.
fn next(given: &mut [usize; 3], number: usize, size: usize) -> (bool, String) {
    let rest = ARGUMENTS[number].chars().skip(given[number]);
    let is_first = given[number] == 0;
    given[number] += size;
    (is_first, rest.take(size).collect())
}

fn note_call(expected: &mut Told, number: usize, (is_first, text): (bool, &str)) {
    let own = format!("c{number}");
    if is_first {
        expected
            .calls
            .push([own.clone(), "f".to_owned(), String::new()]);
    }
    let call = expected.calls.iter_mut().find(|[id, ..]| *id == own);
    call.unwrap()[2].push_str(text);
}

/// The stream as a chat provider sends it, and what it says.
fn chat_stream(pieces: &[Piece], size: usize) -> (String, Told) {
    let (mut given, mut expected, mut stream) = ([0; 3], Told::default(), String::new());
    for piece in pieces {
        stream.push_str(&match piece {
            Piece::Text(text) => {
                expected.text.push_str(text);
                chunk(&json!({"content": text}))
            }
            Piece::Thought(text) => {
                expected.thinking.push_str(text);
                chunk(&json!({"reasoning_content": text}))
            }
            Piece::Refusal(text) => {
                expected.refusal.push_str(text);
                chunk(&json!({"refusal": text}))
            }
            Piece::Call(number) => {
                let (is_first, text) = next(&mut given, *number, size);
                note_call(&mut expected, *number, (is_first, &text));
                let (id, name) = if is_first {
                    (format!("c{number}"), "f")
                } else {
                    (String::new(), "")
                };
                call(*number, &id, name, &text)
            }
        });
    }
    stream.push_str(&finishing("stop"));
    (stream, expected)
}

/// The stream as Anthropic sends it, whose blocks follow each other, and what it says.
fn messages_stream(pieces: &[Piece]) -> (String, Told) {
    let (mut expected, mut stream) = (Told::default(), String::new());
    let mut send = |data: Json| stream.push_str(&format!("data: {data}\n\n"));
    send(json!({"type": "message_start", "message": {"id": "a", "usage": {"input_tokens": 3}}}));
    let mut calls = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let (block, delta) = match piece {
            Piece::Text(text) | Piece::Refusal(text) => {
                expected.text.push_str(text);
                let delta = json!({"type": "text_delta", "text": text});
                (json!({"type": "text", "text": ""}), delta)
            }
            Piece::Thought(text) => {
                expected.thinking.push_str(text);
                let delta = json!({"type": "thinking_delta", "thinking": text});
                (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    delta,
                )
            }
            Piece::Call(number) => {
                let (own, text) = (calls, ARGUMENTS[*number]);
                calls += 1;
                note_call(&mut expected, own, (true, text));
                let id = format!("c{own}");
                let delta = json!({"type": "input_json_delta", "partial_json": text});
                (
                    json!({"type": "tool_use", "id": id, "name": "f", "input": {}}),
                    delta,
                )
            }
        };
        send(json!({"type": "content_block_start", "index": index, "content_block": block}));
        send(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        send(json!({"type": "content_block_stop", "index": index}));
    }
    let usage = json!({"output_tokens": 5});
    send(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}));
    send(json!({"type": "message_stop"}));
    (stream, expected)
}

proptest! {
    #[test]
    fn nothing_is_lost_nor_sent_twice(
        pieces in pieces(), size in 1_usize..6, cut in any::<prop::sample::Index>(),
    ) {
        for (provider, (stream, mut expected)) in [
            (Dialect::Chat, chat_stream(&pieces, size)),
            (Dialect::Messages, messages_stream(&pieces)),
        ] {
            let whole = translate(provider, &[stream.as_bytes()]);
            let (before, behind) = stream.as_bytes().split_at(cut.index(stream.len()));
            prop_assert_eq!(&translate(provider, &[before, behind]), &whole);
            prop_assert_eq!(whole.end, Ok(()));
            expected.status = Some("completed".to_owned());
            prop_assert_eq!(told(&events(&whole.out)), expected);
        }
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_is_told_as_failed(
        pieces in pieces(), cut in any::<prop::sample::Index>(),
    ) {
        for (provider, (stream, _)) in [
            (Dialect::Chat, chat_stream(&pieces, 2)),
            (Dialect::Messages, messages_stream(&pieces)),
        ] {
            let part = &stream.as_bytes()[..cut.index(stream.len())];
            let run = translate(provider, &[part]);
            if run.committed {
                let found = told(&events(&run.out));
                prop_assert_eq!(found.code.is_some(), run.end.is_err());
                prop_assert!(found.status.is_some());
            }
        }
    }

    #[test]
    fn any_chunks_give_valid_events(
        stream in concat!(
            r#"(data: \{("choices":\[(\{("index":[01],)?"delta":\{"#,
            r#"("(content|reasoning|refusal)":("x"|""|"\\ud800"|"\\x"|null|"#,
            r#"\[\{"type":"text","text":"é"\}\])|"#,
            r#""tool_calls":\[(\{("index":[012],)?"id":"[ab]?","function":"#,
            r#"\{("name":"f",)?"arguments":("\{"|"\}"|"")\}\})?\])?\}"#,
            r#"(,"logprobs":(null|\{"content":(\[\{"token":"x"\}\]|\[|7)\}))?"#,
            r#"(,"finish_reason":("stop"|null|"error"))?\})?\])?"#,
            r#"(,?"usage":\{"prompt_tokens":7\})?\}\n\n|data: \[DONE\]\n\n|: x\n\n|"#,
            r#"data: \{"error":"x"\}\n\n){0,8}"#,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = translate(Dialect::Chat, &[stream.as_bytes()]);
        if !stream.is_empty() {
            let (before, behind) = stream.as_bytes().split_at(cut.index(stream.len()));
            prop_assert_eq!(&translate(Dialect::Chat, &[before, behind]), &whole);
        }
        let found = told(&events(&whole.out));
        prop_assert_eq!(found.status.is_some(), whole.committed);
        prop_assert_eq!(found.code.is_some(), whole.committed && whole.end.is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        for provider in [Dialect::Chat, Dialect::Messages] {
            translate(provider, &[&bytes]);
        }
    }
}
