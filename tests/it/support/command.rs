//! The binary as a command that ends by itself.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` where a signal killed it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed to the standard error.
    pub stderr: String,
}

/// The binary with these arguments and without any environment.
pub fn infermux(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_infermux"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// Runs `command` to its end.
pub fn end(command: &mut Command) -> Ended {
    let output = command.output().expect("the command runs");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// `path` as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of plain text")
}
