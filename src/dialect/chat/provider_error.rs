//! Errors that a provider returned, brought into OpenAI's shape.

use std::borrow::Cow;

use memchr::memmem;
use serde::de::IgnoredAny;

use crate::base::limits::ERROR_MESSAGE_BYTES_MAX;
use crate::decide::outcome::Topic;
use crate::wire::json::{self, Kind, Value};
use crate::wire::provider_error::{ProviderError, root_of};
use crate::wire::splice::Splice;

/// What is known about an error answer besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The status.
    pub status: u16,
    /// What the error is about.
    pub topic: Topic,
    /// The value of `Content-Type`.
    pub content_type: Option<&'a str>,
}

/// Appends the caller's body for an error answer, and returns the caller's status. A body in
/// OpenAI's shape stays as it is, except keys that are missing or of the wrong type; any other body
/// is replaced by its message. An error about a prompt that is too long gets OpenAI's code and
/// status.
pub fn error_in_openai_shape(
    Circumstances {
        status,
        topic,
        content_type,
    }: Circumstances<'_>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> u16 {
    let is_text = content_type.is_some_and(|name| {
        name.get(..10)
            .is_some_and(|name| name.eq_ignore_ascii_case("text/plain"))
    });
    let (status, code) = match topic {
        Topic::Length => (400, Some(TOO_LONG)),
        Topic::Unknown | Topic::Account | Topic::Content => (status, None),
    };
    Shape {
        status: Some(status),
        code,
        is_text,
    }
    .write(body, out);
    status
}

/// Appends the caller's event for an `error` event of a stream.
pub fn write_in_shape(event: &[u8], out: &mut Vec<u8>) {
    Shape {
        status: None,
        code: None,
        is_text: false,
    }
    .write(event, out);
}

/// An error that is told as it is, but for two codes: Codex takes them for an outage of the model,
/// and does not show what is wrong.
#[must_use]
pub fn without_overload(body: &[u8]) -> Vec<u8> {
    let mut splice = Splice::new(body);
    let error = json::member(body, b"error").map(|member| member.value);
    if let Some(error) = error.filter(|error| error.kind == Kind::Object)
        && let Some(code) = json::member(error.text, b"code").map(|member| member.value)
        && OVERLOAD.iter().any(|known| code.says(known))
    {
        let span = code.span();
        splice.replace(
            error.at + span.start..error.at + span.end,
            b"\"server_error\"",
        );
    }
    let mut told = Vec::with_capacity(body.len());
    splice.write(&mut told);
    told
}

/// Whether a refusal is about `stream_options`, which the provider may not know.
#[must_use]
pub fn names_stream_options(body: &[u8]) -> bool {
    memmem::find(body, b"stream_options").is_some()
}

/// How an error is written for the caller.
struct Shape {
    /// The answer's status; an event of a stream has none.
    status: Option<u16>,
    /// The code for the caller, in place of the provider's.
    code: Option<&'static str>,
    /// Whether the body is plain text, which the caller may see.
    is_text: bool,
}

impl Shape {
    fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        // The reader below does not validate, and callers must get valid JSON.
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

    /// Appends a body in OpenAI's shape, corrected where necessary.
    fn write_fixed(&self, root: &[u8], error: &Value<'_>, out: &mut Vec<u8>) {
        let mut is_there = [false; KEYS.len()];
        let mut mended = Vec::new();
        let mut is_empty = true;
        for member in json::members(error.text).map_while(Result::ok) {
            is_empty = false;
            let Some(key) = KEYS.iter().position(|key| member.name.is(key.as_bytes())) else {
                continue;
            };
            // Of two members with one name, readers would differ in which one counts.
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

    /// The replacement for `value`; `None`: it stays. Numbers become strings.
    fn mended(&self, key: &str, value: &Value<'_>) -> Option<Vec<u8>> {
        if let Some(code) = self.code
            && key == "code"
        {
            let is_there = value.string().as_deref() == Some(code);
            return (!is_there).then(|| json::quoted(code));
        }
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
            "code" => self.code.map_or_else(|| b"null".to_vec(), json::quoted),
            _ => b"null".to_vec(),
        }
    }

    /// Appends the message of any other JSON in OpenAI's shape.
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
        let code = self.code.or(error.code.as_deref());
        write_error(&message, &kind, code, out);
    }

    /// Appends a body that is no JSON. Only plain text is shown: a page of HTML helps no caller.
    fn write_text(&self, body: &[u8], out: &mut Vec<u8>) {
        let text = std::str::from_utf8(body).map_or("", str::trim);
        if self.is_text && !text.is_empty() && !text.starts_with('<') {
            return write_error(text, self.kind(), self.code, out);
        }
        write_error(&self.message(), self.kind(), self.code, out);
    }

    /// The message where the provider states none.
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

/// The keys that every error has.
const KEYS: [&str; 4] = ["message", "type", "param", "code"];
/// Codes that callers of Responses are not told.
const OVERLOAD: [&str; 2] = ["server_is_overloaded", "slow_down"];
/// The code that clients look for when a prompt is longer than the model's window.
const TOO_LONG: &str = "context_length_exceeded";

#[cfg(test)]
#[path = "provider_error_tests.rs"]
mod tests;
