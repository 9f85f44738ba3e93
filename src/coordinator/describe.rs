//! Describes a provider for operators, from the configuration, the books and the published words.

use crate::config::plan::Provider;
use crate::coordinator::known::ProviderStanding;
use crate::coordinator::time::Time;
use crate::decide::circuit::State;
use crate::exchange::checkup;
use crate::ledger::books::Books;
use crate::link::gate::Gates;
use crate::link::orders::Health;
use crate::link::progress::Progress;
use crate::report::providers::{self, ProviderReport, TurnedReport};

/// Describes `provider` at `time`.
pub(super) fn describe<'a>(
    books: &mut Books,
    gates: &Gates,
    time: Time,
    provider: &'a Provider,
) -> Option<ProviderReport<'a>> {
    let id = provider.id;
    let Time { now, wall } = time;
    let view = books.view(now, id)?;
    let (opened, recovery) = match view.state {
        State::Open { since, until } => {
            let opened = wall.before(now.since(since));
            (Some(opened), Some(opened.after(until.since(since))))
        }
        State::Closed | State::HalfOpen { .. } => (None, None),
    };
    let gate = &gates.providers[id.index()];
    let (requests, tokens) = gate.headroom();
    let complaint = gate.told().complaint();
    let checked = books
        .checked_at(id)
        .filter(|_| !provider.health_check.disabled);
    let is_healthy = view.health == Health::Healthy;
    Some(ProviderReport {
        name: &provider.name,
        kind: provider.vendor.name,
        healthy: is_healthy,
        in_rotation: view.out_since.is_none(),
        taken_out_at: view.out_since.map(|since| wall.before(now.since(since))),
        circuit: view.state.name(),
        circuit_opened_at: opened,
        circuit_recovery_at: recovery,
        error_rate: view.error_rate,
        p95_latency_ms: view.p95,
        requests_last_minute: view.requests_last_minute,
        models: &provider.models,
        model_aliases: &provider.model_aliases,
        rate_limit_headroom_rpm: requests,
        rate_limit_headroom_tpm: tokens,
        next_check_at: checked.map(|at| at.after(provider.health_check.interval)),
        last_check_at: books.checked_at(id),
        health_check_url: (!provider.health_check.disabled).then(|| checkup::url(provider)),
        unhealthy_since: complaint
            .as_ref()
            .filter(|_| !is_healthy)
            .map(|one| one.since),
        last_error_at: complaint.as_ref().map(|one| one.at),
        last_error: complaint.map(|one| one.why.clone()),
    })
}

/// The answer to a change of a circuit by hand.
pub(super) fn turned(provider: ProviderReport<'_>, progress: &Progress) -> Vec<u8> {
    let stalled_shards = progress.stalled();
    providers::body(&TurnedReport {
        provider,
        stalled_shards,
    })
}

/// What metrics show of `provider` at `time`.
pub(super) fn standing(
    books: &mut Books,
    gates: &Gates,
    time: Time,
    provider: &Provider,
) -> Option<ProviderStanding> {
    let id = provider.id;
    let view = books.view(time.now, id)?;
    let gate = &gates.providers[id.index()];
    Some(ProviderStanding {
        name: provider.name.clone(),
        health: view.health,
        is_taken_out: view.out_since.is_some(),
        circuit: view.state.name(),
        headroom: gate.headroom(),
        limits: gate.limits(),
    })
}
