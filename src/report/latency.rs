//! How long providers and infermux take, as the management API shows it.

use serde::Serialize;

/// Everything that is timed.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyReport<'a> {
    /// What infermux itself adds to answers.
    pub overhead: Spread,
    /// What providers take to the end of an answer, or to the first content of a stream.
    pub latency: Spread,
    /// What providers take to the first content of a stream.
    pub first_token: Spread,
    /// The same by provider and model.
    pub series: Vec<SeriesReport<'a>>,
}

/// One model of one provider.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesReport<'a> {
    /// The provider.
    pub provider: &'a str,
    /// Its name for the model.
    pub model: &'a str,
    /// To the end of an answer, or to the first content of a stream.
    pub latency: Spread,
    /// To the first content of a stream.
    pub first_token: Spread,
}

/// Durations since the start; percentiles are right to 2 %.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: Option<f64>,
    /// 95 % of them took no longer.
    pub p95_ms: Option<f64>,
    /// 99 % of them took no longer.
    pub p99_ms: Option<f64>,
    /// The buckets that hold some: the upper bound in milliseconds, a twentieth of an octave above
    /// the lower one, and how many there are.
    pub buckets: Vec<(f64, u64)>,
}
