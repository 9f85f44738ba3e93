//! Requests that stay with the provider of their conversation, where the file wants that.

use crate::base::endpoint::Endpoint;
use crate::base::fingerprint::Fingerprint;
use crate::base::limits::INSPECTED_AT_ONCE_BYTES_MAX;
use crate::decide::affinity::{Affinity, Key, Seats, Stay};
use crate::decide::eligible::Eligible;
use crate::exchange::affinity::{self, Found, Sought};
use crate::exchange::attribution::Label;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::job::Job;

/// Finds out which conversation the job's request belongs to, where its route asks for that.
///
/// # Errors
///
/// No helper thread has time to look through a large body.
pub(super) async fn read(job: &mut Job<'_>, caller: &mut Caller) -> Result<(), Refusal<'static>> {
    let Some(policy) = job.routed.route.affinity else {
        return Ok(());
    };
    job.is_steered = true;
    find(job, caller, policy).await?;
    if job.conversation.is_some() {
        let turns = &job.shard.era.routes[job.routed.id.index()].kept_turns;
        job.routed.turns.clone_from(turns);
    }
    Ok(())
}

async fn find(
    job: &mut Job<'_>,
    caller: &mut Caller,
    policy: Affinity,
) -> Result<(), Refusal<'static>> {
    let request = job.request;
    let label = request.attribution.caller.as_ref().map(Label::as_str);
    let owner = affinity::owner(request.principal.as_ref(), label);
    if policy.by.asks_for_session() {
        job.conversation = affinity::of_head(owner, &caller.head, &caller.bytes);
    }
    if job.conversation.is_some() || job.form().is_some() {
        return Ok(());
    }
    let sought = sought(policy, owner, (job.endpoint, &job.ask.model));
    let read = move |body: &[u8]| affinity::of_body(&sought, body);
    let at = job.body.clone();
    job.conversation = if at.len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        read(&caller.bytes[at])
    } else {
        // In a box of its own: few requests need the room.
        Box::pin(help::look(&job.shard.helpers, caller, at, read)).await?
    };
    Ok(())
}

/// The conversation of a job that is explained: its request is that of `owner`, names this session,
/// and has this `body`.
pub(super) fn explained(
    job: &Job<'_>,
    owner: u64,
    session: Option<&str>,
    body: &[u8],
) -> Option<Found> {
    let policy = job.routed.route.affinity?;
    let session = session.filter(|_| policy.by.asks_for_session());
    let named = session.and_then(|name| affinity::of_name(owner, name));
    named.or_else(|| {
        if job.form().is_some() {
            return None;
        }
        let asked = (job.endpoint, &*job.ask.model);
        affinity::of_body(&sought(policy, owner, asked), body)
    })
}

fn sought(policy: Affinity, owner: u64, (endpoint, model): (Endpoint, &str)) -> Sought {
    Sought {
        by: policy.by,
        dialect: endpoint.dialect(),
        model: Fingerprint::of(model.as_bytes()),
        owner,
    }
}

/// The candidate among the `eligible` that takes the request as one of its conversation; `None`:
/// the strategy chooses.
pub(super) fn pick(job: &Job<'_>, eligible: &Eligible) -> Option<usize> {
    let policy = job.routed.route.affinity?;
    let (key, seats) = kept(job)?;
    let gates = &job.shard.gates.providers;
    seats.choose(key, policy.spill_permille, eligible, |place| {
        let provider = job.routed.route.candidates[place].provider;
        gates[provider.index()].in_flight()
    })
}

/// Where a request of the job that the candidate `place` takes has gone; `None`: nobody asks.
pub(super) fn stay(job: &Job<'_>, place: usize) -> Option<Stay> {
    job.routed.route.affinity?;
    Some(match first(job) {
        None => Stay::None,
        Some(first) if first == place => Stay::Kept,
        Some(_) => Stay::Moved,
    })
}

/// The candidate that comes first for the conversation of the job, whether or not it can take the
/// request; `None`: nothing tells the conversation.
pub(super) fn first(job: &Job<'_>) -> Option<usize> {
    let (key, seats) = kept(job)?;
    let all = 0..job.routed.route.candidates.len();
    let all: Eligible = all.filter(|one| job.routed.is_candidate(*one)).collect();
    seats.first(key, &all)
}

fn kept<'j>(job: &'j Job<'_>) -> Option<(Key, &'j Seats)> {
    let seats = job.shard.era.routes[job.routed.id.index()].seats.as_ref();
    job.conversation.map(|found| found.key).zip(seats)
}
