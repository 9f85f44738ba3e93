//! How a request ended, as its caller saw it.

use std::io::{BufReader, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

use super::secrets::KEY;
use crate::client::{self, Answer};
use crate::clock::Stopwatch;

/// What became of one request.
#[derive(Debug)]
pub(super) struct End {
    /// Its `X-Request-Id`.
    pub(super) id: String,
    /// What its caller did.
    pub(super) kind: &'static str,
    pub(super) how: How,
    /// The status of the answer's head; 0 when there was none.
    pub(super) status: u16,
    /// What its caller was told that it cost, in nano-dollars.
    pub(super) cost: Option<u64>,
    /// Tokens of prompt and answer, as its caller was told.
    pub(super) tokens: Option<[u64; 2]>,
    /// Whether the answer has a key of the router's.
    pub(super) is_leak: bool,
    /// Since the start of the run.
    pub(super) began: Duration,
    pub(super) ended: Duration,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// With a whole answer.
    Answered,
    /// With an answer that broke off behind its head.
    Broken,
    /// Its caller hung up, before or after all of it was sent.
    Left { is_sent: bool },
    /// The connection was closed before the request was read: it stood behind another one.
    Unread,
    /// There was no answer, and the caller had done nothing to deserve that.
    Unanswered(String),
}

/// What belongs to a request while it is under way.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) began: Duration,
}

impl Sent {
    /// Its end without any answer.
    pub(super) fn end(self, how: How, clock: Stopwatch) -> End {
        End {
            id: self.id,
            kind: self.kind,
            how,
            status: 0,
            cost: None,
            tokens: None,
            is_leak: false,
            began: self.began,
            ended: clock.elapsed(),
        }
    }

    /// Its end with this answer, which is whole if it was `Answered`.
    pub(super) fn end_with(self, how: How, answer: &Answer, clock: Stopwatch) -> End {
        let told = |name: &str| {
            let fields = [&answer.headers, &answer.trailers];
            fields.iter().find_map(|fields| fields.value(name))
        };
        let count = |name: &str| told(name).and_then(|text| text.parse().ok());
        let tokens = count("x-infermux-prompt-tokens").zip(count("x-infermux-completion-tokens"));
        let cost = told("x-infermux-cost").and_then(|text| text.parse().ok());
        End {
            status: answer.status(),
            is_leak: String::from_utf8_lossy(&answer.body).contains(KEY),
            cost: cost.map(nano_dollars),
            tokens: tokens.map(|(prompt, completion)| [prompt, completion]),
            ..self.end(how, clock)
        }
    }
}

/// Whole nano-dollars; exact for amounts of less than a million dollars.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts are positive and far below 2^53 nano-dollars"
)]
pub(super) fn nano_dollars(dollars: f64) -> u64 {
    (dollars * 1e9).round() as u64
}

/// Whether more may come on a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Open,
    Closed,
}

/// Whether a request was the first on its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Behind,
}

/// Reads the answer to a request all of which was sent.
pub(super) fn read(
    from: &mut BufReader<TcpStream>,
    (sent, place): (Sent, Place),
    clock: Stopwatch,
) -> (End, Then) {
    let mut answer = match client::receive_head(from) {
        Ok(answer) => answer,
        Err(error) => {
            let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            let how = match place {
                Place::Behind if !is_late => How::Unread,
                Place::Behind | Place::First => How::Unanswered(error.to_string()),
            };
            return (sent.end(how, clock), Then::Closed);
        }
    };
    let body = client::receive_body(from, &mut answer, &mut |_| {});
    let is_last = answer.headers.value("connection") == Some("close");
    match body {
        Ok(()) => {
            let then = if is_last { Then::Closed } else { Then::Open };
            (sent.end_with(How::Answered, &answer, clock), then)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            let how = How::Unanswered("an answer without an end".to_owned());
            (sent.end_with(how, &answer, clock), Then::Closed)
        }
        Err(_) => (sent.end_with(How::Broken, &answer, clock), Then::Closed),
    }
}
