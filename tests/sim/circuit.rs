//! The judge's view of one provider's circuit.

use std::time::Duration;

use infermux::base::time::Instant;
use infermux::decide::breaker::{Breaker, End, Permit, ResponseTime, State};
use infermux::decide::policy::BreakerPolicy;
use infermux::link::facts::{Ended, SampleKind};
use infermux::link::orders::Health;
use infermux::link::provider_gate::{ProviderGate, Standing};
use infermux::link::reports::ByHand;

use crate::judge::{AttemptId, Held, promise};

/// A second breaker, told what the coordinator has merged, and the probes that are on their way.
pub(crate) struct Circuit {
    breaker: Breaker,
    health: Health,
    probe_timeout: Duration,
    probes: Vec<Probe>,
    last: Option<Probe>,
    /// How often operators have stepped in, or reloaded.
    acts: u32,
}

#[derive(Clone, Copy)]
struct Probe {
    attempt: AttemptId,
    generation: u32,
    at: Instant,
    /// How long the coordinator had been held up by then, and how often operators had stepped in.
    held_up: Duration,
    acts: u32,
}

impl Circuit {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(policy),
            health: Health::Healthy,
            probe_timeout: policy.probe_timeout,
            probes: Vec::new(),
            last: None,
            acts: 0,
        }
    }

    /// The configuration was reloaded: other figures, and a probe that is out does not count.
    pub(crate) fn on_reload(&mut self, now: Instant, policy: BreakerPolicy) {
        self.probe_timeout = policy.probe_timeout;
        self.acts += 1;
        let _ = self.breaker.adopt(now, policy);
    }

    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        probe: Option<u32>,
        (attempt, held_up): (AttemptId, Duration),
    ) -> Held {
        let state = self.breaker.state();
        let fits = match (state, probe) {
            (State::Closed, None) => true,
            (State::HalfOpen { generation, permit }, Some(probe)) => {
                generation == probe && permit == Permit::Free
            }
            (State::Closed | State::Open { .. } | State::HalfOpen { .. }, _) => false,
        };
        // proves: verdict.before-cause
        promise(
            "verdict.before-cause",
            fits && self.health == Health::Healthy,
            || {
                let health = self.health;
                format!("{state:?}, {health:?}, and a request is sent with permit {probe:?}")
            },
        )?;
        let Some(generation) = probe else {
            return Ok(());
        };
        let is_new = self.last.is_none_or(|last| last.generation < generation);
        // proves: breaker.one-probe
        promise("breaker.one-probe", is_new, || {
            format!("the permit of generation {generation} is taken twice")
        })?;
        // What an operator does is beyond this: it may end a phase whose probe is on its way.
        let rival = self
            .probes
            .iter()
            .find(|probe| probe.acts == self.acts && now < probe.at + self.probe_timeout);
        promise("breaker.one-probe", rival.is_none(), || {
            let older = rival.map_or(0, |probe| probe.generation);
            format!("probe {generation} is sent while probe {older} is on its way")
        })?;
        let probe = Probe {
            attempt,
            generation,
            at: now,
            held_up,
            acts: self.acts,
        };
        self.probes.push(probe);
        self.last = Some(probe);
        Ok(())
    }

    pub(crate) fn on_proven(&mut self, attempt: AttemptId) {
        self.probes.retain(|probe| probe.attempt != attempt);
    }

    pub(crate) fn on_end(&mut self, now: Instant, ended: &Ended) {
        let response_time = ended.sample.map(|sample| match sample.kind {
            SampleKind::FirstContent => ResponseTime::FirstContent(sample.latency),
            SampleKind::WholeAnswer => ResponseTime::WholeAnswer(sample.latency),
        });
        let end = End {
            admitted: ended.admitted,
            signal: ended.signal,
            response_time,
            probe: ended.probe,
        };
        let _ = self.breaker.on_end(now, end);
    }

    pub(crate) fn on_probe_taken(&mut self, at: Instant, generation: u32) {
        self.breaker.on_probe_taken(at, generation);
    }

    pub(crate) fn on_probe_answered(&mut self, now: Instant, generation: u32) {
        let _ = self.breaker.on_probe_answered(now, generation);
    }

    pub(crate) fn on_due(&mut self, now: Instant, seen: Option<u32>) {
        if let Some(generation) = seen {
            self.breaker.on_probe_taken(now, generation);
        }
        let _ = self.breaker.on_time(now);
    }

    /// The permit that is taken as the gate's word has it.
    pub(crate) fn taken(&self, gate: &ProviderGate) -> Option<u32> {
        let last = self.last?.generation;
        gate.is_taken(last).then_some(last)
    }

    pub(crate) fn on_health(&mut self, state: Health) {
        self.health = state;
    }

    pub(crate) fn by_hand(&mut self, now: Instant, act: ByHand) {
        self.acts += 1;
        let _ = match act {
            ByHand::Open => Some(self.breaker.open(now)),
            ByHand::Close => self.breaker.close(),
            ByHand::Reset => self.breaker.reset(),
        };
    }

    pub(crate) fn check(&self, now: Instant, gate: &ProviderGate, held_up: Duration) -> Held {
        let state = self.breaker.state();
        let lets_through = match state {
            State::Closed => true,
            State::Open { .. } => false,
            State::HalfOpen { generation, permit } => {
                permit == Permit::Free && !gate.is_taken(generation)
            }
        };
        let lets_through = lets_through && self.health == Health::Healthy;
        let standing = gate.standing(now, 0);
        let is_out = matches!(standing, Standing::Out { .. });
        // proves: verdict.before-cause
        promise("verdict.before-cause", lets_through != is_out, || {
            let health = self.health;
            format!("{state:?}, {health:?}, and the gate says {standing:?}")
        })?;
        self.check_deadlines(now, gate, held_up)
    }

    fn check_deadlines(&self, now: Instant, gate: &ProviderGate, held_up: Duration) -> Held {
        if let Some(probe) = self.last.filter(|probe| gate.is_taken(probe.generation)) {
            let slack = SLACK + held_up.saturating_sub(probe.held_up);
            let end = probe.at + self.probe_timeout + slack;
            // proves: breaker.always-ends
            promise("breaker.always-ends", now <= end, || {
                let since = now.since(probe.at);
                let generation = probe.generation;
                format!("permit {generation} has been taken for {since:?}")
            })?;
        }
        let State::Open { since, until } = self.breaker.state() else {
            return Ok(());
        };
        // All that may hold the coordinator up at one time is a part of what did in all.
        promise(
            "breaker.always-ends",
            now <= until + SLACK + held_up,
            || format!("open since {since:?} until {until:?}, and that was long ago"),
        )
    }

    pub(crate) fn check_end(&self, gate: &ProviderGate) -> Held {
        promise("breaker.always-ends", self.taken(gate).is_none(), || {
            format!("nobody is on the way, and the permit is taken: {gate:?}")
        })?;
        promise("breaker.one-probe", self.probes.is_empty(), || {
            "a probe is on its way after the end".to_owned()
        })
    }
}

/// How much later than it should the coordinator wakes at most, all its ways of waking together.
const SLACK: Duration = Duration::from_secs(1);
