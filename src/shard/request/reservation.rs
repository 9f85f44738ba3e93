//! Money that is reserved for one request.

use crate::base::ids::BudgetId;
use crate::base::money::NanoUsd;
use crate::link::budget_gate::Reserved;
use crate::link::facts::Fact;
use crate::shard::state::shard::Shard;

/// Money that is reserved for one request. It is settled exactly once: dropped without a word, it
/// has cost nothing.
pub struct Reservation<'a> {
    shard: &'a Shard,
    budget: BudgetId,
    reserved: Reserved,
    cost: NanoUsd,
}

impl<'a> Reservation<'a> {
    /// What `budget` has reserved.
    #[must_use]
    pub fn new(shard: &'a Shard, budget: BudgetId, reserved: Reserved) -> Self {
        Self {
            shard,
            budget,
            reserved,
            cost: NanoUsd::ZERO,
        }
    }

    /// What the request has cost; it is booked when this is dropped.
    pub fn settle(mut self, cost: NanoUsd) {
        self.cost = cost;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let Self {
            shard,
            budget,
            ref reserved,
            cost,
        } = *self;
        // The words know it when this returns, the books within 10 ms.
        shard.gates.budgets[budget.index()].settle(reserved, cost);
        if cost > NanoUsd::ZERO {
            let month = reserved.month;
            shard.reports.report(Fact::Settled {
                budget,
                month,
                cost,
            });
        }
    }
}
