//! Budgets against scripts, and against shards whose reports come late.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::config::keyring::{Keyring, Team};
use crate::config::plan::Plan;
use crate::config::scope::{Allowance, Enforce, Reach};
use crate::config::{self, Environment, Options, Strictness};
use crate::decide::budget::{Capped, Share, Standing};
use crate::link::budget_gate::{BudgetGate, Reserved};

const FILE: &str = "
providers: [{name: p, type: ollama, models: [m]}]
budgets:
  - {caller: hard, monthly_usd: 0.0000001, action: hard_stop}
  - {caller: soft, monthly_usd: 0.0000001, action: alert}
  - {caller: down, monthly_usd: 0.0000001, action: model_override, model_override: m}
";
const MONTHLY: u64 = 100;

fn load() -> config::Loaded {
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    config::load(FILE, &options).ok().unwrap()
}

fn november() -> Period {
    Period::parse("2026-11").unwrap()
}

/// The accounts of a file.
fn accounts(plan: &Plan) -> Accounts {
    Accounts::new(&Keyring::default(), &plan.teams, &plan.budgets)
}

fn caller(name: &str) -> Scope {
    Scope::Caller(name.into())
}

fn budgets(state: &State) -> Budgets {
    Budgets::new(&accounts(&load().plan), november().start(), state)
}

fn hear(budgets: &mut Budgets, fact: &Fact) -> Vec<Alert> {
    let mut alerts = Vec::new();
    budgets.on_fact(fact, &mut alerts);
    alerts.retain(Alert::is_logged);
    alerts
}

fn settled(budget: u32, period: Period, cost: u64) -> Fact {
    Fact::Settled {
        budget: BudgetId(budget),
        period: period.tag(),
        cost: NanoUsd::new(cost),
        first: NanoUsd::new(cost),
    }
}

/// The order with which a month begins.
fn begins(budget: u32, balance: i64, spent: u64) -> Order {
    Order::Period {
        budget: BudgetId(budget),
        period: november().tag(),
        balance,
        spent: NanoUsd::new(spent),
    }
}

#[test]
fn an_alert_budget_is_told_of_twice_and_the_others_once() {
    for (budget, expected) in [
        (0, [None, Some(ALL), None]),
        (1, [Some(Cause::Reached(Level::Most)), Some(ALL), None]),
        (2, [None, Some(ALL), None]),
    ] {
        let mut budgets = budgets(&State::default());
        let mut settle = |cost| hear(&mut budgets, &settled(budget, november(), cost));
        let found = [80, 20, 5].map(|cost| settle(cost).first().map(|alert| alert.cause));
        assert_eq!(found, expected, "{budget}");
    }
}

#[test]
fn spend_survives_a_restart_and_so_do_other_callers() {
    let text = r#"{"version":1,"callers":{
        "hard":{"2026-10":900,"2026-11":130},"former":{"2026-11":7},"old":{"2025-10":1}
    },"months":{"2026-11":{"all":[137,1,1,1]}}}"#;
    let mut state = State::parse(text).unwrap();
    let mut budgets = budgets(&state);
    let mut orders = Vec::new();
    budgets.start(&mut orders);
    assert_eq!(orders[..2], [begins(0, -30, 130), begins(1, 100, 0)]);
    assert!(!budgets.take_changed());
    hear(&mut budgets, &settled(1, november(), 4));
    assert!(budgets.take_changed() && !budgets.take_changed());
    budgets.save(&mut state);
    let spent_by = |name| state.spent_by(&caller(name), Per::Month);
    let spent = |name| spent_by(name).get(&november()).map(|nano| nano.get());
    let found = ["hard", "soft", "down", "former"].map(spent);
    assert_eq!(found, [Some(130), Some(4), None, Some(7)]);
    assert_eq!(spent_by("hard").len(), 2);
    assert!(spent_by("old").is_empty());
}

/// The accounts of a team whose budgets these are.
fn of_team(budgets: &[(Per, u64)]) -> Accounts {
    let budget = |(per, amount): &(Per, u64)| Budget {
        amount: NanoUsd::new(*amount),
        per: *per,
        action: BudgetAction::HardStop,
        model_override: None,
        enforce: Enforce::Yes,
        reach: Reach::Fleet,
    };
    let team = Team {
        name: "t".into(),
        models: None,
        allowance: Allowance {
            limits: None,
            budgets: budgets.iter().map(budget).collect(),
        },
    };
    let nobodys = config::plan::Budgets {
        callers: Box::default(),
        state_file: None,
    };
    Accounts::new(&Keyring::default(), &[team], &nobodys)
}

