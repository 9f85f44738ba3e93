//! A value of a JSON text, and what it says.

use std::borrow::Cow;

use memchr::memchr;

use crate::wire::scan;

/// The text is not the JSON it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}")]
pub struct NotJson {
    /// Where reading stopped.
    pub at: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its bytes; those of a string include the quotes.
    pub text: &'a [u8],
    /// Its first byte's place in the text that was walked.
    pub at: usize,
    /// What it is.
    pub kind: Kind,
}

impl<'a> Value<'a> {
    /// The place behind its last byte.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// Its place in the text that was walked.
    #[must_use]
    pub const fn span(&self) -> std::ops::Range<usize> {
        self.at..self.end()
    }

    /// Whether it says nothing: `null`, `false`, zero, an empty string, object or array.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self.kind {
            Kind::Null | Kind::False => true,
            Kind::True => false,
            Kind::String => self.inner().is_empty(),
            Kind::Object | Kind::Array => self.inner().trim_ascii().is_empty(),
            Kind::Number => !self.text.iter().any(|byte| matches!(byte, b'1'..=b'9')),
        }
    }

    /// The decoded text of a string; `None` where the value is no string or not decodable.
    #[must_use]
    pub fn string(&self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let inner = self.inner();
        if memchr(b'\\', inner).is_none() {
            return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice(self.text).ok().map(Cow::Owned)
    }

    /// Whether the value is the string `text`, with or without escapes.
    #[inline]
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        let (own, text) = (self.inner(), text.as_bytes());
        if self.kind != Kind::String || own == text {
            return self.kind == Kind::String;
        }
        // A string with escapes begins with one, or with the text's first byte.
        let may_say = own.first() == Some(&b'\\') || own.first() == text.first();
        may_say && self.says_with_escapes(text)
    }

    /// A function of its own, so that nearly all comparisons need no more than a few instructions.
    #[cold]
    fn says_with_escapes(&self, text: &[u8]) -> bool {
        *word(self.text) == *text
    }

    /// What `known` makes of a string as JSON reads it; `None` where the value is no string.
    /// `known` must return `None` for a text with a backslash.
    #[inline]
    #[must_use]
    pub fn known<T>(&self, known: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        if self.kind != Kind::String {
            return None;
        }
        let inner = self.inner();
        known(inner).or_else(|| {
            memchr(b'\\', inner)?;
            known(&decoded(self.text))
        })
    }

    /// A string as JSON reads it, for comparison with known strings. Empty where the value is no
    /// string; a string that is not decodable (half a surrogate pair) stays as it is written.
    #[must_use]
    pub fn word(&self) -> Cow<'a, [u8]> {
        if self.kind != Kind::String {
            return Cow::Borrowed(b"");
        }
        word(self.text)
    }

    /// How long the text of a string is: an escape counts as one byte, and nothing is decoded.
    #[must_use]
    pub fn string_len(&self) -> usize {
        if self.kind != Kind::String {
            return 0;
        }
        text_len(self.inner())
    }

    /// The bytes between the quotes or brackets.
    pub(in crate::wire) fn inner(&self) -> &'a [u8] {
        inner(self.text)
    }
}

/// A quoted string as JSON reads it; see [`Value::word`].
#[must_use]
pub fn word(quoted: &[u8]) -> Cow<'_, [u8]> {
    let inner = inner(quoted);
    if memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    decoded(quoted)
}

#[cold]
pub(super) fn decoded(quoted: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<String>(quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(inner(quoted)),
    }
}

/// The bytes between the quotes or brackets of `text`.
pub(super) fn inner(text: &[u8]) -> &[u8] {
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
}

/// What a string with this `inner` says.
#[must_use]
pub fn text_inside(inner: &[u8]) -> String {
    let quoted = [b"\"", inner, b"\""].concat();
    String::from_utf8_lossy(&word(&quoted)).into_owned()
}

/// How long the text of a string with this `inner` is; see [`Value::string_len`].
#[must_use]
pub fn text_len(inner: &[u8]) -> usize {
    if inner.len() > LONG && memchr(b'\\', inner).is_none() {
        return inner.len();
    }
    let (mut at, mut saved) = (0, 0);
    let is_escape = |byte| byte == b'\\';
    while let Some(escape) = scan::find(inner, at, |block| block.equal(b'\\'), is_escape) {
        let long = if inner.get(escape + 1) == Some(&b'u') {
            6
        } else {
            2
        };
        saved += long - 1;
        at = escape + long;
    }
    inner.len().saturating_sub(saved)
}

/// Length in bytes from which a string counts as long.
const LONG: usize = 64;
