//! One exchange of HTTP that blocks, under one deadline: for commands and webhooks, never for a
//! shard.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;

use crate::base::time::Instant;
use crate::sys::clock;
use crate::sys::stream::{Stream, Timed};
use crate::wire::chunked::{Chunked, Progress};
use crate::wire::head::{Arrival, Asked, Framing, Head};
use crate::wire::known::Known;
use crate::wire::retry_after;

/// Where a request goes.
pub struct Peer<'a> {
    /// Its addresses; the first that takes the connection gets the request.
    pub addresses: &'a [SocketAddr],
    /// The request that has a proxy there open a tunnel, where one leads on.
    pub tunnel: Option<&'a str>,
    /// For `https`: the verifier's settings and the name to be verified.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// The bounds of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When it must be over.
    pub until: Instant,
    /// Most bytes of the answer's body.
    pub body_bytes_max: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body, without transfer coding.
    pub body: Vec<u8>,
    /// How long its head asks not to be asked again.
    pub retry_after: Option<Duration>,
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// Its status.
    pub status: u16,
    /// `Retry-After`, where it is in seconds.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// No address accepts the connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The time is up.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    CutShort,
    /// The peer's bytes are no HTTP.
    #[error("what answers there does not speak HTTP")]
    NotHttp,
    /// The body is larger than this bound.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The proxy does not open the tunnel, and answers with this status.
    #[error("the proxy answers {0}")]
    NoTunnel(u16),
}

/// Sends `request`, a whole one that asks for the connection to be closed, and reads its answer.
///
/// # Errors
///
/// There is no whole answer.
pub fn exchange(peer: Peer<'_>, request: &[u8], bounds: Bounds) -> Result<Answer, NoAnswer> {
    let mut stream = send(peer, request, bounds.until)?;
    read(&mut stream, bounds.body_bytes_max)
}

/// Sends `request` as [`exchange`] does, and reads no more than the head of its answer.
///
/// # Errors
///
/// There is no whole head before `until`.
pub fn ask_head(peer: Peer<'_>, request: &[u8], until: Instant) -> Result<AnswerHead, NoAnswer> {
    let mut stream = send(peer, request, until)?;
    let mut rest = Vec::new();
    loop {
        let (head, mut bytes) = read_head(&mut stream, rest)?;
        if head.status >= 200 {
            let after = head.value_of(&bytes, Known::RetryAfter);
            let after = after.and_then(|value| str::from_utf8(value).ok()?.parse().ok());
            return Ok(AnswerHead {
                status: head.status,
                retry_after: after.map(Duration::from_secs),
            });
        }
        // An informational head comes before the answer's own.
        bytes.drain(..head.len);
        rest = bytes;
    }
}

/// Connects to `peer` and sends it `request`.
fn send(peer: Peer<'_>, request: &[u8], until: Instant) -> Result<Stream, NoAnswer> {
    let mut stream = Timed::connect(peer.addresses, until).map_err(not_connected)?;
    if let Some(request) = peer.tunnel {
        open_tunnel(&mut stream, request)?;
    }
    let mut stream = match peer.tls {
        Some((config, name)) => {
            let stream = stream.encrypted(config, name);
            Stream::Encrypted(Box::new(stream.map_err(NoAnswer::Connect)?))
        }
        None => Stream::Plain(stream),
    };
    stream.write_all(request).map_err(broken)?;
    stream.flush().map_err(broken)?;
    Ok(stream)
}

/// Has the proxy at the other end open a tunnel. Nothing comes behind the head of its answer: the
/// server waits for the first bytes of the handshake.
fn open_tunnel(stream: &mut Timed, request: &str) -> Result<(), NoAnswer> {
    stream.write_all(request.as_bytes()).map_err(broken)?;
    let (mut bytes, mut head, mut seen) = (Vec::new(), Head::default(), 0);
    loop {
        // Lengths of an answer that opens a tunnel mean nothing.
        let arrival = head.parse_answer(&bytes, seen, Asked::Head);
        match arrival.map_err(|_| NoAnswer::NotHttp)? {
            Arrival::Whole if (200..300).contains(&head.status) => return Ok(()),
            Arrival::Whole if head.status < 200 => {
                bytes.drain(..head.len);
                seen = 0;
                continue;
            }
            Arrival::Whole => return Err(NoAnswer::NoTunnel(head.status)),
            Arrival::Partial => seen = bytes.len(),
        }
        if more(stream, &mut bytes)? == 0 {
            return Err(NoAnswer::CutShort);
        }
    }
}

/// Reads a head; returns the bytes, too, which begin with it.
fn read_head(stream: &mut Stream, mut bytes: Vec<u8>) -> Result<(Head, Vec<u8>), NoAnswer> {
    let (mut head, mut seen) = (Head::default(), 0);
    loop {
        let arrival = head.parse_answer(&bytes, seen, Asked::Other);
        match arrival.map_err(|_| NoAnswer::NotHttp)? {
            Arrival::Whole => return Ok((head, bytes)),
            Arrival::Partial => seen = bytes.len(),
        }
        if more(stream, &mut bytes)? == 0 {
            return Err(NoAnswer::CutShort);
        }
    }
}

fn read(stream: &mut Stream, body_bytes_max: usize) -> Result<Answer, NoAnswer> {
    let (head, mut bytes) = read_head(stream, Vec::new())?;
    let value = |name: Known| head.value_of(&bytes, name);
    let retry_after = retry_after::outright(&value, &[], clock::wall());
    bytes.drain(..head.len);
    let body = PartialBody {
        bytes,
        framing: head.framing,
        most: body_bytes_max,
    };
    Ok(Answer {
        status: head.status,
        body: body.rest(stream)?,
        retry_after,
    })
}

