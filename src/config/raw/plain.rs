//! Whether a text writes its numbers and truth values as infermux would write them.

/// Whether all numbers and truth values in a YAML text have the form in which their values are
/// written: `600`, `-3`, `0.25`, `true`; not `1e3`, `0x10`, `+5`, `2.50` or `True`. Then a value
/// says what its text is. It errs on the side of `false`, also for words in comments and texts.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    // A tag can make a number of a text with escapes.
    !text.contains('!') && text.split(is_between_words).all(is_plain_word)
}

/// What can stand before or behind a number or a truth value.
fn is_between_words(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, ',' | '[' | ']' | '{' | '}' | '"' | '\'')
}

fn is_plain_word(word: &str) -> bool {
    // Behind a key in quotes, a value needs no space.
    let word = word.trim_start_matches(':');
    match word.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => true,
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => is_plain_number(word),
        [b'T' | b't' | b'F' | b'f', ..] => {
            let is_truth = ["true", "false"]
                .iter()
                .any(|truth| word.eq_ignore_ascii_case(truth));
            !is_truth || word.bytes().all(|byte| byte.is_ascii_lowercase())
        }
        _ => true,
    }
}

/// Whether what begins like a number is none, or is one as it would be written.
fn is_plain_number(word: &str) -> bool {
    let unsigned = word.trim_start_matches(['+', '-']);
    let has_base = ["0x", "0o", "0b"]
        .iter()
        .any(|base| unsigned.starts_with(base));
    let is_not_finite = [".inf", ".nan"]
        .iter()
        .any(|name| unsigned.to_ascii_lowercase().starts_with(name));
    if has_base || is_not_finite {
        return false;
    }
    match word.parse::<f64>() {
        // The value of `-0` is a whole number, which has no sign.
        Ok(number) => word != "-0" && number.to_string() == word,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truth_values_are_plain_as_they_would_be_written() {
        for plain in [
            "",
            "0",
            "7",
            "600",
            "999999999999999999",
            "-3",
            "0.25",
            "2.5",
            "-0.5",
            "true",
            "false",
            "2027-01-31",
            "sha256:00ff",
            "0.0.0.0:80",
            "10s",
            "1_000",
            "gpt-4o",
            "- 7",
            "\"a\":7",
            "{a: 1, b: [2,3]}",
            "truth",
            "-",
            "--- 1",
            "1.2.3",
            "Fable",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "1e3",
            "007",
            "00",
            "+5",
            "-0",
            "2.50",
            "5.0",
            ".5",
            "1.",
            "0x10",
            "0o7",
            "0b1",
            "-0x1",
            "True",
            "FALSE",
            ".inf",
            "-.INF",
            ".NaN",
            "18446744073709551616.5",
            "[1,1e3]",
            "\"a\":1e3",
            "{a: 0x10}",
            "a: '007'",
            "!!int \"\\x37\"",
            "a:\u{85}1e3",
            "a:\u{2028}1e3",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
