//! Prompts that are long: who is asked for them, and what follows when they are too long.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::canned::canned;
use crate::support::client::{Answer, Client};
use crate::support::operate;
use crate::support::router::Router;
use crate::support::{config_of, mock, provider};

const NAMES: [&str; 3] = ["small", "middle", "large"];
const WINDOWS: [u32; 3] = [32_000, 128_000, 200_000];

/// Three providers, declared from the smallest window to the largest; one failure opens a circuit.
struct Three {
    mocks: [Mock; 3],
    router: Router,
}

impl Three {
    /// Providers of type `openai`, of which the third is of type `anthropic` where `kind` is that.
    fn with(kind: &str, naming: Naming, shards: usize) -> Self {
        let dialects = ["openai", "openai", kind];
        let places = [0, 1, 2];
        let mocks = places.map(|at| mock(json!({"name": NAMES[at], "dialect": dialects[at]})));
        let described = places.map(|at| described(&mocks[at], dialects[at], naming, WINDOWS[at]));
        Self {
            mocks,
            router: Router::start(&config_of(&described, &rest(shards))),
        }
    }

    fn script(&self, scripts: [&Value; 3]) {
        for (mock, script) in self.mocks.iter().zip(scripts) {
            mock.reset();
            mock.set_script(script.clone()).expect("a script");
        }
    }

    /// How many requests each provider has seen.
    fn requests(&self) -> [u64; 3] {
        [0, 1, 2].map(|at| self.mocks[at].stats().requests)
    }

    fn all_are_closed(&self) -> bool {
        let mut names = NAMES.iter();
        names.all(|name| operate::circuit(&self.router, name) == "closed")
    }
}

/// How a provider is told of its model's window.
#[derive(Clone, Copy, Debug)]
enum Naming {
    /// The caller's name is the provider's.
    Own,
    /// The caller's name is an alias.
    Alias,
    /// A pattern claims the caller's name.
    Pattern,
}

fn described(mock: &Mock, kind: &str, naming: Naming, window: u32) -> String {
    let suffix = if kind == "anthropic" { "" } else { "/v1" };
    let base = format!("base_url: \"http://{}{suffix}\"", mock.address());
    let kind = format!("type: {kind}");
    let name = match naming {
        Naming::Own => "m",
        Naming::Alias => "theirs",
        Naming::Pattern => "'m*'",
    };
    let models = format!("models: [{{name: {name}, context_window: {window}}}]");
    let alias = match naming {
        Naming::Own | Naming::Pattern => "weight: 1",
        Naming::Alias => "model_aliases: {m: theirs}",
    };
    let breaker = "circuit_breaker: {consecutive_failures: 1}";
    provider(mock, &[&kind, &base, &models, alias, breaker])
}

fn rest(shards: usize) -> String {
    format!(
        "server: {{shards: {shards}}}\n\
         routing: {{strategy: priority, failover: {{retry_budget: 0}}}}\n"
    )
}

/// A prompt of about so many tokens, as the router estimates it.
fn ask(tokens: usize, is_streamed: bool) -> String {
    let text = "x ".repeat(2 * tokens);
    json!({"model": "m", "max_tokens": 64, "stream": is_streamed,
        "messages": [{"role": "user", "content": text}]})
    .to_string()
}

fn post(router: &Router, path: &str, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with(path, "anthropic-version: 2023-06-01\r\n", body);
    client.answer()
}

fn attempts(answer: &Answer) -> Option<&str> {
    answer.header("x-infermux-attempts")
}

fn too_long(status: u16) -> Value {
    json!({"status": status, "body": {"type": "error", "error": {
        "type": "invalid_request_error",
        "message": "prompt is too long: 130000 tokens > 128000 maximum",
    }}})
}

