//! A set of a route's candidates: who may be chosen, or who has been tried.

use crate::base::limits::PROVIDERS_MAX;

/// A set of candidates, by their place in the route; it lives on the stack and never allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eligible {
    words: [u64; WORDS],
}

impl Eligible {
    /// Nobody.
    pub const NONE: Self = Self { words: [0; WORDS] };

    /// The first `count` candidates.
    #[must_use]
    pub fn first(count: usize) -> Self {
        let mut set = Self::NONE;
        for (i, word) in set.words.iter_mut().enumerate() {
            *word = match count.saturating_sub(i * BITS) {
                0 => 0,
                rest if rest >= BITS => u64::MAX,
                rest => (1 << rest) - 1,
            };
        }
        set
    }

    /// Adds a candidate. A place beyond `PROVIDERS_MAX` does not exist and is ignored.
    pub fn insert(&mut self, candidate: usize) {
        debug_assert!(candidate < PROVIDERS_MAX);
        if let Some(word) = self.words.get_mut(candidate / BITS) {
            *word |= 1 << (candidate % BITS);
        }
    }

    /// Takes a candidate out.
    pub fn remove(&mut self, candidate: usize) {
        if let Some(word) = self.words.get_mut(candidate / BITS) {
            *word &= !(1 << (candidate % BITS));
        }
    }

    /// Whether a candidate is in the set.
    #[must_use]
    pub fn contains(&self, candidate: usize) -> bool {
        self.words
            .get(candidate / BITS)
            .is_some_and(|word| word >> (candidate % BITS) & 1 == 1)
    }

    /// How many candidates are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether nobody is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The candidates in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(i, &word)| Bits(word).map(move |b| i * BITS + b))
    }
}

impl FromIterator<usize> for Eligible {
    fn from_iter<I: IntoIterator<Item = usize>>(candidates: I) -> Self {
        let mut set = Self::NONE;
        candidates
            .into_iter()
            .for_each(|candidate| set.insert(candidate));
        set
    }
}

/// The places of the bits that are set in one word, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros() as usize;
        self.0 &= self.0.checked_sub(1)?;
        Some(lowest)
    }
}

const BITS: usize = u64::BITS as usize;
const WORDS: usize = PROVIDERS_MAX.div_ceil(BITS);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(
            steps in prop::collection::vec((0..PROVIDERS_MAX, any::<bool>()), 0..200),
        ) {
            let (mut set, mut model) = (Eligible::NONE, BTreeSet::new());
            for (candidate, adds) in steps {
                if adds {
                    set.insert(candidate);
                    model.insert(candidate);
                } else {
                    set.remove(candidate);
                    model.remove(&candidate);
                }
                prop_assert_eq!(set.contains(candidate), adds);
            }
            prop_assert_eq!(set.count(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(set, model.into_iter().collect());
        }

        #[test]
        fn the_first_candidates_are_a_prefix(count in 0..=PROVIDERS_MAX) {
            prop_assert!(Eligible::first(count).iter().eq(0..count));
        }
    }

    #[test]
    fn nobody_stands_beyond_the_bound() {
        assert!(!Eligible::first(PROVIDERS_MAX).contains(PROVIDERS_MAX));
    }
}
