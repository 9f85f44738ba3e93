//! `POST /v1/messages/count_tokens`: who counts, and what that takes.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::operate::{circuit, metric};
use crate::support::router::Router;
use crate::support::{chat, config_of, eventually, mock, provider, wait_for_requests};

/// A provider of type `anthropic` for the model `m`.
fn claude(mock: &Mock, more: &[&str]) -> String {
    let base = format!("base_url: \"http://{}\"", mock.address());
    provider(mock, &[&["type: anthropic", &base], more].concat())
}

/// A mock of Anthropic's API that answers whoever wants tokens counted so.
fn counting(name: &str, answer: &Value) -> Mock {
    let mut rule = answer.clone();
    rule["when"] = json!({"path": "/v1/messages/count_tokens"});
    mock(json!({"name": name, "dialect": "anthropic", "rules": [rule]}))
}

/// A key as vendors give them.
const KEY: &str = "sk-ant-0123456789abcdef";

fn body(text: &str) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string()
}

fn count(router: &Router, body: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post("/v1/messages/count_tokens", body);
    client.answer()
}

/// Who has counted, and what.
fn counted(answer: &Answer) -> (&str, u64) {
    let tokens = answer.json()["input_tokens"].as_u64();
    let by = answer.header("x-infermux-token-count");
    (by.expect("a word"), tokens.expect("a count"))
}

#[test]
fn whoever_cannot_count_is_passed_over_and_not_blamed() {
    let error = |status: u16| json!({"status": status, "body": {"type": "error", "error": {}}});
    for failing in [
        error(401),
        error(402),
        error(403),
        error(404),
        error(405),
        error(408),
        error(429),
        error(500),
        error(529),
        json!({"status": 200, "body": {"tokens": 7}}),
        json!({"status": 400, "body": "<html>bad gateway</html>"}),
        json!({"do": "cut_before_head"}),
    ] {
        let alpha = counting("alpha", &failing);
        let beta = counting(
            "beta",
            &json!({"status": 200, "body": {"input_tokens": 77}}),
        );
        let breaker = ["circuit_breaker: {consecutive_failures: 2}"];
        let both = [claude(&alpha, &breaker), claude(&beta, &breaker)];
        let priority = "routing: {strategy: priority}\n";
        for (providers, expected) in [(&both[..], ("native", 77)), (&both[..1], ("estimated", 1))] {
            let router = Router::start(&config_of(providers, priority));
            for _ in 0..3 {
                let answer = count(&router, &body("hi"));
                assert_eq!(answer.status, 200, "{failing}: {}", answer.text());
                assert_eq!(counted(&answer), expected, "{failing}");
            }
            assert_eq!(circuit(&router, "alpha"), "closed", "{failing}");
            let answer = Client::connect(router.addr()).chat(&chat("hi"));
            let served = answer.header("x-infermux-provider");
            assert_eq!(served, Some("alpha"), "{failing}: it is not put aside");
        }
    }
}

#[test]
fn a_count_quotes_no_key() {
    let answer = json!({"status": 200, "body": {"input_tokens": 7, "by": KEY}});
    let alpha = counting("alpha", &answer);
    let key = format!("api_key: {KEY}");
    let router = Router::start(&config_of(&[claude(&alpha, &[&key])], ""));
    let answer = count(&router, &body("hi"));
    assert_eq!(counted(&answer), ("native", 7));
    assert!(!answer.text().contains(KEY), "{}", answer.text());
}

#[test]
fn counting_takes_a_place_and_no_headroom() {
    let alpha = counting(
        "alpha",
        &json!({"status": 200, "body": {"input_tokens": 77}}),
    );
    let limits = "rate_limits: {requests_per_minute: 1, tokens_per_minute: 100000}";
    let config = config_of(&[claude(&alpha, &[limits, "max_in_flight: 1"])], "");
    let router = Router::start(&config);
    for _ in 0..3 {
        assert_eq!(counted(&count(&router, &body("hi"))), ("native", 77));
    }
    let counts = ["infermux_tokens_total", "infermux_cost_usd_total"];
    let used = counts.map(|name| metric(router.management(), name, &[]));
    assert_eq!(used, [0.0, 0.0]);
    // Whoever counts holds its only place; a caller who leaves gives it back.
    let path = json!({"path": "/v1/messages/count_tokens"});
    let stalls = json!({"rules": [{"when": path, "do": "stall_before_head"}]});
    alpha.set_script(stalls).expect("a script");
    let seen = alpha.stats().requests;
    let mut waiting = Client::connect(router.addr());
    waiting.post("/v1/messages/count_tokens", &body("hi"));
    wait_for_requests(&alpha, seen + 1);
    assert_eq!(counted(&count(&router, &body("hi"))).0, "estimated");
    let refused = Client::connect(router.addr()).chat(&chat("hi"));
    assert_eq!((refused.status, &*refused.code()), (429, "rate_limit"));
    drop(waiting);
    alpha.set_script(json!({"rules": []})).expect("a script");
    eventually("the place is free", || {
        Client::connect(router.addr()).chat(&chat("hi")).status == 200
    });
}

#[test]
fn an_estimate_is_made_of_all_that_the_model_reads() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_of(&[provider(&alpha, &[])], ""));
    for length in [4, 400, 400_000, 2_000_000] {
        let answer = count(&router, &body(&"x".repeat(length)));
        assert_eq!(counted(&answer), ("estimated", length as u64 / 4));
    }
    assert!(alpha.requests().is_empty(), "nobody is asked");
}
