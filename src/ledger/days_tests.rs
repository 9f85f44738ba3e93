//! Days against scripts, and against shards whose reports come late.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::base::tokens::Tokens;
use crate::config::keyring::{Keyring, Team};
use crate::config::plan::Budgets;
use crate::config::scope::Allowance;
use crate::link::scope_gate::{DayEnd, LimitMode, ScopeGate, ScopeLimit, ScopeLimits, ScopeTaken};

/// Teams of these names and limits per day: requests and tokens; 0: none.
fn accounts(limits: &[(&str, u64, u64)]) -> Accounts {
    let team = |(name, requests, tokens): &(&str, u64, u64)| {
        let limit = |most: &u64| (*most > 0).then_some(*most);
        let limits = Limits {
            requests_per_day: limit(requests),
            tokens_per_day: limit(tokens),
            ..Limits::default()
        };
        Team {
            name: (*name).into(),
            models: None,
            allowance: Allowance {
                limits: Some(limits),
                budgets: Box::default(),
            },
        }
    };
    let teams: Vec<Team> = limits.iter().map(team).collect();
    Accounts::new(&Keyring::default(), &teams, &Budgets::default())
}

fn team(name: &str) -> Scope {
    Scope::Team(name.into())
}

fn day(text: &str) -> Period {
    Period::parse(text).unwrap()
}

fn monday() -> Period {
    day("2026-11-30")
}

fn tuesday() -> Period {
    day("2026-12-01")
}

fn admitted(scope: u32, day: PeriodTag) -> Fact {
    Fact::Admitted(Admitted {
        subject: Subject::Scope(ScopeId(scope)),
        at: Instant::ZERO,
        requests: 0,
        tokens: Tokens::ZERO,
        day: Some((day, 1)),
    })
}

fn left(scope: u32, day: PeriodTag, used: u64) -> Fact {
    Fact::Left(Left {
        subject: Subject::Scope(ScopeId(scope)),
        admitted: Instant::ZERO,
        day: Some(day),
        reserved: Tokens::ZERO,
        excess: Tokens::ZERO,
        used: Tokens::new(used),
    })
}

fn begins(scope: u32, day: Period, [requests, tokens]: [i64; 2]) -> Order {
    Order::Day {
        scope: ScopeId(scope),
        day: day.tag(),
        requests,
        tokens,
    }
}

fn changes(scope: u32, day: Period, [requests, tokens]: [i64; 2]) -> Order {
    Order::DayChange {
        scope: ScopeId(scope),
        day: day.tag(),
        requests,
        tokens,
    }
}

#[test]
fn counts_survive_a_restart_and_so_do_those_of_former_scopes() {
    let text = r#"{"version":1,"callers":{},"days":{"2026-11-28":[["team","a","",9,9]],
        "2026-11-29":[["team","a","",8,8]],
        "2026-11-30":[["team","a","",7,70],["key","former","",6,60]]},"months":{}}"#;
    let mut state = State::parse(text).unwrap();
    let accounts = accounts(&[("a", 5, 100), ("b", 5, 0)]);
    let noon = WallTime::from_unix_millis(monday().start().unix_millis() + 43_200_000);
    let mut days = Days::new(&accounts, noon, &state);
    let mut orders = Vec::new();
    days.start(&mut orders);
    let expected = [begins(0, monday(), [-2, 30]), begins(1, monday(), [5, 0])];
    assert_eq!(orders, expected);
    assert!(!days.take_changed());
    days.on_fact(&admitted(1, monday().tag()));
    days.on_fact(&left(1, monday().tag(), 4));
    assert!(days.take_changed() && !days.take_changed());
    days.save(&mut state);
    let used = |day, scope| state.used_on(day, &scope);
    assert_eq!(used(monday(), team("a")), [7, 70]);
    assert_eq!(used(monday(), team("b")), [1, 4]);
    assert_eq!(used(monday(), Scope::Key("former".into())), [6, 60]);
    assert_eq!(used(day("2026-11-29"), team("a")), [8, 8]);
    assert_eq!(used(day("2026-11-28"), team("a")), [0, 0]);
}

#[test]
fn a_day_begins_for_all_words_and_late_reports_belong_to_the_one_before() {
    let accounts = accounts(&[("a", 5, 100), ("none", 0, 0)]);
    let mut state = State::default();
    let mut days = Days::new(&accounts, monday().start(), &state);
    let mut orders = Vec::new();
    days.on_fact(&admitted(0, monday().tag()));
    let end = tuesday().start();
    let last = WallTime::from_unix_millis(end.unix_millis() - 1);
    let now = Instant::from_millis(1_000);
    days.on_time(now, last, &mut orders);
    let ends_at = |at| Order::DayEnds { at };
    assert_eq!(orders, [ends_at(Instant::from_millis(1_001))]);
    orders.clear();
    let now = Instant::from_millis(1_001);
    days.on_time(now, end, &mut orders);
    let ends = ends_at(now + Duration::from_secs(24 * 3_600));
    let expected = [
        begins(0, tuesday(), [5, 100]),
        begins(1, tuesday(), [0, 0]),
        ends,
    ];
    assert_eq!(orders, expected);
    orders.clear();
    days.take_changed();
    days.on_fact(&admitted(0, monday().tag()));
    days.on_fact(&left(0, monday().tag(), 70));
    days.on_fact(&admitted(7, tuesday().tag()));
    assert!(!days.take_changed());
    days.on_fact(&left(0, tuesday().tag(), 30));
    days.save(&mut state);
    assert_eq!(state.used_on(tuesday(), &team("a")), [0, 30]);
    // A clock that is set back changes the time to the end of the day, and no day.
    let noon = WallTime::from_unix_millis(end.unix_millis() - 43_200_000);
    days.on_time(now, noon, &mut orders);
    assert_eq!(orders, [ends_at(now + Duration::from_secs(36 * 3_600))]);
}

