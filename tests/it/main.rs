//! System tests: the real binary over real sockets, with the bundled mock as providers.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unreachable_pub,
    reason = "tests start threads, share memory and look at the clock; modules of one binary"
)]

mod addresses;
mod affinity;
mod alerts;
mod allowances;
mod anthropic;
mod breaker;
mod budget;
mod caller_keys;
mod callers;
mod check;
mod coded;
mod containers;
mod convert;
mod cors;
mod cost;
mod costs;
mod counting;
mod dashboards;
mod deploy;
mod descriptors;
mod documented;
mod endpoints;
mod explain;
mod failed_costs;
mod failover;
mod fleet;
mod fleet_loss;
mod fleet_shown;
mod gates;
mod hangup;
mod headers;
mod health;
mod heartbeat;
mod http;
mod init;
mod key_costs;
mod key_reports;
mod keys;
mod kinds;
mod latency;
mod limits;
mod limits_rate;
mod listen;
mod logging;
mod manage;
mod many_keys;
mod matrix;
mod memory;
mod messages;
mod messages_broken;
mod messages_http;
mod messages_streams;
mod messages_vectors;
mod metrics;
mod models;
mod notify;
mod operator;
mod outcomes;
mod overload;
mod page;
mod pages;
#[cfg(debug_assertions)]
mod panics;
mod parameters;
mod passthrough;
mod places;
mod proxies;
mod raw;
mod recent;
mod reload;
mod responses_answers;
mod responses_errors;
mod responses_http;
mod responses_items;
mod responses_native;
mod responses_pins;
mod responses_stored;
mod responses_streams;
mod responses_vectors;
mod responses_windows;
mod rings;
mod rotation;
mod routing;
mod scopes;
mod scopes_told;
mod secrets;
mod serving;
mod shutdown;
mod split;
mod stall;
mod start;
mod stream_cost;
mod streams;
mod tls;
mod traces;
mod translation;
mod trust;
mod uploads;
mod usage;
mod usage_exact;
mod validate;
mod webhooks;
mod windows;

mod support;
