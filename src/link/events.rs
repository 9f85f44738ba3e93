//! What the main thread waits for: signals, threads that end, and the end of the start.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::base::ids::ShardId;

/// Something that the main thread acts on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody asks the process to stop, and to end with this exit code.
    StopAsked(u8),
    /// Every provider's name has been looked up once.
    NamesLookedUp,
    /// Every provider's health has been checked once.
    HealthChecked,
    /// A shard has ended; why, where it should not have.
    ShardEnded(ShardId, Option<String>),
    /// What serves as long as the process lives has ended, all the same; its name.
    Broke(&'static str),
    /// The event loop beside the shards has ended, which it should not have; why.
    ControlEnded(Option<String>),
    /// The writer of the state file has ended; why, where it should not have.
    WriterEnded(Option<String>),
    /// The writer of reports has ended; why, where it should not have.
    ReportsEnded(Option<String>),
    /// Who puts the list of models together has ended, with this fault if any.
    CatalogueEnded(Option<String>),
    /// The coordinator has ended; why, where it should not have.
    CoordinatorEnded(Option<String>),
}

/// The end that tells.
#[derive(Clone, Debug)]
pub struct EventSender(Sender<Event>);

/// The end that is told.
#[derive(Debug)]
pub struct EventReceiver(Receiver<Event>);

/// Both ends. Who tells may wait for the main thread; shards tell only their end.
#[must_use]
pub fn channel() -> (EventSender, EventReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(16);
    (EventSender(sender), EventReceiver(receiver))
}

impl EventSender {
    /// Tells the main thread; nobody cares once that has gone.
    pub fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

impl EventReceiver {
    /// The next event, unless none comes within `wait` or everybody who could tell is gone.
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
