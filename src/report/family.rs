//! All metrics by what they tell, and how each behaves.

/// One metric with all its labels; [`ROWS`](crate::report::metrics::ROWS) describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Requests,
    Errors,
    Latency,
    FirstToken,
    Overhead,
    Tokens,
    Cost,
    FailedCost,
    Estimated,
    Unpriced,
    Attempts,
    ParametersChanged,
    Failovers,
    RetriesDenied,
    Affinity,
    Disconnects,
    InFlight,
    Connections,
    ProviderHealthy,
    ProviderTakenOut,
    CircuitState,
    CircuitTransitions,
    Headroom,
    RateLimit,
    BudgetSpent,
    BudgetLimit,
    BudgetAlerts,
    BudgetRefusals,
    ScopeLimit,
    ScopeLimitLeft,
    ScopeLimitRefused,
    ScopeLimitExceeded,
    ScopeBudgetLimit,
    ScopeBudgetSpent,
    ScopeBudgetAlerts,
    ScopeBudgetRefusals,
    StateWriteFailures,
    WebhookNotices,
    ConfigReloads,
    UsageRecords,
    UsageWriteFailures,
    Spans,
    SharedState,
    SharedMembers,
    SharedLag,
    SharedExchanges,
    ResponsesDropped,
    ResponsesRemembered,
    Buffered,
    ShardRequests,
    ShardConnections,
    ShardCpu,
    ShardDelay,
    ShardStalls,
    BuildInfo,
    ProcessCpu,
    ProcessResident,
    ProcessVirtual,
    ProcessOpenFiles,
    ProcessMaxFiles,
    ProcessStart,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts how many values are below each of some bounds.
    Histogram,
}

impl Kind {
    /// Its name in the text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
