//! What operators do by hand: a mark for each of several things, which every shard sees at once.

use crate::link::atomic::{AtomicU8, Ordering};

/// Marks, which are 0 at first.
#[derive(Debug, Default)]
pub struct Marks(Box<[AtomicU8]>);

impl Marks {
    /// So many marks.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU8::new(0)).collect())
    }

    /// The mark at this place; 0 where there is none.
    #[must_use]
    pub fn at(&self, place: usize) -> u8 {
        self.0
            .get(place)
            .map_or(0, |mark| mark.load(Ordering::Relaxed))
    }

    /// Sets the mark at this place.
    pub fn set(&self, place: usize, mark: u8) {
        if let Some(own) = self.0.get(place) {
            own.store(mark, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_until_it_is_set_again() {
        let marks = Marks::new(2);
        marks.set(1, 7);
        marks.set(2, 9);
        assert_eq!([0, 1, 2].map(|place| marks.at(place)), [0, 7, 0]);
    }
}
