//! The arguments of a call as OpenAI's callers give them: a string that holds JSON, as a rule.

use std::borrow::Cow;

use crate::dialect::prompt::Input;
use crate::wire::json::check::is_json;
use crate::wire::json::{Kind, Value};

/// The arguments: a string is parsed.
pub(super) fn read(arguments: Option<Value<'_>>) -> Input<'_> {
    let Some(arguments) = arguments else {
        return Input::Object(Cow::Borrowed(b"{}"));
    };
    if arguments.kind == Kind::Object {
        return Input::Object(Cow::Borrowed(arguments.text));
    }
    let Some(text) = arguments.string() else {
        return Input::Other(Cow::Borrowed(arguments.text));
    };
    let parsed = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii().as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii().as_bytes().to_vec()),
    };
    if parsed.is_empty() {
        Input::Object(Cow::Borrowed(b"{}"))
    } else if !is_json(&parsed) {
        Input::Other(Cow::Borrowed(arguments.text))
    } else if parsed.first() == Some(&b'{') {
        Input::Object(parsed)
    } else {
        Input::Other(parsed)
    }
}
