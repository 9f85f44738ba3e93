//! One caller's connection from accept to close: request after request.

use std::rc::Rc;
use std::time::Duration;

use monoio::net::TcpStream;

use crate::base::limits::{LINGER_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::base::time::Instant;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::{Audience, Request};
use crate::shard::body::{self, Stop};
use crate::shard::caller::Caller;
use crate::shard::drive::{self, After};
use crate::shard::refuse;
use crate::shard::run::{Current, Loop, Shard};
use crate::shard::settle::Record;
use crate::shard::timers::{Cut, FIRST_REQUEST, Waits};
use crate::sys::clock;
use crate::wire::head::{Arrival, Framing, HeadFault};

/// A connection that counts as open as long as this lives, however its task ends.
pub struct Open {
    current: Rc<Current>,
}

impl Open {
    /// Counts a connection that the process has admitted.
    #[must_use]
    pub fn new(current: Rc<Current>) -> Self {
        current.open.set(current.open.get() + 1);
        current.meters.own.callers.set(current.open.get());
        Self { current }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let left = self.current.open.get() - 1;
        self.current.open.set(left);
        self.current.meters.own.callers.set(left);
        self.current.process.release_connection();
        if left == 0 {
            self.current.emptied.give();
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(open: Open, stream: TcpStream) {
    let current = &*open.current;
    let tls = current.shard().era.tls_accept.clone();
    let Ok(mut caller) = Caller::new(current, tls, stream).await else {
        return;
    };
    let mut turn = Turn::First;
    loop {
        let arrived = read_head(current, &mut caller, turn).await;
        let request = current
            .rooms
            .house(|| serve_one(current, &mut caller, arrived));
        let served = request.await;
        if served == After::Close || (!current.process.is_taking() && caller.bytes.is_empty()) {
            break;
        }
        turn = Turn::Later;
    }
    let _ = caller.rest_writing(current).await;
    // A caller that reads no more must not keep the connection.
    caller.socket.deadline.set(clock::now() + LINGER, Cut::Both);
    Box::pin(caller.socket.writer.close_notify()).await;
}

/// Whether a connection has carried a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

/// Answers the request whose head has arrived. It goes by the era that its head was read in.
async fn serve_one(current: &Current, caller: &mut Caller, arrived: Result<(), Stop>) -> After {
    let shard = &current.shard();
    let random = || {
        let mut random = shard.random.borrow_mut();
        [random.next_u64(), random.next_u64()]
    };
    match arrived {
        Ok(()) => {}
        Err(Stop::Gone) => return After::Close,
        Err(Stop::Refused(refusal)) => {
            // What the bytes mean is unknown, so there is no id or attribution to take from them.
            let request = Request::unreadable(random(), clock::now());
            return refuse_and_linger(shard, caller, &request, &refusal).await;
        }
    }
    let mut request = Request::read(&caller.head, &caller.bytes, random(), clock::now());
    let _busy = (request.audience == Audience::Callers).then(|| shard.meters.busy());
    let arrived = caller.bytes.len();
    let message = Rc::clone(&caller.bytes);
    let target = match drive::check(shard, &request, &caller.head, &message) {
        Ok(target) => target,
        Err(refusal) => return refuse_early(shard, caller, &request, &refusal).await,
    };
    drop(message);
    let body = match body::read(shard, caller).await {
        Ok(body) => body,
        Err(Stop::Gone) => {
            Record::new(shard, &request).leave();
            return After::Close;
        }
        Err(Stop::Refused(refusal)) => {
            return refuse_and_linger(shard, caller, &request, &refusal).await;
        }
    };
    if caller.bytes.len() > arrived {
        request.ready = clock::now();
    }
    caller.read_ahead();
    let after = drive::answer(shard, caller, &request, &target, body.at).await;
    caller.forget(body.end);
    after
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
        None => refuse_and_linger(shard, caller, request, refusal).await,
    }
}

/// Refuses a request that has not been read to its end, and closes.
async fn refuse_and_linger(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    refusal: &Refusal<'_>,
) -> After {
    // What was read of it is of no use any more: others may need the room.
    caller.forget(caller.bytes.len());
    refuse::refuse_last(shard, caller, request, refusal).await;
    linger(caller).await;
    After::Close
}

/// Reads until a request's head is there.
async fn read_head(shard: &Loop, caller: &mut Caller, turn: Turn) -> Result<(), Stop> {
    let server = &shard.server;
    let mut seen = 0;
    let mut started: Option<Instant> = None;
    loop {
        if turn == Turn::Later {
            caller.skip_empty_lines();
        }
        if !caller.bytes.is_empty() {
            caller.prepare();
            match caller.head.parse_request(&caller.bytes, seen) {
                Ok(Arrival::Whole) => {
                    caller.socket.deadline.clear();
                    return Ok(());
                }
                Ok(Arrival::Partial) => seen = caller.bytes.len(),
                Err(fault) => return Err(Stop::Refused(refusal_of(fault))),
            }
        }
        match (started, caller.bytes.is_empty(), turn) {
            (Some(_), _, _) => {}
            (None, true, Turn::Later) => {
                caller.rest();
                let until = clock::now() + server.idle_timeout;
                caller.socket.deadline.set_waiting(until, Waits::Another);
            }
            (None, true, Turn::First) => {
                let wait = if shard.process.is_taking() {
                    server.header_timeout
                } else {
                    server.header_timeout.min(FIRST_REQUEST)
                };
                caller
                    .socket
                    .deadline
                    .set_waiting(clock::now() + wait, Waits::First);
            }
            (None, false, _) => {
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
            Ok(_) | Err(_) => return Err(Stop::Gone),
        }
    }
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

/// How long a refused caller may go on sending.
const LINGER: Duration = Duration::from_secs(2);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX < LINGER_BYTES_MAX);
