//! Reads the body of a caller's request into the connection's buffer, behind its head.

use std::ops::Range;
use std::time::Duration;

use crate::base::limits::READ_LARGE_BYTES;
use crate::base::time::Instant;
use crate::exchange::refusal::Refusal;
use crate::shard::caller::Caller;
use crate::shard::run::Shard;
use crate::shard::timers::Cut;
use crate::sys::clock;
use crate::wire::chunked::{Chunked, Progress};
use crate::wire::head::Framing;

/// A request's body, as ranges of the connection's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The body, its transfer coding removed.
    pub at: Range<usize>,
    /// Where the next request starts.
    pub end: usize,
}

/// Why there is no body.
#[derive(Debug)]
pub enum Stop {
    /// The caller is told.
    Refused(Refusal<'static>),
    /// The caller hung up.
    Gone,
}

/// Reads the current request's body.
pub async fn read(shard: &Shard, caller: &mut Caller) -> Result<Body, Stop> {
    let start = caller.head.len;
    let limit = shard.server.max_body_bytes;
    match caller.head.framing {
        Framing::None | Framing::Close => Ok(Body {
            at: start..start,
            end: start,
        }),
        Framing::Length(length) => {
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= limit);
            let length = length.ok_or(Stop::Refused(Refusal::RequestTooLarge { limit }))?;
            read_length(shard, caller, start + length).await
        }
        Framing::Chunked => read_chunked(shard, caller).await,
    }
}

async fn read_length(shard: &Shard, caller: &mut Caller, end: usize) -> Result<Body, Stop> {
    let start = caller.head.len;
    if !caller.held.grow_to(end - start) {
        return Err(Stop::Refused(Refusal::Overloaded));
    }
    if caller.bytes.len() < end {
        invite(shard, caller).await?;
        let missing = end - caller.bytes.len();
        shard.buffers.grow(caller.bytes_mut(), missing + READ_ROOM);
        let mut pace = Pace::new(shard, clock::now());
        while caller.bytes.len() < end {
            pace.read(caller).await?;
        }
        caller.socket.deadline.clear();
    }
    Ok(Body {
        at: start..end,
        end,
    })
}

async fn read_chunked(shard: &Shard, caller: &mut Caller) -> Result<Body, Stop> {
    let start = caller.head.len;
    let mut decoder = Chunked::default();
    let mut filled = start;
    if caller.bytes.len() == start {
        invite(shard, caller).await?;
    }
    let mut pace = Pace::new(shard, clock::now());
    loop {
        let progress = decoder
            .compact(caller.bytes_mut(), &mut filled)
            .map_err(|fault| Stop::Refused(Refusal::Malformed(fault.sentence())))?;
        let limit = shard.server.max_body_bytes;
        if filled - start > limit {
            return Err(Stop::Refused(Refusal::RequestTooLarge { limit }));
        }
        let room = match progress {
            Progress::More => READ_LARGE_BYTES,
            Progress::Ended => 0,
        };
        if !caller.held.grow_to(filled - start + room) {
            return Err(Stop::Refused(Refusal::Overloaded));
        }
        if progress == Progress::Ended {
            caller.socket.deadline.clear();
            return Ok(Body {
                at: start..filled,
                end: filled,
            });
        }
        if filled - start > READ_LARGE_BYTES {
            caller.bytes_mut().reserve(READ_LARGE_BYTES);
        }
        pace.read(caller).await?;
    }
}

/// Tells a caller that waits for it to go on and send the body (RFC 9110, section 10.1.1).
async fn invite(shard: &Shard, caller: &mut Caller) -> Result<(), Stop> {
    if !caller.head.expects_continue {
        return Ok(());
    }
    caller
        .out
        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    caller.send_out(shard).await.map_err(|_| Stop::Gone)
}

/// How fast a body must arrive: never silent for `body_timeout`, and on average 1 KiB/s once ten
/// seconds have passed.
struct Pace {
    start: Instant,
    silence: Duration,
    arrived: u64,
}

impl Pace {
    fn new(shard: &Shard, start: Instant) -> Self {
        Self {
            start,
            silence: shard.server.body_timeout,
            arrived: 0,
        }
    }

    /// Reads more, by the deadline that what has arrived so far allows.
    async fn read(&mut self, caller: &mut Caller) -> Result<(), Stop> {
        let average = Duration::from_secs((self.arrived / 1_024).max(10));
        let deadline = (clock::now() + self.silence).min(self.start + average);
        caller.socket.deadline.set(deadline, Cut::Read);
        match caller.read_more().await {
            Ok(count) if count > 0 => {
                self.arrived += count as u64;
                Ok(())
            }
            Ok(_) | Err(_) if caller.socket.deadline.is_overdue() => {
                Err(Stop::Refused(Refusal::RequestTimeout))
            }
            Ok(_) | Err(_) => Err(Stop::Gone),
        }
    }
}

/// Spare room behind a body of known length: the caller's next request may already follow.
const READ_ROOM: usize = 1 << 10;
