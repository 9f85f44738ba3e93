//! Every configuration key has a test that shows its effect; the short ones are here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use infermux::testing::config::raw::keys;
use infermux_mock::Mock;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{chat, config_for, mock, streamed_chat};

/// Which test shows the effect of which keys, as file, test, sections and names.
const SHOWN: &[(&str, &str, &[&str])] = &[
    (
        "usage",
        "a_reload_turns_it_on_and_off_and_changes_the_file",
        &["usage.file"],
    ),
    (
        "usage",
        "files_are_put_aside_by_size_and_the_oldest_go",
        &["usage.rotate", "usage.keep"],
    ),
    ("listen", "every_interface_means_ipv4_and_ipv6", &["listen"]),
    (
        "keys",
        "log_keys_decide_what_a_line_looks_like",
        &["log.level", "log.format", "log.timestamps"],
    ),
    (
        "tls",
        "callers_are_served_over_tls",
        &["tls.cert_file", "tls.key_file"],
    ),
    (
        "trust",
        "callers_present_a_certificate_where_they_must",
        &["tls.client_ca_file"],
    ),
    (
        "trust",
        "a_provider_is_trusted_by_authority_time_and_name",
        &["providers[].tls.ca_file", "providers[].tls.server_name"],
    ),
    (
        "trust",
        "a_provider_is_presented_a_certificate",
        &["providers[].tls.cert_file", "providers[].tls.key_file"],
    ),
    (
        "tls",
        "operators_are_served_over_tls_only_where_the_file_says_so",
        &["tls.management"],
    ),
    (
        "keys",
        "a_static_key_is_asked_of_callers",
        &["auth.mode", "auth.key"],
    ),
    (
        "caller_keys",
        "keys_say_who_calls_and_until_when",
        &[
            "auth.keys[].name",
            "auth.keys[].hash",
            "auth.keys[].hashes[].hash",
            "auth.keys[].hashes[].until",
            "auth.keys[].team",
            "auth.keys[].expires",
            "auth.keys[].disabled",
            "teams[].name",
        ],
    ),
    (
        "caller_keys",
        "a_key_names_the_caller_that_its_requests_are_counted_for",
        &["auth.keys[].caller", "auth.keys[].callers"],
    ),
    (
        "caller_keys",
        "a_key_asks_for_the_models_of_its_own_and_of_its_team_alone",
        &["auth.keys[].models", "teams[].models"],
    ),
    (
        "caller_keys",
        "a_key_may_have_streams_tell_their_cost",
        &["auth.keys[].stream_cost"],
    ),
    (
        "caller_keys",
        "a_file_of_keys_comes_into_force_by_itself_and_a_bad_one_changes_nothing",
        &["auth.keys_file"],
    ),
    (
        "allowances",
        "limits_of_a_minute_and_of_a_day_refuse_by_their_names",
        &[
            "auth.keys[].limits.requests_per_minute",
            "auth.keys[].limits.tokens_per_minute",
            "auth.keys[].limits.requests_per_day",
            "auth.keys[].limits.tokens_per_day",
            "auth.keys[].limits.enforce",
        ],
    ),
    (
        "allowances",
        "so_many_requests_are_under_way_at_once",
        &["auth.keys[].limits.max_in_flight"],
    ),
    (
        "allowances",
        "budgets_of_keys_and_teams_hold_side_by_side",
        &["auth.keys[].budgets[].usd", "auth.keys[].budgets[].per"],
    ),
    (
        "allowances",
        "a_budget_that_alerts_or_is_not_enforced_refuses_nothing",
        &[
            "auth.keys[].budgets[].action",
            "auth.keys[].budgets[].enforce",
        ],
    ),
    (
        "allowances",
        "a_budget_of_certain_models_leads_to_another_one",
        &[
            "auth.keys[].budgets[].model_override",
            "auth.keys[].per_model[].models",
        ],
    ),
    (
        "rings",
        "there_are_as_many_shards_as_asked_for_and_the_flag_beats_the_file",
        &["server.shards"],
    ),
    (
        "rings",
        "shards_are_pinned_on_request_only",
        &["server.cores"],
    ),
    (
        "limits",
        "connections_beyond_the_limit_wait_and_are_served_later",
        &["server.max_connections"],
    ),
    (
        "limits",
        "a_body_may_be_as_large_as_the_limit_and_no_larger",
        &["server.max_body_bytes"],
    ),
    (
        "limits",
        "bodies_beyond_max_buffered_bytes_are_refused_before_they_are_read",
        &["server.max_buffered_bytes"],
    ),
    (
        "responses_items",
        "responses_memory_bounds_what_is_remembered",
        &["server.responses_memory"],
    ),
    (
        "cors",
        "every_kind_of_answer_tells_the_browser",
        &["server.cors.origins"],
    ),
    (
        "cors",
        "a_preflight_needs_no_key_and_every_neighbour_is_what_it_was",
        &["server.cors.max_age"],
    ),
    (
        "kinds",
        "an_event_may_be_as_large_as_max_event_bytes",
        &["server.max_event_bytes"],
    ),
    (
        "limits",
        "a_head_that_drips_is_given_up",
        &["server.header_timeout"],
    ),
    (
        "limits",
        "a_body_that_stops_is_given_up",
        &["server.body_timeout"],
    ),
    (
        "limits",
        "a_connection_without_a_request_is_closed",
        &["server.idle_timeout"],
    ),
    (
        "start",
        "a_second_signal_ends_at_once",
        &["server.drain_delay"],
    ),
    (
        "heartbeat",
        "a_silent_stream_shows_the_caller_that_it_lives",
        &["server.heartbeat"],
    ),
    (
        "heartbeat",
        "an_early_head_leaves_room_for_another_provider",
        &["providers[].early_head"],
    ),
    (
        "responses_http",
        "responses_reach_a_provider_as_the_file_says",
        &["providers[].responses"],
    ),
    (
        "keys",
        "a_provider_is_called_as_it_is_described",
        &[
            "providers[].name",
            "providers[].type",
            "providers[].api_key",
            "providers[].base_url",
            "providers[].azure_deployment",
            "providers[].azure_api_version",
        ],
    ),
    (
        "keys",
        "each_wait_for_a_provider_has_its_bound",
        &[
            "providers[].timeout",
            "providers[].first_token_timeout",
            "providers[].stream_idle_timeout",
        ],
    ),
    (
        "keys",
        "a_provider_that_cannot_be_reached_is_given_up",
        &["providers[].connect_timeout"],
    ),
    (
        "proxies",
        "a_proxy_opens_tunnels_for_tls",
        &["providers[].proxy"],
    ),
    (
        "keys",
        "models_and_aliases_decide_who_serves",
        &["providers[].models", "providers[].model_aliases"],
    ),
    (
        "parameters",
        "a_model_has_settings_of_its_own",
        &[
            "providers[].models[].name",
            "providers[].models[].max_output_tokens",
        ],
    ),
    (
        "parameters",
        "rules_change_what_a_provider_is_sent_and_nothing_else",
        &[
            "providers[].request.rename",
            "providers[].request.remove",
            "providers[].request.default",
            "providers[].request.set",
        ],
    ),
    (
        "parameters",
        "what_a_reasoning_model_refuses_is_left_out_at_its_vendors_own_host",
        &[
            "model_families.<pattern>.rename",
            "model_families.<pattern>.remove",
        ],
    ),
    (
        "windows",
        "a_long_prompt_is_tried_where_it_has_room_and_an_overflow_goes_to_larger_windows_alone",
        &["providers[].models[].context_window"],
    ),
    ("keys", "weights_are_shares", &["providers[].weight"]),
    (
        "keys",
        "a_callers_key_is_forwarded_where_it_is_wanted",
        &["providers[].forward_caller_key"],
    ),
    (
        "health",
        "another_path_can_be_asked",
        &["providers[].health_check.path"],
    ),
    (
        "headers",
        "a_provider_is_sent_headers_of_its_own_and_those_that_are_let_through",
        &["providers[].headers.set", "providers[].headers.forward"],
    ),
    ("keys", "a_strategy_chooses", &["routing.strategy"]),
    (
        "affinity",
        "a_conversation_without_a_name_is_told_by_its_beginning",
        &["affinity.by"],
    ),
    (
        "affinity",
        "who_is_too_busy_takes_no_more_of_its_sessions",
        &["affinity.spill"],
    ),
    (
        "keys",
        "failover_has_its_bounds",
        &["routing.failover.max_attempts", "routing.failover.deadline"],
    ),
    (
        "keys",
        "a_retry_budget_stops_a_storm",
        &["routing.failover.retry_budget"],
    ),
    (
        "keys",
        "a_group_routes_its_models",
        &[
            "routing.groups[].name",
            "routing.groups[].models",
            "routing.groups[].strategy",
            "routing.groups[].providers",
        ],
    ),
    (
        "manage",
        "operators_are_served_only_where_they_are_to_be",
        &["management_listen"],
    ),
    (
        "limits_rate",
        "no_more_than_allowed_are_in_flight_at_once",
        &["providers[].max_in_flight"],
    ),
    (
        "limits_rate",
        "no_window_ever_holds_more_requests_than_allowed",
        &["providers[].rate_limits.requests_per_minute"],
    ),
    (
        "limits_rate",
        "no_window_ever_holds_more_tokens_than_allowed",
        &["providers[].rate_limits.tokens_per_minute"],
    ),
    (
        "health",
        "checks_ask_for_the_list_of_models_and_nothing_that_is_billed",
        &["providers[].health_check.interval"],
    ),
    (
        "health",
        "a_check_that_takes_too_long_has_failed",
        &["providers[].health_check.timeout"],
    ),
    (
        "health",
        "the_start_waits_for_the_first_round_and_tells_what_it_found",
        &["providers[].health_check.disabled"],
    ),
    (
        "breaker",
        "too_large_a_share_of_failures_opens_the_circuit_once_there_are_enough_requests",
        &[
            "circuit_breaker.error_rate_threshold",
            "circuit_breaker.min_requests",
        ],
    ),
    (
        "breaker",
        "exactly_as_many_requests_reach_a_dead_provider_as_open_its_circuit",
        &["circuit_breaker.consecutive_failures"],
    ),
    (
        "breaker",
        "a_p95_that_was_set_covers_every_answer",
        &["circuit_breaker.latency_p95_ms"],
    ),
    (
        "breaker",
        "old_failures_leave_the_window",
        &["circuit_breaker.window_seconds"],
    ),
    (
        "breaker",
        "each_failed_probe_lengthens_the_recovery_window_up_to_its_cap",
        &[
            "circuit_breaker.recovery_window",
            "circuit_breaker.recovery_backoff_multiplier",
            "circuit_breaker.recovery_backoff_max",
        ],
    ),
    (
        "breaker",
        "a_slow_probe_reopens_the_circuit_and_its_late_answer_closes_it",
        &["circuit_breaker.probe_timeout"],
    ),
    (
        "breaker",
        "rate_limits_count_as_failures_only_on_request",
        &["circuit_breaker.treat_rate_limit_as_error"],
    ),
    (
        "latency",
        "the_share_of_each_sample_decides_how_soon_a_change_is_noticed",
        &["routing.least_latency.ewma_decay"],
    ),
    (
        "latency",
        "the_faster_one_is_preferred_once_both_are_known",
        &["routing.least_latency.min_samples"],
    ),
    (
        "cost",
        "the_cheapest_is_chosen_by_its_prices",
        &["pricing.<provider>.<model>.input_per_million"],
    ),
    (
        "cost",
        "a_cost_is_what_the_prices_make_of_the_tokens",
        &["pricing.<provider>.<model>.output_per_million"],
    ),
    (
        "uploads",
        "sound_is_priced_by_its_length",
        &["pricing.<provider>.<model>.per_second"],
    ),
    (
        "endpoints",
        "sound_comes_as_it_is_made",
        &["pricing.<provider>.<model>.per_million_characters"],
    ),
    (
        "endpoints",
        "prices_by_units_use_up_budgets",
        &["pricing.<provider>.<model>.per_image"],
    ),
    (
        "endpoints",
        "what_cannot_be_priced_is_refused_where_a_budget_is_a_hard_stop",
        &["passthrough.assume_usd"],
    ),
    (
        "passthrough",
        "paths_without_a_model_go_where_the_file_says",
        &["passthrough.provider"],
    ),
    (
        "budget",
        "an_orderly_end_writes_all_that_was_spent",
        &["budgets.state_file"],
    ),
    (
        "budget",
        "a_budget_that_is_used_up_is_told_with_its_figures",
        &["budgets[].caller", "budgets[].monthly_usd"],
    ),
    (
        "budget",
        "an_alert_tells_once_of_each_level_and_refuses_nobody",
        &["budgets[].action"],
    ),
    (
        "budget",
        "from_the_limit_on_another_model_serves_under_the_callers_name_for_it",
        &["budgets[].model_override"],
    ),
    (
        "fleet",
        "a_providers_limit_holds_over_three_instances",
        &["shared.url", "shared.namespace"],
    ),
    (
        "fleet",
        "what_is_local_holds_for_each_instance",
        &[
            "providers[].rate_limits.local",
            "auth.keys[].limits.local",
            "auth.keys[].budgets[].local",
            "budgets[].local",
        ],
    ),
    (
        "fleet",
        "what_a_killed_instance_held_comes_back",
        &["shared.member_ttl"],
    ),
    (
        "fleet",
        "sync_and_wait_decide_how_often_and_how_long",
        &["shared.sync", "shared.wait"],
    ),
    (
        "fleet_loss",
        "without_the_store_for_longer_each_choice_does_what_it_says",
        &["shared.on_loss.rate_limits", "shared.on_loss.budgets"],
    ),
    (
        "fleet_loss",
        "the_store_is_reached_within_tls_and_over_the_first_node_that_answers",
        &[
            "shared.urls",
            "shared.tls.ca_file",
            "shared.tls.cert_file",
            "shared.tls.key_file",
            "shared.tls.server_name",
        ],
    ),
    (
        "traces",
        "a_collector_may_be_reached_by_tls",
        &["telemetry.otlp.endpoint", "telemetry.otlp.headers"],
    ),
    (
        "traces",
        "the_share_that_is_wanted_is_told_over_all_shards",
        &["telemetry.otlp.sample", "telemetry.otlp.compression"],
    ),
    (
        "traces",
        "with_link_another_trace_begins_that_refers_to_the_callers",
        &["telemetry.otlp.parent"],
    ),
    (
        "traces",
        "a_collector_that_answers_too_late_is_asked_again",
        &["telemetry.otlp.timeout"],
    ),
    (
        "webhooks",
        "a_circuit_that_opens_again_and_again_is_told_once_an_hour",
        &["webhooks[].url", "webhooks[].secret", "webhooks[].events"],
    ),
    (
        "webhooks",
        "slack_gets_a_message_for_people",
        &["webhooks[].format"],
    ),
];

