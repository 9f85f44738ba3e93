//! What the rules are told of a request, and how they read its body.

use serde_json::{Map, Value};

use crate::ask::Objection;
use crate::endpoint::Endpoint;
use crate::script::Script;

/// What the rules look at beside the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) script: &'a Script,
    pub(super) endpoint: &'a Endpoint,
    /// The value of `anthropic-version`.
    pub(super) version: &'a str,
    /// Whether the request names a beta.
    pub(super) beta: bool,
}

/// The list of messages, which must not be empty.
pub(super) fn messages_of(body: &Map<String, Value>) -> Result<&[Value], Objection> {
    match body.get("messages").and_then(Value::as_array) {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(Objection::bad(
            "messages: a list with at least one entry is required",
        )),
    }
}

/// The value of a key that is there and not null.
pub(super) fn given<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    body.get(key).filter(|value| !value.is_null())
}

/// The text of a key; empty where there is none.
pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The entries of a list; none where the value is no list.
pub(super) fn entries(value: Option<&Value>) -> &[Value] {
    value
        .and_then(Value::as_array)
        .map_or(&[], |list| list.as_slice())
}

/// Whether a name is made of letters, digits, `_` and `-`, and not longer than `most`.
pub(super) fn is_name(name: &str, most: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=most).contains(&name.len()) && name.chars().all(plain)
}
