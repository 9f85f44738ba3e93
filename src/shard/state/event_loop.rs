//! One event loop: what its connections share.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::Endpoint;
use crate::base::ids::{ProviderId, ShardId};
use crate::base::limits::RELAYS_KEPT_MAX;
use crate::base::random::Random;
use crate::decide::ewma::Ewma;
use crate::dialect::ask::AskOutlines;
use crate::dialect::chat::lessons::{Keys, Lessons};
use crate::dialect::outlines::AnswerOutlines;
use crate::dialect::view::View;
use crate::exchange::door::Door;
use crate::exchange::refusal::Connection;
use crate::link::buffered::Lease;
use crate::link::log::LogSender;
use crate::link::meters::MeterSender;
use crate::link::reports::Reporter;
use crate::report::line::Lines;
use crate::shard::http::pool::Pool;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::io::Io;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::ring::Driver;
use crate::shard::net::rooms::Rooms;
use crate::shard::state::access_log::AccessLog;
use crate::shard::state::callers::HeldCallers;
use crate::shard::state::common::Common;
use crate::shard::state::journals::Journals;
use crate::shard::state::lobby::Lobby;
use crate::shard::state::meters::Meters;
use crate::shard::state::relay::Spare;
use crate::shard::state::reports::Reports;
use crate::sys::entropy;
use crate::wire::head::RecentHeads;

/// Takes the facts, counters and log lines of one event loop.
pub struct Outlets {
    /// Its facts.
    pub reporter: Reporter,
    /// Its counters.
    pub meters: MeterSender,
    /// Its access lines.
    pub log: LogSender,
    /// Writes these; `None`: they are not written at this level.
    pub lines: Option<Lines>,
}

/// One event loop's own state. What all of them share is reached through it
/// ([`std::ops::Deref`]).
pub struct Loop {
    common: Arc<Common>,
    /// Its number.
    pub id: ShardId,
    /// What its listener serves.
    pub door: Door,
    /// What its sockets share.
    pub io: Io,
    /// Callers' keys, limits and budgets, as it saw them last.
    pub held_callers: HeldCallers,
    /// The latest heads of callers' requests.
    pub heads: RefCell<RecentHeads>,
    /// What the bodies of the latest requests looked like.
    pub asks: RefCell<AskOutlines>,
    /// Idle connections to providers.
    pub pool: Pool,
    /// For choices and request ids.
    pub random: RefCell<Random>,
    /// Facts on their way to the coordinator.
    pub reports: Rc<Reports>,
    /// What it counts.
    pub meters: Rc<Meters>,
    /// Access lines on their way out.
    pub access_log: Rc<AccessLog>,
    /// Writes access lines; `None`: they are not written.
    pub lines: Option<RefCell<Lines>>,
    /// Entries of requests on their way to those who record them.
    pub journals: Rc<Journals>,
    /// Memory for the futures of requests.
    pub rooms: Rooms,
    /// Machines of streams that later streams can use.
    #[expect(clippy::vec_box, reason = "a relay is handed out in its box")]
    relays: RefCell<Vec<Box<Spare>>>,
    /// What it has learned of the providers, by id.
    known: RefCell<Vec<Known>>,
    /// Connections that are open, by audience.
    open: Cell<[usize; 2]>,
    /// Callers' requests that wait for a place.
    pub lobby: Lobby,
    /// How often places were lacked in the process when this loop last looked, by audience.
    pub(super) places_lacked: [Cell<u64>; 2],
    /// Given when the last of them closes.
    emptied: Nudge,
}

/// What one event loop has learned of one provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Its average response time.
    pub(super) latency: Ewma,
    /// Whether it was seen to refuse `stream_options`.
    is_strict: bool,
    /// The number of the last era in which it was seen not to have Responses.
    pub(super) lacks_responses: Option<u64>,
    /// Other keys that it was seen to refuse, by model.
    lessons: Lessons,
    /// What its latest answers looked like.
    outlines: AnswerOutlines,
}

