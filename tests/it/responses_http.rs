//! What callers of Responses ask for, and what reaches providers of each kind.

use serde_json::json;

use crate::support::canned::{Recorder, halves};
use crate::support::client::Client;
use crate::support::router::Router;

/// A file with one provider of this type, which claims the model `m`; with these other settings.
fn file(kind: &str, provider: &Recorder, settings: &serde_json::Value, shards: u32) -> String {
    let base = match kind {
        "openai" => "/v1",
        _ => "",
    };
    let mut entry = json!({
        "name": "h",
        "type": kind,
        "api_key": "sk-kit-h",
        "base_url": format!("http://{}{base}", provider.addr()),
        "health_check": {"disabled": true},
        "models": ["m"],
    });
    let settings = settings.as_object().expect("settings");
    for (key, value) in settings {
        entry[key] = value.clone();
    }
    // JSON is YAML.
    let file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": shards},
        "providers": [entry],
    });
    file.to_string()
}

/// Target and model of a request that a provider has seen.
fn seen(request: &[u8]) -> String {
    let (head, body) = halves(request);
    let target = head.lines().next().and_then(|line| line.split(' ').nth(1));
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    format!(
        "{} {}",
        target.unwrap_or_default(),
        body["model"].as_str().unwrap_or_default()
    )
}

const REQUEST: &str = r#"{"model":"m","input":"hi"}"#;

#[test]
fn responses_reach_a_provider_as_the_file_says() {
    let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21 m";
    for (kind, settings, expected) in [
        ("openai", json!({}), "/v1/responses m"),
        ("openai", json!({"responses": "native"}), "/v1/responses m"),
        (
            "openai",
            json!({"responses": "bridge"}),
            "/v1/chat/completions m",
        ),
        ("ollama", json!({}), "/v1/chat/completions m"),
        ("ollama", json!({"responses": "native"}), "/v1/responses m"),
        ("anthropic", json!({}), "/v1/messages m"),
        (
            "openai",
            json!({"model_aliases": {"m": "own"}}),
            "/v1/responses own",
        ),
        (
            "azure_openai",
            json!({"azure_deployment": "d"}),
            "/openai/v1/responses d",
        ),
        (
            "azure_openai",
            json!({"model_aliases": {"m": "own"}}),
            "/openai/v1/responses own",
        ),
        (
            "azure_openai",
            json!({"azure_deployment": "d", "responses": "bridge"}),
            azure,
        ),
    ] {
        let provider = Recorder::start(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".to_vec());
        for shards in [1, 2] {
            let router = Router::start(&file(kind, &provider, &settings, shards));
            let mut client = Client::connect(router.addr());
            client.post("/v1/responses", REQUEST);
            assert_eq!(client.answer().status, 502, "{kind} {settings}");
            let last = provider.seen().pop().expect("a request");
            assert_eq!(seen(&last), expected, "{kind} {settings}");
        }
        assert_eq!(provider.seen().len(), 2, "{kind} {settings}");
    }
}
