//! The way of entries from shards to a thread that records them. A shard never waits: where too
//! many entries are on the way, more are dropped, and counted.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::base::limits::ENTRIES_WAITING_MAX;
use crate::link::journal::Entry;
use crate::link::latest::Latest;

/// Entries that are handed over together; several threads may record them.
pub type Batch = Arc<Vec<Entry>>;

/// The threads that record what the requests of one configuration leave behind.
#[derive(Debug, Default)]
pub struct Recorders {
    /// Writes usage records.
    pub usage: Option<Recorder>,
    /// Tells traces.
    pub traces: Option<Recorder>,
}

/// The end of the way that takes entries. The thread at the other end ends when all of these ends
/// are gone.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Giving>);

/// A recorder that does not keep its thread alive.
#[derive(Clone, Debug)]
pub struct Former(Weak<Giving>);

#[derive(Debug)]
struct Giving {
    sender: Sender<Told>,
    way: Arc<Way>,
}

/// The end at which a thread takes them.
#[derive(Debug)]
pub struct Entries {
    receiver: Receiver<Told>,
    /// What was told and is still to be acted on.
    kept: Option<Told>,
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
    /// Entries that were recorded.
    pub written: Tally,
    /// Entries that were dropped, since too many were on the way or could not be recorded.
    pub dropped: Tally,
    /// How often recording has failed.
    pub failures: Tally,
    fails: AtomicBool,
}

/// A number that several threads add to.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

/// The recorders of the process, with the threads at their other ends.
#[derive(Debug, Default)]
pub struct AllRecorders {
    all: Latest<Vec<Former>>,
    running: AtomicUsize,
    telling: AtomicUsize,
    /// What has become of usage records.
    pub usage: Arc<RecorderCounts>,
    /// What has become of spans.
    pub traces: Arc<RecorderCounts>,
}

/// A thread that records, as long as it runs.
#[derive(Debug)]
pub struct Running {
    all: Arc<AllRecorders>,
    count: fn(&AllRecorders) -> &AtomicUsize,
}

#[derive(Debug)]
struct Way {
    /// Entries on the way.
    waiting: AtomicUsize,
    most: usize,
    counts: Arc<RecorderCounts>,
    /// What an entry counts for where it is dropped.
    weight: fn(&Entry) -> usize,
}

/// Both ends of a way, which counts entries in `counts`.
#[must_use]
pub fn channel(counts: Arc<RecorderCounts>) -> (Recorder, Entries) {
    channel_of(ENTRIES_WAITING_MAX, counts, |_| 1)
}

/// As [`channel`], where a dropped entry counts for its `weight`.
#[must_use]
pub fn weighing_channel(
    counts: Arc<RecorderCounts>,
    weight: fn(&Entry) -> usize,
) -> (Recorder, Entries) {
    channel_of(ENTRIES_WAITING_MAX, counts, weight)
}

/// As [`channel`], with room for `most` entries.
fn channel_of(
    most: usize,
    counts: Arc<RecorderCounts>,
    weight: fn(&Entry) -> usize,
) -> (Recorder, Entries) {
    // Bounded by the number of entries, and not by that of batches, which may hold one each.
    let (sender, receiver) = crossbeam_channel::unbounded();
    let way = Arc::new(Way {
        waiting: AtomicUsize::new(0),
        most,
        counts,
        weight,
    });
    let giving = Giving {
        sender,
        way: Arc::clone(&way),
    };
    let entries = Entries {
        receiver,
        kept: None,
        way,
    };
    (Recorder(Arc::new(giving)), entries)
}

impl Recorders {
    /// Whether nothing is recorded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.usage.is_none() && self.traces.is_none()
    }

    /// Hands `batch` to everybody who records.
    pub fn give(&self, batch: &Batch) {
        for one in self.all() {
            one.give(batch);
        }
    }

    /// Whether everybody who is waited for has room for this many entries: nobody waits for traces.
    #[must_use]
    pub fn have_room(&self, entries: usize) -> bool {
        self.usage.iter().all(|one| one.has_room(entries))
    }

    fn all(&self) -> impl Iterator<Item = &Recorder> {
        self.usage.iter().chain(&self.traces)
    }
}

impl Recorder {
    /// Hands `batch` over, unless there is no room for it: then its entries are counted.
    pub fn give(&self, batch: &Batch) {
        let (way, count) = (&self.0.way, batch.len());
        let before = way.waiting.fetch_add(count, Ordering::Relaxed);
        let told = Told::Entries(Arc::clone(batch));
        if before + count > way.most || self.0.sender.send(told).is_err() {
            way.waiting.fetch_sub(count, Ordering::Relaxed);
            way.counts.dropped.add(batch.iter().map(way.weight).sum());
        }
    }

