//! The way of facts and questions to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::base::ids::{BudgetId, ProviderId, ShardId, Subject};
use crate::base::range::Range;
use crate::base::time::WallTime;
use crate::link::complaint::Complaint;
use crate::link::facts::Fact;
use crate::link::meters::Party;
use crate::link::noted::Trouble;
use crate::link::orders::Health;
use crate::link::store::News;

/// A message to the coordinator.
#[derive(Debug)]
pub enum Message {
    /// Facts of one shard, in their order.
    Facts(Batch),
    /// The result of a health check.
    Health {
        /// The provider that was checked.
        provider: ProviderId,
        /// Its health.
        state: Health,
        /// When the check ended.
        at: WallTime,
        /// What the check found wrong.
        complaint: Option<Arc<Complaint>>,
    },
    /// Requests lack parts of quotas that are shared with other instances: their words say how
    /// much.
    Lacked(Lacking),
    /// News of the store over which instances share.
    Store(News),
    /// A question or wish of an operator.
    Ask(Ask),
    /// The shards have ended: the coordinator books what has arrived and ends.
    Stop,
}

/// Whose shared quotas requests lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Limits of a provider or a scope.
    Limits(Subject),
    /// A budget.
    Budget(BudgetId),
}

/// Facts of one shard.
#[derive(Debug)]
pub struct Batch {
    /// The shard.
    pub shard: ShardId,
    /// The batch's number, from 1.
    pub number: u64,
    /// What happened, in order.
    pub facts: Vec<Fact>,
}

/// A question, and where its answer goes.
#[derive(Debug)]
pub struct Ask {
    /// The question.
    pub question: Question,
    /// Where the answer goes.
    pub reply: Arc<Reply>,
}

/// A question or wish of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The state of the process.
    Status,
    /// The state of all providers.
    Providers,
    /// The last changes of circuits.
    Changes,
    /// The last five minutes.
    Recent,
    /// The last requests that were noted.
    Requests(RequestsShown),
    /// All metrics.
    Metrics,
    /// How long providers take, and how much time infermux adds.
    Latency,
    /// What was spent in the running month.
    Costs,
    /// What each party of one kind has spent; with a number, at most so many of them apart, those
    /// that have spent most.
    CostsBy(Party, Option<usize>),
    /// What one caller has spent.
    CostsOfCaller(Box<str>),
    /// What was spent on each model.
    CostsByModel,
    /// Callers' keys and teams, with their limits and budgets.
    Keys(KeysShown),
    /// The key with this name; the answer is empty where there is none.
    Key(Box<str>),
    /// What was spent over time.
    Timeseries(Range),
    /// Asks the coordinator to adopt the published configuration; the answer is empty.
    Adopt,
    /// Changes a provider by hand; the answer is the provider after the change.
    ByHand(ProviderId, ByHand),
}

/// Which keys and teams are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysShown {
    /// All of them, in the order of the files.
    All,
    /// Those with limits or budgets, and callers with budgets: first those that refuse requests
    /// now, then the most used.
    MostUsed {
        /// At most so many of each.
        most: usize,
        /// What their names have in them, in letters of any case; empty: anything.
        filter: Box<str>,
    },
}

/// Which noted requests are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestsShown {
    /// Why they were noted; `None`: for any reason.
    pub trouble: Option<Trouble>,
    /// At most so many, the newest first.
    pub most: usize,
}

/// A change of a provider by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// Out of service until an operator closes or resets it, or its recovery probe succeeds.
    Open,
    /// Back in service.
    Close,
    /// Back in service, statistics cleared.
    Reset,
    /// Out of rotation until an operator puts it back, whatever becomes of its circuit.
    TakeOut,
    /// Back in rotation.
    PutBack,
}

/// Room for one answer.
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
        // Usually nothing else holds it.
        Some(Arc::try_unwrap(body).unwrap_or_else(|shared| shared.to_vec()))
    }
}

/// The end of those who report and ask.
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
    /// The inbox is full, or the coordinator is gone: the message comes back.
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
    /// No message came in time.
    Due,
    /// Every sender is gone.
    Gone,
}

impl Inbox {
    /// Waits for the next message, for at most `wait`.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Incoming {
        match self.0.recv_timeout(wait) {
            Ok(message) => Incoming::Message(message),
            Err(RecvTimeoutError::Timeout) => Incoming::Due,
            Err(RecvTimeoutError::Disconnected) => Incoming::Gone,
        }
    }

    /// A message, if one is waiting.
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
