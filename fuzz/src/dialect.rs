//! What vendors insist on, as the tests of the dialects have it.

#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "it belongs to the tests of the dialects"
)]

use serde_json::Value;

#[path = "../../src/dialect/messages/strict_tests.rs"]
mod strict;

/// What Anthropic insists on of a body.
pub(crate) fn check_body(body: &Value) {
    strict::check_body(body);
}
