//! The way of notices to the thread of webhooks, and what it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::base::limits::NOTICES_ON_THE_WAY_MAX;
use crate::base::notice::{Event, Notice, Outcome};

/// What the thread of webhooks is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Something to tell.
    Notice(Notice),
    /// An attempt for the webhook with this number has ended.
    Ended(u64, Outcome),
    /// The process ends.
    Stop,
}

/// What has become of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Sent,
    /// It was given up.
    Failed,
    /// There was no room for it.
    Dropped,
}

impl Fate {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 3] = [
        ("sent", Self::Sent),
        ("failed", Self::Failed),
        ("dropped", Self::Dropped),
    ];
}

/// The end that tells.
#[derive(Clone, Debug)]
pub struct Teller {
    sender: Sender<Incoming>,
    told: Arc<Told>,
}

/// The end of the thread of webhooks.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<Incoming>,
    told: Arc<Told>,
}

/// Notices by event, and by what has become of them.
pub type Counts = [[u64; Fate::ALL.len()]; Event::ALL.len()];

#[derive(Debug, Default)]
struct Told {
    is_running: AtomicBool,
    counts: [[AtomicU64; Fate::ALL.len()]; Event::ALL.len()],
}

/// Both ends.
#[must_use]
pub fn channel() -> (Teller, Inbox) {
    let (sender, receiver) = crossbeam_channel::bounded(NOTICES_ON_THE_WAY_MAX);
    let told = Arc::<Told>::default();
    (
        Teller {
            sender,
            told: Arc::clone(&told),
        },
        Inbox { receiver, told },
    )
}

impl Teller {
    /// Tells what `notice` gives, which is asked for it only where there are webhooks. The caller
    /// never waits: without room, the notice is dropped and counted.
    pub fn tell(&self, notice: impl FnOnce() -> Notice) {
        if !self.is_running() {
            return;
        }
        let notice = notice();
        let event = notice.event;
        if self.sender.try_send(Incoming::Notice(notice)).is_err() {
            self.told.count(event, Fate::Dropped);
        }
    }

    /// Tells how an attempt has ended. The caller waits for room.
    pub fn ended(&self, number: u64, outcome: Outcome) {
        let _ = self.sender.send(Incoming::Ended(number, outcome));
    }

    /// Tells that the process ends, waiting for at most `wait`; returns whether there is a thread
    /// that hears it.
    #[must_use]
    pub fn stop(&self, wait: Duration) -> bool {
        self.is_running() && self.sender.send_timeout(Incoming::Stop, wait).is_ok()
    }

    /// Whether there is a thread of webhooks.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.told.is_running.load(Ordering::Relaxed)
    }

    /// What has become of notices; `None`: there never was a webhook.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let counts = &self.told.counts;
        let read = || {
            let of_event = |fates: &[AtomicU64; Fate::ALL.len()]| {
                std::array::from_fn(|fate| fates[fate].load(Ordering::Relaxed))
            };
            std::array::from_fn(|event| of_event(&counts[event]))
        };
        self.is_running().then(read)
    }
}

impl Inbox {
    /// The thread that has this end runs from now on.
    pub fn begin(&self) {
        self.told.is_running.store(true, Ordering::Relaxed);
    }

    /// What comes next within `wait`; `None` where nothing does.
    #[must_use]
    pub fn next_within(&self, wait: Duration) -> Option<Incoming> {
        self.receiver.recv_timeout(wait).ok()
    }

    /// Counts what has become of a notice.
    pub fn count(&self, event: Event, fate: Fate) {
        self.told.count(event, fate);
    }
}

impl Told {
    fn count(&self, event: Event, fate: Fate) {
        let events = Event::ALL.iter();
        let found = events.zip(&self.counts).find(|((_, one), _)| *one == event);
        if let Some((_, counts)) = found {
            counts[fate as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::notice::{Course, Severity};

    fn notice() -> Notice {
        Notice {
            event: Event::Unpriced,
            subject: "a/m".into(),
            severity: Severity::Warning,
            course: Course::Moment,
            message: String::new(),
            details: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_made_where_nobody_is_told() {
        let (teller, inbox) = channel();
        teller.tell(|| panic!("nobody asks for it"));
        assert!(teller.counts().is_none() && !teller.stop(Duration::ZERO));
        inbox.begin();
        teller.tell(notice);
        assert_eq!(
            inbox.next_within(Duration::ZERO),
            Some(Incoming::Notice(notice()))
        );
        assert_eq!(inbox.next_within(Duration::ZERO), None);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (teller, inbox) = channel();
        inbox.begin();
        for _ in 0..NOTICES_ON_THE_WAY_MAX + 3 {
            teller.tell(notice);
        }
        inbox.count(Event::Unpriced, Fate::Sent);
        // Trials are not counted.
        inbox.count(Event::Test, Fate::Sent);
        let counts = teller.counts().unwrap();
        assert_eq!(counts[4], [1, 0, 3]);
        assert_eq!(counts.iter().flatten().sum::<u64>(), 4);
    }
}
