//! HTTP/1 message heads as byte ranges of the buffer they arrived in (RFC 9112).
//!
//! Nothing is copied and nothing is allocated per head: a head is parsed into a reused [`Head`].
//! Everything that could make two parsers disagree about where a message ends is refused.

use std::ops::Range;

pub use fault::HeadFault;
pub use framing::Framing;
pub use lines::Field;
pub use recent::RecentHeads;

use crate::base::limits::{ANSWER_HEAD_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::wire::head::framing::{Expect, FieldFacts};
use crate::wire::head::lines::{Lines, is_line_end};
use crate::wire::known::{Known, Names};
use crate::wire::scan::{self, BLOCK, Block};

mod fault;
mod framing;
mod lines;
mod recent;

/// One parsed head: of a request or of an answer.
#[derive(Debug, Default)]
pub struct Head {
    /// Bytes of the head, the empty line included; the body starts here.
    pub len: usize,
    /// Request: the method.
    pub method: Range<usize>,
    /// Request: path and query, without scheme and authority.
    pub target: Range<usize>,
    /// Answer: the status code.
    pub status: u16,
    /// Minor version: 0 or 1.
    pub minor: u8,
    /// The header fields in order; at most `HEADERS_MAX`.
    pub fields: Vec<Field>,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the connection may carry another message after this one.
    pub keep_alive: bool,
    /// Request: `Expect: 100-continue`.
    pub expects_continue: bool,
    /// The names of the fields that are known.
    pub names: Names,
    /// Whether `Connection` may name fields.
    lists_fields: bool,
}

/// Whether a head has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The head is parsed.
    Whole,
    /// More bytes are needed.
    Partial,
}

impl Head {
    /// Parses a request's head at the start of `bytes`; an earlier call has found no end in the
    /// first `seen` bytes.
    ///
    /// # Errors
    ///
    /// The message must not be processed further, and the connection not be used again: where the
    /// next message would start is unknown.
    pub fn parse_request(&mut self, bytes: &[u8], seen: usize) -> Result<Arrival, HeadFault> {
        // Only a head that is there, or may be, is walked from its beginning.
        let may_be_whole = seen == 0 || find_end(bytes, seen)?.is_some();
        let read = may_be_whole.then(|| self.read_request(bytes));
        match read.unwrap_or(Err(HeadFault::Malformed)) {
            Ok(facts) if self.len <= REQUEST_HEAD_BYTES_MAX => self.judge_request(bytes, &facts),
            Ok(_) => Err(too_large(bytes)),
            Err(fault) => match find_end(bytes, if may_be_whole { 0 } else { seen })? {
                Some(end) if end <= REQUEST_HEAD_BYTES_MAX => Err(fault),
                None if bytes.len() < REQUEST_HEAD_BYTES_MAX => {
                    check_beginning(bytes)?;
                    Ok(Arrival::Partial)
                }
                Some(_) | None => Err(too_large(bytes)),
            },
        }
    }

    /// Parses the head of an answer to the kind of request that was `asked`, at the start of
    /// `bytes`; an earlier call has found no end in the first `seen` bytes.
    ///
    /// # Errors
    ///
    /// The answer cannot be trusted: where it ends is unknown.
    pub fn parse_answer(
        &mut self,
        bytes: &[u8],
        seen: usize,
        asked: Asked,
    ) -> Result<Arrival, HeadFault> {
        let may_be_whole = seen == 0 || find_end(bytes, seen)?.is_some();
        let read = may_be_whole.then(|| self.read_answer(bytes));
        match read.unwrap_or(Err(HeadFault::Malformed)) {
            Ok(facts) if self.len <= ANSWER_HEAD_BYTES_MAX => self.judge_answer(&facts, asked),
            Ok(_) => Err(HeadFault::TooLarge),
            Err(fault) => match find_end(bytes, if may_be_whole { 0 } else { seen })? {
                Some(end) if end <= ANSWER_HEAD_BYTES_MAX => Err(fault),
                None if bytes.len() < ANSWER_HEAD_BYTES_MAX => {
                    let start = &bytes[..bytes.len().min(5)];
                    if b"HTTP/".starts_with(start) {
                        Ok(Arrival::Partial)
                    } else {
                        Err(HeadFault::Malformed)
                    }
                }
                Some(_) | None => Err(HeadFault::TooLarge),
            },
        }
    }

