//! Signs of life: what a caller is sent while its stream pauses.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::canned::{begun, canned, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{chat, config_of, streamed_chat};

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

/// What a caller asks for who wants the head of its stream at once.
const EARLY: &str = "X-Infermux-Early-Head: true\r\n";
/// Providers that are asked in the order in which they stand here, with frequent signs of life.
const IN_ORDER: &str = "routing: {strategy: priority}\nserver: {heartbeat: 50ms}\n";

/// A provider that shows life, and says nothing within its time.
fn slow(name: &str, kind: &str, fields: &str) -> String {
    let text = match kind {
        "openai" => ": working\n\n".to_owned(),
        _ => String::from("data: {\"type\":\"ping\"}\n\n"),
    };
    let fields = format!("    first_token_timeout: 400ms\n{fields}");
    silent(kind, &text, &fields).replacen(&format!("name: {kind}"), &format!("name: {name}"), 1)
}

/// A provider that answers at once.
fn quick(kind: &str) -> String {
    let text = match kind {
        "openai" => concat!(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},",
            "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        )
        .to_owned(),
        _ => [
            first(kind),
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
            "data: {\"type\":\"message_stop\"}\n\n",
        ]
        .concat(),
    };
    silent(kind, &text, "").replacen(&format!("name: {kind}"), "name: quick", 1)
}

fn ask(router: &Router, headers: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/chat/completions", headers, body);
    client.answer()
}

#[test]
fn an_early_head_leaves_room_for_another_provider() {
    for (slow_kind, quick_kind) in [("openai", "anthropic"), ("anthropic", "openai")] {
        for (fields, headers, is_early) in [
            ("", EARLY, true),
            ("", "x-infermux-early-head: TRUE\r\n", true),
            ("    early_head: true\n", "", true),
            ("    early_head: false\n", "", false),
            ("", "X-Infermux-Early-Head: yes\r\n", false),
        ] {
            let providers = [slow("slow", slow_kind, fields), quick(quick_kind)];
            let router = Router::start(&config_of(&providers, IN_ORDER));
            let mut client = Client::connect(router.addr());
            for _ in 0..2 {
                client.post_with("/v1/chat/completions", headers, &streamed_chat("hi"));
                let answer = client.answer();
                let said = answer.text();
                assert!(answer.status == 200 && answer.complete, "{headers}{said}");
                assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
                assert!(said.contains("\"hi\""), "{said}");
                // Signs come before the first content, or not at all.
                assert_eq!(signs(&answer) > 0, is_early, "{slow_kind} {fields}{said}");
                assert_eq!(said.starts_with(SIGN), is_early, "{said}");
                let provider = answer.header("x-infermux-provider");
                assert_eq!(provider, (!is_early).then_some("quick"));
                assert!(answer.header("x-request-id").is_some());
                assert!(answer.trailer("x-infermux-cost").is_some() || is_unpriced(&answer));
            }
        }
    }
}

/// Whether a stream has its tokens, and no price.
fn is_unpriced(answer: &Answer) -> bool {
    answer.trailer("x-infermux-prompt-tokens").is_some()
}

#[test]
fn what_fails_behind_an_early_head_ends_as_an_event() {
    const REFUSED: &str = r#"{"error":{"message":"no such thing","type":"invalid_request_error"}}"#;
    let refused = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{REFUSED}",
        REFUSED.len()
    );
    let refusing = provider_at("openai", canned(refused.into_bytes(), b""), "");
    for (provider, status, expected) in [
        (slow("slow", "openai", ""), 504, "upstream_timeout"),
        (slow("slow", "anthropic", ""), 504, "upstream_timeout"),
        (refusing, 400, "no such thing"),
    ] {
        let router = Router::start(&config_of(&[provider], IN_ORDER));
        let plain = ask(&router, "", &streamed_chat("hi"));
        assert_eq!(plain.status, status, "{}", plain.text());
        assert!(plain.text().contains(expected), "{}", plain.text());
        let early = ask(&router, EARLY, &streamed_chat("hi"));
        assert_eq!(early.status, 200);
        assert!(!early.complete, "{}", early.text());
        let events = early.events();
        assert_eq!(events.len(), 1, "{events:?}");
        let error: Value = serde_json::from_str(&events[0]).expect("JSON");
        assert!(error["error"].to_string().contains(expected), "{error}");
        router.wait_for_log(" status=200 ");
    }
}

#[test]
fn what_is_refused_before_any_provider_is_asked_keeps_its_status() {
    let router = Router::start(&config_of(&[quick("openai")], IN_ORDER));
    let unknown = streamed_chat("hi").replace("\"m\"", "\"nobody\"");
    assert_eq!(ask(&router, EARLY, &unknown).status, 404);
    assert_eq!(ask(&router, EARLY, "{").status, 400);
}

