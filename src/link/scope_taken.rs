//! What a request has taken of a scope's limits, or why it may not.

use crate::base::period::PeriodTag;
use crate::base::time::Instant;
use crate::link::origin::Origin;
use crate::link::scope_limits::{LimitSet, ScopeLimit};

/// What a request has taken from a scope's words. Its holder either cancels it, or reports it,
/// settles it once and releases its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeTaken {
    /// Tokens taken from the minute, and from the day.
    pub(super) tokens: [u64; 2],
    /// The days from whose requests one, and from whose tokens some were taken, as far as these
    /// are limited.
    pub(super) days: [PeriodTag; 2],
    /// The limits that count it.
    pub(super) counting: LimitSet,
    /// Those of them that it exceeds.
    pub(super) exceeded: LimitSet,
    /// Whether parts of them are leased.
    pub(super) origin: Origin,
}

/// Why a scope refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeRefusal {
    /// The limit that refuses it.
    pub limit: ScopeLimit,
    /// When it may allow such a request.
    pub until: Instant,
    /// What is missing.
    pub missing: Missing,
}

/// What a request misses that a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// All of the limit is used.
    Limit,
    /// The instance's part of it is too small: another one may be leased.
    Part,
    /// The lease has ended: the store is out of reach.
    Lease,
}

impl ScopeTaken {
    /// Requests taken from the minute: one, or none where it has no limit.
    #[inline]
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.counting.has(ScopeLimit::RequestsPerMinute) as u64
    }

    /// Tokens taken from the minute.
    #[inline]
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens[0]
    }

    /// The day from whose requests one was taken.
    #[inline]
    #[must_use]
    pub fn request_of(&self) -> Option<PeriodTag> {
        let is_limited = self.counting.has(ScopeLimit::RequestsPerDay);
        is_limited.then_some(self.days[0])
    }

    /// The day from whose tokens some were taken, and how many.
    #[inline]
    #[must_use]
    pub fn tokens_of(&self) -> Option<(PeriodTag, u64)> {
        let is_limited = self.counting.has(ScopeLimit::TokensPerDay);
        is_limited.then_some((self.days[1], self.tokens[1]))
    }

    /// Whether it exceeds limits that do not refuse.
    #[must_use]
    pub fn exceeds(&self) -> bool {
        self.exceeded != LimitSet::default()
    }

    /// Whether the coordinator is to be told that it was taken: requests or tokens are limited.
    #[must_use]
    pub const fn must_be_told(&self) -> bool {
        self.counting.are_counted()
    }

    /// Whether the coordinator is to be told what the request has used: tokens are limited, or
    /// others may have what comes back. The end of any other request changes no count of it.
    #[must_use]
    pub const fn end_must_be_told(&self) -> bool {
        let is_leased = matches!(self.origin, Origin::Leased);
        self.counting.are_of_tokens() || (is_leased && self.must_be_told())
    }

    /// Whether its end changes a word.
    #[must_use]
    pub const fn must_be_settled(&self) -> bool {
        self.counting.are_of_tokens() || self.counting.has(ScopeLimit::InFlight)
    }
}
