//! The JSON Schema of `infermux.yml`, tested with a validator that infermux does not use itself.

#[path = "support/configurations.rs"]
mod configurations;

use infermux::testing::config::raw::{Node, schema, yaml};
use serde_json::{Map, Value, json};

#[test]
fn the_schema_is_one_of_its_draft() {
    let schema = schema::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    jsonschema::draft202012::meta::validate(&schema).unwrap();
}

#[test]
fn every_configuration_of_ours_keeps_to_the_schema() {
    let all = configurations::all();
    assert!(all.len() >= 12, "{} configurations found", all.len());
    for (name, text) in all {
        assert_eq!(faults(&quoted(&text)), [""; 0], "{name}, all quoted");
        // One published form of `budgets` is no YAML, and no editor reads it.
        if let Ok(typed) = serde_yaml::from_str::<Value>(&text) {
            assert_eq!(faults(&typed), [""; 0], "{name}");
        }
    }
}

#[test]
fn values_may_be_typed_quoted_variable_or_absent() {
    for server in [
        "{max_connections: 10, header_timeout: 1.5s, cores: 3}",
        "{max_connections: '10', header_timeout: '500ms', cores: '2-5,8'}",
        "{max_connections: 1e3, cores: '0'}",
        "{max_connections: '${MOST:-10}', header_timeout: '${TIME}', cores: '${CORES}'}",
        "{max_connections: , header_timeout: null, cores: ''}",
    ] {
        check(&format!("{PROVIDERS}server: {server}\n"), None);
    }
    for rest in [
        "budgets: [{caller: a, monthly_usd: 12.50}]",
        "budgets: {state_file: /x, callers: [{caller: 7, monthly_usd: '${USD}'}]}",
        "pricing: {a: {gpt-4o: {input_per_million: 2.5, output_per_million: '10'}}}",
        "pricing: {a: }",
        "auth: {mode: '${MODE}', key: 12345}",
        "listen: '[::1]:8080'",
        "tls:",
    ] {
        check(&format!("{PROVIDERS}{rest}\n"), None);
    }
    check(
        "providers: [{name: a, type: ollama, models: [m, 5, {name: n, context_window: 1e5}]}]\n",
        None,
    );
}

#[test]
fn what_is_wrong_in_itself_is_found_at_its_place() {
    for (text, place) in [
        ("listen: ':8080'\n", ""),
        ("providers: {a: {type: openai}}\n", "/providers"),
        ("providers: [{name: a}]\n", "/providers/0"),
        (
            "providers: [{name: a, type: openay}]\n",
            "/providers/0/type",
        ),
        (
            "providers: [{name: [a], type: openai}]\n",
            "/providers/0/name",
        ),
        (
            "providers: [{name: a, type: openai, tiemout: 5s}]\n",
            "/providers/0",
        ),
        (
            "providers: [{name: a, type: openai, timeout: 5}]\n",
            "/providers/0/timeout",
        ),
        (
            "providers: [{name: a, type: openai, weight: 101}]\n",
            "/providers/0/weight",
        ),
        (
            "providers: [{name: a, type: openai, models: gpt-4o}]\n",
            "/providers/0/models",
        ),
        (
            "providers: [{name: a, type: openai, models: [{context_window: 5}]}]\n",
            "/providers/0/models/0",
        ),
        (
            "providers: [{name: a, type: openai, models: [{name: m, window: 5}]}]\n",
            "/providers/0/models/0",
        ),
        (
            "providers: [{name: a, type: openai, base_url: h}]\n",
            "/providers/0/base_url",
        ),
    ] {
        check(text, Some(place));
    }
    for (rest, place) in [
        ("rooting: {}", ""),
        ("listen: 8080", "/listen"),
        ("listen: '8080'", "/listen"),
        ("server: {shards: many}", "/server/shards"),
        ("server: {shards: 257}", "/server/shards"),
        ("server: {shards: 1.5}", "/server/shards"),
        ("server: []", "/server"),
        ("log: {timestamps: 1}", "/log/timestamps"),
        (
            "circuit_breaker: {error_rate_threshold: 1.5}",
            "/circuit_breaker/error_rate_threshold",
        ),
        (
            "circuit_breaker: {error_rate_threshold: 0}",
            "/circuit_breaker/error_rate_threshold",
        ),
        (
            "routing: {failover: {retry_budget: -1}}",
            "/routing/failover/retry_budget",
        ),
        ("budgets: [{caller: a}]", "/budgets/0"),
        (
            "budgets: [{caller: a, monthly_usd: 1, limit: 2}]",
            "/budgets/0",
        ),
        ("budgets: {callers: [a]}", "/budgets/callers/0"),
        ("pricing: {openai: {gpt-4o: 2.5}}", "/pricing/openai/gpt-4o"),
    ] {
        check(&format!("{PROVIDERS}{rest}\n"), Some(place));
    }
}

const PROVIDERS: &str = "providers: [{name: a, type: ollama}]\n";

/// Whether the schema accepts `text`, or where it finds its one fault; infermux must agree.
fn check(text: &str, fault: Option<&str>) {
    let document: Value = serde_yaml::from_str(text).expect("YAML");
    let found = faults(&document);
    match fault {
        Some(place) => assert_eq!(found, [place], "{text}"),
        None => assert_eq!(found, [""; 0], "{text}"),
    }
    let judged = configurations::judged(text);
    assert_eq!(judged.is_ok(), fault.is_none(), "{text}: {judged:?}");
}

/// Where the schema finds faults.
fn faults(document: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema::schema()).expect("a schema");
    let faults = validator.iter_errors(document);
    faults.map(|one| one.instance_path.to_string()).collect()
}

/// The document with every single value as a text.
fn quoted(text: &str) -> Value {
    mapping(&yaml::parse(text).expect("YAML"))
}

fn mapping(entries: &[(String, Node)]) -> Value {
    let fields = entries.iter();
    let fields: Map<String, Value> = fields
        .map(|(key, node)| (key.clone(), value(node)))
        .collect();
    Value::Object(fields)
}

fn value(node: &Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Scalar(scalar) => json!(scalar.text),
        Node::List(items) => items.iter().map(value).collect(),
        Node::Map(entries) => mapping(entries),
    }
}
