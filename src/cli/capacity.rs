//! How much this machine lets the process do: shards, cores, connections.

use std::thread;

use crate::base::limits::{OPEN_FILES_RESERVE, SHARDS_MAX};
use crate::cli::serve::NotStarted;
use crate::config::plan::Server;
use crate::sys::cores;

/// How many shards to run: what is asked for, or one per core they may have.
#[must_use]
pub fn shards(server: &Server) -> usize {
    let automatic = match server.cores.len() {
        0 => cores::usable(),
        cores => cores,
    };
    let count = if server.shards == 0 {
        automatic
    } else {
        server.shards
    };
    count.min(SHARDS_MAX)
}

/// Tries each core, on a thread that pins nothing else, so that a wrong one is told at once.
///
/// # Errors
///
/// One of them does not exist, or this process may not use it.
pub fn check_cores(wanted: &[usize]) -> Result<(), NotStarted> {
    let wrong = thread::scope(|scope| {
        let tried = scope.spawn(|| wanted.iter().find(|core| !cores::pin(**core)));
        tried.join().ok().flatten()
    });
    wrong.map_or(Ok(()), |core| Err(NotStarted::Failed(unusable_core(*core))))
}

/// What is wrong with a core that cannot be pinned to.
#[must_use]
pub fn unusable_core(core: usize) -> String {
    format!("server.cores: core {core} does not exist or may not be used by this process")
}

/// How many callers' connections there may be: no more than the limit of open files allows.
#[must_use]
pub fn connections(server: &Server) -> usize {
    let files = cores::raise_open_files();
    let wanted = server.max_connections;
    let connections = wanted.min(fit(files));
    if connections < wanted {
        tracing::warn!(
            open_files = files,
            connections,
            wanted,
            "the limit of open files allows fewer connections than server.max_connections"
        );
    }
    connections
}

/// How many callers' connections fit this many open files: each may need a provider's besides.
fn fit(files: u64) -> usize {
    let reserve = OPEN_FILES_RESERVE.min(files / 8);
    usize::try_from((files - reserve) / 2).map_or(usize::MAX, |fit| fit.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    fn server(text: &str) -> Server {
        let text = format!("providers: [{{name: a, type: ollama}}]\nserver: {text}\n");
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        config::load(&text, &options).ok().unwrap().plan.server
    }

    #[test]
    fn shards_are_what_is_asked_for_or_as_many_as_there_are_cores_for_them() {
        assert_eq!(shards(&server("{shards: 3}")), 3);
        assert_eq!(shards(&server("{cores: '0-4'}")), 5);
        assert_eq!(shards(&server("{cores: '0-4', shards: 2}")), 2);
        assert_eq!(shards(&server("{cores: '0-4095'}")), SHARDS_MAX);
        assert!(shards(&server("{}")) >= 1);
    }

    #[test]
    fn a_core_that_does_not_exist_is_named() {
        assert!(check_cores(&[]).is_ok());
        let Err(NotStarted::Failed(problem)) = check_cores(&[4_095]) else {
            panic!("pinned");
        };
        assert!(problem.contains("core 4095 "));
    }

    #[test]
    fn every_connection_has_room_for_two_files() {
        for (files, connections) in [(0, 1), (256, 112), (1_024, 448), (1_048_576, 523_776)] {
            assert_eq!(fit(files), connections);
        }
    }
}
