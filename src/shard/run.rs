//! One shard from start to stop.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use monoio::io::AsyncReadRent;
use monoio::net::{TcpListener, UnixStream};
use rustls::{ClientConfig, ServerConfig};

use crate::base::ids::{ProviderId, RouteId, ShardId};
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::base::tokens::Tokens;
use crate::config::plan::Plan;
use crate::decide::ewma::{Ewma, LatencyView};
use crate::decide::rotation::Rotation;
use crate::exchange::catalogue::Catalogue;
use crate::exchange::outbound::Prefixes;
use crate::exchange::refusal::Connection;
use crate::exchange::target::Door;
use crate::link::addresses::Addresses;
use crate::link::buffered::{self, Lease};
use crate::link::gate::{Gates, Phase};
use crate::link::log::LogSender;
use crate::link::meters::MeterSender;
use crate::link::reports::{Progress, Reporter};
use crate::link::retries::Retries;
use crate::report::line::Lines;
use crate::shard::buffers::Buffers;
use crate::shard::log::AccessLog;
use crate::shard::meters::Meters;
use crate::shard::nudge::Nudge;
use crate::shard::pool::Pool;
use crate::shard::reports::Reports;
use crate::shard::ring::Driver;
use crate::shard::spare::Spare;
use crate::shard::spend::Purse;
use crate::shard::timers::Timers;
use crate::shard::{guarded, health, listener, ring};
use crate::sys::{entropy, process};
use crate::wire::json;

/// What every shard of a process gets: one copy, shared.
pub struct Common {
    /// The configuration.
    pub plan: Arc<Plan>,
    /// What is computed once for each route.
    pub routes: Box<[RouteExtras]>,
    /// The list of models.
    pub catalogue: Catalogue,
    /// Prices and budgets.
    pub purse: Purse,
    /// The fixed part of the requests to each provider.
    pub prefixes: Box<[Prefixes]>,
    /// Published words.
    pub gates: Arc<Gates>,
    /// Requests and extra attempts of the last seconds.
    pub retries: Retries,
    /// Bodies held in memory.
    pub buffered: Arc<buffered::Pool>,
    /// The providers' addresses.
    pub addresses: Arc<Addresses>,
    /// How far the shards have reported.
    pub progress: Arc<Progress>,
    /// What operators must present.
    pub management_token: Option<Secret>,
    /// TLS towards callers.
    pub tls_accept: Option<Arc<ServerConfig>>,
    /// TLS towards providers.
    pub tls_connect: Arc<ClientConfig>,
}

/// What is computed once for each route.
pub struct RouteExtras {
    /// The order of turns.
    pub rotation: Rotation,
    /// By candidate: the provider's name for the model as a JSON string, where it has one.
    pub models: Box<[Option<Box<[u8]>>]>,
}

impl RouteExtras {
    /// The extras of all routes of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Box<[Self]> {
        let extras = plan.routes.all.iter().map(|route| {
            let weights: Vec<u32> = route.candidates.iter().map(|one| one.weight).collect();
            let names = route.candidates.iter().map(|one| one.model.as_deref());
            let models = names
                .map(|name| name.map(|name| json::quoted(name).into()))
                .collect();
            Self {
                rotation: Rotation::new(&weights),
                models,
            }
        });
        extras.collect()
    }
}

/// What one shard gets for itself.
pub struct Own {
    /// Its number.
    pub id: ShardId,
    /// Its listener, bound and listening, and what it serves; `None`: it serves nobody.
    pub listener: Option<(StdListener, Door)>,
    /// What it does besides.
    pub duty: Duty,
    /// Becomes readable when the phase has changed.
    pub bell: StdUnixStream,
    /// Where its facts go.
    pub reporter: Reporter,
    /// Where its counts are made known.
    pub meters: MeterSender,
    /// Where its access lines go.
    pub log: LogSender,
    /// How they look; `None`: not written at this level.
    pub lines: Option<Lines>,
}

/// What a shard does besides serving its listener.
pub enum Duty {
    /// Nothing; it ends when its callers have their answers.
    Callers,
    /// It checks the providers' health, and ends with the process.
    Control {
        /// Called once every provider has been checked.
        checked: Box<dyn Fn() + Send>,
    },
}

