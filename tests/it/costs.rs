//! What was spent, as operators see it: exact to the nano-dollar, by whom and when.

use std::net::SocketAddr;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::load::{ask_as, together};
use crate::support::operate::{get, metric};
use crate::support::router::{Folder, Router};
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

const PRICES: &str = "pricing:\n  \
    alpha: {m: {input_per_million: 3.7, output_per_million: 15.1}}\n  \
    beta: {m: {input_per_million: 1.3, output_per_million: 5.9}}\n";

/// Dollars in nano-dollars.
pub fn nano(dollars: &Value) -> u64 {
    let dollars = dollars
        .as_f64()
        .unwrap_or_else(|| panic!("{dollars} is no amount"));
    format!("{:.0}", dollars * 1e9).parse().expect("an amount")
}

/// What an answer says it cost, in nano-dollars.
pub fn told(answer: &Answer) -> u64 {
    let told = answer.header("x-infermux-cost");
    let told = told.or_else(|| answer.trailer("x-infermux-cost"));
    told.map_or(0, |told| nano(&told.parse().expect("a number")))
}

pub fn report(addr: SocketAddr, path: &str) -> Value {
    let answer = get(addr, &format!("/_infermux/{path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

pub fn named(name: &str, fields: &Value) -> Mock {
    let mut script = json!({"name": name, "models": ["m"], "record": false, "usage": "always"});
    for (key, value) in fields.as_object().expect("fields") {
        script[key] = value.clone();
    }
    mock(script)
}

fn config(alpha: &Mock, beta: &Mock, rest: &str) -> String {
    let providers = [
        provider(alpha, &["models: [m]"]),
        provider(beta, &["models: [m]"]),
    ];
    let routing = "routing: {failover: {retry_budget: 1}}\n";
    let rest = format!("{PRICES}{routing}log: {{format: json}}\nserver: {{shards: 2}}\n{rest}");
    config_of(&providers, &rest)
}

/// The costs of all lines about requests.
fn logged(router: &Router) -> Vec<u64> {
    let log = router.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["message"] == "request");
    lines
        .map(|line| match &line["cost_usd"] {
            Value::Null => 0,
            cost => nano(cost),
        })
        .collect()
}

/// One caller that asks in all the ways there are; what it was told.
fn mixed(addr: SocketAddr, number: usize) -> u64 {
    let caller = format!("team-{}", number % 7);
    let text = "word ".repeat(number % 50);
    let head = format!(
        "X-Infermux-Caller: {caller}\r\nX-Infermux-Project: p{}\r\nX-Infermux-Env: test\r\n",
        number % 3
    );
    let mut client = Client::connect(addr);
    let mut ask = |body: &str| {
        client.post_with("/v1/chat/completions", &head, body);
        let answer = client.answer();
        assert!(answer.complete && answer.status == 200, "{}", answer.text());
        told(&answer)
    };
    let told = ask(&chat(&text)) + ask(&streamed_chat(&text)) + ask(&chat(&text));
    // The fourth does not wait for its end.
    let mut client = Client::connect(addr);
    client.post_with("/v1/chat/completions", &head, &streamed_chat("cancelled"));
    let mut answer = client.head();
    client.chunk(&mut answer);
    told
}

#[test]
fn a_thousand_mixed_requests_add_up_to_the_nano_dollar() {
    // proves: counters.exact
    let alpha = named(
        "alpha",
        &json!({"answers": ["ok", 500, "ok", "ok"], "then": "loop"}),
    );
    let slow = json!({"event_interval_ms": 1, "prompt_tokens": 777, "events": 30});
    let beta = named("beta", &slow);
    let router = Router::start(&config(&alpha, &beta, ""));
    let addr = router.addr();
    let told: u64 = together(50, move |caller| -> u64 {
        (0..5).map(|turn| mixed(addr, caller * 5 + turn)).sum()
    })
    .into_iter()
    .sum();
    eventually("a line for each", || logged(&router).len() == 1_000);
    let costs = report(addr, "costs");
    let logged: u64 = logged(&router).iter().sum();
    assert!(told > 0 && logged >= told);
    assert_eq!(nano(&costs["total_usd"]), logged);
    let sum = |of: &Value| -> u64 { of.as_object().expect("an object").values().map(nano).sum() };
    assert_eq!(sum(&costs["by_provider"]), logged);
    assert_eq!(sum(&costs["by_model"]), logged);
    for (path, list) in [
        ("costs/by-caller", "callers"),
        ("costs/by-project", "projects"),
        ("costs/by-env", "envs"),
    ] {
        let report = report(addr, path);
        let all = report[list].as_array().expect("a list");
        let spent: u64 = all.iter().map(|one| nano(&one["total_usd"])).sum();
        assert_eq!(spent, logged, "{path}");
        let requests = |one: &Value| one["requests"].as_u64().expect("a number");
        let requests: u64 = all.iter().map(requests).sum();
        assert_eq!(requests, costs["requests"], "{path}");
    }
    let metric_cost = metric(addr, "infermux_cost_usd_total", &[]);
    assert_eq!(format!("{:.0}", metric_cost * 1e9), logged.to_string());
    let requests = metric(addr, "infermux_requests_total", &[]);
    assert_eq!(requests, 1_000.0);
    let whole = metric(addr, "infermux_requests_total", &["status=\"200\""]);
    let left = metric(addr, "infermux_requests_total", &["status=\"499\""]);
    assert_eq!(whole + left, 1_000.0);
    let status = report(addr, "status");
    assert_eq!(status["requests_total"], 1_000);
    let series = report(addr, "costs/timeseries?hours=1&bucket=1m");
    let buckets = series["buckets"].as_array().expect("a list");
    assert_eq!(buckets.len(), 60);
    assert_eq!(
        buckets
            .iter()
            .map(|one| nano(&one["cost_usd"]))
            .sum::<u64>(),
        logged
    );
}

#[test]
fn an_answer_that_has_ended_is_in_the_next_report_of_any_shard() {
    let alpha = named("alpha", &json!({}));
    let beta = named("beta", &json!({}));
    let router = Router::start(&config(&alpha, &beta, ""));
    for number in 1..=60_u64 {
        let body = if number.is_multiple_of(2) {
            chat("x")
        } else {
            streamed_chat("x")
        };
        assert!(ask_as(router.addr(), "me", &body).complete);
        // Each question comes on a fresh connection, on either shard.
        let costs = report(router.addr(), "costs/caller/me");
        assert_eq!(costs["requests"], number);
        assert_eq!(
            metric(router.addr(), "infermux_requests_total", &[]).to_string(),
            number.to_string()
        );
    }
}

#[test]
fn callers_are_shown_with_their_budgets_and_the_rest_apart() {
    let (alpha, beta) = (
        named(
            "alpha",
            &json!({"prompt_tokens": 1_000_000, "completion_tokens": 10}),
        ),
        named("beta", &json!({"refuse": true})),
    );
    let budgets = "budgets: [{caller: rich, monthly_usd: 100, action: hard_stop}, \
        {caller: poor, monthly_usd: 1, action: alert}]\n";
    let router = Router::start(&config(&alpha, &beta, budgets));
    for caller in ["poor", "free", "poor"] {
        assert_eq!(ask_as(router.addr(), caller, &chat("x")).status, 200);
    }
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("x")).status, 200);
    let found = report(router.addr(), "costs/by-caller");
    let one = 3.700151;
    let callers = json!([
        {"caller": "(none)", "total_usd": one, "requests": 1,
         "prompt_tokens": 1_000_000, "completion_tokens": 10},
        {"caller": "free", "total_usd": one, "requests": 1,
         "prompt_tokens": 1_000_000, "completion_tokens": 10},
        {"caller": "poor", "total_usd": 2.0 * one, "budget_usd": 1,
         "budget_remaining_usd": 1.0 - 2.0 * one, "requests": 2,
         "prompt_tokens": 2_000_000, "completion_tokens": 20},
        {"caller": "rich", "total_usd": 0, "budget_usd": 100, "budget_remaining_usd": 100,
         "requests": 0, "prompt_tokens": 0, "completion_tokens": 0},
    ]);
    assert_eq!(found["callers"], callers);
    let period = found["period"].as_str().expect("a month");
    assert!(period.len() == 7 && period.starts_with("20"), "{period}");
    let rich = report(router.addr(), "costs/caller/rich");
    assert_eq!(
        (&rich["caller"], &rich["budget_usd"]),
        (&json!("rich"), &json!(100))
    );
    let nobody = report(router.addr(), "costs/caller/no%20body");
    assert_eq!(
        (&nobody["caller"], &nobody["requests"]),
        (&json!("no body"), &json!(0))
    );
    let models = report(router.addr(), "costs/by-model");
    assert_eq!(models["by_model"]["m"]["requests"], 4);
    for path in ["costs/timeseries?hours=0", "costs/timeseries?bucket=7s"] {
        let answer = get(router.addr(), &format!("/_infermux/{path}"));
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_request".into()),
            "{path}"
        );
    }
}

