//! A file's code as words and marks, each with its line.

use crate::source::Line;

/// A word or a mark of the code.
#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    /// A name, a number, one of `::`, `->` and `=>`, or one other character.
    pub(crate) text: &'a str,
    /// Its line, from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Whether it is a name or a keyword.
    pub(crate) fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of `lines`.
pub(crate) fn read<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<Token<'a>> {
    let mut tokens = Vec::new();
    for line in lines {
        let mut code = line.code.trim_start();
        while !code.is_empty() {
            let (text, rest) = code.split_at(token_len(code));
            tokens.push(Token {
                text: text.trim_start_matches("r#"),
                line: line.number,
            });
            code = rest.trim_start();
        }
    }
    tokens
}

/// The length of the token that `code` begins with.
fn token_len(code: &str) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let escape = if code.starts_with("r#") { 2 } else { 0 };
    let name = code.get(escape..).unwrap_or_default();
    let len = name.find(|c| !is_name(c)).unwrap_or(name.len());
    if len > 0 {
        return escape + len;
    }
    if ["::", "->", "=>"].iter().any(|mark| code.starts_with(mark)) {
        return 2;
    }
    code.chars().next().map_or(0, char::len_utf8)
}

/// How many of `tokens`, which begin behind an opening mark, stand before its closing mark.
pub(crate) fn inside(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" | ">" if depth == 0 => return at,
            ")" | "]" | "}" | ">" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The parts of `tokens` between the commas outside of brackets.
pub(crate) fn parts<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_usize;
    let parts = tokens.split(|token| {
        match token.text {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" | ">" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn code_is_told_apart_word_by_word() {
        let source = Source::new("src/base/a.rs", "use r#a::{b, c}; // d\nf::<u8>() -> x_1");
        let tokens = read(source.lines.iter());
        let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
        let expected = "use a :: { b , c } ; f :: < u8 > ( ) -> x_1";
        assert_eq!(texts.join(" "), expected);
        assert_eq!((tokens[0].line, tokens[9].line), (1, 2));
    }

    #[test]
    fn brackets_hold_together() {
        let source = Source::new("src/base/a.rs", "a: F<B, C>, (d, e), [f, g],) h");
        let tokens = read(source.lines.iter());
        let inside = &tokens[..inside(&tokens)];
        let lens: Vec<usize> = parts(inside).iter().map(|part| part.len()).collect();
        assert_eq!(lens, [8, 5, 5]);
    }
}
