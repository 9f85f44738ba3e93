//! Successful answers that infermux gives itself.

use crate::exchange::inbound;
use crate::exchange::refusal::Body;
use crate::exchange::request::Request;
use crate::shard::caller::Caller;
use crate::shard::drive::{self, After};
use crate::shard::run::Shard;
use crate::shard::settle::Record;
use crate::sys::clock;

/// Answers with `body`, a JSON text.
pub async fn answer(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    record: &mut Record<'_>,
    (status, body): (u16, &[u8]),
) -> After {
    record.status = Some(status);
    record.first_byte = Some(clock::now());
    let out = &mut caller.out;
    out.clear();
    inbound::write_status(status, out);
    out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
    out.extend_from_slice(b"\r\nX-Request-Id: ");
    out.extend_from_slice(request.id.as_str().as_bytes());
    out.extend_from_slice(b"\r\n");
    request.write_connection(shard.connection(request.connection), out);
    out.extend_from_slice(b"\r\n");
    match request.body {
        Body::Sent => out.extend_from_slice(body),
        Body::LengthOnly => {}
    }
    match caller.send_out(shard).await {
        Ok(()) => drive::after(shard, request.connection),
        Err(_) => {
            record.leave();
            After::Close
        }
    }
}
