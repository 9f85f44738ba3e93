//! `server.max_buffered_bytes`: one bound on the bodies that all shards hold in memory.
//!
//! A shard leases bytes from the process's word in larger chunks and counts within its lease, so
//! that a small request touches no shared word. The leased bytes are never fewer than the held
//! ones: the bound is never exceeded, and a shard is refused too early by at most the unused chunks
//! of other shards.
//!
//! The capacity of existing buffers is counted, not the length that a message announces: a holder
//! grows before its buffer does. Bytes that must be held in any case (a piece of an answer that has
//! been read) are counted even beyond the bound; until that is paid back, everything that may be
//! refused is refused.

use crate::link::atomic::{AtomicIsize, Ordering};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::link::Padded;
use crate::link::meters::LoopMeter;

/// The bytes that the whole process may still lease.
#[derive(Debug)]
pub struct Pool {
    /// Below zero where bytes had to be held beyond the bound.
    left: Padded<AtomicIsize>,
    piece: usize,
}

/// One shard's lease.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    leased: Cell<usize>,
    held: Cell<usize>,
    /// The part of the lease that is beyond the bound.
    overdrawn: Cell<usize>,
    /// Where `held` is published.
    meter: Arc<LoopMeter>,
}

/// Bytes held; they are given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    lease: Rc<Lease>,
    bytes: usize,
}

