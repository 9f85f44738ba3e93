//! Budgets that have reached 80 % or 100 %, or have refused a request before that: the log is told
//! of each once a period, and reports how often it was the former.

use std::sync::Arc;

use crate::base::ids::BudgetId;
use crate::config::scope::{Enforce, Scope};
use crate::decide::budget::Level;
use crate::ledger::budgets::{Alert, Cause};

/// How often budgets have reached 80 % and 100 %, and the log has been told.
#[derive(Debug, Default)]
pub struct Alerts {
    /// By budget; shared with reports that are being written.
    counts: Arc<Vec<[u64; 2]>>,
}

impl Alerts {
    /// A budget is told of: the log is, unless nothing happens at its level.
    pub fn add(&mut self, alert: &Alert) {
        if !alert.is_logged() {
            return;
        }
        tell(alert);
        let Cause::Reached(level) = alert.cause else {
            return;
        };
        let counts = Arc::make_mut(&mut self.counts);
        let place = alert.budget.index();
        if counts.len() <= place {
            counts.resize(place + 1, [0, 0]);
        }
        match level {
            Level::Most => counts[place][0] += 1,
            Level::All => counts[place][1] += 1,
        }
    }

    /// These ids belong to other budgets from now on.
    pub fn begin(&mut self, fresh: &[BudgetId]) {
        let counts = Arc::make_mut(&mut self.counts);
        for budget in fresh {
            if let Some(counts) = counts.get_mut(budget.index()) {
                *counts = [0, 0];
            }
        }
    }

    /// The numbers, by budget; those that are missing are zero.
    #[must_use]
    pub fn counts(&self) -> Arc<Vec<[u64; 2]>> {
        Arc::clone(&self.counts)
    }
}

/// Logs that a budget has reached a level.
fn tell(alert: &Alert) {
    let (spent, limit) = (alert.spent.to_string(), alert.amount.to_string());
    let per = alert.period.per().name();
    let (percent, what) = match alert.cause {
        Cause::Reached(Level::Most) => (Some(Level::Most.percent()), "a budget is nearly used up"),
        Cause::Reached(Level::All) => (Some(Level::All.percent()), "a budget is used up"),
        Cause::Refused => (
            None,
            "a budget refuses requests that may cost more than is left",
        ),
    };
    let scope = alert.scope.to_string();
    let (action, enforced) = (alert.action.name(), alert.enforce == Enforce::Yes);
    let caller = match &alert.scope {
        Scope::Caller(name) => Some(&**name),
        Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => None,
    };
    tracing::warn!(
        scope,
        caller,
        percent,
        per,
        spent_usd = spent,
        limit_usd = limit,
        action,
        enforced,
        "{what}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::NanoUsd;
    use crate::base::period::{Per, Period};
    use crate::base::time::WallTime;
    use crate::config::scope::BudgetAction;

    #[test]
    fn counts_belong_to_the_budget_that_has_the_id() {
        let mut alerts = Alerts::default();
        let mut reached = |budget: u32, level| {
            alerts.add(&Alert {
                budget: BudgetId(budget),
                scope: Scope::Key("k".into()),
                period: Period::of(Per::Day, WallTime::default()),
                cause: Cause::Reached(level),
                spent: NanoUsd::new(2),
                amount: NanoUsd::new(1),
                action: BudgetAction::Alert,
                enforce: Enforce::No,
            });
        };
        reached(2, Level::Most);
        reached(2, Level::All);
        reached(0, Level::All);
        let before = alerts.counts();
        assert_eq!(*before, [[0, 1], [0, 0], [1, 1]]);
        alerts.begin(&[BudgetId(2), BudgetId(9)]);
        assert_eq!(*alerts.counts(), [[0, 1], [0, 0], [0, 0]]);
        // A report that is being written keeps what it has.
        assert_eq!(before[2], [1, 1]);
    }
}
