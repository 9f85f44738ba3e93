//! Tables by name.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// A table that every request looks into. Its hash is keyed, so that no caller can choose names
/// that collide, and takes a fraction of the time of the standard one.
pub type Map<K, V> = HashMap<K, V, Keyed>;

/// Names alone, with such a hash.
pub type Set<K> = std::collections::HashSet<K, Keyed>;

/// The hash of all tables of the process: to make keys for each of them would take longer than a
/// request's few look-ups.
#[derive(Clone, Debug)]
pub struct Keyed(ahash::RandomState);

/// Random keys, as nobody outside of the process knows them.
static KEYS: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);

impl Default for Keyed {
    fn default() -> Self {
        Self(KEYS.clone())
    }
}

impl BuildHasher for Keyed {
    type Hasher = ahash::AHasher;

    #[inline]
    fn build_hasher(&self) -> ahash::AHasher {
        self.0.build_hasher()
    }
}
