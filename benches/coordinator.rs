//! The coordinator's work for many shards: its real code, in virtual time, fed with the batches of
//! simulated shards. One line per case:
//! `shards requests/s providers budgets scopes | microseconds per batch, nanoseconds per request,
//! percent of a core`. With scopes, each request passes one that has limits per minute and per day.
//!
//! Each shard hands its facts over every 10 ms, and the coordinator is woken for each batch
//! separately, which is the most expensive case.

#[path = "common/plan.rs"]
mod plan;

use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::ids::{BudgetId, ProviderId, ScopeId, ShardId, Subject};
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::{Per, Period, PeriodTag};
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::base::tokens::Tokens;
use infermux::testing::config::accounts::Accounts;
use infermux::testing::config::keyring::{Keyring, Team};
use infermux::testing::config::scope::{Allowance, Limits};
use infermux::testing::coordinator::opening::Opening;
use infermux::testing::coordinator::run::Coordinator;
use infermux::testing::coordinator::time::Time;
use infermux::testing::decide::limiter::Window60;
use infermux::testing::exchange::callers::Callers;
use infermux::testing::ledger::books::Books;
use infermux::testing::ledger::state::State;
use infermux::testing::ledger::terms::Terms;
use infermux::testing::ledger::totals::Totals;
use infermux::testing::link::facts::{
    Admitted, Fact, Left, Sample, SampleKind, Success, Successes,
};
use infermux::testing::link::gate::ConnectionsMax;
use infermux::testing::link::gathered::Gathered;
use infermux::testing::link::progress::Progress;
use infermux::testing::link::reports::{Batch, Message};
use infermux::testing::link::{meters, queue};

/// How often a shard hands over.
const TICK: Duration = Duration::from_millis(10);
/// Ticks until every window is as full as it gets: 61 seconds, so that the first charges leave it.
const WARM_TICKS: u32 = 6_100;
/// Ticks that are measured.
const TICKS: u32 = 300;

fn main() {
    println!("shards requests/s providers budgets scopes | us/batch ns/request %core");
    for shards in [1, 4, 16, 64] {
        show(&Case::new(shards, 1, 4, 4));
        show(&Case::new(shards, 100, 4, 4));
    }
    for rows in [1, 10, 100, 1_000] {
        show(&Case::new(64, 100, rows, u32::from(rows)));
    }
    for scopes in [1, 1_000, 50_000] {
        show(&Case {
            scopes,
            ..Case::new(4, 100, 4, 4)
        });
    }
}

/// One case.
struct Case {
    shards: u16,
    /// Requests of each shard in each tick.
    requests: u32,
    providers: u16,
    budgets: u32,
    scopes: u32,
}

impl Case {
    const fn new(shards: u16, requests: u32, providers: u16, budgets: u32) -> Self {
        Self {
            shards,
            requests,
            providers,
            budgets,
            scopes: 0,
        }
    }
}

fn show(case: &Case) {
    let spent = measured(case);
    let batches = f64::from(TICKS) * f64::from(case.shards);
    let per_batch = spent.as_secs_f64() / batches;
    let share = spent.as_secs_f64() / (TICK * TICKS).as_secs_f64();
    println!(
        "{:6} {:10} {:9} {:7} {:6} | {:8.2} {:10.0} {:5.2}",
        case.shards,
        u32::from(case.shards) * case.requests * 100,
        case.providers,
        case.budgets,
        case.scopes,
        per_batch * 1e6,
        per_batch * 1e9 / f64::from(case.requests),
        share * 100.0
    );
}

