//! Reads an answer that is not streamed, as a whole and within bounds.

use crate::base::limits::{ANSWER_BODY_BYTES_MAX, ERROR_BODY_BYTES_MAX, UPSTREAM_READ_BYTES};
use crate::decide::outcome::{Failure, Outcome, Waiting};
use crate::shard::http::caller::Caller;
use crate::shard::http::decode;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::buffers::Coming;
use crate::shard::run::{Loop, Shard};
use crate::wire::chunked::{Chunked, Progress};
use crate::wire::head::Framing;

/// Why an answer was not read.
pub enum Stop {
    /// It is the provider's, or the caller's, doing.
    Outcome(Outcome),
    /// infermux holds as many bytes as it may.
    Overloaded,
}

/// Reads the rest of the answer whose head has been read, and decodes it.
///
/// # Errors
/// It was not read.
pub async fn read(shard: &Shard, caller: &mut Caller, up: &mut Upstream) -> Result<(), Stop> {
    read_coded(shard, caller, up).await?;
    decode::answer(shard, up).await
}

async fn read_coded(shard: &Loop, caller: &mut Caller, up: &mut Upstream) -> Result<(), Stop> {
    let start = up.head.len;
    let limit = if (200..=299).contains(&up.head.status) {
        ANSWER_BODY_BYTES_MAX
    } else {
        ERROR_BODY_BYTES_MAX
    };
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
            // What cannot be held now is not read at all; what can is held as it comes.
            if !shard.lease.has_room(end.saturating_sub(up.bytes.len())) {
                return Err(Stop::Overloaded);
            }
            while up.bytes.len() < end {
                make_room(shard, up, end - up.bytes.len())?;
                read_on(caller, up).await?;
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
                        make_unknown_room(shard, up, limit)?;
                        read_on(caller, up).await?;
                    }
                }
            }
        }
        Framing::Close => loop {
            up.end = up.bytes.len();
            make_unknown_room(shard, up, limit)?;
            if !read_to_end(caller, up).await? {
                break;
            }
        },
    }
    Ok(())
}

async fn read_on(caller: &mut Caller, up: &mut Upstream) -> Result<(), Stop> {
    match up.read_more(caller).await {
        Ok(count) if count > 0 && !caller.is_gone() => Ok(()),
        Ok(_) | Err(_) => Err(Stop::Outcome(cut(caller, up))),
    }
}

/// Reads on into a body that ends with the connection; whether there was more.
async fn read_to_end(caller: &mut Caller, up: &mut Upstream) -> Result<bool, Stop> {
    match up.read_more(caller).await {
        _ if caller.is_gone() || up.socket.deadline.is_overdue() => {
            Err(Stop::Outcome(cut(caller, up)))
        }
        Ok(count) => Ok(count > 0),
        Err(_) => Err(Stop::Outcome(cut(caller, up))),
    }
}

/// Makes room for the next read of an answer, of which `missing` bytes are to come.
fn make_room(shard: &Loop, up: &mut Upstream, missing: usize) -> Result<(), Stop> {
    let coming = Coming {
        start: up.head.len,
        missing,
    };
    if shard.buffers.make_room(&mut up.bytes, &mut up.held, coming) {
        Ok(())
    } else {
        Err(Stop::Overloaded)
    }
}

/// The same for one whose length is unknown: a few times as much may come as there is already.
fn make_unknown_room(shard: &Loop, up: &mut Upstream, limit: usize) -> Result<(), Stop> {
    let arrived = up.bytes.len() - up.head.len;
    if arrived > limit {
        return Err(MALFORMED);
    }
    make_room(shard, up, (8 * arrived).max(UPSTREAM_READ_BYTES))
}

fn cut(caller: &Caller, up: &Upstream) -> Outcome {
    if caller.is_gone() {
        Outcome::CallerGone
    } else if up.socket.deadline.is_overdue() {
        Outcome::TimedOut(Waiting::Body)
    } else {
        Outcome::Failed(Failure::Cut)
    }
}

/// The provider's bytes are no answer.
const MALFORMED: Stop = Stop::Outcome(Outcome::Failed(Failure::Malformed));
