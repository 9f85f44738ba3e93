//! What operators do by hand, and what becomes of it with the next configuration.

use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::coordinator::publish::Publisher;
use crate::coordinator::run::Coordinator;
use crate::link::orders::Health;
use crate::link::reports::ByHand;

impl Coordinator {
    /// Does what an operator wants of a provider.
    pub(super) fn by_hand(&mut self, now: Instant, provider: ProviderId, act: ByHand) {
        // It may have left with a reload meanwhile: the operator is told so.
        let Some(named) = self.plan.find_provider(provider) else {
            return;
        };
        let name = &*named.name;
        match act {
            ByHand::TakeOut => tracing::info!(provider = name, "the provider is out of rotation"),
            ByHand::PutBack => tracing::info!(provider = name, "the provider is back in rotation"),
            // A change of the circuit has a line of its own.
            ByHand::Open | ByHand::Close | ByHand::Reset => {}
        }
        self.books.by_hand(now, provider, act, &mut self.orders);
        self.publish(now);
    }

    /// Adopts the published configuration. Facts under earlier ones are still booked.
    pub(super) fn adopt(&mut self, now: Instant) {
        // A probe is judged by the policy that was in force when it was sent.
        self.look_at_permits(now);
        let terms = self.terms.as_ref().map(|terms| terms.load());
        let terms = terms.filter(|terms| !Arc::ptr_eq(&terms.plan, &self.plan));
        let callers = self.next_callers.as_ref().map(|callers| callers.load());
        let callers = callers.filter(|callers| !Arc::ptr_eq(callers, &self.callers));
        if let Some(terms) = &terms {
            self.gates = Arc::clone(&terms.gates);
            let rotation = self.rotation(now);
            self.books.adopt(now, terms, &mut self.orders);
            // A provider whose address has changed has another id, or one that it had before, and
            // the same name: what was said of it last counts.
            for provider in &terms.plan.providers {
                let mut said = rotation.iter();
                if let Some((_, out_since)) = said.find(|(name, _)| *name == provider.name) {
                    let to = (provider.id, *out_since);
                    self.books.carry_rotation(to, &mut self.orders);
                }
            }
            let fresh = &terms.fresh.providers;
            self.half_open
                .retain(|(provider, _)| !fresh.contains(provider));
        }
        if let Some(callers) = callers {
            let (accounts, fresh) = (callers.accounts(), callers.fresh());
            self.books.adopt_accounts(accounts, fresh, &mut self.orders);
            self.alerts.begin(&fresh.budgets);
            self.callers = callers;
        }
        let (gates, callers) = (Arc::clone(&self.gates), self.callers.gates().clone());
        self.publisher = Publisher::new(gates, callers);
        self.publish(now);
        if let Some(terms) = terms {
            self.notices
                .adopted(&self.plan, (&terms.plan, &terms.fresh.providers));
            self.tell_who_comes_back(now, &terms.plan);
            self.plan = Arc::clone(&terms.plan);
        }
        self.share(now);
    }

    /// Tells of providers of `next` that come back as unhealthy as they went: of what does not
    /// change, nobody would hear.
    fn tell_who_comes_back(&mut self, now: Instant, next: &Plan) {
        for provider in &next.providers {
            let view = self.books.view(now, provider.id);
            let is_back = self.plan.find_provider(provider.id).is_none();
            if is_back && view.is_some_and(|view| view.health == Health::Unhealthy) {
                self.notices.health(&provider.name, Health::Unhealthy);
            }
        }
    }

    /// The names of all providers, and since when each is out of rotation; `None`: it is not.
    fn rotation(&mut self, now: Instant) -> Vec<(Box<str>, Option<Instant>)> {
        let providers = self.plan.providers.iter();
        let told = providers.map(|one| {
            let view = self.books.view(now, one.id);
            (one.name.clone(), view.and_then(|view| view.out_since))
        });
        told.collect()
    }
}
