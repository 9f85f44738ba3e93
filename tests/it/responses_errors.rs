//! What goes wrong for callers of Responses, as the vectors of `tests/golden/responses/error` tell
//! it: whom another provider is asked for, what that says about the first one, and what the caller
//! is told.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::messages_http::differs;
use crate::support::canned::{Recorder, halves};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::operate::{circuit, wait_for_circuit};
use crate::support::router::Router;

/// The rules of the reference that one of the vectors shows.
const RULES: [&str; 11] = [
    "X1", "X2", "X3", "X4", "W1", "W2", "W3", "N8", "I2", "I3", "I5",
];

#[test]
fn every_vector_is_as_the_reference_says() {
    let mut cited = HashSet::new();
    for path in vectors() {
        let text = std::fs::read_to_string(&path).expect("a vector");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        // Behind `;` stands where a rule comes from.
        let source = vector["source"].as_str().expect("rules");
        let rules = source.split(';').next().unwrap_or_default();
        cited.extend(rules.split(' ').map(str::to_owned));
        for shards in [1, 2] {
            match vector["kind"].as_str() {
                Some("responses_error") => play_error(&vector, shards),
                Some("responses_http") => play_exchange(&vector, shards),
                other => panic!("{other:?} in {}", path.display()),
            }
        }
    }
    for rule in RULES {
        assert!(cited.contains(rule), "no vector shows {rule}");
    }
}

fn vectors() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/responses/error");
    let entries = Path::new(folder).read_dir().expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 26);
    paths
}

/// The entry of a provider in a file.
fn entry(name: &str, kind: &str, provider: &Recorder, more: &[(&str, &Value)]) -> String {
    let base = match kind {
        "openai" | "azure_openai" => "/v1",
        _ => "",
    };
    let mut entry = json!({
        "name": name,
        "type": kind,
        "api_key": format!("sk-kit-{name}"),
        "base_url": format!("http://{}{base}", provider.addr()),
        "health_check": {"disabled": true},
    });
    for (key, value) in more.iter().filter(|(_, value)| !value.is_null()) {
        entry[key] = (*value).clone();
    }
    // JSON is YAML.
    format!("  - {entry}\n")
}

/// An error of a provider, or a stream that fails before its first content.
struct Failing<'v> {
    id: &'v str,
    vector: &'v Value,
    /// What the provider answers.
    answer: Vec<u8>,
    is_streamed: bool,
    shards: u32,
}

fn play_error(vector: &Value, shards: u32) {
    let id = vector["id"].as_str().expect("an id");
    let streams = ["upstream_sse", "chat_sse", "anthropic_sse"];
    let stream = streams.iter().find_map(|name| vector[name].as_str());
    let failing = Failing {
        id,
        vector,
        answer: match stream {
            Some(events) => streamed(events),
            None => whole(&vector["upstream"]),
        },
        is_streamed: stream.is_some(),
        shards,
    };
    failing.alone();
    failing.beside_another();
    if let Some(told) = vector.get("in_stream") {
        failing.within_a_stream(told);
    }
}

