//! Finds the end of a value and makes sure that it is JSON (RFC 8259), in one pass.

use serde::de::IgnoredAny;

use super::string;

pub mod pieces;

/// The place behind the value that begins at `at`, white space before it included; `None`: the
/// value is not valid, or nested in more than 63 containers.
///
/// Whether the bytes are valid UTF-8 is not checked.
#[must_use]
pub fn value_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Open(1);
    loop {
        at = space_end(text, at);
        at = match *text.get(at)? {
            b'"' => string::checked_end(text, at + 1)?,
            b'{' => match container(text, at + 1, b'}') {
                Inside::Empty(end) => end,
                Inside::Filled(inside) => {
                    open.enter(OBJECT)?;
                    at = name_end(text, inside)?;
                    continue;
                }
            },
            b'[' => match container(text, at + 1, b']') {
                Inside::Empty(end) => end,
                Inside::Filled(inside) => {
                    open.enter(ARRAY)?;
                    at = inside;
                    continue;
                }
            },
            b't' => literal(text, at, b"true")?,
            b'f' => literal(text, at, b"false")?,
            b'n' => literal(text, at, b"null")?,
            _ => number_end(text, at)?,
        };
        match open.behind_value(text, at)? {
            AfterValue::Value(next) => at = next,
            AfterValue::End(end) => return Some(end),
        }
    }
}

/// Whether `text` is one value in UTF-8, white space around it aside.
#[must_use]
pub fn is_json(text: &[u8]) -> bool {
    if simdutf8::basic::from_utf8(text).is_err() {
        return false;
    }
    match value_end(text, 0) {
        Some(end) => space_end(text, end) == text.len(),
        // The text may be nested too deep for this reader.
        None => serde_json::from_slice::<IgnoredAny>(text).is_ok(),
    }
}

/// The open containers, a bit each: the lowest bit is the innermost one, the highest set bit a
/// mark.
#[derive(Debug)]
struct Open(u64);

const ARRAY: u64 = 0;
const OBJECT: u64 = 1;

/// What follows a value that has ended.
enum AfterValue {
    /// Another value, from here on.
    Value(usize),
    /// The end of the outermost value.
    End(usize),
}

impl Open {
    fn enter(&mut self, kind: u64) -> Option<()> {
        if self.0 >> 63 != 0 {
            return None;
        }
        self.0 = self.0 << 1 | kind;
        Some(())
    }

    /// Steps over the bytes between a value that ends at `at` and the next one.
    fn behind_value(&mut self, text: &[u8], mut at: usize) -> Option<AfterValue> {
        loop {
            if self.0 == 1 {
                return Some(AfterValue::End(at));
            }
            at = space_end(text, at);
            match (self.0 & 1, *text.get(at)?) {
                (ARRAY, b',') => return Some(AfterValue::Value(at + 1)),
                (OBJECT, b',') => {
                    let name = space_end(text, at + 1);
                    return Some(AfterValue::Value(name_end(text, name)?));
                }
                (ARRAY, b']') | (OBJECT, b'}') => self.0 >>= 1,
                (_, _) => return None,
            }
            at += 1;
        }
    }
}

enum Inside {
    /// The container ends here.
    Empty(usize),
    /// The container's first entry begins here.
    Filled(usize),
}

fn container(text: &[u8], at: usize, closing: u8) -> Inside {
    let inside = space_end(text, at);
    if text.get(inside) == Some(&closing) {
        Inside::Empty(inside + 1)
    } else {
        Inside::Filled(inside)
    }
}

/// The place behind the name that begins at `at`, and behind its colon.
fn name_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let end = space_end(text, string::checked_end(text, at + 1)?);
    (text.get(end) == Some(&b':')).then_some(end + 1)
}

