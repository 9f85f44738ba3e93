//! The head of an answer to a caller, whatever the answer is: one writer for all of them.

use crate::base::endpoint::Dialect;
use crate::base::time::WallTime;
use crate::decide::affinity::Stay;
use crate::exchange::headers::{self, TRAILER_ANNOUNCEMENT};
use crate::exchange::inbound::{self, Crossing};
use crate::exchange::quota::Quota;
use crate::exchange::refusal::Connection;
use crate::exchange::version::Version;
use crate::wire::head::{Framing, Head};
use crate::wire::status;

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of a stream of events.
pub const EVENTS: &str = "text/event-stream; charset=utf-8";

/// What the head of an answer says, besides infermux's own fields and its end.
#[derive(Clone, Copy)]
pub struct AnswerHead<'a> {
    /// The status.
    pub status: u16,
    /// The media type of the body; an answer without a body has none.
    pub media_type: &'a str,
    /// How the body is delimited.
    pub framing: Framing,
    /// The provider's fields that it passes on.
    pub passed_on: PassedOn<'a>,
}

/// The fields of a provider that an answer passes on to its caller.
#[derive(Clone, Copy)]
pub enum PassedOn<'a> {
    /// None: the answer is infermux's own.
    Nothing,
    /// The fields of this head that may be passed on.
    Head(&'a Head, &'a [u8], Crossing<'a>),
    /// These, which were written when the provider's answer was kept.
    Lines(&'a [u8]),
}

/// How the body of a stream is delimited. The end of the connection alone can tell a caller of
/// HTTP/1.0 that a stream is over.
#[must_use]
pub const fn framing_of_stream(version: Version) -> Framing {
    match version {
        Version::Http11 => Framing::Chunked,
        Version::Http10 => Framing::Close,
    }
}

/// The framing of a body of `bytes` bytes.
#[must_use]
pub const fn length(bytes: usize) -> Framing {
    Framing::Length(bytes as u64)
}

impl AnswerHead<'_> {
    /// Appends the whole head, the empty line included; `write_own` appends infermux's own fields.
    pub fn write(&self, end: HeadEnd<'_>, out: &mut Vec<u8>, write_own: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        write_own(out);
        end.write(out);
    }

    fn begin(&self, out: &mut Vec<u8>) {
        write_status_line(self.status, out);
        match self.framing {
            Framing::None => {}
            Framing::Length(bytes) => {
                if self.media_type == JSON {
                    out.extend_from_slice(b"Content-Type: application/json");
                } else {
                    write_media_type(self.media_type, out);
                }
                out.extend_from_slice(b"\r\nContent-Length: ");
                out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => {
                write_media_type(self.media_type, out);
                out.extend_from_slice(b"\r\nTransfer-Encoding: chunked\r\n");
                out.extend_from_slice(TRAILER_ANNOUNCEMENT);
            }
            Framing::Close => {
                write_media_type(self.media_type, out);
                out.extend_from_slice(b"\r\n");
            }
        }
        match self.passed_on {
            PassedOn::Nothing => {}
            PassedOn::Head(head, bytes, crossing) => {
                inbound::write_fields(head, bytes, crossing, out);
            }
            PassedOn::Lines(lines) => out.extend_from_slice(lines),
        }
    }
}

fn write_status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(status::reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_media_type(media_type: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(media_type.as_bytes());
}

/// How the head of an answer ends: with what becomes of the connection, with what is left for the
/// caller, and with what a browser is told. [`AnswerHead::write`] asks for it, so that no kind of
/// answer can be without any of it.
#[derive(Clone, Copy, Debug)]
pub struct HeadEnd<'a> {
    version: Version,
    connection: Connection,
    /// Lines for browsers, as they are sent.
    cors: &'a [u8],
    /// The request's id, for clients that know it by another name.
    request_id: Option<&'a [u8]>,
    /// What the caller is told of its limits and budgets.
    quota: Option<(Quota, Option<WallTime>)>,
    /// Whether the request went to the provider of its conversation, where conversations are kept
    /// together.
    stay: Option<Stay>,
}

impl<'a> HeadEnd<'a> {
    /// The end of an answer to a caller of this version.
    #[must_use]
    pub const fn new(version: Version, connection: Connection, cors: &'a [u8]) -> Self {
        Self {
            version,
            connection,
            cors,
            request_id: None,
            quota: None,
            stay: None,
        }
    }

    /// The same end for a caller that speaks `dialect`, with the id of its request.
    #[must_use]
    pub const fn in_dialect(self, dialect: Dialect, request_id: &'a [u8]) -> Self {
        let request_id = match dialect {
            Dialect::Chat | Dialect::Responses => None,
            Dialect::Messages => Some(request_id),
        };
        Self { request_id, ..self }
    }

    /// The same end for a caller that has limits or budgets; `wall` is the time for one that speaks
    /// Messages, and is told at which moment there is more.
    #[must_use]
    pub const fn with_quota(self, quota: Quota, wall: Option<WallTime>) -> Self {
        let quota = Some((quota, wall));
        Self { quota, ..self }
    }

    /// The same end, which says whether the request went to the provider of its conversation.
    #[must_use]
    pub const fn with_stay(self, stay: Option<Stay>) -> Self {
        Self { stay, ..self }
    }

    /// The same end, with a connection that is kept open only if `wanted` allows that, too.
    #[must_use]
    pub const fn at_best(self, wanted: Connection) -> Self {
        let connection = match (self.connection, wanted) {
            (Connection::KeepAlive, Connection::KeepAlive) => Connection::KeepAlive,
            (Connection::Close, _) | (_, Connection::Close) => Connection::Close,
        };
        Self { connection, ..self }
    }

    /// What becomes of the connection.
    #[must_use]
    pub const fn connection(&self) -> Connection {
        self.connection
    }

    fn write(self, out: &mut Vec<u8>) {
        match (self.connection, self.version) {
            (Connection::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (Connection::KeepAlive, Version::Http10) => {
                out.extend_from_slice(b"Connection: keep-alive\r\n");
            }
            (Connection::KeepAlive, Version::Http11) => {}
        }
        if let Some(id) = self.request_id {
            headers::anthropics_request_id(out, id);
        }
        if let Some(stay) = self.stay {
            headers::affinity(out, stay);
        }
        if let Some((quota, wall)) = &self.quota {
            quota.write(*wall, out);
        }
        out.extend_from_slice(self.cors);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: AnswerHead<'_>, end: HeadEnd<'_>, expected: &str) {
        let mut out = b"before ".to_vec();
        head.write(end, &mut out, |out| out.extend_from_slice(b"Own: x\r\n"));
        let expected = format!("before HTTP/1.1 {expected}\r\n\r\n").replace('|', "\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_kind_of_answer_says_how_its_body_ends() {
        let end = HeadEnd::new(Version::Http11, Connection::KeepAlive, b"");
        let head = AnswerHead {
            status: 200,
            media_type: "a/b",
            framing: length(7),
            passed_on: PassedOn::Nothing,
        };
        check(
            head,
            end,
            "200 OK|Content-Type: a/b|Content-Length: 7|Own: x",
        );
        let kept = AnswerHead {
            status: 422,
            passed_on: PassedOn::Lines(b"Theirs: y\r\n"),
            ..head
        };
        let lines = "Content-Type: a/b|Content-Length: 7|Theirs: y|Own: x";
        check(kept, end, &format!("422 Unprocessable Content|{lines}"));
        let none = AnswerHead {
            status: 204,
            framing: Framing::None,
            ..head
        };
        check(none, end, "204 No Content|Own: x");
        let chunked = AnswerHead {
            framing: framing_of_stream(Version::Http11),
            ..head
        };
        let trailer = String::from_utf8_lossy(TRAILER_ANNOUNCEMENT);
        let trailer = trailer.trim_end();
        let lines = format!("Content-Type: a/b|Transfer-Encoding: chunked|{trailer}|Own: x");
        check(chunked, end, &format!("200 OK|{lines}"));
        let close = AnswerHead {
            framing: framing_of_stream(Version::Http10),
            ..head
        };
        check(close, end, "200 OK|Content-Type: a/b|Own: x");
    }

    #[test]
    fn the_connection_is_told_where_the_version_does_not_say_it() {
        use Connection::{Close, KeepAlive};
        use Version::{Http10, Http11};

        let head = AnswerHead {
            status: 200,
            media_type: "",
            framing: Framing::None,
            passed_on: PassedOn::Nothing,
        };
        for (version, connection, line) in [
            (Http11, KeepAlive, ""),
            (Http11, Close, "Connection: close|"),
            (Http10, Close, "Connection: close|"),
            (Http10, KeepAlive, "Connection: keep-alive|"),
        ] {
            let end = HeadEnd::new(version, connection, b"X: y\r\n");
            check(head, end, &format!("200 OK|Own: x|{line}X: y"));
        }
    }
}
