//! Requests that failed, were refused or were slow, as the management API shows them: never what
//! they or their answers say.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::base::time::WallTime;
use crate::report::dollars::Usd;

/// `/_infermux/requests`
#[derive(Clone, Debug, Serialize)]
pub struct RequestsReport {
    /// From when on requests are slow.
    pub slow_from_ms: SlowFrom,
    /// The requests, the newest first.
    pub requests: Vec<RequestReport>,
}

/// From when on requests are slow, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SlowFrom {
    /// The first content of a stream.
    #[serde(serialize_with = "millis")]
    pub first_content: Duration,
    /// An answer that is not streamed.
    #[serde(serialize_with = "millis")]
    pub whole_answer: Duration,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct RequestReport {
    /// When it ended, RFC 3339.
    #[serde(serialize_with = "shown")]
    pub time: WallTime,
    /// `failed`, `refused` or `slow`.
    pub kind: &'static str,
    /// Its id.
    pub request_id: Box<str>,
    /// The provider's own id for it.
    pub upstream_request_id: Option<Box<str>>,
    /// The endpoint's name.
    pub endpoint: Option<&'static str>,
    /// The caller that it is counted for.
    pub caller: Option<Box<str>>,
    /// The name of the caller's key.
    pub key: Option<Box<str>>,
    /// The team of that key.
    pub team: Option<Box<str>>,
    /// The model that was asked for.
    pub model: Option<Box<str>>,
    /// The provider that was asked last.
    pub provider: Option<Box<str>>,
    /// That provider's name for the model.
    pub provider_model: Option<Box<str>>,
    /// The status that the caller was told; 499 for a caller that left.
    pub status: u16,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// Whether a stream was asked for.
    pub stream: Option<bool>,
    /// Providers tried.
    pub attempts: u32,
    /// From the head's arrival to the answer's last byte.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// From the head's arrival to the answer's first byte.
    #[serde(rename = "first_byte_ms", serialize_with = "millis_if")]
    pub first_byte: Option<Duration>,
    /// What it cost.
    pub cost_usd: Option<Usd>,
    /// What attempts cost that failed after their provider had begun to answer.
    pub failed_cost_usd: Option<Usd>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's contract")]
pub(super) fn shown<S: Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// To the microsecond.
pub(super) fn millis<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = (span.as_secs_f64() * 1_000_000.0).round();
    serializer.serialize_f64(micros / 1_000.0)
}

#[expect(clippy::ref_option, reason = "serde's contract")]
pub(super) fn millis_if<S: Serializer>(
    span: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => millis(span, serializer),
        None => serializer.serialize_none(),
    }
}
