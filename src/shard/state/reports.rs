//! Facts of one shard on their way to the coordinator.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{ProviderId, ShardId};
use crate::base::limits::{FACTS_HELD_MAX, FACTS_PER_BATCH};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::decide::outcome::Signal;
use crate::link::facts::{Ended, Fact, Success, Successes};
use crate::link::gathered::Gathered;
use crate::link::held::{HeldBudget, HeldLimits};
use crate::link::meters::LoopMeter;
use crate::link::progress::Progress;
use crate::link::reports::{Batch, Message, Reporter};
use crate::shard::net::nudge::Nudge;
use crate::shard::net::sleep::{sleep, sleep_apart};
use crate::sys::clock;

/// The facts that wait, and where they go.
pub struct Reports {
    shard: ShardId,
    facts: RefCell<Gathered>,
    /// Successes for which there was no room, by their number.
    forgotten: RefCell<BTreeMap<ProviderId, u64>>,
    /// Number of the last batch that was handed over.
    number: Cell<u64>,
    progress: Arc<Progress>,
    reporter: Reporter,
    filled: Nudge,
    /// Whether the last tick came so late that callers may have left meanwhile.
    is_behind: Cell<bool>,
}

impl Reports {
    /// Nothing to report yet.
    #[must_use]
    pub fn new(shard: ShardId, progress: Arc<Progress>, reporter: Reporter) -> Self {
        Self {
            shard,
            facts: RefCell::default(),
            forgotten: RefCell::default(),
            number: Cell::new(0),
            progress,
            reporter,
            filled: Nudge::default(),
            is_behind: Cell::new(false),
        }
    }

    /// Reports how an attempt ended, and its place among the ends on all shards: a success is
    /// counted now, and a failure comes with the number of successes before it.
    pub fn ended(&self, mut ended: Ended) {
        match ended.signal {
            Signal::Success => {
                self.progress.succeeded(self.shard, ended.provider);
                if let (Some(sample), None) = (ended.sample, ended.probe) {
                    let success = Success::new(ended.admitted, sample);
                    self.succeeded(ended.provider, ended.at, success);
                    return;
                }
            }
            Signal::Failure => {
                ended.successes_before = self.progress.successes(ended.provider);
            }
            Signal::Neutral => {}
        }
        self.report(Fact::Ended(ended));
    }

    /// Reports a success that is no probe's.
    fn succeeded(&self, provider: ProviderId, at: Instant, success: Success) {
        if !self.facts.borrow_mut().succeed(provider, at, success) {
            let first = Successes::new(provider, at, success);
            self.report_apart(Fact::Succeeded(first));
        }
    }

    /// Reports `fact` within 10 ms, or with the next 768 that cannot be told as one.
    pub fn report(&self, fact: Fact) {
        if !self.facts.borrow_mut().join(&fact) {
            self.report_apart(fact);
        }
    }

    /// Reports that a request which was admitted at `at` has passed its scopes, of whose limits it
    /// holds these.
    pub fn passed(&self, at: Instant, held: &[HeldLimits]) {
        let mut facts = self.facts.borrow_mut();
        for one in held.iter().filter(|one| one.taken.must_be_told()) {
            let admitted = one.admitted(at);
            if !facts.join_admitted(&admitted) {
                drop(facts);
                self.report_apart(Fact::Admitted(admitted));
                facts = self.facts.borrow_mut();
            }
        }
    }

    /// Reports that a request has ended and cost this much, which these budgets pay.
    pub fn paid(&self, cost: NanoUsd, held: &[HeldBudget]) {
        let mut facts = self.facts.borrow_mut();
        for one in held {
            if !facts.join_settled(one.budget, one.reserved.period, cost) {
                drop(facts);
                self.report_apart(one.settled(cost));
                facts = self.facts.borrow_mut();
            }
        }
    }

    /// Reports a fact that is not told as one with an earlier one.
    #[inline(never)]
    fn report_apart(&self, fact: Fact) {
        let mut facts = self.facts.borrow_mut();
        if facts.is_empty() {
            self.progress.announce(self.shard, self.number.get() + 1);
            self.filled.give();
        }
        // A coordinator that has stopped reading must not use up the shard's memory. Reservations
        // and spend are reported in any case; the limits themselves bound them.
        match dispensable(&fact) {
            Some(provider) if facts.len() >= FACTS_HELD_MAX => {
                *self.forgotten.borrow_mut().entry(provider).or_default() += 1;
            }
            Some(_) | None => facts.push(fact),
        }
        let full = facts.len() >= FACTS_PER_BATCH;
        drop(facts);
        if full {
            self.flush();
        }
    }

