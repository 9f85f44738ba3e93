//! The real binary against a server of a few lines, one behavior per test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What the server does with a request once it has read it; `false` closes the connection.
type Reply = fn(&mut TcpStream, &str) -> bool;

/// Starts a server and returns its URL. It ends with the test's process.
fn serve(reply: Reply) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/v1/chat/completions",
        listener.local_addr().unwrap()
    );
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::Builder::new()
                    .spawn(move || converse(stream, reply))
                    .unwrap();
            }
        })
        .unwrap();
    url
}

fn converse(mut stream: TcpStream, reply: Reply) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut text, mut length) = (String::new(), 0);
        while !text.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            text.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        text.push_str(std::str::from_utf8(&body).unwrap());
        if !reply(&mut stream, &text) {
            return;
        }
    }
}

/// Runs the tool with `--json` against `url`.
fn load(url: &str, flags: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_infermux-load"))
        .args(["--json", "--url", url])
        .args(flags)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {errors}"))
}

#[test]
fn sends_exactly_as_many_requests_as_asked_for() {
    let url = serve(|stream, _| stream.write_all(PLAIN.as_bytes()).is_ok());
    let result = load(&url, &["-n", "1001", "-c", "7", "-t", "2"]);
    assert_eq!(
        (&result["answers"], &result["errors"]),
        (&1001.into(), &0.into()),
        "{result}"
    );
    assert_eq!(result["latency_us"]["count"], 1001);
    assert_eq!(result["received_bytes"], 1001 * PLAIN.len());
}

#[test]
fn the_default_body_is_a_chat_request_of_229_bytes() {
    let url = serve(|stream, request| {
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        let good = body.len() == 229 && value["model"] == "gpt-4o";
        stream
            .write_all(if good { PLAIN } else { "no" }.as_bytes())
            .is_ok()
    });
    assert_eq!(load(&url, &["-n", "1", "-c", "1"])["answers"], 1);
}

#[test]
fn counts_a_large_request_and_a_chunked_answer_right() {
    let url = serve(|stream, request| {
        assert!(request.len() > 3_000_000);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = format!(
            "{head}{:x}\r\n{}\r\n0\r\n\r\n",
            500_000,
            "x".repeat(500_000)
        );
        stream.write_all(body.as_bytes()).is_ok()
    });
    let result = load(&url, &["-n", "20", "-c", "2", "--body-bytes", "3000000"]);
    assert_eq!(
        (&result["answers"], &result["errors"]),
        (&20.into(), &0.into()),
        "{result}"
    );
    assert!(
        result["sent_bytes"].as_u64() > Some(20 * 3_000_000),
        "{result}"
    );
}

#[test]
fn names_every_kind_of_failure() {
    let cases: [(&str, Reply); 6] = [
        ("status_503", |s, _| {
            s.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                .is_ok()
        }),
        ("reset", |_, _| false),
        ("reset", |s, _| {
            s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
                .is_err()
        }),
        ("malformed", |s, _| {
            s.write_all(b"SSH-2.0-OpenSSH\r\n").is_ok()
        }),
        ("malformed", |s, _| {
            s.write_all([PLAIN, PLAIN].concat().as_bytes()).is_ok()
        }),
        ("timeout", |_, _| true),
    ];
    for (kind, reply) in cases {
        let result = load(&serve(reply), &["-n", "4", "-c", "2", "--timeout", "300ms"]);
        assert_eq!(result["errors_by_kind"][kind], 4, "{kind}: {result}");
        assert_eq!(result["answers"], 0, "{kind}: {result}");
    }
}

#[test]
fn a_server_that_is_down_costs_requests() {
    // The port was free a moment ago, and nothing listens on it.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let result = load(&format!("http://{address}/"), &["-n", "3", "-c", "1"]);
    assert_eq!(result["errors_by_kind"]["connect"], 3, "{result}");
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let url = serve(|stream, _| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").is_err());
    let result = load(&url, &["-n", "10", "-c", "2"]);
    assert_eq!(
        (&result["answers"], &result["errors"]),
        (&10.into(), &0.into()),
        "{result}"
    );
}

#[test]
fn measures_a_stream_event_by_event() {
    let url = serve(|stream, request| {
        assert!(request.contains("\"stream\":true"));
        let mut text = String::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for delta in [r#""content":"""#, r#""content":"a""#, r#""content":"b""#] {
            let event = format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n");
            text.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
        }
        text.push_str("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
        stream.write_all(text.as_bytes()).is_ok()
    });
    let result = load(&url, &["-n", "10", "-c", "2", "--stream"]);
    assert_eq!(
        (&result["answers"], &result["events"]),
        (&10.into(), &30.into()),
        "{result}"
    );
    assert_eq!(result["first_content_us"]["count"], 10);
    assert_eq!(result["gap_us"]["count"], 20);
}

#[test]
fn a_stream_without_its_end_is_an_error() {
    let url = serve(|stream, _| {
        let event = "data: {\"choices\":[]}\n\n";
        let head = "HTTP/1.1 200 OK\r\nContent-Length: ";
        stream
            .write_all(format!("{head}{}\r\n\r\n{event}", event.len()).as_bytes())
            .is_ok()
    });
    let result = load(&url, &["-n", "2", "-c", "1", "--stream"]);
    assert_eq!(result["errors_by_kind"]["no_done"], 2, "{result}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_charges_stalls() {
    let url = serve(|stream, _| stream.write_all(PLAIN.as_bytes()).is_ok());
    let result = load(&url, &["-d", "1s", "-c", "4", "--rate", "500"]);
    assert_eq!(
        result["answers"].as_u64().unwrap() + result["unsent"].as_u64().unwrap(),
        500
    );

    // The only connection hangs until its timeout, and everything due meanwhile is charged.
    let stuck = serve(|_, _| true);
    let flags = ["-d", "1s", "-c", "1", "--rate", "100", "--timeout", "2s"];
    let result = load(&stuck, &flags);
    assert_eq!(result["errors_by_kind"]["timeout"], 1, "{result}");
    assert_eq!(result["unsent"], 99, "{result}");
}
