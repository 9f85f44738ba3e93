//! Whether a provider can take a request, and why not.

use crate::base::time::Instant;

/// Whether a provider can take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Ready,
    /// Only a limit prevents it.
    Limited {
        /// When the limit allows a request again.
        until: Instant,
        /// The limit.
        limit: Limit,
    },
    /// The provider is out of service.
    Out {
        /// When it may be back in service.
        until: Instant,
        /// Why.
        cause: Cause,
    },
}

/// The limits that can prevent a request to a provider that is in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The provider has said that it wants to be left alone.
    Provider,
    /// Concurrent requests.
    InFlight,
    /// Requests in a minute.
    Requests,
    /// Tokens in a minute.
    Tokens,
    /// The store over which the limits are shared: it is out of reach.
    Store,
}

impl Limit {
    /// The limit's key in the configuration, where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider_rate_limit",
            Self::InFlight => "max_in_flight",
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
            Self::Store => "shared_state",
        }
    }
}

/// Why a provider is out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It failed its last health check.
    Unhealthy,
    /// Its circuit is open, or its one probe is under way.
    Circuit,
    /// An operator has taken it out of rotation.
    TakenOut,
}
