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
    /// How many keys with limits or budgets are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_keys: usize,
    /// How many teams with limits or budgets are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_teams: usize,
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

/// What was spent in the running periods: an object with the names of the periods as keys.
#[derive(Clone, Debug, Default)]
pub struct SpentByPeriod(pub Vec<(&'static str, Usd)>);

impl Serialize for SpentByPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pairs(&self.0, serializer)
    }
}

impl KeyReport<'_> {
    /// Thousandths of the limit or budget of which the greatest part is used; `None`: it has none.
    #[must_use]
    pub fn used_most(&self) -> Option<u64> {
        let all = self.per_model.iter().map(|one| &one.allowance);
        let all = all.chain([&self.allowance]);
        let all = all.filter(|one| !one.is_empty());
        all.map(AllowanceReport::used_most).max()
    }
}

impl TeamReport<'_> {
    /// Thousandths of the limit or budget of which the greatest part is used; `None`: it has none.
    #[must_use]
    pub fn used_most(&self) -> Option<u64> {
        (!self.allowance.is_empty()).then(|| self.allowance.used_most())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
