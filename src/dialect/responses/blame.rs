//! What an error means to a caller of Responses (rule X3 of reference/responses-inbound.md), and
//! what one of a provider that has them means (rule N6).
//!
//! Such a provider's error stands in an `error` event, in the `error` of a response that failed, or
//! in an answer of status 2xx. Its code tells whether another provider may do better.

use crate::decide::outcome::{Failure, KeyOwner, Outcome};
use crate::dialect::overflow;
use crate::wire::provider_error::ProviderError;

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// There were too many requests, or tokens.
    RateLimit,
    /// The account has no credit.
    Account,
    /// The provider has failed.
    Provider,
    /// The request, which no other provider would answer either.
    Request,
    /// The prompt's length: a model with a larger window may answer.
    Length,
}

impl Blame {
    /// What the error in the JSON object `error` is about.
    #[must_use]
    pub fn of(error: &[u8]) -> Self {
        let error = ProviderError::read(error);
        if overflow::is_named(&error) {
            return Self::Length;
        }
        let telling = |name: Option<_>| Option::filter(name, |name: &&str| !name.is_empty());
        let blame = match telling(error.code.as_deref()) {
            Some(code) => Self::of_code(code),
            None => Self::of_kind(telling(error.kind.as_deref()).unwrap_or_default()),
        };
        match blame {
            Self::Provider | Self::Request if overflow::is_told(&error) => Self::Length,
            Self::RateLimit | Self::Account | Self::Provider | Self::Request | Self::Length => {
                blame
            }
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "rate_limit_exceeded" => Self::RateLimit,
            "insufficient_quota" => Self::Account,
            "server_error" | "server_is_overloaded" | "slow_down" | "vector_store_timeout" => {
                Self::Provider
            }
            // The status that compatible servers have there.
            "429" => Self::RateLimit,
            _ if code.len() == 3 && code.starts_with('5') => Self::Provider,
            _ => Self::Request,
        }
    }

    /// What an error without a code is about, given its `type`.
    fn of_kind(kind: &str) -> Self {
        match kind {
            "rate_limit_error" | "rate_limit_exceeded" => Self::RateLimit,
            "insufficient_quota" => Self::Account,
            "invalid_request_error" => Self::Request,
            _ => Self::Provider,
        }
    }

    /// The outcome of an attempt that was sent with this key and ended with such an error.
    #[must_use]
    pub const fn outcome(self, key: KeyOwner) -> Outcome {
        match (self, key) {
            (Self::RateLimit, _) => Outcome::RateLimited,
            (Self::Account, KeyOwner::Infermux) => Outcome::OwnKeyRefused(429),
            (Self::Provider, _) => Outcome::Failed(Failure::ErrorObject),
            (Self::Account, KeyOwner::Caller) | (Self::Request, _) => Outcome::RequestRefused(400),
            (Self::Length, _) => Outcome::Overflowed,
        }
    }

    /// Whether the caller is told of it where nobody else answers: it is about the request.
    #[must_use]
    pub const fn is_for_caller(self, key: KeyOwner) -> bool {
        match (self, key) {
            (Self::RateLimit | Self::Provider, _) | (Self::Account, KeyOwner::Infermux) => false,
            (Self::Account, KeyOwner::Caller) | (Self::Request | Self::Length, _) => true,
        }
    }

    /// The code of the `response.failed` by which a caller is told of it, where the provider was
    /// asked with this key. That an account is spent is told only to its owner.
    #[must_use]
    pub const fn code(self, key: KeyOwner) -> &'static str {
        match (self, key) {
            (Self::RateLimit, _) => "rate_limit_exceeded",
            (Self::Account, KeyOwner::Caller) => "insufficient_quota",
            (Self::Account, KeyOwner::Infermux) | (Self::Provider, _) => SERVER_ERROR,
            (Self::Request, _) => INVALID,
            (Self::Length, _) => "context_length_exceeded",
        }
    }
}

/// The code of a failure that is nobody else's, and of all that a repeat may help against.
pub const SERVER_ERROR: &str = "server_error";
/// The code of what a repeat cannot help against.
pub const INVALID: &str = "invalid_prompt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_tells_what_an_error_is_about() {
        for (error, blame, code) in [
            (r#"{"code":"server_error"}"#, Blame::Provider, SERVER_ERROR),
            (
                r#"{"type":"error","code":"server_is_overloaded","message":"m"}"#,
                Blame::Provider,
                SERVER_ERROR,
            ),
            (r#"{"code":"slow_down"}"#, Blame::Provider, SERVER_ERROR),
            (
                r#"{"code":"vector_store_timeout"}"#,
                Blame::Provider,
                SERVER_ERROR,
            ),
            (r#"{"code":null}"#, Blame::Provider, SERVER_ERROR),
            (r#"{"code":""}"#, Blame::Provider, SERVER_ERROR),
            ("{}", Blame::Provider, SERVER_ERROR),
            (
                r#"{"error":{"type":"server_error","code":null}}"#,
                Blame::Provider,
                SERVER_ERROR,
            ),
            (r#"{"code":503}"#, Blame::Provider, SERVER_ERROR),
            (
                r#"{"c\u006fde":"rate_limit_exceeded"}"#,
                Blame::RateLimit,
                "rate_limit_exceeded",
            ),
            (r#"{"code":429}"#, Blame::RateLimit, "rate_limit_exceeded"),
            (
                r#"{"type":"error","error":{"type":"rate_limit_error"}}"#,
                Blame::RateLimit,
                "rate_limit_exceeded",
            ),
            (
                r#"{"code":"context_length_exceeded"}"#,
                Blame::Length,
                "context_length_exceeded",
            ),
            (
                r#"{"code":400,"message":"the maximum context length is 9"}"#,
                Blame::Length,
                "context_length_exceeded",
            ),
            (
                r#"{"code":500,"message":"the maximum context length is 9"}"#,
                Blame::Length,
                "context_length_exceeded",
            ),
            (
                r#"{"code":429,"message":"the maximum context length is 9"}"#,
                Blame::RateLimit,
                "rate_limit_exceeded",
            ),
            (
                r#"{"code":"image_parse_error"}"#,
                Blame::Request,
                "invalid_prompt",
            ),
            (
                r#"{"error":{"type":"invalid_request_error","message":"no"}}"#,
                Blame::Request,
                "invalid_prompt",
            ),
        ] {
            for key in [KeyOwner::Infermux, KeyOwner::Caller] {
                let error = error.as_bytes();
                let text = String::from_utf8_lossy(error);
                assert_eq!(Blame::of(error), blame, "{text}");
                assert_eq!(blame.code(key), code, "{text}");
                let is_told = matches!(blame, Blame::Request | Blame::Length);
                assert_eq!(blame.is_for_caller(key), is_told, "{text}");
            }
        }
    }

    #[test]
    fn an_empty_account_concerns_its_owner() {
        let quota = br#"{"code":"insufficient_quota","message":"m"}"#;
        assert_eq!(Blame::of(quota), Blame::Account);
        for (key, code, outcome) in [
            (
                KeyOwner::Infermux,
                SERVER_ERROR,
                Outcome::OwnKeyRefused(429),
            ),
            (
                KeyOwner::Caller,
                "insufficient_quota",
                Outcome::RequestRefused(400),
            ),
        ] {
            assert_eq!(Blame::Account.code(key), code);
            assert_eq!(Blame::Account.outcome(key), outcome);
            let is_told = Blame::Account.is_for_caller(key);
            assert_eq!(is_told, key == KeyOwner::Caller);
        }
    }
}
