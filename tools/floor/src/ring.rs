//! The ring: operations go in, what they have come to comes out.

#![expect(
    unsafe_code,
    reason = "the kernel reads and writes memory that operations name"
)]

use std::io;
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::pool::{GROUP, Piece, Pool};

/// Operations that fit in before the kernel must be entered.
const ENTRIES: u32 = 4_096;
/// Results that fit before the kernel keeps them aside.
const RESULTS: u32 = 4 * ENTRIES;

/// An operation, and the socket it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Connections are accepted.
    Accept,
    /// Bytes are received on this side.
    Receive(u32),
    /// Bytes are sent on this side.
    Send(u32),
}

/// What an operation has come to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The operation.
    pub(crate) operation: Operation,
    /// What the system call would return, or a negative error.
    pub(crate) result: i32,
    /// The buffer that was chosen.
    pub(crate) buffer: Option<u16>,
    /// Whether the operation goes on.
    pub(crate) goes_on: bool,
}

/// The ring with its pool of buffers.
pub(crate) struct Ring {
    ring: IoUring,
    pool: Pool,
    outcomes: Vec<Outcome>,
}

impl Operation {
    fn to_data(self) -> u64 {
        match self {
            Self::Accept => 0,
            Self::Receive(side) => (u64::from(side) << 2) | 1,
            Self::Send(side) => (u64::from(side) << 2) | 2,
        }
    }

    fn of_data(data: u64) -> Self {
        let side = u32::try_from(data >> 2).unwrap_or_default();
        match data & 3 {
            0 => Self::Accept,
            1 => Self::Receive(side),
            _ => Self::Send(side),
        }
    }
}

impl Ring {
    /// An empty ring.
    ///
    /// # Errors
    ///
    /// The kernel refuses it, or is older than Linux 6.1.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(RESULTS)
            .build(ENTRIES)?;
        let pool = Pool::new(&ring.submitter())?;
        Ok(Self {
            ring,
            pool,
            outcomes: Vec::new(),
        })
    }

    /// Accepts connections until further notice.
    ///
    /// # Errors
    ///
    /// See [`Self::push`].
    pub(crate) fn accept(&mut self, socket: RawFd) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(socket)).build();
        self.push(entry, Operation::Accept)
    }

    /// Receives on `side` until further notice.
    ///
    /// # Errors
    ///
    /// See [`Self::push`].
    pub(crate) fn receive(&mut self, side: u32, socket: RawFd) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fd(socket), GROUP).build();
        self.push(entry, Operation::Receive(side))
    }

    /// Sends all of `piece` on `side`; its buffer must stay out of the pool until then.
    ///
    /// # Errors
    ///
    /// See [`Self::push`].
    pub(crate) fn send(&mut self, side: u32, socket: RawFd, piece: Piece) -> io::Result<()> {
        let entry = opcode::Send::new(Fd(socket), self.pool.address(piece), piece.len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(entry, Operation::Send(side))
    }

    /// Gives a buffer back.
    pub(crate) fn put(&mut self, buffer: u16) {
        self.pool.put(buffer);
    }

    /// Waits for at least one outcome; returns all that there are.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<Outcome>> {
        match self.ring.submit_and_wait(1) {
            Ok(_) => {}
            // The next turn waits again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.extend(self.ring.completion().map(|entry| Outcome {
            operation: Operation::of_data(entry.user_data()),
            result: entry.result(),
            buffer: cqueue::buffer_select(entry.flags()),
            goes_on: cqueue::more(entry.flags()),
        }));
        Ok(outcomes)
    }

    /// Takes the list of outcomes back, so that the next turn needs no memory.
    pub(crate) fn recycle(&mut self, outcomes: Vec<Outcome>) {
        debug_assert!(outcomes.is_empty());
        self.outcomes = outcomes;
    }

    /// Puts an operation into the ring.
    ///
    /// # Errors
    ///
    /// The ring is full, and the kernel does not take what is in it.
    fn push(&mut self, entry: squeue::Entry, operation: Operation) -> io::Result<()> {
        let entry = entry.user_data(operation.to_data());
        for _ in 0..2 {
            // SAFETY: the only memory that operations name is the pool's, which is never freed, and
            // a buffer that is sent from is not given back before its outcome.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
        Err(io::Error::other("the ring is full"))
    }
}

/// The connection that was accepted.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an outcome is used up, since its connection has one owner"
)]
pub(crate) fn accepted(outcome: Outcome) -> Option<TcpStream> {
    if outcome.operation != Operation::Accept || outcome.result < 0 {
        return None;
    }
    // SAFETY: the kernel has just opened it for this outcome, which is used up here.
    let socket = unsafe { OwnedFd::from_raw_fd(outcome.result) };
    Some(TcpStream::from(socket))
}

/// Lets the process have as many sockets as it may.
///
/// # Errors
///
/// The kernel does not know the limit.
pub(crate) fn allow_many_files() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one limit into it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads one limit from it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_known_by_its_number() {
        for operation in [
            Operation::Accept,
            Operation::Receive(0),
            Operation::Receive(u32::MAX),
            Operation::Send(7),
        ] {
            assert_eq!(Operation::of_data(operation.to_data()), operation);
        }
    }
}
