//! Costs as the management API shows them.

use serde::{Serialize, Serializer};

use crate::base::money::NanoUsd;
use crate::base::month::Month;
use crate::base::period::Per;
use crate::base::spent::Spent;
use crate::base::time::WallTime;
use crate::report::allowance::BudgetReport;
use crate::report::dollars::{Left, Usd, pairs};

/// `/costs`
#[derive(Serialize)]
pub struct CostReport<'a> {
    #[serde(serialize_with = "month")]
    /// The month, like `2026-03`.
    pub period: Month,
    /// The sum.
    pub total_usd: Usd,
    /// By provider.
    #[serde(serialize_with = "pairs")]
    pub by_provider: Vec<(&'a str, Usd)>,
    /// By the provider's name for the model.
    #[serde(serialize_with = "pairs")]
    pub by_model: Vec<(&'a str, Usd)>,
    /// Requests that were answered.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub completion_tokens: u64,
}

/// `/costs/by-caller`, and the same by other kinds of names.
#[derive(Serialize)]
pub struct PartiesReport<'a> {
    #[serde(serialize_with = "month")]
    /// The month.
    pub period: Month,
    /// All of them.
    #[serde(flatten)]
    pub parties: PartyList<'a>,
    /// Those that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<OthersReport>,
}

/// Names that are left out.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OthersReport {
    /// How many have spent anything.
    pub count: usize,
    /// Their cost.
    pub total_usd: Usd,
}

