//! What operators do by hand, and what becomes of it with the next configuration.

use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::coordinator::publish::Publisher;
use crate::coordinator::run::Coordinator;
use crate::link::reports::ByHand;

impl Coordinator {
    /// Does what an operator wants of a provider.
    pub(super) fn by_hand(&mut self, now: Instant, provider: ProviderId, act: ByHand) {
        if let Some(provider) = self.plan.find_provider(provider) {
            let provider = &*provider.name;
            match act {
                ByHand::TakeOut => tracing::info!(provider, "the provider is out of rotation"),
                ByHand::PutBack => tracing::info!(provider, "the provider is back in rotation"),
                // A change of the circuit has a line of its own.
                ByHand::Open | ByHand::Close | ByHand::Reset => {}
            }
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
            let out = self.taken_out(now);
            self.books.adopt(now, terms, &mut self.orders);
            // A provider whose address has changed has another id, and the same name.
            for provider in &terms.plan.providers {
                if out.contains(&provider.name) {
                    let act = ByHand::TakeOut;
                    self.books.by_hand(now, provider.id, act, &mut self.orders);
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
            self.plan = Arc::clone(&terms.plan);
        }
        self.share(now);
    }

    /// The names of the providers that are out of rotation.
    fn taken_out(&mut self, now: Instant) -> Vec<Box<str>> {
        let providers = self.plan.providers.iter();
        let out = providers.filter(|one| {
            let view = self.books.view(now, one.id);
            view.is_some_and(|view| view.out_since.is_some())
        });
        out.map(|one| one.name.clone()).collect()
    }
}
