//! The process at a glance, as the management API shows it.

use std::time::Duration;

use serde::Serialize;

use crate::report::requests::millis;

/// The process at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// infermux's version.
    pub version: &'static str,
    /// Time since the start, in whole seconds.
    pub uptime_seconds: u64,
    /// Providers that passed their last health check, whose circuit is not open, and that no
    /// operator has taken out of rotation.
    pub providers_healthy: usize,
    /// All providers.
    pub providers_total: usize,
    /// Providers that an operator has taken out of rotation.
    pub providers_taken_out: usize,
    /// Callers' requests that ended since the start.
    pub requests_total: u64,
    /// Requests of callers that ended within the last minute.
    pub requests_last_minute: u64,
    /// Requests of callers that ended within the last minute with 429 or 5xx.
    pub errors_last_minute: u64,
    /// Event loops that have not turned for 100 ms, named as in metrics.
    pub stalled_shards: Vec<String>,
    /// What has become of usage records, where they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_records: Option<RecordsReport>,
    /// How the instance stands with those that it shares limits and budgets with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedReport>,
}

/// What has become of usage records.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RecordsReport {
    /// `ok`, or `failing` while the file cannot be written.
    pub state: &'static str,
    /// Requests whose records were written.
    pub written: u64,
    /// Requests whose records were dropped.
    pub dropped: u64,
}

/// How an instance stands with those that it shares limits and budgets with.
#[derive(Clone, Debug, Serialize)]
pub struct SharedReport {
    /// `ok`, `learning`, `away` or `lost`.
    pub state: &'static str,
    /// Instances that are heard of, this one included.
    pub members: u64,
    /// How long the store took for its last answer; in milliseconds, with their parts.
    #[serde(rename = "lag_ms", serialize_with = "millis")]
    pub lag: Duration,
    /// What these instances have in common.
    pub namespace: Box<str>,
    /// The name of this one in the store.
    pub instance: Box<str>,
    /// Batches that the store has answered, and that it has not.
    #[serde(skip)]
    pub exchanges: [u64; 2],
}