/// One shard's own state. What all shards share is reached through it ([`std::ops::Deref`]).
pub struct Shard {
    common: Arc<Common>,
    /// Its number.
    pub id: ShardId,
    /// What its listener serves.
    pub door: Door,
    /// What its event loop runs on.
    pub driver: Driver,
    /// Deadlines of its sockets.
    pub timers: Rc<Timers>,
    /// Idle connections to providers.
    pub pool: Rc<Pool>,
    /// Bodies held in memory.
    pub lease: Rc<Lease>,
    /// For choices and request ids.
    pub random: RefCell<Random>,
    /// Facts on their way to the coordinator.
    pub reports: Rc<Reports>,
    /// What it counts.
    pub meters: Meters,
    /// Average response times, as this shard has seen them.
    latencies: RefCell<Vec<Ewma>>,
    /// Access lines on their way out.
    pub access_log: Rc<AccessLog>,
    /// How access lines look; `None`: they are not written.
    pub lines: Option<RefCell<Lines>>,
    /// What requests use, between two of them.
    pub buffers: Rc<Buffers>,
    /// What streams use, between two of them.
    pub relays: RefCell<Vec<Box<Spare>>>,
    /// By provider, the address that accepted a connection last.
    reached: RefCell<Vec<Option<SocketAddr>>>,
    /// By route, how long its answers have been of late, in tokens.
    answers: RefCell<Vec<u64>>,
    /// Providers that were seen not to take `stream_options`.
    strict: Box<[Cell<bool>]>,
    /// Callers' connections that are open.
    pub open: Cell<usize>,
    /// Told when the last of them closes.
    pub emptied: Nudge,
}

impl std::ops::Deref for Shard {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Shard {
    /// Whether `provider` may be asked for the usage of a stream.
    #[must_use]
    pub fn may_inject(&self, provider: ProviderId) -> bool {
        !self.strict[provider.index()].get()
    }

    /// Remembers that `provider` refuses to be asked for the usage of a stream.
    pub fn without_injection(&self, provider: ProviderId) {
        self.strict[provider.index()].set(true);
    }

    /// Takes note of a response time.
    pub fn observe(&self, provider: ProviderId, latency: Duration) {
        let decay = self.plan.latency.ewma_decay_permille;
        self.latencies.borrow_mut()[provider.index()].add(latency, decay);
    }

    /// The average response time of `provider`: this shard's own, or while it has too few samples,
    /// that of all shards.
    #[must_use]
    pub fn latency(&self, provider: ProviderId) -> LatencyView {
        let own = self.latencies.borrow()[provider.index()].view();
        if own.samples >= self.plan.latency.min_samples {
            return own;
        }
        let (average, samples) = self.gates.providers[provider.index()].average();
        LatencyView { average, samples }
    }

    /// The address of `provider` that accepted a connection last.
    #[must_use]
    pub fn reached(&self, provider: ProviderId) -> Option<SocketAddr> {
        self.reached.borrow()[provider.index()]
    }

    /// Takes note of an address that accepted a connection.
    pub fn note_reached(&self, provider: ProviderId, address: SocketAddr) {
        self.reached.borrow_mut()[provider.index()] = Some(address);
    }

    /// How long the answers of `route` have been of late.
    #[must_use]
    pub fn usual_answer(&self, route: RouteId) -> Tokens {
        Tokens::new(self.answers.borrow()[route.index()])
    }

    /// Takes note of an answer's length.
    pub fn note_answer(&self, route: RouteId, tokens: Tokens) {
        let mut answers = self.answers.borrow_mut();
        let usual = &mut answers[route.index()];
        *usual = (*usual * 7 + tokens.get()).div_ceil(8);
    }

