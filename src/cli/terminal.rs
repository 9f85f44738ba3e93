//! Lines for the person or script that started a command.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use crate::cli::environment;
use crate::report::table::Paint;

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

/// Prints a line to the standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether the standard output shows colors: a terminal does, unless its user wants none
/// (`NO_COLOR`, <https://no-color.org>).
#[must_use]
pub fn paint() -> Paint {
    if has_codes() && environment::setting("NO_COLOR").is_none() {
        Paint::Colors
    } else {
        Paint::Plain
    }
}

/// Whether the standard output is a terminal that understands codes.
fn has_codes() -> bool {
    let is_dumb = environment::setting("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_dumb
}

/// The standard output, drawn anew each time; where it is no terminal, one text after the other.
pub struct Screen {
    has_codes: bool,
    /// What goes before the next text.
    before: &'static str,
}

impl Screen {
    /// The screen as it is.
    #[must_use]
    pub fn new() -> Self {
        let has_codes = has_codes();
        Self {
            has_codes,
            before: if has_codes { CLEAR } else { "" },
        }
    }

    /// Shows `text`, in one write, so that nothing flickers.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub fn show(&mut self, text: &str) -> std::io::Result<()> {
        let mut drawn = String::from(self.before);
        if self.has_codes {
            drawn.push_str(&text.replace('\n', LINE_END));
            drawn.push_str(REST);
            self.before = HOME;
        } else {
            drawn.push_str(text);
            self.before = "\n";
        }
        let mut out = std::io::stdout().lock();
        out.write_all(drawn.as_bytes()).and_then(|()| out.flush())
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

// ECMA-48: the cursor's way, and what is erased.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
const HOME: &str = "\u{1b}[H";
const LINE_END: &str = "\u{1b}[K\n";
const REST: &str = "\u{1b}[J";
