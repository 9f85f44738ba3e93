//! What the head of a request decides.

use std::rc::Rc;

use crate::base::endpoint::Endpoint;
use crate::exchange::auth::{self, Presented};
use crate::exchange::media::{self, Media};
use crate::exchange::refusal::{PathHint, Refusal};
use crate::exchange::request::Request;
use crate::exchange::stored::Part;
use crate::exchange::target::{self, Manage, Target};
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::head::Head;
use crate::wire::known::Known;

/// Looks at what the head alone decides: path, method, key.
///
/// # Errors
///
/// The request is refused, whatever its body says.
pub fn check<'a>(
    shard: &Shard,
    request: &mut Request,
    head: &Head,
    bytes: &'a [u8],
) -> Result<Target, Refusal<'a>> {
    if let Some(repeated) = request.repeated {
        return Err(Refusal::InvalidRequest(repeated));
    }
    let preflight = shard.era.cors.as_ref().zip(request.grant);
    let preflight = preflight.and_then(|(cors, grant)| cors.preflight(grant, head, bytes));
    if let Some(lines) = preflight {
        let target = Target::Preflight(lines);
        request.origin.endpoint = Some(target.name());
        return Ok(target);
    }
    let target = read_target(shard, request, head, bytes)?;
    request.origin.endpoint = Some(target.name());
    request.origin.dialect = target.has_dialects().then_some(request.dialect);
    let authorization = head.value_of(bytes, Known::Authorization);
    match &target {
        // The page has no data in it: what it shows, it asks for with the token.
        Target::Root
        | Target::Preflight(_)
        | Target::Manage(Manage::Page | Manage::PageElsewhere | Manage::Health | Manage::Ready) => {
        }
        Target::Manage(Manage::Report(_) | Manage::Key(_) | Manage::Explain(_)) => {
            auth::operator(shard.management_token.as_ref(), authorization)?;
        }
        Target::Manage(Manage::Reload | Manage::ByHand(..) | Manage::SwitchKey(..)) => {
            auth::operator(shard.management_token.as_ref(), authorization)?;
            auth::same_site(
                head.value_of(bytes, Known::Origin),
                head.value_of(bytes, Known::Host),
            )?;
        }
        Target::Passed(_) if shard.plan.routes.passthrough.is_none() => {
            let path = std::str::from_utf8(&bytes[head.target.clone()]);
            return Err(Refusal::UnknownUrl {
                path: path.unwrap_or_default(),
                hint: PathHint::Passthrough,
            });
        }
        Target::Infer(..)
        | Target::Passed(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_) => {
            admit(shard, request, Presented::read_all(head, bytes))?;
            // What a browser sends without asking would spend the keys of the file.
            if !is_asked_for(&target, head, bytes)? && !may_call(shard, request) {
                auth::same_site(
                    head.value_of(bytes, Known::Origin),
                    head.value_of(bytes, Known::Host),
                )?;
            }
        }
    }
    Ok(target)
}

/// Reads what the request is about.
///
/// # Errors
///
/// The path is not served, or not with this method.
fn read_target<'a>(
    shard: &Shard,
    request: &mut Request,
    head: &Head,
    bytes: &'a [u8],
) -> Result<Target, Refusal<'a>> {
    let (method, target) = (&bytes[head.method.clone()], &bytes[head.target.clone()]);
    if let Some(target) = target::read_usual(shard.door, method, target) {
        return Ok(target);
    }
    let target = std::str::from_utf8(target)
        .map_err(|_| Refusal::Malformed("the request target is not valid"))?;
    match target::read(shard.door, method, target) {
        Err(Refusal::MethodNotAllowed { .. }) if asks_for_web_socket(shard, head, bytes) => {
            request.origin.endpoint = Some(Endpoint::Responses.name());
            Err(Refusal::UpgradeRequired)
        }
        read => read.map(|(_, target)| target),
    }
}

/// Whether a browser asks before it sends such a request for a page of another site, or the request
/// spends nothing: it asks before it sends JSON.
fn is_asked_for(target: &Target, head: &Head, bytes: &[u8]) -> Result<bool, Refusal<'static>> {
    // Two lines are a list of codings, as one line with a comma is.
    if head
        .values_of(bytes, Known::ContentEncoding)
        .nth(1)
        .is_some()
    {
        return Err(Refusal::UnsupportedEncoding);
    }
    Ok(match target {
        // A browser sends a form without asking.
        Target::Infer(endpoint, _)
            if endpoint.takes_forms()
                && media::is_readable_form(|name| head.value_of(bytes, name))? =>
        {
            false
        }
        Target::Passed(_) if &bytes[head.method.clone()] != b"POST" => true,
        Target::Passed(_) => {
            media::is_readable(|name| head.value_of(bytes, name))?;
            Media::of(head.value_of(bytes, Known::ContentType)) == Media::Json
        }
        Target::Infer(..) => media::may_be_read(|name| head.value_of(bytes, name))? == Media::Json,
        // It needs no body.
        Target::Stored(stored) => stored.part != Part::Cancel,
        Target::Models
        | Target::Model(_)
        | Target::Root
        | Target::Preflight(_)
        | Target::Manage(_) => true,
    })
}

/// Whether the request asks to go on over a WebSocket where OpenAI would. A caller is told before
/// anything else that it must do without.
fn asks_for_web_socket(shard: &Shard, head: &Head, bytes: &[u8]) -> bool {
    let target = std::str::from_utf8(&bytes[head.target.clone()]).unwrap_or_default();
    let is_named = |value: &[u8]| {
        let mut names = value.split(|&byte| byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    &bytes[head.method.clone()] == b"GET"
        && head.value_of(bytes, Known::Upgrade).is_some_and(is_named)
        && target::has_web_socket(shard.door, target)
}

/// Admits a caller, and notes whose request it is.
fn admit(
    shard: &Shard,
    request: &mut Request,
    presented: Presented<'_>,
) -> Result<(), Refusal<'static>> {
    let callers = || shard.held_callers.current(&shard.callers);
    request.principal = auth::authenticate(&shard.plan.auth, presented, callers, clock::wall)?;
    let callers = match &request.principal {
        Some(principal) => Rc::clone(principal.callers()),
        None => callers(),
    };
    request.callers = (!callers.accounts().is_empty()).then_some(callers);
    if let Some(principal) = &request.principal {
        principal.attribute(&mut request.attribution);
        request.wants_stream_cost |= principal.key().stream_cost;
    }
    Ok(())
}

/// Whether the page that the request comes from is one of `server.cors`.
fn may_call(shard: &Shard, request: &Request) -> bool {
    let granted = shard.era.cors.as_ref().zip(request.grant);
    granted.is_some_and(|(cors, grant)| cors.may_call(grant))
}
