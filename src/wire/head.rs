//! HTTP/1 message heads as byte ranges of the buffer they arrived in (RFC 9112).
//!
//! Nothing is copied and nothing is allocated per head: a head is parsed into a reused [`Head`].
//! Everything that could make two parsers disagree about where a message ends is refused.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::Status;

use crate::base::limits::{
    ANSWER_HEAD_BYTES_MAX, HEADERS_MAX, REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX,
};
use crate::wire::{field, scan};

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
    /// Answer: whether a field tells of a rate limit.
    pub tells_limits: bool,
}

/// One header field, as ranges of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it was written.
    pub name: Range<usize>,
    /// The value without surrounding white space.
    pub value: Range<usize>,
}

/// How a body is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection ends; answers only.
    Close,
}

/// Whether a head has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The head is parsed.
    Whole,
    /// More bytes are needed.
    Partial,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// No start line, or a byte that is not allowed where it stands.
    Malformed,
    /// A line that ends in LF alone.
    BareLf,
    /// `HTTP/2.0` or the like in the start line.
    Version,
    /// The head is too long, or has too many fields.
    TooLarge,
    /// The request target is too long.
    TargetTooLong,
    /// No `Host`, more than one, or one that cannot be a host.
    Host,
    /// `Content-Length` repeated, differing, not all digits, or too large a number.
    ContentLength,
    /// `Transfer-Encoding` other than one `chunked`, or on HTTP/1.0.
    TransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// An `Expect` other than `100-continue`.
    Expectation,
}

