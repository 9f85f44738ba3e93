//! One HTTP/1.1 answer, read from bytes that arrive in any pieces.

use httparse::Status;

/// Largest answer head; a larger one counts as malformed.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest line that gives a chunk's size, or stands in a trailer.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Most header fields of one head.
const HEADERS_MAX: usize = 128;

/// The answer is not HTTP/1.1, or not framed as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More bytes belong to it.
    Partial,
    /// It is whole.
    Whole,
}

/// The reader of one answer.
#[derive(Debug)]
pub(crate) struct Answer {
    stage: Stage,
    status: u16,
    keep_alive: bool,
    /// The start of a head or line whose end has not arrived.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Length { left: u64 },
    ChunkSize,
    Chunk { left: u64 },
    ChunkEnd,
    Trailer,
    UntilClose,
    Whole,
}

impl Answer {
    /// A reader that waits for the first byte of a head.
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Head,
            status: 0,
            keep_alive: true,
            held: Vec::new(),
        }
    }

    /// Makes it ready for the next answer of the same connection.
    pub(crate) fn restart(&mut self) {
        self.stage = Stage::Head;
        self.status = 0;
        self.keep_alive = true;
        self.held.clear();
    }

    /// The status code, 0 before the head is whole.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection may carry another request.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Takes the next `bytes` and hands the body's part of them to `body`.
    ///
    /// # Errors
    ///
    /// When they cannot belong to an answer; bytes after its end are an error too.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut body: impl FnMut(&[u8]),
    ) -> Result<Progress, Malformed> {
        while !bytes.is_empty() {
            bytes = match self.stage {
                Stage::Head => self.head(bytes)?,
                Stage::Length { left } => {
                    let (now, rest) = split(bytes, left);
                    body(now);
                    self.stage = match left - now.len() as u64 {
                        0 => Stage::Whole,
                        left => Stage::Length { left },
                    };
                    rest
                }
                Stage::Chunk { left } => {
                    let (now, rest) = split(bytes, left);
                    body(now);
                    self.stage = match left - now.len() as u64 {
                        0 => Stage::ChunkEnd,
                        left => Stage::Chunk { left },
                    };
                    rest
                }
                Stage::ChunkSize | Stage::ChunkEnd | Stage::Trailer => self.line(bytes)?,
                Stage::UntilClose => {
                    body(bytes);
                    &[]
                }
                Stage::Whole => return Err(Malformed),
            };
        }
        Ok(if self.stage == Stage::Whole {
            Progress::Whole
        } else {
            Progress::Partial
        })
    }

    /// What an end of the connection means for the answer.
    pub(crate) fn closed(&self) -> Progress {
        if self.stage == Stage::UntilClose {
            Progress::Whole
        } else {
            Progress::Partial
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
        if self.held.is_empty() {
            return match self.parse_head(bytes)? {
                Some(used) => Ok(bytes.get(used..).unwrap_or_default()),
                None => self.hold(bytes, HEAD_BYTES_MAX),
            };
        }
        let before = self.held.len();
        self.hold(bytes, HEAD_BYTES_MAX)?;
        let held = std::mem::take(&mut self.held);
        match self.parse_head(&held)? {
            Some(used) => Ok(bytes.get(used.saturating_sub(before)..).unwrap_or_default()),
            None => {
                self.held = held;
                Ok(&[])
            }
        }
    }

    /// The head's length once it is whole; the stage is then what follows it.
    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let used = match head.parse(bytes) {
            Ok(Status::Complete(used)) => used,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed),
        };
        let status = head.code.unwrap_or_default();
        if status == 101 {
            return Err(Malformed);
        }
        if (100..200).contains(&status) {
            // An interim answer: the real one follows.
            return Ok(Some(used));
        }
        let framing = Framing::of(head.headers)?;
        self.status = status;
        self.keep_alive = framing.keep_alive.unwrap_or(head.version == Some(1));
        self.stage = match (status, framing.chunked, framing.length) {
            (204 | 304, _, _) | (_, false, Some(0)) => Stage::Whole,
            (_, true, _) => Stage::ChunkSize,
            (_, false, Some(left)) => Stage::Length { left },
            (_, false, None) => {
                self.keep_alive = false;
                Stage::UntilClose
            }
        };
        Ok(Some(used))
    }

    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return self.hold(bytes, LINE_BYTES_MAX);
        };
        let (now, rest) = bytes.split_at(end + 1);
        if self.held.is_empty() {
            self.end_line(now)?;
        } else {
            self.hold(now, LINE_BYTES_MAX)?;
            let mut line = std::mem::take(&mut self.held);
            self.end_line(&line)?;
            line.clear();
            self.held = line;
        }
        Ok(rest)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let line = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
        self.stage = match self.stage {
            Stage::ChunkSize => match chunk_size(line)? {
                0 => Stage::Trailer,
                left => Stage::Chunk { left },
            },
            Stage::ChunkEnd if line.is_empty() => Stage::ChunkSize,
            Stage::ChunkEnd => return Err(Malformed),
            Stage::Trailer if line.is_empty() => Stage::Whole,
            other => other,
        };
        Ok(())
    }

    fn hold<'a>(&mut self, bytes: &[u8], max: usize) -> Result<&'a [u8], Malformed> {
        if self.held.len() + bytes.len() > max {
            return Err(Malformed);
        }
        self.held.extend_from_slice(bytes);
        Ok(&[])
    }
}

/// What a head says about the body and the connection.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    keep_alive: Option<bool>,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Malformed> {
        let mut framing = Self {
            length: None,
            chunked: false,
            keep_alive: None,
        };
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = decimal(header.value)?;
                if framing.length.is_some_and(|other| other != length) {
                    return Err(Malformed);
                }
                framing.length = Some(length);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked = true;
                if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
            } else if header.name.eq_ignore_ascii_case("connection") {
                for word in header.value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                    if word.eq_ignore_ascii_case(b"close") {
                        framing.keep_alive = Some(false);
                    } else if word.eq_ignore_ascii_case(b"keep-alive") {
                        framing.keep_alive = Some(true);
                    }
                }
            }
        }
        // Both at once is how one answer is made to look like two.
        if framing.chunked && framing.length.is_some() {
            return Err(Malformed);
        }
        Ok(framing)
    }
}

fn split(bytes: &[u8], at_most: u64) -> (&[u8], &[u8]) {
    let len = usize::try_from(at_most)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    bytes.split_at(len)
}

fn decimal(value: &[u8]) -> Result<u64, Malformed> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|s| s.parse().ok())
        .ok_or(Malformed)
}

fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| Malformed)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
