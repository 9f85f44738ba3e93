//! Limits and budgets as reports show them: what they allow, what is used and what is left.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::base::time::WallTime;
use crate::report::dollars::{Left, Usd};
use crate::report::providers::rfc_3339;

/// The limits and budgets of a team, of a key, or of a key's models.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AllowanceReport<'a> {
    /// Its limits, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsReport>,
    /// Its budgets, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetReport<'a>>,
}

/// The limits of one scope: an object in which each limit stands under its key in the
/// configuration, `enforce` included.
#[derive(Clone, Debug)]
pub struct LimitsReport {
    /// Whether they refuse what exceeds them.
    pub enforce: bool,
    /// Each limit that there is.
    pub limits: Vec<(&'static str, LimitReport)>,
}

/// One limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LimitReport {
    /// What it allows.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// When more is left; absent while all of it is left, and where no time brings more.
    #[serde(serialize_with = "rfc_3339", skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<WallTime>,
    /// Requests that it has refused since the start.
    pub refused: u64,
    /// Requests beyond it that were served, since it is not enforced.
    pub exceeded: u64,
}

/// One budget.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BudgetReport<'a> {
    /// `day`, `week`, `month` or `total`.
    pub per: &'static str,
    /// What may be spent in a period.
    pub usd: Usd,
    /// What has been spent in the running one; by all instances that share it, as far as is known.
    pub spent_usd: Usd,
    /// The part of that which instances that have died had leased, and did not tell to be spent;
    /// absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_usd: Option<Usd>,
    /// What is left; below zero where more was spent.
    pub remaining_usd: Left,
    /// When the next period begins; absent for `total`.
    #[serde(serialize_with = "rfc_3339", skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<WallTime>,
    /// What happens at the limit.
    pub action: &'static str,
    /// What happens now.
    pub state: BudgetState,
    /// The model that is served instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_override: Option<&'a str>,
    /// Whether it refuses requests, or has another model served.
    pub enforce: bool,
    /// Requests that it has refused for good, or let through with another model, since the start.
    pub refused: u64,
}

/// What a budget does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// Something is left of it.
    Within,
    /// Nothing is left, which is told and changes nothing.
    Exceeded,
    /// Nothing is left, and requests are served with another model.
    Overrides,
    /// Nothing is left, and requests are refused.
    Refuses,
}

impl Serialize for LimitsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, limit) in &self.limits {
            map.serialize_entry(name, limit)?;
        }
        map.serialize_entry("enforce", &self.enforce)?;
        map.end()
    }
}

impl AllowanceReport<'_> {
    /// Whether there are neither limits nor budgets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_none() && self.budgets.is_empty()
    }

    /// Whether a limit or budget refuses requests now, or has another model served.
    #[must_use]
    pub fn refuses(&self) -> bool {
        let limits = self.limits.iter().filter(|all| all.enforce);
        let mut limits = limits.flat_map(|all| &all.limits);
        let refuses = |state| matches!(state, BudgetState::Refuses | BudgetState::Overrides);
        limits.any(|(_, one)| one.left == 0) || self.budgets.iter().any(|one| refuses(one.state))
    }

    /// Thousandths of the limit or budget of which the greatest part is used.
    #[must_use]
    pub fn used_most(&self) -> u64 {
        let limits = self.limits.iter().flat_map(|all| &all.limits);
        let limits = limits.map(|(_, one)| (one.limit - one.left.min(one.limit), one.limit));
        let budgets = self.budgets.iter();
        let budgets = budgets.map(|one| (one.spent_usd.0.get(), one.usd.0.get()));
        let used = limits
            .chain(budgets)
            .map(|(used, of)| thousandths(used, of));
        used.max().unwrap_or(0)
    }
}

/// A budget of nothing is used up from the beginning.
fn thousandths(used: u64, of: u64) -> u64 {
    if of == 0 {
        return 1_000;
    }
    u64::try_from(u128::from(used) * 1_000 / u128::from(of)).unwrap_or(u64::MAX)
}
