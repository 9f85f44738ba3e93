//! Tests of the translation of answers for callers of Messages.

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::*;
use crate::dialect::answer::{AnswerFault, Known};
use crate::dialect::chat::read_answer;
use crate::dialect::expected::{self, fits};
use crate::dialect::names::Names;
use crate::dialect::shell::plan::{StreamPlan, Wanted};
use crate::wire::json;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    #[serde(default)]
    request: Json,
    openai_response: Box<RawValue>,
    anthropic_response: Json,
}

fn plan() -> StreamPlan<'static> {
    expected::plan(b"\"m\"", Wanted::NOTHING)
}

fn write_from(body: &[u8], plan: &StreamPlan<'_>, out: &mut Vec<u8>) -> Result<Known, AnswerFault> {
    let answer = read_answer::read(body, &plan.wanted)?;
    write(&answer, plan.caller_model, &plan.wanted, out);
    Ok(answer.known())
}

#[test]
fn the_vectors_hold() {
    let vectors: Vec<Vector> = expected::vectors("response");
    assert_eq!(vectors.len(), 23);
    for vector in &vectors {
        let model = json::quoted(&vector.caller_model);
        let stops = expected::stops(&vector.request);
        let mut names = Names::default();
        for tool in vector.request["tools"].as_array().into_iter().flatten() {
            names.shortened(&json::quoted(tool["name"].as_str().unwrap()));
        }
        let plan = expected::plan(
            &model,
            Wanted {
                thoughts: expected::thoughts(&vector.request),
                names: Some(&names),
                stops: &stops,
                ..Wanted::NOTHING
            },
        );
        let mut out = Vec::new();
        write_from(vector.openai_response.get().as_bytes(), &plan, &mut out).unwrap();
        let found: Json = serde_json::from_slice(&out).unwrap();
        let expected = &vector.anthropic_response;
        assert!(
            fits(&found, expected, ""),
            "{}:\n{found}\n{expected}",
            vector.id
        );
    }
}

#[test]
fn no_two_calls_have_the_same_id() {
    let call = r#"{"id":"a","function":{"name":"f","arguments":{ "n" : 1.0e400 }}}"#;
    let body = format!(r#"{{"choices":[{{"message":{{"tool_calls":[{call},{call}]}}}}]}}"#);
    let mut out = Vec::new();
    write_from(body.as_bytes(), &plan(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(r#""id":"a","name":"f","input":{"n":1.0e400}}"#),
        "{text}"
    );
    assert!(text.contains(r#""id":"toolu_"#), "{text}");
}

#[test]
fn a_success_without_an_answer_is_a_failure() {
    for (body, fault) in [
        ("", AnswerFault::Malformed),
        ("[]", AnswerFault::Malformed),
        (
            r#"{"choices":[{"message":{"content":01}}]}"#,
            AnswerFault::Malformed,
        ),
        (
            r#"{"choices":[{"message":{}}],"error":"x"}"#,
            AnswerFault::Error,
        ),
        (r#"{"object":"error","message":"x"}"#, AnswerFault::Error),
        (
            r#"{"choices":[{"finish_reason":"error"}]}"#,
            AnswerFault::Error,
        ),
        ("{}", AnswerFault::NoContent),
        (r#"{"choices":[]}"#, AnswerFault::NoContent),
    ] {
        let mut out = Vec::new();
        assert_eq!(
            write_from(body.as_bytes(), &plan(), &mut out),
            Err(fault),
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn any_body_gives_a_message_or_a_fault(
        body in concat!(
            r#"\{"choices":\[\{"message":\{"#,
            r#"("(content|reasoning|refusal|tool_calls|function_call)":"#,
            r#"("\\ud800"|"é"|\[\{"type":"text","text":"x"\}\]|7|null|\{"name":"f"\}|"#,
            r#"\[\{"id":"\."(,"function":\{("name":"f",?)?"#,
            r#"("arguments":(""|"\{\}"|"\\"x"|7))?\})?\}\])"#,
            r#",?){0,4}\}(,"finish_reason":"(stop|length|x)")?\}\]\}"#,
        ),
        other in any::<Vec<u8>>(),
    ) {
        for body in [body.as_bytes(), &other] {
            let mut out = Vec::new();
            if write_from(body, &plan(), &mut out).is_ok() {
                let read = serde_json::from_slice::<&RawValue>(&out);
                prop_assert!(read.is_ok(), "{}", String::from_utf8_lossy(&out));
            }
        }
    }
}
