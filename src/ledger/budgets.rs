//! All budgets: spend, the turn of days, weeks and months, and budgets near their limit.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::base::period::{Per, Period, PeriodTag};
use crate::base::time::{Instant, WallTime};
use crate::config::accounts::Accounts;
use crate::config::scope::{Budget, BudgetAction, Enforce, Reach, Scope};
use crate::decide::budget::{Books, Level};
use crate::ledger::state::State;
use crate::link::facts::Fact;
use crate::link::orders::Order;

/// The books of all scopes with a budget.
pub struct Budgets {
    /// The running periods.
    now: [Period; Per::ALL.len()],
    /// By budget.
    accounts: Vec<Account>,
    /// The budgets whose spend has changed since it was last saved: of thousands, few have.
    unsaved: Vec<BudgetId>,
    /// Whether anything was spent since the state was last written.
    changed: bool,
    /// Whether there may be spend in the state that is long over.
    forgets: bool,
}

#[derive(Clone)]
struct Account {
    scope: Scope,
    action: BudgetAction,
    enforce: Enforce,
    /// Whether the words hold a part that is leased: then they begin at 0, and whoever leases
    /// changes them beside the books.
    is_leased: bool,
    books: Books,
    /// Whether the configuration has it; requests that began under an earlier configuration may
    /// still be booked to a budget that it no longer has.
    in_force: bool,
    is_saved: bool,
}

/// Why a budget is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has reached a level.
    Reached(Level),
    /// It has refused a request that may cost more than is left, or sent it to another model.
    Refused,
}

/// A budget that is told of: once a period for each cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The budget.
    pub budget: BudgetId,
    /// Whose it is.
    pub scope: Scope,
    /// The period.
    pub period: Period,
    /// Why.
    pub cause: Cause,
    /// What has been spent.
    pub spent: NanoUsd,
    /// What may be spent.
    pub amount: NanoUsd,
    /// What happens at the limit.
    pub action: BudgetAction,
    /// Whether it does.
    pub enforce: Enforce,
}

impl Alert {
    /// Whether requests are refused, or answered by another model, once the budget is used up.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.enforce == Enforce::Yes && self.action != BudgetAction::Alert
    }

    /// Whether the log is told. A budget that stops requests is told of when it does, others are
    /// told of before that, too.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.cause != Cause::Reached(Level::Most) || !self.stops()
    }
}

/// A budget, for tests: reports read the published words.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The budget.
    pub id: BudgetId,
    /// Whose it is.
    pub scope: &'a Scope,
    /// The period.
    pub per: Per,
    /// What may be spent in the period.
    pub limit: NanoUsd,
    /// What has been spent in it.
    pub spent: NanoUsd,
}

impl Budgets {
    /// The books at `wall`; `state` has what was spent before.
    #[must_use]
    pub fn new(accounts: &Accounts, wall: WallTime, state: &State) -> Self {
        let mut budgets = Self {
            now: Per::ALL.map(|per| Period::of(per, wall)),
            accounts: Vec::new(),
            unsaved: Vec::new(),
            changed: false,
            forgets: true,
        };
        budgets.adopt(accounts, &[], state, &mut Vec::new());
        budgets
    }

    /// Adopts the budgets of `accounts`: spend and reservations stay, and balances change by the
    /// difference of the amounts. `fresh` budgets begin with the spend in `state`, and those that
    /// come back catch up with it.
    pub fn adopt(
        &mut self,
        accounts: &Accounts,
        fresh: &[BudgetId],
        state: &State,
        orders: &mut Vec<Order>,
    ) {
        let fresh: HashSet<BudgetId> = fresh.iter().copied().collect();
        let accounts_before = self.accounts.iter_mut();
        let were_in_force: Vec<bool> = accounts_before
            .map(|one| std::mem::take(&mut one.in_force))
            .collect();
        for account in accounts.all() {
            for (id, budget) in &account.budgets {
                let begins = fresh.contains(id) || id.index() >= self.accounts.len();
                let new = || Account::new(&account.scope, budget, self.now, state);
                if begins {
                    let new = new();
                    while self.accounts.len() <= id.index() {
                        self.accounts.push(new.clone());
                    }
                    new.order_period(*id, orders);
                    self.accounts[id.index()] = new;
                    continue;
                }
                let known = &mut self.accounts[id.index()];
                known.adopt(*id, budget, orders);
                if !were_in_force.get(id.index()).is_some_and(|was| *was) {
                    known.catch_up(*id, state, orders);
                }
            }
        }
    }

