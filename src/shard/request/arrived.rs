//! The request whose head has arrived: what depends on its connection and on the shard.

use std::sync::Arc;

use crate::exchange::door::Door;
use crate::exchange::origin::Origin;
use crate::exchange::request::Request;
use crate::exchange::trace;
use crate::link::gate::Audience;
use crate::shard::http::caller::Caller;
use crate::shard::state::shard::Shard;
use crate::wire::known::Known;

/// How a head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It has been parsed.
    Read,
    /// It cannot be read: there is no id or attribution to take from it.
    Unreadable,
}

/// Adds to a request what its head does not say, or says only to those who ask: where it comes
/// from, its trace, and the lines for browsers.
pub fn complete(shard: &Shard, caller: &Caller, arrived: Arrived, request: &mut Request) {
    let (head, bytes) = (&caller.head, &**caller.bytes);
    if shard.door == Door::Operators {
        request.audience = Audience::Operators;
    }
    let is_callers = request.audience == Audience::Callers;
    if let (Some(otlp), Arrived::Read, true) = (&shard.plan.otlp, arrived, is_callers) {
        let parents = head.values_of(bytes, Known::Traceparent);
        let states = head.values_of(bytes, Known::Tracestate);
        let mut random = shard.random.borrow_mut();
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
        Arrived::Unreadable => request.origin = Origin::of_address(caller.address),
        Arrived::Read if shard.lines.is_some() || shard.era.recorders.is_some() => {
            request.origin = Origin::read(caller.address, head, bytes);
        }
        Arrived::Read => {}
    }
}
