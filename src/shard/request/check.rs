//! What the head of a request decides.

use std::rc::Rc;

use crate::base::endpoint::Endpoint;
use crate::exchange::auth::{self, Presented};
use crate::exchange::media::{Media, Stated};
use crate::exchange::refusal::{PathHint, Refusal};
use crate::exchange::request::Request;
use crate::exchange::stored::Part;
use crate::exchange::target::{self, Manage, Method, Target};
use crate::shard::http::body::{Judged, Label};
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::head::Head;
use crate::wire::inflate::Coding;
use crate::wire::known::Known;

/// What the head alone decides.
pub struct Checked {
    /// What the request is for.
    pub target: Target,
    /// What is known of its body.
    pub label: Label,
}

/// Looks at what the head alone decides: path, method, key, and the kind of the body.
///
/// # Errors
///
/// The request is refused, whatever its body says.
pub fn check<'a>(
    shard: &Shard,
    request: &mut Request,
    head: &Head,
    bytes: &'a [u8],
) -> Result<Checked, Refusal<'a>> {
    if let Some(repeated) = request.repeated {
        return Err(Refusal::InvalidRequest(repeated));
    }
    let preflight = shard.era.cors.as_ref().zip(request.grant);
    let preflight = preflight.and_then(|(cors, grant)| cors.preflight(grant, head, bytes));
    let (method, target) = match preflight {
        // Nothing depends on its method any more.
        Some(lines) => (Method::Get, Target::Preflight(lines)),
        None => read_target(shard, request, head, bytes)?,
    };
    request.origin.endpoint = Some(target.name());
    request.origin.dialect = target.has_dialects().then_some(request.dialect);
    let presented = Presented::read_all(head, bytes);
    let mut label = Label::NOT_ASKED_FOR;
    let is_asked_for = match &target {
        // The page has no data in it: what it shows, it asks for with the token.
        Target::Root
        | Target::Preflight(_)
        | Target::Manage(Manage::Page | Manage::PageElsewhere | Manage::Health | Manage::Ready) => {
            true
        }
        Target::Manage(Manage::Report(_) | Manage::Key(_) | Manage::Explain(_)) => {
            auth::operator(shard.management_token.as_ref(), presented)?;
            true
        }
        Target::Manage(Manage::Reload | Manage::ByHand(..) | Manage::SwitchKey(..)) => {
            auth::operator(shard.management_token.as_ref(), presented)?;
            false
        }
        Target::Passed(_) if shard.plan.routes.passthrough.is_none() => {
            let path = std::str::from_utf8(&bytes[head.target.clone()]).unwrap_or_default();
            let hint = PathHint::Passthrough;
            return Err(Refusal::UnknownUrl { path, hint });
        }
        Target::Infer(..)
        | Target::Passed(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_) => {
            let callers = || shard.held_callers.current(&shard.callers);
            request.principal =
                auth::authenticate(&shard.plan.auth, presented, callers, clock::wall)?;
            admit(shard, request);
            let stated = Stated::read(head, bytes);
            label = label_of(&target, stated);
            // What a browser sends without asking would spend the keys of the file.
            is_asked_for(&target, method, stated)? || may_call(shard, request)
        }
    };
    if !is_asked_for {
        auth::same_site(head, bytes)?;
    }
    Ok(Checked { target, label })
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
) -> Result<(Method, Target), Refusal<'a>> {
    let (method, target) = (&bytes[head.method.clone()], &bytes[head.target.clone()]);
    if let Some(target) = target::read_usual(shard.door, method, target) {
        return Ok((Method::Post, target));
    }
    let target = std::str::from_utf8(target)
        .map_err(|_| Refusal::Malformed("the request target is not valid"))?;
    let upgrade = || head.value_of(bytes, Known::Upgrade);
    match target::read(shard.door, method, target) {
        // A caller is told before anything else that it must do without the WebSocket that OpenAI
        // would have for it.
        Err(Refusal::MethodNotAllowed { .. })
            if method == b"GET"
                && upgrade().is_some_and(names_web_socket)
                && target::has_web_socket(shard.door, target) =>
        {
            request.origin.endpoint = Some(Endpoint::Responses.name());
            Err(Refusal::UpgradeRequired)
        }
        read => read,
    }
}

/// Whether a browser asks before it sends such a request for a page of another site, or the request
/// spends nothing: it asks before it sends JSON.
fn is_asked_for(target: &Target, method: Method, stated: Stated) -> Result<bool, Refusal<'static>> {
    stated.check_lines()?;
    Ok(match target {
        // A browser sends a form without asking.
        Target::Infer(endpoint, _) if endpoint.takes_forms() && stated.media == Media::Parts => {
            stated.readable()?;
            false
        }
        Target::Passed(_) if method != Method::Post => true,
        Target::Passed(_) => stated.readable()? == Media::Json,
        Target::Infer(..) => stated.may_be_json()? == Media::Json,
        // It needs no body.
        Target::Stored(stored) => stored.part != Part::Cancel,
        Target::Models
        | Target::Model(_)
        | Target::Root
        | Target::Preflight(_)
        | Target::Manage(_) => true,
    })
}

/// Whether a value of `Upgrade` asks to go on over a WebSocket.
fn names_web_socket(value: &[u8]) -> bool {
    let mut names = value.split(|&byte| byte == b',');
    names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// What is known of the body of a request for `target`.
fn label_of(target: &Target, stated: Stated) -> Label {
    let judged = match target {
        Target::Infer(endpoint, _) if endpoint.takes_forms() && stated.media == Media::Parts => {
            Judged::OnTheWay
        }
        Target::Passed(_) => Judged::OnTheWay,
        Target::Infer(endpoint, _) => Judged::AsItArrives(endpoint.dialect()),
        Target::Root
        | Target::Preflight(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_)
        | Target::Manage(_) => return Label::NOT_ASKED_FOR,
    };
    Label {
        judged,
        coding: stated.coding.unwrap_or(Coding::Identity),
    }
}

/// Notes of an admitted request whose it is.
fn admit(shard: &Shard, request: &mut Request) {
    let callers = match &request.principal {
        Some(principal) => Rc::clone(principal.callers()),
        None => shard.held_callers.current(&shard.callers),
    };
    request.callers = (!callers.accounts().is_empty()).then_some(callers);
    if let Some(principal) = &request.principal {
        principal.attribute(&mut request.attribution);
        request.wants_stream_cost |= principal.key().stream_cost;
    }
}

/// Whether the page that the request comes from is one of `server.cors`.
fn may_call(shard: &Shard, request: &Request) -> bool {
    let granted = shard.era.cors.as_ref().zip(request.grant);
    granted.is_some_and(|(cors, grant)| cors.may_call(grant))
}
