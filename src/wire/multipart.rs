//! Forms with files in them (`multipart/form-data`, RFC 7578), read from pieces split anywhere.
//!
//! Readers of forms differ in what they forgive. What two of them could read differently is refused
//! here: whoever reads the form behind infermux finds the same parts in it.

use std::ops::Range;

use memchr::memmem::{self, Finder};

use crate::base::limits::{PART_HEAD_BYTES_MAX, PARTS_MAX};

/// A reader of one form.
#[derive(Clone, Debug)]
pub struct Multipart {
    /// `--` and the boundary.
    delimiter: Finder<'static>,
    state: State,
    /// What was pushed and is not told yet, behind `done` bytes that are.
    pending: Vec<u8>,
    done: usize,
    /// Where `pending` begins in the form.
    at: usize,
    /// Whether some of the part's content was told.
    has_content: bool,
    /// Parts so far.
    parts: usize,
}

/// What a form is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part begins.
    Part(Part<'a>),
    /// Some of the part's content, which stands at this place of the form.
    Content(usize, &'a [u8]),
    /// The part has ended.
    PartEnd,
}

/// What the head of a part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name.
    pub name: &'a [u8],
    /// Whether it is a file: it has the name of one.
    pub is_file: bool,
}

/// Why a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub enum FormFault {
    /// The `Content-Type` names no boundary, or one that no form has.
    Boundary,
    /// Something else stands where the form begins.
    Start,
    /// A line between two parts does not end as it should.
    Delimiter,
    /// Something follows the last part.
    Epilogue,
    /// A part's head is not made of plain lines.
    PartHead,
    /// A part's head is too long.
    PartHeadTooLong,
    /// A part's head names no field, or is not to be understood by all readers.
    Disposition,
    /// A part is encoded.
    Encoded,
    /// There are too many parts.
    TooManyParts,
    /// The form stops in the middle.
    Incomplete,
}

impl FormFault {
    /// What the sender is told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Boundary => {
                "the Content-Type of the form has no boundary of 1 to 70 usual characters"
            }
            Self::Start => "the form does not begin with its boundary",
            Self::Delimiter => "a boundary in the form does not stand on a line of its own",
            Self::Epilogue => "something follows the end of the form",
            Self::PartHead => "the head of a part of the form is malformed",
            Self::PartHeadTooLong => "the head of a part of the form is longer than 8 KiB",
            Self::Disposition => {
                "a part of the form has no Content-Disposition: form-data with one plain name"
            }
            Self::Encoded => "a part of the form has a transfer encoding or a foreign charset",
            Self::TooManyParts => "the form has more than 256 parts",
            Self::Incomplete => "the form ends before its last boundary",
        }
    }
}

const _: () = assert!(PART_HEAD_BYTES_MAX == 8 << 10 && PARTS_MAX == 256);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Start,
    /// Behind a delimiter.
    Delimited,
    /// In a part's head.
    Head,
    /// In a part's content.
    Content,
    /// Behind the last delimiter.
    Closed,
}

/// What was made of what is pending.
enum Step {
    /// All that can be told is told.
    More,
    /// There may be more.
    Again,
}

impl Multipart {
    /// A reader of the form whose `Content-Type` this is.
    ///
    /// # Errors
    /// It names no boundary.
    pub fn new(content_type: &[u8]) -> Result<Self, FormFault> {
        let boundary = boundary(content_type).ok_or(FormFault::Boundary)?;
        Ok(Self {
            delimiter: Finder::new(&[b"--", boundary].concat()).into_owned(),
            state: State::Start,
            pending: Vec::new(),
            done: 0,
            at: 0,
            has_content: false,
            parts: 0,
        })
    }

    /// The boundary.
    #[must_use]
    pub fn boundary(&self) -> &[u8] {
        self.delimiter.needle().get(2..).unwrap_or_default()
    }

