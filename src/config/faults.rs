//! Mistakes in a file, each with its path, collected so that all are told together.

use std::cell::{Cell, RefCell};
use std::fmt;

use crate::base::limits::FAULTS_MAX;
use crate::config::options::Strictness;
use crate::config::suggest;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, as `providers[1].timeout`; empty for the file as a whole.
    pub path: String,
    /// The line of the file where `path` begins, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do; never a secret.
    pub message: String,
}

impl Fault {
    /// A fault whose line is not known yet.
    #[must_use]
    pub fn new(path: &str, message: String) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The faults and warnings found so far. All readers of one file share it, hence the cells.
pub struct Findings {
    strict: Strictness,
    faults: Pile,
    warnings: Pile,
    hints: Cell<usize>,
}

impl Findings {
    /// Nothing found yet.
    #[must_use]
    pub fn new(strict: Strictness) -> Self {
        Self {
            strict,
            faults: Pile::default(),
            warnings: Pile::default(),
            hints: Cell::new(0),
        }
    }

    /// The file cannot be used because of this.
    pub fn fault(&self, path: &str, message: impl Into<String>) {
        self.faults.add(path, message.into());
    }

    /// The file can be used, but its writer may have meant something else.
    pub fn warn(&self, path: &str, message: impl Into<String>) {
        self.warnings.add(path, message.into());
    }

    /// Notes a warning, or a fault if the file is read strictly.
    pub fn doubt(&self, path: &str, message: impl Into<String>) {
        match self.strict {
            Strictness::Lenient => self.warn(path, message),
            Strictness::Strict => self.fault(path, message),
        }
    }

    /// Takes back what was noted of `path` in these words: a fault that says more takes its place.
    pub fn take_back(&self, path: &str, message: &str) {
        self.faults.take_back(path, message);
        self.warnings.take_back(path, message);
    }

    /// `, did you mean …?`, or nothing. No hint is made for faults beyond those that are shown.
    pub fn hint<'a>(&self, word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
        if self.hints.get() >= FAULTS_MAX {
            return String::new();
        }
        self.hints.set(self.hints.get() + 1);
        let meant = suggest::near(word, known);
        meant.map_or_else(String::new, |meant| format!(", did you mean `{meant}`?"))
    }

    /// Faults and warnings, in the order in which they were found.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Fault>, Vec<Fault>) {
        (self.faults.into_list(), self.warnings.into_list())
    }
}

/// A list of at most [`FAULTS_MAX`] faults; further faults are only counted.
#[derive(Default)]
struct Pile {
    list: RefCell<Vec<Fault>>,
    more: Cell<usize>,
}

impl Pile {
    fn add(&self, path: &str, message: String) {
        let mut list = self.list.borrow_mut();
        if list.len() < FAULTS_MAX {
            list.push(Fault::new(path, message));
        } else {
            self.more.set(self.more.get().saturating_add(1));
        }
    }

    fn take_back(&self, path: &str, message: &str) {
        let mut list = self.list.borrow_mut();
        list.retain(|fault| fault.path != path || fault.message != message);
    }

    fn into_list(self) -> Vec<Fault> {
        let mut list = self.list.into_inner();
        let more = self.more.get();
        if more > 0 {
            list.push(Fault::new("", format!("and {more} more")));
        }
        list
    }
}

/// `key` below `path`. Keys come from the file, so unprintable characters are escaped.
#[must_use]
pub fn below(path: &str, key: &str) -> String {
    let key = printable(key);
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// `text` on one line and not too long for a part of one.
#[must_use]
pub fn printable(text: &str) -> String {
    shortened(text, 80)
}

/// A sentence of another process on one line: whole, if it is as long as sentences are.
#[must_use]
pub fn sentence(text: &str) -> String {
    shortened(text, 2_000)
}

fn shortened(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    if shown.chars().any(char::is_control) {
        shown.escape_debug().to_string()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_does_not_list() {
        let findings = Findings::new(Strictness::Strict);
        for _ in 0..FAULTS_MAX + 7 {
            findings.doubt("listen", "is odd");
        }
        let (faults, warnings) = findings.into_parts();
        assert_eq!(faults.len(), FAULTS_MAX + 1);
        assert_eq!(faults[0].to_string(), "listen: is odd");
        assert_eq!(faults[FAULTS_MAX].to_string(), "and 7 more");
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_key_from_the_file_cannot_break_a_line() {
        assert_eq!(below("pricing", "a\nb"), "pricing.a\\nb");
        assert_eq!(below("", "listen"), "listen");
        assert!(below("", &"x".repeat(9_000)).len() < 100);
    }
}
