//! The effects of a configuration on the books and on the words that shards read.

use std::sync::Arc;

use crate::base::ids::RouteId;
use crate::base::map::Map;
use crate::config::plan::{Plan, Provider};
use crate::config::scope::Reach;
use crate::config::seats::Fresh;
use crate::link::gate::{ConnectionsMax, Gates};
use crate::link::origin::Origin;
use crate::link::provider_gate::{Limits, ProviderGate};

/// A configuration, and the words that go with it.
pub struct Terms {
    /// The configuration.
    pub plan: Arc<Plan>,
    /// The words: providers that stay keep theirs.
    pub gates: Arc<Gates>,
    /// Ids that begin with it.
    pub fresh: Fresh,
    /// By route, the route of the same model in the configuration before.
    pub former: Box<[Option<RouteId>]>,
}

impl Terms {
    /// The first terms of a process that takes `most` connections.
    #[must_use]
    pub fn first(plan: Arc<Plan>, most: ConnectionsMax) -> Self {
        let providers = plan.providers.iter().map(|one| limits(&plan, one));
        let providers = providers.map(ProviderGate::new);
        let gates = Gates::new(plan.routes.all.len(), most).with(providers.collect());
        Self {
            former: plan.routes.all.iter().map(|_| None).collect(),
            fresh: Fresh::default(),
            gates: Arc::new(gates),
            plan,
        }
    }

    /// The terms that follow on these.
    #[must_use]
    pub fn next(&self, plan: Arc<Plan>, fresh: Fresh) -> Self {
        let former = former(&self.plan, &plan);
        let mut providers = self.gates.providers.to_vec();
        for provider in &plan.providers {
            let at = provider.id.index();
            let limits = limits(&plan, provider);
            match providers.get_mut(at) {
                Some(gate) if fresh.providers.contains(&provider.id) => {
                    *gate = ProviderGate::new(limits);
                }
                Some(gate) => *gate = gate.with_limits(limits),
                // The ids in between get their words in turn.
                None => providers.resize_with(at, || ProviderGate::new(Limits::default())),
            }
            if providers.len() == at {
                providers.push(ProviderGate::new(limits));
            }
        }
        let gates = self.gates.next(&former);
        Self {
            former,
            fresh,
            gates: Arc::new(gates.with(providers.into())),
            plan,
        }
    }
}

fn limits(plan: &Plan, provider: &Provider) -> Limits {
    Limits {
        requests: provider.requests_per_minute,
        tokens: provider.tokens_per_minute,
        in_flight: provider.max_in_flight,
        // Conversations are kept together by how many requests each provider has in flight.
        counts_in_flight: plan.keeps_conversations(),
        check_interval: provider.health_check.interval,
        origin: match provider.reach {
            Reach::Fleet => Origin::Leased,
            Reach::Instance => Origin::Own,
        },
    }
}

fn former(before: &Plan, after: &Plan) -> Box<[Option<RouteId>]> {
    let mut former: Vec<Option<RouteId>> = after.routes.all.iter().map(|_| None).collect();
    let (new, old) = (&after.routes, &before.routes);
    type ByModel = Map<Box<str>, RouteId>;
    let tables: [(&ByModel, &ByModel); 2] = [(&new.other, &old.other), (&new.chat, &old.chat)];
    for (new, old) in tables {
        for (model, id) in new {
            if let Some(place) = former.get_mut(id.index()) {
                *place = old.get(model).copied().or(*place);
            }
        }
    }
    for (new, old) in [
        (new.open_other, old.open_other),
        (new.open_chat_claude, old.open_chat_claude),
        (new.open_chat, old.open_chat),
    ] {
        if let Some(place) = new.and_then(|id| former.get_mut(id.index())) {
            *place = old.or(*place);
        }
    }
    former.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::endpoint::Endpoint;
    use crate::base::ids::ProviderId;
    use crate::config::seats::{Seated, Seats};
    use crate::config::{self, Environment, Options, Strictness};
    use crate::link::gate::Audience;
    use crate::link::orders::Health;

    fn plan(providers: &[&str]) -> Plan {
        let providers: Vec<String> = providers
            .iter()
            .map(|one| format!("  - {{{one}, type: ollama}}\n"))
            .collect();
        let text = format!("providers:\n{}", providers.concat());
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(&text, &options).ok().unwrap().plan
    }

    #[test]
    fn words_of_who_stays_are_taken_over_and_rotations_go_on() {
        let first = Arc::new(plan(&["name: a, models: [m]", "name: b, models: [m, n]"]));
        let seats = Seats::of(&first);
        let most = ConnectionsMax {
            callers: 7,
            operators: 0,
        };
        let before = Terms::first(first, most);
        let find = |terms: &Terms, model| {
            let routes = &terms.plan.routes;
            routes.find(Endpoint::ChatCompletions, model).unwrap()
        };
        assert_eq!(before.gates.ticket(find(&before, "m")), 0);
        before.gates.providers[1].set_health(Health::Unhealthy);
        let next = plan(&[
            "name: c, models: [k]",
            "name: b, models: [m], max_in_flight: 1",
        ]);
        let Seated { plan, fresh, .. } = seats.seat(next).unwrap();
        let after = before.next(plan, fresh);
        assert_eq!(*after.fresh.providers, [ProviderId(2)]);
        let gates = &after.gates;
        assert_eq!(gates.providers.len(), 3);
        assert!(!gates.providers[1].is_healthy() && gates.providers[2].is_healthy());
        gates.providers[1].set_health(Health::Healthy);
        assert!(before.gates.providers[1].is_healthy());
        // The limit is that of the configuration.
        assert!(gates.providers[1].take(0).is_some() && gates.providers[1].take(0).is_none());
        assert!(before.gates.providers[1].take(0).is_some());
        assert_eq!(gates.ticket(find(&after, "m")), 1);
        assert_eq!(gates.ticket(find(&after, "k")), 0);
        assert!(gates.acquire(Audience::Callers));
        assert_eq!(before.gates.connections(Audience::Callers), 1);
    }
}
