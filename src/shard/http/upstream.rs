//! One connection to a provider.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::base::limits::{INFORMATIONAL_MAX, UPSTREAM_READ_BYTES};
use crate::decide::outcome::{ConnectFault, Failure, Outcome, TlsFault, Waiting};
use crate::link::buffered::Held;
use crate::shard::http::caller::Caller;
use crate::shard::http::connected::Connected;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::part::Part;
use crate::shard::net::socket::Socket;
use crate::shard::net::timers::{Cut, Deadline};
use crate::shard::net::tls;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::Piece;
use crate::wire::head::{Arrival, Asked, Head};
use crate::wire::inflate::Coding;
use crate::wire::known::Known;
use crate::wire::retry_after;

/// An open connection to a provider, and the answer that is being read from it. It is boxed where a
/// request has it: it goes from step to step, and would be copied each time.
pub struct Upstream {
    /// The connection; its next read is posted whenever no read is being awaited.
    pub socket: Socket,
    /// Whether it has been in the pool.
    pub reused: bool,
    /// The current answer's head, as ranges of `bytes`.
    pub head: Head,
    /// What has arrived of the current answer.
    pub bytes: Vec<u8>,
    /// Where the body ends in `bytes`, once it has been read whole.
    pub end: usize,
    /// The current answer's body, as it counts against the process's bound.
    pub held: Held,
    /// Informational heads that came before the current answer's own.
    pub informed: u32,
    /// Whether a part of the request was not sent.
    unsent: bool,
    /// The result of a read that ended while the request was still being sent.
    arrived: Option<(io::Result<usize>, Vec<u8>)>,
    /// Counts the connection.
    pub connected: Connected,
}

impl Upstream {
    /// A connection that was just opened.
    #[must_use]
    pub fn new(socket: Socket, connected: Connected, held: Held) -> Self {
        Self {
            socket,
            reused: false,
            head: Head::default(),
            bytes: Vec::new(),
            end: 0,
            held,
            informed: 0,
            unsent: false,
            arrived: None,
            connected,
        }
    }

    /// Sends `part`; the result is to be awaited under the deadline that comes with it. If an
    /// answer comes before all is sent, the sending stops: the provider does not need the rest.
    pub fn send(
        &mut self,
        part: Part,
    ) -> (&Deadline, impl Future<Output = (io::Result<()>, Part)> + '_) {
        let Self {
            socket,
            arrived,
            unsent,
            ..
        } = self;
        let Socket {
            deadline,
            reader,
            writer,
            ..
        } = socket;
        let deadline = &*deadline;
        let sending = async move {
            let mut sending = std::pin::pin!(writer.write(part));
            poll_fn(|context| {
                if let Poll::Ready(sent) = sending.as_mut().poll(context) {
                    *unsent |= sent.0.is_err();
                    return Poll::Ready(sent);
                }
                if reader.is_posted()
                    && let Poll::Ready(read) = reader.poll(context)
                {
                    // An informational answer decides nothing: the provider reads on.
                    if !read.1.starts_with(b"HTTP/1.1 1") {
                        *unsent = true;
                        deadline.cut_write();
                    }
                    *arrived = Some(read);
                }
                Poll::Pending
            })
            .await
        };
        (deadline, sending)
    }

    /// Waits until the answer begins, or the connection ends, while more of the request is awaited:
    /// the provider does not need the rest.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let reader = &mut self.socket.reader;
        if self.arrived.is_none()
            && reader.is_posted()
            && let Poll::Ready(read) = reader.poll(context)
        {
            // An informational answer decides nothing: the provider reads on.
            let is_final = !read.1.starts_with(b"HTTP/1.1 1");
            self.arrived = Some(read);
            if is_final {
                self.unsent = true;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Prepares the connection for the pool.
    pub fn make_idle(&mut self, buffers: &Buffers) {
        self.socket.deadline.clear();
        self.held.clear();
        self.end = 0;
        self.informed = 0;
        // Set even if it has carried no request: while it waits, the provider may close it.
        self.reused = true;
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take_for(UPSTREAM_READ_BYTES);
        }
        self.post_read();
    }

    /// Whether bytes of the answer came while the request was still being sent.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        matches!(&self.arrived, Some((Ok(count), _)) if *count > 0)
    }

