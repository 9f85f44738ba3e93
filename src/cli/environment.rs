//! The only place that reads environment variables.

/// The value of the variable `name`. What is not UTF-8 in it is replaced: it will not do as a key
/// or a path, but it is set, and a message about it says so.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A setting of infermux's own; an empty variable is an unset one.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}