impl Failing<'_> {
    fn kind(&self) -> &str {
        self.vector["provider_type"].as_str().expect("a type")
    }

    fn entry(&self, provider: &Recorder, policy: &Value) -> String {
        let mode = match self.kind() {
            "anthropic" => Value::Null,
            _ => self.vector["mode"].clone(),
        };
        let models = json!(["m"]);
        let more = [
            ("responses", &mode),
            ("models", &models),
            ("circuit_breaker", policy),
        ];
        entry("h", self.kind(), provider, &more)
    }

    fn router(&self, providers: &[String]) -> Router {
        let shards = self.shards;
        let rest = format!("server: {{shards: {shards}}}\nrouting: {{strategy: priority}}\n");
        Router::start(&config_of(providers, &rest))
    }

    fn ask(&self, router: &Router, stream: bool) -> Answer {
        let mut client = Client::connect(router.addr());
        let body = json!({"model": "m", "input": "hi", "stream": stream});
        client.post("/v1/responses", &body.to_string());
        client.answer()
    }

    /// The provider is the only one.
    fn alone(&self) {
        let id = self.id;
        let outcome = &self.vector["outcome"];
        for stream in [self.is_streamed, true] {
            let provider = Recorder::start(self.answer.clone());
            let router = self.router(&[self.entry(&provider, &json!({"consecutive_failures": 1}))]);
            let answer = self.ask(&router, stream);
            let text = answer.text();
            if let Some(told) = self.vector.get("translated") {
                assert_eq!(told["status"], answer.status, "{id}: {text}");
                for (name, value) in told["headers"].as_object().into_iter().flatten() {
                    assert_eq!(answer.header(name), value.as_str(), "{id}: {name}");
                }
                let fault = differs(&told["body"], &answer.json(), "");
                assert_eq!(fault, None, "{id}: {text}");
            } else {
                let told = &outcome["if_nobody_left"];
                assert_eq!(told["status"], answer.status, "{id}: {text}");
                assert_eq!(told["code"], answer.code(), "{id}: {text}");
                let error = &answer.json()["error"];
                assert_eq!(error["type"], "infermux_error", "{id}: {text}");
                let asked = &self.vector["upstream"]["headers"]["retry-after"];
                if let Some(seconds) = asked.as_str() {
                    assert_eq!(answer.header("retry-after"), Some(seconds), "{id}");
                }
            }
            for hidden in ["server_is_overloaded", "slow_down"] {
                assert!(!text.contains(hidden), "{id}: {text}");
            }
            match outcome["breaker"].as_str() {
                Some("failure") => wait_for_circuit(&router, "h", "open"),
                Some("neutral") => assert_eq!(circuit(&router, "h"), "closed", "{id}"),
                other => panic!("{id}: {other:?}"),
            }
            assert_eq!(provider.seen().len(), 1, "{id}");
        }
    }

    /// Another provider, which is always bridged, could answer.
    fn beside_another(&self) {
        let id = self.id;
        let (first, second) = (
            Recorder::start(self.answer.clone()),
            Recorder::start(whole(
                &json!({"status": 200, "headers": {}, "body": COMPLETION}),
            )),
        );
        let another = entry("other", "ollama", &second, &[("models", &json!(["m"]))]);
        let router = self.router(&[self.entry(&first, &Value::Null), another]);
        let answer = self.ask(&router, self.is_streamed);
        let goes_on = self.vector["outcome"]["next_provider"]
            .as_bool()
            .expect("whether");
        assert_eq!(first.seen().len(), 1, "{id}");
        assert_eq!(second.seen().len(), usize::from(goes_on), "{id}");
        assert_eq!(answer.status == 200, goes_on, "{id}: {}", answer.text());
        if goes_on {
            assert_eq!(answer.header("x-infermux-provider"), Some("other"), "{id}");
            assert_eq!(answer.header("x-infermux-attempts"), Some("2"), "{id}");
            assert!(answer.text().contains("Yes."), "{id}: {}", answer.text());
        }
    }

    /// The same error comes behind the first content of a stream.
    fn within_a_stream(&self, told: &Value) {
        let id = self.id;
        let error = self.vector["upstream"]["body"].as_str().expect("an error");
        let begun = match self.kind() {
            "anthropic" => ANTHROPICS_BEGINNING,
            _ => CHATS_BEGINNING,
        };
        let name = match self.kind() {
            "anthropic" => "event: error\n",
            _ => "",
        };
        let provider = Recorder::start(streamed(&format!("{begun}{name}data: {error}\n\n")));
        let router = self.router(&[self.entry(&provider, &Value::Null)]);
        let answer = self.ask(&router, true);
        assert!(answer.complete, "{id}: the body ends properly");
        let events = answer.named_events();
        let last = events.last().expect("an event");
        assert_eq!(last["type"], "response.failed", "{id}");
        for name in ["code", "message"] {
            assert_eq!(last["response"]["error"][name], told[name], "{id}");
        }
    }
}

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m",
    "choices":[{"index":0,"message":{"role":"assistant","content":"Yes."},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":2,"completion_tokens":7,"total_tokens":9}}"#;
const CHATS_BEGINNING: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\
    \"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\
    \"finish_reason\":null}]}\n\n";
const ANTHROPICS_BEGINNING: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","#,
    r#""model":"m","content":[],"stop_reason":null,"stop_sequence":null,"#,
    r#""usage":{"input_tokens":2,"output_tokens":1}}}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
    "\n\n",
);

/// A whole exchange.
fn play_exchange(vector: &Value, shards: u32) {
    let id = vector["id"].as_str().expect("an id");
    let answers = vector["upstream_answers"].as_array();
    let answers: Vec<Vec<u8>> = answers.into_iter().flatten().map(whole).collect();
    let provider = match answers.is_empty() {
        true => Recorder::start(whole(&json!({"status": 500, "body": "{}"}))),
        false => Recorder::in_turn(answers),
    };
    let router = Router::start(&configuration(&vector["config"], &provider, shards));
    let method = vector["request"]["method"].as_str().expect("a method");
    let mut client = Client::connect(router.addr());
    client.send(request(vector));
    let answer = client.answer_to(method);
    check_answer(id, &vector["answer"], &answer);
    let seen: Vec<String> = provider.seen().iter().map(|one| line_of(one)).collect();
    let expected = vector["upstream_requests"].as_array().expect("a list");
    let expected: Vec<&str> = expected.iter().filter_map(Value::as_str).collect();
    assert_eq!(seen, expected, "{id}");
}

fn configuration(config: &Value, provider: &Recorder, shards: u32) -> String {
    let kind = config["provider_type"].as_str().expect("a type");
    let more = [
        ("models", &config["models"]),
        ("responses", &config["responses"]),
    ];
    let count = config["providers"].as_u64().unwrap_or(1);
    let entries = (0..count).map(|number| entry(&format!("h{number}"), kind, provider, &more));
    let entries: Vec<String> = entries.collect();
    let mut rest = format!("server: {{shards: {shards}}}\nrouting: {{strategy: priority}}\n");
    if let Some(key) = config.get("static_key") {
        rest.push_str(&format!("auth: {{mode: static_key, key: {key}}}\n"));
    }
    if let Some(budgets) = config.get("budgets") {
        rest.push_str(&format!("budgets: {{callers: {budgets}}}\n"));
    }
    let known = [
        "provider_type",
        "models",
        "responses",
        "providers",
        "static_key",
        "budgets",
    ];
    let mut given = config.as_object().expect("settings").keys();
    assert!(given.all(|key| known.contains(&&**key)), "{config}");
    config_of(&entries, &rest)
}

/// The caller's request, in the name of the caller that has a budget.
fn request(vector: &Value) -> String {
    let request = &vector["request"];
    let (method, path) = (&request["method"], &request["path"]);
    let (method, path) = (
        method.as_str().expect("a method"),
        path.as_str().expect("a path"),
    );
    let mut fields = fields(&request["headers"]);
    if let Some(caller) = vector["config"]["budgets"][0]["caller"].as_str() {
        fields.push_str(&format!("X-Infermux-Caller: {caller}\r\n"));
    }
    let body = request
        .get("body")
        .map(Value::to_string)
        .unwrap_or_default();
    let length = match method {
        "GET" | "HEAD" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}{length}\r\n{body}")
}

fn check_answer(id: &str, expected: &Value, answer: &Answer) {
    let text = answer.text();
    assert_eq!(expected["status"], answer.status, "{id}: {text}");
    assert!(answer.complete, "{id}");
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let found = answer.header(name);
        let is_met = value == "*" && found.is_some() || value.as_str() == found;
        assert!(is_met, "{id}: {name} is {found:?}, not {value}");
    }
    if let Some(body) = expected.get("body") {
        let fault = differs(body, &answer.json(), "");
        assert_eq!(fault, None, "{id}: {text}");
    }
    for (name, value) in expected["error_has"].as_object().into_iter().flatten() {
        assert_eq!(&answer.json()["error"][name], value, "{id}: {text}");
    }
    if let Some(name) = expected["message_names"].as_str() {
        let message = answer.json()["error"]["message"].clone();
        let message = message.as_str().expect("a message");
        assert!(message.contains(name), "{id}: {message}");
    }
    if let Some(response) = expected.get("response") {
        let found = with_usual_ids(answer.json());
        let fault = differs(&with_usual_ids(response.clone()), &found, "");
        assert_eq!(fault, None, "{id}: {text}");
    }
}

