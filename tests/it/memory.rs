//! What is held in memory, and how long it keeps others waiting.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use infermux_mock::Mock;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::client::Client;
use crate::support::load::ask;
use crate::support::operate::get;
use crate::support::router::{Folder, Router};
use crate::support::tls::{Forwarder, Papers, Tls};
use crate::support::{
    chat, config_of, config_with, eventually, last_seen, mock, provider, streamed_chat,
};

const MIB: usize = 1 << 20;

/// The provider as the router's configuration has it, in its mock's dialect.
fn of_dialect(mock: &Mock, dialect: &str) -> String {
    let base = if dialect == "anthropic" {
        format!("base_url: \"http://{}\"", mock.address())
    } else {
        format!("base_url: \"http://{}/v1\"", mock.address())
    };
    let aliases = "model_aliases: {m: a-name-of-its-own}";
    provider(
        mock,
        &[&format!("type: {dialect}"), &base, "-models", aliases],
    )
}

/// What is held, in bytes.
pub fn held(router: &Router) -> usize {
    held_at(router.addr())
}

/// What is held, as it is told at this address.
fn held_at(addr: SocketAddr) -> usize {
    let text = get(addr, "/_infermux/metrics").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("infermux_buffered_bytes "));
    line.and_then(|value| value.parse().ok()).expect("a number")
}

/// Memory of the router that is in RAM, in bytes.
fn resident(router: &Router) -> usize {
    resident_at(router.addr())
}

fn resident_at(addr: SocketAddr) -> usize {
    let text = get(addr, "/_infermux/metrics").text();
    let name = "process_resident_memory_bytes ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.parse().ok()).expect("a number")
}

fn head_of(length: usize) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// A chat request of about this many bytes, whose prompt is many small values.
fn dense_chat(bytes: usize, more: &str) -> String {
    let message = r#"{"role":"user","content":"h\u00e9llo\n"}"#;
    let messages = vec![message; bytes / (message.len() + 1)].join(",");
    format!("{{\"model\":\"m\"{more},\"messages\":[{messages}]}}")
}

// proves: memory.bounded
#[test]
fn what_is_announced_and_not_sent_takes_no_memory() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let framings = [
        head_of(32 * MIB),
        head_of(32 * MIB).replace("Content-Length: 33554432", "Transfer-Encoding: chunked"),
    ];
    let idle: Vec<Client> = (0..60)
        .map(|number| {
            let mut client = Client::connect(router.addr());
            client.send(&framings[number % 2]);
            client.send(if number % 2 == 0 { "{" } else { "2000000\r\n{" });
            client
        })
        .collect();
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(router.addr(), &chat("x")).status, 200);
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(held(&router) < idle.len() * (8 << 10), "{}", held(&router));
    drop(idle);
    eventually("all is given back", || held(&router) == 0);
}

// proves: memory.bounded
#[test]
fn a_prompt_is_let_go_of_when_its_answer_has_begun() {
    for dialect in ["anthropic", "openai"] {
        let alpha = mock(json!({
            "name": "alpha", "dialect": dialect, "record": false,
            "do": "stall_mid_stream", "rules": [{"when": {"stream": false}, "do": "ok"}],
        }));
        let router = Router::start(&config_of(
            &[of_dialect(&alpha, dialect)],
            "server: {max_buffered_bytes: 67108864}\n",
        ));
        let before = resident(&router);
        let prompt = streamed_chat(&"prompt ".repeat(6 * MIB / 7));
        let mut streams = Vec::new();
        for number in 0..11 {
            let mut client = Client::connect(router.addr());
            client.post("/v1/chat/completions", &prompt);
            let mut answer = client.head();
            assert_eq!(answer.status, 200, "{dialect}: number {number}");
            assert!(client.chunk(&mut answer).is_some());
            streams.push(client);
        }
        assert!(held(&router) < MIB, "{dialect}: {}", held(&router));
        let grown = resident(&router).saturating_sub(before);
        assert!(grown < 48 * MIB, "{dialect}: {grown} bytes more");
        // One that is answered whole is let go of, too, and the connection goes on.
        let mut client = streams
            .pop()
            .map(|_| Client::connect(router.addr()))
            .expect("one");
        for _ in 0..2 {
            let whole = prompt.replace("\"stream\":true", "\"stream\":false");
            assert_eq!(client.chat(&whole).status, 200);
        }
    }
}

