//! A probe that its shard has not reported: the gate's word shows it to the coordinator in time.

use super::*;
use crate::base::ids::ShardId;
use crate::base::time::WallTime;
use crate::base::tokens::Tokens;
use crate::config::accounts::Accounts;
use crate::config::seats::Seats;
use crate::config::{self, Environment, Options, Strictness};
use crate::decide::limiter::Window60;
use crate::decide::outcome::Signal;
use crate::ledger::state::State;
use crate::link::facts::{Ended, Fact};
use crate::link::gate::ConnectionsMax;
use crate::link::provider_gate::Standing;
use crate::link::reports::{ByHand, Reply};
use crate::link::{meters, queue};

fn plan(probe_timeout: &str) -> Plan {
    let breaker = format!("recovery_window: 1s, probe_timeout: {probe_timeout}");
    let text = format!(
        "providers: [{{name: a, type: ollama, models: [m], \
         circuit_breaker: {{consecutive_failures: 1, {breaker}}}}}]"
    );
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    config::load(&text, &options).ok().unwrap().plan
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A coordinator, and the one provider's gate.
struct Play {
    coordinator: Coordinator,
    terms: Arc<Latest<Terms>>,
    seats: Seats,
    batches: u64,
}

impl Play {
    /// Its circuit opened at once, is half-open from 1 s on, and its permit was taken then by a
    /// shard that has not reported it.
    fn with_probe_out() -> Self {
        let plan = Arc::new(plan("5s"));
        let first = Arc::new(Terms::first(Arc::clone(&plan), ConnectionsMax::default()));
        let progress = Arc::new(Progress::new(1));
        let (wall, state) = (WallTime::default(), State::default());
        let totals = Totals::new(wall, &state);
        let books = Books::new((&plan, &Accounts::default()), wall, state, Window60::SPAN);
        let terms = Arc::new(Latest::new(Arc::clone(&first)));
        let seats = Seats::of(&plan);
        let coordinator = Coordinator::new(Opening {
            plan,
            gates: Arc::clone(&first.gates),
            callers: Arc::default(),
            progress,
            books,
            totals,
            meters: meters::channel().1,
            reports: queue::queue(0).0,
        });
        let mut play = Self {
            coordinator: coordinator.with_terms(Arc::clone(&terms)),
            terms,
            seats,
            batches: 0,
        };
        play.coordinator.start(play.time(0));
        play.fail(0);
        play.due(1_000);
        let taken = play.gate().take(0).unwrap();
        assert_eq!(taken.probe, Some(1));
        play
    }

    fn time(&self, millis: u64) -> Time {
        let (now, wall) = (at(millis), WallTime::default());
        Time { now, wall }
    }

    fn gate(&self) -> crate::link::provider_gate::ProviderGate {
        self.terms.load().gates.providers[0].clone()
    }

    fn due(&mut self, millis: u64) {
        let time = self.time(millis);
        self.coordinator.do_what_is_due(time);
    }

    fn ask(&mut self, millis: u64, question: Question) {
        let reply = Arc::<Reply>::default();
        let ask = Message::Ask(Ask { question, reply });
        let _ = self.coordinator.take_in(at(millis), ask);
    }

    fn fail(&mut self, millis: u64) {
        self.batches += 1;
        let failed = Ended {
            provider: ProviderId(0),
            admitted: at(millis),
            at: at(millis),
            signal: Signal::Failure,
            sample: None,
            reserved: Tokens::ZERO,
            used: Tokens::ZERO,
            excess: Tokens::ZERO,
            probe: None,
            successes_before: 0,
        };
        let batch = Batch {
            shard: ShardId(0),
            number: self.batches,
            facts: vec![Fact::Ended(failed)],
        };
        let _ = self.coordinator.take_in(at(millis), Message::Facts(batch));
    }

    /// No request may be sent before `until`, when the next probe may.
    fn check(&mut self, until: u64) {
        for millis in (1_500..until).step_by(100).chain([until - 1]) {
            self.due(millis);
            let standing = self.gate().standing(at(millis), 0);
            assert!(matches!(standing, Standing::Out { .. }), "at {millis} ms");
        }
        self.due(until);
        assert_eq!(self.gate().take(0).unwrap().probe, Some(2));
    }
}

// proves: breaker.one-probe
#[test]
fn a_circuit_that_opens_again_waits_for_a_probe_that_only_the_word_tells_of() {
    let mut play = Play::with_probe_out();
    play.ask(1_010, Question::Circuit(ProviderId(0), ByHand::Close));
    assert_eq!(play.gate().standing(at(1_015), 0), Standing::Ready);
    play.fail(1_020);
    play.check(6_010);
}

// proves: breaker.one-probe
#[test]
fn a_probe_goes_by_the_figures_that_were_in_force_when_it_was_sent() {
    let mut play = Play::with_probe_out();
    let seated = play.seats.seat(plan("100ms")).unwrap();
    let next = play.terms.load().next(seated.plan, seated.fresh);
    play.terms.publish(Arc::new(next));
    play.ask(1_010, Question::Adopt);
    play.check(6_010);
}
