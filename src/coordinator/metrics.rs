//! All metrics of the process, as the text that Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::notice::Event;
use crate::coordinator::known::Known;
use crate::coordinator::scopes;
use crate::decide::affinity::Stay;
use crate::decide::outcome::Outcome;
use crate::dialect::unsent::Losses;
use crate::exchange::refusal;
use crate::ledger::shares::quota::State;
use crate::ledger::totals::SeriesTotal;
use crate::link::counter::Counter;
use crate::link::histogram::{Histogram, HistogramSum};
use crate::link::meters::{Gauge, LoopMeter, NOBODY, ProviderMeter, STATUSES, Series};
use crate::link::orders::Health;
use crate::link::webhooks::Fate;
use crate::report::exposition::{Buckets, Exposition};
use crate::report::metrics::Family;
use crate::report::status::SharedReport;
use crate::sys::process;
use crate::wire::rules::Kind;

/// One of the counters of a series.
type OfSeries = fn(&Series) -> &Counter;

/// The whole text.
#[must_use]
pub fn text(known: &Known) -> String {
    let mut out = Exposition::default();
    requests(&mut out, known);
    used(&mut out, known);
    attempts(&mut out, known);
    standing(&mut out, known);
    scopes::write(&mut out, known);
    files(&mut out, known);
    records(&mut out, known);
    spans(&mut out, known);
    shared(&mut out, known);
    responses(&mut out, known);
    shards(&mut out, known);
    process(&mut out, known);
    out.finish()
}

/// Requests by provider and model, and their response times.
fn requests(out: &mut Exposition, known: &Known) {
    let all: Vec<&SeriesTotal> = known.totals.by_series().map(|(one, _)| one).collect();
    out.begin(Family::Requests);
    for one in &all {
        let others = STATUSES.map(|status| status.to_string());
        let names = others.iter().map(String::as_str).chain(["other"]);
        for (place, status) in names.enumerate() {
            let count = sum(&one.shards, |series| &series.statuses[place]);
            if count > 0 {
                out.value(&[&one.provider, &one.model, status], count);
            }
        }
    }
    out.begin(Family::Errors);
    for (place, row) in refusal::TABLE.iter().enumerate() {
        let loops = known.totals.loops().iter();
        let count: u64 = loops.map(|(_, one)| one.refusals[place].get()).sum();
        if count > 0 {
            out.value(&[row.code], count);
        }
    }
    let all = users(known);
    histograms(out, Family::Latency, &all, |series| &series.latency);
    histograms(out, Family::FirstToken, &all, |series| &series.first_token);
    out.begin(Family::Overhead);
    let loops = known
        .totals
        .loops()
        .iter()
        .map(|(_, meter)| &meter.overhead);
    histogram(out, &[], OWN_BOUNDS, loops);
}

/// The series of requests that came to a provider: other requests have used no tokens.
fn users(known: &Known) -> Vec<&SeriesTotal> {
    let all = known.totals.by_series().map(|(one, _)| one);
    all.filter(|one| &*one.provider != NOBODY).collect()
}

/// Tokens and cost of requests, by provider and model.
fn used(out: &mut Exposition, known: &Known) {
    let all = users(known);
    out.begin(Family::Tokens);
    for one in &all {
        let kinds: [(&str, OfSeries); 4] = [
            ("input", |series| &series.input_tokens),
            ("cache_read", |series| &series.cache_read_tokens),
            ("cache_write", |series| &series.cache_write_tokens),
            ("output", |series| &series.output_tokens),
        ];
        for (kind, of) in kinds {
            out.value(&[&one.provider, &one.model, kind], sum(&one.shards, of));
        }
    }
    out.begin(Family::Cost);
    for one in &all {
        let shards = one.shards.iter();
        let cost = shards.fold(NanoUsd::ZERO, |sum, series| {
            sum.saturating_add(series.account.ever().cost)
        });
        out.value(&[&one.provider, &one.model], cost);
    }
    out.begin(Family::FailedCost);
    for one in &all {
        let cost = sum(&one.shards, |series| &series.failed_cost);
        out.value(&[&one.provider, &one.model], NanoUsd::new(cost));
    }
    let counts: [(Family, OfSeries); 2] = [
        (Family::Estimated, |series| &series.estimated),
        (Family::Unpriced, |series| &series.unpriced),
    ];
    for (family, of) in counts {
        out.begin(family);
        for one in &all {
            out.value(&[&one.provider, &one.model], sum(&one.shards, of));
        }
    }
}

