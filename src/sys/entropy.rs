//! The only place that makes randomness: seeds for the generators of `base::random`.

use std::hash::{BuildHasher, Hasher, RandomState};

use ring::rand::SecureRandom;

/// Random bytes that nobody can guess, for a key.
///
/// # Errors
///
/// The kernel gives none.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| std::io::Error::other("its generator fails"))?;
    Ok(bytes)
}

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
