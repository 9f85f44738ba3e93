//! Prepares the body of a request for reading: decodes it where it is coded, and puts a model into
//! it.

use std::ops::Range;
use std::rc::Rc;

use crate::base::limits::AT_ONCE_BYTES_MAX;
use crate::dialect::ask::{self, Arriving, AskFault};
use crate::exchange::refusal::Refusal;
use crate::shard::http::body::{Body, Judged, Label};
use crate::shard::http::caller::Caller;
use crate::shard::http::inflate::{Fault, decode};
use crate::shard::net::io::Io;
use crate::shard::net::sleep::pause;
use crate::wire::inflate::Inflate;

/// Decodes the body of the caller's request where it is coded, and puts `model`, which the path
/// names, into a body that names none. The result replaces the body, and has `limit` bytes at most.
///
/// # Errors
/// The body cannot be decoded, or becomes larger than may be held.
pub async fn request(
    io: &Io,
    limit: usize,
    caller: &mut Caller,
    body: Body,
    model: Option<&str>,
) -> Result<Body, Refusal<'static>> {
    let body = plain(io, limit, caller, body).await?;
    match model {
        Some(model) if lacks_model(caller, &body) => name(io, caller, &body, model).await,
        Some(_) | None => Ok(body),
    }
}

fn lacks_model(caller: &Caller, body: &Body) -> bool {
    let bytes = &caller.bytes[body.at.clone()];
    let fault = match (&body.arriving, body.label.judged) {
        (Some(arriving), _) => arriving.finish(bytes).and_then(Result::err),
        (None, Judged::AsItArrives(dialect)) => ask::read_ask(dialect, bytes).err(),
        (None, Judged::OnTheWay | Judged::Never) => None,
    };
    fault == Some(AskFault::NoModel)
}

/// Puts a model into a body that names none.
async fn name(
    io: &Io,
    caller: &mut Caller,
    body: &Body,
    model: &str,
) -> Result<Body, Refusal<'static>> {
    let (start, end) = (body.at.start, body.at.end);
    let bytes = Rc::clone(&caller.bytes);
    let mut message = bytes[..start].to_vec();
    ask::write_named(&bytes[start..end], model, &mut message);
    let at = start..message.len();
    message.extend_from_slice(&bytes[end..]);
    let mut held = io.lease.hold();
    if !held.grow_to(message.capacity()) {
        return Err(Refusal::Overloaded);
    }
    caller.replace(message, at.end, held);
    Ok(read_in_pieces(caller, at, body.label).await)
}

/// The decoded body.
async fn plain(
    io: &Io,
    limit: usize,
    caller: &mut Caller,
    body: Body,
) -> Result<Body, Refusal<'static>> {
    let Some(inflate) = Inflate::new(body.label.coding) else {
        return Ok(body);
    };
    let (start, end) = (body.at.start, body.at.end);
    let bytes = Rc::clone(&caller.bytes);
    let mut held = io.lease.hold();
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
            Ok(read_in_pieces(caller, at, body.label).await)
        }
        Err(Fault::Corrupt) => Err(Refusal::InvalidRequest(
            "the body is not what its Content-Encoding says",
        )),
        Err(Fault::TooLarge) => Err(Refusal::RequestTooLarge { limit }),
        Err(Fault::NoMemory) => Err(Refusal::Overloaded),
    }
}

/// The body that stands `at` this place; a large one is read as if it arrived now.
async fn read_in_pieces(caller: &Caller, at: Range<usize>, label: Label) -> Body {
    let mut read = Body {
        at,
        label,
        arriving: None,
    };
    let body = &caller.bytes[read.at.clone()];
    let Judged::AsItArrives(dialect) = label.judged else {
        return read;
    };
    if body.len() <= AT_ONCE_BYTES_MAX {
        return read;
    }
    let mut arriving = Box::new(Arriving::new(dialect));
    let ends = (AT_ONCE_BYTES_MAX..body.len()).step_by(AT_ONCE_BYTES_MAX);
    for end in ends.chain([body.len()]) {
        arriving.take_in(&body[..end]);
        pause().await;
    }
    read.arriving = Some(arriving);
    read
}