/// What rules have changed in requests.
fn changed_parameters(out: &mut Exposition, known: &Known) {
    out.begin(Family::ParametersChanged);
    for (name, shards) in known.totals.providers() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            let count = sum(shards, |meter| &meter.parameters[place]);
            if count > 0 {
                out.value(&[name, kind.name()], count);
            }
        }
    }
}

/// What became of requests on routes that keep conversations together.
fn affinity(out: &mut Exposition, known: &Known) {
    out.begin(Family::Affinity);
    for stay in Stay::ALL {
        let loops = known.totals.loops().iter();
        let count: u64 = loops.map(|(_, one)| one.affinity[stay.place()].get()).sum();
        if count > 0 {
            out.value(&[stay.name()], count);
        }
    }
}

/// The counters of providers.
fn attempts(out: &mut Exposition, known: &Known) {
    let providers = known.totals.providers();
    out.begin(Family::Attempts);
    for (name, shards) in providers {
        for (place, outcome) in Outcome::LABELS.iter().enumerate() {
            let count = sum(shards, |meter| &meter.outcomes[place]);
            if count > 0 {
                out.value(&[name, outcome], count);
            }
        }
    }
    changed_parameters(out, known);
    let all: Vec<&ProviderMeter> = providers
        .iter()
        .flat_map(|(_, s)| s)
        .map(|m| &**m)
        .collect();
    out.begin(Family::Failovers);
    for (place, reason) in Outcome::LABELS.iter().enumerate() {
        let count: u64 = all.iter().map(|meter| meter.failovers[place].get()).sum();
        if count > 0 {
            out.value(&[reason], count);
        }
    }
    let loops = || known.totals.loops().iter().map(|(_, meter)| meter);
    out.begin(Family::RetriesDenied);
    out.value(
        &[],
        loops().map(|one| one.retries_denied.get()).sum::<u64>(),
    );
    affinity(out, known);
    out.begin(Family::Disconnects);
    out.value(&[], loops().map(|one| one.disconnects.get()).sum::<u64>());
    out.begin(Family::InFlight);
    let unused = known.providers.iter().map(|one| &one.name);
    let unused = unused.filter(|name| providers.iter().all(|(known, _)| known != *name));
    unused.for_each(|name| out.value(&[name], 0));
    for (name, shards) in providers {
        out.value(&[name], between(shards, |one| (&one.begun, &one.ended)));
    }
    out.begin(Family::Connections);
    let sum = |gauge: fn(&LoopMeter) -> &Gauge| -> u64 {
        let loops = known.totals.loops().iter();
        loops.map(|(_, meter)| gauge(meter).get()).sum()
    };
    let opened = between_all(&all, |one| {
        (&one.connections_opened, &one.connections_closed)
    });
    let idle: u64 = all.iter().map(|one| one.connections_idle.get()).sum();
    let (open, busy) = (sum(|one| &one.callers), sum(|one| &one.callers_busy));
    out.value(&["caller", "active"], busy);
    out.value(&["caller", "idle"], open.saturating_sub(busy));
    let (open, busy) = (sum(|one| &one.operators), sum(|one| &one.operators_busy));
    out.value(&["operator", "active"], busy);
    out.value(&["operator", "idle"], open.saturating_sub(busy));
    out.value(&["provider", "active"], opened.saturating_sub(idle));
    out.value(&["provider", "idle"], idle);
}

