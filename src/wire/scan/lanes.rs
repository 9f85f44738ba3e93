//! Compares text with bytes that are known, and looks for marks in strings, with the widest
//! instructions that the processor has.

use std::ops::Range;

use super::LAST_CONTROL;

/// A reading of text that compares parts of it with known bytes.
pub trait Reading {
    /// What it ends with.
    type End;

    /// Reads. `goes_on` says whether a text goes on, from a place on, with the bytes of a range of
    /// others; a range that is not there is no text's. `mark` finds the first quote, backslash or
    /// control character from a place on, or the text's end.
    ///
    /// It is inlined where the two are: it needs `#[inline(always)]`.
    fn read(
        self,
        goes_on: impl Fn(&[u8], usize, &[u8], Range<usize>) -> bool,
        mark: impl Fn(&[u8], usize) -> usize,
    ) -> Self::End;
}

/// Reads with the instructions that this processor has.
#[inline]
pub fn read<R: Reading>(reading: R) -> R::End {
    read_with::<R, false>(reading)
}

/// As [`read`], for readings that compare with few bytes at a time, behind which there are
/// [`LOOK`] more.
#[inline]
pub fn read_in_looks<R: Reading>(reading: R) -> R::End {
    read_with::<R, true>(reading)
}

#[inline]
fn read_with<R: Reading, const IN_LOOKS: bool>(reading: R) -> R::End {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "the instructions are there, as has just been asked"
        )]
        // SAFETY: this processor has AVX2.
        return unsafe { read_avx2::<R, IN_LOOKS>(reading) };
    }
    reading.read(goes_on, mark)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2<R: Reading, const IN_LOOKS: bool>(reading: R) -> R::End {
    use core::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let load = |bytes: &[u8; HALF]| {
        #[expect(unsafe_code, reason = "a load has no safe form")]
        // SAFETY: thirty-two bytes are there to be read.
        unsafe {
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    };
    let places = |marks: __m256i| _mm256_movemask_epi8(marks).cast_unsigned();
    let alike =
        |one: &[u8; HALF], other: &[u8; HALF]| places(_mm256_cmpeq_epi8(load(one), load(other)));
    let (quote, backslash, control) = (all(b'"'), all(b'\\'), all(LAST_CONTROL));
    let marks = |bytes: &[u8; HALF]| {
        let bytes = load(bytes);
        let is_control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes);
        let is_either = _mm256_or_si256(
            _mm256_cmpeq_epi8(bytes, quote),
            _mm256_cmpeq_epi8(bytes, backslash),
        );
        places(_mm256_or_si256(is_either, is_control))
    };
    reading.read(
        |text, at, known, range| {
            if IN_LOOKS && let Some(goes_on) = goes_on_in_a_look(alike, (text, at), known, &range) {
                return goes_on;
            }
            goes_on_by(alike, text.get(at..), known.get(range))
        },
        |text, at| super::find_half(text, at, marks),
    )
}

/// As [`goes_on_by`], for a few bytes of `known`, behind which there are more, as there are in the
/// text: all are told in one look. `None`: there are too many, or too few behind them.
#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::inline_always,
    reason = "its instructions are those of what calls it"
)]
#[inline(always)]
fn goes_on_in_a_look(
    alike: impl Fn(&[u8; HALF], &[u8; HALF]) -> u32,
    (text, at): (&[u8], usize),
    known: &[u8],
    range: &Range<usize>,
) -> Option<bool> {
    let (text, behind) = (text.get(at..)?, known.get(range.start..)?);
    let (one, other) = (text.first_chunk()?, behind.first_chunk()?);
    let len = range.len();
    let is_short = len <= HALF && len <= behind.len();
    is_short.then(|| (!alike(one, other)).trailing_zeros() as usize >= len)
}

