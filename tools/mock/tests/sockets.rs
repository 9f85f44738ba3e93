//! The mock over real sockets: what a client sees, and what the mock reports.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use infermux_mock::{Goals, Mock, Setup};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn post(path: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: mock\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chat(stream: bool, text: &str) -> String {
    let body = json!({"model": "m", "stream": stream,
        "messages": [{"role": "user", "content": text}]});
    post("/v1/chat/completions", "", &body)
}

/// Sends bytes on a connection of their own and reads until the answer holds `end`, or the end.
fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let mut room = [0; 4096];
    let mut looked = 0;
    while !String::from_utf8_lossy(&seen[looked..]).contains(end) {
        looked = seen.len().saturating_sub(end.len());
        match socket.read(&mut room) {
            Ok(0) => break,
            Ok(count) => seen.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&seen)),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Reads one answer that has a length.
fn answer(socket: &mut TcpStream) -> (u16, Value) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.split_once("\r\n").unwrap().0.parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn ask(address: SocketAddr, request: &str) -> (u16, Value) {
    let mut socket = connect(address);
    socket.write_all(request.as_bytes()).unwrap();
    answer(&mut socket)
}

fn control(mock: &Mock, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = post(path, "", body).replacen("POST", method, 1);
    ask(mock.control().unwrap(), &request)
}

#[test]
fn answers_requests_that_arrive_together_in_order() {
    let mock = Mock::start(json!({ "name": "a" })).unwrap();
    let mut socket = connect(mock.address());
    let pipelined = format!("{}{}", chat(false, "one"), chat(false, "two"));
    socket.write_all(pipelined.as_bytes()).unwrap();
    for word in ["one", "two"] {
        let (status, body) = answer(&mut socket);
        assert_eq!(status, 200);
        assert_eq!(
            body["choices"][0]["message"]["content"],
            format!("mock a: {word}")
        );
    }
    let requests = mock.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1]["body"]["messages"][0]["content"], "two");
    assert_eq!(requests[1]["connection"], requests[0]["connection"]);
    assert_eq!(mock.stats().connections_opened, 1);
}

#[test]
fn a_request_may_arrive_byte_by_byte_in_chunks_after_an_invitation() {
    let mock = Mock::start(json!({})).unwrap();
    let mut socket = connect(mock.address());
    let head = "POST /v1/embeddings HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
                transfer-encoding: chunked\r\n\r\n";
    for byte in head.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
    }
    assert!(read_until(&mut socket, "\r\n\r\n").starts_with("HTTP/1.1 100 "));
    let body = "{\"model\":\"m\",\"input\":[\"a\",\"b\"]}";
    let (first, second) = body.split_at(7);
    let chunks = format!(
        "7\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    );
    for byte in chunks.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
    }
    let (status, answered) = answer(&mut socket);
    assert_eq!(
        (status, answered["data"].as_array().unwrap().len()),
        (200, 2)
    );
    assert_eq!(mock.requests()[0]["body_text"], body);
}

#[test]
fn a_large_body_is_taken_whole() {
    let mock = Mock::start(json!({ "record_body_bytes": 10 })).unwrap();
    let text = "x".repeat(5_000_000);
    let (status, body) = ask(mock.address(), &chat(false, &text));
    assert_eq!(
        (status, body["usage"]["prompt_tokens"].as_u64()),
        (200, Some(1_250_000))
    );
    assert!(mock.requests()[0]["body_bytes"].as_u64().unwrap() > 5_000_000);
}

#[test]
fn a_stream_is_complete_in_whatever_pieces_it_is_written() {
    for script in [
        json!({ "stamp": true }),
        json!({ "chunk_bytes": 1 }),
        json!({ "chunk_bytes": 7, "chunk_interval_ms": 0.1 }),
        json!({ "latency_ms": 1, "ttft_ms": 1, "event_interval_ms": 1 }),
        json!({ "events": 5_000, "event_bytes": 1_000 }),
        json!({ "canned": true }),
    ] {
        let mock = Mock::start(script.clone()).unwrap();
        let mut socket = connect(mock.address());
        socket.write_all(chat(true, "hi").as_bytes()).unwrap();
        let seen = read_until(&mut socket, "[DONE]\n\n\r\n0\r\n\r\n");
        let events = script["events"].as_u64().unwrap_or(2);
        assert!(
            seen.matches("\"content\":\"").count() as u64 > events,
            "{script}"
        );
        assert!(mock.wait(
            &Goals {
                answered: Some(1),
                ..Goals::default()
            },
            PATIENCE
        ));
    }
}

