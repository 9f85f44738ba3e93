//! Looks for bytes in text, sixteen at a time.
//!
//! The byte is near, as a rule: a quote behind a short string, a bracket behind a number. A call
//! into a library, and its choice of instructions, would take longer than the search.

use std::ops::ControlFlow;

pub mod brackets;
pub mod lanes;
pub mod text;

/// Sixteen bytes that are compared at once.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Block(core::arch::x86_64::__m128i);

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the instructions are those of every x86_64")]
impl Block {
    /// The bytes of `text` from `at` on; `None`: there are less than sixteen.
    #[inline]
    #[must_use]
    pub fn at(text: &[u8], at: usize) -> Option<Self> {
        use core::arch::x86_64::_mm_loadu_si128;
        let bytes = text.get(at..)?.first_chunk::<BLOCK>()?;
        // SAFETY: SSE2 belongs to x86_64, and sixteen bytes are there to be read.
        Some(Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }))
    }

    /// The places of `byte`, a bit each.
    #[inline]
    #[must_use]
    pub fn equal(self, byte: u8) -> u32 {
        use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: SSE2 belongs to x86_64.
        let places = unsafe {
            let wanted = _mm_set1_epi8(byte.cast_signed());
            _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, wanted))
        };
        places.cast_unsigned()
    }

    /// The places of bytes up to `last`, a bit each.
    #[inline]
    #[must_use]
    pub fn up_to(self, last: u8) -> u32 {
        use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: SSE2 belongs to x86_64.
        let places = unsafe {
            let last = _mm_set1_epi8(last.cast_signed());
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(self.0, last), self.0))
        };
        places.cast_unsigned()
    }
}

/// Sixteen bytes that are compared one after the other: the compiler's code for this is fast
/// enough.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub struct Block([u8; 16]);

#[cfg(not(target_arch = "x86_64"))]
impl Block {
    /// The bytes of `text` from `at` on; `None`: there are less than sixteen.
    #[inline]
    #[must_use]
    pub fn at(text: &[u8], at: usize) -> Option<Self> {
        Some(Self(*text.get(at..)?.first_chunk::<BLOCK>()?))
    }

    /// The places of `byte`, a bit each.
    #[inline]
    #[must_use]
    pub fn equal(self, byte: u8) -> u32 {
        self.places(|own| own == byte)
    }

    /// The places of bytes up to `last`, a bit each.
    #[inline]
    #[must_use]
    pub fn up_to(self, last: u8) -> u32 {
        self.places(|own| own <= last)
    }

    #[inline]
    fn places(self, is_one: impl Fn(u8) -> bool) -> u32 {
        let bits = self.0.iter().enumerate();
        bits.fold(0, |all, (place, own)| {
            all | u32::from(is_one(*own)) << place
        })
    }
}

impl Block {
    /// The places of quotes and backslashes, a bit each.
    #[inline]
    #[must_use]
    pub fn quotes_and_backslashes(self) -> u32 {
        self.equal(b'"') | self.equal(b'\\')
    }
}

/// Bytes of a block.
pub const BLOCK: usize = 16;

/// Bytes that [`string_marks`] looks at in one step.
const WIDE: usize = 64;
/// Bytes that AVX2 compares at once.
#[cfg(target_arch = "x86_64")]
const HALF: usize = WIDE / 2;
/// The last of the characters that a string may hold only as escapes.
pub const LAST_CONTROL: u8 = 0x1f;

