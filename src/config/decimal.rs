//! Decimal numbers read from their text, so that no digit is lost to a float.

/// A number of at least zero: `digits / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    scale: u32,
}

/// Bounds that keep every product here within `u128`: 10^20 · 10^18 < 2^128.
const DIGITS_MAX: u128 = 10_u128.pow(20);
const SCALE_MAX: u32 = 18;

impl Decimal {
    /// Reads `12`, `0.4`, `.5`, `+1` or `1e3`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as the end of a sentence that starts with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || String::from("is not a number");
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_empty() || number == "." || !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        let value = Self::assemble(whole, fraction.trim_end_matches('0'), exponent)
            .ok_or_else(|| String::from("has more digits than can be read"))?;
        if negative && value.digits > 0 {
            return Err(String::from("is below 0"));
        }
        Ok(value)
    }

    fn assemble(whole: &str, fraction: &str, exponent: i32) -> Option<Self> {
        let mut digits = 0_u128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)?
                .checked_add(u128::from(byte - b'0'))?;
        }
        if digits == 0 {
            return Some(Self { digits, scale: 0 });
        }
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        while scale > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            scale -= 1;
        }
        if scale < 0 {
            digits = digits.checked_mul(10_u128.checked_pow(scale.unsigned_abs())?)?;
        }
        let scale = u32::try_from(scale.max(0)).ok()?;
        (digits <= DIGITS_MAX && scale <= SCALE_MAX).then_some(Self { digits, scale })
    }

    /// The number in units of `10^-places`, where it is a whole number of them. `places` ≤ 18.
    #[must_use]
    pub fn exactly(self, places: u32) -> Option<u128> {
        let (units, rest) = self.split(places);
        (rest == 0).then_some(units)
    }

    /// The nearest number of units of `10^-places`; zero only for zero itself.
    #[must_use]
    pub fn nearest(self, places: u32) -> u128 {
        let (units, rest) = self.split(places);
        let divisor = 10_u128.pow(self.scale.saturating_sub(places));
        let rounded = units + u128::from(rest > 0 && rest * 2 >= divisor);
        if rounded == 0 && self.digits > 0 {
            1
        } else {
            rounded
        }
    }

    /// The number times `factor`, where that is a whole number.
    #[must_use]
    pub fn times(self, factor: u32) -> Option<u128> {
        let product = self.digits.checked_mul(u128::from(factor))?;
        let divisor = 10_u128.pow(self.scale);
        product.is_multiple_of(divisor).then_some(product / divisor)
    }

    /// Whether the number lies within these thousandths, the ends included.
    #[must_use]
    pub fn within_thousandths(self, least: u32, most: u32) -> bool {
        let (units, rest) = self.split(3);
        let (least, most) = (u128::from(least), u128::from(most));
        units >= least && (units < most || (units == most && rest == 0))
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.digits == 0
    }

    fn split(self, places: u32) -> (u128, u128) {
        if self.scale <= places {
            let factor = 10_u128.pow(places.min(SCALE_MAX) - self.scale);
            return (self.digits.saturating_mul(factor), 0);
        }
        let divisor = 10_u128.pow(self.scale - places);
        (self.digits / divisor, self.digits % divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_digit() {
        for (text, nano) in [
            ("0", 0),
            ("-0.0", 0),
            ("200.00", 200_000_000_000),
            ("+.5", 500_000_000),
            ("5.", 5_000_000_000),
            ("1e3", 1_000_000_000_000),
            ("2.5e-3", 2_500_000),
            ("0.000000001", 1),
            ("18000000000.123456789", 18_000_000_000_123_456_789),
            ("0.10000000000000000000000000000", 100_000_000),
        ] {
            assert_eq!(
                Decimal::parse(text).unwrap().exactly(9),
                Some(nano),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in [
            "", ".", "-", "e3", "1e", "1e+-3", "1,5", "0x10", "1_0", ".nan", ".inf", "٣",
        ] {
            assert_eq!(
                Decimal::parse(text).unwrap_err(),
                "is not a number",
                "{text}"
            );
        }
        assert_eq!(Decimal::parse("-1").unwrap_err(), "is below 0");
        for text in [
            "1e99",
            "1e-99",
            "1e2147483647",
            "1e-2147483648",
            &"9".repeat(60),
        ] {
            assert!(
                Decimal::parse(text).unwrap_err().starts_with("has more"),
                "{text}"
            );
        }
    }

    #[test]
    fn rounds_to_the_nearest_thousandth_but_never_to_zero() {
        for (text, thousandths) in [
            ("0", 0),
            ("0.00001", 1),
            ("0.0014", 1),
            ("0.0015", 2),
            ("0.9996", 1_000),
            ("1", 1_000),
        ] {
            assert_eq!(
                Decimal::parse(text).unwrap().nearest(3),
                thousandths,
                "{text}"
            );
        }
    }

    #[test]
    fn compares_before_it_rounds() {
        let within = |text| Decimal::parse(text).unwrap().within_thousandths(0, 1_000);
        assert!(within("1.000") && within("0.0001"));
        assert!(!within("1.0001") && !within("1.5"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[-+]?[0-9.]{0,45}(e[-+]?[0-9]{0,11})?", places in 0_u32..=18) {
            if let Ok(number) = Decimal::parse(&text) {
                let _ = (number.exactly(places), number.nearest(places), number.times(u32::MAX));
            }
        }
    }
}
