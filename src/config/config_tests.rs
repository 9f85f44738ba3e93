//! Tests of the whole room: from a text to a Plan or to faults.

use std::time::Duration;

use super::*;
use crate::base::limits::{ORIGINS_MAX, RULES_MAX};
use crate::base::money::{NanoUsd, Price};
use crate::base::tokens::Tokens;
use crate::config::cors::{Cors, Origins};
use crate::config::plan::{Auth, LogFormat, LogLevel};
use crate::config::raw::keys::{self, Fallback, Kind};
use crate::config::responses::Responses;
use crate::config::scope::BudgetAction;
use crate::decide::policy::{BreakerPolicy, LatencyPolicy};
use crate::decide::strategy::Strategy;

const EXAMPLES: [(&str, &str, &str); 5] = [
    (
        "minimal",
        include_str!("../../tests/golden/config/minimal.yml"),
        "1 provider, 0 route groups",
    ),
    (
        "priority-failover",
        include_str!("../../tests/golden/config/priority-failover.yml"),
        "2 providers, 0 route groups",
    ),
    (
        "production",
        include_str!("../../tests/golden/config/production.yml"),
        "2 providers, 0 route groups",
    ),
    (
        "cost-optimized",
        include_str!("../../tests/golden/config/cost-optimized.yml"),
        "4 providers, 2 route groups",
    ),
    (
        "reference",
        include_str!("../../tests/golden/config/reference.yml"),
        "1 provider, 1 route group",
    ),
];

/// An environment in which every variable is set, but for those that infermux looks for by itself.
fn every_variable(name: &str) -> Option<String> {
    (!name.starts_with("OTEL_")).then(|| format!("value-of-{name}"))
}

/// An environment with these variables, and without files.
fn outside<'a>(variable: &'a dyn Fn(&str) -> Option<String>) -> Environment<'a> {
    Environment::Lookup(Lookup {
        variable,
        file: &|_| Ok(None),
    })
}

fn options(strict: Strictness) -> Options<'static> {
    Options {
        environment: outside(&every_variable),
        strict,
    }
}

fn plan(text: &str) -> Plan {
    match load(text, &options(Strictness::Lenient)) {
        Ok(loaded) => loaded.plan,
        Err(rejected) => panic!("{text}\n{rejected:?}"),
    }
}

/// All messages about a text, a line each: faults, then warnings.
fn told(text: &str, options: &Options<'_>) -> String {
    let lines = |mark: &str, faults: &[Fault]| -> String {
        faults
            .iter()
            .map(|fault| {
                // Line numbers have tests of their own.
                let line = None;
                let fault = Fault {
                    line,
                    ..fault.clone()
                };
                format!("{mark}{fault}\n")
            })
            .collect()
    };
    match load(text, options) {
        Ok(loaded) => lines("~ ", &loaded.warnings),
        Err(Rejected::Malformed(faults)) => lines("! ", &faults),
        Err(Rejected::Faulty { faults, warnings }) => lines("", &faults) + &lines("~ ", &warnings),
    }
}

/// Checks the messages about a text with one provider to which `more` is added.
fn check(more: &str, expected: &str) {
    let text = with_provider(more);
    assert_eq!(
        told(&text, &options(Strictness::Lenient)).trim(),
        expected,
        "{text}"
    );
}

fn with_provider(more: &str) -> String {
    let provider = "providers: [{name: one, type: openai, api_key: k, models: [gpt-4o, big]}]";
    if more.contains("providers:") && !more.contains("groups") {
        return more.to_owned();
    }
    format!("{provider}\n{more}")
}

#[test]
fn the_published_examples_load() {
    for (name, text, expected) in EXAMPLES {
        for strict in [Strictness::Lenient, Strictness::Strict] {
            let loaded = load(text, &options(strict)).map_err(|rejected| format!("{rejected:?}"));
            assert_eq!(summary(&loaded.unwrap().plan), expected, "{name}");
        }
        let unresolved = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        assert!(
            load(text, &unresolved).is_ok(),
            "{name}: {}",
            told(text, &unresolved)
        );
    }
}

#[test]
fn the_examples_warn_of_what_is_odd_in_them() {
    for (name, expected) in [
        ("minimal", String::new()),
        ("production", String::new()),
        ("cost-optimized", String::new()),
        (
            "reference",
            String::from(
                "~ routing.groups[0].providers[1]: `anthropic` is not a declared provider\n",
            ),
        ),
    ] {
        let text = EXAMPLES.iter().find(|example| example.0 == name).unwrap().1;
        assert_eq!(told(text, &options(Strictness::Lenient)), expected);
    }
}

#[test]
fn unset_variables_are_named_with_their_field() {
    let none = |_: &str| None;
    let lenient = Options {
        environment: outside(&none),
        strict: Strictness::Lenient,
    };
    let strict = Options {
        environment: outside(&none),
        strict: Strictness::Strict,
    };
    let minimal = EXAMPLES[0].1;
    let line = "providers[0].api_key: the variable OPENAI_API_KEY is not set\n";
    assert_eq!(told(minimal, &lenient), format!("~ {line}"));
    assert_eq!(told(minimal, &strict), line);
    let production = told(EXAMPLES[2].1, &lenient);
    for line in [
        "auth.key: is required where auth.mode is static_key, and the variable INFERMUX_API_KEY \
         gives nothing\n",
        "providers[1].api_key: is required for a hosted provider where auth.mode is static_key, \
         and the variable ANTHROPIC_API_KEY gives nothing\n",
    ] {
        assert!(production.contains(line), "{production}");
    }
    // What says more takes the place of that the variable is not set.
    for options in [&lenient, &strict] {
        let production = told(EXAMPLES[2].1, options);
        let once = production.matches("INFERMUX_API_KEY").count();
        assert_eq!(once, 1, "{production}");
    }
}

