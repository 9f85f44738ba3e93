//! One caller's connection: its buffers, its reads and its sends.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::base::limits::{LARGE_SPARE_BYTES, READ_BYTES, READ_LARGE_BYTES, UNATTENDED_BYTES_MAX};
use crate::exchange::refusal::Refusal;
use crate::link::buffered::Held;
use crate::shard::http::signs::Signs;
use crate::shard::http::stop::Stop;
use crate::shard::http::upload::Upload;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::io::Io;
use crate::shard::net::part::Part;
use crate::shard::net::socket::Socket;
use crate::shard::net::tcp::Stream;
use crate::shard::net::timers::{Cut, Waits};
use crate::shard::net::tls::Session;
use crate::sys::clock;
use crate::wire::head::{Arrival, Head, HeadFault, RecentHeads};

mod watch;

/// One caller's connection.
pub struct Caller {
    /// The connection.
    pub socket: Socket,
    /// The address at its other end.
    pub address: IpAddr,
    /// Longest time for which it may take none of the bytes that are sent to it.
    stall: Duration,
    /// The current request, and the bytes that have arrived behind it.
    ///
    /// Shared, so that a large body is sent from here to one provider after another; while a
    /// request is being read, nothing else holds it.
    pub bytes: Rc<Vec<u8>>,
    /// The current request's head, as ranges of `bytes`.
    pub head: Head,
    /// What is on its way to the caller or to a provider.
    pub out: Vec<u8>,
    /// The current request's body, as it counts against the process's bound.
    pub held: Held,
    /// Counts the bytes on their way to the caller, where sending them may take long.
    on_its_way: Held,
    /// Where the request ends now, if it was decoded or let go of since it was read.
    moved_end: Option<usize>,
    /// The bytes of the reads posted ahead: the caller's next requests.
    behind: Vec<u8>,
    /// Where its buffers come from and go to.
    buffers: Rc<Buffers>,
    ahead: Ahead,
    /// What is still to come of the current request, where that is sent on as it arrives.
    pub upload: Option<Box<Upload>>,
    /// What it is sent while its answer pauses.
    pub signs: Signs,
}

/// The read that is posted while a request is being answered. It ends when the caller hangs up, or
/// sends its next request before it has the answer; then another one is posted, as long as there is
/// room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    /// Not posted.
    Idle,
    /// In the ring.
    Posted,
    /// The caller has hung up.
    Gone,
    /// It was cut off because the process stops.
    Stopped,
}

/// Whether a request is the first of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrder {
    /// It is the first one.
    First,
    /// Others came before it.
    Later,
}

/// How long a connection waits for a request's head.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// As long as nothing of it has come.
    pub before_head: Duration,
    /// For which of the loop's connections it waits as long as that.
    pub waits: Waits,
    /// Once some of it has come.
    pub in_head: Duration,
}

impl Caller {
    /// A connection that was just accepted. `stall` is how long its caller may take no bytes.
    #[must_use]
    pub fn new(io: &Io, stall: Duration, (stream, address): (Stream, IpAddr)) -> Self {
        Self {
            socket: Socket::new(stream, io),
            address,
            stall,
            bytes: Rc::default(),
            head: Head::default(),
            out: Vec::new(),
            held: io.lease.hold(),
            on_its_way: io.lease.hold(),
            moved_end: None,
            behind: Vec::new(),
            buffers: Rc::clone(&io.buffers),
            ahead: Ahead::Idle,
            upload: None,
            signs: Signs::OFF,
        }
    }

    /// Makes it a TLS connection: the handshake may take as long as `within`.
    ///
    /// # Errors
    ///
    /// The caller hung up or did not complete the handshake in time.
    pub async fn secure(&mut self, tls: &Arc<ServerConfig>, within: Duration) -> io::Result<()> {
        let session = Session::accept(tls)?;
        let deadline = &mut self.socket.deadline;
        deadline.set(clock::now() + within, Cut::Both);
        // In a box of its own: most of a handshake's state is not needed after it.
        Box::pin(self.socket.secure(session)).await
    }

