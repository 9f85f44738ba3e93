//! No key is ever told: not in the log at its most talkative, not in an answer, not in a report.

use std::process::Stdio;

use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::command::{end, infermux};
use crate::support::router::{Folder, Router, Start};
use crate::support::{chat, config_of, config_with, eventually, mock, provider, streamed_chat};

/// Of the router, the caller, the operator and each provider.
const SECRETS: [&str; 6] = [
    "the-static-key",
    "the-callers-own-key",
    "the-management-token",
    "the-key-of-alpha",
    "the-key-of-claude",
    "the-key-that-is-refused",
];

/// All reports.
const REPORTS: [&str; 16] = [
    "keys",
    "changes",
    "status",
    "providers",
    "metrics",
    "latency",
    "costs",
    "costs/by-caller",
    "costs/caller/me",
    "costs/by-model",
    "costs/by-project",
    "costs/by-env",
    "costs/by-key",
    "costs/by-team",
    "costs/timeseries",
    "nothing",
];

fn assert_public(place: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {place}: {text}");
    }
}

fn shown(answer: &Answer) -> String {
    format!(
        "{:?} {:?} {}",
        answer.headers,
        answer.trailers,
        answer.text()
    )
}

/// Asks with all the keys that a caller may have; `key` is the one for the router.
fn ask(router: &Router, key: &str, path: &str, body: &str) -> Answer {
    let headers = format!(
        "Authorization: Bearer {}\r\nX-Api-Key: {key}\r\nX-Infermux-Caller: me\r\n",
        SECRETS[1]
    );
    let mut client = Client::connect(router.addr());
    client.post_with(path, &headers, body);
    client.answer()
}

/// Asks as an operator.
fn operate(router: &Router, token: &str, request: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.send(format!(
        "{request} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 0\r\n\r\n"
    ));
    client.answer()
}

fn all_that_is_told(format: &str) {
    // What providers say of a key that they refuse often holds the key.
    let refused = json!({"status": 401, "body": {"error": {
        "message": format!("Incorrect API key provided: {}", SECRETS[5]),
        "type": "invalid_request_error", "param": null, "code": "invalid_api_key",
    }}});
    let alpha = mock(json!({"name": "alpha", "key": SECRETS[3], "answers": [
        "ok", "ok", 500, {"do": "cut_before_head"}, "garbage", 429,
    ], "then": "ok"}));
    let claude = mock(json!({"name": "claude", "dialect": "anthropic", "key": SECRETS[4]}));
    let refuses = mock(json!({"name": "refuses", "answers": [refused],
        "rules": [{"when": {"method": "GET"}, "answers": [refused]}]}));
    let key = |place: usize| format!("api_key: {}", SECRETS[place]);
    let base = format!("base_url: \"http://{}\"", claude.address());
    let providers = [
        provider(&alpha, &[&key(3), "health_check: {interval: 50ms}"]),
        provider(
            &claude,
            &["type: anthropic", &key(4), &base, "models: [claude]"],
        ),
        provider(&refuses, &[&key(5), "models: [refused]"]),
    ];
    let rest = format!("auth: {{mode: static_key, key: {}}}\n", SECRETS[0]);
    let config = config_of(&providers, &rest);
    let mut router = Start::with(&config)
        .args(&[
            "--log-level",
            "debug",
            "--log-format",
            format,
            "--no-health-checks",
        ])
        .env("INFERMUX_MANAGEMENT_TOKEN", SECRETS[2])
        .go();
    let chats = "/v1/chat/completions";
    for body in [chat("x"), streamed_chat("x"), "{".to_owned()] {
        for model in ["\"m\"", "\"claude\"", "\"refused\"", "\"nobody's\""] {
            let answer = ask(&router, SECRETS[0], chats, &body.replace("\"m\"", model));
            assert_public(model, &shown(&answer));
            let wrong = format!("{}-but-wrong", SECRETS[0]);
            assert_public("a refusal", &shown(&ask(&router, &wrong, chats, &body)));
        }
    }
    let strange = format!("/v1/nothing?key={}", SECRETS[3]);
    assert_public(
        "a wrong path",
        &shown(&ask(&router, SECRETS[0], &strange, "{}")),
    );
    for path in REPORTS {
        let request = format!("GET /_infermux/{path}");
        assert_public(path, &shown(&operate(&router, SECRETS[2], &request)));
        let wrong = format!("{}-but-wrong", SECRETS[2]);
        let answer = operate(&router, &wrong, &request);
        assert_ne!(answer.status, 200, "{path}");
        assert_public(path, &shown(&answer));
    }
    // A reload with a mistake beside every key, and one with another key.
    let mistaken = config.replace("type:", "tpye:");
    router.folder().write("infermux.yml", mistaken);
    let reload = "POST /_infermux/reload";
    assert_public(
        "a bad reload",
        &shown(&operate(&router, SECRETS[2], reload)),
    );
    router
        .folder()
        .write("infermux.yml", config.replace(SECRETS[5], SECRETS[4]));
    let answer = operate(&router, SECRETS[2], reload);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_public("a reload", &shown(&answer));
    router.signal("TERM");
    router.wait();
    let log = router.log();
    assert!(
        log.contains("refuses the configured key") && log.lines().count() > 20,
        "{log}"
    );
    assert_public("the log", &log);
    assert_public("what it printed", &router.said().join("\n"));
}