/// The states of providers and budgets.
fn standing(out: &mut Exposition, known: &Known) {
    out.begin(Family::ProviderHealthy);
    for one in &known.providers {
        out.value(&[&one.name], u8::from(one.health == Health::Healthy));
    }
    out.begin(Family::ProviderTakenOut);
    for one in &known.providers {
        out.value(&[&one.name], u8::from(one.is_taken_out));
    }
    out.begin(Family::CircuitState);
    for one in &known.providers {
        let state = match one.circuit {
            "closed" => 0,
            "half-open" => 1,
            _ => 2,
        };
        out.value(&[&one.name], state);
    }
    out.begin(Family::CircuitTransitions);
    for (provider, to, reason, count) in &known.transitions {
        out.value(&[provider, to, reason], count);
    }
    out.begin(Family::Headroom);
    for one in &known.providers {
        let (requests, tokens) = one.headroom;
        for (kind, left) in [("requests", requests), ("tokens", tokens)] {
            if let Some(left) = left {
                out.value(&[&one.name, kind], left);
            }
        }
    }
    out.begin(Family::RateLimit);
    for one in &known.providers {
        let (requests, tokens) = one.limits;
        for (kind, limit) in [("requests", requests), ("tokens", tokens)] {
            if let Some(limit) = limit {
                out.value(&[&one.name, kind], limit);
            }
        }
    }
    out.begin(Family::BudgetSpent);
    for (caller, one) in known.budgets_of_callers() {
        out.value(&[caller], one.spent);
    }
    out.begin(Family::BudgetLimit);
    for (caller, one) in known.budgets_of_callers() {
        out.value(&[caller], one.budget.amount);
    }
    out.begin(Family::BudgetAlerts);
    for (caller, one) in known.budgets_of_callers() {
        for (percent, count) in ["80", "100"].iter().zip(one.alerts) {
            out.value(&[caller, percent], count);
        }
    }
    out.begin(Family::BudgetRefusals);
    for (caller, one) in known.budgets_of_callers() {
        out.value(&[caller], one.refusals);
    }
}

/// Results of writing the state file and reading the configuration.
fn files(out: &mut Exposition, known: &Known) {
    out.begin(Family::StateWriteFailures);
    out.value(&[], known.state_write_failures);
    out.begin(Family::WebhookNotices);
    for ((event, _), fates) in Event::ALL.iter().zip(known.notices.iter().flatten()) {
        for ((fate, _), count) in Fate::ALL.iter().zip(fates) {
            out.value(&[event, fate], *count);
        }
    }
    out.begin(Family::ConfigReloads);
    for (result, count) in ["success", "failure"].iter().zip(known.reloads) {
        out.value(&[result], count);
    }
}

/// What has become of usage records.
fn records(out: &mut Exposition, known: &Known) {
    let counts = &known.process.recorders.usage;
    out.begin(Family::UsageRecords);
    for (result, count) in [("written", &counts.written), ("dropped", &counts.dropped)] {
        out.value(&[result], count.get());
    }
    out.begin(Family::UsageWriteFailures);
    out.value(&[], counts.failures.get());
}

/// What has become of the spans of traces.
fn spans(out: &mut Exposition, known: &Known) {
    let counts = &known.process.recorders.traces;
    out.begin(Family::Spans);
    for (result, count) in [
        ("sent", &counts.written),
        ("dropped", &counts.dropped),
        ("failed", &counts.failures),
    ] {
        out.value(&[result], count.get());
    }
}

/// How the instance stands with those that it shares limits and budgets with; no series where it
/// shares none.
fn shared(out: &mut Exposition, known: &Known) {
    let shared = known.shared.as_ref();
    out.begin(Family::SharedState);
    for state in [State::Ok, State::Learning, State::Away, State::Lost] {
        let is_it = |one: &SharedReport| u64::from(one.state == state.name());
        if let Some(value) = shared.map(is_it) {
            out.value(&[state.name()], value);
        }
    }
    out.begin(Family::SharedMembers);
    shared.iter().for_each(|one| out.value(&[], one.members));
    out.begin(Family::SharedLag);
    shared
        .iter()
        .for_each(|one| out.value(&[], one.lag.as_secs_f64()));
    out.begin(Family::SharedExchanges);
    if let Some(one) = shared {
        for (result, count) in ["answered", "lost"].iter().zip(one.exchanges) {
            out.value(&[result], count);
        }
    }
}

/// What is left out of requests for responses, and what is remembered for them.
fn responses(out: &mut Exposition, known: &Known) {
    out.begin(Family::ResponsesDropped);
    for (place, what) in Losses::NAMES.iter().enumerate() {
        let loops = known.totals.loops().iter();
        let count: u64 = loops
            .map(|(_, one)| one.responses_dropped[place].get())
            .sum();
        if count > 0 {
            out.value(&[what], count);
        }
    }
    out.begin(Family::ResponsesRemembered);
    out.value(&[], known.remembered);
}

