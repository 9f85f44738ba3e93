//! Lines for the person or script that started a command.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use crate::cli::environment;
use crate::cli::line_form::LineForm;
use crate::report::line::{Format, Level, Lines, Timestamps};
use crate::report::table::Paint;
use crate::sys::clock;
use crate::sys::terminal::columns;

/// Set once, where the process's printed lines must be JSON objects, like its log.
static OBJECTS: OnceLock<Timestamps> = OnceLock::new();

/// Makes all lines objects from now on, where `form` demands it.
pub fn speak(form: LineForm) {
    if let Some(timestamps) = form {
        let _ = OBJECTS.set(timestamps);
    }
}

/// Prints a line to the standard output, at once.
pub fn say(line: impl Display) {
    print(std::io::stdout(), (Level::Info, ""), line);
}

/// Prints a line that starts with `error:` to the standard error.
pub fn error(line: impl Display) {
    print(std::io::stderr(), (Level::Error, "error: "), line);
}

/// Prints a line that starts with `warning:` to the standard error.
pub fn warning(line: impl Display) {
    print(std::io::stderr(), (Level::Warn, "warning: "), line);
}

/// Prints a line to the standard error.
pub fn note(line: impl Display) {
    print(std::io::stderr(), (Level::Info, ""), line);
}

/// Prints a line with one call. A reader that has gone is no error.
fn print(mut out: impl Write, (level, before): (Level, &str), line: impl Display) {
    let bytes = match OBJECTS.get() {
        None => format!("{before}{line}\n").into_bytes(),
        Some(timestamps) => {
            let mut bytes = Vec::new();
            let mut lines = Lines::new(Format::Json, *timestamps);
            let begun = lines.begin(&mut bytes, clock::wall(), level, &line.to_string());
            begun.end();
            bytes
        }
    };
    let _ = out.write_all(&bytes).and_then(|()| out.flush());
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

/// The standard output, redrawn each time; where it is no terminal, texts follow each other.
pub struct Screen {
    has_codes: bool,
    /// The bytes before the next text.
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

    /// Shows `text` with one write, so that nothing flickers.
    ///
    /// # Errors
    ///
    /// The reader has gone.
    pub fn show(&mut self, text: &str) -> std::io::Result<()> {
        let mut drawn = String::from(self.before);
        if self.has_codes {
            // Lines that are wrapped would push the first ones off the screen.
            let columns = columns().unwrap_or(usize::MAX);
            for line in text.lines() {
                cut(line, columns, &mut drawn);
                drawn.push_str(LINE_END);
            }
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

/// Appends the part of `line` that fits `columns`, and all of its codes: codes take no columns, and
/// a color must end.
fn cut(line: &str, columns: usize, out: &mut String) {
    let (mut shown, mut is_code) = (0, false);
    for c in line.chars() {
        is_code |= c == ESCAPE;
        if is_code {
            is_code = c != CODE_END;
            out.push(c);
        } else if shown < columns {
            shown += 1;
            out.push(c);
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

// Begins the codes that move the cursor and erase text (ECMA-48).
const ESCAPE: char = '\u{1b}';
const CODE_END: char = 'm';
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
const HOME: &str = "\u{1b}[H";
const LINE_END: &str = "\u{1b}[K\n";
const REST: &str = "\u{1b}[J";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_colors_end() {
        for (line, columns, expected) in [
            ("alpha  healthy", 80, "alpha  healthy"),
            ("alpha  healthy", 14, "alpha  healthy"),
            ("alpha  healthy", 8, "alpha  h"),
            ("a\u{1b}[32mhealthy\u{1b}[0m b", 3, "a\u{1b}[32mhe\u{1b}[0m"),
            ("äöü", 2, "äö"),
            ("", 2, ""),
        ] {
            let mut out = String::new();
            cut(line, columns, &mut out);
            assert_eq!(out, expected);
        }
    }
}
