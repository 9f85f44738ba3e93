//! THE table of errors that infermux itself answers with, and how they are written.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use crate::base::limits::QUOTED_BYTES_MAX;
use crate::base::money::NanoUsd;
use crate::base::period::Per;
use crate::config::scope::Scope;
use crate::decide::outcome::{Outcome, Verdict};
use crate::link::provider_gate::Limit;
use crate::link::scope_gate::ScopeLimit;
use crate::report::escape::bounded;

mod table;
mod write;

pub use table::{Row, TABLE, place_of};
pub use write::{AnswerBody, Envelope};

/// An error that infermux itself answers with. Its text never holds a secret or a provider's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// The bytes are not one well-framed HTTP request; with the reason.
    Malformed(&'static str),
    /// The request is understood but wrong; with the reason.
    InvalidRequest(&'a str),
    /// No or a wrong key.
    InvalidApiKey(KeyFault),
    /// The path is not served.
    UnknownUrl {
        /// The path.
        path: &'a str,
        /// The nearest path that is served.
        near: Option<&'static str>,
    },
    /// No provider has this name.
    UnknownProvider {
        /// The name.
        name: &'a str,
    },
    /// No provider is configured to serve the model.
    ModelNotFound {
        /// The model.
        model: &'a str,
    },
    /// No provider can have stored the response.
    ResponseNotFound,
    /// The key may not ask for the model.
    ModelNotAllowed {
        /// The model.
        model: &'a str,
        /// The key's name.
        key: &'a str,
    },
    /// No key has this name.
    UnknownKey {
        /// The name.
        name: &'a str,
    },
    /// The path exists, the method is wrong.
    MethodNotAllowed {
        /// The methods that are served, as in `Allow`.
        allow: &'static str,
    },
    /// The caller wants to go on over a WebSocket.
    UpgradeRequired,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The body is too large.
    RequestTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The target is too long.
    UriTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is compressed in a way that infermux does not support.
    UnsupportedEncoding,
    /// The body's label says that it is no JSON.
    UnsupportedMediaType,
    /// The configuration to be loaded cannot be used, and nothing has changed.
    InvalidConfiguration {
        /// All of its faults.
        faults: &'a [String],
    },
    /// A budget that the request passes is used up.
    BudgetExceeded {
        /// Whose budget.
        scope: &'a Scope,
        /// Its period.
        per: Per,
        /// What may be spent in the period.
        budget: NanoUsd,
        /// What has been spent in it.
        spent: NanoUsd,
        /// What the caller can wait for.
        wait: BudgetWait,
    },
    /// A scope that the request passes is at one of its limits.
    LimitExceeded {
        /// Whose limit.
        scope: &'a Scope,
        /// Which of them.
        limit: ScopeLimit,
        /// When it may allow such a request.
        retry: Duration,
    },
    /// Every eligible provider is at its limit.
    RateLimit {
        /// The model.
        model: &'a str,
        /// When the first provider is below its limit again.
        retry: Duration,
        /// That provider and its limit.
        limit: LimitOf<'a>,
    },
    /// The head is too large, or has too many fields.
    HeaderTooLarge,
    /// A fault of infermux.
    Internal,
    /// The provider failed and no other could take over.
    UpstreamError {
        /// The provider.
        provider: &'a str,
        /// How it failed.
        outcome: Outcome,
    },
    /// Every candidate is unhealthy or its circuit is open.
    NoHealthyProviders {
        /// The model.
        model: &'a str,
        /// When the first candidate may be back in service.
        retry: Duration,
        /// The candidates, each with the reason why it is out of service.
        candidates: &'a [Down<'a>],
    },
    /// infermux holds as many bodies in memory as it may.
    Overloaded,
    /// Too many callers' requests wait for a connection's place.
    TooManyConnections,
    /// infermux is stopping.
    ShuttingDown,
    /// The provider took too long and no other could take over.
    UpstreamTimeout {
        /// The provider.
        provider: &'a str,
        /// What did not arrive in time.
        outcome: Outcome,
    },
    /// Neither HTTP/1.0 nor HTTP/1.1.
    HttpVersionNotSupported,
}

