//! Resolved addresses of the providers: the look-up thread publishes them, shards read them.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::limits::PROVIDER_SEATS_MAX;
use crate::link::reports::Reply;

/// Addresses by provider; empty for a provider that has none yet.
pub type Table = Vec<Arc<[SocketAddr]>>;

/// The published table, and the way to ask for a fresh look-up.
#[derive(Debug)]
pub struct Addresses {
    table: ArcSwap<Table>,
    wanted: Sender<Wish>,
}

/// The look-up thread's end: it receives wishes.
#[derive(Debug)]
pub struct Wanted(Receiver<Wish>);

/// Why the look-up thread wakes.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A connection to this provider failed: its addresses may be out of date.
    Refresh(ProviderId),
    /// A configuration is about to take effect: the names of its providers are wanted, and the
    /// reply is given when all have been looked up.
    Adopt(Arc<Reply>),
    /// No wish came in time.
    Due,
    /// The process ends.
    Gone,
}

/// An empty table for `providers` providers, and the receiving end of its wishes.
#[must_use]
pub fn channel(providers: usize) -> (Arc<Addresses>, Wanted) {
    // One wish per provider is enough: a second one would ask for the same.
    let (wanted, wishes) = crossbeam_channel::bounded(PROVIDER_SEATS_MAX);
    let none: Arc<[SocketAddr]> = Arc::from(Vec::new());
    let table = ArcSwap::from_pointee(vec![none; providers]);
    (Arc::new(Addresses { table, wanted }), Wanted(wishes))
}

impl Addresses {
    /// The addresses of `provider`.
    #[must_use]
    pub fn of(&self, provider: ProviderId) -> Arc<[SocketAddr]> {
        let table = self.table.load();
        table.get(provider.index()).cloned().unwrap_or_default()
    }

    /// Asks for a fresh look-up of `provider`; the wish is dropped where the queue is full.
    pub fn refresh(&self, provider: ProviderId) {
        let _ = self.wanted.try_send(Wish::Refresh(provider));
    }

    /// Asks for the names of a configuration that is about to take effect; the reply is given when
    /// all have been looked up. This call waits while the queue is full, so no shard may make it.
    pub fn adopt(&self) -> Arc<Reply> {
        let reply = Arc::<Reply>::default();
        let _ = self.wanted.send(Wish::Adopt(Arc::clone(&reply)));
        reply
    }

    /// Publishes `found` for `provider`.
    pub fn publish(&self, provider: ProviderId, found: Vec<SocketAddr>) {
        let mut table = Table::clone(&self.table.load());
        if table.len() <= provider.index() {
            table.resize_with(provider.index() + 1, Arc::default);
        }
        table[provider.index()] = Arc::from(found);
        self.table.store(Arc::new(table));
    }
}

impl Wanted {
    /// The next wish, waiting at most `wait`.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Wish {
        match self.0.recv_timeout(wait) {
            Ok(wish) => wish,
            Err(RecvTimeoutError::Timeout) => Wish::Due,
            Err(RecvTimeoutError::Disconnected) => Wish::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_and_wishes_never_block() {
        let (addresses, wanted) = channel(2);
        assert!(addresses.of(ProviderId(1)).is_empty());
        addresses.publish(ProviderId(1), vec!["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(addresses.of(ProviderId(1)).len(), 1);
        assert!(addresses.of(ProviderId(0)).is_empty());
        for _ in 0..10 {
            addresses.refresh(ProviderId(1));
        }
        let next = || wanted.next(Duration::ZERO);
        assert!(matches!(next(), Wish::Refresh(ProviderId(1))));
        let reply = addresses.adopt();
        while let Wish::Refresh(_) = next() {}
        assert!(matches!(next(), Wish::Due) && reply.taken().is_none());
        drop(addresses);
        assert!(matches!(next(), Wish::Gone));
    }
}
