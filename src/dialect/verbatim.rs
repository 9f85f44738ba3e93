//! Copies JSON as it was written, after checking that it is valid.
//!
//! The reader of JSON does not validate, and the caller must get valid JSON.

use memchr::memchr;
use serde::de::IgnoredAny;

use crate::wire::json::check::is_json;
use crate::wire::json::{NotJson, Value, Walk, string};

/// What `strictly` reads of `text` in a walk to its end; where that finds a fault, as it does in
/// text that is nested too deep, what `any` reads of text that is JSON.
///
/// # Errors
/// The text is not JSON, or not what is looked for.
pub(super) fn walked<'a, T>(
    text: &'a [u8],
    strictly: impl FnOnce(Walk<'a, true>) -> Result<T, NotJson>,
    any: impl FnOnce(Walk<'a>) -> Result<T, NotJson>,
) -> Result<T, NotJson> {
    if simdutf8::basic::from_utf8(text).is_ok()
        && let Ok(read) = strictly(Walk::strict(text))
    {
        return Ok(read);
    }
    if is_json(text) {
        any(Walk::new(text))
    } else {
        Err(NotJson { at: 0 })
    }
}

/// The inside of a string, escapes as written.
///
/// # Errors
/// The value is no string, or holds a character that no JSON string may hold.
pub(super) fn string<'a>(value: &Value<'a>) -> Result<&'a [u8], NotJson> {
    let fault = NotJson { at: value.at };
    let [b'"', inner @ .., b'"'] = value.text else {
        return Err(fault);
    };
    // The loop has no early exit, so that the compiler checks many bytes at a time.
    let has_control = inner.iter().fold(false, |any, byte| any | (*byte < b' '));
    if has_control || !is_inside(inner) {
        return Err(fault);
    }
    Ok(inner)
}

/// Whether `inner`, which has no control character and no unescaped quote, is the inside of a
/// string.
pub(super) fn is_inside(inner: &[u8]) -> bool {
    // The loop has no early exit, so that the compiler looks at many bytes at a time.
    let is_plain = |all, byte: &u8| all & byte.is_ascii() & (*byte != b'\\');
    inner.iter().fold(true, is_plain) || is_inside_with_care(inner)
}

fn is_inside_with_care(inner: &[u8]) -> bool {
    has_good_escapes(inner) && std::str::from_utf8(inner).is_ok()
}

/// Appends the text of `value`, compact, as the inside of a JSON string: numbers and the order of
/// keys stay as they are.
///
/// # Errors
/// The value is not JSON; nothing was appended.
pub(super) fn write_compact(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let is_json = std::str::from_utf8(value.text).is_ok()
        && serde_json::from_slice::<IgnoredAny>(value.text).is_ok();
    if !is_json {
        return Err(NotJson { at: value.at });
    }
    let (text, mut at) = (value.text, 0);
    while let Some(byte) = text.get(at) {
        let end = match byte {
            b'"' => string::end(text, at + 1).unwrap_or(text.len()),
            _ => at + 1,
        };
        if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            for byte in text.get(at..end).unwrap_or_default() {
                if let b'"' | b'\\' = byte {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
        }
        at = end;
    }
    Ok(())
}

fn has_good_escapes(inner: &[u8]) -> bool {
    let mut at = 0;
    while let Some(step) = memchr(b'\\', inner.get(at..).unwrap_or_default()) {
        match string::escape_end(inner, at + step + 1) {
            Some(end) => at = end,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json;

    fn first(list: &str) -> Value<'_> {
        json::elements(list.as_bytes()).next().unwrap().unwrap()
    }

    #[test]
    fn only_what_is_a_json_string_is_copied() {
        for good in [
            r#"[""]"#,
            r#"["a\"\\\/\b\f\n\r\t\u00e9\ud83d é 水"]"#,
            r#"["\\u"]"#,
        ] {
            let value = first(good);
            let inner = string(&value).unwrap();
            assert_eq!([b"\"", inner, b"\""].concat(), value.text, "{good}");
        }
        for bad in [
            r#"["\x"]"#,
            r#"["\u12"]"#,
            r#"["\u12g4"]"#,
            "[\"a\nb\"]",
            "[\"\u{1}\"]",
            "[7]",
        ] {
            assert!(string(&first(bad)).is_err(), "{bad}");
        }
        let broken = json::elements(b"[\"\xC3\"]").next().unwrap().unwrap();
        assert!(string(&broken).is_err());
    }

    #[test]
    fn a_value_becomes_compact_text() {
        for (list, expected) in [
            ("[{ \"a\" : 1 }]", r#"{\"a\":1}"#),
            (
                "[{\"b\":[ 123456789012345678901234567890, 1.0 ],\n\"a\":\" x\\\" \\\\\" }]",
                r#"{\"b\":[123456789012345678901234567890,1.0],\"a\":\" x\\\" \\\\\"}"#,
            ),
        ] {
            let value = first(list);
            let mut out = Vec::new();
            write_compact(&value, &mut out).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            let quoted = [b"\"", out.as_slice(), b"\""].concat();
            let text: String = serde_json::from_slice(&quoted).unwrap();
            let there: serde_json::Value = serde_json::from_str(&text).unwrap();
            let here: serde_json::Value = serde_json::from_slice(value.text).unwrap();
            assert_eq!(there, here);
        }
        let mut out = Vec::new();
        assert!(write_compact(&first("[{\"a\" 1}]"), &mut out).is_err() && out.is_empty());
    }
}