/// What is wrong with a caller's key, or an operator's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyFault {
    /// There is no key.
    Missing,
    /// The key is another one.
    Wrong,
    /// The key's check sum is wrong.
    Mistyped,
    /// The key was good until some time ago.
    Expired,
    /// The key is out of use.
    Disabled,
    /// Two different keys are valid.
    Ambiguous,
    /// There is no token.
    NoToken,
    /// The token is another one.
    WrongToken,
}

/// A limit, and the provider that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOf<'a> {
    /// The provider.
    pub provider: &'a str,
    /// Which of its limits.
    pub limit: Limit,
}

/// A candidate that is out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down<'a> {
    /// The provider.
    pub provider: &'a str,
    /// Why it is out of service.
    pub reason: Cow<'a, str>,
}

/// What a caller over its budget waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetWait {
    /// The next period; `None`: there is none.
    Period(Option<Duration>),
    /// Its own requests in flight, which may give back what they reserved.
    InFlight,
}

/// The attempt that the caller's error is about.
#[derive(Clone, Copy, Debug)]
pub struct LastWord<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The model that the caller asked for.
    pub model: &'a str,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// When the first candidate is expected back.
    pub retry: Duration,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It takes another request, unless the refusal forbids it.
    KeepAlive,
    /// It is closed.
    Close,
}

impl<'a> Refusal<'a> {
    /// The refusal for a verdict over a request's attempts; `None` where the caller gets the
    /// provider's answer or nothing.
    #[must_use]
    pub const fn of_verdict(verdict: Verdict, last: &LastWord<'a>) -> Option<Self> {
        let LastWord {
            provider,
            model,
            outcome,
            retry,
        } = *last;
        match verdict {
            Verdict::UpstreamError | Verdict::StreamCut => {
                Some(Self::UpstreamError { provider, outcome })
            }
            Verdict::UpstreamTimeout | Verdict::StreamStalled => {
                Some(Self::UpstreamTimeout { provider, outcome })
            }
            Verdict::RateLimit => Some(Self::RateLimit {
                model,
                retry,
                limit: LimitOf {
                    provider,
                    limit: Limit::Provider,
                },
            }),
            Verdict::InvalidRequest => Some(Self::InvalidRequest(
                "no available provider of this model can express the content of the request",
            )),
            Verdict::Answer | Verdict::PassThrough | Verdict::Nothing => None,
        }
    }

