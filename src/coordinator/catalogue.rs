//! Keeps the lists of models that open providers sent, and builds the callers' list from them, on a
//! thread of its own: with thousands of models that takes too long for an event loop.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::limits::{LISTS_BYTES_MAX, LISTS_WAITING_MAX, MODELS_LISTED_MAX};
use crate::base::map::Map;
use crate::config::plan::{self, Plan};
use crate::exchange::catalogue::Catalogue;
use crate::exchange::model_list::ModelList;
use crate::ledger::terms::Terms;
use crate::link::latest::Latest;
use crate::link::lists::{Said, What};
use crate::link::queue::Taker;
use crate::sys::cores;

/// Takes in messages until no sender is left, and publishes the resulting list. A configuration
/// that is about to take effect is found in `terms`.
pub fn run(said: &Taker<Said>, terms: &Latest<Terms>, published: &Latest<Catalogue>) {
    cores::step_back();
    let mut lists = Lists::new(Arc::clone(&terms.load().plan));
    // The former table is freed here: an event loop that still looks at it must not spend time on
    // that.
    let mut former = None;
    while let Some(first) = said.next() {
        let others = std::iter::from_fn(|| said.ready()).take(LISTS_WAITING_MAX);
        let (mut changes, mut done) = (false, Vec::new());
        for Said { what, done: reply } in std::iter::once(first).chain(others) {
            changes |= match what {
                What::List { provider, pages } => lists.take_in(provider, &pages),
                What::Adopt => lists.adopt(&terms.load()),
            };
            done.push(reply);
        }
        if changes {
            let current = published.load();
            let next = lists.catalogue(&current);
            tell_of(&current, &next);
            published.publish(Arc::new(next));
            former = Some(current);
        }
        done.iter().for_each(|reply| reply.give(Vec::new()));
    }
    drop(former);
}

/// Models without room are reported once for each change of the list.
fn tell_of(before: &Catalogue, after: &Catalogue) {
    let (models, left_out) = after.counts();
    if left_out != before.counts().1 && left_out > 0 {
        tracing::warn!(
            models,
            left_out,
            most = MODELS_LISTED_MAX,
            "providers list more models than are kept: requests for the others go to any of them"
        );
    }
}

/// The lists of the providers that may serve models which the file does not name.
struct Lists {
    plan: Arc<Plan>,
    /// Each provider's last list, and a hash of the pages that it came in.
    told: Map<ProviderId, (ModelList, u64)>,
}

