//! Reads the body of a caller's request into the connection's buffer, behind its head.

use std::ops::Range;
use std::rc::Rc;

use crate::base::endpoint::Dialect;
use crate::base::limits::{AT_ONCE_BYTES_MAX, UPLOAD_HELD_BYTES_MAX, UPLOAD_START_BYTES};
use crate::config::plan::Server;
use crate::dialect::ask::Arriving;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::stop::Stop;
use crate::shard::http::upload::{Pace, Upload};
use crate::shard::net::buffers::Coming;
use crate::shard::net::io::Io;
use crate::shard::net::timers::Cut;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::{Chunked, Progress};
use crate::wire::head::Framing;
use crate::wire::inflate::Coding;

/// A request's body.
pub struct Body {
    /// Where it stands in the connection's buffer, its transfer coding removed. The next request
    /// starts behind it.
    pub at: Range<usize>,
    /// What its request's head says of it.
    pub label: Label,
    /// What was read of a large body while it arrived.
    pub arriving: Option<Box<Arriving>>,
}

/// What is known of a body before it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whether, and in which dialect, it is judged.
    pub judged: Judged,
    /// How it is coded, where it is to be decoded.
    pub coding: Coding,
}

impl Label {
    /// A body whose content does not matter.
    pub const NOT_ASKED_FOR: Self = Self {
        judged: Judged::Never,
        coding: Coding::Identity,
    };

    /// Whether a large body is sent on while it arrives. One that is coded must be decoded first.
    fn is_sent_on(self) -> bool {
        self.judged == Judged::OnTheWay && self.coding == Coding::Identity
    }
}

/// Whether a body is judged while it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is an inference's, in this dialect: a large body is judged as it arrives.
    AsItArrives(Dialect),
    /// It is a form: a large one is sent on while it arrives.
    OnTheWay,
    /// Its content does not matter.
    Never,
}

/// Reads the current request's body.
pub async fn read(
    io: &Io,
    server: &Server,
    caller: &mut Caller,
    label: Label,
) -> Result<Body, Stop> {
    let start = caller.head.len;
    let limit = server.max_body_bytes;
    match caller.head.framing {
        Framing::None | Framing::Close => Ok(Body {
            at: start..start,
            label,
            arriving: None,
        }),
        Framing::Length(length) => {
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= limit);
            let length = length.ok_or(Stop::Refused(Refusal::RequestTooLarge { limit }))?;
            if length > UPLOAD_HELD_BYTES_MAX && label.is_sent_on() {
                return read_start(io, server, caller, (length, label)).await;
            }
            read_length(io, server, caller, (start + length, label)).await
        }
        Framing::Chunked => read_chunked(io, server, caller, label).await,
    }
}

/// Reads the beginning of a body that is sent on while it arrives.
async fn read_start(
    io: &Io,
    server: &Server,
    caller: &mut Caller,
    (length, label): (usize, Label),
) -> Result<Body, Stop> {
    let start = caller.head.len;
    let mut pace = Pace::new(server.body_timeout, clock::now());
    if caller.bytes.len() < start + UPLOAD_START_BYTES {
        invite(caller).await?;
    }
    while caller.bytes.len() < start + UPLOAD_START_BYTES {
        let missing = start + UPLOAD_START_BYTES - caller.bytes.len();
        make_room(io, caller, missing)?;
        read_paced(&mut pace, caller).await?;
    }
    caller.socket.deadline.clear();
    let end = caller.bytes.len().min(start + length);
    if !caller.held.grow_to(end - start) {
        return Err(OVERLOADED);
    }
    let left = length - (end - start);
    let rest = BodyDecoder::Length(left as u64);
    caller.upload = Some(Upload::new(rest, left, length, pace));
    Ok(Reading::new(label).body(start..end))
}

async fn read_length(
    io: &Io,
    server: &Server,
    caller: &mut Caller,
    (end, label): (usize, Label),
) -> Result<Body, Stop> {
    let start = caller.head.len;
    // A body that cannot be held now is refused before it is sent; any other is counted as it
    // arrives.
    if !io.lease.has_room(end - start) {
        return Err(OVERLOADED);
    }
    let mut reading = Reading::new(label);
    if caller.bytes.len() < end {
        invite(caller).await?;
        let mut pace = Pace::new(server.body_timeout, clock::now());
        while caller.bytes.len() < end {
            let missing = end - caller.bytes.len();
            make_room(io, caller, missing)?;
            read_paced(&mut pace, caller).await?;
            let arrived = caller.bytes.len().min(end);
            reading.take_in(&caller.bytes[start..arrived], end - arrived);
        }
        caller.socket.deadline.clear();
    } else if !caller.held.grow_to(end - start) {
        return Err(OVERLOADED);
    }
    Ok(reading.body(start..end))
}

