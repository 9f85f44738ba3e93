//! Tests of a stream from chat completions to Messages: the published vectors, the rules one by
//! one, and any split of any stream.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::driven::{self, Former, Run};
use super::*;
use crate::base::limits::{OPEN_BLOCKS_MAX, WAITING_BLOCKS_BYTES_MAX};
use crate::dialect::expected::{self, Told, events, fits, told};
use crate::dialect::shell::plan::{Thoughts, Wanted};

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    #[serde(default)]
    request: Json,
    openai_sse: String,
    #[serde(default)]
    read_splits: Vec<usize>,
    anthropic_events: Option<Vec<Json>>,
    recorded_usage: Option<Json>,
    before_commit: Option<Json>,
}

/// Translates the stream that comes in `reads`.
fn translate(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    with_former(plan, |former| driven::drive(plan, former, reads))
}

/// Translates `stream`, in any split.
fn run(plan: &StreamPlan<'_>, stream: &str) -> Run {
    with_former(plan, |former| driven::run(plan, former, stream))
}

fn with_former(plan: &StreamPlan<'_>, drive: impl Fn(&Former<'_>) -> Run) -> Run {
    let before = chunk(&json!({"tool_calls": [call(0, "x", "f", "{")], "content": "x"}));
    drive(&Former {
        plan: *plan,
        bytes: before.as_bytes(),
    })
}

fn run_all(chunks: &[&str]) -> Run {
    run(&expected::plan(b"\"m\"", Wanted::NOTHING), &chunks.concat())
}

fn chunk(delta: &Json) -> String {
    finishing(delta, &Json::Null)
}

fn finishing(delta: &Json, reason: &Json) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    let chunk = json!({"id": "c", "model": "gpt", "choices": [choice], "usage": null});
    format!("data: {chunk}\n\n")
}

fn call(index: usize, id: &str, name: &str, arguments: &str) -> Json {
    json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
}

const DONE_EVENT: &str = "data: [DONE]\n\n";

#[test]
fn the_published_vectors_hold() {
    let vectors: Vec<Vector> = expected::vectors("stream");
    assert_eq!(vectors.len(), 31);
    for vector in &vectors {
        let model = json::quoted(&vector.caller_model);
        let stops = expected::stops(&vector.request);
        let plan = expected::plan(
            &model,
            Wanted {
                thoughts: expected::thoughts(&vector.request),
                stops: &stops,
                ..Wanted::NOTHING
            },
        );
        let whole = vector.openai_sse.as_bytes();
        let run = translate(&plan, &[whole]);
        let (mut reads, mut rest) = (Vec::new(), whole);
        for at in vector.read_splits.iter().rev() {
            let (before, behind) = rest.split_at(*at);
            reads.insert(0, behind);
            rest = before;
        }
        reads.insert(0, rest);
        assert_eq!(translate(&plan, &reads), run, "{}", vector.id);
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(translate(&plan, &bytes), run, "{}", vector.id);
        check(vector, &run);
    }
}

fn check(vector: &Vector, run: &Run) {
    let id = &vector.id;
    let Some(expected) = &vector.anthropic_events else {
        assert!(vector.before_commit.is_some(), "{id}");
        assert!(run.out.is_empty() && run.end.is_err(), "{id}");
        return;
    };
    let mut found = events(&run.out);
    if run.end == Err(StreamFault::Cut) {
        // Whoever drives the machine says so in infermux's own words.
        found.push(json!({"type": "error", "error": {"type": "api_error", "message": "x"}}));
    }
    assert_eq!(found.len(), expected.len(), "{id}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(fits(found, expected, ""), "{id}:\n{found}\n{expected}");
    }
    if let Some(usage) = &vector.recorded_usage {
        let told = run.usage.unwrap();
        assert_eq!(usage["prompt_tokens"], told.prompt.get(), "{id}");
        assert_eq!(usage["completion_tokens"], told.completion.get(), "{id}");
    }
}

