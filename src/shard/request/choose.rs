//! Which candidate takes a request: the gates are read, and the route's strategy chooses.

use std::borrow::Cow;
use std::time::Duration;

use crate::base::endpoint::Endpoint;
use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;

use crate::config::plan::Candidate;
use crate::decide::eligible::Eligible;
use crate::decide::failover::Grant;
use crate::decide::outcome::Outcome;
use crate::decide::retry_budget;
use crate::decide::room;
use crate::decide::strategy::{Choice, Strategy, choose};
use crate::exchange::checkup;
use crate::exchange::refusal::{Down, Refusal};
use crate::exchange::route::{self, Routed, Survey};
use crate::link::provider_gate::{Cause, Standing};
use crate::shard::request::affinity;
use crate::shard::request::job::Job;
use crate::shard::request::outage;
use crate::shard::request::spend;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// The route of a request for `model`; `None` when no provider is configured to serve it.
pub(super) fn route<'p>(shard: &'p Shard, endpoint: Endpoint, model: &str) -> Option<Routed<'p>> {
    let mut routed = route::route(&shard.plan, endpoint, model)?;
    if routed.route.is_unclaimed {
        shard
            .catalogue
            .look(|catalogue| routed.prefer_listers(catalogue, model));
    }
    if endpoint.is_passed_on() {
        let candidates = routed.route.candidates.iter().enumerate();
        let has = |(place, candidate): &(usize, &Candidate)| {
            let vendor = shard.plan.provider(candidate.provider).vendor;
            routed.is_candidate(*place) && vendor.has(endpoint)
        };
        let those: Eligible = candidates.filter(has).map(|(place, _)| place).collect();
        if those.is_empty() {
            return None;
        }
        routed.keep_only(those);
    }
    Some(routed)
}

/// The refusal of a request for a model that no provider serves at this endpoint.
pub(super) fn not_found<'a>(shard: &Shard, endpoint: Endpoint, model: &'a str) -> Refusal<'a> {
    let routes = &shard.plan.routes;
    let mut others = [Endpoint::ChatCompletions, Endpoint::Completions].into_iter();
    if others.any(|other| other != endpoint && routes.find(other, model).is_some()) {
        let path = endpoint.path();
        return Refusal::EndpointNotFound { path, model };
    }
    Refusal::ModelNotFound { model }
}

/// Which candidates can take the request at `now`; those that were tried are left out.
pub(super) fn survey(job: &Job<'_>, now: Instant, tried: &Eligible, tokens: Tokens) -> Survey {
    let gates = &job.shard.gates.providers;
    route::survey(&job.routed, tried, |id| {
        gates[id.index()].standing(now, tokens.get())
    })
}

/// The candidates that are out of service at `now`, and why.
pub(super) fn down<'a>(job: &Job<'a>, now: Instant) -> Vec<Down<'a>> {
    let shard: &'a Shard = job.shard;
    let candidates = job.routed.route.candidates.iter().enumerate();
    let candidates = candidates.filter(|(place, _)| job.routed.is_candidate(*place));
    let down = candidates.filter_map(|(_, candidate)| {
        let id = candidate.provider;
        let gate = &shard.gates.providers[id.index()];
        let Standing::Out { cause, .. } = gate.standing(now, 0) else {
            return None;
        };
        let reason = unwell(shard, id, cause);
        Some(Down {
            provider: &shard.plan.provider(id).name,
            reason,
        })
    });
    down.collect()
}

/// Why a provider is out of service.
pub(super) fn unwell(shard: &Shard, id: ProviderId, cause: Cause) -> Cow<'static, str> {
    match (cause, shard.gates.providers[id.index()].told().complaint()) {
        (Cause::Unhealthy, Some(complaint)) => {
            let (why, url) = (&complaint.why, checkup::url(shard.plan.provider(id)));
            format!("its health check fails: {why}, asked for {url}").into()
        }
        (Cause::Unhealthy, None) => "its health check fails".into(),
        (Cause::Circuit, _) => "its circuit is open".into(),
        (Cause::TakenOut, _) => "an operator has taken it out of rotation".into(),
    }
}

/// The candidate that a steered request goes to: the one that has made what it brings back sealed,
/// or that keeps its conversation; `None`: the strategy chooses.
pub(super) fn steered(job: &Job<'_>, eligible: &Eligible) -> Option<usize> {
    let preferred = job.pins.preferred().and_then(|maker| {
        let mut places = eligible.iter();
        places.find(|place| job.routed.route.candidates[*place].provider == maker)
    });
    preferred.or_else(|| affinity::pick(job, &with_room(job, eligible)))
}

