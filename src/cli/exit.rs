//! Exit codes.

/// The command was done.
pub const DONE: u8 = 0;
/// The arguments, or `serve`'s configuration, cannot be used; `validate`: the file cannot be read.
pub const UNUSABLE: u8 = 1;
/// `validate`: the file is not YAML.
pub const MALFORMED: u8 = 2;
/// `validate`: the file makes no sense.
pub const FAULTY: u8 = 3;
/// `serve` could not start, or broke down.
pub const FAILED: u8 = 3;
/// `status`: not every circuit is closed. `ready`: the router takes no traffic. `reload`: it was
/// refused.
pub const NOT_WELL: u8 = 1;
/// `status`, `providers` and `reload`: the router does not tell.
pub const UNREACHABLE: u8 = 2;
/// SIGINT ended the command: what shells give a process that dies of it.
pub const INTERRUPTED: u8 = 130;
