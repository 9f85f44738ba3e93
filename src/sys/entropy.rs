//! The only place that makes randomness: seeds for the generators of `base::random`.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A fresh seed; std keys its hashers from the kernel's generator.
#[must_use]
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_differ() {
        assert_ne!(super::seed(), super::seed());
    }
}
