//! One TCP or TLS connection: a half that reads, a half that writes, a deadline.
//!
//! A read is *posted*, and polled when its result is wanted: meanwhile the operation stays in the
//! ring, so that a peer that hangs up is noticed at no cost, and a connection that waits in the
//! pool is known to be alive without a system call. Where bytes may be long in coming, the socket
//! is *watched* instead: that needs no buffer until there are bytes to put into it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, OwnedReadHalf, Splitable};
use monoio::net::TcpStream;

use crate::base::limits::{AT_ONCE_BYTES_MAX, STREAM_READ_BYTES};
use crate::shard::net::at_once;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::io::Io;
use crate::shard::net::timers::Deadline;
use crate::shard::net::tls::{Session, Tls};
use crate::shard::net::writer::Writer;

/// A connection's two halves and its deadline, which is dropped first.
pub struct Socket {
    /// When it is shut down.
    pub deadline: Deadline,
    /// The half that reads.
    pub reader: Reader,
    /// The half that writes.
    pub writer: Writer,
}

/// The half that reads.
pub struct Reader {
    /// An endless coroutine, made once per connection, that carries out one posted read after the
    /// other: a read's future borrows the half, and could not be stored beside it.
    reading: Pin<Box<dyn Future<Output = ()>>>,
    mailbox: Rc<Mailbox>,
    buffers: Rc<Buffers>,
    posted: bool,
    /// Room for the read after a watch; 0 where the posted read has a buffer.
    watched: usize,
    tls: Option<Tls>,
    /// A TLS read that needs nothing from the network: bytes came along with the handshake, or the
    /// peer has said that nothing more comes.
    at_hand: Option<(io::Result<usize>, Vec<u8>)>,
}

/// Passes orders and results between a reader and its coroutine.
#[derive(Default)]
struct Mailbox {
    wanted: Cell<Option<Want>>,
    done: Cell<Option<(io::Result<usize>, Vec<u8>)>>,
}

/// An order for a coroutine.
enum Want {
    /// Read once, behind the content of this buffer.
    Read(Vec<u8>),
    /// Wait until there are bytes, and read them into a spare buffer with this much room.
    Watch(usize),
}

impl Socket {
    /// A plain connection over `stream`, whose options are set.
    #[must_use]
    pub fn new(stream: TcpStream, io: &Io) -> Self {
        let fd = stream.as_raw_fd();
        let deadline = io.timers.register(fd);
        let (read_half, half) = stream.into_split();
        let mailbox = Rc::new(Mailbox::default());
        let buffers = Rc::clone(&io.buffers);
        let work = read_on_demand(read_half, Rc::clone(&mailbox), Rc::clone(&buffers));
        let reader = Reader {
            reading: Box::pin(work),
            mailbox,
            buffers,
            posted: false,
            watched: 0,
            tls: None,
            at_hand: None,
        };
        Self {
            deadline,
            reader,
            writer: Writer::new(half, fd, io),
        }
    }

    /// Makes it a TLS connection: makes the handshake of `session`.
    ///
    /// # Errors
    ///
    /// The peer hung up, or the handshake failed.
    pub async fn secure(&mut self, session: Session) -> io::Result<()> {
        let tls = Rc::new(RefCell::new(session));
        self.writer.encrypt(Rc::clone(&tls));
        loop {
            self.writer.flush_tls().await?;
            if !tls.borrow().is_handshaking() {
                break;
            }
            let (result, bytes) = self.reader.read_raw(Vec::with_capacity(TLS_READ)).await;
            if result? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let taken = tls.borrow_mut().take_in(&bytes);
            if let Err(fault) = taken {
                // The alert says why; it may not arrive.
                let _ = self.writer.flush_tls().await;
                return Err(fault);
            }
        }
        self.reader.tls = Some(tls);
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Ends the posted read; until then, the ring holds its buffer and descriptor.
        self.deadline.cut();
    }
}

