//! Sends of one shard: gathered during a turn of the loop, and carried out together at its end.
//!
//! Many sends go into the ring together: it is entered once for all of them, and a peer that gets
//! several is woken once. A single send is made with a system call of its own, which ends at once;
//! the ring would have to be entered a second time to learn that the send has ended. Where there is
//! no ring, each send is such a call.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use monoio::io::{AsyncWriteRent, OwnedWriteHalf};
use monoio::net::TcpStream;

use crate::base::limits::SPARES_MAX;
use crate::shard::net::at_once;
use crate::shard::net::buffers::Buffers;
use crate::shard::net::guarded;
use crate::shard::net::part::Part;
use crate::shard::net::ring::Driver;

/// The sends of one shard that are not done yet.
pub struct Outbox {
    /// Posted in this turn.
    posted: RefCell<Vec<Post>>,
    under_way: RefCell<Vec<UnderWay>>,
    spare: RefCell<Vec<Operation>>,
    /// Wakes the task that carries them out.
    carrier: RefCell<Option<Waker>>,
    buffers: Rc<Buffers>,
    /// Most sends of one turn that are made with system calls of their own.
    alone_max: usize,
}

/// The sends of one connection: one at a time.
pub struct SendSlot {
    fd: RawFd,
    half: OwnedWriteHalf<TcpStream>,
    state: Cell<State>,
    /// The result of an attended send.
    result: Cell<Option<Sent>>,
    /// Wakes the task that waits for it.
    waiting: Cell<Option<Waker>>,
}

/// The result of a send, and its part, of which some may be left.
pub type Sent = (io::Result<()>, Part);

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No send is under way.
    Idle,
    /// A send is under way, and a task waits for its result.
    Attended,
    /// A part is being sent to its end, and no task waits for that.
    Unattended,
    /// An unattended send has failed.
    Failed,
}

/// A send that was not started yet.
struct Post {
    slot: Rc<SendSlot>,
    part: Part,
}

/// A send in the ring.
struct UnderWay {
    slot: Rc<SendSlot>,
    operation: Operation,
    /// How often it was looked at and not done.
    looks: u8,
}

/// An endless coroutine that carries out one send after the other, of any connection, so that not
/// every send needs one made for it.
struct Operation {
    working: Pin<Box<dyn Future<Output = ()>>>,
    mailbox: Rc<Mailbox>,
}

/// Passes orders and results between an operation and its owner.
#[derive(Default)]
struct Mailbox {
    order: Cell<Option<(Rc<UnsafeCell<TcpStream>>, Part)>>,
    done: Cell<Option<(io::Result<usize>, Part)>>,
}

impl Outbox {
    /// No sends yet, on a loop that runs on `driver`; sent buffers are given back to `buffers`.
    #[must_use]
    pub fn new(driver: Driver, buffers: Rc<Buffers>) -> Self {
        Self {
            posted: RefCell::default(),
            under_way: RefCell::default(),
            spare: RefCell::default(),
            carrier: RefCell::default(),
            buffers,
            alone_max: match driver {
                Driver::Uring => ALONE_MAX,
                Driver::Epoll => usize::MAX,
            },
        }
    }

    /// Carries out what is posted, as long as the shard runs.
    pub async fn carry_out(self: Rc<Self>) {
        poll_fn(|context| {
            self.look(context);
            self.start(context);
            *self.carrier.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    }

    fn post(&self, slot: &Rc<SendSlot>, part: Part, state: State) {
        debug_assert!(slot.is_idle(), "one send at a time");
        slot.state.set(state);
        let slot = Rc::clone(slot);
        self.posted.borrow_mut().push(Post { slot, part });
        if let Some(carrier) = self.carrier.borrow_mut().take() {
            carrier.wake();
        }
    }

    /// Starts what has been posted since the last turn.
    fn start(&self, context: &mut Context<'_>) {
        let mut posted = self.posted.borrow_mut();
        let is_alone = posted.len() <= self.alone_max;
        for Post { slot, mut part } in posted.drain(..) {
            if is_alone {
                match slot.send_now(part, &self.buffers) {
                    None => continue,
                    Some(left) => part = left,
                }
            }
            let operation = self.spare.borrow_mut().pop().unwrap_or_default();
            operation.order(&slot, part);
            let mut under_way = UnderWay {
                slot,
                operation,
                looks: 0,
            };
            if under_way.poll(&self.buffers, context).is_pending() {
                self.under_way.borrow_mut().push(under_way);
            } else {
                self.keep(under_way.operation);
            }
        }
    }

    /// Takes in the results of the ring. Sends that take longer get a task of their own, so that
    /// peers that do not read cost other connections nothing.
    fn look(&self, context: &mut Context<'_>) {
        let mut all = self.under_way.borrow_mut();
        let mut at = 0;
        while let Some(one) = all.get_mut(at) {
            if one.poll(&self.buffers, context).is_ready() {
                self.keep(all.swap_remove(at).operation);
                continue;
            }
            one.looks += 1;
            if one.looks < LOOKS_MAX {
                at += 1;
                continue;
            }
            let (mut slow, buffers) = (all.swap_remove(at), Rc::clone(&self.buffers));
            guarded::spawn_for_one(async move {
                poll_fn(|context| slow.poll(&buffers, context)).await;
            });
        }
    }

    fn keep(&self, operation: Operation) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARES_MAX {
            spare.push(operation);
        }
    }
}

impl SendSlot {
    /// The slot of the connection with the writing `half`, whose descriptor is `fd`.
    #[must_use]
    pub fn new(half: OwnedWriteHalf<TcpStream>, fd: RawFd) -> Rc<Self> {
        Rc::new(Self {
            fd,
            half,
            state: Cell::new(State::Idle),
            result: Cell::new(None),
            waiting: Cell::new(None),
        })
    }

