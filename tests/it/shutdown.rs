//! How the process ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::router::{Router, Start};
use crate::support::{
    chat, config_of, config_with, eventually, mock, provider, streamed_chat, wait_for_requests,
};

/// Waits until the router takes no more connections.
fn wait_until_refused(router: &Router) {
    eventually("the router stops listening", || {
        TcpStream::connect(router.addr()).is_err()
    });
}

// proves: drain.nothing-lost
#[test]
fn streams_in_flight_are_finished_before_the_process_ends() {
    let alpha = mock(json!({"name": "alpha", "events": 8, "event_interval_ms": 200}));
    let router = &mut Router::start(&config_with(&alpha, &[]));
    let mut clients: Vec<Client> = (0..100).map(|_| Client::connect(router.addr())).collect();
    for client in &mut clients {
        client.post("/v1/chat/completions", &streamed_chat("a b c d e f"));
    }
    wait_for_requests(&alpha, 100);
    router.signal("TERM");
    assert!(alpha.stats().answered < 100, "streams are under way");
    for client in &mut clients {
        let answer = client.answer();
        assert!(answer.complete);
        assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
        assert!(answer.trailer("x-infermux-completion-tokens").is_some());
        assert!(client.is_closed());
    }
    assert_eq!(router.wait().code(), Some(0));
    let lines = router.log();
    assert_eq!(
        lines.matches("status=200").count(),
        100,
        "all lines are written"
    );
}

#[test]
fn an_idle_router_ends_at_once() {
    let alpha = mock(json!({"name": "alpha"}));
    for (signal, code) in [("TERM", 0), ("INT", 130)] {
        let mut router = Router::start(&config_with(&alpha, &[]));
        let mut client = Client::connect(router.addr());
        assert_eq!(client.chat(&chat("hello")).status, 200);
        let mut silent = Client::connect(router.addr());
        router.signal(signal);
        assert!(client.is_closed());
        assert!(silent.is_closed());
        let start = Instant::now();
        assert_eq!(router.wait().code(), Some(code), "{signal}");
        assert!(start.elapsed() < Duration::from_secs(5), "{signal}");
    }
}

#[test]
fn idle_connections_are_closed_while_others_are_finished() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"stream": true}, "events": 10, "event_interval_ms": 100},
    ]}));
    let mut router = Router::start(&config_with(&alpha, &[]));
    let mut idle = Client::connect(router.addr());
    assert_eq!(idle.chat(&chat("hello")).status, 200);
    let mut busy = Client::connect(router.addr());
    busy.post("/v1/chat/completions", &streamed_chat("hello"));
    let mut answer = busy.head();
    router.signal("TERM");
    assert!(idle.is_closed());
    assert_eq!(alpha.stats().answered, 1, "the stream is under way");
    wait_until_refused(&router);
    while let Some(chunk) = busy.chunk(&mut answer) {
        answer.body.extend_from_slice(&chunk);
    }
    assert!(answer.complete);
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn what_does_not_finish_in_time_is_cut() {
    let alpha = mock(json!({"name": "alpha", "do": "stall_mid_stream"}));
    let start = Start::with(&config_with(&alpha, &[]));
    let mut router = start.args(&["--graceful-shutdown", "300ms"]).go();
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("hello there"));
    let mut answer = client.head();
    client.chunk(&mut answer).expect("content");
    let mut waiting = Client::connect(router.addr());
    waiting.post("/v1/chat/completions", &chat("hello there"));
    wait_for_requests(&alpha, 2);
    let start = Instant::now();
    router.signal("TERM");
    while let Some(chunk) = client.chunk(&mut answer) {
        answer.body.extend_from_slice(&chunk);
    }
    assert!(!answer.complete);
    // The stream had begun: its caller gets the error as its last event.
    let frame = answer.events().pop().expect("an event");
    let frame: Value = serde_json::from_str(&frame).expect("JSON");
    assert_eq!(frame["error"]["code"], "shutting_down", "{frame}");
    let told = waiting.answer();
    assert_eq!((told.status, &*told.code()), (503, "shutting_down"));
    assert_eq!(told.header("retry-after"), Some("1"));
    let code = router.wait().code();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(code, Some(0));
    let log = router.log();
    assert!(!log.contains("status=499"), "both have waited: {log}");
    assert_eq!(log.matches("error=shutting_down").count(), 2, "{log}");
    assert_eq!(log.matches("status=503").count(), 1, "{log}");
    assert!(!log.contains("the provider"), "it is not to blame: {log}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let alpha = mock(json!({"name": "alpha", "do": "stall_mid_stream"}));
    for signal in ["TERM", "INT"] {
        let start = Start::with(&config_with(&alpha, &[]));
        let mut router = start.args(&["--graceful-shutdown", "60s"]).go();
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &streamed_chat("hello there"));
        let mut answer = client.head();
        router.signal(signal);
        wait_until_refused(&router);
        router.signal(signal);
        router.wait();
        while client.chunk(&mut answer).is_some() {}
        assert!(!answer.complete);
    }
}

