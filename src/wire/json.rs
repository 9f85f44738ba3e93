//! JSON by byte range: one level at a time, no tree, no recursion, no allocation.
//!
//! The reader checks the level it walks: brackets, names, colons, commas, scalars. What is nested
//! deeper is skipped by its quotes and its own kind of bracket alone, a SIMD search each. So it
//! finds its way in any valid JSON and ends, with a fault or without, on anything else; it is no
//! validator.

use std::borrow::Cow;

use memchr::memchr;

use crate::wire::scan;

pub use walk::{Bracket, Name, Walk};

pub mod check;
#[cfg(test)]
pub mod respelt;
mod walk;

/// The members of the object that `text` holds, in order; anything but one object is a fault.
#[must_use]
pub const fn members(text: &[u8]) -> Members<'_> {
    Members {
        walk: Walk::new(text),
        place: Place::Before,
    }
}

/// The elements of the array that `text` holds, in order; anything but one array is a fault.
#[must_use]
pub const fn elements(text: &[u8]) -> Elements<'_> {
    Elements {
        walk: Walk::new(text),
        place: Place::Before,
    }
}

/// The member called `name` of the object that `text` holds, of several the last, as most readers
/// take it; `None` also where it is no object.
#[must_use]
pub fn member<'a>(text: &'a [u8], name: &[u8]) -> Option<Member<'a>> {
    members(text)
        .map_while(Result::ok)
        .filter(|member| member.name.is(name))
        .last()
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a Vec takes every str");
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

/// How long the text is that stands in a string as `inner`; see [`Value::string_len`].
#[must_use]
pub fn text_len(inner: &[u8]) -> usize {
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

/// What takes `member` out of the object `text`: the member with one of its commas.
#[must_use]
pub fn removal(text: &[u8], member: &Member<'_>) -> std::ops::Range<usize> {
    let end = member.value.end();
    let before = text
        .get(..member.name.at)
        .unwrap_or_default()
        .trim_ascii_end();
    if before.last() == Some(&b',') {
        return before.len() - 1..end;
    }
    let after = text.get(end..).unwrap_or_default();
    let space = after.len() - after.trim_ascii_start().len();
    if after.get(space) == Some(&b',') {
        member.name.at..end + space + 1
    } else {
        member.name.at..end
    }
}

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
    /// Its bytes, of a string with the quotes.
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

    /// What a string says; `None` where it is no string or not decodable.
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

    /// Whether it is the string `text`, however that is written.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        *self.word() == *text.as_bytes()
    }

    /// A string as JSON reads it, to be compared with what strings are known. Empty where it is no
    /// string; one that is not decodable (half a surrogate pair) stays as it is written.
    #[inline]
    #[must_use]
    pub fn word(&self) -> Cow<'a, [u8]> {
        if self.kind != Kind::String {
            return Cow::Borrowed(b"");
        }
        word(self.text)
    }

    /// How long the text of a string is: an escape counts as one byte, nothing is decoded.
    #[must_use]
    pub fn string_len(&self) -> usize {
        if self.kind != Kind::String {
            return 0;
        }
        text_len(self.inner())
    }

    /// What stands between the quotes or brackets.
    pub(super) fn inner(&self) -> &'a [u8] {
        inner(self.text)
    }
}

/// A string, given with its quotes, as JSON reads it; see [`Value::word`].
#[inline]
#[must_use]
pub fn word(quoted: &[u8]) -> Cow<'_, [u8]> {
    let inner = inner(quoted);
    if memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    decoded(quoted)
}

#[cold]
fn decoded(quoted: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<String>(quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(inner(quoted)),
    }
}

/// What stands between the quotes or brackets of `text`.
fn inner(text: &[u8]) -> &[u8] {
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
}

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its value.
    pub value: Value<'a>,
}

/// Walks the members of an object; see [`members`].
pub struct Members<'a> {
    walk: Walk<'a>,
    place: Place,
}

impl<'a> Members<'a> {
    fn step(&mut self) -> Result<Option<Member<'a>>, NotJson> {
        if std::mem::replace(&mut self.place, Place::Inside) == Place::Before {
            self.walk.open(Bracket::Object)?;
        }
        match self.walk.name()? {
            Some(name) => Ok(Some(Member {
                name,
                value: self.walk.value()?,
            })),
            None => self.walk.end().map(|()| None),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Place::After {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.place = Place::After;
        }
        step.transpose()
    }
}

/// Walks the elements of an array; see [`elements`].
pub struct Elements<'a> {
    walk: Walk<'a>,
    place: Place,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Value<'a>>, NotJson> {
        if std::mem::replace(&mut self.place, Place::Inside) == Place::Before {
            self.walk.open(Bracket::Array)?;
        }
        if self.walk.element()? {
            return self.walk.value().map(Some);
        }
        self.walk.end().map(|()| None)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Place::After {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.place = Place::After;
        }
        step.transpose()
    }
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    Before,
    /// Behind the bracket or a value.
    Inside,
    /// At the end, or at a fault.
    After,
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
