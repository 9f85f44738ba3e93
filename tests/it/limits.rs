//! Bad bodies, slow callers, and every bound of the callers' side.

use std::time::{Duration, Instant};

use infermux_mock::{Goals, Mock};
use serde_json::json;

use crate::memory::held;
use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{PATIENCE, chat, config_for, eventually, mock, streamed_chat};

fn router_with(server: &str, mocks: &[&Mock]) -> Router {
    Router::start(&config_for(mocks, &format!("server: {{{server}}}\n")))
}

/// The head of a chat request with this framing.
fn head(framing: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
}

fn head_of(length: usize) -> String {
    head(&format!("Content-Length: {length}"))
}

/// The head of a chat request whose sender waits to be invited.
fn expecting(length: usize) -> String {
    head(&format!("Expect: 100-continue\r\nContent-Length: {length}"))
}

/// A chat request of exactly this many bytes.
fn chat_of(length: usize) -> String {
    let empty = chat("").len();
    chat(&"x".repeat(length - empty))
}

fn assert_alive(router: &Router) {
    let answer = Client::connect(router.addr()).chat(&chat("alive"));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_body_that_is_no_request_is_refused_and_not_forwarded() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let deep = "[".repeat(200 << 10);
    let deep_objects = "{\"a\":".repeat(40 << 10);
    let long_name = format!("{{\"model\":\"{}\"}}", "m".repeat(600));
    for body in [
        "",
        " ",
        "hello",
        "{",
        "{\"model\":\"m\"",
        "{\"model\":\"m\"}}",
        "{\"model\":\"m\"} {}",
        "{'model':'m'}",
        "[]",
        "[{\"model\":\"m\"}]",
        "\"m\"",
        "null",
        "{}",
        "{\"messages\":[]}",
        "{\"model\":null}",
        "{\"model\":5}",
        "{\"model\":[\"m\"]}",
        "{\"model\":\"\"}",
        "{\"model\":\"a\\nb\"}",
        "{\"model\":\"m\",\"model\":\"m\"}",
        "{\"model\":\"m\",\"model\":\"other\"}",
        "{\"model\":\"m\",\"stream\":\"yes\"}",
        "{\"model\":\"m\",\"stream\":true,\"stream\":false}",
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":5}",
        &long_name,
        &deep,
        &deep_objects,
    ] {
        let mut client = Client::connect(router.addr());
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
            client.post(path, body);
            let answer = client.answer();
            let found = (answer.status, answer.code());
            let shown = &body[..body.len().min(60)];
            assert_eq!(found, (400, "invalid_request".into()), "{shown}");
        }
    }
    let mut client = Client::connect(router.addr());
    client.send([head_of(2).as_bytes(), b"\xff\xfe"].concat());
    assert_eq!(client.answer().status, 400, "no UTF-8");
    assert_eq!(alpha.stats().requests, 0);
    assert_alive(&router);
}

#[test]
fn a_body_nested_deeply_is_no_danger() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let (open, close) = ("[".repeat(100 << 10), "]".repeat(100 << 10));
    for body in [
        format!("{{\"model\":\"m\",\"messages\":{open}{close}}}"),
        format!("{{\"x\":{open}{close},\"model\":\"m\"}}"),
        format!("{{\"model\":\"m\",\"stream_options\":{{\"a\":{open}{close}}}}}"),
    ] {
        let answer = Client::connect(router.addr()).chat(&body);
        // It is JSON; whether it makes sense is the provider's affair.
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
    }
    assert_alive(&router);
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("max_body_bytes: 100000", &[&alpha]);
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat_of(100_000)).status, 200);
    client.send(head("Transfer-Encoding: chunked"));
    client.send(format!("186a0\r\n{}\r\n0\r\n\r\n", chat_of(100_000)));
    assert_eq!(client.answer().status, 200, "in one chunk");
    // The head alone: what is said to be too large is not waited for.
    client.send(head_of(100_001));
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    assert!(answer.text().contains("100000 bytes"), "{}", answer.text());
    assert!(client.is_closed());
    let mut client = Client::connect(router.addr());
    client.send(head("Transfer-Encoding: chunked"));
    client.send(format!("186a1\r\n{}\r\n0\r\n\r\n", chat_of(100_001)));
    assert_eq!(client.answer().status, 413, "in one chunk");
    assert_eq!(alpha.stats().requests, 2);
}

