//! HTTP/1 as callers may speak it, and every way in which they may not.

use infermux_mock::{Goals, Mock};
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{PATIENCE, chat, config_for, mock};

/// What becomes of a second request that stands behind the first in the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The connection is closed; the bytes were never a request.
    Closed,
    /// It is answered.
    Served,
}

use Next::{Closed, Served};

const LIMITS: &str = "server: {max_body_bytes: 65536}\n";

/// A chat request with these header lines, each with its CR LF, in front of this body.
fn chat_request(headers: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\n{headers}\r\n{body}")
}

/// A chat request whose head is in order.
fn good(text: &str) -> String {
    let body = chat(text);
    chat_request(
        &format!("Host: a\r\nContent-Length: {}\r\n", body.len()),
        &body,
    )
}

/// A chat request with this field line besides those it needs.
fn with_field(line: &str) -> String {
    let body = chat("x");
    let length = body.len();
    chat_request(
        &format!("Host: a\r\n{line}\r\nContent-Length: {length}\r\n"),
        &body,
    )
}

/// A chat request with this value of `Content-Length`.
fn with_length(value: &str) -> String {
    chat_request(
        &format!("Host: a\r\nContent-Length:{value}\r\n"),
        &chat("x"),
    )
}

/// A chat request with this value of `Transfer-Encoding`, whose body is chunked.
fn with_encoding(value: &str) -> String {
    chunked(
        &format!("Transfer-Encoding: {value}\r\n"),
        &chunks(&chat("x")),
    )
}

/// A chat request with these bytes as a chunked body.
fn with_chunks(bytes: &str) -> String {
    chunked("Transfer-Encoding: chunked\r\n", bytes)
}

fn chunked(encoding: &str, bytes: &str) -> String {
    chat_request(&format!("Host: a\r\n{encoding}"), bytes)
}

