//! The circuits of all providers: every change is ordered, logged and shown.

use proptest::prelude::*;

use super::*;
use crate::config::{self, Environment, Options, Strictness};
use crate::decide::circuit::Reason;
use crate::decide::outcome::Signal;

const A: ProviderId = ProviderId(0);
const B: ProviderId = ProviderId(1);
const NOBODY: ProviderId = ProviderId(7);

fn policy() -> BreakerPolicy {
    BreakerPolicy {
        consecutive_failures: 1,
        ..BreakerPolicy::default()
    }
}

fn second(second: u64) -> Instant {
    Instant::from_millis(second * 1_000)
}

fn ended(provider: ProviderId, at: Instant, signal: Signal, probe: Option<u32>) -> Fact {
    Fact::Ended(Ended {
        provider,
        admitted: at,
        at,
        signal,
        sample: Some(Sample {
            latency: Duration::from_secs(1),
            kind: SampleKind::FirstContent,
        }),
        probe,
        successes_before: 0,
    })
}

/// Orders and log lines, the oldest first, of one step after the other.
struct Told {
    breakers: Breakers,
    orders: Vec<Order>,
}

impl Told {
    fn new() -> Self {
        Self {
            breakers: Breakers::new([policy(), policy()]),
            orders: Vec::new(),
        }
    }

    fn fact(&mut self, now: Instant, fact: &Fact) {
        self.breakers.on_fact(now, fact, &mut self.orders);
    }

    fn circuits(&mut self, provider: ProviderId) -> Vec<Circuit> {
        let circuit = |order| match order {
            Order::Circuit { provider: p, state } if p == provider => Some(state),
            _ => None,
        };
        self.orders.drain(..).filter_map(circuit).collect()
    }
}

#[test]
fn each_change_is_ordered_and_logged() {
    let mut told = Told::new();
    told.fact(second(1), &ended(A, second(1), Signal::Failure, None));
    let until = second(31);
    assert_eq!(told.breakers.deadline(), Some(until));
    assert_eq!(told.circuits(A), [Circuit::Open { until }]);

    told.breakers.on_time(until, &mut told.orders);
    let (generation, until) = (1, second(36));
    let half_open = Circuit::HalfOpen { generation, until };
    assert_eq!(told.circuits(A), [half_open]);
    assert_eq!(told.breakers.deadline(), None);

    let (provider, at) = (A, second(40));
    let taken = Fact::ProbeTaken {
        provider,
        generation,
        at,
    };
    told.fact(second(41), &taken);
    assert_eq!(told.orders, [], "the gate's word says so already");
    assert_eq!(told.breakers.deadline(), Some(second(45)));

    told.fact(second(42), &ended(A, second(42), Signal::Success, Some(1)));
    assert_eq!(told.circuits(A), [Circuit::Closed]);
    assert_eq!(told.breakers.deadline(), None);

    let reasons = |change: Change| (change.provider, change.transition.reason);
    let logged: Vec<_> = told.breakers.take_changes().map(reasons).collect();
    let expected = [
        (A, Reason::ConsecutiveFailures),
        (A, Reason::RecoveryWindow),
        (A, Reason::ProbeSucceeded),
    ];
    assert_eq!(logged, expected);
    assert_eq!(told.breakers.take_changes().count(), 0);
}

#[test]
fn a_permit_that_comes_back_is_published_under_a_new_number() {
    let mut told = Told::new();
    told.breakers.open(second(0), B, &mut told.orders);
    told.breakers.on_time(second(30), &mut told.orders);
    told.orders.clear();
    told.breakers
        .on_probe_taken(second(31), B, 1, &mut told.orders);
    told.fact(second(32), &ended(B, second(32), Signal::Neutral, Some(1)));
    let (generation, until) = (2, second(37));
    assert_eq!(told.circuits(B), [Circuit::HalfOpen { generation, until }]);
    told.breakers
        .on_probe_taken(second(33), B, 2, &mut told.orders);
    told.breakers
        .on_probe_answered(second(34), B, 2, &mut told.orders);
    assert_eq!(told.circuits(B), [Circuit::Closed]);
}

#[test]
fn an_operator_is_obeyed_for_the_provider_named() {
    let mut told = Told::new();
    let until = second(30);
    told.breakers.open(second(0), B, &mut told.orders);
    assert_eq!(told.circuits(B), [Circuit::Open { until }]);
    told.breakers.close(second(1), B, &mut told.orders);
    assert_eq!(told.circuits(B), [Circuit::Closed]);
    told.breakers.open(second(2), B, &mut told.orders);
    told.breakers.reset(second(3), B, &mut told.orders);
    assert_eq!(told.circuits(B).last(), Some(&Circuit::Closed));
    told.breakers.reset(second(4), B, &mut told.orders);
    assert_eq!(told.orders, []);
    let changed: Vec<_> = told.breakers.take_changes().map(|c| c.provider).collect();
    assert_eq!(changed, [B; 4]);
}

#[test]
fn health_is_apart_from_the_circuit() {
    let mut told = Told::new();
    for (state, orders) in [
        (Health::Healthy, 0),
        (Health::Unhealthy, 1),
        (Health::Unhealthy, 0),
        (Health::Healthy, 1),
    ] {
        told.breakers.on_health(A, state, &mut told.orders);
        assert_eq!(told.orders.drain(..).count(), orders);
        let view = told.breakers.view(second(0), A).unwrap();
        assert_eq!((view.health, view.state), (state, State::Closed));
    }
}