    /// Orders the first value of every budget's words.
    pub fn start(&self, orders: &mut Vec<Order>) {
        for (budget, account) in (0..).map(BudgetId).zip(&self.accounts) {
            account.order_period(budget, orders);
        }
    }

    /// Takes in a shard's fact; appends what the log is told of budgets near their amount.
    pub fn on_fact(&mut self, fact: &Fact, alerts: &mut Vec<Alert>) {
        match *fact {
            Fact::Settled {
                budget,
                period,
                cost,
                first,
            } => self.on_settled(budget, period, (cost, first), alerts),
            Fact::Refused {
                budget,
                spent,
                amount,
            } => self.on_refused(budget, (spent, amount), alerts),
            Fact::Ended(_)
            | Fact::Admitted(_)
            | Fact::Left(_)
            | Fact::Succeeded(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Forgotten { .. } => {}
        }
    }

    fn on_settled(
        &mut self,
        budget: BudgetId,
        period: PeriodTag,
        (cost, first): (NanoUsd, NanoUsd),
        alerts: &mut Vec<Alert>,
    ) {
        let Some(account) = self.accounts.get_mut(budget.index()) else {
            return;
        };
        self.changed |= cost > NanoUsd::ZERO;
        account.on_settled(period, first);
        let level = account.books.alert();
        alerts.extend(level.map(|level| account.reached(budget, level)));
        let others = cost.saturating_sub(first);
        account.on_settled(period, others);
        while others > NanoUsd::ZERO
            && let Some(level) = account.books.next_alert()
        {
            alerts.push(account.reached(budget, level));
        }
        if std::mem::replace(&mut account.is_saved, false) {
            self.unsaved.push(budget);
        }
    }

    /// A request was refused when so much was spent, with this amount. A budget may be used up
    /// although nothing more was spent: where a reload has lowered its amount.
    fn on_refused(
        &mut self,
        budget: BudgetId,
        (spent, amount): (NanoUsd, NanoUsd),
        alerts: &mut Vec<Alert>,
    ) {
        let Some(account) = self.accounts.get_mut(budget.index()) else {
            return;
        };
        let level = account.books.alert();
        alerts.extend(level.map(|level| account.reached(budget, level)));
        if account.books.on_refused(spent, amount) {
            alerts.push(account.alert(budget, Cause::Refused));
        }
    }

    /// Others have spent this much of a budget in its running period, as far as is known; appends
    /// what the log is told of it.
    pub fn on_elsewhere(&mut self, budget: BudgetId, spent: NanoUsd, alerts: &mut Vec<Alert>) {
        let Some(account) = self.accounts.get_mut(budget.index()) else {
            return;
        };
        account.books.on_elsewhere(spent);
        let level = account.books.alert();
        alerts.extend(level.map(|level| account.reached(budget, level)));
    }

    /// Time passes: a new day, week or month may begin.
    pub fn on_time(&mut self, wall: WallTime, orders: &mut Vec<Order>) {
        let now = Per::ALL.map(|per| Period::of(per, wall));
        // No period goes back, even if the clock is set.
        let now = std::array::from_fn(|place| now[place].max(self.now[place]));
        if now == self.now {
            return;
        }
        self.now = now;
        self.forgets = true;
        for (budget, account) in (0..).map(BudgetId).zip(&mut self.accounts) {
            if account
                .books
                .on_period(now[account.books.period().per() as usize])
            {
                self.changed = true;
                if std::mem::replace(&mut account.is_saved, false) {
                    self.unsaved.push(budget);
                }
                account.order_period(budget, orders);
            }
        }
    }

    /// When [`Self::on_time`] has something to do: when the day ends, but at least each minute,
    /// since the clock may be set.
    #[must_use]
    pub fn deadline(&self, now: Instant, wall: WallTime) -> Instant {
        let left = self.now.iter().filter_map(|period| period.left(wall));
        now + left.fold(CLOCK_SET_AFTER, Duration::min)
    }

    /// Every budget that is in force.
    #[cfg(test)]
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        let accounts = (0..).map(BudgetId).zip(&self.accounts);
        let accounts = accounts.filter(|(_, account)| account.in_force);
        accounts.map(|(id, account)| View {
            id,
            scope: &account.scope,
            per: account.books.period().per(),
            limit: account.books.amount(),
            spent: account.books.spent(),
        })
    }

