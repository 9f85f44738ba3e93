//! Deadlines of sockets: a table of slots, and one task that shuts overdue sockets down.
//!
//! Shutting down ends the operation in the ring with the bytes that have arrived, where dropping
//! its future could lose bytes. A deadline costs one store, not a timer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::base::time::Instant;
use crate::link::gate::Audience;
use crate::sys::clock;

/// The deadlines of one shard.
#[derive(Default)]
pub struct Timers {
    slots: RefCell<Slots>,
    /// When the sweeper wakes next.
    wakes_at: Cell<Instant>,
    sweeper: RefCell<Option<Waker>>,
}

/// One socket's place in the table. It must be dropped before the socket is closed: after that its
/// descriptor may name another socket.
pub struct Deadline {
    timers: Rc<Timers>,
    slot: usize,
}

/// Which directions of an overdue socket are shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Reading: the peer can still be told why.
    Read,
    /// Both.
    Both,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<usize>,
}

struct Slot {
    fd: RawFd,
    at: Instant,
    cut: Cut,
    shut: Shut,
    waits: Waits,
    /// When `sleeper` is woken; nothing is shut down by it.
    alarm: Instant,
    sleeper: Option<Waker>,
}

/// Whether, and why, a socket was shut down through the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shut {
    /// It was not shut down.
    No,
    /// Its deadline passed: the peer was too slow.
    Overdue,
    /// The process stops: the peer is not to blame.
    Stopped,
}

/// Whether, and for which, request a connection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It does not wait: a request is under way.
    No,
    /// For its first one, for a moment: its place is needed, or the process drains.
    Moment,
    /// For its first one, which may be on its way, on a place of these.
    First(Audience),
    /// For another one: nothing is lost when it is closed.
    Another(Audience),
}

impl Timers {
    /// A place for the socket `fd`, without a deadline.
    #[must_use]
    pub fn register(self: &Rc<Self>, fd: RawFd) -> Deadline {
        let fresh = Slot {
            fd,
            at: Instant::NEVER,
            cut: Cut::Both,
            shut: Shut::No,
            waits: Waits::No,
            alarm: Instant::NEVER,
            sleeper: None,
        };
        let slots = &mut *self.slots.borrow_mut();
        let slot = match slots.free.pop() {
            Some(slot) => {
                slots.all[slot] = fresh;
                slot
            }
            None => {
                slots.all.push(fresh);
                slots.all.len() - 1
            }
        };
        Deadline {
            timers: Rc::clone(self),
            slot,
        }
    }

