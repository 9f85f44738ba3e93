//! Tests of the table of routes.

use super::*;
use crate::base::endpoint::Endpoint;
use crate::config::plan::Plan;
use crate::config::{Environment, Options, Strictness, load};

/// Where requests go, as `strategy group: provider=model*weight …`; `404` for nowhere.
fn way(plan: &Plan, endpoint: Endpoint, model: &str) -> String {
    let Some(id) = plan.routes.find(endpoint, model) else {
        return String::from("404");
    };
    let route = plan.routes.route(id);
    let mut way = format!("{:?}", route.strategy);
    if let Some(group) = route.group {
        way.push_str(&format!(" {}", plan.groups[group.index()].name));
    }
    way.push(':');
    for candidate in &route.candidates {
        way.push_str(&format!(" {}", plan.provider(candidate.provider).name));
        if let Some(model) = &candidate.model {
            way.push_str(&format!("={model}"));
        }
        if candidate.weight != 1 {
            way.push_str(&format!("*{}", candidate.weight));
        }
    }
    way
}

fn plan(text: &str) -> Plan {
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    match load(text, &options) {
        Ok(loaded) => loaded.plan,
        Err(rejected) => panic!("{rejected:?}"),
    }
}

/// Checks lines of `model -> way` for chat completions, and for embeddings after `|`.
fn check(text: &str, script: &str) {
    let plan = plan(text);
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (model, expected) = line.split_once(" -> ").unwrap();
        let model = model.trim();
        let (chat, other) = expected.split_once(" | ").unwrap_or((expected, expected));
        assert_eq!(way(&plan, Endpoint::ChatCompletions, model), chat, "{line}");
        assert_eq!(way(&plan, Endpoint::Embeddings, model), other, "{line}");
        assert_eq!(way(&plan, Endpoint::Completions, model), other, "{line}");
    }
}

#[test]
fn claimants_come_before_open_providers() {
    check(
        "
providers:
  - {name: a, type: openai, models: [x, y]}
  - {name: open, type: ollama}
  - {name: b, type: openai, models: [y], weight: 3}
",
        "
        x     -> RoundRobin: a
        y     -> RoundRobin: a b*3
        z     -> RoundRobin: open
        claude-1 -> RoundRobin: open
        ",
    );
}

#[test]
fn without_open_providers_an_unknown_model_goes_nowhere() {
    check(
        "providers: [{name: a, type: openai, models: [x]}]",
        "
        x     -> RoundRobin: a
        y     -> 404
        ",
    );
}

#[test]
fn aliases_and_their_targets_are_claims() {
    check(
        "
providers:
  - {name: a, type: openai, models: [x], model_aliases: {fast: mid, mid: x, x2: big}}
  - {name: b, type: openai, models: [fast, big]}
  - {name: c, type: openai, model_aliases: {fast: x}}
",
        "
        fast  -> RoundRobin: a=x b c=x
        mid   -> RoundRobin: a=x
        x     -> RoundRobin: a c
        big   -> RoundRobin: a b
        x2    -> RoundRobin: a=big
        else  -> RoundRobin: c
        ",
    );
}

#[test]
fn the_first_matching_group_restricts_and_orders() {
    check(
        "
providers:
  - {name: a, type: openai, models: [x, y], model_aliases: {nick: y}}
  - {name: b, type: openai, models: [x, y]}
  - {name: open, type: ollama}
routing:
  strategy: random
  groups:
    - {name: one, models: [x, free], strategy: priority, providers: [b, a, gone]}
    - {name: two, models: [x, y], providers: [a]}
    - {name: three, models: [w]}
    - {name: four, models: [free2], strategy: cost_weighted, providers: [open, a]}
",
        "
        x     -> Priority one: b a
        y     -> Random two: a
        nick  -> Random two: a=y
        free  -> 404
        w     -> Random three: open
        free2 -> CostWeighted four: open
        else  -> Random: open
        ",
    );
}

#[test]
fn a_group_matches_by_the_name_a_provider_aliases_to() {
    check(
        "
providers:
  - {name: a, type: openai, models: [m]}
  - {name: b, type: openai, model_aliases: {m: n, n: o}}
routing: {groups: [{name: g, models: [o], strategy: priority}]}
",
        "
        m     -> Priority g: a b=o
        n     -> Priority g: b=o
        o     -> Priority g: b
        ",
    );
}

