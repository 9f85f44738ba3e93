//! The promises, checked after every step against books of the judge's own.
//!
//! The judge sees what shards take and report, which batches the coordinator has merged and when it
//! did what was due. From that alone it knows what every published word has to say.

use std::collections::VecDeque;
use std::time::Duration;

use infermux::testing::base::ids::{ProviderId, Subject};
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::decide::outcome::Signal;
use infermux::testing::exchange::callers::Callers;
use infermux::testing::ledger::state::State;
use infermux::testing::ledger::terms::Terms;
use infermux::testing::link::caller_gates::CallerGates;
use infermux::testing::link::facts::{Admitted, Fact, Left};
use infermux::testing::link::gate::Gates;
use infermux::testing::link::orders::Health;
use infermux::testing::link::provider_gate::Taken;
use infermux::testing::link::reports::{Batch, ByHand};

use crate::circuit::Circuit;
use crate::promise::{AttemptId, Held, promise};
use crate::scene::Scene;
use crate::scopes::Scopes;
use crate::told::{Told, is_told_with_others};
use crate::window::{Counted, Limited, Window};

pub(crate) struct Judge {
    circuits: Vec<Circuit>,
    /// Whether the configuration that the coordinator goes by has this provider.
    is_there: Vec<bool>,
    windows: Vec<Window>,
    pub(crate) scopes: Scopes,
    /// By shard, the facts that are on their way, in order, each with the number of its batch.
    on_the_way: Vec<VecDeque<(u64, Fact, AttemptId)>>,
    reported: Vec<u64>,
    merged: Vec<u64>,
    /// How long the coordinator has been stuck, in all, what is still to come included.
    held_up: Duration,
    /// Until when it is stuck.
    stuck_until: Instant,
}

impl Judge {
    pub(crate) fn new(scene: &Scene) -> Self {
        let shards = usize::from(scene.shards);
        let providers = &scene.plan.providers;
        Self {
            circuits: providers.iter().map(|p| Circuit::new(p.breaker)).collect(),
            is_there: vec![true; providers.len()],
            windows: providers.iter().map(Limited::of).map(Window::new).collect(),
            scopes: Scopes::new(scene),
            on_the_way: vec![VecDeque::new(); shards],
            reported: vec![0; shards],
            merged: vec![0; shards],
            held_up: Duration::ZERO,
            stuck_until: Instant::ZERO,
        }
    }

    /// The coordinator goes by a configuration with these terms. What it saw of the gates before is
    /// `seen`.
    pub(crate) fn on_reload(
        &mut self,
        now: Instant,
        (terms, callers): (&Terms, &Callers),
        seen: &[Option<u32>],
    ) {
        for (circuit, seen) in self.circuits.iter_mut().zip(seen) {
            circuit.on_seen(now, *seen);
        }
        self.is_there.fill(false);
        for provider in &terms.plan.providers {
            let place = provider.id.index();
            if place == self.circuits.len() {
                self.is_there.push(true);
                self.circuits.push(Circuit::new(provider.breaker));
                self.windows.push(Window::new(Limited::of(provider)));
            } else {
                self.is_there[place] = true;
                self.circuits[place].on_reload(now, provider.breaker);
                self.windows[place].on_reload(Limited::of(provider));
            }
        }
        self.scopes.on_reload(callers);
    }