    /// Shuts overdue sockets down as long as the shard runs.
    pub async fn sweep(self: Rc<Self>) {
        loop {
            let now = clock::now();
            let next = self.fire(now);
            self.wakes_at.set(next);
            let mut sleep = std::pin::pin!(sleep_from(now, next));
            poll_fn(|context| {
                if self.wakes_at.get() < next || sleep.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                *self.sweeper.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }

    /// Shuts down every connection that waits for another request. A connection that waits for its
    /// first has a moment left: its caller has only just connected.
    pub fn cut_waiting(&self) {
        let soon = clock::now() + FIRST_REQUEST;
        for slot in &mut self.slots.borrow_mut().all {
            match slot.waits {
                Waits::No => {}
                Waits::Moment | Waits::First(_) => slot.at = slot.at.min(soon),
                // Its last answer may still be on its way out.
                Waits::Another(_) => slot.shut_down(Cut::Read, Shut::Stopped),
            }
        }
        self.wake_by(soon);
    }

    /// Shuts down connections of `of` that have waited longest for a request, several at once;
    /// returns how many. Only those count that would be overdue by the first time, where they wait
    /// for their first request, or by the second.
    pub fn cut_longest(&self, of: Audience, [first, another]: [Instant; 2]) -> usize {
        let mut slots = self.slots.borrow_mut();
        let may_be_cut = |slot: &Slot| match slot.waits {
            Waits::No | Waits::Moment => false,
            Waits::First(own) => own == of && slot.at <= first,
            Waits::Another(own) => own == of && slot.at <= another,
        };
        let found = slots.all.iter().enumerate();
        let found = found.filter(|(_, slot)| may_be_cut(slot));
        let mut found: Vec<_> = found.map(|(place, slot)| (slot.at, place)).collect();
        if found.len() > CUT_AT_ONCE {
            found.select_nth_unstable(CUT_AT_ONCE);
            found.truncate(CUT_AT_ONCE);
        }
        for (_, place) in &found {
            let slot = &mut slots.all[*place];
            (slot.at, slot.waits) = (Instant::NEVER, Waits::No);
            // What has arrived already is still read and answered.
            slot.shut_down(Cut::Read, Shut::Overdue);
        }
        found.len()
    }

    /// Ends every read: operations under way end with it, and callers can still be told.
    pub fn cut_reads(&self) {
        let mut slots = self.slots.borrow_mut();
        slots
            .all
            .iter_mut()
            .filter(|slot| slot.fd >= 0 && slot.shut != Shut::Stopped)
            .for_each(|slot| slot.shut_down(Cut::Read, Shut::Stopped));
    }

    /// Shuts down every socket.
    pub fn cut_all(&self) {
        let mut slots = self.slots.borrow_mut();
        slots
            .all
            .iter_mut()
            .filter(|slot| slot.fd >= 0)
            .for_each(|slot| slot.shut_down(Cut::Both, Shut::Stopped));
    }

    /// Shuts down sockets that are overdue at `now`, and wakes whoever wants to be; returns when to
    /// look again.
    fn fire(&self, now: Instant) -> Instant {
        let mut next = Instant::NEVER;
        for slot in &mut self.slots.borrow_mut().all {
            if slot.at <= now {
                slot.at = Instant::NEVER;
                slot.shut_down(slot.cut, Shut::Overdue);
            }
            if slot.alarm <= now {
                slot.alarm = Instant::NEVER;
                if let Some(sleeper) = slot.sleeper.take() {
                    sleeper.wake();
                }
            }
            next = next.min(slot.at).min(slot.alarm);
        }
        if next == Instant::NEVER {
            next
        } else {
            next.max(now + FINEST)
        }
    }

    /// Makes sure that the sweeper wakes by `at`.
    fn wake_by(&self, at: Instant) {
        if at < self.wakes_at.get() {
            self.wakes_at.set(at);
            if let Some(sweeper) = self.sweeper.borrow_mut().take() {
                sweeper.wake();
            }
        }
    }
}

impl Slot {
    /// Of several reasons the first one counts.
    fn shut_down(&mut self, cut: Cut, reason: Shut) {
        if self.shut == Shut::No {
            self.shut = reason;
        }
        shut_down(self.fd, cut);
    }
}

impl Deadline {
    /// The socket is shut down at `at`, as `cut` says.
    pub fn set(&self, at: Instant, cut: Cut) {
        let slot = &mut self.timers.slots.borrow_mut().all[self.slot];
        slot.at = at;
        slot.cut = cut;
        slot.waits = Waits::No;
        self.timers.wake_by(at);
    }

    /// The connection waits for a request until `at`, unless the process stops meanwhile.
    pub fn set_waiting(&self, at: Instant, waits: Waits) {
        self.set(at, Cut::Read);
        self.timers.slots.borrow_mut().all[self.slot].waits = waits;
    }

    /// Removes the deadline.
    pub fn clear(&self) {
        let slot = &mut self.timers.slots.borrow_mut().all[self.slot];
        slot.at = Instant::NEVER;
        slot.waits = Waits::No;
    }

    /// Wakes `sleeper` at `at`, once, whatever becomes of the deadline.
    pub fn set_alarm(&self, at: Instant, sleeper: &Waker) {
        let slot = &mut self.timers.slots.borrow_mut().all[self.slot];
        slot.alarm = at;
        slot.sleeper = Some(sleeper.clone());
        self.timers.wake_by(at);
    }

    /// Whether an alarm is to come.
    #[must_use]
    pub fn has_alarm(&self) -> bool {
        self.timers.slots.borrow().all[self.slot].alarm != Instant::NEVER
    }

    /// Whether the socket was shut down because a deadline passed.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.shut() == Shut::Overdue
    }

    /// Whether the socket was shut down because the process stops.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shut() == Shut::Stopped
    }

    fn shut(&self) -> Shut {
        self.timers.slots.borrow().all[self.slot].shut
    }

    /// Shuts the socket down now: an operation in the ring ends.
    pub fn cut(&self) {
        shut_down(self.timers.slots.borrow().all[self.slot].fd, Cut::Both);
    }

    /// Whether the peer has closed its side, whatever it has sent before that was not read yet.
    #[must_use]
    pub fn peer_has_left(&self) -> bool {
        let slot = &self.timers.slots.borrow().all[self.slot];
        // A direction that was shut down here looks alike.
        slot.shut == Shut::No && has_left(slot.fd)
    }

    /// Tells the peer that nothing more will be sent.
    pub fn cut_write(&self) {
        let fd = self.timers.slots.borrow().all[self.slot].fd;
        shut_down_raw(fd, libc::SHUT_WR);
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let slots = &mut *self.timers.slots.borrow_mut();
        slots.all[self.slot].fd = -1;
        slots.all[self.slot].at = Instant::NEVER;
        slots.all[self.slot].waits = Waits::No;
        slots.all[self.slot].alarm = Instant::NEVER;
        slots.all[self.slot].sleeper = None;
        slots.free.push(self.slot);
    }
}

/// Sleeps from `now` until `at`, or without end.
async fn sleep_from(now: Instant, at: Instant) {
    if at == Instant::NEVER {
        std::future::pending::<()>().await;
    }
    monoio::time::sleep(at.since(now)).await;
}

fn shut_down(fd: RawFd, cut: Cut) {
    match cut {
        Cut::Read => shut_down_raw(fd, libc::SHUT_RD),
        Cut::Both => shut_down_raw(fd, libc::SHUT_RDWR),
    }
}

#[expect(
    unsafe_code,
    reason = "a socket is shut down through its descriptor alone"
)]
fn shut_down_raw(fd: RawFd, how: libc::c_int) {
    // SAFETY: shutdown(2) has no memory effects; a descriptor in the table is open, since its
    // `Deadline` is dropped before the socket is. A socket that is not connected any more is no
    // matter: the error is ignored.
    unsafe { libc::shutdown(fd, how) };
}

#[expect(unsafe_code, reason = "the standard library has no poll(2)")]
fn has_left(fd: RawFd) -> bool {
    let events = libc::POLLRDHUP;
    let mut asked = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: poll(2) reads and writes the one entry that it is given, and with a timeout of zero
    // returns at once.
    let found = unsafe { libc::poll(&raw mut asked, 1, 0) };
    found == 1 && asked.revents & (events | libc::POLLHUP | libc::POLLERR) != 0
}

/// How long a connection that is new when the process drains may wait for its first request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Most connections that are shut down at once for others: those who wait for a place look again
/// soon.
const CUT_AT_ONCE: usize = 32;
/// The shortest time between two looks at the table: a look costs about a nanosecond per
/// connection.
const FINEST: Duration = Duration::from_millis(10);
