//! Draws from a seed: the same seed draws the same things, on every machine.

/// A sequence of draws (SplitMix64).
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence of this seed and this branch of it; branches have nothing in common.
    pub(crate) fn new(seed: u64, branch: u64) -> Self {
        let mut dice = Self(seed ^ branch.wrapping_mul(0x2545_f491_4f6c_dd1d));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number of at least `low` and below `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// Whether something happens that does so in `percent` of all draws.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `all`, which is not empty.
    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(all.len() as u64)).unwrap_or_default();
        &all[place]
    }

    /// One of `all`, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, all: &[(u64, T)]) -> T {
        let sum = all.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(sum);
        for (weight, thing) in all {
            if left < *weight {
                return *thing;
            }
            left -= weight;
        }
        all[0].1
    }

    /// Bytes of any value.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_and_its_branches_do_not() {
        let draw = |seed, branch| {
            let mut dice = Dice::new(seed, branch);
            [(); 8].map(|()| dice.below(1_000))
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
        let mut dice = Dice::new(7, 0);
        let drawn: Vec<u8> = (0..100).map(|_| dice.weighted(&[(0, 1), (3, 2)])).collect();
        assert!(drawn.iter().all(|thing| *thing == 2));
    }
}
