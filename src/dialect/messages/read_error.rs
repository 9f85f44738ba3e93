//! Reads errors of the Messages API (rules E of reference/translation.md).

use std::borrow::Cow;

use crate::decide::outcome::{Failure, KeyOwner, Outcome, Topic, classify_status};
use crate::dialect::complaint::{Complaint, Form, Kind};
use crate::dialect::topic;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Value};

/// Reads the body of an error answer, or without a `status` the data of an `error` event.
///
/// The status decides, and the type refines it only where the status says that the request is at
/// fault: no type turns a failure of the provider into a mistake of the caller. An event has no
/// status, so its type decides.
#[must_use]
pub fn read(status: Option<u16>, body: &[u8]) -> Complaint<'_> {
    let said = Said::of(body);
    let is_refined = matches!(status, None | Some(400 | 404 | 409 | 413 | 422));
    let name = said.kind.as_deref().filter(|_| is_refined);
    let by_name = name.and_then(|name| KINDS.iter().find(|(known, ..)| *known == name));
    let by_status = || {
        let status = status?;
        KINDS.iter().find(|(_, known, _)| *known == status)
    };
    let (kind, told) = match by_name.or_else(by_status) {
        Some((_, own, kind)) => (*kind, told_status(*own)),
        None => of_status(status.unwrap_or(500)),
    };
    let topic = topic::of(status.unwrap_or(told), body);
    let (kind, told) = match (told, topic) {
        (400 | 429, Topic::Account) => (Kind::Billing, 429),
        (400..=499, Topic::Length) => (Kind::Invalid, 400),
        (_, _) => (kind, told),
    };
    Complaint {
        status: told,
        own_status: status,
        kind,
        topic,
        form: said.form,
        message: said.message,
        overflow: None,
    }
}

/// The outcome of an attempt that ended with this error, before anything was relayed.
#[must_use]
pub fn outcome(complaint: &Complaint<'_>, key: KeyOwner) -> Outcome {
    let (told, topic) = (complaint.status, complaint.topic);
    let own = complaint.own_status.unwrap_or(told);
    let is_about_money = complaint.kind == Kind::Billing;
    match (told, key) {
        (429, KeyOwner::Infermux) if is_about_money => Outcome::OwnKeyRefused(own),
        (429, KeyOwner::Caller) if is_about_money => Outcome::RequestRefused(told),
        // A server in front of the API may refuse large bodies in its own words: this says nothing
        // about the provider.
        (401..=403 | 413 | 429, _) => classify_status(told, key, topic),
        (400..=499, _) if complaint.form == Form::Foreign => Outcome::Failed(Failure::Status(own)),
        (400..=499, _) => classify_status(told, key, topic),
        (_, _) => Outcome::Failed(Failure::Status(own)),
    }
}

/// What the API states in the body of an error.
struct Said<'a> {
    form: Form,
    kind: Option<Cow<'a, str>>,
    /// A JSON string with its quotes.
    message: Option<Cow<'a, [u8]>>,
}

impl<'a> Said<'a> {
    fn of(body: &'a [u8]) -> Self {
        let silent = |form| Self {
            form,
            kind: None,
            message: None,
        };
        let telling = |value: &Value<'a>| value.kind == json::Kind::String && !value.is_blank();
        if !is_json(body) {
            return silent(Form::Foreign);
        }
        let Some(error) = json::member(body, b"error").map(|member| member.value) else {
            return silent(Form::Json);
        };
        if error.kind != json::Kind::Object {
            return Self {
                message: telling(&error).then_some(Cow::Borrowed(error.text)),
                ..silent(Form::Json)
            };
        }
        let text = |name: &[u8]| {
            let member = json::member(error.text, name);
            member.map(|member| member.value).filter(telling)
        };
        Self {
            form: Form::Error,
            kind: text(b"type").and_then(|kind| kind.string()),
            message: text(b"message").map(|message| Cow::Borrowed(message.text)),
        }
    }
}

/// The status for callers where the API's own one is not known to them.
const fn told_status(own: u16) -> u16 {
    match own {
        402 => 429,
        529 => 503,
        own => own,
    }
}

/// An error of which only the status is known.
const fn of_status(status: u16) -> (Kind, u16) {
    match status {
        400..=499 => (Kind::Invalid, status),
        503 => (Kind::Unavailable, 503),
        500 | 502 | 504 => (Kind::Api, status),
        _ => (Kind::Api, 502),
    }
}

/// The API's types and their statuses.
pub(super) const KINDS: [(&str, u16, Kind); 11] = [
    ("invalid_request_error", 400, Kind::Invalid),
    ("authentication_error", 401, Kind::Authentication),
    ("billing_error", 402, Kind::Billing),
    ("permission_error", 403, Kind::Permission),
    ("not_found_error", 404, Kind::NotFound),
    ("conflict_error", 409, Kind::Conflict),
    ("request_too_large", 413, Kind::TooLarge),
    ("rate_limit_error", 429, Kind::RateLimit),
    ("api_error", 500, Kind::Api),
    ("timeout_error", 504, Kind::Timeout),
    ("overloaded_error", 529, Kind::Overloaded),
];

#[cfg(test)]
#[path = "read_error_tests.rs"]
mod tests;
