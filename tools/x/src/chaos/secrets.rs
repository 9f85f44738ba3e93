//! What must never be seen in the log or in an answer.

/// The beginning of every key that the router has for providers.
pub(super) const KEY: &str = "sk-key-of-chaos";
/// The operators' token.
pub(super) const TOKEN: &str = "operators-token-of-chaos";
/// Callers' keys: the name of each, and the whole key. Both are of the team `crew`.
pub(super) const CALLERS: [(&str, &str); 2] = [
    ("one", "sk-key-of-chaos-caller-one"),
    ("two", "sk-key-of-chaos-caller-two"),
];
