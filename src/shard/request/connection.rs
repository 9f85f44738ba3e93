//! One caller's connection from accept to close: request after request.

use std::net::IpAddr;
use std::rc::Rc;

use crate::exchange::media;
use crate::exchange::refusal::Connection;
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::shard::http::body::{self, Judged};
use crate::shard::http::caller::{Caller, RequestOrder};
use crate::shard::http::stop::Stop;
use crate::shard::net::tcp::Stream;
use crate::shard::request::after::After;
use crate::shard::request::arrived;
use crate::shard::request::check;
use crate::shard::request::drive;
use crate::shard::request::on_the_way;
use crate::shard::request::place::Place;
use crate::shard::request::refuse;
use crate::shard::request::unread::{self, Unread};
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::known::Known;

/// Serves one connection, from the caller at that address, to its end.
pub async fn serve(place: Place, (stream, address): (Stream, IpAddr)) {
    let current = &**place.current();
    let tls = current.shard().era.tls_accept(current.door);
    let server = &current.server;
    let mut caller = Caller::new(&current.io, server.idle_timeout, (stream, address));
    if let Some(tls) = tls
        && let Err(fault) = caller.secure(&tls, server.header_timeout).await
    {
        tracing::debug!(%address, %fault, "TLS handshake of a caller failed");
        return;
    }
    let mut order = RequestOrder::First;
    loop {
        let patience = || place.patience(order);
        let arrived = caller.read_head(order, &current.heads, server.header_timeout, patience);
        let arrived = arrived.await;
        let request = current
            .rooms
            .house(|| serve_one(&place, &mut caller, (order, arrived)));
        let served = request.await;
        if served == After::Close || (!current.process.is_taking() && caller.bytes.is_empty()) {
            break;
        }
        order = RequestOrder::Later;
    }
    let _ = caller.wait_sent().await;
    Box::pin(caller.close()).await;
}

/// Answers the request whose head has `arrived`. It goes by the era that its head was read in.
async fn serve_one(
    place: &Place,
    caller: &mut Caller,
    (order, arrived): (RequestOrder, Result<(), Stop>),
) -> After {
    let shard = &place.current().shard();
    let refusal = match arrived {
        Ok(()) => None,
        Err(Stop::Gone) => return After::Close,
        Err(Stop::Refused(refusal)) => Some(refusal),
    };
    if let Some(refusal) = refusal {
        let request = arrived::unreadable(shard, caller);
        return unread::end(shard, caller, &request, Unread::Head(refusal)).await;
    }
    let mut request = arrived::request(shard, caller);
    let _busy = shard.meters.busy(request.audience);
    // A connection may have waited long for its place.
    let has_waited = order == RequestOrder::First && place.is_last();
    let has_left =
        (has_waited || shard.reports.is_behind()) && caller.socket.deadline.peer_has_left();
    let message = Rc::clone(&caller.bytes);
    let checked = match has_left {
        true => Err(Unread::Waiting(Stop::Gone)),
        false => check::check(shard, &mut request, &caller.head, &message).map_err(Unread::Early),
    };
    let served = match checked {
        Ok(target) => {
            // While a request is being read, nothing else holds its bytes.
            drop(message);
            serve_target(place, shard, caller, &mut request, &target).await
        }
        Err(unread) => Err(unread),
    };
    match served {
        Ok(after) => after,
        Err(unread) => unread::end(shard, caller, &request, unread).await,
    }
}

/// Answers a request for `target`.
///
/// # Errors
///
/// Not all of it is read.
async fn serve_target(
    place: &Place,
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &mut Request,
    target: &Target,
) -> Result<After, Unread<'static>> {
    let arrived = caller.bytes.len();
    if !place.may_enter(request.audience) {
        let entered = place.enter(caller, request.audience).await;
        entered.map_err(Unread::Waiting)?;
    }
    let body = body::read(&shard.io, &shard.server, caller, judged(target, caller)).await;
    let body = body.map_err(Unread::Body)?;
    if caller.bytes.len() > arrived {
        request.ready = clock::now();
        if shard.reports.is_behind() && caller.socket.deadline.peer_has_left() {
            return Err(Unread::Waiting(Stop::Gone));
        }
    }
    close_before_end(caller, request);
    caller.read_ahead();
    let end = body.at.end;
    let answered = match body.judged {
        Judged::OnTheWay => {
            // In a box of its own: few requests need the room.
            Box::pin(on_the_way::answer(shard, caller, request, target, body)).await
        }
        Judged::AsItArrives(_) | Judged::Never => {
            drive::answer(shard, caller, request, target, body).await
        }
    };
    let after = match answered {
        Ok(after) => after,
        Err(unserved) => {
            let connection = request.connection;
            refuse::refuse(shard, caller, request, connection, &unserved.refusal()).await
        }
    };
    if caller.upload.is_some() {
        return Err(Unread::Answered);
    }
    caller.forget(end);
    Ok(after)
}

/// Until all of an upload has come, it is not known where the next request begins.
fn close_before_end(caller: &mut Caller, request: &mut Request) {
    if let Some(upload) = &mut caller.upload {
        upload.connection = std::mem::replace(&mut request.connection, Connection::Close);
    }
}

/// How the body of a request for `target` is judged.
fn judged(target: &Target, caller: &Caller) -> Judged {
    match target {
        Target::Infer(endpoint, _) if endpoint.takes_forms() && is_form(caller) => Judged::OnTheWay,
        Target::Passed(_) => Judged::OnTheWay,
        Target::Infer(endpoint, _) => Judged::AsItArrives(endpoint.dialect()),
        Target::Root
        | Target::Preflight(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_)
        | Target::Manage(_) => Judged::Never,
    }
}

/// Whether the request's body is a form.
fn is_form(caller: &Caller) -> bool {
    let media = caller.head.value_of(&caller.bytes, Known::ContentType);
    media.is_some_and(media::is_form)
}