// proves: key.where-meant
#[test]
fn no_key_is_told_in_text() {
    all_that_is_told("text");
}

// proves: key.where-meant
#[test]
fn no_key_is_told_in_json() {
    all_that_is_told("json");
}

#[test]
fn a_file_with_mistakes_is_told_of_without_its_keys() {
    let folder = Folder::new();
    for (text, fault) in [
        ("api_key: \"the-static-key\\nx\"", "api_key"),
        ("api_key: [the-static-key]", "api_key"),
        ("api_key: {the-static-key: the-static-key}", "api_key"),
        (
            "api_key: the-static-key\n    base_url: \"ftp://u:the-static-key@h/\"",
            "base_url",
        ),
        (
            "api_key: the-static-key\n    base_url: \"http://u:the-static-key@h/\"",
            "base_url",
        ),
        ("api_key: !secret the-static-key", "api_key"),
        ("api_key: \"the-static-key", "quoted scalar"),
    ] {
        let config = format!(
            "listen: \"127.0.0.1:0\"\nproviders:\n  - name: a\n    type: openai\n    {text}\n"
        );
        let path = folder.write("infermux.yml", config);
        for command in ["validate", "serve"] {
            let mut command = infermux(&[command, "--config"]);
            let ended = end(command.arg(&path).stdout(Stdio::piped()));
            assert_ne!(ended.code, Some(0), "{text}");
            assert!(ended.stderr.contains(fault), "{text}: {}", ended.stderr);
            assert_public(text, &ended.stdout);
            assert_public(text, &ended.stderr);
        }
    }
}

#[test]
fn a_failing_health_check_does_not_tell_the_key() {
    let alpha = mock(json!({"name": "alpha", "key": "another"}));
    let checked = [
        "api_key: the-key-that-is-refused",
        "health_check: {interval: 20ms}",
    ];
    let router = Start::with(&config_of(&[provider(&alpha, &checked)], ""))
        .args(&["--log-level", "debug"])
        .go();
    eventually("a check that failed", || {
        router.log().contains("status 401")
    });
    assert_public("the log", &router.log());
}

/// What a provider may quote, wherever it may do so.
const KEY: &str = "sk-operator-4b1d9f27c0aa";
const TOKEN: &str = "gateway-token-zulu";
const OTHERS: &str = "sk-of-another-kilo";

