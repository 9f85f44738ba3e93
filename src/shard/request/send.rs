//! Sends requests to providers, without a copy of what is large.

use std::io;
use std::rc::Rc;

use crate::base::limits::ONE_SEND_BYTES_MAX;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::wire::splice::Splice;

/// Sends head and body: in one piece while that is not large, else without a copy of the body.
pub(super) async fn send(
    source: &Rc<Vec<u8>>,
    caller: &mut Caller,
    up: &mut Upstream,
    mut out: Vec<u8>,
    splice: &Splice<'_>,
) -> io::Result<()> {
    if splice.len() <= ONE_SEND_BYTES_MAX {
        splice.write(&mut out);
        return send_part(caller, up, Part::own(out)).await;
    }
    for piece in splice.pieces() {
        let range = source.as_ptr_range();
        let inside = range.contains(&piece.as_ptr()) && piece.len() > SMALL_PIECE;
        if !inside {
            out.extend_from_slice(piece);
            continue;
        }
        if !out.is_empty() {
            send_part(caller, up, Part::own(out)).await?;
            out = std::mem::take(&mut caller.out);
        }
        let from = piece.as_ptr() as usize - source.as_ptr() as usize;
        let part = Part::shared(Rc::clone(source), from..from + piece.len());
        send_part(caller, up, part).await?;
    }
    if out.is_empty() {
        caller.out = out;
        return Ok(());
    }
    send_part(caller, up, Part::own(out)).await
}

/// Sends one part; an own buffer goes back to the caller's connection, empty.
pub(super) async fn send_part(
    caller: &mut Caller,
    up: &mut Upstream,
    part: Part,
) -> io::Result<()> {
    let (deadline, sending) = up.send(part);
    let (result, part) = caller.watch(deadline, sending).await;
    let mut buffer = part.into_vec();
    if buffer.capacity() > 0 {
        buffer.clear();
        caller.out = buffer;
    }
    result
}

/// Pieces up to this size are copied: a send costs more than the copy.
const SMALL_PIECE: usize = 4 << 10;
