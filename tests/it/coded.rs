//! Compressed bodies, and bodies that are said to be something else than JSON.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use crate::support::canned::{begun, canned, chunk, whole};
use crate::support::client::{Answer, Client};
use crate::support::operate::get;
use crate::support::router::Router;
use crate::support::{chat, config_of, config_with, last_seen, mock, provider, streamed_chat};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(text).expect("room");
    writer.finish().expect("room")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut writer = ZlibEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(text).expect("room");
    writer.finish().expect("room")
}

fn raw(text: &[u8]) -> Vec<u8> {
    let mut writer = DeflateEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(text).expect("room");
    writer.finish().expect("room")
}

/// What a coding makes of a body.
type Encode = fn(&[u8]) -> Vec<u8>;

/// The codings, by their names.
const CODINGS: [(&str, Encode); 3] = [("gzip", gzip), ("deflate", zlib), ("deflate", raw)];

fn post(client: &mut Client, fields: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    client.send([head.as_bytes(), body].concat());
    client.answer()
}

/// One provider of either type at `addr`, for the model `m`.
fn at(kind: &str, addr: std::net::SocketAddr) -> String {
    let path = if kind == "openai" { "/v1" } else { "" };
    format!(
        "  - name: alpha\n    type: {kind}\n    api_key: k\n    \
         base_url: \"http://{addr}{path}\"\n    models: [m]\n    \
         health_check: {{disabled: true}}\n"
    )
}

#[test]
fn a_compressed_request_is_what_it_says() {
    let alpha = mock(json!({"name": "alpha"}));
    let claude = mock(json!({"name": "claude", "dialect": "anthropic"}));
    let base = format!("base_url: \"http://{}\"", claude.address());
    let anthropic = provider(&claude, &["type: anthropic", &base, "models: [c]"]);
    let router = Router::start(&config_of(&[provider(&alpha, &[]), anthropic], ""));
    let mut client = Client::connect(router.addr());
    for (name, code) in CODINGS {
        let fields = format!("Content-Encoding: {name}\r\nContent-Type: application/json\r\n");
        for text in ["hello", &"long ".repeat(60_000)] {
            let plain = chat(text);
            let answer = post(&mut client, &fields, &code(plain.as_bytes()));
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let seen = last_seen(&alpha);
            assert_eq!(seen["body_text"], plain.as_str(), "{name}");
            assert_eq!(crate::support::seen_header(&seen, "content-encoding"), None);
            let plain = streamed_chat(text).replace("\"m\"", "\"c\"");
            let answer = post(&mut client, &fields, &code(plain.as_bytes()));
            assert!(
                answer.complete && answer.status == 200,
                "{name}: {}",
                answer.text()
            );
            assert_eq!(last_seen(&claude)["body"]["messages"][0]["content"], text);
        }
    }
    let answer = post(
        &mut client,
        "Content-Encoding: identity\r\n",
        chat("hi").as_bytes(),
    );
    assert_eq!(answer.status, 200);
}

/// A body is decoded in steps, and between two of them the event loop looks at its other sockets.
#[test]
fn others_are_served_while_a_body_is_decoded() {
    let alpha = mock(json!({"name": "alpha", "record": false}));
    let config = config_of(&[provider(&alpha, &[])], "server: {shards: 1}\n");
    let router = Router::start(&config);
    let mut large = gzip(chat(&"some words ".repeat(1 << 20)).as_bytes());
    // A wrong checksum: nothing is done with the body but to decode it, to its end.
    let sum = large.len() - 8;
    large[sum] ^= 1;
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let served = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut client = Client::connect(router.addr());
            let mut served = 0;
            while !done.load(Ordering::SeqCst) {
                client.get("/v1/nothing");
                assert_eq!(client.answer().status, 404);
                served += usize::from(begun.load(Ordering::SeqCst));
            }
            served
        });
        let mut client = Client::connect(router.addr());
        begun.store(true, Ordering::SeqCst);
        let answer = post(&mut client, "Content-Encoding: gzip\r\n", &large);
        done.store(true, Ordering::SeqCst);
        assert_eq!(answer.status, 400, "{}", answer.text());
        others.join().expect("a count")
    });
    // There are 88 steps.
    assert!(served >= 40, "{served} others");
}