#[test]
fn variables_work_in_fields_of_every_type() {
    let variables = |name: &str| {
        let value = match name {
            "N" => "7",
            "B" => "false",
            "D" => "1500ms",
            "M" => "12.5",
            "S" => "random",
            "P" => ":9",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text = "
listen: ${P}
log: {timestamps: '${B}'}
providers:
  - {name: 'p${N}', type: ollama, weight: '${N}', timeout: '${D}', max_in_flight: '1${N}'}
routing: {strategy: '${S}', failover: {deadline: '${X:-2m}'}}
budgets: [{caller: a, monthly_usd: \"${M}\"}]
";
    let options = Options {
        environment: outside(&variables),
        strict: Strictness::Strict,
    };
    let Ok(Loaded { plan, .. }) = load(text, &options) else {
        panic!("{}", told(text, &options))
    };
    let provider = &plan.providers[0];
    assert_eq!((plan.listen.addr.port(), plan.log.timestamps), (9, false));
    assert_eq!((&*provider.name, provider.weight), ("p7", 7));
    assert_eq!(provider.timeout, Duration::from_millis(1_500));
    assert_eq!(provider.max_in_flight, Some(17));
    assert_eq!(plan.routes.all[0].strategy, Strategy::Random);
    assert_eq!(plan.failover.deadline, Duration::from_secs(120));
    assert_eq!(
        plan.budgets.callers[0].budget.amount,
        NanoUsd::new(12_500_000_000)
    );
}

#[test]
fn what_comes_from_variables_is_not_shown() {
    let secret = |name: &str| (name == "K").then(|| String::from("sk-secret"));
    let options = Options {
        environment: outside(&secret),
        strict: Strictness::Lenient,
    };
    let text = "
listen: ${K}
auth: {mode: '${K}', key: 'a b ${K}'}
providers:
  - {name: one, type: '${K}', timeout: '${K}', weight: '${K}', base_url: '${K}', api_key: 'a b'}
  - {name: two, type: openai, base_url: 'https://me:sk-secret@h', api_key: \"sk-secret\\u0001\"}
";
    let told = told(text, &options);
    assert_eq!(told.lines().count(), 11, "{told}");
    assert!(!told.contains("sk-secret"), "{told}");
    assert!(
        told.contains("providers[0].weight: the value of `${K}` is not a number\n"),
        "{told}"
    );
}

/// Each case stands beside one that is not doubted; strictness makes each doubt a fault.
#[test]
fn what_is_probably_a_mistake_is_doubted() {
    let at = |url: &str| {
        format!(
            "providers: [{{name: a, type: openai, api_key: k, models: [m], base_url: '{url}'}}]"
        )
    };
    let ends = |meant: &str| {
        format!(
            "providers[0].base_url: ends in the path of an endpoint, which infermux adds by \
             itself, did you mean `{meant}`?"
        )
    };
    let no_path = "providers[0].base_url: has no path, and most hosted providers answer below \
                   one, did you mean `https://api.groq.com/v1`?";
    for (text, expected) in [
        (at("https://x.example/v1"), String::new()),
        (
            at("https://x.example/v1/chat/completions"),
            ends("https://x.example/v1"),
        ),
        (
            at("https://x.example:8/v1/embeddings/"),
            ends("https://x.example:8/v1"),
        ),
        (at("http://127.0.0.1:1/models"), ends("http://127.0.0.1:1")),
        (at("https://api.groq.com"), no_path.to_owned()),
        (at("https://api.groq.com/"), no_path.to_owned()),
        (at("http://127.0.0.1:8000"), String::new()),
        (at("http://vllm:8000"), String::new()),
        (
            "providers: [{name: a, type: anthropic, api_key: k, models: [claude-x],
              base_url: 'https://x.example'}]"
                .to_owned(),
            String::new(),
        ),
        (
            "providers: [{name: a, type: ollama}, {name: b, type: ollama, models: [m]}]".to_owned(),
            String::new(),
        ),
        (
            "providers: [{name: a, type: ollama}, {name: b, type: openai, models: [m]},
              {name: c, type: ollama, models: []}]"
                .to_owned(),
            "providers[2].models: `a` and `c` are both without models, so each may be asked for \
             any model that no other provider claims"
                .to_owned(),
        ),
        (
            with_provider("routing: {groups: [{name: g, models: [biig, x]}]}"),
            "routing.groups[0].models: no provider serves any of them, did you mean `big`?"
                .to_owned(),
        ),
        (
            with_provider("routing: {groups: [{name: g, models: [x, big]}]}"),
            String::new(),
        ),
        (
            with_provider("routing: {groups: [{name: g, models: [big, 'gpt-*']}]}"),
            "routing.groups[0].models[1]: `gpt-*` is no pattern here: groups list whole names"
                .to_owned(),
        ),
        (
            with_provider("pricing: {onee: {big: {input_per_million: 1, output_per_million: 1}}}"),
            "pricing.onee: no provider has this name, did you mean `one`?".to_owned(),
        ),
        (
            with_provider("pricing: {one: {bigg: {input_per_million: 1, output_per_million: 1}}}"),
            "pricing.one.bigg: the provider does not have this model, did you mean `big`?"
                .to_owned(),
        ),
        (
            "providers: [{name: one, type: ollama, models: [big-2024-08-06],
              model_aliases: {small: tiny}}]
pricing: {one: {big: {input_per_million: 1, output_per_million: 1},
  tiny: {input_per_million: 1, output_per_million: 1}}}"
                .to_owned(),
            String::new(),
        ),
        (
            "providers: [{name: one, type: ollama}]
pricing: {one: {any: {input_per_million: 1, output_per_million: 1}}}"
                .to_owned(),
            String::new(),
        ),
    ] {
        let (lenient, strict) = match expected.as_str() {
            "" => (String::new(), String::new()),
            one => (format!("~ {one}\n"), format!("{one}\n")),
        };
        assert_eq!(
            told(&text, &options(Strictness::Lenient)),
            lenient,
            "{text}"
        );
        assert_eq!(told(&text, &options(Strictness::Strict)), strict, "{text}");
    }
}

#[test]
fn an_entry_of_models_may_say_more_than_a_name() {
    let more = |models: &str| format!("providers: [{{name: a, type: ollama, models: [{models}]}}]");
    for (models, expected) in [
        (
            "m, {name: n, context_window: 8192, max_output_tokens: 1e3}",
            "",
        ),
        (
            "{name: 'gpt-*', context_window: 1}, {name: ~}, {}",
            "providers[0].models[1].name: is required\nproviders[0].models[2].name: is required",
        ),
        ("{name: '${N}', context_window: 8}", ""),
        (
            "{name: m, contxt_window: 5}",
            "~ providers[0].models[0].contxt_window: unknown field, did you mean `context_window`?",
        ),
        (
            "{name: m, context_window: 0}",
            "providers[0].models[0].context_window: 0 is not between 1 and 1000000000",
        ),
        (
            "{name: m, max_output_tokens: many}",
            "providers[0].models[0].max_output_tokens: `many` is not a number",
        ),
        (
            "{name: [m]}",
            "providers[0].models[0].name: is a list, a single value is wanted",
        ),
        (
            "{name: '*-x'}",
            "providers[0].models[0]: begins with `*`, which may stand at the end or in the middle",
        ),
        (
            "m, {name: m}",
            "providers[0].models[1]: `m` stands in the list before",
        ),
        (
            "{name: 'a*'}, 'a*'",
            "providers[0].models[1]: `a*` stands in the list before",
        ),
    ] {
        check(&more(models), expected);
    }
    let plan = plan(&more(
        "m, {name: n, context_window: 8192, max_output_tokens: 5}, {name: 'x*', context_window: 9}",
    ));
    let provider = &plan.providers[0];
    assert_eq!(provider.names().collect::<Vec<_>>(), ["m", "n"]);
    assert_eq!(provider.patterns.len(), 1);
    let of = |model| {
        let found = provider.model_settings.of(model, model)?;
        Some((found.context_window.map(Tokens::get), found.max_output))
    };
    assert_eq!((of("m"), of("y")), (None, None));
    assert_eq!(of("n"), Some((Some(8_192), Some(5))));
    assert_eq!(of("xyz"), Some((Some(9), None)));
    // A fault has the line of its field, and of its entry where the field is missing.
    let text = "
providers:
  - name: a
    type: ollama
    models:
      - m
      - name: n
        context_window: x
      - context_window: 5
";
    let rejected = load(text, &options(Strictness::Lenient)).err().unwrap();
    let lines = rejected.faults().iter().map(|fault| fault.line);
    assert_eq!(lines.collect::<Vec<_>>(), [Some(9), Some(8)]);
}

#[test]
fn requests_are_changed_by_rules() {
    let with =
        |request: &str| format!("providers: [{{name: a, type: ollama, request: {{{request}}}}}]");
    let own =
        |name| format!("`{name}` is no parameter: model, stream, messages, input cannot be named");
    for (request, expected) in [
        (
            "default: {temperature: 0.5, a.b: [1, {c: ~}]}, set: {x: '${X}'}, remove: [top_p], \
             rename: {a: b.c}",
            String::new(),
        ),
        ("", String::new()),
        (
            "defaults: {a: 1}",
            "~ providers[0].request.defaults: unknown field, did you mean `default`?".into(),
        ),
        (
            "set: {model: x}",
            format!("providers[0].request.set.model: {}", own("model")),
        ),
        (
            "default: {messages.x: x}",
            format!(
                "providers[0].request.default.messages.x: {}",
                own("messages")
            ),
        ),
        (
            "remove: [a, stream]",
            format!("providers[0].request.remove[1]: {}", own("stream")),
        ),
        (
            "rename: {a: input}",
            format!("providers[0].request.rename.a: {}", own("input")),
        ),
        (
            "rename: {a.b: a}",
            "providers[0].request.rename.a.b: `a.b` and `a` are one within the other".into(),
        ),
        (
            "rename: {a: a}",
            "providers[0].request.rename.a: `a` and `a` are one within the other".into(),
        ),
        (
            "set: {a..b: 1}",
            "providers[0].request.set.a..b: `a..b` has an empty name beside a dot".into(),
        ),
        (
            "set: {a: .inf}",
            "providers[0].request.set.a: `.inf` is no number that JSON has".into(),
        ),
        (
            "remove: a",
            "providers[0].request.remove: is a single value, a list is wanted".into(),
        ),
        (
            "rename: {a: [b]}",
            "providers[0].request.rename.a: is a list, a text is wanted".into(),
        ),
    ] {
        check(&with(request), &expected);
    }
    let many: Vec<String> = (0..=RULES_MAX).map(|i| format!("p{i}")).collect();
    check(
        &with(&format!("remove: [{}]", many.join(", "))),
        "providers[0].request: there are 129 rules, at most 128 fit",
    );
    let plan = plan(&with("set: {b: '${X}', a: {c: [1, two]}}, remove: [z]"));
    let rules = plan.providers[0].request.as_ref().unwrap();
    let told: Vec<String> = rules.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["remove z", "set b", "set a"]);
    // A fault has its line, also within an entry of `models`.
    let text = "
