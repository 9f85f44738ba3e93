//! Ids that nothing else has: of answers whose providers give none, or the same ones again.

use crate::base::random::Random;

/// Makes ids from random numbers that were given to it.
#[derive(Clone, Debug)]
pub struct Fresh([Random; 2]);

impl Fresh {
    /// Makes ids that are as hard to guess as `seed`.
    #[must_use]
    pub const fn new(seed: [u64; 2]) -> Self {
        Self([Random::new(seed[0]), Random::new(seed[1])])
    }

    /// Appends `prefix` and twenty letters and digits.
    pub(super) fn write(&mut self, prefix: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(prefix);
        for random in &mut self.0 {
            let mut rest = random.next_u64();
            for _ in 0..LETTERS {
                let digit = usize::try_from(rest % 62).unwrap_or_default();
                out.push(DIGITS[digit]);
                rest /= 62;
            }
        }
    }
}

impl Fresh {
    /// 32 hexadecimal digits.
    pub(super) fn hex(&mut self) -> [u8; 32] {
        let [first, second] = self.0.each_mut().map(Random::next_u64);
        let mut digits = [0; 32];
        let numbers = [first >> 32, first, second >> 32, second];
        for (eight, number) in digits.chunks_exact_mut(8).zip(numbers) {
            eight.copy_from_slice(&hex_of_low_half(number).to_be_bytes());
        }
        digits
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self::new([0; 2])
    }
}

/// The two hexadecimal digits of `byte`.
pub(super) const fn hex(byte: u8) -> [u8; 2] {
    [HEX[(byte >> 4) as usize], HEX[(byte & 0xf) as usize]]
}

/// The eight hexadecimal digits of the lower half of `number`, the first one in the highest byte.
const fn hex_of_low_half(number: u64) -> u64 {
    // Each four bits get a byte of their own.
    let mut spread = number & 0xffff_ffff;
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // One in each byte that is ten or more, whose digit is a letter.
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    spread + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64
}

/// How many letters are made of one number: 62 to the tenth is less than 2 to the sixty-fourth.
const LETTERS: usize = 10;
const HEX: &[u8; 16] = b"0123456789abcdef";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_those_of_the_numbers() {
        let mut randoms = [1, 2].map(Random::new);
        let numbers = randoms.each_mut().map(Random::next_u64);
        let expected = format!("{:016x}{:016x}", numbers[0], numbers[1]);
        assert_eq!(Fresh::new([1, 2]).hex(), expected.as_bytes());
    }

    #[test]
    fn ids_differ_and_depend_on_the_whole_seed() {
        let id = |fresh: &mut Fresh| {
            let mut out = Vec::new();
            fresh.write(b"msg_", &mut out);
            assert_eq!(out.len(), 4 + 20);
            assert!(out[4..].iter().all(u8::is_ascii_alphanumeric));
            out
        };
        let mut one = Fresh::new([1, 2]);
        assert_ne!(id(&mut one), id(&mut one));
        let first = id(&mut Fresh::new([1, 2]));
        assert_ne!(id(&mut Fresh::new([3, 2])), first);
        assert_ne!(id(&mut Fresh::new([1, 3])), first);
    }
}