    /// The value of the first field called `name` (any case), out of the buffer that the head was
    /// parsed from.
    #[must_use]
    pub fn value<'b>(&self, bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
        let name = name.as_bytes();
        let is_called = |field: &&Field| {
            field.name.len() == name.len() && bytes[field.name.clone()].eq_ignore_ascii_case(name)
        };
        let field = self.fields.iter().find(is_called)?;
        Some(&bytes[field.value.clone()])
    }

    /// The value of the first field with a known name, out of the buffer that the head was parsed
    /// from.
    #[must_use]
    pub fn value_of<'b>(&self, bytes: &'b [u8], known: Known) -> Option<&'b [u8]> {
        if !self.names.has(known) {
            return None;
        }
        let field = self.fields.iter().find(|field| field.known == known)?;
        Some(&bytes[field.value.clone()])
    }

    /// The values of all fields with a known name, in order.
    pub fn values_of<'b>(
        &'b self,
        bytes: &'b [u8],
        known: Known,
    ) -> impl Iterator<Item = &'b [u8]> {
        // Usually there is none, and nothing is looked for.
        let fields = if self.names.has(known) {
            &*self.fields
        } else {
            &[]
        };
        let is_one = move |field: &&Field| field.known == known;
        let fields = fields.iter().filter(is_one);
        fields.map(|field| &bytes[field.value.clone()])
    }

    /// Whether more than one field has a known name.
    #[must_use]
    pub fn repeats(&self, known: Known) -> bool {
        if !self.names.has(known) {
            return false;
        }
        let mut fields = self.fields.iter().filter(|field| field.known == known);
        fields.nth(1).is_some()
    }

    /// The values of `Connection` where they name fields, besides `close` and `keep-alive`: those
    /// fields are not passed on.
    pub fn listed_by_connection<'b>(
        &'b self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = &'b [u8]> + Clone {
        let lists = |value: &&[u8]| {
            !value.eq_ignore_ascii_case(b"close") && !value.eq_ignore_ascii_case(b"keep-alive")
        };
        let named = |field: &&Field| field.known == Known::Connection;
        let value = |field: &Field| &bytes[field.value.clone()];
        // Usually there is no such list, and nothing is looked for.
        let fields = if self.lists_fields {
            &*self.fields
        } else {
            &[]
        };
        fields.iter().filter(named).map(value).filter(lists)
    }

    /// Reads the lines of a request, and returns what its fields say.
    ///
    /// # Errors
    ///
    /// They are malformed, or have not all arrived.
    fn read_request(&mut self, bytes: &[u8]) -> Result<FieldFacts, HeadFault> {
        let start = first_line(bytes)?;
        let method = start..method_end(bytes, start);
        let target = method.end + 1..target_end(bytes, method.end + 1);
        if method.is_empty() || bytes.get(method.end) != Some(&b' ') {
            return Err(HeadFault::Malformed);
        }
        if target.is_empty() || bytes.get(target.end) != Some(&b' ') {
            return Err(HeadFault::Malformed);
        }
        let text = &bytes[target.clone()];
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            return Err(HeadFault::Malformed);
        }
        self.minor = minor_version(bytes, target.end + 1)?;
        let end = target.end + 1 + VERSION_BYTES;
        if !is_line_end(bytes, end) {
            return Err(HeadFault::Malformed);
        }
        self.method = method;
        self.target = target;
        self.status = 0;
        self.read_fields(bytes, end + 2)
    }

    /// Takes over what a request's fields say, unless that leaves two readings.
    fn judge_request(&mut self, bytes: &[u8], facts: &FieldFacts) -> Result<Arrival, HeadFault> {
        if self.target.len() > TARGET_BYTES_MAX {
            return Err(HeadFault::TargetTooLong);
        }
        facts.check_lengths()?;
        let needs_host = self.minor == 1;
        if facts.hosts > 1 || (facts.hosts == 0 && needs_host) || facts.host_is_none {
            return Err(HeadFault::Host);
        }
        self.expects_continue = match facts.expect {
            Expect::None => false,
            Expect::Continue => self.minor == 1,
            Expect::Other => return Err(HeadFault::Expectation),
        };
        self.framing = match facts.framing(self.minor)? {
            Framing::Close => Framing::None,
            framing @ (Framing::None | Framing::Length(_) | Framing::Chunked) => framing,
        };
        self.keep_alive = facts.keep_alive(self.minor);
        self.target = path_and_query(bytes, self.target.clone());
        Ok(Arrival::Whole)
    }

    /// Reads the lines of an answer, and returns what its fields say.
    ///
    /// # Errors
    ///
    /// They are malformed, or have not all arrived.
    fn read_answer(&mut self, bytes: &[u8]) -> Result<FieldFacts, HeadFault> {
        let start = first_line(bytes)?;
        self.minor = minor_version(bytes, start)?;
        let code = start + VERSION_BYTES;
        self.status = match bytes.get(code..).and_then(<[u8]>::first_chunk::<4>) {
            Some([b' ', digits @ ..]) => status(digits).ok_or(HeadFault::Malformed)?,
            Some(_) => return Err(HeadFault::Version),
            None => return Err(HeadFault::Malformed),
        };
        let behind = code + 1 + STATUS_BYTES;
        // A reason is any text; it may be absent, and the space before it as well.
        let end = match bytes.get(behind) {
            Some(b' ') => scan::text_end(bytes, behind + 1),
            Some(_) | None => behind,
        };
        if !is_line_end(bytes, end) {
            return Err(HeadFault::Malformed);
        }
        self.expects_continue = false;
        self.read_fields(bytes, end + 2)
    }

    /// Takes over what an answer's fields say, unless that leaves two readings.
    fn judge_answer(&mut self, facts: &FieldFacts, asked: Asked) -> Result<Arrival, HeadFault> {
        facts.check_lengths()?;
        let bodyless = matches!(asked, Asked::Head) || matches!(self.status, 100..=199 | 204 | 304);
        let framing = facts.framing(self.minor)?;
        self.framing = if bodyless { Framing::None } else { framing };
        let ends = matches!(self.framing, Framing::Close);
        self.keep_alive = facts.keep_alive(self.minor) && !ends;
        Ok(Arrival::Whole)
    }

    /// Keeps the fields, from the line that begins `at` a place to the head's end.
    fn read_fields(&mut self, bytes: &[u8], at: usize) -> Result<FieldFacts, HeadFault> {
        let fields = &mut self.fields;
        (self.len, self.names) = scan::walk_head(Lines { bytes, at, fields })?;
        let mut facts = FieldFacts::default();
        for field in &self.fields {
            if FieldFacts::TOLD_BY.has(field.known) {
                facts.note(field.known, &bytes[field.value.clone()]);
            }
        }
        self.lists_fields = facts.lists_fields;
        Ok(facts)
    }
}

