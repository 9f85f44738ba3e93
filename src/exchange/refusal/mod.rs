//! THE table of errors that infermux itself answers with, and how they are written.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::period::Per;
use crate::config::scope::Scope;
use crate::decide::outcome::{Outcome, Verdict};
use crate::link::provider_gate::Limit;
use crate::link::scope_gate::ScopeLimit;

mod message;
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
        /// Where to look instead.
        hint: PathHint,
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
    /// No provider that serves the model has the endpoint.
    EndpointNotFound {
        /// The endpoint's path.
        path: &'static str,
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
    /// A budget that must not be exceeded is passed, and nobody knows what the request costs.
    UnpricedEndpoint {
        /// The endpoint's path.
        path: &'static str,
        /// The model; empty where the endpoint has none.
        model: &'a str,
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
    /// A limit or a budget is shared with other instances, the store over which it is shared is out
    /// of reach, and the file wants such requests to be refused.
    SharedState {
        /// Whose limit or budget: `team product`, `provider openai`.
        whose: Whose<'a>,
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
    /// The books have so much to do that an operator's request is not answered in time.
    BooksBusy,
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

/// What a caller that asks for a path that is not served is told besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathHint {
    /// Where all paths are told.
    None,
    /// The nearest path that is served.
    Near(&'static str),
    /// It is the operators', who have an address of their own.
    Operators,
    /// It would be served if the file named a provider for paths without a model.
    Passthrough,
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

/// Whose limit or budget a refusal is about: `team product`, `provider openai`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// A scope's.
    Scope(&'a Scope),
    /// That of the provider with this name.
    Provider(&'a str),
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => scope.fmt(f),
            Self::Provider(name) => write!(f, "provider {name}"),
        }
    }
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
            Self::UnpricedEndpoint { .. } => &table::UNPRICED_ENDPOINT,
            Self::UnknownKey { .. } => &table::UNKNOWN_KEY,
            Self::UnknownUrl { .. } => &table::UNKNOWN_URL,
            Self::UnknownProvider { .. } => &table::UNKNOWN_PROVIDER,
            Self::ModelNotFound { .. } | Self::EndpointNotFound { .. } => &table::MODEL_NOT_FOUND,
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
            Self::SharedState { .. } => &table::SHARED_STATE_UNAVAILABLE,
            Self::HeaderTooLarge => &table::HEADER_TOO_LARGE,
            Self::Internal => &table::INTERNAL_ERROR,
            Self::UpstreamError { .. } => &table::UPSTREAM_ERROR,
            Self::NoHealthyProviders { .. } => &table::NO_HEALTHY_PROVIDERS,
            Self::Overloaded | Self::TooManyConnections | Self::BooksBusy => &table::OVERLOADED,
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
            | Self::BooksBusy
            | Self::UnknownUrl { .. }
            | Self::UnknownProvider { .. }
            | Self::ModelNotFound { .. }
            | Self::EndpointNotFound { .. }
            | Self::ResponseNotFound
            | Self::ModelNotAllowed { .. }
            | Self::UnpricedEndpoint { .. }
            | Self::UnknownKey { .. }
            | Self::MethodNotAllowed { .. }
            | Self::UnsupportedEncoding
            | Self::UnsupportedMediaType
            | Self::InvalidConfiguration { .. }
            | Self::BudgetExceeded { .. }
            | Self::LimitExceeded { .. }
            | Self::SharedState { .. }
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
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
