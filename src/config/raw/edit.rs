//! Changes of single fields in the text of a YAML file: everything else stays as it is, comments
//! and order included.
//!
//! Only as much YAML is understood as is needed to find a field: lists and mappings in blocks or in
//! brackets, quotes and comments. Where there are anchors or tags, a wrong place may be found. So
//! those who change a text read the result, and judge whether it says what it should.

use std::ops::Range;

/// Where a value stands in a text: from its first character to its last one.
pub type Span = Range<usize>;

/// A field of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, without quotes.
    pub name: String,
    /// The name and the value.
    pub whole: Span,
    /// The value; empty where there is none.
    pub value: Span,
}

/// How a list or a mapping is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In lines, each of which begins at this column.
    Block(usize),
    /// In brackets.
    Flow,
}

/// The whole document.
#[must_use]
pub fn document(text: &str) -> Span {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut start = text.len() - body.len();
    let mut tokens = Tokens::new(text, start..text.len());
    // Three dashes mark the begin of a document.
    if let Some(first) = tokens.next()
        && text[first.start..].starts_with("---")
        && column(text, first.start) == 0
    {
        start = first.start + "---".len();
    }
    trimmed(text, start..text.len())
}

/// How the list or mapping at `span` is written.
#[must_use]
pub fn form(text: &str, span: &Span) -> Form {
    let value = &text[span.clone()];
    if value.len() > 1 && value.starts_with(['[', '{']) && value.ends_with([']', '}']) {
        Form::Flow
    } else {
        Form::Block(column(text, span.start))
    }
}

/// The items of the list at `span`.
#[must_use]
pub fn items(text: &str, span: &Span) -> Vec<Span> {
    match form(text, span) {
        Form::Flow => parts(text, span),
        Form::Block(at) => {
            let starts: Vec<usize> = line_starts(text, span, at)
                .filter(|start| is_dash(text, *start))
                .collect();
            let ends = starts.iter().skip(1).copied().chain([span.end]);
            let pairs = starts.iter().zip(ends);
            pairs
                .map(|(start, end)| trimmed(text, start + 1..end))
                .collect()
        }
    }
}

/// The field of the mapping at `span` that is called `name`.
#[must_use]
pub fn field(text: &str, span: &Span, name: &str) -> Option<Field> {
    let fields = match form(text, span) {
        Form::Flow => parts(text, span),
        Form::Block(at) => {
            let starts: Vec<usize> = line_starts(text, span, at)
                .filter(|start| !is_dash(text, *start))
                .collect();
            let ends = starts.iter().skip(1).copied().chain([span.end]);
            let pairs = starts.iter().zip(ends);
            pairs
                .map(|(start, end)| trimmed(text, *start..end))
                .collect()
        }
    };
    let mut fields = fields.into_iter().filter_map(|part| read_field(text, part));
    fields.find(|field| field.name == name)
}

/// The text with `value` in the field `name` of the mapping at `span`.
#[must_use]
pub fn set(text: &str, span: &Span, name: &str, value: &str) -> String {
    if let Some(field) = field(text, span, name) {
        let blank = if field.value.is_empty() { " " } else { "" };
        return replaced(text, &field.value, &format!("{blank}{value}"));
    }
    add(text, span, &format!("{name}: {value}"))
}

/// The text with one more item in the list at `span`, which is not empty.
#[must_use]
pub fn push(text: &str, span: &Span, item: &str) -> String {
    match form(text, span) {
        Form::Flow => add(text, span, item),
        Form::Block(_) => add(text, span, &format!("- {item}")),
    }
}

/// The text with `with` in place of what is at `span`.
#[must_use]
pub fn replaced(text: &str, span: &Span, with: &str) -> String {
    format!("{}{with}{}", &text[..span.start], &text[span.end..])
}

/// The text with these `lines` below the line that `at` is on. A comment at its end stays there.
#[must_use]
pub fn inserted_below(text: &str, at: usize, lines: &str) -> String {
    let rest = text[at..].split(['\r', '\n']).next();
    let at = at + rest.unwrap_or_default().len();
    let end = line_end(text);
    let lines = lines.replace('\n', end);
    replaced(text, &(at..at), &format!("{end}{lines}"))
}

/// The end of lines in `text`.
#[must_use]
pub fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Adds `part` behind all that the list or mapping at `span` has.
fn add(text: &str, span: &Span, part: &str) -> String {
    match form(text, span) {
        Form::Flow => {
            let inner = span.start + 1..span.end - 1;
            let last = Tokens::new(text, inner.clone()).last();
            let (at, before) = match last {
                None => (inner.start, ""),
                Some(last) if is_byte(text, &last, b',') => (last.end, " "),
                Some(last) => (last.end, ", "),
            };
            replaced(text, &(at..at), &format!("{before}{part}"))
        }
        Form::Block(column) => {
            let indent = " ".repeat(column);
            inserted_below(text, span.end, &format!("{indent}{part}"))
        }
    }
}

