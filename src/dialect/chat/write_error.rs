//! Writes errors in OpenAI's shape.

use crate::decide::outcome::Topic;
use crate::dialect::complaint::{Complaint, Kind};
use crate::dialect::compose::Composer;

/// Appends the body that tells a caller of an error, or the data of an event that does.
pub fn write(complaint: &Complaint<'_>, out: &mut Vec<u8>) {
    let message = complaint.told();
    let (kind, code) = words(complaint, &message);
    let mut body = Composer::object(out);
    let mut error = Composer::object(body.member("error"));
    error.raw("message", &message);
    error.string("type", kind);
    error.raw("param", b"null");
    match code {
        Some(code) => error.string("code", code),
        None => error.raw("code", b"null"),
    }
    error.end();
    body.end();
}

/// OpenAI's type and code.
fn words(complaint: &Complaint<'_>, message: &[u8]) -> (&'static str, Option<&'static str>) {
    if let (400..=499, Topic::Length) = (complaint.status, complaint.topic)
        && complaint.kind != Kind::Billing
    {
        return (INVALID, Some("context_length_exceeded"));
    }
    match complaint.kind {
        Kind::Invalid => (INVALID, None),
        Kind::Authentication => (INVALID, Some("invalid_api_key")),
        Kind::Billing => ("insufficient_quota", Some("insufficient_quota")),
        Kind::Permission => (INVALID, Some("permission_denied")),
        Kind::NotFound if message.starts_with(b"\"model") => (INVALID, Some("model_not_found")),
        Kind::NotFound => (INVALID, Some("not_found")),
        Kind::Conflict => (INVALID, Some("conflict")),
        Kind::TooLarge => (INVALID, Some("request_too_large")),
        Kind::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
        Kind::Api => (SERVER, None),
        Kind::Timeout => (SERVER, Some("timeout")),
        Kind::Unavailable => (UNAVAILABLE, None),
        Kind::Overloaded => (UNAVAILABLE, Some("server_is_overloaded")),
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const UNAVAILABLE: &str = "service_unavailable_error";
