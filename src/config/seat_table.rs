//! Ids that stay with their holders from one file to the next.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Seats, one for each key: what a key's id is.
pub struct Table<K, H> {
    seats: Vec<Seat<K>>,
    /// The holders that may still be in use, with their numbers.
    holders: Vec<(u64, Weak<H>)>,
    /// The number of the latest holder.
    latest: u64,
    /// Up to this number of seats, a new seat is added and no former one is reused, so that a
    /// provider that comes back soon finds its statistics.
    usual: usize,
    max: usize,
}

#[derive(Clone)]
struct Seat<K> {
    key: K,
    /// The numbers of the first and of the last holder that had it. Once all holders from the one
    /// to the other are dropped, no request can refer to the id.
    held: (u64, u64),
}

/// The seats of the keys of one holder.
pub struct Seating {
    /// By key.
    pub ids: Vec<usize>,
    /// Those that have a new key.
    pub fresh: Vec<usize>,
}

impl<K, H> std::fmt::Debug for Table<K, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("seats", &self.seats.len())
            .finish()
    }
}

impl<K: Clone, H> Clone for Table<K, H> {
    fn clone(&self) -> Self {
        Self {
            seats: self.seats.clone(),
            holders: self.holders.clone(),
            ..*self
        }
    }
}

impl<K: Clone + Eq + Hash, H> Table<K, H> {
    /// A table in which each of `keys` has its place for its id. Up to `usual` seats, none is
    /// reused; `max` is the most there are.
    pub fn new(keys: impl Iterator<Item = K>, usual: usize, max: usize) -> Self {
        let held = (1, 1);
        Self {
            seats: keys.map(|key| Seat { key, held }).collect(),
            holders: Vec::new(),
            latest: 0,
            usual,
            max,
        }
    }

    /// The same seats with room for fewer.
    pub fn narrowed(self, usual: usize, max: usize) -> Self {
        Self { usual, max, ..self }
    }

    /// How many seats there are.
    pub fn count(&self) -> usize {
        self.seats.len()
    }

    /// Finds a seat for each of `keys`, which all differ; `None`: there is no room.
    pub fn place(&mut self, keys: Vec<K>) -> Option<Seating> {
        let known = self.seats.iter().enumerate();
        let known: HashMap<&K, usize> = known.map(|(at, seat)| (&seat.key, at)).collect();
        let found: Vec<Option<usize>> = keys.iter().map(|key| known.get(key).copied()).collect();
        let mut vacant = self.vacant(&found);
        let (mut ids, mut fresh) = (Vec::new(), Vec::new());
        for (key, found) in keys.into_iter().zip(found) {
            let at = match found {
                Some(at) => at,
                None if self.seats.len() < self.usual => self.add(key),
                None => match vacant.pop() {
                    Some(at) => {
                        let held = (self.latest + 1, self.latest + 1);
                        *self.seats.get_mut(at)? = Seat { key, held };
                        at
                    }
                    None if self.seats.len() < self.max => self.add(key),
                    None => return None,
                },
            };
            if found.is_none() {
                fresh.push(at);
            }
            ids.push(at);
        }
        Some(Seating { ids, fresh })
    }

    /// Seats that no request can refer to and that are not among `kept`, the most recently vacated
    /// first: they are reused from the end.
    fn vacant(&self, kept: &[Option<usize>]) -> Vec<usize> {
        let mut is_kept = vec![false; self.seats.len()];
        for at in kept.iter().flatten() {
            if let Some(kept) = is_kept.get_mut(*at) {
                *kept = true;
            }
        }
        let in_use = self.holders.iter();
        let in_use = in_use.filter(|(_, holder)| holder.strong_count() > 0);
        let in_use: Vec<u64> = in_use.map(|(number, _)| *number).collect();
        let seats = self.seats.iter().zip(is_kept).enumerate();
        let mut vacant: Vec<(u64, usize)> = seats
            .filter(|(_, (seat, kept))| !kept && !in_use.iter().any(|one| seat.is_of(*one)))
            .map(|(at, (seat, _))| (seat.held.1, at))
            .collect();
        vacant.sort_unstable_by(|one, other| other.cmp(one));
        vacant.into_iter().map(|(_, at)| at).collect()
    }

    fn add(&mut self, key: K) -> usize {
        let held = (self.latest + 1, self.latest + 1);
        self.seats.push(Seat { key, held });
        self.seats.len() - 1
    }

    /// Notes that these ids are in use as long as `holder` is.
    pub fn hold(&mut self, ids: impl Iterator<Item = usize>, holder: &Arc<H>) {
        self.latest += 1;
        self.holders.retain(|(_, one)| one.strong_count() > 0);
        self.holders.push((self.latest, Arc::downgrade(holder)));
        for at in ids {
            if let Some(seat) = self.seats.get_mut(at) {
                seat.held.1 = self.latest;
            }
        }
    }
}

impl<K> Seat<K> {
    /// Whether the holder with this number may have it.
    fn is_of(&self, holder: u64) -> bool {
        (self.held.0..=self.held.1).contains(&holder)
    }
}
