//! Starts the threads beside the main one. Each reports its end to the main thread.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::base::limits::{HELPERS_MAX, LISTS_WAITING_MAX, REPORTS_MAX};
use crate::cli::capacity::unusable_core;
use crate::cli::exit::{DONE, INTERRUPTED};
use crate::cli::keys_file::{self, Seen};
use crate::cli::not_started::{NotStarted, failed};
use crate::cli::reload::Reloader;
use crate::cli::terminal;
use crate::cli::thread_start::start_thread;
use crate::config::plan::Plan;
use crate::coordinator::catalogue;
use crate::coordinator::chores;
use crate::coordinator::names::{LOOK_UP_MAX, Names};
use crate::coordinator::notices::Notices;
use crate::coordinator::reports::{self, Job};
use crate::coordinator::run::Coordinator;
use crate::coordinator::save;
use crate::coordinator::state_file::StateFile;
use crate::coordinator::store::Store;
use crate::exchange::catalogue::Catalogue;
use crate::ledger::state::State;
use crate::ledger::terms::Terms;
use crate::link::addresses::{self, Addresses};
use crate::link::events::{Event, EventReceiver, EventSender};
use crate::link::gate::Process;
use crate::link::helpers::{self, Helpers};
use crate::link::latest::Latest;
use crate::link::lists::Said;
use crate::link::queue::{self, Giver, Taker};
use crate::link::reloads::{ReloadReceiver, ReloadSender, Wished};
use crate::link::reports::{Inbox, Message, Reporter};
use crate::link::states::StateReceiver;
use crate::link::store::Errand;
use crate::shard::run::{self, Own};
use crate::shard::state::common::Common;
use crate::sys::signals::Signal;
use crate::sys::{clock, cores, signals};

/// From now on, signals are reported to the main thread, or to the reloader.
///
/// # Errors
///
/// The handlers cannot be installed.
pub fn watch_signals(events: EventSender, reloads: ReloadSender) -> Result<(), NotStarted> {
    let to = events.clone();
    let signals = signals::watch().map_err(failed("cannot watch for signals"))?;
    let watch = move || {
        for signal in signals {
            match signal {
                Signal::Terminate => events.send(Event::StopAsked(DONE)),
                Signal::Interrupt => events.send(Event::StopAsked(INTERRUPTED)),
                // The reloader logs the result.
                Signal::Hangup => drop(reloads.wish(Wished::Configuration)),
            }
        }
        Ok(())
    };
    start_thread("signals".into(), &to, |_| Event::Broke(SIGNALS), watch)
}

/// Starts the look-up of the providers' names, and waits for its first round.
///
/// # Errors
///
/// The thread cannot be started, or the process is asked to stop meanwhile.
pub fn look_up_names(
    terms: &Arc<Latest<Terms>>,
    events: &EventSender,
    told: &EventReceiver,
) -> Result<Arc<Addresses>, NotStarted> {
    let plan = Arc::clone(&terms.load().plan);
    let (addresses, wanted) = addresses::channel(plan.providers.len());
    let (names, table) = (Names::of(&plan), Arc::clone(&addresses));
    let terms = Arc::clone(terms);
    let tell = events.clone();
    let body = move || {
        let tell = || tell.send(Event::NamesLookedUp);
        chores::run(names, &table, &wanted, &terms, tell);
        Ok(())
    };
    start_thread("chores".into(), events, |_| Event::Broke(NAMES), body)?;
    let until = clock::now() + LOOK_UP_MAX;
    loop {
        match told.next_within(until.since(clock::now())) {
            Some(Event::NamesLookedUp) => return Ok(addresses),
            Some(Event::StopAsked(code)) => return Err(NotStarted::Asked(code)),
            Some(Event::Broke(what)) => return Err(broken(what)),
            // No other thread runs yet.
            Some(
                Event::ShardEnded(..)
                | Event::HealthChecked
                | Event::StoreConnected
                | Event::StoreReady
                | Event::NameTaken
                | Event::ControlEnded(_)
                | Event::CoordinatorEnded(_)
                | Event::WriterEnded(_)
                | Event::ReportsEnded(_)
                | Event::StoreEnded(_)
                | Event::RecorderEnded(_)
                | Event::WebhooksEnded(_)
                | Event::CatalogueEnded(_),
            ) => {}
            None => {
                tracing::warn!(
                    "not all host names of providers are looked up yet: serving begins meanwhile"
                );
                return Ok(addresses);
            }
        }
    }
}

/// Starts a shard, pinned to its core where it has one.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_shard(common: &Arc<Common>, own: Own, events: &EventSender) -> Result<(), NotStarted> {
    let id = own.id;
    let core = common.server.cores.get(id.index()).copied();
    let common = Arc::clone(common);
    let body = move || match core {
        Some(core) if !cores::pin(core) => Err(io::Error::other(unusable_core(core))),
        Some(_) | None => run::run(common, own),
    };
    let ended = move |fault| Event::ShardEnded(id, fault);
    start_thread(format!("shard-{}", id.0), events, ended, body)
}