    /// What becomes of a connection, given what its caller wants: a process that drains closes it.
    #[must_use]
    pub fn connection(&self, wanted: Connection) -> Connection {
        if self.gates.is_taking() {
            wanted
        } else {
            Connection::Close
        }
    }
}

/// Runs one shard on the calling thread until the process has drained.
///
/// # Errors
///
/// The event loop or its sockets could not be set up.
pub fn run(common: Arc<Common>, own: Own) -> io::Result<()> {
    let ring = ring::build()?;
    if own.id == ShardId(0)
        && let Some(complaint) = ring.complaint()
    {
        tracing::warn!("{complaint}");
    }
    let driver = ring.driver();
    // epoll needs sockets that never block; a ring may fail operations on such sockets at once.
    if let Some((listener, _)) = &own.listener {
        listener.set_nonblocking(driver == Driver::Epoll)?;
    }
    own.bell.set_nonblocking(driver == Driver::Epoll)?;
    ring.block_on(serve(common, own, driver))
}

async fn serve(common: Arc<Common>, own: Own, driver: Driver) -> io::Result<()> {
    let shard = Rc::new(Shard {
        id: own.id,
        door: own
            .listener
            .as_ref()
            .map_or(Door::Operators, |(_, door)| *door),
        driver,
        timers: Rc::default(),
        pool: Rc::new(Pool::new(common.plan.providers.len())),
        lease: Lease::new(Arc::clone(&common.buffered)),
        random: RefCell::new(Random::new(entropy::seed())),
        reports: Rc::new(Reports::new(
            own.id,
            Arc::clone(&common.progress),
            own.reporter,
        )),
        meters: Meters::new(own.id, own.meters),
        latencies: RefCell::new(vec![Ewma::default(); common.plan.providers.len()]),
        access_log: Rc::new(AccessLog::new(own.log)),
        lines: own.lines.map(RefCell::new),
        buffers: Rc::default(),
        relays: RefCell::default(),
        reached: RefCell::new(vec![None; common.plan.providers.len()]),
        answers: RefCell::new(vec![USUAL_ANSWER; common.plan.routes.all.len()]),
        strict: common
            .plan
            .providers
            .iter()
            .map(|_| Cell::new(false))
            .collect(),
        open: Cell::new(0),
        emptied: Nudge::default(),
        common,
    });
    guarded::spawn(Rc::clone(&shard.timers).sweep());
    guarded::spawn(Rc::clone(&shard.pool).age());
    let meter = Arc::clone(&shard.meters.own);
    meter.thread.set(process::this_thread());
    guarded::spawn(Rc::clone(&shard.reports).keep_flushing(meter));
    guarded::spawn(Rc::clone(&shard.access_log).keep_flushing());
    let mut bell = Bell::new(own.bell)?;
    let Some((listener, _)) = own.listener else {
        return stand_by(&shard, own.duty, &mut bell).await;
    };
    let queue = listener.try_clone()?;
    let listener = TcpListener::from_std(listener)?;
    guarded::spawn(listener::run(Rc::clone(&shard), listener));
    if let Duty::Control { .. } = own.duty {
        return stand_by(&shard, own.duty, &mut bell).await;
    }
    while shard.gates.is_taking() {
        bell.heard().await?;
    }
    listener::close(&shard, &queue).await;
    shard.timers.cut_waiting();
    guarded::spawn(cut_when_stopping(Rc::clone(&shard), bell));
    while shard.open.get() > 0 {
        shard.emptied.wait().await;
    }
    shard.reports.enforce().await;
    shard.access_log.flush();
    Ok(())
}

/// Checks health, and stays to the end: operators look on while the callers' shards drain.
async fn stand_by(shard: &Rc<Shard>, duty: Duty, bell: &mut Bell) -> io::Result<()> {
    if let Duty::Control { checked } = duty {
        guarded::spawn(health::check_all(Rc::clone(shard), checked));
    }
    loop {
        bell.heard().await?;
    }
}

/// Cuts off what is left when the time to finish is over.
async fn cut_when_stopping(shard: Rc<Shard>, mut bell: Bell) {
    while shard.gates.phase() != Phase::Stopping {
        if bell.heard().await.is_err() {
            return;
        }
    }
    loop {
        // Again and again: a request may open a connection after the first cut.
        shard.timers.cut_all();
        monoio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The end of a bell that hears.
struct Bell {
    stream: UnixStream,
    rings: Vec<u8>,
}

impl Bell {
    fn new(stream: StdUnixStream) -> io::Result<Self> {
        let rings = Vec::with_capacity(64);
        Ok(Self {
            stream: UnixStream::from_std(stream)?,
            rings,
        })
    }

    /// Waits for a ring.
    async fn heard(&mut self) -> io::Result<()> {
        let (result, rings) = self.stream.read(std::mem::take(&mut self.rings)).await;
        self.rings = rings;
        match result? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// How long an answer is expected to be before any has been seen, in tokens.
const USUAL_ANSWER: u64 = 512;
