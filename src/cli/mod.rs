//! Flags, environment, and the commands; the only room that starts threads.

pub mod capacity;
pub mod environment;
pub mod file;
pub mod flags;
pub mod log;
pub mod overrides;
pub mod pages;
pub mod providers;
pub mod ready;
pub mod reload;
pub mod serve;
pub mod server;
pub mod status;
pub mod stop;
pub mod terminal;
pub mod threads;
pub mod validate;
pub mod voice;
pub mod watch;
pub mod wish;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::flags::{Arguments, Command};

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

/// Does what the process's arguments say; its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let code = match Arguments::try_parse() {
        Ok(arguments) => match arguments.command {
            Command::Serve(flags) => serve::run(&flags),
            Command::Validate(flags) => validate::run(&flags),
            Command::Status(flags) => status::run(&flags),
            Command::Providers(flags) => providers::run(&flags),
            Command::Ready(flags) => ready::run(&flags),
            Command::Reload(flags) => wish::run(&flags),
            Command::Schema => pages::schema(),
            Command::Completions(flags) => pages::completions(&flags),
            Command::Man(flags) => pages::manual(&flags),
        },
        Err(answer) => {
            // Nobody may be there to read it, which changes nothing.
            let _ = answer.print();
            if answer.use_stderr() { UNUSABLE } else { DONE }
        }
    };
    code.into()
}
