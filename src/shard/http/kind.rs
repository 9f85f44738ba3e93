//! Which kind of answer has begun: by its label, and where that does not fit the request, by its
//! first bytes.

use crate::decide::outcome::{Failure, Outcome, Waiting};
use crate::exchange::media::{Looks, Media};
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::Piece;
use crate::wire::inflate::{Corrupt, Inflate};
use crate::wire::known::Known;

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events, which are relayed as they come.
    Stream,
    /// One body, which is read whole.
    Whole,
}

/// The kind of the answer whose head has been read, given whether the caller wants a stream; errors
/// are read whole.
///
/// # Errors
/// The answer has no kind that the caller can use, or ended before its kind was known.
pub async fn of(
    wants_stream: bool,
    caller: &mut Caller,
    up: &mut Upstream,
) -> Result<Kind, Outcome> {
    if !(200..=299).contains(&up.head.status) {
        return Ok(Kind::Whole);
    }
    if up.coding().is_none() {
        return Err(MALFORMED);
    }
    let label = Media::of(up.head.value_of(&up.bytes, Known::ContentType));
    match (label, wants_stream) {
        (Media::Events, true) => return Ok(Kind::Stream),
        (Media::Json, false) => return Ok(Kind::Whole),
        (Media::Foreign | Media::Form | Media::Parts, false) => return Err(MALFORMED),
        (Media::Events | Media::Unsaid, false)
        | (Media::Json | Media::Unsaid | Media::Foreign | Media::Form | Media::Parts, true) => {}
    }
    match (looks(caller, up).await?, label) {
        (Looks::Events, _) if wants_stream => Ok(Kind::Stream),
        (Looks::Json, Media::Json | Media::Unsaid | Media::Events) => Ok(Kind::Whole),
        (Looks::Events | Looks::Json | Looks::Other, _) => Err(MALFORMED),
    }
}

const MALFORMED: Outcome = Outcome::Failed(Failure::Malformed);

/// Reads until the body's beginning is there.
async fn looks(caller: &mut Caller, up: &mut Upstream) -> Result<Looks, Outcome> {
    loop {
        if let Some(looks) = begins(up) {
            return Ok(looks);
        }
        match up.read_more(caller).await {
            _ if caller.is_gone() => return Err(Outcome::CallerGone),
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) if up.socket.deadline.is_overdue() => {
                return Err(Outcome::TimedOut(Waiting::Body));
            }
            Ok(_) | Err(_) => return Err(Outcome::Failed(Failure::Cut)),
        }
    }
}

/// What the arrived beginning of the body looks like; `None`: too little of it has arrived.
fn begins(up: &Upstream) -> Option<Looks> {
    let (mut body, mut at) = (BodyDecoder::new(up.head.framing), up.head.len);
    let mut inflate = up.coding().and_then(Inflate::new);
    let mut start = Vec::new();
    loop {
        let Ok(piece) = body.next(&up.bytes, &mut at) else {
            return Some(Looks::Other);
        };
        match piece {
            Piece::Payload(range) => {
                let payload = &up.bytes[range];
                match &mut inflate {
                    None => start.extend_from_slice(payload.get(..LOOK_BYTES).unwrap_or(payload)),
                    Some(inflate) => {
                        if decode(inflate, payload, &mut start).is_err() {
                            return Some(Looks::Other);
                        }
                    }
                }
                if start.len() >= LOOK_BYTES {
                    return Some(Looks::of(&start).unwrap_or(Looks::Other));
                }
            }
            Piece::More => return Looks::of(&start),
            Piece::End(_) => return Some(Looks::of(&start).unwrap_or(Looks::Other)),
        }
    }
}

/// Decodes as much of `payload` as is looked at.
fn decode(inflate: &mut Inflate, mut payload: &[u8], start: &mut Vec<u8>) -> Result<(), Corrupt> {
    while !payload.is_empty() && start.len() < LOOK_BYTES {
        let taken = inflate.step(payload, start)?;
        payload = payload.split_at(taken).1;
    }
    inflate.flush(start)
}

/// How many bytes of a body's beginning are looked at: only white space may come before its
/// content.
const LOOK_BYTES: usize = 1 << 10;
