//! Why nothing is served.

use std::io;

/// Why nothing is served.
pub enum NotStarted {
    /// Something that is needed cannot be had.
    Failed(String),
    /// Somebody asked the process to stop, with this exit code.
    Asked(u8),
}

/// A system's fault as the end of a sentence that starts with `what`.
pub fn failed(what: &str) -> impl Fn(io::Error) -> NotStarted {
    move |fault| NotStarted::Failed(format!("{what}: {fault}"))
}
