//! Makes one attempt at one provider: connection, request, the answer's head, and what follows from
//! its status.

use std::rc::Rc;

use crate::base::limits::UNATTENDED_BYTES_MAX;
use crate::base::time::Instant;
use crate::decide::outcome::{Outcome, Waiting};
use crate::exchange::auth;
use crate::exchange::carried::Carried;
use crate::exchange::course::{Course, Fresh, Try};
use crate::exchange::outbound::Outbound;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::kind;
use crate::shard::http::receive;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::attempt::{Attempt, End};
use crate::shard::request::conclude;
use crate::shard::request::connect;
use crate::shard::request::job::Job;
use crate::shard::request::lost;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::passed;
use crate::shard::request::record::Record;
use crate::shard::request::rewritten::{Edits, Translated};
use crate::shard::request::send::send;
use crate::shard::request::stream;
use crate::shard::request::upload::{self, Stop};
use crate::shard::request::words::Words;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::write_chunk_head;
use crate::wire::head::Framing;
use crate::wire::known::Known;
use crate::wire::seen::Seen;
use crate::wire::splice::Splice;

/// Makes one attempt at a candidate of the job's route.
pub async fn attempt<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    this: Try,
) -> End {
    let provider = job.provider_at(this.place);
    record.words = Words::default();
    let deadline = course.attempt_deadline(this.started, provider.timeout);
    let (mut up, sent_at) = match connection(job, caller, &this, deadline).await {
        Ok(connected) => connected,
        Err(outcome) => return End::Outcome(outcome),
    };
    let overall = course.deadline();
    let (mut attempt, credential) = Attempt::new(job, &caller.head, &this, sent_at, overall);
    attempt.note_sent(record);
    up.socket.deadline.set(deadline, Cut::Both);
    let head = match send_request(&attempt, caller, &mut up, credential).await {
        Ok(()) if caller.is_gone() => Err(Outcome::CallerGone),
        Ok(()) if caller.upload.is_some() => {
            match Box::pin(upload::pump(&mut attempt, caller, record, &mut up)).await {
                Ok(()) => up.read_head(caller).await,
                Err(Stop::Outcome(outcome)) => return End::Outcome(outcome),
                Err(Stop::Refused(refusal)) => return End::Refused(refusal),
            }
        }
        Ok(()) => up.read_head(caller).await,
        Err(outcome) => return End::Outcome(outcome),
    };
    if let Err(outcome) = head {
        // Where the caller has left, the provider has the request and bills its prompt.
        let seen = (outcome == Outcome::CallerGone).then(Seen::default);
        return End::Outcome(attempt.abandoned(record, seen, outcome));
    }
    record.hear(
        up.head.status,
        Words::of_head(attempt.crossing().masks, &up),
    );
    heed_head(&attempt, &up);
    if passed::is_due(&attempt, &up) {
        // In a box of its own: few requests need the room.
        let relay = Box::pin(passed::relay(&attempt, caller, record, course, up));
        return End::Outcome(relay.await);
    }
    match kind::of(job.wants_stream(), caller, &mut up).await {
        Ok(kind::Kind::Stream) => {
            End::Outcome(stream::relay(&attempt, caller, record, course, up).await)
        }
        Ok(kind::Kind::Whole) => match read_whole(&attempt, caller, record, &mut up).await {
            Ok(()) => conclude::whole(&attempt, caller, record, course, up).await,
            Err(end) => end,
        },
        Err(outcome) => {
            let seen = lost::seen(&attempt, &mut up).await;
            End::Outcome(attempt.abandoned(record, seen, outcome))
        }
    }
}

/// Takes note of what the head of an answer says about the provider.
fn heed_head(attempt: &Attempt<'_, '_>, up: &Upstream) {
    if (200..=299).contains(&up.head.status) {
        attempt.learn();
    }
    if up.head.status != 429
        && let Some(span) = up.used_up()
    {
        attempt.put_aside(Some(span));
    }
}

/// A connection for the attempt, and when the request can be sent over it.
pub(super) async fn connection(
    job: &Job<'_>,
    caller: &mut Caller,
    this: &Try,
    deadline: Instant,
) -> Result<(Box<Upstream>, Instant), Outcome> {
    if caller.is_gone() {
        return Err(Outcome::CallerGone);
    }
    let shard = job.shard;
    let id = job.routed.route.candidates[this.place].provider;
    // What is sent on as it arrives cannot be sent again.
    if this.fresh == Fresh::NotNeeded
        && caller.upload.is_none()
        && let Some(pooled) = shard.pool.take(id, this.started)
    {
        return Ok((pooled, this.started));
    }
    let (up, sent_at) = match caller
        .unless_gone(connect::connect(shard, id, deadline))
        .await
    {
        Some(Ok(opened)) => (Box::new(opened), clock::now()),
        None => return Err(Outcome::CallerGone),
        Some(Err(_)) if caller.is_gone() => return Err(Outcome::CallerGone),
        Some(Err(fault)) => return Err(Outcome::ConnectFailed(fault)),
    };
    if caller.is_gone() {
        shard.pool.put_idle(&shard.io, id, up);
        return Err(Outcome::CallerGone);
    }
    Ok((up, sent_at))
}

