//! Callers' and operators' connections have numbers of their own.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::operate::{get, metric};
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat};

fn config(alpha: &Mock, rest: &str) -> String {
    config_of(&[provider(alpha, &[])], rest)
}

/// A provider whose streams go on until their callers leave.
fn endless() -> Mock {
    mock(json!({"name": "alpha", "rules": [
        {"when": {"stream": true}, "do": "stall_mid_stream"},
    ]}))
}

/// Connections with a stream under way, so many.
fn streams(router: &Router, count: usize) -> Vec<Client> {
    let stream = |_| {
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &streamed_chat("hello there"));
        assert_eq!(client.head().status, 200);
        client
    };
    (0..count).map(stream).collect()
}

/// A caller's request on a connection of its own, which ends with its answer.
fn waiting(router: &Router) -> Client {
    let mut client = Client::connect(router.addr());
    let header = "Connection: close\r\n";
    client.post_with("/v1/chat/completions", header, &chat("hello"));
    client
}

/// Operators' connections with a request on its way, or without.
fn operators(router: &Router) -> f64 {
    metric(
        router.management(),
        "infermux_connections",
        &["side=\"operator\""],
    )
}

const LISTENERS: [&str; 2] = ["", "management_listen: '127.0.0.1:0'\n"];

// proves: places.apart
#[test]
fn operators_do_not_wait_for_callers() {
    let alpha = endless();
    for shards in [1, 2] {
        for listener in LISTENERS {
            let server = format!("{listener}server: {{shards: {shards}, max_connections: 3}}\n");
            let router = Router::start(&config(&alpha, &server));
            let busy = streams(&router, 3);
            let mut late: Vec<Client> = (0..5).map(|_| waiting(&router)).collect();
            // Whoever waited for callers here would wait in vain.
            for _ in 0..20 {
                for path in ["health", "livez", "ready", "status", "metrics"] {
                    let answer = get(router.management(), &format!("/_infermux/{path}"));
                    assert_eq!(answer.status, 200, "{path}");
                }
            }
            let is_silent = |client: &mut Client| client.is_silent(Duration::from_millis(5));
            assert!(late.iter_mut().all(is_silent), "callers wait");
            drop(busy);
            for client in &mut late {
                assert_eq!(client.answer().status, 200);
            }
        }
    }
}

// proves: places.apart
#[test]
fn callers_do_not_wait_for_operators() {
    let alpha = mock(json!({"name": "alpha"}));
    for listener in LISTENERS {
        let server = format!("{listener}server: {{max_connections: 1}}\n");
        let router = Router::start(&config(&alpha, &server));
        let mut pages: Vec<Client> = (0..8)
            .map(|_| Client::connect(router.management()))
            .collect();
        for page in &mut pages {
            page.get("/_infermux/status");
            assert_eq!(page.answer().status, 200);
        }
        assert_eq!(operators(&router), 9.0, "and the one that asks");
        for _ in 0..3 {
            let answer = waiting(&router).answer();
            assert_eq!(answer.status, 200);
            eventually("its place is free", || {
                metric(
                    router.management(),
                    "infermux_connections",
                    &["side=\"caller\""],
                ) == 0.0
            });
        }
    }
}

#[test]
fn a_connection_goes_by_the_request_it_carries() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config(&alpha, "server: {max_connections: 1}\n"));
    let mut both = Client::connect(router.addr());
    for _ in 0..3 {
        both.get("/_infermux/status");
        assert_eq!(both.answer().status, 200);
        // Its caller's place is free for another connection.
        let mut other = Client::connect(router.addr());
        assert_eq!(other.chat(&chat("hello")).status, 200);
        both.post("/v1/chat/completions", &chat("hello"));
        assert!(
            both.is_silent(Duration::from_millis(20)),
            "the other one has it"
        );
        drop(other);
        assert_eq!(both.answer().status, 200);
        assert_eq!(operators(&router), 1.0);
    }
    router.wait_for_log("server.max_connections is reached: requests wait");
}