#[test]
fn an_early_head_is_for_streams_alone() {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "whole text"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    .to_string();
    let answer = whole("Content-Type: application/json\r\n", body.as_bytes());
    let alpha = provider_at("openai", canned(answer, b""), "    early_head: true\n");
    let router = Router::start(&config_of(&[alpha], IN_ORDER));
    let plain = ask(&router, EARLY, &chat("hi"));
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(plain.header("x-infermux-provider"), Some("openai"));
    assert_eq!(
        plain.json()["choices"][0]["message"]["content"],
        "whole text"
    );
    // Its whole answer becomes the events of a caller that streams.
    let streamed = ask(&router, "", &streamed_chat("hi"));
    assert!(streamed.complete && streamed.text().contains("whole text"));
    assert_eq!(streamed.header("x-infermux-provider"), None);
    assert_eq!(streamed.trailer("x-infermux-prompt-tokens"), Some("10"));
}

/// What callers of Messages are sent.
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Asks for a stream of Messages.
fn ask_messages(router: &Router, headers: &str) -> Answer {
    let body = json!({"model": "m", "max_tokens": 9, "stream": true,
        "messages": [{"role": "user", "content": "hi"}]});
    let mut client = Client::connect(router.addr());
    client.post_with("/v1/messages", headers, &body.to_string());
    client.answer()
}

#[test]
fn callers_of_messages_are_sent_pings() {
    const PAUSE: &str = "    stream_idle_timeout: 800ms\n";
    for kind in ["openai", "anthropic"] {
        let router = Router::start(&config_of(&[silent(kind, first(kind), PAUSE)], IN_ORDER));
        let answer = ask_messages(&router, "");
        let said = answer.text();
        assert!(answer.status == 200 && !answer.complete, "{said}");
        assert!(said.contains("\"hi\"") && !said.contains(SIGN), "{said}");
        assert!(said.matches(PING).count() >= 2, "{kind} {said}");
        let (_, error) = said.rsplit_once("event: error\ndata: ").expect("an error");
        let error: Value = serde_json::from_str(error.trim_end()).expect("JSON");
        assert_eq!(error["error"]["details"]["error_code"], "upstream_timeout");
    }
    for (slow_kind, quick_kind) in [("openai", "anthropic"), ("anthropic", "openai")] {
        let providers = [slow("slow", slow_kind, ""), quick(quick_kind)];
        let router = Router::start(&config_of(&providers, IN_ORDER));
        let answer = ask_messages(&router, EARLY);
        let said = answer.text();
        assert!(answer.status == 200 && answer.complete, "{said}");
        assert!(
            said.starts_with(PING) && said.contains("message_stop"),
            "{said}"
        );
    }
    let router = Router::start(&config_of(&[slow("slow", "openai", "")], IN_ORDER));
    let answer = ask_messages(&router, EARLY);
    let said = answer.text();
    assert!(answer.status == 200 && !answer.complete, "{said}");
    assert!(
        said.contains("event: error\ndata: ") && !said.contains("message_stop"),
        "{said}"
    );
}

#[test]
fn silence_ends_a_chat_stream_that_has_its_finish_reason() {
    let text = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    );
    let alpha = silent("openai", text, "    stream_idle_timeout: 300ms\n");
    let router = Router::start(&config_of(&[alpha], ""));
    let answer = ask_messages(&router, "");
    let said = answer.text();
    assert!(answer.status == 200 && answer.complete, "{said}");
    assert!(
        said.contains("\"end_turn\"") && said.contains("message_stop"),
        "{said}"
    );
    assert!(answer.trailer("x-infermux-completion-tokens").is_some());
    // Between sides that speak alike, the provider has the last word.
    let chat = ask(&router, "", &streamed_chat("hi"));
    assert!(!chat.complete, "{}", chat.text());
}

#[test]
fn thoughts_that_nobody_sees_are_progress() {
    const THOUGHT: &[u8] = b"55\r\ndata: {\"choices\":[{\"index\":0,\"delta\":\
        {\"reasoning_content\":\"hm, let me see now.\"}}]}\n\n\r\n";
    let first = ": working\n\n";
    let answer = begun("Content-Type: text/event-stream\r\n", first.as_bytes());
    let addr = canned(answer, THOUGHT);
    let fields = "    first_token_timeout: 300ms\n    timeout: 2s\n";
    let alpha = provider_at("openai", addr, fields);
    let routing = "routing: {failover: {deadline: 2s}}\n";
    let router = Router::start(&config_of(&[alpha], routing));
    let started = std::time::Instant::now();
    let answer = ask_messages(&router, "");
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(started.elapsed() > std::time::Duration::from_secs(1));
}
