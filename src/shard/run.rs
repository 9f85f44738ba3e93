//! One shard from start to stop.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::ops::Deref;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use monoio::net::TcpListener;
use rustls::ClientConfig;

use crate::base::ids::{ProviderId, RouteId, ShardId};
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::base::tokens::Tokens;
use crate::config::plan::{Plan, Server};
use crate::decide::ewma::{Ewma, LatencyView};
use crate::exchange::catalogue::Catalogue;
use crate::exchange::door::Door;
use crate::exchange::refusal::Connection;
use crate::link::addresses::Addresses;
use crate::link::buffered::{self, Lease};
use crate::link::gate::{Gates, Process};
use crate::link::helpers::Helpers;
use crate::link::latest::Latest;
use crate::link::lists::Said;
use crate::link::log::LogSender;
use crate::link::meters::MeterSender;
use crate::link::progress::Progress;
use crate::link::queue::Giver;
use crate::link::reloads::ReloadSender;
use crate::link::reports::Reporter;
use crate::link::retries::Retries;
use crate::report::line::Lines;
use crate::shard::health;
use crate::shard::http::pool::Pool;
use crate::shard::listener;
use crate::shard::net::bell::{self, Bell};
use crate::shard::net::buffers::Buffers;
use crate::shard::net::guarded;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::outbox::Outbox;
use crate::shard::net::ring;
use crate::shard::net::ring::Driver;
use crate::shard::net::rooms::Rooms;
use crate::shard::net::timers::Timers;
use crate::shard::request::place::Lobby;
use crate::shard::state::access_log::AccessLog;
use crate::shard::state::era::Era;
use crate::shard::state::meters::Meters;
use crate::shard::state::relay::Spare;
use crate::shard::state::reports::Reports;
use crate::sys::{entropy, process};

/// What every shard of a process gets: one copy, shared.
pub struct Common {
    /// The era that is in force, or comes into force when the bells ring.
    pub era: Latest<Era>,
    /// Threads, limits and deadlines of the callers' side.
    pub server: Server,
    /// The published words of the process.
    pub process: Arc<Process>,
    /// Requests and extra attempts of the last seconds.
    pub retries: Retries,
    /// Bodies held in memory.
    pub buffered: Arc<buffered::Pool>,
    /// Connections to providers that a shard may have before it closes idle ones.
    pub upstream_room: usize,
    /// The providers' addresses.
    pub addresses: Arc<Addresses>,
    /// The list of models that is told to callers, and who lists what.
    pub catalogue: Arc<Latest<Catalogue>>,
    /// The way to who puts it together.
    pub lists: Giver<Said>,
    /// How far the shards have reported.
    pub progress: Arc<Progress>,
    /// The way to who does what takes long.
    pub helpers: Helpers,
    /// The way to who reloads the configuration.
    pub reloads: ReloadSender,
    /// What operators must present.
    pub management_token: Option<Secret>,
    /// TLS towards providers.
    pub tls_connect: Arc<ClientConfig>,
}

/// What one shard gets for itself.
pub struct Own {
    /// Its number.
    pub id: ShardId,
    /// Its listener, bound and listening, and what it serves; `None`: it serves nobody.
    pub listener: Option<(StdListener, Door)>,
    /// What it does besides.
    pub duty: Duty,
    /// Becomes readable when the phase or the era has changed.
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
    /// It checks the providers' health, if it is to, and ends with the process.
    Control {
        /// Called once every provider has been checked; `None`: none ever is.
        checked: Option<Box<dyn Fn() + Send>>,
    },
}

/// One event loop's own state. What all of them share is reached through it
/// ([`std::ops::Deref`]).
pub struct Loop {
    common: Arc<Common>,
    /// Its number.
    pub id: ShardId,
    /// What its listener serves.
    pub door: Door,
    /// What it runs on.
    pub driver: Driver,
    /// Deadlines of its sockets.
    pub timers: Rc<Timers>,
    /// Idle connections to providers.
    pub pool: Pool,
    /// Bodies held in memory.
    pub lease: Rc<Lease>,
    /// For choices and request ids.
    pub random: RefCell<Random>,
    /// Facts on their way to the coordinator.
    pub reports: Rc<Reports>,
    /// What it counts.
    pub meters: Meters,
    /// Access lines on their way out.
    pub access_log: Rc<AccessLog>,
    /// How access lines look; `None`: they are not written.
    pub lines: Option<RefCell<Lines>>,
    /// What requests use, between two of them.
    pub buffers: Rc<Buffers>,
    /// Sends on their way out.
    pub outbox: Rc<Outbox>,
    /// Where the futures of requests are.
    pub rooms: Rooms,
    /// What streams use, between two of them.
    pub relays: RefCell<Vec<Box<Spare>>>,
    /// What it has learned of the providers, by id.
    known: RefCell<Vec<Known>>,
    /// The last step in which it was seen not to turn, as far as it knows.
    last_stall: Cell<u64>,
    /// Connections that are open, by audience.
    open: Cell<[usize; 2]>,
    /// Callers' requests that wait for a place.
    pub lobby: Lobby,
    /// Told when the last of them closes.
    pub emptied: Nudge,
}

