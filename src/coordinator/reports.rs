//! Writes the reports on totals, on a thread of its own: a scrape of thousands of series must delay
//! neither a shard nor the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::spent::Spent;
use crate::config::accounts::Account;
use crate::config::scope::Scope;
use crate::coordinator::known::{BudgetStanding, Known, ProviderStanding};
use crate::coordinator::time::Time;
use crate::coordinator::{allowances, keys, metrics, recent};
use crate::ledger::lately::Lately;
use crate::ledger::timeline::Span;
use crate::ledger::totals::{SeriesTotal, Totals};
use crate::link::gate::Process;
use crate::link::histogram::HistogramSum;
use crate::link::meters::{NOBODY, Party};
use crate::link::noted::{Form, NotedRequest, Trouble};
use crate::link::orders::Health;
use crate::link::queue::Taker;
use crate::link::recorder::AllRecorders;
use crate::link::reports::{Ask, Question, RequestsShown};
use crate::report::costs::{
    BucketReport, CallerReport, CostReport, ModelsReport, Monthly, PartiesReport, PartyList,
    PartyName, PartyReport, TimeseriesReport,
};
use crate::report::dollars::Usd;
use crate::report::latency::{LatencyReport, SeriesReport, Spread};
use crate::report::providers::body;
use crate::report::requests::{RequestReport, RequestsReport, SlowFrom};
use crate::report::status::{RecordsReport, StatusReport};
use crate::sys::cores;

/// A piece of work.
pub enum Job {
    /// A question, and the coordinator's knowledge when it came to be answered.
    Answer(Ask, Box<Known>),
    /// A look at the counters, for the last five minutes.
    Look {
        /// The moment.
        time: Time,
        /// The counters.
        totals: Arc<Totals>,
        /// Where it is published from when on requests are slow.
        process: Arc<Process>,
    },
}

/// Does one piece of work after the other, until no sender is left.
pub fn run(jobs: &Taker<Job>) {
    cores::step_back();
    let mut lately = Lately::default();
    while let Some(job) = jobs.next() {
        match job {
            Job::Answer(ask, known) => {
                let body = match &ask.question {
                    Question::Recent => recent::report(&lately, &known),
                    question => answer(question, &known),
                };
                ask.reply.give(body);
            }
            Job::Look {
                time,
                totals,
                process,
            } => recent::look(&mut lately, &totals, time, &process.noted),
        }
    }
}

fn answer(question: &Question, known: &Known) -> Vec<u8> {
    let totals = &*known.totals;
    let period = totals.month();
    match question {
        // They are answered elsewhere.
        Question::Providers
        | Question::Changes
        | Question::ByHand(..)
        | Question::Recent
        | Question::Adopt => Vec::new(),
        Question::Status => body(&status(known)),
        Question::Requests(shown) => body(&requests(known, *shown)),
        Question::Metrics => metrics::text(known).into_bytes(),
        Question::Latency => body(&latency(totals)),
        Question::Costs => body(&costs(totals)),
        Question::CostsBy(party, top) => {
            let (parties, others) = match top {
                None => (parties(known, *party), None),
                Some(most) => {
                    let (parties, others) = parties(known, *party).top(*most);
                    (parties, Some(others))
                }
            };
            body(&PartiesReport {
                period,
                parties,
                others,
            })
        }
        Question::CostsOfCaller(name) => {
            let spent = totals.of_party(Party::Caller, name).unwrap_or_default();
            let caller = PartyReport::new(PartyName::Caller(name), spent, budget(known, name));
            body(&CallerReport { period, caller })
        }
        Question::CostsByModel => {
            let by_model = by_name(totals, |one| &one.model);
            let by_model = by_model.map(|(name, spent)| (name, spent.into())).collect();
            body(&ModelsReport { period, by_model })
        }
        Question::Keys(shown) => body(&keys::keys(known, shown)),
        Question::Key(name) => keys::key(known, name).map_or_else(Vec::new, |one| body(&one)),
        Question::Timeseries(range) => {
            let spans = totals.timeline().spans(known.time.wall, *range).into_iter();
            let bucket = |span: Span| BucketReport {
                start: span.start,
                cost_usd: Usd(span.spent.cost),
                requests: span.spent.requests,
                tokens: span.spent.tokens(),
            };
            let buckets = spans.map(bucket).collect();
            body(&TimeseriesReport { buckets })
        }
    }
}

