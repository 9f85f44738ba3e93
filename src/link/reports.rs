//! The way of facts and questions to the coordinator, and how far it has come with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::base::ids::{ProviderId, ShardId};
use crate::base::limits::PROVIDER_SEATS_MAX;
use crate::base::range::Range;
use crate::base::time::WallTime;
use crate::link::Padded;
use crate::link::facts::Fact;
use crate::link::orders::Health;
use crate::link::provider_gate::Complaint;

/// What the coordinator receives.
#[derive(Debug)]
pub enum Message {
    /// Facts of one shard, in their order.
    Facts(Batch),
    /// The outcome of a health check.
    Health {
        /// Of this provider.
        provider: ProviderId,
        /// What it found.
        state: Health,
        /// When.
        at: WallTime,
        /// What it found amiss.
        complaint: Option<Arc<Complaint>>,
    },
    /// Something an operator wants to know or to happen.
    Ask(Ask),
    /// The shards have ended: what is left is booked, and then it is over.
    Stop,
}

/// Facts of one shard.
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub shard: ShardId,
    /// Its number, from 1.
    pub number: u64,
    /// What happened, in order.
    pub facts: Vec<Fact>,
}

/// A question, and where its answer goes.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes.
    pub reply: Arc<Reply>,
}

/// What an operator wants to know or to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// How the process is.
    Status,
    /// How all providers are.
    Providers,
    /// The last changes of circuits.
    Changes,
    /// All metrics.
    Metrics,
    /// How long providers take, and infermux itself.
    Latency,
    /// What was spent in the running month.
    Costs,
    /// What each caller has spent.
    CostsByCaller,
    /// What one caller has spent.
    CostsOfCaller(Box<str>),
    /// What was spent on each model.
    CostsByModel,
    /// What each project has spent.
    CostsByProject,
    /// What each environment has spent.
    CostsByEnv,
    /// What was spent over time.
    Timeseries(Range),
    /// That the coordinator goes by the configuration that is published; the answer is empty.
    Adopt,
    /// A change of a circuit by hand; the answer is the provider as it is then.
    Circuit(ProviderId, ByHand),
}

/// A change of a circuit by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// Out of service until closed, reset, or its recovery probe succeeds.
    Open,
    /// Back in service.
    Close,
    /// Back in service, statistics cleared.
    Reset,
}

/// The place for one answer.
#[derive(Debug, Default)]
pub struct Reply {
    body: ArcSwapOption<Vec<u8>>,
}

impl Reply {
    /// Gives the answer: the body of an HTTP answer.
    pub fn give(&self, body: Vec<u8>) {
        self.body.store(Some(Arc::new(body)));
    }

    /// The answer, once it has been given.
    #[must_use]
    pub fn taken(&self) -> Option<Vec<u8>> {
        let body = self.body.swap(None)?;
        // Nobody else holds it.
        Some(Arc::try_unwrap(body).unwrap_or_else(|shared| shared.to_vec()))
    }
}

/// How far each shard has reported, how far the coordinator has merged it, which configuration
/// each goes by, and how many successes have ended on each.
#[derive(Debug)]
pub struct Progress {
    shards: Box<[Padded<ShardProgress>]>,
}

#[derive(Debug)]
struct ShardProgress {
    /// Number of the batch that the shard's latest fact is in, or will be.
    pending: AtomicU64,
    /// Number of the last batch that is in force.
    merged: AtomicU64,
    /// Number of the configuration that the shard's next request goes by; `u64::MAX` once it takes
    /// none.
    adopted: AtomicU64,
    /// By provider, how many of its answers were successes.
    successes: Box<[AtomicU64]>,
}

impl Default for ShardProgress {
    fn default() -> Self {
        Self {
            pending: AtomicU64::default(),
            merged: AtomicU64::default(),
            adopted: AtomicU64::default(),
            successes: (0..PROVIDER_SEATS_MAX)
                .map(|_| AtomicU64::default())
                .collect(),
        }
    }
}