    /// Its row in the table.
    #[must_use]
    pub const fn row(&self) -> &'static Row {
        match self {
            Self::Malformed(_) | Self::InvalidRequest(_) => &table::INVALID_REQUEST,
            Self::InvalidApiKey(fault) => fault.row(),
            Self::ModelNotAllowed { .. } => &table::MODEL_NOT_ALLOWED,
            Self::UnknownKey { .. } => &table::UNKNOWN_KEY,
            Self::UnknownUrl { .. } => &table::UNKNOWN_URL,
            Self::UnknownProvider { .. } => &table::UNKNOWN_PROVIDER,
            Self::ModelNotFound { .. } => &table::MODEL_NOT_FOUND,
            Self::ResponseNotFound => &table::RESPONSE_NOT_FOUND,
            Self::MethodNotAllowed { .. } => &table::METHOD_NOT_ALLOWED,
            Self::UpgradeRequired => &table::UPGRADE_REQUIRED,
            Self::RequestTimeout => &table::REQUEST_TIMEOUT,
            Self::RequestTooLarge { .. } => &table::REQUEST_TOO_LARGE,
            Self::UriTooLong { .. } => &table::URI_TOO_LONG,
            Self::UnsupportedEncoding => &table::UNSUPPORTED_ENCODING,
            Self::UnsupportedMediaType => &table::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidConfiguration { .. } => &table::INVALID_CONFIGURATION,
            Self::BudgetExceeded { .. } => &table::BUDGET_EXCEEDED,
            Self::LimitExceeded { .. } | Self::RateLimit { .. } => &table::RATE_LIMIT,
            Self::HeaderTooLarge => &table::HEADER_TOO_LARGE,
            Self::Internal => &table::INTERNAL_ERROR,
            Self::UpstreamError { .. } => &table::UPSTREAM_ERROR,
            Self::NoHealthyProviders { .. } => &table::NO_HEALTHY_PROVIDERS,
            Self::Overloaded | Self::TooManyConnections => &table::OVERLOADED,
            Self::ShuttingDown => &table::SHUTTING_DOWN,
            Self::UpstreamTimeout { .. } => &table::UPSTREAM_TIMEOUT,
            Self::HttpVersionNotSupported => &table::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// Whether the connection ends with it: where the next request begins is not known, or no more
    /// bytes are to be read.
    #[must_use]
    pub const fn connection(&self) -> Connection {
        match self {
            Self::Malformed(_)
            | Self::RequestTimeout
            | Self::RequestTooLarge { .. }
            | Self::UriTooLong { .. }
            | Self::HeaderTooLarge
            | Self::HttpVersionNotSupported
            | Self::Overloaded
            | Self::TooManyConnections
            | Self::ShuttingDown
            | Self::UpgradeRequired
            | Self::Internal => Connection::Close,
            Self::InvalidRequest(_)
            | Self::InvalidApiKey(_)
            | Self::UnknownUrl { .. }
            | Self::UnknownProvider { .. }
            | Self::ModelNotFound { .. }
            | Self::ResponseNotFound
            | Self::ModelNotAllowed { .. }
            | Self::UnknownKey { .. }
            | Self::MethodNotAllowed { .. }
            | Self::UnsupportedEncoding
            | Self::UnsupportedMediaType
            | Self::InvalidConfiguration { .. }
            | Self::BudgetExceeded { .. }
            | Self::LimitExceeded { .. }
            | Self::RateLimit { .. }
            | Self::UpstreamError { .. }
            | Self::NoHealthyProviders { .. }
            | Self::UpstreamTimeout { .. } => Connection::KeepAlive,
        }
    }
}

impl KeyFault {
    const fn row(self) -> &'static Row {
        match self {
            Self::Expired => &table::EXPIRED_API_KEY,
            Self::Disabled => &table::DISABLED_API_KEY,
            Self::Missing
            | Self::Wrong
            | Self::Mistyped
            | Self::Ambiguous
            | Self::NoToken
            | Self::WrongToken => &table::INVALID_API_KEY,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Missing => "no API key in Authorization: Bearer <key> or x-api-key",
            Self::Wrong => "the API key is not valid",
            Self::Mistyped => "the API key is mistyped or cut: its check sum is wrong",
            Self::Expired => "the API key has expired",
            Self::Disabled => "the API key is disabled",
            Self::Ambiguous => "two different valid API keys are presented",
            Self::NoToken => {
                "operators must present the management token: Authorization: Bearer <token>"
            }
            Self::WrongToken => "the management token is another one",
        }
    }
}

impl BudgetWait {
    /// Completes "the budget …".
    fn state(self, budget: NanoUsd, spent: NanoUsd) -> &'static str {
        match self {
            Self::Period(_) if spent < budget => "has too little left for this prompt",
            Self::Period(_) => "is used up",
            Self::InFlight => "is reserved by requests in flight",
        }
    }
}

/// The message of the error.
impl Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Malformed(what) => what,
            Self::InvalidRequest(why) => bounded(why, SENTENCE_BYTES_MAX),
            Self::InvalidApiKey(fault) => fault.text(),
            Self::UnsupportedEncoding => "only gzip and deflate are understood in Content-Encoding",
            Self::UnsupportedMediaType => "the body must be JSON: Content-Type: application/json",
            Self::RequestTimeout => "the request did not arrive in time",
            Self::HeaderTooLarge => "the request head is too large",
            Self::Internal => "infermux failed on this request",
            Self::Overloaded => {
                "infermux has no memory left for this request (server.max_buffered_bytes)"
            }
            Self::TooManyConnections => {
                "infermux has no connection left for this request (server.max_connections)"
            }
            Self::ResponseNotFound => "no provider has stored a response with this id",
            Self::ShuttingDown => "infermux is shutting down",
            Self::HttpVersionNotSupported => "only HTTP/1.0 and HTTP/1.1 are spoken",
            Self::UpgradeRequired => NO_WEB_SOCKETS,
            Self::MethodNotAllowed { allow } => return write!(f, "this path takes {allow} only"),
            Self::RequestTooLarge { limit } => {
                return write!(f, "the request body is larger than {limit} bytes");
            }
            Self::UriTooLong { limit } => {
                return write!(f, "the request target is longer than {limit} bytes");
            }
            Self::UnknownProvider { name } => {
                return write!(f, "no provider is called {}", quoted(name));
            }
            Self::UnknownKey { name } => return write!(f, "no key is called {}", quoted(name)),
            Self::ModelNotAllowed { model, key } => return write_not_allowed(f, model, key),
            Self::UnknownUrl { path, near } => return write_unknown_url(f, path, near),
            Self::ModelNotFound { model } => {
                let model = quoted(model);
                return write!(f, "no provider is configured to serve the model {model}");
            }
            Self::LimitExceeded {
                scope,
                limit,
                retry,
            } => return write_limit(f, scope, limit, retry),
            Self::RateLimit {
                model,
                retry,
                limit,
            } => return write_rate_limit(f, model, retry, limit),
            Self::NoHealthyProviders { model, .. } => {
                return write!(f, "no provider of {} is in service", quoted(model));
            }
            Self::UpstreamError { provider, outcome }
            | Self::UpstreamTimeout { provider, outcome } => {
                return write!(f, "the provider {} {outcome}", quoted(provider));
            }
            Self::InvalidConfiguration { faults } => return write_faults(f, faults),
            Self::BudgetExceeded {
                scope,
                per,
                budget,
                spent,
                wait,
            } => return write_budget(f, (scope, per), wait, (budget, spent)),
        };
        f.write_str(text)
    }
}

