//! Which characters texts may have, and which texts may be shown.

use crate::base::limits::{LABEL_BYTES_MAX, MODEL_NAME_BYTES_MAX};
use crate::config::cors;
use crate::config::faults::printable;
use crate::config::raw::keys::{Kind, TextKind};
use crate::config::raw::{Origin, Scalar};
use crate::wire::field;

/// How a value appears in a message: a value that is, or may be, a secret is not shown.
#[must_use]
pub fn shown(kind: Kind, scalar: &Scalar) -> String {
    if let Kind::Headers | Kind::Values | Kind::Text(TextKind::Secret | TextKind::HeaderValue) =
        kind
    {
        return String::from("the value");
    }
    if let Origin::References { written, .. } = &scalar.origin {
        return format!("the value of `{}`", printable(written));
    }
    // A URL with a password in it is not shown either.
    if matches!(kind, Kind::Url) && scalar.text.contains('@') {
        return String::from("the value");
    }
    let number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    let text = printable(&scalar.text);
    if text.bytes().all(number) {
        text
    } else {
        format!("`{text}`")
    }
}

/// What is wrong with a text, as the end of a sentence that starts with it.
#[must_use]
pub fn flaw(of: TextKind, text: &str) -> Option<String> {
    const LONGEST: usize = 4_096;
    let most = match of {
        TextKind::Name | TextKind::Label | TextKind::Header | TextKind::Origin => LABEL_BYTES_MAX,
        TextKind::Model | TextKind::Parameter => MODEL_NAME_BYTES_MAX,
        TextKind::Path | TextKind::Secret | TextKind::HeaderValue => LONGEST,
    };
    if text.is_empty() {
        return Some(String::from("is empty"));
    }
    if text.len() > most {
        return Some(format!("is longer than {most} bytes"));
    }
    let (fits, problem) = match of {
        // Both travel in headers and in URLs.
        TextKind::Name | TextKind::Secret => (
            text.bytes().all(|byte| byte.is_ascii_graphic()),
            "has characters other than visible ASCII",
        ),
        TextKind::Label | TextKind::Model | TextKind::Parameter => (
            text.trim() == text && !text.contains(char::is_control),
            "has control characters, or blanks around it",
        ),
        TextKind::Path => (!text.contains(char::is_control), "has control characters"),
        TextKind::Header => (
            field::is_name(text.as_bytes()),
            "is not the name of a header",
        ),
        TextKind::HeaderValue => (
            text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "has characters other than visible ASCII and blanks",
        ),
        TextKind::Origin => return cors::origin(text).err(),
    };
    (!fits).then(|| problem.to_owned())
}