impl Pool {
    /// A pool of `bytes` for `shards` shards.
    #[must_use]
    pub fn new(bytes: usize, shards: usize) -> Self {
        // The unused chunks of all shards together stay below a quarter of the pool.
        let piece = (bytes / (4 * shards.max(1))).min(1 << 20);
        Self {
            left: Padded(AtomicIsize::new(signed(bytes))),
            piece,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: isize| (left >= signed(bytes)).then(|| left - signed(bytes));
        self.left
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn insist(&self, bytes: usize) {
        self.left.0.fetch_sub(signed(bytes), Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.left.0.fetch_add(signed(bytes), Ordering::Relaxed);
    }
}

impl Lease {
    /// An empty lease from `pool`; `meter` shows the held bytes.
    #[must_use]
    pub fn new(pool: Arc<Pool>, meter: Arc<LoopMeter>) -> Rc<Self> {
        Rc::new(Self {
            pool,
            leased: Cell::new(0),
            held: Cell::new(0),
            overdrawn: Cell::new(0),
            meter,
        })
    }

    /// A holder of no bytes yet.
    #[must_use]
    pub fn hold(self: &Rc<Self>) -> Held {
        Held {
            lease: Rc::clone(self),
            bytes: 0,
        }
    }

    /// Whether this many bytes more could be held now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let unused = self.leased.get() - self.held.get();
        let left = self.pool.left.0.load(Ordering::Relaxed);
        bytes <= unused || signed(bytes - unused) <= left
    }

    fn take(&self, bytes: usize) -> bool {
        let held = self.held.get().saturating_add(bytes);
        if held > self.leased.get() {
            let missing = held - self.leased.get();
            let piece = missing.max(self.pool.piece);
            let taken = if self.pool.take(piece) {
                piece
            } else if self.pool.take(missing) {
                missing
            } else {
                return false;
            };
            self.leased.set(self.leased.get() + taken);
        }
        self.set_held(held);
        true
    }

    fn insist(&self, bytes: usize) {
        if self.take(bytes) {
            return;
        }
        let held = self.held.get().saturating_add(bytes);
        let missing = held - self.leased.get();
        self.pool.insist(missing);
        self.overdrawn.set(self.overdrawn.get() + missing);
        self.leased.set(held);
        self.set_held(held);
    }

    fn give_back(&self, bytes: usize) {
        let held = self.held.get() - bytes;
        self.set_held(held);
        let paid = self.overdrawn.get().min(bytes);
        if paid > 0 {
            self.overdrawn.set(self.overdrawn.get() - paid);
            self.return_to_pool(paid);
        }
        let unused = self.leased.get() - held;
        if unused > 2 * self.pool.piece {
            self.return_to_pool(unused - self.pool.piece);
        }
    }

    fn return_to_pool(&self, bytes: usize) {
        self.leased.set(self.leased.get() - bytes);
        self.pool.give_back(bytes);
    }

    fn set_held(&self, bytes: usize) {
        self.held.set(bytes);
        self.meter.buffered.set(bytes);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(self.leased.get());
    }
}

impl Held {
    /// Holds `bytes` in all from now on, if that is more than before; returns false and changes
    /// nothing where the process may not hold more.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let taken = self.lease.take(more);
        if taken {
            self.bytes = bytes;
        }
        taken
    }

    /// Holds exactly `bytes` in all from now on, even beyond the bound: they are in memory already.
    pub fn insist_on(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.lease.insist(bytes - self.bytes);
        } else {
            self.lease.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    /// The bytes that are held.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        if self.bytes > 0 {
            self.lease.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Every length fits: no buffer is larger than this type can express.
fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(pool: &Arc<Pool>) -> Rc<Lease> {
        Lease::new(Arc::clone(pool), Arc::default())
    }

    #[test]
    fn two_shards_never_hold_more_than_the_pool() {
        let pool = Arc::new(Pool::new(1_000, 2));
        let (one, two) = (lease(&pool), lease(&pool));
        let (mut a, mut b) = (one.hold(), two.hold());
        assert!(a.grow_to(600));
        assert!(!b.grow_to(500), "600 + 500 is over 1,000");
        assert!(two.has_room(400) && !two.has_room(401));
        assert!(b.grow_to(400));
        assert!(!a.grow_to(601));
        drop(b);
        drop(a);
        assert!(
            two.hold().grow_to(700),
            "a shard gives back what it does not use"
        );
    }

    #[test]
    fn everything_comes_back() {
        let pool = Arc::new(Pool::new(1 << 30, 4));
        let lease = lease(&pool);
        for bytes in [1, 4_096, 5 << 20, 1 << 30] {
            let mut held = lease.hold();
            assert!(held.grow_to(bytes));
            held.clear();
            assert!(held.grow_to(1));
        }
        drop(lease);
        assert_eq!(pool.left.0.load(Ordering::Relaxed), 1 << 30);
    }

    #[test]
    fn what_is_there_already_keeps_others_out_until_it_is_given_back() {
        let pool = Arc::new(Pool::new(1_000, 1));
        let lease = lease(&pool);
        let (mut there, mut other) = (lease.hold(), lease.hold());
        there.insist_on(1_500);
        assert_eq!(lease.meter.buffered.get(), 1_500);
        assert!(!lease.has_room(1) && !other.grow_to(1));
        there.insist_on(900);
        assert!(other.grow_to(100) && !other.grow_to(101));
        drop((there, other));
        assert_eq!(lease.meter.buffered.get(), 0);
        drop(lease);
        assert_eq!(pool.left.0.load(Ordering::Relaxed), 1_000);
    }

    proptest::proptest! {
        #[test]
        fn what_is_held_is_always_leased_and_comes_back(steps: Vec<(u8, u8, u16)>) {
            let pool = Arc::new(Pool::new(100_000, 2));
            let shards = [lease(&pool), lease(&pool)];
            let mut held: Vec<Held> = shards.iter().chain(&shards).map(Lease::hold).collect();
            for (which, step, bytes) in steps {
                let bytes = usize::from(bytes);
                let which = usize::from(which % 4);
                let before: usize = held.iter().map(Held::bytes).sum();
                let holder = &mut held[which];
                let own = holder.bytes();
                match step % 5 {
                    0 => {
                        if holder.grow_to(bytes) && bytes > own {
                            let over: usize = shards.iter().map(|one| one.overdrawn.get()).sum();
                            proptest::prop_assert!(before - own + bytes <= 100_000 + over);
                        }
                    }
                    1 => holder.insist_on(bytes),
                    2 => holder.clear(),
                    // The holder is dropped, and another takes its place.
                    3 => *holder = shards[which % 2].hold(),
                    // The holder's owner panics.
                    _ => {
                        let mut taken = std::mem::replace(holder, shards[which % 2].hold());
                        let panics = std::panic::AssertUnwindSafe(move || {
                            taken.insist_on(bytes);
                            std::panic::resume_unwind(Box::new(()));
                        });
                        proptest::prop_assert!(std::panic::catch_unwind(panics).is_err());
                    }
                }
                let leased: usize = shards.iter().map(|lease| lease.leased.get()).sum();
                let left = pool.left.0.load(Ordering::Relaxed);
                proptest::prop_assert_eq!(signed(leased) + left, 100_000);
                let all: usize = held.iter().map(Held::bytes).sum();
                proptest::prop_assert!(all <= leased);
                let shown: u64 = shards.iter().map(|lease| lease.meter.buffered.get()).sum();
                proptest::prop_assert_eq!(shown, all as u64);
            }
            drop((held, shards));
            proptest::prop_assert_eq!(pool.left.0.load(Ordering::Relaxed), 100_000);
        }
    }
}
