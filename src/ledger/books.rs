//! All books together: what the coordinator drives.

use crate::base::ids::ProviderId;
use crate::base::time::{Instant, WallTime};
use crate::config::plan::Plan;
use crate::decide::ewma::Ewma;
use crate::ledger::breakers::{self, Breakers};
use crate::link::facts::Fact;
use crate::link::orders::{Health, Order};
use crate::link::reports::ByHand;

/// The books of one process.
pub struct Books {
    breakers: Breakers,
    averages: Box<[Ewma]>,
    decay_permille: u32,
    /// When each provider's health was last checked.
    checked_at: Box<[Option<WallTime>]>,
}

impl Books {
    /// Fresh books for `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let providers = plan.providers.len();
        Self {
            breakers: Breakers::new(plan.providers.iter().map(|provider| provider.breaker)),
            averages: vec![Ewma::default(); providers].into(),
            decay_permille: plan.latency.ewma_decay_permille,
            checked_at: vec![None; providers].into(),
        }
    }

    /// Takes in what a shard reports.
    pub fn on_fact(&mut self, now: Instant, fact: &Fact, orders: &mut Vec<Order>) {
        self.breakers.on_fact(now, fact, orders);
        if let Fact::Ended(ended) = fact
            && let Some(sample) = ended.sample
            && let Some(average) = self.averages.get_mut(ended.provider.index())
        {
            average.add(sample.latency, self.decay_permille);
            let view = average.view();
            let (average, samples) = (view.average, view.samples);
            orders.push(Order::Average {
                provider: ended.provider,
                average,
                samples,
            });
        }
    }

    /// A health check ended.
    pub fn on_health(
        &mut self,
        provider: ProviderId,
        state: Health,
        at: WallTime,
        orders: &mut Vec<Order>,
    ) {
        if let Some(checked_at) = self.checked_at.get_mut(provider.index()) {
            *checked_at = Some(at);
        }
        self.breakers.on_health(provider, state, orders);
    }

    /// A gate's word says that the permit of this generation has been taken.
    pub fn on_probe_taken(&mut self, at: Instant, provider: ProviderId, generation: u32) {
        self.breakers.on_probe_taken(at, provider, generation);
    }

    /// An operator changes a circuit.
    pub fn by_hand(
        &mut self,
        now: Instant,
        provider: ProviderId,
        act: ByHand,
        orders: &mut Vec<Order>,
    ) {
        match act {
            ByHand::Open => self.breakers.open(now, provider, orders),
            ByHand::Close => self.breakers.close(now, provider, orders),
            ByHand::Reset => self.breakers.reset(now, provider, orders),
        }
    }

    /// Does what is due at `now`.
    pub fn on_time(&mut self, now: Instant, orders: &mut Vec<Order>) {
        self.breakers.on_time(now, orders);
    }

    /// When [`Books::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.breakers.deadline()
    }

    /// What reports show of a provider.
    #[must_use]
    pub fn view(&mut self, now: Instant, provider: ProviderId) -> Option<breakers::View> {
        self.breakers.view(now, provider)
    }

    /// When a provider's health was last checked.
    #[must_use]
    pub fn checked_at(&self, provider: ProviderId) -> Option<WallTime> {
        self.checked_at.get(provider.index()).copied().flatten()
    }

    /// Circuits that have changed since this was last asked.
    pub fn take_changes(&mut self) -> impl Iterator<Item = breakers::Change> + '_ {
        self.breakers.take_changes()
    }
}
