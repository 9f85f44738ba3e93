//! Providers whose bytes the mock would not send.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{PATIENCE, chat, streamed_chat};

/// What a good answer says.
const WHOLE: &str = "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":\
    {\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}";

/// A provider that serves one connection after the other as `serve` says, as many as are counted.
fn provider(
    connections: usize,
    serve: impl Fn(TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            serve(stream);
        }
    });
    (addr, thread)
}

fn router_for(addr: SocketAddr) -> Router {
    router_within(addr, "1s")
}

fn router_within(addr: SocketAddr, timeout: &str) -> Router {
    Router::start(&format!(
        "listen: \"127.0.0.1:0\"\nproviders:\n  - name: raw\n    type: openai\n    \
         api_key: k\n    base_url: \"http://{addr}/v1\"\n    models: [m]\n    \
         timeout: {timeout}\n    health_check: {{disabled: true}}\n"
    ))
}

/// Reads one request with a length; whether there was one.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length {
                return true;
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            Ok(_) | Err(_) => return false,
        }
    }
}

fn check(answer: &str, status: u16) {
    let bytes = answer.to_owned();
    let (addr, _) = provider(1, move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(bytes.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        // The connection is kept until the router has had enough of it.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let router = router_for(addr);
    let told = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(told.status, status, "{answer:?}: {}", told.text());
    assert!(told.complete, "{answer:?}");
    if status == 200 {
        assert_eq!(told.text(), WHOLE, "{answer:?}");
        assert_eq!(
            told.header("content-length"),
            Some(WHOLE.len().to_string().as_str())
        );
        assert_eq!(told.header("transfer-encoding"), None, "{answer:?}");
    } else {
        assert_eq!(told.code(), "upstream_error", "{answer:?}");
    }
}

#[test]
fn an_answer_is_read_by_its_framing_or_not_at_all() {
    let length = WHOLE.len();
    let (first, second) = WHOLE.split_at(20);
    let (a, b) = (first.len(), second.len());
    let json = "Content-Type: application/json\r\n";
    for (answer, status) in [
        (
            format!("HTTP/1.1 200 OK\r\n{json}Content-Length: {length}\r\n\r\n{WHOLE}"),
            200,
        ),
        (
            format!("HTTP/1.1 200 OK\r\ncontent-length:{length}\r\n\r\n{WHOLE}"),
            200,
        ),
        (
            format!("HTTP/1.1 200\r\n{json}Content-Length: {length}\r\n\r\n{WHOLE}"),
            200,
        ),
        (format!("HTTP/1.0 200 OK\r\n{json}\r\n{WHOLE}"), 200),
        (format!("HTTP/1.1 200 OK\r\n{json}\r\n{WHOLE}"), 200),
        (
            format!(
                "HTTP/1.1 200 OK\r\n{json}Transfer-Encoding: chunked\r\n\r\n\
                 {a:X};x=\"y\"\r\n{first}\r\n00{b:x}\r\n{second}\r\n0\r\nX-T: 1\r\n\r\n"
            ),
            200,
        ),
        (
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{WHOLE}"
            ),
            200,
        ),
        // Which of two lengths holds is for nobody to guess.
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: 5\r\n\r\n{WHOLE}"
            ),
            502,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}, 5\r\n\r\n{WHOLE}"),
            502,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {a:x}\r\n{first}\r\n{b:x}\r\n{second}\r\n0\r\n\r\n"
            ),
            502,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{WHOLE}"),
            502,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{a:x}\r\n{first}"),
            502,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{a:x}\r\n{first}\r\n\r\n"
            ),
            502,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{a:x}\r\n{first}\r\n"),
            502,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
                .to_owned(),
            502,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(),
            502,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 502),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            502,
        ),
        ("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), 502),
        ("HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), 502),
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), 502),
        ("HTTP/1.1 200 OK\r\nContent-Le".to_owned(), 502),
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{WHOLE}",
                u64::MAX
            ),
            502,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{WHOLE}",
                1_u64 << 40
            ),
            502,
        ),
    ] {
        check(&answer, status);
    }
}

