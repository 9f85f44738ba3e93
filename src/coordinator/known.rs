//! What the coordinator knows when a report is asked for.

use std::sync::Arc;

use crate::base::money::NanoUsd;
use crate::coordinator::time::Time;
use crate::ledger::totals::Totals;
use crate::link::orders::Health;
use crate::link::progress::Progress;

/// What the coordinator knows.
pub struct Known {
    /// When.
    pub time: Time,
    /// When the process began.
    pub started: Time,
    /// What is counted.
    pub totals: Arc<Totals>,
    /// The providers, in the order of the file.
    pub providers: Vec<ProviderStanding>,
    /// The budgets, in the order of the file.
    pub budgets: Vec<BudgetStanding>,
    /// Changes of circuits: the provider, the state it went to and why, and how often.
    pub transitions: Vec<(Box<str>, &'static str, &'static str, u64)>,
    /// Times that the state file could not be written.
    pub state_write_failures: u64,
    /// Reloads of the configuration that succeeded, and that failed.
    pub reloads: [u64; 2],
    /// Which event loops turn.
    pub progress: Arc<Progress>,
}

/// How a provider is.
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

/// How a budget is.
#[derive(Clone, Debug)]
pub struct BudgetStanding {
    /// Whose.
    pub caller: Box<str>,
    /// What may be spent in a month.
    pub limit: NanoUsd,
    /// What has been spent.
    pub spent: NanoUsd,
    /// Times that it has reached 80 % and 100 % and the log was told.
    pub alerts: [u64; 2],
    /// Requests that it has refused for good, or had served with another model.
    pub refusals: u64,
}
