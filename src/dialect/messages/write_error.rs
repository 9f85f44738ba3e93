//! Writes errors in Anthropic's shape (rules ME2 to ME5 of reference/messages-inbound.md).

use std::borrow::Cow;

use crate::dialect::complaint::{Complaint, Kind, Overflow};
use crate::dialect::compose::Composer;
use crate::dialect::messages::read_error::KINDS;
use crate::wire::json;

/// Appends the body that tells a caller of an error, or the data of an event that does.
pub fn write(complaint: &Complaint<'_>, request_id: &str, out: &mut Vec<u8>) {
    let message = complaint.told();
    let message = match &complaint.overflow {
        Some(overflow) => Cow::Owned(json::quoted(&too_long(overflow, &message))),
        None => message,
    };
    let mut body = Composer::object(out);
    body.string("type", "error");
    let mut error = Composer::object(body.member("error"));
    error.string("type", word(complaint.kind));
    error.raw("message", &message);
    error.end();
    if !request_id.is_empty() {
        body.string("request_id", request_id);
    }
    body.end();
}

/// Anthropic's type.
fn word(kind: Kind) -> &'static str {
    let known = match kind {
        Kind::Unavailable => Kind::Overloaded,
        known => known,
    };
    let row = KINDS.iter().find(|(.., kind)| *kind == known);
    row.map_or("api_error", |(name, ..)| name)
}

/// The message of a prompt that is too long, in Anthropic's words: Claude Code makes its prompt
/// shorter on exactly these.
fn too_long(overflow: &Overflow, message: &[u8]) -> String {
    match *overflow {
        Overflow {
            prompt: Some(prompt),
            limit: Some(limit),
            output: Some(output),
        } if prompt <= limit => format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {output} > {limit}, \
             decrease input length or `max_tokens` and try again"
        ),
        Overflow {
            prompt: Some(prompt),
            limit: Some(limit),
            ..
        } => format!("{TOO_LONG}: {prompt} tokens > {limit} maximum"),
        Overflow { .. } => {
            let message = serde_json::from_slice(message)
                .unwrap_or_else(|_| String::from_utf8_lossy(message).into_owned());
            if message.to_ascii_lowercase().contains(TOO_LONG) {
                message
            } else {
                format!("{TOO_LONG}: {message}")
            }
        }
    }
}

const TOO_LONG: &str = "prompt is too long";

#[cfg(test)]
#[path = "write_error_tests.rs"]
mod tests;
