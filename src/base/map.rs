//! Tables by name.

use std::collections::HashMap;

/// A table that every request looks into. Its hash is keyed, so that no caller can choose names
/// that collide, and takes a fraction of the time of the standard one.
pub type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// Names alone, with such a hash.
pub type Set<K> = std::collections::HashSet<K, ahash::RandomState>;
