//! Connections to providers that wait for their next request.
//!
//! Last in, first out: the busiest connections stay warm, the others grow old and are closed. Each
//! waits with its next read posted, so that a connection which the provider has closed is
//! recognized without a system call.
//!
//! Descriptors are scarce. One bound holds for all providers together, and a new connection has
//! precedence over an idle one: the connection that has waited longest is closed.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::limits::{LARGE_SPARE_BYTES, POOL_IDLE_MAX};
use crate::base::shelves::Shelves;
use crate::base::time::Instant;
use crate::link::buffered::Held;
use crate::link::gate::{Gates, Process};
use crate::link::provider_gate::Standing;
use crate::shard::http::addresses::{Addresses, Next};
use crate::shard::http::upstream::Upstream;
use crate::shard::net::io::Io;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::sleep::sleep_apart;
use crate::sys::clock;

/// One shard's idle connections, by provider.
pub struct Pool {
    idle: RefCell<Shelves<Idle>>,
    /// Connections to providers that this shard may have before it closes idle ones.
    room: usize,
    /// Connections to providers that it has, idle or not.
    open: Rc<Cell<usize>>,
    filled: Nudge,
    /// The addresses of providers that have many.
    pub addresses: Addresses,
}

struct Idle {
    upstream: Box<Upstream>,
    since: Instant,
}