#[test]
fn a_peer_that_goes_away_is_noticed_while_the_stream_stalls() {
    let mock = Mock::start(json!({ "answers": ["stall_mid_stream"] })).unwrap();
    let mut socket = connect(mock.address());
    socket.write_all(chat(true, "hi").as_bytes()).unwrap();
    assert!(read_until(&mut socket, "\"content\":\"mock\"").contains("200 OK"));
    assert_eq!(mock.stats().in_flight, 1);
    drop(socket);
    let gone = Goals {
        peer_closed: Some(1),
        connections_open: Some(0),
        ..Goals::default()
    };
    assert!(mock.wait(&gone, PATIENCE));
    let request = &mock.requests()[0];
    assert_eq!(request["ended"], "peer_closed");
    assert!(request["ended_after_ns"].as_u64().unwrap() > 0);
}

#[test]
fn cuts_reach_the_peer_as_an_end_or_a_reset() {
    let mock = Mock::start(json!({ "answers": [
        { "do": "cut_before_head" },
        { "do": "cut_mid_stream" },
        { "do": "cut_mid_stream", "reset": true },
    ]}))
    .unwrap();
    let mut ends = Vec::new();
    for _ in 0..3 {
        let mut socket = connect(mock.address());
        socket.write_all(chat(true, "hi").as_bytes()).unwrap();
        let mut seen = Vec::new();
        let end = socket.read_to_end(&mut seen).map_err(|error| error.kind());
        ends.push((end.map(|_| ()), seen.is_empty()));
    }
    let reset = Err(ErrorKind::ConnectionReset);
    assert_eq!(ends, [(Ok(()), true), (Ok(()), false), (reset, false)]);
    assert_eq!((mock.stats().cut, mock.stats().unanswered), (3, 0));
}

#[test]
fn a_request_that_may_come_again_is_told_from_one_that_failed() {
    let mock = Mock::start(json!({ "answers": [
        "ok", { "do": "cut_before_head" }, "ok", { "do": "cut_mid_stream" },
    ]}))
    .unwrap();
    for cut in [chat(false, "hi"), chat(true, "hi")] {
        let mut socket = connect(mock.address());
        socket.write_all(chat(false, "hi").as_bytes()).unwrap();
        assert_eq!(answer(&mut socket).0, 200);
        socket.write_all(cut.as_bytes()).unwrap();
        socket.read_to_end(&mut Vec::new()).unwrap();
    }
    // The stream's connection had said something of its answer.
    assert_eq!((mock.stats().cut, mock.stats().unanswered), (2, 1));
}

