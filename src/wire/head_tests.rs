//! Heads: which are read, which are refused, and that splits do not matter.

use super::*;
use crate::base::limits::HEADERS_MAX;

fn request(text: &str) -> Result<(Arrival, Head), HeadFault> {
    let mut head = Head::default();
    let arrival = head.parse_request(text.as_bytes(), 0)?;
    Ok((arrival, head))
}

fn answer(text: &str, asked: Asked) -> Result<Head, HeadFault> {
    let mut head = Head::default();
    assert_eq!(
        head.parse_answer(text.as_bytes(), 0, asked)?,
        Arrival::Whole
    );
    Ok(head)
}

#[test]
fn reads_a_request() {
    let text =
        "\r\nPOST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nX-A:  b c \r\nContent-Length: 3\r\n\r\nabc";
    let (arrival, head) = request(text).unwrap();
    assert_eq!(arrival, Arrival::Whole);
    assert_eq!(&text[head.method.clone()], "POST");
    assert_eq!(&text[head.target.clone()], "/v1/x?y=1");
    assert_eq!(&text[head.len..], "abc");
    assert_eq!(head.framing, Framing::Length(3));
    assert_eq!(head.value(text.as_bytes(), "x-a"), Some(&b"b c"[..]));
    assert_eq!(head.value(text.as_bytes(), "x-b"), None);
    assert!(head.keep_alive && !head.expects_continue);
}

#[test]
fn any_split_gives_the_same_head() {
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut head = Head::default();
    for split in 0..text.len() - 5 {
        assert_eq!(
            head.parse_request(&text[..split], 0),
            Ok(Arrival::Partial),
            "at {split}"
        );
        assert_eq!(
            head.parse_request(text, split),
            Ok(Arrival::Whole),
            "at {split}"
        );
        assert_eq!(head.len, text.len() - 5);
        assert_eq!(head.framing, Framing::Chunked);
    }
}

#[test]
fn refuses_what_two_parsers_could_read_differently() {
    for (fields, fault) in [
        (
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "exclude",
        ),
        (
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "one number",
        ),
        ("Host: a\r\nContent-Length: 1, 1\r\n", "one number"),
        ("Host: a\r\nContent-Length: +1\r\n", "one number"),
        ("Host: a\r\nContent-Length: 0x1\r\n", "one number"),
        ("Host: a\r\nContent-Length:\r\n", "one number"),
        (
            "Host: a\r\nContent-Length: 99999999999999999999\r\n",
            "one number",
        ),
        (
            "Host: a\r\nTransfer-Encoding: gzip\r\n",
            "must be `chunked`",
        ),
        (
            "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
            "must be `chunked`",
        ),
        (
            "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n",
            "must be `chunked`",
        ),
        (
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "once",
        ),
        (
            "Host: a\r\nTransfer-Encoding: xchunked\r\n",
            "must be `chunked`",
        ),
        ("Host: a\r\nExpect: tea\r\n", "expectation"),
        ("Host: a\r\nHost: a\r\n", "one Host"),
        ("", "one Host"),
        ("Host: a\r\nX: b\r\n c\r\n", "not valid"),
        ("Host: a\r\nX : b\r\n", "not valid"),
        ("Host: a\r\nX\u{0}: b\r\n", "not valid"),
        ("Host: a\r\nX: b\u{0}\r\n", "not valid"),
        ("Host: a\r\nX: b\rc\r\n", "not valid"),
        ("Host: a\r\n: b\r\n", "not valid"),
        ("Host: a\r\nX: b\nY: c\r\n", "LF without CR"),
    ] {
        let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        let found = request(&text).map(|_| ()).unwrap_err().sentence();
        assert!(found.contains(fault), "{fields:?}: {found}");
    }
}

#[test]
fn refuses_other_protocols_at_their_first_bytes() {
    assert_eq!(
        request("\u{16}\u{3}\u{1}").map(|_| ()),
        Err(HeadFault::Malformed)
    );
    assert_eq!(
        request("PRI * HTTP/2.0\r\n\r\n").map(|_| ()),
        Err(HeadFault::Version)
    );
    assert_eq!(
        request("GET / HTTP/1.1\n\n").map(|_| ()),
        Err(HeadFault::BareLf)
    );
    assert!(request("GET /\r\n\r\n").is_err());
}

