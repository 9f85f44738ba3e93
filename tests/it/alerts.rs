//! The alerts of `tools/deploy` fire on what a router itself tells in that state, and not a minute
//! before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::load::{ask, ask_as};
use crate::support::operate::get;
use crate::support::promtool;
use crate::support::router::{Folder, Router};
use crate::support::{chat, config_of, config_with, eventually, mock, provider};

/// What a router tells of itself in some state: each series with its value, as it is scraped.
fn scraped(router: &Router) -> BTreeMap<String, f64> {
    let text = get(router.management(), "/_infermux/metrics").text();
    let lines = text.lines().filter(|line| line.starts_with("infermux_"));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs
        .filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?)))
        .collect()
}

/// One alert, and the states that a router was in, minute by minute.
struct Story<'a> {
    alert: &'a str,
    /// The labels that it fires with.
    labels: Value,
    states: Vec<&'a BTreeMap<String, f64>>,
    /// The minute in which it fires, and not in the one before.
    fires: usize,
}

impl Story<'_> {
    /// Has `promtool` try it.
    fn check(&self) {
        let Self {
            alert,
            labels,
            states,
            fires,
        } = self;
        let mut all: BTreeSet<&String> = BTreeSet::new();
        all.extend(states.iter().flat_map(|state| state.keys()));
        let series: Vec<Value> = all
            .into_iter()
            .map(|name| {
                let values = states.iter().map(|state| match state.get(name) {
                    Some(value) => value.to_string(),
                    None => "_".to_owned(),
                });
                let values = values.collect::<Vec<_>>().join(" ");
                let own = "job=\"i\",instance=\"a\"";
                let series = match name.split_once('{') {
                    Some((name, labels)) => format!("{name}{{{own},{labels}"),
                    None => format!("{name}{{{own}}}"),
                };
                json!({"series": series, "values": values})
            })
            .collect();
        let fired = json!([{"exp_labels": labels}]);
        let at = |minute: usize, alerts: &Value| {
            let time = format!("{minute}m");
            json!({"eval_time": time, "alertname": alert, "exp_alerts": alerts})
        };
        // Texts are tried elsewhere: here they are taken out of the rules.
        let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools/deploy/alerts.yml");
        let rules = std::fs::read_to_string(place).expect("a file");
        let mut rules: Value = serde_yaml::from_str(&rules).expect("YAML");
        for rule in rules["groups"][0]["rules"].as_array_mut().expect("a list") {
            rule.as_object_mut()
                .expect("a mapping")
                .remove("annotations");
        }
        let test = json!({
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1m",
            "tests": [{
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [at(fires - 1, &json!([])), at(*fires, &fired)],
            }],
        });
        let scratch = Folder::new();
        scratch.write("rules.yml", rules.to_string());
        scratch.write("test.yml", test.to_string());
        let said = promtool::complaints(&["test", "rules", "test.yml"], scratch.path(), "");
        assert_eq!(said.unwrap_or_default(), "", "{alert}");
    }
}

#[test]
fn a_circuit_that_goes_back_and_forth_is_told_of() {
    let alpha = mock(json!({"name": "alpha", "answers": [500]}));
    let breaker = "circuit_breaker: {consecutive_failures: 1, recovery_window: 100ms}";
    let router = Router::start(&config_with(&alpha, &[breaker]));
    let closed = scraped(&router);
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    let name = "infermux_circuit_state{provider=\"alpha\"}";
    let in_state = |state: f64| {
        let mut found = BTreeMap::new();
        eventually("the circuit goes back and forth", || {
            found = scraped(&router);
            if found[name] != state && state == 2.0 {
                ask(router.addr(), &chat("x"));
            }
            found[name] == state
        });
        found
    };
    let (half_open, open) = (in_state(1.0), in_state(2.0));
    let mut states = vec![&closed; 3];
    for _ in 0..6 {
        states.extend([&open, &half_open]);
    }
    Story {
        alert: "InfermuxCircuitOpen",
        labels: json!({"severity": "warning", "job": "i", "instance": "a", "provider": "alpha"}),
        states,
        // Three minutes closed, then five on the way.
        fires: 8,
    }
    .check();
}

#[test]
fn a_budget_that_refuses_before_it_is_empty_is_told_of() {
    let usage = json!({"usage": "always", "prompt_tokens": 1000, "completion_tokens": 0});
    let mut script = usage;
    script["name"] = json!("alpha");
    let alpha = mock(script);
    let rest = "pricing: {alpha: {m: {input_per_million: 990, output_per_million: 0}}}\n\
                budgets: [{caller: team, monthly_usd: 1, action: hard_stop}]\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], rest));
    let ask = || ask_as(router.addr(), "team", &chat(&"x".repeat(80)));
    assert_eq!(ask().status, 200);
    let before = scraped(&router);
    assert_eq!(ask().status, 429);
    let after = scraped(&router);
    let used = |state: &BTreeMap<String, f64>| state["infermux_budget_spent_usd{caller=\"team\"}"];
    assert_eq!(
        (used(&before), used(&after)),
        (0.99, 0.99),
        "it is not empty"
    );
    Story {
        alert: "InfermuxBudgetUsedUp",
        labels: json!({"severity": "warning", "job": "i", "caller": "team"}),
        states: [vec![&before; 5], vec![&after; 5]].concat(),
        fires: 5,
    }
    .check();
}

#[test]
fn a_limit_that_refuses_with_tokens_left_is_told_of() {
    let alpha = mock(
        json!({"name": "alpha", "usage": "always", "prompt_tokens": 20,
                            "completion_tokens": 940}),
    );
    let limits = "rate_limits: {tokens_per_minute: 1000}";
    let router = Router::start(&config_with(&alpha, &[limits]));
    let before = scraped(&router);
    let body = chat(&"x".repeat(400)).replacen('{', "{\"max_tokens\":800,", 1);
    assert_eq!(ask(router.addr(), &body).status, 200);
    let refused = ask(router.addr(), &body);
    assert_eq!((refused.status, refused.code()), (429, "rate_limit".into()));
    let after = scraped(&router);
    let left = after["infermux_rate_limit_headroom{provider=\"alpha\",kind=\"tokens\"}"];
    assert!(left > 0.0 && left < 100.0, "{left}");
    Story {
        alert: "InfermuxAtRateLimit",
        labels: json!({"severity": "warning", "job": "i", "instance": "a", "provider": "alpha",
                       "kind": "tokens"}),
        states: [vec![&before; 3], vec![&after; 8]].concat(),
        fires: 8,
    }
    .check();
}
