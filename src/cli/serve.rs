//! `infermux serve`: from the configuration to shards that serve.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::base::ids::ShardId;
use crate::base::secret::Secret;
use crate::cli::bells::Bells;
use crate::cli::capacity;
use crate::cli::environment;
use crate::cli::exit::{FAILED, UNUSABLE};
use crate::cli::flags::{self, ServeFlags};
use crate::cli::log::Log;
use crate::cli::not_started::{NotStarted, failed};
use crate::cli::open_keys::warn_of_open_keys;
use crate::cli::overrides::Overrides;
use crate::cli::reload::{Certificate, Reloader, Source};
use crate::cli::server::TOKEN;
use crate::cli::stop::{Running, Watchdog};
use crate::cli::terminal;
use crate::cli::threads;
use crate::cli::voice;
use crate::config::Loaded;
use crate::config::plan::{Listen, Plan, Provider};
use crate::config::seats::Seats;
use crate::coordinator::run::Coordinator;
use crate::coordinator::state_file::StateFile;
use crate::coordinator::time::Time;
use crate::exchange::door::Door;
use crate::ledger::books::Books;
use crate::ledger::state::State;
use crate::ledger::terms::Terms;
use crate::ledger::totals::Totals;
use crate::link::buffered;
use crate::link::events::{self, Event, EventReceiver, EventSender};
use crate::link::gate::Phase;
use crate::link::latest::Latest;
use crate::link::meters::{self, MeterSender};
use crate::link::progress::Progress;
use crate::link::reloads;
use crate::link::reports::{self, Reporter};
use crate::link::retries::Retries;
use crate::link::states;
use crate::shard::run::{Common, Duty, Own};
use crate::shard::state::era::Era;
use crate::sys::bell::Ringer;
use crate::sys::notify::Manager;
use crate::sys::{bell, clock, listen, process, tls};

/// Serves until the process is asked to stop; the exit code.
#[must_use]
pub fn run(flags: &ServeFlags) -> u8 {
    process::give_large_memory_back();
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let Some((source, Loaded { plan, warnings, .. })) = configured(path, flags) else {
        return UNUSABLE;
    };
    terminal::speak(voice::of(plan.log));
    let (events, told) = events::channel();
    let log = match Log::start(plan.log, &events) {
        Ok(log) => log,
        Err(NotStarted::Asked(code)) => return code,
        Err(NotStarted::Failed(problem)) => {
            terminal::error(problem);
            return FAILED;
        }
    };
    introduce(source.path(), &plan);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let health = if flags.no_health_checks {
        HealthChecks::Off
    } else {
        HealthChecks::On
    };
    let manager = manager();
    match start(source, plan, (&log, health), (events, told)) {
        Ok(running) => running
            .telling(manager, watchdog())
            .attend(flags.graceful_shutdown),
        Err(NotStarted::Asked(code)) => code,
        Err(NotStarted::Failed(problem)) => {
            tracing::error!("{problem}");
            FAILED
        }
    }
}

/// The service manager, where one wants to be told.
fn manager() -> Manager {
    let place = environment::setting("NOTIFY_SOCKET");
    let manager = place.map(|place| {
        let manager = Manager::at(&place);
        manager.inspect_err(|fault| tracing::warn!(%fault, place, "NOTIFY_SOCKET cannot be used"))
    });
    manager.and_then(Result::ok).unwrap_or_default()
}

/// Whether the service manager wants to hear that all is well: it is told twice in the time after
/// which it takes silence for a fault. The tests of a debug build may shorten the patience with a
/// loop that does not turn.
fn watchdog() -> Option<Watchdog> {
    let pid = environment::setting("WATCHDOG_PID");
    let is_meant = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let micros = environment::setting("WATCHDOG_USEC").filter(|_| is_meant)?;
    let micros = micros.parse().ok().filter(|micros| *micros > 0)?;
    let shorter = environment::variable("INFERMUX_TEST_STALL_MAX_MS");
    let shorter = shorter.filter(|_| cfg!(debug_assertions));
    let millis = shorter.and_then(|millis| millis.parse().ok());
    Some(Watchdog {
        every: Duration::from_micros(micros) / 2,
        stall_max: Duration::from_millis(millis.unwrap_or(30_000)),
    })
}