    /// Says that the configuration was read again.
    pub fn reloaded(&self) {
        let _ = self.0.sender.send(Told::Reloaded);
    }

    /// The same, without keeping its thread alive.
    #[must_use]
    pub fn former(&self) -> Former {
        Former(Arc::downgrade(&self.0))
    }

    /// Says that nothing follows.
    fn stop(&self) {
        let _ = self.0.sender.send(Told::Stop);
    }

    fn has_room(&self, entries: usize) -> bool {
        self.0.way.waiting.load(Ordering::Relaxed) + entries <= self.0.way.most
    }
}

impl RecorderCounts {
    /// Whether recording fails now.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    /// Says whether recording fails.
    pub fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }
}

impl Tally {
    /// Adds `count`.
    pub fn add(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Former {
    /// The recorder; `None`: nobody has it any more, and its thread ends.
    #[must_use]
    pub fn recorder(&self) -> Option<Recorder> {
        self.0.upgrade().map(Recorder)
    }
}

impl AllRecorders {
    /// Adds one, whose thread will run from now on, as long as the result is held.
    #[must_use]
    pub fn add(self: &Arc<Self>, one: &Recorder) -> Running {
        self.add_to(|all| &all.running, one)
    }

    /// As [`AllRecorders::add`], for one that tells traces.
    #[must_use]
    pub fn add_telling(self: &Arc<Self>, one: &Recorder) -> Running {
        self.add_to(|all| &all.telling, one)
    }

    fn add_to(self: &Arc<Self>, count: fn(&Self) -> &AtomicUsize, one: &Recorder) -> Running {
        let mut all = Vec::clone(&self.all.load());
        all.retain(|one| one.recorder().is_some());
        all.push(one.former());
        self.all.publish(Arc::new(all));
        count(self).fetch_add(1, Ordering::AcqRel);
        Running {
            all: Arc::clone(self),
            count,
        }
    }

    /// Tells all of them that nothing follows.
    pub fn stop(&self) {
        let all = self.all.load();
        all.iter()
            .filter_map(Former::recorder)
            .for_each(|one| one.stop());
    }

    /// How many threads have not ended, those apart that tell traces.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// How many threads that tell traces have not ended.
    #[must_use]
    pub fn telling(&self) -> usize {
        self.telling.load(Ordering::Acquire)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.count)(&self.all).fetch_sub(1, Ordering::AcqRel);
    }
}

impl Entries {
    /// Entries, if they are what was told next.
    pub fn ready(&mut self) -> Option<Batch> {
        if self.kept.is_some() {
            return None;
        }
        match self.received(self.receiver.try_recv().ok()?) {
            Told::Entries(batch) => Some(batch),
            other => {
                self.kept = Some(other);
                None
            }
        }
    }

    /// Waits for what is told next, for at most `wait`.
    #[must_use]
    pub fn within(&mut self, wait: Duration) -> Next {
        if let Some(kept) = self.kept.take() {
            return Next::Told(kept);
        }
        match self.receiver.recv_timeout(wait) {
            Ok(told) => Next::Told(self.received(told)),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Gone,
        }
    }

    fn received(&self, told: Told) -> Told {
        if let Told::Entries(batch) = &told {
            self.way.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        }
        told
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
                thinking: None,
                cost: Default::default(),
                priced: Priced::Yes,
                is_estimated: false,
            },
        }))
    }

    #[test]
    fn what_has_no_room_is_counted_and_the_rest_comes_in_order() {
        let counts = Arc::<RecorderCounts>::default();
        let (usage, mut entries) = channel_of(3, Arc::clone(&counts), |_| 1);
        let all = Arc::<AllRecorders>::default();
        let running = all.add(&usage);
        let recorders = Recorders {
            usage: Some(usage),
            traces: None,
        };
        let two: Batch = Arc::new(vec![entry(), entry()]);
        assert!(recorders.have_room(3) && !recorders.have_room(4));
        recorders.give(&two);
        recorders.give(&two);
        recorders.give(&Arc::new(vec![entry()]));
        all.stop();
        recorders.give(&two);
        let mut lengths = Vec::new();
        while let Some(batch) = entries.ready() {
            lengths.push(batch.len());
        }
        assert_eq!(lengths, [2, 1]);
        assert!(matches!(
            entries.within(Duration::ZERO),
            Next::Told(Told::Stop)
        ));
        // What was taken has left room.
        assert!(recorders.have_room(3));
        drop(recorders);
        assert!(matches!(entries.within(Duration::ZERO), Next::Gone));
        assert_eq!(entries.counts().dropped.get(), 4);
        assert_eq!(all.running(), 1);
        drop(running);
        assert_eq!(all.running(), 0);
    }
}
