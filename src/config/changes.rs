//! What differs between two files: for the log, and for the operator who reloads.

use std::collections::HashMap;

use crate::config::faults::printable;
use crate::config::key_changes;
use crate::config::plan::{Auth, Plan, Provider, Server};

/// Copies the keys that cannot change while the process runs from `before` to `after`; returns
/// those that differ.
pub fn keep_fixed(before: &Plan, after: &mut Plan) -> Vec<&'static str> {
    let mut differ = Vec::new();
    let keep = &mut Keep(&mut differ);
    keep.put("listen", &before.listen, &mut after.listen);
    keep.put(
        "management_listen",
        &before.management_listen,
        &mut after.management_listen,
    );
    let (old, new) = (&before.log, &mut after.log);
    keep.put("log.level", &old.level, &mut new.level);
    keep.put("log.format", &old.format, &mut new.format);
    keep.put("log.timestamps", &old.timestamps, &mut new.timestamps);
    keep.put_server(&before.server, &mut after.server);
    keep.put(
        "budgets.state_file",
        &before.budgets.state_file,
        &mut after.budgets.state_file,
    );
    keep.put("shared", &before.shared, &mut after.shared);
    differ
}

struct Keep<'a>(&'a mut Vec<&'static str>);

impl Keep<'_> {
    fn put<T: Clone + PartialEq>(&mut self, key: &'static str, before: &T, after: &mut T) {
        if before != after {
            self.0.push(key);
            after.clone_from(before);
        }
    }

    fn put_server(&mut self, old: &Server, new: &mut Server) {
        // Every field is named, so that the compiler asks about one that is added.
        let Server {
            shards,
            cores,
            max_connections,
            max_connections_is_set: _,
            max_body_bytes,
            max_buffered_bytes,
            responses_memory,
            max_event_bytes,
            header_timeout,
            body_timeout,
            idle_timeout,
            drain_delay,
            heartbeat,
        } = old;
        self.put("server.shards", shards, &mut new.shards);
        self.put("server.cores", cores, &mut new.cores);
        let key = "server.max_connections";
        self.put(key, max_connections, &mut new.max_connections);
        let key = "server.max_body_bytes";
        self.put(key, max_body_bytes, &mut new.max_body_bytes);
        let key = "server.max_buffered_bytes";
        self.put(key, max_buffered_bytes, &mut new.max_buffered_bytes);
        let key = "server.responses_memory";
        self.put(key, responses_memory, &mut new.responses_memory);
        let key = "server.max_event_bytes";
        self.put(key, max_event_bytes, &mut new.max_event_bytes);
        let key = "server.header_timeout";
        self.put(key, header_timeout, &mut new.header_timeout);
        self.put("server.body_timeout", body_timeout, &mut new.body_timeout);
        self.put("server.idle_timeout", idle_timeout, &mut new.idle_timeout);
        self.put("server.drain_delay", drain_delay, &mut new.drain_delay);
        self.put("server.heartbeat", heartbeat, &mut new.heartbeat);
    }
}

/// What differs between two Plans and takes effect at once; secrets are named and not shown.
#[must_use]
pub fn between(before: &Plan, after: &Plan) -> Vec<String> {
    let mut changed = Vec::new();
    providers(before, after, &mut changed);
    let names = |plan: &Plan| -> Vec<Box<str>> {
        let stays = |one: &&Provider| named(before, one).is_some() && named(after, one).is_some();
        let stay = plan.providers.iter().filter(stays);
        stay.map(|one| one.name.clone()).collect()
    };
    for (what, same) in [
        ("providers: order", names(before) == names(after)),
        ("auth", same_auth(&before.auth, &after.auth)),
        ("tls", before.tls == after.tls),
        ("server.cors", before.cors == after.cors),
        ("routing.strategy", before.strategy == after.strategy),
        ("routing.affinity", before.affinity == after.affinity),
        ("routing.failover", before.failover == after.failover),
        ("routing.least_latency", before.latency == after.latency),
        ("routing.groups", groups(before) == groups(after)),
        ("pricing", before.pricing == after.pricing),
        ("passthrough", before.passthrough == after.passthrough),
        ("usage", before.usage == after.usage),
        ("webhooks", before.webhooks == after.webhooks),
        ("telemetry.otlp", before.otlp == after.otlp),
        (
            "model_families",
            before.model_families == after.model_families,
        ),
    ] {
        if !same {
            changed.push(what.to_owned());
        }
    }
    changed.extend(key_changes::teams(&before.teams, &after.teams));
    budgets(before, after, &mut changed);
    changed
}

/// Whether callers are asked for the same; of keys, each of which is told by its name, only the
/// file counts.
fn same_auth(one: &Auth, other: &Auth) -> bool {
    match (one, other) {
        (Auth::Keys(one), Auth::Keys(other)) => one.file == other.file,
        (Auth::Passthrough | Auth::StaticKey(_) | Auth::Keys(_), _) => one == other,
    }
}

fn named<'a>(plan: &'a Plan, like: &Provider) -> Option<&'a Provider> {
    plan.providers.iter().find(|one| one.name == like.name)
}

fn providers(before: &Plan, after: &Plan, changed: &mut Vec<String>) {
    for provider in &before.providers {
        if named(after, provider).is_none() {
            changed.push(format!("provider {}: removed", printable(&provider.name)));
        }
    }
    for provider in &after.providers {
        let name = printable(&provider.name);
        let Some(former) = named(before, provider) else {
            changed.push(format!("provider {name}: added"));
            continue;
        };
        let fields = fields(former, provider);
        if !fields.is_empty() {
            changed.push(format!("provider {name}: {}", fields.join(", ")));
        }
    }
}

