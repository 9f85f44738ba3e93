//! The dashboard and the alerts of `tools/deploy` ask for metrics and labels that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use infermux::testing::report::metrics::{Kind, ROWS, Row};
use serde_json::Value;

use crate::support::promtool;
use crate::support::router::Folder;

/// What Prometheus itself puts on a series, and what a histogram's buckets have besides.
const GIVEN: [&str; 3] = ["job", "instance", "le"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools/deploy")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("a file")
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON")
}

/// The expression and the legend of every graph, with all variables filled in.
fn graphs() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let board = dashboard();
    let panels = board["panels"].as_array().expect("a list").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let targets = targets.map(|one| {
        let expr = text(&one["expr"]).replace("$__rate_interval", "5m");
        let expr = expr.replace("$instance", ".*").replace("$provider", ".*");
        (expr, text(&one["legendFormat"]))
    });
    targets.collect()
}

/// The expression and the texts of every alert.
fn alerts() -> Vec<(String, String)> {
    let rules: Value = serde_yaml::from_str(&read("alerts.yml")).expect("YAML");
    let groups = rules["groups"].as_array().expect("a list").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("a list").clone());
    let rules = rules.map(|rule| {
        let expr = rule["expr"].as_str().expect("text").to_owned();
        (
            expr,
            rule["annotations"].to_string().replace("$labels.", ""),
        )
    });
    rules.collect()
}

/// The words of an expression that could be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty())
}

/// The metric that a word names.
fn row(word: &str) -> Option<Row> {
    ROWS.into_iter().find(|row| match row.kind {
        Kind::Counter | Kind::Gauge => word == row.name,
        Kind::Histogram => {
            let suffix = word.strip_prefix(row.name);
            suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
        }
    })
}

/// Label names that an expression matches by in the braces behind each of its metrics.
fn matched(expr: &str) -> Vec<(Row, String)> {
    let mut found = Vec::new();
    for (at, _) in expr.match_indices('{') {
        let name = words(&expr[..at]).last().expect("a metric");
        let row = row(name).unwrap_or_else(|| panic!("{name} is no metric"));
        let inside = expr[at + 1..].split('}').next().expect("an end");
        let matchers = inside.split(", ").map(|part| part.split(['=', '!']).next());
        found.extend(matchers.flatten().map(|label| (row, label.to_owned())));
    }
    found
}

/// Label names that an expression groups or joins by.
fn grouped(expr: &str) -> Vec<String> {
    let parts = ["by (", "on ("]
        .iter()
        .flat_map(|mark| expr.split(mark).skip(1));
    let lists = parts.map(|part| part.split(')').next().expect("an end"));
    lists
        .flat_map(|list| list.split(", ").map(str::to_owned))
        .collect()
}

/// Label names that a text fills in.
fn filled_in(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1);
    let filled_in = parts.filter_map(|part| part.split("}}").next());
    let names = filled_in.filter_map(|part| {
        let is_word_of_templates = |word: &&str| ["with", "if", "end"].contains(word);
        words(part).find(|word| !is_word_of_templates(word))
    });
    names
        .filter(|name| *name != "value")
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboard_and_alerts_name_only_what_there_is() {
    let all: Vec<_> = graphs().into_iter().chain(alerts()).collect();
    assert!(all.len() > 50, "only {} expressions found", all.len());
    let mut shown = BTreeSet::new();
    for (expr, text) in all {
        let named = words(&expr);
        let named =
            named.filter(|word| word.starts_with("infermux_") || word.starts_with("process_"));
        let rows: Vec<Row> = named
            .map(|name| row(name).unwrap_or_else(|| panic!("{name} is no metric: {expr}")))
            .collect();
        assert!(!rows.is_empty(), "{expr}");
        for (row, label) in matched(&expr) {
            let has = row.labels.contains(&&*label) || GIVEN.contains(&&*label);
            assert!(has, "{} has no label {label}: {expr}", row.name);
        }
        for label in grouped(&expr).iter().chain(&filled_in(&text)) {
            let has = rows.iter().any(|row| row.labels.contains(&&**label));
            assert!(
                has || GIVEN.contains(&&**label),
                "no label {label}: {expr} {text}"
            );
        }
        shown.extend(rows.iter().map(|row| row.name));
    }
    let unseen = ROWS.iter().filter(|row| !shown.contains(row.name));
    let unseen: Vec<&str> = unseen.map(|row| row.name).collect();
    assert!(unseen.is_empty(), "neither shown nor watched: {unseen:?}");
}

#[test]
fn prometheus_reads_every_expression_and_the_alerts_fire_when_they_should() {
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, (expr, _)) in graphs().iter().enumerate() {
        let expr = Value::from(expr.as_str());
        rules.push_str(&format!("  - {{record: 'graph:{number}', expr: {expr}}}\n"));
    }
    let scratch = Folder::new();
    scratch.write("dashboard.yml", rules);
    for (arguments, place) in [
        (["check", "rules", "dashboard.yml"], scratch.path()),
        (["check", "rules", "alerts.yml"], &folder()),
        (["test", "rules", "alerts-test.yml"], &folder()),
    ] {
        let said = promtool::complaints(&arguments, place, "");
        assert_eq!(said.unwrap_or_default(), "", "{arguments:?}");
    }
    let tested = read("alerts-test.yml");
    let alerts = read("alerts.yml");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let untested: Vec<&str> = names.filter(|name| !tested.contains(name)).collect();
    assert!(untested.is_empty(), "no test tries {untested:?}");
}

#[test]
fn the_dashboards_panels_do_not_overlap_and_have_their_own_numbers() {
    let board = dashboard();
    let (mut cells, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().expect("a list") {
        assert!(ids.insert(panel["id"].as_u64()), "{}", panel["title"]);
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        for x in side("x")..side("x") + side("w") {
            assert!(x < 24, "{}", panel["title"]);
            for y in side("y")..side("y") + side("h") {
                assert!(cells.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}