    /// Reads on, and tells `tell` what it finds.
    ///
    /// # Errors
    /// The form is malformed, or `tell` refuses what it is told. Nothing may be pushed behind that.
    pub fn push<F: From<FormFault>>(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(Event<'_>) -> Result<(), F>,
    ) -> Result<(), F> {
        self.pending.extend_from_slice(bytes);
        loop {
            let step = match self.state {
                State::Start => self.start()?,
                State::Delimited => self.delimited()?,
                State::Head => self.head(&mut tell)?,
                State::Content => self.content(&mut tell)?,
                State::Closed => self.closed()?,
            };
            match step {
                Step::More => break,
                Step::Again => {}
            }
        }
        self.pending.drain(..self.done);
        self.at += std::mem::take(&mut self.done);
        Ok(())
    }

    /// What is not told yet.
    fn rest(&self) -> &[u8] {
        self.pending.get(self.done..).unwrap_or_default()
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// The form has not ended.
    pub fn finish(&self) -> Result<(), FormFault> {
        match self.state {
            State::Closed if self.pending != b"\r" => Ok(()),
            State::Closed => Err(FormFault::Epilogue),
            State::Start | State::Delimited | State::Head | State::Content => {
                Err(FormFault::Incomplete)
            }
        }
    }

    fn start(&mut self) -> Result<Step, FormFault> {
        let delimiter = self.delimiter.needle();
        let there = self.rest().len().min(delimiter.len());
        if self.rest().get(..there) != delimiter.get(..there) {
            return Err(FormFault::Start);
        }
        if there < delimiter.len() {
            return Ok(Step::More);
        }
        self.done += there;
        self.state = State::Delimited;
        Ok(Step::Again)
    }

    fn delimited(&mut self) -> Result<Step, FormFault> {
        match self.rest().get(..2) {
            Some(b"\r\n") => {
                self.parts += 1;
                if self.parts > PARTS_MAX {
                    return Err(FormFault::TooManyParts);
                }
                self.state = State::Head;
            }
            Some(b"--") => self.state = State::Closed,
            Some(_) => return Err(FormFault::Delimiter),
            None => return Ok(Step::More),
        }
        self.done += 2;
        Ok(Step::Again)
    }

    fn head<F: From<FormFault>>(
        &mut self,
        tell: &mut impl FnMut(Event<'_>) -> Result<(), F>,
    ) -> Result<Step, F> {
        let rest = self.pending.get(self.done..).unwrap_or_default();
        let end = memmem::find(rest, b"\r\n\r\n");
        if end.unwrap_or(rest.len()) > PART_HEAD_BYTES_MAX {
            return Err(FormFault::PartHeadTooLong.into());
        }
        let Some(end) = end else {
            return Ok(Step::More);
        };
        tell(Event::Part(part(rest.get(..end).unwrap_or_default())?))?;
        self.done += end + 4;
        self.state = State::Content;
        self.has_content = false;
        Ok(Step::Again)
    }

    fn content<F: From<FormFault>>(
        &mut self,
        tell: &mut impl FnMut(Event<'_>) -> Result<(), F>,
    ) -> Result<Step, F> {
        let rest = self.pending.get(self.done..).unwrap_or_default();
        let length = self.delimiter.needle().len();
        let Some(at) = self.delimiter.find(rest) else {
            // What may be the beginning of a delimiter waits, with the line break before it.
            let told = rest.len().saturating_sub(length + 2);
            self.tell_content(told, tell)?;
            return Ok(Step::More);
        };
        let before = rest.get(..at).unwrap_or_default();
        if let Some(content) = before.strip_suffix(b"\r\n") {
            let content = content.len();
            self.tell_content(content, tell)?;
            tell(Event::PartEnd)?;
            self.done += 2 + length;
            self.state = State::Delimited;
            return Ok(Step::Again);
        }
        // Some readers take any line break for one, or none where a part is empty.
        let is_first = before.is_empty() && !self.has_content;
        if is_first || matches!(before.last(), Some(b'\r' | b'\n')) {
            return Err(FormFault::Delimiter.into());
        }
        // In the middle of a line it is content.
        self.tell_content(at + 1, tell)?;
        Ok(Step::Again)
    }

    fn tell_content<F: From<FormFault>>(
        &mut self,
        count: usize,
        tell: &mut impl FnMut(Event<'_>) -> Result<(), F>,
    ) -> Result<(), F> {
        let start = self.done;
        let content = self.pending.get(start..start + count).unwrap_or_default();
        if content.is_empty() {
            return Ok(());
        }
        self.has_content = true;
        self.done += count;
        tell(Event::Content(self.at + start, content))
    }

    fn closed(&self) -> Result<Step, FormFault> {
        match self.rest() {
            b"" | b"\r" | b"\r\n" => Ok(Step::More),
            _ => Err(FormFault::Epilogue),
        }
    }
}

/// The boundary that a `Content-Type` of a form names.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = split_at(content_type, b';');
    if !kind
        .trim_ascii()
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return None;
    }
    let rest = rest?;
    let (mut found, mut is_odd) = (None, false);
    each_parameter(rest, |name, value| {
        if name.eq_ignore_ascii_case(b"boundary") {
            is_odd |= found.replace(value).is_some();
        }
    })?;
    let boundary = rest.get(found?)?;
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(byte);
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
    (fits && !is_odd && boundary.iter().all(is_usual)).then_some(boundary)
}

/// Reads the head of a part, without the empty line at its end.
fn part(head: &[u8]) -> Result<Part<'_>, FormFault> {
    let mut disposition = None;
    for line in lines(head) {
        let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        if !line.iter().all(is_plain) {
            return Err(FormFault::PartHead);
        }
        let (name, value) = split_at(line, b':');
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if name.is_empty() || !name.iter().all(is_name) {
            return Err(FormFault::PartHead);
        }
        let value = value.ok_or(FormFault::PartHead)?;
        if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            return Err(FormFault::Encoded);
        }
        if name.eq_ignore_ascii_case(b"content-type") && is_coded(value) {
            return Err(FormFault::Encoded);
        }
        if name.eq_ignore_ascii_case(b"content-disposition") && disposition.replace(value).is_some()
        {
            return Err(FormFault::Disposition);
        }
    }
    let disposition = disposition.ok_or(FormFault::Disposition)?;
    read_disposition(disposition).ok_or(FormFault::Disposition)
}

/// Whether some readers read a part of this type as something else than its bytes.
fn is_coded(content_type: &[u8]) -> bool {
    let content_type = content_type.trim_ascii().to_ascii_lowercase();
    let names_charset = memmem::find(&content_type, b"charset").is_some();
    let is_plain = || {
        let mut plain = [&b"utf-8"[..], b"utf8", b"us-ascii"].into_iter();
        plain.any(|charset| memmem::find(&content_type, charset).is_some())
    };
    content_type.starts_with(b"multipart/") || names_charset && !is_plain()
}

fn read_disposition(value: &[u8]) -> Option<Part<'_>> {
    // Some readers leave out what is no UTF-8: another name remains, or a file that has none and so
    // is an ordinary field.
    std::str::from_utf8(value).ok()?;
    let (kind, rest) = split_at(value, b';');
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let rest = rest?;
    let (mut name, mut is_file, mut is_odd) = (None, false, false);
    each_parameter(rest, |parameter, value| match parameter {
        b"name" => is_odd |= is_file || name.replace(value).is_some(),
        b"filename" => is_odd |= std::mem::replace(&mut is_file, true),
        b"filename*" => is_file = true,
        // Some readers take `name*`, `Name`, `x-name`, or what a file's name before it says, for
        // the name, and others do not.
        _ => is_odd = true,
    })?;
    let name = rest.get(name?)?;
    // Readers differ in how they decode these.
    is_odd |= name.is_empty() || name.iter().any(|byte| b"\\%=".contains(byte));
    (!is_odd).then_some(Part { name, is_file })
}