impl Reader {
    /// Posts a read that appends to `buffer`, which must have spare room. No read may be posted.
    pub fn post(&mut self, mut buffer: Vec<u8>) {
        debug_assert!(!self.posted, "one read at a time");
        self.posted = true;
        self.watched = 0;
        let Some(tls) = &self.tls else {
            return self.start(Want::Read(buffer));
        };
        let mut session = tls.borrow_mut();
        if !session.plain.is_empty() || session.is_ended() {
            let count = session.plain.len();
            buffer.append(&mut session.plain);
            self.at_hand = Some((Ok(count), buffer));
            return;
        }
        session.plain = buffer;
        drop(session);
        let records = self.buffers.take_for(TLS_READ);
        self.start(Want::Read(records));
    }

    /// Posts a read that takes a spare buffer, with `room`, once there is something to read. No
    /// read may be posted. The operation begins when the read is polled for the first time: until
    /// then, nobody could learn that it has ended.
    pub fn watch(&mut self, room: usize) {
        debug_assert!(!self.posted, "one read at a time");
        self.posted = true;
        self.watched = room;
        if let Some(tls) = &self.tls {
            let mut session = tls.borrow_mut();
            if !session.plain.is_empty() || session.is_ended() {
                let plain = std::mem::take(&mut session.plain);
                self.at_hand = Some((Ok(plain.len()), plain));
                return;
            }
        }
        self.mailbox.wanted.set(Some(Want::Watch(room)));
    }

    /// Whether a read is posted and has not been collected.
    #[must_use]
    pub fn is_posted(&self) -> bool {
        self.posted
    }

    /// The posted read's result: how many bytes were appended, 0 when the peer hung up, and the
    /// buffer.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<(io::Result<usize>, Vec<u8>)> {
        if let Some(read) = self.at_hand.take() {
            self.posted = false;
            return Poll::Ready(read);
        }
        loop {
            let Poll::Ready((result, mut bytes)) = self.poll_raw(context) else {
                return Poll::Pending;
            };
            let Some(tls) = &self.tls else {
                self.posted = false;
                return Poll::Ready((result, bytes));
            };
            let mut session = tls.borrow_mut();
            let before = session.plain.len();
            let decoded = match result {
                Ok(0) => session.take_end(),
                Ok(_) => session.take_in(&bytes),
                Err(fault) => Err(fault),
            };
            let ended = bytes.is_empty() || decoded.is_err() || session.is_ended();
            let arrived = session.plain.len() - before;
            bytes.clear();
            if arrived > 0 || ended {
                self.posted = false;
                let plain = std::mem::take(&mut session.plain);
                self.buffers.give(bytes);
                return Poll::Ready((decoded.map(|()| arrived), plain));
            }
            drop(session);
            // Session tickets and the like: no plain bytes yet.
            if self.watched > 0 {
                self.buffers.give(bytes);
                self.start(Want::Watch(self.watched));
            } else {
                self.start(Want::Read(bytes));
            }
        }
    }

    /// Whether the posted read has ended, without waiting. A peer must not send bytes before its
    /// next request, so an end is either a hang-up or unexpected bytes.
    pub fn has_ended(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.poll(&mut context).is_ready()
    }

    /// Waits for the posted read's end.
    pub async fn collect(&mut self) -> (io::Result<usize>, Vec<u8>) {
        poll_fn(|context| self.poll(context)).await
    }

    /// Reads once, appending to `buffer`.
    pub async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.post(buffer);
        self.collect().await
    }

    async fn read_raw(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.start(Want::Read(buffer));
        poll_fn(|context| self.poll_raw(context)).await
    }

    /// Hands `want` to the coroutine and lets it put the operation into the ring.
    fn start(&mut self, want: Want) {
        self.mailbox.wanted.set(Some(want));
        let mut context = Context::from_waker(Waker::noop());
        let _ = self.reading.as_mut().poll(&mut context);
    }

    fn poll_raw(&mut self, context: &mut Context<'_>) -> Poll<(io::Result<usize>, Vec<u8>)> {
        // The operation may have ended while it was being started.
        if let Some(done) = self.mailbox.done.take() {
            return Poll::Ready(done);
        }
        let _ = self.reading.as_mut().poll(context);
        self.mailbox.done.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Waits for an order, reads once, hands over the result; without end.
async fn read_on_demand(
    mut half: OwnedReadHalf<TcpStream>,
    mailbox: Rc<Mailbox>,
    buffers: Rc<Buffers>,
) {
    loop {
        // No wake-up is needed: after giving an order, its owner polls this future.
        let want = poll_fn(|_| mailbox.wanted.take().map_or(Poll::Pending, Poll::Ready)).await;
        let done = match want {
            Want::Read(bytes) => {
                let from = bytes.len();
                let (result, tail) = half.read(Tail { from, bytes }).await;
                (result, tail.bytes)
            }
            Want::Watch(room) => watch(&half, &buffers, room).await,
        };
        mailbox.done.set(Some(done));
    }
}

/// Waits until there are bytes to be read, or their end, and reads once.
async fn watch(
    half: &OwnedReadHalf<TcpStream>,
    buffers: &Buffers,
    room: usize,
) -> (io::Result<usize>, Vec<u8>) {
    #[expect(
        unsafe_code,
        reason = "monoio's halves do not offer what its streams do"
    )]
    // SAFETY: both halves are of this thread, and neither is reunited or handed out as `&mut`
    // across an await; like a read, waiting for one touches nothing but the descriptor.
    let stream = unsafe { &*half.0.get() };
    loop {
        if let Err(fault) = stream.readable(false).await {
            return (Err(fault), Vec::new());
        }
        let mut bytes = buffers.take_for_read(room);
        match receive(stream.as_raw_fd(), &mut bytes) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => buffers.give(bytes),
            result => return (result, bytes),
        }
    }
}

