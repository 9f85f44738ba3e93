//! HTTP/1.1 framing: requests out of a buffer, answer heads into one.

use std::io::Write;
use std::mem::MaybeUninit;

use crate::buffer::Buffer;

/// One complete request, borrowed from the connection's buffer.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [httparse::Header<'a>],
    pub(crate) body: &'a [u8],
    pub(crate) persistence: Persistence,
}

impl<'a> Request<'a> {
    /// The target without its query.
    pub(crate) fn path(&self) -> &'a str {
        self.target
            .split_once('?')
            .map_or(self.target, |(path, _)| path)
    }

    /// What follows the question mark of the target.
    pub(crate) fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of one query parameter, as written.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.query()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The first header of that name, where its value is text.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }
}

/// Whether the connection outlives the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Another request may follow.
    KeepAlive,
    /// The connection ends with the answer.
    Close,
}

/// How far the bytes at hand are a request.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More bytes are needed; a `100 Continue` is due now where `invite` says so.
    Partial { invite: bool },
    /// A request of which the head has this size is complete.
    Complete { head: usize },
    /// The bytes are no request this server answers; the connection ends with the complaint.
    Refused(Complaint),
}

/// Why a request is refused before it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The status of the answer.
    pub(crate) status: u16,
    /// The sentence in the answer.
    pub(crate) message: &'static str,
}

/// How the body of the request at the front of the buffer is framed.
#[derive(Debug, Default)]
pub(crate) enum Framing {
    /// The head is not complete.
    #[default]
    Unknown,
    /// The body has a length.
    Length { head: usize, length: usize },
    /// The body comes in chunks and is collected here.
    Chunked {
        head: usize,
        decoder: Chunks,
        body: Vec<u8>,
    },
}

impl Framing {
    /// Looks how far the request at the front of `buffer` has come.
    pub(crate) fn advance(&mut self, buffer: &mut Buffer) -> Progress {
        let mut invite = false;
        if matches!(self, Self::Unknown) {
            match measure(buffer.filled()) {
                Ok(None) => return Progress::Partial { invite: false },
                Ok(Some((framing, expects))) => {
                    *self = framing;
                    invite = expects;
                }
                Err(complaint) => return Progress::Refused(complaint),
            }
        }
        match self {
            Self::Unknown => Progress::Partial { invite: false },
            Self::Length { head, length } => {
                if buffer.len() >= *head + *length {
                    Progress::Complete { head: *head }
                } else {
                    Progress::Partial {
                        invite: invite && buffer.len() == *head,
                    }
                }
            }
            Self::Chunked {
                head,
                decoder,
                body,
            } => {
                let raw = buffer.filled().get(*head..).unwrap_or_default();
                invite &= raw.is_empty();
                let (used, state) = decoder.push(raw, body);
                buffer.remove(*head, *head + used);
                match state {
                    ChunkState::More => Progress::Partial { invite },
                    ChunkState::End => Progress::Complete { head: *head },
                    ChunkState::Bad => Progress::Refused(BAD_CHUNK),
                    ChunkState::TooLarge => Progress::Refused(TOO_LARGE),
                }
            }
        }
    }

    /// How many bytes the buffer may have to hold before the request is complete.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Unknown => HEAD_MAX + 1,
            Self::Length { head, length } => head + length + 1,
            Self::Chunked { head, .. } => head + 256 * 1024,
        }
    }
}

type Measured = Option<(Framing, bool)>;

