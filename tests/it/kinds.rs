//! Kinds of answers: large events, errors told in choices, chunks that say nothing, streams that
//! only show that they are alive.

use std::net::SocketAddr;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::canned::{begun, canned, chunk, whole};
use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, mock, provider, streamed_chat};

/// One provider of either type at `addr`, for the model `m` and its alias `nick`.
fn at(name: &str, kind: &str, addr: SocketAddr, fields: &str) -> String {
    let path = if kind == "openai" { "/v1" } else { "" };
    format!(
        "  - name: {name}\n    type: {kind}\n    api_key: sk-{name}\n    \
         base_url: \"http://{addr}{path}\"\n    models: [m]\n    model_aliases: {{nick: m}}\n    \
         health_check: {{disabled: true}}\n{fields}"
    )
}

/// A provider whose streams are `events`, each the data of one.
fn streaming(name: &str, events: &[String]) -> Mock {
    let body: String = events
        .iter()
        .map(|data| format!("data: {data}\n\n"))
        .collect();
    mock(json!({
        "name": name, "body": body, "headers": {"content-type": "text/event-stream"},
    }))
}

fn chunk_of(delta: &Value, finish_reason: &Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
}

fn done() -> String {
    "[DONE]".to_owned()
}

fn stop() -> String {
    chunk_of(&json!({}), &json!("stop")).to_string()
}

fn served_by(answer: &Answer) -> Option<&str> {
    answer.header("x-infermux-provider")
}

#[test]
fn an_event_may_be_as_large_as_max_event_bytes() {
    let image = format!("data:image/png;base64,{}", "iVBORw0K".repeat(1 << 18));
    let painted = chunk_of(
        &json!({"content": "", "images": [{"url": image}]}),
        &Value::Null,
    );
    let here = chunk_of(&json!({"content": "Here:"}), &Value::Null).to_string();
    let alpha = streaming("alpha", &[here, painted.to_string(), stop(), done()]);
    let config = config_with(&alpha, &["model_aliases: {nick: m}"]);
    for (server, fits) in [
        ("server: {shards: 1}\n", true),
        ("server: {shards: 2, max_event_bytes: 4194304}\n", true),
        ("server: {shards: 1, max_event_bytes: 1000000}\n", false),
        // The event is counted as what it is: memory.
        (
            "server: {shards: 1, max_body_bytes: 1000, max_buffered_bytes: 1500000}\n",
            false,
        ),
    ] {
        let breaker = "circuit_breaker: {consecutive_failures: 1}";
        let router = Router::start(&config.replace(
            "circuit_breaker: {consecutive_failures: 1000000, min_requests: 1000000}",
            &format!("{breaker}\n{server}"),
        ));
        for model in ["m", "nick"] {
            let body = streamed_chat("paint").replace("\"m\"", &format!("\"{model}\""));
            let answer = Client::connect(router.addr()).chat(&body);
            assert_eq!(answer.status, 200, "{server}: {}", answer.text());
            assert_eq!(answer.text().contains(&image), fits, "{server} {model}");
            assert_eq!(answer.complete, fits, "{server} {model}");
            let last = answer.events().pop().expect("events");
            if fits {
                assert_eq!(last, "[DONE]");
            } else {
                // The provider is not blamed: its circuit would be open at the second request.
                let error: Value = serde_json::from_str(&last).expect("JSON");
                assert_eq!(error["error"]["code"], "upstream_error", "{server}");
            }
        }
    }
}

#[test]
fn an_event_that_is_too_large_before_any_content_is_told_with_a_status() {
    let large = chunk_of(&json!({"content": "x".repeat(200_000)}), &Value::Null);
    let alpha = streaming("alpha", &[large.to_string(), stop(), done()]);
    let beta = mock(json!({"name": "beta"}));
    let limit = "server: {max_event_bytes: 100000}\nrouting: {strategy: priority}\n";
    let alone = Router::start(&config_of(&[provider(&alpha, &[])], limit));
    let answer = Client::connect(alone.addr()).chat(&streamed_chat("hi"));
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_error".to_owned())
    );
    let both = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&both, limit));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
    assert_eq!((answer.status, served_by(&answer)), (200, Some("beta")));
}