    /// Reads more of the answer into `bytes`; 0 when the provider's bytes have ended. The read also
    /// ends when the caller hangs up.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn read_more(&mut self, caller: &mut Caller) -> io::Result<usize> {
        let (result, arrived) = match self.arrived.take() {
            Some(read) => read,
            None => {
                self.post_read();
                let Socket {
                    deadline, reader, ..
                } = &mut self.socket;
                caller.watch(deadline, reader.collect()).await
            }
        };
        self.take_in(arrived);
        result
    }

    /// As [`Upstream::read_more`], whatever the caller does. If the future is dropped, nothing is
    /// lost: the read stays posted.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn read_on(&mut self) -> io::Result<usize> {
        self.post_read();
        let (result, arrived) = self.socket.reader.collect().await;
        self.take_in(arrived);
        result
    }

    fn take_in(&mut self, arrived: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = arrived;
        } else {
            self.bytes.extend_from_slice(&arrived);
        }
    }

    /// Reads the final head of the answer, which `waiter` waits for; informational ones are skipped
    /// (RFC 9110, section 15.2).
    ///
    /// # Errors
    ///
    /// There is no such head; the outcome of the attempt.
    pub async fn read_head(&mut self, waiter: &mut impl Waiter) -> Result<(), Outcome> {
        let mut seen = 0;
        loop {
            let read = waiter.read(self).await;
            if waiter.is_gone() {
                return Err(Outcome::CallerGone);
            }
            match read {
                Ok(count) if count > 0 => {}
                Ok(_) => return Err(self.no_head()),
                // A server may look at its client's certificate only now (TLS 1.3).
                Err(fault) if tls::what_failed(&fault) == TlsFault::Own => {
                    return Err(Outcome::ConnectFailed(ConnectFault::Tls(TlsFault::Own)));
                }
                Err(_) => return Err(self.no_head()),
            }
            loop {
                let malformed = |_| Outcome::Failed(Failure::Malformed);
                match self
                    .head
                    .parse_answer(&self.bytes, seen, Asked::Other)
                    .map_err(malformed)?
                {
                    Arrival::Partial => {
                        seen = self.bytes.len();
                        break;
                    }
                    // No request asks to switch protocols.
                    Arrival::Whole if self.head.status == 101 => {
                        return Err(Outcome::Failed(Failure::Malformed));
                    }
                    Arrival::Whole if self.head.status < 200 => {
                        self.informed += 1;
                        if self.informed > INFORMATIONAL_MAX {
                            return Err(Outcome::Failed(Failure::Malformed));
                        }
                        self.bytes.drain(..self.head.len);
                        seen = 0;
                    }
                    Arrival::Whole => return Ok(()),
                }
            }
        }
    }

    /// The outcome for a connection that ended before the answer's head.
    fn no_head(&self) -> Outcome {
        if self.socket.deadline.is_overdue() {
            Outcome::TimedOut(Waiting::Head)
        } else if self.reused && self.bytes.is_empty() && self.informed == 0 {
            Outcome::StaleConnection
        } else {
            Outcome::Failed(Failure::Cut)
        }
    }

    /// Posts the next read, into `bytes` itself while that is empty or large.
    pub fn post_read(&mut self) {
        if self.socket.reader.is_posted() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.bytes);
        if buffer.capacity() - buffer.len() < UPSTREAM_READ_BYTES / 4 {
            buffer.reserve(UPSTREAM_READ_BYTES);
        }
        self.socket.reader.post(buffer);
    }

    /// Posts the next read, of `room` bytes at most, and gives back the room of what has been read:
    /// the stream may pause.
    pub fn watch(&mut self, buffers: &Buffers, room: usize) {
        if !self.socket.reader.is_posted() {
            buffers.give(std::mem::take(&mut self.bytes));
            self.socket.reader.watch(room);
        }
        self.bytes.clear();
    }

    /// The body, once it has been read whole.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.head.len..self.end).unwrap_or_default()
    }

    /// The body, mutable.
    pub fn body_mut(&mut self) -> &mut [u8] {
        self.bytes
            .get_mut(self.head.len..self.end)
            .unwrap_or_default()
    }

    /// How the answer's body is coded; `None`: in a way that infermux does not support.
    #[must_use]
    pub fn coding(&self) -> Option<Coding> {
        Coding::of(self.head.value_of(&self.bytes, Known::ContentEncoding))
    }

    /// How long a provider that is at its limit, and whose answer was read whole, asks to be left
    /// alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let headers = |known| self.head.value_of(&self.bytes, known);
        retry_after::asked(&headers, self.body(), clock::wall())
    }

    /// How long a provider that has failed, and whose answer was read whole, asks to be left alone.
    #[must_use]
    pub fn retry_after_failure(&self) -> Option<Duration> {
        let headers = |known| self.head.value_of(&self.bytes, known);
        let asked = retry_after::outright(&headers, self.body(), clock::wall());
        asked.map(|span| span.min(RETRY_AFTER_FAILURE_MAX))
    }

    /// How long a provider whose limit is used up wants no further request.
    #[must_use]
    pub fn used_up(&self) -> Option<Duration> {
        if !self.head.names.meets(retry_after::LEFT) {
            return None;
        }
        retry_after::used_up(
            &|known| self.head.value_of(&self.bytes, known),
            clock::wall(),
        )
    }

    /// Reads the end of a body whose `[DONE]` has come, so that the connection can be used again:
    /// many servers send the last chunk separately. `None`: the connection cannot be used again.
    pub async fn read_out(mut self: Box<Self>, mut body: BodyDecoder) -> Option<Box<Self>> {
        self.socket.deadline.set(clock::now() + READ_OUT, Cut::Both);
        loop {
            self.bytes.clear();
            self.post_read();
            let (result, bytes) = self.socket.reader.collect().await;
            self.bytes = bytes;
            if !matches!(result, Ok(count) if count > 0) {
                return None;
            }
            let mut at = 0;
            loop {
                match body.next(&self.bytes, &mut at) {
                    Ok(Piece::Payload(_)) => {}
                    Ok(Piece::More) => break,
                    Ok(Piece::End(end)) => {
                        self.end = end;
                        return Some(self);
                    }
                    Err(_) => return None,
                }
            }
        }
    }

    /// Takes out the body, which has been read whole, with what counts it.
    #[must_use]
    pub fn into_body(mut self) -> (Vec<u8>, Held) {
        self.bytes.truncate(self.end);
        self.bytes.drain(..self.head.len);
        (self.bytes, self.held)
    }

    /// Whether its answer was framed completely, and it may carry another request.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        let complete = self.end > 0 && self.end == self.bytes.len() && self.head.keep_alive;
        let is_open = !self.socket.deadline.is_overdue() && !self.socket.deadline.is_stopped();
        let is_sent = !self.unsent && self.socket.writer.is_idle();
        complete && is_open && is_sent && self.arrived.is_none()
    }
}