/// `body` in one chunk, and the last chunk.
fn chunks(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// A request without a body.
fn bare(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A POST with a body.
fn posted(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

type Case = (&'static str, String, u16, &'static str, Next);

fn ambiguous_framing() -> Vec<Case> {
    let (n, both) = (chat("x").len(), |first: &str, second: &str| {
        chat_request(&format!("Host: a\r\n{first}{second}"), &chunks(&chat("x")))
    });
    let (length, te) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    let bad = |name, bytes| (name, bytes, 400, "invalid_request", Closed);
    let old = format!("HTTP/1.0\r\n{te}\r\n{}", chunks(&chat("x")));
    vec![
        bad("length and encoding", both(length, te)),
        bad("encoding and length", both(te, length)),
        bad("length twice", with_field(&format!("Content-Length: {n}"))),
        bad("lengths that differ", with_field("Content-Length: 3")),
        bad("a list of lengths", with_length(&format!(" {n}, {n}"))),
        bad("a signed length", with_length(&format!(" +{n}"))),
        bad("a negative length", with_length(" -1")),
        bad("a hexadecimal length", with_length(" 0x10")),
        bad("an empty length", with_length("")),
        bad("a length with a blank", with_length(" 1 0")),
        bad(
            "an overflowing length",
            with_length(" 18446744073709551616"),
        ),
        bad("an encoding before chunked", with_encoding("gzip, chunked")),
        bad("an encoding after chunked", with_encoding("chunked, gzip")),
        bad("identity", with_encoding("identity")),
        bad("chunked twice", with_encoding("chunked, chunked")),
        bad("an unknown encoding", with_encoding("xchunked")),
        bad("a quoted encoding", with_encoding("\"chunked\"")),
        bad("an encoding with a parameter", with_encoding("chunked;q=1")),
        bad("an empty encoding", with_encoding("")),
        bad(
            "encoding twice",
            chunked(&te.repeat(2), &chunks(&chat("x"))),
        ),
        bad(
            "an encoding on HTTP/1.0",
            format!("POST /v1/chat/completions {old}"),
        ),
    ]
}

fn malformed_heads() -> Vec<Case> {
    let bad = |name, bytes| (name, bytes, 400, "invalid_request", Closed);
    let line = "POST /v1/chat/completions HTTP/1.1";
    vec![
        bad("LF ends the first line", format!("{line}\nHost: a\r\n\r\n")),
        bad("LF ends a field", with_field("X-A: b\nX-C: d")),
        bad("LF ends the head", format!("{line}\r\nHost: a\r\n\n")),
        bad("a folded field", with_field("X-A: b\r\n c")),
        bad("a fold by tab", with_field("X-A: b\r\n\tc")),
        bad("NUL in a value", with_field("X-A: b\0c")),
        bad("CR in a value", with_field("X-A: b\rc")),
        bad("a control character in a value", with_field("X-A: b\x01c")),
        bad("a blank before the colon", with_field("X-A : b")),
        bad(
            "a blank before the length's colon",
            with_field("Content-Length : 0"),
        ),
        bad("an empty name", with_field(": b")),
        bad("a name with a bracket", with_field("X(A: b")),
        bad("a line without a colon", with_field("X-A")),
        bad(
            "a blank before the first field",
            format!("{line}\r\n Host: a\r\n\r\n"),
        ),
        bad("no Host", format!("{line}\r\nContent-Length: 0\r\n\r\n")),
        bad("Host twice", with_field("Host: a")),
        bad("another expectation", with_field("Expect: 200-ok")),
        bad("HTTP/0.9", "GET /v1/models\r\n\r\n".into()),
        bad("no request at all", "\u{16}\u{3}\u{1}\u{2}".into()),
        bad("a method with a bracket", bare("GE[T /v1/models")),
        (
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            505,
            "http_version_not_supported",
            Closed,
        ),
    ]
}

fn malformed_chunks() -> Vec<Case> {
    let bad = |name, bytes| (name, with_chunks(bytes), 400, "invalid_request", Closed);
    vec![
        bad("an empty size", "\r\nhello\r\n0\r\n\r\n"),
        bad("an extension without a size", ";a=b\r\nhello\r\n0\r\n\r\n"),
        bad("a size with a sign", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad(
            "an overflowing size",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        bad("a chunk longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
        bad("a chunk that ends in LF", "5\r\nhello\n0\r\n\r\n"),
        bad("a size that ends in LF", "5\nhello\r\n0\r\n\r\n"),
        bad("a trailer that ends in LF", "0\r\nX: y\n\r\n"),
    ]
}

fn too_large() -> Vec<Case> {
    let fields = |count: usize, value: usize| -> String {
        let field = |number| format!("X-{number}: {}\r\n", "v".repeat(value));
        (0..count).map(field).collect()
    };
    let many = |count, value| chat_request(&format!("Host: a\r\n{}", fields(count, value)), "");
    let chunk = format!("9c40\r\n{}\r\n", "a".repeat(40_000));
    let long = format!(
        "GET /v1/models/{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "m".repeat(8 << 10)
    );
    let head = "header_too_large";
    vec![
        ("a head over 32 KiB", many(40, 1_000), 431, head, Closed),
        ("101 fields", many(100, 1), 431, head, Closed),
        ("a target over 8 KiB", long, 414, "uri_too_long", Closed),
        (
            "a length over the limit",
            with_length(" 65537"),
            413,
            "request_too_large",
            Closed,
        ),
        (
            "chunks over the limit",
            with_chunks(&(chunk.clone() + &chunk + "0\r\n\r\n")),
            413,
            "request_too_large",
            Closed,
        ),
    ]
}

fn understood_but_wrong() -> Vec<Case> {
    let unknown = json!({"model": "nobody", "messages": []}).to_string();
    let path = "/v1/chat/completions";
    let (lost, method) = ("unknown_url", "method_not_allowed");
    vec![
        ("an unknown path", posted("/v1/x", "{}"), 404, lost, Served),
        (
            "a path of many alphabets",
            bare("GET /v1/c%\u{25c}"),
            404,
            lost,
            Served,
        ),
        ("an asterisk", bare("OPTIONS *"), 404, lost, Served),
        (
            "POST a root in absolute form, with a served path behind its query",
            posted("http://h?x=/v1/chat/completions", &chat("x")),
            405,
            method,
            Served,
        ),
        (
            "GET a chat",
            bare(&format!("GET {path}")),
            405,
            method,
            Served,
        ),
        (
            "an unknown method",
            bare(&format!("BREW {path}")),
            405,
            method,
            Served,
        ),
        (
            "POST the models",
            posted("/v1/models", "{}"),
            405,
            method,
            Served,
        ),
        (
            "an unknown model",
            posted(path, &unknown),
            404,
            "model_not_found",
            Served,
        ),
        ("no JSON", posted(path, "{"), 400, "invalid_request", Served),
        (
            "no body",
            bare(&format!("POST {path}")),
            400,
            "invalid_request",
            Served,
        ),
    ]
}

// proves: request.no-smuggling
#[test]
fn every_refusal_has_its_status_and_nothing_is_smuggled_behind_it() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], LIMITS));
    let mut served = 0;
    let cases = [
        ambiguous_framing(),
        malformed_heads(),
        malformed_chunks(),
        too_large(),
        understood_but_wrong(),
    ];
    for (name, bytes, status, code, next) in cases.into_iter().flatten() {
        let mut client = Client::connect(router.addr());
        client.send(bytes + &good("the next one"));
        let answer = client.answer();
        assert_refused(name, &answer, status, code, next);
        match next {
            Closed => assert!(client.is_closed(), "{name}: more than one answer"),
            Served => {
                assert_eq!(client.answer().status, 200, "{name}: the next one");
                served += 1;
            }
        }
        assert_eq!(alpha.stats().requests, served, "{name}: what was forwarded");
    }
}

fn assert_refused(name: &str, answer: &Answer, status: u16, code: &str, next: Next) {
    let found = (answer.status, answer.code());
    assert_eq!(
        found,
        (status, code.to_owned()),
        "{name}: {}",
        answer.text()
    );
    assert!(answer.complete, "{name}");
    assert_eq!(answer.header("x-infermux-error"), Some(code), "{name}");
    assert!(answer.header("x-request-id").is_some(), "{name}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json()["error"].clone();
    let keys: Vec<&String> = error.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["code", "message", "param", "type"], "{name}");
    assert_eq!(error["type"], "infermux_error", "{name}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(error["param"].is_null(), "{name}");
    let close = (next == Closed).then_some("close");
    assert_eq!(answer.header("connection"), close, "{name}");
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    for (line, allow) in [
        ("GET /v1/chat/completions", "POST"),
        ("PUT /v1/embeddings", "POST"),
        ("DELETE /v1/models", "GET, HEAD"),
        ("DELETE /v1/models/m", "GET, HEAD"),
    ] {
        client.send(bare(line));
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)));
    }
}

