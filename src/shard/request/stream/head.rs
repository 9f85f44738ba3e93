//! The head of a streamed answer.

use crate::base::time::Instant;
use crate::exchange::headers::{self, TRAILER_ANNOUNCEMENT, Totals};
use crate::exchange::inbound;
use crate::exchange::refusal::Connection;
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::head_end::head_end;
use crate::shard::request::record::Record;

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
