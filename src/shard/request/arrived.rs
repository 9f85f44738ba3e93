//! The request whose head has arrived: what the head says, and what depends on the connection and
//! on the shard.

use std::sync::Arc;

use crate::exchange::door::Door;
use crate::exchange::origin::Origin;
use crate::exchange::request::Request;
use crate::exchange::trace;
use crate::link::gate::Audience;
use crate::shard::http::caller::Caller;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// The request whose head the caller has sent.
#[must_use]
pub fn request(shard: &Shard, caller: &Caller) -> Request {
    let (head, bytes) = (&caller.head, &caller.bytes);
    let mut request = Request::read(head, bytes, random(shard), clock::now());
    if shard.lines.is_some() || shard.era.recorders.is_some() {
        request.origin = Origin::read(caller.address, head, bytes);
    }
    if shard.door == Door::Operators {
        request.audience = Audience::Operators;
    }
    if let (Some(cors), Audience::Callers) = (&shard.era.cors, request.audience) {
        request.grant = Some(cors.grant(head, bytes));
    }
    if let (Some(otlp), Audience::Callers) = (&shard.plan.otlp, request.audience) {
        let mut random = shard.random.borrow_mut();
        request.trace = Some(Arc::new(trace::begin(head, bytes, otlp, &mut random)));
    }
    request
}

/// A request whose head cannot be read: there is no id or attribution to take from it.
#[must_use]
pub fn unreadable(shard: &Shard, caller: &Caller) -> Request {
    let mut request = Request::unreadable(&caller.bytes, random(shard), clock::now());
    request.origin = Origin::of_address(caller.address);
    if shard.door == Door::Operators {
        request.audience = Audience::Operators;
    }
    if let (Some(cors), Door::Both | Door::Callers) = (&shard.era.cors, shard.door) {
        request.grant = cors.grant_unread(&caller.bytes);
    }
    request
}

fn random(shard: &Shard) -> [u64; 2] {
    let mut random = shard.random.borrow_mut();
    [random.next_u64(), random.next_u64()]
}
