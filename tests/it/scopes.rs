//! Limits and budgets of teams, keys, keys' models and callers: exact over all shards, whoever
//! refuses, and kept over days and restarts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::caller_keys::entry;
use crate::support::calendar;
use crate::support::client::{Answer, Client};
use crate::support::load::together;
use crate::support::router::{Folder, Router, Start};
use crate::support::{
    chat, config_of, eventually, mock, provider, streamed_chat, wait_for_requests,
};

/// What a request of these tests costs, in nano-dollars: a cent for 20 tokens.
pub const CENT: u64 = 10_000_000;
/// The shards with which the promises are looked at.
const SHARDS: [usize; 3] = [1, 2, 4];

/// A provider whose answers have 10 tokens, to prompts of 10.
pub fn alpha(more: Value) -> Mock {
    let mut script = more;
    script["name"] = json!("alpha");
    script["prompt_tokens"] = json!(10);
    script["completion_tokens"] = json!(10);
    script["usage"] = json!("always");
    mock(script)
}

/// A request that costs a cent, and is estimated at that.
pub fn plain() -> String {
    bounded(&chat("10 bytes.."))
}

/// The same, as a stream.
pub fn streamed() -> String {
    bounded(&streamed_chat("10 bytes.."))
}

fn bounded(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    body["max_tokens"] = json!(10);
    body.to_string()
}

/// A configuration with these keys, whose secrets are `k-` and their names; the model `n` costs a
/// tenth of `m`.
pub fn config(mock: &Mock, keys: &[(&str, &str)], rest: &str) -> String {
    let keys = keys
        .iter()
        .map(|(name, rest)| format!("    {}", entry(name, &format!("k-{name}"), rest)));
    let keys: String = keys.collect();
    let rest = format!(
        "pricing:\n  alpha:\n    m: {{input_per_million: 500, output_per_million: 500}}\n    \
         n: {{input_per_million: 50, output_per_million: 50}}\n\
         auth:\n  mode: keys\n  keys:\n{keys}{rest}"
    );
    config_of(&[provider(mock, &["models: [m, n]"])], &rest)
}

pub fn ask(addr: SocketAddr, key: &str, body: &str) -> Answer {
    let mut client = Client::connect(addr);
    let headers = format!("Authorization: Bearer k-{key}\r\n");
    client.post_with("/v1/chat/completions", &headers, body);
    let answer = client.answer();
    assert!(answer.complete, "{}", answer.text());
    answer
}

/// What refused a request: the code, the scope, and the limit or the period.
pub fn refused_by(answer: &Answer) -> (String, String, String) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{}", answer.text());
    let error = answer.json()["error"].clone();
    // What is spent of a budget for all time never comes back.
    let comes_back = error["per"] != "total";
    assert_eq!(error["retry_after_ms"].is_number(), comes_back, "{error}");
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("scope"), text("limit") + &text("per"))
}

fn by(code: &str, scope: &str, which: &str) -> (String, String, String) {
    (code.to_owned(), scope.to_owned(), which.to_owned())
}

/// A number that a head tells.
pub fn number(answer: &Answer, name: &str) -> u64 {
    let told = answer.header(name).and_then(|text| text.parse().ok());
    told.unwrap_or_else(|| panic!("{name}: {:?}", answer.header(name)))
}

/// An amount like `0.01` in nano-dollars.
fn nano(amount: &str) -> u64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{part:0<9}").parse().expect("an amount")
}

/// What is left of a budget, in nano-dollars.
pub fn left(answer: &Answer) -> u64 {
    nano(
        answer
            .header("x-infermux-budget-remaining")
            .expect("a budget"),
    )
}