/// The counters of each event loop; the last loop is the operators'.
fn shards(out: &mut Exposition, known: &Known) {
    let mut loops: Vec<_> = known.totals.loops().iter().collect();
    loops.sort_by_key(|(shard, _)| shard.index());
    let names = known.progress.names(loops.iter().map(|(shard, _)| *shard));
    let meters = loops.iter().map(|(_, meter)| &**meter);
    let loops: Vec<(String, &LoopMeter)> = names.into_iter().zip(meters).collect();
    out.begin(Family::Buffered);
    let buffered: u64 = loops.iter().map(|(_, one)| one.buffered.get()).sum();
    out.value(&[], buffered);
    out.begin(Family::ShardRequests);
    for (name, one) in &loops {
        out.value(&[name], one.requests_total.get());
    }
    out.begin(Family::ShardConnections);
    for (name, one) in &loops {
        out.value(&[name], one.callers.get() + one.operators.get());
    }
    out.begin(Family::ShardCpu);
    for (name, one) in &loops {
        if let Some(cpu) = process::thread_cpu(one.thread.get()) {
            out.value(&[name], cpu.as_secs_f64());
        }
    }
    out.begin(Family::ShardDelay);
    for (name, one) in &loops {
        histogram(out, &[name], OWN_BOUNDS, std::iter::once(&one.delay));
    }
    out.begin(Family::ShardStalls);
    let progress = &known.progress;
    for (name, id) in progress.names(progress.ids()).iter().zip(progress.ids()) {
        out.value(&[name], progress.stalls(id));
    }
}

fn process(out: &mut Exposition, known: &Known) {
    let figures = process::figures();
    out.begin(Family::BuildInfo);
    out.value(&[env!("CARGO_PKG_VERSION")], 1);
    out.begin(Family::ProcessCpu);
    out.value(&[], figures.cpu.as_secs_f64());
    for (family, value) in [
        (Family::ProcessResident, figures.resident),
        (Family::ProcessVirtual, figures.virtual_size),
        (Family::ProcessOpenFiles, figures.open_files),
        (Family::ProcessMaxFiles, figures.max_files),
    ] {
        out.begin(family);
        out.value(&[], value);
    }
    let start = known.started.wall.unix_millis();
    out.begin(Family::ProcessStart);
    out.value(&[], Duration::from_millis(start).as_secs_f64());
}

fn histograms(
    out: &mut Exposition,
    family: Family,
    all: &[&SeriesTotal],
    of: fn(&Series) -> &Histogram,
) {
    out.begin(family);
    for one in all {
        let shards = one.shards.iter().map(|series| of(series));
        histogram(out, &[&one.provider, &one.model], PROVIDER_BOUNDS, shards);
    }
}

/// One histogram over all shards; an empty one is left out.
fn histogram<'a>(
    out: &mut Exposition,
    labels: &[&str],
    (least, bounds): (i32, usize),
    shards: impl Iterator<Item = &'a Histogram>,
) {
    let mut sum = HistogramSum::default();
    shards.for_each(|one| one.add_to(&mut sum));
    let count = sum.count();
    if count > 0 {
        let below: Vec<(f64, u64)> = sum.coarse(least, bounds).collect();
        let buckets = Buckets {
            below: &below,
            count,
            sum: sum.total(),
        };
        out.histogram(labels, buckets);
    }
}

/// Bounds of providers' times: powers of √2 from 4 ms to 256 s.
const PROVIDER_BOUNDS: (i32, usize) = (4, 33);
/// Bounds of infermux's own times: from 3.9 µs to 256 ms.
const OWN_BOUNDS: (i32, usize) = (-16, 33);

fn sum<M>(shards: &[Arc<M>], of: impl Fn(&M) -> &Counter) -> u64 {
    shards.iter().map(|meter| of(meter).get()).sum()
}

/// How many have begun and not ended. The ends are read first, so that the result is never below
/// zero.
fn between<M>(shards: &[Arc<M>], of: impl Fn(&M) -> (&Counter, &Counter)) -> u64 {
    let all: Vec<&M> = shards.iter().map(|meter| &**meter).collect();
    between_all(&all, of)
}

fn between_all<M>(all: &[&M], of: impl Fn(&M) -> (&Counter, &Counter)) -> u64 {
    let ended: u64 = all.iter().map(|meter| of(meter).1.get()).sum();
    let begun: u64 = all.iter().map(|meter| of(meter).0.get()).sum();
    begun.saturating_sub(ended)
}
