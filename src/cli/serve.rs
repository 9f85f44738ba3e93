//! `infermux serve`: from the configuration to shards that serve.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};

use crate::base::ids::ShardId;
use crate::base::limits::{OPEN_FILES_RESERVE, SHARDS_MAX};
use crate::cli::environment;
use crate::cli::file;
use crate::cli::flags::{self, ServeFlags};
use crate::cli::log::Log;
use crate::cli::overrides::Overrides;
use crate::cli::stop::Running;
use crate::cli::terminal;
use crate::cli::{DONE, FAILED, INTERRUPTED, UNUSABLE};
use crate::config::faults::Fault;
use crate::config::plan::{Auth, Listen, Plan, Server};
use crate::config::{Environment, Options, Strictness};
use crate::coordinator::chores;
use crate::coordinator::names::Names;
use crate::exchange::catalogue::Catalogue;
use crate::exchange::outbound::Prefixes;
use crate::link::addresses::{self, Addresses};
use crate::link::buffered;
use crate::link::events::{self, Event, EventReceiver, EventSender};
use crate::link::gate::Gates;
use crate::link::retries::Retries;
use crate::shard::run::{self, Common, Own, RouteExtras};
use crate::sys::signals::Signal;
use crate::sys::{bell, clock, cores, listen, signals, tls};

/// Why nothing is served.
enum NotStarted {
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
            "anyone who reaches this address can spend the providers' keys: auth.mode is passthrough"
        );
    }
}

fn start(plan: Plan, log: &Log) -> Result<Running, NotStarted> {
    let (events, told) = events::channel();
    watch_signals(events.clone())?;
    let count = shards(&plan.server);
    check_cores(&plan.server.cores)?;
    let connections_max = connections(&plan.server);
    let (tls_accept, tls_connect) = (tls_accept(&plan)?, tls_connect(&plan)?);
    let (listeners, local) = bind(&plan.listen, count)?;
    let addresses = look_up_names(&plan, &events, &told)?;
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
        start_shard(&common, own, &events)?;
        ringers.push(ringer);
    }
    let place = place(&common.plan.listen, local);
    terminal::say(format_args!("listening on {place}"));
    tracing::info!(listen = place, shards = count, "serving");
    Ok(Running::new(common, ringers, told))
}

/// A system's fault as the end of a sentence that starts with `what`.
fn failed(what: &str) -> impl Fn(io::Error) -> NotStarted {
    move |fault| NotStarted::Failed(format!("{what}: {fault}"))
}

fn watch_signals(events: EventSender) -> Result<(), NotStarted> {
    let signals = signals::watch().map_err(failed("cannot watch for signals"))?;
    let watch = move || {
        for signal in signals {
            events.send(Event::StopAsked(match signal {
                Signal::Terminate => DONE,
                Signal::Interrupt => INTERRUPTED,
            }));
        }
    };
    let thread = thread::Builder::new().name("signals".into());
    thread
        .spawn(watch)
        .map_err(failed("cannot start a thread"))?;
    Ok(())
}

/// How many shards to run: what is asked for, or one per core they may have.
fn shards(server: &Server) -> usize {
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
fn check_cores(wanted: &[usize]) -> Result<(), NotStarted> {
    let wrong = thread::scope(|scope| {
        let tried = scope.spawn(|| wanted.iter().find(|core| !cores::pin(**core)));
        tried.join().ok().flatten()
    });
    wrong.map_or(Ok(()), |core| Err(NotStarted::Failed(unusable_core(*core))))
}

fn unusable_core(core: usize) -> String {
    format!("server.cores: core {core} does not exist or may not be used by this process")
}

/// How many callers' connections fit the limit of open files: each may need a provider's besides.
fn connections(server: &Server) -> usize {
    let files = cores::raise_open_files();
    let fit = usize::try_from(files.saturating_sub(OPEN_FILES_RESERVE) / 2).unwrap_or(usize::MAX);
    let (fit, wanted) = (fit.max(1), server.max_connections);
    if fit < wanted {
        tracing::warn!(
            open_files = files,
            connections = fit,
            "the limit of open files allows fewer connections than server.max_connections ({wanted})"
        );
    }
    wanted.min(fit)
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

/// Starts the look-up of the providers' names, and waits for its first round.
fn look_up_names(
    plan: &Plan,
    events: &EventSender,
    told: &EventReceiver,
) -> Result<Arc<Addresses>, NotStarted> {
    let (addresses, wanted) = addresses::channel(plan.providers.len());
    let (names, table) = (Names::of(plan), Arc::clone(&addresses));
    let tell = events.clone();
    let body = move || {
        chores::run(names, &table, &wanted, || tell.send(Event::NamesLookedUp));
        Ok(())
    };
    start_thread("chores".into(), events, |_| Event::ChoresEnded, body)?;
    let until = clock::now() + NAMES_MAX;
    loop {
        match told.next_within(until.since(clock::now())) {
            Some(Event::NamesLookedUp) => return Ok(addresses),
            Some(Event::StopAsked(code)) => return Err(NotStarted::Asked(code)),
            Some(Event::ChoresEnded) => {
                let problem = "the look-up of names has ended";
                return Err(NotStarted::Failed(problem.into()));
            }
            // There are no shards yet.
            Some(Event::ShardEnded(..)) => {}
            None => {
                tracing::warn!("not all names of providers are looked up yet: serving without");
                return Ok(addresses);
            }
        }
    }
}

fn start_shard(common: &Arc<Common>, own: Own, events: &EventSender) -> Result<(), NotStarted> {
    let id = own.id;
    let core = common.plan.server.cores.get(id.index()).copied();
    let common = Arc::clone(common);
    let body = move || match core {
        Some(core) if !cores::pin(core) => Err(io::Error::other(unusable_core(core))),
        Some(_) | None => run::run(common, own),
    };
    let ended = move |fault| Event::ShardEnded(id, fault);
    start_thread(format!("shard-{}", id.0), events, ended, body)
}

/// Starts a thread that tells the main thread of its end, whichever way that comes.
fn start_thread(
    name: String,
    events: &EventSender,
    ended: impl FnOnce(Option<String>) -> Event + Send + 'static,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), NotStarted> {
    let events = events.clone();
    let whole = move || {
        // Nothing of the thread is used after a panic: the process ends.
        let fault = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(_) => Some(String::from("panicked")),
        };
        events.send(ended(fault));
    };
    let started = thread::Builder::new().name(name).spawn(whole);
    started.map(|_| ()).map_err(failed("cannot start a thread"))
}

/// Longest wait for the first look-up of all names; later ones go on meanwhile.
const NAMES_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, listen as address};

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

    #[test]
    fn a_core_that_does_not_exist_is_named() {
        assert!(check_cores(&[]).is_ok());
        let Err(NotStarted::Failed(problem)) = check_cores(&[4_095]) else {
            panic!("pinned");
        };
        assert!(problem.contains("core 4095 "));
    }
}
