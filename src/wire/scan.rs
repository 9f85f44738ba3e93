//! Looks for bytes in text, sixteen at a time.
//!
//! What is looked for is near, as a rule: a quote behind a short string, a bracket behind a number.
//! A call into a library, and its choice of instructions, would take longer than the search.

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

    /// The places of the bytes in `wanted`, a bit each.
    #[inline]
    #[must_use]
    pub fn any_of<const N: usize>(self, wanted: [u8; N]) -> u32 {
        use core::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128,
        };
        // SAFETY: SSE2 belongs to x86_64.
        let places = unsafe {
            let any = wanted.iter().fold(_mm_setzero_si128(), |any, byte| {
                let wanted = _mm_set1_epi8(byte.cast_signed());
                _mm_or_si128(any, _mm_cmpeq_epi8(self.0, wanted))
            });
            _mm_movemask_epi8(any)
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

/// Sixteen bytes that are compared one after the other: what compilers make of it will do.
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

    /// The places of the bytes in `wanted`, a bit each.
    #[inline]
    #[must_use]
    pub fn any_of<const N: usize>(self, wanted: [u8; N]) -> u32 {
        self.places(|own| wanted.contains(&own))
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

/// Four blocks one after the other.
#[derive(Clone, Copy)]
pub struct Wide([Block; 4]);

impl Wide {
    /// The bytes of `text` from `at` on; `None`: there are less than sixty-four.
    #[inline]
    #[must_use]
    pub fn at(text: &[u8], at: usize) -> Option<Self> {
        let bytes = text.get(at..)?.first_chunk::<WIDE>()?;
        let block = |number: usize| Block::at(bytes, number * BLOCK);
        Some(Self([block(0)?, block(1)?, block(2)?, block(3)?]))
    }

    /// The places that `of` finds in the blocks, a bit each.
    #[inline]
    #[must_use]
    pub fn places(self, of: impl Fn(Block) -> u32) -> u64 {
        let [first, second, third, fourth] = self.0.map(|block| u64::from(of(block)));
        first | second << BLOCK | third << (2 * BLOCK) | fourth << (3 * BLOCK)
    }
}

/// Bytes of four blocks.
pub const WIDE: usize = 4 * BLOCK;

/// The first place, from `at` on, where `blockwise` and `single` agree that one is.
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

/// The first quote or backslash from `at` on.
#[inline]
#[must_use]
pub fn quote_or_backslash(text: &[u8], at: usize) -> Option<usize> {
    find(
        text,
        at,
        |block| block.equal(b'"') | block.equal(b'\\'),
        |byte| matches!(byte, b'"' | b'\\'),
    )
}

/// The place behind the string whose content begins at `at`: behind its closing quote.
#[inline]
#[must_use]
pub fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = quote_or_backslash(text, at)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
                quote_or_backslash(&text, at),
                slowly(&|byte| byte == b'"' || byte == b'\\')
            );
            for last in [0, 0x1f, 0x20, 0x7f, 0xfe] {
                prop_assert_eq!(
                    find(&text, at, |block| block.up_to(last), |byte| byte <= last),
                    slowly(&|byte| byte <= last)
                );
            }
        }

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
            prop_assert_eq!(string_end(bytes, 0), slowly);
        }
    }
}