/// Starts the thread that `write`s the log.
///
/// # Errors
///
/// It cannot be started.
pub fn start_log(
    events: &EventSender,
    write: impl FnOnce() + Send + 'static,
) -> Result<(), NotStarted> {
    let body = move || {
        write();
        Ok(())
    };
    start_thread("log".into(), events, |_| Event::Broke(LOG), body)
}

/// Starts the coordinator.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_coordinator(
    coordinator: Coordinator,
    inbox: Inbox,
    events: &EventSender,
) -> Result<(), NotStarted> {
    let body = move || {
        coordinator.run(&inbox);
        Ok(())
    };
    start_thread("coordinator".into(), events, Event::CoordinatorEnded, body)
}

/// Starts the writer of the state file.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_writer(
    file: StateFile,
    (states, notices): (StateReceiver<Arc<State>>, Notices),
    events: &EventSender,
) -> Result<(), NotStarted> {
    let body = move || {
        save::run(&file, &states, &notices);
        Ok(())
    };
    start_thread("state".into(), events, Event::WriterEnded, body)
}

/// Starts the thread of the store over which instances share; its news go to the coordinator.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_store(
    store: Store,
    errands: Taker<Errand>,
    to: Reporter,
    events: &EventSender,
) -> Result<(), NotStarted> {
    let tell = move |news| {
        let mut message = Message::Store(news);
        for _ in 0..STORE_TRIES_MAX {
            match to.send(message) {
                Ok(()) => return,
                Err(back) => message = back,
            }
            thread::park_timeout(STORE_RETRY);
        }
    };
    let body = move || {
        store.run(&errands, &tell);
        Ok(())
    };
    start_thread("store".into(), events, Event::StoreEnded, body)
}

/// Waits until the store over which instances share grants what is asked for: not for long where it
/// does not answer, and for a while where it is to find out whether another process has this one's
/// name. Returns whether it does.
///
/// # Errors
///
/// The process is asked to stop meanwhile, another one has its name, or a thread has ended.
pub fn wait_for_store(told: &EventReceiver) -> Result<bool, NotStarted> {
    let start = clock::now();
    let mut until = start + STORE_MAX;
    loop {
        match told.next_within(until.since(clock::now())) {
            Some(Event::StoreReady) => return Ok(true),
            Some(Event::StoreConnected) => until = start + CLAIM_MAX,
            Some(Event::NameTaken) => return Err(name_taken()),
            Some(Event::StopAsked(code)) => return Err(NotStarted::Asked(code)),
            Some(Event::Broke(what)) => return Err(broken(what)),
            // No other thread has anything to tell yet.
            Some(_) => {}
            None => {
                tracing::warn!(
                    "the shared store grants nothing yet: serving begins meanwhile, and shared \
                     limits and budgets go by shared.on_loss"
                );
                return Ok(false);
            }
        }
    }
}

fn name_taken() -> NotStarted {
    NotStarted::Failed(NAME_TAKEN.to_owned())
}

/// Starts the writer of reports; returns the sender of its work.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_reports(events: &EventSender) -> Result<Giver<Job>, NotStarted> {
    let (giver, jobs) = queue::queue(REPORTS_MAX);
    let body = move || {
        reports::run(&jobs);
        Ok(())
    };
    start_thread("reports".into(), events, Event::ReportsEnded, body)?;
    Ok(giver)
}

/// Starts the thread that builds the list of models; returns where the list is published, and the
/// sender of its messages.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_catalogue(
    terms: &Arc<Latest<Terms>>,
    events: &EventSender,
) -> Result<(Arc<Latest<Catalogue>>, Giver<Said>), NotStarted> {
    let (giver, said) = queue::queue(LISTS_WAITING_MAX);
    let first = Catalogue::new(&terms.load().plan, |_| None, None);
    let published = Arc::new(Latest::new(Arc::new(first)));
    let (terms, publishing) = (Arc::clone(terms), Arc::clone(&published));
    let body = move || {
        catalogue::run(&said, &terms, &publishing);
        Ok(())
    };
    start_thread("catalogue".into(), events, Event::CatalogueEnded, body)?;
    Ok((published, giver))
}

/// Starts the threads that do long computations for `shards` shards; returns the sender of their
/// work. They survive a panic in their work.
///
/// # Errors
///
/// A thread cannot be started.
pub fn start_helpers(shards: usize) -> Result<Helpers, NotStarted> {
    let (helpers, helper) = helpers::channel();
    for number in 0..shards.clamp(1, HELPERS_MAX) {
        let helper = helper.clone();
        let body = move || {
            cores::step_aside();
            helper.run();
        };
        let thread = thread::Builder::new().name(format!("helper-{number}"));
        thread
            .spawn(body)
            .map_err(failed("cannot start a thread"))?;
    }
    Ok(helpers)
}

