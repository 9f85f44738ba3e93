//! Flags, environment, and the commands; the only room that starts threads.

pub mod ask_provider;
pub mod bells;
pub mod bookkeeping;
pub mod capacity;
pub mod certificates;
pub mod check;
mod check_webhooks;
pub mod convert;
pub mod courier;
pub mod dial;
pub mod environment;
pub mod exit;
pub mod explain;
pub mod explain_flags;
pub mod file;
pub mod flags;
pub mod fleet;
pub mod init;
pub mod input;
pub mod kept_back;
pub mod key;
pub mod key_entry;
pub mod key_flags;
mod key_list;
pub mod keys_edit;
pub mod keys_file;
mod launch;
pub mod line_form;
pub mod listeners;
pub mod log;
pub mod loops;
pub mod manager;
pub mod not_started;
pub mod open_keys;
pub mod overrides;
pub mod pages;
pub mod providers;
pub mod ready;
pub mod recorders;
pub mod reload;
pub mod reload_command;
pub mod requests;
pub mod requests_flags;
pub mod rotation;
pub mod rotation_flags;
pub mod serve;
pub mod server;
pub mod server_flags;
pub mod setup_flags;
pub mod shared;
pub mod shared_flags;
pub mod status;
pub mod stop;
pub mod tellers;
pub mod terminal;
pub mod thread_start;
pub mod threads;
pub mod validate;
pub mod watch;
pub mod watch_flag;
pub mod webhooks;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::exit::{DONE, UNUSABLE};
use crate::cli::flags::{Arguments, Command};

/// Carries out the command in the process's arguments; returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let code = match Arguments::try_parse() {
        Ok(arguments) => match arguments.command {
            Command::Serve(flags) => serve::run(&flags),
            Command::Validate(flags) => validate::run(&flags),
            Command::Status(flags) => status::run(&flags),
            Command::Providers(flags) => providers::run(&flags),
            Command::Requests(flags) => requests::run(&flags),
            Command::Ready(flags) => ready::run(&flags),
            Command::Reload(flags) => reload_command::run(&flags),
            Command::Explain(flags) => explain::run(&flags),
            Command::Init(flags) => init::run(&flags),
            Command::Check(flags) => check::run(&flags),
            Command::Convert(flags) => convert::run(&flags),
            Command::Key(flags) => key::run(&flags.command),
            Command::Shared(flags) => shared::run(&flags.command),
            Command::Schema(flags) => pages::schema(&flags),
            Command::Completions(flags) => pages::completions(&flags),
            Command::Man(flags) => pages::manual(&flags),
        },
        Err(answer) => {
            // Printing may fail because nothing reads it, which changes nothing.
            let _ = answer.print();
            if answer.use_stderr() { UNUSABLE } else { DONE }
        }
    };
    code.into()
}
