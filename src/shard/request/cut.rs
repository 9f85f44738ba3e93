//! A request without what its provider would refuse: where both speak the caller's dialect, all
//! else goes out as it came.

use std::sync::Arc;

use crate::base::limits::{INSPECTED_AT_ONCE_BYTES_MAX, TRANSLATED_AT_ONCE_BYTES_MAX};
use crate::dialect::messages::own_thoughts;
use crate::dialect::request::Kept;
use crate::dialect::responses::native_body::{self, Edit};
use crate::dialect::unsent::Losses;
use crate::exchange::course::{Reasoning, Try};
use crate::exchange::refusal::Refusal;
use crate::exchange::remembered::Found;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::job::Job;
use crate::shard::request::not_translated::NotTranslated;
use crate::shard::request::record::Record;
use crate::shard::request::rewritten::Translated;

/// Keeps a body without the thoughts that infermux itself has signed, where it holds any. A helper
/// thread takes them out of a large one, and looks for them in a very large one.
pub(super) async fn cut_own_thoughts(
    job: &Job<'_>,
    caller: &mut Caller,
    place: usize,
) -> Result<(), NotTranslated> {
    let at = job.body.clone();
    if is_searched(job) && !own_thoughts::may_hold(&caller.bytes[at.clone()]) {
        return Ok(());
    }
    let span = job.ask.model_span.clone();
    let model = job.model_json_at(place).map(<[u8]>::to_vec);
    let work = move |message: &[u8]| {
        let mut made = Vec::with_capacity(message[at.clone()].len());
        let model = model.as_deref();
        own_thoughts::write_without(&message[at], span, model, &mut made).then_some(made)
    };
    match made(job, caller, work).await? {
        Some(bytes) => keep(job, bytes),
        None => Ok(()),
    }
}

/// Keeps a body without the reasoning that the provider does not know, and with the items that
/// infermux has made in place of references to them. The work is shared as for
/// [`cut_own_thoughts`].
pub(super) async fn cut_foreign_items(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    this: &Try,
) -> Result<(), NotTranslated> {
    let at = job.body.clone();
    let provider = job.routed.route.candidates[this.place].provider;
    let left_out: Vec<usize> = match this.reasoning {
        Reasoning::Sent => job.pins.foreign(provider).collect(),
        Reasoning::LeftOut => job.removable.borrow().clone(),
    };
    if left_out.is_empty()
        && is_searched(job)
        && !native_body::may_change(&caller.bytes[at.clone()])
    {
        return Ok(());
    }
    let span = job.ask.model_span.clone();
    let model = job.model_json_at(this.place).map(<[u8]>::to_vec);
    let items = Arc::clone(&job.shard.items);
    let work = move |message: &[u8]| {
        let body = &message[at];
        let found = Found::of(&items, body)?;
        let edit = Edit {
            model: model.as_deref(),
            left_out: &left_out,
            remembered: &found,
        };
        let mut made = Vec::with_capacity(body.len());
        let changed = native_body::write(body, span, &edit, &mut made)?;
        Ok(changed.map(|changed| (made, changed)))
    };
    let made = made(job, caller, work).await?;
    match made.map_err(NotTranslated::Unsupported)? {
        Some((bytes, changed)) => {
            let counters = &job.shard.meters.own.responses_dropped;
            let losses = [
                ("reasoning", changed.reasoning),
                ("item_reference", changed.references),
            ];
            for (what, count) in losses {
                if let Some(place) = Losses::place_of(what) {
                    counters[place].add(count as u64);
                }
            }
            if tracing::enabled!(tracing::Level::DEBUG) {
                record.dropped = Some(changed.to_string());
            }
            keep(job, bytes)
        }
        None => Ok(()),
    }
}

/// Whether the body is searched at once: to look for a mark takes a fraction of what its removal
/// takes.
fn is_searched(job: &Job<'_>) -> bool {
    job.body.len() <= INSPECTED_AT_ONCE_BYTES_MAX
}

/// What `work` makes of the caller's bytes; a helper thread does it for a large body.
async fn made<T: Send + 'static>(
    job: &Job<'_>,
    caller: &mut Caller,
    work: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, NotTranslated> {
    if job.body.len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        return Ok(work(&caller.bytes));
    }
    let made = help::make_of_message(&job.shard.helpers, caller, work).await;
    made.map_err(NotTranslated::Refused)
}

/// Keeps the body that was made with the job.
fn keep(job: &Job<'_>, bytes: Vec<u8>) -> Result<(), NotTranslated> {
    let translated = Translated::new(bytes, Kept::default(), job.shard.io.lease.hold());
    let translated = translated.ok_or(NotTranslated::Refused(Refusal::Overloaded))?;
    job.translated.replace(Some(translated));
    Ok(())
}
