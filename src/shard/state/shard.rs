//! One configuration on one event loop.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{ProviderId, RouteId};
use crate::base::tokens::Tokens;
use crate::config::plan::{Plan, Provider};
use crate::config::responses::Responses;
use crate::decide::ewma::LatencyView;
use crate::link::gate::Gates;
use crate::shard::state::desk::{Desk, Report};
use crate::shard::state::era::Era;
use crate::shard::state::event_loop::Loop;
use crate::sys::clock;

/// One era on one event loop: what a request goes by. The state of the loop is reached through it
/// ([`std::ops::Deref`]).
pub struct Shard {
    own: Rc<Loop>,
    /// The era.
    pub era: Arc<Era>,
    /// Its configuration.
    pub plan: Arc<Plan>,
    /// Its words.
    pub gates: Arc<Gates>,
    /// Takes and gives back its permits and reservations.
    pub desk: Rc<Desk>,
    /// By route, the length of its latest answers, in tokens.
    pub(super) answers: RefCell<Vec<u64>>,
}

impl Deref for Shard {
    type Target = Loop;

    fn deref(&self) -> &Loop {
        &self.own
    }
}

impl Shard {
    pub(super) fn new(
        own: Rc<Loop>,
        era: Arc<Era>,
        answers: impl FnOnce(&Era) -> Vec<u64>,
    ) -> Self {
        // The first one, too, may be that of a reload. Nothing begins before it is in its place.
        own.progress.adopted(own.id, era.number);
        let desk = Desk {
            plan: Arc::clone(&era.terms.plan),
            gates: Arc::clone(&era.terms.gates),
            reports: Rc::clone(&own.reports) as Rc<dyn Report>,
            meters: Rc::clone(&own.meters),
            now: clock::now,
        };
        Self {
            own,
            desk: Rc::new(desk),
            plan: Arc::clone(&era.terms.plan),
            gates: Arc::clone(&era.terms.gates),
            answers: RefCell::new(answers(&era)),
            era,
        }
    }

    /// Adds a response time.
    pub fn observe(&self, provider: ProviderId, latency: Duration) {
        let decay = self.plan.latency.ewma_decay_permille;
        self.learn(provider, |known| known.latency.add(latency, decay));
    }

    /// The average response time of `provider` on this shard, or on all shards while this one has
    /// too few samples.
    #[must_use]
    pub fn latency(&self, provider: ProviderId) -> LatencyView {
        let own = self.known(provider, |known| known.latency.view());
        let is_enough = |own: &LatencyView| own.samples >= self.plan.latency.min_samples;
        if let Some(own) = own.filter(is_enough) {
            return own;
        }
        let (average, samples) = self.gates.providers[provider.index()].average();
        LatencyView { average, samples }
    }

    /// Whether requests for responses go to `provider` as they are.
    #[must_use]
    pub fn is_native(&self, provider: &Provider) -> bool {
        match provider.responses {
            Responses::Native => true,
            Responses::Presumed => self.may_have_responses(provider.id),
            Responses::Bridged => false,
        }
    }

    /// Whether `provider` may have Responses: since the last reload it was not seen to lack them.
    #[must_use]
    pub fn may_have_responses(&self, provider: ProviderId) -> bool {
        let lacks = self.known(provider, |known| known.lacks_responses);
        lacks.flatten() != Some(self.era.number)
    }

    /// Notes that `provider` does not have Responses.
    pub fn without_responses(&self, provider: ProviderId) {
        let number = self.era.number;
        self.learn(provider, |known| known.lacks_responses = Some(number));
    }

    /// The usual length of the latest answers of `route`.
    #[must_use]
    pub fn usual_answer(&self, route: RouteId) -> Tokens {
        Tokens::new(self.answers.borrow()[route.index()])
    }

    /// Adds an answer's length.
    pub fn note_answer(&self, route: RouteId, tokens: Tokens) {
        let mut answers = self.answers.borrow_mut();
        let usual = &mut answers[route.index()];
        *usual = (*usual * 7 + tokens.get()).div_ceil(8);
    }
}
