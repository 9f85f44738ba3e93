//! `infermux ready`: whether a running router takes traffic.

use crate::cli::exit::{DONE, NOT_WELL};
use crate::cli::flags::ServerFlags;
use crate::cli::server::Server;
use crate::cli::terminal;

/// Asks the router; returns the exit code.
#[must_use]
pub fn run(flags: &ServerFlags) -> u8 {
    match ask(flags) {
        Ok(()) => {
            terminal::say("ready");
            DONE
        }
        Err(problem) => {
            terminal::error(problem);
            NOT_WELL
        }
    }
}

fn ask(flags: &ServerFlags) -> Result<(), String> {
    let server = Server::new(flags)?;
    let body = server.report("/_infermux/ready", server.deadline())?;
    server.read::<serde_json::Map<_, _>>(&body).map(|_| ())
}
