//! The fields of a head, in one pass.

use std::ops::Range;

use crate::base::limits::HEADERS_MAX;
use crate::wire::head::fault::HeadFault;
use crate::wire::known::{Known, Names};
use crate::wire::scan::HeadWalk;

/// One header field, as ranges of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it was written.
    pub name: Range<usize>,
    /// The value without surrounding white space.
    pub value: Range<usize>,
    /// What the name is known as.
    pub known: Known,
}

/// The lines of `bytes` from the one that begins `at` a place to the empty one.
pub(super) struct Lines<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Room for the fields.
    pub(super) fields: &'a mut Vec<Field>,
}

impl HeadWalk for Lines<'_> {
    /// Where the head ends, and which fields it has.
    type End = Result<(usize, Names), HeadFault>;

    #[expect(clippy::inline_always, reason = "the instructions are chosen outside")]
    #[inline(always)]
    fn walk(
        self,
        token_end: impl Fn(&[u8], usize) -> usize,
        text_end: impl Fn(&[u8], usize) -> usize,
    ) -> Self::End {
        let Self {
            bytes,
            mut at,
            fields,
        } = self;
        let mut names = Names::NONE;
        fields.clear();
        loop {
            let colon = token_end(bytes, at);
            if bytes.get(colon) != Some(&b':') || colon == at {
                let is_empty = colon == at && is_line_end(bytes, at);
                return is_empty
                    .then_some((at + 2, names))
                    .ok_or(HeadFault::Malformed);
            }
            let end = text_end(bytes, colon + 1);
            if !is_line_end(bytes, end) {
                return Err(HeadFault::Malformed);
            }
            if fields.len() == HEADERS_MAX {
                return Err(HeadFault::TooLarge);
            }
            let known = Known::of(&bytes[at..colon]);
            names.add(known);
            fields.push(Field {
                name: at..colon,
                value: trimmed(bytes, colon + 1..end),
                known,
            });
            at = end + 2;
        }
    }
}

/// Whether a line ends `at` a place.
#[inline]
pub(super) fn is_line_end(bytes: &[u8], at: usize) -> bool {
    let both = bytes.get(at..).and_then(<[u8]>::first_chunk);
    both == Some(b"\r\n")
}

/// The part of `text` that surrounding spaces and tabs leave; nothing is `0..0`. There is no other
/// byte up to the space in it.
#[expect(
    clippy::inline_always,
    reason = "a call would cost the walk its registers"
)]
#[inline(always)]
fn trimmed(bytes: &[u8], text: Range<usize>) -> Range<usize> {
    let Range { start, end } = text;
    match &bytes[start..end] {
        // As a rule, one space stands before the value.
        [b' ', first, .., last] if *first > b' ' && *last > b' ' => start + 1..end,
        text => trimmed_anew(text, start),
    }
}

/// As [`trimmed`], for any `text`, which begins at `start`.
#[cold]
fn trimmed_anew(text: &[u8], start: usize) -> Range<usize> {
    let is_other = |byte: &u8| *byte > b' ';
    let ends = text
        .iter()
        .position(is_other)
        .zip(text.iter().rposition(is_other));
    ends.map_or(0..0, |(first, last)| start + first..start + last + 1)
}
