//! Callers who leave before they have their answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use infermux_mock::{Goals, Mock};
use serde_json::json;

use crate::support::client::Client;
use crate::support::operate::get;
use crate::support::router::Router;
use crate::support::{
    PATIENCE, chat, config_of, config_with, eventually, last_seen, mock, provider, streamed_chat,
    wait_for, wait_for_requests,
};

/// Longest time from a caller's hang-up to the end of the provider's connection.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Hang-ups of which the fastest counts: other work on the machine may delay each.
const TRIES: u64 = 5;

fn peer_closed(count: u64) -> Goals {
    Goals {
        peer_closed: Some(count),
        ..Goals::default()
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
}

/// How long after `hung_up` the provider saw the end of its last request's connection.
fn noticed_after(mock: &Mock, hung_up: Duration) -> Duration {
    let seen = last_seen(mock);
    assert_eq!(seen["ended"], "peer_closed");
    let number = |name: &str| seen[name].as_u64().expect("a number");
    let ended = Duration::from_nanos(number("arrived_ns") + number("ended_after_ns"));
    ended.saturating_sub(hung_up)
}

/// Lets callers hang up as soon as `until` holds; the provider must learn of it at once.
fn check(script: &serde_json::Value, body: &str, until: impl Fn(&mut Client)) {
    let alpha = mock(script.clone());
    let router = Router::start(&config_with(&alpha, &[]));
    let mut fastest = PATIENCE;
    for count in 1..=TRIES {
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", body);
        wait_for_requests(&alpha, count);
        until(&mut client);
        let hung_up = since_epoch();
        drop(client);
        wait_for(&alpha, &peer_closed(count));
        fastest = fastest.min(noticed_after(&alpha, hung_up));
    }
    assert!(fastest < AT_ONCE, "{script}: {fastest:?}");
    eventually("a line for each", || {
        router.log().matches("status=499").count() as u64 == TRIES
    });
    assert_eq!(
        alpha.stats().requests,
        TRIES,
        "nobody else was asked for them"
    );
}

// proves: hangup.cuts-upstream
#[test]
fn a_caller_who_leaves_while_waiting_takes_the_provider_along() {
    let script = json!({"name": "alpha", "do": "stall_before_head"});
    check(&script, &chat("hello"), |_| {});
    check(&script, &streamed_chat("hello"), |_| {});
    let script = json!({"name": "alpha", "do": "stall_before_content"});
    check(&script, &streamed_chat("hello"), |_| {});
    let script = json!({"name": "alpha", "do": "stall_mid_stream"});
    check(&script, &chat("hello"), |_| {});
}

#[test]
fn a_caller_who_leaves_a_stream_takes_the_provider_along() {
    for script in [
        json!({"name": "alpha", "do": "stall_mid_stream", "after_events": 2, "events": 9}),
        json!({"name": "alpha", "event_interval_ms": 20, "events": 1_000}),
    ] {
        check(&script, &streamed_chat("hello"), |client| {
            let mut answer = client.head();
            client.chunk(&mut answer).expect("content");
        });
    }
}

/// A caller reads until it has all of the text of a stream, and leaves; the line that it leaves.
fn leaves_with_all_the_text(script: &serde_json::Value, kind: &str, rest: &str) -> String {
    let alpha = mock(script.clone());
    let fields = [
        format!("type: {kind}"),
        format!("base_url: {}", base(&alpha, kind)),
    ];
    let fields = fields.each_ref().map(String::as_str);
    let config = config_of(&[provider(&alpha, &fields)], rest);
    let router = Router::start(&config);
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("all of it"));
    let mut answer = client.head();
    let mut text = String::new();
    while !text.contains("it\"") {
        let chunk = client.chunk(&mut answer).expect("more text");
        text.push_str(&String::from_utf8(chunk).expect("text"));
    }
    drop(client);
    router.wait_for_log("status=499");
    assert_eq!(alpha.stats().requests, 1);
    let log = router.log();
    let line = log.lines().find(|line| line.contains("status=499"));
    let line = line.expect("a line").to_owned();
    let told = get(router.addr(), "/_infermux/costs").json();
    let tokens = |name: &str| format!("{name}={}", told[name]);
    for name in ["prompt_tokens", "completion_tokens"] {
        assert!(line.contains(&tokens(name)), "{told}: {line}");
    }
    line
}

fn base(mock: &Mock, kind: &str) -> String {
    let path = if kind == "anthropic" { "" } else { "/v1" };
    format!("\"http://{}{path}\"", mock.address())
}

/// The content, and what ends it, come at once; what it has used comes later.
fn tells_usage_late(dialect: &str) -> serde_json::Value {
    json!({
        "name": "alpha", "dialect": dialect, "events": 1, "finish_pause_ms": 300,
        "prompt_tokens": 4_321, "completion_tokens": 5,
    })
}

