//! Tests of providers' errors: every shape that a provider was seen to use.

use proptest::prelude::*;

use super::*;

fn shaped(status: u16, content_type: &str, body: &str) -> String {
    let mut out = Vec::new();
    let circumstances = Circumstances {
        status,
        topic: Topic::Unknown,
        content_type: Some(content_type),
    };
    let told = error_in_openai_shape(circumstances, body.as_bytes(), &mut out);
    assert_eq!(told, status);
    let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
    for key in KEYS {
        assert!(read["error"].get(key).is_some(), "{key}: {read}");
    }
    assert!(read["error"]["message"].is_string() && !read["error"]["code"].is_number());
    String::from_utf8(out).unwrap()
}

#[test]
fn an_error_in_the_right_shape_stays_as_it_is() {
    for body in [
        concat!(
            r#"{"error":{"message":"x","type":"invalid_request_error","#,
            r#""param":"messages","code":"context_length_exceeded"}}"#,
        ),
        concat!(
            r#" {"error": {"code":null, "param":null, "type":null,"#,
            r#" "message":"", "x":[1]}, "request_id":"r"} "#,
        ),
    ] {
        assert_eq!(shaped(400, "application/json", body), body.trim());
    }
}

#[test]
fn what_is_missing_or_mistyped_is_mended_in_place() {
    for (body, expected) in [
        (
            r#"{"error":{"message":"x","code":400,"n_ctx":5}}"#,
            concat!(
                r#"{"error":{"message":"x","code":"400","n_ctx":5,"#,
                r#""type":"invalid_request_error","param":null}}"#,
            ),
        ),
        (
            r#"{"error":{ }}"#,
            concat!(
                r#"{"error":{ "message":"upstream returned HTTP 400","#,
                r#""type":"invalid_request_error","param":null,"code":null}}"#,
            ),
        ),
        (
            r#"{"error":{"message":null,"type":"t","param":["a"],"code":true}}"#,
            concat!(
                r#"{"error":{"message":"upstream returned HTTP 400","#,
                r#""type":"t","param":"[\"a\"]","code":"true"}}"#,
            ),
        ),
        (
            r#"{"error":{"message":{"a":1},"type":"t","param":null,"code":"c"},"x":1}"#,
            r#"{"error":{"message":"{\"a\":1}","type":"t","param":null,"code":"c"},"x":1}"#,
        ),
        (
            r#"[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]"#,
            concat!(
                r#"{"error":{"code":"400","message":"x","status":"INVALID_ARGUMENT","#,
                r#""type":"invalid_request_error","param":null}}"#,
            ),
        ),
    ] {
        assert_eq!(shaped(400, "application/json", body), expected);
    }
}

#[test]
fn other_shapes_are_wrapped() {
    for (status, content_type, body, message, kind, code) in [
        (
            404,
            "application/json",
            r#"{"error":"no such \"model\""}"#,
            r#"no such \"model\""#,
            "invalid_request_error",
            "null",
        ),
        (
            400,
            "application/json",
            r#"{"object":"error","message":"m","type":"BadRequest","param":null,"code":40001}"#,
            "m",
            "BadRequest",
            r#""40001""#,
        ),
        (
            422,
            "application/json",
            r#"{"detail":"nope"}"#,
            "nope",
            "invalid_request_error",
            "null",
        ),
        (
            422,
            "application/json",
            r#"{"detail":[{"loc":["body"],"msg":"x"}]}"#,
            r#"[{\"loc\":[\"body\"],\"msg\":\"x\"}]"#,
            "invalid_request_error",
            "null",
        ),
        (
            500,
            "application/json",
            r#"{"message":"boom"}"#,
            "boom",
            "server_error",
            "null",
        ),
        (
            400,
            "application/json",
            r#"{"errors":[1]}"#,
            r#"{\"errors\":[1]}"#,
            "invalid_request_error",
            "null",
        ),
        (
            400,
            "application/json",
            r#""just text""#,
            "just text",
            "invalid_request_error",
            "null",
        ),
        (
            503,
            "application/json",
            "{}",
            "upstream returned HTTP 503",
            "service_unavailable_error",
            "null",
        ),
        (
            429,
            "application/json",
            "[]",
            "upstream returned HTTP 429",
            "rate_limit_error",
            "null",
        ),
        (
            402,
            "application/json",
            "",
            "upstream returned HTTP 402",
            "insufficient_quota",
            "null",
        ),
        (
            502,
            "text/html",
            "<html>502</html>",
            "upstream returned HTTP 502",
            "server_error",
            "null",
        ),
        (
            502,
            "text/plain",
            " <html>502</html>",
            "upstream returned HTTP 502",
            "server_error",
            "null",
        ),
        (
            404,
            "text/plain; charset=utf-8",
            "404 page not found\n",
            "404 page not found",
            "invalid_request_error",
            "null",
        ),
        (
            400,
            "application/json",
            r#"{"error":{"message":"cut"#,
            "upstream returned HTTP 400",
            "invalid_request_error",
            "null",
        ),
    ] {
        assert_eq!(
            shaped(status, content_type, body),
            [
                r#"{"error":{"message":""#,
                message,
                r#"","type":""#,
                kind,
                r#"","param":null,"code":"#,
                code,
                "}}",
            ]
            .concat(),
            "{body}"
        );
    }
}

