//! The same check for an object that arrives in pieces: each byte is looked at once, when it
//! arrives.

use std::ops::Range;

use super::{ARRAY, OBJECT, Open, literal, number_end, space_end};
use crate::wire::json::string::{self, StringPiece};

/// An object that arrives in pieces. The caller is told where each of its members stands when the
/// member ends.
#[derive(Debug)]
pub struct Pieces {
    /// Everything before this place is read; the token that begins here is not complete yet.
    at: usize,
    open: Open,
    expected: Expected,
    /// The name of the outermost object's member that is being read.
    name: Range<usize>,
    /// Where that member's value begins.
    value: usize,
}

/// The text is not valid, or must be judged by another reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd;

/// A member of the outermost object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, between the quotes.
    pub name: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

/// What the next byte must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The outermost object.
    Start,
    /// A name, or the end of the object that has just begun.
    FirstName,
    /// A name.
    Name,
    /// The rest of a name.
    InName,
    /// The colon behind a name.
    Colon,
    /// A value, or the end of the array that has just begun.
    FirstElement,
    /// A value.
    Value,
    /// The rest of a string.
    InString,
    /// A comma, or the end of a container.
    Behind,
    /// Nothing but white space.
    End,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            at: 0,
            open: Open(1),
            expected: Expected::Start,
            name: 0..0,
            value: 0,
        }
    }
}

impl Pieces {
    /// Reads on; `text` is everything that has arrived by now. `tell` is called with each member
    /// that ends.
    ///
    /// # Errors
    /// The text is not valid, or only another reader can judge it; nothing more may be taken in.
    pub fn take_in(&mut self, text: &[u8], mut tell: impl FnMut(Member)) -> Result<(), Odd> {
        loop {
            if let Expected::InName | Expected::InString = self.expected {
                match string::piece(text, self.at) {
                    StringPiece::End(end) => self.end_string(end, &mut tell),
                    StringPiece::Bad => return Err(Odd),
                    StringPiece::More(at) => {
                        self.at = at;
                        return Ok(());
                    }
                }
                continue;
            }
            self.at = space_end(text, self.at);
            let Some(byte) = text.get(self.at) else {
                return Ok(());
            };
            if !self.step(text, *byte, &mut tell)? {
                return Ok(());
            }
        }
    }

    /// Whether all of `text`, which has been taken in, is one object.
    #[must_use]
    pub fn is_whole(&self, text: &[u8]) -> bool {
        self.expected == Expected::End && self.at == text.len()
    }

    /// Takes the token that begins with `byte`; returns false when the token's end has not arrived.
    fn step(&mut self, text: &[u8], byte: u8, tell: &mut impl FnMut(Member)) -> Result<bool, Odd> {
        match (self.expected, byte) {
            (Expected::Start, b'{') => {
                self.open.enter(OBJECT).ok_or(Odd)?;
                self.go(1, Expected::FirstName);
            }
            (Expected::FirstName, b'}') | (Expected::FirstElement, b']') => self.close(tell),
            (Expected::FirstName | Expected::Name, b'"') => {
                if self.is_outermost() {
                    self.name.start = self.at + 1;
                }
                self.go(1, Expected::InName);
            }
            (Expected::Colon, b':') => self.go(1, Expected::Value),
            (Expected::FirstElement | Expected::Value, _) => {
                return self.begin_value(text, byte, tell);
            }
            (Expected::Behind, b',') if self.open.0 & 1 == OBJECT => self.go(1, Expected::Name),
            (Expected::Behind, b',') => self.go(1, Expected::Value),
            (Expected::Behind, b'}') if self.open.0 & 1 == OBJECT => self.close(tell),
            (Expected::Behind, b']') if self.open.0 & 1 == ARRAY => self.close(tell),
            (_, _) => return Err(Odd),
        }
        Ok(true)
    }

