//! A scope's limits of which this instance has a part, where several instances share them.

use crate::link::atomic::Ordering;

use crate::base::time::Instant;
use crate::decide::limiter::DayWord;
use crate::link::lease::Lease;
use crate::link::scope_gate::{PART_WAIT, ScopeGate};
use crate::link::scope_limits::{LimitMode, ScopeLimit};
use crate::link::taking::{change, signed};

impl ScopeGate {
    /// Changes the word of `limit`, which is leased; returns what it holds then. Only the
    /// coordinator calls this.
    pub fn change_part(&self, limit: ScopeLimit, by: i64) -> i64 {
        let words = self.words();
        let of_day = |word| change(word, |word: DayWord| word.changed(word.day(), by));
        match limit {
            ScopeLimit::InFlight => {
                self.leases
                    .iter()
                    .for_each(|leases| leases.0.give_places(by));
            }
            ScopeLimit::RequestsPerMinute => self.give_back(by, 0),
            ScopeLimit::TokensPerMinute => self.give_back(0, by),
            ScopeLimit::RequestsPerDay => of_day(&words.day_requests),
            ScopeLimit::TokensPerDay => of_day(&words.day_tokens),
        }
        self.held(limit)
    }

    /// What the word of `limit`, which is leased, holds: the instance's part less what is used.
    #[must_use]
    pub fn held(&self, limit: ScopeLimit) -> i64 {
        self.word((limit, 0))
    }

    /// The leases of those limits of which the instance has too small a part for a request of
    /// `tokens` tokens at `now`, or none any more, and how much it needs of them.
    pub fn lacks(&self, now: Instant, tokens: u64) -> impl Iterator<Item = (&Lease, u64)> {
        ScopeLimit::ALL.into_iter().filter_map(move |limit| {
            let most = self.limits().of(limit)?;
            let lease = self.lease(limit)?;
            let needed = if limit.is_of_tokens() {
                tokens.min(most)
            } else {
                1
            };
            let lacks = needed > 0 && (self.held(limit) < signed(needed) || !lease.holds(now));
            (lacks && self.limits().mode == LimitMode::Refuse).then_some((lease, needed))
        })
    }

    /// When a part of `limit` may be had: soon, where others may have some to spare.
    pub(super) fn until_part(&self, limit: ScopeLimit, now: Instant) -> Instant {
        let soon = now + PART_WAIT;
        let is_spare = self.lease(limit).is_some_and(|one| one.elsewhere() > 0);
        let frees_at = self.words().frees_at.load(Ordering::Relaxed);
        match limit {
            ScopeLimit::RequestsPerMinute | ScopeLimit::TokensPerMinute if frees_at == 0 => soon,
            _ if is_spare => soon,
            _ => self.until(limit, now),
        }
    }
}
