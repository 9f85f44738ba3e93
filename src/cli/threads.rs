//! The threads beside the main one. Each tells it of its end.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::cli::capacity::unusable_core;
use crate::cli::serve::{NotStarted, failed};
use crate::cli::{DONE, INTERRUPTED};
use crate::config::plan::Plan;
use crate::coordinator::chores;
use crate::coordinator::names::Names;
use crate::link::addresses::{self, Addresses};
use crate::link::events::{Event, EventReceiver, EventSender};
use crate::shard::run::{self, Common, Own};
use crate::sys::signals::Signal;
use crate::sys::{clock, cores, signals};

/// From now on signals are told to the main thread.
///
/// # Errors
///
/// They cannot be watched.
pub fn watch_signals(events: EventSender) -> Result<(), NotStarted> {
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

/// Starts the look-up of the providers' names, and waits for its first round.
///
/// # Errors
///
/// The thread cannot be started, or somebody asks the process to stop meanwhile.
pub fn look_up_names(
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

/// Starts a shard, pinned to its core where it has one.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start_shard(common: &Arc<Common>, own: Own, events: &EventSender) -> Result<(), NotStarted> {
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
