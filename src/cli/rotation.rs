//! `infermux providers take-out` and `put-back`: what operators do to a provider of a running
//! router.

use serde::Deserialize;

use crate::cli::exit::{DONE, NOT_WELL};
use crate::cli::rotation_flags::{ProvidersCommand, RotationFlags};
use crate::cli::server::{Server, percent_encoded};
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::faults::printable;

/// The router's answer: the provider after the change.
#[derive(Deserialize)]
struct Turned {
    name: String,
    in_rotation: bool,
}

/// Carries out the command; returns the exit code.
#[must_use]
pub fn run(command: &ProvidersCommand) -> u8 {
    let (flags, act) = match command {
        ProvidersCommand::TakeOut(flags) => (flags, "take-out"),
        ProvidersCommand::PutBack(flags) => (flags, "put-back"),
    };
    match ask(flags, act) {
        Ok(Ok(Turned { name, in_rotation })) => {
            let name = printable(&name);
            terminal::say(if in_rotation {
                format!("{name} is in rotation")
            } else {
                format!("{name} is out of rotation until it is put back, or a restart")
            });
            DONE
        }
        Ok(Err(faults)) => {
            faults.iter().for_each(terminal::error);
            NOT_WELL
        }
        Err(problem) => watch::unreachable(&problem),
    }
}

/// The provider after the change, or why the router refuses it.
fn ask(flags: &RotationFlags, act: &str) -> Result<Result<Turned, Vec<String>>, String> {
    let server = Server::new(&flags.server)?;
    let name = percent_encoded(&flags.name);
    let path = format!("/_infermux/providers/{name}/{act}");
    let answer = server.ask("POST", &path, server.deadline())?;
    match (answer.status, server.faults(&answer)) {
        (200, _) => server.read(&answer.body).map(Ok),
        (_, Some(faults)) => Ok(Err(faults)),
        (_, None) => Err(server.refused(&path, &answer)),
    }
}
