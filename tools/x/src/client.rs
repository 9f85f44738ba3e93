//! A blocking HTTP/1.1 client for one request per connection, that hands on a body as it arrives.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for the next byte.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest line of a head, chunk or trailer.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Most fields of a head or trailer.
const FIELDS_MAX: usize = 200;
/// Largest body that is read.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Header or trailer fields in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The first line, such as `HTTP/1.1 200 OK`.
    pub(crate) status_line: String,
    /// The head's fields.
    pub(crate) headers: Fields,
    /// The whole body.
    pub(crate) body: Vec<u8>,
    /// The fields after a chunked body.
    pub(crate) trailers: Fields,
}

/// A request.
pub(crate) struct Request<'a> {
    /// `host:port`.
    pub(crate) address: &'a str,
    /// Such as `POST`.
    pub(crate) method: &'a str,
    /// Such as `/v1/models`.
    pub(crate) path: &'a str,
    /// A JSON text, or nothing.
    pub(crate) body: &'a str,
}

impl Fields {
    /// The value of the field `name`, in any case.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// The status code; 0 when the status line has none.
    pub(crate) fn status(&self) -> u16 {
        let code = self.status_line.split(' ').nth(1);
        code.and_then(|code| code.parse().ok()).unwrap_or_default()
    }
}

/// Sends `request` and reads the answer; `on_part` sees each part of the body as it arrives.
///
/// # Errors
///
/// When there is no whole answer.
pub(crate) fn send(request: &Request<'_>, mut on_part: impl FnMut(&[u8])) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(request.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Request {
        address,
        method,
        path,
        body,
    } = request;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nTE: trailers\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
    receive(&mut BufReader::new(stream), &mut on_part)
}

fn receive(from: &mut impl BufRead, on_part: &mut dyn FnMut(&[u8])) -> io::Result<Answer> {
    let mut answer = receive_head(from)?;
    receive_body(from, &mut answer, on_part)?;
    Ok(answer)
}

/// Reads the head of an answer; the rest of it is still to come.
///
/// # Errors
///
/// When there is no whole head.
pub(crate) fn receive_head(from: &mut impl BufRead) -> io::Result<Answer> {
    Ok(Answer {
        status_line: line(from)?,
        headers: fields(from)?,
        body: Vec::new(),
        trailers: Fields::default(),
    })
}

/// Reads what follows the head of `answer` into it; `on_part` sees each part as it arrives.
///
/// # Errors
///
/// When the answer breaks off; what came is in `answer`.
pub(crate) fn receive_body(
    from: &mut impl BufRead,
    answer: &mut Answer,
    on_part: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let chunked = answer
        .headers
        .value("transfer-encoding")
        .is_some_and(|v| v == "chunked");
    let length = answer
        .headers
        .value("content-length")
        .map(str::parse::<u64>);
    match (chunked, length) {
        (true, _) => {
            while let Some(size) = chunk_size(&line(from)?)? {
                part(from, size, &mut answer.body, on_part)?;
                if !line(from)?.is_empty() {
                    return Err(invalid("a chunk is longer than it says"));
                }
            }
            answer.trailers = fields(from)?;
        }
        (false, Some(length)) => {
            let length = length.map_err(|_| invalid("the length is no number"))?;
            part(from, length, &mut answer.body, on_part)?;
        }
        (false, None) => {
            from.take(BODY_BYTES_MAX).read_to_end(&mut answer.body)?;
            on_part(&answer.body);
        }
    }
    Ok(())
}

/// Reads `size` bytes of the body and hands them on piece by piece.
fn part(
    from: &mut impl BufRead,
    size: u64,
    body: &mut Vec<u8>,
    on_part: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let mut left = size;
    if left > BODY_BYTES_MAX.saturating_sub(body.len() as u64) {
        return Err(invalid("the body is too large"));
    }
    while left > 0 {
        let here = from.fill_buf()?;
        let count = here.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let now = here.get(..count).unwrap_or_default();
        if now.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        on_part(now);
        body.extend_from_slice(now);
        from.consume(count);
        left -= count as u64;
    }
    Ok(())
}

fn fields(from: &mut impl BufRead) -> io::Result<Fields> {
    let mut fields = Vec::new();
    loop {
        let line = line(from)?;
        if line.is_empty() {
            return Ok(Fields(fields));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a field has no colon"))?;
        if fields.len() == FIELDS_MAX {
            return Err(invalid("too many fields"));
        }
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// The next line without its end.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    let text = bytes
        .strip_suffix(b"\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    String::from_utf8(text.to_vec()).map_err(|_| invalid("a line is not UTF-8"))
}

/// The size that a chunk's first line gives; nothing for the last chunk.
fn chunk_size(line: &str) -> io::Result<Option<u64>> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk has no size"))?;
    Ok((size > 0).then_some(size))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The complete events at the front of `held`, taken out of it, each without its final blank line.
pub(crate) fn take_events(held: &mut String) -> Vec<String> {
    let mut events = Vec::new();
    while let Some((at, end)) = ["\n\n", "\r\n\r\n"]
        .iter()
        .filter_map(|end| held.find(end).map(|at| (at, end)))
        .min_by_key(|(at, _)| *at)
    {
        events.push(held.get(..at).unwrap_or_default().to_owned());
        held.drain(..at + end.len());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(Answer, Vec<u8>)> {
        let mut seen = Vec::new();
        let answer = receive(&mut text.as_bytes(), &mut |part| {
            seen.extend_from_slice(part);
        })?;
        Ok((answer, seen))
    }

    #[test]
    fn reads_each_kind_of_body() {
        for (head, body) in [
            ("Content-Length: 5\r\n", "hello"),
            ("", "hello"),
            (
                "Transfer-Encoding: chunked\r\n",
                "2;x\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: b\r\n\r\n",
            ),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
            let (answer, seen) = read(&text).expect(&text);
            assert_eq!(
                (answer.status(), answer.body.as_slice()),
                (200, &b"hello"[..]),
                "{text}"
            );
            assert_eq!(seen, b"hello");
            let trailer = answer.trailers.value("x-a");
            assert_eq!(trailer, head.starts_with("Transfer").then_some("b"));
        }
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn takes_whole_events_only() {
        let mut held = "data: a\n\ndata: b\r\n\r\ndata: c".to_owned();
        assert_eq!(take_events(&mut held), ["data: a", "data: b"]);
        assert_eq!(held, "data: c");
    }
}
