//! Answers that are not streamed: they are inspected once they are whole, and sent on.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::limits::{
    INSPECTED_AT_ONCE_BYTES_MAX, ONE_SEND_BYTES_MAX, TRANSLATED_AT_ONCE_BYTES_MAX,
};
use crate::base::time::Instant;
use crate::decide::outcome::{Failure, Outcome};
use crate::dialect::answer as anthropic;
use crate::exchange::answer::{self, AnswerFault, AnswerView};
use crate::exchange::course::Course;
use crate::exchange::headers::Totals;
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::request::answer_head::{self, Told};
use crate::shard::request::attempt::Attempt;
use crate::shard::request::lost;
use crate::shard::request::record::{Record, ResponseTime};
use crate::shard::request::retold;
use crate::sys::clock;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// Relays a 2xx answer, unless it turns out to be none.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    mut up: Upstream,
) -> Outcome {
    let (job, arrived) = (attempt.job, clock::now());
    let view = match inspect(attempt, &mut up).await {
        Ok(view) => view,
        Err(fault) => {
            let outcome = Outcome::Failed(match fault {
                AnswerFault::Malformed => Failure::Malformed,
                AnswerFault::Error => Failure::ErrorObject,
                AnswerFault::NoChoices | AnswerFault::NoData => Failure::NoChoices,
            });
            return lost::fail(attempt, record, up, outcome).await;
        }
    };
    let used = (view.usage, view.text_bytes);
    let at = up.head.len..up.end;
    let Ok(events) = retold::events(attempt, &mut up.bytes, at, used).await else {
        return lost::fail(attempt, record, up, Outcome::Failed(Failure::Malformed)).await;
    };
    course.commit();
    job.let_go(caller);
    let totals = settle(attempt, record, arrived, used).await;
    if let Some(mut events) = events {
        events.totals = totals;
        return retold::relay(attempt, caller, record, up, events).await;
    }
    let splice = answer::edit_answer(up.body(), &view, attempt.caller_model());
    let (status, length) = (up.head.status, splice.len());
    let told = Told {
        place: attempt.place,
        status,
        length,
        totals,
        latency: arrived.since(attempt.sent_at),
    };
    answer_head::write_whole(job, caller, record, &told, attempt.passed_on(&up));
    if splice.len() > ONE_SEND_BYTES_MAX {
        let pieces = pieces_of(&splice, &up.bytes);
        let (bytes, _held) =
            job.shard
                .pool
                .park_without_bytes(&job.shard.io, attempt.candidate().provider, up);
        return sent(send_pieces(caller, bytes, pieces).await, Outcome::Answered);
    }
    splice.write(&mut caller.out);
    job.shard.park(attempt.candidate().provider, up);
    sent(caller.send_out().await, Outcome::Answered)
}

/// Translates a 2xx answer of another dialect and relays it, unless it turns out to be none.
pub async fn translate<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    mut up: Upstream,
) -> Outcome {
    let (job, arrived) = (attempt.job, clock::now());
    let created = clock::wall().unix_millis() / 1_000;
    let mut body = Vec::new();
    let answer = translated(attempt, &mut up, created, &mut body).await;
    // It is there, whether or not it may be; nothing else is asked for it.
    let mut held = job.shard.io.lease.hold();
    held.insist_on(body.capacity());
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            return lost::fail(attempt, record, up, fault.outcome()).await;
        }
    };
    let used = (answer.usage, answer.text_bytes);
    let at = 0..body.len();
    let Ok(events) = retold::events(attempt, &mut body, at, used).await else {
        return lost::fail(attempt, record, up, Outcome::Failed(Failure::Malformed)).await;
    };
    course.commit();
    job.let_go(caller);
    let totals = settle(attempt, record, arrived, used).await;
    if let Some(mut events) = events {
        events.totals = totals;
        return retold::relay(attempt, caller, record, up, events).await;
    }
    let (status, length) = (up.head.status, body.len());
    let told = Told {
        place: attempt.place,
        status,
        length,
        totals,
        latency: arrived.since(attempt.sent_at),
    };
    answer_head::write_whole(job, caller, record, &told, attempt.passed_on(&up));
    job.shard.park(attempt.candidate().provider, up);
    if body.len() <= ONE_SEND_BYTES_MAX {
        caller.out.extend_from_slice(&body);
        return sent(caller.send_out().await, Outcome::Answered);
    }
    let sending = caller.send_out().await;
    held.clear();
    let sending = match sending {
        Ok(()) => caller.send(Part::own(body)).await.0,
        Err(gone) => Err(gone),
    };
    sent(sending, Outcome::Answered)
}