    /// Reads until a request's head is there; `recent` holds heads that came lately.
    ///
    /// # Errors
    ///
    /// The head cannot be read, or the caller has left.
    pub async fn read_head(
        &mut self,
        order: RequestOrder,
        recent: &RefCell<RecentHeads>,
        patience: Patience,
    ) -> Result<(), Stop> {
        let mut seen = 0;
        let (mut is_awaited, mut has_begun) = (false, false);
        loop {
            if order == RequestOrder::Later {
                self.skip_empty_lines();
            }
            if !self.bytes.is_empty() {
                self.prepare();
                match self.parse(recent, seen)? {
                    Arrival::Whole => {
                        self.socket.deadline.clear();
                        return Ok(());
                    }
                    Arrival::Partial => seen = self.bytes.len(),
                }
            }
            if !has_begun && self.bytes.is_empty() {
                if order == RequestOrder::Later {
                    self.give_back();
                }
                // Empty lines do not put it off.
                if !std::mem::replace(&mut is_awaited, true) {
                    let until = clock::now() + patience.before_head;
                    self.socket.deadline.set_waiting(until, patience.waits);
                }
            } else if !has_begun {
                has_begun = true;
                let until = clock::now() + patience.in_head;
                self.socket.deadline.set(until, Cut::Read);
            }
            match self.read_more().await {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) if has_begun && self.socket.deadline.is_overdue() => {
                    return Err(Stop::Refused(Refusal::RequestTimeout));
                }
                Ok(_) | Err(_) if has_begun && self.is_cut_off() => {
                    return Err(Stop::Refused(Refusal::ShuttingDown));
                }
                Ok(_) | Err(_) => return Err(Stop::Gone),
            }
        }
    }

    /// Parses the bytes, of which the first `seen` hold no head's end, unless they begin with a
    /// head that came lately.
    fn parse(&mut self, recent: &RefCell<RecentHeads>, seen: usize) -> Result<Arrival, HeadFault> {
        let mut recent = recent.borrow_mut();
        if recent.recall(&self.bytes, &mut self.head) {
            return Ok(Arrival::Whole);
        }
        let parsed = self.head.parse_request(&self.bytes, seen);
        if parsed == Ok(Arrival::Whole) {
            recent.keep(&self.bytes, &self.head);
        }
        parsed
    }

    /// The buffer, mutable: between requests it belongs to this connection alone.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        Rc::make_mut(&mut self.bytes)
    }

    /// Reads more of the request into `bytes`; 0 when the caller hung up or a deadline passed.
    pub async fn read_more(&mut self) -> io::Result<usize> {
        match self.ahead {
            Ahead::Gone | Ahead::Stopped => Ok(0),
            Ahead::Posted => {
                let (result, arrived) = self.socket.reader.collect().await;
                self.ahead = Ahead::Idle;
                self.take_in(arrived);
                result
            }
            Ahead::Idle if self.bytes.is_empty() => {
                // The next bytes may be long in coming.
                self.socket.reader.watch(READ_BYTES);
                let (result, arrived) = self.socket.reader.collect().await;
                self.take_in(arrived);
                result
            }
            Ahead::Idle => {
                let mut bytes = std::mem::take(self.bytes_mut());
                if bytes.capacity() - bytes.len() < READ_BYTES / 4 {
                    bytes.reserve(READ_BYTES);
                }
                let (result, bytes) = self.socket.reader.read(bytes).await;
                *self.bytes_mut() = bytes;
                result
            }
        }
    }

    /// Reads bytes that are dropped, into the room of those dropped before.
    ///
    /// # Errors
    ///
    /// As [`Caller::read_more`].
    pub async fn read_dropped(&mut self) -> io::Result<usize> {
        self.bytes_mut().clear();
        if self.ahead == Ahead::Idle {
            self.socket.reader.watch(READ_LARGE_BYTES);
            self.ahead = Ahead::Posted;
        }
        self.read_more().await
    }

    /// Posts the read for bytes that come while the request is being answered.
    pub fn read_ahead(&mut self) {
        if self.ahead != Ahead::Idle {
            return;
        }
        let room = match self.upload {
            None => READ_BYTES,
            Some(_) => READ_LARGE_BYTES,
        };
        self.socket.reader.watch(room);
        self.ahead = Ahead::Posted;
    }

    /// Drops the beginning of a request whose rest is sent on as it arrives, its head included.
    pub fn let_go_of_start(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if let Ok(bytes) = Rc::try_unwrap(bytes) {
            self.buffers.give(bytes);
        }
        self.held.clear();
        self.moved_end = Some(0);
    }

    /// An empty buffer for a part of a request that is sent on.
    #[must_use]
    pub fn take_room(&mut self) -> Vec<u8> {
        self.buffers.take_for(READ_LARGE_BYTES)
    }

    /// Makes room for a request that has begun to arrive.
    fn prepare(&mut self) {
        self.make_room();
        if self.head.fields.capacity() == 0 {
            self.head = self.buffers.take_head();
        }
    }

    /// Makes room for a part of an answer.
    pub fn make_room(&mut self) {
        if self.out.capacity() == 0 {
            self.out = self.buffers.take();
        }
    }

    /// Gives back the room of an answer's parts: the next part may be long in coming.
    pub fn give_room_back(&mut self) {
        self.buffers.give(std::mem::take(&mut self.out));
    }

    /// Gives back everything that an idle connection does not need.
    fn give_back(&mut self) {
        let bytes = std::mem::take(self.bytes_mut());
        self.buffers.give(bytes);
        self.buffers.give(std::mem::take(&mut self.out));
        self.buffers.give_head(std::mem::take(&mut self.head));
    }

    /// Whether the caller has hung up, or was cut off because the process stops. The providers'
    /// connections are shut down with it, and no provider is to blame.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.ahead == Ahead::Gone || self.socket.deadline.is_stopped()
    }

    /// Whether it was cut off because the process stops, and still waits for its answer: it can be
    /// told.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.ahead != Ahead::Gone && self.socket.deadline.is_stopped()
    }

    /// Sends `out`, which is empty afterwards, and may have no room. A small `out` is sent without
    /// waiting: see [`Caller::wait_sent`].
    ///
    /// # Errors
    ///
    /// The caller is gone, or takes nothing for too long.
    pub async fn send_out(&mut self) -> io::Result<()> {
        let part = Part::own(std::mem::take(&mut self.out));
        // As a rule, nothing is to be waited for, and nothing to be counted.
        let is_small = part.own_room() < LARGE_SPARE_BYTES;
        if is_small && part.left().len() <= UNATTENDED_BYTES_MAX && self.socket.writer.is_idle() {
            self.on_its_way.clear();
            return self.socket.writer.send_unattended(part);
        }
        // Before anything is waited for: whoever reads meanwhile takes a small buffer if it must.
        self.count(&part);
        let waited = self.wait_sent().await;
        if waited.is_err() || part.left().len() <= UNATTENDED_BYTES_MAX {
            self.on_its_way.clear();
            return waited.and_then(|()| self.socket.writer.send_unattended(part));
        }
        let (result, part) = self.send(part).await;
        self.out = part.into_vec();
        self.out.clear();
        result
    }

    /// Counts a large part as held until it is sent. The part is in memory already; while it is too
    /// much, the next reads are small.
    fn count(&mut self, part: &Part) {
        if part.own_room() >= LARGE_SPARE_BYTES {
            let records = self.socket.writer.room_for(part);
            self.on_its_way.insist_on(part.own_room() + records);
        }
    }

    /// Waits until what was sent before is with the kernel.
    ///
    /// # Errors
    ///
    /// The caller is gone, or takes nothing for too long.
    pub async fn wait_sent(&mut self) -> io::Result<()> {
        if self.socket.writer.is_idle() {
            return Ok(());
        }
        let until = clock::now() + self.stall;
        self.socket.deadline.set(until, Cut::Both);
        let sent = self.socket.writer.wait_idle().await;
        self.socket.deadline.clear();
        sent
    }

    /// Sends `part`, and gives it back. The caller may take it slowly, as long as it takes some
    /// bytes within each `stall`.
    pub async fn send(&mut self, mut part: Part) -> (io::Result<()>, Part) {
        self.count(&part);
        let mut sent = Ok(());
        while sent.is_ok() && !part.is_sent() {
            let until = clock::now() + self.stall;
            self.socket.deadline.set(until, Cut::Both);
            (sent, part) = self.socket.writer.write_some(part).await;
        }
        self.socket.deadline.clear();
        self.on_its_way.clear();
        (sent, part)
    }

    /// Tells the caller that nothing more is sent.
    pub async fn close(&mut self) {
        // A caller that reads no more must not keep the connection.
        self.socket.deadline.set(clock::now() + LINGER, Cut::Both);
        self.socket.writer.close_notify().await;
    }

    /// Drops the empty lines that some callers send behind a body (RFC 9112, section 2.2): they do
    /// not begin a request.
    fn skip_empty_lines(&mut self) {
        let (lines, _) = self.bytes.as_chunks::<2>();
        let count = lines.iter().take_while(|line| *line == b"\r\n").count();
        if count > 0 {
            self.bytes_mut().drain(..2 * count);
        }
    }

    /// Frees a large request, whose message ends at `end`, before its answer has ended: no other
    /// provider will be asked any more. The bytes behind it stay.
    pub fn let_go(&mut self, end: usize) {
        if self.bytes.capacity() < LARGE_SPARE_BYTES || self.moved_end == Some(0) {
            return;
        }
        let behind = self.bytes.get(end..).unwrap_or_default().to_vec();
        if let Ok(bytes) = Rc::try_unwrap(std::mem::replace(&mut self.bytes, Rc::new(behind))) {
            self.buffers.give(bytes);
        }
        self.held.clear();
        self.moved_end = Some(0);
    }

    /// Replaces what was read by `message`, whose request ends at `end`; `held` counts it.
    pub fn replace(&mut self, message: Vec<u8>, end: usize, held: Held) {
        self.bytes = Rc::new(message);
        self.held = held;
        self.moved_end = Some(end);
    }

    /// Hands out the buffer that the request is in, for work on another thread.
    #[must_use]
    pub fn lend(&mut self) -> Arc<Vec<u8>> {
        let bytes = Rc::try_unwrap(std::mem::take(&mut self.bytes));
        // Usually nothing else holds it.
        Arc::new(bytes.unwrap_or_else(|shared| shared.to_vec()))
    }

    /// Takes back the lent buffer.
    pub fn take_back(&mut self, lent: Arc<Vec<u8>>) {
        let bytes = Arc::try_unwrap(lent);
        self.bytes = Rc::new(bytes.unwrap_or_else(|shared| shared.to_vec()));
    }

    /// Drops the first `len` bytes, which were a request, unless it was freed before; the bytes
    /// behind it stay.
    pub fn forget(&mut self, len: usize) {
        self.signs = Signs::OFF;
        self.held.clear();
        let len = self.moved_end.take().unwrap_or(len);
        let buffers = Rc::clone(&self.buffers);
        drop_front(self.bytes_mut(), len, &buffers);
        if self.out.capacity() >= LARGE_SPARE_BYTES {
            self.buffers.give(std::mem::take(&mut self.out));
        }
        self.take_in_ahead();
    }

    /// Takes in the bytes of reads posted ahead.
    pub fn take_in_ahead(&mut self) {
        if !self.behind.is_empty() {
            let behind = std::mem::take(&mut self.behind);
            self.take_in(behind);
        }
    }

    /// Puts `arrived` behind `bytes`; the buffer that becomes free is given back.
    fn take_in(&mut self, mut arrived: Vec<u8>) {
        let bytes = self.bytes_mut();
        if bytes.is_empty() {
            std::mem::swap(bytes, &mut arrived);
        } else {
            bytes.extend_from_slice(&arrived);
        }
        self.buffers.give(arrived);
    }
}

/// Takes the first `len` bytes out of `bytes`, and gives back the room that a large body took: that
/// room is not counted any more, even where the beginning of the next request stays.
fn drop_front(bytes: &mut Vec<u8>, len: usize, buffers: &Buffers) {
    let left = bytes.get(len..).unwrap_or_default();
    if bytes.capacity() >= LARGE_SPARE_BYTES {
        let left = left.to_vec();
        buffers.give(std::mem::replace(bytes, left));
    } else if left.is_empty() {
        bytes.clear();
    } else {
        bytes.drain(..len);
    }
}

/// How long a caller may take the end of its connection.
const LINGER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_large_body_does_not_stay_with_what_follows_it() {
        for (len, left) in [(1 << 20, &b""[..]), ((1 << 20) - 2, b"xx"), (2 << 20, b"")] {
            let mut bytes = vec![b'x'; 1 << 20];
            let buffers = Buffers::default();
            drop_front(&mut bytes, len, &buffers);
            assert_eq!(bytes, left);
            assert!(bytes.capacity() < LARGE_SPARE_BYTES);
            assert!(buffers.take_for(1 << 20).capacity() >= 1 << 20);
        }
    }
}
