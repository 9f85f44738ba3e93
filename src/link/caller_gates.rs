//! The words of callers' limits and budgets that every shard takes from.

use std::sync::Arc;

use crate::base::ids::BudgetId;
use crate::link::budget_gate::BudgetGate;

/// The words of all scopes of callers.
#[derive(Clone, Debug, Default)]
pub struct CallerGates {
    /// The words of each budget, by id.
    pub budgets: Arc<[BudgetGate]>,
}

impl CallerGates {
    /// The words that follow on these: those of `fresh` budgets begin anew.
    #[must_use]
    pub fn next(&self, fresh: &[BudgetId]) -> Self {
        if fresh.is_empty() {
            return self.clone();
        }
        let mut budgets = self.budgets.to_vec();
        for id in fresh {
            if budgets.len() <= id.index() {
                budgets.resize_with(id.index() + 1, BudgetGate::default);
            }
            budgets[id.index()] = BudgetGate::default();
        }
        Self {
            budgets: budgets.into(),
        }
    }
}
