//! Tests of `shared`: what is read, and every fault with its line.

use crate::config::scope::Reach;
use crate::config::shared::OnLoss;
use crate::config::{self, Environment, Loaded, Options, Strictness};

const PROVIDERS: &str =
    "providers: [{name: a, type: ollama, rate_limits: {requests_per_minute: 5}}]\n";

fn load(shared: &str) -> Result<Loaded, String> {
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Strict,
    };
    let text = format!("{PROVIDERS}{shared}\n");
    config::load(&text, &options).map_err(|rejected| {
        let faults = rejected.faults().iter().map(ToString::to_string);
        faults.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn defaults_are_those_of_the_list_of_keys() {
    let loaded = load("shared: {url: 'redis://h', namespace: n}").expect("a good file");
    let shared = loaded.plan.shared.as_ref().expect("shared");
    let millis = [shared.sync, shared.wait, shared.member_ttl].map(|span| span.as_millis());
    assert_eq!(millis, [100, 50, 120_000]);
    assert_eq!(shared.on_loss_of_limits, OnLoss::Share);
    assert_eq!(shared.on_loss_of_budgets, OnLoss::Closed);
    assert_eq!(loaded.plan.providers[0].reach, Reach::Fleet);
    // Without a state file, each start is another instance.
    assert_eq!(loaded.warnings.len(), 1);
    let alone = load("").expect("a good file").plan;
    assert!(alone.shared.is_none());
    assert_eq!(alone.providers[0].reach, Reach::Instance);
}

#[test]
fn every_fault_has_its_line_and_no_password_is_told() {
    for (shared, expected) in [
        (
            "shared: {namespace: n}",
            "line 2: shared.url: is required, or `urls`",
        ),
        (
            "shared: {url: 'redis://h'}",
            "line 2: shared.namespace: is required",
        ),
        (
            "shared:\n  url: 'redis://:hunter2@h/x'\n  namespace: n",
            "line 3: shared.url: the value has a path that is not the number of a database",
        ),
        (
            "shared: {urls: ['redis://h', 'rediss://i'], namespace: n}",
            "line 2: shared.urls: the nodes of one store have the same scheme and database",
        ),
        (
            "shared: {url: 'redis://h', urls: ['redis://i'], namespace: n}",
            "line 2: shared.urls: both `url` and `urls` are given: leave one out",
        ),
        (
            "shared: {url: 'redis://h', namespace: 'a b'}",
            "line 2: shared.namespace: `a b` has characters other than visible ASCII",
        ),
        (
            "shared: {url: 'redis://h', namespace: n, member_ttl: 4s}",
            "line 2: shared.member_ttl: `4s` is not between 5s and 24h",
        ),
        (
            "shared: {url: 'rediss://h', namespace: n, tls: {cert_file: c}}",
            "line 2: shared.tls.key_file: is required where shared.tls.cert_file is set",
        ),
        (
            "shared: ~",
            "line 2: shared: is empty: leave it out, or give it a value",
        ),
    ] {
        let told = load(shared).err().unwrap_or_default();
        assert!(told.contains(expected), "{shared}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