/// The value with the ids of the bridge in the order in which they stand, and without the time.
fn with_usual_ids(mut value: Value) -> Value {
    fn rename(value: &mut Value, known: &mut HashMap<String, usize>) {
        match value {
            Value::String(text) => {
                if let Some((kind, _)) = text.split_once("_ifx_") {
                    let next = known.len();
                    let number = known.entry(text.clone()).or_insert(next);
                    *text = format!("{kind}_ifx_{number}");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| rename(item, known)),
            Value::Object(members) => members.values_mut().for_each(|item| rename(item, known)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    value["created_at"] = json!(0);
    rename(&mut value, &mut HashMap::new());
    value
}

/// Method, target and model of a request that a provider has seen.
fn line_of(request: &[u8]) -> String {
    let (head, body) = halves(request);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let words = [method, target, body["model"].as_str()];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// An answer that is not streamed, as a vector has it.
fn whole(answer: &Value) -> Vec<u8> {
    let status = answer["status"].as_u64().expect("a status");
    let body = answer["body"].as_str().unwrap_or_default();
    let (fields, length) = (fields(&answer["headers"]), body.len());
    format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A stream of these events.
fn streamed(events: &str) -> Vec<u8> {
    let length = events.len();
    format!(
        "HTTP/1.1 200 x\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\n\r\n\
         {events}"
    )
    .into_bytes()
}

fn fields(headers: &Value) -> String {
    let fields = headers.as_object().into_iter().flatten();
    let line = |(name, value): (&String, &Value)| {
        let value = value.as_str().expect("a text");
        format!("{name}: {value}\r\n")
    };
    fields.map(line).collect()
}