/// Whether `text` begins with `known`. `alike` tells the places where two times thirty-two bytes
/// are the same, a bit each; sixty-four are looked at together.
#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::inline_always,
    reason = "its instructions are those of what calls it"
)]
#[inline(always)]
fn goes_on_by(
    alike: impl Fn(&[u8; HALF], &[u8; HALF]) -> u32,
    text: Option<&[u8]>,
    known: Option<&[u8]>,
) -> bool {
    let (Some(text), Some(known)) = (text, known) else {
        return false;
    };
    let Some(text) = text.get(..known.len()) else {
        return false;
    };
    let (Some(last), Some(known_last)) = (text.last_chunk(), known.last_chunk()) else {
        return text == known;
    };
    let mut pairs = text.as_chunks().0.iter().zip(known.as_chunks().0);
    while let Some((one, other)) = pairs.next() {
        let mut same = alike(one, other);
        if let Some((one, other)) = pairs.next() {
            same &= alike(one, other);
        }
        if same != u32::MAX {
            return false;
        }
    }
    // Those before the last thirty-two are looked at again.
    alike(last, known_last) == u32::MAX
}

fn goes_on(text: &[u8], at: usize, known: &[u8], range: Range<usize>) -> bool {
    let (len, known) = (range.len(), known.get(range));
    known.is_some_and(|known| text.get(at..at + len) == Some(known))
}

fn mark(text: &[u8], at: usize) -> usize {
    let found = super::find(
        text,
        at,
        |block| block.equal(b'"') | block.equal(b'\\') | block.up_to(LAST_CONTROL),
        |byte| matches!(byte, b'"' | b'\\' | ..=LAST_CONTROL),
    );
    found.unwrap_or(text.len())
}

/// So many bytes behind those that are compared let a few be compared in one look.
pub const LOOK: usize = 32;

/// Bytes that AVX2 compares at once.
#[cfg(target_arch = "x86_64")]
const HALF: usize = super::HALF;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compares, and looks for a mark.
    struct Both<'t> {
        text: &'t [u8],
        at: usize,
        known: &'t [u8],
        range: Range<usize>,
    }

    impl Reading for Both<'_> {
        type End = (bool, usize);

        fn read(
            self,
            goes_on: impl Fn(&[u8], usize, &[u8], Range<usize>) -> bool,
            mark: impl Fn(&[u8], usize) -> usize,
        ) -> Self::End {
            (
                goes_on(self.text, self.at, self.known, self.range),
                mark(self.text, self.at),
            )
        }
    }

    fn check(text: &[u8], at: usize, known: &[u8], range: Range<usize>) {
        let both = || Both {
            text,
            at,
            known,
            range: range.clone(),
        };
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=LAST_CONTROL);
        let marked = text[at..].iter().position(is_mark);
        let expected = (
            text[at..].starts_with(&known[range.clone()]),
            marked.map_or(text.len(), |step| at + step),
        );
        for found in [read(both()), read_in_looks(both())] {
            assert_eq!(found, expected, "{text:?} {at} {known:?} {range:?}");
        }
        assert_eq!(both().read(goes_on, mark), expected);
    }

    proptest! {
        #[test]
        fn texts_that_go_on_alike_are_told_from_others(
            known in prop::collection::vec(any::<u8>(), 0..200),
            [from, to, changed] in any::<[prop::sample::Index; 3]>(),
            before in prop::collection::vec(any::<u8>(), 0..70),
            after in prop::collection::vec(any::<u8>(), 0..70),
        ) {
            let from = from.index(known.len() + 1);
            let to = from + to.index(known.len() - from + 1);
            let mut text = [&before, &known[from..to], &after].concat();
            check(&text, before.len(), &known, from..to);
            if !text.is_empty() {
                let at = changed.index(text.len());
                text[at] ^= 0x20;
                check(&text, before.len(), &known, from..to);
                text.truncate(at.max(before.len()));
                check(&text, before.len(), &known, from..to);
            }
        }
    }

    #[test]
    fn a_range_that_is_not_there_is_no_texts() {
        let both = || Both {
            text: b"abc",
            at: 1,
            known: b"abc",
            range: 1..4,
        };
        assert!(!read(both()).0 && !both().read(goes_on, mark).0);
    }
}
