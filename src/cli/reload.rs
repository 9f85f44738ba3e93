//! Reloads the configuration, on a thread of its own because files and names block.
//!
//! A file comes into force in steps, each of which is safe by itself: its names are looked up, the
//! coordinator adopts it, every event loop adopts it. Requests under way keep the configuration
//! that they began under. A file that cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Instant;
use crate::cli::bells::Bells;
use crate::cli::certificates::Certificates;
use crate::cli::environment;
use crate::cli::file::{self, Unusable};
use crate::cli::keys_file;
use crate::cli::not_started::NotStarted;
use crate::cli::open_keys::warn_of_open_keys;
use crate::cli::overrides::Overrides;
use crate::cli::recorders;
use crate::cli::webhooks;
use crate::config::account_seats::{AccountSeats, SeatedAccounts};
use crate::config::accounts::Accounts;
use crate::config::keyring::Keyring;
use crate::config::plan::Plan;
use crate::config::seats::{Seated, Seats};
use crate::config::{Environment, Loaded, Options, Strictness, changes, key_changes};
use crate::coordinator::names::LOOK_UP_MAX;
use crate::exchange::callers::Callers;
use crate::ledger::terms::Terms;
use crate::link::gate::{Phase, Reloaded};
use crate::link::latest::Latest;
use crate::link::lists::{Said, What};
use crate::link::recorder::Recorders;
use crate::link::reloads::{Changes, Next, ReloadReceiver, ReloadResult, Wished};
use crate::link::reports::{Ask, Message, Question, Reply, Reporter};
use crate::shard::state::common::Common;
use crate::shard::state::era::Era;
use crate::sys::clock;
use crate::sys::notify::Manager;

/// Where the configuration comes from: the file, overridden by flags and environment.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    overrides: Overrides,
}

