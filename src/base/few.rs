//! A list of usually few things.

/// A list whose first `N` things stand in it itself: usually it needs no memory of its own.
#[derive(Clone, Debug)]
pub struct Few<T, const N: usize> {
    first: [Option<T>; N],
    more: Vec<T>,
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// Appends a thing.
    pub fn push(&mut self, thing: T) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(thing),
            None => self.more.push(thing),
        }
    }

    /// All things, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().flatten().chain(&self.more)
    }
}

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self {
            first: [None; N],
            more: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_beyond_the_places_that_it_has() {
        for count in 0..6 {
            let mut few = Few::<_, 3>::default();
            (0..count).for_each(|thing| few.push(thing));
            let all: Vec<_> = few.iter().copied().collect();
            let back: Vec<_> = few.iter().rev().copied().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert_eq!(back, (0..count).rev().collect::<Vec<_>>());
            assert_eq!(few.more.capacity() > 0, count > 3);
        }
    }
}