#[test]
fn a_body_that_comes_while_its_request_waits_is_read() {
    let alpha = endless();
    let router = Router::start(&config(&alpha, "server: {shards: 1, max_connections: 1}\n"));
    let busy = streams(&router, 1);
    let mut late = Client::connect(router.addr());
    let body = chat(&"long ".repeat(2_000));
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: ";
    late.send(format!("{head}{}\r\n\r\n", body.len()));
    let (first, rest) = body.split_at(1_000);
    for part in [first, rest] {
        assert!(late.is_silent(Duration::from_millis(20)));
        late.send(part);
    }
    // And one that does not wait any longer.
    drop(waiting(&router));
    drop(busy);
    assert_eq!(late.answer().status, 200);
    drop(late);
    assert_eq!(waiting(&router).answer().status, 200, "its place is free");
}

#[test]
fn callers_that_would_take_all_places_of_operators_are_told() {
    let alpha = endless();
    let server = "server: {shards: 1, max_connections: 1}\n";
    // Few descriptors, few places: eight for operators, six of which are waited on.
    let router = Start::with(&config(&alpha, server))
        .with_open_files(256)
        .go();
    let busy = streams(&router, 1);
    let mut late: Vec<Client> = (0..6).map(|_| waiting(&router)).collect();
    let is_silent = |client: &mut Client| client.is_silent(Duration::from_millis(20));
    assert!(late.iter_mut().all(is_silent));
    for _ in 0..10 {
        let mut client = waiting(&router);
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.code()), (503, "overloaded"));
        assert!(
            answer.text().contains("server.max_connections"),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(client.is_closed());
        assert_eq!(get(router.addr(), "/_infermux/health").status, 200);
    }
    // Who connects and says nothing keeps nobody out for long.
    let silent: Vec<Client> = (0..4).map(|_| Client::connect(router.addr())).collect();
    assert_eq!(get(router.addr(), "/_infermux/health").status, 200);
    for mut client in silent {
        assert!(client.is_closed());
    }
    drop(busy);
    for client in &mut late {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn operators_have_a_bound_of_their_own() {
    let alpha = mock(json!({"name": "alpha"}));
    let server = "management_listen: '127.0.0.1:0'\nserver: {idle_timeout: 500ms}\n";
    let router = Start::with(&config(&alpha, server))
        .with_open_files(256)
        .go();
    let mut idle: Vec<Client> = (0..8)
        .map(|_| Client::connect(router.management()))
        .collect();
    for client in &mut idle {
        client.get("/_infermux/health");
        assert_eq!(client.answer().status, 200);
    }
    let mut late = Client::over(TcpStream::connect(router.management()).expect("a connection"));
    late.get("/_infermux/health");
    assert_eq!(
        waiting(&router).answer().status,
        200,
        "callers do not notice"
    );
    // It is its turn when the others have been idle for long enough.
    assert_eq!(late.answer().status, 200);
}

#[test]
fn full_places_are_one_warning_a_second_that_counts_the_others() {
    let alpha = endless();
    for (listener, what) in LISTENERS
        .into_iter()
        .zip(["requests wait", "accepting pauses"])
    {
        let server = format!("{listener}server: {{shards: 1, max_connections: 1}}\n");
        let config = config(&alpha, &format!("{server}log: {{format: json}}\n"));
        let router = Router::start(&config);
        let warnings = || {
            let log = router.log();
            let lines = log
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"));
            let is_warning = |line: &Value| line["message"].to_string().contains(what);
            lines.filter(is_warning).collect::<Vec<Value>>()
        };
        let began = Instant::now();
        let mut waited = 0;
        while warnings().len() < 3 {
            let busy = streams(&router, 1);
            let mut late = waiting(&router);
            assert!(late.is_silent(Duration::from_millis(5)));
            drop(busy);
            assert_eq!(late.answer().status, 200);
            waited += 1;
        }
        let seconds = began.elapsed().as_secs();
        let warnings = warnings();
        assert!(warnings.len() as u64 <= seconds + 1, "{warnings:?}");
        let kept_back = warnings.iter().filter_map(|line| line["repeated"].as_u64());
        let told = kept_back.sum::<u64>() + warnings.len() as u64;
        // A stream may have waited, too: for the place of the caller before it.
        assert!((3..=2 * waited).contains(&told), "{told} of {waited}");
        assert!(warnings[0]["repeated"].is_null(), "{warnings:?}");
    }
}
