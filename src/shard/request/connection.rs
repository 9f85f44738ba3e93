//! One caller's connection from accept to close: request after request.

use std::net::IpAddr;
use std::rc::Rc;

use crate::exchange::refusal::Connection;
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::shard::http::body;
use crate::shard::http::caller::{Caller, RequestOrder};
use crate::shard::http::decode;
use crate::shard::http::stop::Stop;
use crate::shard::net::tcp::Stream;
use crate::shard::request::after::After;
use crate::shard::request::arrived::{self, Arrived};
use crate::shard::request::check::{self, Checked};
use crate::shard::request::drive;
use crate::shard::request::place::Place;
use crate::shard::request::unread::{self, Unread};
use crate::shard::state::shard::Shard;
use crate::sys::clock;

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
        let patience = place.patience(order);
        let read = caller.read_head(order, &current.heads, patience).await;
        let request = current
            .rooms
            .house(|| serve_one(&place, &mut caller, (order, read)));
        let served = request.await;
        if served == After::Close || (!current.process.is_taking() && caller.bytes.is_empty()) {
            break;
        }
        order = RequestOrder::Later;
    }
    let _ = caller.wait_sent().await;
    Box::pin(caller.close()).await;
}

/// Answers the request whose head was `read`. It goes by the era that its head was read in.
async fn serve_one(
    place: &Place,
    caller: &mut Caller,
    (order, read): (RequestOrder, Result<(), Stop>),
) -> After {
    let shard = &place.current().shard();
    let (how, fault) = match read {
        Ok(()) => (Arrived::Read, None),
        Err(Stop::Refused(refusal)) => (Arrived::Unreadable, Some(refusal)),
        Err(Stop::Gone) => return After::Close,
    };
    let numbers = random(shard);
    let mut request = match how {
        Arrived::Read => Request::read(&caller.head, &caller.bytes, numbers, clock::now()),
        Arrived::Unreadable => Request::unreadable(&caller.bytes, numbers, clock::now()),
    };
    arrived::complete(shard, caller, how, &mut request);
    let _busy = match how {
        Arrived::Read => Some(shard.meters.busy(request.audience)),
        Arrived::Unreadable => None,
    };
    // A connection may have waited long for its place.
    let has_waited = order == RequestOrder::First && place.is_last();
    let message = Rc::clone(&caller.bytes);
    let checked = if let Some(fault) = fault {
        Err(Unread::Head(fault))
    } else if (has_waited || shard.reports.is_behind()) && caller.has_left() {
        Err(Unread::Waiting(Stop::Gone))
    } else {
        check::check(shard, &mut request, &caller.head, &message).map_err(Unread::Early)
    };
    let served = match checked {
        Ok(checked) => {
            // While a request is being read, nothing else holds its bytes.
            drop(message);
            serve_checked(place, shard, caller, &mut request, &checked).await
        }
        Err(unread) => Err(unread),
    };
    match served {
        Ok(after) => after,
        Err(unread) => unread::end(shard, caller, &request, &unread).await,
    }
}

/// Answers a request whose head has been checked.
///
/// # Errors
///
/// Not all of it is read.
async fn serve_checked(
    place: &Place,
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &mut Request,
    checked: &Checked,
) -> Result<After, Unread<'static>> {
    let arrived = caller.bytes.len();
    if !place.may_enter(request.audience) {
        let entered = place.enter(caller, request.audience).await;
        entered.map_err(Unread::Waiting)?;
    }
    let Checked { target, label } = checked;
    let body = body::read(&shard.io, &shard.server, caller, *label).await;
    let body = body.map_err(Unread::Body)?;
    if caller.bytes.len() > arrived {
        request.ready = clock::now();
        if shard.reports.is_behind() && caller.has_left() {
            return Err(Unread::Waiting(Stop::Gone));
        }
    }
    if let Some(upload) = &mut caller.upload {
        // Until all of it has come, it is not known where the next request begins.
        upload.connection = std::mem::replace(&mut request.connection, Connection::Close);
    }
    caller.read_ahead();
    let end = body.at.end;
    let model = if let Target::Infer(_, model) = target {
        model.as_deref()
    } else {
        None
    };
    let body = decode::request(&shard.io, shard.server.max_body_bytes, caller, body, model).await;
    let body = body.map_err(|refusal| Unread::Coded(refusal, end))?;
    let after = drive::answer(shard, caller, request, target, body).await;
    if caller.upload.is_some() {
        return Err(Unread::Answered);
    }
    caller.forget(end);
    Ok(after)
}

fn random(shard: &Shard) -> [u64; 2] {
    let mut random = shard.random.borrow_mut();
    [random.next_u64(), random.next_u64()]
}
