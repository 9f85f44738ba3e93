//! A request in the dialect of a candidate that does not speak the caller's.

use std::sync::Arc;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::TRANSLATED_AT_ONCE_BYTES_MAX;
use crate::dialect::chat::write_prompt::{Host, Stream};
use crate::dialect::request::{self, Destination, Received, Written};
use crate::dialect::responses::remembered::{Nothing, Remembered};
use crate::dialect::shell::plan::UsageChunk;
use crate::dialect::unsent::Dropped;
use crate::dialect::unsupported::Unsupported;
use crate::exchange::course::Try;
use crate::exchange::refusal::Refusal;
use crate::exchange::remembered::{Found, Items};
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::attempt;
use crate::shard::request::cut;
use crate::shard::request::job::Job;
use crate::shard::request::not_translated::NotTranslated;
use crate::shard::request::parameters;
use crate::shard::request::record::Record;
use crate::shard::request::rewritten::Translated;

/// Does what [`prepare`] would do for a candidate that gets the caller's own bytes with a few
/// edits, as most do: nothing is waited for. Returns false, and has done nothing, where it takes
/// more.
pub fn prepare_plain(job: &Job<'_>, record: &mut Record<'_>, place: usize) -> bool {
    let provider = job.routed.route.candidates[place].provider;
    let is_plain = job.endpoint.dialect() == Dialect::Chat
        && !job.is_translated_at(place)
        && job.pins.unreadable(provider).is_none()
        && job.rules_at(place).is_empty();
    if is_plain {
        begin(job, record);
    }
    is_plain
}

/// Forgets what was written for another candidate.
fn begin(job: &Job<'_>, record: &mut Record<'_>) {
    record.dropped = None;
    record.changed = None;
    job.translated.replace(None);
    job.edits.replace(None);
}

/// Writes the request as the candidate of the attempt `this` gets it, where that takes more than a
/// few edits, and keeps it with the job.
///
/// # Errors
///
/// The dialect cannot express the request, or there is no memory or no time for its translation.
pub async fn prepare(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    this: &Try,
) -> Result<(), NotTranslated> {
    begin(job, record);
    let provider = job.routed.route.candidates[this.place].provider;
    if let Some(at) = job.pins.unreadable(provider) {
        return Err(NotTranslated::Unsupported(Unsupported::unreadable(at)));
    }
    job.ask_in(this.place, job.dialect_at(this.place));
    write_anew(job, caller, record, this).await?;
    parameters::change(job, caller, record, this).await
}

/// Keeps a body that is written anew, where the candidate is to get one.
async fn write_anew(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    this: &Try,
) -> Result<(), NotTranslated> {
    if job.is_translated_at(this.place) {
        if job.endpoint == Endpoint::Compact {
            return Err(NotTranslated::Unsupported(Unsupported::compaction()));
        }
        let (translated, dropped) = translate(job, caller, this).await?;
        for place in dropped.losses.places() {
            job.shard.meters.own.responses_dropped[place].add(1);
        }
        if !dropped.is_empty() && tracing::enabled!(tracing::Level::DEBUG) {
            record.dropped = Some(dropped.to_string());
        }
        job.translated.replace(Some(translated));
        return Ok(());
    }
    match job.endpoint.dialect() {
        Dialect::Chat => Ok(()),
        Dialect::Messages => cut::cut_own_thoughts(job, caller, this.place).await,
        Dialect::Responses => cut::cut_foreign_items(job, caller, record, this).await,
    }
}

async fn translate(
    job: &Job<'_>,
    caller: &mut Caller,
    this: &Try,
) -> Result<(Translated, Dropped), NotTranslated> {
    let overloaded = NotTranslated::Refused(Refusal::Overloaded);
    let mut held = job.shard.io.lease.hold();
    // As much as it comes to, as a rule.
    if !held.grow_to(job.body.len()) {
        return Err(overloaded);
    }
    let mut bytes = Vec::with_capacity(job.body.len() + MORE_BYTES);
    let (dialect, to) = (job.endpoint.dialect(), destination(job, this));
    let items = job.pins.may_name_own().then_some(&job.shard.items);
    let written = if job.body.len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        write(
            (dialect, items.map(|items| &**items)),
            &caller.bytes[job.body.clone()],
            &to,
            &mut bytes,
        )
    } else {
        let (at, model) = (job.body.clone(), to.model.to_owned());
        let to = Destination { model: "", ..to };
        let panics = panic_is_asked_for(caller);
        let items = items.map(Arc::clone);
        let work = move |message: &[u8]| {
            assert!(!panics, "a panic was asked for");
            let to = Destination {
                model: &model,
                ..to
            };
            let written = write((dialect, items.as_deref()), &message[at], &to, &mut bytes);
            (written, bytes)
        };
        let made = help::make_of_message(&job.shard.helpers, caller, work).await;
        let (written, made) = made.map_err(NotTranslated::Refused)?;
        bytes = made;
        written
    };
    let written = written.map_err(NotTranslated::Unsupported)?;
    let translated = Translated::new(bytes, written.kept, held).ok_or(overloaded)?;
    Ok((translated, written.dropped))
}

/// Appends a caller's request with this `body` in the words of its provider; `items` are those that
/// it may refer to, if it may to any.
pub(super) fn write(
    (dialect, items): (Dialect, Option<&Items>),
    body: &[u8],
    to: &Destination<'_>,
    out: &mut Vec<u8>,
) -> Result<Written, Unsupported> {
    let found;
    let remembered: &dyn Remembered = match (dialect, items) {
        (Dialect::Chat | Dialect::Messages, _) | (Dialect::Responses, None) => &Nothing,
        (Dialect::Responses, Some(items)) => {
            found = Found::of(items, body)?;
            &found
        }
    };
    let received = Received {
        dialect,
        body,
        remembered,
    };
    request::write(received, to, out)
}

/// The candidate that the request is written for.
pub(super) fn destination<'j>(job: &'j Job<'_>, this: &Try) -> Destination<'j> {
    let (shard, provider) = (job.shard, job.provider_at(this.place));
    let model = job.model_at(this.place);
    Destination {
        dialect: job.dialect_at(this.place),
        model,
        host: if provider.vendor.habits.reads_less {
            Host::Ollama
        } else {
            Host::Other
        },
        // Nobody else's requests are cut to it.
        max_output: match job.endpoint.dialect() {
            Dialect::Messages => job.max_output_at(this.place),
            Dialect::Chat | Dialect::Responses => None,
        },
        left_out: shard.left_out(provider.id, model).and(this.left_out),
        stream: match (job.wants_stream(), attempt::usage_chunk(job, this)) {
            (false, _) => Stream::No,
            (true, UsageChunk::Injected) => Stream::WithUsage,
            (true, UsageChunk::Untouched) => Stream::Plain,
        },
    }
}

/// By how much a request is longer in other words, as a rule, in bytes.
const MORE_BYTES: usize = 128;

/// Lets the tests of a debug build see that a helper's panic ends one request and nothing else.
fn panic_is_asked_for(caller: &Caller) -> bool {
    let asked = || caller.head.value(&caller.bytes, "x-infermux-test-panic");
    cfg!(debug_assertions) && asked().is_some_and(|whose| whose == b"helper")
}
