//! Errors of the Messages API in OpenAI's shape, and what they mean (rules E of
//! reference/translation.md).

use std::borrow::Cow;

use crate::decide::outcome::{Failure, KeyOwner, Outcome, Topic, classify_status};
use crate::dialect::compose::Composer;
use crate::dialect::topic;
use crate::wire::json::check::is_json;
use crate::wire::json::{self, Kind, Value};

/// A translated error. Its body's type is `application/json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranslatedError<'h> {
    /// The status for the caller, where the error is passed on.
    pub status: u16,
    /// The outcome of the attempt.
    pub outcome: Outcome,
    /// The value of `retry-after`, to be relayed.
    pub retry_after: Option<&'h [u8]>,
}

/// Appends the caller's body for an error answer; `header` finds a header of that answer by its
/// name in lower case.
pub fn write<'h>(
    status: u16,
    key: KeyOwner,
    header: impl Fn(&str) -> Option<&'h [u8]>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> TranslatedError<'h> {
    let error = ApiError::read(body);
    let (told, topic) = error.told(Some(status));
    let silent = || Cow::Owned(json::quoted(&format!("upstream returned HTTP {status}")));
    told.write(&error.message.unwrap_or_else(silent), out);
    let may_wait = matches!(told.status, 429 | 503);
    TranslatedError {
        status: told.status,
        outcome: told.outcome(topic, status, key, error.form),
        retry_after: may_wait.then(|| header("retry-after")).flatten(),
    }
}

/// Appends the caller's error frame for an `error` event with the data `event`.
pub fn write_event(event: &[u8], out: &mut Vec<u8>) {
    let error = ApiError::read(event);
    let (told, _) = error.told(None);
    let silent = || Cow::Borrowed(&b"\"upstream returned an error\""[..]);
    told.write(&error.message.unwrap_or_else(silent), out);
}

/// The outcome of an attempt that ended with an `error` event before anything was relayed.
#[must_use]
pub fn event_outcome(event: &[u8], key: KeyOwner) -> Outcome {
    let (told, topic) = ApiError::read(event).told(None);
    told.outcome(topic, told.status, key, Form::Error)
}

/// The error that the API states.
struct ApiError<'a> {
    body: &'a [u8],
    form: Form,
    kind: Option<Cow<'a, str>>,
    /// A JSON string with its quotes.
    message: Option<Cow<'a, [u8]>>,
}

/// The form of an error's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An error of the API.
    Error,
    /// Some other JSON.
    Json,
    /// Not JSON: a page of some server in between.
    Foreign,
}

/// An error in OpenAI's terms.
#[derive(Clone, Copy)]
struct Told {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
}

impl<'a> ApiError<'a> {
    fn read(body: &'a [u8]) -> Self {
        let silent = |form| Self {
            body,
            form,
            kind: None,
            message: None,
        };
        let telling = |value: &Value<'a>| value.kind == Kind::String && !value.is_blank();
        if !is_json(body) {
            return silent(Form::Foreign);
        }
        let Some(error) = json::member(body, b"error").map(|member| member.value) else {
            return silent(Form::Json);
        };
        if error.kind != Kind::Object {
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
            body,
            form: Form::Error,
            kind: text(b"type").and_then(|kind| kind.string()),
            message: text(b"message").map(|message| Cow::Borrowed(message.text)),
        }
    }

