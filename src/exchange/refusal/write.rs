//! A refusal as bytes: the whole answer, or the frame that ends a stream.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::exchange::answer_head::{self, AnswerHead, HeadEnd, PassedOn};
use crate::exchange::headers::{self, Totals};
use crate::exchange::refusal::{BudgetWait, Refusal};
use crate::report::escape::{Escaping, escaped, json_string};

/// The parts of a refusal's answer that do not depend on the refusal.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The dialect of the answer.
    pub dialect: Dialect,
    /// The request's id.
    pub request_id: &'a str,
    /// Providers tried.
    pub attempts: u32,
    /// Tokens and cost of the attempts that failed.
    pub totals: Totals,
    /// Whether the request wants a body.
    pub body: AnswerBody,
    /// How its head ends.
    pub end: HeadEnd<'a>,
}

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// It has.
    Sent,
    /// It only has its length: the answer to a HEAD request.
    LengthOnly,
}

impl Refusal<'_> {
    /// Appends the whole answer: status line, headers and body.
    pub fn write_answer(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        let start = out.len();
        self.write_body(envelope.dialect, envelope.request_id, out);
        let length = out.len() - start;
        match envelope.body {
            AnswerBody::Sent => {}
            AnswerBody::LengthOnly => out.truncate(start),
        }
        let body_length = out.len() - start;
        self.write_head(out, envelope, length);
        // The length stands before the body but is known only after it: so the two change places.
        if let Some(answer) = out.get_mut(start..) {
            answer.rotate_left(body_length);
        }
    }

    /// Appends the frame that ends a committed stream of the request with this id.
    pub fn write_frame(&self, dialect: Dialect, request_id: &str, out: &mut Vec<u8>) {
        let name: &[u8] = match dialect {
            Dialect::Chat | Dialect::Responses => b"",
            // Anthropic's clients pass over an event without a name.
            Dialect::Messages => b"event: error\n",
        };
        out.extend_from_slice(name);
        out.extend_from_slice(b"data: ");
        self.write_body(dialect, request_id, out);
        out.extend_from_slice(b"\n\n");
    }

    /// Appends the body for the request with this id, one JSON object on one line.
    pub fn write_body(&self, dialect: Dialect, request_id: &str, out: &mut Vec<u8>) {
        let row = self.row();
        match dialect {
            Dialect::Chat | Dialect::Responses => {
                out.extend_from_slice(b"{\"error\":{\"message\":");
                self.write_message(out);
                out.extend_from_slice(b",\"type\":");
                json_string(out, self.openais_kind(dialect));
                out.extend_from_slice(b",\"code\":");
                json_string(out, row.code);
                out.extend_from_slice(b",\"param\":null");
                self.write_details(out);
                out.extend_from_slice(b"}}");
            }
            Dialect::Messages => {
                out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
                json_string(out, row.in_messages.kind);
                out.extend_from_slice(b",\"message\":");
                self.write_message(out);
                out.extend_from_slice(b",\"details\":{\"error_code\":");
                json_string(out, row.code);
                self.write_details(out);
                out.extend_from_slice(b"}},\"request_id\":");
                json_string(out, request_id);
                out.push(b'}');
            }
        }
    }

    /// The type of the error in OpenAI's shape. Codex stops at that of a spent account alone, and
    /// repeats whatever else it is refused.
    fn openais_kind(&self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (
                Self::BudgetExceeded {
                    wait: BudgetWait::Period(_),
                    ..
                },
                Dialect::Responses,
            ) => "insufficient_quota",
            (_, Dialect::Chat | Dialect::Messages | Dialect::Responses) => "infermux_error",
        }
    }

    fn write_message(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        // Writing to memory cannot fail.
        let _ = fmt::Write::write_fmt(&mut Escaping::new(out, usize::MAX), format_args!("{self}"));
        out.push(b'"');
    }

    /// Appends what programs may want to know besides the code, behind another member.
    fn write_details(&self, out: &mut Vec<u8>) {
        if let Self::BudgetExceeded {
            scope,
            per,
            budget,
            spent,
            ..
        } = self
        {
            write_named(out, ("", &scope.to_string()), (b",\"per\":", per.name()));
            let _ = write!(out, ",\"budget_usd\":{budget},\"spent_usd\":{spent}");
        }
        if let Self::InvalidConfiguration { faults } = self {
            list(out, b",\"faults\":[", faults, |out, fault| {
                json_string(out, fault);
            });
        }
        if let Self::NoHealthyProviders { candidates, .. } = self {
            let told = candidates.get(..CANDIDATES_TOLD_MAX).unwrap_or(candidates);
            list(out, b",\"candidates\":[", told, |out, candidate| {
                out.extend_from_slice(b"{\"provider\":");
                json_string(out, candidate.provider);
                out.extend_from_slice(b",\"reason\":");
                json_string(out, &candidate.reason);
                out.push(b'}');
            });
        }
        if let Self::RateLimit { limit, .. } = self {
            let scope = ("provider ", limit.provider);
            write_named(out, scope, (LIMIT, limit.limit.name()));
        }
        if let Self::SharedState { whose } = self {
            out.extend_from_slice(b",\"scope\":");
            json_string(out, &whose.to_string());
        }
        if let Self::LimitExceeded { scope, limit, .. } = self {
            write_named(out, ("", &scope.to_string()), (LIMIT, limit.name()));
        }
        if let Some(retry) = self.retry() {
            retry.write_true(out);
        }
    }

    fn write_head(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>, length: usize) {
        let row = self.row();
        let (code, status) = (row.code, row.status_in(envelope.dialect));
        let head = AnswerHead {
            status,
            media_type: answer_head::JSON,
            framing: answer_head::length(length),
            passed_on: PassedOn::Nothing,
        };
        head.write(envelope.end.at_best(self.connection()), out, |out| {
            headers::error(out, code);
            headers::request_id(out, envelope.request_id.as_bytes());
            headers::attempts(out, envelope.attempts);
            headers::totals(out, &envelope.totals);
            if let Self::MethodNotAllowed { allow } = self {
                let _ = write!(out, "Allow: {allow}\r\n");
            }
            if let Self::UpgradeRequired = self {
                out.extend_from_slice(b"Upgrade: HTTP/1.1\r\n");
            }
            if let Self::InvalidApiKey(_) = self {
                out.extend_from_slice(b"WWW-Authenticate: Bearer\r\n");
            }
            if let Some(retry) = self.retry() {
                retry.write(out);
            }
            // The same request would be refused again, although client libraries repeat some of
            // these statuses.
            if matches!(status, 400 | 401 | 403 | 404 | 413 | 415) {
                out.extend_from_slice(NO_RETRY);
            }
        });
    }

    /// When to try again; every 429, 503 and 529 says so.
    fn retry(&self) -> Option<Retry> {
        match *self {
            Self::LimitExceeded { retry, .. }
            | Self::RateLimit { retry, .. }
            | Self::NoHealthyProviders { retry, .. } => Some(Retry::within_reach(retry)),
            Self::BudgetExceeded {
                wait: BudgetWait::Period(rest),
                ..
            } => Some(Retry {
                by_itself: Repeat::Useless,
                ..rest.map_or(Retry::NEVER, Retry::within_reach)
            }),
            Self::BudgetExceeded {
                wait: BudgetWait::InFlight,
                ..
            }
            | Self::SharedState { .. }
            | Self::Overloaded
            | Self::TooManyConnections
            | Self::BooksBusy
            | Self::ShuttingDown => Some(Retry::within_reach(Duration::from_secs(1))),
            Self::Malformed(_)
            | Self::InvalidRequest(_)
            | Self::InvalidApiKey(_)
            | Self::UnknownUrl { .. }
            | Self::UnknownProvider { .. }
            | Self::ModelNotFound { .. }
            | Self::EndpointNotFound { .. }
            | Self::ResponseNotFound
            | Self::ModelNotAllowed { .. }
            | Self::UnpricedEndpoint { .. }
            | Self::UnknownKey { .. }
            | Self::MethodNotAllowed { .. }
            | Self::UpgradeRequired
            | Self::UnsupportedEncoding
            | Self::UnsupportedMediaType
            | Self::InvalidConfiguration { .. }
            | Self::RequestTimeout
            | Self::RequestTooLarge { .. }
            | Self::UriTooLong { .. }
            | Self::HeaderTooLarge
            | Self::Internal
            | Self::UpstreamError { .. }
            | Self::UpstreamTimeout { .. }
            | Self::HttpVersionNotSupported => None,
        }
    }
}

