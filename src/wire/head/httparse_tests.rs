//! The parser against `httparse`, on heads that are valid, that nearly are, and that are not: the
//! same verdict and the same ranges, however the bytes arrive.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::base::limits::HEADERS_MAX;
use crate::wire::field;

use reference::{KINDS, check, check_split, own, reference};

#[path = "reference_tests.rs"]
mod reference;

/// What stands in the head of an ordinary message, and what may be mistaken for it.
const NAMES: [&str; 16] = [
    "Host",
    "host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "Authorization",
    "x-ratelimit-remaining-requests",
    "anthropic-ratelimit-output-tokens-remaining",
    "X-Infermux-Caller",
    "X-Infermuz-Caller",
    "te",
    "A",
    "X-Stainless-Runtime-Version",
    "",
    "X Y",
];
const VALUES: [&str; 16] = [
    "",
    "a",
    "a.example:80",
    "u@a",
    "5",
    "05",
    "+5",
    "99999999999999999999",
    "chunked",
    "Chunked",
    "keep-alive",
    "close, x",
    "100-continue",
    "Bearer sk-proj-0123456789abcdef0123456789abcdef0123456789abcdef",
    "b\tc d",
    "\u{e9}",
];
/// Bytes that decide where something ends.
const ODD: &[u8] = b"\r\n \t:,\0\x0b\x0c\x1f\x7f\x80\xff/aZ";

fn start_line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(\r\n){0,2}(GET|POST|DELETE|X-y!) (/|/v1/x[?]a=b|http://h/v1|HTTPS://h|[*]|/\u{e9}) \
              HTTP/1[.][01]\r\n",
        4 => "HTTP/1[.][01] [0-9]{3}( OK| | a\tb\u{e9}|)\r\n",
        1 => "[ -~]{0,3}(GET|HTTP/1.1)[ -~]{0,20}\r\n",
    ]
}

fn field() -> impl Strategy<Value = String> {
    let name = prop_oneof![9 => select(&NAMES[..14]), 1 => select(&NAMES[..])];
    let blank = || select(&["", " ", " ", " ", "\t", "  \t "][..]);
    let end = prop_oneof![30 => Just("\r\n"), 1 => select(&["\n", "\r", "\r\n ", "\r\r\n"][..])];
    (name, blank(), select(&VALUES[..]), blank(), end).prop_map(
        |(name, before, value, behind, end)| format!("{name}:{before}{value}{behind}{end}"),
    )
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(field(), 0..9);
    let behind = select(
        &[
            "\r\n",
            "\r\n",
            "\r\n{\"model\":\"m\"}\r\n\r\nGET / HTTP/1.1",
            "",
        ][..],
    );
    (start_line(), fields, behind).prop_map(|(start, fields, behind)| {
        [&*start, &fields.concat(), behind].concat().into_bytes()
    })
}

proptest! {
    #[test]
    fn heads_are_read_alike(head in head()) {
        check(&head);
    }

    #[test]
    fn heads_with_a_few_other_bytes_are_read_alike(
        head in head(),
        edits in prop::collection::vec((any::<Index>(), select(ODD), 0_u8..3), 1..4),
    ) {
        let mut head = head;
        for (place, byte, way) in edits {
            let at = place.index(head.len() + 1);
            match way {
                0 => head.insert(at, byte),
                1 if at < head.len() => head[at] = byte,
                _ if at < head.len() => drop(head.remove(at)),
                _ => {}
            }
        }
        check(&head);
    }

    #[test]
    fn bytes_are_read_alike(
        bytes in prop::collection::vec(
            prop_oneof![1 => any::<u8>(), 3 => select(ODD), 3 => select(&b"HTTP/1.1 200 GET"[..])],
            0..80),
    ) {
        check(&bytes);
    }

    #[test]
    fn heads_at_their_bounds_are_read_alike(
        target in TARGET_BYTES_MAX - 3..TARGET_BYTES_MAX + 3,
        value in prop_oneof![
            Just(3_usize),
            REQUEST_HEAD_BYTES_MAX - TARGET_BYTES_MAX - 60..REQUEST_HEAD_BYTES_MAX,
            ANSWER_HEAD_BYTES_MAX - 60..ANSWER_HEAD_BYTES_MAX + 3,
        ],
        fields in HEADERS_MAX - 3..HEADERS_MAX + 2,
        last in select(&["", "\r\n", "X: y\r\n\r\n", "X: y\r\n\r\n\n", "X\r\n\r\n", "\n\r\n"][..]),
    ) {
        let fields = format!("V: {}\r\n{}{last}", "v".repeat(value), "A: b\r\n".repeat(fields));
        for start in [
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n", "t".repeat(target)),
            "GET / HTTP/1.1\r\nHost: a\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\n".to_owned(),
        ] {
            let bytes = format!("{start}{fields}").into_bytes();
            for kind in KINDS {
                let expected = reference(kind, &bytes);
                let verdict = own(&mut Head::default(), kind, &bytes, 0);
                prop_assert_eq!(&verdict, &expected);
                for split in [1, start.len(), bytes.len() / 2, bytes.len() - 1] {
                    check_split(kind, &bytes, split, &expected);
                }
            }
        }
    }
}
