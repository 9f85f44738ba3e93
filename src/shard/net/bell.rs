//! Tells an event loop that the phase or the era has changed.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;

use monoio::io::AsyncReadRent;
use monoio::net::UnixStream;

/// The end of a bell that hears the rings.
pub struct Bell {
    stream: UnixStream,
    rings: Vec<u8>,
}

impl Bell {
    /// Hears over `stream`.
    ///
    /// # Errors
    ///
    /// The loop does not accept the socket.
    pub fn new(stream: StdUnixStream) -> io::Result<Self> {
        let rings = Vec::with_capacity(64);
        Ok(Self {
            stream: UnixStream::from_std(stream)?,
            rings,
        })
    }

    /// Waits for a ring.
    pub async fn heard(&mut self) -> io::Result<()> {
        let (result, rings) = self.stream.read(std::mem::take(&mut self.rings)).await;
        self.rings = rings;
        match result? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
