//! Whether short texts consist of ordinary bytes alone, eight of them judged at once.

/// Whether all bytes of `text` are from `first` to `last`, both of them ASCII, and none is one of
/// `but`.
#[inline]
#[must_use]
pub fn are_all<const N: usize>(text: &[u8], (first, last): (u8, u8), but: [u8; N]) -> bool {
    debug_assert!(first <= last && last.is_ascii());
    let is_one = |byte: u8| (first..=last).contains(&byte) && !but.contains(&byte);
    // Each term sets the top bit of some byte if, and only if, there is such a byte: one below the
    // first, one above the last, one that does not differ from an exception.
    let are_eight = |eight: &[u8; 8]| {
        let bytes = u64::from_le_bytes(*eight);
        let below = bytes.wrapping_sub(EACH * u64::from(first)) & !bytes;
        let above = bytes.wrapping_add(EACH * u64::from(0x7f - last)) | bytes;
        let excepted = but.iter().fold(0, |all, byte| {
            let apart = bytes ^ (EACH * u64::from(*byte));
            all | apart.wrapping_sub(EACH) & !apart
        });
        (below | above | excepted) & TOP == 0
    };
    let (eights, rest) = text.as_chunks::<8>();
    eights.iter().all(are_eight)
        && match text.last_chunk::<8>() {
            // Some of the last eight have been judged already.
            Some(last) => rest.is_empty() || are_eight(last),
            None => rest.iter().all(|byte| is_one(*byte)),
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
    }

    #[test]
    fn each_byte_is_judged_at_each_place() {
        for byte in 0..=u8::MAX {
            for length in 1..18 {
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
