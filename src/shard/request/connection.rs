//! One caller's connection from accept to close: request after request.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::{LINGER_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::base::time::Instant;
use crate::exchange::door::Door;
use crate::exchange::media;
use crate::exchange::origin::Origin;
use crate::exchange::refusal::{Connection, Refusal};
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::exchange::trace;
use crate::link::gate::Audience;
use crate::shard::http::body::{self, Judged, Stop};
use crate::shard::http::caller::Caller;
use crate::shard::net::tcp::Stream;
use crate::shard::net::timers::{Cut, FIRST_REQUEST, Waits};
use crate::shard::request::after::After;
use crate::shard::request::check;
use crate::shard::request::drive;
use crate::shard::request::on_the_way;
use crate::shard::request::place::Place;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;
use crate::shard::state::yielding::between_requests;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::Piece;
use crate::wire::head::{Arrival, Framing, HeadFault};
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
        let arrived = read_head(&place, &mut caller, order).await;
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
    // A caller that reads no more must not keep the connection.
    caller.socket.deadline.set(clock::now() + LINGER, Cut::Both);
    Box::pin(caller.socket.writer.close_notify()).await;
}

/// Whether a request is the first of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestOrder {
    First,
    Later,
}

/// Answers the request whose head has arrived. It goes by the era that its head was read in.
async fn serve_one(
    place: &Place,
    caller: &mut Caller,
    (order, arrived): (RequestOrder, Result<(), Stop>),
) -> After {
    let shard = &place.current().shard();
    match arrived {
        Ok(()) => {}
        Err(Stop::Gone) => return After::Close,
        Err(Stop::Refused(refusal)) => {
            refuse_unread(shard, caller, &refusal).await;
            return After::Close;
        }
    }
    let mut request = Request::read(&caller.head, &caller.bytes, random(shard), clock::now());
    complete(shard, caller, &mut request);
    let _busy = shard.meters.busy(request.audience);
    let arrived = caller.bytes.len();
    // A connection may have waited long for its place.
    let has_waited = order == RequestOrder::First && place.is_last();
    if (has_waited || shard.reports.is_behind()) && caller.socket.deadline.peer_has_left() {
        return stop_at(shard, caller, &request, (Stop::Gone, Rest::Framed)).await;
    }
    let message = Rc::clone(&caller.bytes);
    let target = match check::check(shard, &mut request, &caller.head, &message) {
        Ok(target) => target,
        Err(refusal) => return refuse_early(shard, caller, &request, &refusal).await,
    };
    drop(message);
    serve_target(place, caller, (&mut request, arrived), &target).await
}