providers:
  - name: a
    type: ollama
    request:
      remove:
        - b
        - model
    models:
      - name: n
        request:
          set:
            a.b: 1
            stream: true
";
    let rejected = load(text, &options(Strictness::Lenient)).err().unwrap();
    let lines = rejected.faults().iter().map(|fault| fault.line);
    assert_eq!(lines.collect::<Vec<_>>(), [Some(14), Some(8)]);
}

#[test]
fn patterns_have_one_star() {
    let more = |models: &str| format!("providers: [{{name: a, type: ollama, models: [{models}]}}]");
    check(&more("m, 'gpt-*', 'gpt-*-mini', '*'"), "");
    check(
        &more("'a*b*c', '*-mini'"),
        "providers[0].models[0]: has more than one `*`\n\
         providers[0].models[1]: begins with `*`, which may stand at the end or in the middle",
    );
    let many: Vec<String> = (0..257).map(|i| format!("'m{i}-*'")).collect();
    check(
        &more(&many.join(", ")),
        "providers: there are more than 256 patterns",
    );
    // A budget may fall back to a model that only a pattern claims.
    let override_to = |model: &str| {
        format!(
            "{}\nbudgets: [{{caller: c, monthly_usd: 1, model_override: {model}}}]",
            more("'gpt-*'")
        )
    };
    check(&override_to("gpt-4o-mini"), "");
    check(
        &override_to("o3"),
        "budgets[0].model_override: no provider serves `o3`",
    );
}

#[test]
fn merge_keys_and_keys_of_ones_own_are_understood() {
    let text = "\u{feff}x-anything: [{goes: here}]
x-limits: &limits {requests_per_minute: 7, tokens_per_minute: 9}
x-timeouts: &timeouts {timeout: 3s, weight: 5}
providers:
  - <<: *timeouts
    name: a
    type: ollama
    weight: 2
    rate_limits:
      <<: *limits
      tokens_per_minute: 8
  - <<: [*timeouts, {weight: 6, max_in_flight: 4}]
    name: b
    type: ollama
    models: [m]
";
    let plan = plan(text);
    assert_eq!(told(text, &options(Strictness::Strict)), "");
    let [a, b] = &*plan.providers else {
        panic!("two providers")
    };
    assert_eq!((a.timeout, a.weight), (Duration::from_secs(3), 2));
    let limits = (a.requests_per_minute, a.tokens_per_minute);
    assert_eq!(limits, (Some(7), Some(8)));
    let figures = (b.timeout, b.weight, b.max_in_flight);
    assert_eq!(figures, (Duration::from_secs(3), 5, Some(4)));
    check(
        "log: {<<: info}",
        "! log.<<: merges a single value, a mapping or a list of mappings is wanted",
    );
    check(
        "log: {<<: [{level: debug}, 5]}",
        "! log.<<: merges a single value, a mapping or a list of mappings is wanted",
    );
    // Below the top level, the prefix means nothing.
    check(
        "log: {x-level: info}",
        "~ log.x-level: unknown field, did you mean `level`?",
    );
}

#[test]
fn every_fault_has_its_line() {
    let text = "providers:
  - name: a
    type: openai
    api_key: ${file:/nowhere}
    timout: 5s
    models: [m]
circuit_breaker:
  min_requests: 0
rooting: {}
";
    let Err(Rejected::Faulty { faults, warnings }) = load(text, &options(Strictness::Lenient))
    else {
        panic!("faulty")
    };
    let lines: Vec<String> = faults
        .iter()
        .chain(&warnings)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "line 4: providers[0].api_key: the file /nowhere does not exist",
            "line 8: circuit_breaker.min_requests: 0 is not between 1 and 1000000000",
            "line 9: rooting: unknown field, did you mean `routing`?",
            "line 5: providers[0].timout: unknown field, did you mean `timeout`?",
        ]
    );
}

#[test]
fn every_documented_default_holds() {
    let text = "providers: [{name: a, type: openai}, {name: b, type: ollama},
        {name: c, type: azure_openai, base_url: 'https://x.openai.azure.com', api_key: k}]";
    let plan = plan(text);
    let seconds = Duration::from_secs;
    assert_eq!(
        (&*plan.listen.text, plan.listen.addr.to_string().as_str()),
        (":8080", "[::]:8080")
    );
    assert!(plan.management_listen.is_none() && plan.tls.is_none());
    assert_eq!(
        (plan.log.level, plan.log.format, plan.log.timestamps),
        (LogLevel::Info, LogFormat::Text, true)
    );
    assert!(matches!(plan.auth, Auth::Passthrough));
    let server = &plan.server;
    assert_eq!(
        (server.shards, server.cores.len(), server.max_connections),
        (0, 0, 65_536)
    );
    assert_eq!(
        (server.max_body_bytes, server.max_buffered_bytes),
        (32 << 20, 1 << 30)
    );
    assert_eq!(server.max_event_bytes, 16 << 20);
    assert_eq!(
        (server.header_timeout, server.body_timeout),
        (seconds(10), seconds(30))
    );
    assert_eq!(
        (server.idle_timeout, server.drain_delay),
        (seconds(75), seconds(0))
    );
    assert_eq!(server.heartbeat, seconds(15));
    let [a, b, c] = &*plan.providers else {
        panic!()
    };
    assert!(a.api_key.is_none() && a.forward_caller_key && !c.forward_caller_key);
    assert_eq!(
        (&*a.base.authority, &*a.base.path),
        ("api.openai.com", "/v1")
    );
    assert_eq!((&*b.base.authority, b.base.tls), ("localhost:11434", false));
    assert_eq!((a.timeout, a.connect_timeout), (seconds(60), seconds(5)));
    assert_eq!(
        (a.first_token_timeout, a.stream_idle_timeout),
        (seconds(60), seconds(60))
    );
    assert!(a.models.is_empty() && a.model_aliases.is_empty());
    assert_eq!(
        (a.requests_per_minute, a.tokens_per_minute, a.max_in_flight),
        (None, None, None)
    );
    assert_eq!(
        (a.weight, &*c.azure_api_version, &c.azure_deployment),
        (1, "2024-10-21", &None)
    );
    let health = &a.health_check;
    assert_eq!(
        (health.interval, health.timeout),
        (seconds(60), seconds(10))
    );
    assert!(!health.disabled);
    assert_eq!(a.breaker, BreakerPolicy::default());
    assert_eq!(plan.latency, LatencyPolicy::default());
    assert_eq!(
        (plan.failover.max_attempts, plan.failover.deadline),
        (3, seconds(300))
    );
    assert_eq!(plan.failover.retry_budget_permille, 200);
    assert_eq!(plan.routes.all[0].strategy, Strategy::RoundRobin);
    assert!(plan.groups.is_empty() && plan.pricing.is_empty() && plan.budgets.callers.is_empty());
    assert!(plan.budgets.state_file.is_none());
}

#[test]
fn anthropic_has_its_own_address() {
    let plan = plan("providers: [{name: a, type: anthropic}]");
    assert_eq!(
        (&*plan.providers[0].base.authority, plan.routes.all.len()),
        ("api.anthropic.com", 1)
    );
    assert_eq!(summary(&plan), "1 provider, 0 route groups");
}