/// Looks at `text` from `at` on, sixty-four bytes at a time. `visit` is told where they begin and
/// where among them there are quotes, backslashes and control characters, a bit each; it returns
/// where to go on. Ends with the value that `visit` breaks with, or where less than sixty-four
/// bytes are left.
pub fn string_marks<R>(
    text: &[u8],
    at: usize,
    visit: impl FnMut(usize, u64) -> ControlFlow<R, usize>,
) -> ControlFlow<R, usize> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "the instructions are there, as has just been asked"
        )]
        // SAFETY: this processor has AVX2.
        return unsafe { string_marks_avx2(text, at, visit) };
    }
    string_marks_in_blocks(text, at, visit)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn string_marks_avx2<R>(
    text: &[u8],
    at: usize,
    visit: impl FnMut(usize, u64) -> ControlFlow<R, usize>,
) -> ControlFlow<R, usize> {
    use core::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let (quote, backslash, control) = (all(b'"'), all(b'\\'), all(LAST_CONTROL));
    let half = |bytes: __m256i| {
        let is_control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes);
        let is_either = _mm256_or_si256(
            _mm256_cmpeq_epi8(bytes, quote),
            _mm256_cmpeq_epi8(bytes, backslash),
        );
        _mm256_movemask_epi8(_mm256_or_si256(is_either, is_control)).cast_unsigned()
    };
    walk_wide(text, at, visit, |bytes| {
        let [low, high] = [0, WIDE / 2].map(|from| {
            #[expect(unsafe_code, reason = "a load has no safe form")]
            // SAFETY: thirty-two bytes from here on are within the sixty-four.
            half(unsafe { _mm256_loadu_si256(bytes.as_ptr().add(from).cast()) })
        });
        u64::from(low) | u64::from(high) << (WIDE / 2)
    })
}

fn string_marks_in_blocks<R>(
    text: &[u8],
    at: usize,
    visit: impl FnMut(usize, u64) -> ControlFlow<R, usize>,
) -> ControlFlow<R, usize> {
    walk_wide(text, at, visit, |bytes| {
        let mut places = 0;
        for number in 0..WIDE / BLOCK {
            if let Some(block) = Block::at(bytes, number * BLOCK) {
                let marks = block.equal(b'"') | block.equal(b'\\') | block.up_to(LAST_CONTROL);
                places |= u64::from(marks) << (number * BLOCK);
            }
        }
        places
    })
}

#[inline]
fn walk_wide<R>(
    text: &[u8],
    mut at: usize,
    mut visit: impl FnMut(usize, u64) -> ControlFlow<R, usize>,
    marks: impl Fn(&[u8; WIDE]) -> u64,
) -> ControlFlow<R, usize> {
    while let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        at = match marks(bytes) {
            0 => at + WIDE,
            places => visit(at, places)?.max(at + WIDE),
        };
    }
    ControlFlow::Continue(at)
}

/// A walk over the fields of a message's head.
pub trait HeadWalk {
    /// What it ends with.
    type End;

    /// Walks. From a place on, `token_end` finds the first byte that no token has (RFC 9110,
    /// section 5.6.2), and `text_end` the first that no value has (section 5.5), a control
    /// character besides the tab; both find the end of the text where there is none.
    ///
    /// It is inlined where the two are: it needs `#[inline(always)]`.
    fn walk(
        self,
        token_end: impl Fn(&[u8], usize) -> usize,
        text_end: impl Fn(&[u8], usize) -> usize,
    ) -> Self::End;
}

