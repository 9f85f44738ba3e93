//! Tests of limits and budgets, of keys and teams, from the text on.

use super::*;
use crate::base::limits::{KEYS_BUDGETS_MAX, KEYS_LIMITS_MAX, PER_MODEL_MAX};
use crate::config::check::keys::{self, Known};
use crate::config::faults::Findings;
use crate::config::keyring::CallerKey;
use crate::config::plan::{Auth, Plan};
use crate::config::{self, Environment, Lookup, Options, Strictness};

/// A digest, as a file has it.
const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn options() -> Options<'static> {
    Options {
        environment: Environment::Lookup(Lookup {
            variable: &|_| None,
            file: &|_| Ok(None),
        }),
        strict: Strictness::Strict,
    }
}

/// A file with one provider, one team, and one key to which `fields` are added.
fn file(of_team: &str, of_key: &str) -> String {
    format!(
        "providers: [{{name: one, type: openai, api_key: k, models: [gpt-4o, mini, 'o-*']}}]\n\
         teams: [{{name: t{of_team}}}]\n\
         auth: {{mode: keys, keys: [{{name: a, hash: '{HASH}', team: t{of_key}}}]}}\n"
    )
}

fn plan(of_team: &str, of_key: &str) -> Plan {
    let loaded = config::load(&file(of_team, of_key), &options());
    loaded
        .unwrap_or_else(|why| panic!("{of_team} {of_key}: {why:?}"))
        .plan
}

fn only_key(plan: &Plan) -> CallerKey {
    let Auth::Keys(listed) = &plan.auth else {
        panic!("no keys");
    };
    listed.keys[0].clone()
}

/// All that is told of a file, faults before warnings, without lines.
fn told(of_team: &str, of_key: &str) -> String {
    let found = match config::load(&file(of_team, of_key), &options()) {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.faults().to_vec(),
    };
    let sentence = |fault: &config::faults::Fault| format!("{}: {}", fault.path, fault.message);
    let sentences: Vec<String> = found.iter().map(sentence).collect();
    sentences.join("\n")
}

#[test]
fn every_limit_and_budget_reaches_the_plan() {
    let fields = ", limits: {requests_per_minute: 600, tokens_per_minute: 200000, \
                  requests_per_day: 50000, tokens_per_day: 20000000, max_in_flight: 20}, \
                  budgets: [{usd: 50, per: month}, {usd: 0.5, per: day, action: alert}, \
                  {usd: 0, per: total, enforce: false}, \
                  {usd: 9, per: week, action: model_override, model_override: o-3}]";
    let expected = Allowance {
        limits: Some(Limits {
            requests_per_minute: Some(600),
            tokens_per_minute: Some(200_000),
            requests_per_day: Some(50_000),
            tokens_per_day: Some(20_000_000),
            max_in_flight: Some(20),
            enforce: Enforce::Yes,
            reach: Reach::Fleet,
        }),
        budgets: [
            (50_000_000_000, Per::Month, BudgetAction::HardStop),
            (500_000_000, Per::Day, BudgetAction::Alert),
            (0, Per::Total, BudgetAction::HardStop),
            (9_000_000_000, Per::Week, BudgetAction::ModelOverride),
        ]
        .map(|(nano, per, action)| Budget {
            amount: NanoUsd::new(nano),
            per,
            action,
            model_override: (action == BudgetAction::ModelOverride).then(|| "o-3".into()),
            enforce: if per == Per::Total {
                Enforce::No
            } else {
                Enforce::Yes
            },
            reach: Reach::Fleet,
        })
        .into(),
    };
    let plan = plan(fields, fields);
    assert_eq!(plan.teams[0].allowance, expected);
    assert_eq!(only_key(&plan).allowance, expected);
    // The model of an override has a route, though no list of models names it.
    assert!(plan.routes.chat.contains_key("o-3"));
    let per_model = format!(", per_model: [{{models: ['o-*', 'gpt-4o']{fields}}}]");
    // The order in the file does not tell one entry from another.
    let key = only_key(&self::plan("", &per_model));
    assert_eq!(key.allowance, Allowance::default());
    assert_eq!(&*key.per_model[0].label(), "gpt-4o, o-*");
    assert_eq!(key.per_model[0].allowance, expected);
}

