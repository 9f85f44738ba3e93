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
use crate::wire::known::Known;

/// How a head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It has been parsed.
    Read,
    /// It cannot be read: there is no id or attribution to take from it.
    Unreadable,
}

/// Begins the request whose head the caller has sent.
#[must_use]
pub fn begin(shard: &Shard, caller: &Caller, arrived: Arrived) -> Request {
    let (head, bytes, address) = (&caller.head, &**caller.bytes, caller.address);
    let mut random = shard.random.borrow_mut();
    let numbers = [random.next_u64(), random.next_u64()];
    let mut request = match arrived {
        Arrived::Read => Request::read(head, bytes, numbers, clock::now()),
        Arrived::Unreadable => Request::unreadable(bytes, numbers, clock::now()),
    };
    if shard.door == Door::Operators {
        request.audience = Audience::Operators;
    }
    let is_callers = request.audience == Audience::Callers;
    if let (Some(otlp), Arrived::Read, true) = (&shard.plan.otlp, arrived, is_callers) {
        let parents = head.values_of(bytes, Known::Traceparent);
        let states = head.values_of(bytes, Known::Tracestate);
        let trace = trace::begin(parents, states, otlp, &mut random);
        request.trace = Some(Arc::new(trace));
    }
    if let (Some(cors), true) = (&shard.era.cors, is_callers) {
        request.grant = match arrived {
            Arrived::Read => Some(cors.grant(head, bytes)),
            Arrived::Unreadable => cors.grant_unread(bytes),
        };
    }
    match arrived {
        Arrived::Unreadable => request.origin = Origin::of_address(address),
        Arrived::Read if shard.lines.is_some() || shard.era.recorders.is_some() => {
            request.origin = Origin::read(address, head, bytes);
        }
        Arrived::Read => {}
    }
    request
}