// proves: limit.never-over
#[test]
fn many_at_once_pass_a_keys_limit_exactly() {
    for shards in SHARDS {
        let alpha = alpha(json!({}));
        let keys = [("web", ", limits: {requests_per_minute: 100}")];
        let rest = format!("server: {{shards: {shards}}}\n");
        let router = Router::start(&config(&alpha, &keys, &rest));
        let addr = router.addr();
        let answers = together(500, move |number| {
            let body = if number.is_multiple_of(2) {
                plain()
            } else {
                streamed()
            };
            ask(addr, "web", &body)
        });
        let (served, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((served.len(), refused.len()), (100, 400), "{shards} shards");
        for answer in refused {
            let expected = by("rate_limit", "key web", "requests_per_minute");
            assert_eq!(refused_by(answer), expected);
            assert_eq!(number(answer, "x-ratelimit-limit-requests"), 100);
        }
        assert_eq!(alpha.stats().requests, 100, "{shards} shards");
    }
}

// proves: budget.never-over
#[test]
fn many_keys_of_a_team_spend_its_budget_and_no_more() {
    for shards in SHARDS {
        let alpha = alpha(json!({"latency_ms": 3}));
        let keys = [("a", ", team: t"), ("b", ", team: t")];
        let rest = format!(
            "teams: [{{name: t, budgets: [{{usd: 1, per: month}}]}}]\n\
             server: {{shards: {shards}}}\n"
        );
        let router = Router::start(&config(&alpha, &keys, &rest));
        let addr = router.addr();
        let told: u64 = together(500, move |number| {
            let key = ["a", "b"][number % 2];
            let body = if number.is_multiple_of(3) {
                streamed()
            } else {
                plain()
            };
            keep_asking(addr, key, &body)
        })
        .into_iter()
        .sum();
        assert!(told <= 101 * CENT, "{told}: more than one request too much");
        assert!(told > 99 * CENT, "{told}: something was left");
        let last = ask(addr, "b", &plain());
        assert_eq!(refused_by(&last), by("budget_exceeded", "team t", "month"));
        let spent = last.json()["error"]["spent_usd"].to_string();
        assert_eq!(nano(&spent), told, "{shards} shards");
    }
}

/// Asks until it is answered or refused for good; what it cost.
fn keep_asking(addr: SocketAddr, key: &str, body: &str) -> u64 {
    loop {
        let answer = ask(addr, key, body);
        if answer.status == 200 {
            let told = answer.header("x-infermux-cost");
            let told = told.or_else(|| answer.trailer("x-infermux-cost"));
            return nano(told.expect("a cost"));
        }
        let (code, scope, _) = refused_by(&answer);
        assert_eq!((&*code, &*scope), ("budget_exceeded", "team t"));
        if answer.header("x-should-retry") == Some("false") {
            return 0;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

// proves: reservation.settled-once
#[test]
fn whoever_is_refused_by_one_scope_has_used_nothing_of_another() {
    let limits = "limits: {requests_per_minute: 1000, tokens_per_minute: 100000, \
                  requests_per_day: 2000, tokens_per_day: 90000, max_in_flight: 400}";
    for shards in SHARDS {
        let alpha = alpha(json!({}));
        let budgets = "budgets: [{usd: 50, per: day}, {usd: 60, per: total}]";
        // One key is refused by its limit, one by its budget; the third looks.
        let keys = [
            ("limited", ", team: t, limits: {requests_per_minute: 3}"),
            ("poor", ", team: t, budgets: [{usd: 0.03, per: month}]"),
            ("rich", ", team: t"),
        ];
        let rest =
            format!("teams: [{{name: t, {limits}, {budgets}}}]\nserver: {{shards: {shards}}}\n");
        let router = Router::start(&config(&alpha, &keys, &rest));
        let addr = router.addr();
        let answers = together(500, move |number| {
            let key = ["limited", "poor"][number % 2];
            (key, ask(addr, key, &plain()))
        });
        let mut served = 0;
        for (key, answer) in answers {
            match (answer.status, key) {
                (200, _) => served += 1,
                (_, "limited") => {
                    let expected = by("rate_limit", "key limited", "requests_per_minute");
                    assert_eq!(refused_by(&answer), expected);
                }
                (_, _) => {
                    assert_eq!(
                        refused_by(&answer),
                        by("budget_exceeded", "key poor", "month")
                    );
                }
            }
        }
        assert_eq!(served, alpha.stats().requests);
        assert!((4..=6).contains(&served), "{served}");
        let mut all = served;
        eventually("what was not used has come back", || {
            let answer = ask(addr, "rich", &plain());
            assert_eq!(answer.status, 200, "{}", answer.text());
            all += 1;
            assert_eq!(
                number(&answer, "x-ratelimit-remaining-requests"),
                1000 - all
            );
            assert_eq!(left(&answer), 5_000 * CENT - all * CENT);
            // The day's tokens are exact at once; the minute's come back when they are reported.
            number(&answer, "x-ratelimit-remaining-tokens") == 90_000 - 20 * all
        });
    }
}

#[test]
fn a_place_is_free_before_its_caller_can_ask_again() {
    let alpha = alpha(json!({"event_interval_ms": 1}));
    let keys = [("web", ", limits: {max_in_flight: 1}")];
    let router = Router::start(&config(&alpha, &keys, ""));
    let mut client = Client::connect(router.addr());
    for number in 0..60_u32 {
        let body = if number.is_multiple_of(2) {
            plain()
        } else {
            streamed()
        };
        let headers = "Authorization: Bearer k-web\r\n";
        client.post_with("/v1/chat/completions", headers, &body);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    }
    let stall = json!({"do": "stall_before_head"});
    alpha.set_script(stall).expect("a script");
    let mut waiting = Client::connect(router.addr());
    waiting.post_with(
        "/v1/chat/completions",
        "Authorization: Bearer k-web\r\n",
        &plain(),
    );
    wait_for_requests(&alpha, 61);
    let answer = ask(router.addr(), "web", &plain());
    assert_eq!(
        refused_by(&answer),
        by("rate_limit", "key web", "max_in_flight")
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(waiting);
    alpha.set_script(json!({})).expect("a script");
    eventually("the place of the one that left", || {
        ask(router.addr(), "web", &plain()).status == 200
    });
}

#[test]
fn a_budget_of_any_scope_may_have_another_model() {
    let budget = "budgets: [{usd: 0.02, per: month, action: model_override, model_override: n}]";
    let caller = "budgets: [{caller: web, monthly_usd: 0.02, action: model_override, \
                  model_override: n}]\n";
    let (none, of_n) = ("", "{models: [n], limits: {requests_per_minute: 1}}");
    for (team, key, models, rest) in [
        (budget, none, none, none),
        (none, budget, none, none),
        (none, none, budget, none),
        (none, none, none, caller),
    ] {
        let and = |text: &str| match text {
            "" => String::new(),
            _ => format!(", {text}"),
        };
        let of_m = if models.is_empty() {
            String::new()
        } else {
            format!("{{models: ['m*'], {models}}}, ")
        };
        let alpha = alpha(json!({}));
        // It may not ask for `n` itself.
        let web = format!(
            ", team: t, models: [m]{}, per_model: [{of_m}{of_n}]",
            and(key)
        );
        let keys = [("web", &*web), ("other", ", team: t")];
        let rest = format!(
            "teams: [{{name: t, limits: {{requests_per_minute: 10}}{}}}]\n{rest}",
            and(team)
        );
        let router = Router::start(&config(&alpha, &keys, &rest));
        let addr = router.addr();
        for _ in 0..2 {
            let answer = ask(addr, "web", &plain());
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-infermux-model-override"), None);
        }
        let answer = ask(addr, "web", &plain());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-infermux-model-override"), Some("n"));
        assert_eq!(answer.header("x-infermux-model"), Some("n"));
        assert_eq!(answer.header("x-infermux-cost"), Some("0.001"));
        // The other model's own limit counts now.
        let answer = ask(addr, "web", &plain());
        let expected = by("rate_limit", "key web, model n", "requests_per_minute");
        assert_eq!(refused_by(&answer), expected);
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), 0);
        let answer = ask(addr, "other", &plain());
        let counted = number(&answer, "x-ratelimit-remaining-requests");
        assert_eq!(counted, 10 - 4, "three were served before");
        assert_eq!(alpha.stats().requests, 4);
    }
}

#[test]
fn a_request_that_only_reservations_hold_up_is_served_by_the_other_model() {
    let stall = json!({"when": {"model": "m"}, "do": "stall_before_head"});
    let alpha = alpha(json!({"rules": [stall]}));
    let budget = "{usd: 0.01, per: day, action: model_override, model_override: n}";
    let keys = [("web", &*format!(", budgets: [{budget}]"))];
    let router = Router::start(&config(&alpha, &keys, ""));
    let mut waiting = Client::connect(router.addr());
    waiting.post_with(
        "/v1/chat/completions",
        "Authorization: Bearer k-web\r\n",
        &plain(),
    );
    wait_for_requests(&alpha, 1);
    let answer = ask(router.addr(), "web", &plain());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-model-override"), Some("n"));
    // Whoever asks for that model gets it as asked for.
    let answer = ask(router.addr(), "web", &plain().replace("\"m\"", "\"n\""));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-infermux-model-override"), None);
}

#[test]
fn what_is_not_enforced_counts_and_refuses_nothing() {
    let alpha = alpha(json!({}));
    let limits = "limits: {requests_per_minute: 1, tokens_per_day: 20, enforce: false}";
    let budgets = "budgets: [{usd: 0.01, per: day, enforce: false}, \
                   {usd: 0.01, per: month, action: alert}]";
    let web = format!(", {limits}, {budgets}");
    let router = Router::start(&config(&alpha, &[("web", &web)], ""));
    for _ in 0..5 {
        let answer = ask(router.addr(), "web", &plain());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
        assert_eq!(answer.header("x-infermux-model-override"), None);
    }
    // The log tells that it would have refused, once a minute.
    let told = || {
        let log = router.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("is not enforced would have refused"));
        let lines = lines.map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    eventually("a warning", || !told().is_empty());
    let told = told();
    let [line] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(
        line.contains("key web") && line.contains("requests_per_minute"),
        "{line}"
    );
}

// proves: state.survives
#[test]
fn after_a_kill_the_days_counts_and_all_spend_are_known() {
    SHARDS.into_iter().for_each(kill_and_start_again);
}

fn kill_and_start_again(shards: usize) {
    let folder = Folder::new();
    let state = folder.path().join("state.json");
    let alpha = alpha(json!({}));
    let web = ", team: t, limits: {requests_per_day: 5, tokens_per_day: 1000}, \
               budgets: [{usd: 10, per: day}, {usd: 9, per: total}]";
    let rest = format!(
        "teams: [{{name: t, budgets: [{{usd: 8, per: week}}]}}]\n\
         budgets: {{state_file: '{}'}}\nserver: {{shards: {shards}}}\n",
        state.display()
    );
    let config = config(&alpha, &[("web", web)], &rest);
    let mut router = Router::start(&config);
    for _ in 0..3 {
        assert_eq!(ask(router.addr(), "web", &plain()).status, 200);
    }
    eventually("it is written", || is_kept(&state, &[3, 60], 3 * CENT));
    router.signal("KILL");
    router.wait();
    let router = Router::start(&config);
    let answer = ask(router.addr(), "web", &plain());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), 1);
    assert_eq!(number(&answer, "x-ratelimit-remaining-tokens"), 1000 - 80);
    assert_eq!(left(&answer), 800 * CENT - 4 * CENT);
    assert_eq!(ask(router.addr(), "web", &plain()).status, 200);
    let answer = ask(router.addr(), "web", &plain());
    assert_eq!(
        refused_by(&answer),
        by("rate_limit", "key web", "requests_per_day")
    );
}

/// Whether a state file has these counts of a key's day, and this spend of each period.
fn is_kept(path: &Path, day: &[u64], spent: u64) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else {
        return false;
    };
    let state: Value = serde_json::from_str(&text).expect("a state is JSON at any time");
    let days = state["days"].as_object().into_iter().flatten();
    let rows = days.flat_map(|(_, rows)| rows.as_array().into_iter().flatten());
    let mut counts = rows.map(|row| row.as_array().map(|row| json!(row[3..])));
    let scopes = state["scopes"].as_array().into_iter().flatten();
    let periods = scopes.flat_map(|scope| scope[3].as_object().into_iter().flatten());
    let amounts: Vec<_> = periods.map(|(_, amount)| amount.as_u64()).collect();
    counts.any(|one| one == Some(json!(day))) && amounts == [Some(spent); 3]
}

