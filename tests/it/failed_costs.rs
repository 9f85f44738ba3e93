//! What attempts cost of which callers get nothing: booked apart from what callers are told.

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::load::ask_as;
use crate::support::operate::{get, metric, provider_report};
use crate::support::router::Router;
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

/// A prompt token costs 1,000 nano-dollars, one of output a million.
const PRICES: &str = "pricing:\n  \
    alpha: {m: {input_per_million: 1, output_per_million: 1000}}\n  \
    beta: {m: {input_per_million: 1, output_per_million: 1000}}\n";
const FAILED: &str = "infermux_failed_attempt_cost_usd_total";
const TOKENS_PER_MINUTE: u64 = 50_000_000;

/// What these tokens cost, in nano-dollars.
fn cost(prompt: u64, completion: u64) -> u64 {
    1_000 * prompt + 1_000_000 * completion
}

/// Dollars in nano-dollars.
fn nano(dollars: f64) -> u64 {
    // The sum of nothing is -0.
    format!("{:.0}", dollars * 1e9 + 0.0)
        .parse()
        .expect("an amount")
}

fn told(answer: &Answer) -> u64 {
    let told = answer.header("x-infermux-cost");
    let told = told.or_else(|| answer.trailer("x-infermux-cost"));
    nano(told.expect("a cost").parse().expect("a number"))
}

fn router(first: &Mock, kind: &str, rest: &str) -> (Mock, Router) {
    let beta = mock(json!({"name": "beta", "usage": "always"}));
    let path = if kind == "anthropic" { "" } else { "/v1" };
    let fields = [
        format!("type: {kind}"),
        format!("base_url: \"http://{}{path}\"", first.address()),
        "first_token_timeout: 200ms".to_owned(),
        format!("rate_limits: {{tokens_per_minute: {TOKENS_PER_MINUTE}}}"),
    ];
    let fields = fields.each_ref().map(String::as_str);
    let providers = [provider(first, &fields), provider(&beta, &[])];
    let rest = format!(
        "routing: {{strategy: priority, failover: {{retry_budget: 1}}}}\n{PRICES}\
         budgets: [{{caller: me, monthly_usd: 10000, action: hard_stop}}]\n\
         log: {{format: json}}\n{rest}"
    );
    let router = Router::start(&config_of(&providers, &rest));
    (beta, router)
}

/// A field of all access lines, in nano-dollars.
fn logged(router: &Router, field: &str) -> u64 {
    let log = router.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let costs = lines.filter_map(|line: Value| line[field].as_f64());
    costs.map(nano).sum()
}

fn usage(prompt: u64, completion: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion})
}