/// Walks with the instructions that this processor has.
pub fn walk_head<W: HeadWalk>(walk: W) -> W::End {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "the instructions are there, as has just been asked"
        )]
        // SAFETY: this processor has AVX2.
        return unsafe { walk_head_avx2(walk) };
    }
    walk.walk(token_end, text_end)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn walk_head_avx2<W: HeadWalk>(walk: W) -> W::End {
    use core::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_andnot_si256,
        _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
        _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_srli_epi16,
    };
    let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let table = |bytes: &[u8; BLOCK]| {
        #[expect(unsafe_code, reason = "a load has no safe form")]
        // SAFETY: sixteen bytes are there to be read.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    };
    let places = |marks: __m256i| _mm256_movemask_epi8(marks).cast_unsigned();
    let (rows_of_low, row_of_high) = (table(&TOKEN_ROWS), table(&ROW_OF_HIGH));
    let (low, control, tab, delete) = (all(0xf), all(LAST_CONTROL), all(b'\t'), all(DELETE));
    let load = |bytes: &[u8; HALF]| {
        #[expect(unsafe_code, reason = "a load has no safe form")]
        // SAFETY: thirty-two bytes are there to be read.
        unsafe {
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    };
    let no_token = |bytes: &[u8; HALF]| {
        let bytes = load(bytes);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low);
        // A byte over 0x7f is in no row: the shuffle by it gives zero.
        let rows = _mm256_shuffle_epi8(rows_of_low, bytes);
        let row = _mm256_shuffle_epi8(row_of_high, high);
        let is_none = _mm256_cmpeq_epi8(_mm256_and_si256(rows, row), _mm256_setzero_si256());
        places(is_none)
    };
    let no_text = |bytes: &[u8; HALF]| {
        let bytes = load(bytes);
        let is_low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes);
        let is_low = _mm256_andnot_si256(_mm256_cmpeq_epi8(bytes, tab), is_low);
        places(_mm256_or_si256(is_low, _mm256_cmpeq_epi8(bytes, delete)))
    };
    walk.walk(
        |text, at| find_half(text, at, no_token),
        |text, at| find_half(text, at, no_text),
    )
}

/// The first place from `at` on of which `marks` has a bit, which zeros must have.
#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::inline_always,
    reason = "its instructions are those of what calls it"
)]
#[inline(always)]
fn find_half(text: &[u8], mut at: usize, marks: impl Fn(&[u8; HALF]) -> u32) -> usize {
    // At each of these places, as many bytes as are looked at are there.
    let places = text.len().saturating_sub(HALF - 1);
    while at < places {
        #[expect(
            unsafe_code,
            reason = "a check would be one more for each name and value"
        )]
        // SAFETY: thirty-two bytes from here on are within the text, as has just been compared.
        let bytes = unsafe { &*text.as_ptr().add(at).cast() };
        let marks = marks(bytes);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += HALF;
    }
    let rest = text.len().saturating_sub(at);
    // The last bytes are looked at together with those before them.
    let marks = match text.last_chunk() {
        Some(last) => u64::from(marks(last)) >> (HALF - rest),
        None => {
            let mut bytes = [0; HALF];
            bytes[..text.len()].copy_from_slice(text);
            u64::from(marks(&bytes)) >> at.min(HALF)
        }
    };
    at + rest.min(marks.trailing_zeros() as usize)
}

/// The first byte from `at` on that no token has.
fn token_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| !is_of_token(*byte));
    end.map_or(text.len(), |end| at + end)
}

/// The first control character from `at` on besides the tab.
pub fn text_end(text: &[u8], at: usize) -> usize {
    let controls =
        |block: Block| block.up_to(LAST_CONTROL) & !block.equal(b'\t') | block.equal(DELETE);
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    find(text, at, controls, is_control).unwrap_or(text.len())
}

/// Whether a token may have the byte (RFC 9110, section 5.6.2).
#[inline]
#[must_use]
pub fn is_of_token(byte: u8) -> bool {
    OF_TOKENS[usize::from(byte)]
}

/// The bytes that a token may have.
const OF_TOKENS: [bool; 256] = {
    let (mut is_one, mut byte) = ([false; 256], 0_u8);
    while byte.is_ascii() {
        is_one[byte as usize] = byte.is_ascii_alphanumeric() || is_mark(byte);
        byte += 1;
    }
    is_one
};

/// For each lower half of a byte, the rows in which it is one that a token may have, a bit each.
static TOKEN_ROWS: [u8; BLOCK] = {
    let (mut rows, mut byte) = ([0; BLOCK], 0_u8);
    while byte.is_ascii() {
        if OF_TOKENS[byte as usize] {
            rows[byte as usize & 0xf] |= 1 << (byte >> 4);
        }
        byte += 1;
    }
    rows
};

/// For each upper half of a byte, its row.
static ROW_OF_HIGH: [u8; BLOCK] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

