//! Lines for the person or script that started a command.

use std::fmt::Display;
use std::io::Write;

/// Prints a line to the standard output, at once. A reader who has gone is no error.
pub fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints a line that starts with `error:` to the standard error.
pub fn error(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

/// Prints a line that starts with `warning:` to the standard error.
pub fn warning(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "warning: {line}");
}
