//! Tests of a stream between sides that speak chat completions: the published vectors, the rules
//! one by one, and any split of any stream.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::driven::{self, Former, Run};
use super::*;
use crate::base::endpoint::Endpoint;
use crate::base::limits::HELD_BACK_BYTES_MAX;
use crate::base::money::Price;
use crate::decide::pricing::Row;
use crate::dialect::shell::plan::{IncludeUsage, UsageChunk, Wanted};
use crate::dialect::tariff::Tariff;
use crate::wire::json::respelt::respelt;

const PLAN: StreamPlan<'static> = StreamPlan {
    caller: Dialect::Chat,
    provider: Dialect::Chat,
    endpoint: Endpoint::ChatCompletions,
    caller_model: b"\"mine\"",
    usage: UsageChunk::Injected,
    include_usage: IncludeUsage::No,
    notes_apart: false,
    wanted: Wanted::NOTHING,
    tariff: None,
    created: 7,
    event_bytes_max: EVENT_BYTES_MAX,
};

const EVENT_BYTES_MAX: usize = 1 << 20;

/// Relays the stream that comes in `reads`.
fn relay(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    driven::drive(plan, &former(), reads)
}

/// Relays `stream`, in any split.
fn run(plan: &StreamPlan<'_>, stream: &str) -> Run {
    driven::run(plan, &former(), stream)
}

fn former() -> Former<'static> {
    Former {
        plan: StreamPlan {
            caller_model: b"\"other\"",
            usage: UsageChunk::Untouched,
            ..PLAN
        },
        bytes: concat!(
            r#"data: {"model":"theirs","choices":[{"index":0,"delta":{"content":"x"}}],"#,
            r#""usage":{"prompt_tokens":1}}"#,
            "\n\n",
        )
        .as_bytes(),
    }
}

/// A chunk with one choice.
fn chunk(delta: &str, rest: &str) -> Vec<u8> {
    format!(
        "data: {{\"model\":\"theirs\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]{rest}}}\n\n"
    )
    .into_bytes()
}

fn text(delta: &str) -> String {
    String::from_utf8(chunk(delta, "")).unwrap()
}

const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE_EVENT: &str = "data: [DONE]\n\n";

#[test]
fn each_usage_tells_what_the_stream_has_cost_so_far() {
    let price = |usd: u64| Price::per_million(usd * 1_000_000_000);
    let plan = StreamPlan {
        usage: UsageChunk::Untouched,
        tariff: Some(Tariff {
            row: Row::flat(price(1), price(1_000)),
            prompt_bytes: 8,
        }),
        ..PLAN
    };
    let said = |delta: &str, usage: &str| {
        let chunk = chunk(delta, &format!(",\"usage\":{usage}"));
        String::from_utf8(chunk).unwrap()
    };
    let stream = [
        // Usage that counts nothing is estimated, also at the end.
        said(r#"{"content":"four"}"#, r#"{"prompt_tokens":0}"#),
        said(r#"{"content":"more"}"#, "null"),
        said(
            r#"{"content":"x"}"#,
            r#"{"prompt_tokens":5,"completion_tokens":2}"#,
        ),
        FINISH.to_owned(),
        String::from("data: {\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\n"),
        DONE_EVENT.to_owned(),
    ];
    let run = run(&plan, &stream.concat());
    let costs = run.out.split("\"cost_usd\":").skip(1);
    let costs: Vec<&str> = costs.filter_map(|rest| rest.split('}').next()).collect();
    assert_eq!(costs, ["0.001002", "0.002005", "0.003"], "{}", run.out);
    assert!(run.out.contains("\"usage\":null"));
}

#[test]
fn the_published_vectors_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/passthrough");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        check_vector(&serde_json::from_str(&text).unwrap());
        count += 1;
    }
    assert_eq!(count, 10);
}

