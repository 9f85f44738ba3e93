//! Errors that a provider returned: brought into OpenAI's shape, and read for what they mean.

use std::borrow::Cow;

use memchr::memmem;
use serde::de::IgnoredAny;

use crate::base::limits::ERROR_MESSAGE_BYTES_MAX;
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;

/// Appends what the caller is told of an error answer. A body that has OpenAI's shape stays as it
/// is, but for keys that are missing or of the wrong type; any other is replaced by its message.
pub fn error_in_openai_shape(
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let is_text = content_type.is_some_and(|name| {
        name.get(..10)
            .is_some_and(|name| name.eq_ignore_ascii_case("text/plain"))
    });
    Shape {
        status: Some(status),
        is_text,
    }
    .write(body, out);
}

/// Appends what the caller is told of an `error` event of a stream.
pub fn write_in_shape(event: &[u8], out: &mut Vec<u8>) {
    Shape {
        status: None,
        is_text: false,
    }
    .write(event, out);
}

/// Whether an error says that the account has no money: a repeat is pointless, and the caller
/// cannot help it.
#[must_use]
pub fn says_no_credit(body: &[u8]) -> bool {
    let error = ProviderError::read(body);
    let names = [error.kind.as_deref(), error.code.as_deref()];
    if names
        .into_iter()
        .flatten()
        .any(|name| NO_CREDIT_NAMES.contains(&name))
    {
        return true;
    }
    // Long messages quote the request, and so whatever a caller likes.
    let message = error
        .message
        .as_deref()
        .filter(|message| message.len() <= NO_CREDIT_BYTES_MAX);
    let message = message.map(str::to_ascii_lowercase);
    message.is_some_and(|message| NO_CREDIT_WORDS.iter().any(|words| message.contains(words)))
}

/// Whether a refusal is about `stream_options`, which the provider may not know.
#[must_use]
pub fn names_stream_options(body: &[u8]) -> bool {
    memmem::find(body, b"stream_options").is_some()
}

/// What an error says, whatever its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError<'a> {
    /// For a person.
    pub message: Option<Cow<'a, str>>,
    /// `type`
    pub kind: Option<Cow<'a, str>>,
    /// `code`, a number as its digits.
    pub code: Option<Cow<'a, str>>,
}

impl<'a> ProviderError<'a> {
    /// Reads an error's body, or the data of an error event.
    #[must_use]
    pub fn read(body: &'a [u8]) -> Self {
        let root = root_of(body);
        let error = json::member(root, b"error").map(|member| member.value);
        match error {
            Some(error) if error.kind == Kind::Object => Self::of_object(error.text),
            Some(error) if error.kind == Kind::String => Self {
                message: error.string(),
                ..Self::of_object(root)
            },
            Some(_) | None => Self::of_object(root),
        }
    }

    fn of_object(object: &'a [u8]) -> Self {
        let text =
            |name: &[u8]| json::member(object, name).and_then(|member| text_of(&member.value));
        Self {
            message: text(b"message").or_else(|| text(b"detail")),
            kind: text(b"type"),
            code: text(b"code"),
        }
    }
}

/// How an error is to be told.
struct Shape {
    /// The answer's status; an event of a stream has none.
    status: Option<u16>,
    /// Whether the body is plain text, which may be told.
    is_text: bool,
}