#[test]
fn a_long_prompt_is_tried_where_it_has_room_and_an_overflow_goes_to_larger_windows_alone() {
    let ok = json!({});
    for (kind, naming, shards) in [
        ("openai", Naming::Own, 1),
        ("anthropic", Naming::Alias, 2),
        ("openai", Naming::Pattern, 1),
    ] {
        let three = Three::with(kind, naming, shards);
        for path in ["/v1/chat/completions", "/v1/messages"] {
            for is_streamed in [false, true] {
                let row = format!("{kind} {naming:?} {path} {is_streamed}");
                let (long, short) = (ask(120_000, is_streamed), ask(100, is_streamed));

                three.script([&ok, &ok, &ok]);
                let answer = post(&three.router, path, &short);
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                assert_eq!(three.requests(), [1, 0, 0], "{row}");

                three.script([&ok, &ok, &ok]);
                let answer = post(&three.router, path, &long);
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                assert_eq!(three.requests(), [0, 1, 0], "{row}");

                three.script([&ok, &too_long(400), &ok]);
                let answer = post(&three.router, path, &long);
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                assert_eq!(three.requests(), [0, 1, 1], "{row}");
                assert_eq!(attempts(&answer), Some("2"), "{row}");

                three.script([&ok, &too_long(413), &too_long(422)]);
                let answer = post(&three.router, path, &long);
                assert_eq!(answer.status, 400, "{row}: {}", answer.text());
                assert_eq!(three.requests(), [0, 1, 1], "{row}");
                let error = &answer.json()["error"];
                let message = error["message"].as_str().expect("a text");
                assert!(message.starts_with("prompt is too long: 130000"), "{row}");
                if path == "/v1/messages" {
                    assert_eq!(error["type"], "invalid_request_error", "{row}");
                } else {
                    assert_eq!(error["code"], "context_length_exceeded", "{row}");
                }
                assert!(three.all_are_closed(), "{row}");
            }
        }
        let metric =
            |name, labels: &[&str]| operate::metric(three.router.management(), name, labels);
        let reason = &["reason=\"context_window\""];
        assert!(metric("infermux_failovers_total", reason) >= 8.0);
        assert_eq!(metric("infermux_retries_denied_total", &[]), 0.0);
        let outcome = &["outcome=\"context_window\"", "provider=\"middle\""];
        assert!(metric("infermux_attempts_total", outcome) >= 8.0);
    }
}

#[test]
fn who_has_too_little_room_comes_last() {
    let (ok, failure) = (json!({}), json!({"status": 500}));
    let three = Three::with("openai", Naming::Own, 1);
    three.script([&ok, &failure, &failure]);
    let answer = post(&three.router, "/v1/chat/completions", &ask(120_000, false));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-provider"), Some("small"));
    assert_eq!(three.requests(), [1, 1, 1]);
    // What the caller gets is what the last one said.
    operate::turn(&three.router, "middle", "reset");
    operate::turn(&three.router, "large", "reset");
    three.script([&ok, &too_long(400), &failure]);
    let answer = post(&three.router, "/v1/chat/completions", &ask(120_000, false));
    assert_eq!((answer.status, &*answer.code()), (502, "upstream_error"));
    assert_eq!(three.requests(), [0, 1, 1]);
}