#[test]
fn what_follows_a_large_request_is_served_after_it() {
    let alpha = mock(json!({"name": "alpha", "record": false}));
    let router = Router::start(&config_with(&alpha, &[]));
    let large = streamed_chat(&"x".repeat(MIB));
    let small = chat("small");
    let mut client = Client::connect(router.addr());
    let one = |body: &str| head_of(body.len()) + body;
    client.send([one(&large), one(&small), one(&large), one(&small)].concat());
    for _ in 0..2 {
        assert!(client.answer().complete);
        let answer = client.answer();
        assert!(
            answer.text().contains("mock alpha: small"),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_large_prompt_fails_over_between_dialects() {
    for (first, second) in [
        ("openai", "anthropic"),
        ("anthropic", "openai"),
        ("anthropic", "anthropic"),
    ] {
        let failing = mock(json!({"name": "alpha", "dialect": first, "answers": [500]}));
        let serving =
            mock(json!({"name": "beta", "dialect": second, "record_body_bytes": 64 * MIB}));
        let providers = [of_dialect(&failing, first), of_dialect(&serving, second)];
        let router = Router::start(&config_of(&providers, "routing: {strategy: priority}\n"));
        for body in [
            chat(&"y".repeat(3 * MIB)),
            streamed_chat(&"y".repeat(3 * MIB)),
        ] {
            let answer = Client::connect(router.addr()).chat(&body);
            assert_eq!(answer.status, 200, "{first}, {second}: {}", answer.text());
            assert_eq!(answer.header("x-infermux-provider"), Some("beta"));
            let seen = &last_seen(&serving)["body"]["messages"][0]["content"];
            let seen = seen
                .as_str()
                .or_else(|| seen[0]["text"].as_str())
                .expect("text");
            assert_eq!(seen.len(), 3 * MIB);
        }
        eventually("all is given back", || held(&router) == 0);
    }
}

#[test]
fn what_is_wrong_with_a_large_body_is_told_as_with_a_small_one() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_with(&alpha, &[]));
    let large = dense_chat(MIB, "");
    let small = r#"{"model":"m","messages":[{"role":"user","content":"héllo"}]}"#.to_owned();
    type Spoil = fn(&str) -> Vec<u8>;
    let spoilt: [(Spoil, &str); 6] = [
        (
            |body| body[..body.len() - 1].into(),
            "ends before its JSON is complete",
        ),
        (
            |body| format!("{body}}}").into(),
            "is not valid JSON at line 1 column ",
        ),
        (
            |body| body.replacen("\"model\":\"m\",", "", 1).into(),
            "`model` is missing",
        ),
        (
            |body| body.replacen("\"m\"", "5", 1).into(),
            "`model` is not a string",
        ),
        (
            |body| body.replacen('{', "{\"model\":\"a\",", 1).into(),
            "`model` is given twice",
        ),
        (
            |body| [body.as_bytes(), b"\xff"].concat(),
            "is not valid UTF-8 at byte ",
        ),
    ];
    for (spoil, told) in spoilt {
        for body in [&large, &small] {
            let body = spoil(body);
            let mut client = Client::connect(router.addr());
            client.send([head_of(body.len()).as_bytes(), &body].concat());
            let answer = client.answer();
            assert_eq!(answer.status, 400, "{told}");
            assert!(answer.text().contains(told), "{told}: {}", answer.text());
            assert_eq!(
                client.chat(&chat("x")).status,
                200,
                "the connection goes on"
            );
        }
    }
    // What is odd and yet right takes its time, and is served.
    let odd = large.replacen("\"model\"", "\"mod\\u0065l\"", 1);
    assert_eq!(ask(router.addr(), &odd).status, 200);
    eventually("all is given back", || held(&router) == 0);
}

#[test]
fn a_helper_that_panics_costs_one_request() {
    let alpha = mock(json!({"name": "alpha", "dialect": "anthropic"}));
    let config = config_of(&[of_dialect(&alpha, "anthropic")], "server: {shards: 1}\n");
    let mut router = Router::start(&config);
    router.expect_panics();
    for _ in 0..8 {
        let mut client = Client::connect(router.addr());
        let header = "X-Infermux-Test-Panic: helper\r\n";
        client.post_with("/v1/chat/completions", header, &dense_chat(MIB, ""));
        let answer = client.answer();
        assert_eq!(
            (answer.status, answer.code()),
            (500, "internal_error".to_owned())
        );
    }
    assert_eq!(alpha.stats().requests, 0);
    assert_eq!(ask(router.addr(), &dense_chat(MIB, "")).status, 200);
    eventually("all is given back", || held(&router) == 0);
}

/// Asks for something small again and again until `done`; the longest that one took.
fn longest_wait(addr: SocketAddr, done: &AtomicBool) -> Duration {
    let mut client = Client::connect(addr);
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::SeqCst) {
        let start = Instant::now();
        client.get("/v1/nothing");
        assert_eq!(client.answer().status, 404);
        longest = longest.max(start.elapsed());
        std::thread::park_timeout(Duration::from_millis(1));
    }
    longest
}