/// The keys in which two providers of the same name differ.
fn fields(one: &Provider, other: &Provider) -> Vec<&'static str> {
    let limits = |of: &Provider| (of.requests_per_minute, of.tokens_per_minute, of.reach);
    let same = [
        ("type", one.vendor == other.vendor),
        ("base_url", one.base == other.base),
        ("proxy", one.proxy == other.proxy),
        ("tls", one.tls == other.tls),
        ("api_key", one.api_key == other.api_key),
        (
            "forward_caller_key",
            one.forward_caller_key == other.forward_caller_key,
        ),
        ("early_head", one.early_head == other.early_head),
        ("responses", one.responses == other.responses),
        (
            "azure_deployment",
            one.azure_deployment == other.azure_deployment,
        ),
        (
            "azure_api_version",
            one.azure_api_version == other.azure_api_version,
        ),
        ("timeout", one.timeout == other.timeout),
        (
            "connect_timeout",
            one.connect_timeout == other.connect_timeout,
        ),
        (
            "first_token_timeout",
            one.first_token_timeout == other.first_token_timeout,
        ),
        (
            "stream_idle_timeout",
            one.stream_idle_timeout == other.stream_idle_timeout,
        ),
        (
            "models",
            one.models == other.models && one.model_settings == other.model_settings,
        ),
        ("model_aliases", one.model_aliases == other.model_aliases),
        ("rate_limits", limits(one) == limits(other)),
        ("max_in_flight", one.max_in_flight == other.max_in_flight),
        ("weight", one.weight == other.weight),
        ("headers", one.headers == other.headers),
        ("request", one.request == other.request),
        ("health_check", one.health_check == other.health_check),
        ("circuit_breaker", one.breaker == other.breaker),
    ];
    let differ = same.into_iter().filter(|(_, same)| !same);
    differ.map(|(field, _)| field).collect()
}

/// The groups without ids: an id may change when its provider's `base_url` does.
fn groups(plan: &Plan) -> Vec<impl PartialEq + use<'_>> {
    let groups = plan.groups.iter().map(|group| {
        let members = group.providers.iter();
        let members: Vec<&str> = members.map(|id| &*plan.provider(*id).name).collect();
        (&group.name, &group.models, group.strategy, members)
    });
    groups.collect()
}

fn budgets(before: &Plan, after: &Plan, changed: &mut Vec<String>) {
    let by_caller = |plan| {
        let plan: &Plan = plan;
        let all = plan.budgets.callers.iter();
        let all = all.map(|one| (&*one.caller, &one.budget));
        all.collect::<HashMap<_, _>>()
    };
    let (former, latter) = (by_caller(before), by_caller(after));
    for one in &before.budgets.callers {
        if !latter.contains_key(&*one.caller) {
            changed.push(format!("budget {}: removed", printable(&one.caller)));
        }
    }
    for one in &after.budgets.callers {
        let caller = printable(&one.caller);
        match former.get(&*one.caller) {
            None => changed.push(format!("budget {caller}: added")),
            Some(terms) if Some(terms) != latter.get(&*one.caller) => {
                changed.push(format!("budget {caller}: changed"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    const FILE: &str = "
listen: ':1'
providers:
  - {name: a, type: ollama, models: [m], api_key: secret-one}
  - {name: b, type: ollama, models: [m]}
routing: {groups: [{name: g, models: [m], providers: [a]}]}
teams: [{name: t}]
budgets: [{caller: x, monthly_usd: 1}, {caller: y, monthly_usd: 1}]
";

    fn plan(text: &str) -> Plan {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(text, &options).ok().unwrap().plan
    }

    fn check(edits: &[(&str, &str)], changed: &[&str], needs_restart: &[&str]) {
        let mut text = FILE.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from));
            text = text.replace(from, to);
        }
        let (before, mut after) = (plan(FILE), plan(&text));
        assert_eq!(keep_fixed(&before, &mut after), needs_restart, "{edits:?}");
        assert_eq!(between(&before, &after), changed, "{edits:?}");
        assert!(keep_fixed(&before, &mut after).is_empty());
    }

    #[test]
    fn the_same_file_changes_nothing() {
        check(&[], &[], &[]);
    }

    #[test]
    fn what_differs_is_named_and_secrets_are_not_shown() {
        check(
            &[
                ("secret-one", "secret-two, weight: 2"),
                ("name: b", "name: c"),
                ("x, monthly_usd: 1", "z, monthly_usd: 1"),
                ("y, monthly_usd: 1", "y, monthly_usd: 2"),
                ("providers: [a]", "providers: [c]"),
            ],
            &[
                "provider b: removed",
                "provider a: api_key, weight",
                "provider c: added",
                "routing.groups",
                "budget x: removed",
                "budget z: added",
                "budget y: changed",
            ],
            &[],
        );
        check(
            &[(
                "routing: {",
                "pricing: {a: {m: {input_per_million: 1, output_per_million: 1}}}\n\
                 routing: {strategy: random, ",
            )],
            &["routing.strategy", "routing.groups", "pricing"],
            &[],
        );
        check(
            &[
                ("name: t}", "name: u, models: [m]}"),
                (
                    "listen: ':1'",
                    "listen: ':1'\nauth: {mode: keys, keys_file: f}",
                ),
            ],
            &[
                "provider b: forward_caller_key",
                "auth",
                "team t: removed",
                "team u: added",
            ],
            &[],
        );
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is() {
        check(
            &[(
                "listen: ':1'",
                "listen: ':2'\nmanagement_listen: ':3'\nlog: {level: warn}\n\
                 server: {shards: 3, idle_timeout: 1s}",
            )],
            &[],
            &[
                "listen",
                "management_listen",
                "log.level",
                "server.shards",
                "server.idle_timeout",
            ],
        );
    }
}