/// Starts the thread that reloads the configuration.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_reloader(
    reloader: Reloader,
    wishes: ReloadReceiver,
    events: &EventSender,
) -> Result<(), NotStarted> {
    let body = move || {
        reloader.run(&wishes);
        Ok(())
    };
    start_thread("reload".into(), events, |_| Event::Broke(RELOADS), body)
}

/// Starts the thread that watches the file of callers' keys, which was `seen` before it was read.
///
/// # Errors
///
/// It cannot be started.
pub fn watch_keys(
    terms: &Arc<Latest<Terms>>,
    process: &Arc<Process>,
    (reloads, seen): (ReloadSender, Seen),
    events: &EventSender,
) -> Result<(), NotStarted> {
    let (terms, process) = (Arc::clone(terms), Arc::clone(process));
    let body = move || keys_file::watch(&terms, &process, (&reloads, seen));
    start_thread("keys".into(), events, |_| Event::Broke(KEYS), body)
}

/// Starts the event loop beside the shards, and waits for its first round of health checks.
///
/// # Errors
///
/// The thread cannot be started, or the process is asked to stop meanwhile.
pub fn start_control(
    common: &Arc<Common>,
    own: Own,
    events: &EventSender,
) -> Result<(), NotStarted> {
    let common = Arc::clone(common);
    let body = move || run::run(common, own);
    start_thread("control".into(), events, Event::ControlEnded, body)
}

/// Waits for the first round of health checks.
///
/// # Errors
///
/// The process is asked to stop meanwhile, or a thread has ended.
pub fn wait_for_health(plan: &Plan, told: &EventReceiver) -> Result<(), NotStarted> {
    let longest = plan
        .providers
        .iter()
        .map(|one| one.health_check.timeout)
        .max();
    let until = clock::now() + longest.unwrap_or_default() + HEALTH_SLACK;
    loop {
        match told.next_within(until.since(clock::now())) {
            Some(Event::HealthChecked) => return Ok(()),
            Some(Event::StopAsked(code)) => return Err(NotStarted::Asked(code)),
            Some(
                Event::ControlEnded(fault)
                | Event::CoordinatorEnded(fault)
                | Event::WriterEnded(fault)
                | Event::ReportsEnded(fault)
                | Event::StoreEnded(fault)
                | Event::RecorderEnded(fault)
                | Event::WebhooksEnded(fault)
                | Event::CatalogueEnded(fault),
            ) => {
                let fault = fault.unwrap_or_else(|| "a thread has ended".into());
                return Err(NotStarted::Failed(fault));
            }
            Some(Event::Broke(what)) => return Err(broken(what)),
            Some(Event::ShardEnded(id, fault)) => {
                let fault = fault.as_deref().unwrap_or("without a reason");
                tracing::error!(shard = id.0, fault, "a shard has ended");
                return Err(NotStarted::Failed("a shard has ended".to_owned()));
            }
            Some(Event::NameTaken) => return Err(name_taken()),
            Some(Event::NamesLookedUp | Event::StoreConnected | Event::StoreReady) => {}
            None => {
                tracing::warn!("not all providers are checked yet: serving begins meanwhile");
                return Ok(());
            }
        }
    }
}

fn broken(what: &str) -> NotStarted {
    if what == LOG {
        tell_broken(what);
    }
    NotStarted::Failed(format!("{what} has ended"))
}

/// Logs that a thread has ended which should serve to the end; without a log, prints it.
pub fn tell_broken(what: &str) {
    if what == LOG {
        terminal::error(format_args!("{what} has ended"));
    } else {
        tracing::error!("{what} has ended");
    }
}

const SIGNALS: &str = "the watch for signals";
const NAMES: &str = "the look-up of names";
const KEYS: &str = "the watch of the file of keys";
const RELOADS: &str = "the reloading of the configuration";
const LOG: &str = "the writer of the log";

/// Why a process ends whose name another one has.
pub const NAME_TAKEN: &str = "another running infermux has this one's name in the shared store: is \
     its state file (budgets.state_file) a copy? Give each instance a file of its own";
/// How long a start waits for a store that does not answer.
const STORE_MAX: Duration = Duration::from_millis(2_500);
/// How long a start waits for one that answers: a process that was killed is known to be gone after
/// 2.5 s.
const CLAIM_MAX: Duration = Duration::from_millis(3_500);
/// Pause before news of the store is sent again to a full inbox.
const STORE_RETRY: Duration = Duration::from_millis(5);
/// The coordinator is gone if its inbox is full for a minute.
const STORE_TRIES_MAX: usize = 12_000;
/// Time beyond its timeout that the report of a health check may take.
const HEALTH_SLACK: Duration = Duration::from_secs(1);
