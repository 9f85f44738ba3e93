//! The id by which a request is found again, here and at the provider.

use crate::base::limits::REQUEST_ID_BYTES_MAX;
use crate::exchange::masks::OwnMasks;
use crate::wire::plain::are_all;
use crate::wire::scan::text;

/// A request's id: visible ASCII, so that it can stand in a header, a log line and JSON as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    length: u8,
}

impl RequestId {
    /// The caller's id where it may be repeated, else a new one of 128 `random` bits.
    #[must_use]
    pub fn of(offered: Option<&[u8]>, random: [u64; 2]) -> Self {
        offered
            .and_then(Self::taken)
            .unwrap_or_else(|| Self::fresh(random))
    }

    /// A provider's own id where it may be repeated, with the keys that `masks` knows masked.
    #[must_use]
    pub fn told(offered: &[u8], masks: &OwnMasks) -> Option<Self> {
        let mut id = Self::taken(offered)?;
        masks.mask_value(id.bytes.get_mut(..usize::from(id.length))?);
        Some(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text::short(self.as_bytes()).unwrap_or_default()
    }

    /// The id as bytes of visible ASCII. Nothing is checked, as it is for text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    fn taken(offered: &[u8]) -> Option<Self> {
        if offered.is_empty() || !are_all(offered, (b'!', b'~'), []) {
            return None;
        }
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes.get_mut(..offered.len())?.copy_from_slice(offered);
        Some(Self {
            bytes,
            length: u8::try_from(offered.len()).ok()?,
        })
    }

    fn fresh(random: [u64; 2]) -> Self {
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        let (places, _) = bytes.as_chunks_mut::<8>();
        let halves = random.iter().flat_map(|word| [word >> 32, word & HALF]);
        for (place, half) in places.iter_mut().zip(halves) {
            *place = digits(half);
        }
        Self {
            bytes,
            length: FRESH_LENGTH,
        }
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The eight hexadecimal digits of a number of 32 bits, all of them at once.
const fn digits(half: u64) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Each half byte goes into a byte of its own, in order.
    let pairs = (half | half << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | bytes << 4) & (0x0f * EACH);
    // From ten on, six more lead into the upper half of the byte: those are letters.
    let letters = ((nibbles + 6 * EACH) >> 4) & EACH;
    let from_digit_to_letter = (b'a' - b'0' - 10) as u64;
    (nibbles + b'0' as u64 * EACH + from_digit_to_letter * letters).to_be_bytes()
}

const HALF: u64 = u32::MAX as u64;
/// Hexadecimal digits of 128 bits.
const FRESH_LENGTH: u8 = 32;
const _: () = assert!(REQUEST_ID_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(FRESH_LENGTH as usize <= REQUEST_ID_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
    const FRESH: &str = "0123456789abcdeffedcba9876543210";

    #[test]
    fn digits_are_those_that_the_library_writes() {
        for half in [0, 1, 0x9, 0xa, 0x99aa_0f0f, 0xfedc_ba98, 0x1234_5678, HALF] {
            assert_eq!(digits(half), *format!("{half:08x}").as_bytes(), "{half}");
        }
    }

    #[test]
    fn keeps_a_fit_id_and_replaces_any_other() {
        let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
        for (offered, expected) in [
            (None, FRESH),
            (Some(""), FRESH),
            (Some("req-1/a:b"), "req-1/a:b"),
            (Some(&*longest), &*longest),
            (Some(&*too_long), FRESH),
            (Some("two words"), FRESH),
            (Some("tab\t"), FRESH),
            (Some("é"), FRESH),
            (Some("a\r\nX-Evil: 1"), FRESH),
        ] {
            let id = RequestId::of(offered.map(str::as_bytes), RANDOM);
            assert_eq!(id.as_str(), expected, "{offered:?}");
        }
    }
}
