//! Tests of a stream between sides that speak Messages: the published vectors, the rules one by
//! one, and any split of any stream.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::driven::{self, Former, Run};
use super::*;
use crate::base::limits::HELD_BACK_BYTES_MAX;
use crate::base::money::Price;
use crate::decide::pricing::Row;
use crate::dialect::expected;
use crate::dialect::shell::plan::Wanted;
use crate::dialect::tariff::Tariff;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    upstream_sse: String,
    client_sse: Option<String>,
    recorded_usage: Option<Json>,
    before_commit: Option<Json>,
}

/// Relays the stream that comes in `reads`.
fn relay(plan: &StreamPlan<'_>, reads: &[&[u8]]) -> Run {
    with_former(plan, |former| driven::drive(plan, former, reads))
}

/// Relays `stream`, in any split.
fn run(plan: &StreamPlan<'_>, stream: &str) -> Run {
    with_former(plan, |former| driven::run(plan, former, stream))
}

fn with_former(plan: &StreamPlan<'_>, drive: impl Fn(&Former<'_>) -> Run) -> Run {
    drive(&Former {
        plan: *plan,
        bytes: [START, TEXT].concat().as_bytes(),
    })
}

fn plan(caller_model: &[u8]) -> StreamPlan<'_> {
    StreamPlan {
        provider: Dialect::Messages,
        ..expected::plan(caller_model, Wanted::NOTHING)
    }
}

const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const START: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",",
    "\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
);
const TEXT: &str = concat!(
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
);
const END_TURN: &str = concat!(
    "event: message_delta\ndata: {\"type\":\"message_delta\",",
    "\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
);
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn the_published_vectors_hold() {
    let vectors: Vec<Vector> = expected::vectors("passthrough");
    assert_eq!(vectors.len(), 9);
    for vector in &vectors {
        let model = json::quoted(&vector.caller_model);
        let (run, id) = (run(&plan(&model), &vector.upstream_sse), &vector.id);
        let Some(expected) = &vector.client_sse else {
            assert!(vector.before_commit.is_some(), "{id}");
            assert!(run.out.is_empty() && run.end.is_err(), "{id}");
            continue;
        };
        // Whoever drives the machine says in infermux's own words that it was cut.
        let error = expected.find("event: error").unwrap_or(expected.len());
        if run.end == Err(StreamFault::Cut) {
            assert_eq!(run.out, expected[..error], "{id}");
        } else {
            assert_eq!(run.out, *expected, "{id}");
        }
        if let Some(usage) = &vector.recorded_usage {
            let told = run.usage.unwrap();
            assert_eq!(usage["prompt_tokens"], told.prompt.get(), "{id}");
            assert_eq!(usage["completion_tokens"], told.completion.get(), "{id}");
        }
    }
}

#[test]
fn what_is_relayed_alike_is_relayed_as_it_came() {
    let texts = ["Hi", "\\u00e9 \\\"", "é", "", "a\\nb"];
    let deltas = texts.map(|text| TEXT.replace("Hi", text));
    let odd = concat!(
        "data: {\"type\":\"content_block_delta\",\n\n",
        "data:{\"type\":\"x\",\ndata: \"y\":1}\nid: 7\n\n",
    );
    let stream = [START, &deltas.concat(), END_TURN, STOP].concat();
    let found = run(&plan(b"\"claude-x\""), &stream);
    assert_eq!((&*found.out, found.end), (&*stream, Ok(())));
    assert_eq!(found.text_bytes, 2 + 3 + 2 + 3);
    // What is no text has no form, and stands in nobody's way.
    let number = TEXT.replace("\"Hi\"", "1");
    let stream = [START, &number, &number, TEXT, END_TURN, STOP].concat();
    let found = run(&plan(b"\"claude-x\""), &stream);
    assert_eq!((&*found.out, found.end), (&*stream, Ok(())));
    assert_eq!(found.text_bytes, 2);
    let broken = run(&plan(b"\"m\""), &[START, TEXT, odd].concat());
    assert_eq!(broken.end, Err(StreamFault::Malformed));
    let (_, several) = odd.split_once("\n\n").unwrap();
    let found = run(&plan(b"\"m\""), &[START, TEXT, several, END_TURN].concat());
    let own = "event: x\ndata: {\"type\":\"x\",\ndata: \"y\":1}\n\n";
    assert!(found.out.contains(own), "{}", found.out);
    assert!(
        found
            .out
            .ends_with("event: message_stop\ndata: {\"type\": \"message_stop\"}\n\n")
    );
}

