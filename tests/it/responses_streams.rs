//! Streams for callers of Responses whose providers speak another dialect: signs of life and
//! failures are events with numbers, and the body ends properly whatever happens.

use serde_json::{Value, json};

use crate::support::canned::{begun, canned, whole};
use crate::support::client::{Answer, Client};
use crate::support::config_of;
use crate::support::router::{Router, Start};

const PATH: &str = "/v1/responses";
const ASK: &str = r#"{"model":"m","stream":true,"instructions":"Be brief.","input":"hello there"}"#;
const EARLY: &str = "X-Infermux-Early-Head: true\r\n";

/// The entry of a provider that sends these bytes.
fn sending(kind: &str, answer: Vec<u8>, fields: &str) -> String {
    let path = if kind == "openai" { "/v1" } else { "" };
    let addr = canned(answer, b"");
    format!(
        "  - name: {kind}\n    type: {kind}\n    api_key: sk-{kind}\n    responses: bridge\n    \
         base_url: \"http://{addr}{path}\"\n    models: [m]\n    \
         health_check: {{disabled: true}}\n{fields}"
    )
}

/// The events of a stream, whose names are their types and whose numbers count from zero; comments
/// may stand before the first one alone.
fn events(text: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for event in text.split_terminator("\n\n") {
        if event.starts_with(':') {
            assert!(found.is_empty(), "a comment within the events: {text}");
            continue;
        }
        let (name, data) = event.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let data: Value = serde_json::from_str(data).expect("JSON");
        let kind = data["type"].as_str().expect("a type");
        assert_eq!(name, format!("event: {kind}"), "{text}");
        assert_eq!(data["sequence_number"], found.len(), "{text}");
        found.push(data);
    }
    found
}

/// Why the response of this answer has failed, in a body that has its end.
fn failure(answer: &Answer) -> (String, String) {
    let text = answer.text();
    assert!(answer.complete, "{text}");
    let events = events(&text);
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.failed", "{text}");
    assert_eq!(last["response"]["status"], "failed", "{text}");
    assert_eq!(last["response"]["usage"], Value::Null, "{text}");
    assert_eq!(
        last["response"]["instructions"].is_null(),
        events.len() == 2
    );
    let ends = [
        "response.completed",
        "response.incomplete",
        "response.failed",
    ];
    let is_end = |event: &&Value| ends.iter().any(|end| event["type"] == *end);
    assert_eq!(events.iter().filter(is_end).count(), 1, "{text}");
    let told = |member: &str| last["response"]["error"][member].as_str().expect("a text");
    (told("code").to_owned(), told("message").to_owned())
}

// proves: stream.never-short
#[test]
fn a_stream_that_breaks_ends_with_a_failed_response_and_its_connection_stays() {
    for kind in ["anthropic", "openai", "ollama"] {
        let begun = begun(EVENTS, first(kind).as_bytes());
        let cut = [&*begun, b"0\r\n\r\n"].concat();
        for (answer, message) in [
            (cut, "upstream closed the stream before completion"),
            (begun, "upstream sent nothing for 0.3 s"),
        ] {
            let provider = sending(kind, answer, "    stream_idle_timeout: 300ms\n");
            let router = Router::start(&config_of(&[provider], ""));
            let mut client = Client::connect(router.addr());
            for _ in 0..2 {
                client.post(PATH, ASK);
                let answer = client.answer();
                assert_eq!(answer.status, 200, "{kind} {message}");
                let told = failure(&answer);
                let expected = ("server_error".to_owned(), message.to_owned());
                assert_eq!(told, expected, "{kind}");
                assert!(answer.text().contains("response.output_text.delta"));
                // What it has used is told behind it.
                let used = answer.trailer("x-infermux-completion-tokens");
                assert!(used.is_some(), "{kind} {message}: {:?}", answer.trailers);
            }
        }
    }
}

#[test]
fn a_stream_that_infermux_stops_ends_in_the_same_way() {
    for kind in ["anthropic", "openai"] {
        let provider = sending(kind, begun(EVENTS, first(kind).as_bytes()), "");
        let start = Start::with(&config_of(&[provider], ""));
        let router = start.args(&["--graceful-shutdown", "50ms"]).go();
        let mut client = Client::connect(router.addr());
        client.post(PATH, ASK);
        let mut answer = client.head();
        answer.body = client.chunk(&mut answer).expect("content");
        router.signal("TERM");
        while let Some(chunk) = client.chunk(&mut answer) {
            answer.body.extend_from_slice(&chunk);
        }
        let (code, message) = failure(&answer);
        let expected = ("server_error", "infermux is shutting down");
        assert_eq!((&*code, &*message), expected, "{kind}");
        assert!(client.is_closed(), "{kind}");
    }
}

