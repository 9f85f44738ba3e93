//! The right to make one attempt at a provider: taken from its gate, reported when it ends.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::{Outcome, Signal};
use crate::link::facts::{Ended, Fact, Sample};
use crate::link::meters::ProviderMeter;
use crate::link::provider_gate::Taken;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// A permit. However the attempt ends, panics included, it is settled exactly once: dropped without
/// a word, it says nothing about the provider and gives a probe's permit back.
pub struct Permit {
    shard: Rc<Shard>,
    provider: ProviderId,
    admitted: Instant,
    taken: Taken,
    meter: Arc<ProviderMeter>,
    settled: bool,
}

impl Permit {
    /// Takes a permit at `admitted` for a request of `tokens` tokens; `None` where another was
    /// faster.
    #[must_use]
    pub fn take(
        shard: &Rc<Shard>,
        provider: ProviderId,
        admitted: Instant,
        tokens: Tokens,
    ) -> Option<Self> {
        let gate = &shard.gates.providers[provider.index()];
        let taken = gate.take(tokens.get())?;
        if gate.is_limited() {
            let tokens = Tokens::new(taken.tokens);
            shard.reports.report(Fact::Admitted {
                provider,
                at: admitted,
                requests: gate.requests_taken(),
                tokens,
            });
        }
        if let Some(generation) = taken.probe {
            let at = admitted;
            shard.reports.report(Fact::ProbeTaken {
                provider,
                generation,
                at,
            });
            shard.reports.flush();
        }
        let name = &shard.plan.provider(provider).name;
        let meter = shard.meters.provider(provider, name);
        meter.begun.add(1);
        Some(Self {
            shard: Rc::clone(shard),
            provider,
            admitted,
            taken,
            meter,
            settled: false,
        })
    }

    /// When it was taken.
    #[must_use]
    pub fn admitted(&self) -> Instant {
        self.admitted
    }

    /// The provider's answer has begun: a probe has proven what it was to prove, however long the
    /// rest takes.
    pub fn answered(&self) {
        if let Some(generation) = self.taken.probe {
            let at = clock::now();
            let provider = self.provider;
            self.shard.reports.report(Fact::ProbeAnswered {
                provider,
                generation,
                at,
            });
            self.shard.reports.flush();
        }
    }

    /// Takes note of an end that does not settle the attempt: it goes on over a fresh connection.
    pub fn count(&self, outcome: Outcome) {
        self.meter.outcomes[outcome.place()].add(1);
    }

    /// Takes note that the request has come here from another provider, and why.
    pub fn count_failover(&self, outcome: Outcome) {
        self.meter.failovers[outcome.place()].add(1);
    }

    /// Whether the attempt is a probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.taken.probe.is_some()
    }

    /// Says how the attempt ended at `at`: what `outcome` means, the response time where it counts,
    /// and the tokens used, which are in force when this returns. Only the first word counts.
    pub fn settle(&mut self, at: Instant, outcome: Outcome, sample: Option<Sample>, used: Tokens) {
        let policy = &self.shard.plan.provider(self.provider).breaker;
        let signal = outcome.for_breaker(policy);
        if !self.settled {
            self.meter.outcomes[outcome.place()].add(1);
            if let Some(sample) = sample {
                self.shard.observe(self.provider, sample.latency);
            }
        }
        self.report(at, signal, sample, used);
    }

    /// infermux itself ends the attempt, which has used these tokens: that says nothing about the
    /// provider. Only the first word counts.
    pub fn abandon(&mut self, used: Tokens) {
        if !self.settled {
            self.meter.outcomes[Outcome::NONE].add(1);
            self.report(clock::now(), Signal::Neutral, None, used);
        }
    }

    fn report(&mut self, at: Instant, signal: Signal, sample: Option<Sample>, used: Tokens) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.meter.ended.add(1);
        let gate = &self.shard.gates.providers[self.provider.index()];
        let excess = gate.take_excess(self.taken, used.get());
        gate.leave();
        self.shard.reports.ended(Ended {
            provider: self.provider,
            admitted: self.admitted,
            at,
            signal,
            sample,
            reserved: Tokens::new(self.taken.tokens),
            excess: Tokens::new(excess),
            used,
            probe: self.taken.probe,
            successes_before: 0,
        });
        // The whole process waits for what a probe has found.
        if self.taken.probe.is_some() {
            self.shard.reports.flush();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.abandon(Tokens::ZERO);
    }
}
