//! Decodes compressed bodies, in steps between which the loop does other things. What comes out
//! counts against the process's bound as it grows.

use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::Poll;

use crate::base::limits::ANSWER_BODY_BYTES_MAX;
use crate::decide::outcome::{Failure, Outcome};
use crate::exchange::refusal::Refusal;
use crate::link::buffered::Held;
use crate::shard::caller::Caller;
use crate::shard::run::Shard;
use crate::shard::upstream::Upstream;
use crate::shard::whole::Stop;
use crate::wire::inflate::{Coding, Inflate};

/// A request whose body is plain.
pub struct Decoded {
    /// Its head as it was, and the body behind it.
    pub message: Rc<Vec<u8>>,
    /// Where the body stands.
    pub body: Range<usize>,
    /// What was decoded, as it counts against the process's bound.
    _held: Option<Held>,
}

/// Decodes the body of the caller's request, which stands at `body`, where it is coded.
///
/// # Errors
/// It cannot be decoded, or comes to more than may be held.
pub async fn request(
    shard: &Shard,
    caller: &Caller,
    body: Range<usize>,
) -> Result<Decoded, Refusal<'static>> {
    let coding = Coding::of(caller.head.value(&caller.bytes, "content-encoding"));
    let Some(inflate) = coding.and_then(Inflate::new) else {
        return Ok(Decoded {
            message: Rc::clone(&caller.bytes),
            body,
            _held: None,
        });
    };
    let bytes = Rc::clone(&caller.bytes);
    let limit = shard.server.max_body_bytes;
    let mut held = shard.lease.hold();
    let mut message = bytes[..caller.head.len].to_vec();
    let decoded = decode(inflate, &bytes[body], &mut message, (limit, &mut held)).await;
    match decoded {
        Ok(()) => Ok(Decoded {
            body: caller.head.len..message.len(),
            message: Rc::new(message),
            _held: Some(held),
        }),
        Err(Fault::Corrupt) => Err(Refusal::InvalidRequest(
            "the body is not what its Content-Encoding says",
        )),
        Err(Fault::TooLarge) => Err(Refusal::RequestTooLarge { limit }),
        Err(Fault::NoMemory) => Err(Refusal::Overloaded),
    }
}

/// Decodes the answer that has been read whole, in its place; what it takes is held as long as the
/// value that is returned.
///
/// # Errors
/// It cannot be decoded, or comes to more than may be held.
pub async fn answer(shard: &Shard, up: &mut Upstream) -> Result<Option<Held>, Stop> {
    // An error may be told by its status alone.
    let Some(inflate) = up.coding().and_then(Inflate::new) else {
        return Ok(None);
    };
    let mut held = shard.lease.hold();
    let mut bytes = up.bytes.get(..up.head.len).unwrap_or_default().to_vec();
    let limit = ANSWER_BODY_BYTES_MAX;
    match decode(inflate, up.body(), &mut bytes, (limit, &mut held)).await {
        Ok(()) => {}
        Err(Fault::Corrupt | Fault::TooLarge) => {
            return Err(Stop::Outcome(Outcome::Failed(Failure::Malformed)));
        }
        Err(Fault::NoMemory) => return Err(Stop::Overloaded),
    }
    let end = bytes.len();
    // What follows the body keeps the connection from being used again, as before.
    bytes.extend_from_slice(up.bytes.get(up.end..).unwrap_or_default());
    (up.bytes, up.end) = (bytes, end);
    Ok(Some(held))
}

/// Why a body is not decoded.
enum Fault {
    Corrupt,
    TooLarge,
    NoMemory,
}

/// Appends what `input` says to `out`, which may grow by the limit.
async fn decode(
    mut inflate: Inflate,
    input: &[u8],
    out: &mut Vec<u8>,
    (limit, held): (usize, &mut Held),
) -> Result<(), Fault> {
    let start = out.len();
    let (mut at, mut paused) = (0, start);
    while at < input.len() {
        let rest = input.get(at..).unwrap_or_default();
        at += inflate.step(rest, out).map_err(|_| Fault::Corrupt)?;
        if out.len() - start > limit {
            return Err(Fault::TooLarge);
        }
        if !held.grow_to(out.capacity()) {
            return Err(Fault::NoMemory);
        }
        if out.len() - paused > UNPAUSED_BYTES {
            paused = out.len();
            pause().await;
        }
    }
    inflate.finish(out).map_err(|_| Fault::Corrupt)?;
    if out.len() - start > limit {
        return Err(Fault::TooLarge);
    }
    Ok(())
}

/// Lets the loop do what else there is.
async fn pause() {
    let mut is_over = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What is decoded between two pauses, in bytes: a few hundred microseconds' work.
const UNPAUSED_BYTES: usize = 128 << 10;
