//! The coordinator's knowledge when a report is asked for.

use std::sync::Arc;

use crate::base::money::NanoUsd;
use crate::base::period::Per;
use crate::config::scope::Scope;
use crate::coordinator::time::Time;
use crate::exchange::callers::Callers;
use crate::ledger::totals::Totals;
use crate::link::orders::Health;
use crate::link::progress::Progress;
use crate::link::scope_gate::ScopeGate;

/// The coordinator's knowledge at a moment.
pub struct Known {
    /// The moment.
    pub time: Time,
    /// When the process began.
    pub started: Time,
    /// The totals.
    pub totals: Arc<Totals>,
    /// The providers, in the order of the file.
    pub providers: Vec<ProviderStanding>,
    /// The budgets, in the order of the file.
    pub budgets: Vec<BudgetStanding>,
    /// The callers, with the words of their limits.
    pub callers: Arc<Callers>,
    /// Changes of circuits: provider, new state, reason, and number.
    pub transitions: Vec<(Box<str>, &'static str, &'static str, u64)>,
    /// How often the state file could not be written.
    pub state_write_failures: u64,
    /// Reloads of the configuration that succeeded, and that failed.
    pub reloads: [u64; 2],
    /// Bytes of items of translated answers that are remembered.
    pub remembered: u64,
    /// Which event loops turn.
    pub progress: Arc<Progress>,
}

/// The state of a provider.
#[derive(Clone, Debug)]
pub struct ProviderStanding {
    /// Its name.
    pub name: Box<str>,
    /// Whether it passed its last health check.
    pub health: Health,
    /// `closed`, `half-open` or `open`.
    pub circuit: &'static str,
    /// Requests and tokens that it may still be sent in the window.
    pub headroom: (Option<u64>, Option<u64>),
    /// Requests and tokens of a whole window.
    pub limits: (Option<u64>, Option<u64>),
}

/// The state of a budget.
#[derive(Clone, Debug)]
pub struct BudgetStanding {
    /// Whose it is.
    pub scope: Scope,
    /// The period.
    pub per: Per,
    /// What may be spent in a period.
    pub limit: NanoUsd,
    /// What has been spent.
    pub spent: NanoUsd,
    /// How often it has reached 80 % and 100 %, and the log has said so.
    pub alerts: [u64; 2],
    /// Requests that it has refused for good, or let through only with another model.
    pub refusals: u64,
}

impl BudgetStanding {
    /// The caller whose it is, where it belongs to one.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        match &self.scope {
            Scope::Caller(name) => Some(name),
            Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => None,
        }
    }
}

impl Known {
    /// The scopes that have limits, in the order of the files, and their words: their limits, what
    /// is used and left of each, how many requests each has refused, and would have refused. They
    /// are read when the report is written: the coordinator does not wait for tens of thousands.
    pub fn limited_scopes(&self) -> impl Iterator<Item = (&Scope, &ScopeGate)> {
        self.callers.limited_scopes()
    }

    /// The budgets of callers.
    pub fn budgets_of_callers(&self) -> impl Iterator<Item = (&str, &BudgetStanding)> {
        let budgets = self.budgets.iter();
        budgets.filter_map(|one| one.caller().map(|caller| (caller, one)))
    }
}
