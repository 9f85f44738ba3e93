//! Money as whole nano-dollars. No floats, one place for rounding.

use crate::base::tokens::Tokens;

/// An amount in billionths of a US dollar; at most about 18.4 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(u64);

/// What a million tokens cost, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price {
    nano_usd_per_million: u64,
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount of `nano` billionths of a dollar.
    #[must_use]
    pub const fn new(nano: u64) -> Self {
        Self(nano)
    }

    /// The amount, capped at the largest one that can be held.
    #[must_use]
    pub fn saturating(nano: u128) -> Self {
        Self(u64::try_from(nano).unwrap_or(u64::MAX))
    }

    /// Billionths of a dollar.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, capped.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Price {
    /// The price of `nano_usd` nano-dollars per million tokens.
    #[must_use]
    pub const fn per_million(nano_usd: u64) -> Self {
        Self {
            nano_usd_per_million: nano_usd,
        }
    }

    /// What `count` tokens cost, rounded half up to a whole nano-dollar.
    ///
    /// Rounding happens here and nowhere else: sums add rounded amounts, so a total equals what the
    /// callers were told.
    #[must_use]
    pub fn of(self, count: Tokens) -> NanoUsd {
        // A million tokens at a thousand dollars each fit; only larger amounts take the long
        // division.
        let short = self.nano_usd_per_million.checked_mul(count.get());
        if let Some(exact) = short.and_then(|exact| exact.checked_add(500_000)) {
            return NanoUsd::new(exact / 1_000_000);
        }
        let exact = u128::from(self.nano_usd_per_million) * u128::from(count.get());
        NanoUsd::saturating((exact + 500_000) / 1_000_000)
    }
}

impl NanoUsd {
    /// Appends dollars in decimal notation, nine places at most, never an exponent.
    pub fn write(self, out: &mut Vec<u8>) {
        let (dollars, places, end) = self.parts();
        out.extend_from_slice(itoa::Buffer::new().format(dollars).as_bytes());
        // A copy of a length that the compiler knows is a few instructions.
        let start = out.len();
        out.extend_from_slice(&places);
        out.truncate(start + end);
    }

    /// The whole dollars, and the decimal point with the places up to the last that is not zero.
    fn parts(self) -> (u64, [u8; 10], usize) {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let mut places = *b".000000000";
        if nanos == 0 {
            return (dollars, places, 0);
        }
        // Ten digits, of which the point takes the first one's place.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(nanos + 1_000_000_000).as_bytes();
        if let Some([_, digits @ ..]) = digits.first_chunk::<10>() {
            places[1..].copy_from_slice(digits);
        }
        // Where the last eight are zeros, the one before them is not.
        let [_, _, last @ ..] = places;
        let zeros = (u64::from_be_bytes(last) ^ u64::from_be_bytes([b'0'; 8])).trailing_zeros() / 8;
        (dollars, places, places.len() - zeros as usize)
    }
}

/// Dollars as [`NanoUsd::write`] writes them.
impl std::fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (dollars, places, end) = self.parts();
        f.write_str(itoa::Buffer::new().format(dollars))?;
        f.write_str(std::str::from_utf8(&places[..end]).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_up_to_a_whole_nano_dollar() {
        let half = Price::per_million(500_000);
        assert_eq!(half.of(Tokens::new(1)), NanoUsd::new(1));
        assert_eq!(
            Price::per_million(499_999).of(Tokens::new(1)),
            NanoUsd::ZERO
        );
        assert_eq!(
            Price::per_million(2_500_000_000)
                .of(Tokens::new(1000))
                .get(),
            2_500_000
        );
    }

    #[test]
    fn never_overflows() {
        let most = Price::per_million(u64::MAX).of(Tokens::new(u64::MAX));
        assert_eq!(most, NanoUsd::new(u64::MAX));
        assert_eq!(most.saturating_add(NanoUsd::new(1)), most);
    }

    #[test]
    fn prints_dollars_without_an_exponent() {
        for (nano, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (2_500_000, "0.0025"),
            (1_000_000_000, "1"),
            (12_345_678_900, "12.3456789"),
            (1_000_000_001, "1.000000001"),
            (999_999_999, "0.999999999"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(NanoUsd::new(nano).to_string(), text);
        }
    }
}
