//! What must never be seen in the log or in an answer.

/// The beginning of every key that the router has for providers.
pub(super) const KEY: &str = "sk-key-of-chaos";
/// The operators' token.
pub(super) const TOKEN: &str = "operators-token-of-chaos";