// proves: hangup.pays-as-told
#[test]
fn a_caller_who_leaves_with_all_of_the_content_pays_what_the_provider_tells() {
    for (dialect, kind) in [
        ("openai", "openai"),
        ("openai", "openai\n    model_aliases: {m: theirs}"),
        ("anthropic", "anthropic"),
    ] {
        for shards in [1, 2] {
            let script = tells_usage_late(dialect);
            let shards = format!("server: {{shards: {shards}}}\n");
            let line = leaves_with_all_the_text(&script, kind, &shards);
            let is_told = line.contains("prompt_tokens=4321 completion_tokens=5 ");
            assert!(is_told && !line.contains("estimated"), "{kind}: {line}");
        }
    }
}

#[test]
fn what_is_never_told_is_waited_for_a_second_at_most() {
    for (dialect, kind) in [("openai", "openai"), ("anthropic", "anthropic")] {
        let mut script = tells_usage_late(dialect);
        script["finish_pause_ms"] = json!(60_000);
        let began = Instant::now();
        let line = leaves_with_all_the_text(&script, kind, "");
        assert!(began.elapsed() < PATIENCE, "{kind}");
        // Anthropic's prompt was told in the beginning.
        assert_eq!(line.contains("estimated=true"), kind == "openai", "{line}");
    }
}

#[test]
fn a_caller_who_does_not_read_and_leaves_takes_the_provider_along() {
    let script = json!({"name": "alpha", "events": 10_000, "event_bytes": 8_000});
    let alpha = mock(script);
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &streamed_chat("hello"));
    client.head();
    // Long enough for everything on the way to be full.
    assert!(!alpha.wait(&peer_closed(1), Duration::from_millis(300)));
    assert_eq!(alpha.stats().answered, 0);
    drop(client);
    wait_for(&alpha, &peer_closed(1));
    router.wait_for_log("status=499");
}

#[test]
fn a_caller_who_leaves_is_nobodys_failure() {
    let alpha = mock(json!({"name": "alpha", "answers": ["stall_before_head", "ok"]}));
    let beta = mock(json!({"name": "beta"}));
    let providers = [provider(&alpha, &[]), provider(&beta, &[])];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("hello"));
    wait_for_requests(&alpha, 1);
    drop(client);
    router.wait_for_log("status=499");
    let log = router.log();
    assert!(!log.contains("the provider"), "{log}");
    assert_eq!(beta.stats().requests, 0);
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(answer.header("x-infermux-provider"), Some("alpha"));
}

#[test]
fn a_caller_who_leaves_while_its_body_is_sent_on_takes_the_provider_along() {
    // A provider that reads the start of a request and then nothing for a while.
    let provider = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = format!(
        "listen: \"127.0.0.1:0\"\nproviders:\n  - name: slow\n    type: openai\n    \
         api_key: sk-slow\n    base_url: \"http://{}/v1\"\n    models: [m]\n    \
         health_check: {{disabled: true}}\n",
        provider.local_addr().expect("an address")
    );
    let router = Router::start(&config);
    let mut client = Client::connect(router.addr());
    let body = chat(&"x".repeat(24 << 20));
    client.post("/v1/chat/completions", &body);
    let (mut upstream, _) = provider.accept().expect("the router");
    upstream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    let mut start = [0; 1_000];
    upstream.read_exact(&mut start).expect("the head");
    drop(client);
    router.wait_for_log("status=499");
    let start = Instant::now();
    let read = read_to_end(&mut upstream);
    assert!(read < body.len(), "{read} bytes");
    assert!(start.elapsed() < PATIENCE);
}

/// Reads until the connection ends, in whatever way; how much there was.
fn read_to_end(stream: &mut TcpStream) -> usize {
    let mut bytes = vec![0; 1 << 20];
    let mut read = 0;
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return read,
            Ok(count) => read += count,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return read,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_caller_who_leaves_between_attempts_ends_them() {
    let stall = |name| mock(json!({"name": name, "do": "stall_before_head"}));
    let (alpha, beta) = (stall("alpha"), stall("beta"));
    let fields = ["timeout: 300ms"];
    let providers = [
        provider(&alpha, &fields),
        provider(&beta, &["timeout: 20s"]),
    ];
    let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("hello"));
    wait_for_requests(&beta, 1);
    drop(client);
    wait_for(&beta, &peer_closed(1));
    router.wait_for_log("attempts=2");
    assert!(router.log().contains("status=499"));
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 50}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("one"));
    client.post("/v1/chat/completions", &streamed_chat("two"));
    client.get("/v1/models");
    client.post("/v1/chat/completions", &chat("four"));
    let said = |text: &str| format!("mock alpha: {text}");
    let answer = client.answer();
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        said("one")
    );
    let answer = client.answer();
    assert!(answer.complete && answer.text().contains("[DONE]"));
    let answer = client.answer_to("GET");
    assert_eq!(answer.json()["object"], "list");
    let answer = client.answer();
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        said("four")
    );
}

