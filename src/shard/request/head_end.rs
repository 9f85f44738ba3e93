//! How the heads of all answers end.

use crate::exchange::inbound::HeadEnd;
use crate::exchange::refusal::Connection;
use crate::exchange::request::Request;
use crate::shard::state::shard::Shard;

/// The end of the head of an answer, given what its caller wants of the connection.
#[must_use]
pub fn head_end<'s>(shard: &'s Shard, request: &Request, wanted: Connection) -> HeadEnd<'s> {
    let cors = shard.era.cors.as_ref().zip(request.grant);
    let cors = cors.map_or(&b""[..], |(cors, grant)| cors.lines(grant));
    HeadEnd::new(request.version, shard.connection(wanted), cors)
}
