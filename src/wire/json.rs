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

/// A member's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// Between the quotes, escapes as written.
    pub text: &'a [u8],
    /// Place of the opening quote.
    pub at: usize,
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
                name: name.text,
                at: name.at,
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

/// The kinds of brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

impl Bracket {
    const fn opening(self) -> u8 {
        match self {
            Self::Object => b'{',
            Self::Array => b'[',
        }
    }

    const fn closing(self) -> u8 {
        match self {
            Self::Object => b'}',
            Self::Array => b']',
        }
    }
}

/// A walk through several levels in one pass, for where [`members`] of members would read twice.
///
/// It goes down with [`enter`](Self::enter), and up when [`name`](Self::name) or
/// [`element`](Self::element) find no more. What they find must be entered, read or skipped.
pub struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether a bracket has just been opened, so that no comma is due.
    is_first: bool,
}

impl<'a> Walk<'a> {
    /// Stands before the value that `text` holds.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            is_first: false,
        }
    }

    /// Steps into the next value if it has this bracket, else over it.
    ///
    /// # Errors
    /// There is no value.
    pub fn enter(&mut self, bracket: Bracket) -> Result<bool, NotJson> {
        let opens = self.peek() == Some(bracket.opening());
        if opens {
            self.at += 1;
            self.is_first = true;
        } else {
            self.value()?;
        }
        Ok(opens)
    }

    /// The next member's name, its value to follow; `None`: the object has ended.
    ///
    /// # Errors
    /// There is neither.
    pub fn name(&mut self) -> Result<Option<Name<'a>>, NotJson> {
        if !self.goes_on(Bracket::Object)? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let at = self.at;
        let text = self.value()?.inner();
        self.expect(b':')?;
        Ok(Some(Name { text, at }))
    }

    /// Whether there is another element; if not, the array has ended.
    ///
    /// # Errors
    /// There is neither.
    pub fn element(&mut self) -> Result<bool, NotJson> {
        self.goes_on(Bracket::Array)
    }

    /// The next value, stepped over.
    ///
    /// # Errors
    /// There is none.
    pub fn value(&mut self) -> Result<Value<'a>, NotJson> {
        let (kind, end) = match self.peek() {
            Some(b'"') => (Kind::String, string_end(self.text, self.at)),
            Some(b'{') => (
                Kind::Object,
                container_end(self.text, self.at, Bracket::Object),
            ),
            Some(b'[') => (
                Kind::Array,
                container_end(self.text, self.at, Bracket::Array),
            ),
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

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something follows.
    pub fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_some() {
            Err(self.fault())
        } else {
            Ok(())
        }
    }

    fn open(&mut self, bracket: Bracket) -> Result<(), NotJson> {
        self.expect(bracket.opening())?;
        self.is_first = true;
        Ok(())
    }

    /// Steps over what stands before the next entry, or over the closing bracket.
    fn goes_on(&mut self, bracket: Bracket) -> Result<bool, NotJson> {
        let next = self.peek();
        let is_first = std::mem::replace(&mut self.is_first, false);
        if next == Some(bracket.closing()) {
            self.at += 1;
            return Ok(false);
        }
        if is_first {
            return Ok(true);
        }
        self.expect(b',')?;
        Ok(true)
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

    /// The value that ends before `end`, stepped over.
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
fn container_end(text: &[u8], mut at: usize, bracket: Bracket) -> Option<usize> {
    let (open, close) = (bracket.opening(), bracket.closing());
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