/// Tells `tell` each parameter's name, and where its value stands in `text`, without quotes;
/// `None`: the text is not made of parameters.
fn each_parameter<'t>(text: &'t [u8], mut tell: impl FnMut(&'t [u8], Range<usize>)) -> Option<()> {
    let count = |from: usize, is: fn(u8) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| is(**byte)).count()
    };
    let is_space = |byte| matches!(byte, b' ' | b'\t');
    let mut at = count(0, is_space);
    while at < text.len() {
        let name = text.get(at..at + count(at, is_token))?;
        at += name.len();
        if name.is_empty() || text.get(at) != Some(&b'=') {
            return None;
        }
        at += 1;
        let value = if text.get(at) == Some(&b'"') {
            let start = at + 1;
            at = quoted_end(text, start)? + 1;
            start..at - 1
        } else {
            let start = at;
            at += count(at, is_token);
            // Some readers take it for a part of the value.
            if text.get(at) == Some(&b'\t') {
                return None;
            }
            start..at
        };
        tell(name, value);
        at += count(at, is_space);
        match text.get(at) {
            None => {}
            Some(b';') => at += 1 + count(at + 1, is_space),
            Some(_) => return None,
        }
    }
    Some(())
}

/// The place of the quote that ends a quoted text which begins at `start`.
fn quoted_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
                | b'/'
                | b':'
                | b'?'
                | b'('
                | b')'
        )
}

fn split_at(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(mark, text) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memmem::find(text, b"\r\n");
        rest = end.and_then(|end| text.get(end + 2..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// The longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