#[test]
fn the_default_limit_is_32_mib() {
    let alpha = mock(json!({"name": "alpha", "record": false}));
    let router = Router::start(&config_for(&[&alpha], ""));
    // Made before the connection is: a busy machine takes its time for it.
    let largest = chat_of(32 << 20);
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&largest).status, 200);
    client.send(head_of((32 << 20) + 1));
    assert_eq!(client.answer().status, 413);
}

#[test]
fn a_head_that_drips_is_given_up() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("header_timeout: 300ms", &[&alpha]);
    let mut client = Client::connect(router.addr());
    let bytes = head("X-A: b").repeat(100);
    let start = Instant::now();
    // Each byte is progress; only the whole head in time counts.
    for byte in bytes.as_bytes() {
        if !client.send([*byte]) || !client.is_silent(Duration::from_millis(20)) {
            break;
        }
    }
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "request_timeout")
    );
    assert!(client.is_closed());
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("header_timeout: 1500ms, idle_timeout: 150ms", &[&alpha]);
    let start = Instant::now();
    let mut silent = Client::connect(router.addr());
    assert!(silent.is_closed(), "nothing is said: there was no request");
    assert!(
        start.elapsed() >= Duration::from_millis(1_500),
        "the first one"
    );
    let mut idle = Client::connect(router.addr());
    // From before the request: when its answer was sent is not known here.
    let start = Instant::now();
    assert_eq!(idle.chat(&chat("x")).status, 200);
    assert!(idle.is_closed());
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(150), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(1_500), "{elapsed:?}");
}

#[test]
fn idle_timeout_does_not_end_a_request_that_takes_longer() {
    let alpha =
        mock(json!({"name": "alpha", "latency_ms": 600, "event_interval_ms": 200, "events": 3}));
    let router = router_with(
        "idle_timeout: 150ms, header_timeout: 150ms, body_timeout: 150ms",
        &[&alpha],
    );
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("x")).status, 200);
    let answer = client.chat(&streamed_chat("x"));
    assert!(answer.complete, "{}", answer.text());
}

#[test]
fn an_empty_line_behind_a_body_is_not_the_beginning_of_a_request() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("header_timeout: 150ms", &[&alpha]);
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("x")).status, 200);
    client.send("\r\n");
    assert!(client.is_silent(Duration::from_millis(500)));
    assert_eq!(client.chat(&chat("x")).status, 200);
}

#[test]
fn a_body_that_stops_is_given_up() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("body_timeout: 300ms", &[&alpha]);
    for (framing, part) in [
        ("Content-Length: 500", "{\"model\":"),
        ("Content-Length: 500", ""),
        ("Transfer-Encoding: chunked", "9\r\n{\"mod"),
        ("Transfer-Encoding: chunked", ""),
    ] {
        let start = Instant::now();
        let mut client = Client::connect(router.addr());
        client.send(head(framing) + part);
        let answer = client.answer();
        let found = (answer.status, answer.code());
        assert_eq!(found, (408, "request_timeout".into()), "{framing}");
        assert!(client.is_closed());
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
    assert_eq!(alpha.stats().requests, 0);
    assert_alive(&router);
}

#[test]
fn a_body_that_keeps_coming_may_take_longer_than_body_timeout() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("body_timeout: 300ms", &[&alpha]);
    let mut client = Client::connect(router.addr());
    let body = chat_of(400);
    let start = Instant::now();
    client.send(head_of(400));
    for part in body.as_bytes().chunks(40) {
        assert!(client.is_silent(Duration::from_millis(60)));
        assert!(client.send(part));
    }
    assert_eq!(client.answer().status, 200);
    assert!(start.elapsed() > Duration::from_millis(500));
}

#[test]
fn a_body_must_average_a_kib_a_second_after_ten_seconds() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let start = Instant::now();
    client.send(head_of(5_000));
    while start.elapsed() < PATIENCE && client.is_silent(Duration::from_millis(250)) {
        client.send("x");
    }
    let elapsed = start.elapsed();
    assert_eq!(client.answer().status, 408);
    assert!(elapsed >= Duration::from_secs(10), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(13), "{elapsed:?}");
    assert_eq!(alpha.stats().requests, 0);
}

