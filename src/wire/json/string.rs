//! Where a JSON string ends, and an escape in it: no other file knows.

use std::ops::ControlFlow;

use memchr::memchr2;

use crate::wire::scan::{self, Block, LAST_CONTROL};

/// The first quote or backslash from `at` on.
#[inline]
#[must_use]
pub fn quote_or_backslash(text: &[u8], at: usize) -> Option<usize> {
    // It is near, as a rule.
    let near = text.get(..at.saturating_add(LONG)).unwrap_or(text);
    let found = scan::find(near, at, Block::quotes_and_backslashes, |byte| {
        matches!(byte, b'"' | b'\\')
    });
    found.or_else(|| {
        let step = memchr2(b'"', b'\\', text.get(near.len()..)?)?;
        Some(near.len() + step)
    })
}

/// The first quote, backslash or control character from `at` on.
#[inline]
#[must_use]
pub fn mark(text: &[u8], at: usize) -> Option<usize> {
    scan::find(
        text,
        at,
        |block| block.equal(b'"') | block.equal(b'\\') | block.up_to(LAST_CONTROL),
        |byte| matches!(byte, b'"' | b'\\' | ..=LAST_CONTROL),
    )
}

/// The place behind the string whose content begins at `at`: behind its closing quote.
#[inline]
#[must_use]
pub fn end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = quote_or_backslash(text, at)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// As [`end`]; `None` also where the string holds a character that no string may hold.
#[inline]
#[must_use]
pub fn checked_end(text: &[u8], at: usize) -> Option<usize> {
    // It is short and has no escapes, as a rule.
    if let Some(block) = Block::at(text, at) {
        let marks = block.equal(b'"') | block.equal(b'\\') | block.up_to(LAST_CONTROL);
        let quote = at + marks.trailing_zeros() as usize;
        if marks != 0 && text.get(quote) == Some(&b'"') {
            return Some(quote + 1);
        }
    }
    any_checked_end(text, at)
}

fn any_checked_end(text: &[u8], mut at: usize) -> Option<usize> {
    let long = at.saturating_add(LONG);
    while at < long {
        at = mark(text, at)?;
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape_end(text, at + 1)?,
            _ => return None,
        }
    }
    match piece(text, at) {
        StringPiece::End(end) => Some(end),
        StringPiece::More(_) | StringPiece::Bad => None,
    }
}

/// How far a string is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringPiece {
    /// To its end: the place behind its closing quote.
    End(usize),
    /// To this place: the string goes on beyond the bytes that have arrived.
    More(usize),
    /// Not at all: it holds a character that no string may hold.
    Bad,
}

/// How far a string can be read of which everything before `at` is read. Sixty-four bytes are
/// looked at together, however many escapes are among them.
#[must_use]
pub fn piece(text: &[u8], at: usize) -> StringPiece {
    let looked = scan::string_marks(text, at, |at, mut marks| {
        let mut next = at;
        while marks != 0 {
            let place = marks.trailing_zeros();
            match mark_end(text, at + place as usize) {
                ControlFlow::Continue(end) => next = end,
                ControlFlow::Break(piece) => return ControlFlow::Break(piece),
            }
            // A backslash, and the byte that it escapes.
            marks &= !(0b11 << place);
        }
        ControlFlow::Continue(next)
    });
    let mut at = match looked {
        ControlFlow::Break(piece) => return piece,
        ControlFlow::Continue(at) => at,
    };
    let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=LAST_CONTROL);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(step) = rest.iter().position(is_mark) else {
            return StringPiece::More(text.len());
        };
        match mark_end(text, at + step) {
            ControlFlow::Continue(end) => at = end,
            ControlFlow::Break(piece) => return piece,
        }
    }
}

/// The place behind an escape at `mark`; any other byte there ends the string, or the piece.
fn mark_end(text: &[u8], mark: usize) -> ControlFlow<StringPiece, usize> {
    match text.get(mark) {
        Some(b'"') => ControlFlow::Break(StringPiece::End(mark + 1)),
        Some(b'\\') => match escape_end(text, mark + 1) {
            Some(end) => ControlFlow::Continue(end),
            // The longest escape has six bytes.
            None if text.len() < mark + 6 => ControlFlow::Break(StringPiece::More(mark)),
            None => ControlFlow::Break(StringPiece::Bad),
        },
        _ => ControlFlow::Break(StringPiece::Bad),
    }
}

/// As [`inside_end`]; `None` also where the string is empty.
#[expect(
    clippy::inline_always,
    reason = "its instructions are those of what calls it"
)]
#[inline(always)]
#[must_use]
pub fn text_end(
    input: &[u8],
    start: usize,
    mark: impl Fn(&[u8], usize) -> usize,
) -> Option<(usize, usize)> {
    inside_end(input, start, mark).filter(|(end, _)| *end > start)
}

/// Where the string whose inside begins at `start` ends, at its closing quote, and how long its
/// text is; `None`: the string holds what no string may hold: an escape that there is not, or a
/// character such as a line break, which would end an event's line. `mark` finds the first quote,
/// backslash or control character from a place on, or the input's end.
#[expect(
    clippy::inline_always,
    reason = "its instructions are those of what calls it"
)]
#[inline(always)]
#[must_use]
pub fn inside_end(
    input: &[u8],
    start: usize,
    mark: impl Fn(&[u8], usize) -> usize,
) -> Option<(usize, usize)> {
    let (mut at, mut saved) = (start, 0);
    loop {
        at = mark(input, at);
        if input.get(at) == Some(&b'"') {
            return Some((at, at - start - saved));
        }
        let long = match (input.get(at)?, input.get(at + 1)?) {
            (b'\\', b'u') if input.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
            (b'\\', byte) if SHORT_ESCAPES[usize::from(*byte)] => 2,
            _ => return None,
        };
        at += long;
        saved += long - 1;
    }
}

/// Length in bytes from which a string counts as long.
const LONG: usize = 64;

/// The place behind the escape whose backslash is the byte before `at`.
#[inline]
#[must_use]
pub fn escape_end(text: &[u8], at: usize) -> Option<usize> {
    // Branch prediction cannot tell which escape it is, but does tell that it is one of these.
    match *text.get(at)? {
        byte if SHORT_ESCAPES[usize::from(byte)] => Some(at + 1),
        b'u' => {
            let digits = text.get(at + 1..at + 5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
        }
        _ => None,
    }
}

/// The bytes that follow the backslash of an escape of two bytes.
static SHORT_ESCAPES: [bool; 256] = {
    let mut are = [false; 256];
    let mut place = 0;
    while place < b"\"\\/bfnrt".len() {
        are[b"\"\\/bfnrt"[place] as usize] = true;
        place += 1;
    }
    are
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_ends_at_its_first_quote_that_is_not_escaped(
            inner in "[a\\\\\"]{0,40}", rest in "[ab\"]{0,20}",
        ) {
            let (text, mut at) = (format!("{inner}\"{rest}"), 0);
            let bytes = text.as_bytes();
            let slowly = loop {
                match bytes.get(at) {
                    Some(b'"') => break Some(at + 1),
                    Some(b'\\') => at += 2,
                    Some(_) => at += 1,
                    None => break None,
                }
            };
            prop_assert_eq!(end(bytes, 0), slowly);
        }
    }
}
