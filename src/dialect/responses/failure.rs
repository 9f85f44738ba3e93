//! The code and message of a response that has failed (rule X3 of reference/responses-inbound.md).

use std::borrow::Cow;

use crate::base::endpoint::Dialect;
use crate::decide::outcome::{KeyOwner, Topic};
use crate::dialect::complaint::{Complaint, Kind};
use crate::dialect::errors;
use crate::dialect::responses::blame::Blame;
use crate::wire::provider_error::ProviderError;

/// Why a response has failed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// What programs go by.
    pub code: &'static str,
    /// For a person: a string.
    pub message: Cow<'a, [u8]>,
}

/// What the data of the event in which a provider of this dialect has told an error amounts to,
/// where it was asked with this key.
#[must_use]
pub fn read(error: &[u8], provider: Dialect, key: KeyOwner) -> Failure<'_> {
    let complaint = errors::read(provider, None, error);
    Failure {
        code: blame(&complaint, error, key).code(key),
        message: Cow::Owned(complaint.told().into_owned()),
    }
}

fn blame(complaint: &Complaint<'_>, error: &[u8], key: KeyOwner) -> Blame {
    let error = ProviderError::read(error);
    let says = |word: &str| error.names().any(|name| name.contains(word));
    if complaint.overflow.is_some() || complaint.topic == Topic::Length {
        return Blame::Length;
    }
    if says("insufficient_quota") {
        return Blame::Account;
    }
    match (complaint.kind, key) {
        (Kind::Billing, _) => Blame::Account,
        (Kind::RateLimit, _) => Blame::RateLimit,
        // A key of infermux is nothing that the caller could mend.
        (Kind::Authentication | Kind::Permission, KeyOwner::Infermux) => Blame::Provider,
        (
            Kind::Invalid
            | Kind::Authentication
            | Kind::Permission
            | Kind::NotFound
            | Kind::Conflict
            | Kind::TooLarge,
            _,
        ) => Blame::Request,
        (Kind::Api, _) if says("invalid_request_error") => Blame::Request,
        (Kind::Api | Kind::Timeout | Kind::Unavailable | Kind::Overloaded, _) => Blame::Provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::responses::blame::SERVER_ERROR as OWN;

    #[test]
    fn a_repeat_is_asked_for_only_where_it_can_help() {
        use Dialect::{Chat, Messages};
        const RATE: &str = "rate_limit_exceeded";
        const QUOTA: &str = "insufficient_quota";
        const INVALID: &str = "invalid_prompt";
        const LENGTH: &str = "context_length_exceeded";
        for (provider, kind, message, with_own_key, with_callers) in [
            (Chat, "rate_limit_exceeded", "m", RATE, RATE),
            (Chat, "insufficient_quota", "m", OWN, QUOTA),
            (Chat, "invalid_request_error", "m", INVALID, INVALID),
            (Chat, "server_is_overloaded", "m", OWN, OWN),
            (
                Chat,
                "",
                "maximum context length is 8 tokens",
                LENGTH,
                LENGTH,
            ),
            (Messages, "overloaded_error", "m", OWN, OWN),
            (Messages, "rate_limit_error", "m", RATE, RATE),
            (Messages, "invalid_request_error", "m", INVALID, INVALID),
            (
                Messages,
                "invalid_request_error",
                "prompt is too long: 2 tokens > 1 maximum",
                LENGTH,
                LENGTH,
            ),
            (Messages, "authentication_error", "m", OWN, INVALID),
            (Messages, "billing_error", "m", OWN, QUOTA),
        ] {
            let error =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
            let code = |key| read(error.as_bytes(), provider, key).code;
            assert_eq!(code(KeyOwner::Infermux), with_own_key, "{error}");
            assert_eq!(code(KeyOwner::Caller), with_callers, "{error}");
        }
        let refused = br#"{"error":{"code":400,"message":"m"}}"#;
        assert_eq!(read(refused, Chat, KeyOwner::Infermux).code, INVALID);
        let failure = read(
            br#"{"error":{"message":"a \"b\""}}"#,
            Chat,
            KeyOwner::Infermux,
        );
        assert_eq!(*failure.message, *br#""a \"b\"""#);
    }
}