#[test]
fn a_head_just_within_its_limits_is_taken() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let fields: String = (0..97).map(|number| format!("X-{number}: v\r\n")).collect();
    client.send(with_field(&format!("{fields}X-Last: v")));
    assert_eq!(client.answer().status, 200, "100 fields");
    let value = "v".repeat(32 * 1_024 - 200);
    client.send(with_field(&format!("X-Long: {value}")));
    assert_eq!(client.answer().status, 200, "just below 32 KiB");
    client.send(bare(&format!("GET /v1/models/{}", "m".repeat(8_000))));
    assert_eq!(client.answer().status, 404, "just below 8 KiB");
}

#[test]
fn an_expectation_is_met_once_the_head_is_accepted() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], LIMITS));
    let mut client = Client::connect(router.addr());
    let body = chat("x");
    let head =
        |framing: &str| chat_request(&format!("Host: a\r\nExpect: 100-Continue\r\n{framing}"), "");
    for (framing, body) in [
        (format!("Content-Length: {}\r\n", body.len()), body.clone()),
        ("Transfer-Encoding: chunked\r\n".into(), chunks(&body)),
    ] {
        client.send(head(&framing));
        assert_eq!(client.head().status, 100, "{framing}");
        client.send(body);
        assert_eq!(client.answer().status, 200, "{framing}");
    }
    let sent_at_once = head(&format!("Content-Length: {}\r\n", body.len())) + &body;
    client.send(sent_at_once);
    assert_eq!(client.answer().status, 200, "nothing is waited for");
    client.send(head("Content-Length: 65537\r\n"));
    assert_eq!(client.answer().status, 413, "no 100 before it");
    assert!(client.is_closed());
    let mut client = Client::connect(router.addr());
    client.send(
        "POST /v1/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    );
    assert_eq!(client.answer().status, 404, "no 100 before it");
    assert!(client.is_closed(), "whether the body follows is unknown");
    assert_eq!(alpha.stats().requests, 3);
}

