//! The one reader of JSON text: a walk from value to value.

use super::string;
use super::value::{Kind, NotJson, Value, decoded, inner};
use crate::wire::scan;

/// A walk through several levels in one pass; [`members`](super::members) of members would read the
/// inner levels twice.
///
/// The walk goes down with [`enter`](Self::enter), and up when [`name`](Self::name) or
/// [`element`](Self::element) find no more. Each value that they find must be entered, read or
/// skipped.
pub struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether a bracket has just been opened, so that no comma is due.
    is_first: bool,
}

impl<'a> Walk<'a> {
    /// A walk that stands before the value that `text` holds.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            is_first: false,
        }
    }

    /// Steps into the next value if that opens with this bracket; otherwise steps over it.
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

    /// The next member's name; the walk then stands before its value. `None`: the object has ended.
    ///
    /// # Errors
    /// Neither a member nor the object's end follows.
    pub fn name(&mut self) -> Result<Option<Name<'a>>, NotJson> {
        if !self.goes_on(Bracket::Object)? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let at = self.at;
        let cut_off = NotJson {
            at: self.text.len(),
        };
        let mark = string::quote_or_backslash(self.text, at + 1).ok_or(cut_off)?;
        let has_escapes = self.text.get(mark) == Some(&b'\\');
        let end = if has_escapes {
            string::end(self.text, mark).ok_or(cut_off)?
        } else {
            mark + 1
        };
        self.at = end;
        let quoted = self.text.get(at..end).unwrap_or_default();
        if self.peek() != Some(b':') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(Some(Name {
            quoted,
            at,
            has_escapes,
        }))
    }

    /// Whether there is another element; if not, the array has ended.
    ///
    /// # Errors
    /// Neither an element nor the array's end follows.
    pub fn element(&mut self) -> Result<bool, NotJson> {
        self.goes_on(Bracket::Array)
    }

    /// Steps over the next value and returns it.
    ///
    /// # Errors
    /// No value follows.
    pub fn value(&mut self) -> Result<Value<'a>, NotJson> {
        let (kind, end) = match self.peek() {
            Some(b'"') => (Kind::String, string::end(self.text, self.at + 1)),
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

    /// Checks that nothing follows.
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

    pub(super) fn open(&mut self, bracket: Bracket) -> Result<(), NotJson> {
        if self.peek() != Some(bracket.opening()) {
            return Err(self.fault());
        }
        self.at += 1;
        self.is_first = true;
        Ok(())
    }

    /// Steps over the comma before the next entry, or over the closing bracket.
    #[inline]
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
        if next != Some(b',') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(true)
    }

    fn scalar(&mut self) -> Result<Value<'a>, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| SCALAR[usize::from(**byte)])
            .count();
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

    /// Steps over the value that ends before `end` and returns it.
    fn take(&mut self, kind: Kind, end: usize) -> Value<'a> {
        let at = std::mem::replace(&mut self.at, end);
        Value {
            text: self.text.get(at..end).unwrap_or_default(),
            at,
            kind,
        }
    }

    /// The next byte that is not white space, without stepping over it.
    #[inline]
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

/// A member's name.
///
/// It is compared as JSON reads it: `\u005f` is `_`. Its bytes serve only to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// With its quotes, escapes as written.
    pub quoted: &'a [u8],
    /// Place of the opening quote.
    pub at: usize,
    /// Whether it must be decoded before it can be compared.
    has_escapes: bool,
}

impl<'a> Name<'a> {
    /// The name as JSON reads it: as it is written, or, if it has escapes, decoded in `room`. A
    /// name that is not decodable (half a surrogate pair) equals no known name and stays as it is
    /// written.
    #[inline]
    pub fn read<'r>(&self, room: &'r mut Vec<u8>) -> &'r [u8]
    where
        'a: 'r,
    {
        if !self.has_escapes {
            return inner(self.quoted);
        }
        *room = decoded(self.quoted).into_owned();
        room
    }

    /// Whether it is this name, with or without escapes.
    #[inline]
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        if self.has_escapes {
            return *decoded(self.quoted) == *name;
        }
        inner(self.quoted) == name
    }
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

/// Whether numbers and the words `true`, `false` and `null` may contain this byte.
const fn is_scalar(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'E')
}

/// [`is_scalar`] for each byte.
const SCALAR: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        all[byte as usize] = is_scalar(byte);
        byte += 1;
    }
    all
};

/// Whether this is a letter of those three words that no number has.
const fn is_letter_of_words(byte: u8) -> bool {
    matches!(byte, b'a'..=b'd' | b'f'..=b'z')
}

/// The place behind the container that opens at `at`. Brackets of the other kind are not looked at:
/// in valid JSON they pair up in between.
fn container_end(text: &[u8], mut at: usize, bracket: Bracket) -> Option<usize> {
    let (open, close) = (bracket.opening(), bracket.closing());
    let mut depth = 0_usize;
    loop {
        at = scan::find(
            text,
            at,
            |block| block.equal(b'"') | block.equal(open) | block.equal(close),
            |byte| byte == b'"' || byte == open || byte == close,
        )?;
        let byte = *text.get(at)?;
        at += 1;
        if byte == b'"' {
            at = string::end(text, at)?;
        } else if byte == open {
            depth += 1;
        } else if depth == 1 {
            return Some(at);
        } else {
            depth -= 1;
        }
    }
}