/// Appends whose limit or budget it is, and which one.
fn write_named(out: &mut Vec<u8>, (kind, name): (&str, &str), (start, which): (&[u8], &str)) {
    out.extend_from_slice(b",\"scope\":\"");
    out.extend_from_slice(kind.as_bytes());
    escaped(out, name);
    out.push(b'"');
    out.extend_from_slice(start);
    json_string(out, which);
}

/// Appends a list, behind its name and its opening bracket.
fn list<T>(out: &mut Vec<u8>, start: &[u8], items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.extend_from_slice(start);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// When to try again, in the form that the official client libraries understand.
#[derive(Clone, Copy)]
struct Retry {
    /// The time in the headers, in milliseconds: 1 to 60,000.
    header_ms: u64,
    /// The expected time; `None`: there is none.
    true_ms: Option<u64>,
    by_itself: Repeat,
}

/// Whether a client library's own repetition can succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Sensible,
    Useless,
}

impl Retry {
    /// What is refused now is refused for ever, unless somebody changes the configuration.
    const NEVER: Self = Self {
        header_ms: RETRY_HEADER_MAX_MS,
        true_ms: None,
        by_itself: Repeat::Useless,
    };

    fn within_reach(expected: Duration) -> Self {
        let millis = expected
            .min(RETRY_MAX)
            .as_nanos()
            .div_ceil(1_000_000)
            .max(1);
        let true_ms = u64::try_from(millis).unwrap_or(u64::MAX);
        let by_itself = if true_ms > RETRY_HEADER_MAX_MS {
            Repeat::Useless
        } else {
            Repeat::Sensible
        };
        Self {
            header_ms: true_ms.min(RETRY_HEADER_MAX_MS),
            true_ms: Some(true_ms),
            by_itself,
        }
    }

    /// Appends the member of a body.
    fn write_true(self, out: &mut Vec<u8>) {
        if let Some(millis) = self.true_ms {
            out.extend_from_slice(b",\"retry_after_ms\":");
            out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        headers::retry_after(out, self.header_ms);
        match self.by_itself {
            Repeat::Sensible => {}
            Repeat::Useless => out.extend_from_slice(NO_RETRY),
        }
    }
}

/// What the name of a limit follows.
const LIMIT: &[u8] = b",\"limit\":";
/// Most candidates that a refusal lists; reports show the others.
pub(super) const CANDIDATES_TOLD_MAX: usize = 32;
/// Tells client libraries not to repeat by themselves.
const NO_RETRY: &[u8] = b"x-should-retry: false\r\n";
/// The longest wait that the headers state: client libraries give up on longer ones.
const RETRY_HEADER_MAX_MS: u64 = 60_000;
/// The longest wait that is stated at all: a month, after which every budget with an end starts
/// anew.
const RETRY_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