#[test]
fn chunk_extensions_and_trailers_are_dropped() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let body = chat("in pieces");
    let (first, second) = body.split_at(7);
    client.send(with_chunks(&format!(
        "7;a=\"b\"\r\n{first}\r\n{:X} ; c\r\n{second}\r\n000\r\nX-Trailer: t\r\nHost: b\r\n\r\n",
        second.len()
    )));
    assert_eq!(client.answer().status, 200);
    let forwarded = last_request(&alpha);
    assert_eq!(forwarded["body_text"], body);
    let headers = forwarded["headers"].to_string();
    assert!(!headers.contains("x-trailer"), "{headers}");
    assert_eq!(client.chat(&chat("again")).status, 200, "in step");
}

/// The last request that `mock` has recorded.
fn last_request(mock: &Mock) -> serde_json::Value {
    mock.requests().last().cloned().expect("a request")
}

#[test]
fn http_1_0_works_with_and_without_keep_alive() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let body = chat("x");
    let old = |fields: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let mut client = Client::connect(router.addr());
    client.send(old("", &body));
    let answer = client.answer();
    assert_eq!((answer.status, answer.complete), (200, true));
    assert!(client.is_closed(), "HTTP/1.0 closes");

    let mut client = Client::connect(router.addr());
    for body in [&body, "no JSON", &body] {
        client.send(old("Connection: keep-alive\r\n", body));
        let answer = client.answer();
        assert!([200, 400].contains(&answer.status));
        assert_eq!(
            answer.header("connection"),
            Some("keep-alive"),
            "{}",
            answer.status
        );
    }
    client.send("GET /v1/models HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        answer.header("connection"),
        Some("keep-alive"),
        "the models"
    );

    client.send(old("", &crate::support::streamed_chat("one two")));
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("transfer-encoding"),
        None,
        "1.0 knows no chunks"
    );
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
}

#[test]
fn connection_close_is_obeyed_and_said() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let models = "GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n";
    for bytes in [with_field("Connection: close"), models.to_owned()] {
        let mut client = Client::connect(router.addr());
        client.send(bytes + &good("never read"));
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    assert_eq!(alpha.stats().requests, 1);
}

#[test]
fn head_is_answered_without_a_body() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    client.get("/v1/models");
    let with_body = client.answer();
    for (line, status) in [("/v1/models", 200), ("/v1/x", 404), ("/v1/embeddings", 405)] {
        client.send(bare(&format!("HEAD {line}")));
        let answer = client.answer_to("HEAD");
        assert_eq!(answer.status, status);
        let length = answer.header("content-length").map(str::parse::<usize>);
        assert!(matches!(length, Some(Ok(1..))), "{line}: {length:?}");
        if status == 200 {
            assert_eq!(length, Some(Ok(with_body.body.len())));
        }
    }
    assert_eq!(client.chat(&chat("in step")).status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let mut bytes = String::new();
    for number in 0..20 {
        match number % 3 {
            0 => bytes += &good(&format!("number {number}")),
            1 => bytes += &with_chunks(&chunks(&chat(&format!("number {number}")))),
            _ => bytes += &bare(&format!("GET /v1/nothing/{number}")),
        }
    }
    client.send(&bytes);
    for number in 0..20 {
        let answer = client.answer();
        let text = answer.text();
        if number % 3 == 2 {
            assert!(text.contains(&format!("/v1/nothing/{number}")), "{text}");
        } else {
            assert!(text.contains(&format!("number {number}\"")), "{text}");
        }
    }
    let large = chat(&"x".repeat(200_000));
    client.send(posted("/v1/chat/completions", &large).repeat(3));
    for _ in 0..3 {
        assert_eq!(client.answer().status, 200, "large ones, too");
    }
}

