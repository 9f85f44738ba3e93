//! The vectors of `tests/golden/messages` through the binary: requests, answers, streams and errors
//! between callers of Messages and providers of either dialect.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::messages_http::differs;
use crate::support::canned::{Recorder, begun, chunk, halves, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;

/// The vectors of a kind; there are so many.
fn vectors(kind: &str, count: usize) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages");
    let entries = folder.join(kind).read_dir().expect("a folder");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.expect("a file").path());
        serde_json::from_str(&text.expect("a vector")).expect("JSON")
    };
    let all: Vec<Value> = entries.map(read).collect();
    assert_eq!(all.len(), count, "{kind}");
    all
}

/// Asks a router before `provider` with this body: the model's own name is `upstream`.
fn ask(kind: &str, upstream: &str, provider: &Recorder, body: &Value) -> Answer {
    let base = if kind == "openai" { "/v1" } else { "" };
    let model = body["model"].as_str().expect("a model");
    // JSON is YAML.
    let file = json!({
        "listen": "127.0.0.1:0",
        "server": {"shards": 1},
        "providers": [{
            "name": "h",
            "type": kind,
            "api_key": "sk-kit-h",
            "base_url": format!("http://{}{base}", provider.addr()),
            "models": [upstream],
            "model_aliases": {model: upstream},
            "health_check": {"disabled": true},
        }],
    });
    let router = Router::start(&file.to_string());
    let mut client = Client::connect(router.addr());
    client.post_with(
        "/v1/messages",
        "anthropic-version: 2023-06-01\r\n",
        &body.to_string(),
    );
    client.answer()
}

/// The caller's request of a vector that tells what matters of it.
fn asked(vector: &Value, stream: bool) -> Value {
    let mut members: Map<String, Value> = Map::new();
    members.insert("model".to_owned(), vector["caller_model"].clone());
    members.insert("max_tokens".to_owned(), 99.into());
    let hi = json!([{"role": "user", "content": "hi"}]);
    members.insert("messages".to_owned(), hi);
    members.insert("stream".to_owned(), stream.into());
    members.extend(vector["request"].as_object().cloned().unwrap_or_default());
    members.into()
}

const JSON: &str = "Content-Type: application/json\r\n";
const EVENTS: &str = "Content-Type: text/event-stream\r\n";

#[test]
fn requests_reach_chat_providers_as_the_vectors_say() {
    let good = json!({
        "id": "c", "model": "x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
    });
    let good = whole(JSON, good.to_string().as_bytes());
    for vector in vectors("request", 56) {
        let id = vector["id"].as_str().expect("an id");
        let first = vector.get("upstream_first").map(failure);
        let answers: Vec<_> = first.into_iter().chain([good.clone()]).collect();
        let count = answers.len();
        let provider = Recorder::in_turn(answers);
        let kind = vector["provider_type"].as_str().unwrap_or("openai");
        let upstream = vector["upstream_model"].as_str().expect("a model");
        let answer = ask(kind, upstream, &provider, &vector["messages_request"]);
        let seen = provider.seen();
        if let Some(reject) = vector.get("reject") {
            assert!(seen.is_empty(), "{id}: something went up");
            check_refusal(id, reject, &answer);
            continue;
        }
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        assert_eq!(seen.len(), count, "{id}");
        let sent = seen.last().map(|request| halves(request).1);
        let sent = serde_json::from_slice(&sent.expect("a request")).expect("JSON");
        let expected = comparable(vector["openai_request"].clone());
        assert_eq!(comparable(sent), expected, "{id}");
    }
}

fn failure(answer: &Value) -> Vec<u8> {
    let (status, body) = (&answer["status"], answer["body"].as_str().expect("a body"));
    let fields = answer["headers"].as_object().expect("fields").iter();
    let fields: String = fields
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().expect("a text")))
        .collect();
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn check_refusal(id: &str, reject: &Value, answer: &Answer) {
    let body = answer.json();
    assert_eq!(reject["status"], answer.status, "{id}: {body}");
    assert_eq!(body["type"], "error", "{id}");
    assert_eq!(body["error"]["type"], reject["type"], "{id}");
    let code = &body["error"]["details"]["error_code"];
    assert_eq!(*code, reject["error_code"], "{id}");
    let message = body["error"]["message"].as_str().expect("a message");
    let named = reject["message_names"].as_str().expect("a place");
    assert!(message.contains(named), "{id}: {message}");
}

/// Arguments compare as JSON, and members without a value are absent.
fn comparable(mut request: Value) -> Value {
    let messages = request["messages"].as_array_mut().expect("messages");
    for message in messages {
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            let arguments = &mut call["function"]["arguments"];
            let text = arguments.as_str().expect("a text");
            *arguments = serde_json::from_str(text).expect("JSON");
        }
        let members = message.as_object_mut().expect("a message");
        members.retain(|name, value| name == "content" || !value.is_null());
    }
    request
}

#[test]
fn answers_of_chat_providers_reach_callers_as_the_vectors_say() {
    for vector in vectors("response", 23) {
        let id = vector["id"].as_str().expect("an id");
        let body = vector["openai_response"].to_string();
        let provider = Recorder::start(whole(JSON, body.as_bytes()));
        let answer = ask("openai", "some-model", &provider, &asked(&vector, false));
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        let fault = differs(&vector["anthropic_response"], &answer.json(), "");
        assert_eq!(fault, None, "{id}: {}", answer.text());
    }
}

