//! Providers that have Responses: every byte crosses as it came, but what the rules N of
//! reference/responses-inbound.md name.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::canned::{Recorder, begun, chunk, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::operate::wait_for_circuit;
use crate::support::router::Router;

/// The vectors of this kind.
fn vectors() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/responses/passthrough");
    let entries = folder.read_dir().expect("a folder");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.expect("a file").path());
        serde_json::from_str(&text.expect("a vector")).expect("JSON")
    };
    let all: Vec<Value> = entries.map(read).collect();
    assert_eq!(all.len(), 11);
    all
}

/// The entry of a provider of this type, which calls the callers' model `m` otherwise.
fn entry(name: &str, kind: &str, provider: &Recorder) -> Value {
    let base = if kind == "openai" { "/v1" } else { "" };
    json!({
        "name": name,
        "type": kind,
        "api_key": format!("sk-kit-{name}"),
        "base_url": format!("http://{}{base}", provider.addr()),
        "responses": "native",
        "models": ["kit-native"],
        "model_aliases": {"m": "kit-native"},
        "health_check": {"disabled": true},
        "stream_idle_timeout": "30s",
        "circuit_breaker": {"consecutive_failures": 1, "recovery_window": "1h"},
    })
}

/// A router before these providers, which are asked in turn.
fn start(providers: &[Value], shards: u32) -> Router {
    // JSON is YAML.
    let file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": shards},
        "routing": {"strategy": "priority"},
        "providers": providers,
    });
    Router::start(&file.to_string())
}

fn post(router: &Router, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", body);
    client.answer()
}

const JSON: &str = "Content-Type: application/json\r\n";
const EVENTS: &str = "Content-Type: text/event-stream\r\n";
const ASKED: &str = r#"{"model":"m","input":"hi","stream":true,
    "stream_options":{"include_obfuscation":false}, "n" : 1.0}"#;

/// A stream as a provider sends it: whole, in these reads, and a byte at a time.
fn deliveries(stream: &str, splits: &Value) -> Vec<Vec<u8>> {
    let stream = stream.as_bytes();
    let (mut reads, mut from) = (Vec::new(), 0);
    for at in splits.as_array().into_iter().flatten() {
        let at = usize::try_from(at.as_u64().expect("a place")).expect("a place");
        reads.push(&stream[from..at]);
        from = at;
    }
    reads.push(&stream[from..]);
    let sent = |reads: Vec<&[u8]>| {
        let (first, others) = reads.split_first().expect("a read");
        let mut bytes = begun(EVENTS, first);
        others.iter().for_each(|read| bytes.extend(chunk(read)));
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let single = stream.chunks(1).collect();
    vec![sent(vec![stream]), sent(reads), sent(single)]
}

#[test]
fn streams_cross_as_the_vectors_say() {
    for vector in vectors() {
        let Some(stream) = vector["upstream_sse"].as_str() else {
            continue;
        };
        let id = vector["id"].as_str().expect("an id");
        let kind = vector["provider_type"].as_str().expect("a type");
        for (number, delivery) in deliveries(stream, &vector["read_splits"])
            .into_iter()
            .enumerate()
        {
            let provider = Recorder::start(delivery);
            let shards = if number == 1 { 2 } else { 1 };
            let router = start(&[entry("h", kind, &provider)], shards);
            let answer = post(&router, ASKED);
            let text = answer.text();
            assert_eq!(answer.status, 200, "{id}: {text}");
            assert!(answer.complete, "{id}: {text}");
            let expected = vector["client_sse"].as_str().expect("a stream");
            let added = text.strip_prefix(expected).expect(id);
            check_added(id, added, &vector["added_events"]);
            for (count, name) in [
                ("prompt_tokens", "prompt"),
                ("completion_tokens", "completion"),
            ] {
                let told = answer.trailer(&format!("x-infermux-{name}-tokens"));
                let recorded = &vector["recorded_usage"][count];
                if recorded.is_u64() {
                    assert_eq!(told, Some(&*recorded.to_string()), "{id}");
                }
            }
            let seen = halves(&provider.seen()[0]).1;
            let expected = ASKED.replacen("\"m\"", "\"kit-native\"", 1);
            assert_eq!(String::from_utf8_lossy(&seen), expected, "{id}");
        }
    }
}

/// What infermux adds compares as objects.
fn check_added(id: &str, added: &str, expected: &Value) {
    let events = added.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once("\ndata: ").expect("two lines");
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(
            name,
            format!("event: {}", data["type"].as_str().expect("a type"))
        );
        data
    });
    let found: Vec<Value> = events.collect();
    let expected = expected.as_array().cloned().unwrap_or_default();
    assert_eq!(found, expected, "{id}");
}

