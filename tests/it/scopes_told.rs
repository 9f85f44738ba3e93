//! What callers are told of the limits and budgets that they go by, and what costs nothing passes.

use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::responses_stored::request;
use crate::scopes::{CENT, alpha, ask, config, left, number, plain};
use crate::support::client::{Answer, Client};
use crate::support::native::Native;
use crate::support::router::Router;
use crate::support::{config_of, eventually, mock, provider};

const MESSAGES: &str = "/v1/messages";

fn post(router: &Router, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(router.addr());
    client.post_with(path, "x-api-key: k-web\r\n", &body.to_string());
    client.answer()
}

/// A request that costs a cent, in each dialect.
fn asked() -> [(&'static str, Value); 3] {
    let messages = json!([{"role": "user", "content": "10 bytes.."}]);
    [
        (
            "/v1/chat/completions",
            json!({"model": "m", "messages": messages, "max_tokens": 10}),
        ),
        (
            MESSAGES,
            json!({"model": "m", "messages": messages, "max_tokens": 10}),
        ),
        (
            "/v1/responses",
            json!({"model": "m", "input": "10 bytes of text", "max_output_tokens": 10}),
        ),
    ]
}

#[test]
fn every_answer_tells_what_is_left_in_every_dialect() {
    for (path, body) in asked() {
        for stream in [false, true] {
            let alpha = alpha(json!({}));
            let web = ", limits: {requests_per_minute: 3, tokens_per_day: 1000}, \
                       budgets: [{usd: 1, per: month}]";
            let router = Router::start(&config(&alpha, &[("web", web)], ""));
            let mut body = body.clone();
            body["stream"] = json!(stream);
            for served in 1..=3 {
                let answer = post(&router, path, &body);
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                check_told(&answer, path, 3 - served);
                let tokens = number(&answer, "x-ratelimit-remaining-tokens");
                let spent = 100 * CENT - left(&answer);
                // The head of a stream leaves before what the stream uses is known.
                let known = served - u64::from(stream);
                assert_eq!(spent, known * CENT, "{path} {stream}");
                assert!(
                    (1000 - 30 * served..=1000 - 20 * known).contains(&tokens),
                    "{tokens}"
                );
            }
            let answer = post(&router, path, &body);
            check_told(&answer, path, 0);
            let error = answer.json()["error"].clone();
            let (error, code) = match path {
                MESSAGES => (error["details"].clone(), "error_code"),
                _ => (error, "code"),
            };
            assert_eq!((answer.status, &error[code]), (429, &json!("rate_limit")));
            assert_eq!(error["scope"], "key web");
            assert_eq!(error["limit"], "requests_per_minute");
            // The minute is counted in whole seconds, and nobody waits for longer than it lasts.
            let wait = error["retry_after_ms"].as_u64().expect("a number");
            assert!((1..=60_000).contains(&wait), "{error}");
            assert_eq!(answer.header("x-should-retry"), None);
            assert_eq!(left(&answer), 97 * CENT);
        }
    }
}

/// The head tells what is left of three requests a minute, and of the tokens of a day.
fn check_told(answer: &Answer, path: &str, left: u64) {
    assert_eq!(number(answer, "x-ratelimit-limit-requests"), 3);
    assert_eq!(
        number(answer, "x-ratelimit-remaining-requests"),
        left,
        "{path}"
    );
    assert_eq!(number(answer, "x-ratelimit-limit-tokens"), 1000);
    let span = |name: &str| {
        let told = answer.header(name).and_then(|text| text.strip_suffix('s'));
        let told = told.and_then(|seconds| seconds.parse::<u64>().ok());
        told.unwrap_or_else(|| panic!("{name}: {:?}", answer.header(name)))
    };
    assert!((1..=60).contains(&span("x-ratelimit-reset-requests")));
    assert!((1..=86_400).contains(&span("x-ratelimit-reset-tokens")));
    let anthropics = [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ];
    for name in anthropics {
        assert_eq!(answer.header(name).is_some(), path == MESSAGES, "{name}");
    }
    if let Some(at) = answer.header("anthropic-ratelimit-requests-reset") {
        // 2026-11-30T12:00:16Z
        assert!(
            at.len() == 20 && at.ends_with('Z') && at.contains('T'),
            "{at}"
        );
    }
}

#[test]
fn a_budgets_refusal_says_whose_it_is_in_every_dialect() {
    for (path, body) in asked() {
        let alpha = alpha(json!({}));
        let web = ", budgets: [{usd: 1, per: month}, {usd: 0.001, per: week}]";
        let router = Router::start(&config(&alpha, &[("web", web)], ""));
        let answer = post(&router, path, &body);
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
        let error = answer.json()["error"].clone();
        let details = match path {
            MESSAGES => error["details"].clone(),
            _ => error,
        };
        assert_eq!(details["scope"], "key web", "{path}");
        assert_eq!(details["per"], "week", "{path}");
        assert_eq!(left(&answer), CENT / 10);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
    }
}

/// What is spent of a budget for all time does not come back: no moment is told at which it does.
#[test]
fn a_budget_without_an_end_tells_no_moment_of_return() {
    for (per, has_end) in [("total", false), ("day", true)] {
        let alpha = alpha(json!({}));
        let web = format!(", budgets: [{{usd: 0.001, per: {per}}}]");
        let router = Router::start(&config(&alpha, &[("web", &web)], ""));
        let [(path, body), ..] = asked();
        let answer = post(&router, path, &body);
        assert_eq!(answer.code(), "budget_exceeded");
        let error = answer.json()["error"].clone();
        assert_eq!(error["retry_after_ms"].is_number(), has_end, "{error}");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
}

#[test]
fn the_limits_of_infermuxs_own_account_are_told_to_nobody() {
    let limits = json!({
        "x-ratelimit-limit-requests": "7",
        "x-ratelimit-remaining-tokens": "8",
        "x-ratelimit-reset-tokens": "9ms",
    });
    let alpha = mock(json!({"name": "alpha", "headers": limits}));
    let keys = [
        ("web", ", limits: {requests_per_minute: 100}"),
        ("free", ""),
    ];
    let keys = keys.map(|(name, rest)| entry(name, &format!("k-{name}"), rest));
    let keys: String = keys.iter().map(|entry| format!("    {entry}")).collect();
    let fields = ["-api_key"];
    let rest = format!("auth:\n  mode: keys\n  keys:\n{keys}");
    let router = Router::start(&config_of(&[provider(&alpha, &fields)], &rest));
    let answer = ask(router.addr(), "free", &plain());
    assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
    let answer = ask(router.addr(), "web", &plain());
    assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 100);
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), None);
    assert_eq!(answer.header("x-ratelimit-reset-tokens"), None);
}

