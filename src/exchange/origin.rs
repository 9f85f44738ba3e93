//! What the log says about where a request comes from, and about its first line.

use std::net::IpAddr;

use crate::base::endpoint::Dialect;
use crate::base::limits::{LOGGED_METHOD_BYTES_MAX, LOGGED_PATH_BYTES_MAX};
use crate::wire::head::Head;
use crate::wire::scan::text;

/// Method and path of a request, stored in place, and its caller's address. Empty where no access
/// line is written.
#[derive(Clone, Copy)]
pub struct Origin {
    method: Text<LOGGED_METHOD_BYTES_MAX>,
    path: Text<LOGGED_PATH_BYTES_MAX>,
    /// The address at the other end of the connection.
    pub address: Option<IpAddr>,
    /// The endpoint, once it is known.
    pub endpoint: Option<&'static str>,
    /// The dialect of the caller, at an endpoint that dialects have.
    pub dialect: Option<Dialect>,
}

impl Origin {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        method: Text::EMPTY,
        path: Text::EMPTY,
        address: None,
        endpoint: None,
        dialect: None,
    };

    /// The origin of a request from `address` whose head could not be read.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self {
            address: Some(address.to_canonical()),
            ..Self::UNKNOWN
        }
    }

    /// The origin of a request from `address` whose head was parsed from `bytes`. The query is left
    /// out: some clients put keys there.
    #[must_use]
    pub fn read(address: IpAddr, head: &Head, bytes: &[u8]) -> Self {
        let target = &bytes[head.target.clone()];
        let path = target.split(|byte| *byte == b'?').next();
        Self {
            method: Text::of(&bytes[head.method.clone()]),
            path: Text::of(path.unwrap_or_default()),
            ..Self::of_address(address)
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_str()
    }

    /// The beginning of the path.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_str()
    }
}

/// The beginning of a text.
#[derive(Clone, Copy)]
struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    length: usize,
}

impl<const MAX: usize> Text<MAX> {
    const EMPTY: Self = Self {
        bytes: [0; MAX],
        length: 0,
    };

    fn of(text: &[u8]) -> Self {
        let mut own = Self::EMPTY;
        own.length = text.len().min(MAX);
        own.bytes[..own.length].copy_from_slice(&text[..own.length]);
        own
    }

    /// The text up to the first byte that is not valid UTF-8; `None` where that leaves nothing.
    fn as_str(&self) -> Option<&str> {
        let bytes = self.bytes.get(..self.length)?;
        let text = match text::short(bytes) {
            Ok(text) => text,
            Err(_) => bytes.utf8_chunks().next()?.valid(),
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::Arrival;

    fn read(line: &str) -> Origin {
        let text = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut head = Head::default();
        assert_eq!(head.parse_request(text.as_bytes(), 0), Ok(Arrival::Whole));
        let address = "::ffff:192.0.2.7".parse().unwrap();
        Origin::read(address, &head, text.as_bytes())
    }

    #[test]
    fn it_is_bounded_and_has_no_query() {
        let long = "a".repeat(2 * LOGGED_PATH_BYTES_MAX);
        let cut = format!("/{}", &long[..LOGGED_PATH_BYTES_MAX - 1]);
        for (line, method, path) in [
            ("POST /v1/chat/completions", "POST", "/v1/chat/completions"),
            ("GET /v1/models?key=sk-1?x", "GET", "/v1/models"),
            ("GET http://h:1/x?y", "GET", "/x"),
            (&*format!("GET /{long}"), "GET", &*cut),
            ("VERYVERYVERYLONGMETHOD /", "VERYVERYVERYLONG", "/"),
        ] {
            let origin = read(line);
            assert_eq!((origin.method(), origin.path()), (Some(method), Some(path)));
            assert_eq!(origin.address, Some("192.0.2.7".parse().unwrap()));
        }
    }

    #[test]
    fn a_character_that_is_cut_in_two_is_left_out() {
        for (bytes, expected) in [
            (&b"ab\xc3\xa9"[..], Some("ab")),
            (b"a\xffb", Some("a")),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(Text::<3>::of(bytes).as_str(), expected);
        }
    }
}