/// Whoever waits until the large ones are back is answered: that the prompt is too long would be
/// told of the small one alone.
#[test]
fn while_the_large_ones_are_away_nobody_is_told_that_the_prompt_is_too_long() {
    // proves: overflow.told-last
    let failure = json!({"status": 500});
    let limit = json!({"status": 429, "retry_after": 300});
    for (path, is_streamed) in [
        ("/v1/chat/completions", false),
        ("/v1/chat/completions", true),
        ("/v1/messages", false),
        ("/v1/responses", false),
    ] {
        let three = Three::with("openai", Naming::Own, 1);
        let body = if path == "/v1/responses" {
            json!({"model": "m", "input": "x ".repeat(240_000)}).to_string()
        } else {
            ask(120_000, is_streamed)
        };
        let check = |code: &str, status: u16, requests: [u64; 3]| {
            let answer = post(&three.router, path, &body);
            let row = format!("{path} {is_streamed}: {}", answer.text());
            assert_eq!(answer.header("x-infermux-error"), Some(code), "{row}");
            assert_eq!(answer.status, status, "{row}");
            assert_eq!(three.requests(), requests, "{row}");
            let has_time = answer.header("retry-after").is_some();
            assert_eq!(has_time, matches!(status, 429 | 503), "{row}");
        };
        three.script([&too_long(400), &failure, &failure]);
        check("upstream_error", 502, [1, 1, 1]);
        // Their circuits are open.
        check("no_healthy_providers", 503, [2, 1, 1]);
        operate::turn(&three.router, "middle", "reset");
        operate::turn(&three.router, "large", "reset");
        three.script([&too_long(400), &limit, &limit]);
        check("rate_limit", 429, [1, 1, 1]);
        // They are left alone for a while.
        check("rate_limit", 429, [2, 1, 1]);
        assert_eq!(operate::circuit(&three.router, "small"), "closed");
    }
}

#[test]
fn an_answer_of_200_may_say_that_the_prompt_is_too_long() {
    let error = "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":null,\
                 \"code\":\"context_length_exceeded\"}}";
    let answer = |kind: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let whole = answer("application/json", error);
    let streamed = answer("text/event-stream", &format!("data: {error}\n\n"));
    for (answer, is_streamed) in [(whole, false), (streamed, true)] {
        let first = canned(answer.clone().into_bytes(), b"");
        let last = mock(json!({"name": "large"}));
        let one = |name: &str, models: &str| {
            let base = format!("base_url: \"http://{first}/v1\"");
            let models = format!("models: [{models}]");
            let named = provider(&last, &[&base, &models, "api_key: k"]);
            named.replace("name: large", &format!("name: {name}"))
        };
        let providers = [
            one("first", "m, {name: alone, context_window: 5}"),
            provider(&last, &["models: [{name: m, context_window: 9000}]"]),
        ];
        let router = Router::start(&config_of(&providers, &rest(1)));
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let row = format!("{path} {is_streamed}");
            // The window of the first is not known: what is larger than the prompt will do.
            let answer = post(&router, path, &ask(100, is_streamed));
            assert_eq!(answer.status, 200, "{row}: {}", answer.text());
            assert_eq!(answer.header("x-infermux-provider"), Some("large"), "{row}");
            let before = last.stats().requests;
            let answer = post(&router, path, &ask(9_500, is_streamed));
            assert_eq!(answer.status, 400, "{row}: {}", answer.text());
            assert_eq!(last.stats().requests, before, "{row}");
            let alone = ask(100, is_streamed).replace("\"m\"", "\"alone\"");
            let answer = post(&router, path, &alone);
            assert_eq!(answer.status, 400, "{row}: {}", answer.text());
            let error = &answer.json()["error"];
            if path == "/v1/messages" {
                assert_eq!(error["message"], "prompt is too long: m", "{row}");
            } else {
                assert_eq!(error["message"], "m", "{row}");
                assert_eq!(error["code"], "context_length_exceeded", "{row}");
            }
        }
    }
}

#[test]
fn limits_of_bytes_and_of_tokens_per_minute_are_no_windows() {
    let ok = json!({});
    let three = Three::with("openai", Naming::Own, 1);
    for error in [
        json!({"type": "request_too_large", "message": "the prompt is too long"}),
        json!({"type": "tokens", "code": "rate_limit_exceeded",
            "message": "Request too large for model `m`: reduce the length of the messages"}),
    ] {
        let script = json!({"status": 413, "body": {"error": error}});
        three.script([&script, &ok, &ok]);
        let answer = post(&three.router, "/v1/chat/completions", &ask(100, false));
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert_eq!(three.requests(), [1, 0, 0]);
    }
}
