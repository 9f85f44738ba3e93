//! What a caller is told of an `error` event.

use memchr::memmem;

use super::event::telling;
use super::verbatim;
use crate::wire::json::{self, Kind, Value};

/// Appends the error in OpenAI's shape; `error` is the event's member of that name.
pub(super) fn write(error: Option<Value<'_>>, out: &mut Vec<u8>) {
    let (mut kind, mut message) = (None, telling(error));
    if let Some(error) = error.filter(|error| error.kind == Kind::Object) {
        for member in json::members(error.text).map_while(Result::ok) {
            match member.name {
                b"type" => kind = Some(member.value.text),
                b"message" => message = telling(Some(member.value)),
                _ => {}
            }
        }
    }
    let message = message.and_then(|message| verbatim::string(&message).ok());
    let message = message.unwrap_or(b"upstream returned an error");
    let (kind, code) = kind_and_code(kind.unwrap_or_default(), message);
    out.extend_from_slice(b"{\"error\":{\"message\":\"");
    out.extend_from_slice(message);
    out.extend_from_slice(b"\",\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"param\":null,\"code\":");
    match code {
        Some(code) => json::write_string(code, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}}");
}

/// OpenAI's names for Anthropic's type, which has its quotes.
fn kind_and_code(kind: &[u8], message: &[u8]) -> (&'static str, Option<&'static str>) {
    let says = |words: &str| memmem::find(message, words.as_bytes()).is_some();
    let invalid = "invalid_request_error";
    match kind {
        b"\"invalid_request_error\"" if says("credit balance is too low") => NO_CREDIT,
        b"\"invalid_request_error\""
            if says("prompt is too long")
                || says("exceed context limit")
                || says("context window") =>
        {
            (invalid, Some("context_length_exceeded"))
        }
        b"\"invalid_request_error\"" => (invalid, None),
        b"\"authentication_error\"" => (invalid, Some("invalid_api_key")),
        b"\"billing_error\"" => NO_CREDIT,
        b"\"permission_error\"" => (invalid, Some("permission_denied")),
        b"\"not_found_error\"" if message.starts_with(b"model") => {
            (invalid, Some("model_not_found"))
        }
        b"\"not_found_error\"" => (invalid, Some("not_found")),
        b"\"conflict_error\"" => (invalid, Some("conflict")),
        b"\"request_too_large\"" => (invalid, Some("request_too_large")),
        b"\"rate_limit_error\"" => ("rate_limit_error", Some("rate_limit_exceeded")),
        b"\"timeout_error\"" => ("server_error", Some("timeout")),
        b"\"overloaded_error\"" => ("service_unavailable_error", Some("server_is_overloaded")),
        _ => ("server_error", None),
    }
}

const NO_CREDIT: (&str, Option<&str>) = ("insufficient_quota", Some("insufficient_quota"));
