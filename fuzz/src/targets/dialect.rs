//! What vendors insist on, as the tests of the dialects have it.

#![expect(clippy::unwrap_used, dead_code, reason = "it belongs to the tests of the dialects")]

#[path = "../../../../src/dialect/messages/strict_tests.rs"]
pub(super) mod strict;