fn write_budget(
    f: &mut fmt::Formatter<'_>,
    (scope, per): (&Scope, Per),
    wait: BudgetWait,
    (budget, spent): (NanoUsd, NanoUsd),
) -> fmt::Result {
    let state = wait.state(budget, spent);
    let whose = match scope {
        Scope::Caller(name) => name.to_string(),
        Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => scope.to_string(),
    };
    let (whose, per) = match per {
        Per::Day => (quoted(&whose), " a day"),
        Per::Week => (quoted(&whose), " a week"),
        Per::Month => (quoted(&whose), " a month"),
        Per::Total => (quoted(&whose), ""),
    };
    write!(
        f,
        "{whose}'s budget of {budget} USD{per} {state}: {spent} spent"
    )
}

fn write_not_allowed(f: &mut fmt::Formatter<'_>, model: &str, key: &str) -> fmt::Result {
    let (model, key) = (quoted(model), quoted(key));
    write!(f, "the key {key} may not use the model {model}")
}

/// The query is left out: it may hold a key.
fn write_unknown_url(
    f: &mut fmt::Formatter<'_>,
    path: &str,
    near: Option<&'static str>,
) -> fmt::Result {
    let path = quoted(path.split('?').next().unwrap_or_default());
    match near {
        Some(near) => write!(f, "unknown path {path}, did you mean {near}?"),
        None => write!(f, "unknown path {path}; GET / says what is served"),
    }
}

fn write_rate_limit(
    f: &mut fmt::Formatter<'_>,
    model: &str,
    retry: Duration,
    LimitOf { provider, limit }: LimitOf<'_>,
) -> fmt::Result {
    let (model, provider, limit) = (quoted(model), quoted(provider), limit.name());
    let seconds = whole_seconds(retry);
    write!(
        f,
        "every provider of {model} is at its limit; {limit} of {provider} resets in {seconds} s"
    )
}

fn write_limit(
    f: &mut fmt::Formatter<'_>,
    scope: &Scope,
    limit: ScopeLimit,
    retry: Duration,
) -> fmt::Result {
    let (scope, limit) = (scope.to_string(), limit.name());
    let (scope, seconds) = (quoted(&scope), whole_seconds(retry));
    write!(f, "{limit} of {scope} is reached: try again in {seconds} s")
}

fn whole_seconds(span: Duration) -> u128 {
    span.as_millis().div_ceil(1_000).max(1)
}

fn write_faults(f: &mut fmt::Formatter<'_>, faults: &[String]) -> fmt::Result {
    let first = faults.first().map_or("", String::as_str);
    let first = bounded(first, SENTENCE_BYTES_MAX);
    write!(f, "the configuration cannot be used: {first}")?;
    match faults.len() {
        0 | 1 => Ok(()),
        count => write!(f, "; {} more", count - 1),
    }
}

/// The part of a name from outside that a message repeats.
fn quoted(name: &str) -> &str {
    bounded(name, QUOTED_BYTES_MAX)
}

const NO_WEB_SOCKETS: &str =
    "responses are not served over WebSockets: send POST requests over HTTP/1.1";
/// Longest sentence about what is wrong with a request, in bytes.
const SENTENCE_BYTES_MAX: usize = 512;

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