/// A body whose beginning has arrived.
struct PartialBody {
    bytes: Vec<u8>,
    framing: Framing,
    most: usize,
}

impl PartialBody {
    fn rest(mut self, stream: &mut Stream) -> Result<Vec<u8>, NoAnswer> {
        let (mut chunked, mut filled) = (Chunked::default(), 0);
        loop {
            let wanted = match self.framing {
                Framing::None => Some(0),
                Framing::Length(length) => Some(usize::try_from(length).unwrap_or(usize::MAX)),
                Framing::Chunked => {
                    let progress = chunked.compact(&mut self.bytes, &mut filled);
                    match progress.map_err(|_| NoAnswer::NotHttp)? {
                        Progress::Ended => Some(filled),
                        Progress::More => None,
                    }
                }
                Framing::Close => None,
            };
            // All arrived bytes count: a size line may still follow them, but not a body of that
            // size.
            if wanted.unwrap_or(self.bytes.len()) > self.most {
                return Err(NoAnswer::TooLarge(self.most));
            }
            if let Some(wanted) = wanted.filter(|wanted| self.bytes.len() >= *wanted) {
                self.bytes.truncate(wanted);
                return Ok(self.bytes);
            }
            if more(stream, &mut self.bytes)? == 0 {
                return match self.framing {
                    Framing::Close => Ok(self.bytes),
                    Framing::None | Framing::Length(_) | Framing::Chunked => {
                        Err(NoAnswer::CutShort)
                    }
                };
            }
        }
    }
}

/// Reads once; returns how many bytes came, 0 at the end.
fn more(stream: &mut impl Read, into: &mut Vec<u8>) -> Result<usize, NoAnswer> {
    let mut piece = [0; 16 << 10];
    match stream.read(&mut piece) {
        Ok(count) => {
            into.extend_from_slice(piece.get(..count).unwrap_or_default());
            Ok(count)
        }
        // A peer that ends TLS without `close_notify` may have been cut off.
        Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => Err(NoAnswer::CutShort),
        Err(fault) => Err(broken(fault)),
    }
}

fn not_connected(fault: io::Error) -> NoAnswer {
    match fault.kind() {
        ErrorKind::TimedOut => NoAnswer::TimedOut,
        _ => NoAnswer::Connect(fault),
    }
}

fn broken(fault: io::Error) -> NoAnswer {
    match fault.kind() {
        ErrorKind::TimedOut => NoAnswer::TimedOut,
        _ => NoAnswer::Broken(fault),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// What an exchange gives with a server that answers with `pieces`, and then ends or stays.
    fn asked(pieces: &[&[u8]], stays: bool, span: Duration) -> Result<Answer, NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = [listener.local_addr().unwrap()];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 3]).unwrap();
                for piece in pieces {
                    // The client may have gone after the pieces that it needed.
                    let _ = stream.write_all(piece);
                }
                if stays {
                    let _ = stream.read(&mut [0; 1]);
                }
            });
            let peer = Peer {
                tunnel: None,
                addresses: &peer,
                tls: None,
            };
            let bounds = Bounds {
                until: clock::now() + span,
                body_bytes_max: 8,
            };
            exchange(peer, b"ask", bounds)
        })
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn an_answer_is_read_however_it_is_framed() {
        for (pieces, stays) in [
            (
                &[
                    &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"[..],
                    b"dy",
                ][..],
                true,
            ),
            (
                &[
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    b"4\r\nbody\r\n0\r\n\r\n",
                ],
                true,
            ),
            (&[b"HTTP/1.1 200 OK\r\n", b"\r\nbody"], false),
        ] {
            let answer = asked(pieces, stays, LONG).unwrap();
            assert_eq!((answer.status, &*answer.body), (200, &b"body"[..]));
        }
    }

    #[test]
    fn an_answer_may_ask_for_time() {
        for (field, expected) in [("Retry-After: 7", Some(7)), ("Retry: 7", None)] {
            let text = format!("HTTP/1.1 503 Busy\r\n{field}\r\nContent-Length: 0\r\n\r\n");
            let answer = asked(&[text.as_bytes()], true, LONG).unwrap();
            assert_eq!(answer.retry_after, expected.map(Duration::from_secs));
        }
    }

    #[test]
    fn what_is_no_whole_answer_is_told_apart() {
        for (bytes, stays, problem) in [
            (
                &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbod"[..],
                false,
                "ended before",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Le", false, "ended before"),
            (b"", false, "ended before"),
            (b"SSH-2.0-OpenSSH\r\n", true, "does not speak HTTP"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                true,
                "larger than 8 bytes",
            ),
            (
                b"HTTP/1.1 200 OK\r\n\r\n123456789",
                true,
                "larger than 8 bytes",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                true,
                "HTTP",
            ),
        ] {
            let told = asked(&[bytes], stays, LONG).unwrap_err().to_string();
            assert!(told.contains(problem), "{told}");
        }
    }

    #[test]
    fn whoever_is_silent_is_not_waited_for() {
        for piece in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\nbo"] {
            let told = asked(&[piece], true, Duration::from_millis(50));
            assert!(matches!(told, Err(NoAnswer::TimedOut)), "{told:?}");
        }
    }

    #[test]
    fn nobody_there_is_told_at_once() {
        // Bound, but not listening: nobody else gets the port meanwhile.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let gone = [socket.local_addr().unwrap().as_socket().unwrap()];
        let peer = Peer {
            tunnel: None,
            addresses: &gone,
            tls: None,
        };
        let bounds = Bounds {
            until: clock::now() + LONG,
            body_bytes_max: 8,
        };
        let Err(NoAnswer::Connect(fault)) = exchange(peer, b"ask", bounds) else {
            panic!("connected");
        };
        assert_eq!(fault.kind(), ErrorKind::ConnectionRefused);
    }
}
