//! The figures that machines are built with, as the Plan has them.

use std::time::Duration;

/// A circuit breaker's figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Share of failures that opens the circuit, over the window, in thousandths.
    pub error_rate_permille: u32,
    /// Failures in a row that open the circuit at once.
    pub consecutive_failures: u32,
    /// The p95 that opens the circuit.
    pub latency_p95: Duration,
    /// Whether `latency_p95` covers every answer (because the file sets it) or only the time to a
    /// stream's first content.
    pub latency_covers_all: bool,
    /// Length of the sliding window.
    pub window: Duration,
    /// Requests the window must hold before rates and percentiles count.
    pub min_requests: u32,
    /// How long the circuit stays open before a probe.
    pub recovery_window: Duration,
    /// How long a probe may take.
    pub probe_timeout: Duration,
    /// The factor by which each failed probe lengthens the recovery window, in thousandths.
    pub backoff_permille: u32,
    /// The longest recovery window.
    pub backoff_max: Duration,
    /// Whether a 429 counts as a failure.
    pub rate_limit_is_error: bool,
}

/// The figures of `least_latency`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyPolicy {
    /// Share of each sample in the average, in thousandths.
    pub ewma_decay_permille: u32,
    /// Samples below which a provider counts as the fastest.
    pub min_samples: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            error_rate_permille: 500,
            consecutive_failures: 5,
            latency_p95: Duration::from_millis(5_000),
            latency_covers_all: false,
            window: Duration::from_secs(60),
            min_requests: 10,
            recovery_window: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(5),
            backoff_permille: 1_000,
            backoff_max: Duration::from_secs(600),
            rate_limit_is_error: false,
        }
    }
}

impl Default for LatencyPolicy {
    fn default() -> Self {
        Self {
            ewma_decay_permille: 100,
            min_samples: 5,
        }
    }
}
