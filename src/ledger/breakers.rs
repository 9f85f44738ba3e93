//! Every provider's circuit and health: facts in, changes of the gates out.

use std::time::Duration;
use std::vec::Drain;

use crate::base::ids::ProviderId;
use crate::base::limits::CIRCUIT_CHANGES_MAX;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::decide::breaker::Breaker;
use crate::decide::circuit::{End, ResponseTime, State, Transition};
use crate::decide::policy::BreakerPolicy;
use crate::link::facts::{Ended, Fact, Sample, SampleKind};
use crate::link::orders::{Circuit, Health, Order, Rotation};

/// The circuits and the health of all providers.
#[derive(Debug)]
pub struct Breakers {
    providers: Vec<Standing>,
    changes: Vec<Change>,
}

/// A provider's circuit and health: it is chosen only where both allow it.
#[derive(Debug)]
struct Standing {
    breaker: Breaker,
    health: Health,
    /// Whether its health is checked.
    is_checked: bool,
    /// Since when an operator has taken it out of rotation; `None`: it is in rotation.
    out_since: Option<Instant>,
}

/// A change of a circuit, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The moment.
    pub at: Instant,
    /// The provider.
    pub provider: ProviderId,
    /// The states before and after, and the reason.
    pub transition: Transition,
}

/// What reports show of one provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The provider.
    pub provider: ProviderId,
    /// Its circuit.
    pub state: State,
    /// Whether it passed its last health check.
    pub health: Health,
    /// Since when an operator has taken it out of rotation; `None`: it is in rotation.
    pub out_since: Option<Instant>,
    /// The share of failures over its window.
    pub error_rate: f64,
    /// The p95 of its response times over its window.
    pub p95: Option<Duration>,
    /// Attempts that ended within the last minute.
    pub requests_last_minute: u64,
}

impl Standing {
    fn new(policy: BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(policy),
            health: Health::Healthy,
            is_checked: true,
            out_since: None,
        }
    }
}

impl Breakers {
    /// Closed circuits of healthy providers; a provider's place is its id.
    #[must_use]
    pub fn new(policies: impl IntoIterator<Item = BreakerPolicy>) -> Self {
        Self {
            providers: policies.into_iter().map(Standing::new).collect(),
            changes: Vec::new(),
        }
    }

    /// Adopts the policies of `plan`. Circuits keep their states, unless a probe is under way;
    /// circuits of `fresh` providers are closed and have seen nothing. Providers that are no longer
    /// checked count as healthy.
    pub fn adopt(
        &mut self,
        now: Instant,
        plan: &Plan,
        fresh: &[ProviderId],
        orders: &mut Vec<Order>,
    ) {
        // Providers that are gone keep their circuits; only counts that are too old to matter are
        // dropped.
        self.providers
            .iter_mut()
            .for_each(|one| one.breaker.age(now));
        for provider in &plan.providers {
            let (id, policy) = (provider.id, provider.breaker);
            while self.providers.len() <= id.index() {
                self.providers.push(Standing::new(policy));
            }
            if fresh.contains(&id) {
                let standing = &mut self.providers[id.index()];
                let breaker = standing.breaker.successor(policy);
                *standing = Standing {
                    breaker,
                    health: Health::Healthy,
                    is_checked: !provider.health_check.disabled,
                    out_since: None,
                };
                continue;
            }
            self.change(now, id, orders, |breaker| breaker.adopt(now, policy));
            if provider.health_check.disabled {
                self.on_health(id, Health::Healthy, orders);
            }
            self.providers[id.index()].is_checked = !provider.health_check.disabled;
        }
    }

    /// Takes in a shard's fact; facts that concern no circuit are ignored.
    #[inline]
    pub fn on_fact(&mut self, now: Instant, fact: &Fact, orders: &mut Vec<Order>) {
        match fact {
            Fact::Admitted(_)
            | Fact::Left(_)
            | Fact::Cooldown { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. } => {}
            Fact::Ended(_)
            | Fact::Succeeded(_)
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Forgotten { .. } => self.on_own_fact(now, fact, orders),
        }
    }

