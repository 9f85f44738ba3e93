//! The only place that reads environment variables.

/// The value of the variable `name`; `None` where it is not set, or not UTF-8.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A setting of infermux's own; an empty variable is an unset one.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}