/// The answers that fail: how many prompt and completion tokens each is billed for, and how.
fn failures() -> Vec<(&'static str, Value, String, (u64, u64))> {
    let whole = |body: Value| json!({"body": body});
    let events =
        |body: &str| json!({"headers": {"content-type": "text/event-stream"}, "body": body});
    let early = format!(
        "data: {}\n\n",
        json!({"choices": [], "usage": usage(60, 2)})
    );
    let openai = |answer, body: &str, billed| ("openai", answer, body.to_owned(), billed);
    let anthropic = |answer, body: &str, billed| ("anthropic", answer, body.to_owned(), billed);
    // The estimate: all that the message says.
    let prompt = 10;
    let (plain, stream) = (&*chat("eight ch"), &*streamed_chat("eight ch"));
    vec![
        // An error in place of an answer: billed is what it tells.
        openai(
            whole(json!({"error": {"message": "no"}, "usage": usage(10, 3)})),
            plain,
            (10, 3),
        ),
        openai(json!({"do": "error_200"}), plain, (0, 0)),
        openai(json!({"do": "error_event_before_content"}), stream, (0, 0)),
        openai(json!({"status": 500}), plain, (0, 0)),
        // No answer, or a malformed one.
        openai(
            whole(json!({"choices": [], "usage": usage(20, 0)})),
            plain,
            (20, 0),
        ),
        openai(
            whole(json!(format!(
                r#"{{"choices":[{{]}},"usage":{}}}"#,
                usage(30, 1)
            ))),
            plain,
            (30, 1),
        ),
        openai(whole(json!("<html>")), plain, (prompt, 0)),
        // 45 characters behind the bracket.
        openai(
            whole(json!(r#"{"choices":[{"message":{"content":"abcdefghijk"#)),
            plain,
            (prompt, 12),
        ),
        // Streams that end, stall or break before content.
        openai(events(&early), stream, (60, 2)),
        openai(events(&format!("{early}data: {{\n\n")), stream, (60, 2)),
        openai(json!({"do": "stall_before_content"}), stream, (prompt, 0)),
        openai(
            json!({"do": "no_choices", "usage": "never"}),
            stream,
            (prompt, 0),
        ),
        anthropic(
            json!({"do": "stall_before_content", "prompt_tokens": 50}),
            stream,
            (50, 1),
        ),
        anthropic(
            json!({"do": "error_event_before_content", "prompt_tokens": 50}),
            stream,
            (50, 1),
        ),
        anthropic(
            whole(json!({"type": "message", "usage": {"input_tokens": 70, "output_tokens": 4}})),
            plain,
            (70, 4),
        ),
        anthropic(
            whole(json!(
                r#"{"usage":{"input_tokens":70,"output_tokens":4},"content":[{"#
            )),
            plain,
            (70, 4),
        ),
        anthropic(json!({"do": "error_200"}), plain, (0, 0)),
    ]
}

// proves: failed.booked-apart
#[test]
fn what_a_failed_attempt_has_cost_is_infermuxs_loss() {
    for shards in [1, 2] {
        for (kind, answer, body, (prompt, completion)) in failures() {
            let mut script = json!({"name": "alpha", "answers": [answer, answer]});
            script["dialect"] = kind.into();
            let alpha = mock(script);
            let shards = format!("server: {{shards: {shards}}}\n");
            let (beta, router) = router(&alpha, kind, &shards);
            let mut told_in_all = 0;
            for count in 1..=2 {
                let got = ask_as(router.addr(), "me", &body);
                assert_eq!(got.status, 200, "{answer}: {}", got.text());
                assert_eq!(got.header("x-infermux-provider"), Some("beta"), "{answer}");
                told_in_all += told(&got);
                // Whoever has an answer finds all of it booked, on any shard.
                let addr = router.addr();
                let failed = nano(metric(addr, FAILED, &["provider=\"alpha\""]));
                assert_eq!(failed, count * cost(prompt, completion), "{answer}");
                let spent = nano(metric(addr, "infermux_cost_usd_total", &[]));
                assert_eq!(spent, told_in_all, "{answer}");
                let mine = get(addr, "/_infermux/costs/caller/me").json();
                assert_eq!(nano(mine["total_usd"].as_f64().unwrap()), told_in_all);
                let left = nano(mine["budget_remaining_usd"].as_f64().unwrap());
                assert_eq!(left, 10_000_000_000_000 - told_in_all);
                let report = provider_report(&router, "alpha");
                let used = count * (prompt + completion);
                let left = &report["rate_limit_headroom_tpm"];
                assert_eq!(left, &json!(TOKENS_PER_MINUTE - used), "{answer}");
            }
            assert_eq!(
                nano(metric(router.addr(), FAILED, &["provider=\"beta\""])),
                0
            );
            assert_eq!(beta.stats().requests, 2);
        }
    }
}

#[test]
fn failed_attempts_add_up_exactly() {
    let answers: Vec<Value> = failures()
        .into_iter()
        .filter(|(kind, _, body, _)| *kind == "openai" && !body.contains("\"stream\":true"))
        .map(|(_, answer, ..)| answer)
        .chain([json!({"do": "cut_mid_stream", "completion_tokens": 99})])
        .collect();
    let alpha = mock(json!({"name": "alpha", "answers": answers, "then": "loop"}));
    let (_beta, router) = router(&alpha, "openai", "server: {shards: 2}\n");
    let mut spent = 0;
    for _ in 0..3 * answers.len() {
        spent += told(&ask_as(router.addr(), "me", &chat("eight ch")));
    }
    eventually("a line for each", || {
        router.log().matches("\"caller\":\"me\"").count() == 3 * answers.len()
    });
    let failed = nano(metric(router.addr(), FAILED, &[]));
    assert_eq!(logged(&router, "failed_cost_usd"), failed);
    assert_eq!(logged(&router, "cost_usd"), spent);
    // What was cut is counted by its length.
    assert!(failed > 3 * cost(2, 40), "{failed}");
    let costs = get(router.addr(), "/_infermux/costs").json();
    assert_eq!(nano(costs["total_usd"].as_f64().unwrap()), spent);
}

/// A non-streamed answer of eight megabytes, in each of the framings.
fn large(before: &str) -> Vec<Value> {
    let text = "x".repeat(8_000_000);
    let body = format!(r#"{{{before}"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    vec![
        json!({"body": body}),
        json!({"body": body, "quirks": ["close_delimited"]}),
        json!({
            "body": chunked, "quirks": ["close_delimited"],
            "headers": {"transfer-encoding": "chunked"},
        }),
    ]
}

#[test]
fn an_answer_that_cannot_be_held_is_booked_before_it_is_refused() {
    let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":2000},"#;
    for shards in [1, 2] {
        for (before, expected) in [("", None), (usage, Some(cost(1_000, 2_000)))] {
            for answer in large(before) {
                let is_declared = answer["quirks"].is_null();
                let alpha = mock(json!({"name": "alpha", "answers": [answer]}));
                let server = format!("server: {{shards: {shards}, max_buffered_bytes: 3000000}}\n");
                let (beta, router) = router(&alpha, "openai", &server);
                let got = ask_as(router.addr(), "me", &chat("eight ch"));
                assert_eq!((got.status, &*got.code()), (503, "overloaded"));
                let told = told(&got);
                match expected {
                    Some(expected) if !is_declared => assert_eq!(told, expected),
                    // Before the rest was read it may not have come.
                    Some(_) => assert!(told > 0),
                    // All of it was made.
                    None if is_declared => assert!(told > cost(10, 2_000_000), "{told}"),
                    None => assert!(told > cost(10, 300_000), "{told}"),
                }
                let mine = get(router.addr(), "/_infermux/costs/caller/me").json();
                assert_eq!(nano(mine["total_usd"].as_f64().unwrap()), told);
                assert_eq!(mine["requests"], 1);
                router.wait_for_log("\"error\":\"overloaded\"");
                assert_eq!(logged(&router, "cost_usd"), told);
                assert_eq!(nano(metric(router.addr(), FAILED, &[])), 0);
                assert_eq!(beta.stats().requests, 0);
            }
        }
    }
}