    /// Takes in a fact that may concern a circuit. A function of its own, so that other facts cost
    /// no more than a look.
    #[inline(never)]
    fn on_own_fact(&mut self, now: Instant, fact: &Fact, orders: &mut Vec<Order>) {
        match fact {
            Fact::Ended(ended) => {
                let step = |breaker: &mut Breaker| breaker.on_end(now, end(ended));
                self.change(now, ended.provider, orders, step);
            }
            Fact::Succeeded(all) => {
                let list = all.list().iter();
                let list = list.map(|one| (one.admitted, response_time(one.sample())));
                let step = |breaker: &mut Breaker| breaker.on_succeeded(now, all.at, list);
                self.change(now, all.provider, orders, step);
            }
            Fact::ProbeTaken {
                provider,
                generation,
                at,
            } => {
                self.on_probe_taken(*at, *provider, *generation, orders);
            }
            Fact::ProbeAnswered {
                provider,
                generation,
                ..
            } => {
                self.on_probe_answered(now, *provider, *generation, orders);
            }
            Fact::Forgotten {
                provider,
                successes,
            } => {
                if let Some(standing) = self.providers.get_mut(provider.index()) {
                    standing.breaker.on_successes(now, *successes);
                }
            }
            Fact::Admitted(_)
            | Fact::Left(_)
            | Fact::Cooldown { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. } => {}
        }
    }

    /// The permit of this generation was taken, as a fact or the gate's word says. A circuit that
    /// has opened again since then may have to stay open longer.
    pub fn on_probe_taken(
        &mut self,
        at: Instant,
        provider: ProviderId,
        generation: u32,
        orders: &mut Vec<Order>,
    ) {
        let Some(Standing { breaker, .. }) = self.providers.get_mut(provider.index()) else {
            return;
        };
        let before = breaker.state();
        breaker.on_probe_taken(at, generation);
        if let State::Open { until, .. } = breaker.state()
            && breaker.state() != before
        {
            let state = Circuit::Open { until };
            orders.push(Order::Circuit { provider, state });
        }
    }

    /// The probe of this generation has its answer, which is still being relayed.
    pub fn on_probe_answered(
        &mut self,
        now: Instant,
        provider: ProviderId,
        generation: u32,
        orders: &mut Vec<Order>,
    ) {
        let step = |breaker: &mut Breaker| breaker.on_probe_answered(now, generation);
        self.change(now, provider, orders, step);
    }

    /// Does what is due at `now`.
    pub fn on_time(&mut self, now: Instant, orders: &mut Vec<Order>) {
        for id in 0..self.providers.len() {
            let provider = ProviderId(u16::try_from(id).unwrap_or(u16::MAX));
            self.change(now, provider, orders, |breaker| breaker.on_time(now));
        }
    }

