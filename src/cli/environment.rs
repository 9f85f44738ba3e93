//! The variables and files that a configuration refers to. The only place that reads environment
//! variables.

use std::io::ErrorKind;
use std::path::Path;

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::config::Lookup;
use crate::sys::files;

/// The variables and files of this process.
pub const HERE: Lookup<'static> = Lookup {
    variable: &variable,
    file: &file,
};

/// The content of the file at `path`; `None` where there is none.
fn file(path: &str) -> Result<Option<String>, String> {
    match files::read_text(Path::new(path), CONFIG_BYTES_MAX) {
        Ok(content) => Ok(Some(content)),
        Err(fault) => match fault.kind() {
            ErrorKind::NotFound => Ok(None),
            ErrorKind::PermissionDenied => Err(String::from("may not be read")),
            ErrorKind::IsADirectory => Err(String::from("is a directory")),
            ErrorKind::FileTooLarge => Err(format!("is larger than {CONFIG_BYTES_MAX} bytes")),
            ErrorKind::InvalidData => Err(String::from("is not UTF-8 text")),
            _ => Err(format!("cannot be read: {fault}")),
        },
    }
}

/// The value of the variable `name`. Bytes that are not UTF-8 are replaced: the value will not do
/// as a key or a path, but the variable is set, and a message about it says so.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The value of one of infermux's own variables; an empty variable counts as unset.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}