#[test]
fn timeouts_of_streams_follow_the_timeout() {
    let plan = plan("providers: [{name: a, type: ollama, timeout: 7s, stream_idle_timeout: 1m}]");
    let provider = &plan.providers[0];
    assert_eq!(provider.first_token_timeout, Duration::from_secs(7));
    assert_eq!(provider.stream_idle_timeout, Duration::from_secs(60));
}

#[test]
fn a_providers_breaker_overrides_field_by_field() {
    let plan = plan(
        "
providers:
  - {name: a, type: ollama, circuit_breaker: {min_requests: 3, latency_p95_ms: 900}}
  - {name: b, type: ollama}
circuit_breaker:
  error_rate_threshold: 0.3
  recovery_window: 2m
  recovery_backoff_multiplier: 2.5
  window_seconds: 30
  treat_rate_limit_as_error: true
",
    );
    let global = BreakerPolicy {
        error_rate_permille: 300,
        recovery_window: Duration::from_secs(120),
        backoff_permille: 2_500,
        window: Duration::from_secs(30),
        rate_limit_is_error: true,
        ..BreakerPolicy::default()
    };
    let own = BreakerPolicy {
        min_requests: 3,
        latency_p95: Duration::from_millis(900),
        latency_covers_all: true,
        ..global
    };
    assert_eq!(plan.providers[0].breaker, own);
    assert_eq!(plan.providers[1].breaker, global);
}

#[test]
fn the_three_forms_of_budgets_mean_the_same() {
    let items = "- caller: a\n    monthly_usd: 0.000000001\n  - caller: b\n    monthly_usd: 7\n    \
                 action: alert\n";
    let nested = items.replace("\n  ", "\n    ");
    for (budgets, state_file) in [
        (format!("budgets:\n  {items}"), None),
        (format!("budgets:\n  state_file: /x\n  {items}"), Some("/x")),
        (format!("budgets:\n  {items}  state_file: /x\n"), Some("/x")),
        (
            format!("budgets:\n  state_file: /x\n  callers:\n    {nested}"),
            Some("/x"),
        ),
        (format!("budgets:\n  state_file: \"\"\n  {items}"), None),
    ] {
        let plan = plan(&with_provider(&budgets));
        assert_eq!(plan.budgets.state_file.as_deref(), state_file, "{budgets}");
        let callers: Vec<_> = plan
            .budgets
            .callers
            .iter()
            .map(|b| (&*b.caller, b.budget.amount.get(), b.budget.action))
            .collect();
        let expected = [
            ("a", 1, BudgetAction::HardStop),
            ("b", 7_000_000_000, BudgetAction::Alert),
        ];
        assert_eq!(callers, expected, "{budgets}");
    }
}

#[test]
fn prices_are_exact() {
    let text = with_provider(
        "pricing: {one: {gpt-4.1: {input_per_million: 2.50, output_per_million: 0.000000001}}}",
    );
    let price = plan(&text).pricing["one"]["gpt-4.1"].clone();
    assert_eq!(
        price.tokens,
        Some((Price::per_million(2_500_000_000), Price::per_million(1)))
    );
}

#[test]
fn headers_of_a_provider_are_names_that_nobody_else_writes() {
    let check = |fields: &str, fault: Option<&str>| {
        let text = format!("providers: [{{name: p, type: openai, {fields}}}]");
        let loaded = load(&text, &options(Strictness::Strict));
        let found = loaded
            .err()
            .map(|rejected| rejected.faults()[0].to_string());
        assert_eq!(found.as_deref(), fault, "{fields}");
    };
    let at = |rest: &str| format!("line 1: providers[0].headers.{rest}");
    for fields in [
        "headers: {set: {X-A: b, X-C: 'd e', X-N: 7}, forward: [X-D, Cookie]}",
        "headers: {set: {Authorization: Basic eA==}}, forward_caller_key: false",
        "headers: {}",
        "headers: null",
    ] {
        check(fields, None);
    }
    let key = "carries a key: set it only where the provider has no `api_key` and \
               `forward_caller_key` is false";
    let own = "is about one connection or one body, and infermux states it";
    let forwarded = "carries a key: `forward_caller_key` decides about that";
    for (headers, fault) in [
        (
            "set: {Authorization: x}",
            at(&format!("set.Authorization: {key}")),
        ),
        ("set: {api-key: x}", at(&format!("set.api-key: {key}"))),
        ("set: {Host: x}", at("set.Host: is stated by infermux")),
        (
            "set: {Content-Length: 1}",
            at(&format!("set.Content-Length: {own}")),
        ),
        ("set: {TE: x}", at(&format!("set.TE: {own}"))),
        (
            "set: {X-Infermux-Caller: x}",
            at("set.X-Infermux-Caller: is infermux's own and goes to no provider"),
        ),
        ("set: {X-A: x, x-a: y}", at("set.x-a: is named twice")),
        (
            "set: {X-A: x}, forward: [x-a]",
            at("forward[0]: `x-a` is named twice"),
        ),
        (
            "set: {'X A': x}",
            at("set.X A: the name is not the name of a header"),
        ),
        ("set: {X-A: ''}", at("set.X-A: is empty")),
        (
            "set: {X-A: \"a\\nb\"}",
            at("set.X-A: the value has characters other than visible ASCII and blanks"),
        ),
        (
            "forward: [Authorization]",
            at(&format!("forward[0]: `Authorization` {forwarded}")),
        ),
        (
            "forward: [Connection]",
            at(&format!("forward[0]: `Connection` {own}")),
        ),
        (
            "forward: ['a b']",
            at("forward[0]: `a b` is not the name of a header"),
        ),
    ] {
        check(&format!("api_key: k, headers: {{{headers}}}"), Some(&fault));
    }
}

#[test]
fn every_key_is_read() {
    for key in keys::all() {
        let wrong = match key.kind {
            Kind::Texts(_)
            | Kind::Words(_)
            | Kind::Entries(..)
            | Kind::Names
            | Kind::Headers
            | Kind::Values
            | Kind::Named(_)
            | Kind::Block(_)
            | Kind::Blocks(_)
            | Kind::Table => "5",
            Kind::Text(_)
            | Kind::Address
            | Kind::Url
            | Kind::Cores
            | Kind::Flag
            | Kind::Whole(..)
            | Kind::Ratio(..)
            | Kind::Share
            | Kind::Usd(_)
            | Kind::Span(..)
            | Kind::Word(_) => "[[]]",
        };
        let field = format!("{{{}: {wrong}}}", key.name);
        let (text, path) = match key.section {
            "" => (field.clone(), String::new()),
            "providers[]" => (format!("{{providers: [{field}]}}"), "providers[0].".into()),
            "providers[].rate_limits"
            | "providers[].health_check"
            | "providers[].headers"
            | "providers[].tls"
            | "providers[].request" => {
                let block = key.section.trim_start_matches("providers[].");
                let text = format!("{{providers: [{{{block}: {field}}}]}}");
                (text, format!("providers[0].{block}."))
            }
            "providers[].models[]" => (
                format!("{{providers: [{{models: [{field}]}}]}}"),
                "providers[0].models[0].".into(),
            ),
            "affinity" => (
                format!("{{routing: {{affinity: {field}}}}}"),
                "routing.affinity.".into(),
            ),
            "routing.groups[]" => (
                format!("{{routing: {{groups: [{field}]}}}}"),
                "routing.groups[0].".into(),
            ),
            "model_families.<pattern>" => (
                format!("{{model_families: {{a: {field}}}}}"),
                "model_families.a.".into(),
            ),
            "budgets[]" => (format!("{{budgets: [{field}]}}"), "budgets[0].".into()),
            "teams[]" => (format!("{{teams: [{field}]}}"), "teams[0].".into()),
            "webhooks[]" => (format!("{{webhooks: [{field}]}}"), "webhooks[0].".into()),
            "auth.keys[]" => (
                format!("{{auth: {{keys: [{field}]}}}}"),
                "auth.keys[0].".into(),
            ),
            section if section.starts_with("auth.keys[].") => {
                let name = section.trim_start_matches("auth.keys[].");
                let (block, at, item) = match name.strip_suffix("[]") {
                    Some(list) => (list, format!("{list}[0]"), format!("[{field}]")),
                    None => (name, name.to_owned(), field.clone()),
                };
                let text = format!("{{auth: {{keys: [{{{block}: {item}}}]}}}}");
                (text, format!("auth.keys[0].{at}."))
            }
            "pricing.<provider>.<model>" => (
                format!("{{pricing: {{a: {{b: {field}}}}}}}"),
                "pricing.a.b.".into(),
            ),
            section => match section.split_once('.') {
                Some((outer, inner)) => (
                    format!("{{{outer}: {{{inner}: {field}}}}}"),
                    format!("{section}."),
                ),
                None => (format!("{{{section}: {field}}}"), format!("{section}.")),
            },
        };
        let told = told(&text, &options(Strictness::Strict));
        let line = format!("{path}{}: is a", key.name);
        let count = told.lines().filter(|told| told.starts_with(&line)).count();
        assert_eq!(count, 1, "{text}: {told}");
        assert!(!told.contains("unknown field"), "{text}: {told}");
    }
}

