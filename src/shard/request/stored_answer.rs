//! The answer of a provider to a request for a stored response, on its way to the caller: as it
//! came, with the caller's name for the model.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use crate::base::limits::STREAM_READ_BYTES;
use crate::base::trace::SpanId;
use crate::config::plan::Provider;
use crate::decide::outcome::{Outcome, Topic};
use crate::exchange::answer_head::{self, AnswerHead, PassedOn};
use crate::exchange::headers;
use crate::exchange::inbound::{self, Crossing};
use crate::exchange::refusal::Connection;
use crate::exchange::request::Request;
use crate::exchange::stored::{self, Stored};
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::after::{self, After};
use crate::shard::request::answer_head::{head_end, write};
use crate::shard::request::kept;
use crate::shard::request::record::Record;
use crate::shard::request::unsettled;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::{Piece, write_chunk_head};
use crate::wire::inflate::Inflate;

/// A request for a stored response, and what it is carried out with.
pub(super) struct Errand<'a> {
    /// The shard.
    pub(super) shard: &'a Rc<Shard>,
    /// The request.
    pub(super) request: &'a Request,
    /// What is asked for.
    pub(super) stored: &'a Stored,
    /// The id of the response.
    pub(super) id: &'a str,
    /// The caller's bytes: the head, and the body at the end.
    pub(super) message: Rc<Vec<u8>>,
    /// Where the body stands in them.
    pub(super) body: Range<usize>,
    /// The span of the attempt that is being made.
    pub(super) span: Cell<Option<SpanId>>,
}

/// A provider that has been asked, and its answer.
pub(super) struct Reached<'a> {
    /// The provider.
    pub(super) provider: &'a Provider,
    /// What decides which of its fields are passed on.
    pub(super) crossing: Crossing<'a>,
    /// Its connection.
    pub(super) up: Box<Upstream>,
}

/// An answer that is told as a whole.
pub(super) struct Told {
    status: u16,
    /// The provider's fields that cross.
    fields: Vec<u8>,
    body: Vec<u8>,
    provider: Box<str>,
}

/// The answer that has been read whole, as the caller gets it. Its connection is free again.
pub(super) fn told(errand: &Errand<'_>, reached: Reached<'_>) -> Told {
    let Reached {
        provider,
        crossing,
        mut up,
    } = reached;
    let mut fields = Vec::new();
    inbound::write_fields(&up.head, &up.bytes, crossing, &mut fields);
    crossing.masks.mask_answer(up.body_mut());
    let (status, body) = if up.head.status < 300 {
        let restored = stored::restored(up.body(), provider);
        (
            up.head.status,
            restored.unwrap_or_else(|| up.body().to_vec()),
        )
    } else {
        let mut error = kept::told(&up, Topic::Unknown);
        errand.shard.era.masks.mask(&mut error.body);
        (error.status, error.body)
    };
    if status < 300 && errand.stored.part != stored::Part::InputItems {
        unsettled::settle(errand.shard, errand.id, up.body());
    }
    errand.shard.park(provider.id, up);
    Told {
        status,
        fields,
        body,
        provider: provider.name.clone(),
    }
}

/// Tells a whole answer.
pub(super) async fn tell(
    errand: &Errand<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    told: Told,
) -> After {
    let (shard, request) = (errand.shard, errand.request);
    record.first_byte = Some(clock::now());
    let head = AnswerHead {
        status: told.status,
        media_type: answer_head::JSON,
        framing: answer_head::length(told.body.len()),
        passed_on: PassedOn::Lines(&told.fields),
    };
    let end = head_end(record, record.connection);
    write(caller, record, &head, end, |out| {
        headers::request_id(out, request.id.as_bytes());
        headers::provider(out, &told.provider);
    });
    record.count();
    let mut sent = caller.send_out().await;
    if sent.is_ok() {
        sent = caller.send(Part::own(told.body)).await.0;
    }
    match sent {
        Ok(()) => after::after(shard, record.connection),
        Err(_) => {
            record.caller_gone();
            After::Close
        }
    }
}