#[test]
fn pieces_of_calls_are_told_apart() {
    let piece = |piece: Json| chunk(&json!({"tool_calls": [piece]}));
    let arguments = |text: &str| json!({"function": {"arguments": text}});
    // Without index and id: the last call. Two names in one chunk are two calls.
    let run = run_all(&[
        &chunk(&json!({"tool_calls": [
            {"function": {"name": "f", "arguments": "{}"}},
            {"function": {"name": "g", "arguments": "{"}},
        ]})),
        &piece(arguments("}")),
        &chunk(&json!({"function_call": {"name": "ignored", "arguments": " "}})),
        &finishing(&json!({}), &json!("stop")),
        DONE_EVENT,
    ]);
    let calls = told(&events(&run.out)).calls;
    let calls: Vec<[&str; 2]> = calls
        .iter()
        .map(|[_, name, text]| [&**name, text])
        .collect();
    assert_eq!(calls, [["f", "{}"], ["g", "{} "]]);
    // A call that never has a name is dropped; an object in place of a string is one.
    let run = run_all(&[
        &piece(json!({"index": 0, "id": "a", "function": {"arguments": "{}"}})),
        &piece(
            json!({"index": 1, "id": "b", "function": {"name": "f", "arguments": {"k": "\"é"}}}),
        ),
        &piece(json!({"index": 0, "function": {"arguments": "more"}})),
        &finishing(&json!({}), &json!("tool_calls")),
        DONE_EVENT,
    ]);
    let found = told(&events(&run.out));
    assert_eq!(
        found.calls,
        [["b", "f", r#"{"k":"\"é"}"#].map(str::to_owned)]
    );
    assert_eq!(found.stop_reason.as_deref(), Some("tool_use"));
}

#[test]
fn a_mark_of_the_end_is_no_reason_to_stop() {
    let text = chunk(&json!({"content": "Hi"}));
    for (end, fault) in [
        (DONE_EVENT, StreamFault::Cut),
        ("", StreamFault::Cut),
        ("data: {\"choices\":[\n\n", StreamFault::Malformed),
        (
            "data: {\"object\":\"error\",\"message\":\"x\"}\n\n",
            StreamFault::ErrorRelayed,
        ),
    ] {
        let run = run_all(&[&text, end]);
        assert_eq!(run.end, Err(fault));
        let found = told(&events(&run.out));
        assert_eq!((&*found.text, found.is_whole), ("Hi", false));
    }
    assert_eq!(run_all(&[DONE_EVENT]).end, Err(StreamFault::NoContent));
}

#[test]
fn usage_behind_the_reason_ends_the_stream() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
    let text = chunk(&json!({"content": "Hi"}));
    let finish = finishing(&json!({"content": "!"}), &json!("length"));
    let late = chunk(&json!({"content": "late"}));
    let run = run_all(&[&text, &finish, &late, usage, &late]);
    assert_eq!(run.end, Ok(()));
    let found = told(&events(&run.out));
    assert_eq!(&*found.text, "Hi!late");
    assert_eq!(found.stop_reason.as_deref(), Some("max_tokens"));
    // Running totals end nothing.
    let run = run_all(&[usage, &text, usage, &finish, DONE_EVENT]);
    assert_eq!(run.end, Ok(()));
    let start = &events(&run.out)[0]["message"]["usage"];
    assert_eq!(
        (&start["input_tokens"], &start["output_tokens"]),
        (&json!(9), &json!(0))
    );
}

#[test]
fn silence_may_end_what_has_its_reason() {
    let mut shell = Shell::default();
    shell.reset(&expected::plan(b"\"m\"", Wanted::NOTHING));
    let mut out = Vec::new();
    let text = chunk(&json!({"content": "hi"}));
    shell.push(text.as_bytes(), &mut out).unwrap();
    assert!(!shell.may_end_in_silence());
    let reason = finishing(&json!({}), &json!("stop"));
    shell.push(reason.as_bytes(), &mut out).unwrap();
    assert!(shell.may_end_in_silence());
    shell.finish(&mut out).unwrap();
    assert!(!shell.may_end_in_silence() && shell.is_done());
    // Between sides that speak alike, the provider has the last word.
    shell.reset(&StreamPlan {
        caller: Dialect::Chat,
        ..expected::plan(b"\"m\"", Wanted::NOTHING)
    });
    shell
        .push([text, reason].concat().as_bytes(), &mut out)
        .unwrap();
    assert!(shell.is_committed() && !shell.may_end_in_silence());
}

#[test]
fn thoughts_that_nobody_asked_for_show_work() {
    let thought = chunk(&json!({"reasoning_content": "hm"}));
    for (thoughts, is_unseen) in [(Thoughts::Hidden, true), (Thoughts::Shown, false)] {
        let wanted = Wanted {
            thoughts,
            ..Wanted::NOTHING
        };
        let mut shell = Shell::default();
        shell.reset(&expected::plan(b"\"m\"", wanted));
        let mut out = Vec::new();
        let role = chunk(&json!({"role": "assistant", "content": ""}));
        shell.push(role.as_bytes(), &mut out).unwrap();
        assert!(!shell.works_unseen());
        shell.push(thought.as_bytes(), &mut out).unwrap();
        assert_eq!(shell.works_unseen(), is_unseen);
        assert_eq!(out.is_empty(), is_unseen);
        shell.begin_read();
        shell.push(b": still here\n\n", &mut out).unwrap();
        assert!(!shell.works_unseen());
        // However a read ends, what it shows counts.
        shell.push(thought.as_bytes(), &mut out).unwrap();
        shell.push(b": still here\n\n", &mut out).unwrap();
        assert_eq!(shell.works_unseen(), is_unseen);
    }
}

#[test]
fn white_space_before_arguments_is_none() {
    for (pieces, expected) in [
        (&[" "][..], "{}"),
        (&["\\n", " ", "{}"], "{}"),
        (&[" ", r#"{\"a\":"#, "1}"], r#"{"a":1}"#),
    ] {
        let argument = |piece: &&str| {
            let piece: Json = serde_json::from_str(&format!("\"{piece}\"")).unwrap();
            chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
        };
        let start = chunk(&json!({"tool_calls": [call(0, "x", "f", "")]}));
        let pieces: String = pieces.iter().map(argument).collect();
        let stop = finishing(&json!({}), &json!("tool_calls"));
        let told = run_all(&[&start, &pieces, &stop, DONE_EVENT]);
        let data = told
            .out
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        let events = data.map(|data| serde_json::from_str::<Json>(data).unwrap());
        let deltas =
            events.filter_map(|event| event["delta"]["partial_json"].as_str().map(str::to_owned));
        let deltas: Vec<String> = deltas.collect();
        assert_eq!(deltas.concat(), expected);
        assert!(deltas[0].starts_with('{'), "{deltas:?}");
    }
}

#[test]
fn arguments_that_are_no_object_are_told_as_one_when_they_are_whole() {
    let first = |pieces: &[&str]| {
        let start = chunk(&json!({"tool_calls": [call(0, "x", "f", "")]}));
        let piece = |text: &&str| {
            chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}))
        };
        [start, pieces.iter().map(piece).collect()].concat()
    };
    let second = chunk(&json!({"tool_calls": [call(1, "y", "g", "[true]")]}));
    let stop = finishing(&json!({}), &json!("tool_calls"));
    for (pieces, expected) in [
        (&["no", "pe"][..], json!({"arguments": "nope"})),
        (&["\"a", "\\n\""], json!({"arguments": "a\n"})),
        (&["[1", ", 2]"], json!({"arguments": [1, 2]})),
        (&["null"], json!({"arguments": null})),
        (&[" ", "5"], json!({"arguments": 5})),
        (&["\"half"], json!({"arguments": "\"half"})),
        (&["é\n\\"], json!({"arguments": "é\n\\"})),
    ] {
        for (more, others) in [("", &[][..]), (&second, &[json!({"arguments": [true]})])] {
            let run = run_all(&[&first(pieces), more, &stop, DONE_EVENT]);
            assert_eq!(run.end, Ok(()));
            // Official readers parse each delta as the beginning of JSON.
            let deltas: Vec<Json> = events(&run.out)
                .iter()
                .filter_map(|event| event["delta"]["partial_json"].as_str())
                .map(|text| serde_json::from_str(text).unwrap())
                .collect();
            assert_eq!(
                deltas,
                [std::slice::from_ref(&expected), others].concat(),
                "{pieces:?}"
            );
        }
    }
    // Nothing is told of what was cut off, and what is held is counted.
    let run = run_all(&[&first(&["nope"])]);
    assert_eq!(run.end, Err(StreamFault::Cut));
    assert!(!run.out.contains("partial_json"), "{}", run.out);
    let plan = expected::plan(b"\"m\"", Wanted::NOTHING);
    let (mut shell, mut out) = (Shell::default(), Vec::new());
    shell.reset(&plan);
    let long = "x".repeat(WAITING_BLOCKS_BYTES_MAX / 2);
    shell.push(first(&[&long]).as_bytes(), &mut out).unwrap();
    assert!(shell.kept() >= long.len());
    let more = first(&[&long, "x"]);
    assert_eq!(
        shell.push(more.as_bytes(), &mut out),
        Err(StreamFault::EventTooLong)
    );
}