#[test]
fn every_key_has_a_test_that_shows_its_effect() {
    let mut shown = BTreeSet::new();
    for (file, test, paths) in SHOWN {
        let path = format!("{}/tests/it/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).expect("a file of tests");
        assert!(source.contains(&format!("\nfn {test}()")), "{file}::{test}");
        for path in *paths {
            assert!(shown.insert((*path).to_owned()), "{path} stands twice");
        }
    }
    for key in keys::all() {
        let path = key.path();
        // A block says nothing by itself: its keys do.
        let is_block = matches!(
            key.kind,
            keys::Kind::Block(_) | keys::Kind::Blocks(_) | keys::Kind::Named(_) | keys::Kind::Table
        );
        let is_shown = shown.remove(&path);
        assert!(is_shown || is_block, "{path}: no test shows its effect");
    }
    assert!(shown.is_empty(), "no such keys: {shown:?}");
}

/// A configuration with one provider for `mock`, these lines in place of its `models`.
fn provider(mock: &Mock, lines: &str) -> String {
    config_for(&[mock], "").replace("    models: [m]\n", lines)
}

/// The value of a header in a request that a mock has recorded.
fn header(request: &Value, name: &str) -> Option<String> {
    let headers = request["headers"].as_array()?;
    let found = headers.iter().find(|field| field[0] == name)?;
    found[1].as_str().map(str::to_owned)
}

fn last(mock: &Mock) -> Value {
    mock.requests().pop().expect("a request")
}

fn ask(router: &Router, body: &str) -> Answer {
    Client::connect(router.addr()).chat(body)
}

/// The chat request with another model.
fn ask_for(router: &Router, model: &str) -> Answer {
    ask(router, &chat("x").replace("\"m\"", &format!("\"{model}\"")))
}

#[test]
fn log_keys_decide_what_a_line_looks_like() {
    let alpha = mock(json!({"name": "alpha"}));
    let logged = |keys: &str| {
        let mut router = Router::start(&config_for(&[&alpha], &format!("log: {{{keys}}}\n")));
        assert_eq!(ask(&router, &chat("x")).status, 200);
        router.signal("TERM");
        router.wait();
        router.log()
    };
    let text = logged("level: info");
    let line = text
        .lines()
        .find(|line| line.contains("status=200"))
        .expect("a line");
    assert!(line.starts_with("20"), "a time: {line}");
    assert!(!text.contains("DEBUG"));
    let text = logged("level: error");
    assert_eq!(text, "", "there was no error");
    let text = logged("format: json, timestamps: false");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let requests: Vec<Value> = lines.filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 1, "{text}");
    assert_eq!(requests[0]["status"], 200);
    assert!(!text.contains("\"time"), "{text}");
}