#[test]
fn a_budget_that_comes_back_has_what_its_scope_has_spent_meanwhile() {
    let (one, two) = ([(Per::Month, 40)], [(Per::Month, 40), (Per::Month, 50)]);
    let mut state = State::default();
    let mut books = Budgets::new(&of_team(&two), november().start(), &state);
    for budget in [0, 1] {
        hear(&mut books, &settled(budget, november(), 10));
    }
    let mut orders = Vec::new();
    books.save(&mut state);
    books.adopt(&of_team(&one), &[], &state, &mut orders);
    hear(&mut books, &settled(0, november(), 25));
    books.save(&mut state);
    assert_eq!(orders, []);
    books.adopt(&of_team(&two), &[], &state, &mut orders);
    let missed = Order::Missed {
        budget: BudgetId(1),
        period: november().tag(),
        cost: NanoUsd::new(25),
    };
    assert_eq!(orders, [missed]);
    let spent: Vec<u64> = books.views().map(|view| view.spent.get()).collect();
    assert_eq!(spent, [35, 35]);
    let gate = BudgetGate::default();
    gate.begin(november().tag(), 40, NanoUsd::new(10));
    gate.spend(november().tag(), NanoUsd::new(25));
    assert_eq!(gate.spent(), NanoUsd::new(35));
    // It does so once.
    books.adopt(&of_team(&two), &[], &state, &mut orders);
    assert_eq!(orders.len(), 1);
}

#[test]
fn a_reload_changes_the_balance_by_the_difference() {
    let period = november().tag();
    let mut plan = load().plan;
    let mut books = budgets(&State::default());
    hear(&mut books, &settled(0, november(), 130));
    let mut orders = Vec::new();
    plan.budgets.callers[0].budget.amount = NanoUsd::new(150);
    books.adopt(&accounts(&plan), &[], &State::default(), &mut orders);
    let order = Order::Balance {
        budget: BudgetId(0),
        period,
        change: 50,
    };
    assert_eq!(orders, [order]);
    // 100 % was announced under the former amount; under this one, it is reached only now.
    let all = hear(&mut books, &settled(0, november(), 20));
    assert_eq!(all.first().map(|alert| alert.cause), Some(ALL));
    // Another caller with the same id begins with its own former spend.
    orders.clear();
    let mut state = State::default();
    state.add_spent_by(&caller("other"), &[(november(), NanoUsd::new(40))].into());
    plan.budgets.callers[0].caller = "other".into();
    plan.budgets.callers[0].budget.amount = NanoUsd::new(100);
    books.adopt(&accounts(&plan), &[BudgetId(0)], &state, &mut orders);
    assert_eq!(orders[0], begins(0, 60, 40));
    // A budget that is gone is not shown, but requests are still booked to it.
    plan.budgets.callers = Box::default();
    books.adopt(&accounts(&plan), &[], &state, &mut orders);
    assert_eq!(books.views().count(), 0);
    hear(&mut books, &settled(0, november(), 2));
    books.save(&mut state);
    let spent = state
        .spent_by(&caller("other"), Per::Month)
        .get(&november())
        .copied();
    assert_eq!(spent, Some(NanoUsd::new(42)));
}

#[test]
fn what_a_scope_has_spent_is_kept_whichever_of_its_budgets_a_reload_drops() {
    let mut plan = load().plan;
    let budget = &plan.budgets.callers[0].budget;
    let allowance = Allowance {
        limits: None,
        budgets: Box::new([budget.clone(), budget.clone()]),
    };
    plan.teams = Box::new([Team {
        name: "t".into(),
        models: None,
        allowance,
    }]);
    plan.budgets.callers = Box::default();
    let (mut state, both) = (State::default(), accounts(&plan));
    let mut books = Budgets::new(&both, november().start(), &state);
    let one = plan.teams[0].allowance.budgets[0].clone();
    plan.teams[0].allowance.budgets = Box::new([one]);
    books.adopt(&accounts(&plan), &[], &state, &mut Vec::new());
    hear(&mut books, &settled(0, november(), 7));
    let mut spent = |books: &mut Budgets| {
        books.save(&mut state);
        state.spent_by(&Scope::Team("t".into()), Per::Month)[&november()].get()
    };
    assert_eq!(spent(&mut books), 7);
    books.adopt(&both, &[], &State::default(), &mut Vec::new());
    for budget in [0, 1] {
        hear(&mut books, &settled(budget, november(), 1));
    }
    assert_eq!(spent(&mut books), 8);
}

