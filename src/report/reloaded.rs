//! What a reload has changed, as the management API shows it.

use serde::Serialize;

#[derive(Serialize)]
struct Reloaded<'a> {
    status: &'static str,
    changed: &'a [String],
    needs_restart: &'a [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stalled_shards: &'a [String],
}

/// The body of the answer: the changes that have taken effect, the keys that take effect with a
/// restart, and the event loops that adopt the file once they turn.
#[must_use]
pub fn body(
    changed: &[String],
    needs_restart: &[&'static str],
    stalled_shards: &[String],
) -> Vec<u8> {
    let reloaded = Reloaded {
        status: "reloaded",
        changed,
        needs_restart,
        stalled_shards,
    };
    // Serializing it cannot fail.
    serde_json::to_vec(&reloaded).unwrap_or_default()
}