#[test]
fn a_reload_changes_what_is_left_by_the_difference() {
    let first = accounts(&[("a", 5, 0)]);
    let mut days = Days::new(&first, monday().start(), &State::default());
    let adopt = |days: &mut Days, limits: (u64, u64), fresh: &[ScopeId], state: &State| {
        let accounts = accounts(&[("a", limits.0, limits.1)]);
        let mut orders = Vec::new();
        days.adopt(&accounts, fresh, state, &mut orders);
        orders
    };
    let none = State::default();
    days.on_fact(&admitted(0, monday().tag()));
    assert_eq!(adopt(&mut days, (5, 0), &[], &none), []);
    let more = adopt(&mut days, (8, 50), &[], &none);
    assert_eq!(more, [changes(0, monday(), [3, 50])]);
    days.on_fact(&left(0, monday().tag(), 20));
    // Without limits the words are kept, so that they are right when the limits come back.
    assert_eq!(adopt(&mut days, (0, 0), &[], &none), []);
    days.on_fact(&left(0, monday().tag(), 5));
    let back = adopt(&mut days, (8, 60), &[], &none);
    assert_eq!(back, [changes(0, monday(), [0, 10])]);
    // A scope that comes back under the same or another id begins with what is known by its name.
    let mut state = State::default();
    days.save(&mut state);
    let fresh = adopt(&mut days, (9, 90), &[ScopeId(0)], &state);
    assert_eq!(fresh, [begins(0, monday(), [8, 65])]);
}

#[test]
fn a_limit_that_a_restart_brings_begins_with_what_is_known() {
    let mut state = State::default();
    state.set_used_on(monday(), &team("a"), [3, 30]);
    let mut days = Days::new(&accounts(&[("a", 0, 0)]), monday().start(), &state);
    let mut orders = Vec::new();
    days.start(&mut orders);
    days.adopt(&accounts(&[("a", 9, 0)]), &[], &state, &mut orders);
    assert_eq!(
        orders,
        [begins(0, monday(), [0, 0]), changes(0, monday(), [6, 0])]
    );
}

#[test]
fn ids_that_nobody_has_had_need_no_account() {
    let first = accounts(&[("a", 1, 0)]);
    let mut days = Days::new(&first, monday().start(), &State::default());
    days.on_fact(&admitted(3, monday().tag()));
    days.on_fact(&left(3, monday().tag(), 5));
    assert!(!days.take_changed());
}

/// One scope's gate, shards that take from it, and the books, which hear of it later.
struct House {
    gate: ScopeGate,
    days: Days,
    state: State,
    limits: [u64; 2],
    today: Period,
    /// Requests that have not passed all their scopes yet, so that nobody was told of them.
    passing: Vec<ScopeTaken>,
    under_way: Vec<ScopeTaken>,
    reports: VecDeque<Fact>,
    /// Requests made and tokens used or reserved today.
    truth: [i64; 2],
}

#[derive(Clone, Debug)]
enum Step {
    Take(u64),
    /// The first request that is passing is sent.
    Send,
    Cancel,
    /// A request ends and has used this much.
    End(usize, u64),
    Hear,
    Reload([u64; 2]),
    NextDay,
    /// All requests have ended, all reports are heard, and the process starts anew.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let limits = (1..40_u64, 1..200_u64);
    prop_oneof![
        5 => (0..60_u64).prop_map(Step::Take),
        4 => Just(Step::Send),
        1 => Just(Step::Cancel),
        3 => (0..9_usize, 0..90_u64).prop_map(|(which, used)| Step::End(which, used)),
        4 => Just(Step::Hear),
        1 => limits.prop_map(|(requests, tokens)| Step::Reload([requests, tokens])),
        1 => Just(Step::NextDay),
        1 => Just(Step::Restart),
    ]
}

fn gate_limits([requests, tokens]: [u64; 2]) -> ScopeLimits {
    let mut limits = ScopeLimits {
        mode: LimitMode::Refuse,
        ..ScopeLimits::default()
    };
    limits.most[ScopeLimit::RequestsPerDay as usize] = Some(requests);
    limits.most[ScopeLimit::TokensPerDay as usize] = Some(tokens);
    limits
}

