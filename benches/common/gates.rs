//! Steps on the words that all shards share: finding eligible candidates, choosing one, taking a
//! permit.

use std::hint::black_box;
use std::time::Duration;

use infermux::testing::base::endpoint::Endpoint;
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::PeriodTag;
use infermux::testing::base::time::Instant;
use infermux::testing::decide::budget::{self, Admission, Ask, Standing};
use infermux::testing::decide::eligible::Eligible;
use infermux::testing::decide::rotation::Rotation;
use infermux::testing::decide::strategy::{Choice, choose};
use infermux::testing::exchange::route;
use infermux::testing::link::budget_gate::BudgetGate;
use infermux::testing::link::gate::{ConnectionsMax, Gates};
use infermux::testing::link::provider_gate::{Limits, ProviderGate};

use super::run::{Run, kept, plan};

/// Finds the route, looks at all `count` candidates, takes a ticket and chooses.
pub(crate) fn route(count: u16) -> Run {
    let plan = kept(plan(count));
    let providers = (0..count).map(|_| ProviderGate::new(limits())).collect();
    let gates = Gates::new(plan.routes.all.len(), ConnectionsMax::default()).with(providers);
    let rotation = Rotation::new(&vec![1; usize::from(count)]);
    let now = Instant::from_millis(1_000);
    Box::new(move || {
        let model = black_box("gpt-4o-mini");
        let routed = route::route(plan, Endpoint::ChatCompletions, model).expect("a route");
        let survey = route::survey(&routed, &Eligible::NONE, |id| {
            gates.providers[id.index()].standing(now, 300)
        });
        let choice = Choice {
            ticket: gates.ticket(routed.id),
            random: 0,
            rotation: &rotation,
            latencies: &[],
            min_samples: 5,
            costs: &[],
        };
        black_box(choose(routed.route.strategy, &choice, &survey.eligible));
    })
}

/// Takes from the gate of a provider without limits, and releases.
pub(crate) fn take_and_leave() -> Run {
    let gate = ProviderGate::new(Limits::default());
    Box::new(move || {
        black_box(gate.take(black_box(300)));
        gate.release();
    })
}

/// Takes from the gate of a provider with every limit, releases, and gives back.
pub(crate) fn take_and_give() -> Run {
    let gate = ProviderGate::new(limits());
    Box::new(move || {
        black_box(gate.take(black_box(300)));
        gate.release();
        gate.give_back(1, 300);
    })
}

/// Reserves money from a budget that is never used up.
pub(crate) fn reserve() -> Run {
    let gate = BudgetGate::default();
    let monthly = NanoUsd::new(1 << 50);
    gate.begin(PeriodTag(3), 1 << 50, NanoUsd::ZERO);
    let ask = Ask {
        prompt: NanoUsd::new(30),
        whole: NanoUsd::new(180),
    };
    Box::new(move || {
        let decide = |standing: &Standing| match budget::admit(standing, black_box(&ask)) {
            Admission::Reserve(share) => Ok(share),
            refused @ (Admission::RefuseForGood | Admission::RefuseInFlight) => Err(refused),
        };
        let reserved = gate.reserve(monthly, decide);
        let _ = black_box(reserved);
    })
}

fn limits() -> Limits {
    Limits {
        requests: Some(1_000_000_000),
        tokens: Some(1_000_000_000_000),
        in_flight: Some(100_000),
        check_interval: Duration::from_secs(60),
        ..Limits::default()
    }
}
