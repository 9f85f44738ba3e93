//! Limits and budgets of keys, of their models and of teams: each key of the configuration shows
//! its effect. How exactly they hold is for the tests beside.

use infermux::testing::base::digest::Digest;
use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

/// A provider whose answers to [`body`] cost a cent: 10 tokens of prompt and 10 of answer.
fn alpha() -> Mock {
    let mock = mock(json!({"name": "alpha"}));
    mock.set_script(script()).expect("a script");
    mock
}

fn script() -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": 10, "usage": "always"})
}

/// A request whose estimate is what it will use.
fn body(of: fn(&str) -> String, model: &str) -> String {
    let mut body: Value = serde_json::from_str(&of("10 bytes..")).expect("JSON");
    body["max_tokens"] = json!(10);
    body["model"] = json!(model);
    body.to_string()
}

/// A router with the keys `k-one` and `k-two`, both of the team `t`: what is added to each.
fn router(mock: &Mock, [one, two, team]: [&str; 3]) -> Router {
    let key = |name: &str, rest: &str| {
        let digest = Digest::of(format!("k-{name}").as_bytes());
        format!("    - {{name: {name}, team: t, hash: 'sha256:{digest}'{rest}}}\n")
    };
    let keys = [key("one", one), key("two", two)].concat();
    let rest = format!(
        "auth:\n  mode: keys\n  keys:\n{keys}teams: [{{name: t{team}}}]\n\
         pricing:\n  alpha:\n    m: {{input_per_million: 500, output_per_million: 500}}\n    \
         n: {{input_per_million: 50, output_per_million: 50}}\n"
    );
    Router::start(&config_of(&[provider(mock, &["models: [m, n]"])], &rest))
}

fn ask(router: &Router, key: &str, model: &str) -> Answer {
    let mut client = Client::connect(router.addr());
    let headers = format!("Authorization: Bearer k-{key}\r\n");
    client.post_with("/v1/chat/completions", &headers, &body(chat, model));
    client.answer()
}

/// How many requests with the key are served, up to ten, and the answer that refuses the next one.
fn served(router: &Router, key: &str) -> (usize, Option<Answer>) {
    for served in 0..10 {
        let answer = ask(router, key, "m");
        if answer.status != 200 {
            return (served, Some(answer));
        }
    }
    (10, None)
}

/// Checks that a limit refuses by its name, and that with `enforce: false` nothing is refused.
fn check_limit(limit: &str, count: usize) {
    let (name, _) = limit.split_once(':').expect("a name and a number");
    for (fields, scope) in [
        ([format!(", limits: {{{limit}}}"), String::new()], "key one"),
        ([String::new(), format!(", limits: {{{limit}}}")], "team t"),
        (
            [
                format!(", per_model: [{{models: ['m*'], limits: {{{limit}}}}}]"),
                String::new(),
            ],
            "key one, model m*",
        ),
    ] {
        let alpha = alpha();
        let router = router(&alpha, [&fields[0], "", &fields[1]]);
        let (served, refused) = served(&router, "one");
        let refused = refused.expect("a refusal");
        assert_eq!(
            (served, refused.code()),
            (count, "rate_limit".into()),
            "{limit}"
        );
        let error = &refused.json()["error"];
        assert_eq!(
            (&error["scope"], &error["limit"]),
            (&json!(scope), &json!(name))
        );
        // What a team has used, all of its keys have.
        let other = ask(&router, "two", "m").status;
        assert_eq!(other, if scope == "team t" { 429 } else { 200 }, "{scope}");
    }
    let alpha = alpha();
    let shadow = format!(", limits: {{{limit}, enforce: false}}");
    let (served, _) = served(&router(&alpha, [&shadow, "", &shadow]), "one");
    assert_eq!(served, 10, "{limit}");
}

#[test]
fn limits_of_a_minute_and_of_a_day_refuse_by_their_names() {
    for (limit, count) in [
        ("requests_per_minute: 3", 3),
        ("tokens_per_minute: 40", 2),
        ("requests_per_day: 4", 4),
        ("tokens_per_day: 60", 3),
    ] {
        check_limit(limit, count);
    }
}

#[test]
fn so_many_requests_are_under_way_at_once() {
    for scope in ["key one", "team t"] {
        let alpha = alpha();
        let stall = json!({"do": "stall_mid_stream", "events": 3});
        alpha.set_script(stall).expect("a script");
        let limit = ", limits: {max_in_flight: 1}";
        let fields = if scope == "team t" {
            ["", "", limit]
        } else {
            [limit, "", ""]
        };
        let router = router(&alpha, fields);
        let mut first = Client::connect(router.addr());
        let headers = "Authorization: Bearer k-one\r\n";
        first.post_with("/v1/chat/completions", headers, &body(streamed_chat, "m"));
        eventually("the stream is under way", || alpha.stats().in_flight == 1);
        let refused = ask(&router, "one", "m");
        assert_eq!(refused.code(), "rate_limit", "{}", refused.text());
        let error = &refused.json()["error"];
        assert_eq!(error["scope"], scope);
        assert_eq!(error["limit"], "max_in_flight");
        alpha.set_script(script()).expect("a script");
        drop(first);
        eventually("its place is free", || {
            ask(&router, "one", "m").status == 200
        });
    }
}

#[test]
fn budgets_of_keys_and_teams_hold_side_by_side() {
    for per in ["day", "week", "month", "total"] {
        let alpha = alpha();
        let budget = format!(
            ", budgets: [{{usd: 5, per: total}}, {{usd: 0.02, per: {per}, action: hard_stop}}]"
        );
        let team = format!(", budgets: [{{usd: 0.05, per: {per}}}]");
        let router = router(&alpha, [&budget, "", &team]);
        let (count, refused) = served(&router, "one");
        assert_eq!(count, 2, "{per}");
        assert_eq!(
            refused.map(|one| one.code()).as_deref(),
            Some("budget_exceeded")
        );
        // The team's other key has what the first one has left.
        let (count, refused) = served(&router, "two");
        assert_eq!(count, 3, "{per}");
        assert_eq!(
            refused.map(|one| one.code()).as_deref(),
            Some("budget_exceeded")
        );
    }
}

#[test]
fn a_budget_that_alerts_or_is_not_enforced_refuses_nothing() {
    for (rest, told) in [("action: alert", true), ("enforce: false", false)] {
        let alpha = alpha();
        let budget = format!(", budgets: [{{usd: 0.02, per: day, {rest}}}]");
        let router = router(&alpha, [&budget, "", &budget]);
        assert_eq!(served(&router, "one").0, 10, "{rest}");
        if told {
            router.wait_for_log("a budget is used up");
        }
    }
}

#[test]
fn a_budget_of_certain_models_leads_to_another_one() {
    let alpha = alpha();
    let per_model = ", per_model: [{models: [x, 'm*'], budgets: [{usd: 0.02, per: month, \
                     action: model_override, model_override: n}]}]";
    let router = router(&alpha, [per_model, "", ""]);
    let model = |key: &str, model: &str| {
        let answer = ask(&router, key, model);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
            .header("x-infermux-model-override")
            .map(str::to_owned)
    };
    for expected in [None, None, Some("n"), Some("n")] {
        assert_eq!(model("one", "m").as_deref(), expected);
    }
    // Other models and other keys have nothing to do with it.
    assert_eq!(model("one", "n"), None);
    assert_eq!(model("two", "m"), None);
}
