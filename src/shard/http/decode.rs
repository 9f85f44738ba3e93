//! Decodes compressed bodies, in steps between which the loop does other things. What comes out
//! counts against the process's bound as it grows.

use std::rc::Rc;

use crate::base::limits::{ANSWER_BODY_BYTES_MAX, AT_ONCE_BYTES_MAX};
use crate::decide::outcome::{Failure, Outcome};
use crate::exchange::refusal::Refusal;
use crate::link::buffered::Held;
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::help::pause;
use crate::shard::http::receive::Stop;
use crate::shard::http::upstream::Upstream;
use crate::shard::run::Shard;
use crate::wire::inflate::{Coding, Inflate};
use crate::wire::openai::{self, Arriving, AskFault};

/// Decodes the body of the caller's request where it is coded, and puts `model`, which the path
/// names, into one that names none: what comes out takes its place.
///
/// # Errors
/// It cannot be decoded, or comes to more than may be held.
pub async fn request(
    shard: &Shard,
    caller: &mut Caller,
    body: Body,
    model: Option<&str>,
) -> Result<Body, Refusal<'static>> {
    let body = plain(shard, caller, body).await?;
    match model {
        Some(model) if lacks_model(caller, &body) => name(shard, caller, &body, model).await,
        Some(_) | None => Ok(body),
    }
}

fn lacks_model(caller: &Caller, body: &Body) -> bool {
    let bytes = &caller.bytes[body.at.clone()];
    let fault = match &body.arriving {
        Some(arriving) => arriving.finish(bytes).and_then(Result::err),
        None => openai::read_ask(bytes).err(),
    };
    fault == Some(AskFault::NoModel)
}

/// Puts a model into a body that names none.
async fn name(
    shard: &Shard,
    caller: &mut Caller,
    body: &Body,
    model: &str,
) -> Result<Body, Refusal<'static>> {
    let (start, end) = (body.at.start, body.at.end);
    let bytes = Rc::clone(&caller.bytes);
    let mut message = bytes[..start].to_vec();
    openai::write_named(&bytes[start..end], model, &mut message);
    let at = start..message.len();
    message.extend_from_slice(&bytes[end..]);
    let mut held = shard.lease.hold();
    if !held.grow_to(message.capacity()) {
        return Err(Refusal::Overloaded);
    }
    caller.replace(message, at.end, held);
    let arriving = read_in_pieces(&caller.bytes[at.clone()]).await;
    Ok(Body { at, arriving })
}

/// The body decoded.
async fn plain(shard: &Shard, caller: &mut Caller, body: Body) -> Result<Body, Refusal<'static>> {
    let coding = Coding::of(caller.head.value(&caller.bytes, "content-encoding"));
    let Some(inflate) = coding.and_then(Inflate::new) else {
        return Ok(body);
    };
    let (start, end) = (body.at.start, body.at.end);
    let bytes = Rc::clone(&caller.bytes);
    let limit = shard.server.max_body_bytes;
    let mut held = shard.lease.hold();
    let mut message = bytes[..start].to_vec();
    let decoded = decode(
        inflate,
        &bytes[start..end],
        &mut message,
        (limit, &mut held),
    )
    .await;
    match decoded {
        Ok(()) => {
            let at = start..message.len();
            message.extend_from_slice(&bytes[end..]);
            caller.replace(message, at.end, held);
            let arriving = read_in_pieces(&caller.bytes[at.clone()]).await;
            Ok(Body { at, arriving })
        }
        Err(Fault::Corrupt) => Err(Refusal::InvalidRequest(
            "the body is not what its Content-Encoding says",
        )),
        Err(Fault::TooLarge) => Err(Refusal::RequestTooLarge { limit }),
        Err(Fault::NoMemory) => Err(Refusal::Overloaded),
    }
}

/// Reads a large body as if it arrived now.
async fn read_in_pieces(body: &[u8]) -> Option<Box<Arriving>> {
    if body.len() <= AT_ONCE_BYTES_MAX {
        return None;
    }
    let mut arriving = Box::<Arriving>::default();
    let ends = (AT_ONCE_BYTES_MAX..body.len()).step_by(AT_ONCE_BYTES_MAX);
    for end in ends.chain([body.len()]) {
        arriving.take_in(&body[..end]);
        pause().await;
    }
    Some(arriving)
}

/// Decodes the answer that has been read whole, in its place; what it takes is held with it.
///
/// # Errors
/// It cannot be decoded, or comes to more than may be held.
pub async fn answer(shard: &Shard, up: &mut Upstream) -> Result<(), Stop> {
    // An error may be told by its status alone.
    let Some(inflate) = up.coding().and_then(Inflate::new) else {
        return Ok(());
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
    up.held = held;
    Ok(())
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

/// What is decoded between two pauses, in bytes: a few hundred microseconds' work.
const UNPAUSED_BYTES: usize = 128 << 10;
