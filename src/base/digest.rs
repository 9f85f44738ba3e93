//! SHA-256: what is kept of a secret that need not be known again, and short names for long ones.

use std::fmt;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::hmac;

/// The SHA-256 of a text (FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    /// The digest of `text`.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, text).as_ref());
        Self(bytes)
    }

    /// The HMAC-SHA256 (RFC 2104) of `parts`, one behind the other, under `key`.
    #[must_use]
    pub fn signing(key: &[u8], parts: &[&[u8]]) -> Self {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        parts.iter().for_each(|part| context.update(part));
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(context.sign().as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(bytes))
    }

    /// The first bytes of the digest, for look-ups.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.0
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// Whether the digests are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let difference = pairs.fold(0, |sum, (own, other)| {
            std::hint::black_box(sum | (own ^ other))
        });
        std::hint::black_box(difference) == 0
    }
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// In hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of a key stays out of every log.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), abc);
        assert_eq!(Digest::parse(abc), Some(digest));
        assert_eq!(Digest::parse(&abc.to_uppercase()), Some(digest));
        assert!(digest.is(&Digest::of(b"abc")) && !digest.is(&Digest::of(b"abd")));
        assert_eq!(format!("{digest:?}"), "Digest(..)");
    }

    #[test]
    fn signatures_are_those_of_the_standard() {
        // RFC 4231, test case 2.
        let signed = Digest::signing(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed.to_string(), expected);
    }

    #[test]
    fn only_64_digits_are_a_digest() {
        let digits = "ab".repeat(32);
        for wrong in [
            "",
            "ab",
            &digits[1..],
            &format!("{digits}ab"),
            &digits.replace('b', "g"),
        ] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }
}