/// The real time that the coordinator takes for the ticks that count.
fn measured(case: &Case) -> Duration {
    let plan = Arc::new(plan::of(case.providers, case.budgets));
    let wall = WallTime::from_unix_millis(1_795_428_000_000);
    let first = Terms::first(Arc::clone(&plan), ConnectionsMax::default());
    let progress = Arc::new(Progress::new(usize::from(case.shards)));
    let totals = Totals::new(wall, &State::default());
    let [month, day] = [Per::Month, Per::Day].map(|per| Period::of(per, wall).tag());
    let ring = Keyring::default();
    let teams: Vec<Team> = (0..case.scopes).map(team).collect();
    let accounts = Arc::new(Accounts::new(&ring, &teams, &plan.budgets));
    let books = Books::new((&plan, &accounts), wall, State::default(), Window60::SPAN);
    let (_meters, begun) = meters::channel();
    let mut coordinator = Coordinator::new(Opening {
        plan,
        gates: Arc::clone(&first.gates),
        callers: Arc::new(Callers::first(ring, Box::default(), accounts)),
        progress,
        books,
        totals,
        meters: begun,
        reports: queue::queue(0).0,
    });
    let start = Instant::from_millis(1);
    let at = |span: Duration| Time {
        now: start + span,
        wall: WallTime::from_unix_millis(wall.unix_millis() + millis(span)),
    };
    coordinator.start(at(Duration::ZERO));
    let mut turn = 0;
    let mut spent = Duration::ZERO;
    for tick in 0..WARM_TICKS + TICKS {
        for shard in 0..case.shards {
            let time = at(TICK * tick + TICK * u32::from(shard) / u32::from(case.shards));
            let batch = batch(case, (time.now, month, day), (shard, tick), &mut turn);
            let begun = clock();
            coordinator.take_in(time.now, Message::Facts(batch));
            coordinator.do_what_is_due(time);
            if tick >= WARM_TICKS {
                spent += begun.elapsed();
            }
        }
    }
    spent
}

/// A team with limits.
fn team(number: u32) -> Team {
    let (requests, tokens) = (Some(1_000_000_000), Some(1_000_000_000_000));
    let limits = Limits {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        requests_per_day: requests,
        tokens_per_day: tokens,
        ..Limits::default()
    };
    Team {
        name: number.to_string().into(),
        models: None,
        allowance: Allowance {
            limits: Some(limits),
            budgets: Box::default(),
        },
    }
}

/// A shard's batch: what three facts for each request, and two for its scope, become.
fn batch(
    case: &Case,
    (now, month, day): (Instant, PeriodTag, PeriodTag),
    (shard, tick): (u16, u32),
    turn: &mut u32,
) -> Batch {
    let mut facts = Gathered::default();
    for _ in 0..case.requests {
        *turn += 1;
        let place = u16::try_from(*turn % u32::from(case.providers));
        let provider = ProviderId(place.expect("less than there are"));
        let scope = turn.checked_rem(case.scopes).map(ScopeId);
        let day = scope.map(|_| day);
        let subjects = [Subject::Provider(provider)].into_iter();
        for subject in subjects.chain(scope.map(Subject::Scope)) {
            let tokens = Tokens::new(300);
            let is_scope = matches!(subject, Subject::Scope(_));
            let day = day.filter(|_| is_scope);
            let admitted = Admitted {
                subject,
                at: now,
                requests: 1,
                tokens,
                day: day.map(|day| (day, 1)),
            };
            let left = Left {
                subject,
                admitted: now,
                day,
                reserved: tokens,
                excess: Tokens::ZERO,
                used: Tokens::new(29),
            };
            tell(&mut facts, Fact::Admitted(admitted));
            tell(&mut facts, Fact::Left(left));
        }
        let sample = Sample {
            latency: Duration::from_millis(400),
            kind: SampleKind::WholeAnswer,
        };
        let success = Success::new(now, sample);
        if !facts.succeed(provider, now, success) {
            facts.push(Fact::Succeeded(Successes::new(provider, now, success)));
        }
        let settled = Fact::Settled {
            budget: BudgetId(*turn % case.budgets),
            period: month,
            cost: NanoUsd::new(30),
            first: NanoUsd::new(30),
        };
        tell(&mut facts, settled);
    }
    Batch {
        shard: ShardId(shard),
        number: u64::from(tick) + 1,
        facts: facts.take(0),
    }
}

fn tell(facts: &mut Gathered, fact: Fact) {
    if !facts.join(&fact) {
        facts.push(fact);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("a short time")
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is real time that is measured"
)]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
