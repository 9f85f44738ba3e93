//! Tests of whole answers for callers of Responses.

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::base::endpoint::{Dialect, Endpoint};
use crate::dialect::answer::ItemPlace;
use crate::dialect::answer_as_stream::{self, Telling};
use crate::dialect::answers::{self, AnswerPlan};
use crate::dialect::expected;
use crate::dialect::request::Kept;
use crate::dialect::responses::strict::{events, fits, told};
use crate::dialect::shell::plan::Wanted;
use crate::dialect::shell::to_responses_tests::kept;
use crate::wire::json;

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    caller_model: String,
    responses_request: Json,
    chat_response: Option<Box<RawValue>>,
    anthropic_response: Option<Box<RawValue>>,
    response: Json,
}

/// The answer to a request of which this is kept.
fn written(provider: Dialect, kept: &Kept, model: &str, body: &str) -> String {
    let plan = AnswerPlan {
        caller: Dialect::Responses,
        provider,
        caller_model: &json::quoted(model),
        created: 7,
        wanted: Wanted {
            names: Some(&kept.names),
            seed: [1, 2],
            echo: kept.echo.as_ref(),
            ..Wanted::NOTHING
        },
    };
    let mut out = b"before".to_vec();
    let known = answers::write(body.as_bytes(), &plan, &mut out).unwrap();
    let found = String::from_utf8(out).unwrap();
    check_places(&found, &known.items);
    found.strip_prefix("before").unwrap().to_owned()
}

/// The items of the response that ends `text` stand at these `places`.
fn check_places(text: &str, places: &[ItemPlace]) {
    let response: Json = serde_json::from_str(text.strip_prefix("before").unwrap()).unwrap();
    let items = response["output"].as_array().unwrap();
    assert_eq!(items.len(), places.len());
    for (item, place) in items.iter().zip(places) {
        let found: Json = serde_json::from_str(&text[place.item.clone()]).unwrap();
        assert_eq!(found, *item);
        assert_eq!(item["id"], text[place.id.clone()]);
    }
}

#[test]
fn the_published_vectors_hold() {
    let vectors: Vec<Vector> = expected::vectors_of("responses", "response");
    assert_eq!(vectors.len(), 15);
    for vector in &vectors {
        let (provider, body) = match (&vector.chat_response, &vector.anthropic_response) {
            (Some(body), _) => (Dialect::Chat, body),
            (None, body) => (Dialect::Messages, body.as_ref().unwrap()),
        };
        let kept = kept(provider, &vector.responses_request);
        let found = written(provider, &kept, &vector.caller_model, body.get());
        let response: Json = serde_json::from_str(&found).unwrap();
        let is_met = fits(&response, &vector.response, &mut Vec::new());
        assert!(is_met, "{}:\n{found}\n{}", vector.id, vector.response);
        check_told_as_stream(&found, &response);
    }
}

/// A caller who waits for a stream gets the same in events.
fn check_told_as_stream(body: &str, response: &Json) {
    let telling = Telling {
        endpoint: Endpoint::Responses,
        caller_model: b"\"m\"",
        include_usage: false,
        cost: None,
    };
    let mut out = Vec::new();
    assert!(answer_as_stream::write(body.as_bytes(), &telling, &mut out));
    let found = events(&String::from_utf8(out).unwrap());
    assert!(told(&found).status.is_some());
    assert_eq!(found.last().unwrap()["response"], *response);
}

fn output(message: &Json, finish: &str) -> Json {
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    let kept = kept(Dialect::Chat, &json!({"model": "m", "input": "x"}));
    let body = json!({"choices": [choice]}).to_string();
    let text = written(Dialect::Chat, &kept, "m", &body);
    let response: Json = serde_json::from_str(&text).unwrap();
    response["output"].clone()
}

#[test]
fn arguments_stay_as_they_were_written() {
    for (arguments, told) in [
        (json!("{ \"a\" : 1.0e400 }"), "{ \"a\" : 1.0e400 }"),
        (json!("not JSON"), "not JSON"),
        (json!("\"text\""), "\"text\""),
        (json!(" \n"), "{}"),
        (json!({"a": [1]}), "{\"a\":[1]}"),
        (json!([1]), "[1]"),
        (Json::Null, "{}"),
    ] {
        let call = json!({"id": "a", "function": {"name": "f", "arguments": arguments}});
        let output = output(&json!({"tool_calls": [call]}), "tool_calls");
        assert_eq!(output[0]["arguments"], told, "{arguments}");
    }
}

#[test]
fn an_answer_that_is_cut_has_a_cut_last_item() {
    let message = json!({
        "reasoning": "hm",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "refusal": "", "function_call": {"name": "f", "arguments": "{"},
    });
    let output = output(&message, "length");
    let standing = |at: usize| [&output[at]["type"], &output[at]["status"]].map(Json::as_str);
    assert_eq!(standing(0), [Some("reasoning"), Some("completed")]);
    assert_eq!(standing(1), [Some("message"), Some("completed")]);
    assert_eq!(standing(2), [Some("function_call"), Some("incomplete")]);
    assert_eq!(output[1]["content"][0]["text"], "ab");
    assert!(
        output[2]["call_id"]
            .as_str()
            .unwrap()
            .starts_with("call_ifx_")
    );
}
