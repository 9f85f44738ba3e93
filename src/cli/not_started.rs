//! Why the process does not serve.

use std::io;

/// Why the process does not serve.
pub enum NotStarted {
    /// The process lacks something that it needs.
    Failed(String),
    /// The process was asked to stop, with this exit code.
    Asked(u8),
}

/// Turns a system error into the end of a sentence that starts with `what`.
pub fn failed(what: &str) -> impl Fn(io::Error) -> NotStarted {
    move |fault| NotStarted::Failed(format!("{what}: {fault}"))
}