/// The first place from `at` on that is no white space.
#[inline]
#[must_use]
pub fn space_end(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

fn literal(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn number_end(text: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(text.get(at) == Some(&b'-'));
    at = match text.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits_end(text, at)?,
        _ => return None,
    };
    if text.get(at) == Some(&b'.') {
        at = digits_end(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let is_signed = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits_end(text, at + 1 + usize::from(is_signed))?;
    }
    Some(at)
}

/// The place behind the digits that begin at `at`; `None`: there are none.
fn digits_end(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Whether all of `text` is one value, white space aside.
    fn is_one_value(text: &str) -> bool {
        let end = value_end(text.as_bytes(), 0);
        end.is_some_and(|end| space_end(text.as_bytes(), end) == text.len())
    }

    pub(super) fn is_json_to_serde(text: &str) -> bool {
        serde_json::from_str::<&RawValue>(text).is_ok()
    }

    #[test]
    fn edges_of_the_grammar_are_where_serde_has_them() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{}",
            "[]",
            "[ ]",
            "{ }",
            "[,]",
            "[1,]",
            "{,}",
            "[1 2]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{a:1}"#,
            r#"{"a":1}}"#,
            "[}",
            "{]",
            "[[1]",
            "01",
            "-",
            "-0",
            "0.",
            ".5",
            "1.e5",
            "1e",
            "1e+",
            "1e-07",
            "1E5",
            "+1",
            "0x1",
            "NaN",
            "nul",
            "nulll",
            "null",
            "true",
            "truefalse",
            "falsey",
            "\"",
            "\"\\",
            "\"\\\"",
            r#""\u12""#,
            r#""\uD800""#,
            r#""\u00zz""#,
            r#""\x""#,
            "\"\n\"",
            "\"\u{7f}\"",
            "\u{feff}1",
            "1 \u{a0}",
            "\t\r\n 1",
            r#"{"a":{"b":[{}, [], {"c":"d"}]} , "e":-1.5E+3}"#,
        ] {
            assert_eq!(is_one_value(text), is_json_to_serde(text), "{text:?}");
        }
    }

    #[test]
    fn long_strings_are_judged_as_serde_judges_them() {
        for fill in 0..140 {
            let fill = "x".repeat(fill);
            for rest in [
                r#"\\\\\\""#,
                r#"\\\""#,
                r#"\\\"y""#,
                r#"\u00e9é""#,
                r#"\u12g4""#,
                r#"\x""#,
                r#"\u12""#,
                r#"\n\t\/\b\f\r\"""#,
                "\t\"",
                "\\\t\"",
                "\"",
                "\\",
                "",
            ] {
                for tail in [0, 1, 70] {
                    let text = format!("\"{fill}{rest}{}", " ".repeat(tail));
                    assert_eq!(is_one_value(&text), is_json_to_serde(&text), "{text:?}");
                    let text = format!("\"{}{fill}{rest}", r"a\\b\u0041c".repeat(tail));
                    assert_eq!(is_one_value(&text), is_json_to_serde(&text), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_others() {
        for (depth, expected) in [(63, true), (64, false), (100_000, false)] {
            let text = "[".repeat(depth) + "1" + &"]".repeat(depth);
            assert_eq!(is_one_value(&text), expected, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn near_json_is_judged_as_serde_judges_it(
            text in r#"(\{|\}|\[|\]|"a"|"\\n|"|\\u00e9|:|,|1|-2\.5e3|0|true|null| |é){0,14}"#
        ) {
            prop_assert_eq!(is_one_value(&text), is_json_to_serde(&text), "{:?}", text);
        }

        #[test]
        fn json_that_lost_or_gained_a_byte_is_judged_as_serde_judges_it(
            text in r#"\{"[a-c]{1,20}": ?(\[(1|"x{0,30}"|null)(,(2e1|"y"|\{\})){0,4}\]|"")\}"#,
            at in any::<prop::sample::Index>(), extra in prop::option::of("[\"\\\\{},:x0]"),
        ) {
            let mut broken = text.clone();
            let at = at.index(text.len());
            match extra {
                Some(extra) => broken.insert_str(at, &extra),
                None => drop(broken.remove(at)),
            }
            prop_assert!(is_one_value(&text));
            prop_assert_eq!(is_one_value(&broken), is_json_to_serde(&broken), "{:?}", broken);
        }
    }
}