impl Deref for Loop {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Loop {
    /// The loop of this number, which serves `door`.
    #[must_use]
    pub fn new(common: Arc<Common>, id: ShardId, door: Door, driver: Driver, to: Outlets) -> Self {
        let meters = Rc::new(Meters::new(id, to.meters));
        let lease = Lease::new(Arc::clone(&common.buffered), Arc::clone(&meters.own));
        let progress = Arc::clone(&common.progress);
        Self {
            id,
            door,
            io: Io::new(driver, lease),
            held_callers: HeldCallers::new(&common.callers),
            heads: RefCell::default(),
            asks: RefCell::default(),
            pool: Pool::new(common.upstream_room),
            random: RefCell::new(Random::new(entropy::seed())),
            reports: Rc::new(Reports::new(id, progress, to.reporter)),
            meters,
            access_log: Rc::new(AccessLog::new(to.log)),
            lines: to.lines.map(RefCell::new),
            journals: Rc::default(),
            rooms: Rooms::default(),
            relays: RefCell::default(),
            known: RefCell::default(),
            open: Cell::default(),
            lobby: Lobby::default(),
            places_lacked: Default::default(),
            emptied: Nudge::default(),
            common,
        }
    }

    /// Puts the connection `up` to `provider` into the pool, if it may carry another request;
    /// otherwise closes it.
    pub fn park(&self, provider: ProviderId, up: Box<Upstream>) {
        self.pool.park(&self.io, provider, up);
    }

    /// A machine for a stream, as a former stream left it, or a new one.
    #[must_use]
    pub fn take_relay(&self) -> Box<Spare> {
        let kept = self.relays.borrow_mut().pop();
        kept.unwrap_or_default()
    }

    /// Keeps a stream's machine for the next one, without what a burst of streams, or a burst
    /// within one, added to it.
    pub fn keep_relay(&self, mut relay: Box<Spare>) {
        let mut relays = self.relays.borrow_mut();
        if relays.len() < RELAYS_KEPT_MAX {
            relay.empty(&self.io.buffers);
            relays.push(relay);
        }
    }

    /// Waits until none of its connections is open any more.
    pub async fn until_empty(&self) {
        while self.open.get() != [0, 0] {
            self.emptied.wait().await;
        }
    }

    /// Forgets what is known under this id, which has a new holder.
    pub(super) fn forget(&self, provider: ProviderId) {
        self.learn(provider, |known| *known = Known::default());
        self.pool.forget(provider);
        self.meters.forget(provider);
    }

    /// What `read` returns for what is known of `provider`; `None`: nothing is known.
    pub(super) fn known<T>(
        &self,
        provider: ProviderId,
        read: impl FnOnce(&Known) -> T,
    ) -> Option<T> {
        self.known.borrow().get(provider.index()).map(read)
    }

    pub(super) fn learn(&self, provider: ProviderId, change: impl FnOnce(&mut Known)) {
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

    /// Notes that `provider` refuses to be asked for the usage of a stream.
    pub fn without_injection(&self, provider: ProviderId) {
        self.learn(provider, |known| known.is_strict = true);
    }

    /// The keys that `provider` was seen to refuse for `model`.
    #[must_use]
    pub fn left_out(&self, provider: ProviderId, model: &str) -> Keys {
        let left_out = self.known(provider, |known| known.lessons.left_out(model));
        left_out.unwrap_or_default()
    }

    /// Notes that `provider` refuses these keys for `model`.
    pub fn leave_out(&self, provider: ProviderId, model: &str, keys: Keys) {
        self.learn(provider, |known| known.lessons.learn(model, keys));
    }

    /// What the router must know of an answer of `provider`, if it is like one that was
    /// [noted](Self::note_outline).
    #[must_use]
    pub fn outlined(&self, provider: ProviderId, to: Endpoint, body: &[u8]) -> Option<View> {
        let mut known = self.known.borrow_mut();
        known.get_mut(provider.index())?.outlines.view(to, body)
    }

    /// Notes what an answer of `provider` looks like, of which a reader has found this.
    pub fn note_outline(&self, provider: ProviderId, to: Endpoint, body: &[u8], found: &View) {
        self.learn(provider, |known| known.outlines.learn(to, body, found));
    }

    /// A random place in a list of any length: event loops should not all begin at the same one.
    #[must_use]
    pub fn any_place(&self) -> usize {
        usize::try_from(self.random.borrow_mut().below(1 << 16)).unwrap_or_default()
    }

    /// Whether a connection is kept open, given what its caller wants: a process that drains closes
    /// it.
    #[must_use]
    pub fn connection(&self, wanted: Connection) -> Connection {
        if self.process.is_taking() {
            wanted
        } else {
            Connection::Close
        }
    }
}