/// Inspects an answer. A helper thread inspects a large one; the request waits for it, because the
/// answer is paid for.
async fn inspect(attempt: &Attempt<'_, '_>, up: &mut Upstream) -> Result<AnswerView, AnswerFault> {
    let (shard, endpoint) = (attempt.job.shard, attempt.job.endpoint);
    if up.body().len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        attempt.crossing().masks.mask_answer(up.body_mut());
        return answer::inspect(up.body(), endpoint);
    }
    up.socket.deadline.clear();
    let (mut bytes, at) = (std::mem::take(&mut up.bytes), up.head.len..up.end);
    let (era, id) = (Arc::clone(&shard.era), attempt.candidate().provider);
    let work = move || {
        let masks = era.prefixes(id).masks();
        masks.mask_answer(&mut bytes[at.clone()]);
        let view = answer::inspect(&bytes[at], endpoint);
        (bytes, view)
    };
    match help::make(&shard.helpers, WhenFull::Wait, work).await {
        Ok((bytes, view)) => {
            up.bytes = bytes;
            view
        }
        // The work has panicked, and the answer is gone with it.
        Err(_) => Err(AnswerFault::Malformed),
    }
}

/// Translates an answer; a large one by a helper thread, which is waited for.
async fn translated(
    attempt: &Attempt<'_, '_>,
    up: &mut Upstream,
    created: u64,
    body: &mut Vec<u8>,
) -> Result<anthropic::Translated, anthropic::AnswerFault> {
    if up.body().len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        let answer = anthropic::write(up.body(), attempt.caller_model(), created, body);
        attempt.crossing().masks.mask_answer(body);
        return answer;
    }
    up.socket.deadline.clear();
    let (bytes, at) = (std::mem::take(&mut up.bytes), up.head.len..up.end);
    let model = attempt.caller_model().to_vec();
    let era = Arc::clone(&attempt.job.shard.era);
    let id = attempt.candidate().provider;
    let work = move || {
        let mut made = Vec::new();
        let answer = anthropic::write(&bytes[at], &model, created, &mut made);
        era.prefixes(id).masks().mask_answer(&mut made);
        (bytes, answer, made)
    };
    match help::make(&attempt.job.shard.helpers, WhenFull::Wait, work).await {
        Ok((bytes, answer, made)) => {
            (up.bytes, *body) = (bytes, made);
            answer
        }
        // The work has panicked, and the answer is gone with it.
        Err(_) => Err(anthropic::AnswerFault::Malformed),
    }
}

/// Settles an answer that had arrived whole at `arrived`, before any of it leaves.
async fn settle<'a>(
    attempt: &Attempt<'_, 'a>,
    record: &mut Record<'a>,
    arrived: Instant,
    (usage, text_bytes): (Option<Usage>, usize),
) -> Totals {
    let job = attempt.job;
    let latency = arrived.since(attempt.sent_at);
    record.response_time = Some(ResponseTime::Whole(latency));
    record.waited += arrived.since(attempt.started);
    let used = attempt.used(usage, text_bytes);
    record.settle(used);
    job.shard.note_answer(job.routed.id, used.completion);
    let sample = Sample {
        latency,
        kind: SampleKind::WholeAnswer,
    };
    attempt.settle(arrived, Outcome::Answered, Some(sample), used.sum());
    attempt.enforce_probe().await;
    used.totals()
}

/// A part of a large answer.
enum AnswerPart {
    /// A part of the provider's bytes, which is sent from where it is.
    Range(Range<usize>),
    /// Something small that goes between.
    Bytes(Vec<u8>),
}

fn pieces_of(splice: &Splice<'_>, bytes: &[u8]) -> Vec<AnswerPart> {
    let inside = bytes.as_ptr_range();
    let piece = |piece: &[u8]| {
        if inside.contains(&piece.as_ptr()) {
            let from = piece.as_ptr() as usize - bytes.as_ptr() as usize;
            AnswerPart::Range(from..from + piece.len())
        } else {
            AnswerPart::Bytes(piece.to_vec())
        }
    };
    splice.pieces().map(piece).collect()
}

/// Sends the head that stands in the caller's buffer, and the pieces of a large body behind it.
async fn send_pieces(
    caller: &mut Caller,
    bytes: Vec<u8>,
    pieces: Vec<AnswerPart>,
) -> io::Result<()> {
    let bytes = Rc::new(bytes);
    caller.send_out().await?;
    for piece in pieces {
        let part = match piece {
            AnswerPart::Range(range) => Part::shared(Rc::clone(&bytes), range),
            AnswerPart::Bytes(bytes) => Part::own(bytes),
        };
        caller.send(part).await.0?;
    }
    Ok(())
}

/// What an answer's end means, given whether the caller took it.
fn sent(result: io::Result<()>, outcome: Outcome) -> Outcome {
    result.map_or(Outcome::CallerGone, |()| outcome)
}