/// One who waits for the answer of a provider.
pub trait Waiter {
    /// Reads more of the answer into the connection's `bytes`; 0 when the provider's bytes have
    /// ended.
    async fn read(&mut self, up: &mut Upstream) -> io::Result<usize>;

    /// Whether the waiting is over.
    fn is_gone(&self) -> bool;
}

/// A caller waits until it hangs up.
impl Waiter for Caller {
    async fn read(&mut self, up: &mut Upstream) -> io::Result<usize> {
        up.read_more(self).await
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }
}

/// infermux itself, which waits until the connection's deadline.
#[derive(Default)]
pub struct Itself {
    /// The system's error, where the connection failed with one.
    pub fault: Option<io::Error>,
}

impl Waiter for Itself {
    async fn read(&mut self, up: &mut Upstream) -> io::Result<usize> {
        up.read_on().await.map_err(|fault| {
            let (kind, of_own) = (fault.kind(), tls::what_failed(&fault) == TlsFault::Own);
            if of_own {
                return fault;
            }
            self.fault = Some(fault);
            kind.into()
        })
    }

    fn is_gone(&self) -> bool {
        false
    }
}

/// How long a provider may take to end a body whose content is complete.
const READ_OUT: Duration = Duration::from_secs(1);
/// Longest time that a provider which has failed is left alone: it may be back sooner than it says.
const RETRY_AFTER_FAILURE_MAX: Duration = Duration::from_secs(60);
