//! A hash of texts that is the same in every process, on every machine and in every version.

/// A hash that is built text by text. It spreads well and is no secret: whoever knows the texts
/// knows the hash.
///
/// Invariant: what it returns for given texts never changes, since instances of different versions
/// must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(START)
    }
}

impl Fingerprint {
    /// The hash of one text.
    #[must_use]
    pub fn of(text: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.add(text);
        hash.end()
    }

    /// Takes in one text. Its length counts, so that texts cannot run into each other.
    pub fn add(&mut self, text: &[u8]) {
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
        self.add_number(text.len() as u64);
    }

    /// Takes in a number.
    pub fn add_number(&mut self, number: u64) {
        self.mix(number ^ NUMBER);
    }

    /// The hash of what was taken in.
    #[must_use]
    pub const fn end(self) -> u64 {
        // The finish of MurmurHash3: each bit of the state moves half of the result.
        let mut hash = self.0;
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }

    fn mix(&mut self, word: u64) {
        // The constants are odd and have no pattern: digits of the golden ratio and of its square.
        self.0 = (self.0 ^ word).wrapping_mul(MULTIPLIER).rotate_left(29) ^ word.rotate_left(47);
    }
}

const START: u64 = 0x9e37_79b9_7f4a_7c15;
const MULTIPLIER: u64 = 0xd1b5_4a32_d192_ed03;
const NUMBER: u64 = 0x6a09_e667_f3bc_c909;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn stays_what_it_is() {
        for (text, expected) in [
            ("", 0x4ad8_385e_9236_eee4),
            ("a", 0xfd3e_90b6_417b_e9f8),
            ("a session of nineteen", 0xd3c2_fe6e_548c_9640),
        ] {
            assert_eq!(Fingerprint::of(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let of = |texts: &[&str]| {
            let mut hash = Fingerprint::default();
            texts.iter().for_each(|text| hash.add(text.as_bytes()));
            hash.end()
        };
        let all = [
            of(&["ab", "c"]),
            of(&["a", "bc"]),
            of(&["abc"]),
            of(&["abc", ""]),
            of(&["", "abc"]),
            of(&["abc\0"]),
            of(&["abc\0\0\0\0\0"]),
            of(&[]),
            of(&[""]),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn names_that_differ_in_a_digit_are_spread_evenly() {
        let mut counts = [0_u32; 16];
        for number in 0..16_000 {
            let hash = Fingerprint::of(format!("session-{number}").as_bytes());
            counts[usize::try_from(hash >> 60).unwrap()] += 1;
        }
        // 1,000 expected each, standard deviation 31.
        assert!(
            counts.iter().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }
}
