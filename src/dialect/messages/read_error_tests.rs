//! Tests of the translation of errors for callers of chat completions.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::decide::outcome::{Next, Signal, Verdict};
use crate::decide::policy::BreakerPolicy;
use crate::dialect::chat::write_error;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    upstream: Upstream,
    translated: Expected,
    outcome: serde_json::Value,
}

#[derive(serde::Deserialize)]
struct Upstream {
    status: u16,
    body: String,
}

#[derive(serde::Deserialize)]
struct Expected {
    status: u16,
    body: serde_json::Value,
}

#[test]
fn the_vectors_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/anthropic/error");
    let mut count = 0;
    for entry in Path::new(folder).read_dir().unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let vector: Vector = serde_json::from_str(&text).unwrap();
        let (upstream, id) = (&vector.upstream, &vector.id);
        let body = upstream.body.as_bytes();
        let (status, found, out) = translate(Some(upstream.status), KeyOwner::Infermux, body);
        assert_eq!(status, vector.translated.status, "{id}");
        let body: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(body, vector.translated.body, "{id}");
        check_outcome(id, found, &vector.outcome);
        count += 1;
    }
    assert_eq!(count, 28);
}

/// The status and body for the caller, and the outcome of the attempt.
fn translate(status: Option<u16>, key: KeyOwner, body: &[u8]) -> (u16, Outcome, String) {
    let (complaint, mut out) = (read(status, body), Vec::new());
    write_error::write(&complaint, &mut out);
    let out = String::from_utf8(out).unwrap();
    (complaint.status, outcome(&complaint, key), out)
}

fn check_outcome(id: &str, outcome: Outcome, expected: &serde_json::Value) {
    let goes_on = outcome.next() == Next::Another;
    assert_eq!(expected["next_provider"], goes_on, "{id}");
    let signal = match outcome.for_breaker(&BreakerPolicy::default()) {
        Signal::Success => "success",
        Signal::Failure => "failure",
        Signal::Neutral => "neutral",
    };
    assert_eq!(expected["breaker"], signal, "{id}");
    let last = &expected["if_nobody_left"];
    match outcome.verdict() {
        Verdict::PassThrough => assert_eq!(last, "passes through", "{id}"),
        Verdict::UpstreamError => assert_eq!(last["code"], "upstream_error", "{id}"),
        Verdict::RateLimit => assert_eq!(last["code"], "rate_limit", "{id}"),
        other => panic!("{id}: {other:?}"),
    }
}

fn check(status: u16, key: KeyOwner, body: &str, expected: (u16, Outcome, &str)) {
    let (told, outcome, out) = translate(Some(status), key, body.as_bytes());
    assert_eq!((told, outcome, &*out), expected, "{status} {body}");
}

#[test]
fn what_no_vector_shows() {
    use KeyOwner::*;
    use Outcome::*;
    let told = |status: u16, kind: &str, code: &str| {
        format!(
            concat!(
                r#"{{"error":{{"message":"upstream returned HTTP {}","type":"{}","#,
                r#""param":null,"code":{}}}}}"#
            ),
            status, kind, code
        )
    };
    let failed = |status| Failed(Failure::Status(status));
    let invalid = "invalid_request_error";
    let server = "server_error";
    let busy = "service_unavailable_error";
    for (status, body, translated, outcome, kind, code) in [
        (520, "<html>", 502, failed(520), server, "null"),
        (503, "", 503, failed(503), busy, "null"),
        (
            529,
            "{}",
            503,
            failed(529),
            busy,
            "\"server_is_overloaded\"",
        ),
        (400, "nonsense", 400, failed(400), invalid, "null"),
        (422, "{}", 422, RequestRefused(422), invalid, "null"),
        (408, "{}", 408, failed(408), invalid, "null"),
        (
            413,
            "<html>",
            413,
            RequestRefused(413),
            invalid,
            "\"request_too_large\"",
        ),
        (
            429,
            "",
            429,
            RateLimited,
            "rate_limit_error",
            "\"rate_limit_exceeded\"",
        ),
        (302, "", 502, failed(302), server, "null"),
        (
            500,
            r#"{"error":{"type":"overloaded_error","message":7}}"#,
            500,
            failed(500),
            server,
            "null",
        ),
        (
            503,
            r#"{"error":{"type":"invalid_request_error"}}"#,
            503,
            failed(503),
            busy,
            "null",
        ),
        (
            429,
            r#"{"error":{"type":"invalid_request_error"}}"#,
            429,
            RateLimited,
            "rate_limit_error",
            "\"rate_limit_exceeded\"",
        ),
        (
            400,
            r#"{"error":{"type":"not_found_error"}}"#,
            404,
            RequestRefused(404),
            invalid,
            "\"not_found\"",
        ),
        (
            400,
            r#"{"error":{"type":"authentication_error"}}"#,
            401,
            OwnKeyRefused(401),
            invalid,
            "\"invalid_api_key\"",
        ),
        (
            401,
            r#"{"error":{"type":"invalid_request_error"}}"#,
            401,
            OwnKeyRefused(401),
            invalid,
            "\"invalid_api_key\"",
        ),
        (
            403,
            "<html>",
            403,
            AccessRefused,
            invalid,
            "\"permission_denied\"",
        ),
    ] {
        let text = told(status, kind, code);
        check(status, Infermux, body, (translated, outcome, &text));
    }
    let denied = told(401, invalid, "\"invalid_api_key\"");
    check(401, Caller, "{}", (401, CallerKeyRefused(401), &denied));
    let poor = told(402, "insufficient_quota", "\"insufficient_quota\"");
    check(402, Caller, "{}", (429, RequestRefused(429), &poor));
}

#[test]
fn an_event_is_told_by_its_type() {
    let event =
        br#"{"type":"error","error":{"type":"overloaded_error","message":"Over\u006coaded"}}"#;
    let (_, outcome, out) = translate(None, KeyOwner::Infermux, event);
    assert_eq!(outcome, Outcome::Failed(Failure::Status(503)));
    assert_eq!(
        out,
        concat!(
            r#"{"error":{"message":"Over\u006coaded","type":"service_unavailable_error","#,
            r#""param":null,"code":"server_is_overloaded"}}"#
        )
    );
}

proptest! {
    #[test]
    fn any_body_gives_json(
        status in any::<u16>(),
        body in r#"(\{|\}|"error"|"type"|"message"|:|"m\\ud800"|,|null|\[|\]| |"|7|é){0,12}"#,
        bytes in any::<Vec<u8>>(),
    ) {
        let whole = format!(r#"{{"error":{{"message":{body}}}}}"#);
        for body in [body.as_bytes(), whole.as_bytes(), &bytes] {
            let (_, _, out) = translate(Some(status), KeyOwner::Infermux, body);
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok());
        }
    }
}
