//! Budgets that have reached a level: the log tells of them, and reports count them.

use std::collections::BTreeMap;

use crate::base::period::Per;
use crate::config::scope::Scope;
use crate::coordinator::known::BudgetStanding;
use crate::decide::budget::Level;
use crate::ledger::books::Books;
use crate::ledger::budgets::Alert;
use crate::link::budget_gate::BudgetGate;
use crate::link::caller_gates::CallerGates;

/// How often each scope's budgets have reached 80 % and 100 %.
#[derive(Debug, Default)]
pub struct Alerts(BTreeMap<(Scope, Per), [u64; 2]>);

impl Alerts {
    /// A budget has reached a level.
    pub fn add(&mut self, alert: Alert) {
        let (spent, limit) = (alert.spent.to_string(), alert.amount.to_string());
        let (percent, per) = (alert.level.percent(), alert.per.name());
        let scope = alert.scope.to_string();
        let counts = self.0.entry((alert.scope, alert.per)).or_default();
        match alert.level {
            Level::Most => counts[0] += 1,
            Level::All => counts[1] += 1,
        }
        tracing::warn!(
            scope,
            percent,
            per,
            spent_usd = spent,
            limit_usd = limit,
            "a budget is used up"
        );
    }

    /// Every budget that is in force, for reports.
    #[must_use]
    pub fn standings(&self, books: &Books, gates: &CallerGates) -> Vec<BudgetStanding> {
        let standings = books.budgets().map(|view| {
            let key = (view.scope.clone(), view.per);
            let gate = gates.budgets.get(view.id.index());
            BudgetStanding {
                alerts: self.0.get(&key).copied().unwrap_or_default(),
                scope: key.0,
                per: view.per,
                limit: view.limit,
                spent: view.spent,
                refusals: gate.map_or(0, BudgetGate::refusals),
            }
        });
        standings.collect()
    }
}
