//! Callers' keys and teams as the management API shows them: never a secret, nor the digest of one.

use serde::{Serialize, Serializer};

use crate::base::time::WallTime;
use crate::report::allowance::AllowanceReport;
use crate::report::dollars::{Usd, pairs};
use crate::report::providers::rfc_3339;

/// `/_infermux/keys`
#[derive(Debug, Serialize)]
pub struct KeysReport<'a> {
    /// The keys, in the order of the files.
    pub keys: Vec<KeyReport<'a>>,
    /// The teams, in the order of the file.
    pub teams: Vec<TeamReport<'a>>,
    /// Callers with budgets of their own; where the most used are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<CallerReport<'a>>,
    /// How many keys with limits or budgets are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_keys: usize,
    /// How many teams with limits or budgets are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_teams: usize,
    /// How many callers with budgets are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_callers: usize,
}

/// One key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// The team that it belongs to.
    pub team: Option<&'a str>,
    /// The caller that its requests are counted for.
    pub caller: &'a str,
    /// `active`, `disabled` or `expired`.
    pub state: &'static str,
    /// From when on it is not good any more.
    #[serde(serialize_with = "rfc_3339")]
    pub expires: Option<WallTime>,
    /// How many of its secrets are good.
    pub secrets: usize,
    /// What has been spent with it.
    pub spent_usd: SpentByPeriod,
    /// Its limits and budgets.
    #[serde(flatten)]
    pub allowance: AllowanceReport<'a>,
    /// Those for certain models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_model: Vec<ModelsReport<'a>>,
}

/// The limits and budgets of a key for certain models.
#[derive(Clone, Debug, Serialize)]
pub struct ModelsReport<'a> {
    /// The models, with commas between them.
    pub models: &'a str,
    /// Its limits and budgets.
    #[serde(flatten)]
    pub allowance: AllowanceReport<'a>,
}

/// One team.
#[derive(Clone, Debug, Serialize)]
pub struct TeamReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many keys belong to it.
    pub keys: usize,
    /// What has been spent by it.
    pub spent_usd: SpentByPeriod,
    /// Its limits and budgets.
    #[serde(flatten)]
    pub allowance: AllowanceReport<'a>,
}

/// One caller.
#[derive(Clone, Debug, Serialize)]
pub struct CallerReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its budgets.
    #[serde(flatten)]
    pub allowance: AllowanceReport<'a>,
}

/// What was spent in the running periods: an object with the names of the periods as keys.
#[derive(Clone, Debug, Default)]
pub struct SpentByPeriod(pub Vec<(&'static str, Usd)>);

impl Serialize for SpentByPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pairs(&self.0, serializer)
    }
}

/// How urgent it is to look at somebody: whether requests are refused now, and the thousandths of
/// the limit or budget of which the greatest part is used.
pub type Urgency = (bool, u64);

impl AllowanceReport<'_> {
    /// How urgent it is; `None`: there are neither limits nor budgets.
    #[must_use]
    pub fn urgency(&self) -> Option<Urgency> {
        (!self.is_empty()).then(|| (self.refuses(), self.used_most()))
    }
}

impl KeyReport<'_> {
    /// How urgent it is; `None`: it has neither limits nor budgets.
    #[must_use]
    pub fn urgency(&self) -> Option<Urgency> {
        let all = self.per_model.iter().map(|one| &one.allowance);
        all.chain([&self.allowance])
            .filter_map(AllowanceReport::urgency)
            .max()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
