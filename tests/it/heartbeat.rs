//! Signs of life: what a caller is sent while its stream pauses.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::canned::{begun, canned};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, streamed_chat};

/// The comment that callers of chat completions are sent.
const SIGN: &str = ": ping\n\n";

/// The first content of a stream in the dialect of this provider type.
fn first(kind: &str) -> &'static str {
    match kind {
        "openai" => "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
        _ => concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        ),
    }
}

/// A provider of this type that says `text` and falls silent.
fn silent(kind: &str, text: &str, fields: &str) -> String {
    let answer = begun("Content-Type: text/event-stream\r\n", text.as_bytes());
    provider_at(kind, canned(answer, b""), fields)
}

fn provider_at(kind: &str, addr: SocketAddr, fields: &str) -> String {
    let path = if kind == "openai" { "/v1" } else { "" };
    format!(
        "  - name: {kind}\n    type: {kind}\n    api_key: sk-{kind}\n    \
         base_url: \"http://{addr}{path}\"\n    models: [m]\n    \
         health_check: {{disabled: true}}\n{fields}"
    )
}

/// How often the caller was sent a sign of life.
fn signs(answer: &Answer) -> usize {
    answer.text().matches(SIGN).count()
}

/// The code of the error that the stream ended with.
fn last_code(answer: &Answer) -> String {
    assert!(!answer.complete, "{}", answer.text());
    let last = answer.events().pop().expect("events");
    let error: Value = serde_json::from_str(&last).expect("JSON");
    error["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_silent_stream_shows_the_caller_that_it_lives() {
    const PAUSE: &str = "    stream_idle_timeout: 800ms\n";
    for kind in ["openai", "anthropic"] {
        for (server, is_shown) in [
            ("server: {heartbeat: 50ms}\n", true),
            ("server: {heartbeat: 50ms, shards: 2}\n", true),
            ("server: {heartbeat: 0s}\n", false),
            // The default is longer than the pause.
            ("", false),
        ] {
            let router = Router::start(&config_of(&[silent(kind, first(kind), PAUSE)], server));
            let mut client = Client::connect(router.addr());
            let answer = client.chat(&streamed_chat("hi"));
            let said = answer.text();
            assert!(answer.status == 200 && said.contains("hi"), "{said}");
            // Its silence is the provider's, whatever the caller was sent.
            assert_eq!(last_code(&answer), "upstream_timeout", "{said}");
            assert_eq!(signs(&answer) >= 2, is_shown, "{kind} {server}{said}");
            assert_eq!(signs(&answer) == 0, !is_shown, "{kind} {server}{said}");
        }
    }
}

#[test]
fn callers_of_http_1_0_are_shown_it_without_chunks() {
    let alpha = silent(
        "openai",
        first("openai"),
        "    stream_idle_timeout: 800ms\n",
    );
    let router = Router::start(&config_of(&[alpha], "server: {heartbeat: 50ms}\n"));
    let mut client = Client::connect(router.addr());
    let body = streamed_chat("hi");
    let length = body.len();
    assert!(client.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )));
    let said = String::from_utf8(client.rest()).expect("UTF-8");
    let (_, said) = said.split_once("\r\n\r\n").expect("a head");
    assert!(said.starts_with("data: ") && said.contains(SIGN), "{said}");
    assert!(!said.contains('\r'), "{said}");
}

#[test]
fn a_caller_that_is_sent_something_needs_no_sign() {
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let answer = begun("Content-Type: text/event-stream\r\n", event.as_bytes());
    // An event of content every twenty milliseconds.
    let addr = canned(answer, MORE);
    let alpha = provider_at("openai", addr, "");
    let router = Router::start(&config_of(&[alpha], "server: {heartbeat: 700ms}\n"));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("hi"));
    let mut answer = client.head();
    for _ in 0..60 {
        client.chunk(&mut answer).expect("content");
    }
    assert_eq!(signs(&answer), 0, "{}", answer.text());
}

/// A chunk of [`first`] for a provider that goes on.
const MORE: &[u8] =
    b"3a\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n\r\n";
