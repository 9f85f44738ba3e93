//! The judge's view of one budget.

use std::collections::BTreeMap;

use infermux::base::money::NanoUsd;
use infermux::base::month::Month;
use infermux::config::plan::{Budget, BudgetAction};
use infermux::decide::budget::Ask;
use infermux::ledger::state::State;
use infermux::link::budget_gate::BudgetGate;
use infermux::link::facts::MonthTag;

use crate::judge::{Held, promise};

/// What is reserved, booked and told, attempt by attempt.
pub(crate) struct Account {
    caller: Box<str>,
    monthly: i128,
    month: Month,
    /// Taken from the running month's word, and not booked as settled.
    reserved: i128,
    /// Booked.
    spent: BTreeMap<Month, u64>,
    /// What callers were told, and what was spent before the start.
    told: BTreeMap<Month, u64>,
    /// What requests of the running month cost beyond their reservations.
    excess: i128,
}

impl Account {
    pub(crate) fn new(budget: &Budget, month: Month, spent: &BTreeMap<Month, NanoUsd>) -> Self {
        let spent: BTreeMap<_, _> = spent.iter().map(|(m, nano)| (*m, nano.get())).collect();
        let already = spent.get(&month).copied().unwrap_or(0);
        let monthly = i128::from(budget.monthly.get());
        Self {
            caller: budget.caller.clone(),
            monthly,
            month,
            reserved: 0,
            told: spent.clone(),
            excess: (i128::from(already) - monthly).max(0),
            spent,
        }
    }

    fn balance(&self) -> i128 {
        let spent = self.spent.get(&self.month).copied().unwrap_or(0);
        self.monthly - self.reserved - i128::from(spent)
    }

    /// A shard has reserved `amount`, as the word of this month says, for a request that asks for
    /// `ask`.
    pub(crate) fn on_reserved(
        &mut self,
        tag: MonthTag,
        amount: NanoUsd,
        (ask, action): (&Ask, BudgetAction),
    ) -> Held {
        let (left, amount) = (self.balance(), i128::from(amount.get()));
        let prompt = i128::from(ask.prompt.get()).max(1);
        // proves: budget.never-over
        promise("budget.never-over", tag.0 == self.month.tag(), || {
            format!(
                "reserved in the month with tag {}, and it is {}",
                tag.0, self.month
            )
        })?;
        promise("budget.never-over", amount <= left.max(0), || {
            format!("{amount} is reserved, and {left} is left")
        })?;
        let is_hard = action == BudgetAction::HardStop;
        promise("budget.never-over", !is_hard || left >= prompt, || {
            format!("a request for {ask:?} is let through, and {left} is left")
        })?;
        self.reserved += amount;
        Ok(())
    }

    /// The configuration was reloaded: the month allows another amount, and what is spent stays.
    pub(crate) fn on_reload(&mut self, budget: &Budget) {
        let monthly = i128::from(budget.monthly.get());
        self.excess += (self.monthly - monthly).max(0);
        self.monthly = monthly;
    }

    /// The caller of a request is told what it cost.
    pub(crate) fn on_told(&mut self, tag: MonthTag, reserved: NanoUsd, cost: NanoUsd) {
        let month = self.month.last_with_tag(tag.0);
        *self.told.entry(month).or_default() += cost.get();
        if month == self.month {
            self.excess += i128::from(cost.saturating_sub(reserved).get());
        }
    }

    pub(crate) fn on_settled(&mut self, month: Month, reserved: u64, cost: u64) {
        *self.spent.entry(month).or_default() += cost;
        if month == self.month {
            self.reserved -= i128::from(reserved);
        }
    }

    pub(crate) fn on_month(&mut self, month: Month) {
        self.month = month;
        self.reserved = 0;
        self.excess = 0;
    }

    pub(crate) fn check(&self, gate: &BudgetGate) -> Held {
        let (left, spent) = read(gate);
        let balance = self.balance();
        // proves: budget.never-over
        promise(
            "budget.never-over",
            i128::from(left) == balance.max(0),
            || {
                let reserved = self.reserved;
                format!("the word says {left}, the books {balance} with {reserved} reserved")
            },
        )?;
        let booked = self.spent.get(&self.month).copied().unwrap_or(0);
        promise("spend.equals-told", spent == booked, || {
            format!("the word says that {spent} is spent, the books {booked}")
        })?;
        promise("budget.never-over", balance + self.excess >= 0, || {
            format!(
                "{balance} is left, and all went {} beyond their reservations",
                self.excess
            )
        })?;
        promise("reservation.settled-once", self.reserved >= 0, || {
            format!("{} is reserved", self.reserved)
        })
    }

    pub(crate) fn check_end(&self, gate: &BudgetGate, state: &State) -> Held {
        // proves: reservation.settled-once
        promise("reservation.settled-once", self.reserved == 0, || {
            format!("{} is reserved, and nobody is on the way", self.reserved)
        })?;
        self.check(gate)?;
        let saved = state.spent_by(&self.caller);
        let saved = saved.iter().filter(|(_, nano)| nano.get() > 0);
        let saved: Vec<_> = saved.map(|(month, nano)| (*month, nano.get())).collect();
        let told = self.told.iter().filter(|(_, nano)| **nano > 0);
        let told: Vec<_> = told.map(|(month, nano)| (*month, *nano)).collect();
        // proves: spend.equals-told
        promise("spend.equals-told", saved == told, || {
            format!("{} was told {told:?}, and {saved:?} is booked", self.caller)
        })
    }
}

/// What the word says is left and spent.
fn read(gate: &BudgetGate) -> (u64, u64) {
    let refused = gate.reserve(|left, spent| Err((left.get(), spent.get())));
    refused.err().unwrap_or_default()
}
