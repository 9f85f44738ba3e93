//! The id by which a request is found again, here and at the provider.

use crate::base::limits::REQUEST_ID_BYTES_MAX;
use crate::exchange::masks::OwnMasks;

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
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn taken(offered: &[u8]) -> Option<Self> {
        if offered.is_empty() || !offered.iter().all(u8::is_ascii_graphic) {
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
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let (places, _) = bytes.as_chunks_mut::<2>();
        let random = random.iter().flat_map(|word| word.to_be_bytes());
        for (place, byte) in places.iter_mut().zip(random) {
            *place = [digit(byte >> 4), digit(byte & 0xf)];
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