#[test]
fn the_month_turns_by_the_calendar_and_never_back() {
    let mut budgets = budgets(&State::default());
    let december = november().end().unwrap();
    let before = december.before(Duration::from_millis(1_500));
    let now = Instant::from_millis(10_000);
    let due = |budgets: &Budgets, wall| budgets.deadline(now, wall).since(now);
    assert_eq!(due(&budgets, november().start()), CLOCK_SET_AFTER);
    assert_eq!(due(&budgets, before), Duration::ZERO, "days have turned");
    let mut orders = Vec::new();
    budgets.on_time(before, &mut orders);
    assert!(orders.is_empty());
    assert_eq!(due(&budgets, before), Duration::from_millis(1_500));
    budgets.on_time(december, &mut orders);
    assert_eq!(orders.len(), 3);
    budgets.on_time(before, &mut orders);
    assert_eq!(orders.len(), 3);
}

/// What one request passes by is told once; what several have reached one after the other is told
/// of each level.
#[test]
fn levels_that_several_requests_have_reached_are_told_of_each() {
    use Level::{All, Most};
    // What is spent before, what the first of several requests costs, and the others.
    for (before, first, others, expected) in [
        (0, 110, 0, &[All][..]),
        (0, 110, 10, &[All]),
        (0, 90, 20, &[Most, All]),
        (0, 10, 100, &[Most, All]),
        (0, 10, 75, &[Most]),
        (0, 10, 60, &[]),
        (85, 5, 15, &[All]),
        (110, 10, 10, &[]),
    ] {
        let mut budgets = budgets(&State::default());
        hear(&mut budgets, &settled(1, november(), before));
        let fact = Fact::Settled {
            budget: BudgetId(1),
            period: november().tag(),
            cost: NanoUsd::new(first + others),
            first: NanoUsd::new(first),
        };
        let alerts = hear(&mut budgets, &fact);
        let found: Vec<Cause> = alerts.iter().map(|alert| alert.cause).collect();
        let expected: Vec<Cause> = expected.iter().copied().map(Cause::Reached).collect();
        assert_eq!(found, expected, "{before}, then {first} and {others}");
    }
}

const ALL: Cause = Cause::Reached(Level::All);

#[test]
fn a_budget_that_refuses_before_it_is_used_up_is_told_of_once() {
    let refused = |spent: u64, amount: u64| Fact::Refused {
        budget: BudgetId(0),
        spent: NanoUsd::new(spent),
        amount: NanoUsd::new(amount),
    };
    let mut plan = load().plan;
    let mut books = budgets(&State::default());
    let causes = |books: &mut Budgets, fact: &Fact| -> Vec<Cause> {
        hear(books, fact).iter().map(|alert| alert.cause).collect()
    };
    assert_eq!(causes(&mut books, &settled(0, november(), 30)), []);
    assert_eq!(causes(&mut books, &refused(30, 100)), [Cause::Refused]);
    assert_eq!(causes(&mut books, &refused(30, 100)), []);
    assert_eq!(causes(&mut books, &settled(0, november(), 70)), [ALL]);
    // That it refuses is no news then; neither where what was spent is not reported yet.
    assert_eq!(causes(&mut books, &refused(100, 100)), []);
    let mut others = budgets(&State::default());
    assert_eq!(causes(&mut others, &refused(100, 100)), []);
    // A reload makes it smaller than what is spent: nothing more will be.
    plan.budgets.callers[0].budget.amount = NanoUsd::new(50);
    hear(&mut others, &settled(0, november(), 60));
    let mut orders = Vec::new();
    others.adopt(&accounts(&plan), &[], &State::default(), &mut orders);
    assert_eq!(causes(&mut others, &refused(60, 100)), [ALL]);
    assert_eq!(causes(&mut others, &refused(60, 50)), []);
    // A budget of nothing refuses from the beginning.
    plan.budgets.callers[0].budget.amount = NanoUsd::ZERO;
    let mut none = budgets(&State::default());
    none.adopt(&accounts(&plan), &[], &State::default(), &mut orders);
    assert_eq!(causes(&mut none, &refused(0, 0)), [Cause::Refused]);
    assert_eq!(causes(&mut none, &refused(0, 0)), []);
}

#[test]
fn facts_about_unknown_budgets_change_nothing() {
    let mut budgets = budgets(&State::default());
    assert_eq!(hear(&mut budgets, &settled(9, november(), 2)), []);
    assert!(!budgets.take_changed());
}

