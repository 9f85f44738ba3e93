//! `server.max_buffered_bytes`: one bound on the bodies that all shards hold in memory.
//!
//! A shard leases bytes from the process's word in larger pieces and counts within its lease, so
//! that a small request touches no shared word. Leased is never less than held: the bound is exact
//! from above, and a shard is refused at most its neighbours' unused pieces too early.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::link::Padded;

/// What the whole process may still lease, in bytes.
#[derive(Debug)]
pub struct Pool {
    left: Padded<AtomicUsize>,
    piece: usize,
}

/// One shard's lease.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    leased: Cell<usize>,
    held: Cell<usize>,
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
        // All shards' unused pieces together stay below a quarter of the pool.
        let piece = (bytes / (4 * shards.max(1))).min(1 << 20);
        Self {
            left: Padded(AtomicUsize::new(bytes)),
            piece,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.left
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Lease {
    /// An empty lease from `pool`.
    #[must_use]
    pub fn new(pool: Arc<Pool>) -> Rc<Self> {
        Rc::new(Self {
            pool,
            leased: Cell::new(0),
            held: Cell::new(0),
        })
    }

    /// A holder of nothing yet.
    #[must_use]
    pub fn hold(self: &Rc<Self>) -> Held {
        Held {
            lease: Rc::clone(self),
            bytes: 0,
        }
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
        self.held.set(held);
        true
    }

    fn give_back(&self, bytes: usize) {
        let held = self.held.get() - bytes;
        self.held.set(held);
        let unused = self.leased.get() - held;
        if unused > 2 * self.pool.piece {
            let back = unused - self.pool.piece;
            self.leased.set(self.leased.get() - back);
            self.pool.give_back(back);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(self.leased.get());
    }
}

impl Held {
    /// Holds `bytes` in all from now on; false, and no change, where the process may not hold more.
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

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.lease.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shards_never_hold_more_than_the_pool() {
        let pool = Arc::new(Pool::new(1_000, 2));
        let (one, two) = (Lease::new(Arc::clone(&pool)), Lease::new(Arc::clone(&pool)));
        let (mut a, mut b) = (one.hold(), two.hold());
        assert!(a.grow_to(600));
        assert!(!b.grow_to(500), "600 + 500 is over 1,000");
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
        let lease = Lease::new(Arc::clone(&pool));
        for bytes in [1, 4_096, 5 << 20, 1 << 30] {
            let mut held = lease.hold();
            assert!(held.grow_to(bytes));
            held.clear();
            assert!(held.grow_to(1));
        }
        drop(lease);
        assert_eq!(pool.left.0.load(Ordering::Relaxed), 1 << 30);
    }

    proptest::proptest! {
        #[test]
        fn what_is_held_is_always_leased(steps: Vec<(u8, u16)>) {
            let pool = Arc::new(Pool::new(100_000, 2));
            let shards = [Lease::new(Arc::clone(&pool)), Lease::new(Arc::clone(&pool))];
            let mut held: Vec<Held> = shards.iter().map(Lease::hold).collect();
            for (which, bytes) in steps {
                let holder = &mut held[usize::from(which % 2)];
                if which % 3 == 0 {
                    holder.clear();
                } else {
                    let _ = holder.grow_to(usize::from(bytes));
                }
                let leased: usize = shards.iter().map(|lease| lease.leased.get()).sum();
                let left = pool.left.0.load(Ordering::Relaxed);
                proptest::prop_assert_eq!(leased + left, 100_000);
                proptest::prop_assert!(held.iter().map(|h| h.bytes).sum::<usize>() <= leased);
            }
        }
    }
}