    /// The running periods.
    #[must_use]
    pub const fn periods(&self) -> [Period; Per::ALL.len()] {
        self.now
    }

    /// The budget's running period, and what has been spent in it, as far as shards have reported
    /// it.
    #[must_use]
    pub fn running(&self, budget: BudgetId) -> Option<(Period, NanoUsd)> {
        let books = &self.accounts.get(budget.index())?.books;
        Some((books.period(), books.spent()))
    }

    /// Whether the durable state has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Writes the durable state into `state`; scopes without a budget keep theirs.
    pub fn save(&mut self, state: &mut State) {
        for budget in self.unsaved.drain(..) {
            let Some(account) = self.accounts.get_mut(budget.index()) else {
                continue;
            };
            account.is_saved = true;
            state.add_spent_by(&account.scope, account.books.by_period());
        }
        if std::mem::take(&mut self.forgets) {
            state.forget(&self.now);
        }
    }
}

impl Account {
    fn new(scope: &Scope, budget: &Budget, now: [Period; Per::ALL.len()], state: &State) -> Self {
        let spent: BTreeMap<Period, NanoUsd> = state.spent_by(scope, budget.per);
        Self {
            scope: scope.clone(),
            action: budget.action,
            enforce: budget.enforce,
            is_leased: budget.reach == Reach::Fleet,
            books: Books::new(budget.amount, now[budget.per as usize], spent),
            in_force: true,
            is_saved: true,
        }
    }

    fn adopt(&mut self, id: BudgetId, budget: &Budget, orders: &mut Vec<Order>) {
        self.in_force = true;
        self.action = budget.action;
        self.enforce = budget.enforce;
        let is_leased = budget.reach == Reach::Fleet;
        let was_leased = std::mem::replace(&mut self.is_leased, is_leased);
        let balance = self.books.balance();
        let difference = self.books.set_amount(budget.amount);
        let signed = |amount: NanoUsd| i64::try_from(amount.get()).unwrap_or(i64::MAX);
        let change = match (was_leased, is_leased) {
            (false, false) => difference,
            (false, true) => balance.saturating_neg(),
            (true, false) => signed(self.books.amount()),
            (true, true) => 0,
        };
        if change != 0 {
            orders.push(Order::Balance {
                budget: id,
                period: self.books.period().tag(),
                change,
            });
        }
    }

    /// It comes back to the configuration: what `state` knows better was spent under another budget
    /// of its scope and period.
    fn catch_up(&mut self, id: BudgetId, state: &State, orders: &mut Vec<Order>) {
        let running = self.books.period();
        let known = self.books.by_period().clone();
        for (period, spent) in state.spent_by(&self.scope, running.per()) {
            let before = known.get(&period).copied().unwrap_or_default();
            let missed = spent.saturating_sub(before);
            if missed == NanoUsd::ZERO {
                continue;
            }
            self.books.on_settled(period, missed);
            if period == running {
                orders.push(Order::Missed {
                    budget: id,
                    period: period.tag(),
                    cost: missed,
                });
            }
        }
    }

    fn order_period(&self, budget: BudgetId, orders: &mut Vec<Order>) {
        orders.push(Order::Period {
            budget,
            period: self.books.period().tag(),
            balance: if self.is_leased {
                0
            } else {
                self.books.balance()
            },
            spent: self.books.spent(),
        });
    }

    /// A request that was admitted in the period with this tag has cost this much: the latest such
    /// period that does not lie in the future.
    fn on_settled(&mut self, tag: PeriodTag, cost: NanoUsd) {
        let period = self.books.period().last_with_tag(tag);
        self.books.on_settled(period, cost);
    }

    /// What is told when this budget, whose id is `budget`, reaches `level`.
    fn reached(&self, budget: BudgetId, level: Level) -> Alert {
        self.alert(budget, Cause::Reached(level))
    }

    fn alert(&self, budget: BudgetId, cause: Cause) -> Alert {
        Alert {
            budget,
            scope: self.scope.clone(),
            period: self.books.period(),
            cause,
            spent: self.books.spent_by_all(),
            amount: self.books.amount(),
            action: self.action,
            enforce: self.enforce,
        }
    }
}

/// Longest time until a clock that was set is noticed.
const CLOCK_SET_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "budgets_tests.rs"]
mod tests;
