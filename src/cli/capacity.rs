//! How much this machine allows: shards, cores, connections.

use std::thread;

use crate::base::limits::{OPEN_FILES_RESERVE, OPERATORS_MAX, SHARDS_MAX};
use crate::cli::not_started::NotStarted;
use crate::config::plan::Server;
use crate::link::gate::ConnectionsMax;
use crate::sys::cores;

/// How many shards to run: the number in the file, or one per usable core.
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

/// Tries to pin to each core, on a thread that ends afterwards, so that a wrong core is reported at
/// once.
///
/// # Errors
///
/// One of the cores does not exist, or this process may not use it.
pub fn check_cores(wanted: &[usize]) -> Result<(), NotStarted> {
    let wrong = thread::scope(|scope| {
        let tried = scope.spawn(|| wanted.iter().find(|core| !cores::pin(**core)));
        tried.join().ok().flatten()
    });
    wrong.map_or(Ok(()), |core| Err(NotStarted::Failed(unusable_core(*core))))
}

/// The sentence about a core that cannot be pinned to.
#[must_use]
pub fn unusable_core(core: usize) -> String {
    format!("server.cores: core {core} does not exist or may not be used by this process")
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Accepted connections, in the whole process.
    pub most: ConnectionsMax,
    /// Connections to providers that one shard may have before it closes idle ones.
    pub upstream_room: usize,
}

/// How many connections there may be, within the limit of open files. Warns, with advice, where
/// that is less than the file asks for.
#[must_use]
pub fn connections(server: &Server, shards: usize) -> Connections {
    let files = cores::raise_open_files();
    let connections = fit(files, server.max_connections, shards);
    let wanted = server.max_connections;
    let callers = connections.most.callers;
    if callers < wanted && server.max_connections_is_set {
        let needed = 2 * wanted as u64 + OPEN_FILES_RESERVE;
        tracing::warn!(
            open_files = files,
            needed,
            "server.max_connections is {wanted}, but the limit of open files has room for {}: \
             raise it (systemd: LimitNOFILE={needed}; containers: --ulimit nofile={needed}; \
             shell: ulimit -n {needed})",
            callers
        );
    }
    connections
}

/// The connections that fit this many open files: each caller's connection may need one to a
/// provider.
fn fit(files: u64, wanted: usize, shards: usize) -> Connections {
    let reserve = OPEN_FILES_RESERVE.min(files / 8);
    let count = |files: u64| usize::try_from(files).unwrap_or(usize::MAX);
    let rest = count(files - reserve);
    let callers = wanted.min((rest / 2).max(1));
    let operators = OPERATORS_MAX.min((count(reserve) / 4).max(1));
    Connections {
        most: ConnectionsMax { callers, operators },
        upstream_room: (rest.saturating_sub(callers) / shards.max(1)).max(1),
    }
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
        for (files, wanted, (callers, operators, upstream_room)) in [
            (0, 65_536, (1, 1, 1)),
            (256, 65_536, (112, 8, 56)),
            (256, 10, (10, 8, 107)),
            (1_024, 65_536, (448, 32, 224)),
            (1_048_576, 65_536, (65_536, 256, 491_008)),
            (1_048_576, 10_000_000, (523_776, 256, 261_888)),
        ] {
            let expected = Connections {
                most: ConnectionsMax { callers, operators },
                upstream_room,
            };
            assert_eq!(fit(files, wanted, 2), expected);
        }
    }
}
