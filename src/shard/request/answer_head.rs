//! The heads of answers that providers have given.

use std::time::Duration;

use crate::base::time::Instant;
use crate::exchange::headers::{self, TRAILER_ANNOUNCEMENT, Totals};
use crate::exchange::inbound;
use crate::exchange::refusal::Connection;
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::head_end::head_end;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::sys::clock;

/// What the head of an answer says about the answer.
pub struct Told {
    /// Place of the candidate that gave it.
    pub place: usize,
    /// The status.
    pub status: u16,
    /// Bytes of the body.
    pub length: usize,
    /// What it has used and cost.
    pub totals: Totals,
    /// How long the provider took.
    pub latency: Duration,
}

/// Starts the caller's answer with its head.
pub fn write_head<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    told: &Told,
    write_fields: impl FnOnce(&mut Vec<u8>),
) {
    record.status = Some(told.status);
    record.first_byte = Some(clock::now());
    caller.make_room();
    let out = &mut caller.out;
    out.clear();
    let begun = inbound::begin(told.status, out);
    out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(told.length).as_bytes());
    out.extend_from_slice(b"\r\n");
    write_fields(out);
    headers::add(
        out,
        &job.added(told.place, record, told.latency, told.totals),
    );
    head_end(job.shard, job.request, record.connection).write(begun, out);
    record.count();
}

/// Starts the caller's answer with its head, in which the provider's fields stand.
pub fn write_answer_head<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: &Upstream,
    told: &Told,
) {
    write_head(attempt.job, caller, record, told, |out| {
        inbound::write_fields(&up.head, &up.bytes, attempt.crossing(), out);
    });
}

/// Starts a streamed answer with its head, at `now`.
pub fn begin<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: &Upstream,
    now: Instant,
) {
    record.status = Some(up.head.status);
    record.first_byte = Some(now);
    caller.make_room();
    let out = &mut caller.out;
    let begun = inbound::begin(up.head.status, out);
    out.extend_from_slice(b"Content-Type: text/event-stream; charset=utf-8\r\n");
    out.extend_from_slice(headers::STREAM_LINES);
    inbound::write_fields(&up.head, &up.bytes, attempt.crossing(), out);
    let latency = now.since(attempt.sent_at);
    let (job, place) = (attempt.job, attempt.place);
    headers::add(out, &job.added(place, record, latency, Totals::default()));
    let request = attempt.job.request;
    match request.version {
        Version::Http11 => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            out.extend_from_slice(TRAILER_ANNOUNCEMENT);
        }
        // Only the connection's end can tell such a caller that the stream is over.
        Version::Http10 => record.connection = Connection::Close,
    }
    head_end(job.shard, request, record.connection).write(begun, out);
}
