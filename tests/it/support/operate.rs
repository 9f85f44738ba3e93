//! The view and the actions of operators.

use std::net::SocketAddr;

use serde_json::Value;

use super::client::Answer;
use super::eventually;
use super::router::Router;

pub use super::client::{get, post};

/// What `/_infermux/providers` says of the provider called `name`.
pub fn provider_report(router: &Router, name: &str) -> Value {
    let answer = get(router.management(), "/_infermux/providers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = answer.json();
    let mut all = all.as_array().expect("a list").iter();
    all.find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("{name} is listed"))
        .clone()
}

/// The circuit of the provider called `name`.
pub fn circuit(router: &Router, name: &str) -> String {
    let report = provider_report(router, name);
    report["circuit"].as_str().expect("a word").to_owned()
}

/// Waits until the circuit of the provider called `name` is in this state.
pub fn wait_for_circuit(router: &Router, name: &str, state: &str) {
    eventually(&format!("{name} {state}"), || {
        circuit(router, name) == state
    });
}

/// Opens, closes or resets a circuit.
pub fn turn(router: &Router, name: &str, act: &str) -> Answer {
    let path = format!("/_infermux/providers/{name}/circuit/{act}");
    post(router.management(), &path)
}

/// The sum of a metric's series that have these labels.
pub fn metric(addr: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let answer = get(addr, "/_infermux/metrics");
    let text = answer.text();
    let lines = text.lines().filter(|line| {
        let is_named = line.split(['{', ' ']).next() == Some(name);
        is_named && labels.iter().all(|label| line.contains(label))
    });
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}
