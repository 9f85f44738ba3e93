//! Writes JSON: members and elements with their commas, and copied text without white space.

use crate::base::tokens::Tokens;
use crate::wire::json::{self, string};

/// An object or array being written; [`end`](Self::end) closes it.
pub(super) struct Composer<'o> {
    out: &'o mut Vec<u8>,
    closing: u8,
    is_empty: bool,
}

impl<'o> Composer<'o> {
    /// Opens an object.
    pub(super) fn object(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            closing: b'}',
            is_empty: true,
        }
    }

    /// Goes on with an object that is open and has members.
    pub(super) const fn within(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            closing: b'}',
            is_empty: false,
        }
    }

    /// Opens an array.
    pub(super) fn array(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self {
            out,
            closing: b']',
            is_empty: true,
        }
    }

    /// What is being written, for the rest of what was begun elsewhere.
    pub(super) const fn rest(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Begins an element; its text is to be appended to the result.
    pub(super) fn element(&mut self) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out
    }

    /// Begins the member `name`, which needs no escapes; its value is to be appended to the result.
    pub(super) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        let out = self.element();
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, value: &[u8]) {
        self.member(name).extend_from_slice(value);
    }

    /// Adds a member whose value is JSON already, if there is a value.
    pub(super) fn raw_if(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.raw(name, value);
        }
    }

    /// Adds a member whose value is this text, which needs no escapes.
    pub(super) fn word(&mut self, name: &str, value: &str) {
        let out = self.member(name);
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }

    /// Adds a string.
    pub(super) fn string(&mut self, name: &str, value: &str) {
        json::write_string(value, self.member(name));
    }

    /// Adds a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.raw(name, itoa::Buffer::new().format(value).as_bytes());
    }

    /// Closes the object or array.
    pub(super) fn end(self) {
        self.out.push(self.closing);
    }
}

/// Appends counts, each behind the text that stands before it.
pub(super) fn counts(counts: &[(&[u8], Tokens)], out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    for (before, count) in counts {
        out.extend_from_slice(before);
        out.extend_from_slice(digits.format(count.get()).as_bytes());
    }
}

/// Appends valid JSON without the white space between its parts.
pub(super) fn compact(text: &[u8], out: &mut Vec<u8>) {
    // What has been looked at since `from` has no white space that goes.
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string::end(text, at + 1).unwrap_or(text.len()),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.extend_from_slice(text.get(from..at).unwrap_or_default());
                at += 1;
                from = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
}

/// The bytes between the quotes of a JSON string.
pub(super) fn between_quotes(string: &[u8]) -> &[u8] {
    string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compact_text_keeps_its_strings_and_numbers() {
        let mut out = Vec::new();
        compact(
            br#" { "a b" : [ 1.50 , "x \" \\" , 1e400 ] , "" : { } } "#,
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"a b":[1.50,"x \" \\",1e400],"":{}}"#
        );
    }

    proptest! {
        #[test]
        fn compacting_never_panics_nor_adds_a_byte(text in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            compact(&text, &mut out);
            prop_assert!(out.len() <= text.len());
        }
    }
}
