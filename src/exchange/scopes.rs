//! Which limits and budgets a request passes, and in which order.

use smallvec::SmallVec;

use crate::config::accounts::{Account, Accounts, KeyAccounts};

/// The scopes of a request: those of its key, and of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a> {
    accounts: &'a Accounts,
    key: Option<&'a KeyAccounts>,
    caller: Option<u32>,
}

impl<'a> Scopes<'a> {
    /// Those of the key at this place of the ring, and of the caller with this name.
    #[must_use]
    pub fn new(accounts: &'a Accounts, key: Option<usize>, caller: Option<&str>) -> Self {
        Self {
            accounts,
            key: key.and_then(|place| accounts.of_key(place)),
            caller: caller.and_then(|caller| accounts.of_caller(caller)),
        }
    }

    /// The accounts that a request for `model` passes, in their order: its team's, its key's, the
    /// key's for the model, its caller's. Those for certain models are none of one without a model.
    #[must_use]
    pub fn of_model(&self, model: Option<&str>) -> Passed<'a> {
        let mut passed = Passed::new();
        let mut add = |place| {
            if let Some(account) = self.accounts.at(place) {
                passed.push(account);
            }
        };
        if let Some(key) = self.key {
            key.team.into_iter().for_each(&mut add);
            key.key.into_iter().for_each(&mut add);
            if let Some(model) = model {
                key.of_model(model).for_each(&mut add);
            }
        }
        self.caller.into_iter().for_each(add);
        passed
    }

    /// Whether a request for `model` passes any.
    #[must_use]
    pub fn has_any(&self, model: Option<&str>) -> bool {
        !self.of_model(model).is_empty()
    }
}

/// The accounts that a request passes: seldom more than its team's, its key's, its model's and its
/// caller's.
pub type Passed<'a> = SmallVec<[&'a Account; 4]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::money::NanoUsd;
    use crate::base::period::Per;
    use crate::config::keyring::{CallerKey, KeySecret, Keyring, NamePattern, PerModel, Team};
    use crate::config::plan::{Budgets, CallerBudget};
    use crate::config::scope::{Allowance, Budget, BudgetAction, Enforce, Limits, Reach};

    fn allowance() -> Allowance {
        Allowance {
            limits: Some(Limits::default()),
            budgets: Box::default(),
        }
    }

    fn per_model(models: &[&str]) -> PerModel {
        let patterns = models.iter().map(|text| NamePattern::parse(text).unwrap());
        PerModel {
            models: patterns.collect(),
            allowance: allowance(),
        }
    }

    fn key(name: &str, team: Option<&str>, own: Allowance) -> CallerKey {
        CallerKey {
            name: name.into(),
            team: team.map(Into::into),
            caller: name.into(),
            callers: Box::default(),
            models: None,
            expires: None,
            is_disabled: false,
            stream_cost: false,
            allowance: own,
            per_model: Box::new([per_model(&["gpt-4o"]), per_model(&["o*", "gpt-*"])]),
            secrets: Box::new([KeySecret {
                digest: Digest::of(name.as_bytes()),
                until: None,
            }]),
        }
    }

    fn accounts() -> Accounts {
        let team = Team {
            name: "t".into(),
            models: None,
            allowance: allowance(),
        };
        let keys = vec![
            key("a", Some("t"), allowance()),
            key("b", None, Allowance::default()),
        ];
        let budget = Budget {
            amount: NanoUsd::new(1),
            per: Per::Month,
            action: BudgetAction::HardStop,
            model_override: None,
            enforce: Enforce::Yes,
            reach: Reach::Fleet,
        };
        let caller = "c".into();
        let budgets = Budgets {
            callers: Box::new([CallerBudget { caller, budget }]),
            state_file: None,
        };
        Accounts::new(&Keyring::new(keys).unwrap(), &[team], &budgets)
    }

    #[test]
    fn a_request_passes_its_team_its_key_the_keys_models_and_its_caller() {
        let accounts = accounts();
        for (key, caller, model, expected) in [
            (None, None, Some("gpt-4o"), &[][..]),
            (None, Some("c"), Some("gpt-4o"), &["caller c"]),
            (Some(0), None, None, &["team t", "key a"]),
            (Some(0), Some("x"), Some("claude"), &["team t", "key a"]),
            (
                Some(0),
                Some("c"),
                Some("gpt-4o"),
                &[
                    "team t",
                    "key a",
                    "key a, model gpt-4o",
                    "key a, model gpt-*, o*",
                    "caller c",
                ],
            ),
            (Some(1), None, Some("o3"), &["key b, model gpt-*, o*"]),
            (Some(1), Some("c"), Some("x"), &["caller c"]),
            (Some(2), None, Some("o3"), &[]),
        ] {
            let scopes = Scopes::new(&accounts, key, caller);
            let passed = scopes.of_model(model);
            let names: Vec<_> = passed.iter().map(|one| one.scope.to_string()).collect();
            assert_eq!(names, expected);
            assert_eq!(scopes.has_any(model), !expected.is_empty());
        }
    }
}
