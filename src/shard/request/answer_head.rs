//! The heads of all answers, on their way to the caller.

use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::time::Instant;
use crate::exchange::answer_head::{self, AnswerHead, HeadEnd, PassedOn};
use crate::exchange::headers::{self, Added, Totals};
use crate::exchange::quota::Quota;
use crate::exchange::refusal::Connection;
use crate::exchange::version::Version;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::sys::clock;
use crate::wire::head::Framing;

/// What the head of an answer that a provider has given says about the answer.
pub struct Told {
    /// Place of the candidate that gave it.
    pub place: usize,
    /// The status.
    pub status: u16,
    /// The media type of the body.
    pub media_type: &'static str,
    /// Bytes of the body.
    pub length: usize,
    /// What it has used and cost.
    pub totals: Totals,
    /// How long the provider took.
    pub latency: Duration,
}

/// The end of the head of an answer, given what its caller wants of the connection.
#[must_use]
pub fn head_end<'a>(record: &Record<'a>, wanted: Connection) -> HeadEnd<'a> {
    let (shard, request) = record.of();
    let cors = shard.era.cors.as_ref().zip(request.grant);
    let cors = cors.map_or(&b""[..], |(cors, grant)| cors.lines(grant));
    let end = HeadEnd::new(request.version, shard.connection(wanted), cors);
    let end = end.in_dialect(request.dialect, request.id.as_bytes());
    // Who takes the request in the end is not known when an early head leaves.
    let end = end.with_stay(record.stay.filter(|_| !record.has_early_head));
    match quota(record) {
        Some(quota) => {
            let is_messages = request.dialect == Dialect::Messages;
            end.with_quota(quota, is_messages.then(clock::wall))
        }
        None => end,
    }
}

/// What is left for the caller; `None`: it has no limits and no budgets, and does not pay for those
/// who have.
fn quota(record: &Record<'_>) -> Option<Quota> {
    let (_, request) = record.of();
    let now = || record.first_byte.unwrap_or_else(clock::now);
    if let Some(pass) = &record.pass
        && let Some(quota) = pass.quota(now())
    {
        return Some(quota);
    }
    let (callers, scopes) = request.callers.as_ref().zip(request.scopes())?;
    let model = record.model_override.or(record.model);
    let has_any = scopes.has_any(model);
    has_any.then(|| Quota::of(&scopes, callers.gates(), model, now()))
}

/// Starts the caller's answer with its head, in which `write_own` writes infermux's own fields.
pub fn write(
    caller: &mut Caller,
    record: &mut Record<'_>,
    head: &AnswerHead<'_>,
    end: HeadEnd<'_>,
    write_own: impl FnOnce(&mut Vec<u8>),
) {
    record.status = Some(head.status);
    caller.make_room();
    caller.out.clear();
    head.write(end, &mut caller.out, write_own);
}

/// Starts the caller's answer with its head, which passes on these fields of the provider.
pub fn write_whole<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    told: &Told,
    passed_on: PassedOn<'_>,
) {
    record.first_byte = Some(clock::now());
    let added = job.added(told.place, record, told.latency, told.totals);
    let head = AnswerHead {
        status: told.status,
        media_type: told.media_type,
        framing: answer_head::length(told.length),
        passed_on,
    };
    let end = head_end(record, record.connection);
    write(caller, record, &head, end, |out| {
        headers::add(out, &added);
    });
    record.count();
}

/// Starts an answer that is passed on as it comes.
pub fn write_passed(
    caller: &mut Caller,
    record: &mut Record<'_>,
    head: &AnswerHead<'_>,
    added: &Added<'_>,
) {
    if head.framing == Framing::Close {
        record.connection = Connection::Close;
    }
    let end = head_end(record, record.connection);
    write(caller, record, head, end, |out| headers::add(out, added));
}

/// Starts a streamed answer with its head, at `now`, unless it has been sent.
pub fn write_streamed<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: &Upstream,
    now: Instant,
) {
    record.first_byte = Some(now);
    if record.has_early_head {
        caller.make_room();
        caller.out.clear();
        return;
    }
    let (job, latency) = (attempt.job, now.since(attempt.sent_at));
    let added = job.added(attempt.place, record, latency, Totals::default());
    let head = stream_head(job, up.head.status, attempt.passed_on(up));
    write_events(job, caller, record, &head, |out| headers::add(out, &added));
}

/// Starts a stream with its head while its first content is awaited.
pub fn write_early(job: &Job<'_>, caller: &mut Caller, record: &mut Record<'_>) {
    record.has_early_head = true;
    let head = stream_head(job, 200, PassedOn::Nothing);
    write_events(job, caller, record, &head, |out| {
        headers::request_id(out, job.request.id.as_bytes());
    });
}

fn stream_head<'p>(job: &Job<'_>, status: u16, passed_on: PassedOn<'p>) -> AnswerHead<'p> {
    AnswerHead {
        status,
        media_type: answer_head::EVENTS,
        framing: answer_head::framing_of_stream(job.request.version),
        passed_on,
    }
}

fn write_events(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    head: &AnswerHead<'_>,
    write_own: impl FnOnce(&mut Vec<u8>),
) {
    match job.request.version {
        Version::Http11 => {}
        Version::Http10 => record.connection = Connection::Close,
    }
    let end = head_end(record, record.connection);
    write(caller, record, head, end, |out| {
        out.extend_from_slice(headers::STREAM_LINES);
        write_own(out);
    });
}