/// Those of the eligible candidates that come first: all that have room for the prompt, where any
/// of them has.
pub(super) fn with_room(job: &Job<'_>, eligible: &Eligible) -> Eligible {
    let prompt = job.prompt();
    if !job.endpoint.is_written() || prompt <= job.shard.era.purse.always_fits(job.routed.id) {
        return *eligible;
    }
    let first = room::first(eligible, prompt, |place| job.window_at(place));
    if first != *eligible {
        tracing::debug!(
            request_id = job.request.id.as_str(),
            prompt_tokens = prompt.get(),
            reason = Outcome::Overflowed.label(),
            "the candidates whose windows are smaller than the prompt come last"
        );
    }
    first
}

/// The candidates of the request's route that cannot take its prompt, which was too long for the
/// candidate `place`.
pub(super) fn too_small(job: &Job<'_>, place: usize) -> Eligible {
    let count = job.routed.route.candidates.len();
    room::too_small(count, place, job.prompt(), |place| job.window_at(place))
}

/// The candidate that the strategy chooses.
pub(super) fn pick(
    job: &Job<'_>,
    (ticket, random): (u64, u64),
    eligible: &Eligible,
) -> Option<usize> {
    let Job { shard, routed, .. } = job;
    let eligible = &with_room(job, eligible);
    let candidates = &routed.route.candidates;
    let latencies = match routed.route.strategy {
        Strategy::LeastLatency => candidates
            .iter()
            .map(|candidate| shard.latency(candidate.provider))
            .collect(),
        Strategy::RoundRobin | Strategy::CostWeighted | Strategy::Random | Strategy::Priority => {
            Vec::new()
        }
    };
    let costs = match routed.route.strategy {
        Strategy::CostWeighted => spend::prompt_costs(job, job.prompt()),
        Strategy::RoundRobin | Strategy::LeastLatency | Strategy::Random | Strategy::Priority => {
            Vec::new()
        }
    };
    let choice = Choice {
        ticket,
        random,
        rotation: &shard.era.routes[routed.id.index()].rotation,
        latencies: &latencies,
        min_samples: shard.plan.latency.min_samples,
        costs: &costs,
    };
    choose(routed.route.strategy, &choice, eligible)
}

/// The request's number on its route. Where no number is needed, none is taken, because all shards
/// share the counter.
pub(super) fn ticket(job: &Job<'_>) -> u64 {
    match job.routed.route.strategy {
        Strategy::RoundRobin | Strategy::LeastLatency | Strategy::CostWeighted => {
            match &job.routed.turns {
                Some(turns) => turns.next(),
                None => job.shard.gates.ticket(job.routed.id),
            }
        }
        Strategy::Random | Strategy::Priority => 0,
    }
}

/// The number that the next request on the job's route gets; it is not taken.
pub(super) fn coming_ticket(job: &Job<'_>) -> u64 {
    match &job.routed.turns {
        Some(turns) => turns.coming(),
        None => job.shard.gates.coming_ticket(job.routed.id),
    }
}

/// When the first candidate is expected back. `told` is what those that were asked have said: it
/// may not be in force yet.
pub(super) fn retry_in(job: &Job<'_>, told: Option<Duration>) -> Duration {
    let now = clock::now();
    // A request has a token at least.
    let survey = survey(job, now, &Eligible::NONE, Tokens::new(1));
    let known = survey.eligible.is_empty().then(|| survey.retry_in(now));
    told.into_iter().chain(known).min().unwrap_or(SOON)
}

/// When to come back to a provider that is already ready again.
const SOON: Duration = Duration::from_secs(1);

/// Asks the retry budget for another attempt, where there is somebody to make it at.
pub(super) fn grant(job: &Job<'_>, tried: &Eligible) -> Grant {
    let shard = job.shard;
    let now = clock::now();
    let survey = survey(job, now, tried, spend::expected(job).sum());
    if survey.eligible.is_empty() {
        return Grant::Denied;
    }
    let recent = shard.retries.recent(now);
    let permille = shard.plan.failover.retry_budget_permille;
    if retry_budget::may_retry(recent.requests, recent.retries, permille) {
        shard.retries.count_retry(shard.id, now);
        Grant::Granted
    } else {
        shard.meters.own.retries_denied.add(1);
        outage::log_denied(shard, now);
        Grant::Denied
    }
}