/// Answers a request for `target`, of which `arrived` bytes have come.
async fn serve_target(
    place: &Place,
    caller: &mut Caller,
    (request, arrived): (&mut Request, usize),
    target: &Target,
) -> After {
    let shard = &place.current().shard();
    if !place.may_enter(request.audience)
        && let Err(stop) = place.enter(caller, request.audience).await
    {
        let rest = Rest::Framed;
        return stop_at(shard, caller, request, (stop, rest)).await;
    }
    let body = match body::read(&shard.io, &shard.server, caller, judged(target, caller)).await {
        Ok(body) => body,
        Err(stop) => {
            let rest = Rest::of_begun(caller.head.framing);
            return stop_at(shard, caller, request, (stop, rest)).await;
        }
    };
    if caller.bytes.len() > arrived {
        request.ready = clock::now();
        if shard.reports.is_behind() && caller.socket.deadline.peer_has_left() {
            return stop_at(shard, caller, request, (Stop::Gone, Rest::Framed)).await;
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
        Err(unserved) => refuse::refuse(shard, caller, request, &unserved.refusal()).await,
    };
    if caller.upload.is_some() {
        return Box::pin(drop_rest(caller)).await;
    }
    caller.forget(end);
    after
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

/// Drops what still comes of a request that was answered before all of it had come: many callers
/// read no answer before they have sent all.
async fn drop_rest(caller: &mut Caller) -> After {
    let Some(mut upload) = caller.upload.take() else {
        return After::Close;
    };
    if upload.is_begun {
        caller.take_in_ahead();
    } else {
        // What has come behind the beginning stays.
        caller.forget(caller.bytes.len());
    }
    let mut ended = caller.is_gone() || passes(&mut upload.body, &caller.bytes);
    let _ = caller.wait_sent().await;
    let until = clock::now() + DROPPED_WITHIN;
    caller.socket.deadline.set(until, Cut::Read);
    while !ended && matches!(caller.read_dropped().await, Ok(count) if count > 0) {
        ended = passes(&mut upload.body, &caller.bytes);
    }
    linger(caller).await;
    After::Close
}

/// Adds to a request what depends on the shard and on the connection that it came on.
fn complete(shard: &Shard, caller: &Caller, request: &mut Request) {
    let (head, bytes) = (&caller.head, &caller.bytes);
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
}

/// Refuses a request whose head cannot be read: there is no id or attribution to take from it.
async fn refuse_unread(shard: &Shard, caller: &mut Caller, refusal: &Refusal<'_>) {
    let mut request = Request::unreadable(&caller.bytes, random(shard), clock::now());
    request.origin = Origin::of_address(caller.address);
    if shard.door == Door::Operators {
        request.audience = Audience::Operators;
    }
    if let (Some(cors), Door::Both | Door::Callers) = (&shard.era.cors, shard.door) {
        request.grant = cors.grant_unread(&caller.bytes);
    }
    refuse::refuse_last(shard, caller, &request, refusal).await;
    linger(caller).await;
}

fn random(shard: &Shard) -> [u64; 2] {
    let mut random = shard.random.borrow_mut();
    [random.next_u64(), random.next_u64()]
}

/// Refuses a request by its head. The connection goes on if the body is there already, or none is.
async fn refuse_early(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    refusal: &Refusal<'_>,
) -> After {
    let body = match caller.head.framing {
        Framing::None | Framing::Close => Some(0),
        Framing::Length(length) => usize::try_from(length).ok(),
        Framing::Chunked => None,
    };
    let end = body.and_then(|length| caller.head.len.checked_add(length));
    match end.filter(|end| *end <= caller.bytes.len()) {
        Some(end) => {
            let after = refuse::refuse(shard, caller, request, refusal).await;
            caller.forget(end);
            after
        }
        None => refuse_and_drop(shard, caller, request, (refusal, Rest::Framed)).await,
    }
}

/// Ends a request whose body is not there.
async fn stop_at(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (stop, rest): (Stop, Rest),
) -> After {
    let refusal = match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Gone if caller.is_cut_off() => Refusal::ShuttingDown,
        Stop::Gone => {
            Record::new(shard, request).caller_gone();
            return After::Close;
        }
    };
    refuse_and_drop(shard, caller, request, (&refusal, rest)).await
}

/// What follows of a request that is refused before it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// What stands behind the request's head is as it came.
    Framed,
    /// The beginning has been decoded: where the rest ends is not known any more.
    Unknown,
}

impl Rest {
    /// Of a body of which some was read.
    fn of_begun(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::Unknown,
            Framing::None | Framing::Close | Framing::Length(_) => Self::Framed,
        }
    }
}

/// Refuses a request that has not been read to its end, drops what still comes of it, and closes:
/// many callers read no answer before they have sent all.
async fn refuse_and_drop(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (refusal, rest): (&Refusal<'_>, Rest),
) -> After {
    let mut body = match rest {
        Rest::Framed => BodyDecoder::new(caller.head.framing),
        Rest::Unknown => BodyDecoder::Close,
    };
    let there = caller.bytes.get(caller.head.len..).unwrap_or_default();
    // Who waits to be told to go on does not send anything now.
    let comes = !caller.head.expects_continue || !there.is_empty();
    // Nor does it help to look for the end of what is malformed.
    let is_malformed = matches!(refusal, Refusal::Malformed(_));
    let mut ended = passes(&mut body, there) || !comes || is_malformed;
    // What was read of it is of no use any more: others may need the room.
    caller.forget(caller.bytes.len());
    refuse::refuse_last(shard, caller, request, refusal).await;
    if *refusal == Refusal::TooManyConnections {
        // It has a place that operators need.
        if ended {
            return After::Close;
        }
    } else if !ended {
        let _ = caller.wait_sent().await;
        let until = clock::now() + DROPPED_WITHIN;
        caller.socket.deadline.set(until, Cut::Read);
        while !ended && matches!(caller.read_dropped().await, Ok(count) if count > 0) {
            ended = passes(&mut body, &caller.bytes);
        }
    }
    linger(caller).await;
    After::Close
}

/// Whether `bytes` hold the end of `body`, or something that cannot belong to it.
fn passes(body: &mut BodyDecoder, bytes: &[u8]) -> bool {
    let mut at = 0;
    loop {
        match body.next(bytes, &mut at) {
            Ok(Piece::Payload(_)) => {}
            Ok(Piece::More) => return false,
            Ok(Piece::End(_)) | Err(_) => return true,
        }
    }
}

/// Reads until a request's head is there.
async fn read_head(place: &Place, caller: &mut Caller, order: RequestOrder) -> Result<(), Stop> {
    let server = &place.current().server;
    let mut seen = 0;
    let mut started: Option<Instant> = None;
    let mut is_awaited = false;
    loop {
        if order == RequestOrder::Later {
            caller.skip_empty_lines();
        }
        if !caller.bytes.is_empty() {
            caller.prepare();
            match parse(place, caller, seen) {
                Ok(Arrival::Whole) => {
                    caller.socket.deadline.clear();
                    return Ok(());
                }
                Ok(Arrival::Partial) => seen = caller.bytes.len(),
                Err(fault) => return Err(Stop::Refused(refusal_of(fault))),
            }
        }
        match (started, caller.bytes.is_empty()) {
            (Some(_), _) => {}
            (None, true) => {
                if order == RequestOrder::Later {
                    caller.give_back();
                }
                // Empty lines do not put it off.
                if !std::mem::replace(&mut is_awaited, true) {
                    await_request(place, caller, order);
                }
            }
            (None, false) => {
                let now = clock::now();
                started = Some(now);
                caller
                    .socket
                    .deadline
                    .set(now + server.header_timeout, Cut::Read);
            }
        }
        match caller.read_more().await {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) if started.is_some() && caller.socket.deadline.is_overdue() => {
                return Err(Stop::Refused(Refusal::RequestTimeout));
            }
            Ok(_) | Err(_) if started.is_some() && caller.is_cut_off() => {
                return Err(Stop::Refused(Refusal::ShuttingDown));
            }
            Ok(_) | Err(_) => return Err(Stop::Gone),
        }
    }
}

