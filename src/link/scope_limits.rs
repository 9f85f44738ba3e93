//! The limits that a scope of callers may have, and what is left of them.

use crate::base::time::Instant;
use crate::link::origin::Origin;

/// A scope's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLimits {
    /// How much each limit allows; `None`: there is no such limit.
    pub most: [Option<u64>; ScopeLimit::ALL.len()],
    /// Whether they refuse.
    pub mode: LimitMode,
    /// Where their quotas come from.
    pub origin: Origin,
}

/// What limits do with a request that exceeds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// They refuse it.
    #[default]
    Refuse,
    /// They only count it.
    Count,
}

/// The limits that a scope may have, in the order in which a request passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ScopeLimit {
    /// Requests at once.
    InFlight,
    /// Requests in any minute.
    RequestsPerMinute,
    /// Tokens in any minute.
    TokensPerMinute,
    /// Requests in a day, UTC.
    RequestsPerDay,
    /// Tokens in a day, UTC.
    TokensPerDay,
}

/// What is left of a scope's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLeft(pub(super) [Option<LimitLeft>; ScopeLimit::ALL.len()]);

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitLeft {
    /// The limit.
    pub limit: u64,
    /// What is used of it, reservations included; more than the limit where that is exceeded.
    pub used: u64,
    /// What is left of it.
    pub left: u64,
    /// When more is left; not after the moment of the question when all of it is left.
    pub resets: Instant,
}

impl ScopeLimit {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::InFlight,
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::RequestsPerDay,
        Self::TokensPerDay,
    ];

    /// Whether it counts tokens.
    #[must_use]
    pub const fn is_of_tokens(self) -> bool {
        matches!(self, Self::TokensPerMinute | Self::TokensPerDay)
    }

    /// The limit's key in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InFlight => "max_in_flight",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::TokensPerDay => "tokens_per_day",
        }
    }
}

/// A set of limits, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitSet(u8);

impl LimitSet {
    const COUNTED: Self = Self((1 << ScopeLimit::ALL.len()) - 1 - Self::of(ScopeLimit::InFlight).0);
    const TOKENS: Self =
        Self(Self::of(ScopeLimit::TokensPerMinute).0 | Self::of(ScopeLimit::TokensPerDay).0);

    pub(super) const fn of(limit: ScopeLimit) -> Self {
        Self(1 << limit as u8)
    }

    pub(super) const fn has(self, limit: ScopeLimit) -> bool {
        self.meets(Self::of(limit))
    }

    pub(super) const fn insert(&mut self, limit: ScopeLimit) {
        self.0 |= Self::of(limit).0;
    }

    /// Whether requests or tokens are among them, which the coordinator counts.
    pub(super) const fn are_counted(self) -> bool {
        self.meets(Self::COUNTED)
    }

    /// Whether tokens are among them.
    pub(super) const fn are_of_tokens(self) -> bool {
        self.meets(Self::TOKENS)
    }

    const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

/// In the order in which a request passes them.
impl Iterator for LimitSet {
    type Item = ScopeLimit;

    #[inline]
    fn next(&mut self) -> Option<ScopeLimit> {
        let first = ScopeLimit::ALL.get(self.0.trailing_zeros() as usize)?;
        self.0 &= self.0.wrapping_sub(1);
        Some(*first)
    }
}

impl ScopeLimits {
    /// The limits that there are.
    pub(super) fn there(&self) -> LimitSet {
        let mut set = LimitSet::default();
        let there = |limit: &ScopeLimit| self.of(*limit).is_some();
        for limit in ScopeLimit::ALL.into_iter().filter(there) {
            set.insert(limit);
        }
        set
    }

    /// How much `limit` allows.
    #[must_use]
    pub const fn of(&self, limit: ScopeLimit) -> Option<u64> {
        self.most[limit as usize]
    }

    /// Whether requests or tokens are limited, so that admissions and ends must be reported.
    #[must_use]
    pub fn must_be_told(&self) -> bool {
        self.there().are_counted()
    }
}

impl ScopeLeft {
    /// What is left of `limit`; `None`: there is no such limit.
    #[must_use]
    pub const fn of(&self, limit: ScopeLimit) -> Option<LimitLeft> {
        self.0[limit as usize]
    }
}
