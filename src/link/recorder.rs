//! The way of entries from shards to a thread that records them. A shard never waits: where too
//! many entries are on the way, more are dropped, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::base::limits::ENTRIES_WAITING_MAX;
use crate::link::journal::Entry;

/// Entries that are handed over together; several threads may record them.
pub type Batch = Arc<Vec<Entry>>;

/// The threads that record what the requests of one configuration leave behind.
#[derive(Debug, Default)]
pub struct Recorders {
    /// Writes usage records.
    pub usage: Option<Recorder>,
}

/// The end of the way that takes entries. The thread at the other end ends when all of these ends
/// are gone.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: Sender<Told>,
    way: Arc<Way>,
}

/// The end at which a thread takes them.
#[derive(Debug)]
pub struct Entries {
    receiver: Receiver<Told>,
    way: Arc<Way>,
}

/// What a thread that records is told.
#[derive(Debug)]
pub enum Told {
    /// These entries are to be recorded.
    Entries(Batch),
    /// The configuration was read again.
    Reloaded,
    /// Nothing follows: what has been told is to be put in a safe place.
    Stop,
}

/// What a wait has brought.
#[derive(Debug)]
pub enum Next {
    /// This was told.
    Told(Told),
    /// Nothing was told in time.
    Nothing,
    /// Nobody is left who could tell anything.
    Gone,
}

/// What has become of entries, since the process began.
#[derive(Debug, Default)]
pub struct RecorderCounts {
    /// Entries that were dropped, since too many were on the way.
    pub dropped: AtomicU64,
}

#[derive(Debug)]
struct Way {
    /// Entries on the way.
    waiting: AtomicUsize,
    most: usize,
    counts: Arc<RecorderCounts>,
}

/// Both ends of a way, which counts in `counts`.
#[must_use]
pub fn channel(counts: Arc<RecorderCounts>) -> (Recorder, Entries) {
    channel_of(ENTRIES_WAITING_MAX, counts)
}

/// As [`channel`], with room for `most` entries.
fn channel_of(most: usize, counts: Arc<RecorderCounts>) -> (Recorder, Entries) {
    // Bounded by the number of entries, and not by that of batches, which may hold one each.
    let (sender, receiver) = crossbeam_channel::unbounded();
    let way = Arc::new(Way {
        waiting: AtomicUsize::new(0),
        most,
        counts,
    });
    let recorder = Recorder {
        sender,
        way: Arc::clone(&way),
    };
    (recorder, Entries { receiver, way })
}

impl Recorders {
    /// Whether nothing is recorded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.usage.is_none()
    }

    /// Hands `batch` to everybody who records.
    pub fn give(&self, batch: &Batch) {
        for one in self.all() {
            one.give(batch);
        }
    }

    /// Whether everybody has room for this many entries.
    #[must_use]
    pub fn have_room(&self, entries: usize) -> bool {
        self.all().all(|one| one.has_room(entries))
    }

    /// Tells everybody that nothing follows.
    pub fn stop(&self) {
        self.all().for_each(Recorder::stop);
    }

    fn all(&self) -> impl Iterator<Item = &Recorder> {
        self.usage.iter()
    }
}

impl Recorder {
    /// Hands `batch` over, unless there is no room for it: then its entries are counted.
    pub fn give(&self, batch: &Batch) {
        let (way, count) = (&self.way, batch.len());
        let before = way.waiting.fetch_add(count, Ordering::Relaxed);
        let told = Told::Entries(Arc::clone(batch));
        if before + count > way.most || self.sender.send(told).is_err() {
            way.waiting.fetch_sub(count, Ordering::Relaxed);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            way.counts.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Says that the configuration was read again.
    pub fn reloaded(&self) {
        let _ = self.sender.send(Told::Reloaded);
    }

    /// Says that nothing follows.
    pub fn stop(&self) {
        let _ = self.sender.send(Told::Stop);
    }

    fn has_room(&self, entries: usize) -> bool {
        self.way.waiting.load(Ordering::Relaxed) + entries <= self.way.most
    }
}

impl Entries {
    /// Waits for what is told next, for at most `wait`.
    #[must_use]
    pub fn within(&self, wait: Duration) -> Next {
        let told = match self.receiver.recv_timeout(wait) {
            Ok(told) => told,
            Err(RecvTimeoutError::Timeout) => return Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => return Next::Gone,
        };
        if let Told::Entries(batch) = &told {
            self.way.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        }
        Next::Told(told)
    }

    /// What has become of the entries.
    #[must_use]
    pub fn counts(&self) -> &RecorderCounts {
        &self.way.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Instant;
    use crate::base::tokens::{Counts, Tokens};
    use crate::link::facts::MonthTag;
    use crate::link::journal::{Correction, Moment, Names, Spend};
    use crate::link::meters::Priced;

    fn entry() -> Entry {
        Entry::Correction(Box::new(Correction {
            at: Moment {
                at: Instant::ZERO,
                unix_nanos: 0,
            },
            request_id: "r".into(),
            response_id: "s".into(),
            principal: Names::default(),
            provider: "p".into(),
            model: "m".into(),
            month: MonthTag(0),
            spend: Spend {
                prompt: Tokens::ZERO,
                completion: Tokens::ZERO,
                counts: Counts::default(),
                cost: Default::default(),
                priced: Priced::Yes,
                is_estimated: false,
            },
        }))
    }

    #[test]
    fn what_has_no_room_is_counted_and_the_rest_comes_in_order() {
        let counts = Arc::<RecorderCounts>::default();
        let (usage, entries) = channel_of(3, Arc::clone(&counts));
        let recorders = Recorders { usage: Some(usage) };
        let two: Batch = Arc::new(vec![entry(), entry()]);
        assert!(recorders.have_room(3) && !recorders.have_room(4));
        recorders.give(&two);
        recorders.give(&two);
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 2);
        recorders.give(&Arc::new(vec![entry()]));
        recorders.stop();
        let mut lengths = Vec::new();
        while let Next::Told(Told::Entries(batch)) = entries.within(Duration::ZERO) {
            lengths.push(batch.len());
        }
        assert_eq!(lengths, [2, 1]);
        // What was taken has left room.
        assert!(recorders.have_room(3));
        drop(recorders);
        assert!(matches!(entries.within(Duration::ZERO), Next::Gone));
        assert_eq!(entries.counts().dropped.load(Ordering::Relaxed), 2);
    }
}