#[test]
fn a_static_key_is_asked_of_callers() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = config_for(&[&alpha], "auth: {mode: static_key, key: open-sesame}\n");
    let router = Router::start(&config);
    let mut client = Client::connect(router.addr());
    for (fields, status) in [
        ("", 401),
        ("Authorization: Bearer open\r\n", 401),
        ("Authorization: Basic open-sesame\r\n", 401),
        ("x-api-key: open\r\n", 401),
        ("Authorization: Bearer open-sesame\r\n", 200),
        ("X-Api-Key: open-sesame\r\n", 200),
    ] {
        client.post_with("/v1/chat/completions", fields, &chat("x"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{fields:?}");
        if status == 401 {
            assert_eq!(answer.code(), "invalid_api_key");
        } else {
            let key = header(&last(&alpha), "authorization");
            assert_eq!(key.as_deref(), Some("Bearer sk-alpha"), "{fields:?}");
        }
    }
    assert_eq!(alpha.stats().requests, 2);
}

#[test]
fn a_provider_is_called_as_it_is_described() {
    let chat_path = "/v1/chat/completions";
    let azure_path = "/openai/deployments/d/chat/completions?api-version=2025-01-01";
    let azure = "azure_deployment: d\n    azure_api_version: 2025-01-01\n    models: [m]\n";
    for (dialect, kind, lines, suffix, path, key) in [
        (
            "openai",
            "openai",
            "models: [m]\n",
            "/v1",
            chat_path,
            ("authorization", "Bearer sk-p"),
        ),
        (
            "ollama",
            "ollama",
            "models: [m]\n",
            "",
            chat_path,
            ("authorization", "Bearer sk-p"),
        ),
        (
            "azure",
            "azure_openai",
            azure,
            "",
            azure_path,
            ("api-key", "sk-p"),
        ),
    ] {
        let mock = mock(json!({"name": "p", "dialect": dialect}));
        let config = provider(&mock, &format!("    {lines}"))
            .replace("type: openai", &format!("type: {kind}"))
            .replace("/v1\"", &format!("{suffix}\""));
        let router = Router::start(&config);
        let answer = ask(&router, &chat("x"));
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        assert_eq!(answer.header("x-infermux-provider"), Some("p"));
        let request = last(&mock);
        assert_eq!(request["path"], path, "{kind}");
        assert_eq!(header(&request, key.0).as_deref(), Some(key.1), "{kind}");
    }
}

#[test]
fn each_wait_for_a_provider_has_its_bound() {
    for (key, fails, body) in [
        ("timeout", "stall_before_head", chat("x")),
        ("timeout", "stall_mid_stream", chat("x")),
        ("timeout", "stall_before_head", streamed_chat("x")),
        ("timeout", "stall_before_content", streamed_chat("x")),
        ("timeout", "stall_mid_stream", streamed_chat("x")),
        (
            "first_token_timeout",
            "stall_before_content",
            streamed_chat("x"),
        ),
        (
            "stream_idle_timeout",
            "stall_mid_stream",
            streamed_chat("x"),
        ),
    ] {
        let alpha = mock(json!({"name": "alpha", "do": fails}));
        let config = provider(&alpha, &format!("    models: [m]\n    {key}: 200ms\n"));
        let router = Router::start(&config);
        let start = Instant::now();
        let answer = ask(&router, &body);
        let elapsed = start.elapsed();
        let name = format!("{key}, {fails}, {body}");
        assert!(elapsed >= Duration::from_millis(190), "{name}: {elapsed:?}");
        assert!(elapsed < Duration::from_secs(5), "{name}: {elapsed:?}");
        if body == streamed_chat("x") && fails == "stall_mid_stream" {
            assert!(!answer.complete, "{name}: a cut must not look like an end");
            let end = answer.events().pop().expect("an event");
            assert!(
                end.contains("\"code\":\"upstream_timeout\""),
                "{name}: {end}"
            );
        } else {
            let found = (answer.status, answer.code());
            assert_eq!(found, (504, "upstream_timeout".into()), "{name}");
        }
    }
}

/// A listener that accepts nobody, with connections that fill its queue: further ones wait.
fn black_hole() -> (Socket, SocketAddr, Vec<Socket>) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&any.into()).expect("a port");
    listener.listen(0).expect("a listener");
    let addr = listener
        .local_addr()
        .expect("an address")
        .as_socket()
        .expect("an address");
    let mut queue = Vec::new();
    loop {
        let one = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let reached = one.connect_timeout(&addr.into(), Duration::from_millis(200));
        if reached.is_err() {
            return (listener, addr, queue);
        }
        queue.push(one);
        assert!(queue.len() < 100, "the queue of the listener never fills");
    }
}