    /// Hands over the waiting facts now; where the coordinator's inbox is full, with the next
    /// batch.
    pub fn flush(&self) {
        let count = self.facts.borrow().len();
        if count == 0 {
            return;
        }
        // The next batch is likely to be about as large.
        let room = count.next_power_of_two().min(FACTS_PER_BATCH);
        let mut facts = self.facts.borrow_mut().take(room);
        let forgotten = std::mem::take(&mut *self.forgotten.borrow_mut());
        facts.extend(
            forgotten
                .into_iter()
                .map(|(provider, successes)| Fact::Forgotten {
                    provider,
                    successes,
                }),
        );
        let number = self.number.get() + 1;
        let batch = Batch {
            shard: self.shard,
            number,
            facts,
        };
        match self.reporter.send(Message::Facts(batch)) {
            Ok(()) => self.number.set(number),
            Err(Message::Facts(batch)) => self.facts.borrow_mut().put_back(batch.facts),
            Err(
                Message::Health { .. }
                | Message::Lacked(_)
                | Message::Store(_)
                | Message::Ask(_)
                | Message::Stop,
            ) => {}
        }
    }

    /// Sends a message that is no fact.
    ///
    /// # Errors
    ///
    /// The coordinator's inbox is full: the message comes back.
    pub fn ask(&self, message: Message) -> Result<(), Message> {
        self.reporter.send(message)
    }

    /// Hands over the waiting facts, and waits until they are in force: a caller who is told of a
    /// failure afterwards can rely on its consequences (promise `verdict.before-cause`). It waits
    /// at most 50 ms, which only a coordinator takes that gets no processor: the verdict is late
    /// then, but callers do not wait.
    pub async fn enforce(&self) {
        let number = self.hand_over();
        for _ in 0..ENFORCE_POLLS {
            if self.is_in_force(number) {
                return;
            }
            sleep_apart(Duration::from_millis(1)).await;
        }
        if !self.is_in_force(number) {
            tracing::debug!(shard = self.shard.0, "a verdict is not in force in time");
        }
    }

    /// Hands over the waiting facts; returns the number of the batch that holds the latest fact, or
    /// will hold it once there is room.
    pub fn hand_over(&self) -> u64 {
        self.flush();
        let waits = !self.facts.borrow().is_empty();
        self.number.get() + u64::from(waits)
    }

    /// Whether the batch of this number is in force. If there was no room for it, it is handed over
    /// again.
    pub fn is_in_force(&self, number: u64) -> bool {
        if number > self.number.get() {
            self.flush();
        }
        self.progress.is_merged(self.shard, number)
    }

    /// Whether the loop has more to do than it can: what it takes up now has waited, and whoever
    /// asked for it may have given up. To serve them would cost all others their time, too.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind.get()
    }

    /// Hands facts over at most 10 ms after they happened, as long as the shard runs. A shard
    /// without facts sleeps. The delay of its ticks shows how busy the loop is.
    pub async fn keep_flushing(self: Rc<Self>, meter: Arc<LoopMeter>) {
        loop {
            self.filled.wait().await;
            let due = clock::now() + TICK;
            sleep(TICK).await;
            let delay = clock::now().since(due);
            meter.delay.observe(delay);
            self.is_behind.set(delay >= BEHIND);
            self.flush();
            if !self.facts.borrow().is_empty() {
                self.filled.give();
            }
        }
    }
}

/// The provider of a success that may be reported by its number alone: it returns no permit.
fn dispensable(fact: &Fact) -> Option<ProviderId> {
    match fact {
        Fact::Ended(ended) => {
            let is_dispensable = ended.signal == Signal::Success && ended.probe.is_none();
            is_dispensable.then_some(ended.provider)
        }
        // It is the first of its kind, and has one success.
        Fact::Succeeded(first) => Some(first.provider),
        Fact::Admitted(_)
        | Fact::Left(_)
        | Fact::Cooldown { .. }
        | Fact::ProbeTaken { .. }
        | Fact::ProbeAnswered { .. }
        | Fact::Settled { .. }
        | Fact::Refused { .. }
        | Fact::Forgotten { .. } => None,
    }
}

/// A loop whose tick comes so much later than it should is behind.
const BEHIND: Duration = Duration::from_millis(100);
/// Longest time between a fact and its batch.
const TICK: Duration = Duration::from_millis(10);

/// Looks, a millisecond apart, at whether a verdict is in force.
pub const ENFORCE_POLLS: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::reports::channel_of;

    fn fact() -> Fact {
        let (provider, at) = (ProviderId(0), Instant::ZERO);
        Fact::Cooldown {
            provider,
            at,
            span: None,
        }
    }

    #[test]
    fn what_has_no_room_is_not_taken_for_merged() {
        let (reporter, inbox) = channel_of(1);
        let progress = Arc::new(Progress::new(1));
        let reports = Reports::new(ShardId(0), Arc::clone(&progress), reporter);
        reports.report(fact());
        assert_eq!(reports.hand_over(), 1);
        reports.report(fact());
        assert_eq!(reports.hand_over(), 2);
        progress.merged(ShardId(0), 1);
        assert!(reports.is_in_force(1) && !reports.is_in_force(2));
        assert!(inbox.ready().is_some());
        assert_eq!(reports.hand_over(), 2);
        assert!(matches!(inbox.ready(), Some(Message::Facts(batch)) if batch.number == 2));
    }
}