/// Reads the head as far as framing goes; `None` while it is incomplete.
fn measure(bytes: &[u8]) -> Result<Measured, Complaint> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let head = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_MAX => return Err(LONG_HEAD),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(LONG_HEAD),
        Err(_) => return Err(BAD_HEAD),
    };
    let mut length: Option<usize> = None;
    let mut chunked = false;
    let mut hosts = 0;
    let mut expects = false;
    for header in request.headers.iter() {
        let value = header.value;
        if header.name.eq_ignore_ascii_case("content-length") {
            if length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(BAD_LENGTH);
            }
            let digits = std::str::from_utf8(value).map_err(|_| BAD_LENGTH)?;
            length = Some(digits.parse().map_err(|_| TOO_LARGE)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(BAD_LENGTH);
            }
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if header.name.eq_ignore_ascii_case("expect") {
            expects = value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    if hosts != 1 && request.version == Some(1) {
        return Err(BAD_HOST);
    }
    if chunked && length.is_some() {
        return Err(BAD_LENGTH);
    }
    if length.is_some_and(|length| length > BODY_MAX) {
        return Err(TOO_LARGE);
    }
    let framing = if chunked {
        Framing::Chunked {
            head,
            decoder: Chunks::default(),
            body: Vec::new(),
        }
    } else {
        Framing::Length {
            head,
            length: length.unwrap_or(0),
        }
    };
    Ok(Some((framing, expects)))
}

/// Parses the head of a request that [`Framing::advance`] has called complete, and hands it on.
pub(crate) fn with_request<T>(
    head: &[u8],
    body: &[u8],
    use_it: impl FnOnce(&Request<'_>) -> T,
) -> Option<T> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    parsed.parse_with_uninit_headers(head, &mut headers).ok()?;
    let (method, target) = (parsed.method?, parsed.path?);
    let connection = header(parsed.headers, "connection").unwrap_or("");
    let has = |token: &str| {
        connection
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    let persistent = if parsed.version == Some(1) {
        !has("close")
    } else {
        has("keep-alive")
    };
    let persistence = if persistent {
        Persistence::KeepAlive
    } else {
        Persistence::Close
    };
    Some(use_it(&Request {
        method,
        target,
        headers: parsed.headers,
        body,
        persistence,
    }))
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .and_then(|header| std::str::from_utf8(header.value).ok())
}

/// Reads a chunked body, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    place: Within,
    size: usize,
    line: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    #[default]
    Size,
    Extension,
    Data,
    DataEnd,
    Trailer,
    Ended,
}

/// How far a chunked body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// More bytes are needed.
    More,
    /// The body is complete.
    End,
    /// The framing is wrong.
    Bad,
    /// The body is longer than this server takes.
    TooLarge,
}

impl Chunks {
    /// Decodes from `raw` into `body` and says how many bytes of `raw` it used.
    pub(crate) fn push(&mut self, raw: &[u8], body: &mut Vec<u8>) -> (usize, ChunkState) {
        let mut used = 0;
        while let Some(rest) = raw.get(used..).filter(|rest| !rest.is_empty()) {
            if self.place == Within::Data {
                let count = rest.len().min(self.size);
                body.extend_from_slice(rest.get(..count).unwrap_or_default());
                self.size -= count;
                used += count;
                if self.size == 0 {
                    self.place = Within::DataEnd;
                }
                continue;
            }
            let Some(&byte) = rest.first() else { break };
            used += 1;
            let state = self.step(byte, body.len());
            if state != ChunkState::More {
                return (used, state);
            }
        }
        (used, ChunkState::More)
    }

    fn step(&mut self, byte: u8, held: usize) -> ChunkState {
        match (self.place, byte) {
            (Within::Size, b'\r') | (Within::Extension, b'\r') | (Within::DataEnd, b'\r') => {}
            (Within::Size, b'\n') if self.line == 0 => return ChunkState::Bad,
            (Within::Size | Within::Extension, b'\n') => {
                self.line = 0;
                self.place = if self.size == 0 {
                    Within::Trailer
                } else {
                    Within::Data
                };
            }
            (Within::Size, b';') => self.place = Within::Extension,
            (Within::Size, _) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return ChunkState::Bad;
                };
                self.line += 1;
                self.size = self.size.saturating_mul(16).saturating_add(digit as usize);
                if self.size.saturating_add(held) > BODY_MAX {
                    return ChunkState::TooLarge;
                }
            }
            (Within::Extension, _) => {}
            (Within::DataEnd, b'\n') => self.place = Within::Size,
            (Within::Trailer, b'\n') if self.line == 0 => {
                self.place = Within::Ended;
                return ChunkState::End;
            }
            (Within::Trailer, b'\n') => self.line = 0,
            (Within::Trailer, b'\r') => {}
            (Within::Trailer, _) => self.line += 1,
            (Within::DataEnd | Within::Data | Within::Ended, _) => return ChunkState::Bad,
        }
        ChunkState::More
    }
}