/// The file with what flags and environment say; or `None`, and all faults are told.
fn configured(path: PathBuf, flags: &ServeFlags) -> Option<(Source, Loaded)> {
    let speak = || terminal::speak(voice::without_plan(flags, &environment::setting, &path));
    let tell = |faults: Vec<String>| {
        speak();
        faults.iter().for_each(terminal::error);
    };
    let overrides = Overrides::new(flags, &environment::setting).map_err(tell);
    let loaded = Source::load(&path).map_err(|unusable| {
        speak();
        unusable.print();
    });
    let (overrides, mut loaded) = (overrides.ok()?, loaded.ok()?);
    overrides.apply(&mut loaded.plan).map_err(tell).ok()?;
    Some((Source::new(path, overrides), loaded))
}

fn introduce(path: &Path, plan: &Plan) {
    terminal::say(format_args!("infermux {}", env!("CARGO_PKG_VERSION")));
    terminal::say(format_args!("config: {}", path.display()));
    warn_of_open_keys(plan);
}

fn start(
    source: Source,
    plan: Plan,
    (log, health): (&Log, HealthChecks),
    (events, told): (EventSender, EventReceiver),
) -> Result<Running, NotStarted> {
    let (reloads, wishes) = reloads::channel();
    threads::watch_signals(events.clone(), reloads.clone())?;
    let count = capacity::shards(&plan.server);
    capacity::check_cores(&plan.server.cores)?;
    let connections = capacity::connections(&plan.server, count);
    let certificate = Certificate::read(&plan).map_err(NotStarted::Failed)?;
    let tls_connect = tls_connect(&plan)?;
    let (listeners, local) = bind(&plan.listen, count)?;
    let operators = plan
        .management_listen
        .as_ref()
        .map(|listen| bind(listen, 1))
        .transpose()?;
    let plan = Arc::new(plan);
    let seats = Seats::of(&plan);
    let first = Arc::new(Terms::first(Arc::clone(&plan), connections.most));
    let terms = Arc::new(Latest::new(Arc::clone(&first)));
    let addresses = threads::look_up_names(&terms, &events, &told)?;
    // One more than the shards: the event loop for operators reports, too.
    let loops = count + 1;
    let progress = Arc::new(Progress::new(loops));
    let (reporter, inbox) = reports::channel();
    let (state, file) = state(&plan)?;
    let totals = Totals::new(clock::wall(), &state);
    let books = Books::new(&plan, clock::wall(), state, window());
    let (meters, begun) = meters::channel();
    let words = (Arc::clone(&first.gates), Arc::clone(&progress));
    let reports = threads::start_reports(&events)?;
    let to_plan = Arc::clone(&plan);
    let mut coordinator = Coordinator::new(to_plan, words, (books, totals), begun, reports)
        .with_terms(Arc::clone(&terms));
    coordinator.start(Time::read());
    let mut bookkeepers = 1;
    if let Some(file) = file {
        let (sender, receiver) = states::channel();
        coordinator = coordinator.with_writer(sender);
        threads::start_writer(file, receiver, &events)?;
        bookkeepers += 1;
    }
    threads::start_coordinator(coordinator, inbox, &events)?;
    let (catalogue, lists) = threads::start_catalogue(&terms, &events)?;
    let token = environment::setting(TOKEN).map(Secret::new);
    let era = Era::new(0, first.clone(), certificate.config(), token.as_ref());
    let common = Arc::new(Common {
        catalogue,
        lists,
        helpers: threads::start_helpers(count)?,
        server: plan.server.clone(),
        process: Arc::clone(first.gates.process()),
        era: Latest::new(Arc::new(era)),
        progress,
        reloads,
        management_token: token,
        retries: Retries::new(loops),
        buffered: Arc::new(buffered::Pool::new(plan.server.max_buffered_bytes, loops)),
        upstream_room: connections.upstream_room,
        addresses,
        tls_connect,
    });
    let starter = Starter {
        common,
        log,
        reporter,
        meters,
        events,
    };
    let places = Places::new(&plan, local, operators.as_ref());
    let door = if operators.is_some() {
        Door::Callers
    } else {
        Door::Both
    };
    let listener = operators.and_then(|(mut listeners, _)| listeners.pop());
    let control = starter.control(count, listener, health)?;
    if health == HealthChecks::On {
        threads::wait_for_health(&plan, &told)?;
    }
    terminal::say(format_args!(
        "providers: {}",
        providers(&terms.load(), health)
    ));
    let mut ringers = Vec::new();
    for (id, listener) in (0..).map(ShardId).zip(listeners) {
        ringers.push(starter.shard(id, (listener, door))?);
    }
    starter.common.process.advance(Phase::Serving);
    terminal::say(format_args!("page: {}", places.page));
    terminal::say(format_args!("listening on {places}"));
    tracing::info!(listen = %places, shards = count, "serving");
    let Starter {
        common,
        reporter,
        events,
        ..
    } = starter;
    let bells = Arc::new(Bells {
        shards: ringers,
        control,
    });
    let reloader = Reloader {
        source,
        seats,
        terms,
        certificate,
        common: Arc::clone(&common),
        bells: Arc::clone(&bells),
        reporter: reporter.clone(),
        manager: manager(),
    };
    threads::start_reloader(reloader, wishes, &events)?;
    Ok(Running::new(common, bells, told, (reporter, bookkeepers)))
}

