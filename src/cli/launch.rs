//! From a configuration to running event loops, one step after the other.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::base::limits::{REMEMBERED_ITEMS_MAX, UNSETTLED_RESPONSES_MAX};
use crate::base::secret::Secret;
use crate::cli::bookkeeping::{self, Bookkeeping};
use crate::cli::capacity::{self, Connections};
use crate::cli::certificates::Certificates;
use crate::cli::environment;
use crate::cli::fleet::Hearers;
use crate::cli::keys_file::{self, Seen};
use crate::cli::listeners::Listeners;
use crate::cli::log::Log;
use crate::cli::loops::{HealthChecks, Starter};
use crate::cli::manager::manager;
use crate::cli::not_started::NotStarted;
use crate::cli::recorders;
use crate::cli::reload::{Reloader, Source};
use crate::cli::server::TOKEN;
use crate::cli::stop::Running;
use crate::cli::threads;
use crate::cli::webhooks;
use crate::config::account_seats::AccountSeats;
use crate::config::accounts::Accounts;
use crate::config::plan::Plan;
use crate::config::seats::Seats;
use crate::coordinator::notices::Notices;
use crate::exchange::callers::Callers;
use crate::exchange::remembered::Items;
use crate::exchange::unsettled::AllUnsettled;
use crate::ledger::shares::quota::State;
use crate::ledger::terms::Terms;
use crate::link::addresses::Addresses;
use crate::link::buffered;
use crate::link::events::{EventReceiver, EventSender};
use crate::link::latest::Latest;
use crate::link::owners::Owners;
use crate::link::progress::Progress;
use crate::link::recorder::Recorders;
use crate::link::reloads::{self, ReloadSender};
use crate::link::retries::Retries;
use crate::link::webhooks::Teller;
use crate::shard::state::common::Common;
use crate::shard::state::era::Era;
use crate::sys::tls;

/// What a start needs besides the configuration.
pub struct Launch<'a> {
    /// Where event loops log.
    pub log: &'a Log,
    /// Whether providers are checked.
    pub health: HealthChecks,
    /// Takes the events of threads, such as their ends.
    pub events: EventSender,
    /// Receives these events.
    pub told: EventReceiver,
}

