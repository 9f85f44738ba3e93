//! The head of a stream that is sent while its first content is awaited, and what ends such a
//! stream in place of a status.

use crate::base::endpoint::Dialect;
use crate::base::time::Instant;
use crate::decide::outcome::KeyOwner;
use crate::dialect::responses::blame;
use crate::dialect::responses::failure;
use crate::dialect::responses::write_failed::Failed;
use crate::dialect::shell;
use crate::dialect::shell::sign::Sign;
use crate::exchange::refusal::{Connection, Refusal};
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::signs::Signs;
use crate::shard::request::after::{self, After};
use crate::shard::request::answer_head;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::chunked::write_chunk_head;
use crate::wire::json;
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

/// The event that ends a stream which has its head, and no content, with a refusal.
#[must_use]
pub fn refusal(record: &Record<'_>, refusal: &Refusal<'_>) -> Vec<u8> {
    let (shard, request) = record.of();
    let mut event = Vec::new();
    match request.dialect {
        Dialect::Chat | Dialect::Messages => {
            refusal.write_frame(request.dialect, request.id.as_str(), &mut event);
        }
        Dialect::Responses => {
            // Whoever repeats it is refused again.
            let code = match matches!(refusal, Refusal::InvalidRequest(_)) {
                true => blame::INVALID,
                false => blame::SERVER_ERROR,
            };
            let message = json::quoted(&refusal.to_string());
            write_failed(shard, record, (code, &message), &mut event);
        }
    }
    event
}

/// Ends a stream that has its head, and no content, with the error of a provider; the bytes are to
/// be sent.
pub fn tell(job: &Job<'_>, caller: &mut Caller, record: &mut Record<'_>, error: &[u8]) {
    let (shard, request) = (job.shard, job.request);
    let mut event = Vec::new();
    match request.dialect {
        Dialect::Chat => sse::write_event(error, &mut event),
        Dialect::Messages => {
            event.extend_from_slice(b"event: error\n");
            sse::write_event(error, &mut event);
        }
        Dialect::Responses => {
            // That an account is spent is told only to its owner.
            let failure = failure::read(error, Dialect::Chat, KeyOwner::Caller);
            let code = match failure.code {
                // What is told is about the request.
                blame::SERVER_ERROR => blame::INVALID,
                code => code,
            };
            write_failed(shard, record, (code, &failure.message), &mut event);
        }
    }
    tell_events(caller, record, &event);
}

/// Ends a stream that has its head, and no content, with the events by which its provider did; the
/// bytes are to be sent.
pub fn tell_events(caller: &mut Caller, record: &mut Record<'_>, events: &[u8]) {
    caller.make_room();
    caller.out.clear();
    end(record, events, &mut caller.out);
}

/// Appends what ends a stream of Responses before anything of a response was told.
fn write_failed(
    shard: &Shard,
    record: &Record<'_>,
    (code, message): (&str, &[u8]),
    out: &mut Vec<u8>,
) {
    let mut random = shard.random.borrow_mut();
    let failed = Failed {
        seed: [random.next_u64(), random.next_u64()],
        created: clock::wall().unix_millis() / 1_000,
        caller_model: &json::quoted(record.model.unwrap_or_default()),
        code,
        message,
    };
    failed.write(out);
}

/// Appends the last event of a stream. That of Responses cannot be taken for success, and Codex
/// reads it only where the body ends properly; the others are not followed by the last chunk.
pub fn end(record: &mut Record<'_>, event: &[u8], out: &mut Vec<u8>) -> After {
    let (shard, request) = record.of();
    let last_chunk: &[u8] = match (request.dialect, request.version) {
        (Dialect::Responses, Version::Http11) => b"0\r\n\r\n",
        (Dialect::Chat | Dialect::Messages | Dialect::Responses, _) => {
            record.connection = Connection::Close;
            b""
        }
    };
    record.first_byte = Some(clock::now());
    record.count();
    match request.version {
        Version::Http11 => {
            write_chunk_head(event.len(), out);
            out.extend_from_slice(event);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(last_chunk);
        }
        Version::Http10 => out.extend_from_slice(event),
    }
    after::after(shard, record.connection)
}
