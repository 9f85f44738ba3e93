//! The last five minutes as the management API shows them.

use serde::{Serialize, Serializer};

use crate::base::time::WallTime;
use crate::report::dollars::Usd;
use crate::report::requests::shown;

/// `/_infermux/recent`
#[derive(Clone, Debug, Serialize)]
pub struct RecentReport<'a> {
    /// Now, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub time: WallTime,
    /// Callers' connections that are open.
    pub caller_connections: u64,
    /// The last five minutes as one; less after a start.
    pub window: WindowReport,
    /// The same in parts of about five seconds, the oldest first; the last one is still running.
    pub points: Vec<PointReport>,
    /// infermux's own errors.
    pub errors: Vec<CodeReport>,
    /// Statuses from 400 on that callers were told.
    pub statuses: Vec<StatusCount>,
    /// The providers, in the order of the file.
    pub providers: Vec<TrafficReport<'a>>,
}

/// The last five minutes as one.
#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    /// How long they are.
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, those that were told 429 or 5xx.
    pub errors: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// What they cost.
    pub cost_usd: Usd,
    /// Time until the end of an answer, or until the first content of a stream.
    pub latency: TimesReport,
    /// Time until the first content of a stream.
    pub first_token: TimesReport,
}

/// A few seconds.
#[derive(Clone, Debug, Serialize)]
pub struct PointReport {
    /// When they began, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub start: WallTime,
    /// How long they were.
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, those that were told 429 or 5xx.
    pub errors: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// What they cost.
    pub cost_usd: Usd,
    /// Time until the end of an answer, or until the first content of a stream.
    pub latency: TimesReport,
    /// Time until the first content of a stream.
    pub first_token: TimesReport,
}

/// Durations; percentiles are right to 2 %.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimesReport {
    /// Their number.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 95 % of them took no longer.
    pub p95_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub p99_ms: Option<f64>,
}

/// How often infermux has answered with an error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CodeReport {
    /// The error's code.
    pub code: &'static str,
    /// In the last five minutes.
    pub last_5_minutes: u64,
    /// Since the start.
    pub since_start: u64,
}

/// How often callers were told a status.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StatusCount {
    /// The status.
    pub status: u16,
    /// In the last five minutes.
    pub last_5_minutes: u64,
    /// Since the start.
    pub since_start: u64,
}

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport<'a> {
    /// Its name.
    pub provider: &'a str,
    /// Requests that it has not answered yet.
    pub in_flight: u64,
    /// Attempts that failed since the start, by their outcome.
    #[serde(serialize_with = "pairs")]
    pub failed_attempts: Vec<(&'static str, u64)>,
    /// Tokens of prompts since the start.
    pub prompt_tokens: u64,
    /// Of these, those that were read from a cache.
    pub cache_read_tokens: u64,
}

fn pairs<S: Serializer>(pairs: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}
