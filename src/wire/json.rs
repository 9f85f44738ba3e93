//! JSON by byte range: one level at a time, no tree, no recursion, no allocation.
//!
//! The reader checks the level it walks: brackets, names, colons, commas, scalars. What is nested
//! deeper is skipped by its quotes and its own kind of bracket alone, a SIMD search each. So it finds
//! its way in any valid JSON and ends, with a fault or without, on anything else; it is no validator.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

/// The members of the object that `text` holds, in order; anything but one object is a fault.
#[must_use]
pub const fn members(text: &[u8]) -> Members<'_> {
    Members {
        reader: Reader { text, at: 0 },
        place: Place::Before,
    }
}

/// The elements of the array that `text` holds, in order; anything but one array is a fault.
#[must_use]
pub const fn elements(text: &[u8]) -> Elements<'_> {
    Elements {
        reader: Reader { text, at: 0 },
        place: Place::Before,
    }
}

/// The first member called `name` of the object that `text` holds; `None` also where it is no object.
#[must_use]
pub fn member<'a>(text: &'a [u8], name: &[u8]) -> Option<Member<'a>> {
    members(text)
        .map_while(Result::ok)
        .find(|member| member.name == name)
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

/// What takes `member` out of the object `text`: the member with one of its commas.
#[must_use]
pub fn removal(text: &[u8], member: &Member<'_>) -> std::ops::Range<usize> {
    let end = member.value.end();
    let before = text.get(..member.at).unwrap_or_default().trim_ascii_end();
    if before.last() == Some(&b',') {
        return before.len() - 1..end;
    }
    let after = text.get(end..).unwrap_or_default();
    let space = after.len() - after.trim_ascii_start().len();
    if after.get(space) == Some(&b',') {
        member.at..end + space + 1
    } else {
        member.at..end
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

    /// How long the text of a string is: an escape counts as one byte, nothing is decoded.
    #[must_use]
    pub fn string_len(&self) -> usize {
        if self.kind != Kind::String {
            return 0;
        }
        let inner = self.inner();
        let (mut at, mut saved) = (0, 0);
        while let Some(step) = inner.get(at..).and_then(|rest| memchr(b'\\', rest)) {
            let long = if inner.get(at + step + 1) == Some(&b'u') {
                6
            } else {
                2
            };
            saved += long - 1;
            at += step + long;
        }
        inner.len().saturating_sub(saved)
    }

    /// What stands between the quotes or brackets.
    fn inner(&self) -> &'a [u8] {
        self.text
            .get(1..self.text.len().saturating_sub(1))
            .unwrap_or_default()
    }
}

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name between the quotes, escapes as written.
    pub name: &'a [u8],
    /// Place of the name's opening quote.
    pub at: usize,
    /// Its value.
    pub value: Value<'a>,
}

/// Walks the members of an object; see [`members`].
pub struct Members<'a> {
    reader: Reader<'a>,
    place: Place,
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.reader.turn(&mut self.place, b'{', b'}') {
            Ok(false) => return None,
            Ok(true) => self.reader.member(),
            Err(fault) => Err(fault),
        };
        if next.is_err() {
            self.place = Place::After;
        }
        Some(next)
    }
}

/// Walks the elements of an array; see [`elements`].
pub struct Elements<'a> {
    reader: Reader<'a>,
    place: Place,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.reader.turn(&mut self.place, b'[', b']') {
            Ok(false) => return None,
            Ok(true) => self.reader.value(),
            Err(fault) => Err(fault),
        };
        if next.is_err() {
            self.place = Place::After;
        }
        Some(next)
    }
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    Before,
    /// Behind a value.
    Inside,
    /// At the end, or at a fault.
    After,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Steps over what stands before the next entry; false: there is none, and the text ends well.
    fn turn(&mut self, place: &mut Place, open: u8, close: u8) -> Result<bool, NotJson> {
        match *place {
            Place::After => return Ok(false),
            Place::Before => {
                self.expect(open)?;
                *place = Place::Inside;
                if self.peek() != Some(close) {
                    return Ok(true);
                }
            }
            Place::Inside => {
                if self.peek() == Some(b',') {
                    self.at += 1;
                    return Ok(true);
                }
            }
        }
        self.expect(close)?;
        *place = Place::After;
        if self.peek().is_some() {
            Err(self.fault())
        } else {
            Ok(false)
        }
    }

    fn member(&mut self) -> Result<Member<'a>, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let at = self.at;
        let name = self.value()?.inner();
        self.expect(b':')?;
        Ok(Member {
            name,
            at,
            value: self.value()?,
        })
    }

    fn value(&mut self) -> Result<Value<'a>, NotJson> {
        let (kind, end) = match self.peek() {
            Some(b'"') => (Kind::String, string_end(self.text, self.at)),
            Some(b'{') => (Kind::Object, container_end(self.text, self.at, b'{', b'}')),
            Some(b'[') => (Kind::Array, container_end(self.text, self.at, b'[', b']')),
            Some(_) => return self.scalar(),
            None => return Err(self.fault()),
        };
        match end {
            Some(end) => Ok(self.take(kind, end)),
            None => Err(NotJson {
                at: self.text.len(),
            }),
        }
    }

    fn scalar(&mut self) -> Result<Value<'a>, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_scalar(**byte)).count();
        let word = rest.get(..length).unwrap_or_default();
        let kind = match word {
            b"null" => Kind::Null,
            b"true" => Kind::True,
            b"false" => Kind::False,
            [b'-' | b'0'..=b'9', ..] if !word.iter().any(|byte| is_letter_of_words(*byte)) => {
                Kind::Number
            }
            _ => return Err(self.fault()),
        };
        Ok(self.take(kind, self.at + length))
    }

    /// The value that ends before `end`, and steps behind it.
    fn take(&mut self, kind: Kind, end: usize) -> Value<'a> {
        let at = std::mem::replace(&mut self.at, end);
        Value {
            text: self.text.get(at..end).unwrap_or_default(),
            at,
            kind,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not white space, without stepping over it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    const fn fault(&self) -> NotJson {
        NotJson { at: self.at }
    }
}

/// Bytes that numbers and the three words are made of.
const fn is_scalar(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'E')
}

/// Letters of the three words that no number has.
const fn is_letter_of_words(byte: u8) -> bool {
    matches!(byte, b'a'..=b'd' | b'f'..=b'z')
}

/// The place behind the string whose quote opens at `open`.
fn string_end(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The place behind the container that opens at `at`. Brackets of the other kind need no look: in
/// valid JSON they pair up in between.
fn container_end(text: &[u8], mut at: usize, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        at += memchr3(b'"', open, close, text.get(at..)?)?;
        let byte = *text.get(at)?;
        if byte == b'"' {
            at = string_end(text, at)?;
            continue;
        }
        at += 1;
        if byte == open {
            depth += 1;
        } else if depth == 1 {
            return Some(at);
        } else {
            depth -= 1;
        }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