impl Source {
    /// The file at `path`, with `overrides`.
    #[must_use]
    pub fn new(path: PathBuf, overrides: Overrides) -> Self {
        Self { path, overrides }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file alone, with the variables of this process.
    ///
    /// # Errors
    ///
    /// The file gives no configuration.
    pub fn load(path: &Path) -> Result<Loaded, Unusable> {
        let options = Options {
            environment: Environment::Lookup(environment::HERE),
            strict: Strictness::Lenient,
        };
        file::read(path, &options)
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    ///
    /// All faults, a sentence each.
    fn read(&self) -> Result<Loaded, Vec<String>> {
        let mut loaded = Self::load(&self.path).map_err(|unusable| unusable.faults())?;
        self.overrides.apply(&mut loaded.plan)?;
        Ok(loaded)
    }
}

/// Reloads the configuration.
pub struct Reloader {
    /// Where the configuration comes from.
    pub source: Source,
    /// The ids of providers in use.
    pub seats: Seats,
    /// The ids of callers' limits and budgets in use.
    pub account_seats: AccountSeats,
    /// Where the look-up thread and the coordinator find a configuration that is about to take
    /// effect.
    pub terms: Arc<Latest<Terms>>,
    /// What the files with certificates say.
    pub certificates: Certificates,
    /// Where the coordinator finds callers whose limits and budgets are about to take effect.
    pub next_callers: Arc<Latest<Callers>>,
    /// Callers that were in force: this thread drops them once nobody else holds them, since a
    /// shard would have to spend time on tens of thousands.
    pub former_callers: Vec<Arc<Callers>>,
    /// Starts those who record requests.
    pub recorders: recorders::Starter,
    /// What all event loops share.
    pub common: Arc<Common>,
    /// Their bells.
    pub bells: Arc<Bells>,
    /// The way to the coordinator.
    pub reporter: Reporter,
    /// The service manager, where it wants to know of reloads.
    pub manager: Manager,
    /// Starts the thread of webhooks with the first of them.
    pub webhooks: webhooks::Starter,
}

/// A file that can be used.
struct Replacement {
    seated: Seated,
    certificates: Certificates,
    ring: Keyring,
    accounts: SeatedAccounts,
    recorders: recorders::Prepared,
    changes: Changes,
}

impl Reloader {
    /// Reloads for one wish after the other, until no sender is left.
    pub fn run(mut self, wishes: &ReloadReceiver) {
        loop {
            self.former_callers.retain(|one| Arc::strong_count(one) > 1);
            let waits = !self.former_callers.is_empty();
            let wish = match wishes.next(waits.then_some(LOOK_AT_FORMER)) {
                Next::Wish(wish) => wish,
                Next::Nothing => continue,
                Next::Never => return,
            };
            if wish.what() == Wished::Keys {
                wish.tell(self.reload_keys());
                continue;
            }
            self.manager.reloading();
            let result = self.reload();
            self.manager.ready();
            wish.tell(result);
        }
    }

    /// Reads the file of callers' keys again, and nothing else.
    fn reload_keys(&mut self) -> ReloadResult {
        let plan = Arc::clone(&self.terms.load().plan);
        match self.prepare_keys(&plan) {
            Ok(replacement) => {
                let mut changes = Changes::default();
                if let Some((ring, accounts)) = replacement {
                    let count = ring.keys().len();
                    changes.changed = self.changed_keys(&ring);
                    self.next_callers(ring, &plan, accounts);
                    if self.ask_coordinator().is_none() {
                        return ReloadResult::Stopping;
                    }
                    self.common.callers.publish(self.next_callers.load());
                    // A shard that sleeps lets go of the former ones, too.
                    self.bells.ring();
                    for change in &changes.changed {
                        tracing::info!(change, "a key changes");
                    }
                    tracing::info!(keys = count, "the file of keys is reloaded");
                }
                ReloadResult::Done {
                    changes,
                    stalled: Vec::new(),
                }
            }
            Err(faults) => {
                for fault in &faults {
                    tracing::error!(fault, "the file of keys is not reloaded");
                }
                ReloadResult::Refused(faults)
            }
        }
    }

    /// How the keys of `ring` differ from those in force.
    fn changed_keys(&self, ring: &Keyring) -> Vec<String> {
        let former = self.next_callers.load();
        key_changes::keys(former.ring().keys(), ring.keys())
    }

    /// Reads the file of callers' keys; `None`: it says what it said before. What operators have
    /// done by hand ends only with a change.
    fn prepare_keys(&self, plan: &Plan) -> Result<Option<(Keyring, SeatedAccounts)>, Vec<String>> {
        let ring = keys_file::read(plan)?;
        if self
            .next_callers
            .look(|former| former.is_same(&ring, &plan.teams))
        {
            return Ok(None);
        }
        let accounts = self.seat_accounts(&ring, plan)?;
        Ok(Some((ring, accounts)))
    }

    fn seat_accounts(&self, ring: &Keyring, plan: &Plan) -> Result<SeatedAccounts, Vec<String>> {
        let accounts = Accounts::of(plan, ring);
        self.account_seats
            .seat(accounts)
            .map_err(|fault| vec![fault])
    }

    /// Puts the next callers where the coordinator finds them.
    fn next_callers(&mut self, ring: Keyring, plan: &Plan, seated: SeatedAccounts) {
        let SeatedAccounts {
            seats,
            accounts,
            fresh,
        } = seated;
        let former = self.next_callers.load();
        if !fresh.is_empty() || accounts.has_more_budgets_than(former.accounts()) {
            self.wait_for_facts();
        }
        for key in former.switched_back(&ring) {
            let (key, is_disabled) = (&*key.name, key.is_disabled);
            tracing::warn!(
                key,
                is_disabled,
                "a key is again as its file says: a command had changed that"
            );
        }
        let next = former.next(ring, plan.teams.clone(), (accounts, fresh));
        self.next_callers.publish(Arc::new(next));
        self.former_callers.push(former);
        self.account_seats = seats;
    }

    /// Waits until the facts of now are merged: those under an id's former holder must be booked
    /// before the id has another, and those of a scope before one of its budgets comes back.
    fn wait_for_facts(&self) {
        let progress = &self.common.progress;
        let pending = progress.pending();
        self.wait(Instant::NEVER, || progress.are_merged(&pending));
    }

    fn reload(&mut self) -> ReloadResult {
        if self.is_stopping() {
            tracing::warn!("the configuration is not reloaded: infermux is stopping");
            return ReloadResult::Stopping;
        }
        let replacement = match self.prepare() {
            Ok(replacement) => replacement,
            Err(faults) => {
                self.common.process.count_reload(Reloaded::No);
                for fault in &faults {
                    tracing::error!(fault, "the configuration is not reloaded");
                }
                return ReloadResult::Refused(faults);
            }
        };
        let changes = replacement.changes.clone();
        let Some(stalled) = self.put_in_force(replacement) else {
            return ReloadResult::Stopping;
        };
        if !stalled.is_empty() {
            let shards = stalled.join(", ");
            tracing::warn!(
                shards,
                "event loops are stuck: they take the new configuration once they turn again"
            );
        }
        self.common.process.count_reload(Reloaded::Yes);
        for change in &changes.changed {
            tracing::info!(change, "the configuration changes");
        }
        for key in &changes.needs_restart {
            tracing::warn!(key, "a change of this key takes effect with a restart");
        }
        let (count, path) = (changes.changed.len(), self.source.path.display());
        tracing::info!(changes = count, config = %path, "the configuration is reloaded");
        ReloadResult::Done { changes, stalled }
    }

    /// Reads the configuration and the files that it names.
    fn prepare(&self) -> Result<Replacement, Vec<String>> {
        let Loaded {
            mut plan, warnings, ..
        } = self.source.read()?;
        let before = self.terms.load();
        let needs_restart = changes::keep_fixed(&before.plan, &mut plan);
        let certificates = self.certificates.read_again(&plan)?;
        let ring = keys_file::read(&plan)?;
        let accounts = self.seat_accounts(&ring, &plan)?;
        let seated = self.seats.seat(plan).map_err(|fault| vec![fault])?;
        let recorders = self.recorders.prepare(&seated.plan);
        let recorders = recorders.map_err(|fault| vec![fault])?;
        let mut changed = changes::between(&before.plan, &seated.plan);
        changed.extend(self.changed_keys(&ring));
        changed.extend(certificates.changed_since(&self.certificates, &seated.plan));
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        warn_of_open_keys(&seated.plan);
        Ok(Replacement {
            seated,
            certificates,
            ring,
            accounts,
            recorders,
            changes: Changes {
                changed,
                needs_restart,
            },
        })
    }

    /// Puts `replacement` in force, step by step; returns the event loops that were left out,
    /// since they do not turn. `None`: the process stops in the meantime.
    fn put_in_force(&mut self, replacement: Replacement) -> Option<Vec<String>> {
        let Seated { seats, plan, fresh } = replacement.seated;
        // The former era is dropped by this thread: a shard would have to spend time on it.
        let former = self.common.era.load();
        let begins = !fresh.providers.is_empty();
        let terms = Arc::new(self.terms.load().next(plan, fresh));
        self.terms.publish(Arc::clone(&terms));
        if let Err(NotStarted::Failed(fault)) = self.webhooks.start_where_needed() {
            tracing::error!(fault, "no notices are sent to webhooks");
        }
        (self.seats, self.certificates) = (seats, replacement.certificates);
        let names = self.common.addresses.adopt();
        let until = clock::now() + LOOK_UP_MAX;
        if !self.wait(until, || names.taken().is_some()) {
            tracing::warn!(
                "not all host names of providers are looked up yet: infermux goes on meanwhile"
            );
        }
        if begins {
            self.wait_for_facts();
        }
        self.next_callers(replacement.ring, &terms.plan, replacement.accounts);
        self.common.owners.forget(&terms.fresh.providers);
        self.common.owners.prepare(terms.plan.makers_of_ids());
        self.ask_coordinator()?;
        self.list_models()?;
        let number = former.number + 1;
        let token = self.common.management_token.as_ref();
        let settings = self.certificates.settings(&terms.plan);
        let era = Era::new(number, terms, settings, token);
        let recorders = self.recorders.adopt(replacement.recorders);
        let era = era.recorded_by(recorders.unwrap_or_else(none));
        // Whoever is asked for a key finds those that count: they come before a mode that asks for
        // them, and go after one that does.
        let mut callers = Some(self.next_callers.load());
        if let Some(callers) = callers.take_if(|one| !one.ring().keys().is_empty()) {
            self.common.callers.publish(callers);
        }
        self.common.era.publish(Arc::new(era));
        self.bells.ring();
        let progress = &self.common.progress;
        // A slow loop is waited for, so that the operator's answer comes when the file is in force.
        let patience = clock::now() + STALL_PATIENCE;
        let adopted = || {
            let is_patient = clock::now() < patience;
            progress.have_adopted(number) && (!is_patient || progress.left_out(number).is_empty())
        };
        let is_in_force = self.wait(Instant::NEVER, adopted);
        if let Some(callers) = callers {
            self.common.callers.publish(callers);
            self.bells.ring();
        }
        is_in_force.then(|| progress.names(progress.left_out(number)))
    }

    /// Has the coordinator adopt the published terms.
    fn ask_coordinator(&self) -> Option<()> {
        let reply = Arc::<Reply>::default();
        let ask = || {
            let (question, reply) = (Question::Adopt, Arc::clone(&reply));
            self.reporter
                .send(Message::Ask(Ask { question, reply }))
                .is_ok()
        };
        let asked = self.wait(Instant::NEVER, ask);
        let answered = || reply.taken().is_some();
        (asked && self.wait(Instant::NEVER, answered)).then_some(())
    }

    /// Has the list of models follow the published terms.
    fn list_models(&self) -> Option<()> {
        let done = Arc::<Reply>::default();
        let say = || {
            let (what, done) = (What::Adopt, Arc::clone(&done));
            self.common.lists.give(Said { what, done })
        };
        let said = self.wait(Instant::NEVER, say);
        let answered = || done.taken().is_some();
        (said && self.wait(Instant::NEVER, answered)).then_some(())
    }

    /// Waits until `holds` is true; returns whether it was before `until` and before the process
    /// stopped.
    fn wait(&self, until: Instant, holds: impl Fn() -> bool) -> bool {
        while !holds() {
            if clock::now() >= until || self.is_stopping() {
                return false;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        true
    }

    fn is_stopping(&self) -> bool {
        self.common.process.phase() > Phase::Serving
    }
}

/// Nobody records requests, since the thread for it cannot be started.
fn none(fault: NotStarted) -> Recorders {
    if let NotStarted::Failed(fault) = fault {
        tracing::error!(fault, "no usage records are written");
    }
    Recorders::default()
}

/// How long a reload waits for a loop that does not turn.
const STALL_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two looks at whether callers that were in force can be dropped.
const LOOK_AT_FORMER: Duration = Duration::from_secs(1);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);
