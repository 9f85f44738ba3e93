//! Tests of the ids of limits and budgets over files that follow one another.

use std::collections::{HashMap, HashSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::base::money::NanoUsd;
use crate::config::keyring::{CallerKey, KeySecret, Keyring, NamePattern, PerModel, Team};
use crate::config::plan::Budgets;
use crate::config::scope::{Allowance, Budget, BudgetAction, Enforce, Limits, Reach};

fn budget(per: Per, usd: u64) -> Budget {
    Budget {
        amount: NanoUsd::new(usd),
        per,
        action: BudgetAction::HardStop,
        model_override: None,
        enforce: Enforce::Yes,
        reach: Reach::Fleet,
    }
}

/// Limits where `is_limited`, and budgets of these periods and amounts.
fn allowance(is_limited: Limited, budgets: &[(Per, u64)]) -> Allowance {
    let limits = (is_limited == Limited::Yes).then(Limits::default);
    let budgets = budgets
        .iter()
        .map(|(per, usd)| budget(*per, *usd))
        .collect();
    Allowance { limits, budgets }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limited {
    Yes,
    No,
}

/// Budgets of no caller.
fn nobodys() -> Budgets {
    Budgets {
        state_file: None,
        callers: Box::default(),
    }
}

/// Accounts of teams, each with its name and what it is allowed.
fn teams(list: &[(&str, Allowance)]) -> Accounts {
    let teams = list.iter().map(|(name, allowance)| Team {
        name: (*name).into(),
        models: None,
        allowance: allowance.clone(),
    });
    let teams: Vec<Team> = teams.collect();
    Accounts::new(&Keyring::default(), &teams, &nobodys())
}

/// The ids of all limits, and those of all budgets.
fn ids(accounts: &Accounts) -> (Vec<u32>, Vec<u32>) {
    let limits = accounts.all().iter().filter_map(|one| one.limits);
    let budgets = accounts.all().iter().flat_map(|one| &one.budgets);
    (
        limits.map(|(id, _)| id.0).collect(),
        budgets.map(|(id, _)| id.0).collect(),
    )
}

fn fresh(seated: &SeatedAccounts) -> (Vec<u32>, Vec<u32>) {
    let scopes = seated.fresh.scopes.iter().map(|id| id.0).collect();
    (scopes, seated.fresh.budgets.iter().map(|id| id.0).collect())
}

#[test]
fn who_stays_keeps_the_ids_whatever_changes_around_them() {
    use Limited::{No, Yes};
    let first = Arc::new(teams(&[
        (
            "a",
            allowance(Yes, &[(Per::Day, 1), (Per::Month, 2), (Per::Day, 3)]),
        ),
        ("b", allowance(Yes, &[(Per::Total, 4)])),
        ("c", allowance(No, &[(Per::Week, 5)])),
    ]));
    assert_eq!(ids(&first), (vec![0, 1], vec![0, 1, 2, 3, 4]));
    let seats = AccountSeats::of(&first);
    // Another order of teams and of periods, other amounts, a limit more and one less.
    let second = seats.seat(teams(&[
        ("c", allowance(Yes, &[(Per::Week, 9)])),
        (
            "a",
            allowance(No, &[(Per::Month, 7), (Per::Day, 8), (Per::Day, 1)]),
        ),
        ("d", allowance(No, &[(Per::Total, 4)])),
    ]));
    let second = second.expect("there is room");
    assert_eq!(ids(&second.accounts), (vec![2], vec![4, 1, 0, 2, 5]));
    assert_eq!(fresh(&second), (vec![2], vec![5]));
    // A budget of another period is another budget, and a third of the day is one, too.
    let third = second.seats.seat(teams(&[
        ("b", allowance(Yes, &[(Per::Month, 4)])),
        (
            "a",
            allowance(Yes, &[(Per::Day, 1), (Per::Day, 1), (Per::Day, 1)]),
        ),
    ]));
    let third = third.expect("there is room");
    assert_eq!(ids(&third.accounts), (vec![1, 0], vec![6, 0, 2, 7]));
    // Who comes back finds the former ids, which are not fresh.
    assert_eq!(fresh(&third), (vec![], vec![6, 7]));
    // The seats that a reload did not keep have not changed.
    let again = seats.seat(teams(&[("d", allowance(Yes, &[]))]));
    assert_eq!(
        ids(&again.expect("there is room").accounts),
        (vec![2], vec![])
    );
}

#[test]
fn a_key_and_its_models_have_ids_of_their_own() {
    let key = |models: &[&str]| {
        let limited = allowance(Limited::Yes, &[(Per::Day, 1)]);
        let per_model = models.iter().map(|model| PerModel {
            models: [NamePattern::Name((*model).into())].into(),
            allowance: limited.clone(),
        });
        let per_model = per_model.collect();
        CallerKey {
            name: "k".into(),
            team: None,
            caller: "k".into(),
            callers: Box::default(),
            models: None,
            expires: None,
            is_disabled: false,
            stream_cost: false,
            allowance: limited,
            per_model,
            secrets: Box::<[KeySecret]>::default(),
        }
    };
    let accounts = |models: &[&str]| {
        let ring = Keyring::new(vec![key(models)]).expect("one key");
        Accounts::new(&ring, &[], &nobodys())
    };
    let first = Arc::new(accounts(&["m", "n"]));
    let second = AccountSeats::of(&first).seat(accounts(&["o", "n"]));
    let second = second.expect("there is room");
    assert_eq!(ids(&second.accounts), (vec![0, 3, 2], vec![0, 3, 2]));
    assert_eq!(fresh(&second), (vec![3], vec![3]));
}

#[test]
fn ids_are_given_away_once_no_request_can_mean_them() {
    let limited = || allowance(Limited::Yes, &[(Per::Day, 1)]);
    let first = Arc::new(teams(&[("a", limited()), ("b", limited())]));
    let seats = AccountSeats::of(&first).narrowed(2, 3);
    let second = seats.seat(teams(&[("c", limited())])).expect("one is left");
    assert_eq!(
        ids(&second.accounts),
        (vec![2], vec![2]),
        "requests may mean 0 and 1"
    );
    let two = || teams(&[("d", limited()), ("e", limited())]);
    assert!(second.seats.seat(two()).is_err());
    drop(first);
    let third = second.seats.seat(two()).expect("two are vacant");
    assert_eq!(ids(&third.accounts), (vec![0, 1], vec![0, 1]));
    assert_eq!(fresh(&third), (vec![0, 1], vec![0, 1]));
}

#[test]
fn an_id_is_kept_for_requests_of_the_file_before_the_last_that_had_it() {
    let limited = || allowance(Limited::Yes, &[(Per::Day, 1)]);
    let first = Arc::new(teams(&[("a", limited()), ("b", limited())]));
    let seats = AccountSeats::of(&first).narrowed(2, 3);
    let second = seats.seat(teams(&[("a", limited())])).expect("it stays");
    let third = second.seats.seat(teams(&[])).expect("none is needed");
    drop(second.accounts);
    let fourth = third.seats.seat(teams(&[("c", limited())]));
    let fourth = fourth.expect("there is room for a third");
    assert_eq!(
        ids(&fourth.accounts),
        (vec![2], vec![2]),
        "requests of the first file may mean 0"
    );
    drop(first);
    let fifth = fourth.seats.seat(teams(&[("d", limited())]));
    assert_eq!(
        ids(&fifth.expect("two are vacant").accounts),
        (vec![1], vec![1])
    );
}

/// A file: which of eight teams it has, whether each is limited, and its budgets' periods.
fn files() -> impl Strategy<Value = Vec<Vec<(usize, bool, Vec<usize>)>>> {
    let team = (0..8_usize, any::<bool>(), vec(0..4_usize, 0..4));
    vec(vec(team, 0..6), 1..8)
}

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

proptest! {
    /// Over any files: no two of one file share an id, what stays has its id of before, and what
    /// has an id that another had before is called fresh.
    #[test]
    fn an_id_means_one_thing(files in files()) {
        let mut seats: Option<AccountSeats> = None;
        // What each id has last meant.
        let mut scope_of: HashMap<u32, Scope> = HashMap::new();
        let mut budget_of: HashMap<u32, Identity> = HashMap::new();
        let mut held = Vec::new();
        for file in files {
            let mut seen = HashSet::new();
            let list = file.iter().filter(|(team, ..)| seen.insert(*team));
            let list = list.map(|(team, is_limited, periods)| {
                let is_limited = if *is_limited { Limited::Yes } else { Limited::No };
                let periods: Vec<_> = periods.iter().map(|at| (Per::ALL[*at], 1)).collect();
                (NAMES[*team], allowance(is_limited, &periods))
            });
            let accounts = teams(&list.collect::<Vec<_>>());
            let (next, accounts, fresh) = match &seats {
                None => {
                    let accounts = Arc::new(accounts);
                    let (scopes, budgets) = ids(&accounts);
                    (AccountSeats::of(&accounts), accounts, (scopes, budgets))
                }
                Some(seats) => {
                    let seated = seats.seat(accounts).expect("there is room");
                    let fresh = fresh(&seated);
                    (seated.seats, seated.accounts, fresh)
                }
            };
            let (scope_ids, budget_ids) = ids(&accounts);
            for (id, scope) in scope_ids.iter().zip(scopes(&accounts)) {
                let former = scope_of.insert(*id, scope.clone());
                prop_assert_eq!(former.as_ref() != Some(&scope), fresh.0.contains(id));
            }
            for (id, identity) in budget_ids.iter().zip(budgets(&accounts)) {
                let former = budget_of.insert(*id, identity.clone());
                prop_assert_eq!(former.as_ref() != Some(&identity), fresh.1.contains(id));
            }
            let distinct = |ids: &[u32]| ids.iter().collect::<HashSet<_>>().len() == ids.len();
            prop_assert!(distinct(&scope_ids) && distinct(&budget_ids));
            prop_assert_eq!(scope_of.values().collect::<HashSet<_>>().len(), scope_of.len());
            prop_assert_eq!(budget_of.values().collect::<HashSet<_>>().len(), budget_of.len());
            seats = Some(next);
            held.push(accounts);
        }
    }
}