impl Shape {
    fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        // The reader below is no validator, and what is told to callers must be JSON.
        if std::str::from_utf8(body).is_err() || serde_json::from_slice::<IgnoredAny>(body).is_err()
        {
            return self.write_text(body, out);
        }
        let root = root_of(body);
        match json::member(root, b"error").map(|member| member.value) {
            Some(error) if error.kind == Kind::Object => self.write_fixed(root, &error, out),
            Some(_) | None => self.write_wrapped(root, out),
        }
    }

    /// A body in OpenAI's shape, mended where it must be.
    fn write_fixed(&self, root: &[u8], error: &Value<'_>, out: &mut Vec<u8>) {
        let mut is_there = [false; KEYS.len()];
        let mut mended = Vec::new();
        let mut is_empty = true;
        for member in json::members(error.text).map_while(Result::ok) {
            is_empty = false;
            let Some(key) = KEYS.iter().position(|key| member.name.is(key.as_bytes())) else {
                continue;
            };
            // Which of two counts would depend on the reader.
            if std::mem::replace(&mut is_there[key], true) {
                return self.write_wrapped(root, out);
            }
            if let Some(with) = self.mended(KEYS[key], &member.value) {
                let span = member.value.span();
                mended.push((error.at + span.start..error.at + span.end, with));
            }
        }
        let mut added = Vec::new();
        for (key, _) in KEYS.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
            added.extend_from_slice(if is_empty { b"" } else { b"," });
            is_empty = false;
            json::write_string(key, &mut added);
            added.push(b':');
            added.extend_from_slice(&self.default(key));
        }
        let mut splice = Splice::new(root);
        mended
            .iter()
            .for_each(|(at, with)| splice.replace(at.clone(), with));
        splice.insert(error.end().saturating_sub(1), &added);
        splice.write(out);
    }

    /// What must stand in place of `value`; `None`: it may stay. Numbers become strings.
    fn mended(&self, key: &str, value: &Value<'_>) -> Option<Vec<u8>> {
        match value.kind {
            Kind::String => None,
            Kind::Null => (key == "message").then(|| self.default(key)),
            Kind::Number | Kind::Object | Kind::Array | Kind::True | Kind::False => {
                Some(json::quoted(&String::from_utf8_lossy(value.text)))
            }
        }
    }

    fn default(&self, key: &str) -> Vec<u8> {
        match key {
            "message" => json::quoted(&self.message()),
            "type" => json::quoted(self.kind()),
            _ => b"null".to_vec(),
        }
    }

    /// Any other JSON: its message in OpenAI's shape.
    fn write_wrapped(&self, root: &[u8], out: &mut Vec<u8>) {
        let mut error = ProviderError::read(root);
        if root.first() == Some(&b'"') {
            error.message = serde_json::from_slice(root).ok().map(Cow::Owned);
        }
        let message = error.message.unwrap_or_else(|| {
            if json::members(root)
                .next()
                .is_some_and(|member| member.is_ok())
            {
                String::from_utf8_lossy(root)
            } else {
                Cow::Owned(self.message())
            }
        });
        let kind = error.kind.unwrap_or(Cow::Borrowed(self.kind()));
        write_error(&message, &kind, error.code.as_deref(), out);
    }

    /// No JSON. Only plain text is told: a page of HTML helps no caller.
    fn write_text(&self, body: &[u8], out: &mut Vec<u8>) {
        let text = std::str::from_utf8(body).map_or("", str::trim);
        if self.is_text && !text.is_empty() && !text.starts_with('<') {
            return write_error(text, self.kind(), None, out);
        }
        write_error(&self.message(), self.kind(), None, out);
    }

    /// What is said where the provider says nothing.
    fn message(&self) -> String {
        match self.status {
            Some(status) => format!("upstream returned HTTP {status}"),
            None => "upstream returned an error".to_owned(),
        }
    }

    /// The `type` that goes with the status.
    fn kind(&self) -> &'static str {
        match self.status {
            Some(402) => "insufficient_quota",
            Some(429) => "rate_limit_error",
            Some(400..=499) => "invalid_request_error",
            Some(503 | 529) => "service_unavailable_error",
            Some(_) | None => "server_error",
        }
    }
}

fn write_error(message: &str, kind: &str, code: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    let mut fits = message.len().min(ERROR_MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(fits) {
        fits -= 1;
    }
    json::write_string(message.get(..fits).unwrap_or_default(), out);
    out.extend_from_slice(b",\"type\":");
    json::write_string(kind, out);
    out.extend_from_slice(b",\"param\":null,\"code\":");
    match code {
        Some(code) => json::write_string(code, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}}");
}

/// The object that speaks for the body: of an array (Gemini) the first one.
fn root_of(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    if body.first() != Some(&b'[') {
        return body;
    }
    json::elements(body)
        .next()
        .and_then(Result::ok)
        .map_or(body, |first| first.text)
}

/// A string, or the text of anything else that says something.
fn text_of<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value.kind {
        Kind::String => value.string(),
        Kind::Null => None,
        Kind::Number | Kind::Object | Kind::Array | Kind::True | Kind::False => {
            std::str::from_utf8(value.text).ok().map(Cow::Borrowed)
        }
    }
}

/// The keys that every error has.
const KEYS: [&str; 4] = ["message", "type", "param", "code"];
/// Types and codes of an account without money: OpenAI's, Anthropic's, and their followers'.
const NO_CREDIT_NAMES: [&str; 7] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient_balance",
    "insufficient_credits",
];
/// What their messages say, in lower case, where type and code say nothing. "You exceeded your
/// current quota" is not among them: Gemini says it of a rate limit.
const NO_CREDIT_WORDS: [&str; 4] = [
    "credit balance is too low",
    "insufficient balance",
    "insufficient credit",
    "billing hard limit",
];
/// Longest message that is searched for these words.
const NO_CREDIT_BYTES_MAX: usize = 300;

#[cfg(test)]
#[path = "provider_error_tests.rs"]
mod tests;
