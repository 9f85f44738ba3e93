//! `/_infermux/*`: what operators see, and what they do to circuits.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};

use infermux_mock::Mock;
use serde_json::json;

use crate::support::canned::{answer_on, whole};
use crate::support::client::Client;
use crate::support::load::{ask, together};
use crate::support::operate::{circuit, get, post, provider_report, turn, wait_for_circuit};
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, eventually, mock, provider, streamed_chat, wait_for_requests,
};

const MANAGEMENT: &str = "management_listen: \"127.0.0.1:0\"\n";

fn alpha() -> Mock {
    mock(json!({"name": "alpha"}))
}

#[test]
fn health_and_readiness_need_no_token_and_no_provider() {
    let alpha = mock(json!({"name": "alpha", "refuse": true}));
    let config = config_with(&alpha, &[]);
    let router = Start::with(&config)
        .env("INFERMUX_MANAGEMENT_TOKEN", "sesame")
        .go();
    for path in ["health", "ready", "livez", "readyz"] {
        let answer = get(router.addr(), &format!("/_infermux/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.text(), "{\"status\":\"ok\"}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let wrong = post(router.addr(), &format!("/_infermux/{path}"));
        assert_eq!(wrong.status, 405);
        assert_eq!(wrong.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn a_token_is_asked_of_operators_where_one_is_set() {
    let alpha = alpha();
    let router = Start::with(&config_with(&alpha, &[]))
        .env("INFERMUX_MANAGEMENT_TOKEN", "sesame")
        .go();
    let requests = [
        "GET /_infermux/providers",
        "POST /_infermux/providers/alpha/circuit/open",
        "POST /_infermux/providers/nobody/circuit/open",
    ];
    for (header, allowed) in [
        ("", false),
        ("Authorization: Bearer sesam\r\n", false),
        ("Authorization: Bearer sesame2\r\n", false),
        ("x-api-key: sesame\r\n", false),
        ("Authorization: Bearer sesame\r\n", true),
    ] {
        for (request, status) in requests.iter().zip([200, 200, 404]) {
            let mut client = Client::connect(router.addr());
            client.send(format!(
                "{request} HTTP/1.1\r\nHost: test\r\n{header}Content-Length: 0\r\n\r\n"
            ));
            let answer = client.answer();
            let expected = if allowed { status } else { 401 };
            assert_eq!(answer.status, expected, "{request} {header}");
            assert!(!answer.text().contains("sesame"));
            assert_eq!(answer.text().contains("management token"), !allowed);
        }
    }
    // A refused operator has changed nothing before the right one did.
    assert_eq!(ask(router.addr(), &chat("x")).status, 503);
}

#[test]
fn operators_are_served_only_where_they_are_to_be() {
    let alpha = alpha();
    let shared = Router::start(&config_with(&alpha, &[]));
    assert_eq!(get(shared.addr(), "/_infermux/providers").status, 200);
    let apart = Router::start(&config_of(&[provider(&alpha, &[])], MANAGEMENT));
    assert_ne!(apart.addr(), apart.management());
    for path in ["health", "ready", "livez", "readyz", "providers"] {
        let path = format!("/_infermux/{path}");
        let answer = get(apart.addr(), &path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"]["message"].is_string());
        assert_eq!(get(apart.management(), &path).status, 200, "{path}");
    }
    assert_eq!(ask(apart.addr(), &chat("x")).status, 200);
    assert_eq!(ask(apart.management(), &chat("x")).status, 404);
    assert_eq!(get(apart.management(), "/v1/models").status, 404);
    let circuit = "/_infermux/providers/alpha/circuit/open";
    assert_eq!(post(apart.addr(), circuit).status, 404);
    assert_eq!(ask(apart.addr(), &chat("x")).status, 200);
    assert_eq!(post(apart.management(), circuit).status, 200);
    assert_eq!(ask(apart.addr(), &chat("x")).status, 503);
}

#[test]
fn the_usual_paths_of_probes_and_scrapers_are_served_where_operators_have_their_own() {
    let alpha = alpha();
    let apart = Start::with(&config_of(&[provider(&alpha, &[])], MANAGEMENT))
        .env("INFERMUX_MANAGEMENT_TOKEN", "sesame")
        .go();
    let shared = Router::start(&config_with(&alpha, &[]));
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/healthz", 200),
        // Like its longer name, it needs the token.
        ("/metrics", 401),
        ("/healthz/", 404),
        ("/health", 404),
    ] {
        assert_eq!(get(apart.management(), path).status, status, "{path}");
        assert_eq!(get(apart.addr(), path).status, 404, "{path}");
        assert_eq!(get(shared.addr(), path).status, 404, "{path}");
    }
    let mut client = Client::connect(apart.management());
    client.send("GET /metrics HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer sesame\r\n\r\n");
    let answer = client.answer_to("GET");
    assert!(
        answer.text().contains("infermux_build_info"),
        "{}",
        answer.text()
    );
    // Whoever asks there is no caller.
    assert!(
        answer
            .text()
            .contains("infermux_shard_requests_total{shard=\"control\"} 0")
    );
}

/// A provider that leaves the first health check waiting until it is told to answer on the
/// listener, and its part of the configuration.
fn late_provider() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let text = format!(
        "  - {{name: alpha, type: openai, api_key: sk-alpha, base_url: \"http://{addr}/v1\",\n    \
         models: [m], health_check: {{timeout: 20s, interval: 1h}}}}\n"
    );
    (listener, text)
}

/// Has the late provider answer whatever it is asked.
fn answer_at_last(listener: TcpListener) {
    let body = json!({
        "data": [{"id": "m"}], "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
    });
    let fields = "Content-Type: application/json\r\n";
    answer_on(listener, whole(fields, body.to_string().as_bytes()), b"");
}

/// An address that no other test takes meanwhile, since this one alone uses its `host`.
fn free_address(host: &str) -> SocketAddr {
    let free = TcpListener::bind((host, 0)).expect("a port");
    free.local_addr().expect("an address")
}

/// Waits until somebody listens there.
fn wait_for_listener(addr: SocketAddr) {
    eventually("it listens", || TcpStream::connect(addr).is_ok());
}

#[test]
fn it_is_not_ready_before_its_start_has_ended() {
    let (alpha, provider) = late_provider();
    let addr = free_address("127.0.0.9");
    let rest = format!("management_listen: '{addr}'\n");
    let start = Start::with(&config_of(&[provider], &rest));
    let probing = std::thread::spawn(move || {
        wait_for_listener(addr);
        let early = get(addr, "/readyz");
        assert_eq!(get(addr, "/livez").status, 200);
        answer_at_last(alpha);
        early
    });
    let router = start.go();
    let early = probing.join().expect("it probes");
    assert_eq!(
        (early.status, &*early.text()),
        (503, "{\"status\":\"starting\"}")
    );
    assert_eq!(get(router.management(), "/readyz").status, 200);
}

#[test]
fn a_shared_listener_answers_probes_before_its_start_has_ended_and_callers_after_it() {
    let (alpha, provider) = late_provider();
    let addr = free_address("127.0.0.10");
    let config = config_of(&[provider], "");
    let start = Start::with(&config.replace("127.0.0.1:0", &addr.to_string()));
    let probing = std::thread::spawn(move || {
        wait_for_listener(addr);
        let mut caller = Client::connect(addr);
        caller.post("/v1/chat/completions", &chat("x"));
        let early = get(addr, "/_infermux/ready");
        assert_eq!(get(addr, "/_infermux/livez").status, 200);
        answer_at_last(alpha);
        (early, caller.answer())
    });
    let router = start.go();
    let (early, served) = probing.join().expect("it probes");
    assert_eq!(
        (early.status, &*early.text()),
        (503, "{\"status\":\"starting\"}")
    );
    assert_eq!(served.status, 200, "{}", served.text());
    assert_eq!(get(router.addr(), "/_infermux/ready").status, 200);
}

#[test]
fn readiness_ends_with_the_signal_and_health_does_not() {
    let alpha = alpha();
    let rest = "server: {drain_delay: 60s}\n";
    let mut router = Router::start(&config_of(&[provider(&alpha, &[])], rest));
    router.signal("TERM");
    eventually("it is not ready", || {
        get(router.addr(), "/_infermux/ready").status == 503
    });
    let not_ready = get(router.addr(), "/_infermux/readyz");
    assert_eq!(not_ready.status, 503);
    // As every 503 does.
    assert_eq!(not_ready.header("retry-after"), Some("1"));
    assert_eq!(not_ready.header("retry-after-ms"), Some("1000"));
    assert_eq!(get(router.addr(), "/_infermux/health").status, 200);
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    router.signal("TERM");
    router.wait();
}

#[test]
fn the_management_listener_serves_until_the_last_request_has_ended() {
    let alpha = alpha();
    alpha
        .set_script(json!({"do": "stall_mid_stream"}))
        .expect("a script");
    let mut router = Router::start(&config_of(&[provider(&alpha, &[])], MANAGEMENT));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("x"));
    wait_for_requests(&alpha, 1);
    router.signal("TERM");
    eventually("no new callers", || {
        TcpStream::connect(router.addr()).is_err()
    });
    assert_eq!(get(router.management(), "/_infermux/health").status, 200);
    assert_eq!(get(router.management(), "/_infermux/ready").status, 503);
    assert_eq!(get(router.management(), "/_infermux/providers").status, 200);
    drop(client);
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_provider_is_described_with_the_contracts_fields() {
    let alpha = alpha();
    let fields = [
        "models: [m, n]",
        "model_aliases: {short: m}",
        "rate_limits: {requests_per_minute: 10, tokens_per_minute: 1000}",
    ];
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &fields), provider(&beta, &["models: [b]"])];
    let router = Router::start(&config_of(&providers, ""));
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    let answer = get(router.addr(), "/_infermux/providers");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let all = answer.json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    let (one, other) = (&all[0], &all[1]);
    let always = [
        "name",
        "type",
        "healthy",
        "in_rotation",
        "circuit",
        "error_rate",
        "p95_latency_ms",
        "requests_last_minute",
        "models",
        "model_aliases",
        "rate_limit_headroom_rpm",
        "rate_limit_headroom_tpm",
        "last_check_at",
        "health_check_url",
        "last_error",
        "last_error_at",
    ];
    let keys = |one: &serde_json::Value| -> BTreeSet<String> {
        one.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(one), always.map(str::to_owned).into());
    assert_eq!(one["name"], "alpha");
    assert_eq!(one["type"], "openai");
    assert_eq!(one["healthy"], true);
    assert_eq!(one["circuit"], "closed");
    assert_eq!(one["error_rate"], 0.0);
    assert_eq!(one["requests_last_minute"], 1);
    assert_eq!(one["models"], json!(["m", "n"]));
    assert_eq!(one["model_aliases"], json!({"short": "m"}));
    assert_eq!(one["rate_limit_headroom_rpm"], 9);
    assert!(one["rate_limit_headroom_tpm"].as_u64() < Some(1_000));
    assert!(one["p95_latency_ms"].as_f64() > Some(0.0));
    assert!(one["last_check_at"].is_null());
    assert!(other["rate_limit_headroom_rpm"].is_null());
    assert!(other["rate_limit_headroom_tpm"].is_null());
    assert!(other["p95_latency_ms"].is_null());
    assert!(!answer.text().contains("sk-"));
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    let mut expected: BTreeSet<String> = always.map(str::to_owned).into();
    expected.extend(["circuit_opened_at", "circuit_recovery_at"].map(str::to_owned));
    assert_eq!(keys(&provider_report(&router, "alpha")), expected);
}

// proves: circuit.by-hand
#[test]
fn when_a_circuit_call_returns_every_shard_obeys() {
    let alpha = alpha();
    let router = Router::start(&config_with(&alpha, &[]));
    let addr = router.addr();
    for (act, state, status) in [
        ("open", "open", 503),
        ("close", "closed", 200),
        ("open", "open", 503),
        ("reset", "closed", 200),
        ("close", "closed", 200),
    ] {
        alpha.reset();
        let answer = turn(&router, "alpha", act);
        assert_eq!(answer.status, 200, "{act}");
        assert_eq!(answer.json()["circuit"], state, "{act}");
        assert_eq!(answer.json()["name"], "alpha");
        let statuses = together(4, move |_| {
            (0..50)
                .map(|_| ask(addr, &chat("x")).status)
                .collect::<Vec<_>>()
        });
        let statuses = statuses.concat();
        assert!(statuses.iter().all(|one| *one == status), "{act}");
        let reached = if status == 200 { 200 } else { 0 };
        assert_eq!(alpha.stats().requests, reached, "{act}");
    }
}

#[test]
fn reset_clears_the_statistics_and_close_keeps_what_is_not_about_the_circuit() {
    let alpha = mock(json!({"name": "alpha", "status": 500}));
    let router = Router::start(&config_with(&alpha, &[]));
    assert_eq!(ask(router.addr(), &chat("x")).status, 502);
    let report = provider_report(&router, "alpha");
    assert_eq!(report["error_rate"], 1.0);
    let report = turn(&router, "alpha", "reset").json();
    assert_eq!(report["error_rate"], 0.0);
    assert_eq!(report["requests_last_minute"], 0);
}

#[test]
fn a_circuit_opened_by_hand_is_closed_by_its_recovery_probe() {
    let alpha = alpha();
    let fields = &["circuit_breaker: {recovery_window: 300ms}"];
    let router = Router::start(&config_with(&alpha, fields));
    assert_eq!(turn(&router, "alpha", "open").status, 200);
    assert_eq!(ask(router.addr(), &chat("x")).status, 503);
    wait_for_circuit(&router, "alpha", "half-open");
    assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    assert_eq!(circuit(&router, "alpha"), "closed");
    router.wait_for_log("reason=manual");
}

#[test]
fn what_operators_ask_for_wrongly_is_told_as_json() {
    let alpha = alpha();
    let router = Router::start(&config_with(&alpha, &[]));
    for path in [
        "/_infermux/providers/nobody/circuit/open",
        "/_infermux/providers/ALPHA/circuit/open",
        "/_infermux/providers/alpha/circuit/burn",
        "/_infermux/providers/alpha",
        "/_infermux/nothing",
        "/_infermux//",
    ] {
        let answer = post(router.addr(), path);
        assert_eq!(answer.status, 404, "{path}");
        let error = answer.json()["error"].clone();
        for key in ["message", "type", "param", "code"] {
            assert!(error.get(key).is_some(), "{path}: {key}");
        }
    }
    for (answer, allowed) in [
        (post(router.addr(), "/_infermux/providers"), "GET, HEAD"),
        (post(router.addr(), "/_infermux/"), "GET, HEAD"),
        (
            get(router.addr(), "/_infermux/providers/alpha/circuit/open"),
            "POST",
        ),
        (
            get(router.addr(), "/_infermux/providers/nobody/circuit/open"),
            "POST",
        ),
    ] {
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some(allowed));
    }
    assert_eq!(circuit(&router, "alpha"), "closed");
}

// proves: counters.exact
#[test]
fn what_has_ended_is_in_the_next_answer_whichever_shard_served_it() {
    let alpha = alpha();
    let router = Router::start(&config_with(&alpha, &[]));
    let addr = router.addr();
    let mut total = 0;
    for round in 0..60 {
        for number in 0..round % 4 {
            let body = [chat("x"), streamed_chat("x")][number % 2].clone();
            assert!(ask(addr, &body).complete);
            total += 1;
        }
        let report = provider_report(&router, "alpha");
        assert_eq!(report["requests_last_minute"], total, "{round}");
    }
    let answers = together(40, move |number| {
        let body = [chat("x"), streamed_chat("x")][number % 2].clone();
        let mut client = Client::connect(addr);
        (0..5).filter(|_| client.chat(&body).complete).count()
    });
    total += answers.into_iter().sum::<usize>();
    let report = provider_report(&router, "alpha");
    assert_eq!(report["requests_last_minute"], total);
}
