//! Requests for responses that refer to what was made before: whom they may go to, and what is
//! learned from their answers (rules I1 to I3 of reference/responses-inbound.md).

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::dialect::responses::references;
use crate::exchange::course::{Course, Part, Reasoning};
use crate::exchange::pins::{Candidate, NotMine, PinFault, Pins};
use crate::exchange::refusal::Refusal;
use crate::exchange::route::Routed;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::spend;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// What a request refers to whose body stands at `at` in the caller's bytes. Only what may decide
/// anything is looked for: with one candidate and one provider that makes ids, nothing does.
///
/// # Errors
///
/// What it refers to cannot be served together, or no helper thread has time for a large body.
pub(super) async fn read(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    (endpoint, routed): (Endpoint, &Routed<'_>),
    at: Range<usize>,
) -> Result<Pins, Unserved<'static>> {
    if endpoint.dialect() != Dialect::Responses {
        return Ok(Pins::default());
    }
    let decides = shard.owners.is_used() || routed.route.candidates.len() > 1;
    let owners = Arc::clone(&shard.owners);
    let read = move |body: &[u8]| {
        if decides {
            Pins::read(body, &*owners)
        } else if !references::may_name_own(body) {
            Ok(Pins::default())
        } else if references::may_name_own_response(body) {
            Pins::read(body, &*owners)
        } else {
            Ok(Pins::of_items())
        }
    };
    help::look(&shard.helpers, caller, at, read)
        .await?
        .map_err(|fault| unserved(&fault))
}

/// Leaves only those among the job's candidates that may serve it.
///
/// # Errors
///
/// None of them may.
pub(super) fn narrow(job: &mut Job<'_>) -> Result<(), Unserved<'static>> {
    let candidates = job.routed.route.candidates.iter().enumerate();
    let candidates = candidates.map(|(place, one)| Candidate {
        provider: one.provider,
        is_native: job.shard.is_native(job.provider_at(place)),
    });
    let admitted = job
        .pins
        .admitted(candidates, |id| match job.shard.plan.find_provider(id) {
            Some(provider) => format!("the provider {}", provider.name),
            None => "a provider that is not configured any more".to_owned(),
        });
    if let Some(admitted) = admitted.map_err(|fault| unserved(&fault))? {
        job.routed.keep_only(admitted);
    }
    Ok(())
}

fn unserved(fault: &PinFault) -> Unserved<'static> {
    Unserved::Invalid(fault.to_string())
}

/// How the search for the provider that knows what a request refers to goes on.
pub(super) enum Search {
    /// At the next provider.
    GoesOn,
    /// At the same one, without this part of the request: nobody has made it.
    EndsWithout(Part),
}

/// How the search goes on, where the provider's answer says that it does not know what the request
/// refers to.
///
/// # Errors
///
/// No helper thread has time for a large body.
pub(super) async fn not_mine(
    attempt: &Attempt<'_, '_>,
    caller: &mut Caller,
    course: &Course,
    up: &Upstream,
) -> Result<Option<Search>, Refusal<'static>> {
    let (job, status) = (attempt.job, up.head.status);
    if attempt.dialect() != Dialect::Responses {
        return Ok(None);
    }
    let Some(missing) = job.pins.not_mine(status, up.body()) else {
        return Ok(None);
    };
    match (missing, attempt.reasoning) {
        (NotMine::Id, _) => Ok(Some(Search::GoesOn)),
        (NotMine::Content, Reasoning::LeftOut) => Ok(None),
        (NotMine::Content, Reasoning::Sent) => {
            let now = clock::now();
            let others = choose::survey(job, now, course.tried(), spend::expected(job).sum());
            if !others.eligible.is_empty() {
                return Ok(Some(Search::GoesOn));
            }
            // In a box of its own: few requests need the room.
            let removable = Box::pin(removable(job, caller)).await?;
            let is_removable = !removable.is_empty();
            job.removable.replace(removable);
            Ok(is_removable.then_some(Search::EndsWithout(Part::Reasoning)))
        }
    }
}

/// The places in `input` of all reasoning items of a job, where it can be sent without them. They
/// are looked for where they did not decide anything before.
async fn removable(job: &Job<'_>, caller: &mut Caller) -> Result<Vec<usize>, Refusal<'static>> {
    if let Some(known) = job.pins.removable() {
        return Ok(known);
    }
    let owners = Arc::clone(&job.shard.owners);
    let read = move |body: &[u8]| Pins::read(body, &*owners).ok()?.removable();
    let found = help::look(&job.shard.helpers, caller, job.body.clone(), read).await?;
    Ok(found.unwrap_or_default())
}