    /// A shard has taken a permit from a gate that counts like this.
    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        provider: ProviderId,
        (taken, counted): (Taken, Counted),
        attempt: AttemptId,
    ) -> Held {
        let place = provider.index();
        let held_up = self.held_up.saturating_sub(self.stuck_until.since(now));
        self.circuits[place].on_taken(now, taken.probe, (attempt, held_up))?;
        self.windows[place].on_taken(now, (taken.tokens, counted), attempt)
    }

    /// The coordinator is stuck for this long, until then.
    pub(crate) fn on_stuck(&mut self, span: Duration, until: Instant) {
        self.held_up += span;
        self.stuck_until = until;
    }

    /// An attempt is no probe any more: its answer has begun.
    pub(crate) fn on_begun(&mut self, provider: ProviderId, attempt: AttemptId) {
        self.circuits[provider.index()].on_begun(attempt);
    }

    /// An attempt has ended; for a failure, how many successes of the provider had ended before.
    pub(crate) fn on_ended(
        &mut self,
        provider: ProviderId,
        signal: Signal,
        attempt: AttemptId,
    ) -> u64 {
        self.circuits[provider.index()].on_ended(signal, attempt)
    }

    /// The coordinator has published what follows from a message. What it saw of the gates before
    /// is `seen`.
    pub(crate) fn on_published(&mut self, now: Instant, seen: &[Option<u32>]) {
        for (circuit, seen) in self.circuits.iter_mut().zip(seen) {
            circuit.on_published(now, *seen);
        }
    }

    /// An attempt has left its gate, with the tokens that it used.
    pub(crate) fn on_left(
        &mut self,
        provider: ProviderId,
        (used, counted): (u64, Counted),
        attempt: AttemptId,
    ) -> Held {
        self.circuits[provider.index()].on_proven(attempt);
        let window = &mut self.windows[provider.index()];
        window.on_used(used, attempt);
        window.on_left(counted)
    }

    /// A shard reports `fact`, which is about `attempt`, in this batch.
    pub(crate) fn on_report(
        &mut self,
        shard: usize,
        (fact, attempt): (Fact, AttemptId),
        batch: u64,
    ) {
        if let Fact::Admitted(Admitted {
            subject: Subject::Provider(provider),
            at,
            ..
        }) = fact
        {
            self.windows[provider.index()].on_admitted(at, attempt);
        }
        self.on_the_way[shard].push_back((batch, fact, attempt));
        self.reported[shard] += 1;
    }

    /// How many facts a shard has reported.
    pub(crate) fn reported(&self, shard: usize) -> u64 {
        self.reported[shard]
    }

    /// Whether all that was reported is merged.
    pub(crate) fn is_all_merged(&self) -> bool {
        self.reported == self.merged
    }

    /// A shard has been told that the facts up to this one are in force, and tells its caller.
    pub(crate) fn on_told(&self, shard: usize, fact: u64) -> Held {
        // proves: verdict.before-cause
        promise("verdict.before-cause", self.merged[shard] >= fact, || {
            let merged = self.merged[shard];
            format!("shard {shard} tells of fact {fact}, and {merged} are in force")
        })
    }

    /// The coordinator has merged a batch.
    pub(crate) fn on_merged(&mut self, now: Instant, batch: &Batch) -> Held {
        let shard = batch.shard.index();
        let waiting = &mut self.on_the_way[shard];
        let is_in = |(number, ..): &&(u64, Fact, AttemptId)| *number <= batch.number;
        let count = waiting.iter().take_while(is_in).count();
        let sent: Vec<_> = waiting.drain(..count).collect();
        let told = Told::of(sent.iter().map(|(_, fact, _)| fact));
        let arrived = Told::of(batch.facts.iter());
        // proves: reservation.settled-once
        promise("reservation.settled-once", told == arrived, || {
            format!("shard {shard} reported {told:?}, and {arrived:?} arrived")
        })?;
        let ends = batch.facts.iter();
        let mut ends = ends.filter(|fact| matches!(fact, Fact::Ended(_)));
        for (_, fact, attempt) in sent {
            self.merged[shard] += 1;
            let arrived = match &fact {
                Fact::Ended(ended) if !is_told_with_others(ended) => ends.next(),
                _ => None,
            };
            self.on_fact(now, arrived.unwrap_or(&fact), attempt)?;
        }
        Ok(())
    }

    fn on_fact(&mut self, now: Instant, fact: &Fact, attempt: AttemptId) -> Held {
        match *fact {
            Fact::Ended(ended) => {
                self.circuits[ended.provider.index()].on_end(now, &ended, attempt)?;
                promise("reservation.settled-once", ended.at <= now, || {
                    format!("{ended:?} is of the future")
                })
            }
            Fact::ProbeTaken {
                provider,
                generation,
                at,
            } => {
                self.circuits[provider.index()].on_probe_taken(at, generation);
                Ok(())
            }
            Fact::ProbeAnswered {
                provider,
                generation,
                ..
            } => {
                self.circuits[provider.index()].on_probe_answered(now, generation);
                Ok(())
            }
            Fact::Admitted(Admitted {
                subject: Subject::Scope(scope),
                ..
            }) => {
                self.scopes.limits(scope).on_admitted(attempt);
                Ok(())
            }
            Fact::Left(Left {
                subject: Subject::Provider(provider),
                used,
                ..
            }) => {
                self.windows[provider.index()].on_merged(used.get(), attempt);
                Ok(())
            }
            Fact::Left(Left {
                subject: Subject::Scope(scope),
                admitted,
                used,
                ..
            }) => {
                let limits = self.scopes.limits(scope);
                limits.on_merged(admitted, (used.get(), attempt));
                Ok(())
            }
            Fact::Admitted(Admitted {
                subject: Subject::Provider(_),
                ..
            })
            | Fact::Cooldown { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. }
            | Fact::Succeeded(_)
            | Fact::Forgotten { .. } => Ok(()),
        }
    }

    /// The coordinator has done what was due. What it saw of the gates before is `seen`.
    pub(crate) fn on_due(&mut self, now: Instant, wall: WallTime, seen: &[Option<u32>]) {
        for (circuit, seen) in self.circuits.iter_mut().zip(seen) {
            circuit.on_due(now, *seen);
        }
        self.scopes.on_due(now, wall);
    }

    /// By provider, the permit that is taken as its gate's word has it.
    pub(crate) fn taken(&self, gates: &Gates) -> Vec<Option<u32>> {
        let pairs = self.circuits.iter().zip(&gates.providers);
        pairs.map(|(circuit, gate)| circuit.taken(gate)).collect()
    }

    pub(crate) fn on_health(&mut self, provider: ProviderId, state: Health) {
        self.circuits[provider.index()].on_health(state);
    }

    /// An operator acts, of which nothing comes where the provider is gone.
    pub(crate) fn by_hand(&mut self, now: Instant, provider: ProviderId, act: ByHand) {
        let place = provider.index();
        if self.is_there[place] {
            self.circuits[place].by_hand(now, act);
        }
    }

    /// What must hold after every step.
    pub(crate) fn check(&mut self, now: Instant, (gates, callers): (&Gates, &CallerGates)) -> Held {
        for (place, gate) in gates.providers.iter().enumerate() {
            self.circuits[place].check(now, gate, self.held_up)?;
            self.windows[place].check(now, gate.headroom())?;
        }
        self.scopes.check(now, callers)
    }

    /// What must hold when all requests are over, all facts are merged and all windows are empty.
    pub(crate) fn check_end(
        &self,
        now: Instant,
        (gates, callers): (&Gates, &CallerGates),
        state: &State,
    ) -> Held {
        for (place, gate) in gates.providers.iter().enumerate() {
            self.circuits[place].check_end(gate)?;
            // Its last permits are taken to see it. Nobody has closed the circuit of one that is
            // gone.
            let gives_permits = self.is_there[place] || self.circuits[place].is_closed();
            let free = |places| match gives_permits {
                true => (0..=places).filter(|_| gate.take(0).is_some()).count() as u64,
                false => places,
            };
            self.windows[place].check_end(gate.headroom(), free)?;
        }
        self.scopes.check_end(now, callers, state)
    }
}