impl Progress {
    /// Nothing reported yet.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Padded::default()).collect(),
        }
    }

    /// The shard has a fact that will be in the batch of this number; only the shard calls this.
    pub fn announce(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .pending
            .store(number, Ordering::Release);
    }

    /// The batch is in force; only the coordinator calls this.
    pub fn merged(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .merged
            .store(number, Ordering::Release);
    }

    /// Whether a shard's batch is in force.
    #[must_use]
    pub fn is_merged(&self, shard: ShardId, number: u64) -> bool {
        self.shards[shard.index()].0.merged.load(Ordering::Acquire) >= number
    }

    /// A success has ended on the shard; only the shard calls this.
    pub fn succeeded(&self, shard: ShardId, provider: ProviderId) {
        if let Some(count) = self.shards[shard.index()].0.successes.get(provider.index()) {
            let next = count.load(Ordering::Relaxed) + 1;
            count.store(next, Ordering::Release);
        }
    }

    /// How many successes of a provider have ended so far, over all shards.
    #[must_use]
    pub fn successes(&self, provider: ProviderId) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| shard.0.successes.get(provider.index()))
            .map(|count| count.load(Ordering::Acquire))
            .sum()
    }

    /// The shard goes by the configuration of this number; only the shard calls this.
    pub fn adopted(&self, shard: ShardId, number: u64) {
        self.shards[shard.index()]
            .0
            .adopted
            .store(number, Ordering::Release);
    }

    /// Whether all shards go by the configuration of this number or a later one.
    #[must_use]
    pub fn have_adopted(&self, number: u64) -> bool {
        let mut shards = self.shards.iter();
        shards.all(|shard| shard.0.adopted.load(Ordering::Acquire) >= number)
    }

    /// By shard, the batch that holds, or will hold, its latest fact.
    #[must_use]
    pub fn pending(&self) -> Vec<u64> {
        self.shards
            .iter()
            .map(|shard| shard.0.pending.load(Ordering::Acquire))
            .collect()
    }

    /// Whether all of these batches are in force.
    #[must_use]
    pub fn are_merged(&self, numbers: &[u64]) -> bool {
        let mut shards = self.shards.iter().zip(numbers);
        shards.all(|(shard, number)| shard.0.merged.load(Ordering::Acquire) >= *number)
    }
}

/// The end that reports and asks.
#[derive(Clone, Debug)]
pub struct Reporter(Sender<Message>);

/// The coordinator's end.
#[derive(Debug)]
pub struct Inbox(Receiver<Message>);

/// Both ends. 16,384 messages wait at most.
#[must_use]
pub fn channel() -> (Reporter, Inbox) {
    channel_of(BATCHES_MAX)
}

/// Both ends, with room for this many messages.
#[must_use]
pub fn channel_of(messages: usize) -> (Reporter, Inbox) {
    let (sender, receiver) = crossbeam_channel::bounded(messages);
    (Reporter(sender), Inbox(receiver))
}

impl Reporter {
    /// Hands a message over.
    ///
    /// # Errors
    ///
    /// The inbox is full, or nobody reads it any more: the message comes back.
    pub fn send(&self, message: Message) -> Result<(), Message> {
        self.0.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }
}

/// Why the coordinator wakes.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(Message),
    /// None came in time.
    Due,
    /// Nobody is left to send one.
    Gone,
}

impl Inbox {
    /// The next message, waiting at most `wait`.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Incoming {
        match self.0.recv_timeout(wait) {
            Ok(message) => Incoming::Message(message),
            Err(RecvTimeoutError::Timeout) => Incoming::Due,
            Err(RecvTimeoutError::Disconnected) => Incoming::Gone,
        }
    }

    /// A message that is there already.
    #[must_use]
    pub fn ready(&self) -> Option<Message> {
        self.0.try_recv().ok()
    }
}

/// Messages that may wait for the coordinator: some seconds of 64 busy shards.
const BATCHES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_complete_when_all_that_was_pending_is_merged() {
        let progress = Progress::new(2);
        progress.announce(ShardId(1), 3);
        let pending = progress.pending();
        assert_eq!(pending, [0, 3]);
        progress.merged(ShardId(1), 2);
        assert!(!progress.are_merged(&pending) && !progress.is_merged(ShardId(1), 3));
        progress.merged(ShardId(1), 3);
        assert!(progress.are_merged(&pending) && progress.is_merged(ShardId(1), 3));
    }

    #[test]
    fn successes_are_counted_over_all_shards() {
        let progress = Progress::new(3);
        for (shard, provider) in [(0, 1), (2, 1), (2, 1), (2, 0)] {
            progress.succeeded(ShardId(shard), ProviderId(provider));
        }
        let counts = [0, 1, 2].map(|provider| progress.successes(ProviderId(provider)));
        assert_eq!(counts, [1, 3, 0]);
    }

    #[test]
    fn what_does_not_fit_comes_back() {
        let (reporter, inbox) = channel();
        let health = || Message::Health {
            provider: ProviderId(0),
            state: Health::Healthy,
            at: WallTime::default(),
            complaint: None,
        };
        while reporter.send(health()).is_ok() {}
        assert!(inbox.ready().is_some());
        assert!(reporter.send(health()).is_ok());
        drop(inbox);
        assert!(reporter.send(health()).is_err());
    }

    #[test]
    fn an_answer_waits_to_be_fetched() {
        let reply = Reply::default();
        assert!(reply.taken().is_none());
        reply.give(b"x".to_vec());
        assert_eq!(reply.taken(), Some(b"x".to_vec()));
    }
}