/// The parts between commas of what stands in brackets at `span`.
fn parts(text: &str, span: &Span) -> Vec<Span> {
    let inner = span.start + 1..span.end - 1;
    let tokens = Tokens::new(text, inner.clone());
    let commas = tokens.filter(|token| is_byte(text, token, b','));
    let commas: Vec<usize> = commas.map(|comma| comma.start).collect();
    let starts = commas.iter().map(|comma| comma + 1);
    let starts = [inner.start].into_iter().chain(starts);
    let ends = commas.iter().copied().chain([inner.end]);
    let parts = starts
        .zip(ends)
        .map(|(start, end)| trimmed(text, start..end));
    parts.filter(|part| !part.is_empty()).collect()
}

/// A name, a colon and a value; `None`: there is no colon.
fn read_field(text: &str, span: Span) -> Option<Field> {
    let bytes = text.as_bytes();
    let mut quoted = None;
    let colon = Tokens::new(text, span.clone()).find(|token| {
        let is_behind_quotes = quoted == Some(token.start);
        quoted = (token.len() > 1).then_some(token.end);
        let next = bytes.get(token.end);
        let ends = token.end >= span.end || next.is_some_and(u8::is_ascii_whitespace);
        is_byte(text, token, b':') && (ends || is_behind_quotes)
    })?;
    let name = text[span.start..colon.start].trim();
    let value = trimmed(text, colon.end..span.end);
    Some(Field {
        name: name.trim_matches(['"', '\'']).to_owned(),
        whole: span,
        value,
    })
}

/// What stands in `span` without blanks and comments around it.
fn trimmed(text: &str, span: Span) -> Span {
    let mut tokens = Tokens::new(text, span.clone());
    let Some(first) = tokens.next() else {
        return span.start..span.start;
    };
    let end = tokens.last().map_or(first.end, |last| last.end);
    first.start..end
}

/// The begin of `span`, and of all lines in it that begin at `column`.
fn line_starts(text: &str, span: &Span, at: usize) -> impl Iterator<Item = usize> {
    let first = span.start;
    let starts = Tokens::new(text, span.clone()).map(|token| token.start);
    starts.filter(move |start| *start == first || leads(text, *start) && column(text, *start) == at)
}

/// Whether this is the dash of an item.
fn is_dash(text: &str, at: usize) -> bool {
    let mut rest = text.as_bytes()[at..].iter();
    rest.next() == Some(&b'-') && rest.next().is_none_or(u8::is_ascii_whitespace)
}

/// Whether a token is this byte.
fn is_byte(text: &str, token: &Span, byte: u8) -> bool {
    token.len() == 1 && text.as_bytes().get(token.start) == Some(&byte)
}

/// How many bytes stand before it on its line, a mark of byte order left out.
fn column(text: &str, at: usize) -> usize {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    line.strip_prefix('\u{feff}').unwrap_or(line).len()
}

/// Whether only blanks stand before it on its line.
fn leads(text: &str, at: usize) -> bool {
    let before = text.as_bytes()[..at].iter().rev();
    let mut before = before.skip_while(|byte| **byte == b' ');
    before.next().is_none_or(|byte| *byte == b'\n')
}

/// What stands in a span, blanks and comments left out: quoted texts and brackets each as a whole,
/// and anything else byte by byte.
struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str, span: Span) -> Self {
        Self {
            text: text.as_bytes(),
            at: span.start,
            end: span.end,
        }
    }

    /// Whether quotes or brackets may open here: at the begin of a value.
    fn opens(&self, at: usize) -> bool {
        let before = self.text[..at].iter().rev();
        let mut before = before.skip_while(|byte| matches!(byte, b' ' | b'\t'));
        before
            .next()
            .is_none_or(|byte| matches!(byte, b'\n' | b':' | b'-' | b',' | b'[' | b'{'))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied().filter(|_| at < self.end)
    }

    /// The end of a text in quotes that begins at `at`.
    fn end_of_quotes(&self, at: usize, quote: u8) -> usize {
        let mut at = at + 1;
        while let Some(byte) = self.byte(at) {
            at += 1;
            let next = self.byte(at);
            if byte == b'\\' && quote == b'"' || byte == quote && next == Some(quote) {
                at += 1;
            } else if byte == quote {
                break;
            }
        }
        at.min(self.end)
    }

    /// The end of what stands in brackets from `at` on.
    fn end_of_brackets(&self, at: usize) -> usize {
        let inner = Tokens {
            text: self.text,
            at: at + 1,
            end: self.end,
        };
        let closes = |token: &Span| matches!(self.text[token.start], b']' | b'}');
        let mut inner = inner.filter(|token| token.len() == 1);
        inner.find(closes).map_or(self.end, |token| token.end)
    }

    fn end_of_line(&self, at: usize) -> usize {
        let rest = &self.text[at..self.end];
        let length = rest.iter().position(|byte| *byte == b'\n');
        at + length.unwrap_or(rest.len())
    }
}

impl Iterator for Tokens<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        loop {
            let start = self.at;
            let byte = self.byte(start)?;
            let is_apart = start == 0 || self.text[start - 1].is_ascii_whitespace();
            self.at = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    continue;
                }
                b'#' if is_apart => {
                    self.at = self.end_of_line(start);
                    continue;
                }
                b'"' | b'\'' if self.opens(start) => self.end_of_quotes(start, byte),
                b'[' | b'{' if self.opens(start) => self.end_of_brackets(start),
                _ => start + 1,
            };
            return Some(start..self.at);
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