impl Breakers {
    /// What reports show, in the order of the ids.
    fn views(&mut self, now: Instant) -> impl Iterator<Item = View> {
        let ids = (0..=u16::MAX).take(self.providers.len()).map(ProviderId);
        ids.filter_map(move |provider| self.view(now, provider))
    }
}

#[test]
fn a_check_that_ends_after_the_last_one_says_nothing() {
    let plan = |health: &str| {
        let text =
            format!("providers: [{{name: a, type: ollama, models: [m], health_check: {health}}}]");
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(&text, &options).ok().unwrap().plan
    };
    let (checked, unchecked) = (plan("{interval: 1s}"), plan("{disabled: true}"));
    let mut told = Told::new();
    told.breakers
        .adopt(second(1), &unchecked, &[], &mut told.orders);
    told.breakers
        .on_health(A, Health::Unhealthy, &mut told.orders);
    assert_eq!(told.orders, []);
    told.breakers
        .adopt(second(2), &checked, &[], &mut told.orders);
    told.breakers
        .on_health(A, Health::Unhealthy, &mut told.orders);
    assert_eq!(told.orders.len(), 1);
}

#[test]
fn views_show_every_provider() {
    let mut told = Told::new();
    told.fact(second(0), &ended(A, second(0), Signal::Success, None));
    told.fact(second(0), &ended(A, second(0), Signal::Failure, None));
    let views: Vec<View> = told.breakers.views(second(1)).collect();
    let [a, b] = views.as_slice() else {
        panic!("{views:?}");
    };
    assert_eq!((a.provider, a.state.name()), (A, "open"));
    assert_eq!((a.error_rate, a.requests_last_minute), (0.5, 2));
    assert!(a.p95.is_some_and(|p95| p95 >= Duration::from_secs(1)));
    assert_eq!((b.provider, b.state.name()), (B, "closed"));
    assert_eq!(
        (b.error_rate, b.p95, b.requests_last_minute),
        (0.0, None, 0)
    );
}

#[test]
fn a_provider_that_does_not_exist_is_ignored() {
    let mut told = Told::new();
    told.fact(second(0), &ended(NOBODY, second(0), Signal::Failure, None));
    told.breakers
        .on_probe_taken(second(0), NOBODY, 1, &mut told.orders);
    told.breakers.open(second(0), NOBODY, &mut told.orders);
    told.breakers
        .on_health(NOBODY, Health::Unhealthy, &mut told.orders);
    assert_eq!(told.breakers.view(second(0), NOBODY), None);
    assert_eq!(told.orders, []);
}

#[test]
fn the_log_goes_without_what_is_too_much() {
    let mut told = Told::new();
    for i in 0..=CIRCUIT_CHANGES_MAX {
        told.breakers.open(second(i as u64), A, &mut told.orders);
    }
    assert_eq!(told.orders.len(), CIRCUIT_CHANGES_MAX + 1);
    assert_eq!(told.breakers.take_changes().count(), CIRCUIT_CHANGES_MAX);
}

proptest! {
    #[test]
    fn whoever_follows_the_orders_knows_every_circuit(
        steps in prop::collection::vec((0..20_u64, 0..2_u16, 0..8_u8), 0..100),
    ) {
        let mut told = Told::new();
        let mut gates = [Circuit::Closed; 2];
        let mut now = 0;
        for (passed, provider, what) in steps {
            now += passed;
            let (at, provider) = (second(now), ProviderId(provider));
            told.breakers.on_time(at, &mut told.orders);
            let probe = match told.breakers.view(at, provider).unwrap().state {
                State::HalfOpen { generation, .. } => Some(generation),
                State::Closed | State::Open { .. } => None,
            };
            match what {
                0 => told.breakers.open(at, provider, &mut told.orders),
                1 => told.breakers.close(at, provider, &mut told.orders),
                2 => told.breakers.reset(at, provider, &mut told.orders),
                3 => {
                    let (orders, generation) = (&mut told.orders, probe.unwrap_or(0));
                    let breakers = &mut told.breakers;
                    breakers.on_probe_taken(at, provider, generation, orders);
                }
                4 => told.fact(at, &ended(provider, at, Signal::Success, probe)),
                5 => told.fact(at, &ended(provider, at, Signal::Neutral, probe)),
                _ => told.fact(at, &ended(provider, at, Signal::Failure, probe)),
            }
            for order in told.orders.drain(..) {
                if let Order::Circuit { provider, state } = order {
                    gates[provider.index()] = state;
                }
            }
            for view in told.breakers.views(at) {
                let agrees = match (gates[view.provider.index()], view.state) {
                    (Circuit::Closed, State::Closed) => true,
                    (Circuit::Open { until: a }, State::Open { until: b, .. }) => a == b,
                    (
                        Circuit::HalfOpen { generation: a, .. },
                        State::HalfOpen { generation: b, .. },
                    ) => a == b,
                    _ => false,
                };
                prop_assert!(agrees, "{:?}", view);
            }
        }
    }
}