/// What one event loop has learned of one provider.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its average response time.
    latency: Ewma,
    /// The address that accepted a connection last.
    reached: Option<SocketAddr>,
    /// Whether it was seen not to take `stream_options`.
    is_strict: bool,
}

/// One era on one event loop: what a request goes by. What belongs to the loop is reached through
/// it ([`std::ops::Deref`]).
pub struct Shard {
    own: Rc<Loop>,
    /// The era.
    pub era: Arc<Era>,
    /// Its configuration.
    pub plan: Arc<Plan>,
    /// Its words.
    pub gates: Arc<Gates>,
    /// By route, how long its answers have been of late, in tokens.
    answers: RefCell<Vec<u64>>,
}

/// The shard that the next request goes by.
pub struct Current {
    own: Rc<Loop>,
    shard: RefCell<Rc<Shard>>,
}

impl Deref for Loop {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Deref for Shard {
    type Target = Loop;

    fn deref(&self) -> &Loop {
        &self.own
    }
}

impl Deref for Current {
    type Target = Loop;

    fn deref(&self) -> &Loop {
        &self.own
    }
}

impl Current {
    fn new(own: Rc<Loop>) -> Self {
        let shard = Shard::new(Rc::clone(&own), own.era.load(), |era| {
            era.from_former(&[], USUAL_ANSWER)
        });
        Self {
            shard: RefCell::new(Rc::new(shard)),
            own,
        }
    }

    /// The shard that a request goes by which begins now.
    #[must_use]
    pub fn shard(&self) -> Rc<Shard> {
        // A reload does not wait for a loop that does not turn.
        let stall = self.own.progress.stalled_in(self.own.id);
        if self.own.last_stall.replace(stall) != stall {
            self.adopt();
        }
        Rc::clone(&self.shard.borrow())
    }

    /// Goes by the era that is published, if it is another one; requests under way stay by theirs.
    fn adopt(&self) {
        let before = self.shard();
        let era = self.own.era.load();
        if era.number == before.era.number {
            return;
        }
        for id in &era.terms.fresh.providers {
            self.own.forget(*id);
        }
        for provider in &before.plan.providers {
            if era.terms.plan.find_provider(provider.id).is_none() {
                self.own.pool.forget(provider.id);
            }
        }
        let after = Shard::new(Rc::clone(&self.own), era, |era| {
            era.from_former(&before.answers.borrow(), USUAL_ANSWER)
        });
        *self.shard.borrow_mut() = Rc::new(after);
    }
}

impl Loop {
    /// Whoever has this id now is not known yet.
    fn forget(&self, provider: ProviderId) {
        self.learn(provider, |known| *known = Known::default());
        self.pool.forget(provider);
        self.meters.forget(provider);
    }

    /// What `read` makes of what is known of `provider`; `None`: nothing is.
    fn known<T>(&self, provider: ProviderId, read: impl FnOnce(&Known) -> T) -> Option<T> {
        self.known.borrow().get(provider.index()).map(read)
    }

    fn learn(&self, provider: ProviderId, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.borrow_mut();
        if known.len() <= provider.index() {
            known.resize_with(provider.index() + 1, Known::default);
        }
        change(&mut known[provider.index()]);
    }

    /// Changes how many connections are open.
    pub fn count_connections(&self, change: impl FnOnce(&mut [usize; 2])) {
        let mut open = self.open.get();
        change(&mut open);
        self.open.set(open);
        let [callers, operators] = open;
        self.meters.own.callers.set(callers);
        self.meters.own.operators.set(operators);
        if callers + operators == 0 {
            self.emptied.give();
        }
    }

    /// Whether `provider` may be asked for the usage of a stream.
    #[must_use]
    pub fn may_inject(&self, provider: ProviderId) -> bool {
        !self
            .known(provider, |known| known.is_strict)
            .unwrap_or_default()
    }

    /// Remembers that `provider` refuses to be asked for the usage of a stream.
    pub fn without_injection(&self, provider: ProviderId) {
        self.learn(provider, |known| known.is_strict = true);
    }

    /// The address of `provider` that accepted a connection last.
    #[must_use]
    pub fn reached(&self, provider: ProviderId) -> Option<SocketAddr> {
        self.known(provider, |known| known.reached).flatten()
    }

    /// Takes note of an address that accepted a connection.
    pub fn note_reached(&self, provider: ProviderId, address: SocketAddr) {
        self.learn(provider, |known| known.reached = Some(address));
    }

