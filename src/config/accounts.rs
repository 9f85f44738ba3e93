//! Every scope of callers that has limits or budgets, with the ids that books and gates know them
//! by.

use std::collections::HashSet;

use crate::base::ids::{BudgetId, ScopeId};
use crate::base::map::{Map, Set};
use crate::config::keyring::{Keyring, NamePattern, Team};
use crate::config::plan::{Budgets, Plan};
use crate::config::scope::{Allowance, Budget, Limits, Reach, Scope};

/// The accounts of one configuration and its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    all: Box<[Account]>,
    /// Places of the accounts of callers.
    callers: Map<Box<str>, u32>,
    /// By key, in the order of the ring.
    keys: Box<[KeyAccounts]>,
    /// Teams and keys with an account of any kind.
    teams: Set<Box<str>>,
    key_names: Set<Box<str>>,
}

/// A scope with limits or budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub scope: Scope,
    /// Its limits, where it has any.
    pub limits: Option<(ScopeId, Limits)>,
    /// Its budgets.
    pub budgets: Box<[(BudgetId, Budget)]>,
}

/// Places of the accounts that a key's requests go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAccounts {
    /// Its team's.
    pub team: Option<u32>,
    /// Its own.
    pub key: Option<u32>,
    /// Those for certain models: all that match count.
    pub per_model: Box<[(Box<[NamePattern]>, u32)]>,
}

impl Accounts {
    /// The accounts of the keys of `ring`, of `teams`, and of the callers in `budgets`. Each id is
    /// the place among the limits, or budgets, of all.
    #[must_use]
    pub fn new(ring: &Keyring, teams: &[Team], budgets: &Budgets) -> Self {
        Self::within(Reach::Instance, (ring, teams, budgets))
    }

    /// The accounts of `plan` with the keys of `ring`: those that its files say hold over all
    /// instances, where these share a store.
    #[must_use]
    pub fn of(plan: &Plan, ring: &Keyring) -> Self {
        let reach = match plan.shared {
            Some(_) => Reach::Fleet,
            None => Reach::Instance,
        };
        Self::within(reach, (ring, &plan.teams, &plan.budgets))
    }

    /// Accounts none of which reaches farther than `most`.
    fn within(most: Reach, (ring, teams, budgets): (&Keyring, &[Team], &Budgets)) -> Self {
        let mut building = Building {
            most,
            ..Building::default()
        };
        let of_team = |building: &mut Building, team: &Team| {
            let place = building.add(Scope::Team(team.name.clone()), &team.allowance);
            (team.name.clone(), place)
        };
        let teams: Map<Box<str>, Option<u32>> = teams
            .iter()
            .map(|team| of_team(&mut building, team))
            .collect();
        let keys = ring.keys().iter().map(|key| {
            let team = key.team.as_ref().and_then(|team| teams.get(team).copied());
            let own = building.add(Scope::Key(key.name.clone()), &key.allowance);
            let per_model = key.per_model.iter().filter_map(|one| {
                let (key, models) = (key.name.clone(), one.label());
                let place = building.add(Scope::KeyModels { key, models }, &one.allowance)?;
                Some((one.models.clone(), place))
            });
            let per_model = per_model.collect();
            KeyAccounts {
                team: team.flatten(),
                key: own,
                per_model,
            }
        });
        let keys = keys.collect();
        let callers = budgets.callers.iter().filter_map(|one| {
            let allowance = Allowance {
                limits: None,
                budgets: Box::new([one.budget.clone()]),
            };
            let place = building.add(Scope::Caller(one.caller.clone()), &allowance)?;
            Some((one.caller.clone(), place))
        });
        let callers = callers.collect();
        let (mut teams, mut key_names) = (Set::default(), Set::default());
        for account in &building.all {
            match &account.scope {
                Scope::Team(name) => teams.insert(name.clone()),
                Scope::Key(key) | Scope::KeyModels { key, .. } => key_names.insert(key.clone()),
                Scope::Caller(_) => continue,
            };
        }
        Self {
            teams,
            key_names,
            all: building.all.into(),
            callers,
            keys,
        }
    }

    /// Whether `before` lacks one of the budgets, be it new or one that comes back.
    #[must_use]
    pub fn has_more_budgets_than(&self, before: &Self) -> bool {
        let ids = |accounts: &Self| -> HashSet<BudgetId> {
            let budgets = accounts.all.iter().flat_map(|one| &one.budgets);
            budgets.map(|(id, _)| *id).collect()
        };
        !ids(self).is_subset(&ids(before))
    }

    /// Whether no scope has a limit or a budget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Account] {
        &self.all
    }

    /// All of them, for those who give ids.
    pub(super) fn all_mut(&mut self) -> &mut [Account] {
        &mut self.all
    }

    /// The account at this place.
    #[must_use]
    pub fn at(&self, place: u32) -> Option<&Account> {
        self.all.get(place as usize)
    }

    /// The place of a caller's account.
    #[must_use]
    pub fn of_caller(&self, caller: &str) -> Option<u32> {
        self.callers.get(caller).copied()
    }

    /// Whether the team with this name has an account.
    #[must_use]
    pub fn bounds_team(&self, name: &str) -> bool {
        self.teams.contains(name)
    }

    /// Whether the key with this name has an account, at least for some models.
    #[must_use]
    pub fn bounds_key(&self, name: &str) -> bool {
        self.key_names.contains(name)
    }

    /// The accounts of the key at this place of the ring.
    #[must_use]
    pub fn of_key(&self, place: usize) -> Option<&KeyAccounts> {
        self.keys.get(place)
    }
}

impl KeyAccounts {
    /// The accounts for this model.
    pub fn of_model(&self, model: &str) -> impl Iterator<Item = u32> {
        let entries = self.per_model.iter();
        let matching =
            entries.filter(move |(models, _)| models.iter().any(|one| one.matches(model)));
        matching.map(|(_, place)| *place)
    }
}

#[derive(Default)]
struct Building {
    all: Vec<Account>,
    limits: u32,
    budgets: u32,
    most: Reach,
}

impl Building {
    /// Adds an account; `None`: nothing is limited, so that there is none.
    fn add(&mut self, scope: Scope, allowance: &Allowance) -> Option<u32> {
        if allowance.is_empty() {
            return None;
        }
        let place = u32::try_from(self.all.len()).ok()?;
        let limits = allowance.limits.map(|limits| {
            self.limits += 1;
            let reach = limits.reach.within(self.most);
            (ScopeId(self.limits - 1), Limits { reach, ..limits })
        });
        let budgets = allowance.budgets.iter().map(|budget| {
            self.budgets += 1;
            let reach = budget.reach.within(self.most);
            let budget = Budget {
                reach,
                ..budget.clone()
            };
            (BudgetId(self.budgets - 1), budget)
        });
        let budgets = budgets.collect();
        self.all.push(Account {
            scope,
            limits,
            budgets,
        });
        Some(place)
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
