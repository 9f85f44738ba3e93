//! Steps on facts: gathering a shard's batch, and booking one fact.

use std::hint::black_box;
use std::time::Duration;

use infermux::testing::base::ids::{ProviderId, Subject};
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::base::tokens::Tokens;
use infermux::testing::config::accounts::Accounts;
use infermux::testing::decide::outcome::Signal;
use infermux::testing::ledger::books::Books;
use infermux::testing::ledger::state::State;
use infermux::testing::link::facts::{Admitted, Ended, Fact, Sample, SampleKind};

use super::run::{Run, plan};

/// Facts of one run of [`facts`].
const FACTS: u32 = 256;

/// Gathers facts, from an empty list, like a shard after each flush.
pub(crate) fn facts() -> Run {
    let now = Instant::from_millis(1_000);
    Box::new(move || {
        let mut facts = Vec::new();
        for _ in 0..FACTS {
            facts.push(ended(black_box(now), Signal::Success));
        }
        black_box(facts);
    })
}

/// Books the admission of a request at a provider with limits.
pub(crate) fn admitted() -> Run {
    books(|at| {
        Fact::Admitted(Admitted {
            subject: Subject::Provider(ProviderId(1)),
            at,
            requests: 1,
            tokens: Tokens::new(300),
            day: None,
        })
    })
}

/// Books an attempt that succeeded.
pub(crate) fn success() -> Run {
    books(|at| ended(at, Signal::Success))
}

/// Books an attempt that failed, without opening the circuit.
pub(crate) fn failure() -> Run {
    books(|at| ended(at, Signal::Failure))
}

fn books(fact: impl Fn(Instant) -> Fact + 'static) -> Run {
    let wall = WallTime::from_unix_millis(1_795_428_000_000);
    let mut books = Books::new(
        (&plan(3), &Accounts::default()),
        wall,
        State::default(),
        Duration::from_secs(60),
    );
    let mut orders = Vec::new();
    let mut now = Instant::from_millis(1_000);
    Box::new(move || {
        now = now + Duration::from_micros(100);
        orders.clear();
        books.on_fact(now, &fact(now), &mut orders);
        black_box(&orders);
    })
}

fn ended(at: Instant, signal: Signal) -> Fact {
    let sample = Sample {
        latency: Duration::from_millis(400),
        kind: SampleKind::WholeAnswer,
    };
    Fact::Ended(Ended {
        provider: ProviderId(1),
        admitted: at,
        at,
        signal,
        sample: (signal == Signal::Success).then_some(sample),
        probe: None,
        successes_before: 0,
    })
}
