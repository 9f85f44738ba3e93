//! The vectors of `tests/golden/responses` through the binary: requests, answers, streams and
//! errors between callers of Responses and providers of every type.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::canned::{Recorder, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;

/// The vectors of a kind; there are so many.
pub fn vectors(kind: &str, count: usize) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/responses");
    let entries = folder.join(kind).read_dir().expect("a folder");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.expect("a file").path());
        serde_json::from_str(&text.expect("a vector")).expect("JSON")
    };
    let all: Vec<Value> = entries.map(read).collect();
    assert_eq!(all.len(), count, "{kind}");
    all
}

/// A router with one provider.
pub struct Setup<'s> {
    /// The provider's type.
    pub kind: &'s str,
    /// What it says of `responses`; empty: nothing.
    pub mode: &'s str,
    /// The provider's name for the model, of which the caller's is `m`.
    pub upstream: &'s str,
}

impl<'s> Setup<'s> {
    /// The one that a vector wants; providers that have Responses are asked as others are.
    pub fn bridged(vector: &'s Value) -> Self {
        let kind = vector["provider_type"].as_str().unwrap_or("openai");
        Self {
            kind,
            mode: "bridge",
            upstream: vector["upstream_model"].as_str().unwrap_or("some-model"),
        }
    }

    /// Starts the router before `provider`; callers know the model as `caller_model`.
    pub fn start(&self, provider: &Recorder, caller_model: &str) -> Router {
        let base = match self.kind {
            "openai" | "ollama" => "/v1",
            _ => "",
        };
        let mut entry = json!({
            "name": "h",
            "type": self.kind,
            "api_key": "sk-kit-h",
            "base_url": format!("http://{}{base}", provider.addr()),
            "models": [self.upstream],
            "model_aliases": {caller_model: self.upstream},
            "health_check": {"disabled": true},
        });
        if self.kind == "azure_openai" {
            entry["azure_deployment"] = self.upstream.into();
        }
        if !self.mode.is_empty() && self.kind != "anthropic" {
            entry["responses"] = self.mode.into();
        }
        // JSON is YAML.
        let file = json!({
            "listen": "127.0.0.1:0",
            "server": {"shards": 1},
            "providers": [entry],
        });
        Router::start(&file.to_string())
    }
}

/// Posts a request for a response and reads the answer.
pub fn post(router: &Router, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", body);
    client.answer()
}

/// An answer of a provider: a JSON body with status 200.
pub fn good(body: &Value) -> Vec<u8> {
    whole(JSON, body.to_string().as_bytes())
}

/// The body of the last request that a provider has seen.
pub fn last_seen(provider: &Recorder) -> Vec<u8> {
    let seen = provider.seen();
    halves(seen.last().expect("a request")).1
}

/// Checks the answer to a request that is sent to nobody.
pub fn check_refusal(id: &str, reject: &Value, answer: &Answer) {
    let body = answer.json();
    assert_eq!(reject["status"], answer.status, "{id}: {body}");
    for name in ["type", "code", "param"] {
        assert_eq!(body["error"][name], reject[name], "{id}: {body}");
    }
    let message = body["error"]["message"].as_str().expect("a message");
    let named = reject["message_names"].as_str().expect("a place");
    assert!(message.contains(named), "{id}: {message}");
}

/// A request in which `null` is absent, a single text is a string, and arguments are JSON.
pub fn comparable(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| {
                let parsed = value.as_str().filter(|_| name == "arguments");
                let parsed = parsed.and_then(|text| serde_json::from_str(text).ok());
                let value = parsed.unwrap_or(value);
                let text = value[0]["text"].clone();
                let list = value.as_array().filter(|_| name == "content");
                let is_text = list.is_some_and(|list| list.len() == 1 && text.is_string());
                (name, if is_text { text } else { comparable(value) })
            });
            members.collect()
        }
        Value::Array(list) => list.into_iter().map(comparable).collect(),
        other => other,
    }
}

const JSON: &str = "Content-Type: application/json\r\n";
pub const EVENTS: &str = "Content-Type: text/event-stream\r\n";

/// An answer of the provider that a request of a vector may get: what it says matters to nobody.
fn any_answer(kind: &str, is_streamed: bool) -> Vec<u8> {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "x",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": usage,
    });
    let choice = json!({
        "index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop",
        "delta": {"content": "hi"},
    });
    let chat = json!({"id": "c", "model": "x", "choices": [choice]});
    let event = |event: Value| {
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        format!("event: {name}\ndata: {event}\n\n")
    };
    match (kind, is_streamed) {
        ("anthropic", false) => good(&message),
        (_, false) => good(&chat),
        ("anthropic", true) => {
            let mut start = message;
            start["content"] = json!([]);
            let delta = json!({"type": "text_delta", "text": "hi"});
            let stop = json!({"stop_reason": "end_turn"});
            let text = json!({"type": "text", "text": ""});
            let events = [
                json!({"type": "message_start", "message": start}),
                json!({"type": "content_block_start", "index": 0, "content_block": text}),
                json!({"type": "content_block_delta", "index": 0, "delta": delta}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 1}}),
                json!({"type": "message_stop"}),
            ];
            let text: String = events.into_iter().map(event).collect();
            whole(EVENTS, text.as_bytes())
        }
        (_, true) => {
            let text = format!("data: {chat}\n\ndata: [DONE]\n\n");
            whole(EVENTS, text.as_bytes())
        }
    }
}

/// `text` with the ids of the `answers` to former requests in place of `$k.output[j].id`.
fn with_ids(mut text: String, answers: &[Value]) -> String {
    for (index, answer) in answers.iter().enumerate() {
        let items = answer["output"].as_array().expect("an output");
        for (place, item) in items.iter().enumerate() {
            let name = format!("${}.output[{place}].id", index + 1);
            text = text.replace(&name, item["id"].as_str().expect("an id"));
        }
    }
    text
}

#[test]
fn requests_reach_bridged_providers_as_the_vectors_say() {
    for vector in vectors("request", 43) {
        let id = vector["id"].as_str().expect("an id");
        let before = vector["before"].as_array().cloned().unwrap_or_default();
        let setup = Setup::bridged(&vector);
        let body = &vector["responses_request"];
        let mut answers: Vec<_> = before
            .iter()
            .map(|one| good(&one["chat_response"]))
            .collect();
        answers.push(any_answer(setup.kind, body["stream"] == true));
        let provider = Recorder::in_turn(answers);
        let router = setup.start(&provider, "m");
        let told: Vec<Value> = before
            .iter()
            .map(|one| post(&router, &one["responses_request"].to_string()).json())
            .collect();
        let answer = post(&router, &with_ids(body.to_string(), &told));
        if let Some(reject) = vector.get("reject") {
            assert!(provider.seen().is_empty(), "{id}: something went up");
            check_refusal(id, reject, &answer);
            continue;
        }
        let is_sent = provider.seen().len() > told.len();
        assert!(is_sent, "{id}: {}", answer.text());
        let sent = serde_json::from_slice(&last_seen(&provider)).expect("JSON");
        let expected = vector.get("chat_request");
        let expected = expected.unwrap_or(&vector["anthropic_request"]).clone();
        assert_eq!(comparable(sent), comparable(expected), "{id}");
    }
}