    /// What becomes of a connection, given what its caller wants: a process that drains closes it.
    #[must_use]
    pub fn connection(&self, wanted: Connection) -> Connection {
        if self.process.is_taking() {
            wanted
        } else {
            Connection::Close
        }
    }
}

impl Shard {
    fn new(own: Rc<Loop>, era: Arc<Era>, answers: impl FnOnce(&Era) -> Vec<u64>) -> Self {
        // The first one, too, may be that of a reload. Nothing begins before it is in its place.
        own.progress.adopted(own.id, era.number);
        Self {
            own,
            plan: Arc::clone(&era.terms.plan),
            gates: Arc::clone(&era.terms.gates),
            answers: RefCell::new(answers(&era)),
            era,
        }
    }

    /// Takes note of a response time.
    pub fn observe(&self, provider: ProviderId, latency: Duration) {
        let decay = self.plan.latency.ewma_decay_permille;
        self.learn(provider, |known| known.latency.add(latency, decay));
    }

    /// The average response time of `provider`: this shard's own, or while it has too few samples,
    /// that of all shards.
    #[must_use]
    pub fn latency(&self, provider: ProviderId) -> LatencyView {
        let own = self.known(provider, |known| known.latency.view());
        let is_enough = |own: &LatencyView| own.samples >= self.plan.latency.min_samples;
        if let Some(own) = own.filter(is_enough) {
            return own;
        }
        let (average, samples) = self.gates.providers[provider.index()].average();
        LatencyView { average, samples }
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
    let Own {
        id,
        listener,
        duty,
        bell,
        reporter,
        meters,
        log,
        lines,
    } = own;
    let door = listener.as_ref().map(|(_, door)| *door);
    let progress = Arc::clone(&common.progress);
    guarded::count_steps(id, Arc::clone(&progress));
    let meters = Meters::new(id, meters);
    let lease = Lease::new(Arc::clone(&common.buffered), Arc::clone(&meters.own));
    let buffers = Rc::new(Buffers::new(Rc::clone(&lease)));
    let current = Rc::new(Current::new(Rc::new(Loop {
        id,
        door: door.unwrap_or(Door::Operators),
        driver,
        timers: Rc::default(),
        pool: Pool::new(common.upstream_room),
        lease,
        random: RefCell::new(Random::new(entropy::seed())),
        reports: Rc::new(Reports::new(id, progress, reporter)),
        meters,
        access_log: Rc::new(AccessLog::new(log)),
        lines: lines.map(RefCell::new),
        outbox: Rc::new(Outbox::new(Rc::clone(&buffers))),
        buffers,
        rooms: Rooms::default(),
        relays: RefCell::default(),
        known: RefCell::default(),
        last_stall: Cell::new(0),
        open: Cell::default(),
        lobby: Lobby::default(),
        emptied: Nudge::default(),
        common,
    })));
    guarded::spawn_for_all("deadlines", Rc::clone(&current.timers).sweep());
    guarded::spawn_for_all("sends", Rc::clone(&current.outbox).carry_out());
    guarded::spawn_for_all("pool", Pool::look_after(Rc::clone(&current)));
    let meter = Arc::clone(&current.meters.own);
    meter.thread.set(process::this_thread());
    let facts = Rc::clone(&current.reports).keep_flushing(meter);
    guarded::spawn_for_all("facts", facts);
    let lines = Rc::clone(&current.access_log).keep_flushing();
    guarded::spawn_for_all("log", lines);
    let mut bell = Bell::new(bell)?;
    let Some((listener, _)) = listener else {
        return stand_by(&current, duty, &mut bell).await;
    };
    let queue = listener.try_clone()?;
    let listener = TcpListener::from_std(listener)?;
    guarded::spawn_for_all("accepts", listener::run(Rc::clone(&current), listener));
    if let Duty::Control { .. } = duty {
        return stand_by(&current, duty, &mut bell).await;
    }
    while current.process.is_taking() {
        bell.heard().await?;
        current.adopt();
    }
    listener::close(&current, &queue).await;
    current.timers.cut_waiting();
    guarded::spawn_for_all("stop", bell::cut_when_stopping(Rc::clone(&current), bell));
    while current.open.get() != [0, 0] {
        current.emptied.wait().await;
    }
    current.reports.enforce().await;
    current.access_log.flush();
    Ok(())
}

/// Checks health, and stays to the end: operators look on while the callers' shards drain.
async fn stand_by(current: &Rc<Current>, duty: Duty, bell: &mut Bell) -> io::Result<()> {
    let checks = match duty {
        Duty::Control { checked } => checked.map(|tell| health::begin(current, tell)),
        Duty::Callers => None,
    };
    let mut before = current.shard();
    loop {
        bell.heard().await?;
        current.adopt();
        let former = std::mem::replace(&mut before, current.shard());
        if former.era.number != before.era.number
            && let Some(checks) = &checks
        {
            health::check_changed(current, checks, &former.plan);
        }
    }
}

/// How long an answer is expected to be before any has been seen, in tokens.
const USUAL_ANSWER: u64 = 512;