#[test]
fn what_cannot_be_merged_is_told_with_its_line() {
    for (text, expected) in [
        (
            "listen: ':1'\nproviders:\n  - name: a\n  - <<: 5\n",
            "line 4: providers[1].<<: merges",
        ),
        ("listen: ':1'\n<<: [x]\n", "line 2: <<: merges"),
    ] {
        let Err(Rejected::Malformed(faults)) = load(text, &options(Strictness::Lenient)) else {
            panic!("malformed")
        };
        let told = faults[0].to_string();
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn what_the_file_lacks_is_told_with_the_line_where_it_begins() {
    for (text, line) in [
        ("# a file\n\nlisten: ':1'\n", 3),
        ("# nothing\n", 1),
        ("listen: ':1'\nproviders:\n", 2),
    ] {
        let Err(Rejected::Faulty { faults, .. }) = load(text, &options(Strictness::Lenient)) else {
            panic!("faulty")
        };
        let expected = format!("line {line}: providers: at least one provider is required");
        assert_eq!(faults[0].to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_required_is_missed_once() {
    for (text, expected) in [
        ("", "providers: at least one provider is required"),
        (
            "providers: []",
            "providers: at least one provider is required",
        ),
        ("providers:", "providers: at least one provider is required"),
        (
            "providers: [{}]",
            "providers[0].name: is required\nproviders[0].type: is required",
        ),
        (
            "providers: [{name: '', type: ~}]",
            "providers[0].name: is required\nproviders[0].type: is required",
        ),
        (
            "providers: [x, ~]",
            "providers[0]: is a single value, a mapping is wanted\n\
            providers[1]: is nothing, a mapping is wanted",
        ),
    ] {
        assert_eq!(told(text, &options(Strictness::Lenient)).trim(), expected);
    }
    for key in keys::all()
        .iter()
        .filter(|key| key.default == Fallback::Required)
    {
        let known = [
            "",
            "providers[]",
            "providers[].models[]",
            "routing.groups[]",
            "pricing.<provider>.<model>",
            "budgets[]",
            "server.cors",
            "teams[]",
            "auth.keys[]",
            "auth.keys[].hashes[]",
            "auth.keys[].budgets[]",
            "auth.keys[].per_model[]",
            "shared",
            "usage",
            "webhooks[]",
        ];
        assert!(known.contains(&key.section), "{}", key.path());
    }
    check("usage: {keep: 3}", "usage.file: is required");
    check(
        "routing: {groups: [{}]}",
        "routing.groups[0].name: is required\n\
         routing.groups[0].models: at least one model is required",
    );
    check(
        "pricing: {one: {big: {}}}",
        "pricing.one.big.input_per_million: is required\n\
         pricing.one.big.output_per_million: is required",
    );
    check(
        "teams: [{}]\nauth: {mode: keys, keys: [{}, {name: a, hashes: [{}]}]}",
        "teams[0].name: is required\nauth.keys[0].name: is required\n\
         auth.keys[0].hash: is required\nauth.keys[1].hashes[0].hash: is required",
    );
    check(
        "teams: [{name: a, budgets: [{}]}]",
        "teams[0].budgets[0].usd: is required\nteams[0].budgets[0].per: is required",
    );
    check(
        &format!("auth: {{mode: keys, keys: [{{name: a, hash: '{HASH}', per_model: [{{}}]}}]}}"),
        "auth.keys[0].per_model[0].models: at least one model is required\n\
         auth.keys[0].per_model[0].limits: or `budgets` is required",
    );
    check(
        "budgets: [{}]",
        "budgets[0].caller: is required\nbudgets[0].monthly_usd: is required",
    );
}

#[test]
fn one_wrong_field_hides_no_other() {
    check(
        "
listen: 8080
log: {level: inof, format: 5}
server: {shards: many, cores: 5-2, header_timeout: 10}
circuit_breaker: {error_rate_threshold: 1.5, window_seconds: 0}
",
        "listen: 8080 is a bare port, write `:8080`\n\
         log.level: `inof` is not one of debug, info, warn, error, did you mean `info`?\n\
         log.format: 5 is not one of text, json\n\
         server.shards: `many` is not a number\n\
         server.cores: 5-2 has the range `5-2`, which runs backwards\n\
         server.header_timeout: 10 has no unit, write `10s` for seconds\n\
         circuit_breaker.error_rate_threshold: 1.5 is not between 0 and 1\n\
         circuit_breaker.window_seconds: 0 is not between 1 and 3600",
    );
}

#[test]
fn bounds_are_kept() {
    for (more, expected) in [
        (
            "circuit_breaker: {error_rate_threshold: 0}",
            "circuit_breaker.error_rate_threshold: 0 is not above 0",
        ),
        (
            "circuit_breaker: {error_rate_threshold: -0.1}",
            "circuit_breaker.error_rate_threshold: -0.1 is below 0",
        ),
        (
            "circuit_breaker: {error_rate_threshold: .nan}",
            "circuit_breaker.error_rate_threshold: `.nan` is not a number",
        ),
        (
            "circuit_breaker: {consecutive_failures: 0}",
            "circuit_breaker.consecutive_failures: 0 is not between 1 and 1000000000",
        ),
        (
            "circuit_breaker: {consecutive_failures: 2.5}",
            "circuit_breaker.consecutive_failures: 2.5 is not a whole number",
        ),
        (
            "circuit_breaker: {window_seconds: 3601}",
            "circuit_breaker.window_seconds: 3601 is not between 1 and 3600",
        ),
        (
            "circuit_breaker: {min_requests: 0}",
            "circuit_breaker.min_requests: 0 is not between 1 and 1000000000",
        ),
        (
            "circuit_breaker: {recovery_window: 0s}",
            "circuit_breaker.recovery_window: `0s` is not between 1ms and 24h",
        ),
        (
            "circuit_breaker: {probe_timeout: 25h}",
            "circuit_breaker.probe_timeout: `25h` is not between 1ms and 24h",
        ),
        (
            "circuit_breaker: {recovery_backoff_multiplier: 0.9}",
            "circuit_breaker.recovery_backoff_multiplier: 0.9 is not between 1 and 1000",
        ),
        (
            "circuit_breaker: {recovery_backoff_max: 1s}",
            "~ circuit_breaker.recovery_backoff_max: is below recovery_window, which is taken \
             instead",
        ),
        (
            "circuit_breaker: {treat_rate_limit_as_error: yes}",
            "circuit_breaker.treat_rate_limit_as_error: `yes` is neither true nor false",
        ),
        (
            "server: {shards: 257}",
            "server.shards: 257 is not between 0 and 256",
        ),
        (
            "server: {shards: 3, cores: '1,2'}",
            "server.shards: 3 is more than the 2 cores of server.cores",
        ),
        ("server: {shards: 2, cores: '2-5,8'}", ""),
        ("server: {cores: 3}", ""),
        ("server: {drain_delay: 0s}", ""),
        ("server: {heartbeat: 0s}", ""),
        (
            "server: {max_buffered_bytes: 1024}",
            "~ server.max_buffered_bytes: 1024 is below server.max_body_bytes (33554432): no \
             larger body fits",
        ),
        (
            "routing: {least_latency: {ewma_decay: 0}}",
            "routing.least_latency.ewma_decay: 0 is not above 0",
        ),
        (
            "routing: {least_latency: {ewma_decay: 1.01}}",
            "routing.least_latency.ewma_decay: 1.01 is not between 0 and 1",
        ),
        (
            "routing: {failover: {max_attempts: 0}}",
            "routing.failover.max_attempts: 0 is not between 1 and 100",
        ),
        (
            "routing: {failover: {retry_budget: 11}}",
            "routing.failover.retry_budget: 11 is not between 0 and 10",
        ),
        (
            "routing: {strategy: round-robin}",
            "routing.strategy: `round-robin` is not one of round_robin, least_latency, \
             cost_weighted, random, priority, did you mean `round_robin`?",
        ),
        (
            "pricing: {one: {big: {input_per_million: -1, output_per_million: 0}}}",
            "pricing.one.big.input_per_million: -1 is below 0",
        ),
        (
            "passthrough: {provider: on}",
            "passthrough.provider: `on` is not a declared provider, did you mean `one`?",
        ),
        (
            "providers: [{name: a, type: anthropic, api_key: k}]\npassthrough: {provider: a}",
            "passthrough.provider: is of type anthropic, which has no such paths",
        ),
        (
            "pricing: {one: {big: {per_second: 1, per_image: 1}}}",
            "pricing.one.big.per_image: cannot be set beside per_second",
        ),
        (
            "pricing: {one: {big: {per_second: 1, input_per_million: 1}}}",
            "pricing.one.big.output_per_million: is required",
        ),
        (
            "pricing: {on: {m: {input_per_million: 1, output_per_million: 0}}}",
            "~ pricing.on: no provider has this name, did you mean `one`?",
        ),
        (
            "pricing: {one: 5}",
            "pricing.one: is a single value, a mapping is wanted",
        ),
    ] {
        check(more, expected);
    }
}

#[test]
fn the_top_level_makes_sense_together() {
    for (more, expected) in [
        (
            "listen: ':1'\nmanagement_listen: '127.0.0.1:1'",
            "management_listen: takes the same place as listen (:1)",
        ),
        (
            "management_listen: ':8080'",
            "management_listen: takes the same place as listen (:8080)",
        ),
        (
            "tls: {cert_file: /c}",
            "tls.key_file: is required where tls.cert_file is set",
        ),
        (
            "tls: {key_file: /k, cert_file: ''}",
            "tls.cert_file: is required where tls.key_file is set",
        ),
        ("tls: {key_file: '', cert_file: ''}", ""),
        (
            "tls: {management: true}",
            "tls.cert_file: is required where tls.management is set",
        ),
        ("tls: {management: false}", ""),
        ("tls:", ""),
        (
            "auth: {mode: static_key}",
            "auth.key: is required where auth.mode is static_key",
        ),
        (
            "auth: {mode: static_key, key: ''}",
            "auth.key: is required where auth.mode is static_key",
        ),
        (
            "auth: {mode: static_key, key: 'a b'}",
            "auth.key: the value has characters other than visible ASCII",
        ),
        ("auth: {mode: static_key, key: ' abc '}", ""),
        (
            "auth: {mode: statickey}",
            "auth.mode: `statickey` is not one of passthrough, static_key, keys, did you \
             mean `static_key`?",
        ),
    ] {
        check(more, expected);
    }
}

#[test]
fn pages_of_other_origins_are_named() {
    let in_static_mode = "auth: {mode: static_key, key: k}";
    let origins = |fields: &str, list: &str| {
        let cors = format!("server: {{cors: {{origins: {list}}}}}");
        format!("{fields}\n{cors}")
    };
    let is_no_origin = "is no origin, write it as `https://app.example`";
    let spends = "lets every web page spend the providers' keys, since auth.mode is passthrough: \
        name the origins, or set auth.mode to static_key";
    let keyless = "providers: [{name: a, type: ollama}]";
    let gateway = "providers: [{name: a, type: ollama, forward_caller_key: false, \
        headers: {set: {Authorization: x}}}]";
    for (fields, list, expected) in [
        ("", "['https://app.example']", String::new()),
        (
            in_static_mode,
            "['*', 'https://app.example']",
            String::new(),
        ),
        (keyless, "['*']", String::new()),
        ("", "['https://a.example', '*']", format!("[1]: {spends}")),
        (gateway, "['*']", format!("[0]: {spends}")),
        (
            "",
            "[app.example]",
            format!("[0]: `app.example` {is_no_origin}"),
        ),
        ("", "['']", String::from("[0]: is empty")),
        ("", "[]", String::from(": at least one origin is required")),
        (
            "",
            "'*'",
            String::from(": is a single value, a list is wanted"),
        ),
    ] {
        let expected = if expected.is_empty() {
            expected
        } else {
            format!("server.cors.origins{expected}")
        };
        check(&origins(fields, list), &expected);
    }
    check("server: {cors: }", "");
    check(
        "server: {cors: 1}",
        "server.cors: is a single value, a mapping is wanted",
    );
    check(
        "server: {cors: {max_age: 5m}}",
        "server.cors.origins: at least one origin is required",
    );
    let many = vec!["'http://a'"; ORIGINS_MAX + 1].join(", ");
    check(
        &origins("", &format!("[{many}]")),
        "server.cors.origins: has 257 entries, at most 256 fit",
    );
    let plan = plan(&with_provider(&origins("", "['HTTP://A:80', 'https://b']")));
    let expected = Cors {
        origins: Origins::Listed(["http://a".into(), "https://b".into()].into()),
        max_age: Duration::from_secs(600),
    };
    assert_eq!(plan.cors, Some(expected));
    // A fault of the list has its line.
    let text = "
providers:
  - {name: a, type: openai, api_key: k}
server:
  cors:
    origins:
      - https://a
      - '*'
";
    let rejected = load(text, &options(Strictness::Lenient)).err().unwrap();
    assert_eq!(rejected.faults()[0].line, Some(8));
}

#[test]
fn providers_make_sense() {
    for (fields, expected) in [
        (
            "type: opnai",
            "providers[0].type: `opnai` is not one of openai, anthropic, ollama, azure_openai, \
             did you mean `openai`?",
        ),
        (
            "name: 'a b', type: ollama",
            "providers[0].name: `a b` has characters other than visible ASCII",
        ),
        (
            "name: é, type: ollama",
            "providers[0].name: `é` has characters other than visible ASCII",
        ),
        (
            "type: azure_openai",
            "providers[0].base_url: is required for azure_openai",
        ),
        (
            "type: ollama, base_url: 'localhost:1'",
            "providers[0].base_url: `localhost:1` is not a URL that starts with http:// or \
             https://",
        ),
        (
            "type: ollama, base_url: 'https://h/#x'",
            "providers[0].base_url: `https://h/#x` has a fragment (`#…`), which no server gets \
             to see",
        ),
        (
            "type: ollama, timeout: 5",
            "providers[0].timeout: 5 has no unit, write `5s` for seconds",
        ),
        (
            "type: ollama, weight: 101",
            "providers[0].weight: 101 is not between 1 and 100",
        ),
        (
            "type: ollama, rate_limits: {requests_per_minute: 0}",
            "providers[0].rate_limits.requests_per_minute: 0 is not between 1 and 1000000000",
        ),
        ("type: ollama, rate_limits: {tokens_per_minute: 1e3}", ""),
        ("type: ollama, health_check: {disabled: true}", ""),
        ("type: ollama, health_check: {path: /api/tags}", ""),
        (
            "type: ollama, health_check: {path: ../x}",
            "providers[0].health_check.path: `../x` leads elsewhere than below base_url",
        ),
        (
            "type: ollama, models: gpt-4o",
            "providers[0].models: is a single value, a list is wanted",
        ),
        (
            "type: ollama, models: [a, ~, '', [b]]",
            "providers[0].models[1]: is empty\nproviders[0].models[2]: is \
             empty\nproviders[0].models[3]: is a list, a text is wanted",
        ),
        ("type: ollama, models: [true, 5, a, a]", ""),
        (
            "type: ollama, models: [\"a\\nb\"]",
            "providers[0].models[0]: `a\\nb` has control characters, or blanks around it",
        ),
        (
            "type: ollama, model_aliases: [a]",
            "providers[0].model_aliases: is a list, a mapping is wanted",
        ),
        (
            "type: ollama, model_aliases: {a: }",
            "providers[0].model_aliases.a: is empty",
        ),
        (
            "type: ollama, model_aliases: {a: a}",
            "providers[0].model_aliases.a: is an alias of itself: `a` → `a`",
        ),
        (
            "type: ollama, model_aliases: {c: a, a: b, b: a}",
            "providers[0].model_aliases.a: is an alias of itself: `a` → `b` → `a`",
        ),
        (
            "type: ollama, circuit_breaker: {error_rate_threshold: 1.5}",
            "providers[0].circuit_breaker.error_rate_threshold: 1.5 is not between 0 and 1",
        ),
        (
            "type: ollama, circuit_braker: {}",
            "~ providers[0].circuit_braker: unknown field, did you mean `circuit_breaker`?",
        ),
        (
            "type: ollama, circuit_breaker: {colour: 1}",
            "~ providers[0].circuit_breaker.colour: unknown field",
        ),
    ] {
        let name = if fields.contains("name:") {
            ""
        } else {
            "name: p, "
        };
        check(&format!("providers: [{{{name}{fields}}}]"), expected);
    }
}

#[test]
fn hosted_providers_need_a_key_where_callers_have_none() {
    let problem =
        "providers[0].api_key: is required for a hosted provider where auth.mode is static_key";
    for (fields, expected) in [
        ("type: openai", problem),
        ("type: openai, api_key: ''", problem),
        ("type: openai, api_key: k", ""),
        (
            "type: openai, base_url: 'https://api.groq.com/openai/v1'",
            problem,
        ),
        ("type: openai, base_url: 'http://localhost:8000/v1'", ""),
        ("type: openai, base_url: 'http://10.0.0.7:8000/v1'", ""),
        ("type: openai, base_url: 'http://vllm:8000/v1'", ""),
        (
            "type: azure_openai, base_url: 'https://r.openai.azure.com'",
            problem,
        ),
        ("type: ollama", ""),
        (
            "type: ollama, forward_caller_key: true",
            "~ providers[0].forward_caller_key: has no effect where auth.mode is static_key",
        ),
    ] {
        let text =
            format!("auth: {{mode: static_key, key: s}}\nproviders: [{{name: p, {fields}}}]");
        check(&text, expected);
    }
}

#[test]
fn whose_key_goes_to_a_provider() {
    for (auth, fields, forwarded) in [
        ("passthrough", "", true),
        ("passthrough", "api_key: k", false),
        ("passthrough", "api_key: k, forward_caller_key: true", true),
        ("passthrough", "forward_caller_key: false", false),
        ("static_key", "", false),
        ("static_key", "forward_caller_key: true", false),
    ] {
        let text = format!(
            "auth: {{mode: {auth}, key: s}}\nproviders: [{{name: p, type: ollama, {fields}}}]"
        );
        assert_eq!(
            plan(&text).providers[0].forward_caller_key,
            forwarded,
            "{text}"
        );
    }
}

#[test]
fn names_are_unique() {
    check(
        "providers: [{name: a, type: ollama, models: [m]}, {name: b, type: ollama},
         {name: a, type: ollama, models: [m]}]",
        "providers[2].name: `a` is already the name of providers[0]",
    );
    check(
        "routing: {groups: [{name: g, models: [gpt-4o]}, {name: g, models: [big]}]}",
        "routing.groups[1].name: `g` is already the name of routing.groups[0]",
    );
    check(
        "budgets: [{caller: a, monthly_usd: 1}, {caller: a, monthly_usd: 2}]",
        "budgets[1].caller: `a` already has the budget budgets[0]",
    );
}

#[test]
fn groups_name_declared_providers() {
    for (members, expected) in [
        ("one", ""),
        ("", ""),
        (
            "one, two",
            "~ routing.groups[0].providers[1]: `two` is not a declared provider",
        ),
        (
            "two, on",
            "routing.groups[0].providers[0]: `two` is not a declared \
             provider\nrouting.groups[0].providers[1]: `on` is not a declared provider, did you \
              mean `one`?",
        ),
        (
            "one, one",
            "routing.groups[0].providers[1]: `one` is there twice",
        ),
    ] {
        let group =
            format!("routing: {{groups: [{{name: g, models: [big], providers: [{members}]}}]}}");
        check(&group, expected);
    }
}

#[test]
fn budgets_make_sense() {
    for (fields, expected) in [
        ("monthly_usd: -1", "budgets[0].monthly_usd: -1 is below 0"),
        ("monthly_usd: 0", ""),
        (
            "monthly_usd: .inf",
            "budgets[0].monthly_usd: `.inf` is not a number",
        ),
        (
            "monthly_usd: 0.0000000001",
            "budgets[0].monthly_usd: 0.0000000001 has more than 9 decimals",
        ),
        (
            "monthly_usd: 1e12",
            "budgets[0].monthly_usd: `1e12` is more than 100000000",
        ),
        (
            "monthly_usd: 1, action: hardstop",
            "budgets[0].action: `hardstop` is not one of hard_stop, alert, model_override, did \
             you mean `hard_stop`?",
        ),
        (
            "monthly_usd: 1, action: model_override",
            "budgets[0].model_override: is required where action is model_override",
        ),
        (
            "monthly_usd: 1, action: model_override, model_override: ''",
            "budgets[0].model_override: is required where action is model_override",
        ),
        (
            "monthly_usd: 1, action: model_override, model_override: gpt-4",
            "budgets[0].model_override: no provider serves `gpt-4`, did you mean `gpt-4o`?",
        ),
        ("monthly_usd: 1, model_override: big", ""),
        (
            "monthly_usd: 1, action: alert, model_override: big",
            "~ budgets[0].model_override: has no effect where action is alert",
        ),
    ] {
        check(&format!("budgets: [{{caller: a, {fields}}}]"), expected);
    }
    let anthropic = "providers: [{name: a, type: anthropic}]";
    let budget = "budgets: [{caller: a, monthly_usd: 1, model_override: MODEL}]";
    let told = |model: &str| {
        let text = format!("{anthropic}\n{}", budget.replace("MODEL", model));
        told(&text, &options(Strictness::Lenient))
    };
    assert!(!told("claude-haiku-4-5").contains("no provider"));
    assert!(told("gpt-4o").contains("no provider serves `gpt-4o`"));
}

#[test]
fn unknown_fields_are_faults_where_strictness_is_wanted() {
    let text = with_provider("lisen: ':1'\nroutng: {}");
    let expected = "lisen: unknown field, did you mean `listen`?\n\
                    routng: unknown field, did you mean `routing`?\n";
    assert_eq!(told(&text, &options(Strictness::Strict)), expected);
    let warnings = expected
        .replace("lisen:", "~ lisen:")
        .replace("routng:", "~ routng:");
    assert_eq!(told(&text, &options(Strictness::Lenient)), warnings);
}

#[test]
fn without_an_environment_only_what_is_known_is_checked() {
    let unresolved = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Strict,
    };
    let text = "
listen: ${LISTEN}
auth: {mode: '${MODE}', key: '${KEY}'}
providers:
  - {name: a, type: azure_openai, base_url: '${URL}', timeout: '${T}', models: ['${M}']}
  - {name: '${B:-a b}', type: openai, api_key: '${KEY}', weight: '${W}'}
routing: {groups: [{name: g, models: ['${M}'], providers: ['${P}']}]}
budgets: [{caller: '${C}', monthly_usd: '${USD}', model_override: '${M}'}]
";
    assert_eq!(told(text, &unresolved), "");
    let wrong = format!("{text}log: {{level: loud}}");
    assert!(told(&wrong, &unresolved).starts_with("log.level: `loud`"));
}

#[test]
fn malformed_texts_are_told_apart_from_faulty_ones() {
    for text in [
        "a: [",
        "- a",
        "x",
        "a: 1\na: 2",
        "a: !t x",
        "---\na: 1\n---\nb: 1",
    ] {
        let told = told(text, &options(Strictness::Lenient));
        assert!(told.starts_with("! "), "{told}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn try_all(text: &str) {
        for strict in [Strictness::Lenient, Strictness::Strict] {
            let _ = load(text, &options(strict));
            let _ = load(
                text,
                &Options {
                    environment: Environment::Unresolved,
                    strict,
                },
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            try_all(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_yaml_like_text_makes_it_panic(
            text in "([ ]{0,4}(- |\\? )?(budgets|providers|a|&x|\\*x|<<|[0-9]{1,\
             4})?(: |:\n|\n|, )?[\\[\\]{}|>'\"#%!~$]{0,3}){0,30}"
        ) {
            try_all(&text);
        }

        #[test]
        fn no_change_of_an_example_makes_it_panic(
            which in 0..EXAMPLES.len(),
            at in any::<prop::sample::Index>(),
            removed in 0..40_usize,
            added in "[ \\n:\\-\\[\\]{}a-z0-9.$\"'&*#]{0,12}",
        ) {
            let mut bytes = EXAMPLES[which].1.as_bytes().to_vec();
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, added.bytes());
            try_all(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn native_is_for_providers_that_can_have_responses() {
    let text = "providers: [{name: a, type: anthropic, api_key: k, responses: native}]";
    let problem = "providers of type anthropic have no Responses API";
    let told = told(text, &options(Strictness::Lenient));
    assert!(told.contains(problem), "{told}");
    for (fields, expected) in [
        ("type: openai, api_key: k", Responses::Presumed),
        (
            "type: azure_openai, api_key: k, base_url: 'http://h'",
            Responses::Presumed,
        ),
        ("type: ollama", Responses::Bridged),
        ("type: anthropic, api_key: k", Responses::Bridged),
        ("type: ollama, responses: native", Responses::Native),
        (
            "type: openai, api_key: k, responses: bridge",
            Responses::Bridged,
        ),
    ] {
        let plan = plan(&format!("providers: [{{name: a, {fields}}}]"));
        assert_eq!(plan.providers[0].responses, expected, "{fields}");
    }
}

/// A digest, as a file has it.
const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn keys_and_their_teams_make_sense_together() {
    let other = HASH.replace('b', "c");
    for (keys, expected) in [
        (format!("[{{name: a, hash: '{HASH}'}}]"), String::new()),
        (
            format!("[{{name: a, hash: '{HASH}'}}, {{name: a, hash: '{other}'}}]"),
            "auth.keys: two keys have the name `a`".into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}'}}, {{name: b, hashes: [{{hash: '{HASH}'}}]}}]"),
            "auth.keys: the keys `a` and `b` have one secret".into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', hashes: [{{hash: '{other}'}}]}}]"),
            "auth.keys[0].hash: stands beside `hashes`: use one of them".into(),
        ),
        (
            "[{name: a, hash: 'sha256:abc'}]".into(),
            "auth.keys[0].hash: is not `sha256:` and 64 hexadecimal digits; `infermux key hash` \
             prints it"
                .into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', team: prodcut}}]"),
            "auth.keys[0].team: no team has the name `prodcut`, did you mean `product`?".into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', models: []}}]"),
            "auth.keys[0].models: is empty: nothing would be allowed; leave it out to allow \
             everything"
                .into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', models: ~, team: '', expires: ~}}]"),
            "auth.keys[0].team: is empty: leave it out, or give it a value\n\
             auth.keys[0].expires: is empty: leave it out, or give it a value\n\
             auth.keys[0].models: is empty: leave it out, or give it a value"
                .into(),
        ),
        (
            format!("[{{name: a, hashes: [{{hash: '{HASH}', until: ~}}]}}]"),
            "auth.keys[0].hashes[0].until: is empty: leave it out, or give it a value".into(),
        ),
        (
            "[{name: a, hashes: []}]".into(),
            "auth.keys[0].hashes: is empty: the key could not be used".into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', callers: [], models: m}}]"),
            "auth.keys[0].callers: is empty: nothing would be allowed; leave it out, which means \
             the same\n\
             auth.keys[0].models: is a single value, a list is wanted"
                .into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', callers: ['a*b*']}}]"),
            "auth.keys[0].callers[0]: `a*b*` has more than one `*`".into(),
        ),
        (
            format!("[{{name: a, hash: '{HASH}', expires: soon}}]"),
            "auth.keys[0].expires: `soon` is neither a date such as 2027-01-31 nor a moment of \
             RFC 3339"
                .into(),
        ),
    ] {
        let text = format!("teams: [{{name: product}}]\nauth: {{mode: keys, keys: {keys}}}");
        check(&text, &expected);
    }
    for (auth, expected) in [
        (
            "{mode: keys}",
            "auth.keys: or `keys_file` is required where auth.mode is keys",
        ),
        (
            "{mode: keys, keys: []}",
            "auth.keys: is empty, and there is no `keys_file`: nobody could call",
        ),
        ("{mode: keys, keys_file: /etc/keys.yml}", ""),
        ("{mode: keys, keys: [], keys_file: /etc/keys.yml}", ""),
        (
            "{mode: keys, keys_file: /etc/keys.yml, key: k}",
            "~ auth.key: has no effect unless auth.mode is static_key",
        ),
        (
            "{key: k}",
            "~ auth.key: has no effect unless auth.mode is static_key",
        ),
        ("{mode: passthrough, key: k}", ""),
        ("{key: \"\"}", ""),
        (
            "{keys_file: /etc/keys.yml}",
            "~ auth.keys: has no effect unless auth.mode is keys",
        ),
    ] {
        check(&format!("auth: {auth}"), expected);
    }
    check(
        "teams: [{name: a}, {name: a}]",
        "teams[1].name: `a` is the name of teams[0], too",
    );
}

#[test]
fn a_file_of_keys_is_a_bare_list() {
    let plan = plan(&with_provider("teams: [{name: t}]"));
    let read = |text: &str| load_keys(text, &Known::of(&plan), &options(Strictness::Strict));
    let first = |text: &str| read(text).unwrap_err()[0].to_string();
    assert_eq!(read("").map(|keys| keys.len()), Ok(0));
    assert_eq!(read("# none yet\n").map(|keys| keys.len()), Ok(0));
    let keys = read(&format!("\u{feff}- name: a\n  hash: {HASH}\n  team: t\n")).unwrap();
    assert_eq!((&*keys[0].name, &*keys[0].caller), ("a", "a"));
    assert_eq!(
        first("name: a"),
        "the file is a mapping, a list is wanted at line 1"
    );
    assert_eq!(
        first("- a"),
        "line 1: keys[0]: is a single value, a mapping is wanted"
    );
    assert_eq!(
        first(&format!("- {{name: a, hash: '{HASH}', nmae: b}}")),
        "line 1: keys[0].nmae: unknown field, did you mean `name`?"
    );
    let third = format!("# ours\n- name: a\n  hash: {HASH}\n- name: b\n  hash: {HASH}x\n");
    assert!(first(&third).starts_with("line 5: keys[1].hash: is not"));
    // Neither the secret nor its digest is told.
    assert!(!first("- {name: a, hash: 'sha256:secret'}").contains("secret"));
}