impl HeadFault {
    /// What the sender is told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "the request is not valid HTTP/1.1",
            Self::BareLf => "a line ends in LF without CR",
            Self::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::TooLarge => "the request head is over 32 KiB or has over 100 fields",
            Self::TargetTooLong => "the request target is over 8 KiB",
            Self::Host => "exactly one Host header is needed, with a host and at most a port",
            Self::ContentLength => "Content-Length must be one number",
            Self::TransferEncoding => "Transfer-Encoding must be `chunked`, once, on HTTP/1.1",
            Self::LengthAndEncoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::Expectation => "the only expectation that can be met is 100-continue",
        }
    }
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
        match find_end(bytes, seen)? {
            Some(end) if end <= REQUEST_HEAD_BYTES_MAX => self.read_request(&bytes[..end]),
            None if bytes.len() < REQUEST_HEAD_BYTES_MAX => {
                check_beginning(bytes)?;
                Ok(Arrival::Partial)
            }
            Some(_) | None => Err(too_large(bytes)),
        }
    }

    /// Parses the head of an answer to the kind of request that was `asked`, at the start of
    /// `bytes`.
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
        match find_end(bytes, seen)? {
            Some(end) if end <= ANSWER_HEAD_BYTES_MAX => self.read_answer(&bytes[..end], asked),
            None if bytes.len() < ANSWER_HEAD_BYTES_MAX => {
                let start = &bytes[..bytes.len().min(5)];
                if b"HTTP/".starts_with(start) {
                    Ok(Arrival::Partial)
                } else {
                    Err(HeadFault::Malformed)
                }
            }
            Some(_) | None => Err(HeadFault::TooLarge),
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

    /// The values of `Connection` where they name fields, besides `close` and `keep-alive`: those
    /// fields are not passed on.
    pub fn listed_by_connection<'b>(
        &'b self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = &'b [u8]> + Clone {
        let named = |field: &&Field| {
            field.name.len() == 10 && field::is(&bytes[field.name.clone()], b"connection")
        };
        let lists = |value: &&[u8]| {
            !value.eq_ignore_ascii_case(b"close") && !value.eq_ignore_ascii_case(b"keep-alive")
        };
        let value = |field: &Field| &bytes[field.value.clone()];
        self.fields.iter().filter(named).map(value).filter(lists)
    }

    fn read_request(&mut self, bytes: &[u8]) -> Result<Arrival, HeadFault> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request
            .parse_with_uninit_headers(bytes, &mut slots)
            .map_err(fault)?;
        let Status::Complete(len) = parsed else {
            return Err(HeadFault::Malformed);
        };
        let (Some(method), Some(path), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(HeadFault::Malformed);
        };
        if path.len() > TARGET_BYTES_MAX {
            return Err(HeadFault::TargetTooLong);
        }
        self.len = len;
        self.minor = minor;
        self.status = 0;
        self.method = range_in(bytes, method.as_bytes());
        self.target = range_in(bytes, origin_form(path).as_bytes());
        let facts = self.read_fields(bytes, request.headers)?;
        if facts.hosts > 1 || (facts.hosts == 0 && minor == 1) || facts.host_is_none {
            return Err(HeadFault::Host);
        }
        self.expects_continue = match facts.expect {
            Expect::None => false,
            Expect::Continue => minor == 1,
            Expect::Other => return Err(HeadFault::Expectation),
        };
        self.framing = match facts.framing(minor)? {
            Framing::Close => Framing::None,
            framing @ (Framing::None | Framing::Length(_) | Framing::Chunked) => framing,
        };
        Ok(Arrival::Whole)
    }

    fn read_answer(&mut self, bytes: &[u8], asked: Asked) -> Result<Arrival, HeadFault> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut answer, bytes, &mut slots)
            .map_err(fault)?;
        let Status::Complete(len) = parsed else {
            return Err(HeadFault::Malformed);
        };
        let (Some(status), Some(minor)) = (answer.code, answer.version) else {
            return Err(HeadFault::Malformed);
        };
        self.len = len;
        self.minor = minor;
        self.status = status;
        self.expects_continue = false;
        let facts = self.read_fields(bytes, answer.headers)?;
        let bodyless = matches!(asked, Asked::Head) || matches!(status, 100..=199 | 204 | 304);
        let framing = facts.framing(minor)?;
        self.framing = if bodyless { Framing::None } else { framing };
        if matches!(self.framing, Framing::Close) {
            self.keep_alive = false;
        }
        Ok(Arrival::Whole)
    }

    /// Takes over the fields and what they say about framing and persistence.
    fn read_fields(
        &mut self,
        bytes: &[u8],
        headers: &[httparse::Header<'_>],
    ) -> Result<FieldFacts, HeadFault> {
        self.fields.clear();
        let mut facts = FieldFacts::default();
        for header in headers {
            let (name, value) = (header.name.as_bytes(), header.value.trim_ascii());
            facts.note(name, value)?;
            self.fields.push(Field {
                name: range_in(bytes, name),
                value: range_in(bytes, value),
            });
        }
        self.tells_limits = facts.limits;
        self.keep_alive = match self.minor {
            0 => facts.keep_alive && !facts.close,
            _ => !facts.close,
        };
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

/// What the fields say that decides framing and persistence.
#[derive(Default)]
struct FieldFacts {
    hosts: u32,
    host_is_none: bool,
    length: Option<u64>,
    lengths: u32,
    encodings: u32,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expect: Expect,
    limits: bool,
}

#[derive(Default)]
enum Expect {
    #[default]
    None,
    Continue,
    Other,
}

impl FieldFacts {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadFault> {
        match name.len() {
            4 if field::is(name, b"host") => {
                self.hosts += 1;
                self.host_is_none |= !field::is_host(value);
            }
            6 if field::is(name, b"expect") => {
                self.expect = if value.eq_ignore_ascii_case(b"100-continue") {
                    Expect::Continue
                } else {
                    Expect::Other
                };
            }
            10 if field::is(name, b"connection") => {
                for token in value.split(|byte| *byte == b',') {
                    let token = token.trim_ascii();
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if field::is(name, b"content-length") => {
                self.lengths += 1;
                self.length = Some(decimal(value).ok_or(HeadFault::ContentLength)?);
            }
            17 if field::is(name, b"transfer-encoding") => {
                self.encodings += 1;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            // `x-ratelimit-remaining`, the shortest name that matters, has 21 bytes.
            21.. if !self.limits => self.limits = tells_limit(name),
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, minor: u8) -> Result<Framing, HeadFault> {
        match (self.encodings, self.lengths) {
            (0, 0) => Ok(Framing::Close),
            (0, 1) => Ok(self.length.map_or(Framing::Close, Framing::Length)),
            (0, _) => Err(HeadFault::ContentLength),
            (1, 0) if self.chunked && minor == 1 => Ok(Framing::Chunked),
            (_, 0) => Err(HeadFault::TransferEncoding),
            (_, _) => Err(HeadFault::LengthAndEncoding),
        }
    }
}

/// Whether a field is one of those by which providers tell of their limits.
fn tells_limit(name: &[u8]) -> bool {
    match name.first() {
        Some(b'x' | b'X') => field::starts_with(name, b"x-ratelimit-"),
        Some(b'a' | b'A') => field::starts_with(name, b"anthropic-ratelimit-"),
        Some(_) | None => false,
    }
}

/// Where the head ends, from `seen` on: after the first empty line that follows the start line.
///
/// # Errors
///
/// A line that ends in LF alone: other parsers may take it for the end of a line, or not.
fn find_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, HeadFault> {
    // The end may have begun within the last three bytes.
    let from = seen.saturating_sub(3);
    let start = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
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
    let start = bytes.trim_ascii_start();
    let mut method = start.iter().take(32).take_while(|byte| **byte != b' ');
    // A method is any token (RFC 9110, section 5.6.2), so that an unknown method is answered with
    // 405.
    if method.all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)) {
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

fn fault(error: httparse::Error) -> HeadFault {
    match error {
        httparse::Error::TooManyHeaders => HeadFault::TooLarge,
        httparse::Error::Version => HeadFault::Version,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => HeadFault::Malformed,
    }
}

/// Path and query of a target in absolute form (RFC 9112 §3.2.2); any other form as it is.
#[must_use]
pub fn origin_form(target: &str) -> &str {
    // A target may hold any character, so it is split only at a character's end.
    let behind = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    match behind("http://").or_else(|| behind("https://")) {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => target,
    }
}

/// The number that `digits` stands for, if it is nothing but digits and fits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where `part`, a slice of `whole`, lies in `whole`.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let from = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    debug_assert!(
        from + part.len() <= whole.len(),
        "part is not a slice of whole"
    );
    from..from + part.len()
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
