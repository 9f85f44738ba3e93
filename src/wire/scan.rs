//! Looks for bytes in text, sixteen at a time.
//!
//! The byte is near, as a rule: a quote behind a short string, a bracket behind a number. A call
//! into a library, and its choice of instructions, would take longer than the search.

use std::ops::ControlFlow;

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

/// Bytes of a block.
pub const BLOCK: usize = 16;

/// Bytes that [`string_marks`] looks at in one step.
const WIDE: usize = 64;
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
