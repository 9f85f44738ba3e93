//! What a request holds of its scopes' limits and budgets.

use crate::base::ids::{BudgetId, ScopeId, Subject};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::link::budget_gate::Reserved;
use crate::link::facts::{Admitted, Fact, Left};
use crate::link::scope_gate::ScopeTaken;

/// What is taken of one scope's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLimits {
    /// The scope.
    pub scope: ScopeId,
    /// What is taken.
    pub taken: ScopeTaken,
}

/// What is reserved of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBudget {
    /// The budget.
    pub budget: BudgetId,
    /// What is reserved.
    pub reserved: Reserved,
    /// What the budget allows in a period, where callers are told what is left of it.
    pub told: Option<NanoUsd>,
}

impl HeldLimits {
    /// What the coordinator is told of it, for a request that was admitted at `at`.
    #[inline]
    #[must_use]
    pub fn admitted(&self, at: Instant) -> Admitted {
        Admitted {
            subject: Subject::Scope(self.scope),
            at,
            requests: self.taken.requests(),
            tokens: Tokens::new(self.taken.tokens()),
            day: self.taken.request_of().map(|day| (day, 1)),
        }
    }

    /// What the coordinator is told of such a request when it has ended with `used` tokens, of
    /// which `excess` were taken then.
    #[must_use]
    pub fn left(&self, admitted: Instant, (used, excess): (Tokens, Tokens)) -> Left {
        Left {
            subject: Subject::Scope(self.scope),
            admitted,
            day: self.taken.tokens_of().map(|(day, _)| day),
            reserved: Tokens::new(self.taken.tokens()),
            excess,
            used,
        }
    }
}

impl HeldBudget {
    /// What the coordinator is told of it when its request has ended, and has cost this much.
    #[must_use]
    pub const fn settled(&self, cost: NanoUsd) -> Fact {
        Fact::Settled {
            budget: self.budget,
            period: self.reserved.period,
            cost,
            first: cost,
        }
    }
}

impl Default for HeldLimits {
    /// Nothing.
    fn default() -> Self {
        Self {
            scope: ScopeId(0),
            taken: ScopeTaken::default(),
        }
    }
}

impl Default for HeldBudget {
    /// Nothing.
    fn default() -> Self {
        Self {
            budget: BudgetId(0),
            reserved: Reserved::default(),
            told: None,
        }
    }
}