/// `infermux validate --no-environment` leaves variables as they are.
#[test]
fn a_limit_that_is_not_known_yet_counts_as_one() {
    let unresolved = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Strict,
    };
    let fields = ", limits: {max_in_flight: '${MOST}'}, budgets: [{usd: '${USD}', per: '${PER}'}]";
    for text in [file(fields, ""), file("", fields)] {
        let loaded = config::load(&text, &unresolved);
        assert!(loaded.is_ok_and(|loaded| loaded.warnings.is_empty()));
    }
}

#[test]
fn limits_that_only_count_say_so() {
    let limits = |fields: &str| {
        let plan = plan("", &format!(", limits: {{{fields}}}"));
        only_key(&plan).allowance.limits
    };
    let shadow = limits("max_in_flight: 1, enforce: false").map(|limits| limits.enforce);
    assert_eq!(shadow, Some(Enforce::No));
    let usual = limits("max_in_flight: 1, enforce: ~").map(|limits| limits.enforce);
    assert_eq!(usual, Some(Enforce::Yes));
}

#[test]
fn what_makes_no_sense_is_told_for_keys_teams_and_models_alike() {
    let empty = "is empty: leave it out, or give it a value";
    let none = "has no limit: leave it out, or give it one";
    let many = ["{usd: 1, per: day}"; BUDGETS_OF_A_SCOPE_MAX + 1].join(", ");
    for (fields, expected) in [
        ("limits: ~".into(), format!("limits: {empty}")),
        ("limits: {}".into(), format!("limits: {none}")),
        ("limits: {enforce: true}".into(), format!("limits: {none}")),
        (
            "limits: {requests_per_day: ~, max_in_flight: '${NOT_SET:-}'}".into(),
            format!("limits.requests_per_day: {empty}\nlimits.max_in_flight: {empty}"),
        ),
        (
            "limits: 5".into(),
            "limits: is a single value, a mapping is wanted".into(),
        ),
        (
            "limits: {requests_per_minute: 0}".into(),
            "limits.requests_per_minute: 0 is not between 1 and 1000000000".into(),
        ),
        (
            "limits: {tokens_per_day: 1e16}".into(),
            "limits.tokens_per_day: `1e16` is not between 1 and 1000000000000000".into(),
        ),
        (
            "limits: {request_per_minute: 5}".into(),
            format!(
                "limits.request_per_minute: unknown field, did you mean \
                 `requests_per_minute`?\nlimits: {none}"
            ),
        ),
        ("budgets: ~".into(), format!("budgets: {empty}")),
        (
            "budgets: []".into(),
            "budgets: is empty: leave it out, or give it a budget".into(),
        ),
        (
            "budgets: [{usd: -1, per: day}, {usd: 100000001, per: day}]".into(),
            "budgets[0].usd: -1 is below 0\nbudgets[1].usd: 100000001 is more than 100000000"
                .into(),
        ),
        (
            "budgets: [{usd: 1, per: monthly}]".into(),
            "budgets[0].per: `monthly` is not one of day, week, month, total, did you mean \
             `month`?"
                .into(),
        ),
        (
            "budgets: [{usd: 1, per: day, action: model_override}]".into(),
            "budgets[0].model_override: is required where action is model_override".into(),
        ),
        (
            "budgets: [{usd: 1, per: day, model_override: minni}]".into(),
            "budgets[0].model_override: no provider serves `minni`, did you mean `mini`?".into(),
        ),
        (
            "budgets: [{usd: 1, per: day, action: alert, model_override: mini, enforce: false}]"
                .into(),
            "budgets[0].model_override: has no effect where action is alert\n\
             budgets[0].enforce: has no effect where action is alert"
                .into(),
        ),
        (
            format!("budgets: [{many}]"),
            "budgets: has 9 entries, at most 8 fit".into(),
        ),
    ] {
        let at = |path: &str| -> String {
            let lines = expected.lines().map(|line| format!("{path}{line}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let added = format!(", {fields}");
        assert_eq!(told(&added, ""), at("teams[0]."), "{fields}");
        assert_eq!(told("", &added), at("auth.keys[0]."), "{fields}");
        let nested = format!(", per_model: [{{models: [gpt-4o], {fields}}}]");
        let (found, path) = (told("", &nested), "auth.keys[0].per_model[0].");
        let is_blank = fields.ends_with('~');
        let blank = is_blank.then(|| format!("{path}limits: or `budgets` is required\n"));
        assert_eq!(found, blank.unwrap_or_default() + &at(path), "{fields}");
    }
}

#[test]
fn entries_for_models_differ_and_say_something() {
    let entry = "limits: {max_in_flight: 1}";
    let limited = |models: &str| format!("{{models: {models}, {entry}}}");
    let many = vec!["{}"; PER_MODEL_MAX + 1].join(", ");
    let again = |place| format!("are those of per_model[{place}], too: put both into one entry");
    for (entries, expected) in [
        (
            String::new(),
            "per_model: is empty: leave it out, or give it an entry".into(),
        ),
        (
            format!("{{models: [], {entry}}}"),
            "per_model[0].models: at least one model is required".into(),
        ),
        (
            format!("{{models: ['a*b*'], {entry}}}"),
            "per_model[0].models[0]: `a*b*` has more than one `*`".into(),
        ),
        (
            "{models: [a]}".into(),
            "per_model[0].limits: or `budgets` is required".into(),
        ),
        (
            ["[a, 'b*']", "[a]", "['b*', a]"].map(limited).join(", "),
            format!("per_model[2].models: {}", again(0)),
        ),
        // Books would know both by one name.
        (
            ["[c]", "[a, b]", "['a, b']"].map(limited).join(", "),
            format!("per_model[2].models: {}", again(1)),
        ),
        (many, "per_model: has 17 entries, at most 16 fit".into()),
    ] {
        let found = told("", &format!(", per_model: [{entries}]"));
        assert_eq!(found, format!("auth.keys[0].{expected}"), "{entries}");
    }
}

#[test]
fn a_file_of_keys_is_checked_by_what_is_known() {
    let text = format!(
        "- name: a\n  hash: {HASH}\n  team: u\n  \
         budgets: [{{usd: 1, per: day, model_override: minni}}]\n"
    );
    let plan = plan("", "");
    let faults = config::load_keys(&text, &Known::of(&plan), &options()).unwrap_err();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "line 3: keys[0].team: no team has the name `u`, did you mean `t`?",
            "line 4: keys[0].budgets[0].model_override: no provider serves `minni`, did you mean \
             `mini`?",
        ]
    );
    assert!(config::load_keys(&text, &Known::default(), &options()).is_ok());
}

#[test]
fn more_limits_and_budgets_than_there_are_ids_for_are_refused() {
    let fault = |fields: &str, count: usize| {
        let text = format!("- {{name: a, hash: '{HASH}', {fields}}}");
        let mut key = config::load_keys(&text, &Known::default(), &options()).unwrap();
        let mut key = key.remove(0);
        // So many keys would take long to read: one stands for all of them.
        key.per_model = vec![key.per_model[0].clone(); count].into();
        let findings = Findings::new(Strictness::Strict);
        keys::ring(&findings, vec![key]);
        let (faults, _) = findings.into_parts();
        faults.first().map(ToString::to_string)
    };
    let limits = "per_model: [{models: [m], limits: {max_in_flight: 1}}]";
    assert_eq!(fault(limits, KEYS_LIMITS_MAX), None);
    assert_eq!(
        fault(limits, KEYS_LIMITS_MAX + 1),
        Some(format!(
            "auth.keys: there are more than {KEYS_LIMITS_MAX} `limits`"
        ))
    );
    let budgets = "per_model: [{models: [m], budgets: [{usd: 1, per: day}]}]";
    assert_eq!(fault(budgets, KEYS_BUDGETS_MAX), None);
    assert_eq!(
        fault(budgets, KEYS_BUDGETS_MAX + 1),
        Some(format!(
            "auth.keys: there are more than {KEYS_BUDGETS_MAX} budgets"
        ))
    );
}
