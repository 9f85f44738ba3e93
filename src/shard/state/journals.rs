//! Entries of one shard's requests: gathered, and handed to those who record them in batches.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::ENTRIES_PER_BATCH;
use crate::link::journal::Entry;
use crate::link::recorder::Recorders;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::sleep::sleep;
use crate::sys::clock;

/// The entries that wait, and those who record them.
#[derive(Default)]
pub struct Journals {
    waiting: RefCell<Option<Waiting>>,
    filled: Nudge,
}

struct Waiting {
    entries: Vec<Entry>,
    to: Arc<Recorders>,
}

impl Journals {
    /// Adds an entry for these recorders.
    pub fn add(&self, to: &Arc<Recorders>, entry: Entry) {
        let mut waiting = self.waiting.borrow_mut();
        // Those of another configuration may be others.
        if let Some(others) = waiting.take_if(|one| !Arc::ptr_eq(&one.to, to)) {
            hand_over(others);
        }
        let waits = waiting.get_or_insert_with(|| {
            self.filled.give();
            Waiting {
                entries: Vec::with_capacity(ENTRIES_PER_BATCH),
                to: Arc::clone(to),
            }
        });
        waits.entries.push(entry);
        if waits.entries.len() >= ENTRIES_PER_BATCH {
            waiting.take().into_iter().for_each(hand_over);
        }
    }

    /// Hands over what waits.
    pub fn flush(&self) {
        let waiting = self.waiting.borrow_mut().take();
        waiting.into_iter().for_each(hand_over);
    }

    /// Hands over what waits, as soon as there is room for it.
    pub async fn close(&self) {
        let until = clock::now() + CLOSED_WITHIN;
        while !self.has_room() && clock::now() < until {
            sleep(LOOK_EVERY).await;
        }
        self.flush();
    }

    fn has_room(&self) -> bool {
        let waiting = self.waiting.borrow();
        let has_room = |one: &Waiting| one.to.have_room(one.entries.len());
        waiting.as_ref().is_none_or(has_room)
    }

    /// Hands entries over at most 10 ms after they were added, as long as the shard runs.
    pub async fn keep_flushing(self: Rc<Self>) {
        loop {
            self.filled.wait().await;
            sleep(Duration::from_millis(10)).await;
            self.flush();
        }
    }
}

fn hand_over(waiting: Waiting) {
    waiting.to.give(&Arc::new(waiting.entries));
}

/// How long a shard that ends waits for room for its last entries.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
