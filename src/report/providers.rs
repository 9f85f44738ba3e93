//! Providers as the management API shows them.

use std::time::Duration;

use serde::Serialize;

use crate::base::time::WallTime;
use crate::report::requests::millis_if;

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type, as the file has it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it passed its last health check.
    pub healthy: bool,
    /// Whether it takes requests as far as operators are concerned.
    pub in_rotation: bool,
    /// When an operator took it out of rotation, while it is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub taken_out_at: Option<WallTime>,
    /// `closed`, `open` or `half-open`.
    pub circuit: &'static str,
    /// When it opened, while it is open.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub circuit_opened_at: Option<WallTime>,
    /// When the circuit becomes half-open, while it is open.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub circuit_recovery_at: Option<WallTime>,
    /// Share of failures over the breaker's window.
    pub error_rate: f64,
    /// The p95 of its response times over the breaker's window.
    #[serde(serialize_with = "millis_if")]
    pub p95_latency_ms: Option<Duration>,
    /// Attempts that ended within the last minute.
    pub requests_last_minute: u64,
    /// Models it lists.
    pub models: &'a [Box<str>],
    /// Caller's name to provider's name.
    #[serde(serialize_with = "pairs")]
    pub model_aliases: &'a [(Box<str>, Box<str>)],
    /// Requests it may still be sent in the window; `null` where there is no limit.
    pub rate_limit_headroom_rpm: Option<u64>,
    /// Tokens it may still be sent in the window; `null` where there is no limit.
    pub rate_limit_headroom_tpm: Option<u64>,
    /// When its health is checked next, about; absent where it is not checked, or was not yet.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub next_check_at: Option<WallTime>,
    /// When its health was last checked.
    #[serde(serialize_with = "rfc_3339")]
    pub last_check_at: Option<WallTime>,
    /// The URL that its health check requests; `null` where it is not checked.
    pub health_check_url: Option<String>,
    /// When it became unhealthy, while it is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub unhealthy_since: Option<WallTime>,
    /// What the last failed health check has found.
    pub last_error: Option<Box<str>>,
    /// When that check ended.
    #[serde(serialize_with = "rfc_3339")]
    pub last_error_at: Option<WallTime>,
}

/// A provider whose circuit was changed by hand.
#[derive(Clone, Debug, Serialize)]
pub struct TurnedReport<'a> {
    /// The provider after the change.
    #[serde(flatten)]
    pub provider: ProviderReport<'a>,
    /// Event loops that do not turn: facts that they have not reported yet are not in the figures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stalled_shards: Vec<String>,
}

/// The body of an answer that holds `report`.
#[must_use]
pub fn body(report: &impl Serialize) -> Vec<u8> {
    // Serializing a report cannot fail: its keys are strings, its numbers finite.
    serde_json::to_vec(report).unwrap_or_default()
}

#[expect(clippy::ref_option, reason = "serde's contract")]
pub(super) fn rfc_3339<S: serde::Serializer>(
    at: &Option<WallTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

fn pairs<S: serde::Serializer>(
    pairs: &&[(Box<str>, Box<str>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, target)| (name, target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_shown_with_the_contracts_names() {
        let models: [Box<str>; 1] = ["m".into()];
        let aliases: [(Box<str>, Box<str>); 1] = [("a".into(), "m".into())];
        let report = ProviderReport {
            name: "p",
            kind: "openai",
            healthy: true,
            in_rotation: false,
            taken_out_at: Some(WallTime::from_unix_millis(0)),
            circuit: "open",
            circuit_opened_at: Some(WallTime::from_unix_millis(0)),
            circuit_recovery_at: None,
            error_rate: 0.5,
            p95_latency_ms: Some(Duration::from_micros(255_999)),
            requests_last_minute: 7,
            models: &models,
            model_aliases: &aliases,
            rate_limit_headroom_rpm: Some(3),
            rate_limit_headroom_tpm: None,
            next_check_at: None,
            last_check_at: None,
            health_check_url: Some("http://h/v1/models".into()),
            unhealthy_since: None,
            last_error: Some("status 503".into()),
            last_error_at: Some(WallTime::from_unix_millis(0)),
        };
        assert_eq!(
            String::from_utf8(body(&[report])).unwrap(),
            "[{\"name\":\"p\",\"type\":\"openai\",\"healthy\":true,\"in_rotation\":false,\
             \"taken_out_at\":\"1970-01-01T00:00:00.000Z\",\"circuit\":\"open\",\
             \"circuit_opened_at\":\"1970-01-01T00:00:00.000Z\",\"error_rate\":0.5,\
             \"p95_latency_ms\":255.999,\"requests_last_minute\":7,\"models\":[\"m\"],\
             \"model_aliases\":{\"a\":\"m\"},\"rate_limit_headroom_rpm\":3,\
             \"rate_limit_headroom_tpm\":null,\"last_check_at\":null,\
             \"health_check_url\":\"http://h/v1/models\",\"last_error\":\"status 503\",\
             \"last_error_at\":\"1970-01-01T00:00:00.000Z\"}]"
        );
    }
}