#[test]
fn nothing_is_sent_before_there_is_content() {
    let block = |block: Json| {
        let data = json!({"type": "content_block_start", "index": 0, "content_block": block});
        format!("event: content_block_start\ndata: {data}\n\n")
    };
    let delta = |delta: Json| {
        let data = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        format!("event: content_block_delta\ndata: {data}\n\n")
    };
    for (event, is_content) in [
        (block(json!({"type": "text", "text": ""})), false),
        (block(json!({"type": "text", "text": "x"})), true),
        (block(json!({"type": "thinking", "thinking": ""})), true),
        (
            block(json!({"type": "tool_use", "id": "a", "name": "f"})),
            true,
        ),
        (delta(json!({"type": "text_delta", "text": ""})), false),
        (
            delta(json!({"type": "input_json_delta", "partial_json": "{"})),
            true,
        ),
        (
            delta(json!({"type": "signature_delta", "signature": "x"})),
            true,
        ),
        (END_TURN.replace("\"end_turn\"", "null"), false),
        (END_TURN.to_owned(), true),
        (PING.to_owned(), false),
        ("event: x\ndata: {\"type\":\"x\"}\n\n".to_owned(), false),
    ] {
        let found = run(&plan(b"\"m\""), &[START, &event].concat());
        assert_eq!(!found.out.is_empty(), is_content, "{event}");
    }
    let held = "event: x\ndata: {\"type\":\"x\"}\n\n".repeat(HELD_BACK_BYTES_MAX / 20);
    let found = relay(&plan(b"\"m\""), &[held.as_bytes()]);
    assert_eq!(found.end, Err(StreamFault::HeldBackTooLong));
    let found = run(&plan(b"\"m\""), &[START, STOP].concat());
    assert_eq!(found.end, Err(StreamFault::NoContent));
}

#[test]
fn pings_are_progress_while_the_model_thinks() {
    let block = |kind: &str| {
        format!(
            "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\
             \"content_block\":{{\"type\":\"{kind}\"}}}}\n\n"
        )
    };
    let stop = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    for (before, is_progress) in [
        (block("thinking"), true),
        (block("tool_use"), false),
        ([&block("thinking"), stop].concat(), false),
    ] {
        let (mut shell, mut out) = (Shell::default(), Vec::new());
        shell.reset(&plan(b"\"m\""));
        shell
            .push([START, &before].concat().as_bytes(), &mut out)
            .unwrap();
        assert!(shell.is_committed());
        shell.begin_read();
        shell.push(PING.as_bytes(), &mut out).unwrap();
        assert_eq!(shell.has_moved(), is_progress, "{before}");
    }
}

#[test]
fn the_cost_stands_in_the_last_usage() {
    let price = |usd: u64| Price::per_million(usd * 1_000_000_000);
    let tariff = Tariff {
        row: Row::flat(price(2), price(4)),
        prompt_bytes: 0,
    };
    let plan = StreamPlan {
        tariff: Some(tariff),
        ..plan(b"\"m\"")
    };
    let found = run(&plan, &[START, TEXT, END_TURN, STOP].concat());
    let told = r#""usage":{"output_tokens":9,"cost_usd":0.000046}"#;
    assert!(found.out.contains(told), "{}", found.out);
}

#[test]
fn an_error_of_a_proxy_gets_the_shape_of_the_dialect() {
    let error = "data: {\"error\":{\"message\":\"x\"}}\n\n";
    let found = run(&plan(b"\"m\""), &[START, TEXT, error].concat());
    assert_eq!(found.end, Err(StreamFault::ErrorRelayed));
    let expected = concat!(
        "event: error\ndata: {\"type\":\"error\",",
        "\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n",
    );
    assert!(found.out.ends_with(expected), "{}", found.out);
}

proptest! {
    #[test]
    fn any_events_are_relayed_whatever_the_split(
        stream in concat!(
            r#"(event: x\n)?(data: \{"type":"(message_start|content_block_start|"#,
            r#"content_block_delta|content_block_stop|message_delta|ping|x)""#,
            r#"(,"message":\{("model":"[ab]")?\})?(,"index":[01])?"#,
            r#"(,"delta":\{"type":"text_delta","text":"(x|\\n|é)?""#,
            r#"(,"stop_reason":"x")?\})?\}\n\n|"#,
            r#"data: \{"type":"message_stop"\}\n\n|: x\n\n|"#,
            r#"data: \{"type":"error","error":\{\}\}\n\n){0,6}"#,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = relay(&plan(b"\"m\""), &[stream.as_bytes()]);
        if !stream.is_empty() {
            let (before, behind) = stream.as_bytes().split_at(cut.index(stream.len()));
            prop_assert_eq!(&relay(&plan(b"\"m\""), &[before, behind]), &whole);
        }
        expected::events(&whole.out);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        relay(&plan(b"\"m\""), &[&bytes]);
    }
}
