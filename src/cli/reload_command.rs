//! `infermux reload`: has a running router read its configuration again.

use std::time::Duration;

use serde::Deserialize;

use crate::cli::exit::{DONE, NOT_WELL};
use crate::cli::flags::ServerFlags;
use crate::cli::server::Server;
use crate::cli::terminal;
use crate::cli::watch;
use crate::config::faults::{printable, sentence};

/// The router's answer to a reload.
#[derive(Deserialize)]
struct Reloaded {
    changed: Vec<String>,
    needs_restart: Vec<String>,
    #[serde(default)]
    stalled_shards: Vec<String>,
}

/// Asks for a reload, and prints what has changed or every fault of the file; returns the exit
/// code.
#[must_use]
pub fn run(flags: &ServerFlags) -> u8 {
    let asked = Server::new(flags).and_then(|server| {
        let server = server.patient(PATIENCE);
        let answer = server.ask("POST", PATH, server.deadline())?;
        match (answer.status, server.faults(&answer)) {
            (200, _) => server.read(&answer.body).map(Ok),
            (_, Some(faults)) => Ok(Err(faults)),
            (_, None) => Err(server.refused(PATH, &answer)),
        }
    });
    match asked {
        Ok(Ok(reloaded)) => {
            tell(&reloaded);
            DONE
        }
        Ok(Err(faults)) => {
            faults.iter().for_each(terminal::error);
            NOT_WELL
        }
        Err(problem) => watch::unreachable(&problem),
    }
}

fn tell(reloaded: &Reloaded) {
    let Reloaded {
        changed,
        needs_restart,
        stalled_shards,
    } = reloaded;
    terminal::say(match changed.len() {
        0 if needs_restart.is_empty() => String::from("reloaded: the file says the same as before"),
        0 => String::from("reloaded: nothing has changed that takes effect without a restart"),
        1 => String::from("reloaded: 1 change"),
        count => format!("reloaded: {count} changes"),
    });
    for change in changed {
        terminal::say(format_args!("  {}", sentence(change)));
    }
    for key in needs_restart {
        let key = printable(key);
        terminal::warning(format_args!(
            "{key} has changed, and takes effect with a restart"
        ));
    }
    for shard in stalled_shards {
        let shard = printable(shard);
        terminal::warning(format_args!(
            "{shard} is stuck: it goes by the file as soon as it is not"
        ));
    }
}

const PATH: &str = "/_infermux/reload";
/// How long the command waits; the router gives its own reload 30 seconds.
const PATIENCE: Duration = Duration::from_secs(35);