/// The first content of a stream in the dialect of this provider type.
fn first(kind: &str) -> String {
    let events = match kind {
        "openai" | "ollama" => concat!(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
        ),
        _ => concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        ),
    };
    events.to_owned()
}

const EVENTS: &str = "Content-Type: text/event-stream\r\n";

#[test]
fn an_error_of_the_provider_behind_content_is_told_with_its_code() {
    let error = r#"data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    let stream = format!("{}{error}\n\n", first("openai"));
    let provider = sending("openai", begun(EVENTS, stream.as_bytes()), "");
    let router = Router::start(&config_of(&[provider], ""));
    let mut client = Client::connect(router.addr());
    for _ in 0..2 {
        client.post(PATH, ASK);
        let (code, message) = failure(&client.answer());
        assert_eq!((&*code, &*message), ("rate_limit_exceeded", "slow down"));
    }
}

#[test]
fn a_silent_stream_shows_with_numbers_that_it_lives() {
    const PAUSE: &str = "    stream_idle_timeout: 2s\n";
    for kind in ["openai", "anthropic"] {
        for (server, version) in [
            ("server: {heartbeat: 50ms, shards: 1}\n", "1.1"),
            ("server: {heartbeat: 50ms, shards: 2}\n", "1.1"),
            ("server: {heartbeat: 50ms}\n", "1.0"),
        ] {
            let provider = sending(kind, begun(EVENTS, first(kind).as_bytes()), PAUSE);
            let router = Router::start(&config_of(&[provider], server));
            let mut client = Client::connect(router.addr());
            client.send(format!(
                "POST {PATH} HTTP/{version}\r\nHost: test\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{ASK}",
                ASK.len()
            ));
            let answer = client.answer();
            let text = answer.text();
            let found = events(&text);
            let signs = found.iter().filter(|event| event["type"] == "keepalive");
            assert!(signs.count() >= 2, "{kind} {server}: {text}");
            assert_eq!(
                found.last().expect("events")["type"],
                "response.failed",
                "{text}"
            );
        }
    }
}

#[test]
fn nothing_but_comments_comes_before_the_response_is_created() {
    for (answer, kind, expected) in [
        (begun(EVENTS, b": working\n\n"), "openai", "the provider"),
        (
            begun(EVENTS, b"data: {\"type\":\"ping\"}\n\n"),
            "anthropic",
            "the provider",
        ),
        (refused(), "openai", "no such thing"),
    ] {
        let provider = sending(kind, answer, "    first_token_timeout: 300ms\n");
        let router = Router::start(&config_of(&[provider], "server: {heartbeat: 50ms}\n"));
        let mut client = Client::connect(router.addr());
        for _ in 0..2 {
            client.post_with(PATH, EARLY, ASK);
            let answer = client.answer();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let (_, message) = failure(&answer);
            assert!(message.contains(expected), "{message}");
            assert_eq!(events(&answer.text())[0]["type"], "response.created");
        }
    }
}

/// The answer of a provider that does not take the request.
fn refused() -> Vec<u8> {
    let body = r#"{"error":{"message":"no such thing","type":"invalid_request_error"}}"#;
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn a_whole_answer_is_told_as_events_where_a_stream_was_asked_for() {
    let body = json!({
        "id": "c", "model": "m",
        "choices": [{"index": 0, "finish_reason": "length", "message": {
            "role": "assistant", "content": "hi", "reasoning_content": "hm",
            "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{\"x\":1"}}],
        }}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    });
    let answer = whole(
        "Content-Type: application/json\r\n",
        body.to_string().as_bytes(),
    );
    let router = Router::start(&config_of(&[sending("openai", answer, "")], ""));
    let mut client = Client::connect(router.addr());
    client.post(PATH, ASK);
    let answer = client.answer();
    assert!(answer.complete, "{}", answer.text());
    let found = events(&answer.text());
    let last = found.last().expect("events");
    assert_eq!(last["type"], "response.incomplete", "{}", answer.text());
    let output = last["response"]["output"].as_array().expect("items");
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str()).collect();
    let expected = ["reasoning", "message", "function_call"].map(Some);
    assert_eq!(kinds, expected);
    assert_eq!(last["response"]["usage"]["total_tokens"], 12);
    let deltas = found.iter().filter_map(|event| event["delta"].as_str());
    assert_eq!(deltas.collect::<Vec<_>>(), ["hm", "hi", "{\"x\":1"]);
}
