//! Who gets a request.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{chat, config_of, last_seen, mock, provider};

/// Who answers `count` requests for `model`, each over a connection of its own.
fn served(router: &Router, model: &str, count: usize) -> Vec<String> {
    let body = chat("hello").replace("\"m\"", &format!("\"{model}\""));
    let one = |_| {
        let answer = Client::connect(router.addr()).chat(&body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let provider = answer.header("x-infermux-provider");
        provider.expect("a provider").to_owned()
    };
    (0..count).map(one).collect()
}

fn counted(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

// proves: rotation.exact
#[test]
fn round_robin_alternates_exactly_whatever_shard_a_connection_is_on() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "server: {shards: 2}\n"));
    let names = served(&router, "m", 100);
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    assert_eq!((alpha.stats().requests, beta.stats().requests), (50, 50));
}

#[test]
fn weights_share_out_round_robin() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let providers = [provider(&alpha, &["weight: 3"]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, ""));
    let names = served(&router, "m", 40);
    assert_eq!(counted(&names), [("alpha", 30), ("beta", 10)].into());
    assert!(
        !names
            .windows(4)
            .any(|four| four.iter().all(|name| name == "alpha")),
        "a heavy one does not come in one run: {names:?}"
    );
}

#[test]
fn random_spreads_by_weight() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let providers = [provider(&alpha, &["weight: 3"]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: random}\n"));
    let names = served(&router, "m", 200);
    // 150 expected, standard deviation 6.1: outside of six of them once in 500 million runs.
    let alpha = counted(&names)["alpha"];
    assert!((113..=187).contains(&alpha), "{alpha}");
    assert!(names.windows(2).any(|pair| pair[0] == pair[1]));
}

#[test]
fn priority_stays_with_the_first() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let providers = [provider(&beta, &[]), provider(&alpha, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    assert_eq!(counted(&served(&router, "m", 10)), [("beta", 10)].into());
}

#[test]
fn a_group_brings_its_strategy_and_its_providers() {
    let mocks = ["alpha", "beta", "gamma"].map(|name| mock(json!({"name": name})));
    let fields = ["models: [m, n]", "model_aliases: {quick: m, sly: n}"];
    let providers = mocks.each_ref().map(|mock| provider(mock, &fields));
    let groups = "routing:\n  groups:\n\
        \x20   - {name: first, models: [m], strategy: priority, providers: [gamma, alpha]}\n\
        \x20   - {name: second, models: [quick, n], providers: [beta]}\n";
    let router = Router::start(&config_of(&providers, groups));
    assert_eq!(counted(&served(&router, "m", 6)), [("gamma", 6)].into());
    assert_eq!(counted(&served(&router, "n", 4)), [("beta", 4)].into());
    // The first group that has the name, or the name it stands for, wins.
    assert_eq!(counted(&served(&router, "quick", 4)), [("gamma", 4)].into());
    assert_eq!(counted(&served(&router, "sly", 4)), [("beta", 4)].into());

    mocks[2]
        .set_script(json!({"refuse": true}))
        .expect("a script");
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
    assert_eq!(answer.header("x-infermux-route-group"), Some("first"));
    assert_eq!(answer.header("x-infermux-strategy"), Some("priority"));
    mocks[0]
        .set_script(json!({"refuse": true}))
        .expect("a script");
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(answer.status, 502, "beta is not in the group");
}

#[test]
fn each_provider_gets_its_own_name_for_an_alias() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let providers = [
        provider(&alpha, &["models: [a-1]", "model_aliases: {fast: a-1}"]),
        provider(&beta, &["-models", "model_aliases: {fast: b-1}"]),
    ];
    let router = Router::start(&config_of(&providers, ""));
    assert_eq!(
        counted(&served(&router, "fast", 4)),
        [("alpha", 2), ("beta", 2)].into()
    );
    assert_eq!(last_seen(&alpha)["body"]["model"], "a-1");
    assert_eq!(last_seen(&beta)["body"]["model"], "b-1");
    assert_eq!(counted(&served(&router, "a-1", 2)), [("alpha", 2)].into());
    assert_eq!(counted(&served(&router, "b-1", 2)), [("beta", 2)].into());
}

#[test]
fn what_nobody_claims_goes_to_open_providers_only() {
    let mocks = ["alpha", "beta", "gamma"].map(|name| mock(json!({"name": name})));
    let providers = [
        provider(&mocks[0], &[]),
        provider(&mocks[1], &["-models"]),
        provider(&mocks[2], &["-models"]),
    ];
    let router = Router::start(&config_of(&providers, ""));
    assert_eq!(counted(&served(&router, "m", 4)), [("alpha", 4)].into());
    let names = served(&router, "anything", 6);
    assert_eq!(counted(&names), [("beta", 3), ("gamma", 3)].into());
}

#[test]
fn a_provider_that_is_out_leaves_the_rotation_of_the_others_even() {
    let mocks = ["alpha", "beta", "gamma"].map(|name| mock(json!({"name": name})));
    mocks[1]
        .set_script(json!({"refuse": true}))
        .expect("a script");
    let providers = mocks.each_ref().map(|mock| provider(mock, &[]));
    let router = Router::start(&config_of(&providers, ""));
    let names = served(&router, "m", 30);
    let counts = counted(&names);
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!(!counts.contains_key("beta"));
}
