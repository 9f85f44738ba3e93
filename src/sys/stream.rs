//! A connection that blocks, whose every operation respects one deadline: for commands and for the
//! thread of the shared store, never for a shard.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::base::time::Instant;
use crate::sys::clock;

/// A connection, encrypted or not.
pub enum Stream {
    /// As it is.
    Plain(Timed),
    /// Within TLS.
    Encrypted(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    /// From now on, operations end at `until`.
    pub fn end_at(&mut self, until: Instant) {
        match self {
            Self::Plain(stream) => stream.until = until,
            Self::Encrypted(stream) => stream.sock.until = until,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Encrypted(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

/// A socket whose every operation respects the deadline.
pub struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    /// Connects to the first of `addresses` that takes the connection before `until`.
    ///
    /// # Errors
    ///
    /// None does; `TimedOut` where the time is up.
    pub fn connect(addresses: &[SocketAddr], until: Instant) -> io::Result<Self> {
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for (tried, address) in addresses.iter().enumerate() {
            // An address that drops everything leaves time for the others.
            let others = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let span = left(until)? / others;
            match TcpStream::connect_timeout(address, span.max(LEAST)) {
                Ok(stream) => return Ok(Self { stream, until }),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// The connection within TLS; `name` is what the peer's certificate is verified for.
    ///
    /// # Errors
    ///
    /// The settings and the name do not fit together.
    pub fn encrypted(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<StreamOwned<ClientConnection, Self>> {
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(session, self))
    }

    /// Small messages leave at once.
    ///
    /// # Errors
    ///
    /// The socket is not connected any more.
    pub fn at_once(self) -> io::Result<Self> {
        self.stream.set_nodelay(true)?;
        Ok(self)
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(left(self.until)?))?;
            match self.stream.read(into) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                done => return done.map_err(late),
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A socket reports its timeout as another kind of error.
fn late(fault: io::Error) -> io::Error {
    match fault.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => fault,
    }
}

/// The time that is left.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.since(clock::now());
    if left < LEAST {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Shortest timeout: to a socket, zero means none.
const LEAST: Duration = Duration::from_millis(1);