    /// The error in OpenAI's terms, and its topic. The status decides, and the type refines it only
    /// where the status says that the request is at fault: no type turns a failure of the provider
    /// into a mistake of the caller. An event has no status, so its type decides.
    fn told(&self, status: Option<u16>) -> (Told, Topic) {
        let is_refined = matches!(status, None | Some(400 | 404 | 409 | 413 | 422));
        let by_kind = self
            .kind
            .as_deref()
            .filter(|_| is_refined)
            .and_then(|kind| {
                let row = TABLE.iter().find(|(_, name, _)| *name == kind)?;
                Some(row.2)
            });
        let status = status.or(by_kind.map(|told| told.status)).unwrap_or(500);
        let by_status = || {
            let row = TABLE.iter().find(|(known, ..)| *known == status)?;
            Some(row.2)
        };
        let told = by_kind.or_else(by_status).unwrap_or(Told::of(status));
        let topic = topic::of(status, self.body);
        let message = self.message.as_deref().unwrap_or_default();
        let told = match (told.status, topic) {
            (400 | 429, Topic::Account) => NO_QUOTA,
            (400..=499, Topic::Length) => TOO_LONG,
            (404, _) if message.starts_with(b"\"model") => Told {
                code: Some("model_not_found"),
                ..told
            },
            (_, _) => told,
        };
        (told, topic)
    }
}

impl Told {
    /// An error of which only the status is known.
    const fn of(status: u16) -> Self {
        match status {
            400..=499 => told(status, INVALID, None),
            500 | 502 | 504 => told(status, "server_error", None),
            503 => told(503, "service_unavailable_error", None),
            _ => told(502, "server_error", None),
        }
    }

    fn write(&self, message: &[u8], out: &mut Vec<u8>) {
        let mut body = Composer::object(out);
        let mut error = Composer::object(body.member("error"));
        error.raw("message", message);
        error.string("type", self.kind);
        error.raw("param", b"null");
        match self.code {
            Some(code) => error.string("code", code),
            None => error.raw("code", b"null"),
        }
        error.end();
        body.end();
    }

    /// The outcome of the attempt; `status` is the provider's own.
    fn outcome(&self, topic: Topic, status: u16, key: KeyOwner, form: Form) -> Outcome {
        let is_about_money = self.code == NO_QUOTA.code;
        match (self.status, key) {
            (429, KeyOwner::Infermux) if is_about_money => Outcome::OwnKeyRefused(status),
            (429, KeyOwner::Caller) if is_about_money => Outcome::RequestRefused(self.status),
            // A server in front of the API may refuse large bodies in its own words: this says
            // nothing about the provider.
            (401..=403 | 413 | 429, _) => classify_status(self.status, key, topic),
            (400..=499, _) if form == Form::Foreign => Outcome::Failed(Failure::Status(status)),
            (400..=499, _) => classify_status(self.status, key, topic),
            (_, _) => Outcome::Failed(Failure::Status(status)),
        }
    }
}

const INVALID: &str = "invalid_request_error";
const NO_QUOTA: Told = told(429, "insufficient_quota", Some("insufficient_quota"));
const TOO_LONG: Told = told(400, INVALID, Some("context_length_exceeded"));

/// The API's status and type, and the error in OpenAI's terms.
const TABLE: [(u16, &str, Told); 11] = [
    (400, INVALID, told(400, INVALID, None)),
    (
        401,
        "authentication_error",
        told(401, INVALID, Some("invalid_api_key")),
    ),
    (402, "billing_error", NO_QUOTA),
    (
        403,
        "permission_error",
        told(403, INVALID, Some("permission_denied")),
    ),
    (
        404,
        "not_found_error",
        told(404, INVALID, Some("not_found")),
    ),
    (409, "conflict_error", told(409, INVALID, Some("conflict"))),
    (
        413,
        "request_too_large",
        told(413, INVALID, Some("request_too_large")),
    ),
    (
        429,
        "rate_limit_error",
        told(429, "rate_limit_error", Some("rate_limit_exceeded")),
    ),
    (500, "api_error", told(500, "server_error", None)),
    (
        504,
        "timeout_error",
        told(504, "server_error", Some("timeout")),
    ),
    (
        529,
        "overloaded_error",
        told(
            503,
            "service_unavailable_error",
            Some("server_is_overloaded"),
        ),
    ),
];

const fn told(status: u16, kind: &'static str, code: Option<&'static str>) -> Told {
    Told { status, kind, code }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
