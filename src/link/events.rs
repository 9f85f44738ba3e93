//! What the main thread waits for: signals, threads that end, and the end of the start.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::base::ids::ShardId;

/// Something that the main thread acts on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The process is asked to stop and to end with this exit code.
    StopAsked(u8),
    /// Every provider's name has been looked up once.
    NamesLookedUp,
    /// Every provider's health has been checked once.
    HealthChecked,
    /// The store over which instances share is connected: a start may wait for what it grants.
    StoreConnected,
    /// That store grants.
    StoreReady,
    /// Another living process has this one's name in the store.
    NameTaken,
    /// A shard has ended; with the reason, where it should not have.
    ShardEnded(ShardId, Option<String>),
    /// A thread that should live as long as the process has ended; its name.
    Broke(&'static str),
    /// The event loop beside the shards has ended, which it should not have; with the reason.
    ControlEnded(Option<String>),
    /// The writer of the state file has ended; with the reason, where it should not have.
    WriterEnded(Option<String>),
    /// The writer of reports has ended; with the reason, where it should not have.
    ReportsEnded(Option<String>),
    /// The thread that builds the list of models has ended, with this fault if any.
    CatalogueEnded(Option<String>),
    /// The thread of the shared store has ended; with the reason, where it should not have.
    StoreEnded(Option<String>),
    /// A thread that records requests has ended, with this fault if any.
    RecorderEnded(Option<String>),
    /// The thread that tells webhooks has ended; with the reason, where it should not have.
    WebhooksEnded(Option<String>),
    /// The coordinator has ended; with the reason, where it should not have.
    CoordinatorEnded(Option<String>),
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct EventSender(Sender<Event>);

/// The receiving end.
#[derive(Debug)]
pub struct EventReceiver(Receiver<Event>);

/// Both ends. A sender may have to wait for the main thread; shards send only one event, when they
/// end.
#[must_use]
pub fn channel() -> (EventSender, EventReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(16);
    (EventSender(sender), EventReceiver(receiver))
}

impl EventSender {
    /// Tells the main thread; the event is lost once that has gone.
    pub fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

impl EventReceiver {
    /// The next event; `None` where none comes within `wait` or every sender is gone.
    #[must_use]
    pub fn next_within(&self, wait: Duration) -> Option<Event> {
        self.0.recv_timeout(wait).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order() {
        let (sender, receiver) = channel();
        sender.send(Event::NamesLookedUp);
        sender.clone().send(Event::StopAsked(130));
        assert_eq!(
            receiver.next_within(Duration::MAX),
            Some(Event::NamesLookedUp)
        );
        assert_eq!(
            receiver.next_within(Duration::MAX),
            Some(Event::StopAsked(130))
        );
        assert_eq!(receiver.next_within(Duration::ZERO), None);
    }
}
