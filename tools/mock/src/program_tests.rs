//! Tests of the bytes that answers become.

use serde_json::{Value, json};

use super::*;
use crate::ask::{Ask, Flavour, Route};
use crate::endpoint::Endpoint;

/// The end and all bytes that a program writes before it first pauses for good.
fn run(stream: bool, script: Value) -> (StepEnd, String) {
    let answer: Answer = serde_json::from_value(script).unwrap();
    let route = Route {
        endpoint: Endpoint::Chat,
        flavour: Flavour::OpenAi,
        deployment: None,
    };
    let ask = Ask {
        model: "m".to_owned(),
        stream,
        ..Ask::default()
    };
    let voice = Voice {
        route: &route,
        ask: &ask,
        answer: &answer,
        name: "a",
        number: 1,
    };
    let mut program = Program::of_voice(&voice, || voice.body(), Persistence::KeepAlive);
    let mut out = Vec::new();
    loop {
        match program.step(Instant::now(), &mut out) {
            StepEnd::Go => {}
            end => return (end, String::from_utf8_lossy(&out).into_owned()),
        }
    }
}

fn length(text: &str) -> usize {
    let (_, rest) = text.split_once("content-length: ").unwrap();
    rest.split_once("\r\n").unwrap().0.parse().unwrap()
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_plain_answer_can_be_padded_to_any_size() {
    let (end, usual) = run(false, json!({}));
    assert_eq!((end, length(&usual)), (StepEnd::Done, body(&usual).len()));
    for extra in [1, 13, 14, 15, 1_000] {
        let size = body(&usual).len() + extra;
        let (_, text) = run(false, json!({ "body_bytes": size }));
        assert_eq!((length(&text), body(&text).len()), (size, size));
        assert!(serde_json::from_str::<Value>(body(&text)).is_ok());
    }
}

#[test]
fn every_content_event_can_be_padded_to_one_size() {
    let (_, text) = run(
        true,
        json!({ "events": 3, "event_bytes": 700, "stamp": true, "quirks": ["id_lines", "crlf"] }),
    );
    assert_eq!(text.matches("\r\n2bc\r\n").count(), 3);
    assert_eq!(text.matches("\"mock_sent_ns\":").count(), 3);
}

#[test]
fn stalls_and_cuts_end_where_they_should() {
    for (stream, deed, end, holds) in [
        (true, "stall_before_head", StepEnd::Silence, ""),
        (
            true,
            "stall_before_content",
            StepEnd::Silence,
            "\"role\":\"assistant\"",
        ),
        (
            true,
            "stall_mid_stream",
            StepEnd::Silence,
            "\"content\":\"mock\"",
        ),
        (true, "cut_before_head", StepEnd::Cut(Cut::Close), ""),
        (
            true,
            "cut_mid_stream",
            StepEnd::Cut(Cut::Close),
            "\"content\":\"mock\"",
        ),
        (
            false,
            "stall_before_content",
            StepEnd::Silence,
            "content-length",
        ),
        (false, "stall_mid_stream", StepEnd::Silence, "{\"id\""),
        (false, "cut_mid_stream", StepEnd::Cut(Cut::Close), "{\"id\""),
    ] {
        let (seen, text) = run(stream, json!({ "do": deed }));
        assert_eq!(seen, end, "{deed}");
        assert!(text.contains(holds), "{deed}: {text}");
        assert!(
            !text.contains("[DONE]") && !text.ends_with("0\r\n\r\n"),
            "{deed}: {text}"
        );
        assert_eq!(text.is_empty(), holds.is_empty(), "{deed}");
    }
    let reset = run(
        true,
        json!({ "do": "cut_mid_stream", "reset": true, "after_events": 2 }),
    );
    assert_eq!(reset.0, StepEnd::Cut(Cut::Reset));
    assert!(reset.1.contains("\"content\":\" a:\""));
}

#[test]
fn error_events_have_no_done_and_end_the_body() {
    let (_, before) = run(true, json!({ "do": "error_event_before_content" }));
    assert!(before.contains("data: {\"error\":") && !before.contains("\"content\":\"mock\""));
    let (_, within) = run(true, json!({ "do": "error_event_mid_stream" }));
    assert!(within.contains("data: {\"error\":") && within.contains("\"content\":\"mock\""));
    assert!(within.ends_with("0\r\n\r\n") && !within.contains("[DONE]"));
}

#[test]
fn a_scripted_status_has_its_headers_and_body() {
    let (_, text) = run(
        true,
        json!({ "status": 429, "retry_after": 2, "headers": { "x-a": "b" }, "body": {"a": 1} }),
    );
    assert!(text.starts_with("HTTP/1.1 429 "));
    assert!(text.contains("\r\nretry-after: 2\r\n") && text.contains("\r\nx-a: b\r\n"));
    assert_eq!(body(&text), "{\"a\":1}");
    let (_, usual) = run(true, json!({ "status": 500 }));
    assert!(body(&usual).contains("server_error"));
}

#[test]
fn lengths_can_lie_either_way() {
    let (_, long) = run(false, json!({ "quirks": ["length_too_long"] }));
    assert_eq!(length(&long), body(&long).len() + 10);
    assert!(long.contains("connection: close"));
    let (_, short) = run(false, json!({ "quirks": ["length_too_short"] }));
    assert_eq!(length(&short), body(&short).len() - 10);
}

#[test]
fn the_other_quirks_show() {
    let (_, early) = run(false, json!({ "quirks": ["early_1xx", "two_answers"] }));
    assert!(early.starts_with("HTTP/1.1 103 "));
    assert_eq!(early.matches("HTTP/1.1 200 OK").count(), 2);
    let (_, until_close) = run(true, json!({ "quirks": ["close_delimited", "no_done"] }));
    assert!(!until_close.contains("chunked") && !until_close.contains("[DONE]"));
    let (_, head) = run(false, json!({ "head_bytes": 5_000 }));
    assert!(head.split_once("\r\n\r\n").unwrap().0.len() > 5_000);
    let (_, empty) = run(true, json!({ "do": "no_choices" }));
    assert!(empty.contains("\"choices\":[]") && empty.contains("[DONE]"));
    let (_, garbage) = run(false, json!({ "do": "garbage" }));
    assert!(!garbage.contains("HTTP/1"));
}

#[test]
fn events_keep_their_pace_whenever_they_are_asked_for() {
    let answer: Answer = serde_json::from_value(json!({
        "events": 3, "event_interval_ms": 10, "latency_ms": 5, "ttft_ms": 7
    }))
    .unwrap();
    let route = Route {
        endpoint: Endpoint::Chat,
        flavour: Flavour::OpenAi,
        deployment: None,
    };
    let ask = Ask {
        stream: true,
        ..Ask::default()
    };
    let voice = Voice {
        route: &route,
        ask: &ask,
        answer: &answer,
        name: "a",
        number: 1,
    };
    let mut program = Program::of_voice(&voice, String::new, Persistence::KeepAlive);
    let start = Instant::now();
    let mut now = start;
    let mut out = Vec::new();
    let mut waits = Vec::new();
    loop {
        match program.step(now, &mut out) {
            StepEnd::Go => {}
            StepEnd::Until(instant) => {
                waits.push((instant - start).as_millis());
                // Every wake-up is a millisecond late; only pauses may shift what follows.
                now = instant + Duration::from_millis(1);
            }
            end => {
                assert_eq!(end, StepEnd::Done);
                break;
            }
        }
    }
    assert_eq!(waits, [5, 13, 24, 34]);
}