#[test]
fn requests_are_taken_until_the_drain_delay_is_over() {
    let alpha = mock(json!({"name": "alpha"}));
    let server = "server: {drain_delay: 600ms}\n";
    let mut router = Router::start(&config_of(&[provider(&alpha, &[])], server));
    let start = Instant::now();
    router.signal("TERM");
    let mut served_at = Duration::ZERO;
    let mut kept = Client::connect(router.addr());
    while let Ok(stream) = TcpStream::connect(router.addr()) {
        drop(stream);
        if start.elapsed() < Duration::from_millis(400) {
            assert_eq!(
                Client::connect(router.addr()).chat(&chat("hello")).status,
                200
            );
            assert_eq!(kept.chat(&chat("hello")).status, 200);
            served_at = start.elapsed();
        }
    }
    assert!(
        start.elapsed() >= Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    assert!(served_at > Duration::ZERO);
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn an_answer_during_the_drain_closes_its_connection() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 400}));
    let mut router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("hello"));
    wait_for_requests(&alpha, 1);
    router.signal("TERM");
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_request_that_has_begun_to_arrive_is_finished() {
    let alpha = mock(json!({"name": "alpha"}));
    let mut router = Router::start(&config_with(&alpha, &[]));
    let body = chat("hello");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = head.clone() + &body;
    let mut clients: Vec<(Client, &str)> = [10, head.len(), head.len() + 9]
        .map(|cut| {
            let (start, rest) = request.split_at(cut);
            let mut client = Client::connect(router.addr());
            assert_eq!(client.chat(&body).status, 200);
            client.send(start);
            (client, rest)
        })
        .into();
    // Answered behind what the others have sent: all of it has arrived.
    assert_eq!(Client::connect(router.addr()).chat(&body).status, 200);
    router.signal("TERM");
    wait_until_refused(&router);
    for (client, rest) in &mut clients {
        client.send(*rest);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(client.is_closed());
    }
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_stream_that_begins_during_the_drain_is_the_last_of_its_connection() {
    let alpha = mock(json!({"name": "alpha", "events": 4, "event_interval_ms": 50}));
    let mut router = Router::start(&config_with(&alpha, &[]));
    let body = streamed_chat("a b c");
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("hello")).header("connection"), None);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\n";
    client.send(format!("{head}Content-Length: {}\r\n\r\n", body.len()));
    // Answered behind what was sent: all of it has arrived.
    assert_eq!(
        Client::connect(router.addr()).chat(&chat("hello")).status,
        200
    );
    router.signal("TERM");
    wait_until_refused(&router);
    client.send(&body);
    let answer = client.answer();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(answer.complete && client.is_closed());
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn whoever_got_a_connection_gets_an_answer() {
    let alpha = mock(json!({"name": "alpha"}));
    let mut router = Router::start(&config_with(&alpha, &[]));
    let addr = router.addr();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut count = 0;
                while let Ok(probe) = TcpStream::connect(addr) {
                    let mut client = Client::over(probe);
                    let answer = client.chat(&chat("hello"));
                    assert_eq!((answer.status, answer.complete), (200, true));
                    count += 1;
                }
                count
            })
        })
        .collect();
    wait_for_requests(&alpha, 50);
    router.signal("TERM");
    for caller in callers {
        assert!(caller.join().expect("a caller") > 0);
    }
    assert_eq!(router.wait().code(), Some(0));
}

