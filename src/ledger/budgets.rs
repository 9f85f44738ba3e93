//! All monthly budgets: spend, the turn of the month, and budgets near their limit.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::base::month::Month;
use crate::base::time::{Instant, WallTime};
use crate::config::plan::{self, BudgetAction, Plan};
use crate::decide::budget::{Books, Level};
use crate::ledger::state::State;
use crate::link::facts::{Fact, MonthTag};
use crate::link::orders::Order;

/// The books of all callers with a budget.
pub struct Budgets {
    month: Month,
    /// By budget.
    accounts: Vec<Account>,
    /// Whether anything was spent since the state was last written.
    changed: bool,
}

struct Account {
    caller: Box<str>,
    action: BudgetAction,
    books: Books,
    /// Whether the configuration has it; requests that began under an earlier configuration may
    /// still be booked to a budget that it no longer has.
    in_force: bool,
}

/// A budget that has reached a level, once a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The budget.
    pub budget: BudgetId,
    /// How far it is used up.
    pub level: Level,
    /// What has been spent.
    pub spent: NanoUsd,
    /// What may be spent.
    pub monthly: NanoUsd,
}

/// A budget, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The caller.
    pub caller: &'a str,
    /// What may be spent in the month.
    pub limit: NanoUsd,
    /// What has been spent in it.
    pub spent: NanoUsd,
}

impl Budgets {
    /// The books at `wall`; `state` has what was spent before.
    #[must_use]
    pub fn new(budgets: &[plan::Budget], wall: WallTime, state: &State) -> Self {
        let month = Month::of(wall);
        let account = |budget: &plan::Budget| Account::new(budget, month, state);
        Self {
            month,
            accounts: budgets.iter().map(account).collect(),
            changed: false,
        }
    }

    /// Adopts the budgets of `plan`: spend and reservations stay, and balances change by the
    /// difference of the amounts. Budgets of `fresh` callers begin with the spend in `state`.
    pub fn adopt(
        &mut self,
        plan: &Plan,
        fresh: &[BudgetId],
        state: &State,
        orders: &mut Vec<Order>,
    ) {
        let month = self.month;
        let fresh: HashSet<BudgetId> = fresh.iter().copied().collect();
        self.accounts
            .iter_mut()
            .for_each(|one| one.in_force = false);
        for budget in &plan.budgets.callers {
            let at = budget.id.index();
            let begins = fresh.contains(&budget.id) || at >= self.accounts.len();
            while self.accounts.len() <= at {
                self.accounts.push(Account::new(budget, month, state));
            }
            let account = &mut self.accounts[at];
            if begins {
                *account = Account::new(budget, month, state);
                account.order_month(budget.id, orders);
            } else {
                account.adopt(budget, orders);
            }
        }
    }

    /// Orders the first value of every budget's words.
    pub fn start(&self, orders: &mut Vec<Order>) {
        for (budget, account) in (0..).map(BudgetId).zip(&self.accounts) {
            account.order_month(budget, orders);
        }
    }

    /// Takes in a shard's fact.
    pub fn on_fact(&mut self, fact: &Fact) -> Option<Alert> {
        match *fact {
            Fact::Settled {
                budget,
                month,
                cost,
            } => {
                let month = self.month_of(month);
                let account = self.accounts.get_mut(budget.index())?;
                self.changed |= cost > NanoUsd::ZERO;
                account.books.on_settled(month, cost);
                account.alert(budget)
            }
            Fact::Admitted { .. }
            | Fact::Ended(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Forgotten { .. } => None,
        }
    }

    /// Time passes: a new month may begin.
    pub fn on_time(&mut self, wall: WallTime, orders: &mut Vec<Order>) {
        let month = Month::of(wall);
        if month <= self.month {
            return;
        }
        self.month = month;
        self.changed = true;
        for (budget, account) in (0..).map(BudgetId).zip(&mut self.accounts) {
            account.books.on_month(month);
            account.order_month(budget, orders);
        }
    }

    /// When [`Self::on_time`] has something to do: when the calendar month ends, but at least each
    /// minute, since the clock may be set.
    #[must_use]
    pub fn deadline(&self, now: Instant, wall: WallTime) -> Instant {
        let end = self.month.next().start().unix_millis();
        let left = Duration::from_millis(end.saturating_sub(wall.unix_millis()));
        now + left.min(CLOCK_SET_AFTER)
    }

    /// Every budget, in the order of the file.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        let accounts = self.accounts.iter().filter(|account| account.in_force);
        accounts.map(|account| View {
            caller: &account.caller,
            limit: account.books.monthly(),
            spent: account.books.spent(),
        })
    }

    /// Whether the durable state has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Writes the durable state into `state`; callers without a budget keep theirs.
    pub fn save(&self, state: &mut State) {
        for account in &self.accounts {
            state.set_spent_by(&account.caller, account.books.by_month());
        }
        state.forget_before(self.month.minus(MONTHS_OF_FORMER_CALLERS));
    }

    /// The month that a tag stands for: the latest one that does not lie in the future.
    fn month_of(&self, tag: MonthTag) -> Month {
        self.month.last_with_tag(tag.0)
    }
}

impl Account {
    fn new(budget: &plan::Budget, month: Month, state: &State) -> Self {
        Self {
            caller: budget.caller.clone(),
            action: budget.action,
            books: Books::new(budget.monthly, month, state.spent_by(&budget.caller)),
            in_force: true,
        }
    }

    fn adopt(&mut self, budget: &plan::Budget, orders: &mut Vec<Order>) {
        self.in_force = true;
        self.action = budget.action;
        let change = self.books.set_monthly(budget.monthly);
        if change != 0 {
            orders.push(Order::Balance {
                budget: budget.id,
                month: MonthTag(self.books.month().tag()),
                change,
            });
        }
    }

    fn order_month(&self, budget: BudgetId, orders: &mut Vec<Order>) {
        let month = MonthTag(self.books.month().tag());
        orders.push(Order::Month {
            budget,
            month,
            balance: self.books.balance(),
            spent: self.books.spent(),
        });
    }

    fn alert(&mut self, budget: BudgetId) -> Option<Alert> {
        let level = self.books.alert()?;
        let is_told = match (self.action, level) {
            (BudgetAction::HardStop | BudgetAction::ModelOverride, Level::Most) => false,
            (BudgetAction::HardStop | BudgetAction::ModelOverride, Level::All)
            | (BudgetAction::Alert, Level::Most | Level::All) => true,
        };
        is_told.then(|| Alert {
            budget,
            level,
            spent: self.books.spent(),
            monthly: self.books.monthly(),
        })
    }
}

/// Longest time until a clock that was set is noticed.
const CLOCK_SET_AFTER: Duration = Duration::from_secs(60);

/// How long the state keeps the spend of a caller that has no budget any more.
const MONTHS_OF_FORMER_CALLERS: u32 = 12;

#[cfg(test)]
#[path = "budgets_tests.rs"]
mod tests;