// proves: hangup.cuts-upstream
#[test]
fn a_caller_that_hangs_up_after_its_next_request_is_noticed() {
    let alpha = mock(json!({"name": "alpha", "do": "stall_before_head"}));
    let router = Router::start(&config_for(&[&alpha], "server: {shards: 1}\n"));
    let mut other = Client::connect(router.addr());
    for (number, next) in [
        (1, good("two")),
        (2, good("two").repeat(20)),
        (3, "x".into()),
    ] {
        let mut client = Client::connect(router.addr());
        client.send(good("one"));
        assert!(alpha.wait_for_requests(number, PATIENCE));
        client.send(next);
        // The shard has read it before the hang-up comes.
        other.get("/v1/models");
        assert_eq!(other.answer().status, 200);
        drop(client);
        let gone = Goals {
            peer_closed: Some(number),
            ..Goals::default()
        };
        assert!(alpha.wait(&gone, PATIENCE), "{number}");
    }
    assert_eq!(alpha.stats().requests, 3, "nobody waits for the next ones");
}

#[test]
fn targets_names_and_empty_lines_may_look_unusual() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    let body = chat("x");
    let n = body.len();
    for (name, bytes) in [
        (
            "absolute form",
            format!(
                "POST http://any.test:80/v1/chat/completions?a=b HTTP/1.1\r\nHost: a\r\n\
                 Content-Length: {n}\r\n\r\n{body}"
            ),
        ),
        (
            "lower case",
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {n}\r\n\r\n{body}"
            ),
        ),
        (
            "upper case",
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHOST:a\r\nCONTENT-LENGTH:{n}\r\n\r\n{body}"
            ),
        ),
        (
            "blanks around values",
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: \t a \t\r\n\
                 Content-Length: \t{n} \r\n\r\n{body}"
            ),
        ),
        ("an empty line first", format!("\r\n{}", good("x"))),
        (
            "some empty lines first",
            format!("\r\n\r\n\r\n{}", good("x")),
        ),
        (
            "an upper-case coding",
            chunked("TRANSFER-ENCODING: CHUNKED\r\n", &chunks(&body)),
        ),
        ("bytes above 127 in a value", with_field("X-A: \u{e4}")),
        ("an empty value", with_field("X-A:")),
    ] {
        client.send(bytes);
        assert_eq!(client.answer().status, 200, "{name}");
        assert_eq!(last_request(&alpha)["body_text"], body, "{name}");
    }
}

#[test]
fn a_caller_that_sends_far_too_much_still_reads_why_it_is_refused() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(&[&alpha], ""));
    let mut client = Client::connect(router.addr());
    client.send(with_length(&format!(" {}", 40 << 20)));
    let piece = vec![b' '; 64 << 10];
    let mut sent = 0;
    // Sends on, as a client does that reads only when it has sent everything.
    while sent < 40 << 20 && client.send(&piece) {
        sent += piece.len();
    }
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    assert_eq!(alpha.stats().requests, 0);
    assert_eq!(Client::connect(router.addr()).chat(&chat("x")).status, 200);
}

#[test]
fn a_refusal_arrives_however_much_its_caller_still_sends() {
    let alpha = mock(json!({"name": "alpha"}));
    let router = Router::start(&config_for(
        &[&alpha],
        "auth: {mode: static_key, key: right}\nserver: {max_body_bytes: 1048576}\n",
    ));
    let large = vec![b'x'; 8 << 20];
    let key = "Authorization: Bearer right\r\n";
    for (target, header, status) in [
        ("POST /v1/nowhere", key, 404),
        ("POST /v1/chat/completions", "", 401),
        ("DELETE /v1/chat/completions", key, 405),
        ("POST /v1/chat/completions", key, 413),
    ] {
        for chunked in [false, true] {
            let mut client = Client::connect(router.addr());
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", large.len())
            };
            client.send(format!(
                "{target} HTTP/1.1\r\nHost: t\r\n{header}{framing}\r\n\r\n"
            ));
            // All is sent before the answer is read, as some callers do.
            for part in large.chunks(1 << 20) {
                if chunked {
                    assert!(client.send(format!("{:x}\r\n", part.len())));
                }
                assert!(client.send(part), "{target}");
                if chunked {
                    assert!(client.send("\r\n"));
                }
            }
            if chunked {
                assert!(client.send("0\r\n\r\n"));
            }
            let answer = client.answer();
            assert_eq!((answer.status, answer.complete), (status, true), "{target}");
            assert_eq!(answer.header("connection"), Some("close"));
            // Where a body was refused in the middle of its chunks, its end is not known.
            assert!((chunked && status == 413) || client.is_closed());
        }
    }
    assert_eq!(alpha.stats().requests, 0);
}
