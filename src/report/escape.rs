//! Text as JSON strings in which no character can act on the terminal or file that shows them.

use std::fmt;

use crate::wire::plain::are_all;

/// Writes text into a JSON string: what `write!` puts into it comes out escaped.
pub struct Escaping<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes of text that are still taken; further bytes are left out.
    room: usize,
}

impl<'a> Escaping<'a> {
    /// The end of `out`, for at most `room` bytes of text.
    pub fn new(out: &'a mut Vec<u8>, room: usize) -> Self {
        Self { out, room }
    }
}

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let taken = bounded(text, self.room);
        escaped(self.out, taken);
        // After a cut, nothing more is taken: a later piece must not follow a gap.
        self.room = if taken.len() < text.len() {
            0
        } else {
            self.room - taken.len()
        };
        Ok(())
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
///
/// Besides what JSON demands, control characters of both ranges, line separators and characters
/// that change the direction of text are escaped: a value must not be able to end a log line, color
/// a terminal, or make a line read as something else.
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped_by_character(out, text);
    }
}

/// Whether the whole text is ASCII without a character to escape, as nearly every text is.
fn is_plain(text: &[u8]) -> bool {
    are_all(text, (b' ', b'~'), [b'"', b'\\'])
}

fn escaped_by_character(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(must_escape) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        if let Some(special) = chars.next() {
            escape(out, special);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The longest prefix of `text` that has at most `max` bytes and ends between two characters.
#[must_use]
pub fn bounded(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether a character must be escaped.
#[must_use]
pub fn must_escape(c: char) -> bool {
    matches!(c, '"' | '\\') || acts(c)
}

/// Whether a character acts on a terminal or reader instead of being shown.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escape(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c => {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(HEX[usize::from(*unit >> shift & 0xf)]);
                }
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_acts_and_nothing_else() {
        for (text, expected) in [
            ("", r#""""#),
            ("gpt-4o", r#""gpt-4o""#),
            ("a \"b\" \\ c", r#""a \"b\" \\ c""#),
            ("1\r\n2\t3", r#""1\r\n2\t3""#),
            (
                "\0\u{1b}[31m\u{7f}\u{85}",
                r#""\u0000\u001b[31m\u007f\u0085""#,
            ),
            ("x\u{2028}\u{202e}y", r#""x\u2028\u202ey""#),
            ("größe 模型 🦀", r#""größe 模型 🦀""#),
            ("sixteen and more ~", r#""sixteen and more ~""#),
            ("sixteen bytes or\u{7f}", r#""sixteen bytes or\u007f""#),
            (
                "\u{85}, and sixteen bytes",
                r#""\u0085, and sixteen bytes""#,
            ),
        ] {
            assert_eq!(string(text), expected);
        }
    }

    #[test]
    fn cuts_between_characters() {
        for (text, max, expected) in [
            ("abc", 5, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("é", 1, ""),
            ("🦀🦀", 7, "🦀"),
        ] {
            assert_eq!(bounded(text, max), expected);
        }
    }

    #[test]
    fn written_text_is_escaped_and_cut_for_good() {
        let mut out = Vec::new();
        let mut place = Escaping::new(&mut out, 6);
        for piece in ["a\n", "b\"", "🦀", "c"] {
            fmt::Write::write_str(&mut place, piece).unwrap();
        }
        assert_eq!(out, br#"a\nb\""#);
    }

    proptest! {
        #[test]
        fn a_json_reader_gets_the_text_back(text in any::<String>()) {
            let json = string(&text);
            prop_assert!(!json.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