/// What was asked, as far as that changes how the answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `HEAD`: the answer has no body whatever its fields say.
    Head,
    /// Any other method.
    Other,
}

/// Where the head ends, from `seen` on: after the first empty line that follows the start line.
///
/// # Errors
///
/// A line that ends in LF alone: other parsers may take it for the end of a line, or not.
fn find_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, HeadFault> {
    // The end may have begun within the last three bytes.
    let from = seen.saturating_sub(3);
    let is_blank = |block: Block| block.equal(b'\r') | block.equal(b'\n');
    let start = skip(bytes, is_blank, |byte| matches!(byte, b'\r' | b'\n'));
    let is_end = |byte| byte == b'\n';
    let mut next = from;
    while let Some(at) = scan::find(bytes, next, |block| block.equal(b'\n'), is_end) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(HeadFault::BareLf);
        }
        if at > start && at >= 3 && bytes[at - 3..at] == *b"\r\n\r" {
            return Ok(Some(at + 1));
        }
        next = at + 1;
    }
    Ok(None)
}

/// Refuses bytes that cannot become a request without waiting for the head's end: a TLS greeting,
/// for example.
fn check_beginning(bytes: &[u8]) -> Result<(), HeadFault> {
    let is_blank = |block: Block| {
        b" \t\n\x0c\r"
            .iter()
            .fold(0, |places, byte| places | block.equal(*byte))
    };
    let start = skip(bytes, is_blank, |byte| byte.is_ascii_whitespace());
    let mut method = bytes[start..]
        .iter()
        .take(32)
        .take_while(|byte| **byte != b' ');
    // A method is any token (RFC 9110, section 5.6.2), so that an unknown method is answered with
    // 405.
    if method.all(|byte| scan::is_of_token(*byte)) {
        Ok(())
    } else {
        Err(HeadFault::Malformed)
    }
}

