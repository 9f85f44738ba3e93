//! A probe that its shard has not reported: the gate's word shows it to the coordinator in time.
//! And the words of a scope's limits, which the coordinator keeps right.

use super::*;
use crate::base::ids::{ScopeId, ShardId, Subject};
use crate::base::period::{Per, Period};
use crate::base::time::WallTime;
use crate::base::tokens::Tokens;
use crate::config::account_seats::AccountSeats;
use crate::config::accounts::Accounts;
use crate::config::keyring::{self, Keyring};
use crate::config::scope;
use crate::config::seats::Seats;
use crate::config::{self, Environment, Options, Strictness};
use crate::decide::limiter::Window60;
use crate::decide::outcome::Signal;
use crate::link::facts::{self, Admitted, Ended, Fact};
use crate::link::gate::ConnectionsMax;
use crate::link::provider_gate::Standing;
use crate::link::reports::{ByHand, Reply};
use crate::link::scope_gate::{ScopeGate, ScopeLimit, ScopeTaken};
use crate::link::states::Received;
use crate::link::{meters, queue, states};

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
    play.ask(1_010, Question::ByHand(ProviderId(0), ByHand::Close));
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

/// A coordinator of a team with limits, without providers that matter.
struct Team {
    coordinator: Coordinator,
    callers: Arc<Callers>,
    next: Arc<Latest<Callers>>,
    seats: AccountSeats,
    batches: u64,
}

/// What is left of the minute's requests and tokens, and of the day's.
type Left = [u64; 4];

fn teams(limits: [u64; 4]) -> Box<[keyring::Team]> {
    let [
        requests_per_minute,
        tokens_per_minute,
        requests_per_day,
        tokens_per_day,
    ] = limits.map(Some);
    let limits = scope::Limits {
        requests_per_minute,
        tokens_per_minute,
        requests_per_day,
        tokens_per_day,
        ..scope::Limits::default()
    };
    Box::new([keyring::Team {
        name: "t".into(),
        models: None,
        allowance: scope::Allowance {
            limits: Some(limits),
            budgets: Box::default(),
        },
    }])
}

const DAY: u64 = 86_400_000;

impl Team {
    fn new(limits: [u64; 4]) -> Self {
        let plan = Arc::new(plan("5s"));
        let first = Terms::first(Arc::clone(&plan), ConnectionsMax::default());
        let (ring, teams) = (Keyring::default(), teams(limits));
        let accounts = Arc::new(Accounts::new(&ring, &teams, &plan.budgets));
        let seats = AccountSeats::of(&accounts);
        let (wall, state) = (WallTime::default(), State::default());
        let totals = Totals::new(wall, &state);
        let books = Books::new((&plan, &accounts), wall, state, Window60::SPAN);
        let callers = Arc::new(Callers::first(ring, teams, accounts));
        let next = Arc::new(Latest::new(Arc::clone(&callers)));
        let coordinator = Coordinator::new(Opening {
            plan,
            gates: first.gates,
            callers: Arc::clone(&callers),
            progress: Arc::new(Progress::new(1)),
            books,
            totals,
            meters: meters::channel().1,
            reports: queue::queue(0).0,
        });
        let mut team = Self {
            coordinator: coordinator.with_callers(Arc::clone(&next)),
            callers,
            next,
            seats,
            batches: 0,
        };
        team.coordinator.start(time(0));
        team
    }

    fn gate(&self) -> &ScopeGate {
        &self.callers.gates().scopes[0]
    }

    fn left(&self, millis: u64) -> Left {
        let left = self.gate().left(at(millis));
        let [_, limits @ ..] = ScopeLimit::ALL;
        limits.map(|limit| left.of(limit).map_or(0, |one| one.left))
    }

    /// A request is sent at `millis`, and reported.
    fn send(&mut self, millis: u64, tokens: u64) -> ScopeTaken {
        let taken = self.gate().take(at(millis), tokens).expect("there is room");
        let _ = self.gate().admit(&taken, at(millis));
        self.tell(Fact::Admitted(Admitted {
            subject: Subject::Scope(ScopeId(0)),
            at: at(millis),
            requests: taken.requests(),
            tokens: Tokens::new(taken.tokens()),
            day: taken.request_of().map(|day| (day, 1)),
        }));
        taken
    }

    /// A request that was sent at `millis` has ended.
    fn end(&mut self, millis: u64, taken: &ScopeTaken, used: u64) {
        let excess = self.gate().settle(taken, used);
        self.gate().release();
        self.tell(Fact::Left(facts::Left {
            subject: Subject::Scope(ScopeId(0)),
            admitted: at(millis),
            day: taken.tokens_of().map(|(day, _)| day),
            reserved: Tokens::new(taken.tokens()),
            excess: Tokens::new(excess),
            used: Tokens::new(used),
        }));
    }

    fn tell(&mut self, fact: Fact) {
        self.batches += 1;
        let batch = Batch {
            shard: ShardId(0),
            number: self.batches,
            facts: vec![fact],
        };
        let _ = self.coordinator.take_in(at(0), Message::Facts(batch));
    }