    fn begin_value(
        &mut self,
        text: &[u8],
        byte: u8,
        tell: &mut impl FnMut(Member),
    ) -> Result<bool, Odd> {
        if self.is_outermost() {
            self.value = self.at;
        }
        match byte {
            b'"' => self.go(1, Expected::InString),
            b'{' => {
                self.open.enter(OBJECT).ok_or(Odd)?;
                self.go(1, Expected::FirstName);
            }
            b'[' => {
                self.open.enter(ARRAY).ok_or(Odd)?;
                self.go(1, Expected::FirstElement);
            }
            _ => match scalar_end(text, self.at)? {
                Some(end) => {
                    self.at = end;
                    self.end_value(tell);
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn end_string(&mut self, end: usize, tell: &mut impl FnMut(Member)) {
        self.at = end;
        if self.expected == Expected::InString {
            return self.end_value(tell);
        }
        if self.is_outermost() {
            self.name.end = end - 1;
        }
        self.expected = Expected::Colon;
    }

    fn close(&mut self, tell: &mut impl FnMut(Member)) {
        self.at += 1;
        self.open.0 >>= 1;
        if self.open.0 == 1 {
            self.expected = Expected::End;
        } else {
            self.end_value(tell);
        }
    }

    fn end_value(&mut self, tell: &mut impl FnMut(Member)) {
        self.expected = Expected::Behind;
        if self.is_outermost() {
            tell(Member {
                name: self.name.clone(),
                value: self.value..self.at,
            });
        }
    }

    fn go(&mut self, bytes: usize, expected: Expected) {
        self.at += bytes;
        self.expected = expected;
    }

    /// Whether only the outermost object is open.
    fn is_outermost(&self) -> bool {
        self.open.0 == (1 << 1 | OBJECT)
    }
}

/// The place behind the number or word that begins at `at`; `None`: its end has not arrived.
fn scalar_end(text: &[u8], at: usize) -> Result<Option<usize>, Odd> {
    let rest = text.get(at..).unwrap_or_default();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'E');
    let length = rest
        .iter()
        .take(SCALAR_MAX)
        .take_while(|byte| is_part(byte))
        .count();
    if length == SCALAR_MAX {
        return Err(Odd);
    }
    if length == rest.len() {
        return Ok(None);
    }
    let end = match rest.first() {
        Some(b't') => literal(text, at, b"true"),
        Some(b'f') => literal(text, at, b"false"),
        Some(b'n') => literal(text, at, b"null"),
        _ => number_end(text, at),
    };
    end.map(Some).ok_or(Odd)
}

/// A number of this length is left to another reader: this one looks at a number again whenever
/// more arrives.
const SCALAR_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::json::check::tests::is_json_to_serde;

    /// The members, read in pieces of these lengths; `None`: it was odd, or is not whole.
    fn read(text: &str, lengths: &[usize]) -> Option<Vec<(String, String)>> {
        let (mut pieces, mut members) = (Pieces::default(), Vec::new());
        let mut end = 0;
        let rest = std::iter::once(text.len());
        for length in lengths.iter().copied().chain(rest) {
            end = text.len().min(end + length);
            let arrived = &text.as_bytes()[..end];
            let told = pieces.take_in(arrived, |member| members.push(member));
            told.ok()?;
        }
        let shown = |at: Range<usize>| text[at].to_owned();
        let members = members
            .into_iter()
            .map(|member| (shown(member.name), shown(member.value)));
        let members = members.collect();
        pieces.is_whole(text.as_bytes()).then_some(members)
    }

    #[test]
    fn members_are_told_with_their_places() {
        let text = r#" {"a" : [1, {"x":"\"]"}] ,"b\\":"é\u00e9", "c":-1.5e3,"d":{}, "e":null} "#;
        let expected = [
            ("a", r#"[1, {"x":"\"]"}]"#),
            (r"b\\", r#""é\u00e9""#),
            ("c", "-1.5e3"),
            ("d", "{}"),
            ("e", "null"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for split in 0..text.len() {
            if text.is_char_boundary(split) {
                assert_eq!(
                    read(text, &[split]).as_deref(),
                    Some(&expected[..]),
                    "{split}"
                );
            }
        }
        let bytes = vec![1; text.len()];
        let text = text.replace('é', "e");
        assert_eq!(read(&text, &bytes).map(|members| members.len()), Some(5));
        for odd in [
            "",
            " ",
            "{",
            "[]",
            "1",
            "\"a\"",
            "{}}",
            "{} x",
            r#"{"a":1"#,
            r#"{"a":1,}"#,
        ] {
            assert_eq!(read(odd, &[1, 1]), None, "{odd}");
        }
    }

    #[test]
    fn long_numbers_and_deep_values_are_left_to_others() {
        for (odd, inside) in [
            (false, "1".repeat(SCALAR_MAX - 1)),
            (true, "1".repeat(SCALAR_MAX)),
            (false, "[".repeat(62) + &"]".repeat(62)),
            (true, "[".repeat(63) + &"]".repeat(63)),
        ] {
            let text = format!("{{\"a\":{inside}}}");
            assert_eq!(read(&text, &[700]).is_none(), odd, "{}", text.len());
        }
    }

    proptest! {
        #[test]
        fn any_split_of_an_object_is_judged_as_serde_judges_it(
            text in concat!(
                r#"\{("a":(1|"x\\n"|\[(1|"\\u00e9"|null)(,(2e1|"y"|\{\}))?\]|\{"k":true\}),){0,3}"#,
                r#""b"( )?:( )?(""|-0|false|\[ \]|01|"\\x"|tru|1 2)(\}|,\}| \} |\]){1,2}"#,
            ),
            lengths in prop::collection::vec(0..8_usize, 0..40),
        ) {
            let found = read(&text, &lengths);
            prop_assert_eq!(found.is_some(), is_json_to_serde(&text), "{:?}", text);
            prop_assert_eq!(found, read(&text, &[]));
        }
    }
}
