//! A file that a command is given, or its standard input.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::config::faults::printable;

/// The text of the file at `path`, or of the standard input where that is `-`.
///
/// # Errors
///
/// It cannot be read, is empty, is larger than `most` bytes, or is not UTF-8; a sentence that says
/// so.
pub fn text(path: &Path, most: u64) -> Result<String, String> {
    let name = name(path);
    let named = |problem: &str| format!("{name}: {problem}");
    let input: Box<dyn Read> = if is_standard(path) {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(path);
        Box::new(file.map_err(|fault| named(&reason(&fault)))?)
    };
    let mut bytes = Vec::new();
    let read = input.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|fault| named(&reason(&fault)))?;
    if bytes.len() as u64 > most {
        return Err(named(&format!("is larger than {most} bytes")));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(named("is empty"));
    }
    String::from_utf8(bytes).map_err(|_| named("is not UTF-8 text"))
}

/// What messages call the file at `path`.
#[must_use]
pub fn name(path: &Path) -> String {
    if is_standard(path) {
        String::from("the standard input")
    } else {
        printable(&path.display().to_string())
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn reason(fault: &std::io::Error) -> String {
    match fault.kind() {
        ErrorKind::NotFound => String::from("there is no such file"),
        ErrorKind::PermissionDenied => String::from("may not be read"),
        ErrorKind::IsADirectory => String::from("is a directory"),
        _ => fault.to_string(),
    }
}
