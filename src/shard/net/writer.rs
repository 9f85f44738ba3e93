//! The half of a connection that writes, plain or through TLS.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use monoio::io::OwnedWriteHalf;
use monoio::net::TcpStream;

use crate::base::limits::READ_BYTES;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::io::Io;
use crate::shard::net::outbox::{Outbox, SendSlot, Sent};
use crate::shard::net::part::Part;
use crate::shard::net::tls::{self, Session, Tls};

/// The half that writes.
pub struct Writer {
    slot: Rc<SendSlot>,
    outbox: Rc<Outbox>,
    buffers: Rc<Buffers>,
    tls: Option<Tls>,
}

impl Writer {
    /// The plain half that writes to `fd`.
    #[must_use]
    pub fn new(half: OwnedWriteHalf<TcpStream>, fd: RawFd, io: &Io) -> Self {
        Self {
            slot: SendSlot::new(half, fd),
            outbox: Rc::clone(&io.outbox),
            buffers: Rc::clone(&io.buffers),
            tls: None,
        }
    }

    /// From now on, written bytes are encrypted.
    pub fn encrypt(&mut self, tls: Tls) {
        self.tls = Some(tls);
    }

    /// How much memory sending `part` takes besides that of the part.
    #[must_use]
    pub fn room_for(&self, part: &Part) -> usize {
        match &self.tls {
            None => 0,
            // The session holds the records for a moment, too, while they are copied out of it.
            Some(_) => 2 * tls::records_len(part.left().len()),
        }
    }

    /// Sends `part` to its end; the part comes back in any case.
    pub async fn write(&mut self, mut part: Part) -> Sent {
        while !part.is_sent() {
            let (result, back) = self.write_some(part).await;
            part = back;
            if result.is_err() {
                return (result, part);
            }
        }
        (Ok(()), part)
    }

    /// Sends as much of `part` as the peer takes at once, at least one byte.
    pub async fn write_some(&mut self, mut part: Part) -> Sent {
        let Some(tls) = &self.tls else {
            return self.slot.send(&self.outbox, part).await;
        };
        // Bound to a name: the session must not stay borrowed while the records are sent.
        let taken = tls.borrow_mut().take_out(part.left());
        let sent = match taken {
            Ok(count) => {
                part.advance(count);
                self.flush_records(count).await
            }
            Err(fault) => Err(fault),
        };
        (sent, part)
    }

    /// Sends `part` without waiting for the result. No other send may be under way.
    ///
    /// # Errors
    ///
    /// The session takes no more.
    pub fn send_unattended(&mut self, part: Part) -> io::Result<()> {
        match &self.tls {
            None => self.slot.send_unattended(&self.outbox, part),
            Some(tls) => {
                let records = encrypted(&mut tls.borrow_mut(), &part, self.buffers.take());
                self.buffers.give(part.into_vec());
                self.slot.send_unattended(&self.outbox, Part::own(records?));
            }
        }
        Ok(())
    }

    /// Whether nothing is being sent, and nothing has failed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.slot.is_idle()
    }

    /// Waits until nothing is being sent.
    ///
    /// # Errors
    ///
    /// An unattended send has failed.
    pub async fn wait_idle(&mut self) -> io::Result<()> {
        self.slot.wait_idle().await
    }

    /// Sends the TLS records that wait.
    ///
    /// # Errors
    ///
    /// The session or the connection failed.
    pub async fn flush_tls(&mut self) -> io::Result<()> {
        self.flush_records(0).await
    }

    /// Sends the TLS records that wait, which hold `plain` bytes.
    async fn flush_records(&mut self, plain: usize) -> io::Result<()> {
        let mut room = tls::records_len(plain).max(READ_BYTES);
        let Some(tls) = &self.tls else {
            return Ok(());
        };
        loop {
            let records = tls.borrow_mut().records(self.buffers.take_for(room))?;
            room = READ_BYTES;
            let mut part = Part::own(records);
            let is_over = part.is_sent();
            while !part.is_sent() {
                let (result, back) = self.slot.send(&self.outbox, part).await;
                part = back;
                result?;
            }
            self.buffers.give(part.into_vec());
            if is_over {
                return Ok(());
            }
        }
    }

    /// Tells the peer that nothing more will be sent (TLS `close_notify`).
    pub async fn close_notify(&mut self) {
        let _ = self.wait_idle().await;
        if let Some(tls) = &self.tls {
            tls.borrow_mut().close_notify();
            let _ = self.flush_tls().await;
        }
    }
}

/// The records for `part`, behind those that wait; `room` is the buffer for them.
fn encrypted(session: &mut Session, part: &Part, room: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut plain = part.left();
    while !plain.is_empty() {
        let count = session.take_out(plain)?;
        plain = &plain[count..];
    }
    session.records(room)
}
