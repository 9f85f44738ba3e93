//! What infermux asks providers for itself: one GET on a connection of its own.

use crate::base::ids::ProviderId;
use crate::base::limits::{INFORMATIONAL_MAX, LIST_BYTES_MAX, READ_LARGE_BYTES};
use crate::base::time::Instant;
use crate::decide::outcome::Outcome;
use crate::link::buffered::Held;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::connect;
use crate::shard::state::shard::Shard;
use crate::wire::body::Body;
use crate::wire::chunked::Piece;
use crate::wire::head::{Arrival, Asked, Head};

/// An answer whose head has arrived.
pub struct Answer {
    /// Its status.
    pub status: u16,
    up: Upstream,
    body: Body,
    /// What has arrived of the body.
    bytes: Vec<u8>,
}

/// Asks the provider `id` for `target`.
///
/// # Errors
///
/// There is no answer before `deadline`: why.
pub async fn get(
    shard: &Shard,
    id: ProviderId,
    target: &str,
    deadline: Instant,
) -> Result<Answer, String> {
    let connected = connect::connect(shard, id, deadline).await;
    let mut up =
        connected.map_err(|fault| format!("the provider {}", Outcome::ConnectFailed(fault)))?;
    up.socket.deadline.set(deadline, Cut::Both);
    let mut out = Vec::new();
    let provider = shard.plan.provider(id);
    shard.era.prefixes(id).write_own(provider, target, &mut out);
    let sent = up.socket.writer.write(Part::own(out)).await.0;
    let (mut head, mut bytes, mut informed) = (Head::default(), Vec::new(), 0);
    loop {
        match head.parse_answer(&bytes, 0, Asked::Other) {
            Ok(Arrival::Whole) if head.status >= 200 => {
                bytes.drain(..head.len);
                let (status, body) = (head.status, Body::new(head.framing));
                return Ok(Answer {
                    status,
                    up,
                    body,
                    bytes,
                });
            }
            // What it announces may be there already.
            Ok(Arrival::Whole) if informed < INFORMATIONAL_MAX => {
                informed += 1;
                bytes.drain(..head.len);
                continue;
            }
            Ok(Arrival::Partial) => {}
            Ok(Arrival::Whole) | Err(_) => return Err("the answer is malformed".into()),
        }
        let (result, arrived) = up.socket.reader.collect().await;
        bytes.extend_from_slice(&arrived);
        match (result, &sent) {
            (Ok(count), _) if count > 0 => up.post_read(),
            _ if up.socket.deadline.is_overdue() => return Err("no answer in time".into()),
            (Err(fault), _) => return Err(fault.to_string()),
            (_, Err(fault)) => return Err(fault.to_string()),
            (Ok(_), Ok(())) => return Err("the connection was closed without an answer".into()),
        }
    }
}

impl Answer {
    /// Reads the body to its end; `held` counts what is in memory, with `before` bytes besides.
    ///
    /// # Errors
    ///
    /// It does not arrive whole before the deadline, or has more bytes than may be held: why.
    pub async fn read(mut self, before: usize, held: &mut Held) -> Result<Vec<u8>, String> {
        let (mut whole, mut at) = (Vec::new(), 0);
        loop {
            match self.body.next(&self.bytes, &mut at) {
                Ok(Piece::Payload(range)) => {
                    whole.extend_from_slice(&self.bytes[range]);
                    if before + whole.len() > LIST_BYTES_MAX {
                        return Err(format!("it has more than {LIST_BYTES_MAX} bytes"));
                    }
                    if !held.grow_to(before + whole.len()) {
                        return Err("infermux holds as many bytes as it may".into());
                    }
                    continue;
                }
                Ok(Piece::End(_)) => return Ok(whole),
                Ok(Piece::More) => {}
                Err(_) => return Err("its framing is malformed".into()),
            }
            let (result, arrived) = self.up.socket.reader.collect().await;
            // The next read goes where this one came from.
            let mut room = std::mem::replace(&mut self.bytes, arrived);
            room.clear();
            room.reserve(READ_LARGE_BYTES);
            (self.up.bytes, at) = (room, 0);
            match result {
                Ok(count) if count > 0 => self.up.post_read(),
                Ok(_) if self.body.may_end() && !self.up.socket.deadline.is_overdue() => {
                    return Ok(whole);
                }
                Ok(_) | Err(_) => return Err("it did not arrive whole in time".into()),
            }
        }
    }
}