fn check_vector(vector: &Json) {
    let id = vector["id"].as_str().unwrap();
    let caller_model = json::quoted(vector["caller_model"].as_str().unwrap());
    let plan = StreamPlan {
        caller_model: &caller_model,
        notes_apart: match vector["provider_type"].as_str().unwrap() {
            "openai" => false,
            "azure_openai" => true,
            other => panic!("{other}"),
        },
        usage: if vector["caller_include_usage"] == true {
            UsageChunk::Untouched
        } else {
            UsageChunk::Injected
        },
        ..PLAN
    };
    let run = run(&plan, vector["upstream_sse"].as_str().unwrap());
    let events: Vec<Json> = run
        .out
        .split_terminator("\n\n")
        .map(|event| {
            let data = event.strip_prefix("data: ").unwrap();
            serde_json::from_str(data).unwrap_or_else(|_| data.into())
        })
        .collect();
    assert_eq!(Json::from(events), vector["client_events"], "{id}");
    let recorded = &vector["recorded_usage"];
    assert_eq!(
        run.usage.map(|usage| usage.prompt.get()),
        recorded["prompt_tokens"].as_u64(),
        "{id}"
    );
    assert_eq!(
        run.usage.map(|usage| usage.completion.get()),
        recorded["completion_tokens"].as_u64(),
        "{id}"
    );
    assert_eq!(
        run.end.is_ok(),
        vector["client_events"]
            .as_array()
            .unwrap()
            .contains(&"[DONE]".into())
    );
}

#[test]
fn only_the_model_and_what_was_injected_are_touched() {
    let stream = concat!(
        "data: { \"x\" : [1e400, \"\\u00e9\"],\"usage\":null,\"model\" :\"a\",\
             \"choices\":[{\"delta\":{\"content\":\"H\"}}] }\n\n",
        "data: {\"model\":\"mine\",\
            \"choices\":[{\"delta\":{\"content\":\"i\"}}],\"usage\" : null}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\
            \"usage\":null,\"model\":null}\n\n",
        "data: [DONE]\n\n",
    );
    assert_eq!(
        run(&PLAN, stream).out,
        concat!(
            "data: { \"x\" : [1e400, \"\\u00e9\"],\"model\" :\"mine\",\
                 \"choices\":[{\"delta\":{\"content\":\"H\"}}] }\n\n",
            "data: {\"model\":\"mine\",\"choices\":[{\"delta\":{\"content\":\"i\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\
                \"model\":\"mine\"}\n\n",
            "data: [DONE]\n\n",
        )
    );
}

