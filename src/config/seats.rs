//! The ids that providers and budgets keep from one file to the next.
//!
//! A provider that stays in the file keeps its id, so that tables by id, and facts of requests that
//! began under an earlier file, stay right. It counts as the same provider while its name, type and
//! `base_url` are the same: statistics of one server say nothing about another. An id is reused
//! only once no request can refer to its former holder.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use crate::base::ids::{BudgetId, ProviderId};
use crate::base::limits::{BUDGET_SEATS_MAX, PROVIDER_SEATS_MAX, PROVIDERS_MAX};
use crate::config::plan::{BaseUrl, Places, Plan, Provider};

/// The ids that were given so far.
#[derive(Clone, Debug)]
pub struct Seats {
    providers: Table<Identity>,
    budgets: Table<Box<str>>,
}

/// A Plan with its ids.
pub struct Seated {
    /// The seats after it.
    pub seats: Seats,
    /// The Plan.
    pub plan: Arc<Plan>,
    /// Ids that are new in it.
    pub fresh: Fresh,
}

/// Ids with a new holder: nothing that is known under them is about that holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Ids of providers.
    pub providers: Box<[ProviderId]>,
    /// Ids of budgets.
    pub budgets: Box<[BudgetId]>,
}

/// What must be equal for a provider to count as the same in another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    name: Box<str>,
    vendor: &'static str,
    base: BaseUrl,
}

#[derive(Clone, Debug)]
struct Table<K> {
    seats: Vec<Seat<K>>,
    /// Up to this number of seats, a new seat is added and no former one is reused, so that a
    /// provider that comes back soon finds its statistics.
    usual: usize,
    max: usize,
}

#[derive(Clone, Debug)]
struct Seat<K> {
    key: K,
    /// The last Plan that had it; once that Plan is dropped, no request can refer to the id.
    held: Weak<Plan>,
    /// The number of that Plan.
    seen: u64,
}

impl Seats {
    /// The ids of the first Plan: each equals its place.
    #[must_use]
    pub fn of(plan: &Arc<Plan>) -> Self {
        let identities = plan.providers.iter().map(Identity::of);
        let callers = plan.budgets.callers.iter().map(|one| one.caller.clone());
        let mut seats = Self {
            providers: Table::new(identities, PROVIDERS_MAX, PROVIDER_SEATS_MAX),
            budgets: Table::new(callers, BUDGET_SEATS_MAX / 2, BUDGET_SEATS_MAX),
        };
        seats.hold(plan);
        seats
    }

    /// Gives `plan` its ids. `self` does not change, since the reload may still fail.
    ///
    /// # Errors
    ///
    /// Too many ids are still in use; the error is a sentence for the operator.
    pub fn seat(&self, mut plan: Plan) -> Result<Seated, String> {
        let mut seats = self.clone();
        let identities: Vec<Identity> = plan.providers.iter().map(Identity::of).collect();
        let callers = plan.budgets.callers.iter().map(|one| one.caller.clone());
        let providers = seats.providers.place(identities);
        let budgets = seats.budgets.place(callers.collect());
        let (Some(providers), Some(budgets)) = (providers, budgets) else {
            return Err(
                "too many requests of earlier configurations are still under way: \
                        reload again later"
                    .to_owned(),
            );
        };
        let id = |at: &usize| ProviderId(u16::try_from(*at).unwrap_or(u16::MAX));
        let budget = |at: &usize| BudgetId(u32::try_from(*at).unwrap_or(u32::MAX));
        let ids: Vec<ProviderId> = providers.ids.iter().map(id).collect();
        renumber(&mut plan, &ids);
        for (one, at) in plan.budgets.callers.iter_mut().zip(&budgets.ids) {
            one.id = budget(at);
        }
        plan.places = Places {
            providers: places(&providers.ids, seats.providers.seats.len()),
            budgets: places(&budgets.ids, seats.budgets.seats.len()),
        };
        let fresh = Fresh {
            providers: providers.fresh.iter().map(id).collect(),
            budgets: budgets.fresh.iter().map(budget).collect(),
        };
        let plan = Arc::new(plan);
        seats.hold(&plan);
        Ok(Seated { seats, plan, fresh })
    }