#[test]
fn a_compressed_request_may_come_to_as_much_as_any_other() {
    let alpha = mock(json!({"name": "alpha"}));
    let servers = [
        ("max_body_bytes: 100000", 413, "request_too_large"),
        (
            "max_body_bytes: 4000000, max_buffered_bytes: 300000",
            503,
            "overloaded",
        ),
    ];
    let large = gzip(chat(&"x".repeat(1 << 20)).as_bytes());
    assert!(large.len() < 50_000);
    for (server, status, code) in servers {
        let config = format!("server: {{{server}, shards: 1}}\n");
        let router = Router::start(&config_of(&[provider(&alpha, &[])], &config));
        let mut client = Client::connect(router.addr());
        let answer = post(&mut client, "Content-Encoding: gzip\r\n", &large);
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.to_owned()),
            "{server}"
        );
        let mut client = Client::connect(router.addr());
        let small = gzip(chat("hi").as_bytes());
        let answer = post(&mut client, "Content-Encoding: gzip\r\n", &small);
        assert_eq!(answer.status, 200, "{server}");
    }
    assert_eq!(alpha.stats().requests, 2);
}

#[test]
fn what_is_not_what_its_fields_say_is_refused() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let body = chat("hi");
    let whole = gzip(body.as_bytes());
    let cut = &whole[..whole.len() - 3];
    for (fields, body, status, code) in [
        (
            "Content-Encoding: br",
            body.as_bytes(),
            415,
            "unsupported_encoding",
        ),
        (
            "Content-Encoding: zstd",
            body.as_bytes(),
            415,
            "unsupported_encoding",
        ),
        (
            "Content-Encoding: gzip, gzip",
            body.as_bytes(),
            415,
            "unsupported_encoding",
        ),
        (
            "Content-Encoding: gzip\r\nContent-Encoding: br",
            &whole,
            415,
            "unsupported_encoding",
        ),
        (
            "Content-Encoding: identity\r\nContent-Encoding: gzip",
            &whole,
            415,
            "unsupported_encoding",
        ),
        (
            "Content-Encoding: gzip",
            body.as_bytes(),
            400,
            "invalid_request",
        ),
        ("Content-Encoding: gzip", cut, 400, "invalid_request"),
        (
            "Content-Type: multipart/form-data; boundary=x",
            body.as_bytes(),
            415,
            "unsupported_media_type",
        ),
        (
            "Content-Type: image/png",
            body.as_bytes(),
            415,
            "unsupported_media_type",
        ),
        (
            "Content-Type: text/html",
            body.as_bytes(),
            415,
            "unsupported_media_type",
        ),
    ] {
        let mut client = Client::connect(router.addr());
        let answer = post(&mut client, &format!("{fields}\r\n"), body);
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.to_owned()),
            "{fields}"
        );
    }
    assert_eq!(alpha.stats().requests, 0);
    let mut client = Client::connect(router.addr());
    for fields in [
        "",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/plain;charset=UTF-8\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
        "Content-Type: application/vnd.api+json\r\n",
        "Content-Type: application/octet-stream\r\n",
    ] {
        let answer = post(&mut client, fields, body.as_bytes());
        assert_eq!(answer.status, 200, "{fields}: {}", answer.text());
    }
}

/// What a provider of this type says, not streamed and streamed.
fn said(kind: &str) -> (Value, String) {
    if kind == "anthropic" {
        let whole = json!({"id": "c", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "squeezed"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 5}});
        let events = concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",",
            "\"usage\":{\"input_tokens\":10}}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"squeezed\"}}\n\n",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
            "\"usage\":{\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
        );
        return (whole, events.to_owned());
    }
    let whole = json!({"id": "c", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "squeezed"},
            "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
    let events = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"squeezed\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}\n\n",
        "data: [DONE]\n\n",
    );
    (whole, events.to_owned())
}

#[test]
fn a_compressed_list_of_models_is_read() {
    let list = json!({"object": "list", "data": [{"id": "squeezed", "object": "model"}]});
    for (name, code) in CODINGS {
        let fields = format!("Content-Type: application/json\r\nContent-Encoding: {name}\r\n");
        let addr = canned(whole(&fields, &code(list.to_string().as_bytes())), b"");
        let open = at("openai", addr).replace("models: [m]", "weight: 1");
        let checked = open.replace("disabled: true", "interval: 1h, timeout: 5s");
        let router = Router::start(&config_of(&[checked], ""));
        let answer = get(router.addr(), "/v1/models");
        assert_eq!(answer.json()["data"][0]["id"], "squeezed", "{name}");
    }
}

