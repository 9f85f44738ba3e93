//! The rules of the file for the parameters of a request, carried out for one candidate.

use crate::base::endpoint::Dialect;
use crate::base::limits::INSPECTED_AT_ONCE_BYTES_MAX;
use crate::dialect::parameters::{Changed, Changes, Reach};
use crate::dialect::shell::plan::UsageChunk;
use crate::dialect::unsupported::Unsupported;
use crate::exchange::course::Try;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::request::attempt;
use crate::shard::request::job::Job;
use crate::shard::request::not_translated::NotTranslated;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::record::Record;
use crate::shard::request::rewritten::Edits;

/// Keeps with the job what the rules for the candidate of the attempt `this` change in the body
/// that it is to be sent. A helper thread looks through a very large one.
///
/// # Errors
///
/// The body repeats names too often, or there is no memory or no time for it.
pub async fn change(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    this: &Try,
) -> Result<(), NotTranslated> {
    let mut changes = changes(job, this);
    if changes.rules.is_empty() || job.parcel.is_some_and(Parcel::is_carried) {
        return Ok(());
    }
    let translated = job.translated.take();
    let changed = match translated {
        Some(mut translated) => {
            let (changed, bytes) = of_translation(job, changes, translated.take_bytes()).await?;
            translated.put_bytes(bytes);
            job.translated.replace(Some(translated));
            changed
        }
        None => {
            add_own(job, this, &mut changes);
            of_message(job, caller, changes).await?
        }
    };
    let changed = changed.map_err(NotTranslated::Unsupported)?;
    let edits = Edits::new(changed.edited, job.shard.io.lease.hold());
    let edits = edits.ok_or(NotTranslated::Refused(Refusal::Overloaded))?;
    let provider = job.provider_at(this.place);
    let meter = job.shard.meters.provider(provider.id, &provider.name);
    for (counter, count) in meter.parameters.iter().zip(changed.counts) {
        counter.add(count);
    }
    record.changed = changed.told;
    job.edits.replace(Some(edits));
    Ok(())
}

/// What the rules for the candidate of the attempt `this` ask for.
pub(super) fn changes(job: &Job<'_>, this: &Try) -> Changes {
    Changes {
        rules: job.rules_at(this.place),
        reach: if job.is_free() {
            Reach::Fewer
        } else {
            Reach::All
        },
        is_told: tracing::enabled!(tracing::Level::DEBUG),
        ..Changes::default()
    }
}

/// Adds what infermux itself changes in a body that is not written anew.
pub(super) fn add_own(job: &Job<'_>, this: &Try, changes: &mut Changes) {
    let dialect = job.dialect_at(this.place);
    let provider = job.provider_at(this.place);
    changes.model = job.model_json_at(this.place).map(Into::into);
    changes.inject_usage = attempt::usage_chunk(job, this) == UsageChunk::Injected;
    changes.copy_max_tokens = provider.vendor.habits.reads_less && dialect == Dialect::Chat;
}

/// What is changed in a body that was written anew, and that body.
async fn of_translation(
    job: &Job<'_>,
    changes: Changes,
    bytes: Vec<u8>,
) -> Result<(Result<Changed, Unsupported>, Vec<u8>), NotTranslated> {
    if bytes.len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        return Ok((changes.of(&bytes), bytes));
    }
    let work = move || (changes.of(&bytes), bytes);
    let made = help::make(&job.shard.helpers, WhenFull::Refuse, work).await;
    made.map_err(NotTranslated::Refused)
}

/// What is changed in the caller's body.
async fn of_message(
    job: &Job<'_>,
    caller: &mut Caller,
    changes: Changes,
) -> Result<Result<Changed, Unsupported>, NotTranslated> {
    let at = job.body.clone();
    if at.len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        return Ok(changes.of(&caller.bytes[at]));
    }
    let work = move |message: &[u8]| changes.of(&message[at]);
    let made = help::make_of_message(&job.shard.helpers, caller, work).await;
    made.map_err(NotTranslated::Refused)
}
