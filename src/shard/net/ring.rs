//! The start-up ladder: the cheapest ring this kernel gives, down to epoll.

use std::io;

use io_uring::IoUring;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

/// A shard's event loop.
pub enum Ring {
    /// io_uring, by the first setup of the ladder that worked.
    Uring(Box<Runtime<TimeDriver<IoUringDriver>>>),
    /// epoll, and why every ring was refused.
    Epoll(Box<Runtime<TimeDriver<LegacyDriver>>>, io::Error),
}

/// What an event loop runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring
    Uring,
    /// epoll
    Epoll,
}

/// The setups of the ring, the rungs of the ladder, the cheapest per request first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// `SINGLE_ISSUER | DEFER_TASKRUN`, Linux 6.1: completions are worked off when the loop waits.
    DeferTaskrun,
    /// `SINGLE_ISSUER | COOP_TASKRUN`, Linux 6.0.
    CoopTaskrun,
    /// No flags.
    Plain,
}

/// Builds the loop on the calling thread, which must be the one that runs it.
///
/// # Errors
///
/// Not even epoll is available: the process is out of file descriptors or memory.
pub fn build() -> io::Result<Ring> {
    let mut refused = io::Error::other("no ring was tried");
    for setup in [Setup::DeferTaskrun, Setup::CoopTaskrun, Setup::Plain] {
        match uring(setup) {
            Ok(runtime) => return Ok(Ring::Uring(Box::new(runtime))),
            Err(error) => refused = error,
        }
    }
    let runtime = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()?;
    Ok(Ring::Epoll(Box::new(runtime), refused))
}

fn uring(setup: Setup) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    let mut builder = IoUring::builder();
    match setup {
        Setup::DeferTaskrun => builder.setup_single_issuer().setup_defer_taskrun(),
        Setup::CoopTaskrun => builder.setup_single_issuer().setup_coop_taskrun(),
        Setup::Plain => &mut builder,
    };
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(builder)
        .with_entries(ENTRIES)
        .enable_timer()
        .build()
}

impl Ring {
    /// What the loop runs on.
    #[must_use]
    pub fn driver(&self) -> Driver {
        match self {
            Self::Uring(..) => Driver::Uring,
            Self::Epoll(..) => Driver::Epoll,
        }
    }

    /// Runs `future` to its end.
    pub fn block_on<F: Future>(self, future: F) -> F::Output {
        match self {
            Self::Uring(mut runtime) => runtime.block_on(future),
            Self::Epoll(mut runtime, _) => runtime.block_on(future),
        }
    }

    /// What the operator is told where epoll is used instead of a ring.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let Self::Epoll(_, refused) = self else {
            return None;
        };
        let cause = match refused.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "forbidden: a seccomp filter (containers) or kernel.io_uring_disabled"
            }
            Some(libc::ENOMEM) => "no memory to lock: raise LimitMEMLOCK (about 450 KiB per shard)",
            Some(libc::ENOSYS) => "not in this kernel",
            Some(_) | None => "refused",
        };
        Some(format!(
            "io_uring is {cause} ({refused}); epoll is used, at more CPU per request"
        ))
    }
}

/// Operations that fit into the ring before the kernel must be entered.
const ENTRIES: u32 = 4_096;
