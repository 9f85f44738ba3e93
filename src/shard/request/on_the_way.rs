//! Requests whose bodies are sent on as they are, large ones while they arrive: forms, and what
//! names no model.

use std::rc::Rc;

use crate::dialect::ask::Ask;
use crate::exchange::passed::Passed;
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::decode;
use crate::shard::request::after::After;
use crate::shard::request::drive::{self, Asked};
use crate::shard::request::parcel::{self, Parcel};
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;

/// Answers a request whose `body`, or the beginning of it, has arrived.
///
/// # Errors
///
/// It cannot be read.
pub(super) async fn answer<'a>(
    shard: &'a Rc<Shard>,
    caller: &mut Caller,
    request: &'a Request,
    target: &'a Target,
    body: Body,
) -> Result<After, Unserved<'a>> {
    let (io, limit) = (&shard.io, shard.server.max_body_bytes);
    let body = decode::request(io, limit, caller, body, None).await?;
    match target {
        Target::Infer(..) => form(shard, caller, request, target, body).await,
        Target::Passed(passed) => Ok(pass(shard, caller, request, passed, body).await),
        Target::Root
        | Target::Preflight(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_)
        | Target::Manage(_) => drive::answer(shard, caller, request, target, body).await,
    }
}

/// Answers a request that is a form, or the beginning of one.
async fn form(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    target: &Target,
    body: Body,
) -> Result<After, Unserved<'static>> {
    let Target::Infer(endpoint, named) = target else {
        return Ok(After::Close);
    };
    let (endpoint, named) = (*endpoint, named.as_deref());
    let head = caller.bytes[..body.at.start].to_vec();
    let read = parcel::read_form(caller, body.at.clone(), named).await;
    let (ask, parcel) = read.map_err(|fault| Unserved::Invalid(fault.to_string()))?;
    let asked = Asked {
        endpoint,
        head: &head,
        at: body.at,
        ask: &ask,
        parcel: Some(&parcel),
    };
    Ok(drive::route(shard, caller, request, asked).await)
}

/// Answers a request that names no model.
async fn pass(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    passed: &Passed,
    body: Body,
) -> After {
    let head = caller.bytes[..body.at.start].to_vec();
    let asked = Asked {
        endpoint: passed.endpoint,
        head: &head,
        at: body.at,
        ask: &Ask::of_form("", 0),
        parcel: Some(&Parcel::of_passed(passed)),
    };
    drive::route(shard, caller, request, asked).await
}