// proves: memory.bounded
#[test]
fn bodies_beyond_max_buffered_bytes_are_refused_before_they_are_read() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("max_buffered_bytes: 1000000", &[&alpha]);
    let mut holder = Client::connect(router.addr());
    let body = chat_of(700_000);
    holder.send(expecting(body.len()));
    assert_eq!(holder.head().status, 100, "nothing is held yet");
    holder.send(&body.as_bytes()[..650_000]);
    eventually("what has come of it is held", || held(&router) >= 650_000);
    for _ in 0..4 {
        // Connections land on both shards.
        let mut client = Client::connect(router.addr());
        client.send(expecting(400_000));
        let answer = client.answer();
        let found = (answer.status, answer.code());
        assert_eq!(found, (503, "overloaded".into()), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(answer.header("retry-after-ms").is_some());
        assert!(client.is_closed());
    }
    let mut chunked = Client::connect(router.addr());
    chunked.send(head("Transfer-Encoding: chunked"));
    chunked.send(format!("61a80\r\n{}\r\n0\r\n\r\n", chat_of(400_000)));
    assert_eq!(chunked.answer().status, 503, "a length that is not told");
    assert_alive(&router);
    holder.send(&body.as_bytes()[650_000..]);
    assert_eq!(
        holder.answer().status,
        200,
        "the one that holds them goes on"
    );
    let mut client = Client::connect(router.addr());
    for _ in 0..3 {
        assert_eq!(
            client.chat(&chat_of(600_000)).status,
            200,
            "all is given back"
        );
    }
}

/// The most memory a router has used, in bytes.
fn peak(router: &Router) -> u64 {
    let path = format!("/proc/{}/status", router.pid());
    let status = std::fs::read_to_string(path).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") << 10
}

// proves: memory.bounded
#[test]
fn memory_stays_within_its_bound_whatever_callers_send() {
    let alpha = mock(json!({"name": "alpha", "record": false}));
    let router = router_with("max_buffered_bytes: 20000000", &[&alpha]);
    assert_alive(&router);
    let before = peak(&router);
    let part = vec![b' '; 8_900_000];
    let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part].concat();
    let mut callers = Vec::new();
    for number in 0..16 {
        let mut caller = Client::connect(router.addr());
        // Whoever is refused may send on all the same; nobody ever completes a body.
        let (head, body) = if number % 2 == 0 {
            (head_of(9_000_000), &part)
        } else {
            (head("Transfer-Encoding: chunked"), &chunk)
        };
        caller.send(head);
        caller.send(body);
        callers.push(caller);
    }
    assert_alive(&router);
    let grown = peak(&router) - before;
    assert!(grown > 8_900_000, "{grown}: somebody's bytes are held");
    assert!(grown < 40_000_000, "{grown} bytes more");
}

#[test]
fn what_was_held_is_given_back_by_every_end_of_a_request() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with(
        "max_buffered_bytes: 1000000, body_timeout: 200ms, shards: 1",
        &[&alpha],
    );
    for _ in 0..3 {
        let mut gone = Client::connect(router.addr());
        gone.send(expecting(900_000));
        assert_eq!(gone.head().status, 100);
        drop(gone);
        // The hang-up is noticed at its own time.
        eventually("the hang-up gives the bytes back", || {
            let mut late = Client::connect(router.addr());
            late.send(expecting(900_000));
            late.head().status == 100 && late.answer().status == 408
        });
        let mut wrong = Client::connect(router.addr());
        wrong.post("/v1/chat/completions", &"x".repeat(900_000));
        assert_eq!(wrong.answer().status, 400);
        assert_eq!(wrong.chat(&chat_of(600_000)).status, 200);
    }
}

