//! A table of a fixed size that all threads read and change without waiting: 64 bits of a hash lead
//! to a small number.
//!
//! The words stand in buckets of eight. A hash has one bucket, and where that is full, the word of
//! it goes that was not used for the longest time. A thread that finds its word changed by another
//! one looks again, a few times; then it gives up, and the table does not learn the entry: callers
//! of the table can live without any entry.

use crate::link::atomic::{AtomicU64, Ordering};

/// The table.
#[derive(Debug)]
pub struct Index {
    buckets: Box<[Bucket]>,
}

/// The words of one bucket, which share a cache line. A word that is 0 is free; any other holds a
/// tag, a number and an age.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; WAYS]);

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The part of the hash that does not choose the bucket.
    tag: u32,
    number: u16,
    /// Ranks the words of a bucket: the greater, the later used. Never 0.
    age: u16,
}

impl Entry {
    const fn word(self) -> u64 {
        (self.tag as u64) << 32 | (self.number as u64) << 16 | self.age as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a word consists of these three parts"
    )]
    const fn read(word: u64) -> Option<Self> {
        if word == 0 {
            return None;
        }
        Some(Self {
            tag: (word >> 32) as u32,
            number: (word >> 16) as u16,
            age: word as u16,
        })
    }
}

impl Index {
    /// An empty table for this many entries.
    #[must_use]
    pub fn of(entries: usize) -> Self {
        let buckets = (0..entries.div_ceil(WAYS)).map(|_| Bucket::default());
        Self {
            buckets: buckets.collect(),
        }
    }

    /// The number that `hash` leads to; it counts as used now.
    #[must_use]
    pub fn find(&self, hash: u64) -> Option<u16> {
        let (bucket, tag) = self.place(hash);
        let mut found = None;
        for _ in 0..TRIES {
            let newest = bucket.newest_age();
            let Some((word, entry)) = bucket.newest_of(tag) else {
                break;
            };
            found = Some(entry.number);
            if entry.age == newest || bucket.replace(word, bucket.as_newest(entry)) {
                break;
            }
        }
        found
    }

    /// Lets `hash` lead to `number` from now on.
    pub fn set(&self, hash: u64, number: u16) {
        let (bucket, tag) = self.place(hash);
        for _ in 0..TRIES {
            let newest = bucket.newest_age();
            let word = match bucket.newest_of(tag) {
                Some((_, known)) if known.number == number && known.age == newest => return,
                Some((word, _)) => word,
                None => bucket.victim(),
            };
            let entry = Entry {
                tag,
                number,
                age: newest,
            };
            if bucket.replace(word, bucket.as_newest(entry)) {
                return;
            }
        }
    }

    /// Forgets all hashes whose numbers `is_gone` names.
    pub fn forget(&self, is_gone: impl Fn(u16) -> bool) {
        for word in self.buckets.iter().flat_map(|bucket| &bucket.0) {
            let seen = word.load(Ordering::Relaxed);
            if Entry::read(seen).is_some_and(|entry| is_gone(entry.number)) {
                // A word that changes meanwhile has been written anew.
                let _ = word.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// The bucket of a hash, which the lower half chooses, and the tag, which is the upper one.
    fn place(&self, hash: u64) -> (&Bucket, u32) {
        let at = (hash & 0xffff_ffff) as usize % self.buckets.len();
        (&self.buckets[at], (hash >> 32) as u32)
    }
}

impl Bucket {
    fn entries(&self) -> impl Iterator<Item = (u64, Entry)> + '_ {
        let words = self.0.iter().map(|word| word.load(Ordering::Relaxed));
        words.filter_map(|word| Entry::read(word).map(|entry| (word, entry)))
    }

    /// The word of this tag. Two threads that learn the same may write it twice: the later one
    /// counts.
    fn newest_of(&self, tag: u32) -> Option<(u64, Entry)> {
        let own = self.entries().filter(|(_, entry)| entry.tag == tag);
        own.max_by_key(|(_, entry)| entry.age)
    }

    /// The word that goes for another one: a free one, else the one that was not used for the
    /// longest time.
    fn victim(&self) -> u64 {
        let words = self.0.iter().map(|word| word.load(Ordering::Relaxed));
        let age = |word: &u64| Entry::read(*word).map_or(0, |entry| entry.age);
        words.min_by_key(age).unwrap_or(0)
    }

    /// This entry, as the latest one of the bucket.
    fn as_newest(&self, entry: Entry) -> u64 {
        let age = self.newest_age().saturating_add(1);
        Entry { age, ..entry }.word()
    }

    /// The greatest age of the bucket. Before there is no greater one, the ages are numbered anew,
    /// from 1, in the same order.
    fn newest_age(&self) -> u16 {
        let ages = self.entries().map(|(_, entry)| entry.age);
        let newest = ages.max().unwrap_or(0);
        if newest < u16::MAX {
            return newest;
        }
        let mut words: Vec<(u64, Entry)> = self.entries().collect();
        words.sort_unstable_by_key(|(_, entry)| entry.age);
        let mut newest = 0;
        for (word, entry) in words {
            newest += 1;
            self.replace(
                word,
                Entry {
                    age: newest,
                    ..entry
                }
                .word(),
            );
        }
        newest
    }

    /// Puts `new` in the place of the word `old`; returns false where that is not there any more.
    fn replace(&self, old: u64, new: u64) -> bool {
        let relaxed = Ordering::Relaxed;
        let mut words = self.0.iter();
        words.any(|word| {
            word.load(relaxed) == old && word.compare_exchange(old, new, relaxed, relaxed).is_ok()
        })
    }
}

/// Words of a bucket: one cache line.
const WAYS: usize = 8;
/// How often a thread tries to put its word into a bucket that others change.
const TRIES: usize = 4;

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