#[test]
fn nothing_but_data_reaches_the_caller() {
    let stream = format!(
        "\u{feff}: hi\n\nid: 7\nevent: x\nretry: 3\n{}\nid: 8\n\ndata:\n\n\
            event: ping\n\n{FINISH}{DONE_EVENT}",
        text(r#"{"content":"x"}"#).replace("\n\n", "\r\n")
    );
    let expected = text(r#"{"content":"x"}"#).replace("theirs", "mine");
    assert_eq!(
        run(&PLAN, &stream).out,
        format!("{expected}{FINISH}{DONE_EVENT}")
    );
    let lines = "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"x\"},\
        \ndata: \"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(
        run(&PLAN, lines).out,
        format!(
            "data: {{\"choices\":[{{\"delta\": {{\"content\":\"x\"}}, \
             \"finish_reason\":\"stop\"}}]}}\n\n{DONE_EVENT}"
        )
    );
}

#[test]
fn a_keep_alive_is_relayed_once_the_stream_is_committed() {
    let mut relay = Shell::default();
    relay.reset(&PLAN);
    let mut out = Vec::new();
    relay.push(b": keep-alive\n\n", &mut out).unwrap();
    assert!(out.is_empty());
    relay
        .push(text(r#"{"content":"x"}"#).as_bytes(), &mut out)
        .unwrap();
    out.clear();
    relay.push(b": a\n\n: b\n\n", &mut out).unwrap();
    assert_eq!(out, b": ping\n\n");
    relay.push(DONE_EVENT.as_bytes(), &mut out).unwrap();
    out.clear();
    relay.push(b": a\n\ndata: x\n\n", &mut out).unwrap();
    assert!(out.is_empty() && relay.is_done());
    assert_eq!(relay.finish(&mut out), Ok(()));
    assert!(out.is_empty());
}

#[test]
fn the_first_content_commits() {
    let role = text(r#"{"role":"assistant","content":""}"#);
    let held = role.replace("theirs", "mine");
    for (event, commits) in [
        (role.as_str(), false),
        (": ping\n\n", false),
        ("data: {\"object\":\"ping\"}\n\n", false),
        ("data: {\"choices\":[]}\n\n", false),
        (
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
            false,
        ),
        (&text(r#"{"content":"x"}"#), true),
        (&text(r#"{"reasoning_content":"x"}"#), true),
        (&text(r#"{"tool_calls":[{"index":0}]}"#), true),
        (&text(r#"{"refusal":"x"}"#), true),
        (FINISH, true),
    ] {
        let run = run(&PLAN, &format!("{role}{event}"));
        assert_eq!(run.committed, commits, "{event}");
        assert_eq!(run.out.starts_with(&held), commits, "{event}");
        assert_eq!(run.end.is_ok(), event == FINISH);
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    let role = text(r#"{"role":"assistant"}"#);
    let stream = role.repeat(HELD_BACK_BYTES_MAX / role.len() * 2);
    let whole = relay(&PLAN, &[stream.as_bytes()]);
    assert_eq!(
        (whole.end, whole.out.as_str()),
        (Err(StreamFault::HeldBackTooLong), "")
    );
    let long = format!("data: {}", "x".repeat(EVENT_BYTES_MAX));
    assert_eq!(
        relay(&PLAN, &[long.as_bytes()]).end,
        Err(StreamFault::EventTooLong)
    );
}

#[test]
fn an_error_before_content_is_kept_from_the_caller() {
    let error = r#"{"error":{"message":"boom","type":"server_error","param":null,"code":null}}"#;
    let run = run(
        &PLAN,
        &format!(
            "{}data: {error}\n\n{DONE_EVENT}",
            text(r#"{"role":"assistant"}"#)
        ),
    );
    assert_eq!(
        (run.end, run.out.as_str(), run.committed),
        (Err(StreamFault::Error), "", false)
    );
    assert_eq!(run.error.as_deref(), Some(error.as_bytes()));
}

#[test]
fn an_error_after_content_ends_the_stream_in_the_right_shape() {
    let content = text(r#"{"content":"x"}"#);
    let run = run(
        &PLAN,
        &format!(
            "{content}data: {{\"error\":{{\"message\":\"boom\",\"code\":500}}}}\n\n{DONE_EVENT}"
        ),
    );
    assert_eq!(run.end, Err(StreamFault::ErrorRelayed));
    let content = content.replace("theirs", "mine");
    assert_eq!(
        run.out,
        format!(
            "{content}data: {{\"error\":{{\"message\":\"boom\",\"code\":\"500\",\
                \"type\":\"server_error\",\"param\":null}}}}\n\n"
        )
    );
}

#[test]
fn an_event_that_calls_itself_an_error_is_one() {
    let content = text(r#"{"content":"x"}"#);
    let event = "data: {\"object\":\"error\",\"message\":\"boom\",\"code\":50}\n\n";
    let run = run(&PLAN, &format!("{content}{event}{DONE_EVENT}"));
    assert_eq!(run.end, Err(StreamFault::ErrorRelayed));
    assert!(run.out.ends_with(
        "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\
        \"param\":null,\"code\":\"50\"}}\n\n"
    ));
}

#[test]
fn an_error_that_says_nothing_is_none() {
    let content = chunk(r#"{"content":"x"}"#, r#","error":null"#);
    let run = run(
        &PLAN,
        &format!("{}{FINISH}", String::from_utf8(content).unwrap()),
    );
    assert_eq!(run.end, Ok(()));
}

#[test]
fn what_is_not_json_ends_the_stream() {
    for event in [
        "data: x\n\n",
        "data: [1]\n\n",
        "data: {\"a\":1\n\n",
        "data: {\"choices\":[{]}\n\n",
    ] {
        let before = run(
            &PLAN,
            &format!("{}{event}", text(r#"{"role":"assistant"}"#)),
        );
        assert_eq!(
            (before.end, before.out.as_str()),
            (Err(StreamFault::Malformed), "")
        );
        let content = text(r#"{"content":"x"}"#);
        let after = run(&PLAN, &format!("{content}{event}{FINISH}{DONE_EVENT}"));
        assert_eq!(after.end, Err(StreamFault::Malformed));
        assert_eq!(after.out, content.replace("theirs", "mine"));
    }
}

#[test]
fn the_end_is_complete_or_it_is_cut() {
    let content = text(r#"{"content":"x"}"#);
    let cut = Err(StreamFault::Cut);
    for (stream, end, dones) in [
        (String::new(), cut, 0),
        (text(r#"{"role":"assistant"}"#), cut, 0),
        (content.clone(), cut, 0),
        (format!("{content}{FINISH}"), Ok(()), 1),
        (format!("{content}{FINISH}{DONE_EVENT}"), Ok(()), 1),
        (
            format!("{content}{FINISH}{DONE_EVENT}{DONE_EVENT}{content}"),
            Ok(()),
            1,
        ),
        // Some servers send no finish reason at all, but say that the stream ends.
        (format!("{content}{DONE_EVENT}"), Ok(()), 1),
        (format!("{content}data: [DONE]"), Ok(()), 1),
        (format!("{content}{}", FINISH.trim_end()), Ok(()), 1),
        (format!("{content}{}", &FINISH[..FINISH.len() - 4]), cut, 0),
        (DONE_EVENT.to_owned(), Err(StreamFault::NoContent), 0),
        (
            format!("{}{DONE_EVENT}", text(r#"{"role":"assistant"}"#)),
            Err(StreamFault::NoContent),
            0,
        ),
        // One of two choices has not ended.
        (
            format!("{}{FINISH}", content.replace("\"index\":0", "\"index\":1")),
            cut,
            0,
        ),
    ] {
        let run = run(&PLAN, &stream);
        assert_eq!(
            (run.end, run.out.matches("[DONE]").count()),
            (end, dones),
            "{stream}"
        );
    }
}

#[test]
fn usage_is_the_last_one_told() {
    let told =
        |prompt: u64| format!(r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":1}}"#);
    let groq = r#","x_groq":{"id":"r","usage":{"prompt_tokens":7}}"#;
    let with = |rest: &str| String::from_utf8(chunk(r#"{"content":"ab"}"#, rest)).unwrap();
    for (stream, prompt) in [
        (with(""), None),
        (with(&told(5)), Some(5)),
        (
            format!(
                "{}{}{}",
                with(&told(5)),
                with(&told(6)),
                with(r#","usage":null"#)
            ),
            Some(6),
        ),
        (format!("{}{}", with(groq), with("")), Some(7)),
        (format!("{}{}", with(&told(5)), with(groq)), Some(5)),
        (
            with(r#","usage":{"prompt_tokens":0,"completion_tokens":0}"#),
            None,
        ),
    ] {
        let run = run(&PLAN, &stream);
        assert_eq!(
            run.usage.map(|usage| usage.prompt.get()),
            prompt,
            "{stream}"
        );
        assert_eq!(run.text_bytes, 2 * stream.matches("ab").count());
    }
}

#[test]
fn usage_is_awaited_once_every_choice_has_its_finish_reason() {
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    let finish_two = FINISH.replace("\"index\":0", "\"index\":1");
    let with_usage = FINISH.replace("]}\n", "],\"usage\":{\"prompt_tokens\":9}}\n");
    for (stream, awaits) in [
        (vec![text(r#"{"content":"x"}"#)], false),
        (vec![text(r#"{"content":"x"}"#), FINISH.to_owned()], true),
        // A second choice goes on.
        (
            vec![
                FINISH.to_owned(),
                text(r#"{"content":"x"}"#).replace("\"index\":0", "\"index\":1"),
            ],
            false,
        ),
        (vec![finish_two, FINISH.to_owned()], true),
        // A cumulative count before the end is not final.
        (vec![format!("{usage}\n\n"), FINISH.to_owned()], true),
        (vec![FINISH.to_owned(), format!("{usage}\n\n")], false),
        (vec![with_usage], false),
        (vec![FINISH.to_owned(), DONE_EVENT.to_owned()], false),
    ] {
        let mut relay = Shell::default();
        relay.reset(&PLAN);
        relay
            .push(stream.concat().as_bytes(), &mut Vec::new())
            .unwrap();
        assert_eq!(relay.awaits_usage(), awaits, "{stream:?}");
    }
}

#[test]
fn azure_annotations_are_withheld_from_azure_alone() {
    let azure = StreamPlan {
        notes_apart: true,
        usage: UsageChunk::Untouched,
        ..PLAN
    };
    let content = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    for (event, withheld) in [
        (
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            true,
        ),
        ("data: {\"choices\":[],\"usage\":null}\n\n", true),
        (
            "data: {\"choices\":[{\"index\":0,\"content_filter_results\":{}}]}\n\n",
            true,
        ),
        (
            "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"content_filter\"}]}\n\n",
            false,
        ),
        (
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
            false,
        ),
    ] {
        let stream = format!("{content}{event}");
        let expected = if withheld { content } else { &stream };
        assert_eq!(
            run(&azure, &stream).out.trim_end_matches(DONE_EVENT),
            expected
        );
        let untouched = StreamPlan {
            notes_apart: false,
            ..azure
        };
        assert_eq!(
            run(&untouched, &stream).out.trim_end_matches(DONE_EVENT),
            stream
        );
    }
}

#[test]
fn legacy_completions_are_relayed_too() {
    let plan = StreamPlan {
        endpoint: Endpoint::Completions,
        notes_apart: true,
        ..PLAN
    };
    let stream = "data: {\"choices\":[{\"text\":\"\",\
        \"index\":0}]}\n\ndata: {\"choices\":[{\"text\":\"ab\",\"index\":0,\
            \"finish_reason\":null}]}\n\n";
    let run = run(&plan, stream);
    assert_eq!(
        (run.out.as_str(), run.text_bytes, run.committed),
        (stream, 2, true)
    );
}

#[test]
fn events_that_look_alike_are_not_read_again() {
    let event = |text: &str, pad: &str, sent: u32| {
        chunk(
            &format!(r#"{{"content":"{text}"}}"#),
            &format!(r#","sent":{sent},"usage":null,"obfuscation":"{pad}""#),
        )
    };
    let call = |arguments: &str| {
        let delta = format!(r#"{{"tool_calls":[{{"function":{{"arguments":"{arguments}"}}}}]}}"#);
        chunk(&delta, "")
    };
    let mut relay = Shell::default();
    relay.reset(&PLAN);
    let mut out = Vec::new();
    for first in [text("{}").into_bytes(), event("a", "p", 1), call("{")] {
        relay.push(&first, &mut out).unwrap();
    }
    out.clear();
    let fitting = [event("bc\\n", "q", 1), event("d", "pqr", 20), call("\\\"x")].concat();
    let rest = relay.course.pass_alike(&fitting, &mut out);
    assert_eq!(String::from_utf8_lossy(rest), "");
    assert_eq!(relay.text_bytes(), 2 + 3 + 1 + 2);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        String::from_utf8(fitting)
            .unwrap()
            .replace("theirs", "mine")
            .replace(",\"usage\":null", "")
    );
}

#[test]
fn the_providers_name_for_the_model_is_remembered() {
    let mut relay = Shell::default();
    relay.reset(&PLAN);
    relay
        .push(
            b"data: {\"model\":\"\",\"choices\":[]}\n\n",
            &mut Vec::new(),
        )
        .unwrap();
    assert_eq!(relay.upstream_model(), b"");
    relay.push(text("{}").as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(relay.upstream_model(), b"theirs");
}

/// An event that fits a form, and changes of it in each place where events may differ.
fn any_alike() -> impl Strategy<Value = String> {
    let text = r#"([a-zé ]{0,20}|\\\\|\\"|\\n|\\u00e9|\\u00|\\x|\t|\\\n|"){0,4}"#;
    let delta = prop_oneof![
        5 => text.prop_map(|text| format!(r#"{{"content":"{text}"}}"#)),
        2 => text.prop_map(|text| format!(
            r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{text}"}}}}]}}"#)),
        1 => text.prop_map(|text| format!(r#"{{"function_call":{{"arguments":"{text}"}}}}"#)),
        1 => text.prop_map(|text| format!(r#"{{"reasoning":"ab","content":"{text}"}}"#)),
    ];
    let rest = prop_oneof![
        4 => Just(r#","usage":null"#.to_owned()),
        3 => "[a-z]{0,9}".prop_map(|pad| format!(r#","usage":null,"obfuscation":"{pad}""#)),
        2 => r"(-?\d{1,4}|1\.5)".prop_map(|sent| format!(r#","sent":{sent},"usage":null"#)),
        1 => Just(r#","usage":{"prompt_tokens":3}"#.to_owned()),
        1 => Just(r#","x_groq":{"usage":{"prompt_tokens":4}}"#.to_owned()),
    ];
    let line = prop_oneof![8 => Just("data: "), 1 => Just("data:"), 1 => Just("event: a\ndata: ")];
    let end = prop_oneof![8 => Just("\n\n"), 1 => Just("\r\n\r\n"), 1 => Just("\n\n\n")];
    (
        line,
        0..2_u8,
        delta,
        prop_oneof![9 => Just("null"), 1 => Just("\"stop\"")],
        rest,
        end,
    )
        .prop_map(|(line, index, delta, reason, rest, end)| {
            format!(
                "{line}{{\"model\":\"theirs\",\"choices\":[{{\"index\":{index},\"delta\":{delta},\
                 \"finish_reason\":{reason}}}]{rest}}}{end}"
            )
        })
}

/// Pieces that streams are made of, good and bad.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(text(r#"{"content":"é\n"}"#)),
        2 => Just(text(r#"{"role":"assistant"}"#)),
        2 => Just(String::from_utf8(chunk(r#"{"content":"b"}"#, r#","usage":null"#)).unwrap()),
        1 => Just(FINISH.to_owned()),
        1 => Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\r\n\r\n".to_owned()),
        1 => Just(DONE_EVENT.to_owned()),
        1 => Just("data: {\"error\":\"x\"}\n\n".to_owned()),
        1 => Just(": ping\r\rid: 1\n".to_owned()),
        1 => Just("data: {\"choices\":\r\ndata: []}\n\n".to_owned()),
        1 => r#"(data: |\{|\}|"choices"|"model"|:|\[|\]|"|,|\n|\r|\n\n){0,12}"#,
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_stream(
        stream in any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        azure: bool,
        injected: bool,
    ) {
        let plan = StreamPlan {
            notes_apart: azure,
            usage: if injected { UsageChunk::Injected } else { UsageChunk::Untouched },
            ..PLAN
        };
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let reads: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let whole = relay(&plan, &[&stream]);
        prop_assert!(whole.out.is_empty() || whole.out.ends_with("\n\n"));
        prop_assert!(whole.out.matches(DONE_EVENT).count() <= 1);
        prop_assert_eq!(relay(&plan, &reads), whole);
    }

    /// Byte by byte, each event is read; whole, those that fit a form are not.
    #[test]
    fn what_looks_alike_is_relayed_as_if_it_were_read(
        events in prop::collection::vec(any_alike(), 0..12),
        injected: bool,
    ) {
        let plan = StreamPlan {
            usage: if injected { UsageChunk::Injected } else { UsageChunk::Untouched },
            ..PLAN
        };
        let stream = events.concat() + FINISH + DONE_EVENT;
        let read: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(relay(&plan, &[stream.as_bytes()]), relay(&plan, &read));
        let by_event: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
        let rest = &read[events.concat().len()..];
        prop_assert_eq!(relay(&plan, &[&by_event, rest].concat()), relay(&plan, &read));
    }

    /// Events have the same meaning however a provider spells them.
    #[test]
    fn no_spelling_makes_a_difference(
        pieces in prop::collection::vec(
            prop_oneof![
                4 => Just(r#"{"model":"theirs","choices":[{"delta":{"content":"b a"}}]}"#),
                1 => Just(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#),
                1 => Just(r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#),
                1 => Just(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#),
                1 => Just(r#"{"x_groq":{"usage":{"prompt_tokens":9}}}"#),
                1 => Just(r#"{"object":"error","message":"x"}"#),
                1 => Just(r#"{"error":{"message":"x","code":"y"}}"#),
            ],
            1..8,
        ),
        seed: u64,
    ) {
        let events = |spell: &dyn Fn(&str) -> String| -> String {
            pieces.iter().map(|piece| format!("data: {}\n\n", spell(piece))).collect()
        };
        let said = |run: &Run| -> Vec<Json> {
            let data = run.out.split_terminator("\n\n").map(|event| &event["data: ".len()..]);
            data.map(|data| serde_json::from_str(data).unwrap_or(Json::Null)).collect()
        };
        let plain = relay(&PLAN, &[events(&str::to_owned).as_bytes()]);
        let other = relay(&PLAN, &[events(&|piece| respelt(piece, seed)).as_bytes()]);
        prop_assert_eq!(said(&plain), said(&other));
        prop_assert_eq!(
            (plain.end, plain.committed, plain.usage, plain.text_bytes),
            (other.end, other.committed, other.usage, other.text_bytes)
        );
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..128)) {
        relay(&PLAN, &[&stream]);
    }
}
