//! How long providers and infermux take, as the management API shows it.

use serde::Serialize;

/// All times.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyReport<'a> {
    /// Time that infermux adds to answers.
    pub overhead: Spread,
    /// Time until the end of an answer, or until the first content of a stream.
    pub latency: Spread,
    /// Time until the first content of a stream.
    pub first_token: Spread,
    /// The times by provider and model.
    pub series: Vec<SeriesReport<'a>>,
}

/// One model of one provider.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesReport<'a> {
    /// The provider.
    pub provider: &'a str,
    /// Its name for the model.
    pub model: &'a str,
    /// Time until the end of an answer, or until the first content of a stream.
    pub latency: Spread,
    /// Time until the first content of a stream.
    pub first_token: Spread,
}

/// Durations since the start; percentiles are right to 2 %.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// Their number.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 95 % of them took no longer.
    pub p95_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub p99_ms: Option<f64>,
    /// The buckets that are not empty: each with its upper bound in milliseconds, a twentieth of an
    /// octave above the lower one, and its number of durations.
    pub buckets: Vec<(f64, u64)>,
}
