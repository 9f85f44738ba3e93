//! Reads errors of chat completions, whoever offers them (rules ME2 to ME5 of
//! reference/messages-inbound.md).

use std::borrow::Cow;

use crate::decide::outcome::Topic;
use crate::dialect::complaint::{Complaint, Form, Kind, Overflow};
use crate::dialect::{overflow, topic};
use crate::wire::json;
use crate::wire::json::check::is_json;
use crate::wire::provider_error::{ProviderError, root_of};
use crate::wire::usage;

/// Reads the body of an error answer, or without a `status` the data of an event with an `error`.
#[must_use]
pub fn read(status: Option<u16>, body: &[u8]) -> Complaint<'_> {
    let form = form_of(body);
    let error = match form {
        Form::Error | Form::Json => ProviderError::read(body),
        Form::Foreign => ProviderError::default(),
    };
    let own = status.or_else(|| told_status(body, &error)).unwrap_or(500);
    let overflow = by_how_much(own, status.is_none(), body, &error);
    let (kind, told) = match (overflow, status) {
        (Some(_), _) => (Kind::Invalid, 400),
        (None, Some(status)) => (of_answer(status), status),
        (None, None) => (of_event(own, &error), own),
    };
    let message = error.message.filter(|message| !message.is_empty());
    Complaint {
        status: told,
        own_status: status,
        kind,
        topic: match overflow {
            Some(_) => Topic::Length,
            None => topic::of(own, body),
        },
        form,
        message: message.map(|message| Cow::Owned(json::quoted(&message))),
        overflow,
    }
}

fn form_of(body: &[u8]) -> Form {
    if !is_json(body) {
        return Form::Foreign;
    }
    let root = root_of(body);
    let is_error = json::member(root, b"error").is_some_and(|error| !error.value.is_blank())
        // The form of errors in older vLLM and Mistral.
        || json::member(root, b"object").is_some_and(|object| object.value.says("error"));
    if is_error { Form::Error } else { Form::Json }
}

/// The kind of an error answer.
const fn of_answer(status: u16) -> Kind {
    match status {
        401 => Kind::Authentication,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        413 => Kind::TooLarge,
        429 => Kind::RateLimit,
        400..=499 => Kind::Invalid,
        503 => Kind::Unavailable,
        504 => Kind::Timeout,
        529 => Kind::Overloaded,
        _ => Kind::Api,
    }
}

/// The kind of an error in a stream, whose status is as told.
fn of_event(told: u16, error: &ProviderError<'_>) -> Kind {
    let names = |part: &str| error.names().any(|name| name.contains(part));
    match told {
        429 => Kind::RateLimit,
        400..=499 => Kind::Invalid,
        503 => Kind::Unavailable,
        504 => Kind::Timeout,
        529 => Kind::Overloaded,
        _ if names("rate_limit") => Kind::RateLimit,
        _ if names("overloaded") => Kind::Overloaded,
        _ => Kind::Api,
    }
}

/// The status that an error in a stream tells as its code.
fn told_status(body: &[u8], error: &ProviderError<'_>) -> Option<u16> {
    let status = member(body, b"status");
    let told = [error.code.as_deref().map(str::as_bytes), status];
    let mut told = told.into_iter().flatten();
    told.find_map(|told| {
        let told = u16::try_from(usage::digits(told)?).ok()?;
        (400..=599).contains(&told).then_some(told)
    })
}

/// The text of a member of the error, or of what holds it.
fn member<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let root = root_of(body);
    let error = json::member(root, b"error").map_or(root, |error| error.value.text);
    Some(json::member(error, name)?.value.text)
}

/// Whether the prompt is too long, and by how much.
fn by_how_much(
    status: u16,
    is_event: bool,
    body: &[u8],
    error: &ProviderError<'_>,
) -> Option<Overflow> {
    let message = error.message.as_deref().unwrap_or_default();
    let lower = message.to_ascii_lowercase();
    let is_believed = is_event || matches!(status, 400 | 403 | 413 | 422);
    let is_overflow = overflow::is_named(error) || is_believed && overflow::is_told(error);
    if !is_overflow {
        return None;
    }
    let told = |name: &[u8]| usage::digits(member(body, name)?);
    let behind = |words: &str| number_behind(&lower, words);
    let before = |words: &str| number_before(&lower, words);
    Some(Overflow {
        prompt: told(b"n_prompt_tokens")
            .or_else(|| behind("resulted in"))
            .or_else(|| behind("prompt contains"))
            .or_else(|| before(" in the messages")),
        limit: told(b"n_ctx").or_else(|| behind("maximum context length is")),
        output: before(" output tokens").or_else(|| before(" in the completion")),
    })
}

/// The first number behind `words`, with at most a few words between.
fn number_behind(text: &str, words: &str) -> Option<u64> {
    let (_, behind) = text.split_once(words)?;
    let start = behind.find(|letter: char| letter.is_ascii_digit())?;
    let between = behind.get(..start)?;
    let is_near = between.len() <= BETWEEN_MAX && !between.contains('.');
    let digits = behind.get(start..).filter(|_| is_near)?;
    let end = digits.find(|letter: char| !letter.is_ascii_digit());
    usage::digits(digits.get(..end.unwrap_or(digits.len()))?.as_bytes())
}

/// The number that stands directly before `words`.
fn number_before(text: &str, words: &str) -> Option<u64> {
    let (before, _) = text.split_once(words)?;
    let start = before.rfind(|letter: char| !letter.is_ascii_digit());
    usage::digits(before.get(start.map_or(0, |start| start + 1)..)?.as_bytes())
}

/// Longest text between words and the number that they announce: ` at least `.
const BETWEEN_MAX: usize = 16;
