//! The one reader of JSON text: a walk from value to value.

use super::bracket::Bracket;
use super::check;
use super::container;
use super::string;
use super::value::{Kind, NotJson, Value, decoded, inner};
use crate::wire::scan::{BLOCK, Block, LAST_CONTROL};

/// A walk through several levels in one pass; [`members`](super::members) of members would read the
/// inner levels twice.
///
/// The walk goes down with [`enter`](Self::enter), and up when [`name`](Self::name) or
/// [`element`](Self::element) find no more. Each value that they find must be entered, read or
/// skipped.
///
/// A [strict](Walk::strict) walk also makes sure that what it steps over is JSON, as
/// [`check`] does: if it comes to its [`end`](Self::end), the text is JSON, as far as
/// that can be told without a look at its UTF-8. It finds a fault in text that is nested too deep
/// for `check`.
pub struct Walk<'a, const STRICT: bool = false> {
    text: &'a [u8],
    at: usize,
    /// Whether a bracket has just been opened, so that no comma is due.
    is_first: bool,
}

impl<'a> Walk<'a> {
    /// A walk that stands before the value that `text` holds.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self::before(text)
    }
}

impl<'a> Walk<'a, true> {
    /// A strict walk that stands before the value that `text` holds.
    #[must_use]
    pub const fn strict(text: &'a [u8]) -> Self {
        Self::before(text)
    }
}

impl<'a, const STRICT: bool> Walk<'a, STRICT> {
    const fn before(text: &'a [u8]) -> Self {
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
    #[inline]
    pub fn name(&mut self) -> Result<Option<Name<'a>>, NotJson> {
        let comma = usize::from(!self.is_first);
        let Some(quoted) = self.plain_name(comma) else {
            return self.any_name();
        };
        let at = self.at + comma;
        (self.at, self.is_first) = (at + quoted.len() + 1, false);
        Ok(Some(Name {
            quoted,
            at,
            has_escapes: false,
        }))
    }

