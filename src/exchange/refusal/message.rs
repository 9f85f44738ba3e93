//! The sentences that tell callers what went wrong.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use crate::base::limits::QUOTED_BYTES_MAX;
use crate::base::money::NanoUsd;
use crate::base::period::Per;
use crate::config::scope::Scope;
use crate::exchange::refusal::{BudgetWait, KeyFault, LimitOf, PathHint, Refusal, Whose};
use crate::link::scope_gate::ScopeLimit;
use crate::report::escape::bounded;

impl KeyFault {
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
            Self::BooksBusy => "infermux is too busy to answer this now; ask again",
            Self::ResponseNotFound => "no provider has stored a response with this id",
            Self::ShuttingDown => "infermux is shutting down",
            Self::HttpVersionNotSupported => "only HTTP/1.0 and HTTP/1.1 are spoken",
            Self::UpgradeRequired => NO_WEB_SOCKETS,
            Self::MethodNotAllowed { allow } => return write!(f, "this path takes {allow} only"),
            Self::RequestTooLarge { limit } => return write_over(f, "body is larger", limit),
            Self::UriTooLong { limit } => return write_over(f, "target is longer", limit),
            Self::UnknownProvider { name } => {
                return write!(f, "no provider is called {}", quoted(name));
            }
            Self::UnknownKey { name } => return write!(f, "no key is called {}", quoted(name)),
            Self::ModelNotAllowed { model, key } => return write_not_allowed(f, model, key),
            Self::UnpricedEndpoint { path, model } => return write_unpriced(f, path, model),
            Self::UnknownUrl { path, hint } => return write_unknown_url(f, path, hint),
            Self::ModelNotFound { model } => return write_not_found(f, model),
            Self::EndpointNotFound { path, model } => {
                return write!(f, "no provider of the model {} has {path}", quoted(model));
            }
            Self::LimitExceeded {
                scope,
                limit,
                retry,
            } => return write_limit(f, scope, limit, retry),
            Self::SharedState { whose } => return write_shared(f, whose),
            Self::RateLimit {
                model,
                retry,
                limit,
            } => return write_rate_limit(f, model, retry, limit),
            Self::NoHealthyProviders { model, .. } => {
                return write!(f, "no provider for {} is in service", quoted(model));
            }
            Self::UpstreamError { provider, outcome }
            | Self::UpstreamTimeout { provider, outcome } => {
                return write!(f, "the provider {} {outcome}", quoted(provider));
            }
            Self::InvalidConfiguration { faults } => return write_faults(f, faults),
            Self::BudgetExceeded { .. } => return self.write_budget(f),
        };
        f.write_str(text)
    }
}

impl Refusal<'_> {
    fn write_budget(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::BudgetExceeded {
            scope,
            per,
            budget,
            spent,
            wait,
        } = *self
        else {
            return Ok(());
        };
        let (whose, each) = (owner(scope), each(per));
        let (whose, state) = (quoted(&whose), wait.state(budget, spent));
        write!(
            f,
            "{whose}'s budget of {budget} USD{each} {state}: {spent} spent"
        )
    }
}

fn write_shared(f: &mut fmt::Formatter<'_>, whose: Whose<'_>) -> fmt::Result {
    write!(
        f,
        "{} is limited over several instances, and their store is out of reach",
        quoted(&whose.to_string())
    )
}

/// Whose budget it is: a caller's name, or what kind of scope and its name.
fn owner(scope: &Scope) -> Cow<'_, str> {
    match scope {
        Scope::Caller(name) => Cow::Borrowed(name),
        Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => Cow::Owned(scope.to_string()),
    }
}

/// What a budget's amount is meant per.
const fn each(per: Per) -> &'static str {
    match per {
        Per::Day => " a day",
        Per::Week => " a week",
        Per::Month => " a month",
        Per::Total => "",
    }
}

fn write_over(f: &mut fmt::Formatter<'_>, what: &str, limit: usize) -> fmt::Result {
    write!(f, "the request {what} than {limit} bytes")
}

fn write_not_found(f: &mut fmt::Formatter<'_>, model: &str) -> fmt::Result {
    let model = quoted(model);
    write!(f, "no provider is configured to serve the model {model}")
}

fn write_not_allowed(f: &mut fmt::Formatter<'_>, model: &str, key: &str) -> fmt::Result {
    let (model, key) = (quoted(model), quoted(key));
    match model {
        "" => write!(
            f,
            "the key {key} may use certain models only, and this path names none"
        ),
        model => write!(f, "the key {key} may not use the model {model}"),
    }
}

fn write_unpriced(f: &mut fmt::Formatter<'_>, path: &str, model: &str) -> fmt::Result {
    f.write_str(
        "nobody knows what the request costs, and it passes a budget that is a hard stop: ",
    )?;
    match quoted(model) {
        "" => write!(f, "{path} has no price"),
        model => write!(f, "{path} has no price for the model {model}"),
    }
}

/// The query is left out: it may hold a key.
fn write_unknown_url(f: &mut fmt::Formatter<'_>, path: &str, hint: PathHint) -> fmt::Result {
    let path = quoted(path.split('?').next().unwrap_or_default());
    match hint {
        PathHint::None => write!(f, "unknown path {path}; GET / says what is served"),
        PathHint::Near(near) => write!(f, "unknown path {path}, did you mean {near}?"),
        PathHint::Operators => write!(f, "{path} is served on `management_listen` only"),
        PathHint::Passthrough => write!(
            f,
            "{path} is served only where `passthrough.provider` names a provider for it"
        ),
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