/// A stream as a provider sends it: whole, in these reads, and a byte at a time. The bytes of a
/// chunk are taken in together, whatever the reads are.
pub fn deliveries(stream: &str, splits: &Value) -> Vec<Vec<u8>> {
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
        others
            .iter()
            .filter(|read| !read.is_empty())
            .for_each(|read| bytes.extend(chunk(read)));
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    let single = stream.chunks(1).collect();
    vec![sent(vec![stream]), sent(reads), sent(single)]
}

/// The stream without the events that only show that somebody lives: their number depends on the
/// reads.
fn without_pings(stream: &str) -> String {
    let events = stream.split_inclusive("\n\n");
    events
        .filter(|event| !event.starts_with("event: ping\n"))
        .collect()
}

#[test]
fn streams_of_chat_providers_reach_callers_as_the_vectors_say() {
    for vector in vectors("stream", 31) {
        let id = vector["id"].as_str().expect("an id");
        let stream = vector["openai_sse"].as_str().expect("a stream");
        for delivery in deliveries(stream, &vector["read_splits"]) {
            let provider = Recorder::start(delivery);
            let answer = ask("openai", "some-model", &provider, &asked(&vector, true));
            if vector.get("before_commit").is_some() {
                check_failure(id, &vector["before_commit"]["outcome"], &answer);
                continue;
            }
            let expected = vector["anthropic_events"].as_array().expect("events");
            check_events(id, expected, &answer);
            let counts = [
                ("prompt_tokens", "prompt"),
                ("completion_tokens", "completion"),
            ];
            for (count, name) in counts {
                let told = answer.trailer(&format!("x-infermux-{name}-tokens"));
                let recorded = &vector["recorded_usage"][count];
                if let (Some(told), true) = (told, recorded.is_u64()) {
                    assert_eq!(told, recorded.to_string(), "{id}");
                }
            }
        }
    }
}

/// What the caller is told where nobody is left.
fn check_failure(id: &str, outcome: &Value, answer: &Answer) {
    let expected = &outcome["if_nobody_left"];
    let text = answer.text();
    assert_eq!(expected["status"], answer.status, "{id}: {text}");
    assert_eq!(
        answer.header("x-infermux-error"),
        expected["code"].as_str(),
        "{id}: {text}"
    );
    assert_eq!(answer.json()["type"], "error", "{id}: {text}");
}

fn check_events(id: &str, expected: &[Value], answer: &Answer) {
    let text = without_pings(&answer.text());
    assert_eq!(answer.status, 200, "{id}: {text}");
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(events.len(), expected.len(), "{id}: {text}");
    for (event, expected) in events.into_iter().zip(expected) {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let found = bare(serde_json::from_str(data).expect("JSON"));
        let kind = found["type"].as_str().expect("a type");
        assert_eq!(name, format!("event: {kind}"), "{id}");
        assert_eq!(differs(expected, &found, ""), None, "{id}: {event}");
    }
    let is_whole = expected
        .last()
        .is_some_and(|last| last["type"] == "message_stop");
    assert_eq!(answer.complete, is_whole, "{id}");
}

/// An error without what names the request and infermux's own code.
fn bare(mut event: Value) -> Value {
    if event["type"] == "error" {
        let members = event.as_object_mut().expect("an object");
        members.remove("request_id");
        let error = event["error"].as_object_mut().expect("an error");
        error.remove("details");
    }
    event
}

#[test]
fn errors_of_chat_providers_reach_callers_as_the_vectors_say() {
    for vector in vectors("error", 14) {
        let id = vector["id"].as_str().expect("an id");
        let provider = Recorder::start(failure(&vector["upstream"]));
        let body = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        });
        let answer = ask("openai", "some-model", &provider, &body);
        let outcome = &vector["outcome"];
        if outcome["if_nobody_left"].is_object() {
            check_failure(id, outcome, &answer);
            continue;
        }
        let expected = &vector["translated"];
        assert_eq!(expected["status"], answer.status, "{id}: {}", answer.text());
        assert_eq!(bare(answer.json()), expected["body"], "{id}");
        assert!(answer.header("request-id").is_some(), "{id}");
    }
}

#[test]
fn streams_of_anthropic_cross_as_the_vectors_say() {
    for vector in vectors("passthrough", 9) {
        let id = vector["id"].as_str().expect("an id");
        let stream = vector["upstream_sse"].as_str().expect("a stream");
        let upstream = vector["upstream_model"].as_str().expect("a model");
        for delivery in deliveries(stream, &vector["read_splits"]) {
            let provider = Recorder::start(delivery);
            let answer = ask("anthropic", upstream, &provider, &asked(&vector, true));
            let Some(expected) = vector["client_sse"].as_str() else {
                check_failure(id, &vector["before_commit"]["outcome"], &answer);
                continue;
            };
            let text = without_pings(&answer.text());
            // How infermux itself says that a stream was cut is not the vector's to say.
            let own = expected
                .find("event: error")
                .filter(|_| !stream.contains("event: error"));
            let end = own.unwrap_or(expected.len());
            let is_met = text.starts_with(&without_pings(&expected[..end]));
            assert!(is_met, "{id}:\n{text}\n{expected}");
            match own {
                Some(_) => assert!(text.contains("event: error\ndata: "), "{id}: {text}"),
                None => assert_eq!(text, without_pings(expected), "{id}"),
            }
        }
    }
}
