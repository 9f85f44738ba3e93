//! What a seed decides.

use std::time::Duration;

use infermux::testing::base::random::Random;

/// The only source of chance in a run.
pub(crate) struct Dice(Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// A number from `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.next_u64() % (to - from + 1)
    }

    /// A span in milliseconds, and some nanoseconds more, so that no two moments agree by design.
    pub(crate) fn span(&mut self, from: u64, to: u64) -> Duration {
        let millis = Duration::from_millis(self.between(from, to));
        millis + Duration::from_nanos(self.between(0, 999_999))
    }

    /// Whether something happens that does so this many times in a thousand.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.between(0, 999) < permille
    }

    /// A place in a list of this many.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.between(0, count as u64 - 1)).unwrap_or(0)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.place(list.len())]
    }
}
