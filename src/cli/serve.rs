//! `infermux serve`: from the configuration to shards that serve.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use crate::base::ids::ShardId;
use crate::cli::capacity;
use crate::cli::environment;
use crate::cli::file;
use crate::cli::flags::{self, ServeFlags};
use crate::cli::log::Log;
use crate::cli::overrides::Overrides;
use crate::cli::stop::Running;
use crate::cli::terminal;
use crate::cli::threads;
use crate::cli::{FAILED, UNUSABLE};
use crate::config::faults::Fault;
use crate::config::plan::{Auth, Listen, Plan};
use crate::config::{Environment, Options, Strictness};
use crate::exchange::catalogue::Catalogue;
use crate::exchange::outbound::Prefixes;
use crate::link::buffered;
use crate::link::events;
use crate::link::gate::Gates;
use crate::link::retries::Retries;
use crate::shard::run::{Common, Own, RouteExtras};
use crate::sys::{bell, listen, tls};

/// Why nothing is served.
pub enum NotStarted {
    /// Something that is needed cannot be had.
    Failed(String),
    /// Somebody asked the process to stop, with this exit code.
    Asked(u8),
}

/// Serves until the process is asked to stop; the exit code.
#[must_use]
pub fn run(flags: &ServeFlags) -> u8 {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let Some((plan, warnings)) = configured(&path, flags) else {
        return UNUSABLE;
    };
    let log = match Log::start(plan.log) {
        Ok(log) => log,
        Err(fault) => {
            terminal::error(format_args!("cannot start the log: {fault}"));
            return FAILED;
        }
    };
    introduce(&path, &plan);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    match start(plan, &log) {
        Ok(running) => running.attend(flags.graceful_shutdown),
        Err(NotStarted::Asked(code)) => code,
        Err(NotStarted::Failed(problem)) => {
            tracing::error!("{problem}");
            FAILED
        }
    }
}

/// The Plan with what flags and environment say, and warnings; or `None`, and all faults are told.
fn configured(path: &Path, flags: &ServeFlags) -> Option<(Plan, Vec<Fault>)> {
    let tell = |faults: Vec<String>| faults.iter().for_each(terminal::error);
    let overrides = Overrides::new(flags, &environment::setting).map_err(tell);
    let options = Options {
        environment: Environment::Lookup(&environment::variable),
        strict: Strictness::Lenient,
    };
    let loaded = file::read(path, &options).map_err(|unusable| unusable.print());
    let (overrides, mut loaded) = (overrides.ok()?, loaded.ok()?);
    overrides.apply(&mut loaded.plan).map_err(tell).ok()?;
    Some((loaded.plan, loaded.warnings))
}

fn introduce(path: &Path, plan: &Plan) {
    terminal::say(format_args!("infermux {}", env!("CARGO_PKG_VERSION")));
    terminal::say(format_args!("config: {}", path.display()));
    let names: Vec<&str> = plan.providers.iter().map(|one| &*one.name).collect();
    terminal::say(format_args!("providers: {}", names.join(", ")));
    let has_keys = plan.providers.iter().any(|one| one.api_key.is_some());
    let is_open = matches!(plan.auth, Auth::Passthrough) && !plan.listen.addr.ip().is_loopback();
    if has_keys && is_open {
        let listen = &*plan.listen.text;
        tracing::warn!(
            listen,
            "auth.mode is passthrough: anyone who reaches this can spend the providers' keys"
        );
    }
}

fn start(plan: Plan, log: &Log) -> Result<Running, NotStarted> {
    let (events, told) = events::channel();
    threads::watch_signals(events.clone())?;
    let count = capacity::shards(&plan.server);
    capacity::check_cores(&plan.server.cores)?;
    let connections_max = capacity::connections(&plan.server);
    let (tls_accept, tls_connect) = (tls_accept(&plan)?, tls_connect(&plan)?);
    let (listeners, local) = bind(&plan.listen, count)?;
    let addresses = threads::look_up_names(&plan, &events, &told)?;
    let common = Arc::new(Common {
        routes: RouteExtras::of(&plan),
        catalogue: Catalogue::of(&plan),
        prefixes: plan.providers.iter().map(Prefixes::new).collect(),
        gates: Gates::new(plan.routes.all.len(), connections_max),
        retries: Retries::new(count),
        buffered: Arc::new(buffered::Pool::new(plan.server.max_buffered_bytes, count)),
        addresses,
        tls_accept,
        tls_connect,
        plan: Arc::new(plan),
    });
    let mut ringers = Vec::new();
    for (id, listener) in (0..).map(ShardId).zip(listeners) {
        let (ringer, bell) = bell::pair().map_err(failed("cannot make a bell"))?;
        let own = Own {
            id,
            listener,
            bell,
            log: log.sender(),
            lines: log.access_lines(),
        };
        threads::start_shard(&common, own, &events)?;
        ringers.push(ringer);
    }
    let place = place(&common.plan.listen, local);
    terminal::say(format_args!("listening on {place}"));
    tracing::info!(listen = place, shards = count, "serving");
    Ok(Running::new(common, ringers, told))
}

/// A system's fault as the end of a sentence that starts with `what`.
pub fn failed(what: &str) -> impl Fn(io::Error) -> NotStarted {
    move |fault| NotStarted::Failed(format!("{what}: {fault}"))
}

fn tls_accept(plan: &Plan) -> Result<Option<Arc<ServerConfig>>, NotStarted> {
    let Some(files) = &plan.tls else {
        return Ok(None);
    };
    tls::server(Path::new(&*files.cert_file), Path::new(&*files.key_file))
        .map(Some)
        .map_err(|fault| NotStarted::Failed(format!("cannot use the TLS files: {fault}")))
}

fn tls_connect(plan: &Plan) -> Result<Arc<ClientConfig>, NotStarted> {
    let (config, faults) =
        tls::client().map_err(|fault| NotStarted::Failed(format!("cannot set up TLS: {fault}")))?;
    if plan.providers.iter().any(|one| one.base.tls) {
        for fault in &faults {
            tracing::warn!(fault, "trust roots");
        }
    }
    Ok(config)
}

fn bind(listen: &Listen, count: usize) -> Result<(Vec<TcpListener>, SocketAddr), NotStarted> {
    listen::bind(listen.addr, count).map_err(|fault| {
        let cause = match fault.kind() {
            ErrorKind::AddrInUse => "address already in use (is another infermux running?)",
            ErrorKind::AddrNotAvailable => "this host does not have that address",
            ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a capability)",
            _ => &fault.to_string(),
        };
        NotStarted::Failed(format!("cannot listen on {}: {cause}", listen.text))
    })
}

/// Where callers connect: the text of the configuration, with the port the kernel chose.
fn place(listen: &Listen, local: SocketAddr) -> String {
    match listen.text.rsplit_once(':') {
        Some((host, _)) => format!("{host}:{}", local.port()),
        None => local.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::listen as address;

    #[test]
    fn the_place_shows_the_port_that_the_kernel_chose() {
        let local = "[::]:43121".parse().unwrap();
        for (text, shown) in [
            (":0", ":43121"),
            ("localhost:0", "localhost:43121"),
            ("[::1]:0", "[::1]:43121"),
        ] {
            assert_eq!(place(&address::parse(text).unwrap(), local), shown);
        }
    }
}