    /// When [`Breakers::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = self.providers.iter().filter_map(|s| s.breaker.deadline());
        deadlines.min()
    }

    /// An operator opens a circuit.
    pub fn open(&mut self, now: Instant, provider: ProviderId, orders: &mut Vec<Order>) {
        self.change(now, provider, orders, |breaker| Some(breaker.open(now)));
    }

    /// An operator closes a circuit.
    pub fn close(&mut self, now: Instant, provider: ProviderId, orders: &mut Vec<Order>) {
        self.change(now, provider, orders, Breaker::close);
    }

    /// An operator closes a circuit and clears its statistics.
    pub fn reset(&mut self, now: Instant, provider: ProviderId, orders: &mut Vec<Order>) {
        self.change(now, provider, orders, Breaker::reset);
    }

    /// An operator takes a provider out of rotation, or puts it back. Its circuit and its health go
    /// on as they were.
    pub fn rotate(
        &mut self,
        now: Instant,
        (provider, state): (ProviderId, Rotation),
        orders: &mut Vec<Order>,
    ) {
        let Some(standing) = self.providers.get(provider.index()) else {
            return;
        };
        let out_since = match state {
            Rotation::In => None,
            Rotation::Out => Some(standing.out_since.unwrap_or(now)),
        };
        self.carry_rotation((provider, out_since), orders);
    }

    /// A provider is out of rotation since that moment, or is not, as the one was whose name it
    /// has.
    pub fn carry_rotation(
        &mut self,
        (provider, out_since): (ProviderId, Option<Instant>),
        orders: &mut Vec<Order>,
    ) {
        let Some(standing) = self.providers.get_mut(provider.index()) else {
            return;
        };
        let was_out = standing.out_since.is_some();
        standing.out_since = out_since;
        if was_out != out_since.is_some() {
            let state = match out_since {
                None => Rotation::In,
                Some(_) => Rotation::Out,
            };
            orders.push(Order::Rotation { provider, state });
        }
    }

    /// A health check ended.
    pub fn on_health(&mut self, provider: ProviderId, state: Health, orders: &mut Vec<Order>) {
        let Some(standing) = self.providers.get_mut(provider.index()) else {
            return;
        };
        // The check may have begun before a reload.
        if standing.is_checked && standing.health != state {
            standing.health = state;
            orders.push(Order::Health { provider, state });
        }
    }

    /// What reports show of one provider.
    pub fn view(&mut self, now: Instant, provider: ProviderId) -> Option<View> {
        let Standing {
            breaker,
            health,
            out_since,
            ..
        } = self.providers.get_mut(provider.index())?;
        Some(View {
            provider,
            state: breaker.state(),
            health: *health,
            out_since: *out_since,
            error_rate: breaker.error_rate(now),
            p95: breaker.p95(now),
            requests_last_minute: breaker.requests_last_minute(now),
        })
    }

    /// The changes since the last call, the oldest first. If there are more than
    /// [`CIRCUIT_CHANGES_MAX`], further ones are missing here, but not in the orders.
    pub fn take_changes(&mut self) -> Drain<'_, Change> {
        self.changes.drain(..)
    }

    /// Lets one circuit do `step`, and tells shards and the log if it changed.
    fn change(
        &mut self,
        now: Instant,
        provider: ProviderId,
        orders: &mut Vec<Order>,
        step: impl FnOnce(&mut Breaker) -> Option<Transition>,
    ) {
        let Some(standing) = self.providers.get_mut(provider.index()) else {
            return;
        };
        let Some(transition) = step(&mut standing.breaker) else {
            return;
        };
        let state = match transition.to {
            State::Closed => Circuit::Closed,
            State::Open { until, .. } => Circuit::Open { until },
            State::HalfOpen { generation, .. } => Circuit::HalfOpen {
                generation,
                // No shard has taken the permit yet; one will with its next request.
                until: now + standing.breaker.probe_timeout(),
            },
        };
        orders.push(Order::Circuit { provider, state });
        if self.changes.len() < CIRCUIT_CHANGES_MAX {
            self.changes.push(Change {
                at: now,
                provider,
                transition,
            });
        }
    }
}

/// An attempt's end in the form that a breaker takes.
fn end(ended: &Ended) -> End {
    End {
        admitted: ended.admitted,
        at: ended.at,
        signal: ended.signal,
        response_time: ended.sample.map(response_time),
        probe: ended.probe,
        successes_before: ended.successes_before,
    }
}

fn response_time(sample: Sample) -> ResponseTime {
    match sample.kind {
        SampleKind::FirstContent => ResponseTime::FirstContent(sample.latency),
        SampleKind::WholeAnswer => ResponseTime::WholeAnswer(sample.latency),
    }
}

#[cfg(test)]
#[path = "breakers_tests.rs"]
mod tests;
