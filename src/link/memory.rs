//! What the whole process remembers by name, within two bounds: a number of things, and their
//! bytes. Whatever is over one of them, the oldest goes.
//!
//! All threads read and write it without waiting: the things stand in a ring of places, each of
//! which is changed by one exchange of a pointer, and an [`Index`] leads from a name to a place. It
//! takes no memory until there is something to remember.

use crate::link::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ahash::RandomState;
use arc_swap::ArcSwapOption;

use crate::link::index::Index;

/// The things that are remembered.
#[derive(Debug)]
pub struct Memory<T> {
    count_max: usize,
    bytes_max: usize,
    ring: OnceLock<Ring<T>>,
    /// Bytes of all things that have a place, or are about to have one.
    bytes: Arc<AtomicUsize>,
    /// Keyed, so that nobody can choose names that collide.
    hasher: RandomState,
}

#[derive(Debug)]
struct Ring<T> {
    places: Box<[ArcSwapOption<Thing<T>>]>,
    index: Index,
    /// The number of the next thing.
    next: AtomicU64,
    /// All things before this number are forgotten.
    oldest: AtomicU64,
}

/// A thing that is remembered.
#[derive(Debug)]
pub struct Thing<T> {
    /// What it is.
    pub thing: T,
    /// What it is called.
    pub name: Box<[u8]>,
    number: u64,
    bytes: usize,
}

impl<T> Memory<T> {
    /// Remembers nothing yet, and never more than these: `count_max` is at most 65,536. `bytes`
    /// shows how much it is.
    #[must_use]
    pub fn new(count_max: usize, bytes_max: usize, bytes: Arc<AtomicUsize>) -> Self {
        Self {
            count_max,
            bytes_max,
            ring: OnceLock::new(),
            bytes,
            hasher: RandomState::default(),
        }
    }

    /// Whether anything may be remembered.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.bytes_max > 0
    }

    /// How many bytes are remembered now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Remembers `thing`, which has this many bytes, by its name. A thing that is larger than all
    /// that may be remembered is not.
    pub fn remember(&self, name: &[u8], thing: T, bytes: usize) {
        let bytes = bytes + name.len() + OVERHEAD_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        let ring = self.ring.get_or_init(|| Ring::new(self.count_max));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let number = ring.next.fetch_add(1, Ordering::Relaxed);
        self.make_room(ring, number);
        let remembered = Thing {
            thing,
            name: name.into(),
            number,
            bytes,
        };
        let at = ring.place(number);
        let before = ring.places[at].swap(Some(Arc::new(remembered)));
        self.subtract(before.as_ref());
        let place = u16::try_from(at).unwrap_or(u16::MAX);
        ring.index.set(self.hasher.hash_one(name), place);
        if ring.oldest.load(Ordering::Relaxed) > number {
            // Others have passed it by while it was not there yet.
            self.forget(ring, number);
        }
    }

    /// The thing of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Arc<Thing<T>>> {
        let ring = self.ring.get()?;
        let place = ring.index.find(self.hasher.hash_one(name))?;
        let found = ring.places.get(usize::from(place))?.load_full()?;
        (*found.name == *name).then_some(found)
    }

    /// The thing of this name, which is forgotten with that: of several threads, one has it.
    #[must_use]
    pub fn take(&self, name: &[u8]) -> Option<Arc<Thing<T>>> {
        let found = self.find(name)?;
        let taken = self.forget(self.ring.get()?, found.number);
        taken.then_some(found)
    }

    /// Forgets the oldest things, until there is room for the one of this number.
    fn make_room(&self, ring: &Ring<T>, number: u64) {
        if let Some(replaced) = number.checked_sub(ring.places.len() as u64) {
            ring.oldest.fetch_max(replaced + 1, Ordering::Relaxed);
            self.forget(ring, replaced);
        }
        while self.bytes() > self.bytes_max {
            let oldest = ring.oldest.load(Ordering::Relaxed);
            if oldest >= number {
                // What is left are things of other threads that have no place yet.
                return;
            }
            let relaxed = Ordering::Relaxed;
            let next = ring
                .oldest
                .compare_exchange(oldest, oldest + 1, relaxed, relaxed);
            if next.is_ok() {
                self.forget(ring, oldest);
            }
        }
    }

    /// Forgets the thing of this number; returns whether it was there.
    fn forget(&self, ring: &Ring<T>, number: u64) -> bool {
        let place = &ring.places[ring.place(number)];
        let Some(found) = place.load_full().filter(|found| found.number == number) else {
            return false;
        };
        let before = place.compare_and_swap(&Some(Arc::clone(&found)), None);
        let is_gone = before.as_ref().is_some_and(|one| Arc::ptr_eq(one, &found));
        if is_gone {
            self.subtract(Some(&found));
        }
        is_gone
    }

    fn subtract(&self, gone: Option<&Arc<Thing<T>>>) {
        if let Some(gone) = gone {
            self.bytes.fetch_sub(gone.bytes, Ordering::Relaxed);
        }
    }
}

impl<T> Ring<T> {
    fn new(count: usize) -> Self {
        Self {
            places: (0..count).map(|_| ArcSwapOption::empty()).collect(),
            // With four words for each place, hardly any bucket is ever full.
            index: Index::of(4 * count),
            next: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is a place of the ring"
    )]
    fn place(&self, number: u64) -> usize {
        (number % self.places.len() as u64) as usize
    }
}

/// What a thing takes besides its name and its bytes: its counters, and its words in the ring and
/// in the index.
const OVERHEAD_BYTES: usize = 128;

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