impl Pool {
    /// An empty pool of a shard with descriptors for `room` connections to providers.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            idle: RefCell::default(),
            room,
            open: Rc::default(),
            filled: Nudge::default(),
            addresses: Addresses::default(),
        }
    }

    /// The number of open connections to providers, for connections that count themselves.
    #[must_use]
    pub fn open(&self) -> &Rc<Cell<usize>> {
        &self.open
    }

    /// Closes the connections to `provider`: it is gone, or its id has another holder.
    pub fn forget(&self, provider: ProviderId) {
        self.idle.borrow_mut().clear(provider.index());
        self.addresses.forget(provider);
    }

    /// A connection to `provider` that is still open: the youngest, or, where the provider has many
    /// addresses, one to the address whose turn it is.
    pub fn take(&self, provider: ProviderId, now: Instant) -> Option<Box<Upstream>> {
        if self.addresses.is_used() {
            return self.take_spread(provider, now);
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(mut found) = idle.take(provider.index()) {
            if now.since(found.since) > IDLE_MAX {
                // All connections behind it are older.
                idle.clear(provider.index());
                return None;
            }
            if !found.upstream.socket.reader.has_ended() {
                found.upstream.connected.mark_busy();
                return Some(found.upstream);
            }
        }
        None
    }

    /// As [`Pool::take`], where some provider has many addresses.
    #[inline(never)]
    fn take_spread(&self, provider: ProviderId, now: Instant) -> Option<Box<Upstream>> {
        let mut idle = self.idle.borrow_mut();
        let shelf = provider.index();
        loop {
            let youngest = idle.newest(shelf)?;
            let waited = now.since(youngest.since);
            if waited > IDLE_MAX {
                idle.clear(shelf);
                return None;
            }
            let tally = youngest.upstream.connected.tally();
            let found = match self.addresses.next(provider, now, (tally, waited)) {
                Next::Open => return None,
                Next::Youngest => idle.take(shelf),
                Next::At(at) => idle.take_where(shelf, |one| {
                    let tally = one.upstream.connected.tally();
                    tally.is_some_and(|tally| Rc::ptr_eq(tally, &at))
                }),
            };
            let mut found = found?;
            if now.since(found.since) <= IDLE_MAX && !found.upstream.socket.reader.has_ended() {
                found.upstream.connected.mark_busy();
                return Some(found.upstream);
            }
        }
    }

    /// Puts a connection into the pool, if its answer was framed completely and it may carry
    /// another; otherwise closes it.
    pub fn park(&self, io: &Io, provider: ProviderId, mut upstream: Box<Upstream>) {
        if !upstream.is_reusable() {
            return;
        }
        upstream.bytes.clear();
        if upstream.bytes.capacity() >= LARGE_SPARE_BYTES {
            io.buffers.give(std::mem::take(&mut upstream.bytes));
        }
        self.put_idle(io, provider, upstream);
    }

    /// As [`Pool::park`], but returns the arrived bytes with what counts them: the caller is still
    /// to be sent them.
    pub fn park_without_bytes(
        &self,
        io: &Io,
        provider: ProviderId,
        mut upstream: Box<Upstream>,
    ) -> (Vec<u8>, Held) {
        let is_reusable = upstream.is_reusable();
        let bytes = std::mem::take(&mut upstream.bytes);
        let held = std::mem::replace(&mut upstream.held, io.lease.hold());
        if is_reusable {
            self.put_idle(io, provider, upstream);
        }
        (bytes, held)
    }

    /// Puts a connection without buffered bytes into the pool.
    pub fn put_idle(&self, io: &Io, provider: ProviderId, mut upstream: Box<Upstream>) {
        upstream.make_idle(&io.buffers);
        self.put(provider, upstream, clock::now());
    }

    fn put(&self, provider: ProviderId, mut upstream: Box<Upstream>, now: Instant) {
        upstream.connected.mark_idle();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= POOL_IDLE_MAX.min(self.room) {
            idle.take_oldest();
        }
        let since = now;
        idle.put(provider.index(), Idle { upstream, since });
        self.filled.give();
    }

    /// Makes sure that this shard's share has a descriptor for one more connection.
    pub fn make_room(&self) {
        if self.open.get() >= self.room {
            self.evict();
        }
    }

    /// Closes the connection that has waited longest; returns whether there was one.
    pub fn evict(&self) -> bool {
        self.idle.borrow_mut().take_oldest().is_some()
    }

    /// Waits until a descriptor may be free, after a connection could not have one: idle
    /// connections are closed for it, here or on other shards. Returns false where it has taken too
    /// long since `began`.
    pub async fn relieve(&self, process: &Process, began: Instant) -> bool {
        let pause = if self.evict() {
            CLOSED_WITHIN
        } else {
            process.lack_descriptors();
            OTHERS_WITHIN
        };
        sleep_apart(pause).await;
        clock::now().since(began) < PATIENCE
    }

    /// Waits until a connection is put into the pool.
    pub async fn filled(&self) {
        self.filled.wait().await;
    }

    /// Whether the pool is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }

    /// Closes the connections to providers that are out of service: a probe will open a new one.
    pub fn close_unusable(&self, gates: &Gates, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let is_out = |id: &usize| {
            let gate = gates.providers.get(*id);
            gate.is_some_and(|gate| matches!(gate.standing(now, 0), Standing::Out { .. }))
        };
        let next = |idle: &Shelves<Idle>| idle.used().find(is_out);
        while let Some(provider) = next(&idle) {
            idle.clear(provider);
        }
    }

    /// Closes half of the connections, since another shard needs descriptors.
    pub fn close_half(&self) {
        let count = self.idle.borrow().len().div_ceil(2);
        (0..count).for_each(|_| {
            self.evict();
        });
    }

    /// Closes connections that are too old, and those that providers have closed.
    pub fn close_old(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let is_old = |idle: &Idle| now.since(idle.since) > IDLE_MAX;
        while idle.oldest().is_some_and(is_old) {
            idle.take_oldest();
        }
        idle.retain(|idle| !idle.upstream.socket.reader.has_ended());
    }
}

/// Whether an operation failed because the process or the system has no more descriptors.
#[must_use]
pub fn lacks_descriptors(fault: &io::Error) -> bool {
    matches!(fault.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Shorter than providers allow an idle connection, so that none is closed under a request.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long the ring takes to close a connection.
const CLOSED_WITHIN: Duration = Duration::from_millis(1);
/// Pause before a descriptor is tried for that other shards may have freed.
const OTHERS_WITHIN: Duration = Duration::from_millis(25);
/// How long a connection waits for a descriptor: other shards have looked five times by then.
const PATIENCE: Duration = Duration::from_secs(1);
