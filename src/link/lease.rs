//! The words of quotas that are leased from the store over which several instances share.
//!
//! A word that requests take from holds the instance's part of a limit less what is used of it. The
//! words here say how long the instance has that part, and what requests lack.

use crate::link::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::base::time::Instant;
use crate::link::Padded;
use crate::link::scope_limits::ScopeLimit;

/// The words of one leased quota.
#[derive(Debug)]
pub struct Lease {
    /// Until when requests may take from the quota.
    until: AtomicU64,
    /// Until when it is no use to wait for more.
    vain_until: AtomicU64,
    /// What requests that lack some have needed since the coordinator last looked, and what the
    /// least of them has.
    lacked: AtomicU64,
    unit: AtomicU64,
    /// For a limit, what no instance has, as far as is known; for a budget, what others have spent.
    elsewhere: AtomicU64,
    /// Whether requests are served whatever the word says.
    is_open: AtomicBool,
}

/// What requests need that lack some of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacked {
    /// All of them together.
    pub sum: u64,
    /// The least of them.
    pub unit: u64,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            until: AtomicU64::new(0),
            vain_until: AtomicU64::new(0),
            lacked: AtomicU64::new(0),
            unit: AtomicU64::new(u64::MAX),
            elsewhere: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
        }
    }
}

impl Lease {
    /// Whether requests may take from the quota at `now`.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        now.as_nanos() < self.until.load(Ordering::Relaxed)
    }

    /// Whether it is no use to wait for more at `now`.
    #[must_use]
    pub fn is_vain(&self, now: Instant) -> bool {
        now.as_nanos() < self.vain_until.load(Ordering::Relaxed)
    }

    /// For a limit, what no instance has, as far as is known; for a budget, what others have spent.
    #[must_use]
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// Whether requests are served whatever the word says: the store is out of reach, and the file
    /// wants it so.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Notes that a request needs `amount`, which is not there; returns whether the coordinator
    /// must be told to look.
    #[must_use]
    pub fn lack(&self, amount: u64) -> bool {
        let amount = amount.clamp(1, LACKED_MAX);
        self.unit.fetch_min(amount, Ordering::Relaxed);
        self.lacked.fetch_add(amount, Ordering::Release) == 0
    }

    /// What was needed since the last call; only the coordinator calls this.
    #[must_use]
    pub fn take_lacked(&self) -> Option<Lacked> {
        let sum = self.lacked.swap(0, Ordering::Acquire);
        if sum == 0 {
            // A request may have noted its amount as the least, and not yet added it.
            return None;
        }
        let unit = self.unit.swap(u64::MAX, Ordering::Relaxed).min(sum);
        Some(Lacked { sum, unit })
    }

    /// Publishes until when requests may take; only the coordinator calls this.
    pub fn set_until(&self, until: Instant) {
        self.until.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Publishes until when it is no use to wait; only the coordinator calls this.
    pub fn set_vain_until(&self, until: Instant) {
        self.vain_until.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Publishes whether requests are served in any case; only the coordinator calls this.
    pub fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Publishes what there is elsewhere; only the coordinator calls this.
    pub fn set_elsewhere(&self, amount: u64) {
        self.elsewhere.store(amount, Ordering::Relaxed);
    }
}

/// The leases of a scope's limits, or of a provider's.
#[derive(Debug, Default)]
pub struct Leases {
    /// The instance's part of the requests at once, less those under way.
    pub(super) places: AtomicI64,
    of: [Lease; ScopeLimit::ALL.len()],
}

impl Leases {
    /// No part of anything.
    #[must_use]
    pub(super) fn none() -> Padded<Self> {
        Padded(Self::default())
    }

    /// That of `limit`.
    #[must_use]
    pub const fn of(&self, limit: ScopeLimit) -> &Lease {
        &self.of[limit as usize]
    }

    /// The instance's part of the requests at once, less those under way.
    pub(super) fn places(&self) -> i64 {
        self.places.load(Ordering::Relaxed)
    }

    /// Whether there is no place.
    pub(super) fn is_full(&self) -> bool {
        self.places() <= 0 && !self.of(ScopeLimit::InFlight).is_open()
    }

    /// Gives places back.
    pub(super) fn give_places(&self, count: i64) {
        self.places.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes a place; returns whether there was one.
    pub(super) fn take_place(&self) -> bool {
        let is_open = self.of(ScopeLimit::InFlight).is_open();
        let less = |left| (left > 0 || is_open).then(|| left - 1);
        let places = &self.places;
        let taken = places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }
}

/// The lease of a budget.
#[derive(Debug, Default)]
pub struct BudgetLease {
    /// Its words.
    pub lease: Lease,
    /// Whether a request may reserve less than its estimate: one instance of all may have such a
    /// request.
    may_exceed: AtomicBool,
    /// The part of what others have spent that instances which have died had leased, and did not
    /// tell to be spent: nano-dollars.
    lost: AtomicU64,
}

impl BudgetLease {
    /// Whether a request may reserve less than its estimate.
    #[must_use]
    pub fn may_exceed(&self) -> bool {
        self.may_exceed.load(Ordering::Acquire)
    }

    /// The part of what others have spent that instances which have died had leased, and did not
    /// tell to be spent, in nano-dollars.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Publishes that part; only the coordinator calls this.
    pub fn set_lost(&self, amount: u64) {
        self.lost.store(amount, Ordering::Relaxed);
    }

    /// Publishes whether one may; only the coordinator calls this.
    pub fn set_may_exceed(&self, may: bool) {
        self.may_exceed.store(may, Ordering::Release);
    }
}

/// The most that one request is noted to lack, so that sums stay within their word.
const LACKED_MAX: u64 = 1 << 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_its_end() {
        let lease = Lease::default();
        assert!(!lease.holds(Instant::ZERO));
        lease.set_until(Instant::from_nanos(5));
        assert!(lease.holds(Instant::from_nanos(4)) && !lease.holds(Instant::from_nanos(5)));
        lease.set_until(Instant::NEVER);
        assert!(lease.holds(Instant::from_nanos(u64::MAX - 1)));
    }

    #[test]
    fn the_coordinator_is_told_once_of_what_several_lack() {
        let lease = Lease::default();
        assert_eq!(lease.take_lacked(), None);
        assert!(lease.lack(7) && !lease.lack(3) && !lease.lack(9));
        assert_eq!(lease.take_lacked(), Some(Lacked { sum: 19, unit: 3 }));
        assert_eq!(lease.take_lacked(), None);
        assert!(lease.lack(0));
        assert_eq!(lease.take_lacked(), Some(Lacked { sum: 1, unit: 1 }));
    }

    #[test]
    fn places_are_taken_while_there_are_some() {
        let leases = Leases::default();
        assert!(!leases.take_place());
        leases.places.fetch_add(1, Ordering::Relaxed);
        assert!(leases.take_place() && !leases.take_place());
    }
}