#[test]
fn a_request_sent_while_another_is_answered_is_answered_after_it() {
    let alpha = mock(json!({"name": "alpha", "answers": [{"latency_ms": 200}, "ok"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.post("/v1/chat/completions", &chat("one"));
    wait_for_requests(&alpha, 1);
    client.post("/v1/chat/completions", &chat("two"));
    for text in ["one", "two"] {
        let answer = client.answer();
        let said = &answer.json()["choices"][0]["message"]["content"];
        assert_eq!(said, &format!("mock alpha: {text}"));
    }
}

#[test]
fn a_caller_who_has_sent_more_is_missed_all_the_same() {
    let script = json!({"name": "alpha", "do": "stall_before_head"});
    let alpha = mock(script);
    let router = Router::start(&config_with(&alpha, &[]));
    for (count, more) in [
        (1, "\r\n"),
        (2, "GET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n"),
    ] {
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &chat("hello"));
        wait_for_requests(&alpha, count);
        client.send(more);
        drop(client);
        wait_for(&alpha, &peer_closed(count));
    }
}

#[test]
fn a_caller_who_leaves_amid_its_own_body_leaves_a_line() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    client.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Request-Id: half\r\n\
         Content-Length: 100\r\n\r\n{\"model\"",
    );
    drop(client);
    router.wait_for_log("request_id=half");
    assert!(router.log().contains("status=499"));
    assert_eq!(alpha.stats().requests, 0);
}

#[test]
fn a_caller_who_leaves_while_a_connection_is_opened_is_not_waited_for() {
    // Takes connections, and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = silent.local_addr().expect("an address");
    let router = Router::start(&format!(
        "listen: \"127.0.0.1:0\"\nproviders:\n  - name: silent\n    type: openai\n    \
         api_key: k\n    base_url: \"https://{addr}/v1\"\n    connect_timeout: 60s\n    \
         health_check: {{disabled: true}}\n"
    ));
    let mut asks = Client::connect(router.addr());
    asks.post("/v1/chat/completions", &chat("hello"));
    let first = silent.accept().expect("a connection");
    drop(asks);
    router.wait_for_log("status=499");
    drop(first);
}

#[test]
fn callers_who_leave_give_back_what_they_held() {
    let alpha = mock(json!({"name": "alpha", "rules": [
        {"when": {"stream": true}, "do": "stall_mid_stream"},
    ]}));
    let server = "server: {shards: 1, max_connections: 3, max_buffered_bytes: 3000000}\n";
    let router = Router::start(&config_of(&[provider(&alpha, &[])], server));
    let text = "x".repeat(1_000_000);
    for count in 1..=8 {
        let mut client = Client::connect(router.addr());
        client.post("/v1/chat/completions", &streamed_chat(&text));
        wait_for_requests(&alpha, count);
        client.head();
        drop(client);
        wait_for(&alpha, &peer_closed(count));
    }
    eventually("the memory is free", || {
        Client::connect(router.addr()).chat(&chat(&text)).status == 200
    });
}

#[test]
fn any_number_of_requests_sent_ahead_is_answered() {
    let alpha = mock(json!({"name": "alpha", "answers": [{"latency_ms": 100}, "ok"]}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut client = Client::connect(router.addr());
    let padding = "y".repeat(1_000);
    for number in 0..100 {
        client.post(
            "/v1/chat/completions",
            &chat(&format!("no-{number} {padding}")),
        );
    }
    for number in 0..100 {
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains(&format!("no-{number} ")), "{number}: {text}");
    }
}

/// Whoever has sent its request may not close its half of the connection before it has the answer:
/// that cannot be told from a hang-up, and paying for answers that nobody reads is worse.
#[test]
fn a_caller_that_closes_its_half_has_left() {
    let alpha = mock(json!({"name": "alpha", "latency_ms": 600_000}));
    let router = Router::start(&config_with(&alpha, &[]));
    let mut stream = TcpStream::connect(router.addr()).expect("a connection");
    let body = chat("x");
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: ";
    write!(stream, "{head}{}\r\n\r\n{body}", body.len()).expect("room");
    wait_for_requests(&alpha, 1);
    stream.shutdown(Shutdown::Write).expect("it is open");
    wait_for(&alpha, &peer_closed(1));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(stream.read(&mut [0; 1]).expect("the end"), 0);
    router.wait_for_log("status=499");
}