#[test]
fn a_provider_that_cannot_be_reached_is_given_up() {
    let (_listener, addr, _queue) = black_hole();
    let alpha = mock(json!({"name": "alpha"}));
    let config = provider(&alpha, "    models: [m]\n    connect_timeout: 200ms\n")
        .replace(&alpha.address().to_string(), &addr.to_string());
    let router = Router::start(&config);
    let start = Instant::now();
    let answer = ask(&router, &chat("x"));
    let elapsed = start.elapsed();
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_error".into())
    );
    assert!(elapsed >= Duration::from_millis(190), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[test]
fn models_and_aliases_decide_who_serves() {
    let alpha = mock(json!({"name": "alpha"}));
    let config = provider(
        &alpha,
        "    models: [one]\n    model_aliases: {two: one-long}\n",
    );
    let router = Router::start(&config);
    for (asked, served) in [
        ("one", "one"),
        ("two", "one-long"),
        ("one-long", "one-long"),
    ] {
        let answer = ask_for(&router, asked);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(last(&alpha)["body"]["model"], served);
        assert_eq!(answer.json()["model"], asked);
        assert_eq!(answer.header("x-infermux-model"), Some(served));
    }
    let answer = ask_for(&router, "m");
    assert_eq!(
        (answer.status, answer.code()),
        (404, "model_not_found".into())
    );
}

// proves: rotation.exact
#[test]
fn weights_are_shares() {
    let (alpha, beta) = (
        mock(json!({"name": "alpha"})),
        mock(json!({"name": "beta"})),
    );
    let config = config_for(&[&alpha, &beta], "");
    let config = config.replacen("models: [m]\n", "models: [m]\n    weight: 3\n", 1);
    let router = Router::start(&config);
    for _ in 0..20 {
        assert_eq!(ask(&router, &chat("x")).status, 200);
    }
    assert_eq!((alpha.stats().requests, beta.stats().requests), (15, 5));
}

// proves: key.where-meant
#[test]
fn a_callers_key_is_forwarded_where_it_is_wanted() {
    let no_key = |config: String| config.replace("    api_key: sk-alpha\n", "");
    let keep = |config: String| config;
    type Change = fn(String) -> String;
    for (lines, change, sent) in [
        ("", keep as Change, Some("Bearer sk-alpha")),
        ("    forward_caller_key: true\n", keep, Some("Bearer mine")),
        (
            "    forward_caller_key: false\n",
            keep,
            Some("Bearer sk-alpha"),
        ),
        ("", no_key as Change, Some("Bearer mine")),
        ("    forward_caller_key: false\n", no_key, None),
    ] {
        let alpha = mock(json!({"name": "alpha"}));
        let config = change(provider(&alpha, &format!("    models: [m]\n{lines}")));
        let router = Router::start(&config);
        let mut client = Client::connect(router.addr());
        client.post_with(
            "/v1/chat/completions",
            "Authorization: Bearer mine\r\n",
            &chat("x"),
        );
        assert_eq!(client.answer().status, 200, "{config}");
        let found = header(&last(&alpha), "authorization");
        assert_eq!(found.as_deref(), sent, "{config}");
    }
}

#[test]
fn a_strategy_chooses() {
    for (strategy, shares) in [
        ("priority", Some((8, 0))),
        ("round_robin", Some((4, 4))),
        ("random", None),
    ] {
        let (alpha, beta) = (
            mock(json!({"name": "alpha"})),
            mock(json!({"name": "beta"})),
        );
        let rest = format!("routing: {{strategy: {strategy}}}\n");
        let router = Router::start(&config_for(&[&alpha, &beta], &rest));
        for _ in 0..8 {
            let answer = ask(&router, &chat("x"));
            assert_eq!(answer.header("x-infermux-strategy"), Some(strategy));
        }
        let found = (alpha.stats().requests, beta.stats().requests);
        assert_eq!(found, shares.unwrap_or(found), "{strategy}");
        assert_eq!(found.0 + found.1, 8, "{strategy}");
    }
}

/// A router over providers with these scripts, asked in this order.
fn in_order(scripts: &[Value], failover: &str) -> (Router, Vec<Mock>) {
    let named = |(number, script): (usize, &Value)| {
        let mut script = script.clone();
        script["name"] = json!(format!("p{number}"));
        mock(script)
    };
    let mocks: Vec<Mock> = scripts.iter().enumerate().map(named).collect();
    let rest = format!("routing: {{strategy: priority, failover: {{{failover}}}}}\n");
    let router = Router::start(&config_for(&mocks.iter().collect::<Vec<_>>(), &rest));
    (router, mocks)
}

#[test]
fn failover_has_its_bounds() {
    let failing = json!({"answers": [503]});
    let scripts = [failing.clone(), failing, json!({})];
    for (attempts, status) in [(1, 502), (2, 502), (3, 200)] {
        let (router, mocks) = in_order(&scripts, &format!("max_attempts: {attempts}"));
        let answer = ask(&router, &chat("x"));
        assert_eq!(answer.status, status, "{attempts}");
        let asked = mocks
            .iter()
            .filter(|mock| mock.stats().requests == 1)
            .count();
        assert_eq!(asked, attempts);
        let told = (attempts > 1).then(|| attempts.to_string());
        assert_eq!(answer.header("x-infermux-attempts"), told.as_deref());
    }
    let slow = json!({"do": "stall_before_head"});
    let (router, mocks) = in_order(&[slow.clone(), slow], "deadline: 300ms");
    let start = Instant::now();
    assert_eq!(ask(&router, &chat("x")).status, 504);
    assert!(start.elapsed() >= Duration::from_millis(290));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(mocks[1].stats().requests, 0, "no time was left for it");
}

#[test]
fn a_retry_budget_stops_a_storm() {
    let scripts = [json!({"answers": [503]}), json!({})];
    for (budget, all_served) in [("0", false), ("10", true)] {
        let (router, _mocks) = in_order(&scripts, &format!("retry_budget: {budget}"));
        let mut client = Client::connect(router.addr());
        let served = (0..80)
            .filter(|_| client.chat(&chat("x")).status == 200)
            .count();
        // Three extra attempts a second are always allowed.
        assert!(served >= 3, "{served}");
        assert_eq!(served == 80, all_served, "{served}");
        let told = "retry budget is used up";
        if all_served {
            assert!(!router.log().contains(told));
        } else {
            router.wait_for_log(told);
        }
    }
}

#[test]
fn a_group_routes_its_models() {
    let names = ["alpha", "beta", "gamma"];
    let mocks = names.map(|name| mock(json!({"name": name})));
    let groups = "routing:\n  groups:\n  - {name: fast, models: [g], strategy: priority, \
                  providers: [gamma, alpha]}\n";
    let config = config_for(&mocks.each_ref(), groups).replace("models: [m]", "models: [m, g]");
    let router = Router::start(&config);
    for _ in 0..6 {
        let answer = ask_for(&router, "g");
        assert_eq!(answer.header("x-infermux-route-group"), Some("fast"));
        assert_eq!(answer.header("x-infermux-strategy"), Some("priority"));
        assert_eq!(answer.header("x-infermux-provider"), Some("gamma"));
    }
    mocks[2]
        .set_script(json!({"answers": [503]}))
        .expect("a script");
    let answer = ask_for(&router, "g");
    assert_eq!(
        answer.header("x-infermux-provider"),
        Some("alpha"),
        "the group's second"
    );
    mocks[0]
        .set_script(json!({"answers": [503]}))
        .expect("a script");
    assert_eq!(
        ask_for(&router, "g").status,
        502,
        "beta is not in the group"
    );
    assert_eq!(mocks[1].stats().requests, 0);
    let answer = ask(&router, &chat("x"));
    assert_eq!(answer.header("x-infermux-route-group"), None);
}
