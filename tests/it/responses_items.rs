//! Items of translated answers are remembered for callers who refer to them.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::native::{Native, data_of};
use crate::support::operate::metric;
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider};

/// A router with a provider that knows no Responses.
fn bridge(chat: &Mock, server: &str) -> Router {
    let providers = [provider(chat, &["responses: bridge"])];
    Router::start(&config_of(&providers, &format!("server: {{{server}}}\n")))
}

fn ask(router: &Router, body: &Value) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", &body.to_string());
    client.answer()
}

/// The message of an answer to `input`: its id and its text.
fn message(router: &Router, more: &Value) -> (String, String) {
    let mut body = json!({"model": "m", "input": "x"});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let answer = ask(router, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let response = match body["stream"] == json!(true) {
        true => data_of(&answer).pop().expect("an event")["response"].clone(),
        false => answer.json(),
    };
    let items = response["output"].as_array().cloned().unwrap_or_default();
    let message = items.iter().find(|item| item["type"] == "message");
    let message = message.expect("a message");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&message["id"]), text(&message["content"][0]["text"]))
}

fn refer(router: &Router, id: &str) -> Answer {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "x"},
        {"type": "item_reference", "id": id},
        {"role": "user", "content": "y"},
    ]});
    ask(router, &body)
}

/// What the assistant has said, as the provider was told last.
fn told(chat: &Mock) -> Vec<Value> {
    let seen = last_seen(chat);
    let messages = seen["body"]["messages"].as_array().cloned();
    let messages = messages.expect("messages");
    let own = messages.iter().filter(|one| one["role"] == "assistant");
    own.map(|one| one["content"].clone()).collect()
}

#[test]
fn an_id_with_escapes_is_the_same_id() {
    let chat = mock(json!({"name": "alpha"}));
    let router = bridge(&chat, "shards: 1");
    let (id, text) = message(&router, &json!({}));
    let escaped = id.replace('_', "\\u005f");
    let mut client = Client::connect(router.addr());
    client.post(
        "/v1/responses",
        &format!(
            r#"{{"model":"m","input":[{{"type":"item_reference","id":"{escaped}"}},
                {{"role":"user","content":"y"}}]}}"#
        ),
    );
    let answer = client.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(told(&chat), [json!(text)]);
}

#[test]
fn a_reference_becomes_the_item_that_it_names() {
    for (shards, streamed) in [(1, false), (1, true), (2, false), (2, true)] {
        let chat = mock(json!({"name": "alpha"}));
        let router = bridge(&chat, &format!("shards: {shards}"));
        let (id, text) = message(&router, &json!({"stream": streamed}));
        assert!(
            id.starts_with("msg_ifx_") && !text.is_empty(),
            "{id} {text}"
        );
        // Connections come to any shard.
        for _ in 0..4 {
            let answer = refer(&router, &id);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(told(&chat), [json!(text)]);
        }
        let bytes = metric(
            router.management(),
            "infermux_responses_remembered_bytes",
            &[],
        );
        assert!(bytes > 0.0);
    }
}

#[test]
fn a_native_provider_gets_the_item_in_place_of_the_reference() {
    let (chat, alpha) = (mock(json!({"name": "chat"})), Native::start("alpha"));
    let bridged = provider(&chat, &["responses: bridge", "models: [other]"]);
    let router = Router::start(&config_of(&[bridged, alpha.provider(&[])], ""));
    let (id, text) = message(&router, &json!({"model": "other"}));
    let answer = refer(&router, &id);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (_, body) = alpha.seen().pop().expect("a request");
    assert_eq!(body["input"][1]["type"], "message", "{body}");
    assert_eq!(body["input"][1]["content"][0]["text"], json!(text));
}

/// Calls stay what they were; thoughts of other models are nothing to it.
#[test]
fn a_native_provider_gets_calls_in_place_of_references_and_no_thoughts() {
    let (chat, alpha) = (
        mock(json!({"name": "chat", "reasoning": "Hm.", "calls": [[
            {"name": "f", "input": {"x": 1}}, {"name": "c", "input": "free text"},
        ]]})),
        Native::start("alpha"),
    );
    let bridged = provider(&chat, &["responses: bridge", "models: [other]"]);
    let router = Router::start(&config_of(&[bridged, alpha.provider(&[])], ""));
    let tools = json!([
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {"type": "custom", "name": "c"},
    ]);
    let body = json!({"model": "other", "input": "x", "tools": tools});
    let answer = ask(&router, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let output = answer.json()["output"].clone();
    let made = output.as_array().expect("items");
    let kinds = made.iter().map(|item| item["type"].as_str());
    let expected = ["reasoning", "function_call", "custom_tool_call"];
    assert!(kinds.eq(expected.map(Some)), "{output}");

    let mut input = vec![json!({"role": "user", "content": "x"})];
    let refer = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    input.extend(made.iter().map(refer));
    let (one, other) = (&made[1], &made[2]);
    let outputs = [
        json!({"type": "function_call_output", "call_id": one["call_id"], "output": "1"}),
        json!({"type": "custom_tool_call_output", "call_id": other["call_id"], "output": "2"}),
    ];
    input.extend(outputs.clone());
    let answer = ask(
        &router,
        &json!({"model": "m", "input": input, "tools": tools}),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (_, body) = alpha.seen().pop().expect("a request");
    let sent = body["input"].as_array().expect("items");
    assert_eq!(sent.len(), 5, "{body}");
    assert_eq!(sent[3..], outputs);
    for (sent, made, text) in [
        (&sent[1], one, ("arguments", json!("{\"x\":1}"))),
        (&sent[2], other, ("input", json!("free text"))),
    ] {
        for name in ["type", "name", "call_id"] {
            assert_eq!(sent[name], made[name], "{body}");
        }
        assert_eq!(sent[text.0], text.1, "{body}");
    }
}

#[test]
fn what_is_not_stored_is_not_remembered() {
    let chat = mock(json!({"name": "alpha"}));
    let router = bridge(&chat, "shards: 1");
    let (id, _) = message(&router, &json!({"store": false}));
    let answer = refer(&router, &id);
    assert_eq!((answer.status, &*answer.code()), (400, "invalid_request"));
    let text = answer.text();
    assert!(
        text.contains("input[1]") && text.contains("store"),
        "{text}"
    );
    let bytes = metric(
        router.management(),
        "infermux_responses_remembered_bytes",
        &[],
    );
    assert!(bytes.abs() < 0.5, "{bytes}");
}

#[test]
fn responses_memory_bounds_what_is_remembered() {
    let chat = mock(json!({"name": "alpha"}));
    let none = bridge(&chat, "responses_memory: 0");
    let (id, _) = message(&none, &json!({}));
    assert_eq!(refer(&none, &id).status, 400);

    let little = bridge(&chat, "responses_memory: 1000");
    let all: Vec<(String, String)> = (0..8).map(|_| message(&little, &json!({}))).collect();
    let (oldest, latest) = (&all[0].0, &all[7].0);
    assert_eq!(refer(&little, oldest).status, 400);
    let answer = refer(&little, latest);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bytes = metric(
        little.management(),
        "infermux_responses_remembered_bytes",
        &[],
    );
    assert!(bytes > 0.0 && bytes <= 1_000.0, "{bytes}");
}
