//! The way of facts and questions to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::base::ids::{ProviderId, ShardId};
use crate::base::range::Range;
use crate::base::time::WallTime;
use crate::link::complaint::Complaint;
use crate::link::facts::Fact;
use crate::link::orders::Health;

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