/// What the state file says, and the file, where one is configured.
fn state(plan: &Plan) -> Result<(State, Option<StateFile>), NotStarted> {
    let Some(path) = &plan.budgets.state_file else {
        return Ok((State::default(), None));
    };
    let opened = StateFile::open(Path::new(&**path));
    let opened = opened.map_err(|fault| NotStarted::Failed(fault.to_string()))?;
    if let Some(warning) = &opened.warning {
        tracing::warn!("{warning}");
    }
    Ok((opened.state, Some(opened.file)))
}

/// The window of the rate limits. The tests of a debug build may shorten it.
fn window() -> Duration {
    let shorter = environment::variable("INFERMUX_TEST_WINDOW").filter(|_| cfg!(debug_assertions));
    let seconds = shorter
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(60);
    Duration::from_secs(seconds)
}

/// Whether providers are checked, and the start waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChecks {
    /// They are.
    On,
    /// Nobody is checked.
    Off,
}

/// What event loops are started with.
struct Starter<'a> {
    common: Arc<Common>,
    log: &'a Log,
    reporter: Reporter,
    meters: MeterSender,
    events: EventSender,
}

impl Starter<'_> {
    /// Starts the event loop for operators and health checks.
    fn control(
        &self,
        count: usize,
        listener: Option<TcpListener>,
        health: HealthChecks,
    ) -> Result<Ringer, NotStarted> {
        let events = self.events.clone();
        let tell = move || events.send(Event::HealthChecked);
        let checked: Option<Box<dyn Fn() + Send>> = match health {
            HealthChecks::On => Some(Box::new(tell)),
            HealthChecks::Off => None,
        };
        let id = ShardId(u16::try_from(count).unwrap_or(u16::MAX));
        let listener = listener.map(|listener| (listener, Door::Operators));
        let (ringer, own) = self.own(id, listener, Duty::Control { checked })?;
        threads::start_control(&self.common, own, &self.events)?;
        Ok(ringer)
    }

    fn shard(&self, id: ShardId, door: (TcpListener, Door)) -> Result<Ringer, NotStarted> {
        let (ringer, own) = self.own(id, Some(door), Duty::Callers)?;
        threads::start_shard(&self.common, own, &self.events)?;
        Ok(ringer)
    }

    fn own(
        &self,
        id: ShardId,
        listener: Option<(TcpListener, Door)>,
        duty: Duty,
    ) -> Result<(Ringer, Own), NotStarted> {
        let (ringer, bell) = bell::pair().map_err(failed("cannot make a bell"))?;
        let (log, lines) = (self.log.sender(), self.log.access_lines());
        let reporter = self.reporter.clone();
        Ok((
            ringer,
            Own {
                id,
                listener,
                duty,
                bell,
                reporter,
                meters: self.meters.clone(),
                log,
                lines,
            },
        ))
    }
}

