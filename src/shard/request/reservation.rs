//! Money that is reserved for one request.

use std::rc::Rc;

use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::config::scope::Budget;
use crate::decide::budget::{self, Admission, Ask, Standing};
use crate::exchange::callers::SharedCallers;
use crate::link::budget_gate::Reserved;
use crate::link::facts::Fact;
use crate::shard::state::desk::Desk;

/// Money that is reserved for one request. It is settled exactly once: a reservation that is
/// dropped without [`Reservation::settle`] has cost nothing.
pub struct Reservation {
    desk: Rc<Desk>,
    callers: Rc<SharedCallers>,
    budget: BudgetId,
    reserved: Reserved,
    cost: NanoUsd,
}

/// Why a budget reserves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The budget's decision.
    pub admission: Admission,
    /// What has been spent of it.
    pub spent: NanoUsd,
}

/// Which model a request is served with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The requested one.
    AsAsked,
    /// The one that its budget falls back to.
    Downgraded,
}

impl Reservation {
    /// Reserves from `budget` what a request asks for. One that is already served with its budget's
    /// own model is not refused, whatever is left.
    ///
    /// # Errors
    ///
    /// The budget refuses the request.
    pub fn take(
        desk: &Rc<Desk>,
        callers: &Rc<SharedCallers>,
        (budget, rules): (BudgetId, &Budget),
        (ask, choice): (&Ask, ModelChoice),
    ) -> Result<Self, Refused> {
        let may_stop = rules.may_stop() && choice == ModelChoice::AsAsked;
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
        let gate = &callers.gates().budgets[budget.index()];
        let reserved = gate.reserve(rules.amount, decide);
        if let Err(refused) = &reserved
            && refused.admission == Admission::RefuseForGood
        {
            gate.count_refusal();
        }
        Ok(Self {
            desk: Rc::clone(desk),
            callers: Rc::clone(callers),
            budget,
            reserved: reserved?,
            cost: NanoUsd::ZERO,
        })
    }

    /// What is reserved.
    #[must_use]
    pub fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// What the request has cost; it is booked when this is dropped.
    pub fn settle(mut self, cost: NanoUsd) {
        self.cost = cost;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (budget, cost, period) = (self.budget, self.cost, self.reserved.period);
        // The words know it when this returns, the books within 10 ms.
        self.callers.gates().budgets[budget.index()].settle(&self.reserved, cost);
        if cost > NanoUsd::ZERO {
            self.desk.reports.report(Fact::Settled {
                budget,
                period,
                cost,
            });
        }
    }
}
