//! Reads an answer that is not streamed, as a whole and within bounds.

use crate::base::limits::{ANSWER_BODY_BYTES_MAX, ERROR_BODY_BYTES_MAX, UPSTREAM_READ_BYTES};
use crate::decide::outcome::{Failure, Outcome, Waiting};
use crate::shard::http::inflate::{Fault, decode};
use crate::shard::http::upstream::{Upstream, Waiter};
use crate::shard::net::buffers::Coming;
use crate::shard::net::io::Io;
use crate::wire::chunked::{Chunked, Progress};
use crate::wire::head::Framing;
use crate::wire::inflate::Inflate;
use crate::wire::known::Known;

/// Why an answer was not read.
pub enum Stop {
    /// The attempt has this outcome.
    Outcome(Outcome),
    /// infermux holds as many bytes as it may.
    Overloaded,
}

/// Most bytes that the answer to a caller's request may have, by its status.
#[must_use]
pub fn limit(status: u16) -> usize {
    if (200..=299).contains(&status) {
        ANSWER_BODY_BYTES_MAX
    } else {
        ERROR_BODY_BYTES_MAX
    }
}

/// Whether the answer whose head has been read is there as a whole, has at most `limit` bytes, and
/// is not coded, as most are: then [`read`] has nothing to do.
#[must_use]
pub fn has_arrived(up: &mut Upstream, limit: usize) -> bool {
    let length = match up.head.framing {
        Framing::Length(length) => usize::try_from(length).ok(),
        Framing::None | Framing::Chunked | Framing::Close => None,
    };
    let length = length.filter(|length| *length <= limit);
    let end = length.and_then(|length| up.head.len.checked_add(length));
    let is_coded = up.head.names.has(Known::ContentEncoding);
    match end.filter(|end| *end <= up.bytes.len() && !is_coded) {
        Some(end) => {
            up.end = end;
            true
        }
        None => false,
    }
}

/// Reads the rest of the answer whose head has been read, of `limit` bytes at most, and decodes it.
///
/// # Errors
/// The answer was not read.
pub async fn read(
    io: &Io,
    waiter: &mut impl Waiter,
    up: &mut Upstream,
    limit: usize,
) -> Result<(), Stop> {
    read_coded(io, waiter, up, limit).await?;
    decoded(io, up, limit).await
}

async fn read_coded(
    io: &Io,
    waiter: &mut impl Waiter,
    up: &mut Upstream,
    limit: usize,
) -> Result<(), Stop> {
    let start = up.head.len;
    up.end = start;
    match up.head.framing {
        Framing::None => {}
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let end = start.saturating_add(length);
            up.end = end.min(up.bytes.len());
            if length > limit {
                return Err(MALFORMED);
            }
            // An answer that cannot be held now is not read at all; any other is counted as it
            // arrives.
            if !io.lease.has_room(end.saturating_sub(up.bytes.len())) {
                return Err(Stop::Overloaded);
            }
            while up.bytes.len() < end {
                make_room(io, up, end - up.bytes.len())?;
                read_on(waiter, up).await?;
                up.end = end.min(up.bytes.len());
            }
        }
        Framing::Chunked => {
            let (mut decoder, mut filled) = (Chunked::default(), start);
            loop {
                let progress = decoder.compact(&mut up.bytes, &mut filled);
                up.end = filled;
                match progress.map_err(|_| MALFORMED)? {
                    Progress::Ended => break,
                    Progress::More => {
                        make_unknown_room(io, up, limit)?;
                        read_on(waiter, up).await?;
                    }
                }
            }
        }
        Framing::Close => loop {
            up.end = up.bytes.len();
            make_unknown_room(io, up, limit)?;
            if !read_to_end(waiter, up).await? {
                break;
            }
        },
    }
    Ok(())
}

/// Decodes the answer that has been read whole, in place; `held` counts the result, too.
async fn decoded(io: &Io, up: &mut Upstream, limit: usize) -> Result<(), Stop> {
    // The status alone may decide about an error.
    let Some(inflate) = up.coding().and_then(Inflate::new) else {
        return Ok(());
    };
    let mut held = io.lease.hold();
    let mut bytes = up.bytes.get(..up.head.len).unwrap_or_default().to_vec();
    match decode(inflate, up.body(), &mut bytes, (limit, &mut held)).await {
        Ok(()) => {}
        Err(Fault::Corrupt | Fault::TooLarge) => {
            return Err(Stop::Outcome(Outcome::Failed(Failure::Malformed)));
        }
        Err(Fault::NoMemory) => return Err(Stop::Overloaded),
    }
    let end = bytes.len();
    // Bytes behind the body keep the connection from being used again, so they are kept.
    bytes.extend_from_slice(up.bytes.get(up.end..).unwrap_or_default());
    (up.bytes, up.end) = (bytes, end);
    up.held = held;
    Ok(())
}

async fn read_on(waiter: &mut impl Waiter, up: &mut Upstream) -> Result<(), Stop> {
    match waiter.read(up).await {
        Ok(count) if count > 0 && !waiter.is_gone() => Ok(()),
        Ok(_) | Err(_) => Err(Stop::Outcome(cut(waiter, up))),
    }
}

/// Reads on in a body that ends with the connection; returns whether there was more.
async fn read_to_end(waiter: &mut impl Waiter, up: &mut Upstream) -> Result<bool, Stop> {
    match waiter.read(up).await {
        _ if waiter.is_gone() || up.socket.deadline.is_overdue() => {
            Err(Stop::Outcome(cut(waiter, up)))
        }
        Ok(count) => Ok(count > 0),
        Err(_) => Err(Stop::Outcome(cut(waiter, up))),
    }
}

/// Makes room for the next read of an answer, of which `missing` bytes are to come.
fn make_room(io: &Io, up: &mut Upstream, missing: usize) -> Result<(), Stop> {
    let coming = Coming {
        start: up.head.len,
        missing,
    };
    if io.buffers.make_room(&mut up.bytes, &mut up.held, coming) {
        Ok(())
    } else {
        Err(Stop::Overloaded)
    }
}

/// As [`make_room`], for a body of unknown length: a few times as much may come as there is
/// already.
fn make_unknown_room(io: &Io, up: &mut Upstream, limit: usize) -> Result<(), Stop> {
    let arrived = up.bytes.len() - up.head.len;
    if arrived > limit {
        return Err(MALFORMED);
    }
    make_room(io, up, (8 * arrived).max(UPSTREAM_READ_BYTES))
}

fn cut(waiter: &impl Waiter, up: &Upstream) -> Outcome {
    if waiter.is_gone() {
        Outcome::CallerGone
    } else if up.socket.deadline.is_overdue() {
        Outcome::TimedOut(Waiting::Body)
    } else {
        Outcome::Failed(Failure::Cut)
    }
}

/// The provider's bytes are no answer.
const MALFORMED: Stop = Stop::Outcome(Outcome::Failed(Failure::Malformed));
