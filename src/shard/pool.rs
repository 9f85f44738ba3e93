//! Connections to providers that wait for their next request.
//!
//! Last in, first out: the busiest stay warm, the rest grow old and are closed. Each waits with its
//! next read posted, so that one the provider has closed is recognized without a system call.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::limits::POOL_IDLE_MAX;
use crate::base::time::Instant;
use crate::shard::nudge::Nudge;
use crate::shard::upstream::Upstream;
use crate::sys::clock;

/// One shard's idle connections, by provider.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<Vec<Vec<Idle>>>,
    filled: Nudge,
}

struct Idle {
    upstream: Upstream,
    since: Instant,
}

impl Pool {
    /// Closes the connections to `provider`: it is gone, or another has its id.
    pub fn forget(&self, provider: ProviderId) {
        if let Some(idle) = self.idle.borrow_mut().get_mut(provider.index()) {
            idle.clear();
        }
    }

    /// The youngest connection to `provider` that is still open.
    pub fn take(&self, provider: ProviderId, now: Instant) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(provider.index())?;
        while let Some(mut found) = connections.pop() {
            if now.since(found.since) > IDLE_MAX {
                // All below it are older.
                connections.clear();
                return None;
            }
            if !found.upstream.socket.reader.has_ended() {
                found.upstream.connected.wake();
                return Some(found.upstream);
            }
        }
        None
    }

    /// Keeps a connection whose answer was framed completely, with not a byte to spare.
    pub fn put(&self, provider: ProviderId, mut upstream: Upstream, now: Instant) {
        upstream.connected.rest();
        let mut idle = self.idle.borrow_mut();
        if idle.len() <= provider.index() {
            idle.resize_with(provider.index() + 1, Vec::new);
        }
        let connections = &mut idle[provider.index()];
        if connections.len() < POOL_IDLE_MAX {
            connections.push(Idle {
                upstream,
                since: now,
            });
            self.filled.give();
        }
    }

    /// Closes what has waited too long, as long as the shard runs.
    pub async fn age(self: Rc<Self>) {
        loop {
            self.filled.wait().await;
            while self.close_old(clock::now()) {
                monoio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Closes what is too old or already closed; whether anything is left.
    fn close_old(&self, now: Instant) -> bool {
        let mut left = false;
        for connections in self.idle.borrow_mut().iter_mut() {
            connections.retain_mut(|idle| {
                now.since(idle.since) <= IDLE_MAX && !idle.upstream.socket.reader.has_ended()
            });
            left |= !connections.is_empty();
        }
        left
    }
}

/// Below what providers allow an idle connection, so that it is not closed under a request.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks for what is too old.
const LOOK_EVERY: Duration = Duration::from_secs(5);
