//! Tests of the translation of errors for callers of Messages.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::chat::read_error;
use crate::dialect::expected;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    upstream: Upstream,
    translated: Option<Expected>,
}

#[derive(serde::Deserialize)]
struct Upstream {
    status: u16,
    body: String,
}

#[derive(serde::Deserialize)]
struct Expected {
    status: u16,
    body: Json,
}

/// The status and body for the caller.
fn translate(status: Option<u16>, body: &str) -> (u16, Json) {
    let (complaint, mut out) = (read_error::read(status, body.as_bytes()), Vec::new());
    write(&complaint, "", &mut out);
    (complaint.status, serde_json::from_slice(&out).unwrap())
}

#[test]
fn the_vectors_hold() {
    let vectors: Vec<Vector> = expected::vectors("error");
    let mut count = 0;
    for vector in vectors {
        let found = translate(Some(vector.upstream.status), &vector.upstream.body);
        if let Some(Expected { status, body }) = vector.translated {
            assert_eq!(found, (status, body), "{}", vector.id);
            count += 1;
        }
    }
    assert_eq!(count, 12);
}

#[test]
fn an_error_of_another_form_is_told_in_its_own_words() {
    for (status, body, kind, message) in [
        (
            422,
            r#"{"detail":"too few"}"#,
            "invalid_request_error",
            "too few",
        ),
        (
            422,
            r#"{"detail":[{"msg":"x"}]}"#,
            "invalid_request_error",
            r#"[{"msg":"x"}]"#,
        ),
        (404, r#"{"message":"gone"}"#, "not_found_error", "gone"),
        (
            400,
            "{}",
            "invalid_request_error",
            "upstream returned HTTP 400",
        ),
        (
            403,
            "<p>no",
            "permission_error",
            "upstream returned HTTP 403",
        ),
    ] {
        let told = json!({"type": "error", "error": {"type": kind, "message": message}});
        assert_eq!(translate(Some(status), body), (status, told), "{body}");
    }
    // Claude Code makes its prompt shorter on these words alone, whoever says them.
    let (status, told) = translate(Some(422), r#"{"detail":"Maximum context length is 10"}"#);
    let message = "prompt is too long: Maximum context length is 10";
    assert_eq!((status, &told["error"]["message"]), (400, &json!(message)));
}

#[test]
fn an_event_is_told_by_its_code_or_its_names() {
    for (error, kind) in [
        (json!({"code": 429}), "rate_limit_error"),
        (json!({"code": "503"}), "overloaded_error"),
        (json!({"status": 529}), "overloaded_error"),
        (json!({"code": 504}), "timeout_error"),
        (
            json!({"code": 422, "type": "rate_limit"}),
            "invalid_request_error",
        ),
        (json!({"code": 7, "type": "server_error"}), "api_error"),
        (json!({"code": "rate_limit_exceeded"}), "rate_limit_error"),
        (json!({"type": "server_is_overloaded"}), "overloaded_error"),
        (json!({"type": "overloaded_error"}), "overloaded_error"),
        (
            json!({"code": "context_length_exceeded"}),
            "invalid_request_error",
        ),
        (json!("engine died"), "api_error"),
    ] {
        let (_, body) = translate(None, &json!({"error": error}).to_string());
        assert_eq!(body["error"]["type"], kind, "{error}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_told_in_anthropics_words() {
    for (message, expected) in [
        ("Prompt is too long", "Prompt is too long"),
        (
            "This model's maximum context length is 100 tokens, but 7 output tokens",
            concat!(
                "prompt is too long: This model's maximum context length is 100 tokens, ",
                "but 7 output tokens",
            ),
        ),
        (
            "Maximum context length is 8192 tokens. Your prompt contains 9000.",
            "prompt is too long: 9000 tokens > 8192 maximum",
        ),
    ] {
        let body = json!({"error": {"message": message}}).to_string();
        let (status, found) = translate(Some(422), &body);
        assert_eq!(
            (status, &found["error"]["message"]),
            (400, &json!(expected))
        );
        // Elsewhere, the same words mean nothing.
        let (status, found) = translate(Some(404), &body);
        assert_eq!((status, &found["error"]["message"]), (404, &json!(message)));
    }
}

#[test]
fn every_error_names_its_request() {
    let mut out = Vec::new();
    write(&read_error::read(Some(404), b"<html>"), "req-7", &mut out);
    let expected = json!({"type": "error", "request_id": "req-7", "error":
        {"type": "not_found_error", "message": "upstream returned HTTP 404"}});
    assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), expected);
}

proptest! {
    #[test]
    fn any_body_gives_json(
        status in prop::option::of(any::<u16>()),
        body in concat!(
            r#"(\{|\}|"error"|"type"|"code"|"message"|:|"m\\ud800"|"#,
            r#""maximum context length is 9é"|,|null|\[|\]| |7|é){0,12}"#,
        ),
    ) {
        translate(status, &body);
        let whole = format!(r#"{{"error":{{"message":{body}}}}}"#);
        translate(status, &whole);
    }
}