/// Reads an answer that is not streamed to its end; how the attempt ends where that cannot be.
async fn read_whole(
    attempt: &Attempt<'_, '_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    up: &mut Upstream,
) -> Result<(), End> {
    let limit = receive::limit(up.head.status);
    if receive::has_arrived(up, limit) {
        return Ok(());
    }
    // Whoever refuses a request bills nothing.
    let is_success = (200..=299).contains(&up.head.status);
    match receive::read(&attempt.job.shard.io, caller, up, limit).await {
        Ok(()) => Ok(()),
        Err(receive::Stop::Outcome(outcome)) => {
            let seen = if is_success {
                lost::seen(attempt, up).await
            } else {
                None
            };
            Err(End::Outcome(attempt.abandoned(record, seen, outcome)))
        }
        Err(receive::Stop::Overloaded) => {
            if is_success {
                lost::book_unheld(attempt, record, up).await;
            }
            Err(End::Refused(Refusal::Overloaded))
        }
    }
}

/// Sends the request.
pub(super) async fn send_request(
    attempt: &Attempt<'_, '_>,
    caller: &mut Caller,
    up: &mut Upstream,
    credential: auth::Credential<'_>,
) -> Result<(), Outcome> {
    let job = attempt.job;
    let translated = job.translated.borrow().as_ref().map(Translated::bytes);
    let edits = job.edits.borrow().as_ref().map(Edits::edited);
    let message = Rc::clone(&caller.bytes);
    let (source, body) = match &translated {
        Some(bytes) => (bytes, &bytes[..]),
        // No provider is sent a body of another dialect.
        None if job.is_translated_at(attempt.place) => return Err(Outcome::Untranslatable),
        None => (&message, &message[job.body.clone()]),
    };
    let splice = match &edits {
        Some(edits) => edits.splice(body),
        None if translated.is_some() => Splice::new(body),
        None => attempt.edited(body),
    };
    caller.out.clear();
    caller.make_room();
    let mut out = std::mem::take(&mut caller.out);
    let prefixes = job.shard.era.prefixes(attempt.candidate().provider);
    let outbound = Outbound {
        dialect: attempt.dialect(),
        model: attempt.upstream_model(),
        credential,
        key: attempt.key,
        request_id: job.request.id.as_bytes(),
        caller: (&caller.head, job.head),
        trace: job.request.trace.as_deref().zip(attempt.span),
    };
    match job.parcel.filter(|parcel| parcel.is_carried()) {
        None => prefixes.write(job.endpoint, &outbound, splice.len(), &mut out),
        Some(parcel) => {
            let carried = carried((job, parcel), caller, splice.len());
            prefixes.write_carried(job.endpoint, &outbound, &carried, &mut out);
            if carried.framing == Framing::Chunked {
                write_chunk_head(splice.len(), &mut out);
            }
        }
    }
    let sent = if out.len() + splice.len() <= UNATTENDED_BYTES_MAX {
        splice.write(&mut out);
        up.socket.writer.send_unattended(Part::own(out))
    } else {
        send(source, caller, up, out, &splice).await
    };
    match sent {
        Ok(()) => Ok(()),
        Err(_) if caller.is_gone() => Err(Outcome::CallerGone),
        Err(_) if !up.has_arrived() && up.socket.deadline.is_overdue() => {
            Err(Outcome::TimedOut(Waiting::Head))
        }
        // A provider that refuses a request may answer, and close, before it has read all of it.
        Err(_) => Ok(()),
    }
}

/// How a request is sent that is passed on, of whose body `length` bytes are there.
fn carried<'c>(
    (job, parcel): (&'c Job<'_>, &'c Parcel),
    caller: &Caller,
    length: usize,
) -> Carried<'c> {
    let media = caller.head.value_of(job.head, Known::ContentType);
    let framing = match caller.upload.as_deref().map(|upload| &upload.body) {
        None => Framing::Length(length as u64),
        Some(BodyDecoder::Length(left)) => Framing::Length(length as u64 + left),
        Some(BodyDecoder::Chunked(_) | BodyDecoder::Close) => Framing::Chunked,
    };
    let (method, path, query) = match &parcel.passed {
        None => (&b"POST"[..], "", &b""[..]),
        Some(passed) => {
            let method = &job.head[caller.head.method.clone()];
            let target = &job.head[caller.head.target.clone()];
            let mark = target.iter().position(|byte| *byte == b'?');
            let query = mark.and_then(|mark| target.get(mark + 1..));
            (method, &*passed.path, query.unwrap_or_default())
        }
    };
    Carried {
        method,
        path,
        query,
        media,
        framing,
    }
}
