//! Budgets that are used up send a request to another model: when, to which, and how often.

use crate::base::ids::BudgetId;
use crate::config::scope::Budget;

/// The budgets that have sent one request to another model. Routing starts over with each such
/// model, and so do the scopes that the request passes.
///
/// Invariant: no budget is in it twice, so that a request starts over at most as often as there are
/// budgets that it meets.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<BudgetId>);

impl Overrides {
    /// Whether a budget with these rules may refuse the request, which is to be served with
    /// `model`. One that has sent it to another model, or wants the one that it has, does not.
    #[must_use]
    pub fn may_refuse(&self, (id, rules): (BudgetId, &Budget), model: &str) -> bool {
        let is_served = || rules.model_override.as_deref() == Some(model);
        rules.may_stop() && !self.0.contains(&id) && !is_served()
    }

    /// A budget with these rules refuses the request. Returns the model that serves it instead,
    /// with which everything starts over; `None`: the refusal stands.
    #[must_use]
    pub fn start_over<'a>(&mut self, (id, rules): (BudgetId, &'a Budget)) -> Option<&'a str> {
        let model = rules.model_override.as_deref()?;
        if self.0.contains(&id) {
            return None;
        }
        self.0.push(id);
        Some(model)
    }

    /// These budgets, in the order in which they have acted.
    #[must_use]
    pub fn budgets(&self) -> &[BudgetId] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::NanoUsd;
    use crate::base::period::Per;
    use crate::config::scope::{BudgetAction, Enforce, Reach};

    fn budget(model_override: Option<&str>) -> Budget {
        Budget {
            amount: NanoUsd::new(1),
            per: Per::Month,
            action: match model_override {
                Some(_) => BudgetAction::ModelOverride,
                None => BudgetAction::HardStop,
            },
            model_override: model_override.map(Into::into),
            enforce: Enforce::Yes,
            reach: Reach::Fleet,
        }
    }

    #[test]
    fn each_budget_sends_a_request_on_once_and_refuses_it_no_more() {
        // Each wants the other's model.
        let budgets = [budget(Some("b")), budget(Some("a"))];
        let all = || (0..).map(BudgetId).zip(&budgets);
        let (mut overrides, mut model, mut turns) = (Overrides::default(), "a", 0);
        while let Some(refusing) = all().find(|one| overrides.may_refuse(*one, model)) {
            model = overrides.start_over(refusing).unwrap();
            turns += 1;
            assert!(turns <= budgets.len());
        }
        assert_eq!((model, turns), ("a", 2));
        assert_eq!(overrides.budgets(), [BudgetId(0), BudgetId(1)]);
        assert_eq!(overrides.start_over((BudgetId(0), &budgets[0])), None);
    }

    #[test]
    fn a_budget_lets_the_model_pass_that_it_wants() {
        let overrides = Overrides::default();
        let wants = budget(Some("small"));
        assert!(overrides.may_refuse((BudgetId(0), &wants), "large"));
        assert!(!overrides.may_refuse((BudgetId(0), &wants), "small"));
    }

    #[test]
    fn a_budget_that_has_no_other_model_refuses() {
        let (mut overrides, stops) = (Overrides::default(), budget(None));
        assert!(overrides.may_refuse((BudgetId(0), &stops), "a"));
        assert_eq!(overrides.start_over((BudgetId(0), &stops)), None);
        let counts = Budget {
            enforce: Enforce::No,
            ..stops
        };
        assert!(!overrides.may_refuse((BudgetId(0), &counts), "a"));
    }
}
