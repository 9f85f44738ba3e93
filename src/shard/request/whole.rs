//! Answers that are not streamed: they are inspected once they are whole, and sent on.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::{
    INSPECTED_AT_ONCE_BYTES_MAX, ONE_SEND_BYTES_MAX, TRANSLATED_AT_ONCE_BYTES_MAX,
};
use crate::base::time::Instant;
use crate::decide::outcome::{Failure, KeyOwner, Outcome};
use crate::dialect::answer::{AnswerFault, ItemPlace, Known};
use crate::dialect::answers::{self, AnswerPlan};
use crate::dialect::chat;
use crate::dialect::messages;
use crate::dialect::passed_on;
use crate::dialect::request::Kept;
use crate::dialect::responses;
use crate::dialect::shell::plan::Wanted;
use crate::dialect::view::View;
use crate::exchange::answer_head::JSON;
use crate::exchange::course::Course;
use crate::exchange::headers::Totals;
use crate::link::buffered::Held;
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::request::answer_head::{self, Told};
use crate::shard::request::attempt::Attempt;
use crate::shard::request::bridged;
use crate::shard::request::error::Error;
use crate::shard::request::lost;
use crate::shard::request::record::Record;
use crate::shard::request::response_time::ResponseTime;
use crate::shard::request::retold::{self, Events};
use crate::shard::request::unsettled;
use crate::sys::clock;
use crate::wire::json;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// A 2xx answer as the caller gets it.
struct Answer {
    /// What the router knows of it.
    view: View,
    /// The answer in the caller's dialect, where that is not the provider's.
    written: Option<Written>,
}

impl Answer {
    /// The bytes that the caller's body stands in, and where.
    fn body<'b>(&'b mut self, up: &'b mut Upstream) -> (&'b mut Vec<u8>, Range<usize>) {
        match &mut self.written {
            Some(written) => {
                let at = 0..written.body.len();
                (&mut written.body, at)
            }
            None => {
                let at = up.head.len..up.end;
                (&mut up.bytes, at)
            }
        }
    }
}

/// An answer that was written anew, and what counts it in memory.
struct Written {
    body: Vec<u8>,
    /// Where the items of a response stand in it.
    items: SmallVec<[ItemPlace; 1]>,
    held: Held,
}

/// Relays a 2xx answer, in the caller's dialect, unless it turns out to be none.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    mut up: Box<Upstream>,
) -> Outcome {
    let (job, arrived) = (attempt.job, clock::now());
    let read = if attempt.is_translated() {
        translated(attempt, &mut up).await
    } else if up.body().len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        inspect_now(attempt, &mut up)
    } else {
        inspect_by_helper(attempt, &mut up).await
    };
    let mut answer = match read {
        Ok(answer) => answer,
        Err(fault) => return lost::fail(attempt, record, up, fault.outcome()).await,
    };
    note_id(attempt, record, up.body());
    let used = (answer.view.usage, answer.view.text_bytes);
    let whole = answer.body(&mut up);
    let events = if job.wants_stream() {
        retold::events(attempt, whole, used).await.map(Some)
    } else {
        Ok(None)
    };
    let Ok(events) = events else {
        return lost::fail(attempt, record, up, Outcome::Failed(Failure::Malformed)).await;
    };
    if answer.view.is_overflow {
        attempt.note_error(record, up.body());
        let told = overflow(attempt, &up, &answer.view, events);
        return lost::overflow(attempt, record, up, told).await;
    }
    keep(attempt, record, &answer, up.body());
    job.let_go(caller, course.commit());
    let totals = settle(attempt, record, arrived, used).await;
    if let Some(mut events) = events {
        events.totals = totals;
        // The events say all that it says.
        drop(answer.written.take());
        return retold::relay(attempt, caller, record, up, events).await;
    }
    let told = Told {
        place: attempt.place,
        status: up.head.status,
        media_type: JSON,
        length: 0,
        totals,
        latency: arrived.since(attempt.sent_at),
    };
    let sending = Sending { up, told };
    let sent = match answer.written {
        Some(written) => send_written(attempt, caller, record, sending, written).await,
        None => send_edited(attempt, caller, record, sending, &answer.view).await,
    };
    sent.map_or(Outcome::CallerGone, |()| Outcome::Answered)
}