/// Reads the bytes that are there, behind the content of `bytes`.
fn receive(fd: RawFd, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let spare = bytes.spare_capacity_mut();
    let room = spare.len().min(STREAM_READ_BYTES);
    let count = at_once::receive(fd, &mut spare[..room])?;
    #[expect(unsafe_code, reason = "a buffer's spare room is not initialized")]
    // SAFETY: the kernel has written `count` bytes at the beginning of the spare room.
    unsafe {
        bytes.set_len(bytes.len() + count);
    }
    Ok(count)
}

/// The spare room behind a buffer's content.
struct Tail {
    bytes: Vec<u8>,
    from: usize,
}

#[expect(
    unsafe_code,
    reason = "monoio's contract for buffers that the kernel writes to"
)]
// SAFETY: the pointer and the length describe the vector's spare capacity behind `from`, which
// stays where it is while the vector is neither grown nor dropped; the ring owns the value
// meanwhile.
unsafe impl IoBufMut for Tail {
    fn write_ptr(&mut self) -> *mut u8 {
        // SAFETY: `from` is the vector's length at the time of the call, so within its capacity.
        unsafe { self.bytes.as_mut_ptr().add(self.from) }
    }

    fn bytes_total(&mut self) -> usize {
        // Bodies that are checked as they arrive come in pieces that are quick to copy and check.
        (self.bytes.capacity() - self.from).min(AT_ONCE_BYTES_MAX)
    }

    // SAFETY: as the trait demands, the caller has had `count` bytes written behind `write_ptr`.
    unsafe fn set_init(&mut self, count: usize) {
        // SAFETY: the kernel has written `count` bytes behind `from`.
        unsafe { self.bytes.set_len(self.from + count) };
    }
}

/// Room for one read of TLS records: the largest record is 16 KiB and a little more.
const TLS_READ: usize = 17 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_there_is_read_behind_what_came_before_and_nothing_is_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut bytes = Vec::with_capacity(16);
        let nothing = receive(ours.as_raw_fd(), &mut bytes).expect_err("nothing is there");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        for (sent, held) in [("ab", "ab"), ("cd", "abcd")] {
            theirs.write_all(sent.as_bytes()).expect("room");
            assert_eq!(receive(ours.as_raw_fd(), &mut bytes).expect("bytes"), 2);
            assert_eq!(bytes, held.as_bytes());
        }
        drop(theirs);
        assert_eq!(receive(ours.as_raw_fd(), &mut bytes).expect("the end"), 0);
        assert_eq!(bytes, b"abcd");
    }
}
