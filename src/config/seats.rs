//! The ids that providers keep from one file to the next.
//!
//! A provider that stays in the file keeps its id, so that tables by id, and facts of requests that
//! began under an earlier file, stay right. It counts as the same provider while its name, type and
//! `base_url` and the proxy that leads there are the same: statistics of one server say nothing
//! about another. An id is reused
//! only once no request can refer to its former holder.

use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::limits::{PROVIDER_SEATS_MAX, PROVIDERS_MAX};
use crate::config::plan::{Places, Plan, Provider};
use crate::config::seat_table::Table;
use crate::config::url::BaseUrl;

/// The ids that were given so far.
#[derive(Clone, Debug)]
pub struct Seats {
    providers: Table<Identity, Plan>,
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
}

/// What must be equal for a provider to count as the same in another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    name: Box<str>,
    vendor: &'static str,
    base: BaseUrl,
    /// Host and port of its proxy: another way may lead to another server of the same name.
    proxy: Option<(Box<str>, u16)>,
}

impl Seats {
    /// The ids of the first Plan: each equals its place.
    #[must_use]
    pub fn of(plan: &Arc<Plan>) -> Self {
        let identities = plan.providers.iter().map(Identity::of);
        let mut seats = Self {
            providers: Table::new(identities, PROVIDERS_MAX, PROVIDER_SEATS_MAX),
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
        let Some(providers) = seats.providers.place(identities) else {
            return Err(
                "too many requests of earlier configurations are still under way: \
                        reload again later"
                    .to_owned(),
            );
        };
        let id = |at: &usize| ProviderId(u16::try_from(*at).unwrap_or(u16::MAX));
        let ids: Vec<ProviderId> = providers.ids.iter().map(id).collect();
        renumber(&mut plan, &ids);
        plan.places = Places {
            providers: places(&providers.ids, seats.providers.count()),
        };
        let fresh = Fresh {
            providers: providers.fresh.iter().map(id).collect(),
        };
        let plan = Arc::new(plan);
        seats.hold(&plan);
        Ok(Seated { seats, plan, fresh })
    }

    fn hold(&mut self, plan: &Arc<Plan>) {
        let providers = plan.providers.iter().map(|one| one.id.index());
        self.providers.hold(providers, plan);
    }
}

impl Identity {
    fn of(provider: &Provider) -> Self {
        Self {
            name: provider.name.clone(),
            vendor: provider.vendor.name,
            base: provider.base.clone(),
            proxy: provider
                .proxy
                .as_ref()
                .map(|one| (one.host.clone(), one.port)),
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

    /// A Plan with these providers (`name` or `name@port`), the last of which is in a group.
    fn plan(providers: &[&str]) -> Plan {
        let mut text = String::from("providers:\n");
        for one in providers {
            let (name, port) = one.split_once('@').unwrap_or((one, "1"));
            text += &format!(
                "  - {{name: {name}, type: ollama, base_url: 'http://h:{port}', models: [m]}}\n"
            );
        }
        let last = providers.last().unwrap().split('@').next().unwrap();
        text += &format!("routing: {{groups: [{{name: g, models: [x], providers: [{last}]}}]}}\n");
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
        let first = Arc::new(plan(&["a", "b", "c"]));
        let seats = Seats::of(&first);
        let second = seats.seat(plan(&["d", "c", "a@2"])).unwrap();
        assert_eq!(ids(&second.plan), [("d", 3), ("c", 2), ("a", 4)]);
        assert_eq!(*second.fresh.providers, [ProviderId(3), ProviderId(4)]);
        for provider in &second.plan.providers {
            assert!(std::ptr::eq(second.plan.provider(provider.id), provider));
        }
        assert!(second.plan.find_provider(ProviderId(0)).is_none());
        assert!(second.plan.find_provider(ProviderId(9)).is_none());
        let route = second.plan.routes.chat["m"];
        let candidates = second.plan.routes.route(route).candidates.iter();
        let order: Vec<u16> = candidates.map(|one| one.provider.0).collect();
        assert_eq!(order, [3, 2, 4], "declaration order");
        assert_eq!(*second.plan.groups[0].providers, [ProviderId(4)]);
        // A provider that comes back has its former id.
        let third = second.seats.seat(plan(&["b", "a"])).unwrap();
        assert_eq!(ids(&third.plan), [("b", 1), ("a", 0)]);
        assert_eq!(third.fresh, Fresh::default());
    }

    #[test]
    fn ids_are_given_away_once_no_request_can_mean_them() {
        let first = Arc::new(plan(&["a", "b"]));
        let mut seats = Seats::of(&first);
        seats.providers = seats.providers.narrowed(2, 3);
        let second = seats.seat(plan(&["c"])).unwrap();
        assert_eq!(ids(&second.plan), [("c", 2)], "requests may mean 0 and 1");
        assert!(second.seats.seat(plan(&["d", "e"])).is_err());
        drop(first);
        let third = second.seats.seat(plan(&["d", "e"])).unwrap();
        assert_eq!(ids(&third.plan), [("d", 0), ("e", 1)]);
        assert_eq!(third.fresh.providers.len(), 2);
        drop(second.plan);
        let fourth = third.seats.seat(plan(&["d", "c"])).unwrap();
        assert_eq!(ids(&fourth.plan), [("d", 0), ("c", 2)]);
    }
}
