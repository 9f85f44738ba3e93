//! What a provider's error is about beyond its status, whatever dialect it came in.
//!
//! Providers use statuses loosely: an empty account is answered with 400, 402, 403 or 429, and
//! refused content with 400 or 403. Codes are believed wherever they stand. Sentences are believed
//! only at the beginning of an error: further on it may quote the request, and so any text of the
//! caller.

use crate::decide::outcome::Topic;
use crate::dialect::overflow;
use crate::wire::provider_error::ProviderError;

/// What an error answer with this status is about.
#[must_use]
pub fn of(status: u16, body: &[u8]) -> Topic {
    if !matches!(status, 400 | 403 | 413 | 422 | 429 | 500..=599) {
        return Topic::Unknown;
    }
    let error = ProviderError::read(body);
    let names = |known: &[&str]| {
        let mut names = error.names();
        names.any(|name| known.iter().any(|known| known.eq_ignore_ascii_case(name)))
    };
    let message = error.message.as_deref().unwrap_or_default();
    let message = overflow::beginning(message.trim_start()).to_ascii_lowercase();
    let begins = |known: &[&str]| known.iter().any(|words| message.starts_with(words));
    let has = |known: &[&str]| known.iter().any(|words| message.contains(words));
    match status {
        429 if names(&ACCOUNT_NAMES) => Topic::Account,
        429 => Topic::Unknown,
        400 if names(&ACCOUNT_NAMES) || begins(&ACCOUNT_WORDS) => Topic::Account,
        400 | 403 if names(&CONTENT_NAMES) => Topic::Content,
        // These words only decide whether another provider is tried.
        403 if has(&CONTENT_WORDS) => Topic::Content,
        // A provider that fails may say why in any words.
        500..=599 if overflow::is_named(&error) => Topic::Length,
        500..=599 => Topic::Unknown,
        _ if overflow::is_told(&error) => Topic::Length,
        _ => Topic::Unknown,
    }
}

/// Types and codes of an account without money, or of a bad key: OpenAI's, Anthropic's, and their
/// followers'.
const ACCOUNT_NAMES: [&str; 10] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient_balance",
    "insufficient_credits",
    "invalid_api_key",
    "api_key_invalid",
    "authentication_error",
];
/// Beginnings of messages about the account, in lower case, for errors whose type and code say
/// nothing. "You exceeded your current quota" is not among them: Gemini says it of a rate limit.
const ACCOUNT_WORDS: [&str; 11] = [
    "your credit balance is too low",
    "credit balance is too low",
    "you have reached your specified api usage limits",
    "insufficient balance",
    "insufficient credit",
    "billing hard limit",
    "api key not valid",
    "api key expired",
    "incorrect api key",
    "invalid api key",
    "the api key is invalid",
];
/// Types and codes of content that a provider does not take.
const CONTENT_NAMES: [&str; 9] = [
    "content_filter",
    "content_policy_violation",
    "content_policy",
    "policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "moderation",
    "data_inspection_failed",
    "invalid_prompt",
];
/// Words in messages about content, in lower case.
const CONTENT_WORDS: [&str; 8] = [
    "content violates",
    "usage guidelines",
    "usage polic",
    "content polic",
    "content management polic",
    "moderation",
    "flagged",
    "safety",
];
#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, error: &str, expected: Topic) {
        let body = format!("{{\"error\":{{{error}}}}}");
        assert_eq!(of(status, body.as_bytes()), expected, "{status} {error}");
    }

    #[test]
    fn an_account_is_known_by_codes_and_by_how_a_message_begins() {
        use Topic::{Account, Unknown};
        for error in [
            r#""code":"insufficient_quota""#,
            r#""type":"insufficient_quota","message":"x""#,
            r#""message":"x","code":"credit_balance_exhausted""#,
            r#""message":"x","code":"invalid_api_key""#,
            r#""message":"x","type":"authentication_error""#,
        ] {
            check(400, error, Account);
            check(429, error, Account);
            check(403, error, Unknown);
            check(422, error, Unknown);
        }
        for message in [
            "Your credit balance is too low to access the Anthropic API.",
            " Insufficient Balance",
            "You have reached your specified API usage limits. You will regain access on",
            "API key not valid. Please pass a valid API key.",
            "Incorrect API key provided: xa***yz.",
        ] {
            check(400, &format!("\"message\":\"{message}\""), Account);
            check(429, &format!("\"message\":\"{message}\""), Unknown);
            // Words in quotation marks do not count.
            check(
                400,
                &format!("\"message\":\"no model `{message}`\""),
                Unknown,
            );
        }
        for error in [
            r#""message":"You exceeded your current quota","type":"tokens""#,
            r#""message":"bad role","param":"insufficient_quota""#,
            r#""message":{"a":"insufficient balance"}"#,
            "",
        ] {
            check(400, error, Unknown);
            check(429, error, Unknown);
        }
        assert_eq!(of(400, b"insufficient_quota"), Unknown);
        let gemini = br#"[{"error":{"code":400,"message":"API key expired. Renew it."}}]"#;
        assert_eq!(of(400, gemini), Account);
    }

    #[test]
    fn content_is_known_by_codes_and_of_a_403_by_its_words() {
        use Topic::{Content, Unknown};
        for error in [
            r#""code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}"#,
            r#""code":"400","innererror":{"code":"ResponsibleAIPolicyViolation"}"#,
            r#""type":"moderation","message":"x""#,
        ] {
            check(400, error, Content);
            check(403, error, Content);
            check(422, error, Unknown);
        }
        let flagged = r#""code":403,"message":"Your input was Flagged","metadata":{}"#;
        check(403, flagged, Content);
        check(400, flagged, Unknown);
        let x_ai = br#"{"code":"The caller does not have permission to execute the operation",
            "error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X"}"#;
        assert_eq!(of(403, x_ai), Content);
        check(
            403,
            r#""message":"no access to model `m`","code":"model_not_found""#,
            Unknown,
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_known_by_every_provider_s_words() {
        for error in [
            r#""code":"context_length_exceeded","message":"x""#,
            r#""type":"exceed_context_size_error","code":400"#,
            r#""message":"This model's maximum context length is 8192 tokens.""#,
            r#""message":"prompt is too long: 210000 tokens > 200000 maximum""#,
            r#""message":"input length and `max_tokens` exceed context limit: 1 + 2 > 2""#,
        ] {
            for status in [400, 403, 413, 422] {
                check(status, error, Topic::Length);
            }
            check(429, error, Topic::Unknown);
        }
        for error in [
            r#""code":"context_length_exceeded","message":"x""#,
            r#""type":"exceed_context_size_error","code":500"#,
        ] {
            check(500, error, Topic::Length);
        }
        check(500, r#""message":"prompt is too long""#, Topic::Unknown);
        let far = format!("\"message\":\"{} prompt is too long\"", "x".repeat(300));
        check(400, &far, Topic::Unknown);
    }
}
