//! The ids that limits and budgets keep from one file to the next.

use std::sync::Arc;

use crate::base::ids::{BudgetId, ScopeId};
use crate::base::limits::{BUDGET_SEATS_MAX, SCOPE_SEATS_MAX};
use crate::base::period::Per;
use crate::config::accounts::{Account, Accounts};
use crate::config::scope::Scope;
use crate::config::seat_table::Table;

/// The ids that were given so far.
#[derive(Clone, Debug)]
pub struct AccountSeats {
    scopes: Table<Scope, Accounts>,
    budgets: Table<Identity, Accounts>,
}

/// Accounts with their ids.
#[derive(Debug)]
pub struct SeatedAccounts {
    /// The seats after them.
    pub seats: AccountSeats,
    /// The accounts.
    pub accounts: Arc<Accounts>,
    /// Ids that are new in them.
    pub fresh: FreshAccounts,
}

/// Ids with a new holder: nothing that is known under them is about that holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreshAccounts {
    /// Ids of limits.
    pub scopes: Box<[ScopeId]>,
    /// Ids of budgets.
    pub budgets: Box<[BudgetId]>,
}

impl FreshAccounts {
    /// Whether no id is new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.budgets.is_empty()
    }
}

/// What must be equal for a budget to count as the same in another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    scope: Scope,
    per: Per,
    /// Its number among the scope's budgets of this period.
    nth: usize,
}

impl AccountSeats {
    /// The ids of the first accounts: each equals its place.
    #[must_use]
    pub fn of(accounts: &Arc<Accounts>) -> Self {
        let mut seats = Self {
            scopes: Table::new(scopes(accounts), SCOPE_SEATS_MAX / 2, SCOPE_SEATS_MAX),
            budgets: Table::new(budgets(accounts), BUDGET_SEATS_MAX / 2, BUDGET_SEATS_MAX),
        };
        seats.hold(accounts);
        seats
    }

    /// The same seats with room for fewer: ids find their next holders sooner.
    #[must_use]
    pub fn narrowed(self, usual: usize, max: usize) -> Self {
        Self {
            scopes: self.scopes.narrowed(usual, max),
            budgets: self.budgets.narrowed(usual, max),
        }
    }

    /// Gives `accounts` their ids. `self` does not change, since the reload may still fail.
    ///
    /// # Errors
    ///
    /// Too many ids are still in use; the error is a sentence for the operator.
    pub fn seat(&self, mut accounts: Accounts) -> Result<SeatedAccounts, String> {
        let mut seats = self.clone();
        let placed_scopes = seats.scopes.place(scopes(&accounts).collect());
        let placed_budgets = seats.budgets.place(budgets(&accounts).collect());
        let (Some(scopes), Some(budgets)) = (placed_scopes, placed_budgets) else {
            return Err(
                "too many requests of earlier configurations are still under way: \
                        reload again later"
                    .to_owned(),
            );
        };
        let scope = |at: &usize| ScopeId(u32::try_from(*at).unwrap_or(u32::MAX));
        let budget = |at: &usize| BudgetId(u32::try_from(*at).unwrap_or(u32::MAX));
        let (mut next_scope, mut next_budget) = (scopes.ids.iter(), budgets.ids.iter());
        for account in accounts.all_mut() {
            if let Some((id, _)) = &mut account.limits
                && let Some(at) = next_scope.next()
            {
                *id = scope(at);
            }
            for (one, at) in account.budgets.iter_mut().zip(next_budget.by_ref()) {
                one.0 = budget(at);
            }
        }
        let fresh = FreshAccounts {
            scopes: scopes.fresh.iter().map(scope).collect(),
            budgets: budgets.fresh.iter().map(budget).collect(),
        };
        let accounts = Arc::new(accounts);
        seats.hold(&accounts);
        Ok(SeatedAccounts {
            seats,
            accounts,
            fresh,
        })
    }

    fn hold(&mut self, accounts: &Arc<Accounts>) {
        let limited = accounts.all().iter().filter_map(|one| one.limits);
        self.scopes
            .hold(limited.map(|(id, _)| id.index()), accounts);
        let budgets = accounts.all().iter().flat_map(|one| &one.budgets);
        self.budgets
            .hold(budgets.map(|(id, _)| id.index()), accounts);
    }
}

fn scopes(accounts: &Accounts) -> impl Iterator<Item = Scope> {
    let limited = accounts.all().iter().filter(|one| one.limits.is_some());
    limited.map(|one| one.scope.clone())
}

fn budgets(accounts: &Accounts) -> impl Iterator<Item = Identity> {
    accounts.all().iter().flat_map(identities)
}

fn identities(account: &Account) -> impl Iterator<Item = Identity> {
    let budgets = account.budgets.iter().enumerate();
    budgets.map(|(place, (_, budget))| {
        let before = account.budgets.iter().take(place);
        Identity {
            scope: account.scope.clone(),
            per: budget.per,
            nth: before.filter(|(_, one)| one.per == budget.per).count(),
        }
    })
}

#[cfg(test)]
#[path = "account_seats_tests.rs"]
mod tests;
