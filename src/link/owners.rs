//! Which provider has made an id: what callers refer to belongs to one provider, and no other one
//! knows it (rule I1 of reference/responses-inbound.md).
//!
//! One map for the process: a caller's next request may come to any shard. It is lost with the
//! process, and takes no memory while there is only one provider that ids can belong to.

use std::sync::OnceLock;

use ahash::RandomState;

use crate::base::ids::ProviderId;
use crate::base::limits::OWNED_IDS_MAX;
use crate::link::index::Index;

/// The map.
#[derive(Debug, Default)]
pub struct Owners {
    /// Its table, from the moment on in which there is something to learn.
    index: OnceLock<Index>,
    /// Keyed, so that nobody can choose ids that collide.
    hasher: RandomState,
}

impl Owners {
    /// Prepares the map, given how many providers make ids: with one, there is nothing to learn.
    pub fn prepare(&self, makers: usize) {
        if makers >= 2 {
            self.index.get_or_init(|| Index::of(OWNED_IDS_MAX));
        }
    }

    /// Whether the map learns.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.index.get().is_some()
    }

    /// The provider that has made `id`, as far as that is known.
    #[must_use]
    pub fn of(&self, id: &[u8]) -> Option<ProviderId> {
        self.index.get()?.find(self.hash(id)).map(ProviderId)
    }

    /// The hash by which the map knows `id`.
    #[must_use]
    pub fn hash(&self, id: &[u8]) -> u64 {
        self.hasher.hash_one(id)
    }

    /// Takes note that `provider` has made the id of this hash.
    pub fn learn(&self, hash: u64, provider: ProviderId) {
        if let Some(index) = self.index.get() {
            index.set(hash, provider.0);
        }
    }

    /// Forgets what has been made by the former holders of these ids of providers.
    pub fn forget(&self, fresh: &[ProviderId]) {
        if let Some(index) = self.index.get()
            && !fresh.is_empty()
        {
            index.forget(|number| fresh.contains(&ProviderId(number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_provider_alone_could_have_made_is_not_learned() {
        let owners = Owners::default();
        owners.prepare(1);
        owners.learn(owners.hash(b"resp_1"), ProviderId(0));
        assert_eq!((owners.is_used(), owners.of(b"resp_1")), (false, None));

        owners.prepare(2);
        owners.learn(owners.hash(b"resp_1"), ProviderId(0));
        owners.learn(owners.hash(b"resp_2"), ProviderId(1));
        // A later configuration with one of them forgets nothing.
        owners.prepare(1);
        assert_eq!(owners.of(b"resp_1"), Some(ProviderId(0)));
        assert_eq!(owners.of(b"resp_2"), Some(ProviderId(1)));
        assert_eq!(owners.of(b"resp_3"), None);
    }

    #[test]
    fn what_was_made_by_a_former_holder_of_a_seat_is_forgotten() {
        let owners = Owners::default();
        owners.prepare(2);
        owners.learn(owners.hash(b"resp_1"), ProviderId(0));
        owners.learn(owners.hash(b"resp_2"), ProviderId(7));
        owners.forget(&[ProviderId(7)]);
        assert_eq!(owners.of(b"resp_1"), Some(ProviderId(0)));
        assert_eq!(owners.of(b"resp_2"), None);
    }
}
