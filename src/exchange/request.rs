//! What a request's head says about the request.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::base::time::Instant;
use crate::exchange::answer_head::HeadEnd;
use crate::exchange::attribution::{Attribution, Label};
use crate::exchange::callers::SharedCallers;
use crate::exchange::cors::Grant;
use crate::exchange::headers::Totals;
use crate::exchange::origin::Origin;
use crate::exchange::principal::Principal;
use crate::exchange::refusal::{AnswerBody, Connection, Envelope};
use crate::exchange::request_id::RequestId;
use crate::exchange::scopes::Scopes;
use crate::exchange::target::{self, is_of_operators};
use crate::exchange::version::Version;
use crate::link::gate::Audience;
use crate::link::trace::Trace;
use crate::wire::head::Head;
use crate::wire::known::Known;

/// A request, without its body.
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The dialect of its answer, errors included (promise `error.own-words`).
    pub dialect: Dialect,
    /// The names that it is counted for.
    pub attribution: Attribution,
    /// Whether it is a caller's or an operator's: only callers' requests are counted.
    pub audience: Audience,
    /// When its head was complete.
    pub started: Instant,
    /// When all of it had arrived.
    pub ready: Instant,
    /// HTTP/1.0 callers know no chunks and must be told that a connection stays open.
    pub version: Version,
    /// Whether the connection stays open afterwards, as far as the caller decides.
    pub connection: Connection,
    /// Whether the answer has a body.
    pub body: AnswerBody,
    /// Where the request comes from, for the log.
    pub origin: Origin,
    /// Whether the caller wants a stream's cost in its usage: `X-Infermux-Stream-Cost: include`.
    pub wants_stream_cost: bool,
    /// Whether the caller wants a stream's head while its first content is awaited:
    /// `X-Infermux-Early-Head: true`.
    pub wants_early_head: bool,
    /// The lines for browsers that its answer carries; `None`: none.
    pub grant: Option<Grant>,
    /// Whose request it is, where callers' keys tell.
    pub principal: Option<Principal>,
    /// The callers in force when it was admitted; `None`: none of them has a limit or a budget.
    pub callers: Option<Rc<SharedCallers>>,
    /// The trace that it belongs to, where traces are told.
    pub trace: Option<Arc<Trace>>,
    /// A header that names the caller and stands there twice, so that the caller is not known.
    pub repeated: Option<&'static str>,
}

impl Request {
    /// Reads the head that was parsed from `bytes`.
    #[must_use]
    pub fn read(head: &Head, bytes: &[u8], random: [u64; 2], now: Instant) -> Self {
        let target = &bytes[head.target.clone()];
        let audience = match is_of_operators(target) {
            true => Audience::Operators,
            false => Audience::Callers,
        };
        let header = if head.names.has(Known::AnthropicVersion) {
            Dialect::Messages
        } else {
            Dialect::Chat
        };
        let dialect = target::dialect(target, header);
        let attribution = Attribution::read(head, bytes);
        let says = |known, word: &[u8]| {
            let mut values = head.values_of(bytes, known);
            values.any(|value| value.eq_ignore_ascii_case(word))
        };
        let repeated = NAMING.iter().find(|(known, _)| head.repeats(*known));
        Self {
            id: RequestId::of(head.value_of(bytes, Known::XRequestId), random),
            dialect,
            attribution,
            audience,
            started: now,
            ready: now,
            version: if head.minor == 0 {
                Version::Http10
            } else {
                Version::Http11
            },
            connection: if head.keep_alive {
                Connection::KeepAlive
            } else {
                Connection::Close
            },
            body: if &bytes[head.method.clone()] == b"HEAD" {
                AnswerBody::LengthOnly
            } else {
                AnswerBody::Sent
            },
            origin: Origin::UNKNOWN,
            wants_stream_cost: says(Known::InfermuxStreamCost, b"include"),
            wants_early_head: says(Known::InfermuxEarlyHead, b"true"),
            grant: None,
            principal: None,
            callers: None,
            trace: None,
            repeated: repeated.map(|(_, fault)| *fault),
        }
    }

