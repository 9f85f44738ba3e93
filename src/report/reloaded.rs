//! What a reload has changed, as the management API shows it.

use serde::Serialize;

#[derive(Serialize)]
struct Reloaded<'a> {
    status: &'static str,
    changed: &'a [String],
    needs_restart: &'a [&'static str],
}

/// The body of the answer: what has taken effect, and the keys that take effect with a restart.
#[must_use]
pub fn body(changed: &[String], needs_restart: &[&'static str]) -> Vec<u8> {
    let reloaded = Reloaded {
        status: "reloaded",
        changed,
        needs_restart,
    };
    // Nothing in it can fail to be written.
    serde_json::to_vec(&reloaded).unwrap_or_default()
}