/// Names of one kind, in alphabetical order, under a key that says what they are names of.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyList<'a> {
    /// Everyone who has spent something or has a budget.
    Callers(Vec<PartyReport<'a>>),
    /// Every project.
    Projects(Vec<PartyReport<'a>>),
    /// Every environment.
    Envs(Vec<PartyReport<'a>>),
    /// Every key of a caller.
    Keys(Vec<PartyReport<'a>>),
    /// Every team.
    Teams(Vec<PartyReport<'a>>),
}

/// `/costs/caller/{id}`
#[derive(Serialize)]
pub struct CallerReport<'a> {
    #[serde(serialize_with = "month")]
    /// The month.
    pub period: Month,
    /// The caller.
    #[serde(flatten)]
    pub caller: PartyReport<'a>,
}

/// `/costs/by-model`
#[derive(Serialize)]
pub struct ModelsReport<'a> {
    #[serde(serialize_with = "month")]
    /// The month.
    pub period: Month,
    /// By the provider's name for the model.
    #[serde(serialize_with = "pairs")]
    pub by_model: Vec<(&'a str, SpentReport)>,
}

/// `/costs/timeseries`
#[derive(Serialize)]
pub struct TimeseriesReport {
    /// The earliest first.
    pub buckets: Vec<BucketReport>,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SpentReport {
    /// The cost.
    pub total_usd: Usd,
    /// Requests that were answered.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub completion_tokens: u64,
}

/// What one caller, project, environment, key or team has spent.
#[derive(Clone, Debug, Serialize)]
pub struct PartyReport<'a> {
    /// Which.
    #[serde(flatten)]
    pub name: PartyName<'a>,
    /// The cost.
    pub total_usd: Usd,
    /// The monthly amount, where there is such a budget; of several, the least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Usd>,
    /// What is left of it; below zero where more was spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_remaining_usd: Option<Left>,
    /// The part of what counts as spent of it that instances which have died had leased, and did
    /// not tell to be spent; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_lost_usd: Option<Usd>,
    /// All budgets of a key or a team, whatever their periods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetReport<'a>>,
    /// Requests that were answered.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub completion_tokens: u64,
}

/// A name, under a key that says what it is a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyName<'a> {
    /// The value of `X-Infermux-Caller`.
    Caller(&'a str),
    /// The value of `X-Infermux-Project`.
    Project(&'a str),
    /// The value of `X-Infermux-Env`.
    Env(&'a str),
    /// The name of a caller's key.
    Key(&'a str),
    /// The name of a team.
    Team(&'a str),
}

/// What was spent in one span of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BucketReport {
    /// When it starts, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub start: WallTime,
    /// The cost.
    pub cost_usd: Usd,
    /// Requests that were answered.
    pub requests: u64,
    /// Their tokens, prompts and answers.
    pub tokens: u64,
}

impl PartyList<'_> {
    /// At most `most` of them, those that have spent most first, and the rest as one.
    #[must_use]
    pub fn top(mut self, most: usize) -> (Self, OthersReport) {
        let (Self::Callers(all)
        | Self::Projects(all)
        | Self::Envs(all)
        | Self::Keys(all)
        | Self::Teams(all)) = &mut self;
        all.sort_by_key(|one| std::cmp::Reverse(one.total_usd.0));
        let rest = all.split_off(most.min(all.len()));
        let cost = rest.iter().fold(NanoUsd::ZERO, |sum, one| {
            sum.saturating_add(one.total_usd.0)
        });
        let count = rest.iter().filter(|one| one.total_usd.0 > NanoUsd::ZERO);
        let others = OthersReport {
            count: count.count(),
            total_usd: Usd(cost),
        };
        (self, others)
    }
}

impl From<Spent> for SpentReport {
    fn from(spent: Spent) -> Self {
        Self {
            total_usd: Usd(spent.cost),
            requests: spent.requests,
            prompt_tokens: spent.prompt_tokens,
            completion_tokens: spent.completion_tokens,
        }
    }
}

/// A caller's monthly budget.
#[derive(Clone, Copy, Debug)]
pub struct Monthly {
    /// What may be spent.
    pub amount: NanoUsd,
    /// What has been spent, by all instances that share it.
    pub spent: NanoUsd,
    /// The part of that which instances that have died had leased, and did not tell to be spent.
    pub lost: NanoUsd,
}

impl<'a> PartyReport<'a> {
    /// What `name` has spent, and its budget.
    #[must_use]
    pub fn new(name: PartyName<'a>, spent: Spent, budget: Option<Monthly>) -> Self {
        let lost = budget.map(|one| one.lost);
        Self {
            name,
            total_usd: Usd(spent.cost),
            budget_usd: budget.map(|one| Usd(one.amount)),
            budget_remaining_usd: budget.map(|one| Left::of(one.amount, one.spent)),
            budget_lost_usd: lost.filter(|lost| *lost > NanoUsd::ZERO).map(Usd),
            budgets: Vec::new(),
            requests: spent.requests,
            prompt_tokens: spent.prompt_tokens,
            completion_tokens: spent.completion_tokens,
        }
    }
}

impl<'a> PartyReport<'a> {
    /// The same with these budgets; the monthly one stands beside the spend, which is a month's,
    /// too. Of several, that is the one that allows least.
    #[must_use]
    pub fn with_budgets(self, budgets: Vec<BudgetReport<'a>>) -> Self {
        let monthly = budgets.iter().filter(|one| one.per == Per::Month.name());
        let least = monthly.min_by_key(|one| one.usd.0);
        Self {
            budget_usd: least.map(|one| one.usd),
            budget_remaining_usd: least.map(|one| one.remaining_usd),
            budget_lost_usd: least.and_then(|one| one.lost_usd),
            budgets,
            ..self
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn month<S: Serializer>(month: &Month, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(month)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
fn shown<S: Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_spent_most_stay_and_the_rest_is_one() {
        let spent = |nanos| Spent {
            cost: NanoUsd::new(nanos),
            ..Spent::default()
        };
        let report = |(name, nanos)| PartyReport::new(PartyName::Key(name), spent(nanos), None);
        let all = [("a", 3), ("b", 9), ("c", 1), ("d", 5)].map(report);
        let (list, others) = PartyList::Keys(all.to_vec()).top(2);
        let PartyList::Keys(list) = list else {
            panic!("keys")
        };
        let names: Vec<_> = list.iter().map(|one| one.name).collect();
        assert_eq!(names, [PartyName::Key("b"), PartyName::Key("d")]);
        assert_eq!((others.count, others.total_usd), (2, Usd(NanoUsd::new(4))));
        let (_, others) = PartyList::Keys(all.to_vec()).top(9);
        assert_eq!((others.count, others.total_usd), (0, Usd(NanoUsd::ZERO)));
    }

    #[test]
    fn dollars_are_decimal_numbers_to_the_last_place() {
        let spent = Spent {
            cost: NanoUsd::new(1),
            requests: 2,
            prompt_tokens: 3,
            completion_tokens: 4,
        };
        let budget = Monthly {
            amount: NanoUsd::new(1_000_000_000),
            spent: NanoUsd::new(1_500_000_000),
            lost: NanoUsd::new(250_000_000),
        };
        let report = CallerReport {
            period: Month::new(2026, 3).unwrap(),
            caller: PartyReport::new(PartyName::Caller("a \"b\""), spent, Some(budget)),
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            concat!(
                r#"{"period":"2026-03","caller":"a \"b\"","total_usd":0.000000001,"#,
                r#""budget_usd":1,"budget_remaining_usd":-0.5,"budget_lost_usd":0.25,"#,
                r#""requests":2,"prompt_tokens":3,"completion_tokens":4}"#,
            )
        );
    }
}
