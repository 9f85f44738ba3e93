//! Checks that the fields of a file make sense, alone and together, and builds the Plan.
//!
//! Everything is read to the end: a fault is noted, and a default stands in for the faulty value.
//! The caller uses the Plan only where no fault was noted.

pub mod accounts;
pub mod allowance;
pub mod auth;
pub mod cors;
pub mod headers;
pub mod keys;
pub mod models;
pub mod providers;
pub mod request;
pub mod routing;
pub mod shared;
pub mod telemetry;
pub mod tls;
pub mod usage;
pub mod webhooks;

use crate::config::check::keys::Known;
use crate::config::listen;
use crate::config::plan::{Listen, Log, LogFormat, LogLevel, Places, Plan, Server};
use crate::config::proxy::Proxies;
use crate::config::raw::fields::Block;
use crate::config::routes::Served;
use crate::config::telemetry::Variables;
use crate::config::{cores, routes};

/// What the environment says besides the values that the file refers to.
pub struct Surroundings {
    /// The proxies that it names.
    pub proxies: Proxies,
    /// What it says of traces.
    pub telemetry: Variables,
}

/// Reads the whole file.
pub fn plan(root: &Block<'_>, surroundings: Surroundings) -> Plan {
    let Surroundings { proxies, telemetry } = surroundings;
    let (listen, management_listen) = listeners(root);
    let log = log(&root.block("log"));
    let tls = tls::listen(&root.block("tls"));
    let auth_block = root.block("auth");
    let mode = auth::mode(&auth_block);
    let server_block = root.block("server");
    let server = server(&server_block);
    let providers = providers::read(root, mode, &proxies);
    let served = Served::new(&providers);
    let teams = keys::teams(root, &served);
    let auth = auth::read(&auth_block, mode, &Known::new(&teams, &providers));
    let cors = cors::read(&server_block, &auth, &providers);
    let routing = routing::read(&root.block("routing"), &providers);
    let pricing = accounts::pricing(root, &providers);
    let budgets = accounts::budgets(root, &served);
    let callers = budgets.callers.iter().map(|one| &one.budget);
    let overrides = callers
        .chain(keys::budgets(&teams, &auth))
        .filter_map(|budget| budget.model_override.as_deref());
    let usual = (routing.strategy, routing.affinity);
    let routes = routes::build(&providers, &routing.groups, usual, overrides);
    let mut routes = routes.unwrap_or_else(|problem| {
        root.fault("providers", problem);
        routes::none()
    });
    let usage = usage::read(root, &budgets, &auth);
    let (passthrough, provider) = accounts::passthrough(root, &providers);
    if let Some(provider) = provider {
        routes::pass_through(&mut routes, provider);
    }
    Plan {
        listen,
        management_listen,
        log,
        tls,
        auth,
        teams,
        server,
        cors,
        providers,
        groups: routing.groups,
        strategy: routing.strategy,
        affinity: routing.affinity,
        failover: routing.failover,
        latency: routing.latency,
        routes,
        pricing,
        passthrough,
        model_families: request::families(root),
        shared: shared::read(root, &budgets),
        usage,
        budgets,
        webhooks: webhooks::read(root, &proxies),
        otlp: telemetry::read(root, telemetry, &proxies),
        places: Places::default(),
    }
}

fn listeners(root: &Block<'_>) -> (Listen, Option<Listen>) {
    let read = |name| root.read(name, |_, text| listen::parse(text));
    let listen = read("listen").unwrap_or_else(listen::everywhere);
    let management = read("management_listen");
    let known = !root.is_unresolved("listen");
    if known
        && management
            .as_ref()
            .is_some_and(|other| listen::collide(&listen, other))
    {
        let problem = format!("takes the same place as listen ({})", listen.text);
        root.fault("management_listen", problem);
    }
    (listen, management)
}

/// The words of `log.level`, in files and everywhere else.
pub const LOG_LEVELS: [(&str, LogLevel); 4] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
];

/// The words of `log.format`, in files and everywhere else.
pub const LOG_FORMATS: [(&str, LogFormat); 2] =
    [("text", LogFormat::Text), ("json", LogFormat::Json)];

fn log(block: &Block<'_>) -> Log {
    Log {
        level: block.word("level", &LOG_LEVELS).unwrap_or(LogLevel::Info),
        format: block
            .word("format", &LOG_FORMATS)
            .unwrap_or(LogFormat::Text),
        timestamps: block.flag("timestamps").unwrap_or(true),
    }
}

fn server(block: &Block<'_>) -> Server {
    let server = Server {
        shards: block.whole("shards").unwrap_or_default(),
        cores: block
            .read("cores", |_, text| cores::parse(text))
            .unwrap_or_default(),
        max_connections: block.whole("max_connections").unwrap_or_default(),
        max_connections_is_set: block.has("max_connections"),
        max_body_bytes: block.whole("max_body_bytes").unwrap_or_default(),
        max_buffered_bytes: block.whole("max_buffered_bytes").unwrap_or_default(),
        responses_memory: block.whole("responses_memory").unwrap_or_default(),
        max_event_bytes: block.whole("max_event_bytes").unwrap_or_default(),
        header_timeout: block.span("header_timeout").unwrap_or_default(),
        body_timeout: block.span("body_timeout").unwrap_or_default(),
        idle_timeout: block.span("idle_timeout").unwrap_or_default(),
        drain_delay: block.span("drain_delay").unwrap_or_default(),
        heartbeat: block.span("heartbeat").unwrap_or_default(),
    };
    let (shards, cores) = (server.shards, server.cores.len());
    if cores > 0 && shards > cores {
        block.fault(
            "shards",
            format!("{shards} is more than the {cores} cores of server.cores"),
        );
    }
    let (body, all) = (server.max_body_bytes, server.max_buffered_bytes);
    if all < body {
        let problem = format!("{all} is below server.max_body_bytes ({body}): no larger body fits");
        block.warn("max_buffered_bytes", problem);
    }
    server
}
