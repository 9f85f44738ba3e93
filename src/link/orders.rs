//! What the coordinator tells the shards: changes of the published words.

use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId, ScopeId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::base::time::Instant;

/// One change of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A circuit's state.
    Circuit {
        /// The provider.
        provider: ProviderId,
        /// Its circuit from now on.
        state: Circuit,
    },
    /// Whether a provider passed its last health check.
    Health {
        /// The provider.
        provider: ProviderId,
        /// Its health from now on.
        state: Health,
    },
    /// Whether an operator has taken a provider out of rotation.
    Rotation {
        /// The provider.
        provider: ProviderId,
        /// Its place from now on.
        state: Rotation,
    },
    /// Requests and tokens that a provider may be sent, or a scope may send, in addition (or
    /// fewer) from now on.
    Headroom {
        /// The provider or scope.
        subject: Subject,
        /// Requests that have left the window.
        requests: i64,
        /// Tokens that have left the window or were not used.
        tokens: i64,
    },
    /// When the next request leaves a window.
    FreesAt {
        /// The provider or scope whose window it is.
        subject: Subject,
        /// That moment; [`Instant::ZERO`] when the window is empty.
        at: Instant,
    },
    /// A day begins for a scope's words.
    Day {
        /// The scope.
        scope: ScopeId,
        /// The day that begins.
        day: PeriodTag,
        /// Requests that are left of it; below zero where more were made.
        requests: i64,
        /// Tokens that are left of it; below zero where more were used.
        tokens: i64,
    },
    /// What is left of a day changes, since a reload changed the limits.
    DayChange {
        /// The scope.
        scope: ScopeId,
        /// The running day.
        day: PeriodTag,
        /// By how many requests.
        requests: i64,
        /// By how many tokens.
        tokens: i64,
    },
    /// When the running day ends.
    DayEnds {
        /// That moment.
        at: Instant,
    },
    /// A provider's average response time over all shards.
    Average {
        /// The provider.
        provider: ProviderId,
        /// The average.
        average: Duration,
        /// Samples in it.
        samples: u32,
    },
    /// A provider is left alone until a moment, never an earlier one than ordered before.
    Cooldown {
        /// The provider.
        provider: ProviderId,
        /// That moment.
        until: Instant,
    },
    /// A budget's balance changes, since a reload changed the amount.
    Balance {
        /// The budget.
        budget: BudgetId,
        /// The running period.
        period: PeriodTag,
        /// By how much, in nano-dollars.
        change: i64,
    },
    /// A budget has missed spend of its scope, since a file was in force that did not have it.
    Missed {
        /// The budget.
        budget: BudgetId,
        /// The running period.
        period: PeriodTag,
        /// How much was spent meanwhile.
        cost: NanoUsd,
    },
    /// A period begins for a budget's words.
    Period {
        /// The budget.
        budget: BudgetId,
        /// The period that begins.
        period: PeriodTag,
        /// What may still be spent in it, in nano-dollars; below zero where it is overdrawn.
        balance: i64,
        /// What has been spent in it.
        spent: NanoUsd,
    },
}

/// A circuit as every shard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// In service.
    Closed,
    /// Out of service, at least until a moment.
    Open {
        /// When the next probe may be sent.
        until: Instant,
    },
    /// One probe may be sent, by the shard that takes the permit of this generation.
    HalfOpen {
        /// Distinguishes this phase from earlier ones.
        generation: u32,
        /// When the phase ends if the permit has been taken and its probe has not ended.
        until: Instant,
    },
}

/// Whether a provider takes requests as far as operators are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It does.
    In,
    /// An operator has taken it out.
    Out,
}

/// Whether a provider passed its last health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It passed, or is not checked.
    Healthy,
    /// It failed.
    Unhealthy,
}