impl Launch<'_> {
    /// Starts all threads that serve `plan`, which was read from `source`.
    ///
    /// # Errors
    ///
    /// The process lacks something that it needs, or is asked to stop.
    pub fn start(self, source: Source, plan: Plan) -> Result<Running, NotStarted> {
        let (reloads, wishes) = reloads::channel();
        threads::watch_signals(self.events.clone(), reloads.clone())?;
        let ground = Ground::take(&plan)?;
        let keys_seen = Seen::of(&plan);
        let (callers, account_seats) = first_callers(&plan)?;
        let next_callers = Arc::new(Latest::new(Arc::clone(&callers)));
        let plan = Arc::new(plan);
        let seats = Seats::of(&plan);
        let first = Terms::first(plan, ground.connections.most);
        let terms = Arc::new(Latest::new(Arc::new(first)));
        let (recorders, recording) = recorders::start(&terms.load(), &self.events)?;
        let addresses = threads::look_up_names(&terms, &self.events, &self.told)?;
        let progress = Arc::new(Progress::new(ground.loops()));
        let webhooks = webhooks::Starter::begin(&terms, &self.events)?;
        let books = self.keep_books((&terms, &next_callers), &progress, webhooks.teller())?;
        let shared = Shared {
            progress,
            reloads: reloads.clone(),
            addresses,
            callers: Arc::new(Latest::new(callers)),
            recording,
        };
        let common = self.common(&ground, &terms, shared)?;
        let starter = Starter {
            common: Arc::new(common),
            log: self.log,
            reporter: books.reporter,
            meters: books.meters,
            events: self.events,
            health: self.health,
        };
        let bells = Arc::new(starter.start(ground.listeners, &terms, &self.told)?);
        let Starter {
            common,
            reporter,
            events,
            ..
        } = starter;
        threads::watch_keys(&terms, &common.process, (reloads, keys_seen), &events)?;
        let reloader = Reloader {
            source,
            seats,
            account_seats,
            terms,
            next_callers,
            former_callers: Vec::new(),
            certificates: ground.certificates,
            recorders,
            common: Arc::clone(&common),
            bells: Arc::clone(&bells),
            reporter: reporter.clone(),
            manager: manager(),
            webhooks,
        };
        let teller = reloader.webhooks.teller();
        threads::start_reloader(reloader, wishes, &events)?;
        let books = (reporter, books.threads);
        Ok(Running::new(common, bells, self.told, books).with_webhooks(teller))
    }

    /// Starts the threads that keep the books, and waits for the store that they share.
    fn keep_books(
        &self,
        (terms, callers): (&Arc<Latest<Terms>>, &Arc<Latest<Callers>>),
        progress: &Arc<Progress>,
        teller: Teller,
    ) -> Result<Bookkeeping, NotStarted> {
        let (events, notices) = (&self.events, &Notices::new(teller));
        let books = bookkeeping::start((terms, callers), progress, Hearers { events, notices })?;
        if let Some(shared) = &terms.load().plan.shared
            && !threads::wait_for_store(&self.told)?
        {
            notices.shared_state(&shared.namespace, State::Lost);
        }
        Ok(books)
    }

    /// Makes what all event loops share, and starts the threads that work for them.
    fn common(
        &self,
        ground: &Ground,
        terms: &Arc<Latest<Terms>>,
        shared: Shared,
    ) -> Result<Common, NotStarted> {
        let Shared {
            progress,
            reloads,
            addresses,
            callers,
            recording,
        } = shared;
        let first = terms.load();
        let (catalogue, lists) = threads::start_catalogue(terms, &self.events)?;
        let token = environment::setting(TOKEN).map(Secret::new);
        let settings = ground.certificates.settings(&first.plan);
        let era = Era::new(0, Arc::clone(&first), settings, token.as_ref());
        let era = era.recorded_by(recording);
        let server = first.plan.server.clone();
        let buffered = buffered::Pool::new(server.max_buffered_bytes, ground.loops());
        let process = first.gates.process();
        let shown = Arc::clone(&process.remembered);
        let items = Items::new(REMEMBERED_ITEMS_MAX, server.responses_memory, shown);
        let unsettled = AllUnsettled::new(UNSETTLED_RESPONSES_MAX, usize::MAX, Arc::default());
        let owners = Owners::default();
        owners.prepare(first.plan.makers_of_ids());
        Ok(Common {
            catalogue,
            lists,
            helpers: threads::start_helpers(ground.shards)?,
            server,
            process: Arc::clone(process),
            era: Latest::new(Arc::new(era)),
            progress,
            reloads,
            callers,
            management_token: token,
            retries: Retries::new(ground.loops()),
            owners: Arc::new(owners),
            items: Arc::new(items),
            unsettled: Arc::new(unsettled),
            buffered: Arc::new(buffered),
            upstream_room: ground.connections.upstream_room,
            addresses,
            tls_connect: Arc::clone(&ground.tls_connect),
        })
    }
}

/// What other threads have their hands on, too.
struct Shared {
    progress: Arc<Progress>,
    reloads: ReloadSender,
    addresses: Arc<Addresses>,
    callers: Arc<Latest<Callers>>,
    recording: Recorders,
}

/// What the process needs before anything runs.
struct Ground {
    shards: usize,
    connections: Connections,
    certificates: Certificates,
    tls_connect: Arc<ClientConfig>,
    listeners: Listeners,
}

impl Ground {
    fn take(plan: &Plan) -> Result<Self, NotStarted> {
        let shards = capacity::shards(&plan.server);
        capacity::check_cores(&plan.server.cores)?;
        Ok(Self {
            shards,
            connections: capacity::connections(&plan.server, shards),
            certificates: Certificates::read(plan)
                .map_err(|faults| NotStarted::Failed(faults.join("\n")))?,
            tls_connect: tls_connect()?,
            listeners: Listeners::bind(plan, shards)?,
        })
    }

    /// One more than the shards: the operators' event loop reports, too.
    fn loops(&self) -> usize {
        self.shards + 1
    }
}

/// The callers that the configuration and its file of keys name, and the ids of their accounts.
fn first_callers(plan: &Plan) -> Result<(Arc<Callers>, AccountSeats), NotStarted> {
    let ring = keys_file::read(plan);
    let ring = ring.map_err(|faults| NotStarted::Failed(faults.join("; ")))?;
    let accounts = Arc::new(Accounts::of(plan, &ring));
    let seats = AccountSeats::of(&accounts);
    let callers = Callers::first(ring, plan.teams.clone(), accounts);
    Ok((Arc::new(callers), seats))
}

fn tls_connect() -> Result<Arc<ClientConfig>, NotStarted> {
    // Faults of the host's roots are told where its roots are needed, by `Certificates`.
    let (config, _) =
        tls::client().map_err(|fault| NotStarted::Failed(format!("cannot set up TLS: {fault}")))?;
    Ok(config)
}
