//! Reads the configuration file for all commands.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::cli::flags::CONFIG;
use crate::cli::terminal;
use crate::config::faults::Fault;
use crate::config::{self, Loaded, Options, Rejected};
use crate::sys::files;

/// Why a file gave no configuration.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read; with the reason.
    Unreadable(String),
    /// It is no text, or no YAML; with the reason.
    Malformed(String),
    /// It has faults.
    Faulty {
        /// All faults.
        faults: Vec<Fault>,
        /// Where it may not mean what its writer intended.
        warnings: Vec<Fault>,
    },
}

/// Reads the configuration at `path`.
///
/// # Errors
///
/// The file gives no configuration.
pub fn read(path: &Path, options: &Options<'_>) -> Result<Loaded, Unusable> {
    let named = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let text = files::read_text(path, CONFIG_BYTES_MAX).map_err(|fault| match fault.kind() {
        ErrorKind::NotFound if path == Path::new(CONFIG) => Unusable::Unreadable(named(
            &"there is no such file in the working directory; --config names another one",
        )),
        ErrorKind::NotFound => Unusable::Unreadable(named(&"there is no such file")),
        ErrorKind::IsADirectory => Unusable::Unreadable(named(&"is a directory")),
        ErrorKind::PermissionDenied => Unusable::Unreadable(named(&"may not be read")),
        ErrorKind::FileTooLarge => Unusable::Malformed(named(&format_args!(
            "is larger than the {CONFIG_BYTES_MAX} bytes that a configuration may have"
        ))),
        ErrorKind::InvalidData => Unusable::Malformed(named(&"is not UTF-8 text")),
        _ => Unusable::Unreadable(named(&fault)),
    })?;
    if text.trim().is_empty() {
        return Err(Unusable::Malformed(named(&"is empty")));
    }
    config::load(&text, options).map_err(|rejected| match rejected {
        Rejected::Malformed(faults) => {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Unusable::Malformed(named(&told.join("; ")))
        }
        Rejected::Faulty { faults, warnings } => Unusable::Faulty { faults, warnings },
    })
}

impl Unusable {
    /// All faults, a sentence each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        match self {
            Self::Unreadable(problem) | Self::Malformed(problem) => vec![problem.clone()],
            Self::Faulty { faults, .. } => faults.iter().map(ToString::to_string).collect(),
        }
    }

    /// Prints all faults, a line each, and their number.
    pub fn print(&self) {
        match self {
            Self::Unreadable(problem) => terminal::error(problem),
            Self::Malformed(problem) => {
                terminal::error(problem);
                count(1, 0);
            }
            Self::Faulty { faults, warnings } => {
                warnings.iter().for_each(terminal::warning);
                faults.iter().for_each(terminal::error);
                count(faults.len(), warnings.len());
            }
        }
    }
}

/// Prints the numbers to the standard error; nothing where both are zero.
pub fn count(errors: usize, warnings: usize) {
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    if errors + warnings > 0 {
        terminal::note(format_args!(
            "{errors} error{}, {warnings} warning{}",
            plural(errors),
            plural(warnings)
        ));
    }
}