    fn reload(&mut self, limits: [u64; 4]) {
        let (ring, teams) = (Keyring::default(), teams(limits));
        let none = plan("5s").budgets;
        let seated = self.seats.seat(Accounts::new(&ring, &teams, &none));
        let seated = seated.expect("there are ids");
        let accounts = (seated.accounts, seated.fresh);
        self.callers = Arc::new(self.callers.next(ring, teams, accounts));
        self.seats = seated.seats;
        self.next.publish(Arc::clone(&self.callers));
        let (question, reply) = (Question::Adopt, Arc::default());
        let ask = Message::Ask(Ask { question, reply });
        let _ = self.coordinator.take_in(at(0), ask);
    }
}

/// `millis` after the first day has begun.
fn time(millis: u64) -> Time {
    let (now, wall) = (at(millis), WallTime::from_unix_millis(millis));
    Time { now, wall }
}

#[test]
fn a_scopes_words_follow_its_requests_minutes_days_and_limits() {
    let mut team = Team::new([5, 100, 6, 300]);
    assert_eq!(team.left(0), [5, 100, 6, 300]);
    let first = team.send(1_000, 40);
    let second = team.send(2_000, 40);
    team.end(1_000, &first, 10);
    team.end(2_000, &second, 60);
    assert_eq!(team.left(2_000), [3, 30, 4, 230]);
    let frees_at = |team: &Team| {
        let left = team.gate().left(at(2_000));
        left.of(ScopeLimit::RequestsPerMinute)
            .map(|one| one.resets.as_secs())
    };
    assert_eq!(frees_at(&team), Some(62));
    team.reload([7, 90, 5, 400]);
    assert_eq!(team.left(2_000), [5, 20, 3, 330]);
    team.coordinator.do_what_is_due(time(62_000));
    assert_eq!(team.left(62_000), [6, 30, 3, 330]);
    // The next day begins while a request is under way.
    let late = team.send(DAY - 1, 30);
    let resets = team.gate().left(at(DAY - 1)).of(ScopeLimit::TokensPerDay);
    assert_eq!(resets.map(|one| one.resets), Some(at(DAY)));
    let wait = team.coordinator.wait(time(DAY - 1));
    assert!(wait <= Duration::from_millis(1), "{wait:?}");
    team.coordinator.do_what_is_due(time(DAY));
    team.end(DAY - 1, &late, 90);
    assert_eq!(team.left(DAY), [6, 0, 5, 400]);
    team.coordinator.do_what_is_due(time(DAY + 60_000));
    assert_eq!(team.left(DAY + 60_000), [7, 90, 5, 400]);
    let account = &team.callers.accounts().all()[0];
    assert_eq!(account.scope.to_string(), "team t");
    assert_eq!(team.gate().refused(ScopeLimit::TokensPerMinute), 0);
}

#[test]
fn no_state_is_handed_over_while_the_one_before_is_still_in_hand_but_the_last_is() {
    let team = Team::new([5, 100, 6, 300]);
    let (sender, states) = states::channel();
    let mut team = Team {
        coordinator: team.coordinator.with_writer(sender),
        ..team
    };
    let next = || match states.next(Some(Duration::ZERO)) {
        Received::State(state) => Some(state),
        Received::Nothing | Received::Never => None,
    };
    let used = |state: &State| {
        let today = Period::of(Per::Day, WallTime::default());
        state.used_on(today, &scope::Scope::Team("t".into()))
    };
    let taken = team.send(1_000, 40);
    team.coordinator.do_what_is_due(time(1_000));
    let first = next().expect("a state");
    team.end(1_000, &taken, 10);
    team.coordinator.do_what_is_due(time(2_000));
    assert_eq!((used(&first), next()), ([1, 0], None));
    drop(first);
    team.coordinator.do_what_is_due(time(3_000));
    let second = next().expect("a state");
    assert_eq!(used(&second), [1, 10]);
    let _ = team.send(3_500, 0);
    team.coordinator.finish(time(4_000));
    assert_eq!(next().map(|last| used(&last)), Some([2, 10]));
    assert_eq!(used(&second), [1, 10]);
}

#[test]
fn a_change_is_on_its_way_to_the_writer_within_sixty_milliseconds() {
    let (sender, receiver) = states::channel();
    // A disk for which the state is written as seldom as it may be.
    receiver.tell(Duration::from_millis(30));
    let team = Team::new([100, 1_000, 100, 1_000]);
    let mut team = Team {
        coordinator: team.coordinator.with_writer(sender),
        ..team
    };
    let mut now = 1_000;
    for round in 1..60 {
        let _ = team.send(now, 1);
        let changed = now;
        team.coordinator.do_what_is_due(time(now));
        while receiver.next(Some(Duration::ZERO)) == Received::Nothing {
            // It sleeps for as long as it says, and not longer.
            let wait = team.coordinator.wait(time(now)).as_millis();
            now += u64::try_from(wait).unwrap().max(1);
            assert!(now - changed <= 60, "{} ms", now - changed);
            team.coordinator.do_what_is_due(time(now));
        }
        now += round;
    }
}