/// Parses the caller's bytes, of which the first `seen` hold no head's end, unless they begin with
/// a head that came lately.
fn parse(place: &Place, caller: &mut Caller, seen: usize) -> Result<Arrival, HeadFault> {
    let mut heads = place.current().heads.borrow_mut();
    if heads.recall(&caller.bytes, &mut caller.head) {
        return Ok(Arrival::Whole);
    }
    let parsed = caller.head.parse_request(&caller.bytes, seen);
    if parsed == Ok(Arrival::Whole) {
        heads.keep(&caller.bytes, &caller.head);
    }
    parsed
}

/// Sets how long nothing of a request may come.
fn await_request(place: &Place, caller: &mut Caller, order: RequestOrder) {
    let shard = &***place.current();
    let server = &shard.server;
    let is_operators = place.is_of(Audience::Operators);
    let of = match is_operators {
        true => Audience::Operators,
        false => Audience::Callers,
    };
    // It may have a place that others need, without being one of theirs.
    let is_guest = is_operators && shard.door == Door::Both;
    let (wait, waits) = match order {
        RequestOrder::First if shard.process.is_taking() && !is_guest => {
            (server.header_timeout, Waits::First(of))
        }
        RequestOrder::First => (server.header_timeout.min(FIRST_REQUEST), Waits::Moment),
        RequestOrder::Later => (between_requests(server, of), Waits::Another(of)),
    };
    let until = clock::now() + wait;
    caller.socket.deadline.set_waiting(until, waits);
}

fn refusal_of(fault: HeadFault) -> Refusal<'static> {
    match fault {
        HeadFault::Version => Refusal::HttpVersionNotSupported,
        HeadFault::TooLarge => Refusal::HeaderTooLarge,
        HeadFault::TargetTooLong => Refusal::UriTooLong {
            limit: TARGET_BYTES_MAX,
        },
        HeadFault::Malformed
        | HeadFault::BareLf
        | HeadFault::Host
        | HeadFault::ContentLength
        | HeadFault::TransferEncoding
        | HeadFault::LengthAndEncoding
        | HeadFault::Expectation => Refusal::Malformed(fault.sentence()),
    }
}

/// Lets a caller whose request was refused read why: closing with bytes unread would reset the
/// connection, and the answer could be lost with it.
async fn linger(caller: &mut Caller) {
    caller.socket.deadline.set(clock::now() + LINGER, Cut::Both);
    caller.socket.writer.close_notify().await;
    caller.socket.deadline.cut_write();
    let mut dropped = 0;
    while dropped < LINGER_BYTES_MAX {
        caller.bytes_mut().clear();
        match caller.read_more().await {
            Ok(count) if count > 0 => dropped += count,
            Ok(_) | Err(_) => return,
        }
    }
}

/// How long the rest of a refused request is read and dropped.
const DROPPED_WITHIN: Duration = Duration::from_secs(10);
/// How long a refused caller may go on sending once its request has ended.
const LINGER: Duration = Duration::from_secs(2);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX < LINGER_BYTES_MAX);