#[test]
fn a_finish_reason_of_error_is_an_error() {
    let untold = json!({"index": 0, "delta": {"content": ""}, "finish_reason": "error"});
    let mut told = untold.clone();
    told["error"] = json!({"code": 502, "message": "upstream died"});
    let beta = mock(json!({"name": "beta"}));
    for choice in [untold, told] {
        let role = chunk_of(&json!({"role": "assistant", "content": ""}), &Value::Null);
        let last = json!({"object": "chat.completion.chunk", "choices": [choice]}).to_string();
        let stream = streaming("alpha", &[role.to_string(), last.clone(), done()]);
        let mut message = choice.clone();
        message["message"] = json!({"role": "assistant", "content": ""});
        let whole = mock(json!({
            "name": "alpha", "body": {"object": "chat.completion", "choices": [message]},
        }));
        for (alpha, body) in [(&stream, streamed_chat("hi")), (&whole, chat("hi"))] {
            let both = [provider(alpha, &[]), provider(&beta, &[])];
            let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
            let answer = Client::connect(router.addr()).chat(&body);
            assert_eq!(
                (answer.status, served_by(&answer)),
                (200, Some("beta")),
                "{choice}"
            );
            let alone = Router::start(&config_with(alpha, &[]));
            let answer = Client::connect(alone.addr()).chat(&body);
            assert_eq!(
                (answer.status, answer.code()),
                (502, "upstream_error".to_owned())
            );
        }
        // After content, the caller is told in the stream.
        let text = chunk_of(&json!({"content": "so far"}), &Value::Null).to_string();
        let late = streaming("alpha", &[text, last, done()]);
        let router = Router::start(&config_with(&late, &[]));
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
        assert!(
            answer.status == 200 && !answer.complete,
            "{}",
            answer.text()
        );
        let events = answer.events();
        assert!(
            events[0].contains("so far") && !events.contains(&done()),
            "{events:?}"
        );
        let error: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
        let message = error["error"]["message"].as_str().expect("a message");
        assert!(message == "upstream died" || message == "upstream returned an error");
    }
}

#[test]
fn chunks_without_choices_commit_to_nothing() {
    let nothing = [
        r#"{"type":"ping"}"#.to_owned(),
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#.to_owned(),
        r#"{"id":"","model":"","choices":[]}"#.to_owned(),
        r#"{"annotations":[1]}"#.to_owned(),
    ];
    let beta = mock(json!({"name": "beta"}));
    let fails = [&nothing[..], &[r#"{"error":{"message":"no"}}"#.to_owned()]].concat();
    let ends = [&nothing[..], &[done()]].concat();
    for events in [fails, ends] {
        let alpha = streaming("alpha", &events);
        let both = [provider(&alpha, &[]), provider(&beta, &[])];
        let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
        assert_eq!(
            (answer.status, served_by(&answer)),
            (200, Some("beta")),
            "{events:?}"
        );
    }
    let text = chunk_of(&json!({"content": "hi"}), &Value::Null).to_string();
    let ping = r#"{"type":"ping"}"#.to_owned();
    let works = streaming("alpha", &[ping.clone(), text, ping, stop(), done()]);
    let router = Router::start(&config_with(&works, &[]));
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
    assert!(
        answer.complete && answer.text().contains("hi"),
        "{}",
        answer.text()
    );
    // Callers take `choices` for granted.
    assert!(!answer.text().contains("\"ping\""), "{}", answer.text());
}

#[test]
fn comments_and_pings_alone_do_not_keep_a_stream_alive() {
    let openai = format!(
        "data: {}\n\n",
        chunk_of(&json!({"content": "hi"}), &Value::Null)
    );
    let claude = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
    );
    const COMMENT: &[u8] = b"8\r\n: ping\n\n\r\n";
    const PING: &[u8] = b"17\r\ndata: {\"type\":\"ping\"}\n\n\r\n";
    const BLANK: &[u8] = b"8\r\ndata: \n\n\r\n";
    const EMPTY: &[u8] = b"16\r\ndata: {\"choices\":[]}\n\n\r\n";
    for (kind, first, sign) in [
        ("openai", &*openai, COMMENT),
        ("openai", &*openai, PING),
        ("openai", &*openai, BLANK),
        ("openai", &*openai, EMPTY),
        ("anthropic", claude, COMMENT),
        ("anthropic", claude, PING),
    ] {
        let answer = begun("Content-Type: text/event-stream\r\n", first.as_bytes());
        let addr = canned(answer, sign);
        let one = at("alpha", kind, addr, "    stream_idle_timeout: 300ms\n");
        let router = Router::start(&config_of(&[one], ""));
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
        assert!(
            !answer.complete && answer.text().contains("hi"),
            "{}",
            answer.text()
        );
        let last = answer.events().pop().expect("events");
        let error: Value = serde_json::from_str(&last).expect("JSON");
        let sign = String::from_utf8_lossy(sign);
        assert_eq!(
            error["error"]["code"], "upstream_timeout",
            "{kind} {sign:?}"
        );
    }
}

/// What a provider of this type answers that does not stream: text and a call.
fn unstreamed(kind: &str) -> Value {
    if kind == "anthropic" {
        return json!({"id": "c", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "whole text"},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {}}],
            "stop_reason": "tool_use", "usage": {"input_tokens": 10, "output_tokens": 5}});
    }
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "whole text", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        }}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
}