// proves: stop.told
#[test]
fn whatever_is_under_way_is_told_when_the_time_to_finish_is_over() {
    let script = |dialect: &str| {
        json!({"name": "alpha", "dialect": dialect, "latency_ms": 600_000, "rules": [
            {"when": {"model": "s"}, "latency_ms": 0, "do": "stall_mid_stream"},
        ]})
    };
    for (kind, base) in [("openai", "/v1"), ("anthropic", "")] {
        let alpha = mock(script(kind));
        for shards in ["1", "2"] {
            let base = format!("base_url: 'http://{}{base}'", alpha.address());
            let fields = [&format!("type: {kind}"), "models: [m, s]", &base];
            let provider = provider(&alpha, &fields);
            let config = config_of(&[provider], &format!("server: {{shards: {shards}}}\n"));
            let start = Start::with(&config);
            let mut router = start.args(&["--graceful-shutdown", "100ms"]).go();
            let before = alpha.stats().requests;
            let mut streams: Vec<_> = (0..8)
                .map(|_| {
                    let mut client = Client::connect(router.addr());
                    let body = streamed_chat("hello there").replace("\"m\"", "\"s\"");
                    client.post("/v1/chat/completions", &body);
                    let head = client.head();
                    (client, head)
                })
                .collect();
            // Without an answer: whole, streamed, and one whose body has not arrived.
            let mut others: Vec<Client> = [chat("x"), streamed_chat("x")]
                .map(|body| {
                    let mut client = Client::connect(router.addr());
                    client.post("/v1/chat/completions", &body);
                    client
                })
                .into();
            wait_for_requests(&alpha, before + 10);
            let mut half = Client::connect(router.addr());
            half.send(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{",
            );
            // Answered behind what was sent: all of it has arrived.
            let mut other = Client::connect(router.addr());
            other.get("/v1/models");
            other.answer();
            others.push(half);
            router.signal("TERM");
            for (client, answer) in &mut streams {
                while let Some(chunk) = client.chunk(answer) {
                    answer.body.extend_from_slice(&chunk);
                }
                let last = answer
                    .events()
                    .pop()
                    .unwrap_or_else(|| panic!("an event: {answer:?}"));
                assert!(last.contains("shutting_down") && !answer.complete, "{last}");
            }
            for client in &mut others {
                let told = client.answer();
                assert_eq!((told.status, &*told.code()), (503, "shutting_down"));
            }
            assert_eq!(router.wait().code(), Some(0));
            let log = router.log();
            assert!(!log.contains("status=499"), "nobody has left: {log}");
            assert_eq!(log.matches("error=shutting_down").count(), 11, "{log}");
        }
    }
}

#[test]
fn connections_that_wait_for_a_place_are_served_or_told() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"model": "s"}, "events": 4, "event_interval_ms": 200},
        {"when": {"model": "e"}, "do": "stall_mid_stream"},
    ]}));
    let provider = provider(&alpha, &["models: [m, s, e]"]);
    for listener in ["", "management_listen: '127.0.0.1:0'\n"] {
        for (model, grace, status) in [("s", "20s", 200), ("e", "500ms", 503)] {
            let server = format!("{listener}server: {{shards: 1, max_connections: 1}}\n");
            let start = Start::with(&config_of(std::slice::from_ref(&provider), &server));
            let mut router = start.args(&["--graceful-shutdown", grace]).go();
            let mut busy = Client::connect(router.addr());
            let body = streamed_chat("x y z").replace("\"m\"", &format!("\"{model}\""));
            busy.post("/v1/chat/completions", &body);
            busy.head();
            let mut waiting: Vec<Client> = (0..5)
                .map(|_| {
                    let mut client = Client::connect(router.addr());
                    client.post("/v1/chat/completions", &chat("x"));
                    client
                })
                .collect();
            router.wait_for_log("server.max_connections is reached");
            router.signal("TERM");
            for client in &mut waiting {
                let answer = client.answer();
                assert_eq!(answer.status, status, "{}", answer.text());
                assert!(client.is_closed());
            }
            assert_eq!(router.wait().code(), Some(0));
            assert!(!router.log().contains("status=499"), "{}", router.log());
        }
    }
}
