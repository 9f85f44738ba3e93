//! Resolved addresses of the providers: chores publishes them, shards read them.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::base::ids::ProviderId;

/// Addresses by provider; empty where none was ever found.
pub type Table = Vec<Arc<[SocketAddr]>>;

/// The published table, and the way to ask for a fresh look-up.
#[derive(Debug)]
pub struct Addresses {
    table: ArcSwap<Table>,
    wanted: Sender<ProviderId>,
}

/// What the look-up thread is asked for.
#[derive(Debug)]
pub struct Wanted(Receiver<ProviderId>);

/// Why the look-up thread wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A connection to this provider failed: its addresses may be out of date.
    Refresh(ProviderId),
    /// Nobody asked in time.
    Due,
    /// The process ends.
    Gone,
}

/// An empty table for `providers` providers, and the wishes that come with it.
#[must_use]
pub fn channel(providers: usize) -> (Arc<Addresses>, Wanted) {
    // One wish per provider is enough: more say nothing new.
    let (wanted, wishes) = crossbeam_channel::bounded(providers.max(1));
    let none: Arc<[SocketAddr]> = Arc::from(Vec::new());
    let table = ArcSwap::from_pointee(vec![none; providers]);
    (Arc::new(Addresses { table, wanted }), Wanted(wishes))
}

impl Addresses {
    /// The addresses of `provider`.
    #[must_use]
    pub fn of(&self, provider: ProviderId) -> Arc<[SocketAddr]> {
        Arc::clone(&self.table.load()[provider.index()])
    }

    /// Asks for a fresh look-up of `provider`; dropped where as many wishes wait as may.
    pub fn refresh(&self, provider: ProviderId) {
        let _ = self.wanted.try_send(provider);
    }

    /// Publishes `found` for `provider`.
    pub fn publish(&self, provider: ProviderId, found: Vec<SocketAddr>) {
        let mut table = Table::clone(&self.table.load());
        table[provider.index()] = Arc::from(found);
        self.table.store(Arc::new(table));
    }
}

impl Wanted {
    /// The next wish, waiting at most `wait`.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Wish {
        match self.0.recv_timeout(wait) {
            Ok(provider) => Wish::Refresh(provider),
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
        assert_eq!(wanted.next(Duration::ZERO), Wish::Refresh(ProviderId(1)));
        let _ = wanted.next(Duration::ZERO);
        assert_eq!(wanted.next(Duration::ZERO), Wish::Due);
        drop(addresses);
        assert_eq!(wanted.next(Duration::ZERO), Wish::Gone);
    }
}
