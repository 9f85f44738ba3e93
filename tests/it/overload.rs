//! More than infermux takes: who makes way for whom, and what is spent on those who have left.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::json;

use crate::support::client::Client;
use crate::support::operate::metric;
use crate::support::router::{Router, Start};
use crate::support::{chat, config_of, eventually, mock, provider, streamed_chat, wait_as_told};

/// Long before a connection is closed for its own silence.
const SOON: Duration = Duration::from_secs(25);
const LISTENERS: [&str; 2] = ["", "management_listen: '127.0.0.1:0'\n"];

fn config(alpha: &Mock, rest: &str) -> String {
    config_of(&[provider(alpha, &[])], rest)
}

/// Connections that wait for their next request, so many.
fn idle(address: SocketAddr, path: &str, count: usize) -> Vec<Client> {
    let one = |_| {
        let mut client = Client::connect(address);
        client.get(path);
        assert_eq!(client.answer().status, 200);
        client
    };
    (0..count).map(one).collect()
}

#[test]
fn callers_that_only_wait_do_not_keep_others_out() {
    let alpha = mock(json!({"name": "alpha"}));
    for (listener, shards) in [(LISTENERS[0], 1), (LISTENERS[1], 1), (LISTENERS[1], 2)] {
        let server = format!(
            "{listener}server: {{shards: {shards}, max_connections: 6, idle_timeout: 10m}}\n"
        );
        let router = Router::start(&config(&alpha, &server));
        let _waiting = idle(router.addr(), "/v1/models", 6);
        let began = Instant::now();
        // Wherever the kernel puts them: on another event loop, too.
        for _ in 0..4 {
            let mut late = Client::connect(router.addr());
            assert_eq!(late.chat(&chat("hello")).status, 200, "{listener}{shards}");
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[test]
fn operators_that_only_wait_do_not_keep_others_out() {
    let alpha = mock(json!({"name": "alpha"}));
    // Few descriptors, few places: eight for operators.
    let router = Start::with(&config(&alpha, LISTENERS[1]))
        .with_open_files(256)
        .go();
    let _waiting = idle(router.management(), "/_infermux/health", 8);
    let began = Instant::now();
    let mut late = Client::connect(router.management());
    late.get("/_infermux/health");
    assert_eq!(late.answer().status, 200);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn who_has_a_request_under_way_does_not_make_way() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"stream": true}, "do": "stall_mid_stream"},
    ]}));
    let server = "server: {shards: 1, max_connections: 3, idle_timeout: 10m}\n";
    let config = config(&alpha, &format!("{}{server}", LISTENERS[1]));
    let router = Router::start(&config);
    let _streams: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = Client::connect(router.addr());
            client.post("/v1/chat/completions", &streamed_chat("hello there"));
            assert_eq!(client.head().status, 200);
            client
        })
        .collect();
    let mut waiting = idle(router.addr(), "/v1/models", 1);
    let mut late = Client::connect(router.addr());
    assert_eq!(late.chat(&chat("hello")).status, 200);
    assert!(waiting[0].is_closed(), "the only one that waited");
    let under_way = metric(router.management(), "infermux_in_flight_requests", &[]);
    assert_eq!(under_way, 2.0);
}

#[test]
fn empty_lines_do_not_keep_a_connection() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config(&alpha, "server: {idle_timeout: 1s}\n"));
    let mut client = idle(router.addr(), "/v1/models", 1).remove(0);
    let began = Instant::now();
    while began.elapsed() < SOON && client.send("\r\n") {
        if !client.is_silent(Duration::from_millis(200)) {
            break;
        }
    }
    assert!(client.is_closed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn junk_at_the_operators_port_is_no_request_of_callers() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config(&alpha, LISTENERS[1]));
    let requests = || {
        let sum = |name| metric(router.management(), name, &[]);
        (sum("infermux_requests_total"), sum("infermux_errors_total"))
    };
    for (address, expected) in [(router.management(), 0.0), (router.addr(), 1.0)] {
        let mut client = Client::connect(address);
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(client.answer().status, 505);
        assert!(client.is_closed());
        assert_eq!(requests(), (expected, expected));
    }
}

#[test]
fn who_has_left_while_the_loop_was_behind_is_not_asked_for() {
    let alpha = mock(json!({"name": "alpha", "record": false}));
    let server = format!("{}server: {{shards: 1}}\n", LISTENERS[1]);
    let router = Router::start(&config(&alpha, &server));
    let gone = || {
        let sum = |name, labels: &[&str]| metric(router.management(), name, labels);
        let attempts = sum("infermux_attempts_total", &[]);
        (sum("infermux_requests_total", &[]), attempts)
    };
    let mut kept = idle(router.addr(), "/v1/models", 1).remove(0);
    let mut rounds = 0;
    eventually("some of them are noticed in time", || {
        rounds += 1;
        let before = gone();
        // Its end is a fact, which the loop hands over with its next tick.
        assert_eq!(kept.chat(&chat("hello")).status, 200);
        router.signal("STOP");
        for _ in 0..30 {
            Client::connect(router.addr()).post("/v1/chat/completions", &chat("hello"));
        }
        wait_as_told(Duration::from_millis(300));
        router.signal("CONT");
        let all = before.0 + 31.0 + 1.0;
        eventually("all are heard of", || gone().0 >= all - 1.0);
        let (requests, attempts) = gone();
        attempts - before.1 < requests - before.0
    });
}

#[test]
fn who_has_left_while_waiting_for_a_place_is_not_asked_for() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"stream": true}, "do": "stall_mid_stream"},
    ]}));
    let server = "server: {shards: 1, max_connections: 1, idle_timeout: 10m}\n";
    let router = Router::start(&config(&alpha, &format!("{}{server}", LISTENERS[1])));
    let mut busy = Client::connect(router.addr());
    busy.post("/v1/chat/completions", &streamed_chat("hello there"));
    assert_eq!(busy.head().status, 200);
    for _ in 0..10 {
        Client::connect(router.addr()).post("/v1/chat/completions", &chat("hello"));
    }
    drop(busy);
    eventually("all are heard of", || {
        metric(router.management(), "infermux_requests_total", &[]) == 11.0
    });
    let asked = metric(router.management(), "infermux_attempts_total", &[]);
    assert_eq!((asked, alpha.stats().requests), (1.0, 1), "the stream");
}
