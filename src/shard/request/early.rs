//! The head of a stream that is sent while its first content is awaited, and what ends such a
//! stream in place of a status.

use crate::base::endpoint::Dialect;
use crate::base::time::Instant;
use crate::dialect::shell;
use crate::dialect::shell::sign::Sign;
use crate::exchange::refusal::{Connection, Refusal};
use crate::exchange::request::Request;
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::signs::Signs;
use crate::shard::request::after::After;
use crate::shard::request::answer_head;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::sys::clock;
use crate::wire::chunked::write_chunk_head;
use crate::wire::sse;

/// Whether the caller is to be sent the head of its stream before the candidate `place` is asked.
#[must_use]
pub fn is_due(job: &Job<'_>, record: &Record<'_>, place: usize) -> bool {
    let is_wanted = job.request.wants_early_head || job.provider_at(place).early_head;
    is_wanted && job.wants_stream() && !record.has_early_head
}

/// Sends the head of a stream. Other providers can still take over.
pub async fn begin(job: &Job<'_>, caller: &mut Caller, record: &mut Record<'_>) {
    answer_head::write_early(job, caller, record);
    // A caller that has left is noticed by whoever waits for the provider.
    let _ = caller.send_out().await;
    let sign = Sign::Fixed(shell::early_sign(job.request.dialect));
    show_signs(job, caller, sign, clock::now());
}

/// From `now` on, the caller is sent signs of life, the next of which is `sign`, while nothing else
/// is.
pub fn show_signs(job: &Job<'_>, caller: &mut Caller, sign: Sign, now: Instant) {
    let every = job.shard.server.heartbeat;
    caller.signs = Signs::new(sign, job.request.version, every, now);
}

/// Ends a stream that has its head, and no content, with a refusal.
pub async fn refuse(
    caller: &mut Caller,
    request: &Request,
    record: &mut Record<'_>,
    refusal: &Refusal<'_>,
) -> After {
    record.error = Some(refusal.row().code);
    let mut event = Vec::new();
    refusal.write_frame(request.dialect, request.id.as_str(), &mut event);
    end(caller, request, record, &event);
    if caller.send_out().await.is_err() {
        record.caller_gone();
    }
    After::Close
}

/// Ends a stream that has its head, and no content, with the error of a provider; the bytes are to
/// be sent.
pub fn tell(caller: &mut Caller, request: &Request, record: &mut Record<'_>, error: &[u8]) {
    let mut event = Vec::new();
    if request.dialect == Dialect::Messages {
        event.extend_from_slice(b"event: error\n");
    }
    sse::write_event(error, &mut event);
    end(caller, request, record, &event);
}

/// Writes the last event of a stream, which is not followed by the last chunk.
fn end(caller: &mut Caller, request: &Request, record: &mut Record<'_>, event: &[u8]) {
    record.first_byte = Some(clock::now());
    record.connection = Connection::Close;
    record.count();
    caller.make_room();
    let out = &mut caller.out;
    out.clear();
    match request.version {
        Version::Http11 => {
            write_chunk_head(event.len(), out);
            out.extend_from_slice(event);
            out.extend_from_slice(b"\r\n");
        }
        Version::Http10 => out.extend_from_slice(event),
    }
}