// proves: limit.never-over
#[test]
fn a_day_a_week_and_a_month_turn_together() {
    // Each waits for the turn.
    std::thread::scope(|scope| {
        for shards in SHARDS {
            scope.spawn(move || turn(shards));
        }
    });
}

fn turn(shards: usize) {
    let alpha = alpha(json!({}));
    let budget = |per: &str| format!(", budgets: [{{usd: 0.02, per: {per}}}]");
    let [day, week, month, total] = ["day", "week", "month", "total"].map(budget);
    let keys = [
        ("count", ", limits: {requests_per_day: 2}"),
        ("tokens", ", limits: {tokens_per_day: 40}"),
        ("day", &*day),
        ("week", &*week),
        ("month", &*month),
        ("total", &*total),
    ];
    let rest = format!("server: {{shards: {shards}}}\n");
    let start = Start::with(&config(&alpha, &keys, &rest));
    // 15 seconds before the Monday that is the first of February 2027.
    let router = calendar::at(start, 1_801_439_985).go();
    let addr = router.addr();
    let which = |key: &str| match key {
        "count" => by("rate_limit", "key count", "requests_per_day"),
        "tokens" => by("rate_limit", "key tokens", "tokens_per_day"),
        per => by("budget_exceeded", &format!("key {per}"), per),
    };
    for (key, _) in keys {
        for _ in 0..2 {
            let answer = ask(addr, key, &plain());
            assert_eq!(answer.status, 200, "{key}: {}", answer.text());
        }
        let answer = ask(addr, key, &plain());
        assert_eq!(refused_by(&answer), which(key));
        let wait = answer.json()["error"]["retry_after_ms"].as_u64();
        let is_soon = wait.is_some_and(|wait| wait <= 15_000);
        assert_eq!(is_soon, key != "total", "{key}: {wait:?}");
    }
    for (key, _) in keys.iter().filter(|(key, _)| *key != "total") {
        eventually("the new day has begun", || {
            ask(addr, key, &plain()).status == 200
        });
        let answer = ask(addr, key, &plain());
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
        assert_eq!(refused_by(&ask(addr, key, &plain())), which(key));
    }
    assert_eq!(refused_by(&ask(addr, "total", &plain())), which("total"));
}