#[test]
fn an_endless_row_of_informational_answers_is_no_answer() {
    let (addr, _) = provider(1, |mut stream| {
        read_request(&mut stream);
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {}
    });
    let router = router_for(addr);
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_error")
    );
}

#[test]
fn a_health_check_sees_the_answer_behind_an_informational_one() {
    let (addr, _) = provider(2, |mut stream| {
        read_request(&mut stream);
        let both = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: ";
        let answer = format!("{both}{}\r\n\r\n{WHOLE}", WHOLE.len());
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let router = Router::start(&format!(
        "listen: \"127.0.0.1:0\"\nproviders:\n  - name: raw\n    type: openai\n    \
         api_key: k\n    base_url: \"http://{addr}/v1\"\n    models: [m]\n    \
         health_check: {{timeout: 1s}}\n"
    ));
    let answer = Client::connect(router.addr()).chat(&chat("hello"));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Sends a whole answer.
fn send_answer(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).expect("sent");
}

#[test]
fn a_reused_connection_that_dies_after_an_informational_answer_is_not_tried_again() {
    let (addr, _) = provider(2, |mut stream| {
        read_request(&mut stream);
        send_answer(&mut stream, WHOLE);
        if read_request(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    });
    let router = router_for(addr);
    let mut client = Client::connect(router.addr());
    assert_eq!(client.chat(&chat("hello")).status, 200);
    // The provider has the request, and has said so: it may be at work on it.
    assert_eq!(client.chat(&chat("hello")).status, 502);
}

#[test]
fn a_connection_that_has_carried_a_large_answer_carries_the_next_one() {
    let large = WHOLE.replace("hi", &"x".repeat(1 << 20));
    let (addr, _) = provider(1, move |mut stream| {
        while read_request(&mut stream) {
            send_answer(&mut stream, &large);
        }
    });
    let router = router_for(addr);
    let mut client = Client::connect(router.addr());
    for _ in 0..3 {
        let answer = client.chat(&chat("hello"));
        assert!(answer.status == 200 && answer.complete);
        assert!(answer.body.len() > 1 << 20);
    }
}

#[test]
fn a_stream_that_never_starts_takes_no_memory() {
    let (addr, _) = provider(1, |mut stream| {
        read_request(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let comment = format!(":{}\n\n", "x".repeat(60_000));
        for _ in 0..3_000 {
            let _ = stream.write_all(comment.as_bytes());
        }
        let _ = stream.write_all(stream_events(&[CONTENT, FINISH, "[DONE]"]).as_bytes());
    });
    let router = router_within(addr, "20s");
    let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
    assert!(answer.status == 200 && answer.complete);
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.pid()));
    let status = status.expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let peak: u64 = peak.expect("a line").parse().expect("a number");
    assert!(peak < 100_000, "{peak} KiB");
}

#[test]
fn an_answer_before_the_end_of_the_request_counts() {
    let (addr, provider) = provider(1, |mut stream| {
        let mut start = [0; 500];
        stream.read_exact(&mut start).expect("a start");
        let body = "{\"error\":{\"message\":\"too large\",\"type\":\"t\",\"param\":null,\
            \"code\":\"too_large\"}}";
        let answer = format!(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("still open");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(
            rest.len() < 20 << 20,
            "the rest was not sent: {}",
            rest.len()
        );
    });
    let router = router_for(addr);
    let mut client = Client::connect(router.addr());
    let answer = client.chat(&chat(&"x".repeat(24 << 20)));
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(answer.code(), "too_large");
    provider.join().expect("a provider");
}

#[test]
fn an_informational_answer_does_not_stop_the_request() {
    let (addr, _) = provider(1, |mut stream| {
        let mut start = [0; 500];
        stream.read_exact(&mut start).expect("a start");
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        let length = String::from_utf8_lossy(&start).into_owned();
        let length = length.split("Content-Length: ").nth(1).expect("a length");
        let length = length.lines().next().expect("a line").parse::<u64>();
        // Of the head something is missing yet: what is read below is at least the body's length.
        let body = length.expect("a number") - 500;
        let read = std::io::copy(&mut (&stream).take(body), &mut std::io::sink());
        if read.is_ok_and(|read| read == body) {
            send_answer(&mut stream, WHOLE);
        }
    });
    let router = router_within(addr, "20s");
    let answer = Client::connect(router.addr()).chat(&chat(&"x".repeat(24 << 20)));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_request_upstream_is_one_well_framed_request() {
    let (addr, provider) = provider(1, |mut stream| {
        assert!(read_request(&mut stream));
        // Nothing follows it.
        stream.set_nonblocking(true).expect("a socket");
        assert!(stream.read(&mut [0; 1]).is_err());
        let _ = stream.set_nonblocking(false);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{WHOLE}",
            WHOLE.len()
        );
        stream.write_all(answer.as_bytes()).expect("sent");
    });
    let router = router_for(addr);
    assert_eq!(
        Client::connect(router.addr()).chat(&chat("hello")).status,
        200
    );
    provider.join().expect("a provider");
}

/// The events of a stream, as one chunk each.
fn stream_of(events: &[&str]) -> String {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = events.iter().map(|event| {
        let event = format!("data: {event}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    });
    head.to_owned() + &chunks.collect::<String>()
}

/// The events of a stream.
fn stream_events(events: &[&str]) -> String {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.collect()
}

const CONTENT: &str = "{\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\
    \"finish_reason\":null}]}";
const FINISH: &str =
    "{\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}";

#[test]
fn a_stream_is_complete_or_its_caller_is_told() {
    let wordless = "{\"choices\":[]}";
    let cases: [(&[&str], &str, Option<bool>); 7] = [
        (&[CONTENT, FINISH, "[DONE]"], "0\r\n\r\n", Some(true)),
        // Done is done, whatever becomes of the connection.
        (&[CONTENT, FINISH, "[DONE]"], "", Some(true)),
        (
            &[CONTENT, FINISH, "[DONE]"],
            "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            Some(true),
        ),
        (&[CONTENT], "0\r\n\r\n", Some(false)),
        (&[CONTENT], "", Some(false)),
        (&[CONTENT], "zz\r\n", Some(false)),
        (&[wordless, "[DONE]"], "0\r\n\r\n", None),
    ];
    for (events, end, complete) in cases {
        let bytes = stream_of(events) + end;
        let told = bytes.clone();
        let (addr, _) = provider(1, move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let router = router_for(addr);
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
        let Some(complete) = complete else {
            assert_eq!(answer.status, 502, "{told:?}");
            continue;
        };
        assert_eq!(
            (answer.status, answer.complete),
            (200, complete),
            "{told:?}"
        );
        let events = answer.events();
        assert_eq!(
            events.first().map(String::as_str),
            Some(CONTENT),
            "{told:?}"
        );
        let last = events.last().expect("events");
        assert_eq!(last == "[DONE]", complete, "{told:?}");
        assert_eq!(last.contains("\"error\""), !complete, "{told:?}");
    }
}

#[test]
fn events_of_any_size_pass_up_to_a_bound() {
    for (size, complete) in [(10_000, true), (4 << 20, true), (17 << 20, false)] {
        // Putting a large answer together takes time, which would count against the timeout.
        let large = CONTENT.replace("hi", &"x".repeat(size));
        let bytes = stream_of(&[CONTENT, &large, FINISH, "[DONE]"]) + "0\r\n\r\n";
        let (addr, _) = provider(1, move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let router = router_for(addr);
        let answer = Client::connect(router.addr()).chat(&streamed_chat("hello"));
        assert_eq!((answer.status, answer.complete), (200, complete), "{size}");
        let events = answer.events();
        if complete {
            assert_eq!(events.len(), 4);
            assert!(events[1].len() > size);
        } else {
            assert!(
                events.last().expect("events").contains("\"error\""),
                "{size}"
            );
        }
    }
}
