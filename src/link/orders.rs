//! What the coordinator tells the shards: changes of the published words.

use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::link::facts::MonthTag;

/// One change of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A circuit's state.
    Circuit {
        /// Whose.
        provider: ProviderId,
        /// What it is from now on.
        state: Circuit,
    },
    /// Whether a provider passed its last health check.
    Health {
        /// Who.
        provider: ProviderId,
        /// What it is from now on.
        state: Health,
    },
    /// Requests and tokens that may be sent in addition (or fewer) from now on.
    Headroom {
        /// To whom.
        provider: ProviderId,
        /// Requests that have left the window.
        requests: i64,
        /// Tokens that have left the window or were not used.
        tokens: i64,
    },
    /// When the next request leaves a provider's window.
    FreesAt {
        /// Whose.
        provider: ProviderId,
        /// When.
        at: Instant,
    },
    /// The average response time over all shards.
    Average {
        /// Whose.
        provider: ProviderId,
        /// How long it takes.
        average: Duration,
        /// Samples in it.
        samples: u32,
    },
    /// A provider is left alone until then; never earlier than what was ordered before.
    Cooldown {
        /// Who.
        provider: ProviderId,
        /// Until when.
        until: Instant,
    },
    /// A budget's balance changes by this much, since the configuration allows another amount.
    Balance {
        /// Whose.
        budget: BudgetId,
        /// The running month.
        month: MonthTag,
        /// Nano-dollars.
        change: i64,
    },
    /// A month begins for a budget's words.
    Month {
        /// Whose.
        budget: BudgetId,
        /// Which month.
        month: MonthTag,
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
    /// Out of service, at least until then.
    Open {
        /// When the next probe may be sent.
        until: Instant,
    },
    /// One probe may be sent: whoever takes the permit of this generation sends it.
    HalfOpen {
        /// Tells this phase from the ones before.
        generation: u32,
        /// When the phase ends if the permit has been taken and nothing is heard.
        until: Instant,
    },
}

/// Whether a provider passed its last health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It did, or is not checked.
    Healthy,
    /// It did not.
    Unhealthy,
}
