//! A list of usually few things.

/// A list that needs no memory of its own for up to `N` things.
#[derive(Clone, Debug)]
pub struct Few<T, const N: usize> {
    first: [T; N],
    /// How many of them there are.
    len: usize,
    /// All things, where they are more.
    all: Vec<T>,
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// Appends a thing.
    pub fn push(&mut self, thing: T) {
        if let Some(place) = self.first.get_mut(self.len) {
            *place = thing;
            self.len += 1;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.push(thing);
    }

    /// All things, in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        if self.all.is_empty() {
            self.first.get(..self.len).unwrap_or_default()
        } else {
            &self.all
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self {
            first: [T::default(); N],
            len: 0,
            all: Vec::new(),
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
            assert_eq!(few.as_slice(), (0..count).collect::<Vec<_>>());
            assert_eq!(few.all.capacity() > 0, count > 3);
        }
    }
}