#[test]
fn what_costs_nothing_passes_the_limits_and_no_budget() {
    let alpha = alpha(json!({}));
    let web = ", limits: {requests_per_minute: 3, tokens_per_minute: 50}, \
               budgets: [{usd: 0.001, per: day}]";
    let router = Router::start(&config(&alpha, &[("web", web)], ""));
    let bearer = "Authorization: Bearer k-web\r\n";
    let [(chat, body), ..] = asked();
    assert_eq!(post(&router, chat, &body).code(), "budget_exceeded");
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let counted = post(&router, "/v1/messages/count_tokens", &messages);
    let input = json!({"model": "m", "input": "hi"});
    let counted_too = post(&router, "/v1/responses/input_tokens", &input);
    for (answer, left) in [(counted, 2), (counted_too, 1)] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
        assert_eq!(number(&answer, "x-ratelimit-remaining-tokens"), 50);
    }
    let stored = |line: &str| request(&router, line, bearer, "");
    let answer = stored("GET /v1/responses/resp_x");
    assert_eq!(answer.status, 404, "{}", answer.text());
    for answer in [
        stored("DELETE /v1/responses/resp_x"),
        post(&router, "/v1/messages/count_tokens", &messages),
        post(&router, "/v1/responses/input_tokens", &input),
    ] {
        let details = answer.json()["error"].clone();
        assert_eq!(answer.status, 429, "{details}");
        assert_eq!(answer.header("x-infermux-error"), Some("rate_limit"));
    }
    for line in ["GET /v1/models", "GET /v1/models/m"] {
        assert_eq!(stored(line).status, 200, "{line}");
    }
}

#[test]
fn a_response_in_the_background_is_booked_to_all_budgets_that_pay_for_it() {
    let alpha = Native::start("alpha");
    let web = ", team: t, budgets: [{usd: 10, per: day}, {usd: 11, per: total}], \
               per_model: [{models: [m], budgets: [{usd: 8, per: week}]}]";
    let keys = [
        ("web", web),
        ("team", ", team: t"),
        ("key", ", team: t, budgets: [{usd: 1, per: day}]"),
    ];
    let keys = keys.map(|(name, rest)| entry(name, &format!("k-{name}"), rest));
    let keys: String = keys.iter().map(|entry| format!("    {entry}")).collect();
    let rest = format!(
        "pricing: {{alpha: {{m: {{input_per_million: 1000, output_per_million: 2000}}}}}}\n\
         teams: [{{name: t, budgets: [{{usd: 100, per: month}}]}}]\n\
         auth:\n  mode: keys\n  keys:\n{keys}"
    );
    let router = Router::start(&config_of(&[alpha.provider(&[])], &rest));
    let body = json!({"model": "m", "input": "x", "background": true}).to_string();
    let headers = "Content-Type: application/json\r\nAuthorization: Bearer k-web\r\n";
    let answer = request(&router, "POST /v1/responses", headers, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let dollars = 100 * CENT;
    let estimated = 8 * dollars - left(&answer);
    assert!(estimated < dollars, "{estimated}");
    let path = format!(
        "GET /v1/responses/{}",
        answer.json()["id"].as_str().expect("an id")
    );
    for _ in 0..2 {
        // Whoever asks for it, nobody else pays.
        let answer = request(&router, &path, "Authorization: Bearer k-key\r\n", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(left(&answer), dollars);
        let counted = json!({"model": "m", "input": "x"}).to_string();
        let counting = |key: &str| {
            let headers = format!("{}{key}\r\n", "Authorization: Bearer k-");
            let headers = format!("Content-Type: application/json\r\n{headers}");
            request(
                &router,
                "POST /v1/responses/input_tokens",
                &headers,
                &counted,
            )
        };
        // A thousand dollars per million tokens of 1,000, and two thousand of 500.
        assert_eq!(left(&counting("team")), 98 * dollars);
        assert_eq!(left(&counting("web")), 6 * dollars);
    }
    let reported = || {
        let report = crate::support::operate::metric(router.addr(), "infermux_cost_usd_total", &[]);
        report == 2.0
    };
    eventually("it is counted once", reported);
}