/// A stream that says `a`, and then fails with this message.
fn breaking_stream(dialect: &str, message: &str) -> String {
    let (start, error) = if dialect == "anthropic" {
        let start = concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",",
            "\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        );
        let error = json!({"type": "error", "error": {"type": "api_error", "message": message}});
        (start.to_owned(), format!("event: error\ndata: {error}\n\n"))
    } else {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null}]});
        let error = json!({"error": {"message": message, "type": "server_error"}});
        (format!("data: {chunk}\n\n"), format!("data: {error}\n\n"))
    };
    start + &error
}

// proves: key.where-meant
#[test]
fn a_key_that_a_provider_quotes_is_made_unreadable() {
    let message = format!("you sent {KEY}, {TOKEN}, {OTHERS} and {}.", SECRETS[2]);
    let bare = |text: &str| {
        for secret in [KEY, TOKEN, OTHERS, SECRETS[2], "operator", "zulu", "kilo"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    };
    let quoting = json!({"X-Debug": KEY, "x-request-id": format!("id-{KEY}"),
        "openai-version": format!("Bearer {TOKEN}")});
    for (dialect, kind) in [
        ("openai", "openai"),
        ("azure", "azure_openai"),
        ("ollama", "ollama"),
        ("anthropic", "anthropic"),
    ] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect}));
        let fields = [
            format!("type: {kind}"),
            format!("api_key: {KEY}"),
            format!("base_url: \"http://{}\"", alpha.address()),
            format!("headers: {{set: {{X-Gateway: Bearer {TOKEN}}}}}"),
        ];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let other = mock(json!({"name": "other"}));
        let others = [&*format!("api_key: {OTHERS}"), "models: [other]"];
        let providers = [provider(&alpha, &fields), provider(&other, &others)];
        let config = config_of(&providers, "server: {shards: 2}\n");
        let mut router = Start::with(&config)
            .args(&["--log-level", "debug"])
            .env("INFERMUX_MANAGEMENT_TOKEN", SECRETS[2])
            .go();
        let stream = breaking_stream(dialect, &message);
        let events = json!({"content-type": "text/event-stream"});
        for script in [
            json!({"status": 400, "headers": quoting, "body": {"error": {"message": message}}}),
            json!({"status": 422, "headers": quoting, "body": {"detail": message}}),
            json!({"status": 404, "headers": {"content-type": "text/plain"}, "body": message}),
            json!({"status": 403, "headers": quoting, "body": {"error": {"message": message}}}),
            json!({"status": 401, "headers": quoting, "body": {"error": {"message": message}}}),
            json!({"headers": quoting}),
            json!({"body": stream, "headers": events}),
            json!({"body": stream, "headers": events, "chunk_bytes": 7, "chunk_interval_ms": 1}),
        ] {
            alpha.set_script(script.clone()).expect("a script");
            for body in [chat("x"), streamed_chat("x")] {
                let answer = Client::connect(router.addr()).chat(&body);
                bare(&shown(&answer));
                if answer.status == 200 && script["body"].is_string() && body != chat("x") {
                    assert!(answer.text().contains("you sent ****"), "{}", answer.text());
                }
                if matches!(answer.status, 400 | 403) {
                    assert!(answer.text().contains("you sent ****"), "{}", answer.text());
                }
            }
        }
        router.signal("TERM");
        router.wait();
        bare(&router.log());
    }
}

// proves: key.where-meant
#[test]
fn an_answer_that_quotes_the_key_it_was_asked_with_is_masked_too() {
    let echo = json!({"id": "c", "object": "chat.completion", "model": "m",
        "request_headers": {"authorization": format!("Bearer {KEY}")},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"},
            "finish_reason": "stop"}]});
    let alpha = mock(json!({"name": "alpha", "body": echo}));
    let router = Router::start(&config_with(&alpha, &[&format!("api_key: {KEY}")]));
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let shown = format!("Bearer {}", "*".repeat(KEY.len()));
    assert_eq!(answer.json()["request_headers"]["authorization"], shown);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "a");
}
