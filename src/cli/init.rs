//! `infermux init`: a configuration file for the keys that the environment has.

use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli::environment;
use crate::cli::exit::{DONE, UNUSABLE};
use crate::cli::flags;
use crate::cli::setup_flags::InitFlags;
use crate::cli::terminal;
use crate::config::convert::starter::{self, Start};

/// Writes the file; returns the exit code.
#[must_use]
pub fn run(flags: &InitFlags) -> u8 {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let found = starter::found(&environment::setting);
    let text = starter::text(&found);
    if let Err(problem) = write(&path, &text, flags.force) {
        terminal::error(problem);
        return UNUSABLE;
    }
    let path = path.display();
    if found.is_empty() {
        let known = starter::variables().join(", ");
        terminal::warning(format_args!(
            "the environment has none of the keys that are looked for ({known}): the file has an \
             Ollama server on this machine instead"
        ));
    } else {
        let names: Vec<&str> = found.iter().map(Start::name).collect();
        terminal::say(format_args!("found: {}", names.join(", ")));
    }
    terminal::say(format_args!("{path} is written"));
    terminal::say(format_args!(
        "next: infermux check --config {path}, then infermux serve --config {path}"
    ));
    DONE
}

/// Writes the text to a new file, or over a file that is there where that is `forced`.
fn write(path: &Path, text: &str, forced: bool) -> Result<(), String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let mut options = std::fs::File::options();
    options.write(true);
    if forced {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path).map_err(|fault| match fault.kind() {
        ErrorKind::AlreadyExists => named(&"is there already; --force writes over it"),
        ErrorKind::NotFound => named(&"its folder does not exist"),
        ErrorKind::PermissionDenied => named(&"may not be written"),
        ErrorKind::IsADirectory => named(&"is a directory"),
        _ => named(&fault),
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
    written.map_err(|fault| named(&fault))
}
