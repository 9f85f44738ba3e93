//! The judge's view of one provider's circuit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use infermux::testing::base::limits::ROWS_KEPT_MAX;
use infermux::testing::base::time::Instant;
use infermux::testing::decide::breaker::Breaker;
use infermux::testing::decide::circuit::{End, Permit, Reason, ResponseTime, State, Transition};
use infermux::testing::decide::outcome::Signal;
use infermux::testing::decide::policy::BreakerPolicy;
use infermux::testing::link::facts::{Ended, SampleKind};
use infermux::testing::link::orders::Health;
use infermux::testing::link::provider_gate::{ProviderGate, Standing};
use infermux::testing::link::reports::ByHand;

use crate::promise::{AttemptId, Held, promise};

/// A second breaker, told what the coordinator has merged, and the probes that are on their way.
pub(crate) struct Circuit {
    breaker: Breaker,
    health: Health,
    probe_timeout: Duration,
    probes: Vec<Probe>,
    /// The permits of attempts whose ends are not merged.
    permits: BTreeMap<AttemptId, u32>,
    /// Of these, those whose answers have begun, and nobody was told.
    unsaid: BTreeSet<u32>,
    last: Option<Probe>,
    /// Successes that have ended, told or not.
    successes: u64,
    /// Failures that have ended and are not merged: how many successes had ended before each.
    failures: BTreeMap<AttemptId, u64>,
    /// Failures that are merged and count, by how many successes had ended before them.
    rows: BTreeMap<u64, u32>,
    consecutive_failures: u32,
    /// When requests were last held back: earlier ones do not count.
    fresh_from: Instant,
}

#[derive(Clone, Copy)]
struct Probe {
    attempt: AttemptId,
    generation: u32,
    at: Instant,
    /// When it is overdue.
    until: Instant,
    /// How long the coordinator had been held up by then.
    held_up: Duration,
}