    fn hold(&mut self, plan: &Arc<Plan>) {
        let providers = plan.providers.iter().map(|one| one.id.index());
        self.providers.hold(providers, plan);
        let budgets = plan.budgets.callers.iter().map(|one| one.id.index());
        self.budgets.hold(budgets, plan);
    }
}

/// The seats of the keys of one Plan.
struct Seating {
    ids: Vec<usize>,
    fresh: Vec<usize>,
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn new(keys: impl Iterator<Item = K>, usual: usize, max: usize) -> Self {
        let seat = |key| Seat {
            key,
            held: Weak::new(),
            seen: 0,
        };
        Self {
            seats: keys.map(seat).collect(),
            usual,
            max,
        }
    }

    /// Finds a seat for each of `keys`, which all differ; `None`: there is no room.
    fn place(&mut self, keys: Vec<K>) -> Option<Seating> {
        let known = self.seats.iter().enumerate();
        let known: HashMap<&K, usize> = known.map(|(at, seat)| (&seat.key, at)).collect();
        let found: Vec<Option<usize>> = keys.iter().map(|key| known.get(key).copied()).collect();
        let mut vacant = self.vacant(&found);
        let (mut ids, mut fresh) = (Vec::new(), Vec::new());
        for (key, found) in keys.into_iter().zip(found) {
            let at = match found {
                Some(at) => at,
                None if self.seats.len() < self.usual => self.add(key),
                None => match vacant.pop() {
                    Some(at) => {
                        self.seats.get_mut(at)?.key = key;
                        at
                    }
                    None if self.seats.len() < self.max => self.add(key),
                    None => return None,
                },
            };
            if found.is_none() {
                fresh.push(at);
            }
            ids.push(at);
        }
        Some(Seating { ids, fresh })
    }

    /// Seats that no request can refer to and that are not among `kept`, the most recently vacated
    /// first: they are reused from the end.
    fn vacant(&self, kept: &[Option<usize>]) -> Vec<usize> {
        let mut is_kept = vec![false; self.seats.len()];
        for at in kept.iter().flatten() {
            if let Some(kept) = is_kept.get_mut(*at) {
                *kept = true;
            }
        }
        let seats = self.seats.iter().zip(is_kept).enumerate();
        let mut vacant: Vec<(u64, usize)> = seats
            .filter(|(_, (seat, kept))| !kept && seat.held.strong_count() == 0)
            .map(|(at, (seat, _))| (seat.seen, at))
            .collect();
        vacant.sort_unstable_by(|one, other| other.cmp(one));
        vacant.into_iter().map(|(_, at)| at).collect()
    }

    fn add(&mut self, key: K) -> usize {
        self.seats.push(Seat {
            key,
            held: Weak::new(),
            seen: 0,
        });
        self.seats.len() - 1
    }

    fn hold(&mut self, ids: impl Iterator<Item = usize>, plan: &Arc<Plan>) {
        let number = self.seats.iter().map(|seat| seat.seen).max();
        let number = number.unwrap_or_default() + 1;
        for at in ids {
            if let Some(seat) = self.seats.get_mut(at) {
                (seat.held, seat.seen) = (Arc::downgrade(plan), number);
            }
        }
    }
}

impl Identity {
    fn of(provider: &Provider) -> Self {
        Self {
            name: provider.name.clone(),
            vendor: provider.vendor.name,
            base: provider.base.clone(),
        }
    }
}

/// Replaces places by the `ids` of those places.
fn renumber(plan: &mut Plan, ids: &[ProviderId]) {
    let renumber = |id: &mut ProviderId| *id = ids.get(id.index()).copied().unwrap_or(*id);
    plan.providers
        .iter_mut()
        .for_each(|one| renumber(&mut one.id));
    for group in &mut plan.groups {
        group.providers.iter_mut().for_each(renumber);
    }
    for route in &mut plan.routes.all {
        let candidates = route.candidates.iter_mut();
        candidates.for_each(|one| renumber(&mut one.provider));
    }
}

