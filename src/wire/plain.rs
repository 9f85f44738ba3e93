//! Whether short texts consist of ordinary bytes alone, eight of them judged at once.

/// Whether all bytes of `text` are from `first` to `last`, both of them ASCII, and none is one of
/// `but`.
#[inline]
#[must_use]
pub fn are_all<const N: usize>(text: &[u8], (first, last): (u8, u8), but: [u8; N]) -> bool {
    let kind = Kind { first, last, but };
    kind.debug_assert();
    let (eights, rest) = text.as_chunks::<8>();
    eights.iter().all(|eight| kind.has_eight(eight))
        && match text.last_chunk::<8>() {
            // Some of the last eight have been judged already.
            Some(last) => rest.is_empty() || kind.has_eight(last),
            None => rest.iter().all(|byte| kind.has(*byte)),
        }
}

/// Appends `text` if all of its bytes are such as [`are_all`] asks for; otherwise appends nothing,
/// and returns false. Texts of up to 32 bytes are judged and copied in the same pieces.
#[inline]
#[must_use]
pub fn append_if_all<const N: usize>(
    out: &mut Vec<u8>,
    text: &[u8],
    (first, last): (u8, u8),
    but: [u8; N],
) -> bool {
    let kind = Kind { first, last, but };
    kind.debug_assert();
    match text.len() {
        17..=32 => append::<16, 32>(out, text, |piece| {
            let (eights, _) = piece.as_chunks::<8>();
            eights.iter().all(|eight| kind.has_eight(eight))
        }),
        8..=16 => append::<8, 16>(out, text, |piece| kind.has_eight(piece)),
        4..=7 => append::<4, 8>(out, text, |[a, b, c, d]| {
            kind.has_eight(&[*a, *b, *c, *d, *a, *b, *c, *d])
        }),
        _ => {
            let are_all = are_all(text, (first, last), but);
            if are_all {
                out.extend_from_slice(text);
            }
            are_all
        }
    }
}

/// Appends a text of `HALF` to `WHOLE` bytes, which is twice as much, if both ends fit.
#[expect(
    clippy::inline_always,
    reason = "the copies are of a fixed size where it is known"
)]
#[inline(always)]
fn append<const HALF: usize, const WHOLE: usize>(
    out: &mut Vec<u8>,
    text: &[u8],
    fits: impl Fn(&[u8; HALF]) -> bool,
) -> bool {
    let (Some(start), Some(end)) = (text.first_chunk::<HALF>(), text.last_chunk::<HALF>()) else {
        return false;
    };
    if !(fits(start) && fits(end)) {
        return false;
    }
    let mut piece = [0; WHOLE];
    let length = text.len();
    piece[..HALF].copy_from_slice(start);
    piece[length - HALF..length].copy_from_slice(end);
    let length = out.len() + length;
    out.extend_from_slice(&piece);
    out.truncate(length);
    true
}

/// The bytes from `first` to `last`, both of them ASCII, without those of `but`.
#[derive(Clone, Copy)]
struct Kind<const N: usize> {
    first: u8,
    last: u8,
    but: [u8; N],
}

impl<const N: usize> Kind<N> {
    #[inline]
    fn debug_assert(&self) {
        debug_assert!(self.first <= self.last && self.last.is_ascii());
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        (self.first..=self.last).contains(&byte) && !self.but.contains(&byte)
    }

    /// Whether it has all of them.
    #[inline]
    fn has_eight(&self, eight: &[u8; 8]) -> bool {
        // Each term sets the top bit of some byte if, and only if, there is such a byte: one below
        // the first, one above the last, one that does not differ from an exception.
        let bytes = u64::from_le_bytes(*eight);
        let below = bytes.wrapping_sub(EACH * u64::from(self.first)) & !bytes;
        let above = bytes.wrapping_add(EACH * u64::from(0x7f - self.last)) | bytes;
        let excepted = self.but.iter().fold(0, |all, byte| {
            let apart = bytes ^ (EACH * u64::from(*byte));
            all | apart.wrapping_sub(EACH) & !apart
        });
        (below | above | excepted) & TOP == 0
    }
}

/// A one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte.
const TOP: u64 = 0x80 * EACH;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<const N: usize>(text: &[u8], (first, last): (u8, u8), but: [u8; N]) {
        let is_one = |byte: &u8| (first..=last).contains(byte) && !but.contains(byte);
        let expected = text.iter().all(is_one);
        assert_eq!(are_all(text, (first, last), but), expected, "{text:?}");
        let mut out = b"before ".to_vec();
        let appended = append_if_all(&mut out, text, (first, last), but);
        assert_eq!(appended, expected, "{text:?}");
        let behind = out.strip_prefix(b"before ").expect("what was there");
        assert_eq!(behind, if expected { text } else { b"" });
    }

    #[test]
    fn each_byte_is_judged_at_each_place() {
        for byte in 0..=u8::MAX {
            for length in 1..35 {
                for place in 0..length {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    check(&text, (b'!', b'~'), [b'%']);
                    check(&text, (b' ', b'~'), []);
                }
            }
        }
        assert!(are_all(b"", (b'a', b'z'), []));
    }

    proptest! {
        #[test]
        fn bytes_are_judged_together_as_one_by_one(
            text in prop::collection::vec(
                prop_oneof![9 => 0x1f_u8..=0x7f, 1 => any::<u8>()], 0..40),
        ) {
            check(&text, (b'!', b'~'), [b'"', b'\\', b'=']);
            check(&text, (0, 0x7f), [0x7f, 0]);
        }
    }
}
