//! The end of a request of which not all has been read: it is answered, what still comes of it is
//! dropped, and as a rule the connection is closed.

use std::rc::Rc;
use std::time::Duration;

use crate::base::limits::{LINGER_BYTES_MAX, REQUEST_HEAD_BYTES_MAX};
use crate::exchange::refusal::{Connection, Refusal};
use crate::exchange::request::Request;
use crate::shard::http::caller::Caller;
use crate::shard::http::stop::Stop;
use crate::shard::net::timers::Cut;
use crate::shard::request::after::After;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::head::Framing;

/// Why a request ends before all of it has been read.
#[derive(Debug)]
pub enum Unread<'a> {
    /// Its head cannot be read.
    Head(Refusal<'a>),
    /// It is refused by its head.
    Early(Refusal<'a>),
    /// It is not served after its wait, which was not for its body.
    Waiting(Stop),
    /// Its body cannot be read.
    Body(Stop),
    /// All of it has come, up to here, and its body cannot be decoded.
    Coded(Refusal<'a>, usize),
    /// It has its answer, and the rest of its upload still comes.
    Answered,
}

/// What stands behind the part of a request that was read.
enum Rest {
    /// The next request, from here on.
    Next(usize),
    /// The rest of the body.
    Body(BodyDecoder),
    /// Nothing whose end is looked for.
    Nothing,
}

/// Ends a request. Its connection goes on only if all of the request is there: many callers read no
/// answer before they have sent all.
pub async fn end(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    unread: &Unread<'_>,
) -> After {
    let refusal = match unread {
        Unread::Answered => None,
        Unread::Head(refusal)
        | Unread::Early(refusal)
        | Unread::Coded(refusal, _)
        | Unread::Waiting(Stop::Refused(refusal))
        | Unread::Body(Stop::Refused(refusal)) => Some(refusal),
        Unread::Waiting(Stop::Gone) | Unread::Body(Stop::Gone) if caller.is_cut_off() => {
            Some(&Refusal::ShuttingDown)
        }
        Unread::Waiting(Stop::Gone) | Unread::Body(Stop::Gone) => {
            Record::new(shard, request).caller_gone();
            return After::Close;
        }
    };
    let rest = Rest::of(unread, refusal, caller);
    if let Some(refusal) = refusal {
        let connection = match rest {
            Rest::Next(_) => request.connection,
            Rest::Body(_) | Rest::Nothing => Connection::Close,
        };
        let after = refuse::refuse(shard, caller, request, connection, refusal).await;
        if let Rest::Next(end) = rest {
            caller.forget(end);
            return after;
        }
    }
    let body = match (refusal, rest) {
        // It has a place that operators need.
        (Some(Refusal::TooManyConnections), Rest::Nothing) => return After::Close,
        (Some(Refusal::TooManyConnections), _) | (_, Rest::Nothing | Rest::Next(_)) => None,
        (_, Rest::Body(body)) => Some(body),
    };
    if body.is_some() || refusal.is_none() {
        let _ = caller.wait_sent().await;
    }
    part(caller, body).await;
    After::Close
}

impl Rest {
    /// What stands behind the part of a request that was read; that part is dropped, if none of it
    /// is needed any more.
    fn of(unread: &Unread<'_>, refusal: Option<&Refusal<'_>>, caller: &mut Caller) -> Self {
        let framing = caller.head.framing;
        let body = match unread {
            Unread::Head(_) => return Self::Nothing,
            Unread::Answered => return Self::of_upload(caller),
            Unread::Coded(_, end) => return Self::Next(*end),
            Unread::Early(_) => match end_of(caller) {
                Some(end) => return Self::Next(end),
                None => BodyDecoder::new(framing),
            },
            Unread::Waiting(_) => BodyDecoder::new(framing),
            Unread::Body(_) => match framing {
                // The beginning has been decoded: where the rest ends is not known any more.
                Framing::Chunked => BodyDecoder::Close,
                Framing::None | Framing::Close | Framing::Length(_) => BodyDecoder::new(framing),
            },
        };
        let there = caller.bytes.get(caller.head.len..).unwrap_or_default();
        // Who waits to be told to go on does not send anything now.
        let comes = !caller.head.expects_continue || !there.is_empty();
        // Nor does it help to look for the end of what is malformed.
        let is_malformed = matches!(refusal, Some(Refusal::Malformed(_)));
        let rest = Self::behind(body, there);
        // What was read of it is of no use any more: others may need the room.
        caller.forget(caller.bytes.len());
        match comes && !is_malformed {
            true => rest,
            false => Self::Nothing,
        }
    }

    /// What stands behind the part of an upload that was taken from the caller.
    fn of_upload(caller: &mut Caller) -> Self {
        let Some(upload) = caller.upload.take() else {
            return Self::Nothing;
        };
        if upload.is_begun {
            caller.take_in_ahead();
        } else {
            // What has come behind the beginning stays.
            caller.forget(caller.bytes.len());
        }
        match caller.is_gone() {
            true => Self::Nothing,
            false => Self::behind(upload.body, &caller.bytes),
        }
    }

    /// The part of `body` that stands behind `bytes`.
    fn behind(mut body: BodyDecoder, bytes: &[u8]) -> Self {
        match body.is_over(bytes) {
            true => Self::Nothing,
            false => Self::Body(body),
        }
    }
}

/// Where the current request ends, if all of it is there.
fn end_of(caller: &Caller) -> Option<usize> {
    let body = match caller.head.framing {
        Framing::None | Framing::Close => 0,
        Framing::Length(length) => usize::try_from(length).ok()?,
        Framing::Chunked => return None,
    };
    let end = caller.head.len.checked_add(body)?;
    (end <= caller.bytes.len()).then_some(end)
}

/// Drops what still comes of `body`, and lets the caller read its answer: closing with bytes unread
/// would reset the connection, and the answer could be lost with it.
async fn part(caller: &mut Caller, body: Option<BodyDecoder>) {
    if let Some(mut body) = body {
        let until = clock::now() + DROPPED_WITHIN;
        caller.socket.deadline.set(until, Cut::Read);
        while let Ok(1..) = caller.read_dropped().await {
            if body.is_over(&caller.bytes) {
                break;
            }
        }
    }
    caller.close().await;
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
const _: () = assert!(REQUEST_HEAD_BYTES_MAX < LINGER_BYTES_MAX);