/// The providers, and what their first check has found.
fn providers(terms: &Terms, health: HealthChecks) -> String {
    let one = |provider: &Provider| {
        let gate = &terms.gates.providers[provider.id.index()];
        let is_checked = !provider.health_check.disabled;
        let state = match (health, is_checked, gate.is_healthy()) {
            (HealthChecks::On, true, true) => " (healthy)",
            (HealthChecks::On, true, false) => " (unhealthy)",
            (HealthChecks::On | HealthChecks::Off, _, _) => "",
        };
        format!("{}{state}", provider.name)
    };
    let all = terms.plan.providers.iter();
    all.map(one).collect::<Vec<_>>().join(", ")
}

/// Where callers and operators connect.
struct Places {
    callers: String,
    operators: Option<String>,
    /// The page's URL for a browser on this machine.
    page: String,
}

impl Places {
    fn new(
        plan: &Plan,
        callers: SocketAddr,
        operators: Option<&(Vec<TcpListener>, SocketAddr)>,
    ) -> Self {
        let tls = plan.tls.as_ref();
        let (mut addr, has_tls) = match operators {
            Some((_, addr)) => (*addr, tls.is_some_and(|files| files.management)),
            None => (callers, tls.is_some()),
        };
        if addr.ip().is_unspecified() {
            addr.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if has_tls { "https" } else { "http" };
        let page = format!("{scheme}://{addr}/_infermux/");
        let listen = plan.management_listen.as_ref();
        let operators = listen
            .zip(operators)
            .map(|(listen, (_, addr))| place(listen, *addr));
        Self {
            callers: place(&plan.listen, callers),
            operators,
            page,
        }
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.callers)?;
        match &self.operators {
            Some(operators) => write!(f, " (management: {operators})"),
            None => Ok(()),
        }
    }
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
    let until = clock::now() + TAKEN_MAX;
    let mut bound = listen::bind(listen.addr, count);
    while bound.as_ref().is_err_and(is_taken) && clock::now() < until {
        std::thread::park_timeout(TAKEN_PAUSE);
        bound = listen::bind(listen.addr, count);
    }
    bound.map_err(|fault| {
        let cause = match fault.kind() {
            ErrorKind::AddrInUse => "address already in use (is another infermux running?)",
            ErrorKind::AddrNotAvailable => "this host does not have that address",
            ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a capability)",
            _ => &fault.to_string(),
        };
        NotStarted::Failed(format!("cannot listen on {}: {cause}", listen.text))
    })
}

fn is_taken(fault: &io::Error) -> bool {
    fault.kind() == ErrorKind::AddrInUse
}

/// Where callers connect: the text of the configuration, with the port the kernel chose.
fn place(listen: &Listen, local: SocketAddr) -> String {
    match listen.text.rsplit_once(':') {
        Some((host, _)) => format!("{host}:{}", local.port()),
        None => local.to_string(),
    }
}

/// How long a taken port is tried again: the kernel takes some milliseconds to undo the ring of a
/// process that was killed, and its listeners with it.
const TAKEN_MAX: Duration = Duration::from_secs(1);
/// Pause between two tries.
const TAKEN_PAUSE: Duration = Duration::from_millis(10);

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
