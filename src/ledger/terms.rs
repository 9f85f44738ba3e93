//! What a configuration means for the books and for the words that shards read.

use std::sync::Arc;

use crate::base::ids::RouteId;
use crate::base::map::Map;
use crate::config::plan::{Plan, Provider};
use crate::config::seats::Fresh;
use crate::link::budget_gate::BudgetGate;
use crate::link::gate::Gates;
use crate::link::provider_gate::{Limits, ProviderGate};

/// A configuration, and the words that go with it.
pub struct Terms {
    /// The configuration.
    pub plan: Arc<Plan>,
    /// The words: those of who stays are the ones that were there.
    pub gates: Arc<Gates>,
    /// Ids that begin with it.
    pub fresh: Fresh,
    /// By route, the route of the same model in the configuration before.
    pub former: Box<[Option<RouteId>]>,
}

impl Terms {
    /// The first terms of a process that takes this many connections.
    #[must_use]
    pub fn first(plan: Arc<Plan>, connections_max: usize) -> Self {
        let providers = plan.providers.iter().map(limits).map(ProviderGate::new);
        let budgets = plan.budgets.callers.iter().map(|_| BudgetGate::default());
        let gates = Gates::new(plan.routes.all.len(), connections_max)
            .with(providers.collect(), budgets.collect());
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
            let limits = limits(provider);
            match providers.get_mut(at) {
                Some(gate) if fresh.providers.contains(&provider.id) => {
                    *gate = ProviderGate::new(limits);
                }
                Some(gate) => *gate = gate.with_limits(limits),
                // Places for ids between are taken in turn.
                None => providers.resize_with(at, || ProviderGate::new(Limits::default())),
            }
            if providers.len() == at {
                providers.push(ProviderGate::new(limits));
            }
        }
        let mut budgets = self.gates.budgets.to_vec();
        for id in &fresh.budgets {
            if budgets.len() <= id.index() {
                budgets.resize_with(id.index() + 1, BudgetGate::default);
            }
            budgets[id.index()] = BudgetGate::default();
        }
        let gates = self.gates.next(&former);
        Self {
            former,
            fresh,
            gates: Arc::new(gates.with(providers.into(), budgets.into())),
            plan,
        }
    }
}

fn limits(provider: &Provider) -> Limits {
    Limits {
        requests: provider.requests_per_minute,
        tokens: provider.tokens_per_minute,
        in_flight: provider.max_in_flight,
        check_interval: provider.health_check.interval,
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
