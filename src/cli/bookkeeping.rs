//! Starts the threads that keep the books: the coordinator, and those that write for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::environment;
use crate::cli::fleet::{self, Hearers};
use crate::cli::not_started::NotStarted;
use crate::cli::threads;
use crate::config::plan::Plan;
use crate::coordinator::opening::Opening;
use crate::coordinator::run::Coordinator;
use crate::coordinator::state_file::StateFile;
use crate::coordinator::time::Time;
use crate::exchange::callers::Callers;
use crate::ledger::books::Books;
use crate::ledger::state::State;
use crate::ledger::terms::Terms;
use crate::ledger::totals::Totals;
use crate::link::latest::Latest;
use crate::link::meters::{self, MeterSender};
use crate::link::progress::Progress;
use crate::link::reports::{self, Reporter};
use crate::link::states;
use crate::sys::clock;

/// What other threads need of the threads that keep the books.
pub struct Bookkeeping {
    /// Takes the reports of shards.
    pub reporter: Reporter,
    /// Takes the counters that shards begin.
    pub meters: MeterSender,
    /// The number of threads that must end before the books are closed.
    pub threads: usize,
}

/// Opens the books with the content of the state file, and starts the threads that keep them.
///
/// # Errors
///
/// The state file cannot be used, or a thread cannot be started.
pub fn start(
    (terms, callers): (&Arc<Latest<Terms>>, &Arc<Latest<Callers>>),
    progress: &Arc<Progress>,
    hearers: Hearers<'_>,
) -> Result<Bookkeeping, NotStarted> {
    let (first, Hearers { events, notices }) = (terms.load(), hearers);
    let (reporter, inbox) = reports::channel();
    let (mut state, file) = state(&first.plan)?;
    let fleet = fleet::join(
        &first.plan,
        (&mut state, file.is_some()),
        &reporter,
        hearers,
    )?;
    let totals = Totals::new(clock::wall(), &state);
    let first_callers = callers.load();
    let configuration = (&*first.plan, &**first_callers.accounts());
    let books = Books::new(configuration, clock::wall(), state, window());
    let (meters, begun) = meters::channel();
    let mut coordinator = Coordinator::new(Opening {
        plan: Arc::clone(&first.plan),
        gates: Arc::clone(&first.gates),
        callers: first_callers,
        progress: Arc::clone(progress),
        books,
        totals,
        meters: begun,
        reports: threads::start_reports(events)?,
    })
    .with_terms(Arc::clone(terms))
    .with_callers(Arc::clone(callers))
    .with_notices(notices.clone());
    if let Some(fleet) = fleet {
        coordinator = coordinator.with_fleet(fleet);
    }
    coordinator.start(Time::read());
    let mut threads = 1;
    if let Some(file) = file {
        let (sender, receiver) = states::channel();
        coordinator = coordinator.with_writer(sender);
        threads::start_writer(file, (receiver, notices.clone()), events)?;
        threads += 1;
    }
    threads::start_coordinator(coordinator, inbox, events)?;
    Ok(Bookkeeping {
        reporter,
        meters,
        threads,
    })
}

/// The state file and its content; an empty state where no file is configured.
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
