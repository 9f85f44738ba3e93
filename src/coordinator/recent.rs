//! The last five minutes, and what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::known::Known;
use crate::coordinator::time::Time;
use crate::decide::outcome::Outcome;
use crate::decide::slowness::slow_from;
use crate::exchange::refusal::TABLE;
use crate::ledger::lately::{Lately, Look, Point, Sum, Tallies};
use crate::ledger::totals::Totals;
use crate::link::counter::Counter;
use crate::link::histogram::{HistogramSum, Part};
use crate::link::meters::{NOBODY, ProviderMeter, STATUSES};
use crate::link::noted::{Form, Noted};
use crate::report::dollars::Usd;
use crate::report::providers::body;
use crate::report::recent::{
    CodeReport, PointReport, RecentReport, StatusCount, TimesReport, TrafficReport, WindowReport,
};

/// Takes a look at the counters at `time`, and publishes from when on requests are slow.
pub(super) fn look(lately: &mut Lately, totals: &Totals, time: Time, noted: &Noted) {
    let look = Look::of(totals, (time.now, time.wall));
    let points = lately.points(&look);
    lately.look(look);
    let sum = Sum::of(&points);
    let of = |times: &HistogramSum| slow_from(times.count(), times.percentile(50).map(millis));
    noted.set_slow_from(Form::Whole, of(&sum.whole_answers()));
    noted.set_slow_from(Form::Stream, of(&sum.first_content));
}

/// The report.
pub(super) fn report(lately: &Lately, known: &Known) -> Vec<u8> {
    let look = Look::of(&known.totals, (known.time.now, known.time.wall));
    let points = lately.points(&look);
    let sum = Sum::of(&points);
    let loops = || known.totals.loops().iter().map(|(_, meter)| meter);
    body(&RecentReport {
        time: known.time.wall,
        caller_connections: loops().map(|meter| meter.callers.get()).sum(),
        window: WindowReport {
            seconds: sum.length.as_secs_f64(),
            requests: sum.requests,
            errors: sum.tallies.errors(),
            prompt_tokens: sum.spent.prompt_tokens,
            completion_tokens: sum.spent.completion_tokens,
            cost_usd: Usd(sum.spent.cost),
            latency: times(sum.latency.count(), |percent| {
                sum.latency.percentile(percent)
            }),
            first_token: times(sum.first_content.count(), |percent| {
                sum.first_content.percentile(percent)
            }),
        },
        points: points.iter().map(point).collect(),
        errors: codes(&sum.tallies, look.tallies()),
        statuses: statuses(&sum.tallies, look.tallies()),
        providers: traffic(known),
    })
}

fn point(point: &Point) -> PointReport {
    let of = |part: &Part| times(part.count(), |percent| part.percentile(percent));
    PointReport {
        start: point.start,
        seconds: point.length.as_secs_f64(),
        requests: point.requests,
        errors: point.tallies.errors(),
        prompt_tokens: point.spent.prompt_tokens,
        completion_tokens: point.spent.completion_tokens,
        cost_usd: Usd(point.spent.cost),
        latency: of(&point.latency),
        first_token: of(&point.first_content),
    }
}

fn times(count: u64, percentile: impl Fn(u64) -> Option<f64>) -> TimesReport {
    TimesReport {
        count,
        p50_ms: percentile(50),
        p95_ms: percentile(95),
        p99_ms: percentile(99),
    }
}

/// infermux's own errors that have happened at all, by code.
fn codes(lately: &Tallies, ever: &Tallies) -> Vec<CodeReport> {
    let counts = lately.codes.iter().zip(&ever.codes);
    let codes = TABLE.iter().zip(counts);
    let codes = codes.filter(|(_, (_, ever))| **ever > 0);
    let report = codes.map(|(row, (lately, ever))| CodeReport {
        code: row.code,
        last_5_minutes: *lately,
        since_start: *ever,
    });
    report.collect()
}

/// The statuses of errors that callers were told, those of providers among them.
fn statuses(lately: &Tallies, ever: &Tallies) -> Vec<StatusCount> {
    let counts = lately.statuses.iter().zip(&ever.statuses);
    let all = STATUSES.iter().zip(counts);
    let errors = all.filter(|(status, (_, ever))| **status >= 400 && **ever > 0);
    let report = errors.map(|(status, (lately, ever))| StatusCount {
        status: *status,
        last_5_minutes: *lately,
        since_start: *ever,
    });
    report.collect()
}

/// What each provider has under way, what of its attempts failed, and how much of its prompts it
/// had in its cache.
fn traffic(known: &Known) -> Vec<TrafficReport<'_>> {
    let totals = &known.totals;
    let mut prompts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for (provider, series) in totals.series().filter(|(name, _)| *name != NOBODY) {
        let read = series.cache_read_tokens.get();
        let other = series.input_tokens.get() + series.cache_write_tokens.get();
        let [cached, all] = prompts.entry(provider).or_default();
        (*cached, *all) = (*cached + read, *all + read + other);
    }
    let meters: BTreeMap<&str, &[Arc<ProviderMeter>]> = totals
        .providers()
        .iter()
        .map(|(name, shards)| (&**name, &**shards))
        .collect();
    let report = |name| {
        let shards = meters.get(name).copied().unwrap_or_default();
        let sum = |of: &dyn Fn(&ProviderMeter) -> &Counter| -> u64 {
            shards.iter().map(|one| of(one).get()).sum()
        };
        // Those that have ended are read first: one that ends meanwhile is not below zero.
        let ended = sum(&|one| &one.ended);
        let failed = Outcome::LABELS.iter().enumerate();
        let failed = failed.filter(|(_, label)| !NO_FAILURES.contains(label));
        let failed = failed.map(|(place, label)| (*label, sum(&|one| &one.outcomes[place])));
        let [cached, prompt] = prompts.get(name).copied().unwrap_or_default();
        TrafficReport {
            provider: name,
            in_flight: sum(&|one| &one.begun).saturating_sub(ended),
            failed_attempts: failed.filter(|(_, count)| *count > 0).collect(),
            prompt_tokens: prompt,
            cache_read_tokens: cached,
        }
    };
    known
        .providers
        .iter()
        .map(|one| report(&*one.name))
        .collect()
}

fn millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(Duration::MAX)
}

/// Outcomes of attempts that say nothing against their provider.
const NO_FAILURES: [&str; 3] = ["answered", "caller_gone", "abandoned"];