#[test]
fn a_compressed_answer_is_what_it_says() {
    for kind in ["openai", "anthropic"] {
        let (json, events) = said(kind);
        for (name, code) in CODINGS {
            let fields = format!("Content-Type: application/json\r\nContent-Encoding: {name}\r\n");
            let addr = canned(whole(&fields, &code(json.to_string().as_bytes())), b"");
            let router = Router::start(&config_of(&[at(kind, addr)], ""));
            let mut client = Client::connect(router.addr());
            let answer = client.chat(&chat("hi"));
            assert!(
                answer.text().contains("squeezed"),
                "{kind} {name}: {}",
                answer.text()
            );
            assert_eq!(answer.header("content-encoding"), None);
            assert_eq!(answer.header("x-infermux-prompt-tokens"), Some("10"));
            // As events, where the caller streams.
            let answer = client.chat(&streamed_chat("hi"));
            assert!(
                answer.complete && answer.text().contains("squeezed"),
                "{}",
                answer.text()
            );
            assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("5"));
            for label in ["text/event-stream", "application/json"] {
                let fields = format!("Content-Type: {label}\r\nContent-Encoding: {name}\r\n");
                let coded = code(events.as_bytes());
                let bytes = coded.iter().skip(1).flat_map(|byte| chunk(&[*byte]));
                let stream: Vec<u8> = begun(&fields, &coded[..1])
                    .into_iter()
                    .chain(bytes)
                    .chain(chunk(b""))
                    .collect();
                for answer in [whole(&fields, &coded), stream] {
                    let addr = canned(answer, b"");
                    let router = Router::start(&config_of(&[at(kind, addr)], ""));
                    let answer = Client::connect(router.addr()).chat(&streamed_chat("hi"));
                    assert!(answer.complete, "{kind} {name} {label}: {}", answer.text());
                    assert!(answer.text().contains("squeezed"), "{}", answer.text());
                    assert_eq!(answer.header("content-encoding"), None);
                    assert_eq!(answer.trailer("x-infermux-prompt-tokens"), Some("10"));
                    assert_eq!(answer.trailer("x-infermux-completion-tokens"), Some("5"));
                }
            }
        }
    }
}

#[test]
fn an_event_of_a_compressed_stream_arrives_as_soon_as_it_was_sent() {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer
        .write_all(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"early\"}}]}\n\n")
        .expect("room");
    writer.flush().expect("room");
    let fields = "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n";
    // Nothing follows, and the connection stays open.
    let addr = canned(begun(fields, writer.get_ref()), b"");
    let router = Router::start(&config_of(&[at("openai", addr)], ""));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("hi"));
    let mut answer = client.head();
    let first = client.chunk(&mut answer).expect("a chunk");
    assert!(String::from_utf8_lossy(&first).contains("early"));
}

#[test]
fn a_coded_answer_that_cannot_be_read_is_malformed_and_a_coded_error_is_told() {
    let beta = mock(json!({"name": "beta"}));
    let (json, _) = said("openai");
    let coded = gzip(json.to_string().as_bytes());
    for (coding, body) in [
        ("br", &coded[..]),
        ("gzip", json.to_string().as_bytes()),
        ("gzip", &coded[..coded.len() - 1]),
    ] {
        let fields = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
        let addr = canned(whole(&fields, body), b"");
        let both = [at("openai", addr), provider(&beta, &[])];
        let router = Router::start(&config_of(&both, "routing: {strategy: priority}\n"));
        for body in [chat("hi"), streamed_chat("hi")] {
            let answer = Client::connect(router.addr()).chat(&body);
            assert_eq!(
                answer.header("x-infermux-provider"),
                Some("beta"),
                "{coding}"
            );
        }
    }
    let error =
        gzip(br#"{"error":{"message":"tool 3 has no name","type":"invalid_request_error"}}"#);
    let head = format!(
        "HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        error.len()
    );
    let addr = canned([head.as_bytes(), &error].concat(), b"");
    let router = Router::start(&config_of(&[at("openai", addr)], ""));
    let answer = Client::connect(router.addr()).chat(&chat("hi"));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("tool 3 has no name"),
        "{}",
        answer.text()
    );
}