/// Takes note of the id of an answer, which the provider has given as `body`, where it has one.
fn note_id(attempt: &Attempt<'_, '_>, record: &mut Record<'_>, body: &[u8]) {
    if let Some(journal) = &mut record.journal
        && attempt.own_endpoint().is_written()
        && let Some(id) = json::member(body, b"id")
    {
        journal.answered(attempt.crossing().masks, &id.value.word());
    }
}

/// What the caller is told of an answer which says that the prompt is too long.
fn overflow(
    attempt: &Attempt<'_, '_>,
    up: &Upstream,
    view: &View,
    events: Option<Events>,
) -> Error {
    let status = up.head.status;
    if let Some(events) = events {
        return Error::events(status, events.bytes);
    }
    let mut body = Vec::new();
    view.edit(up.body(), attempt.caller_model())
        .write(&mut body);
    Error::object(status, body)
}

/// Keeps what later requests may refer to of an answer, which the provider has given as `body`, and
/// what it teaches.
fn keep(attempt: &Attempt<'_, '_>, record: &Record<'_>, answer: &Answer, body: &[u8]) {
    bridged::learn(attempt);
    if let (Some(parcel), Some(units)) = (attempt.job.parcel, &answer.view.units) {
        parcel.tell(**units);
    }
    let made = attempt.made();
    if made.is_kept() {
        match &answer.written {
            Some(written) => made.take_response(&written.body, &written.items),
            None => made.take_response(body, &[]),
        }
        attempt.learn_asked_for(&made);
    }
    if answer.written.is_none() {
        let used = (answer.view.usage, answer.view.text_bytes);
        unsettled::remember(attempt, record, used, body);
    }
}

/// An answer of a provider that is sent on, and what its head says.
struct Sending {
    up: Box<Upstream>,
    told: Told,
}

/// Sends the provider's own bytes, with the caller's name for the model.
async fn send_edited<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    sending: Sending,
    view: &View,
) -> io::Result<()> {
    let Sending { up, told } = sending;
    let (shard, id) = (attempt.job.shard, attempt.candidate().provider);
    let splice = view.edit(up.body(), attempt.caller_model());
    let told = Told {
        length: splice.len(),
        ..told
    };
    answer_head::write_whole(attempt.job, caller, record, &told, attempt.passed_on(&up));
    if splice.len() > ONE_SEND_BYTES_MAX {
        let pieces = pieces_of(&splice, &up.bytes);
        let (bytes, _held) = shard.pool.park_without_bytes(&shard.io, id, up);
        return send_pieces(caller, bytes, pieces).await;
    }
    splice.write(&mut caller.out);
    shard.park(id, up);
    caller.send_out().await
}

/// Sends an answer that was written anew.
async fn send_written<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    sending: Sending,
    mut written: Written,
) -> io::Result<()> {
    let Sending { up, told } = sending;
    let told = Told {
        length: written.body.len(),
        ..told
    };
    answer_head::write_whole(attempt.job, caller, record, &told, attempt.passed_on(&up));
    attempt.job.shard.park(attempt.candidate().provider, up);
    if written.body.len() <= ONE_SEND_BYTES_MAX {
        caller.out.extend_from_slice(&written.body);
        attempt.job.shard.io.buffers.give(written.body);
        return caller.send_out().await;
    }
    caller.send_out().await?;
    // What is on its way is counted there.
    written.held.clear();
    caller.send(Part::own(written.body)).await.0
}

/// An answer that stays as the provider has written it.
fn as_it_is(view: View) -> Answer {
    Answer {
        view,
        written: None,
    }
}

/// Inspects an answer in the caller's own dialect.
fn inspect_now(attempt: &Attempt<'_, '_>, up: &mut Upstream) -> Result<Answer, AnswerFault> {
    attempt.crossing().masks.mask_answer(up.body_mut());
    let (shard, id) = (attempt.job.shard, attempt.candidate().provider);
    let (endpoint, body) = (attempt.own_endpoint(), up.body());
    if let Some(view) = shard.outlined(id, endpoint, body) {
        return Ok(as_it_is(view));
    }
    let view = view(endpoint, body, attempt.key)?;
    shard.note_outline(id, endpoint, body, &view);
    Ok(as_it_is(view))
}

