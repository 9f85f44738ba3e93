//! Tests of the translation of answers for callers of chat completions.

use std::path::Path;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::decide::outcome::Outcome;
use crate::dialect::answer::Known;
use crate::dialect::chat::write_answer;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    anthropic_response: Box<RawValue>,
    openai_response: serde_json::Value,
}

/// Appends the completion for `body`.
fn write(
    body: &[u8],
    caller_model: &[u8],
    created: u64,
    out: &mut Vec<u8>,
) -> Result<Known, AnswerFault> {
    let answer = read(body)?;
    write_answer::write(&answer, caller_model, created, out);
    Ok(answer.known())
}

/// Arguments are compared by their decoded values.
fn parse_arguments(answer: &mut serde_json::Value) {
    let calls = &mut answer["choices"][0]["message"]["tool_calls"];
    for call in calls.as_array_mut().into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
    }
}

#[test]
fn the_vectors_hold() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/anthropic/response"
    );
    let mut count = 0;
    for entry in Path::new(folder).read_dir().unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut vector: Vector = serde_json::from_str(&text).unwrap();
        let body = vector.anthropic_response.get().as_bytes();
        let mut out = Vec::new();
        let told = write(body, &json::quoted(&vector.caller_model), 0, &mut out).unwrap();
        let mut found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        parse_arguments(&mut found);
        // Where there are none, the key must stay absent.
        if vector.openai_response["choices"][0]["message"]
            .get("tool_calls")
            .is_some()
        {
            parse_arguments(&mut vector.openai_response);
        } else {
            assert!(
                found["choices"][0]["message"]["tool_calls"].is_null(),
                "{}",
                vector.id
            );
            let message = found["choices"][0]["message"].as_object_mut().unwrap();
            message.remove("tool_calls");
        }
        assert_eq!(found, vector.openai_response, "{}", vector.id);
        let usage = told.usage.unwrap();
        assert_eq!(
            Some(usage.prompt.get()),
            vector.openai_response["usage"]["prompt_tokens"].as_u64()
        );
        count += 1;
    }
    assert_eq!(count, 24);
}

fn check(body: &str, expected: &str, text_bytes: usize) {
    let mut out = Vec::new();
    let told = write(body.as_bytes(), b"\"mine\"", 7, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(told.text_bytes, text_bytes);
}

#[test]
fn what_is_copied_stays_as_it_is_written() {
    check(
        concat!(
            r#"{"id":"a\/b","content":[{"type":"text","text":"\u00e9"},{"type":"new"},7,"#,
            r#"{"type":"tool_use","id":"t","name":"f","input":{ "n" : 1.0e400 }}],"#,
            r#""stop_reason":"end_turn"}"#
        ),
        concat!(
            r#"{"id":"a\/b","object":"chat.completion","created":7,"model":"mine","#,
            r#""choices":[{"index":0,"message":{"role":"assistant","content":"\u00e9","#,
            r#""refusal":null,"tool_calls":[{"id":"t","type":"function","function":"#,
            r#"{"name":"f","arguments":"{\"n\":1.0e400}"}}]},"logprobs":null,"#,
            r#""finish_reason":"stop"}]}"#
        ),
        1 + 1 + 17,
    );
}

#[test]
fn the_four_counts_are_kept_apart() {
    let body = br#"{"content":[],"usage":{"input_tokens":3,"output_tokens":5,
        "cache_creation_input_tokens":200,"cache_read_input_tokens":1000}}"#;
    let told = write(body, b"\"m\"", 0, &mut Vec::new()).unwrap();
    let counts = told.usage.unwrap().counts();
    let found = [
        counts.input,
        counts.cache_write,
        counts.cache_read,
        counts.output,
    ];
    assert_eq!(found.map(Tokens::get), [3, 200, 1000, 5]);
}

#[test]
fn a_success_without_a_message_is_a_failure() {
    for (body, fault) in [
        ("", AnswerFault::Malformed),
        ("<html>", AnswerFault::Malformed),
        ("[]", AnswerFault::Malformed),
        (r#"{"content":[{"type":"text","#, AnswerFault::Malformed),
        (
            r#"{"content":[{"type":"text","text":null}]}"#,
            AnswerFault::Malformed,
        ),
        (
            r#"{"content":[{"type":"tool_use","id":"a"}]}"#,
            AnswerFault::Malformed,
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            AnswerFault::Error,
        ),
        ("{}", AnswerFault::NoContent),
        (r#"{"content":"x"}"#, AnswerFault::NoContent),
    ] {
        let mut out = Vec::new();
        assert_eq!(
            write(body.as_bytes(), b"\"m\"", 0, &mut out),
            Err(fault),
            "{body}"
        );
        assert!(out.is_empty());
        assert!(matches!(fault.outcome(), Outcome::Failed(_)));
    }
}

proptest! {
    #[test]
    fn any_body_gives_json_or_a_fault(
        body in concat!(
            r#"\{"content":\[(\{"type":"(text|thinking|tool_use)""#,
            r#"(,"(text|thinking|id|name|input)":("\\ud800"|"é"|\{"a":"\\""\}|7|null)){0,4}\},?)"#,
            r#"{0,3}\](,"(usage|id|stop_reason|stop_details)":"#,
            r#"("refusal"|\{"input_tokens":-1\}|\{"explanation":"x"\})){0,3}\}"#,
        ),
        other in any::<Vec<u8>>(),
    ) {
        for body in [body.as_bytes(), &other] {
            let mut out = Vec::new();
            if write(body, b"\"m\"", u64::MAX, &mut out).is_ok() {
                let read = serde_json::from_slice::<&RawValue>(&out);
                prop_assert!(read.is_ok(), "{}", String::from_utf8_lossy(&out));
            }
        }
    }
}