/// Whether a token may have it, though it is no letter and no digit.
const fn is_mark(byte: u8) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        if marks[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

/// The control character that is not among the first.
const DELETE: u8 = 0x7f;

/// The first place from `at` on that `blockwise` and `single`, which must agree, find.
#[inline]
pub fn find(
    text: &[u8],
    mut at: usize,
    blockwise: impl Fn(Block) -> u32,
    single: impl Fn(u8) -> bool,
) -> Option<usize> {
    while let Some(block) = Block::at(text, at) {
        let places = blockwise(block);
        if places != 0 {
            return Some(at + places.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    let rest = text.get(at..)?;
    let place = rest.iter().position(|byte| single(*byte))?;
    Some(at + place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::field;

    /// All places of marks, and the place where less than sixty-four bytes are left.
    fn marked(text: &[u8], at: usize, is_portable: bool) -> (Vec<usize>, usize) {
        let mut places = Vec::new();
        let visit = |at: usize, marks: u64| {
            places.extend(
                (0..WIDE)
                    .filter(|place| marks >> place & 1 == 1)
                    .map(|p| at + p),
            );
            ControlFlow::<(), usize>::Continue(at)
        };
        let end = if is_portable {
            string_marks_in_blocks(text, at, visit)
        } else {
            string_marks(text, at, visit)
        };
        let ControlFlow::Continue(end) = end else {
            unreachable!("nothing breaks off")
        };
        (places, end)
    }

    /// Finds both ends from a place on.
    struct Both<'t>(&'t [u8], usize);

    impl HeadWalk for Both<'_> {
        type End = (usize, usize);

        fn walk(
            self,
            token_end: impl Fn(&[u8], usize) -> usize,
            text_end: impl Fn(&[u8], usize) -> usize,
        ) -> Self::End {
            (token_end(self.0, self.1), text_end(self.0, self.1))
        }
    }

    proptest! {
        #[test]
        fn marks_are_found_whatever_the_instructions(
            text in prop::collection::vec(
                prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x20), any::<u8>()], 0..300),
            at in 0_usize..80,
        ) {
            let (places, end) = marked(&text, at, false);
            prop_assert_eq!(&(places.clone(), end), &marked(&text, at, true));
            let slowly = (at..end).filter(|at| matches!(text[*at], b'"' | b'\\' | ..=LAST_CONTROL));
            prop_assert_eq!(places, slowly.collect::<Vec<_>>());
            prop_assert!(end == at || end <= text.len() && text.len() - end < WIDE);
        }

        #[test]
        fn ends_of_names_and_values_are_found_whatever_the_instructions(
            text in prop::collection::vec(
                prop_oneof![6 => prop::sample::select(&b"aZ09-~"[..]), 1 => any::<u8>()], 0..200),
            at in 0_usize..200,
        ) {
            let at = at.min(text.len());
            let slowly = |ends: fn(u8) -> bool| {
                let end = text[at..].iter().position(|byte| ends(*byte));
                end.map_or(text.len(), |end| at + end)
            };
            let expected = (
                slowly(|byte| !field::is_name(&[byte])),
                slowly(|byte| byte.is_ascii_control() && byte != b'\t'),
            );
            prop_assert_eq!(walk_head(Both(&text, at)), expected);
            prop_assert_eq!((token_end(&text, at), text_end(&text, at)), expected);
        }

        #[test]
        fn blocks_and_bytes_find_the_same(
            text in prop::collection::vec(
                prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x20), any::<u8>()], 0..70),
            at in 0_usize..80,
        ) {
            let slowly = |wanted: &dyn Fn(u8) -> bool| {
                let rest = text.get(at..)?;
                Some(at + rest.iter().position(|byte| wanted(*byte))?)
            };
            prop_assert_eq!(
                find(&text, at, |block| block.equal(b'"'), |byte| byte == b'"'),
                slowly(&|byte| byte == b'"')
            );
            for last in [0, 0x1f, 0x20, 0x7f, 0xfe] {
                prop_assert_eq!(
                    find(&text, at, |block| block.up_to(last), |byte| byte <= last),
                    slowly(&|byte| byte <= last)
                );
            }
        }
    }
}