    /// Sends as much of `part` as the peer takes at once, at least one byte.
    pub async fn send(self: &Rc<Self>, outbox: &Outbox, part: Part) -> Sent {
        if let Err(fault) = self.wait_idle().await {
            return (Err(fault), part);
        }
        outbox.post(self, part, State::Attended);
        poll_fn(|context| match self.result.take() {
            Some(sent) => Poll::Ready(sent),
            None => self.wait(context),
        })
        .await
    }

    /// Has `part` sent to its end without waiting for it; its buffer becomes a spare one.
    pub fn send_unattended(self: &Rc<Self>, outbox: &Outbox, part: Part) {
        outbox.post(self, part, State::Unattended);
    }

    /// Whether nothing is being sent, and nothing has failed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state.get() == State::Idle
    }

    /// Waits until nothing is being sent.
    ///
    /// # Errors
    ///
    /// An unattended send has failed.
    pub async fn wait_idle(&self) -> io::Result<()> {
        poll_fn(|context| match self.state.get() {
            State::Idle => Poll::Ready(Ok(())),
            State::Failed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            State::Attended | State::Unattended => self.wait(context),
        })
        .await
    }

    /// Sends `part` with system calls of its own; returns the rest when the peer takes no more.
    fn send_now(&self, mut part: Part, buffers: &Buffers) -> Option<Part> {
        loop {
            // The slot's half keeps the descriptor open.
            let sent = at_once::send(self.fd, part.next());
            if matches!(&sent, Err(fault) if fault.kind() == io::ErrorKind::WouldBlock) {
                return Some(part);
            }
            part = self.take_in(sent, part, buffers)?;
        }
    }

    /// Takes in the result of one send; returns the rest of the part if more must be sent before
    /// the result is given.
    fn take_in(&self, sent: io::Result<usize>, mut part: Part, buffers: &Buffers) -> Option<Part> {
        let sent = match sent {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                part.advance(count);
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        match (self.state.get(), &sent) {
            (State::Unattended, Ok(())) if !part.is_sent() => return Some(part),
            (State::Unattended, Ok(())) => {
                self.state.set(State::Idle);
                buffers.give(part.into_vec());
            }
            (State::Unattended, Err(_)) => {
                self.state.set(State::Failed);
                self.hang_up();
            }
            (State::Idle | State::Attended | State::Failed, _) => {
                self.state.set(State::Idle);
                self.result.set(Some((sent, part)));
            }
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        None
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.waiting.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// Ends the connection for its reader, too.
    fn hang_up(&self) {
        #[expect(unsafe_code, reason = "a descriptor is borrowed for one call")]
        // SAFETY: the slot's half keeps the descriptor open.
        let socket = unsafe { BorrowedFd::borrow_raw(self.fd) };
        let _ = socket2::SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
    }
}

impl UnderWay {
    /// Whether the send is done; the rest of an unattended part goes back into the ring.
    fn poll(&mut self, buffers: &Buffers, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let Poll::Ready((sent, part)) = self.operation.poll(context) else {
                return Poll::Pending;
            };
            match self.slot.take_in(sent, part, buffers) {
                Some(left) => self.operation.order(&self.slot, left),
                None => return Poll::Ready(()),
            }
        }
    }
}

impl Operation {
    fn order(&self, slot: &SendSlot, part: Part) {
        self.mailbox
            .order
            .set(Some((Rc::clone(&slot.half.0), part)));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(io::Result<usize>, Part)> {
        let _ = self.working.as_mut().poll(context);
        self.mailbox.done.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Default for Operation {
    fn default() -> Self {
        let mailbox = Rc::new(Mailbox::default());
        Self {
            working: Box::pin(work(Rc::clone(&mailbox))),
            mailbox,
        }
    }
}

/// Waits for an order, sends once, hands over the result; without end.
async fn work(mailbox: Rc<Mailbox>) {
    loop {
        // No wake-up is needed: after giving an order, its owner polls this future.
        let order = poll_fn(|_| mailbox.order.take().map_or(Poll::Pending, Poll::Ready));
        let (stream, part) = order.await;
        #[expect(unsafe_code, reason = "one operation serves many connections")]
        // SAFETY: both halves are of this thread, a slot has one send at a time, and like a read, a
        // write touches nothing but the descriptor.
        let done = unsafe { &mut *stream.get() }.write(part).await;
        mailbox.done.set(Some(done));
    }
}

/// Up to so many sends of one turn are cheaper with system calls of their own than in the ring.
const ALONE_MAX: usize = 2;
/// A send that is not done after so many looks is slow: what the peer takes at once is done at the
/// first.
const LOOKS_MAX: u8 = 4;