fn reserved(taken: &ScopeTaken) -> i64 {
    signed(taken.tokens_of().map_or(0, |(_, tokens)| tokens))
}

impl House {
    fn new() -> Self {
        let (limits, today) = ([9, 100], monday());
        let accounts = accounts(&[("a", limits[0], limits[1])]);
        let house = Self {
            gate: ScopeGate::new(gate_limits(limits), DayEnd::default()),
            days: Days::new(&accounts, today.start(), &State::default()),
            state: State::default(),
            limits,
            today,
            passing: Vec::new(),
            under_way: Vec::new(),
            reports: VecDeque::new(),
            truth: [0; 2],
        };
        let mut orders = Vec::new();
        house.days.start(&mut orders);
        house.publish(&orders);
        house
    }

    fn accounts(&self) -> Accounts {
        accounts(&[("a", self.limits[0], self.limits[1])])
    }

    fn publish(&self, orders: &[Order]) {
        for order in orders {
            match *order {
                Order::Day {
                    day,
                    requests,
                    tokens,
                    ..
                } => self.gate.begin_day(day, requests, tokens),
                Order::DayChange {
                    day,
                    requests,
                    tokens,
                    ..
                } => self.gate.change_day(day, requests, tokens),
                Order::DayEnds { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn take(&mut self, step: &Step) {
        let mut orders = Vec::new();
        match *step {
            Step::Take(tokens) => {
                if let Ok(taken) = self.gate.take(Instant::ZERO, tokens) {
                    self.truth[0] += 1;
                    self.truth[1] += reserved(&taken);
                    self.passing.push(taken);
                }
            }
            Step::Send => self.send(),
            Step::Cancel => {
                if let Some(taken) = self.passing.pop() {
                    self.gate.cancel(taken);
                    if taken.request_of() == Some(self.today.tag()) {
                        self.truth[0] -= 1;
                        self.truth[1] -= reserved(&taken);
                    }
                }
            }
            Step::End(which, used) => self.end(which, used),
            Step::Hear => {
                if let Some(fact) = self.reports.pop_front() {
                    self.days.on_fact(&fact);
                }
            }
            Step::Reload(limits) => {
                self.limits = limits;
                let accounts = self.accounts();
                self.days.adopt(&accounts, &[], &self.state, &mut orders);
                self.gate = self.gate.with_limits(gate_limits(limits));
            }
            Step::NextDay => {
                self.today = Period::of(Per::Day, self.today.end().unwrap());
                self.truth = [0; 2];
                let wall = self.today.start();
                self.days.on_time(Instant::ZERO, wall, &mut orders);
            }
            Step::Restart => {
                self.settle_all();
                self.days.save(&mut self.state);
                let text = self.state.to_json().unwrap();
                self.state = State::parse(&text).unwrap();
                self.days = Days::new(&self.accounts(), self.today.start(), &self.state);
                self.gate = ScopeGate::new(gate_limits(self.limits), DayEnd::default());
                self.days.start(&mut orders);
            }
        }
        self.publish(&orders);
    }

    fn send(&mut self) {
        if let Some(taken) = self.passing.pop() {
            let _ = self.gate.admit(&taken, Instant::ZERO);
            self.reports
                .push_back(admitted(0, taken.request_of().unwrap()));
            self.under_way.push(taken);
        }
    }

    fn end(&mut self, which: usize, used: u64) {
        if which >= self.under_way.len() {
            return;
        }
        let taken = self.under_way.swap_remove(which);
        let excess = self.gate.settle(&taken, used);
        assert_eq!(excess, 0, "the minute has no limit");
        self.gate.release();
        let (day, _) = taken.tokens_of().unwrap();
        if day == self.today.tag() {
            self.truth[1] += signed(used) - reserved(&taken);
        }
        self.reports.push_back(left(0, day, used));
    }

    fn settle_all(&mut self) {
        while !self.passing.is_empty() {
            self.send();
        }
        while !self.under_way.is_empty() {
            self.end(0, 7);
        }
        while let Some(fact) = self.reports.pop_front() {
            self.days.on_fact(&fact);
        }
    }

    /// What the words say is left, or 0.
    fn left(&self) -> [i64; 2] {
        let left = self.gate.left(Instant::ZERO);
        [ScopeLimit::RequestsPerDay, ScopeLimit::TokensPerDay]
            .map(|limit| left.of(limit).map_or(0, |one| signed(one.left)))
    }

    fn expected(&self) -> [i64; 2] {
        let left = |place: usize| signed(self.limits[place]) - self.truth[place];
        [left(0).max(0), left(1).max(0)]
    }
}

proptest! {
    #[test]
    fn words_and_books_agree_with_what_was_made_and_used(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut house = House::new();
        for step in &steps {
            house.take(step);
            prop_assert_eq!(house.left(), house.expected(), "{:?}", step);
        }
        house.settle_all();
        let used = house.days.accounts[0].as_ref().unwrap().used.map(signed);
        prop_assert_eq!(used, house.truth);
    }
}