fn status(known: &Known) -> StatusReport {
    let now = known.time.now;
    let loops = || known.totals.loops().iter().map(|(_, meter)| meter);
    let is_well = |one: &&ProviderStanding| {
        one.health == Health::Healthy && one.circuit != "open" && !one.is_taken_out
    };
    StatusReport {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: now.since(known.started.now).as_secs(),
        providers_healthy: known.providers.iter().filter(is_well).count(),
        providers_total: known.providers.len(),
        providers_taken_out: known
            .providers
            .iter()
            .filter(|one| one.is_taken_out)
            .count(),
        requests_total: loops().map(|meter| meter.requests_total.get()).sum(),
        requests_last_minute: loops().map(|meter| meter.requests.sum(now)).sum(),
        errors_last_minute: loops().map(|meter| meter.errors.sum(now)).sum(),
        stalled_shards: known.progress.stalled(),
        usage_records: records(&known.process.recorders),
        shared: known.shared.clone(),
    }
}

fn requests(known: &Known, shown: RequestsShown) -> RequestsReport {
    let noted = &known.process.noted;
    let one = shown.trouble.as_slice();
    let troubles = if one.is_empty() { &Trouble::ALL } else { one };
    let requests = noted.last(troubles, shown.most);
    let requests = requests.iter().map(|one| request(one)).collect();
    RequestsReport {
        slow_from_ms: SlowFrom {
            first_content: noted.slow_from(Form::Stream),
            whole_answer: noted.slow_from(Form::Whole),
        },
        requests,
    }
}

fn request(one: &NotedRequest) -> RequestReport {
    RequestReport {
        time: one.time,
        kind: one.trouble.name(),
        request_id: one.id.clone(),
        upstream_request_id: one.upstream_id.clone(),
        endpoint: one.endpoint,
        caller: one.caller.clone(),
        key: one.key.clone(),
        team: one.team.clone(),
        model: one.model.clone(),
        provider: one.provider.clone(),
        provider_model: one.provider_model.clone(),
        status: one.status,
        error: one.error,
        stream: one.stream,
        attempts: one.attempts,
        duration: one.duration,
        first_byte: one.first_byte,
        cost_usd: one.cost.map(Usd),
        failed_cost_usd: one.failed_cost.map(Usd),
    }
}

/// What has become of usage records; `None`: nobody writes any.
fn records(all: &AllRecorders) -> Option<RecordsReport> {
    let counts = &all.usage;
    (all.running() > 0).then(|| RecordsReport {
        state: if counts.fails() { "failing" } else { "ok" },
        written: counts.written.get(),
        dropped: counts.dropped.get(),
    })
}

fn latency(totals: &Totals) -> LatencyReport<'_> {
    let (mut latency, mut first_token) = (HistogramSum::default(), HistogramSum::default());
    let series = totals.by_series().map(|(one, _)| one);
    let series = series.filter(|one| &*one.provider != NOBODY).map(|one| {
        let (mut own, mut own_first) = (HistogramSum::default(), HistogramSum::default());
        for shard in &one.shards {
            shard.latency.add_to(&mut own);
            shard.latency.add_to(&mut latency);
            shard.first_token.add_to(&mut own_first);
            shard.first_token.add_to(&mut first_token);
        }
        SeriesReport {
            provider: &one.provider,
            model: &one.model,
            latency: spread(&own),
            first_token: spread(&own_first),
        }
    });
    let series = series.collect();
    let mut overhead = HistogramSum::default();
    let loops = totals.loops().iter();
    loops.for_each(|(_, meter)| meter.overhead.add_to(&mut overhead));
    LatencyReport {
        overhead: spread(&overhead),
        latency: spread(&latency),
        first_token: spread(&first_token),
        series,
    }
}

fn spread(sum: &HistogramSum) -> Spread {
    Spread {
        count: sum.count(),
        p50_ms: sum.percentile(50),
        p95_ms: sum.percentile(95),
        p99_ms: sum.percentile(99),
        buckets: sum.buckets().collect(),
    }
}