#[test]
fn a_model_without_a_price_costs_nothing_and_is_told_of_once() {
    let (alpha, beta) = (named("alpha", &json!({})), named("beta", &json!({})));
    let config = config(&alpha, &beta, "").replace(PRICES, "");
    let router = Router::start(&config);
    for _ in 0..20 {
        let answer = ask_as(router.addr(), "me", &chat("x"));
        assert_eq!(answer.header("x-infermux-cost"), Some("0"));
    }
    let unpriced = metric(router.addr(), "infermux_unpriced_requests_total", &[]);
    assert_eq!(unpriced.to_string(), "20");
    let warning = "the model's price is not known";
    router.wait_for_log(warning);
    // One for each provider, whichever shards served them.
    assert_eq!(router.log().matches(warning).count(), 2);
    let costs = report(router.addr(), "costs");
    assert_eq!(
        (&costs["requests"], &costs["total_usd"]),
        (&json!(20), &json!(0))
    );
}

#[test]
fn totals_and_timeline_survive_a_restart() {
    // proves: state.survives
    let folder = Folder::new();
    let (alpha, beta) = (named("alpha", &json!({})), named("beta", &json!({})));
    let state = folder.path().join("state.json");
    let rest = format!(
        "budgets: {{state_file: {}, callers: []}}\n",
        state.display()
    );
    let config = config(&alpha, &beta, &rest);
    let mut router = Router::start(&config);
    for caller in ["a", "b", "a"] {
        assert!(ask_as(router.addr(), caller, &chat("some words")).complete);
    }
    let all = [
        "costs",
        "costs/by-caller",
        "costs/by-model",
        "costs/by-project",
        "costs/by-env",
    ];
    let before = all.map(|path| report(router.addr(), path));
    let spent = |series: &Value| -> u64 {
        let buckets = series["buckets"].as_array().expect("a list");
        buckets.iter().map(|one| nano(&one["cost_usd"])).sum()
    };
    let series = spent(&report(router.addr(), "costs/timeseries"));
    assert!(series > 0);
    router.signal("TERM");
    assert!(router.wait().success());
    let mut router = Router::start(&config);
    assert_eq!(all.map(|path| report(router.addr(), path)), before);
    assert_eq!(spent(&report(router.addr(), "costs/timeseries")), series);
    // A kill loses at most what the last tenth of a second has brought.
    assert!(ask_as(router.addr(), "a", &chat("some words")).complete);
    let total = nano(&report(router.addr(), "costs")["total_usd"]);
    eventually("the state is written", || {
        let text = std::fs::read_to_string(&state).expect("a state");
        let state: Value = serde_json::from_str(&text).expect("JSON");
        let months = state["months"].as_object().expect("months");
        months.values().any(|month| month["all"][0] == total)
    });
    router.signal("KILL");
    // The file's lock ends with the process.
    assert!(!router.wait().success());
    let router = Router::start(&config);
    assert_eq!(nano(&report(router.addr(), "costs")["total_usd"]), total);
}
