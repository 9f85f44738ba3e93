//! Tests of the answer's reader.

use super::*;

/// Reads `text` in pieces of `step` bytes: what came of it, and the body.
fn read(text: &str, step: usize) -> (Result<Progress, Malformed>, Answer, String) {
    let mut answer = Answer::new();
    let mut body = Vec::new();
    let mut progress = Ok(Progress::Partial);
    for piece in text.as_bytes().chunks(step) {
        progress = answer.push(piece, |part| body.extend_from_slice(part));
        if progress.is_err() {
            break;
        }
    }
    (progress, answer, String::from_utf8(body).expect("UTF-8"))
}

#[test]
fn any_split_gives_the_same_body() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Cost: 1\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        for step in 1..=text.len() {
            let (progress, answer, body) = read(text, step);
            assert_eq!(progress, Ok(Progress::Whole), "{text:?} by {step}");
            assert_eq!(
                (answer.status(), body.as_str()),
                (200, "hello"),
                "{text:?} by {step}"
            );
            assert!(answer.keeps_alive());
        }
    }
}

#[test]
fn an_answer_without_a_body_ends_with_its_head() {
    for head in [
        "204 No Content\r\n",
        "304 Not Modified\r\nContent-Length: 9\r\n",
    ] {
        let (progress, answer, _) = read(&format!("HTTP/1.1 {head}\r\n"), 7);
        assert_eq!(progress, Ok(Progress::Whole));
        assert!(answer.keeps_alive());
    }
}

#[test]
fn without_a_length_the_end_of_the_connection_ends_it() {
    let (progress, answer, body) = read("HTTP/1.1 200 OK\r\n\r\nhello", 4);
    assert_eq!((progress, body.as_str()), (Ok(Progress::Partial), "hello"));
    assert_eq!(answer.closed(), Progress::Whole);
    assert!(!answer.keeps_alive());
}

#[test]
fn a_cut_answer_is_not_whole() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200",
    ] {
        let (progress, answer, _) = read(text, 100);
        assert_eq!(progress, Ok(Progress::Partial), "{text:?}");
        assert_eq!(answer.closed(), Progress::Partial, "{text:?}");
    }
}

#[test]
fn the_connection_header_decides_about_reuse() {
    for (head, keeps) in [
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", false),
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", true),
    ] {
        let (_, answer, _) = read(&format!("{head}Content-Length: 0\r\n\r\n"), 100);
        assert_eq!(answer.keeps_alive(), keeps, "{head:?}");
    }
}

#[test]
fn broken_framing_is_malformed() {
    for text in [
        "SMTP ready\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
    ] {
        for step in [1, 1000] {
            assert_eq!(read(text, step).0, Err(Malformed), "{text:?} by {step}");
        }
    }
}

#[test]
fn endless_heads_and_lines_are_cut_off() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(read(&head, 1000).0, Err(Malformed));
    let line = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    let line = format!("{line}{}", "a".repeat(LINE_BYTES_MAX));
    assert_eq!(read(&line, 1000).0, Err(Malformed));
}