/// As [`inspect_now`], for a large answer: a helper thread does it. The request waits for that,
/// because the answer is paid for.
async fn inspect_by_helper(
    attempt: &Attempt<'_, '_>,
    up: &mut Upstream,
) -> Result<Answer, AnswerFault> {
    let (shard, endpoint) = (attempt.job.shard, attempt.own_endpoint());
    up.socket.deadline.clear();
    let (mut bytes, at) = (std::mem::take(&mut up.bytes), up.head.len..up.end);
    let (era, id) = (Arc::clone(&shard.era), attempt.candidate().provider);
    let key = attempt.key;
    let work = move || {
        let masks = era.prefixes(id).masks();
        masks.mask_answer(&mut bytes[at.clone()]);
        let view = view(endpoint, &bytes[at], key);
        (bytes, view)
    };
    match help::make(&shard.helpers, WhenFull::Wait, work).await {
        Ok((bytes, view)) => {
            up.bytes = bytes;
            view.map(as_it_is)
        }
        // The work has panicked, and the answer is gone with it.
        Err(_) => Err(AnswerFault::Malformed),
    }
}

/// What the router reads of the answer of such an endpoint, which was asked with this key.
fn view(endpoint: Endpoint, body: &[u8], key: KeyOwner) -> Result<View, AnswerFault> {
    match endpoint.dialect() {
        Dialect::Chat if endpoint.is_passed_on() => passed_on::inspect(body),
        Dialect::Chat => chat::inspect::inspect(body, endpoint),
        Dialect::Messages => messages::inspect::inspect(body),
        Dialect::Responses => responses::inspect::inspect(body, key),
    }
}

/// Writes an answer of another dialect in the caller's; a helper thread a large one, which is
/// waited for.
async fn translated(attempt: &Attempt<'_, '_>, up: &mut Upstream) -> Result<Answer, AnswerFault> {
    let (known, body) = if up.body().len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        let mut body = attempt.job.shard.io.buffers.take();
        let known =
            attempt.with_kept(|kept| answers::write(up.body(), &plan_of(attempt, kept), &mut body));
        attempt.crossing().masks.mask_answer(&mut body);
        (known, body)
    } else {
        translated_by_helper(attempt, up).await?
    };
    // It is there, whether or not it may be; nothing else is asked for it.
    let mut held = attempt.job.shard.io.lease.hold();
    held.insist_on(body.capacity());
    let known = known?;
    Ok(Answer {
        view: View {
            model: None,
            usage: known.usage,
            text_bytes: known.text_bytes,
            ..View::default()
        },
        written: Some(Written {
            body,
            items: known.items,
            held,
        }),
    })
}

/// What the translation of the attempt's answer must know. `kept` is what was kept of its request.
fn plan_of<'k>(attempt: &'k Attempt<'_, '_>, kept: &'k Kept) -> AnswerPlan<'k> {
    AnswerPlan {
        caller: attempt.job.endpoint.dialect(),
        provider: attempt.dialect(),
        caller_model: attempt.caller_model(),
        created: clock::wall().unix_millis() / 1_000,
        wanted: attempt.wanted(kept),
    }
}

/// As [`translated`], by a helper thread.
async fn translated_by_helper(
    attempt: &Attempt<'_, '_>,
    up: &mut Upstream,
) -> Result<(Result<Known, AnswerFault>, Vec<u8>), AnswerFault> {
    up.socket.deadline.clear();
    let kept = attempt.kept();
    let plan = plan_of(attempt, &kept);
    let shard = attempt.job.shard;
    let (bytes, at) = (std::mem::take(&mut up.bytes), up.head.len..up.end);
    let model = plan.caller_model.to_vec();
    let (caller, provider, created) = (plan.caller, plan.provider, plan.created);
    let numbers = (plan.wanted.thoughts, plan.wanted.prompt, plan.wanted.seed);
    let (era, id) = (Arc::clone(&shard.era), attempt.candidate().provider);
    let key = attempt.key;
    let work = move || {
        let (thoughts, prompt, seed) = numbers;
        let plan = AnswerPlan {
            caller,
            provider,
            caller_model: &model,
            created,
            wanted: Wanted {
                thoughts,
                names: Some(&kept.names),
                stops: &kept.stops,
                prompt,
                request_id: "",
                key,
                seed,
                echo: kept.echo.as_ref(),
            },
        };
        let mut made = Vec::new();
        let known = answers::write(&bytes[at], &plan, &mut made);
        era.prefixes(id).masks().mask_answer(&mut made);
        (bytes, known, made)
    };
    let made = help::make(&shard.helpers, WhenFull::Wait, work).await;
    // If the work has panicked, the answer is gone with it.
    let (bytes, known, body) = made.map_err(|_| AnswerFault::Malformed)?;
    up.bytes = bytes;
    Ok((known, body))
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