#[test]
fn a_stop_string_that_was_met_is_told() {
    let stops = ["END".into()];
    let plan = expected::plan(
        b"\"m\"",
        Wanted {
            stops: &stops,
            ..Wanted::NOTHING
        },
    );
    for (member, value, is_met) in [
        // vLLM's, and SGLang's.
        ("stop_reason", json!("END"), true),
        ("matched_stop", json!("END"), true),
        ("matched_stop", json!("other"), false),
        ("matched_stop", json!(128_001), false),
        ("stop_reason", Json::Null, false),
    ] {
        let mut choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
        choice[member] = value.clone();
        let finish = format!("data: {}\n\n", json!({"model": "gpt", "choices": [choice]}));
        let text = chunk(&json!({"content": "Hi"}));
        let run = run(&plan, &[&text, &*finish, DONE_EVENT].concat());
        let (reason, sequence) = if is_met {
            ("stop_sequence", r#""stop_sequence":"END""#)
        } else {
            ("end_turn", r#""stop_sequence":null"#)
        };
        let found = told(&events(&run.out));
        assert_eq!(
            found.stop_reason.as_deref(),
            Some(reason),
            "{member} {value}"
        );
        let end = run.out.rsplit_once("message_delta").unwrap().1;
        assert!(end.contains(sequence), "{member} {value}: {end}");
    }
}

#[test]
fn a_refusal_is_explained_in_all_of_its_words() {
    let words = ["I ", "do ", "not ", "say ", "so."];
    let pieces = words.map(|word| chunk(&json!({"refusal": word})));
    let stop = finishing(&json!({}), &json!("stop"));
    let told = run_all(&[&pieces.concat(), &stop, DONE_EVENT]);
    assert_eq!(told.end, Ok(()));
    let explained = r#""explanation":"I do not say so.""#;
    assert!(told.out.contains(explained), "{}", told.out);
}

#[test]
fn texts_that_look_alike_are_not_read_again() {
    let event = |delta: &str, pad: &str| {
        format!(
            "data: {{\"id\":\"c\",\"created\":7,\"choices\":[{{\"index\":0,\"delta\":{delta}}}],\
             \"usage\":null,\"obfuscation\":\"{pad}\"}}\n\n"
        )
    };
    let text = |text: &str, pad: &str| event(&format!(r#"{{"content":"{text}"}}"#), pad);
    let mut shell = Shell::default();
    shell.reset(&expected::plan(b"\"m\"", Wanted::NOTHING));
    let mut out = Vec::new();
    for first in [text("a", "x"), text("b", "yz")] {
        shell.push(first.as_bytes(), &mut out).unwrap();
    }
    out.clear();
    let alike = [text("c\\n", "longer"), text("\u{e9}", "p")].concat();
    let mut read = Vec::new();
    assert_eq!(shell.course.pass_alike(alike.as_bytes(), &mut out), b"");
    for byte in alike.as_bytes().chunks(1) {
        shell.push(byte, &mut read).unwrap();
    }
    assert_eq!(
        String::from_utf8(out).unwrap(),
        String::from_utf8(read).unwrap()
    );
    // A call is another block: the text behind it is, too.
    let call = event(
        r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}"#,
        "x",
    );
    let mut out = Vec::new();
    shell.push(call.as_bytes(), &mut out).unwrap();
    assert_eq!(
        shell.course.pass_alike(alike.as_bytes(), &mut out),
        alike.as_bytes()
    );
    let arguments = |arguments: &str| {
        let call = json!({"index": 0, "function": {"arguments": arguments}});
        event(&json!({"tool_calls": [call]}).to_string(), "x")
    };
    shell.push(arguments("{").as_bytes(), &mut out).unwrap();
    let more = arguments("\"a\":1");
    assert_eq!(shell.course.pass_alike(more.as_bytes(), &mut out), b"");
}

#[test]
fn what_waits_is_counted_and_bounded() {
    let plan = expected::plan(b"\"m\"", Wanted::NOTHING);
    let open = chunk(&json!({"tool_calls": [call(0, "a", "f", "{")]}));
    let text = chunk(&json!({"content": "x".repeat(WAITING_BLOCKS_BYTES_MAX / 8)}));
    let mut shell = Shell::default();
    shell.reset(&plan);
    let mut out = Vec::new();
    shell.push(open.as_bytes(), &mut out).unwrap();
    assert_eq!(shell.kept(), 0);
    for count in 1..8 {
        shell.push(text.as_bytes(), &mut out).unwrap();
        assert!(shell.kept() >= count * (WAITING_BLOCKS_BYTES_MAX / 8));
    }
    let end = shell.push(text.as_bytes(), &mut out);
    assert_eq!(end, Err(StreamFault::EventTooLong));
    // What is sent takes no room.
    shell.reset(&plan);
    let whole = [
        open,
        text,
        chunk(&json!({"tool_calls": [call(0, "", "", "}")]})),
    ];
    shell.push(whole.concat().as_bytes(), &mut out).unwrap();
    assert_eq!(shell.kept(), 0);
}

#[test]
fn a_stream_with_too_many_calls_fails() {
    let pieces: Vec<String> = (0..=OPEN_BLOCKS_MAX)
        .map(|number| chunk(&json!({"tool_calls": [call(number, "", "f", "{}")]})))
        .collect();
    let plan = expected::plan(b"\"m\"", Wanted::NOTHING);
    let run = translate(&plan, &[pieces.concat().as_bytes()]);
    assert_eq!(run.end, Err(StreamFault::Malformed));
}

#[test]
fn thoughts_that_are_not_shown_leave_no_gap() {
    let plan = expected::plan(
        b"\"m\"",
        Wanted {
            thoughts: Thoughts::Hidden,
            ..Wanted::NOTHING
        },
    );
    let stream = [
        chunk(&json!({"content": "a"})),
        chunk(&json!({"reasoning": "hm"})),
        chunk(&json!({"content": "b"})),
        finishing(&json!({}), &json!("stop")),
    ];
    let found = events(&run(&plan, &stream.concat()).out);
    let starts = found
        .iter()
        .filter(|event| event["type"] == "content_block_start");
    assert_eq!(starts.count(), 1);
    assert_eq!(told(&found).text, "ab");
}

/// What a provider says, piece by piece.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Thought(String),
    /// The next piece of the arguments of this call.
    Call(usize),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let text = "[a-z\\\\\"\n {}é]{0,6}";
    prop::collection::vec(
        prop_oneof![
            text.prop_map(Piece::Text),
            text.prop_map(Piece::Thought),
            (0_usize..3).prop_map(Piece::Call),
            (0_usize..3).prop_map(Piece::Call),
        ],
        0..24,
    )
}

proptest! {
    #[test]
    fn nothing_is_lost_nor_sent_twice(
        pieces in pieces(), size in 1_usize..6, cut in any::<prop::sample::Index>(),
    ) {
        let arguments = [r#"{"a":{"b":"}"}}"#, "{}", r#"{"x":"\"{é"}"#];
        let (mut given, mut expected) = ([0; 3], Told::default());
        let mut stream = String::new();
        for piece in &pieces {
            let delta = match piece {
                Piece::Text(text) => {
                    expected.text.push_str(text);
                    json!({"content": text})
                }
                Piece::Thought(text) => {
                    expected.thinking.push_str(text);
                    json!({"reasoning_content": text})
                }
                Piece::Call(number) => {
                    let rest = arguments[*number].chars().skip(given[*number]);
                    let rest: String = rest.take(size).collect();
                    let is_first = given[*number] == 0;
                    given[*number] += size;
                    let id = if is_first { format!("c{number}") } else { String::new() };
                    if is_first {
                        expected.calls.push([id.clone(), "f".to_owned(), String::new()]);
                    }
                    let own = format!("c{number}");
                    let call_told = expected.calls.iter_mut().find(|[id, ..]| *id == own);
                    call_told.unwrap()[2].push_str(&rest);
                    let name = if is_first { "f" } else { "" };
                    json!({"tool_calls": [call(*number, &id, name, &rest)]})
                }
            };
            stream.push_str(&chunk(&delta));
        }
        stream.push_str(&finishing(&json!({}), &json!("stop")));
        let plan = expected::plan(b"\"m\"", Wanted::NOTHING);
        let whole = translate(&plan, &[stream.as_bytes()]);
        let (before, behind) = stream.as_bytes().split_at(cut.index(stream.len()));
        prop_assert_eq!(&translate(&plan, &[before, behind]), &whole);
        prop_assert_eq!(whole.end, Ok(()));
        let mut found = told(&events(&whole.out));
        prop_assert!(found.is_whole);
        let reason = if expected.calls.is_empty() { "end_turn" } else { "tool_use" };
        prop_assert_eq!(found.stop_reason.take(), Some(reason.to_owned()));
        (expected.is_whole, found.is_whole) = (false, false);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_chunks_give_valid_events(
        stream in concat!(
            r#"(data: \{("choices":\[(\{("index":[01],)?"delta":\{"#,
            r#"("(content|reasoning|refusal)":("x"|""|"\\ud800"|"\\x"|null|"#,
            r#"\[\{"type":"text","text":"é"\}\])|"#,
            r#""tool_calls":\[(\{("index":[012],)?"id":"[ab]?","function":"#,
            r#"\{("name":"f",)?"arguments":("\{"|"\}"|"")\}\})?\])?\}"#,
            r#"(,"finish_reason":("stop"|null|"error"))?\})?\])?"#,
            r#"(,?"usage":\{"prompt_tokens":7\})?\}\n\n|data: \[DONE\]\n\n|: x\n\n|"#,
            r#"data: \{"error":"x"\}\n\n){0,8}"#,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let plan = expected::plan(b"\"m\"", Wanted::NOTHING);
        let whole = translate(&plan, &[stream.as_bytes()]);
        if !stream.is_empty() {
            let (before, behind) = stream.as_bytes().split_at(cut.index(stream.len()));
            prop_assert_eq!(&translate(&plan, &[before, behind]), &whole);
        }
        let found = told(&events(&whole.out));
        prop_assert_eq!(found.is_whole, whole.end.is_ok());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        translate(&expected::plan(b"\"m\"", Wanted::NOTHING), &[&bytes]);
    }
}
