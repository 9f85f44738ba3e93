//! The vectors of answers and streams of `tests/golden/responses` through the binary: what bridged
//! providers say, in the words of Responses.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::messages_vectors::deliveries;
use crate::support::canned::{Recorder, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;

/// Ids of infermux and those that stand for them: each for one alone.
#[derive(Default)]
struct Ids(HashMap<String, String>);

impl Ids {
    fn fit(&mut self, found: &str, expected: &str) -> bool {
        let known = self
            .0
            .entry(expected.to_owned())
            .or_insert_with(|| found.to_owned());
        let is_same = known == found;
        let others = self.0.iter().filter(|(_, own)| *own == found);
        let prefix = |id: &str| id.split("_ifx_").next().map(str::to_owned);
        let digits = found.rsplit('_').next().unwrap_or_default();
        let is_legal = |letter: char| letter.is_ascii_digit() || letter.is_ascii_lowercase();
        is_same
            && others.count() == 1
            && prefix(found) == prefix(expected)
            && digits.len() >= 32
            && digits.chars().all(is_legal)
    }

    /// The place where `found` is not as expected; `None`: it is. Members without a value may be
    /// absent, and times are open.
    fn differ(&mut self, found: &Value, expected: &Value, place: &str) -> Option<String> {
        match (found, expected) {
            (Value::String(found), Value::String(expected)) if expected.contains("_ifx_") => {
                (!self.fit(found, expected)).then(|| format!("{place}: {found}"))
            }
            // The order of members is lost on the way to the provider.
            (Value::String(one), Value::String(other)) if place.ends_with(".arguments") => {
                let parsed = [one, other].map(|text| serde_json::from_str::<Value>(text).ok());
                let is_same = parsed[0] == parsed[1] && (parsed[0].is_some() || one == other);
                (!is_same).then(|| format!("{place}: {one}"))
            }
            (Value::Object(one), Value::Object(other)) => {
                let names = one
                    .keys()
                    .chain(other.keys().filter(|name| !one.contains_key(*name)));
                let mut names = names.filter(|name| *name != "created_at");
                names.find_map(|name| {
                    self.differ(&found[name], &expected[name], &format!("{place}.{name}"))
                })
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                let mut pairs = one.iter().zip(other).enumerate();
                pairs.find_map(|(index, (one, other))| {
                    self.differ(one, other, &format!("{place}[{index}]"))
                })
            }
            (found, expected) => {
                (found != expected).then(|| format!("{place}: {found} in place of {expected}"))
            }
        }
    }
}

#[test]
fn answers_reach_callers_as_the_vectors_say() {
    for vector in vectors("response", 15) {
        let id = vector["id"].as_str().expect("an id");
        let body = vector
            .get("chat_response")
            .unwrap_or(&vector["anthropic_response"]);
        let provider = Recorder::start(whole(
            "Content-Type: application/json\r\n",
            body.to_string().as_bytes(),
        ));
        let answer = ask(&vector, &provider);
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        let fault = Ids::default().differ(&answer.json(), &vector["response"], "");
        assert_eq!(fault, None, "{id}: {}", answer.text());
    }
}

/// The vectors of a kind; there are so many.
fn vectors(kind: &str, count: usize) -> Vec<Value> {
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

/// Sends the request of a vector to a router before `provider`.
fn ask(vector: &Value, provider: &Recorder) -> Answer {
    let kind = vector["provider_type"].as_str().expect("a type");
    let base = if kind == "anthropic" { "" } else { "/v1" };
    let model = vector["caller_model"].as_str().expect("a model");
    let mut entry = json!({
        "name": "h",
        "type": kind,
        "api_key": "sk-kit-h",
        "base_url": format!("http://{}{base}", provider.addr()),
        "models": ["kit-model"],
        "model_aliases": {model: "kit-model"},
        "health_check": {"disabled": true},
    });
    if kind != "anthropic" {
        entry["responses"] = "bridge".into();
    }
    // JSON is YAML.
    let file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": 1},
        "providers": [entry],
    });
    let router = Router::start(&file.to_string());
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", &vector["responses_request"].to_string());
    client.answer()
}

#[test]
fn streams_reach_callers_as_the_vectors_say() {
    for vector in vectors("stream", 18) {
        let id = vector["id"].as_str().expect("an id");
        let stream = vector.get("chat_sse").unwrap_or(&vector["anthropic_sse"]);
        let stream = stream.as_str().expect("a stream");
        for delivery in deliveries(stream, &vector["read_splits"]) {
            let provider = Recorder::start(delivery);
            let answer = ask(&vector, &provider);
            let text = answer.text();
            assert!(answer.status == 200 && answer.complete, "{id}: {text}");
            let expected = vector["events"].as_array().expect("events");
            let found = events(&text);
            assert_eq!(found.len(), expected.len(), "{id}: {text}");
            let mut ids = Ids::default();
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(ids.differ(found, expected, ""), None, "{id}: {found}");
            }
            for (count, name) in [
                ("prompt_tokens", "x-infermux-prompt-tokens"),
                ("completion_tokens", "x-infermux-completion-tokens"),
            ] {
                let recorded = &vector["recorded_usage"][count];
                if recorded.is_u64() {
                    let told = answer.trailer(name).map(str::to_owned);
                    assert_eq!(told, Some(recorded.to_string()), "{id}");
                }
            }
        }
    }
}

/// The events of a stream with the numbers that they would have without signs of life, whose number
/// depends on the reads.
fn events(text: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for (number, event) in text.split_terminator("\n\n").enumerate() {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let mut data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(
            name,
            format!("event: {}", data["type"].as_str().expect("a type"))
        );
        assert_eq!(data["sequence_number"], number, "{text}");
        if data["type"] != "keepalive" {
            data["sequence_number"] = found.len().into();
            found.push(data);
        }
    }
    found
}