impl Lists {
    fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            told: Map::default(),
        }
    }

    /// Takes in a list; returns whether anything changes. A list that cannot be used changes
    /// nothing.
    fn take_in(&mut self, id: ProviderId, pages: &[Vec<u8>]) -> bool {
        let provider = self.plan.find_provider(id);
        let Some(provider) = provider.filter(|one| one.has_unnamed()) else {
            return false;
        };
        let hash = self.told.hasher().hash_one(pages);
        if self
            .told
            .get(&id)
            .is_some_and(|(_, former)| *former == hash)
        {
            return false;
        }
        let name = &*provider.name;
        let Some(list) = ModelList::read(provider.vendor.dialect, name, pages) else {
            tracing::warn!(
                provider = name,
                "what the provider sent is no list of models: it is not used"
            );
            return false;
        };
        let others = self.told.iter().filter(|(other, _)| **other != id);
        let held: usize = others.map(|(_, (list, _))| list.bytes()).sum();
        if held + list.bytes() > LISTS_BYTES_MAX {
            tracing::warn!(
                provider = name,
                models = list.len(),
                most_bytes = LISTS_BYTES_MAX,
                "there is no room for the list of models: it is not used"
            );
            return self.told.remove(&id).is_some();
        }
        tracing::debug!(provider = name, models = list.len(), "a list of models");
        self.told.insert(id, (list, hash));
        true
    }

    /// Adopts another configuration; new providers, and providers that are no longer asked for
    /// their list, have none.
    fn adopt(&mut self, terms: &Terms) -> bool {
        self.plan = Arc::clone(&terms.plan);
        let has_unnamed = |id| {
            let provider = terms.plan.find_provider(id);
            provider.is_some_and(plan::Provider::has_unnamed)
        };
        let fresh = &terms.fresh.providers;
        self.told
            .retain(|id, _| !fresh.contains(id) && has_unnamed(*id));
        true
    }

    fn catalogue(&self, former: &Catalogue) -> Catalogue {
        let list = |id| self.told.get(&id).map(|(list, _)| list);
        Catalogue::new(&self.plan, list, Some(former))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::seats::Seats;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::link::gate::ConnectionsMax;
    use crate::link::queue;
    use crate::link::reports::Reply;

    fn plan(providers: &[&str]) -> Plan {
        let providers = providers
            .iter()
            .map(|one| format!("{{{one}, type: ollama}}"));
        let text = format!("providers: [{}]", providers.collect::<Vec<_>>().join(","));
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(&text, &options).expect("a good file").plan
    }

    struct Desk {
        giver: queue::Giver<Said>,
        taker: Taker<Said>,
        terms: Latest<Terms>,
        published: Latest<Catalogue>,
    }

    impl Desk {
        fn new(plan: Plan) -> Self {
            let (giver, taker) = queue::queue(9);
            let plan = Arc::new(plan);
            let first = Catalogue::new(&plan, |_| None, None);
            Self {
                giver,
                taker,
                terms: Latest::new(Arc::new(Terms::first(plan, ConnectionsMax::default()))),
                published: Latest::new(Arc::new(first)),
            }
        }

        fn say(&self, what: What) {
            let done = Arc::<Reply>::default();
            assert!(self.giver.give(Said { what, done }));
        }

        fn list(&self, provider: u16, page: &str) {
            let (provider, pages) = (ProviderId(provider), vec![page.as_bytes().to_vec()]);
            self.say(What::List { provider, pages });
        }

        /// Takes in all messages; returns which providers list each of the models.
        fn listed(self, models: [&str; 3]) -> String {
            let Self {
                giver,
                taker,
                terms,
                published,
            } = self;
            drop(giver);
            run(&taker, &terms, &published);
            let by = |model| {
                published.look(|catalogue| {
                    let by = catalogue.listed(model).map(|listed| listed.by.to_vec());
                    let ids = by.unwrap_or_default();
                    ids.iter().map(|id| id.0.to_string()).collect::<String>()
                })
            };
            models.map(by).join(" ")
        }
    }

    #[test]
    fn the_last_good_list_of_an_open_provider_counts() {
        let desk = Desk::new(plan(&["name: a", "name: b", "name: c, models: [x]"]));
        desk.list(0, r#"["x","y"]"#);
        desk.list(1, r#"["y"]"#);
        desk.list(1, r#"["y","z"]"#);
        desk.list(1, "<html>");
        desk.list(2, r#"["z"]"#);
        desk.list(7, r#"["z"]"#);
        assert_eq!(desk.listed(["x", "y", "z"]), "0 01 1");
    }

    #[test]
    fn who_begins_with_a_configuration_has_told_nothing_yet() {
        let first = Arc::new(plan(&["name: a", "name: b"]));
        let seats = Seats::of(&first);
        let next = plan(&["name: a, models: [m]", "name: b, base_url: 'http://h'"]);
        let seated = seats.seat(next).expect("room");
        let desk = Desk::new(plan(&["name: a", "name: b"]));
        desk.list(0, r#"["x"]"#);
        desk.list(1, r#"["y"]"#);
        let terms = Terms::first(first, ConnectionsMax::default()).next(seated.plan, seated.fresh);
        desk.terms.publish(Arc::new(terms));
        desk.say(What::Adopt);
        assert_eq!(desk.listed(["x", "y", "m"]), "  ");
    }

    #[test]
    fn what_says_nothing_new_changes_nothing() {
        let mut lists = Lists::new(Arc::new(plan(&["name: a"])));
        let page = |text: &str| vec![text.as_bytes().to_vec()];
        assert!(lists.take_in(ProviderId(0), &page(r#"["x"]"#)));
        assert!(!lists.take_in(ProviderId(0), &page(r#"["x"]"#)));
        assert!(!lists.take_in(ProviderId(0), &page("no")));
        assert!(lists.take_in(ProviderId(0), &page(r#"["x","y"]"#)));
    }
}
