//! The form of the keys that infermux makes for callers: `imx_`, 43 digits for 256 random bits,
//! and a check sum in six digits, so that secret scanners know one, and a mistyped one is known
//! without a look-up.

/// What a presented key is, by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// A key of infermux, with a right check sum.
    Own,
    /// A key of infermux that was mistyped or cut.
    Mistyped,
    /// A key of another system.
    Other,
}

/// How every key begins.
const PREFIX: &str = "imx_";
/// The digits of base 62, the least first.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of the random number: 62^43 is the first power above 2^256.
const NUMBER_DIGITS: usize = 43;
/// Digits of the check sum.
const SUM_DIGITS: usize = 6;

/// The key for these random bytes.
#[must_use]
pub fn of_random(random: [u8; 32]) -> String {
    let mut number = random;
    let mut digits = [0; NUMBER_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::from(divide(&mut number))];
    }
    let sum = sum_digits(&digits);
    let mut key = String::from(PREFIX);
    key.extend(digits.iter().chain(&sum).map(|digit| char::from(*digit)));
    key
}

/// The form of `key`.
#[must_use]
pub fn form(key: &[u8]) -> KeyForm {
    let Some(rest) = key.strip_prefix(PREFIX.as_bytes()) else {
        return KeyForm::Other;
    };
    let Some((digits, sum)) = rest.split_at_checked(NUMBER_DIGITS) else {
        return KeyForm::Mistyped;
    };
    let is_right = digits.iter().all(u8::is_ascii_alphanumeric) && *sum == sum_digits(digits);
    if is_right {
        KeyForm::Own
    } else {
        KeyForm::Mistyped
    }
}

/// Divides a number, its highest byte first, by 62; returns the remainder.
fn divide(number: &mut [u8; 32]) -> u8 {
    let mut rest = 0_u16;
    for byte in number {
        let value = rest << 8 | u16::from(*byte);
        *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
        rest = value % 62;
    }
    u8::try_from(rest).unwrap_or_default()
}

/// The CRC-32 (as in zlib) of `digits`, in digits of base 62.
fn sum_digits(digits: &[u8]) -> [u8; SUM_DIGITS] {
    let mut sum = crc32fast::hash(digits);
    let mut text = [0; SUM_DIGITS];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_have_one_length_and_a_check_sum() {
        // Made by other programs: Python's big integers and zlib.
        let numbers: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
        for (random, expected) in [
            (
                [0; 32],
                "imx_00000000000000000000000000000000000000000002CZclj",
            ),
            (
                [255; 32],
                "imx_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13sRzl1",
            ),
            (
                numbers,
                "imx_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1Yo7hP",
            ),
        ] {
            assert_eq!(of_random(random), expected);
        }
    }

    #[test]
    fn other_keys_are_others_and_cut_ones_are_mistyped() {
        for (key, expected) in [
            ("sk-abc", KeyForm::Other),
            ("", KeyForm::Other),
            ("IMX_0", KeyForm::Other),
            ("imx_", KeyForm::Mistyped),
            ("imx_abc", KeyForm::Mistyped),
        ] {
            assert_eq!(form(key.as_bytes()), expected, "{key}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(random: [u8; 32], at in 4_usize..53, digit in 0_usize..62) {
            let key = of_random(random);
            prop_assert_eq!(form(key.as_bytes()), KeyForm::Own);
            let mut wrong = key.clone().into_bytes();
            wrong[at] = DIGITS[digit];
            let expected = if wrong == key.as_bytes() { KeyForm::Own } else { KeyForm::Mistyped };
            prop_assert_eq!(form(&wrong), expected);
            prop_assert_eq!(form(&key.as_bytes()[..at]), KeyForm::Mistyped);
            prop_assert_eq!(form(format!("{key}0").as_bytes()), KeyForm::Mistyped);
        }

        #[test]
        fn different_numbers_are_different_keys(one: [u8; 32], other: [u8; 32]) {
            prop_assert_eq!(one == other, of_random(one) == of_random(other));
        }
    }
}
