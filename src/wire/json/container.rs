//! Where an object or an array ends.

use super::bracket::Bracket;
use super::string;
use crate::wire::scan::{self, brackets};

/// The place behind the container that opens at `at`. Brackets of the other kind are not looked at:
/// in valid JSON they pair up in between.
pub(super) fn end(text: &[u8], at: usize, bracket: Bracket) -> Option<usize> {
    let pair = [bracket.opening(), bracket.closing()];
    brackets::end(text, at, pair, near_end)
}

/// As [`end`], from mark to mark.
fn near_end(text: &[u8], mut at: usize, [open, close]: [u8; 2]) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        at = scan::find(
            text,
            at,
            |block| block.equal(b'"') | block.equal(open) | block.equal(close),
            |byte| byte == b'"' || byte == open || byte == close,
        )?;
        let byte = *text.get(at)?;
        at += 1;
        if byte == b'"' {
            at = string::end(text, at)?;
        } else if byte == open {
            depth += 1;
        } else if depth == 1 {
            return Some(at);
        } else {
            depth = depth.checked_sub(1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn containers_end_at_the_same_place_whatever_the_instructions(
            text in r#"(\{|\}|\[|\]|\\|"|\\"|"a{0,70}"|x{1,40}){0,60}"#,
        ) {
            for bracket in [Bracket::Object, Bracket::Array] {
                let text = format!("{}{text}", char::from(bracket.opening()));
                let bytes = text.as_bytes();
                for from in 0..bytes.len() {
                    if bytes[from] == bracket.opening() {
                        let pair = [bracket.opening(), bracket.closing()];
                        let expected = near_end(bytes, from, pair);
                        prop_assert_eq!(end(bytes, from, bracket), expected, "{} {}", from, text);
                    }
                }
            }
        }
    }
}
