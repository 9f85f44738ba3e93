//! Whether the arguments of a call are whole: a JSON object whose braces are closed.

/// How far the arguments of one call have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arguments {
    state: State,
    /// How many braces are open.
    depth: u32,
    /// Whether there are any but white space.
    pub(super) is_some: bool,
    /// Whether they have begun as something else than an object.
    pub(super) is_odd: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space has come.
    #[default]
    Before,
    /// Within the object, outside of strings.
    Outside,
    /// Within a string.
    Inside,
    /// Within a string, behind a backslash.
    Escaped,
    /// Behind the object.
    Behind,
    /// It is something else than one object.
    Other,
}

impl Arguments {
    /// Whether they are one whole object.
    pub(super) fn are_whole(self) -> bool {
        self.state == State::Behind
    }

    /// Takes in more of them: the inside of a JSON string.
    pub(super) fn take(&mut self, inner: &[u8]) {
        let mut at = 0;
        while let Some(byte) = inner.get(at) {
            let (letter, len) = match (byte, inner.get(at + 1)) {
                (b'\\', Some(b'u')) => (code_unit(inner.get(at + 2..at + 6)), 6),
                (b'\\', Some(b'n' | b'r' | b't')) => (b' ', 2),
                (b'\\', Some(escaped)) => (*escaped, 2),
                _ => (*byte, 1),
            };
            self.step(letter);
            at += len;
        }
        self.is_some |= self.state != State::Before;
    }

    fn step(&mut self, letter: u8) {
        let is_space = matches!(letter, b' ' | b'\t' | b'\n' | b'\r');
        self.state = match (self.state, letter) {
            (State::Before | State::Behind, _) if is_space => return,
            (State::Before, b'{') => {
                self.depth = 1;
                State::Outside
            }
            (State::Before, _) => {
                self.is_odd = true;
                State::Other
            }
            (State::Behind, _) => State::Other,
            (State::Outside, b'{') => {
                self.depth = self.depth.saturating_add(1);
                State::Outside
            }
            (State::Outside, b'}') => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    State::Behind
                } else {
                    State::Outside
                }
            }
            (State::Outside, b'"') => State::Inside,
            (State::Inside, b'"') | (State::Outside, _) => State::Outside,
            (State::Inside, b'\\') => State::Escaped,
            (State::Inside | State::Escaped, _) => State::Inside,
            (State::Other, _) => State::Other,
        };
    }
}

/// The ASCII character that is written as these four digits; any other says nothing here.
fn code_unit(digits: Option<&[u8]>) -> u8 {
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    unit.and_then(|unit| u8::try_from(unit).ok())
        .filter(u8::is_ascii)
        .unwrap_or(b'x')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::compose::between_quotes;
    use crate::wire::json;

    /// Takes in `text`, written as a JSON string.
    fn whole(text: &str) -> bool {
        let mut arguments = Arguments::default();
        arguments.take(between_quotes(&json::quoted(text)));
        arguments.are_whole()
    }

    #[test]
    fn an_object_is_whole_when_its_braces_are_closed() {
        for text in [
            "{}",
            " {\n} ",
            r#"{"a":{"b":"}"}}"#,
            r#"{"a":"\"}{"}"#,
            r#"{"a\\":1}"#,
        ] {
            assert!(whole(text), "{text}");
        }
        for text in [
            "",
            " ",
            "{",
            r#"{"a":"}"#,
            r#"{"a":"\"}"#,
            "{}{",
            "{} x",
            "[]",
            "\"{}\"",
            "null",
        ] {
            assert!(!whole(text), "{text}");
        }
    }

    #[test]
    fn escapes_are_what_they_mean() {
        let mut arguments = Arguments::default();
        arguments.take(br#"\u007b\u0022\u005c\"}"#);
        assert!(!arguments.are_whole());
        arguments.take(br#"\":1\u007D\n"#);
        assert!(arguments.are_whole());
    }

    #[test]
    fn arguments_that_do_not_begin_with_a_brace_are_odd() {
        for (text, is_odd) in [
            ("", false),
            (" \n", false),
            ("{", false),
            ("{} x", false),
            ("[{}]", true),
            (" nope", true),
            ("5", true),
        ] {
            let mut arguments = Arguments::default();
            arguments.take(between_quotes(&json::quoted(text)));
            assert_eq!(arguments.is_odd, is_odd, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_split_leads_to_the_same_end(
            text in r#"(\{|\}|"|\\\\"|a| |\n|é){0,16}"#, at in 0_usize..17,
        ) {
            let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
            let mut arguments = Arguments::default();
            for part in [&text[..at], &text[at..]] {
                arguments.take(between_quotes(&json::quoted(part)));
            }
            prop_assert_eq!(arguments.are_whole(), whole(&text));
        }
    }
}