/// For each id, its place.
fn places(ids: &[usize], seats: usize) -> Box<[usize]> {
    let mut places = vec![Places::NONE; seats];
    for (place, id) in ids.iter().enumerate() {
        if let Some(at) = places.get_mut(*id) {
            *at = place;
        }
    }
    places.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    /// A Plan with these providers (`name` or `name@port`), the last of which is in a group, and
    /// these budgets.
    fn plan(providers: &[&str], budgets: &[&str]) -> Plan {
        let mut text = String::from("providers:\n");
        for one in providers {
            let (name, port) = one.split_once('@').unwrap_or((one, "1"));
            text += &format!(
                "  - {{name: {name}, type: ollama, base_url: 'http://h:{port}', models: [m]}}\n"
            );
        }
        let last = providers.last().unwrap().split('@').next().unwrap();
        text += &format!("routing: {{groups: [{{name: g, models: [x], providers: [{last}]}}]}}\n");
        let budget = |one: &&str| format!("{{caller: {one}, monthly_usd: 1}}");
        let budgets: Vec<String> = budgets.iter().map(budget).collect();
        text += &format!("budgets: [{}]\n", budgets.join(", "));
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let loaded = config::load(&text, &options);
        loaded.unwrap_or_else(|why| panic!("{why:?}")).plan
    }

    fn ids(plan: &Plan) -> Vec<(&str, u16)> {
        let all = plan.providers.iter();
        all.map(|one| (&*one.name, one.id.0)).collect()
    }

    #[test]
    fn who_stays_keeps_the_id_and_nobody_gets_one_that_is_meant_by_a_request() {
        let first = Arc::new(plan(&["a", "b", "c"], &["x", "y"]));
        let seats = Seats::of(&first);
        let second = seats.seat(plan(&["d", "c", "a@2"], &["y", "z"])).unwrap();
        assert_eq!(ids(&second.plan), [("d", 3), ("c", 2), ("a", 4)]);
        assert_eq!(*second.fresh.providers, [ProviderId(3), ProviderId(4)]);
        assert_eq!(*second.fresh.budgets, [BudgetId(2)]);
        for provider in &second.plan.providers {
            assert!(std::ptr::eq(second.plan.provider(provider.id), provider));
        }
        assert!(second.plan.find_provider(ProviderId(0)).is_none());
        assert!(second.plan.find_provider(ProviderId(9)).is_none());
        assert_eq!(&*second.plan.budget(BudgetId(2)).caller, "z");
        assert!(second.plan.find_budget(BudgetId(0)).is_none());
        let route = second.plan.routes.chat["m"];
        let candidates = second.plan.routes.route(route).candidates.iter();
        let order: Vec<u16> = candidates.map(|one| one.provider.0).collect();
        assert_eq!(order, [3, 2, 4], "declaration order");
        assert_eq!(*second.plan.groups[0].providers, [ProviderId(4)]);
        // A provider that comes back has its former id.
        let third = second.seats.seat(plan(&["b", "a"], &["x"])).unwrap();
        assert_eq!(ids(&third.plan), [("b", 1), ("a", 0)]);
        assert_eq!(third.fresh, Fresh::default());
    }

    #[test]
    fn ids_are_given_away_once_no_request_can_mean_them() {
        let first = Arc::new(plan(&["a", "b"], &[]));
        let mut seats = Seats::of(&first);
        (seats.providers.usual, seats.providers.max) = (2, 3);
        let second = seats.seat(plan(&["c"], &[])).unwrap();
        assert_eq!(ids(&second.plan), [("c", 2)], "requests may mean 0 and 1");
        assert!(second.seats.seat(plan(&["d", "e"], &[])).is_err());
        drop(first);
        let third = second.seats.seat(plan(&["d", "e"], &[])).unwrap();
        assert_eq!(ids(&third.plan), [("d", 0), ("e", 1)]);
        assert_eq!(third.fresh.providers.len(), 2);
        drop(second.plan);
        let fourth = third.seats.seat(plan(&["d", "c"], &[])).unwrap();
        assert_eq!(ids(&fourth.plan), [("d", 0), ("c", 2)]);
    }
}
