//! How an event loop hears that the phase or the era has changed, and what it does at the end.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::time::Duration;

use monoio::io::AsyncReadRent;
use monoio::net::UnixStream;

use crate::link::gate::Phase;
use crate::shard::run::Current;
use crate::sys::clock;

/// The end of a bell that hears.
pub struct Bell {
    stream: UnixStream,
    rings: Vec<u8>,
}

impl Bell {
    /// Hears over `stream`.
    ///
    /// # Errors
    ///
    /// The loop does not take the socket.
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

/// Cuts off what is left when the time to finish is over.
pub async fn cut_when_stopping(current: Rc<Current>, mut bell: Bell) {
    while current.process.phase() != Phase::Stopping {
        if bell.heard().await.is_err() {
            return;
        }
    }
    let until = clock::now() + TELL_WITHIN;
    loop {
        // Again and again: a request may open a connection after the first cut.
        if clock::now() < until {
            current.timers.cut_reads();
        } else {
            current.timers.cut_all();
        }
        monoio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How long callers may take to be told that the process stops before their answers are complete.
const TELL_WITHIN: Duration = Duration::from_millis(500);