#[derive(Clone, Debug)]
enum Step {
    /// A shard reserves this much, if so much is left.
    Reserve(usize, u64),
    /// The oldest request of a shard ends and costs this much.
    Settle(usize, u64),
    /// The oldest report of a shard arrives.
    Hear(usize),
    /// A new month begins.
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..SHARDS, 0..80_u64).prop_map(|(shard, amount)| Step::Reserve(shard, amount)),
        8 => (0..SHARDS, 0..120_u64).prop_map(|(shard, cost)| Step::Settle(shard, cost)),
        16 => (0..SHARDS).prop_map(Step::Hear),
        1 => Just(Step::Turn),
    ]
}

const SHARDS: usize = 3;

/// Shards that share one budget's words, and the ledger that receives their reports later.
struct House {
    budgets: Budgets,
    month: Period,
    gate: BudgetGate,
    /// By shard, requests in flight.
    running: Vec<VecDeque<Reserved>>,
    reports: Vec<VecDeque<Fact>>,
    /// Spend by the month's tag.
    spent: [u64; 32],
}

impl House {
    fn new() -> Self {
        let mut house = Self {
            budgets: budgets(&State::default()),
            month: november(),
            gate: BudgetGate::default(),
            running: vec![VecDeque::new(); SHARDS],
            reports: vec![VecDeque::new(); SHARDS],
            spent: [0; 32],
        };
        let mut orders = Vec::new();
        house.budgets.start(&mut orders);
        house.obey(&orders);
        house
    }

    fn take(&mut self, step: &Step) {
        let mut orders = Vec::new();
        match *step {
            Step::Reserve(shard, amount) => self.reserve(shard, amount),
            Step::Settle(shard, cost) => self.settle(shard, cost),
            Step::Hear(shard) => {
                if let Some(fact) = self.reports[shard].pop_front() {
                    hear(&mut self.budgets, &fact);
                }
            }
            Step::Turn => {
                let end = self.month.end().unwrap();
                self.month = Period::of(Per::Month, end);
                self.budgets.on_time(end, &mut orders);
            }
        }
        self.obey(&orders);
    }

    fn reserve(&mut self, shard: usize, amount: u64) {
        let amount = NanoUsd::new(amount);
        let capped = Capped::No;
        let share = Share { amount, capped };
        let decide = |now: &Standing| (amount <= now.left).then_some(share).ok_or(());
        let reserved = self.gate.reserve(NanoUsd::new(MONTHLY), decide);
        self.running[shard].extend(reserved);
    }

    fn settle(&mut self, shard: usize, cost: u64) {
        let Some(reserved) = self.running[shard].pop_front() else {
            return;
        };
        self.gate.settle(&reserved, NanoUsd::new(cost));
        self.spent[usize::from(reserved.period.0)] += cost;
        let month = self.month.last_with_tag(reserved.period);
        self.reports[shard].push_back(settled(0, month, cost));
    }

    fn obey(&mut self, orders: &[Order]) {
        for order in orders {
            match *order {
                Order::Period {
                    budget: BudgetId(0),
                    period,
                    balance,
                    spent,
                } => self.gate.begin(period, balance, spent),
                Order::Balance { .. } => panic!("{order:?} without a reload"),
                _ => {}
            }
        }
    }

    /// What the words must say is left and spent.
    fn expected(&self) -> (u64, u64) {
        let tag = self.month.tag();
        let running = self.running.iter().flatten();
        let running = running.filter(|reserved| reserved.period == tag);
        let reserved: u64 = running.map(|reserved| reserved.share.amount.get()).sum();
        let spent = self.spent[usize::from(tag.0)];
        (MONTHLY.saturating_sub(spent + reserved), spent)
    }

    fn told(&self) -> (u64, u64) {
        let look = |now: &Standing| Err((now.left.get(), now.spent.get()));
        let told = self.gate.reserve(NanoUsd::new(MONTHLY), look);
        told.err().unwrap_or_default()
    }
}

proptest! {
    #[test]
    fn the_words_always_say_what_is_left_and_spent_and_the_books_follow(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut house = House::new();
        for step in &steps {
            house.take(step);
            prop_assert_eq!(house.told(), house.expected(), "after {:?}", step);
        }
        for shard in 0..SHARDS {
            while !house.running[shard].is_empty() {
                house.take(&Step::Settle(shard, 1));
            }
            while !house.reports[shard].is_empty() {
                house.take(&Step::Hear(shard));
            }
        }
        let view = house.budgets.views().next().unwrap();
        prop_assert_eq!(view.spent.get(), house.spent[usize::from(house.month.tag().0)]);
        prop_assert_eq!(house.told(), house.expected());
    }
}
