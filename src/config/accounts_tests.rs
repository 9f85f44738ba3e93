//! Tests of accounts, from files on.

use super::*;
use crate::base::period::Per;
use crate::config::check::keys::Known;
use crate::config::{self, Environment, Options, Strictness};

fn options() -> Options<'static> {
    Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    }
}

/// The accounts of these teams, keys and budgets of callers, each a list in YAML; keys need no
/// hash.
fn accounts(teams: &str, keys: &[&str], budgets: &str) -> Accounts {
    let text =
        format!("providers: [{{name: p, type: ollama}}]\nteams: {teams}\nbudgets: {budgets}");
    let plan = config::load(&text, &options());
    let plan = plan.unwrap_or_else(|why| panic!("{why:?}")).plan;
    let entry = |(i, key): (usize, &&str)| {
        let hash = format!("{i:016x}").repeat(4);
        format!("- {{{key}, hash: 'sha256:{hash}'}}\n")
    };
    let text: String = keys.iter().enumerate().map(entry).collect();
    let keys = config::load_keys(&text, &Known::of(&plan), &options());
    let keys = keys.unwrap_or_else(|why| panic!("{why:?}"));
    let ring = Keyring::new(keys).expect("secrets differ");
    Accounts::new(&ring, &plan.teams, &plan.budgets)
}

/// Each account: its scope, the id of its limits, and its budgets' ids and periods.
fn shown(accounts: &Accounts) -> Vec<String> {
    let account = |one: &Account| {
        let mut text = one.scope.to_string();
        if let Some((id, _)) = one.limits {
            text.push_str(&format!(" limits={}", id.0));
        }
        for (id, budget) in &one.budgets {
            text.push_str(&format!(" {}={}", budget.per.name(), id.0));
        }
        text
    };
    accounts.all().iter().map(account).collect()
}

/// The scopes that a key's request for a model goes by.
fn passed(accounts: &Accounts, key: usize, model: &str) -> Vec<String> {
    let of_key = accounts.of_key(key).expect("a key");
    let places = of_key.team.into_iter().chain(of_key.key);
    let places = places.chain(of_key.of_model(model));
    let scope = |place| accounts.at(place).expect("a place").scope.to_string();
    places.map(scope).collect()
}

const LIMITS: &str = "limits: {max_in_flight: 1}";

#[test]
fn scopes_stand_in_order_and_only_those_that_limit_something() {
    let team =
        format!("[{{name: idle}}, {{name: t, {LIMITS}, budgets: [{{usd: 1, per: month}}]}}]");
    let keys = [
        "name: a, team: t, budgets: [{usd: 1, per: week}, {usd: 1, per: day}]",
        "name: free, team: idle",
        &format!("name: b, team: t, {LIMITS}, per_model: [{{models: [m, 'n*'], {LIMITS}}}]"),
    ];
    let accounts = accounts(&team, &keys, "[{caller: c, monthly_usd: 1}]");
    assert_eq!(
        shown(&accounts),
        [
            "team t limits=0 month=0",
            "key a week=1 day=2",
            "key b limits=1",
            "key b, model m, n* limits=2",
            "caller c month=3",
        ]
    );
    assert_eq!(accounts.of_key(1), Some(&KeyAccounts::default()));
    assert_eq!(accounts.of_key(3), None);
    let caller = accounts.of_caller("c").and_then(|place| accounts.at(place));
    let budget = caller.map(|account| account.budgets[0].1.per);
    assert_eq!(budget, Some(Per::Month));
    assert_eq!(accounts.of_caller("a"), None, "a key is no caller");
    assert!(!accounts.is_empty());
}

#[test]
fn a_request_goes_by_every_entry_that_matches_its_model() {
    let entries = ["'gpt-*'", "gpt-4o", "'*'", "claude, 'gpt-4o*'"];
    let entries = entries.map(|models| format!("{{models: [{models}], {LIMITS}}}"));
    let key = format!(
        "name: a, team: t, {LIMITS}, per_model: [{}]",
        entries.join(", ")
    );
    let accounts = accounts(
        &format!("[{{name: t, {LIMITS}}}]"),
        &[&key, "name: b, team: t"],
        "[]",
    );
    let [of_gpt, of_4o, of_all, of_both] =
        ["gpt-*", "gpt-4o", "*", "claude, gpt-4o*"].map(|models| format!("key a, model {models}"));
    for (model, expected) in [
        ("gpt-4o", vec![&of_gpt, &of_4o, &of_all, &of_both]),
        ("gpt-4o-mini", vec![&of_gpt, &of_all, &of_both]),
        ("claude", vec![&of_all, &of_both]),
        ("llama", vec![&of_all]),
    ] {
        let found = passed(&accounts, 0, model);
        assert_eq!(found[..2], ["team t", "key a"], "{model}");
        assert_eq!(found[2..].iter().collect::<Vec<_>>(), expected, "{model}");
        assert_eq!(passed(&accounts, 1, model), ["team t"]);
    }
}

#[test]
fn without_limits_and_budgets_there_is_nothing() {
    let accounts = accounts("[{name: t}]", &["name: a, team: t"], "[]");
    assert!(accounts.is_empty() && accounts.at(0).is_none());
    assert_eq!(Accounts::default().of_key(0), None);
}