#[test]
fn a_caller_who_streams_gets_a_whole_answer_as_events() {
    for kind in ["openai", "anthropic"] {
        for label in [
            "Content-Type: application/json\r\n",
            "",
            "Content-Type: text/plain\r\n",
        ] {
            let body = unstreamed(kind).to_string();
            let addr = canned(whole(label, body.as_bytes()), b"");
            let router = Router::start(&config_of(&[at("alpha", kind, addr, "")], ""));
            let mut client = Client::connect(router.addr());
            for (model, asks) in [("m", false), ("nick", true)] {
                let mut body = json!({"model": model, "stream": true, "messages": [
                    {"role": "user", "content": "hi"}]});
                if asks {
                    body["stream_options"] = json!({"include_usage": true});
                }
                let answer = client.chat(&body.to_string());
                assert!(
                    answer.complete && answer.status == 200,
                    "{kind} {}",
                    answer.text()
                );
                let media = answer.header("content-type").expect("a type");
                assert!(media.starts_with("text/event-stream"), "{media}");
                assert_eq!(answer.trailer("x-infermux-prompt-tokens"), Some("10"));
                let mut events = answer.events();
                assert_eq!(events.pop().as_deref(), Some("[DONE]"));
                let events: Vec<Value> = events
                    .iter()
                    .map(|event| serde_json::from_str(event).expect("JSON"))
                    .collect();
                assert!(
                    events.iter().all(|event| event["model"] == model),
                    "{events:?}"
                );
                let deltas: Vec<&Value> = events
                    .iter()
                    .map(|event| &event["choices"][0]["delta"])
                    .collect();
                assert_eq!(deltas[0]["role"], "assistant");
                assert_eq!(deltas[1]["content"], "whole text");
                let call = &deltas[2]["tool_calls"][0];
                assert_eq!(
                    (&call["index"], &call["function"]["name"]),
                    (&json!(0), &json!("look"))
                );
                assert_eq!(events[3]["choices"][0]["finish_reason"], "tool_calls");
                assert_eq!(events.len(), 4 + usize::from(asks), "{events:?}");
                if asks {
                    assert_eq!(events[4]["usage"]["completion_tokens"], 5);
                }
            }
        }
    }
}

#[test]
fn a_whole_answer_to_a_streaming_caller_is_judged_like_any_other() {
    let beta = mock(json!({"name": "beta"}));
    for body in [
        r#"{"error":{"message":"no"}}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[{"message":{"content":01}}]}"#,
        r#"{"choices":[{"message":{"content":"x"#,
        "<html>",
        "",
    ] {
        let addr = canned(
            whole("Content-Type: application/json\r\n", body.as_bytes()),
            b"",
        );
        let both = [at("alpha", "openai", addr, ""), provider(&beta, &[])];
        let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
        assert_eq!(
            (answer.status, served_by(&answer)),
            (200, Some("beta")),
            "{body}"
        );
    }
}

#[test]
fn a_mislabelled_stream_is_known_by_its_bytes() {
    let openai = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk_of(&json!({"role": "assistant", "content": "hi"}), &Value::Null),
        stop()
    );
    let claude = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    let beta = mock(json!({"name": "beta"}));
    let commented = format!(": hello\n\n{openai}");
    for (kind, body) in [
        ("openai", &*openai),
        ("openai", &*commented),
        ("anthropic", claude),
    ] {
        for label in [
            "application/json",
            "text/plain; charset=utf-8",
            "text/html",
            "",
        ] {
            let label = format!("Content-Type: {label}\r\n");
            for answer in [
                whole(&label, body.as_bytes()),
                [
                    begun(&label, &body.as_bytes()[..1]),
                    chunk(&body.as_bytes()[1..]),
                    chunk(b""),
                ]
                .concat(),
            ] {
                let addr = canned(answer, b"");
                let both = [at("alpha", kind, addr, ""), provider(&beta, &[])];
                let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
                let mut client = Client::connect(router.addr());
                let answer = client.chat(&streamed_chat("hi"));
                assert!(answer.complete, "{label} {}", answer.text());
                assert_eq!(served_by(&answer), Some("alpha"), "{kind} {label}");
                assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
                // Who wants JSON gets it elsewhere.
                let answer = client.chat(&chat("hi"));
                assert_eq!((answer.status, served_by(&answer)), (200, Some("beta")));
            }
        }
    }
}

#[test]
fn a_caller_who_wants_json_gets_neither_events_nor_pages() {
    let beta = mock(json!({"name": "beta"}));
    let json = unstreamed("openai").to_string();
    let events = b"data: {}\n\n".as_slice();
    // A stream that never ends is not waited for.
    let endless = begun("Content-Type: text/event-stream\r\n", events);
    for (answer, sign, is_taken) in [
        (endless, b"8\r\n: ping\n\n\r\n".as_slice(), false),
        (
            whole("Content-Type: text/html\r\n", b"<html>login</html>"),
            b"",
            false,
        ),
        (
            whole("Content-Type: text/html\r\n", json.as_bytes()),
            b"",
            false,
        ),
        (whole("Content-Type: text/plain\r\n", b"busy"), b"", false),
        (
            whole("Content-Type: text/event-stream\r\n", json.as_bytes()),
            b"",
            true,
        ),
        (
            whole(
                "Content-Type: application/vnd.api+json\r\n",
                json.as_bytes(),
            ),
            b"",
            true,
        ),
        (whole("", json.as_bytes()), b"", true),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let addr = canned(answer, sign);
        let both = [at("alpha", "openai", addr, ""), provider(&beta, &[])];
        let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
        let answer = Client::connect(router.addr()).chat(&chat("hi"));
        let by = if is_taken { "alpha" } else { "beta" };
        assert_eq!(
            (answer.status, served_by(&answer)),
            (200, Some(by)),
            "{shown}"
        );
    }
}
