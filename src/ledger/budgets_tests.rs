//! Budgets against scripts, and against shards whose reports come late.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Environment, Options, Strictness};
use crate::decide::budget::Word;

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

fn november() -> Month {
    Month::new(2026, 11).unwrap()
}

fn budgets(state: &State) -> Budgets {
    Budgets::new(&load().plan.budgets.callers, november().start(), state)
}

fn settled(budget: u32, month: Month, [reserved, cost]: [u64; 2]) -> Fact {
    Fact::Settled {
        budget: BudgetId(budget),
        month: MonthTag(month.tag()),
        reserved: NanoUsd::new(reserved),
        cost: NanoUsd::new(cost),
    }
}

#[test]
fn an_alert_budget_is_told_of_twice_and_the_others_once() {
    for (budget, expected) in [
        (0, [None, Some(Level::All), None]),
        (1, [Some(Level::Most), Some(Level::All), None]),
        (2, [None, Some(Level::All), None]),
    ] {
        let mut budgets = budgets(&State::default());
        let mut settle = |cost| {
            let fact = settled(budget, november(), [0, cost]);
            budgets.on_fact(&fact, &mut Vec::new())
        };
        let found = [80, 20, 5].map(|cost| settle(cost).map(|alert| alert.level));
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
    let month = MonthTag(november().tag());
    let hard = BudgetId(0);
    let expected = [
        Order::Month {
            budget: hard,
            month,
            balance: NanoUsd::ZERO,
        },
        Order::Balance {
            budget: hard,
            month,
            change: -30,
            spent: NanoUsd::new(130),
        },
        Order::Month {
            budget: BudgetId(1),
            month,
            balance: NanoUsd::new(MONTHLY),
        },
    ];
    assert_eq!(orders[..3], expected);
    assert!(!budgets.take_changed());
    budgets.on_fact(&settled(1, november(), [0, 4]), &mut orders);
    assert!(budgets.take_changed() && !budgets.take_changed());
    budgets.save(&mut state);
    let spent = |caller| {
        state
            .spent_by(caller)
            .get(&november())
            .map(|nano| nano.get())
    };
    let found = ["hard", "soft", "down", "former"].map(spent);
    assert_eq!(found, [Some(130), Some(4), None, Some(7)]);
    assert_eq!(state.spent_by("hard").len(), 2);
    assert!(state.spent_by("old").is_empty());
}

#[test]
fn a_reload_changes_the_balance_by_the_difference() {
    let month = MonthTag(november().tag());
    let mut plan = load().plan;
    let mut books = budgets(&State::default());
    books.on_fact(&settled(0, november(), [0, 130]), &mut Vec::new());
    let mut orders = Vec::new();
    plan.budgets.callers[0].monthly = NanoUsd::new(150);
    books.adopt(&plan, &[], &State::default(), &mut orders);
    let order = Order::Balance {
        budget: BudgetId(0),
        month,
        change: 50,
        spent: NanoUsd::new(130),
    };
    assert_eq!(orders, [order]);
    // It has been told of by other terms; by these it has not reached all.
    let all = books.on_fact(&settled(0, november(), [0, 20]), &mut orders);
    assert_eq!(all.map(|alert| alert.level), Some(Level::All));
    // Another caller with the same id begins with what is known of it.
    orders.clear();
    let mut state = State::default();
    state.set_spent_by("other", &[(november(), NanoUsd::new(40))].into());
    plan.budgets.callers[0].caller = "other".into();
    plan.budgets.callers[0].monthly = NanoUsd::new(100);
    books.adopt(&plan, &[BudgetId(0)], &state, &mut orders);
    let begins = Order::Month {
        budget: BudgetId(0),
        month,
        balance: NanoUsd::new(60),
    };
    assert_eq!(orders[0], begins);
    // Who is gone is not shown, but still booked.
    plan.budgets.callers = Box::default();
    books.adopt(&plan, &[], &state, &mut orders);
    assert_eq!(books.views().count(), 0);
    books.on_fact(&settled(0, november(), [0, 2]), &mut orders);
    books.save(&mut state);
    let spent = state.spent_by("other").get(&november()).copied();
    assert_eq!(spent, Some(NanoUsd::new(42)));
}

#[test]
fn the_month_turns_by_the_calendar_and_never_back() {
    let mut budgets = budgets(&State::default());
    let december = november().next();
    let before = WallTime::from_unix_millis(december.start().unix_millis() - 1_500);
    let now = Instant::from_millis(10_000);
    let due = |budgets: &Budgets, wall| budgets.deadline(now, wall).since(now);
    assert_eq!(due(&budgets, before), Duration::from_millis(1_500));
    assert_eq!(due(&budgets, november().start()), CLOCK_SET_AFTER);
    let mut orders = Vec::new();
    budgets.on_time(before, &mut orders);
    assert!(orders.is_empty());
    budgets.on_time(december.start(), &mut orders);
    assert_eq!((orders.len(), budgets.month()), (3, december));
    budgets.on_time(before, &mut orders);
    assert_eq!((orders.len(), budgets.month()), (3, december));
}

#[test]
fn facts_about_unknown_budgets_change_nothing() {
    let mut budgets = budgets(&State::default());
    let mut orders = Vec::new();
    assert_eq!(
        budgets.on_fact(&settled(9, november(), [1, 2]), &mut orders),
        None
    );
    assert!(orders.is_empty() && !budgets.take_changed());
}

#[derive(Clone, Debug)]
enum Step {
    /// A shard reserves this much, if it is there.
    Reserve(usize, u64),
    /// The oldest request of a shard ends and costs this much.
    Settle(usize, u64),
    /// The oldest report of a shard arrives.
    Hear(usize),
    /// The month turns.
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

/// Shards that share one published word, and the ledger that hears of it later.
struct House {
    budgets: Budgets,
    month: Month,
    word: Word,
    /// By shard, requests in flight: their month's tag and what is reserved.
    running: Vec<VecDeque<(u8, u64)>>,
    reports: Vec<VecDeque<Fact>>,
    /// What is spent, as far as the ledger has heard, by tag.
    spent: [u64; 64],
    /// What was reserved and has not been heard to be settled, by tag.
    reserved: [u64; 64],
}

impl House {
    fn new() -> Self {
        let mut house = Self {
            budgets: budgets(&State::default()),
            month: november(),
            word: Word::new(0, 0),
            running: vec![VecDeque::new(); SHARDS],
            reports: vec![VecDeque::new(); SHARDS],
            spent: [0; 64],
            reserved: [0; 64],
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
                    if let Fact::Settled {
                        month,
                        reserved,
                        cost,
                        ..
                    } = fact
                    {
                        self.spent[usize::from(month.0)] += cost.get();
                        self.reserved[usize::from(month.0)] -= reserved.get();
                    }
                    self.budgets.on_fact(&fact, &mut orders);
                }
            }
            Step::Turn => {
                self.month = self.month.next();
                self.budgets.on_time(self.month.start(), &mut orders);
            }
        }
        self.obey(&orders);
    }

    fn reserve(&mut self, shard: usize, amount: u64) {
        let Some(word) = self.word.take(NanoUsd::new(amount)) else {
            return;
        };
        self.word = word;
        self.reserved[usize::from(word.month())] += amount;
        self.running[shard].push_back((word.month(), amount));
        self.reports[shard].push_back(Fact::Reserved {
            budget: BudgetId(0),
            month: MonthTag(word.month()),
            amount: NanoUsd::new(amount),
        });
    }

    fn settle(&mut self, shard: usize, cost: u64) {
        if let Some((tag, amount)) = self.running[shard].pop_front() {
            let fact = settled(0, self.month.last_with_tag(tag), [amount, cost]);
            self.reports[shard].push_back(fact);
        }
    }

    fn obey(&mut self, orders: &[Order]) {
        for order in orders {
            match *order {
                Order::Balance {
                    budget: BudgetId(0),
                    month,
                    change,
                    ..
                } => {
                    self.word = self.word.changed(month.0, change);
                }
                Order::Month {
                    budget: BudgetId(0),
                    month,
                    balance,
                } => {
                    self.word = Word::new(month.0, balance.get() as i64);
                }
                _ => {}
            }
        }
    }

    fn expected(&self) -> u64 {
        let tag = usize::from(self.month.tag());
        MONTHLY.saturating_sub(self.spent[tag] + self.reserved[tag])
    }
}

proptest! {
    #[test]
    fn the_word_is_always_what_is_neither_spent_nor_reserved(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut house = House::new();
        for step in &steps {
            house.take(step);
            prop_assert_eq!(house.word.left().get(), house.expected(), "after {:?}", step);
        }
        for shard in 0..SHARDS {
            for _ in 0..steps.len() {
                house.take(&Step::Settle(shard, 1));
                house.take(&Step::Hear(shard));
            }
            while !house.reports[shard].is_empty() {
                house.take(&Step::Hear(shard));
            }
        }
        let tag = usize::from(house.month.tag());
        let view = house.budgets.views().next().unwrap();
        prop_assert_eq!((view.spent.get(), view.reserved.get()), (house.spent[tag], 0));
        prop_assert_eq!(house.word.left().get(), house.expected());
    }
}