    /// A request whose head could not be read: its connection ends with it.
    #[must_use]
    pub fn unreadable(bytes: &[u8], random: [u64; 2], now: Instant) -> Self {
        // As far as it has come, its first line may say for what it is.
        let target = bytes
            .split(|byte| matches!(byte, b' ' | b'\r' | b'\n'))
            .nth(1);
        Self {
            id: RequestId::of(None, random),
            dialect: target::dialect(target.unwrap_or_default(), Dialect::Chat),
            attribution: Attribution::default(),
            audience: Audience::Callers,
            started: now,
            ready: now,
            version: Version::Http11,
            connection: Connection::Close,
            body: AnswerBody::Sent,
            origin: Origin::UNKNOWN,
            wants_stream_cost: false,
            wants_early_head: false,
            grant: None,
            principal: None,
            callers: None,
            trace: None,
            repeated: None,
        }
    }

    /// The scopes whose limits and budgets it passes; `None`: nobody has any.
    #[must_use]
    pub fn scopes(&self) -> Option<Scopes<'_>> {
        let accounts = self.callers.as_ref()?.accounts();
        let key = self.principal.as_ref().map(Principal::place);
        let caller = self.attribution.caller.as_ref().map(Label::as_str);
        Some(Scopes::new(accounts, key, caller))
    }

    /// The parts that every refusal of this request has, after `attempts` attempts; its head has
    /// this `end`.
    #[must_use]
    pub fn envelope<'a>(&'a self, attempts: u32, end: HeadEnd<'a>) -> Envelope<'a> {
        Envelope {
            dialect: self.dialect,
            request_id: self.id.as_str(),
            attempts,
            totals: Totals::default(),
            body: self.body,
            end,
        }
    }
}

/// The headers that name a caller, and what is wrong with a head in which one stands twice.
const NAMING: [(Known, &str); 2] = [
    (
        Known::Authorization,
        "Authorization stands in the head more than once",
    ),
    (
        Known::InfermuxCaller,
        "X-Infermux-Caller stands in the head more than once",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::attribution::Label;
    use crate::wire::head::Arrival;

    fn read(text: &str) -> Request {
        let mut head = Head::default();
        assert_eq!(head.parse_request(text.as_bytes(), 0), Ok(Arrival::Whole));
        Request::read(&head, text.as_bytes(), [1, 2], Instant::ZERO)
    }

    #[test]
    fn reads_what_the_head_says() {
        let request = read(
            "HEAD / HTTP/1.0\r\nX-Request-ID: abc\r\nx-request-id: def\r\n\
             X-Infermux-Caller: me\r\n\r\n",
        );
        assert_eq!(request.id.as_str(), "abc");
        assert_eq!(
            request.attribution.caller.as_ref().map(Label::as_str),
            Some("me")
        );
        assert_eq!(
            (request.version, request.body),
            (Version::Http10, AnswerBody::LengthOnly)
        );
        assert_eq!(request.connection, Connection::Close);
        assert_eq!(
            read("GET / HTTP/1.1\r\nHost: a\r\n\r\n").connection,
            Connection::KeepAlive
        );
    }

    #[test]
    fn whoever_names_two_callers_names_none() {
        for (fields, is_repeated) in [
            ("Authorization: a\r\nX-Infermux-Caller: b\r\n", false),
            (
                "X-Api-Key: a\r\nX-Api-Key: b\r\nX-Infermux-Env: c\r\nX-Infermux-Env: d\r\n",
                false,
            ),
            ("Authorization: a\r\nauthorization: a\r\n", true),
            ("X-Infermux-Caller: a\r\nx-infermux-caller: b\r\n", true),
        ] {
            let request = read(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            assert_eq!(request.repeated.is_some(), is_repeated, "{fields}");
        }
    }

    #[test]
    fn the_version_decides_what_becomes_of_the_connection() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Connection::KeepAlive),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                Connection::Close,
            ),
            ("GET / HTTP/1.0\r\n\r\n", Connection::Close),
            (
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                Connection::KeepAlive,
            ),
        ] {
            assert_eq!(read(text).connection, expected, "{text}");
        }
    }
}