#[test]
fn while_it_refuses_only_the_control_port_answers() {
    let mock = Mock::start(json!({ "name": "a" })).unwrap();
    let mut kept = connect(mock.address());
    kept.write_all(chat(false, "hi").as_bytes()).unwrap();
    assert_eq!(answer(&mut kept).0, 200);
    assert_eq!(
        control(&mock, "PUT", "/_mock/script", &json!({ "refuse": true })).0,
        200
    );
    let refused = TcpStream::connect(mock.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(
        kept.read(&mut [0; 16]).unwrap(),
        0,
        "a provider that is down keeps no connection"
    );
    mock.set_script(json!({ "answers": [503, "ok"] })).unwrap();
    assert_eq!(ask(mock.address(), &chat(false, "hi")).0, 503);
    let (status, body) = ask(mock.address(), &chat(false, "hi"));
    assert_eq!(status, 200);
    assert_eq!(body["choices"][0]["message"]["content"], "mock a: hi");
}

#[test]
fn the_control_paths_tell_count_and_wait() {
    let mock = Mock::start(json!({ "answers": ["stall_before_head"] })).unwrap();
    let mut socket = connect(mock.address());
    let mut waiter = connect(mock.control().unwrap());
    let path = "/_mock/wait?requests=1&timeout_ms=20000";
    waiter
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())
        .unwrap();
    socket.write_all(chat(true, "hi").as_bytes()).unwrap();
    let (_, reached) = answer(&mut waiter);
    assert_eq!(
        (reached["reached"].clone(), reached["in_flight"].clone()),
        (json!(true), json!(1))
    );
    let none = Value::Null;
    let (_, late) = control(&mock, "GET", "/_mock/wait?answered=1&timeout_ms=1", &none);
    assert_eq!(late["reached"], false);
    let (_, requests) = control(&mock, "GET", "/_mock/requests", &none);
    assert_eq!(requests["last"][0]["path"], "/v1/chat/completions");
    assert_eq!(requests["last"][0]["headers"][0], json!(["host", "mock"]));
    assert_eq!(requests["last"][0]["ended"], Value::Null);
    assert_eq!(
        control(&mock, "POST", "/_mock/reset", &none).1["requests"],
        0
    );
    let (status, wrong) = control(&mock, "PUT", "/_mock/script", &json!({ "nonsense": 1 }));
    assert_eq!(status, 400);
    assert!(wrong["error"].as_str().unwrap().contains("nonsense"));
    assert_eq!(control(&mock, "GET", "/v1/models", &none).0, 404);
    let on_main = ask(
        mock.address(),
        "GET /_mock/stats HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    assert_eq!(on_main.0, 200);
}

#[test]
fn each_dialect_asks_for_its_own_credential() {
    let hi = json!([{ "role": "user", "content": "hi" }]);
    let body = json!({ "model": "m", "messages": hi });
    let message = json!({ "model": "m", "messages": hi, "max_tokens": 5 });
    let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    for (dialect, path, body, headers, status) in [
        ("openai", "/v1/chat/completions", &body, "", 401),
        (
            "openai",
            "/v1/chat/completions",
            &body,
            "authorization: Bearer k\r\n",
            200,
        ),
        (
            "openai",
            "/v1/messages",
            &body,
            "authorization: Bearer k\r\n",
            404,
        ),
        ("azure", azure, &body, "api-key: k\r\n", 200),
        ("azure", azure, &body, "api-key: wrong\r\n", 401),
        (
            "azure",
            "/openai/deployments/d/chat/completions",
            &body,
            "api-key: k\r\n",
            404,
        ),
        (
            "azure",
            "/openai/v1/chat/completions",
            &body,
            "authorization: Bearer k\r\n",
            200,
        ),
        (
            "anthropic",
            "/v1/messages",
            &message,
            "x-api-key: k\r\n",
            400,
        ),
        (
            "anthropic",
            "/v1/messages",
            &message,
            "anthropic-version: 2023-06-01\r\n",
            401,
        ),
        (
            "anthropic",
            "/v1/messages",
            &message,
            "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
            200,
        ),
    ] {
        let mock = Mock::start(json!({ "dialect": dialect, "key": "k" })).unwrap();
        let (seen, answered) = ask(mock.address(), &post(path, headers, body));
        assert_eq!(seen, status, "{dialect} {path} {headers}: {answered}");
    }
}

#[test]
fn several_instances_and_threads_serve_side_by_side() {
    let setups = ["a", "b"]
        .map(|name| Setup::local(json!({ "name": name })))
        .to_vec();
    let running = infermux_mock::start(setups, 2).unwrap();
    for seat in running.seats() {
        for _ in 0..8 {
            let (_, body) = ask(seat.address(), &chat(false, "hi"));
            let expected = format!("mock {}: hi", seat.name());
            assert_eq!(body["choices"][0]["message"]["content"], expected);
        }
        assert_eq!(seat.stats().requests, 8);
        seat.set_script(json!({ "refuse": true })).unwrap();
        let refused = TcpStream::connect(seat.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn models_are_listed_and_found() {
    let mock = Mock::start(json!({ "models": ["a/b", "c"] })).unwrap();
    let get = |path: &str| {
        ask(
            mock.address(),
            &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"),
        )
    };
    assert_eq!(get("/v1/models").1["data"][1]["id"], "c");
    assert_eq!(get("/v1/models/a%2Fb").1["id"], "a/b");
    assert_eq!(get("/v1/models/x").1["error"]["code"], "model_not_found");
    assert_eq!(ask(mock.address(), &chat(false, "hi")).0, 404);
}

#[test]
fn the_program_says_where_its_instances_listen() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_infermux-mock"))
        .args([
            "--script-json",
            r#"{"events":3}"#,
            "--control",
            "127.0.0.1:0",
        ])
        .args([
            "--instance",
            r#"{"name":"a"}"#,
            "--instance",
            r#"{"name":"b","key":"k"}"#,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    let mut statuses = Vec::new();
    for (line, name) in lines.iter().zip(["a", "b"]) {
        let rest = line
            .strip_prefix(&format!("mock {name} listening on "))
            .unwrap();
        let (address, control) = rest.split_once(" (control ").unwrap();
        statuses.push(ask(address.parse().unwrap(), &chat(false, "hi")).0);
        let control = control.strip_suffix(')').unwrap().parse().unwrap();
        assert_eq!(
            ask(control, "GET /_mock/stats HTTP/1.1\r\nhost: a\r\n\r\n").0,
            200
        );
    }
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(statuses, [200, 401]);
}