#[test]
fn an_answer_beyond_max_buffered_bytes_is_refused() {
    for quirks in [json!([]), json!(["close_delimited"])] {
        let alpha = mock(json!({
            "name": "alpha", "answers": ["ok"],
            "rules": [{
                "when": {"path": "/v1/completions"}, "body_bytes": 3_000_000, "quirks": quirks,
            }],
        }));
        let router = router_with("max_buffered_bytes: 1000000", &[&alpha]);
        let mut client = Client::connect(router.addr());
        client.post("/v1/completions", "{\"model\":\"m\",\"prompt\":\"x\"}");
        let answer = client.answer();
        let found = (answer.status, answer.code());
        assert_eq!(found, (503, "overloaded".into()), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_alive(&router);
        let mut client = Client::connect(router.addr());
        assert_eq!(
            client.chat(&chat_of(600_000)).status,
            200,
            "all is given back"
        );
    }
}

#[test]
fn connections_beyond_the_limit_wait_and_are_served_later() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = router_with("max_connections: 2", &[&alpha]);
    let mut served: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = Client::connect(router.addr());
            assert_eq!(client.chat(&chat("x")).status, 200);
            client
        })
        .collect();
    let mut waiting: Vec<Client> = (0..6)
        .map(|_| {
            let mut client = Client::connect(router.addr());
            client.post("/v1/chat/completions", &chat("x"));
            client
        })
        .collect();
    for client in &mut waiting {
        assert!(client.is_silent(Duration::from_millis(40)), "it waits");
    }
    for client in &mut served {
        assert_eq!(client.chat(&chat("x")).status, 200, "the others go on");
    }
    assert_eq!(alpha.stats().requests, 4);
    drop(served);
    // Whichever is let in first: each is served, and makes room for the next.
    while !waiting.is_empty() {
        let mut done = None;
        eventually("one of those that wait is served", || {
            done = waiting
                .iter_mut()
                .position(|client| !client.is_silent(Duration::from_millis(5)));
            done.is_some()
        });
        let mut client = waiting.swap_remove(done.expect("one"));
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(alpha.stats().requests, 10);
    router.wait_for_log("max_connections");
}

#[test]
fn large_answers_arrive_intact() {
    let alpha = mock(json!({"name": "alpha", "body_bytes": 5_000_000}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let direct = Client::connect(alpha.address()).chat(&chat("x"));
    let answer = client.chat(&chat("x"));
    assert!(answer.complete);
    assert_eq!(answer.body.len(), direct.body.len());
    assert_eq!(answer.json()["choices"], direct.json()["choices"]);
    let aliased = mock(json!({"name": "beta", "body_bytes": 5_000_000, "answer_model": "-2024"}));
    let config = config_for(&[&aliased], "").replace(
        "    models: [m]\n",
        "    model_aliases: {m: a-much-longer-name}\n",
    );
    let router = Router::start(&config);
    let answer = Client::connect(router.addr()).chat(&chat("x"));
    assert_eq!(answer.json()["model"], "m");
    assert!(answer.body.len() > 4_900_000);
}

#[test]
fn a_caller_that_reads_slowly_gets_everything() {
    let alpha = mock(json!({"name": "alpha", "body_bytes": 40_000_000}));
    let router = router_with("idle_timeout: 1s", &[&alpha]);
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("x"));
    let start = Instant::now();
    let mut taken = Vec::new();
    // Takes a little every now and then: far longer than the timeout in all, never so long at once.
    while start.elapsed() < Duration::from_secs(2) {
        taken.extend_from_slice(&client.some(512 << 10));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    taken.extend_from_slice(&client.some(usize::MAX));
    assert!(taken.len() > 40_000_000, "{} bytes came", taken.len());
}

#[test]
fn a_caller_that_does_not_read_is_cut_off_alone() {
    let alpha = mock(json!({
        "name": "alpha", "body_bytes": 40_000_000, "events": 4_000, "event_bytes": 10_000,
    }));
    let beta = mock(json!({"name": "beta"}));
    let config = config_for(
        &[&alpha, &beta],
        "server: {idle_timeout: 400ms, shards: 1}\n",
    );
    // Each has a model of its own.
    let config = config.replacen("models: [m]", "models: [large]", 1);
    let router = Router::start(&config);
    for (stream, body) in [(false, chat("x")), (true, streamed_chat("x"))] {
        let mut lazy = Client::connect(router.addr());
        lazy.post("/v1/chat/completions", &body.replace("\"m\"", "\"large\""));
        assert_eq!(lazy.head().status, 200);
        let mut other = Client::connect(router.addr());
        let is_about = |line: &&str| line.contains("model=large") && line.contains("status=");
        let lines = || router.log().lines().filter(is_about).count();
        let before = lines();
        eventually("the lazy caller is cut off", || {
            assert_eq!(other.chat(&chat("x")).status, 200, "others are served");
            lines() > before
        });
        let gone = Goals {
            connections_open: Some(0),
            ..Goals::default()
        };
        if stream {
            assert!(alpha.wait(&gone, PATIENCE), "the provider is let go");
        }
        assert!(lazy.rest().len() < 40_000_000, "the answer is cut short");
    }
    assert_alive(&router);
}