fn costs(totals: &Totals) -> CostReport<'_> {
    let all = totals.all();
    let dollars = |(name, spent): (_, Spent)| (name, Usd(spent.cost));
    CostReport {
        period: totals.month(),
        total_usd: Usd(all.cost),
        by_provider: by_name(totals, |one| &one.provider).map(dollars).collect(),
        by_model: by_name(totals, |one| &one.model).map(dollars).collect(),
        requests: all.requests,
        prompt_tokens: all.prompt_tokens,
        completion_tokens: all.completion_tokens,
    }
}

/// What was spent, by one of the names of a series; names without spend are left out.
fn by_name(
    totals: &Totals,
    name: impl Fn(&SeriesTotal) -> &str,
) -> impl Iterator<Item = (&str, Spent)> {
    let mut sums: BTreeMap<&str, Spent> = BTreeMap::new();
    for (one, spent) in totals.by_series() {
        if !spent.is_nothing() {
            let sum = sums.entry(name(one)).or_default();
            *sum = sum.plus(spent);
        }
    }
    sums.into_iter()
}

/// What the parties of one kind have spent.
fn parties(known: &Known, party: Party) -> PartyList<'_> {
    let all = |name| spent_by(&known.totals, party, name);
    match party {
        Party::Caller => PartyList::Callers(callers(known)),
        Party::Project => PartyList::Projects(all(PartyName::Project)),
        Party::Env => PartyList::Envs(all(PartyName::Env)),
        Party::Key => PartyList::Keys(with_budgets(known, party, PartyName::Key)),
        Party::Team => PartyList::Teams(with_budgets(known, party, PartyName::Team)),
    }
}

/// Everyone who has spent something or has a budget.
fn callers(known: &Known) -> Vec<PartyReport<'_>> {
    let spent = known.totals.by_party(Party::Caller);
    let mut all: BTreeMap<&str, Spent> = spent.collect();
    for (caller, _) in known.budgets_of_callers() {
        all.entry(caller).or_default();
    }
    // A look-up table, since there may be thousands of callers and of budgets.
    let budgets: BTreeMap<&str, _> = known
        .budgets_of_callers()
        .map(|(caller, one)| (caller, monthly(&one)))
        .collect();
    let report = |(name, spent)| {
        PartyReport::new(PartyName::Caller(name), spent, budgets.get(name).copied())
    };
    all.into_iter().map(report).collect()
}

/// Every key, or team, that has spent something or has a budget.
fn with_budgets<'a>(
    known: &'a Known,
    party: Party,
    name: fn(&'a str) -> PartyName<'a>,
) -> Vec<PartyReport<'a>> {
    let accounts = known.callers.accounts().all().iter();
    let own = |account: &'a Account| match (&account.scope, party) {
        (Scope::Team(name), Party::Team) | (Scope::Key(name), Party::Key) => {
            (!account.budgets.is_empty()).then_some((&**name, account))
        }
        _ => None,
    };
    let accounts: BTreeMap<&str, &Account> = accounts.filter_map(own).collect();
    let mut all: BTreeMap<&str, Spent> = known.totals.by_party(party).collect();
    for one in accounts.keys() {
        all.entry(one).or_default();
    }
    let report = |(one, spent)| {
        let account = accounts.get(one).copied();
        let (gates, time) = (known.callers.gates(), known.time);
        let budgets = account.map(|account| allowances::allowance(account, gates, time).budgets);
        PartyReport::new(name(one), spent, None).with_budgets(budgets.unwrap_or_default())
    };
    all.into_iter().map(report).collect()
}

fn budget(known: &Known, caller: &str) -> Option<Monthly> {
    let mut budgets = known.budgets_of_callers();
    let (_, budget) = budgets.find(|(name, _)| *name == caller)?;
    Some(monthly(&budget))
}

fn monthly(one: &BudgetStanding<'_>) -> Monthly {
    Monthly {
        amount: one.budget.amount,
        spent: one.spent,
        lost: one.lost,
    }
}

fn spent_by<'a>(
    totals: &'a Totals,
    party: Party,
    name: fn(&'a str) -> PartyName<'a>,
) -> Vec<PartyReport<'a>> {
    let all: BTreeMap<&'a str, Spent> = totals.by_party(party).collect();
    let report = |(one, spent)| PartyReport::new(name(one), spent, None);
    all.into_iter().map(report).collect()
}
