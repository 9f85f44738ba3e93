//! A request in the dialect of a candidate that does not speak the caller's.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::TRANSLATED_AT_ONCE_BYTES_MAX;
use crate::dialect::messages::own_thoughts;
use crate::dialect::request;
use crate::dialect::unsent::Dropped;
use crate::dialect::unsupported::Unsupported;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::job::{Job, Translated};
use crate::shard::request::record::Record;

/// Why a request is not translated.
pub enum NotTranslated {
    /// The dialect cannot express the request: another candidate may.
    Unsupported(Unsupported),
    /// infermux cannot go on with it.
    Refused(Refusal<'static>),
}

/// Translates the request for the candidate at `place`, where that is needed, and keeps it with the
/// job.
///
/// # Errors
///
/// The dialect cannot express the request, or there is no memory or no time for its translation.
pub async fn prepare(
    job: &Job<'_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    place: usize,
) -> Result<(), NotTranslated> {
    record.dropped = None;
    job.translated.replace(None);
    if !job.is_translated_at(place) {
        return match job.endpoint.dialect() {
            Dialect::Chat => Ok(()),
            Dialect::Messages if job.wants_stream() || job.endpoint == Endpoint::CountTokens => {
                Err(not_served(job))
            }
            Dialect::Messages => cut_own_thoughts(job, caller, place).await,
        };
    }
    match job.provider_at(place).vendor.dialect {
        Dialect::Chat => Err(not_served(job)),
        Dialect::Messages => {
            let (translated, dropped) = translate(job, caller, place).await?;
            if !dropped.names.is_empty() && tracing::enabled!(tracing::Level::DEBUG) {
                record.dropped = Some(dropped.to_string());
            }
            job.translated.replace(Some(translated));
            Ok(())
        }
    }
}

fn not_served(job: &Job<'_>) -> NotTranslated {
    NotTranslated::Unsupported(Unsupported {
        place: job.endpoint.name().to_owned(),
        why: "is not served by this provider",
    })
}

/// Keeps a body without the thoughts that infermux itself has signed, where it holds any. A helper
/// thread looks for them in a large one.
async fn cut_own_thoughts(
    job: &Job<'_>,
    caller: &mut Caller,
    place: usize,
) -> Result<(), NotTranslated> {
    let at = job.body.clone();
    let is_small = at.len() <= TRANSLATED_AT_ONCE_BYTES_MAX;
    if is_small && !own_thoughts::may_hold(&caller.bytes[at.clone()]) {
        return Ok(());
    }
    let span = job.ask.model_span.clone();
    let model = job.model_json_at(place).map(<[u8]>::to_vec);
    let work = move |message: &[u8]| {
        let mut made = Vec::new();
        let model = model.as_deref();
        own_thoughts::write_without(&message[at], span, model, &mut made).then_some(made)
    };
    let made = if is_small {
        work(&caller.bytes)
    } else {
        let made = help::make_of_message(&job.shard.helpers, caller, work).await;
        made.map_err(NotTranslated::Refused)?
    };
    let Some(bytes) = made else { return Ok(()) };
    let mut held = job.shard.io.lease.hold();
    if !held.grow_to(bytes.capacity()) {
        return Err(NotTranslated::Refused(Refusal::Overloaded));
    }
    job.translated.replace(Some(Translated::new(bytes, held)));
    Ok(())
}

async fn translate(
    job: &Job<'_>,
    caller: &mut Caller,
    place: usize,
) -> Result<(Translated, Dropped), NotTranslated> {
    let candidate = &job.routed.route.candidates[place];
    let model = candidate.model.as_deref().unwrap_or(job.model);
    let overloaded = NotTranslated::Refused(Refusal::Overloaded);
    let mut held = job.shard.io.lease.hold();
    // As much as it comes to, as a rule.
    if !held.grow_to(job.body.len()) {
        return Err(overloaded);
    }
    let mut bytes = Vec::with_capacity(job.body.len());
    let dropped = if job.body.len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        let source = &caller.bytes[job.body.clone()];
        request::write(source, job.ask, model, &mut bytes)
    } else {
        let (at, ask, model) = (
            job.body.clone(),
            job.ask.clone().into_owned(),
            model.to_owned(),
        );
        let panics = panic_is_asked_for(caller);
        let work = move |message: &[u8]| {
            assert!(!panics, "a panic was asked for");
            let dropped = request::write(&message[at], &ask, &model, &mut bytes);
            (dropped, bytes)
        };
        let made = help::make_of_message(&job.shard.helpers, caller, work).await;
        let (dropped, made) = made.map_err(NotTranslated::Refused)?;
        bytes = made;
        dropped
    };
    let dropped = dropped.map_err(NotTranslated::Unsupported)?;
    if !held.grow_to(bytes.capacity()) {
        return Err(overloaded);
    }
    Ok((Translated::new(bytes, held), dropped))
}

/// Lets the tests of a debug build see that a helper's panic ends one request and nothing else.
fn panic_is_asked_for(caller: &Caller) -> bool {
    let asked = || caller.head.value(&caller.bytes, "x-infermux-test-panic");
    cfg!(debug_assertions) && asked().is_some_and(|whose| whose == b"helper")
}