/// Which fault a head over the limit is: its target alone may be too long.
fn too_large(bytes: &[u8]) -> HeadFault {
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > TARGET_BYTES_MAX {
        HeadFault::TargetTooLong
    } else {
        HeadFault::TooLarge
    }
}

/// Where the first line begins: behind the empty lines before it.
///
/// # Errors
///
/// A CR stands alone.
fn first_line(bytes: &[u8]) -> Result<usize, HeadFault> {
    let mut start = 0;
    while bytes.get(start) == Some(&b'\r') {
        if bytes.get(start + 1) != Some(&b'\n') {
            return Err(HeadFault::Malformed);
        }
        start += 2;
    }
    Ok(start)
}

/// Where the method that begins at `start` ends: at the first byte that no token has.
#[inline(never)]
fn method_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let end = rest.iter().position(|byte| !scan::is_of_token(*byte));
    end.map_or(bytes.len(), |end| start + end)
}

/// Where the target that begins at `start` ends: at the first byte that no target has.
fn target_end(bytes: &[u8], start: usize) -> usize {
    let ends = |block: Block| block.up_to(b' ') | block.equal(0x7f);
    let end = scan::find(bytes, start, ends, |byte| matches!(byte, 0..=b' ' | 0x7f));
    end.unwrap_or(bytes.len())
}

/// The minor version of the `HTTP/1.0` or `HTTP/1.1` that stands `at` a place.
fn minor_version(bytes: &[u8], at: usize) -> Result<u8, HeadFault> {
    match bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk::<VERSION_BYTES>)
    {
        Some(b"HTTP/1.1") => Ok(1),
        Some(b"HTTP/1.0") => Ok(0),
        Some(_) | None => Err(HeadFault::Version),
    }
}

/// The status code that three digits stand for.
fn status(digits: &[u8; STATUS_BYTES]) -> Option<u16> {
    let is_one = digits.iter().all(u8::is_ascii_digit);
    let digit = |code, digit: &u8| code * 10 + u16::from(digit - b'0');
    is_one.then(|| digits.iter().fold(0, digit))
}

const VERSION_BYTES: usize = 8;
const STATUS_BYTES: usize = 3;

/// The first byte of which `single` is not true, the end where it is of all; `blockwise` must
/// agree with it.
fn skip(bytes: &[u8], blockwise: impl Fn(Block) -> u32, single: impl Fn(u8) -> bool) -> usize {
    let others = |block| !blockwise(block) & ((1 << BLOCK) - 1);
    let first = scan::find(bytes, 0, others, |byte| !single(byte));
    first.unwrap_or(bytes.len())
}

/// The `target` in `bytes`, without scheme and authority.
fn path_and_query(bytes: &[u8], target: Range<usize>) -> Range<usize> {
    if bytes.get(target.start) == Some(&b'/') {
        return target;
    }
    let text = std::str::from_utf8(&bytes[target.clone()]).unwrap_or_default();
    let own = in_origin_form(text);
    target.start + own.start..target.start + own.end
}

/// Path and query of a target in absolute form (RFC 9112 §3.2.2); any other form as it is.
#[must_use]
pub fn origin_form(target: &str) -> &str {
    &target[in_origin_form(target)]
}

/// Where path and query of a target are. A target in absolute form that has no path means `/`, as
/// which the last sign of its scheme stands.
fn in_origin_form(target: &str) -> Range<usize> {
    // A target may hold any character, so it is split only at a character's end.
    let behind = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let Some(rest) = behind("http://").or_else(|| behind("https://")) else {
        return 0..target.len();
    };
    let scheme = target.len() - rest.len();
    match rest.find(['/', '?', '#']) {
        Some(end) if rest[end..].starts_with('/') => scheme + end..target.len(),
        Some(_) | None => scheme - 1..scheme,
    }
}

#[cfg(test)]
mod httparse_tests;
#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
