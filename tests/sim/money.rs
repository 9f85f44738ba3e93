//! The judge's view of one budget.

use std::collections::BTreeMap;

use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::{Per, Period};
use infermux::testing::config::scope::{Budget, Scope};
use infermux::testing::decide::budget::{Ask, Capped};
use infermux::testing::link::budget_gate::{BudgetGate, Reserved};

use crate::promise::{Held, promise};

/// What is reserved and spent, request by request, as shards do it: the coordinator has no part in
/// it but that it starts periods and goes by other configurations.
pub(crate) struct Account {
    scope: Scope,
    most: i128,
    period: Period,
    /// Taken from the running period's word, and not settled.
    reserved: i128,
    /// What callers were told, and what was spent before the start.
    told: BTreeMap<Period, u64>,
    /// By what the running period may be exceeded without anybody's fault: what requests cost
    /// beyond their estimates, what those cost that the budget does not stop, and what another
    /// configuration took away.
    beyond: i128,
    /// The most that a request which was capped at what was left cost beyond that, within its
    /// estimate. One request's, not the sum of all.
    excess: i128,
    /// Capped requests of the running period that are under way.
    capped: u32,
}

/// What a request asked for, and what it got.
#[derive(Clone, Copy)]
pub(crate) struct Allotment {
    pub(crate) reserved: Reserved,
    pub(crate) ask: Ask,
    /// Whether the budget may refuse it, whatever it is served with.
    pub(crate) is_stopped: bool,
}

impl Allotment {
    fn amount(&self) -> i128 {
        i128::from(self.reserved.share.amount.get())
    }

    /// What the request was expected to cost.
    fn estimate(&self) -> i128 {
        i128::from(self.ask.whole.max(self.ask.prompt).get())
    }

    fn is_capped(&self) -> bool {
        self.is_stopped && self.amount() < self.estimate()
    }
}

impl Account {
    pub(crate) fn new(
        (scope, budget): (&Scope, &Budget),
        period: Period,
        told: BTreeMap<Period, u64>,
    ) -> Self {
        let already = told.get(&period).copied().unwrap_or(0);
        let most = i128::from(budget.amount.get());
        Self {
            scope: scope.clone(),
            most,
            period,
            reserved: 0,
            told,
            beyond: (i128::from(already) - most).max(0),
            excess: 0,
            capped: 0,
        }
    }

    fn spent(&self) -> u64 {
        self.told.get(&self.period).copied().unwrap_or(0)
    }

    fn balance(&self) -> i128 {
        self.most - self.reserved - i128::from(self.spent())
    }

    /// A shard has reserved money for a request.
    pub(crate) fn on_reserved(&mut self, allotment: &Allotment) -> Held {
        let (left, amount) = (self.balance(), allotment.amount());
        let prompt = i128::from(allotment.ask.prompt.get()).max(1);
        let tag = allotment.reserved.period;
        // proves: budget.never-over
        promise("budget.never-over", tag == self.period.tag(), || {
            format!(
                "reserved in the period with {tag:?}, and it is {}",
                self.period
            )
        })?;
        promise("budget.never-over", amount <= left.max(0), || {
            format!("{amount} is reserved, and {left} is left")
        })?;
        let fits = !allotment.is_stopped || left >= prompt;
        promise("budget.never-over", fits, || {
            format!(
                "a request for {:?} is let through, and {left} is left",
                allotment.ask
            )
        })?;
        self.reserved += amount;
        self.capped += u32::from(allotment.is_capped());
        Ok(())
    }

    /// The configuration was reloaded: the period allows another amount, and what is spent stays.
    pub(crate) fn on_reload(&mut self, budget: &Budget) {
        let most = i128::from(budget.amount.get());
        self.beyond += (self.most - most).max(0);
        self.most = most;
    }

    /// A configuration has it again: it catches up with what its scope's callers were `told`.
    pub(crate) fn on_return(&mut self, told: &BTreeMap<Period, u64>) {
        for (period, told) in told {
            let known = self.told.entry(*period).or_default();
            let missed = told.saturating_sub(*known);
            *known += missed;
            if *period == self.period {
                self.beyond += i128::from(missed);
            }
        }
    }

