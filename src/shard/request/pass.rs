//! What one request holds of the budgets of its scopes.

use std::rc::Rc;

use crate::base::few::Few;
use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::config::accounts::Account;
use crate::config::scope::Budget;
use crate::decide::budget::{self, Admission, Ask, Standing};
use crate::exchange::callers::SharedCallers;
use crate::link::budget_gate::Reserved;
use crate::link::facts::Fact;
use crate::shard::state::desk::Desk;

/// What a request holds of its scopes' budgets. It is settled exactly once: a pass that is dropped
/// without [`Pass::settle`] has cost nothing.
pub struct Pass {
    desk: Rc<Desk>,
    callers: Rc<SharedCallers>,
    held: Few<Holding, HELD>,
    cost: NanoUsd,
}

/// What is taken in one scope.
#[derive(Clone, Copy, Debug)]
enum Holding {
    /// Money of a budget.
    Budget(BudgetId, Reserved),
}

/// What a request asks of its scopes.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The model that it is to be served with.
    pub model: &'a str,
    /// What it is expected to cost; `None`: it costs nothing, and passes no budget.
    pub ask: Option<Ask>,
    /// Budgets that have sent it to another model: none of them refuses it.
    pub sent_on: &'a [BudgetId],
}

/// Who refuses a request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped<'a> {
    /// Whose limit or budget it is.
    pub account: &'a Account,
    /// Which of them.
    pub by: By<'a>,
}

/// What refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// A budget.
    Budget {
        /// Its id.
        id: BudgetId,
        /// What it allows.
        rules: &'a Budget,
        /// Its decision.
        refused: Refused,
    },
}

/// Why a budget reserves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The budget's decision.
    pub admission: Admission,
    /// What has been spent of it.
    pub spent: NanoUsd,
}

impl Pass {
    /// Takes a request through its scopes, whose accounts these are in their order.
    ///
    /// # Errors
    ///
    /// One of them refuses the request: then nothing is held in any of them.
    pub fn take<'a>(
        desk: &Rc<Desk>,
        callers: &Rc<SharedCallers>,
        accounts: impl Iterator<Item = &'a Account>,
        wanted: &Wanted<'_>,
    ) -> Result<Self, Stopped<'a>> {
        let mut pass = Self {
            desk: Rc::clone(desk),
            callers: Rc::clone(callers),
            held: Few::default(),
            cost: NanoUsd::ZERO,
        };
        for account in accounts {
            let taken = pass.take_in(account, wanted);
            // Dropped, the pass gives back what it holds already.
            taken.map_err(|by| Stopped { account, by })?;
        }
        Ok(pass)
    }

    fn take_in<'a>(&mut self, account: &'a Account, wanted: &Wanted<'_>) -> Result<(), By<'a>> {
        let Some(ask) = &wanted.ask else {
            return Ok(());
        };
        for (id, rules) in &account.budgets {
            let id = *id;
            let reserved = self.reserve((id, rules), ask, wanted);
            let reserved = reserved.map_err(|refused| By::Budget { id, rules, refused })?;
            self.held.push(Holding::Budget(id, reserved));
        }
        Ok(())
    }

    fn reserve(
        &self,
        (id, rules): (BudgetId, &Budget),
        ask: &Ask,
        wanted: &Wanted<'_>,
    ) -> Result<Reserved, Refused> {
        let may_stop = rules.may_stop() && !is_served_by(rules, id, wanted);
        let decide = |standing: &Standing| {
            if !may_stop {
                return Ok(budget::share_of_unstoppable(standing, ask));
            }
            match budget::admit(standing, ask) {
                Admission::Reserve(share) => Ok(share),
                admission @ (Admission::RefuseForGood | Admission::RefuseInFlight) => {
                    let spent = standing.spent;
                    Err(Refused { admission, spent })
                }
            }
        };
        let gate = &self.callers.gates().budgets[id.index()];
        let reserved = gate.reserve(rules.amount, decide);
        if let Err(refused) = &reserved
            && refused.admission == Admission::RefuseForGood
        {
            gate.count_refusal();
        }
        reserved
    }

    /// What is reserved of budgets, in their order.
    pub fn reserved(&self) -> impl Iterator<Item = (BudgetId, Reserved)> {
        self.held.iter().map(|holding| match holding {
            Holding::Budget(id, reserved) => (*id, *reserved),
        })
    }

    /// What the request has cost; it is booked when this is dropped.
    pub fn settle(mut self, cost: NanoUsd) {
        self.cost = cost;
    }
}

/// Whether the request is already served as the budget wants it at its limit.
fn is_served_by(rules: &Budget, id: BudgetId, wanted: &Wanted<'_>) -> bool {
    wanted.sent_on.contains(&id) || rules.model_override.as_deref() == Some(wanted.model)
}

impl Drop for Pass {
    fn drop(&mut self) {
        for holding in self.held.iter() {
            match *holding {
                Holding::Budget(budget, reserved) => {
                    // The words know it when this returns, the books within 10 ms.
                    self.callers.gates().budgets[budget.index()].settle(&reserved, self.cost);
                    if self.cost > NanoUsd::ZERO {
                        self.desk.reports.report(Fact::Settled {
                            budget,
                            period: reserved.period,
                            cost: self.cost,
                        });
                    }
                }
            }
        }
    }
}

/// What a request usually holds at most: of one limit and one budget in each of three scopes.
const HELD: usize = 6;
