//! Exit codes.

/// The command has succeeded.
pub const DONE: u8 = 0;
/// The arguments, or `serve`'s configuration, cannot be used; `validate`: the file cannot be read.
pub const UNUSABLE: u8 = 1;
/// `validate`: the file is not YAML.
pub const MALFORMED: u8 = 2;
/// `validate`: the file has faults.
pub const FAULTY: u8 = 3;
/// `serve` could not start, or broke down.
pub const FAILED: u8 = 3;
/// `status`: not every circuit is closed. `ready`: the router does not take traffic. `reload`: the
/// reload was refused. `explain`: the request would be refused. `check`: a provider is not well.
pub const NOT_WELL: u8 = 1;
/// `status`, `providers`, `reload` and `explain`: the router does not answer. `check`: a provider
/// does not.
pub const UNREACHABLE: u8 = 2;
/// SIGINT ended the command: the code that shells give a process killed by it.
pub const INTERRUPTED: u8 = 130;
