//! The right to make one attempt at a provider: taken from its gate, reported when it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{ProviderId, Subject};
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::{Outcome, Signal};
use crate::link::facts::{Admitted, Ended, Fact, Left, Sample};
use crate::link::meters::ProviderMeter;
use crate::link::provider_gate::Taken;
use crate::shard::state::desk::Desk;

/// A permit. However the attempt ends, panics included, it is settled exactly once: dropped without
/// a word, it says nothing about the provider and gives a probe's permit back.
pub struct Permit {
    desk: Rc<Desk>,
    provider: ProviderId,
    admitted: Instant,
    taken: Taken,
    meter: Arc<ProviderMeter>,
    settled: bool,
}

impl Permit {
    /// Takes a permit at `admitted` for a request of `tokens` tokens, and reports it; `None` where
    /// another was faster.
    #[must_use]
    pub fn take(
        desk: &Rc<Desk>,
        provider: ProviderId,
        admitted: Instant,
        tokens: Tokens,
    ) -> Option<Self> {
        let permit = Self::hold(desk, provider, admitted, tokens)?;
        permit.announce();
        Some(permit)
    }

    /// The first half of [`Permit::take`]: nothing is said of the permit yet. Between the two, a
    /// thread may be stopped for as long as the system likes.
    #[must_use]
    pub fn hold(
        desk: &Rc<Desk>,
        provider: ProviderId,
        admitted: Instant,
        tokens: Tokens,
    ) -> Option<Self> {
        let taken = desk.gates.providers[provider.index()].take(tokens.get())?;
        let name = &desk.plan.provider(provider).name;
        let meter = desk.meters.provider(provider, name);
        meter.begun.add(1);
        Some(Self {
            desk: Rc::clone(desk),
            provider,
            admitted,
            taken,
            meter,
            settled: false,
        })
    }

    /// The second half of [`Permit::take`].
    pub fn announce(&self) {
        let (provider, at) = (self.provider, self.admitted);
        let gate = &self.desk.gates.providers[provider.index()];
        if gate.is_limited() {
            let tokens = Tokens::new(self.taken.tokens);
            self.desk.reports.report(Fact::Admitted(Admitted {
                subject: Subject::Provider(provider),
                at,
                requests: gate.requests_taken(),
                tokens,
                day: None,
            }));
        }
        if let Some(generation) = self.taken.probe {
            self.desk.reports.report(Fact::ProbeTaken {
                provider,
                generation,
                at,
            });
            self.desk.reports.flush();
        }
    }

    /// What was taken from the provider's gate.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// The provider that the permit is for.
    #[must_use]
    pub fn provider(&self) -> ProviderId {
        self.provider
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
            let (provider, at) = (self.provider, (self.desk.now)());
            self.desk.reports.report(Fact::ProbeAnswered {
                provider,
                generation,
                at,
            });
            self.desk.reports.flush();
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

    /// Reports how the attempt ended at `at`: its outcome, the response time where that counts, and
    /// the tokens used, which are in force when this returns. Only the first call counts; it
    /// returns the response time that is to be remembered.
    pub fn settle(
        &mut self,
        at: Instant,
        outcome: Outcome,
        sample: Option<Sample>,
        used: Tokens,
    ) -> Option<Duration> {
        let policy = &self.desk.plan.provider(self.provider).breaker;
        let signal = outcome.for_breaker(policy);
        let is_first = !self.settled;
        if is_first {
            self.meter.outcomes[outcome.place()].add(1);
        }
        self.report(at, signal, sample, used);
        sample.filter(|_| is_first).map(|sample| sample.latency)
    }

    /// Reports that infermux itself has ended the attempt, which has used these tokens: that says
    /// nothing about the provider. Only the first call counts.
    pub fn abandon(&mut self, used: Tokens) {
        if !self.settled {
            self.meter.outcomes[Outcome::NONE].add(1);
            self.report((self.desk.now)(), Signal::Neutral, None, used);
        }
    }

    fn report(&mut self, at: Instant, signal: Signal, sample: Option<Sample>, used: Tokens) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.meter.ended.add(1);
        let gate = &self.desk.gates.providers[self.provider.index()];
        let excess = gate.take_excess(self.taken, used.get());
        gate.release();
        if gate.is_limited() {
            self.desk.reports.report(Fact::Left(Left {
                subject: Subject::Provider(self.provider),
                admitted: self.admitted,
                day: None,
                reserved: Tokens::new(self.taken.tokens),
                excess: Tokens::new(excess),
                used,
            }));
        }
        self.desk.reports.ended(Ended {
            provider: self.provider,
            admitted: self.admitted,
            at,
            signal,
            sample,
            probe: self.taken.probe,
            successes_before: 0,
        });
        // The whole process waits for what a probe has found.
        if self.taken.probe.is_some() {
            self.desk.reports.flush();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.abandon(Tokens::ZERO);
    }
}