/// Relays a stream.
pub(super) async fn relay(
    errand: &Errand<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    reached: Reached<'_>,
) -> (Outcome, After) {
    let (shard, version) = (errand.shard, errand.request.version);
    // Its place among the requests in flight is free when the stream ends.
    let mut pass = record.pass.take();
    write_head(errand, caller, record, &reached);
    let Reached {
        provider,
        crossing,
        mut up,
    } = reached;
    let mut lines = Lines {
        errand,
        provider,
        body: BodyDecoder::new(up.head.framing),
        inflate: up.coding().and_then(Inflate::new),
        pending: Vec::new(),
        bytes_max: shard.server.max_event_bytes,
    };
    let mut fresh = up.head.len;
    loop {
        let mut payload = Vec::new();
        let state = lines.take_in(&up.bytes[fresh..], &mut payload);
        crossing.masks.mask_answer(&mut payload);
        write_payload(version, caller, &payload);
        if state == State::Ended {
            drop(pass.take());
            if version == Version::Http11 {
                caller.out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        up.socket.deadline.clear();
        if !caller.out.is_empty() && caller.send_out().await.is_err() {
            record.caller_gone();
            return (Outcome::CallerGone, After::Close);
        }
        match state {
            State::Ended => return (Outcome::Answered, after::after(shard, record.connection)),
            State::Broken => return (Outcome::StreamCut, After::Close),
            State::GoesOn => {}
        }
        fresh = 0;
        up.watch(&shard.io.buffers, STREAM_READ_BYTES);
        let until = clock::now() + provider.stream_idle_timeout;
        up.socket.deadline.set(until, Cut::Both);
        match up.read_more(caller).await {
            _ if caller.is_gone() => return (Outcome::CallerGone, leave(caller, record)),
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) if up.socket.deadline.is_overdue() => {
                return (Outcome::StreamStalled, After::Close);
            }
            Ok(_) if lines.body.may_end() => up.bytes.clear(),
            Ok(_) | Err(_) => return (Outcome::StreamCut, After::Close),
        }
    }
}

fn write_head(
    errand: &Errand<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    reached: &Reached<'_>,
) {
    let (request, up) = (errand.request, &reached.up);
    record.first_byte = Some(clock::now());
    if request.version == Version::Http10 {
        record.connection = Connection::Close;
    }
    let head = AnswerHead {
        status: up.head.status,
        media_type: answer_head::EVENTS,
        framing: answer_head::framing_of_stream(request.version),
        passed_on: PassedOn::Head(&up.head, &up.bytes, reached.crossing),
    };
    let end = head_end(record, record.connection);
    write(caller, record, &head, end, |out| {
        out.extend_from_slice(headers::STREAM_LINES);
        headers::request_id(out, request.id.as_bytes());
        headers::provider(out, &reached.provider.name);
    });
    record.count();
}

/// The caller has left, or was cut off.
pub(super) fn leave(caller: &Caller, record: &mut Record<'_>) -> After {
    if caller.is_cut_off() {
        record.cut_off();
    }
    record.caller_gone();
    After::Close
}

/// The lines of a stream, on their way.
struct Lines<'p> {
    errand: &'p Errand<'p>,
    body: BodyDecoder,
    inflate: Option<Inflate>,
    /// The beginning of a line whose end has not come yet.
    pending: Vec<u8>,
    provider: &'p Provider,
    bytes_max: usize,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    GoesOn,
    Ended,
    Broken,
}

impl Lines<'_> {
    /// Takes in what was read, and appends the whole lines among it; nothing at all was read where
    /// the body ends with the connection.
    fn take_in(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> State {
        let mut at = 0;
        loop {
            match self.body.next(bytes, &mut at) {
                Ok(Piece::Payload(range)) => {
                    if self.decode(&bytes[range]).is_none() || self.pending.len() > self.bytes_max {
                        return State::Broken;
                    }
                    self.write_lines(out);
                }
                Ok(Piece::More) if bytes.is_empty() => return self.end(out),
                Ok(Piece::More) => return State::GoesOn,
                Ok(Piece::End(_)) => return self.end(out),
                Err(_) => return State::Broken,
            }
        }
    }

    /// Decodes a piece of the body behind what waits; `None`: it cannot be decoded.
    fn decode(&mut self, mut piece: &[u8]) -> Option<()> {
        let Some(inflate) = &mut self.inflate else {
            self.pending.extend_from_slice(piece);
            return Some(());
        };
        while !piece.is_empty() {
            let taken = inflate.step(piece, &mut self.pending).ok()?;
            piece = piece.split_at(taken).1;
            if self.pending.len() > self.bytes_max {
                return None;
            }
        }
        inflate.flush(&mut self.pending).ok()
    }

    fn write_lines(&mut self, out: &mut Vec<u8>) {
        let Some(end) = memchr::memrchr(b'\n', &self.pending) else {
            return;
        };
        let rest = self.pending.split_off(end + 1);
        let lines = std::mem::replace(&mut self.pending, rest);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.write_line(line, out);
        }
    }

    fn write_line(&self, line: &[u8], out: &mut Vec<u8>) {
        let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
        if let Some(data) = data {
            unsettled::settle_by_event(self.errand.shard, self.errand.id, data);
        }
        let restored = data.and_then(|data| stored::restored(data, self.provider));
        match restored {
            Some(data) => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&data);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> State {
        let rest = std::mem::take(&mut self.pending);
        self.write_line(&rest, out);
        State::Ended
    }
}

fn write_payload(version: Version, caller: &mut Caller, payload: &[u8]) {
    caller.make_room();
    match version {
        _ if payload.is_empty() => {}
        Version::Http11 => {
            write_chunk_head(payload.len(), &mut caller.out);
            caller.out.extend_from_slice(payload);
            caller.out.extend_from_slice(b"\r\n");
        }
        Version::Http10 => caller.out.extend_from_slice(payload),
    }
}
