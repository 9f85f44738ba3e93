//! The coordinator's knowledge when a report is asked for.

use std::sync::Arc;

use crate::base::money::NanoUsd;
use crate::config::accounts::Account;
use crate::config::scope::{Budget, Scope};
use crate::coordinator::time::Time;
use crate::exchange::callers::Callers;
use crate::ledger::totals::Totals;
use crate::link::gate::Process;
use crate::link::orders::Health;
use crate::link::progress::Progress;
use crate::link::webhooks::Counts;
use crate::report::status::SharedReport;

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
    /// The callers, with the words of their limits and budgets: there may be tens of thousands, so
    /// that these are not copied.
    pub callers: Arc<Callers>,
    /// By budget: how often it has reached 80 % and 100 %.
    pub alerts: Arc<Vec<[u64; 2]>>,
    /// Changes of circuits: provider, new state, reason, and number.
    pub transitions: Vec<(Box<str>, &'static str, &'static str, u64)>,
    /// How often the state file could not be written.
    pub state_write_failures: u64,
    /// What has become of notices for webhooks; `None`: there never was one.
    pub notices: Option<Counts>,
    /// Reloads of the configuration that succeeded, and that failed.
    pub reloads: [u64; 2],
    /// Bytes of items of translated answers that are remembered.
    pub remembered: u64,
    /// The words of the process.
    pub process: Arc<Process>,
    /// Which event loops turn.
    pub progress: Arc<Progress>,
    /// How the instance stands with those that it shares limits and budgets with.
    pub shared: Option<SharedReport>,
}

/// The state of a provider.
#[derive(Clone, Debug)]
pub struct ProviderStanding {
    /// Its name.
    pub name: Box<str>,
    /// Whether it passed its last health check.
    pub health: Health,
    /// Whether an operator has taken it out of rotation.
    pub is_taken_out: bool,
    /// `closed`, `half-open` or `open`.
    pub circuit: &'static str,
    /// Requests and tokens that it may still be sent in the window.
    pub headroom: (Option<u64>, Option<u64>),
    /// Requests and tokens of a whole window.
    pub limits: (Option<u64>, Option<u64>),
}

/// The state of a budget.
#[derive(Clone, Copy, Debug)]
pub struct BudgetStanding<'a> {
    /// What the file says of it.
    pub budget: &'a Budget,
    /// What has been spent in the running period: by all instances, as far as is known, where they
    /// share it.
    pub spent: NanoUsd,
    /// The part of that which instances that have died had leased, and did not tell to be spent.
    pub lost: NanoUsd,
    /// How often it has reached 80 % and 100 %, and the log has said so.
    pub alerts: [u64; 2],
    /// Requests that it has refused for good, or let through only with another model.
    pub refusals: u64,
}

impl Known {
    /// The budgets of callers.
    pub fn budgets_of_callers(&self) -> impl Iterator<Item = (&str, BudgetStanding<'_>)> {
        let accounts = self.callers.accounts().all().iter();
        let callers = accounts.filter_map(|account| match &account.scope {
            Scope::Caller(name) => Some((&**name, account)),
            Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => None,
        });
        callers.flat_map(|(name, account)| self.budgets(account).map(move |one| (name, one)))
    }

    /// The budgets of an account, in the order of the file.
    pub fn budgets<'a>(
        &'a self,
        account: &'a Account,
    ) -> impl Iterator<Item = BudgetStanding<'a>> + 'a {
        let gates = &self.callers.gates().budgets;
        account.budgets.iter().filter_map(move |(id, budget)| {
            let gate = gates.get(id.index())?;
            Some(BudgetStanding {
                budget,
                spent: gate.spent_by_all(),
                lost: gate.lost(),
                alerts: self.alerts.get(id.index()).copied().unwrap_or_default(),
                refusals: gate.refusals(),
            })
        })
    }
}