    /// A shard has settled a request, and its caller is told what it cost. Returns the period to
    /// which that belongs.
    pub(crate) fn on_settled(&mut self, allotment: &Allotment, cost: NanoUsd) -> Period {
        let period = self.period.last_with_tag(allotment.reserved.period);
        *self.told.entry(period).or_default() += cost.get();
        if period != self.period {
            return period;
        }
        let (amount, cost) = (allotment.amount(), i128::from(cost.get()));
        self.reserved -= amount;
        if !allotment.is_stopped {
            self.beyond += (cost - amount).max(0);
            return period;
        }
        self.beyond += (cost - allotment.estimate()).max(0);
        if allotment.is_capped() {
            self.capped -= 1;
            self.excess = self.excess.max(cost.min(allotment.estimate()) - amount);
        }
        period
    }

    /// The running periods are these now.
    pub(crate) fn on_periods(&mut self, now: &[Period]) {
        let running = now.iter().find(|one| one.per() == self.period.per());
        let later = running.filter(|period| **period > self.period);
        let Some(period) = later.copied() else {
            return;
        };
        self.period = period;
        self.reserved = 0;
        self.beyond = 0;
        self.excess = 0;
        self.capped = 0;
    }

    pub(crate) fn check(&self, gate: &BudgetGate) -> Held {
        let (left, spent, capped) = read(gate);
        let balance = self.balance();
        // proves: budget.never-over
        promise(
            "budget.never-over",
            i128::from(left) == balance.max(0),
            || {
                let reserved = self.reserved;
                format!("the word says {left}, and {balance} is left with {reserved} reserved")
            },
        )?;
        let told = self.spent();
        // proves: spend.equals-told
        promise("spend.equals-told", spent == told, || {
            format!("the word says that {spent} is spent, and callers were told {told}")
        })?;
        let excused = self.beyond + self.excess;
        promise("budget.never-over", balance + excused >= 0, || {
            format!(
                "{balance} is left, one request exceeded what was left by {} at most, and {} is \
                 nobody's fault",
                self.excess, self.beyond
            )
        })?;
        let is_capped = capped == Capped::Yes;
        // proves: reservation.settled-once
        promise(
            "reservation.settled-once",
            is_capped == (self.capped > 0),
            || {
                let number = self.capped;
                format!("the word says {capped:?}, and {number} capped requests are under way")
            },
        )?;
        promise("reservation.settled-once", self.reserved >= 0, || {
            format!("{} is reserved", self.reserved)
        })
    }

    /// Whose budget it is, and for which period.
    pub(crate) fn name(&self) -> (&Scope, Per) {
        (&self.scope, self.period.per())
    }

    /// Whether it may lack room for a request that asks for this, by a configuration in which it
    /// allows `amount`.
    pub(crate) fn is_full(&self, amount: NanoUsd, ask: &Ask) -> bool {
        let (spent, amount) = (self.spent(), amount.get());
        let costs = i128::from(ask.whole.max(ask.prompt).get());
        let is_spent = spent >= amount || ask.prompt.get() > amount - spent;
        let (left, prompt) = (self.balance(), i128::from(ask.prompt.get()));
        is_spent || left < prompt.max(1) || (left < costs && self.capped > 0)
    }

    pub(crate) fn check_end(&self, gate: &BudgetGate) -> Held {
        promise("reservation.settled-once", self.reserved == 0, || {
            format!("{} is reserved, and nobody is on the way", self.reserved)
        })?;
        self.check(gate)
    }
}

/// What the words say is left and spent, and whether a capped reservation is under way.
pub(crate) fn read(gate: &BudgetGate) -> (u64, u64, Capped) {
    let told = gate.reserve(NanoUsd::ZERO, |now| {
        Err((now.left.get(), now.spent.get(), now.capped))
    });
    told.err().unwrap_or((0, 0, Capped::No))
}
