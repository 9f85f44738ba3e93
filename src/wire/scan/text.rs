//! Short texts, nearly all of which are ASCII.

use std::str::Utf8Error;

/// As [`std::str::from_utf8`], which takes several times as long for a short name.
///
/// # Errors
/// The bytes are not UTF-8.
#[inline]
pub fn short(bytes: &[u8]) -> Result<&str, Utf8Error> {
    if !is_ascii(bytes) {
        return std::str::from_utf8(bytes);
    }
    #[expect(unsafe_code, reason = "a check would be a second one")]
    // SAFETY: ASCII is UTF-8, and there is no other byte, as has just been seen.
    Ok(unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// Whether there are no bytes but ASCII.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let (eights, rest) = bytes.as_chunks::<8>();
    let all = eights
        .iter()
        .fold(0, |all, eight| all | u64::from_ne_bytes(*eight));
    let rest = match (bytes.last_chunk(), bytes.first_chunk(), bytes.last_chunk()) {
        // Some of the last eight have been seen already.
        (Some(last), _, _) => u64::from_ne_bytes(*last),
        (None, Some(first), Some(last)) => {
            u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last))
        }
        (None, _, _) => u64::from(rest.iter().fold(0, |all, byte| all | byte)),
    };
    (all | rest) & TOP == 0
}

/// The top bit of each byte.
const TOP: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_the_standard_library_takes_for_one() {
        for length in 0..40 {
            let plain = vec![b'x'; length];
            assert_eq!(short(&plain), std::str::from_utf8(&plain));
            for place in 0..length {
                for byte in [0, 0x7f, 0x80, 0xc3, 0xff] {
                    let mut bytes = plain.clone();
                    bytes[place] = byte;
                    assert_eq!(short(&bytes), std::str::from_utf8(&bytes), "{bytes:?}");
                    if let Some(next) = bytes.get_mut(place + 1) {
                        *next = 0xa9;
                        assert_eq!(short(&bytes), std::str::from_utf8(&bytes), "{bytes:?}");
                    }
                }
            }
        }
    }
}