impl Circuit {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(policy),
            health: Health::Healthy,
            probe_timeout: policy.probe_timeout,
            probes: Vec::new(),
            permits: BTreeMap::new(),
            unsaid: BTreeSet::new(),
            last: None,
            successes: 0,
            failures: BTreeMap::new(),
            rows: BTreeMap::new(),
            consecutive_failures: policy.consecutive_failures,
            fresh_from: Instant::ZERO,
        }
    }

    /// The configuration was reloaded: other figures, and a probe that is out does not count.
    pub(crate) fn on_reload(&mut self, now: Instant, policy: BreakerPolicy) {
        self.probe_timeout = policy.probe_timeout;
        self.consecutive_failures = policy.consecutive_failures;
        let most = policy.consecutive_failures - 1;
        self.rows
            .values_mut()
            .for_each(|row| *row = (*row).min(most));
        let transition = self.breaker.adopt(now, policy);
        self.on_transition(now, transition);
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
        let rival = self.probes.iter().find(|probe| now < probe.until);
        promise("breaker.one-probe", rival.is_none(), || {
            let older = rival.map_or(0, |probe| probe.generation);
            format!("probe {generation} is sent while probe {older} is on its way")
        })?;
        let probe = Probe {
            attempt,
            generation,
            at: now,
            until: now + self.probe_timeout,
            held_up,
        };
        self.permits.insert(attempt, generation);
        self.probes.push(probe);
        self.last = Some(probe);
        Ok(())
    }

    /// An attempt's answer has begun: what that says of a probe is told before its end.
    pub(crate) fn on_begun(&mut self, attempt: AttemptId) {
        self.unsaid.extend(self.permits.get(&attempt));
        self.on_proven(attempt);
    }

    pub(crate) fn on_proven(&mut self, attempt: AttemptId) {
        self.probes.retain(|probe| probe.attempt != attempt);
    }

    /// An attempt has ended; for a failure, how many successes had ended before.
    pub(crate) fn on_ended(&mut self, signal: Signal, attempt: AttemptId) -> u64 {
        match signal {
            Signal::Success => self.successes += 1,
            Signal::Failure => {
                self.failures.insert(attempt, self.successes);
                return self.successes;
            }
            Signal::Neutral => {}
        }
        0
    }

    /// An attempt's end is merged.
    pub(crate) fn on_end(&mut self, now: Instant, ended: &Ended, attempt: AttemptId) -> Held {
        let successes_before = self.failures.remove(&attempt).unwrap_or(0);
        // proves: breaker.in-order
        promise(
            "breaker.in-order",
            ended.successes_before == successes_before,
            || format!("{successes_before} successes had ended before {ended:?}"),
        )?;
        let permit = self.permits.remove(&attempt);
        let is_said = permit.is_none_or(|permit| !self.unsaid.remove(&permit));
        promise(
            "breaker.one-probe",
            ended.probe == permit && is_said,
            || format!("{permit:?} was taken; its answer is told: {is_said}; {ended:?}"),
        )?;
        let response_time = ended.sample.map(|sample| match sample.kind {
            SampleKind::FirstContent => ResponseTime::FirstContent(sample.latency),
            SampleKind::WholeAnswer => ResponseTime::WholeAnswer(sample.latency),
        });
        let end = End {
            admitted: ended.admitted,
            at: ended.at,
            signal: ended.signal,
            response_time,
            probe: ended.probe,
            successes_before,
        };
        let was_closed = self.breaker.state() == State::Closed;
        let transition = self.breaker.on_end(now, end);
        let counts = was_closed && ended.admitted >= self.fresh_from;
        let row = if counts && ended.signal == Signal::Failure {
            self.row(successes_before)
        } else {
            0
        };
        let reason = transition.map(|transition| transition.reason);
        let is_row = row >= self.consecutive_failures;
        self.on_transition(now, transition);
        promise(
            "breaker.in-order",
            is_row == (reason == Some(Reason::ConsecutiveFailures)),
            || format!("{row} failures in a row, and the circuit opens by {reason:?}"),
        )
    }

    /// One more failure before which these many successes had ended: how many failures are in its
    /// row. The breaker keeps the latest rows only.
    fn row(&mut self, successes_before: u64) -> u32 {
        let row = self.rows.entry(successes_before).or_default();
        *row += 1;
        let row = *row;
        if self.rows.len() > ROWS_KEPT_MAX
            && self
                .rows
                .pop_first()
                .is_some_and(|(first, _)| first == successes_before)
        {
            return 1;
        }
        row
    }

    /// What the judge keeps beside its breaker follows it.
    fn on_transition(&mut self, now: Instant, transition: Option<Transition>) {
        match transition.map(|transition| transition.to) {
            Some(State::Closed) => self.rows.clear(),
            Some(State::Open { .. } | State::HalfOpen { .. }) => self.fresh_from = now,
            None => {}
        }
    }

    /// The coordinator has published what follows from what it was told; by then, this permit had
    /// been taken as the gate's word had it.
    pub(crate) fn on_published(&mut self, now: Instant, seen: Option<u32>) {
        if let Some(generation) = seen
            && !matches!(self.breaker.state(), State::HalfOpen { .. })
        {
            self.breaker.on_probe_taken(now, generation);
        }
    }

    pub(crate) fn on_probe_taken(&mut self, at: Instant, generation: u32) {
        self.breaker.on_probe_taken(at, generation);
    }

    pub(crate) fn on_probe_answered(&mut self, now: Instant, generation: u32) {
        self.unsaid.remove(&generation);
        let transition = self.breaker.on_probe_answered(now, generation);
        self.on_transition(now, transition);
    }

    /// The coordinator has looked whether the permit is taken.
    pub(crate) fn on_seen(&mut self, now: Instant, seen: Option<u32>) {
        if let Some(generation) = seen {
            self.breaker.on_probe_taken(now, generation);
        }
    }

    pub(crate) fn on_due(&mut self, now: Instant, seen: Option<u32>) {
        self.on_seen(now, seen);
        let transition = self.breaker.on_time(now);
        self.on_transition(now, transition);
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
        let transition = match act {
            ByHand::Open => Some(self.breaker.open(now)),
            ByHand::Close => self.breaker.close(),
            ByHand::Reset => self.breaker.reset(),
            // Operators of the simulation turn circuits alone.
            ByHand::TakeOut | ByHand::PutBack => None,
        };
        self.on_transition(now, transition);
        if act == ByHand::Reset {
            self.rows.clear();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.breaker.state() == State::Closed
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