#[test]
fn limits_are_told_apart() {
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "x".repeat(TARGET_BYTES_MAX)
    );
    assert_eq!(request(&long).map(|_| ()), Err(HeadFault::TargetTooLong));
    let endless = format!("GET /{}", "x".repeat(REQUEST_HEAD_BYTES_MAX));
    assert_eq!(request(&endless).map(|_| ()), Err(HeadFault::TargetTooLong));
    let wide = format!(
        "GET / HTTP/1.1\r\nX: {}",
        "x".repeat(REQUEST_HEAD_BYTES_MAX)
    );
    assert_eq!(request(&wide).map(|_| ()), Err(HeadFault::TooLarge));
    let many = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        "A: b\r\n".repeat(HEADERS_MAX + 1)
    );
    assert_eq!(request(&many).map(|_| ()), Err(HeadFault::TooLarge));
}

#[test]
fn persistence_follows_version_and_connection() {
    for (start, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{start}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(request(&text).unwrap().1.keep_alive, keep_alive, "{text}");
    }
    assert!(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    assert!(request("GET / HTTP/1.0\r\n\r\n").is_ok());
}

#[test]
fn a_target_in_absolute_form_loses_its_authority() {
    for (target, path) in [
        ("http://h:1/v1?x", "/v1?x"),
        ("HTTPS://h/v1", "/v1"),
        ("http://h", "/"),
        ("https://h?x=/v1/models", "/"),
        ("http://h#/v1", "/"),
        ("http://", "/"),
        ("*", "*"),
        ("/v1/c%\u{25c}", "/v1/c%\u{25c}"),
        ("http:/\u{25c}/v1", "http:/\u{25c}/v1"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(&text[request(&text).unwrap().1.target], path);
    }
}

#[test]
fn an_answer_is_delimited_as_its_request_and_status_say() {
    for (status, fields, asked, framing) in [
        (
            200,
            "Content-Length: 5\r\n",
            Asked::Other,
            Framing::Length(5),
        ),
        (
            200,
            "Transfer-Encoding: Chunked\r\n",
            Asked::Other,
            Framing::Chunked,
        ),
        (200, "", Asked::Other, Framing::Close),
        (200, "Content-Length: 5\r\n", Asked::Head, Framing::None),
        (204, "Content-Length: 5\r\n", Asked::Other, Framing::None),
        (304, "Content-Length: 5\r\n", Asked::Other, Framing::None),
        (103, "", Asked::Other, Framing::None),
    ] {
        let head = answer(&format!("HTTP/1.1 {status} X\r\n{fields}\r\n"), asked).unwrap();
        assert_eq!((head.status, head.framing), (status, framing));
        assert_eq!(head.keep_alive, framing != Framing::Close);
    }
    for bad in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: x\r\n",
    ] {
        assert!(answer(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n"), Asked::Other).is_err());
    }
    let mut head = Head::default();
    assert_eq!(
        head.parse_answer(b"HTT", 0, Asked::Other),
        Ok(Arrival::Partial)
    );
    assert_eq!(
        head.parse_answer(b"junk", 0, Asked::Other),
        Err(HeadFault::Malformed)
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, seen in 0_usize..40) {
        let mut head = Head::default();
        let _ = head.parse_request(&bytes, seen.min(bytes.len()));
        let _ = head.parse_answer(&bytes, seen.min(bytes.len()), Asked::Other);
    }

    #[test]
    fn no_request_like_text_makes_it_panic(
        text in "(GET|POST|x) (/|http://a)[ -~]{0,20} HTTP/1.[01]\r\n\
            ([a-zA-Z-]{0,20}: ?[ -~]{0,9}\r\n){0,6}\r\n",
    ) {
        let mut head = Head::default();
        if head.parse_request(text.as_bytes(), 0) == Ok(Arrival::Whole) {
            proptest::prop_assert!(head.len <= text.len());
            proptest::prop_assert!(head.fields.iter().all(|f| f.value.end <= text.len()));
        }
    }
}