/// Starts an answer's head: the status line, without any header.
pub(crate) fn status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    put(out, status);
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Adds one header line.
pub(crate) fn header_line(out: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    put(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a value as text.
pub(crate) fn put(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

/// A complete answer with a JSON body.
pub(crate) fn json_answer(status: u16, body: &[u8], persistence: Persistence) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 128);
    status_line(&mut out, status);
    header_line(&mut out, "content-type", "application/json");
    header_line(&mut out, "content-length", body.len());
    if persistence == Persistence::Close {
        header_line(&mut out, "connection", "close");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Scripted",
    }
}

/// The longest request body that is taken.
pub(crate) const BODY_MAX: usize = 64 * 1024 * 1024;
/// The longest request head that is taken.
const HEAD_MAX: usize = 128 * 1024;
/// The most headers a request may have.
const HEADERS_MAX: usize = 128;

const BAD_HEAD: Complaint = Complaint {
    status: 400,
    message: "the request head is not HTTP/1",
};
const BAD_HOST: Complaint = Complaint {
    status: 400,
    message: "exactly one Host is required",
};
const BAD_LENGTH: Complaint = Complaint {
    status: 400,
    message: "the request body is framed ambiguously",
};
const BAD_CHUNK: Complaint = Complaint {
    status: 400,
    message: "the chunked body is malformed",
};
const LONG_HEAD: Complaint = Complaint {
    status: 431,
    message: "the request head is too long",
};
const TOO_LARGE: Complaint = Complaint {
    status: 413,
    message: "the request body is too long",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Ending;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let mut buffer = Buffer::default();
        let _ = buffer
            .fill(&mut text.as_bytes(), 1 << 20, Ending::Seen)
            .unwrap();
        let mut framing = Framing::default();
        let seen = match framing.advance(&mut buffer) {
            Progress::Partial { invite } => format!("partial invite={invite}"),
            Progress::Complete { .. } => "complete".to_owned(),
            Progress::Refused(complaint) => complaint.status.to_string(),
        };
        assert_eq!(seen, expected, "{text:?}");
    }

    #[test]
    fn knows_when_a_request_is_complete() {
        check("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "complete");
        check("GET / HTTP/1.1\r\nhost: a\r\n", "partial invite=false");
        check(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
            "complete",
        );
        check(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh",
            "partial invite=false",
        );
        let expects = "host: a\r\nexpect: 100-continue";
        check(
            &format!("POST / HTTP/1.1\r\n{expects}\r\ncontent-length: 2\r\n\r\n"),
            "partial invite=true",
        );
        check(
            &format!("POST / HTTP/1.1\r\n{expects}\r\ntransfer-encoding: chunked\r\n\r\n"),
            "partial invite=true",
        );
    }

    #[test]
    fn refuses_ambiguous_framing() {
        let head = "POST / HTTP/1.1\r\nhost: a\r\n";
        check(
            &format!("{head}content-length: 1\r\ncontent-length: 1\r\n\r\nx"),
            "400",
        );
        check(
            &format!("{head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400",
        );
        check(&format!("{head}content-length: +1\r\n\r\nx"), "400");
        check(
            &format!("{head}content-length: 99999999999999999999\r\n\r\n"),
            "413",
        );
        check(&format!("{head}transfer-encoding: gzip\r\n\r\n"), "400");
        check("POST / HTTP/1.1\r\n\r\n", "400");
        check("POST / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400");
    }

    proptest! {
        #[test]
        fn a_chunked_body_is_the_same_however_it_is_cut(
            pieces in vec(vec(any::<u8>(), 1..40), 0..6),
            cut in 1_usize..20,
        ) {
            let mut raw = Vec::new();
            for piece in &pieces {
                raw.extend_from_slice(format!("{:x};a=b\r\n", piece.len()).as_bytes());
                raw.extend_from_slice(piece);
                raw.extend_from_slice(b"\r\n");
            }
            raw.extend_from_slice(b"0\r\nx: y\r\n\r\n");
            let mut decoder = Chunks::default();
            let mut body = Vec::new();
            let mut last = ChunkState::More;
            for part in raw.chunks(cut) {
                let (used, state) = decoder.push(part, &mut body);
                prop_assert_eq!(used, part.len());
                last = state;
            }
            prop_assert_eq!(last, ChunkState::End);
            prop_assert_eq!(body, pieces.concat());
        }

        #[test]
        fn bytes_from_the_network_never_panic(raw in vec(any::<u8>(), 0..200)) {
            let mut body = Vec::new();
            let _ = Chunks::default().push(&raw, &mut body);
            let _ = measure(&raw);
        }
    }
}