#[test]
fn a_message_that_is_made_is_bounded() {
    let body = format!(r#"{{"detail":"{}"}}"#, "é".repeat(ERROR_MESSAGE_BYTES_MAX));
    assert!(shaped(400, "application/json", &body).len() < ERROR_MESSAGE_BYTES_MAX + 100);
}

#[test]
fn an_event_is_shaped_without_a_status() {
    let mut out = Vec::new();
    write_in_shape(br#"{"error":"boom"}"#, &mut out);
    let expected = r#"{"error":{"message":"boom","type":"server_error","param":null,"code":null}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_prompt_that_is_too_long_has_the_code_that_clients_look_for() {
    for (body, expected) in [
        (
            r#"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
        ),
        (
            r#"{"error":{"message":"m","type":"t","param":null,"code":413}}"#,
            r#"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
        ),
        (
            r#"{"error":{"message":"m","type":"t","param":null}}"#,
            r#"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
        ),
        (
            r#"{"message":"m","type":"t","code":"x"}"#,
            r#"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
        ),
    ] {
        let mut out = Vec::new();
        let circumstances = Circumstances {
            status: 413,
            topic: Topic::Length,
            content_type: None,
        };
        let status = error_in_openai_shape(circumstances, body.as_bytes(), &mut out);
        assert_eq!((status, &*String::from_utf8(out).unwrap()), (400, expected));
    }
}

#[test]
fn codes_that_hide_the_message_are_not_told() {
    for (body, told) in [
        (
            r#"{"error":{"message":"m","code" : "slow_down","type":"t"}}"#,
            r#"{"error":{"message":"m","code" : "server_error","type":"t"}}"#,
        ),
        (
            r#"{"error":{"code":"server_is\u005foverloaded"}}"#,
            r#"{"error":{"code":"server_error"}}"#,
        ),
        (
            r#"{"error":{"code":"invalid","message":"slow_down"}}"#,
            r#"{"error":{"code":"invalid","message":"slow_down"}}"#,
        ),
        (r#"{"error":"slow_down"}"#, r#"{"error":"slow_down"}"#),
        ("slow_down", "slow_down"),
    ] {
        let found = without_overload(body.as_bytes());
        assert_eq!(String::from_utf8(found).unwrap(), told, "{body}");
    }
}

#[test]
fn knows_a_refusal_of_stream_options() {
    assert!(names_stream_options(
        br#"{"detail":[{"type":"extra","loc":["body","stream_options","include_usage"]}]}"#
    ));
    assert!(!names_stream_options(br#"{"error":{"message":"stream"}}"#));
}

proptest! {
    #[test]
    fn every_body_becomes_an_error_of_the_shape(
        body in prop_oneof![
            any::<String>(),
            r#"(\{|\}|"error"|"message"|"code"|:|"m"|,|null|\[|\]| |"|7|é){0,24}"#,
            r#"\{"error":\{("(message|code|type|param|x)":(null|7|"a"|\{\}|\[1\]),){0,3}"y":1\}\}"#,
        ],
        status in 400_u16..600,
    ) {
        shaped(status, "text/plain", &body);
    }
}