#[test]
fn an_override_gets_its_own_route() {
    let text = "
providers: [{name: open, type: ollama}]
budgets: [{caller: a, monthly_usd: 1, model_override: tiny}]
";
    let plan = plan(text);
    let tiny = plan.routes.find(Endpoint::ChatCompletions, "tiny");
    assert!(tiny.is_some());
    assert_ne!(tiny, plan.routes.find(Endpoint::ChatCompletions, "other"));
    assert_eq!(tiny, plan.routes.find(Endpoint::Embeddings, "tiny"));
}

#[test]
fn every_model_has_one_rotation_of_its_own() {
    let plan = plan("providers: [{name: a, type: openai, models: [x, y]}]");
    let find = |model| plan.routes.find(Endpoint::ChatCompletions, model).unwrap();
    assert_ne!(find("x"), find("y"));
    assert_eq!(plan.routes.find(Endpoint::Embeddings, "x"), Some(find("x")));
    assert_eq!(plan.routes.all.len(), 2);
}

#[test]
fn a_model_claimed_by_anthropic_goes_there() {
    check(
        "
providers:
  - {name: a, type: openai, models: [x]}
  - {name: c, type: anthropic, model_aliases: {x: claude-1}}
",
        "
        x        -> RoundRobin: a c=claude-1 | RoundRobin: a
        claude-1 -> RoundRobin: c | 404
        claude-2 -> RoundRobin: c | 404
        ",
    );
}

#[test]
fn anthropic_takes_its_own_models_and_chat_only() {
    let plan = plan("providers: [{name: c, type: anthropic}, {name: o, type: ollama}]");
    let anthropic = &plan.providers[0];
    assert!(is_open_to(anthropic, "claude-opus-4-5") && !is_open_to(anthropic, "gpt-4o"));
    assert!(is_open_to(&plan.providers[1], "gpt-4o"));
    assert!(!anthropic.vendor.serves(OTHER));
}

#[test]
fn the_table_has_a_bound() {
    let providers: String = (0..1_000)
        .map(|i| format!("- {{name: p{i}, type: ollama}}\n"))
        .collect();
    let models = (0..1_100)
        .map(|i| format!("m{i}"))
        .collect::<Vec<_>>()
        .join(", ");
    let text =
        format!("providers:\n{providers}\nrouting: {{groups: [{{name: g, models: [{models}]}}]}}");
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    let Err(rejected) = load(&text, &options) else {
        panic!()
    };
    assert!(format!("{rejected:?}").contains("come to more than 1048576"));
}

#[test]
fn patterns_claim_what_they_match_and_names_win_over_them() {
    check(
        "providers:
  - {name: a, type: openai, models: [gpt-4o, 'gpt-4o*', 'o*-mini'], weight: 2}
  - {name: b, type: openai, models: ['gpt-*']}
  - {name: c, type: anthropic, models: ['claude-*', 'gpt-4o-claude*']}
  - {name: d, type: ollama, model_aliases: {quick: gpt-4o-x}, models: [llama]}
  - {name: e, type: ollama}
routing: {strategy: priority, groups: [{name: g, models: [gpt-4-group, 'gpt-4o'],
  providers: [b, a]}]}",
        "
        gpt-4o         -> Priority g: a*2
        gpt-4o-mini    -> Priority: a*2 b
        gpt-4          -> Priority: b
        gpt-4-group    -> Priority g: b
        gpt-4o-claude  -> Priority: a*2 b c | Priority: a*2 b
        gpt-4o-x       -> Priority: d
        quick          -> Priority: d=gpt-4o-x
        o3-mini        -> Priority: a*2
        o-mini         -> Priority: a*2
        omini          -> Priority: e
        o3             -> Priority: e
        claude-x       -> Priority: c | Priority: e
        llama          -> Priority: d
        llama2         -> Priority: e
        ",
    );
}

#[test]
fn models_that_only_patterns_claim_are_not_named() {
    let plan = plan("providers: [{name: a, type: openai, models: [m, 'm-*']}]");
    let of = |model| plan.routes.find(Endpoint::ChatCompletions, model);
    let is_unnamed = |model| of(model).map(|id| plan.routes.is_of_unnamed(id));
    assert_eq!(is_unnamed("m"), Some(false));
    assert_eq!(is_unnamed("m-1"), Some(true));
    assert_eq!(is_unnamed("n"), None);
}