async fn read_chunked(
    io: &Io,
    server: &Server,
    caller: &mut Caller,
    label: Label,
) -> Result<Body, Stop> {
    let start = caller.head.len;
    let mut decoder = Chunked::default();
    let mut filled = start;
    if caller.bytes.len() == start {
        invite(caller).await?;
    }
    let mut reading = Reading::new(label);
    let mut pace = Pace::new(server.body_timeout, clock::now());
    loop {
        let progress = decoder
            .compact(caller.bytes_mut(), &mut filled)
            .map_err(|fault| Stop::Refused(Refusal::Malformed(fault.sentence())))?;
        let limit = server.max_body_bytes;
        if filled - start > limit {
            return Err(Stop::Refused(Refusal::RequestTooLarge { limit }));
        }
        if progress == Progress::Ended {
            if !caller.held.grow_to(filled - start) {
                return Err(OVERLOADED);
            }
            caller.socket.deadline.clear();
            reading.take_in(&caller.bytes[start..filled], 0);
            return Ok(reading.body(start..filled));
        }
        let missing = limit - (filled - start);
        if label.is_sent_on() && filled - start > UPLOAD_HELD_BYTES_MAX {
            caller.socket.deadline.clear();
            let rest = BodyDecoder::Chunked(decoder);
            caller.upload = Some(Upload::new(rest, missing, limit, pace));
            return Ok(reading.body(start..filled));
        }
        make_room(io, caller, missing)?;
        reading.take_in(&caller.bytes[start..filled], 0);
        read_paced(&mut pace, caller).await?;
    }
}

/// Makes room for the next read.
fn make_room(io: &Io, caller: &mut Caller, missing: usize) -> Result<(), Stop> {
    let coming = Coming {
        start: caller.head.len,
        missing,
    };
    // While a request is being read, nothing else holds the buffer.
    let bytes = Rc::make_mut(&mut caller.bytes);
    if io.buffers.make_room(bytes, &mut caller.held, coming) {
        Ok(())
    } else {
        Err(OVERLOADED)
    }
}

/// What has been read of a body while it arrives.
struct Reading {
    label: Label,
    arriving: Option<Box<Arriving>>,
}

impl Reading {
    fn new(label: Label) -> Self {
        Self {
            label,
            arriving: None,
        }
    }

    /// Reads on in the arrived part of a body, of which at least `missing` bytes are still to come.
    /// A small body is read whole, later.
    fn take_in(&mut self, body: &[u8], missing: usize) {
        if let Judged::AsItArrives(dialect) = self.label.judged
            && body.len() + missing > AT_ONCE_BYTES_MAX
        {
            let arriving = &mut self.arriving;
            let arriving = arriving.get_or_insert_with(|| Box::new(Arriving::new(dialect)));
            arriving.take_in(body);
        }
    }

    fn body(self, at: Range<usize>) -> Body {
        Body {
            at,
            label: self.label,
            arriving: self.arriving,
        }
    }
}

/// Tells a caller that waits for it to go on and send the body (RFC 9110, section 10.1.1).
async fn invite(caller: &mut Caller) -> Result<(), Stop> {
    if !caller.head.expects_continue {
        return Ok(());
    }
    caller
        .out
        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    caller.send_out().await.map_err(|_| Stop::Gone)
}

/// Reads more, under the deadline that follows from what has arrived so far.
async fn read_paced(pace: &mut Pace, caller: &mut Caller) -> Result<(), Stop> {
    let deadline = pace.deadline(clock::now());
    caller.socket.deadline.set(deadline, Cut::Read);
    match caller.read_more().await {
        Ok(count) if count > 0 => {
            pace.note(count);
            Ok(())
        }
        Ok(_) | Err(_) if caller.socket.deadline.is_overdue() => {
            Err(Stop::Refused(Refusal::RequestTimeout))
        }
        Ok(_) | Err(_) => Err(Stop::Gone),
    }
}

/// No more bytes may be held.
const OVERLOADED: Stop = Stop::Refused(Refusal::Overloaded);