    /// The next name, if it is short, has no escapes, and stands without white space between a
    /// comma, if one is due, and a colon.
    #[inline]
    fn plain_name(&self, comma: usize) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let begins = rest.first_chunk::<{ NEAR + 3 }>()?;
        let (behind, quoted) = rest.split_at_checked(comma)?;
        if behind.first().is_some_and(|byte| *byte != b',') || begins[comma & 1] != b'"' {
            return None;
        }
        let inside = quoted.get(1..)?;
        let places = match Self::marks(Block::at(inside, 0)?) {
            0 => Self::marks(Block::at(inside, BLOCK)?) << BLOCK,
            places => places,
        };
        let end = 1 + places.trailing_zeros() as usize;
        let is_plain = begins.get(comma + end..comma + end + 2) == Some(b"\":");
        if is_plain { quoted.get(..=end) } else { None }
    }

    /// The places at which a string without escapes ends, a bit each.
    #[inline]
    fn marks(block: Block) -> u32 {
        let marks = block.quotes_and_backslashes();
        if STRICT {
            marks | block.up_to(LAST_CONTROL)
        } else {
            marks
        }
    }

    #[inline(never)]
    fn any_name(&mut self) -> Result<Option<Name<'a>>, NotJson> {
        let next = self.entry(Bracket::Object)?;
        if next.is_none() {
            return Ok(None);
        }
        if next != Some(b'"') {
            return Err(self.fault());
        }
        let at = self.at;
        let Some(mark) = string::quote_or_backslash(self.text, at + 1) else {
            return Err(self.cut_off());
        };
        let has_escapes = self.text.get(mark) == Some(&b'\\');
        let end = if has_escapes {
            let Some(end) = string::end(self.text, mark) else {
                return Err(self.cut_off());
            };
            end
        } else {
            mark + 1
        };
        if STRICT && string::checked_end(self.text, at + 1) != Some(end) {
            return Err(self.fault());
        }
        self.at = end;
        if self.peek() != Some(b':') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(Some(Name {
            quoted: self.text.get(at..end).unwrap_or_default(),
            at,
            has_escapes,
        }))
    }

    /// Whether there is another element; if not, the array has ended.
    ///
    /// # Errors
    /// Neither an element nor the array's end follows.
    pub fn element(&mut self) -> Result<bool, NotJson> {
        self.entry(Bracket::Array).map(|next| next.is_some())
    }

    /// Steps over the next value and returns it.
    ///
    /// # Errors
    /// No value follows.
    #[inline]
    pub fn value(&mut self) -> Result<Value<'a>, NotJson> {
        match self.plain_end() {
            Some((kind, end)) => Ok(self.take(kind, end)),
            None => self.any_value(),
        }
    }

    /// The kind of the next value and where it ends, if it is a short string without escapes, a
    /// number of digits, or `null`, with neither white space before it nor the text's end near.
    /// Where nothing is checked, the digits may have points among them.
    #[inline]
    fn plain_end(&self) -> Option<(Kind, usize)> {
        let rest = self.text.get(self.at..)?;
        let begins = rest.first_chunk::<{ BLOCK + 2 }>()?;
        let block = Block::at(begins, 1)?;
        match begins[0] {
            b'"' => {
                let places = Self::marks(block);
                let quote = 1 + places.trailing_zeros() as usize;
                let is_plain = begins.get(quote) == Some(&b'"') && quote <= BLOCK;
                is_plain.then_some((Kind::String, self.at + quote + 1))
            }
            b'0'..=b'9' => {
                // Bytes from `0` on that are none up to `9`.
                let mut digits = block.up_to(b'9') & !block.up_to(b'0' - 1);
                if !STRICT {
                    digits |= block.equal(b'.');
                }
                let end = 1 + digits.trailing_ones() as usize;
                let is_end = matches!(begins.get(end), Some(b',' | b'}' | b']'));
                let is_plain = is_end && !(STRICT && end > 1 && begins[0] == b'0');
                is_plain.then_some((Kind::Number, self.at + end))
            }
            b'n' => match begins {
                [_, b'u', b'l', b'l', b',' | b'}' | b']', ..] => Some((Kind::Null, self.at + 4)),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline(never)]
    fn any_value(&mut self) -> Result<Value<'a>, NotJson> {
        let Some(first) = self.peek() else {
            return Err(self.fault());
        };
        match (first, self.text.get(self.at + 1)) {
            (b'{', Some(b'}')) => return Ok(self.take(Kind::Object, self.at + 2)),
            (b'[', Some(b']')) => return Ok(self.take(Kind::Array, self.at + 2)),
            (_, _) => {}
        }
        if STRICT {
            return self.checked_value(first);
        }
        let (kind, end) = match first {
            b'"' => (Kind::String, string::end(self.text, self.at + 1)),
            b'{' => {
                let end = container::end(self.text, self.at, Bracket::Object);
                (Kind::Object, end)
            }
            b'[' => {
                let end = container::end(self.text, self.at, Bracket::Array);
                (Kind::Array, end)
            }
            _ => return self.scalar(first),
        };
        match end {
            Some(end) => Ok(self.take(kind, end)),
            None => Err(self.cut_off()),
        }
    }

    fn checked_value(&mut self, first: u8) -> Result<Value<'a>, NotJson> {
        let kind = match first {
            b'"' => Kind::String,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => Kind::Number,
        };
        match check::value_end(self.text, self.at) {
            Some(end) => Ok(self.take(kind, end)),
            None => Err(self.fault()),
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

    /// Steps over the comma before the next entry, or over the closing bracket; returns the first
    /// byte of an entry, or `None` behind the bracket.
    #[inline]
    fn entry(&mut self, bracket: Bracket) -> Result<Option<u8>, NotJson> {
        let next = self.peek();
        if next == Some(bracket.closing()) {
            (self.at, self.is_first) = (self.at + 1, false);
            return Ok(None);
        }
        if std::mem::replace(&mut self.is_first, false) {
            return next.map(Some).ok_or(self.fault());
        }
        if next != Some(b',') {
            return Err(self.fault());
        }
        self.at += 1;
        self.peek().map(Some).ok_or(self.fault())
    }

    #[inline]
    fn scalar(&mut self, first: u8) -> Result<Value<'a>, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (kind, length) = match first {
            b'-' | b'0'..=b'9' => {
                let is_of_number = |byte: &&u8| OF_SCALARS[usize::from(**byte)] == OF_NUMBERS;
                (Kind::Number, rest.iter().take_while(is_of_number).count())
            }
            b'n' if rest.starts_with(b"null") => (Kind::Null, 4),
            b't' if rest.starts_with(b"true") => (Kind::True, 4),
            b'f' if rest.starts_with(b"false") => (Kind::False, 5),
            _ => return Err(self.fault()),
        };
        let behind = rest.get(length).copied().unwrap_or_default();
        if OF_SCALARS[usize::from(behind)] != OF_NONE {
            return Err(self.fault());
        }
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
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            Some(_) => self.peek_behind_space(),
            None => None,
        }
    }

    #[cold]
    fn peek_behind_space(&mut self) -> Option<u8> {
        self.at = check::space_end(self.text, self.at);
        self.text.get(self.at).copied()
    }

    const fn fault(&self) -> NotJson {
        NotJson { at: self.at }
    }

    /// The text ends within a string or a container.
    const fn cut_off(&self) -> NotJson {
        NotJson {
            at: self.text.len(),
        }
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

/// What may contain each byte.
static OF_SCALARS: [u8; 256] = {
    let mut all = [OF_NONE; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        all[byte as usize] = match byte {
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' => OF_NUMBERS,
            b'a'..=b'z' => OF_WORDS,
            _ => OF_NONE,
        };
        byte += 1;
    }
    all
};

/// Neither a number nor a word.
const OF_NONE: u8 = 0;
/// Numbers.
const OF_NUMBERS: u8 = 1;
/// The words `true`, `false` and `null`, and no number.
const OF_WORDS: u8 = 2;

/// Length in bytes up to which a name is short.
const NEAR: usize = 2 * BLOCK;

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
