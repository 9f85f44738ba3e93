//! A provider's limits of which this instance has a part, where several instances share them.

use crate::link::atomic::Ordering;

use crate::base::time::Instant;
use crate::link::lease::Lease;
use crate::link::provider_gate::ProviderGate;
use crate::link::scope_limits::ScopeLimit;

impl ProviderGate {
    /// Whether the leases of all limits hold that there are.
    pub(super) fn are_held(&self, now: Instant) -> bool {
        let holds = |lease: &Lease| lease.holds(now) || lease.is_open();
        self.quotas()
            .all(|limit| self.lease(limit).is_none_or(holds))
    }

    /// Whether requests are served whatever the limits say: the store is out of reach, and the file
    /// wants it so.
    pub(super) fn is_open(&self) -> bool {
        let lease = self.lease(ScopeLimit::RequestsPerMinute);
        lease.is_some_and(Lease::is_open)
    }

    /// The limits that there are.
    fn quotas(&self) -> impl Iterator<Item = ScopeLimit> {
        let requests = self
            .requests
            .is_some()
            .then_some(ScopeLimit::RequestsPerMinute);
        let tokens = self.tokens.is_some().then_some(ScopeLimit::TokensPerMinute);
        let in_flight = self.in_flight.is_some().then_some(ScopeLimit::InFlight);
        [requests, tokens, in_flight].into_iter().flatten()
    }

    /// The lease of `limit`, where the instance has a part of it only.
    #[must_use]
    pub fn lease(&self, limit: ScopeLimit) -> Option<&Lease> {
        Some(self.leases.as_ref()?.0.of(limit))
    }

    /// The leases of those limits of which the instance's part is too small for a request of
    /// `tokens` tokens, and how much it needs of them.
    pub fn lacks(&self, now: Instant, tokens: u64) -> impl Iterator<Item = (&Lease, u64)> {
        self.quotas().filter_map(move |limit| {
            let lease = self.lease(limit)?;
            let wanted = match limit {
                ScopeLimit::TokensPerMinute => self.tokens.as_ref()?.needed(tokens),
                _ => 1,
            };
            let lacks = wanted > 0 && (self.held(limit) < wanted || !lease.holds(now));
            lacks.then(|| (lease, wanted.unsigned_abs()))
        })
    }

    /// What the word of `limit`, which is leased, holds: the instance's part less what is used.
    #[must_use]
    pub fn held(&self, limit: ScopeLimit) -> i64 {
        let counters = &self.counters;
        match (limit, &self.leases) {
            (ScopeLimit::RequestsPerMinute, _) => counters.requests.0.load(Ordering::Relaxed),
            (ScopeLimit::TokensPerMinute, _) => counters.tokens.0.load(Ordering::Relaxed),
            (ScopeLimit::InFlight, Some(leases)) => leases.0.places(),
            (ScopeLimit::InFlight | ScopeLimit::RequestsPerDay | ScopeLimit::TokensPerDay, _) => 0,
        }
    }

    /// Changes the word of `limit`, which is leased; returns what it holds then. Only the
    /// coordinator calls this.
    pub fn change_part(&self, limit: ScopeLimit, by: i64) -> i64 {
        match (limit, &self.leases) {
            (ScopeLimit::RequestsPerMinute, _) => self.give_back(by, 0),
            (ScopeLimit::TokensPerMinute, _) => self.give_back(0, by),
            (ScopeLimit::InFlight, Some(leases)) => leases.0.give_places(by),
            (ScopeLimit::InFlight | ScopeLimit::RequestsPerDay | ScopeLimit::TokensPerDay, _) => {}
        }
        self.held(limit)
    }
}