#[test]
fn whole_answers_and_requests_cross_as_the_vectors_say() {
    let mut bodies = 0;
    for vector in vectors() {
        let Some(body) = vector["upstream_body"].as_str() else {
            continue;
        };
        bodies += 1;
        let id = vector["id"].as_str().expect("an id");
        let provider = Recorder::start(whole(JSON, body.as_bytes()));
        let router = start(&[entry("h", "openai", &provider)], 1);
        let asked = vector["request_text"].as_str();
        let answer = post(&router, asked.unwrap_or(r#"{"model":"m","input":"hi"}"#));
        assert_eq!(answer.status, 200, "{id}");
        assert_eq!(
            Some(&*answer.text()),
            vector["client_body"].as_str(),
            "{id}"
        );
        for (count, name) in [
            ("prompt_tokens", "prompt"),
            ("completion_tokens", "completion"),
        ] {
            let told = answer.header(&format!("x-infermux-{name}-tokens"));
            let recorded = vector["recorded_usage"][count].to_string();
            assert_eq!(told, Some(&*recorded), "{id}");
        }
        if let Some(expected) = vector["upstream_text"].as_str() {
            let seen = halves(&provider.seen()[0]).1;
            assert_eq!(String::from_utf8_lossy(&seen), expected, "{id}");
        }
    }
    assert_eq!(bodies, 2);
}

/// An event as OpenAI writes it.
fn event(kind: &str, rest: &Value) -> String {
    let mut data = json!({"type": kind});
    let members = rest.as_object().expect("members").clone();
    data.as_object_mut().expect("an object").extend(members);
    format!("event: {kind}\ndata: {data}\n\n")
}

fn response(status: &str, error: &Value) -> Value {
    json!({"response": {"id": "resp_1", "object": "response", "created_at": 5, "model": "x",
        "status": status, "error": error, "output": []}, "sequence_number": 1})
}

fn created() -> String {
    event("response.created", &response("in_progress", &Value::Null))
}

fn delta() -> String {
    let rest = json!({"output_index": 0, "delta": "Hello", "sequence_number": 2});
    event("response.output_text.delta", &rest)
}

fn streamed(text: &str) -> Vec<u8> {
    [begun(EVENTS, text.as_bytes()), b"0\r\n\r\n".to_vec()].concat()
}

fn good() -> String {
    let usage = json!({"input_tokens": 3, "output_tokens": 4});
    let mut rest = response("completed", &Value::Null);
    rest["response"]["usage"] = usage;
    [created(), delta(), event("response.completed", &rest)].concat()
}

/// Whether the caller of a provider that answers so gets another one's answer.
fn fails_over(answer: &[u8], asked: &str) -> bool {
    let first = Recorder::start(answer.to_vec());
    let text = good();
    let (is_streamed, body) = (asked == ASKED, r#"{"model":"x","output":[]}"#);
    let second = Recorder::start(if is_streamed {
        streamed(&text)
    } else {
        whole(JSON, body.as_bytes())
    });
    let providers = [entry("a", "openai", &first), entry("b", "openai", &second)];
    let answer = post(&start(&providers, 1), asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(first.seen().len(), 1);
    second.seen().len() == 1
}

#[test]
fn a_failure_before_content_goes_to_another_provider_by_its_code() {
    for (code, fails) in [
        (json!("server_error"), true),
        (json!("server_is_overloaded"), true),
        (json!("rate_limit_exceeded"), true),
        (json!("insufficient_quota"), true),
        (Value::Null, true),
        (json!("context_length_exceeded"), false),
        (json!("image_too_large"), false),
    ] {
        let error = json!({"code": code, "message": "m"});
        let failed = response("failed", &error);
        let stream = [created(), event("response.failed", &failed)].concat();
        assert_eq!(fails_over(&streamed(&stream), ASKED), fails, "{code}");
        let stream = [created(), event("error", &error)].concat();
        assert_eq!(fails_over(&streamed(&stream), ASKED), fails, "{code}");
        let body = whole(JSON, failed["response"].to_string().as_bytes());
        let asked = r#"{"model":"m","input":"hi"}"#;
        assert_eq!(fails_over(&body, asked), fails, "{code}");
    }
    for stream in [created(), "data: [DONE]\n\n".to_owned()] {
        assert!(fails_over(&streamed(&stream), ASKED));
    }
    for body in ["{}", r#"{"output":null}"#, r#"{"choices":[]}"#] {
        assert!(fails_over(
            &whole(JSON, body.as_bytes()),
            r#"{"model":"m","input":"x"}"#
        ));
    }
}

#[test]
fn what_a_failure_means_stands_in_what_is_left() {
    for (code, status, own, is_open) in [
        ("server_error", 502, "upstream_error", true),
        ("rate_limit_exceeded", 429, "rate_limit", false),
        ("insufficient_quota", 502, "upstream_error", true),
    ] {
        let failed = response("failed", &json!({"code": code, "message": "m"}));
        let stream = [created(), event("response.failed", &failed)].concat();
        let body = failed["response"].to_string();
        for (answer, asked) in [
            (streamed(&stream), ASKED),
            (
                whole(JSON, body.as_bytes()),
                r#"{"model":"m","input":"hi"}"#,
            ),
        ] {
            let provider = Recorder::start(answer);
            let router = start(&[entry("h", "openai", &provider)], 1);
            let answer = post(&router, asked);
            assert_eq!(answer.status, status, "{code}: {}", answer.text());
            assert_eq!(answer.header("x-infermux-error"), Some(own), "{code}");
            if is_open {
                wait_for_circuit(&router, "h", "open");
            }
            let next = post(&router, asked);
            let expected = if is_open { 503 } else { status };
            assert_eq!(next.status, expected, "{code}: {}", next.text());
        }
    }
}

#[test]
fn a_failure_of_the_request_is_relayed_and_says_nothing_of_the_provider() {
    let error = json!({"code": "context_length_exceeded", "message": "Too long."});
    let failed = event("response.failed", &response("failed", &error));
    let stream = [created(), failed].concat();
    let provider = Recorder::start(streamed(&stream));
    let router = start(&[entry("h", "openai", &provider)], 1);
    for _ in 0..3 {
        let answer = post(&router, ASKED);
        assert_eq!((answer.status, answer.complete), (200, true));
        assert_eq!(answer.text(), stream.replace("\"x\"", "\"m\""));
    }
    assert_eq!(provider.seen().len(), 3);
}

#[test]
fn a_stream_that_breaks_is_ended_and_the_connection_stays() {
    let stalls = begun(EVENTS, [created(), delta()].concat().as_bytes());
    let provider = Recorder::start(stalls);
    let mut settings = entry("h", "openai", &provider);
    settings["stream_idle_timeout"] = json!("1s");
    let router = start(&[settings], 1);
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", ASKED);
    let answer = client.answer();
    assert!(answer.complete, "{}", answer.text());
    let text = answer.text();
    let last = text.split_terminator("\n\n").last().expect("an event");
    let (name, data) = last.split_once("\ndata: ").expect("two lines");
    assert_eq!(name, "event: response.failed");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["sequence_number"], 3);
    let error = json!({"code": "server_error", "message": "upstream sent nothing for 1 s"});
    assert_eq!(data["response"]["error"], error);
    assert_eq!(data["response"]["id"], "resp_1");
    wait_for_circuit(&router, "h", "open");
    client.post("/v1/responses", ASKED);
    assert_eq!(client.answer().status, 503, "its circuit is open");
}

#[test]
fn the_end_of_the_body_is_not_awaited_for_long() {
    let open = begun(EVENTS, good().as_bytes());
    let provider = Recorder::start(open);
    let mut settings = entry("h", "openai", &provider);
    settings["stream_idle_timeout"] = json!("60s");
    let router = start(&[settings], 1);
    let began = Instant::now();
    for _ in 0..2 {
        let answer = post(&router, ASKED);
        assert!(answer.complete, "{}", answer.text());
        assert_eq!(answer.text(), good().replace("\"x\"", "\"m\""));
        assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("4"));
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    // A caller who has the last event needs no more.
    let mut client = Client::connect(router.addr());
    client.post("/v1/responses", ASKED);
    let (mut head, mut text) = (client.head(), Vec::new());
    while !String::from_utf8_lossy(&text).contains("response.completed") {
        text.extend(client.chunk(&mut head).expect("a chunk"));
    }
    drop(client);
    router.wait_for_log("stream=true");
    assert_eq!(post(&router, ASKED).status, 200);
}

#[test]
fn the_cost_stands_in_the_usage_of_the_last_event() {
    let provider = Recorder::start(streamed(&good()));
    let file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": 1},
        "providers": [entry("h", "openai", &provider)],
        "pricing": {"h": {"kit-native": {"input_per_million": 1, "output_per_million": 2}}},
    });
    let router = Router::start(&file.to_string());
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/responses",
        "X-Infermux-Stream-Cost: include\r\n",
        ASKED,
    );
    let answer = client.answer();
    let text = answer.text();
    assert!(text.contains("\"cost_usd\":0.000011"), "{text}");
    let without = text.replace(",\"cost_usd\":0.000011", "");
    assert_eq!(without, good().replace("\"x\"", "\"m\""));
}