#[test]
fn a_large_prompt_keeps_nobody_waiting() {
    for dialect in ["openai", "anthropic"] {
        let alpha = mock(json!({"name": "alpha", "dialect": dialect, "record": false}));
        let config = config_of(&[of_dialect(&alpha, dialect)], "server: {shards: 1}\n");
        let router = Router::start(&config);
        let body = dense_chat(3 * MIB, ",\"stream\":true");
        let done = Arc::new(AtomicBool::new(false));
        let (addr, over) = (router.addr(), Arc::clone(&done));
        let prober = std::thread::spawn(move || longest_wait(addr, &over));
        let start = Instant::now();
        let answer = Client::connect(router.addr()).chat(&body);
        let took = start.elapsed();
        done.store(true, Ordering::SeqCst);
        let longest = prober.join().expect("a span");
        assert_eq!(answer.status, 200, "{}", answer.text());
        // Checked in one pass, it keeps the others out for about a third of the whole time.
        assert!(
            longest < (took / 8).max(Duration::from_millis(250)),
            "{longest:?} of {took:?}"
        );
    }
}

/// A router with this bound, which speaks TLS where there are papers for it.
fn bounded(alpha: &Mock, bound: usize, papers: Option<&Papers>) -> Router {
    let folder = Folder::new();
    let tls = papers.map_or_else(String::new, |papers| {
        let cert = folder.write("cert.pem", &papers.cert_pem);
        let key = folder.write("key.pem", &papers.key_pem);
        let (cert, key) = (cert.display(), key.display());
        format!("tls: {{cert_file: \"{cert}\", key_file: \"{key}\"}}\n")
    });
    Router::start(&config_of(
        &[provider(alpha, &[])],
        &format!(
            "management_listen: \"127.0.0.1:0\"\n\
             server: {{max_buffered_bytes: {bound}, shards: 1, header_timeout: 60s}}\n{tls}"
        ),
    ))
}

/// Callers that read nothing of the streams they have asked for.
fn stall(addr: SocketAddr, count: usize) -> Vec<Client> {
    let callers = (0..count).map(|_| {
        let mut client = Client::over(narrow(addr));
        client.post("/v1/chat/completions", &streamed_chat("x"));
        client
    });
    callers.collect()
}

/// A connection whose caller's kernel takes little that nobody reads.
fn narrow(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket
        .set_recv_buffer_size(4 << 10)
        .expect("a small buffer");
    socket.connect(&addr.into()).expect("a connection");
    socket.into()
}

/// Callers that have sent most of a body of a megabyte.
fn upload(addr: SocketAddr, count: usize) -> Vec<Client> {
    let part = vec![b' '; 900_000];
    let callers = (0..count).map(|_| {
        let mut client = Client::connect(addr);
        client.send(head_of(1_000_000));
        client.send(&part);
        client
    });
    callers.collect()
}

// proves: memory.bounded
#[test]
fn stalled_streams_and_uploads_together_stay_within_the_bound() {
    const BOUND: usize = 6 * MIB;
    const STREAMS: usize = 24;
    let papers = Papers::for_names(&["localhost"]);
    for papers in [None, Some(&papers)] {
        let script = json!({
            "name": "alpha", "record": false,
            "rules": [{"when": {"stream": true}, "events": 100_000, "event_bytes": 10_000}],
        });
        let alpha = mock(script);
        let router = bounded(&alpha, BOUND, papers);
        let tunnel = papers.map(|papers| {
            let inside = Tls::Outside(papers.client(&["http/1.1"]));
            Forwarder::start(router.addr(), inside)
        });
        let addr = tunnel.as_ref().map_or(router.addr(), Forwarder::addr);
        let operators = router.management();
        assert_eq!(Client::connect(addr).chat(&chat("x")).status, 200);
        let before = resident_at(operators);
        let streams = stall(addr, STREAMS);
        eventually("what the streams cannot send is counted", || {
            held_at(operators) >= STREAMS * (60 << 10)
        });
        let uploads = upload(addr, 8);
        eventually("there is no room for more", || {
            held_at(operators) > BOUND - 2 * MIB
        });
        // Those of them that find room for themselves find none for large reads.
        let more = stall(addr, STREAMS);
        for _ in 0..20 {
            let held = held_at(operators);
            assert!(held <= BOUND + (64 << 10), "{held}");
        }
        let grown = resident_at(operators).saturating_sub(before);
        assert!(grown < BOUND + 16 * MIB, "{grown} bytes more");
        drop((streams, uploads, more));
        eventually("all is given back", || held_at(operators) == 0);
    }
}
