//! One shard from start to stop.

use std::io;
use std::net::TcpListener as StdListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ShardId;
use crate::exchange::door::Door;
use crate::link::gate::Phase;
use crate::shard::health;
use crate::shard::listener;
use crate::shard::net::bell::Bell;
use crate::shard::net::guarded;
use crate::shard::net::ring::{self, Driver};
use crate::shard::net::sleep::sleep;
use crate::shard::net::tcp::Listener;
use crate::shard::state::common::Common;
use crate::shard::state::current::Current;
use crate::shard::state::event_loop::{Loop, Outlets};
use crate::shard::state::idle;
use crate::sys::{clock, process};

/// What one shard has for itself.
pub struct Own {
    /// Its number.
    pub id: ShardId,
    /// Its listener, bound and listening, and what that serves; `None`: it serves no connections.
    pub listener: Option<(StdListener, Door)>,
    /// What it does besides serving.
    pub duty: Duty,
    /// Becomes readable when the phase or the era has changed.
    pub bell: StdUnixStream,
    /// Takes its facts, counters and log lines.
    pub outlets: Outlets,
}

/// What a shard does besides serving its listener.
pub enum Duty {
    /// Nothing; it ends when all its callers have their answers.
    Callers,
    /// It checks the providers' health, unless that is off, and ends with the process.
    Control {
        /// Called once every provider has been checked; `None`: none is checked.
        checked: Option<Box<dyn Fn() + Send>>,
    },
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
    let id = own.id;
    guarded::count_steps(id, Arc::clone(&common.progress));
    let door = own.listener.as_ref().map(|(_, door)| *door);
    let door = door.unwrap_or(Door::Operators);
    let own_loop = Loop::new(common, id, door, driver, own.outlets);
    let current = Rc::new(Current::new(Rc::new(own_loop)));
    start_chores(&current);
    let mut bell = Bell::new(own.bell)?;
    let Some((listener, _)) = own.listener else {
        return stand_by(&current, own.duty, &mut bell).await;
    };
    let queue = listener.try_clone()?;
    let listener = Listener::new(listener)?;
    guarded::spawn_for_all("accepts", listener::run(Rc::clone(&current), listener));
    if let Duty::Control { .. } = own.duty {
        return stand_by(&current, own.duty, &mut bell).await;
    }
    while current.process.is_taking() {
        bell.heard().await?;
        current.adopt();
        current.yield_to_others();
    }
    listener::close(&current, &queue).await;
    current.io.timers.cut_waiting();
    guarded::spawn_for_all("stop", cut_when_stopping(Rc::clone(&current), bell));
    current.until_empty().await;
    current.reports.enforce().await;
    current.access_log.flush();
    current.journals.close().await;
    Ok(())
}

/// Starts the tasks that serve the loop as long as it runs.
fn start_chores(current: &Rc<Current>) {
    guarded::spawn_for_all("deadlines", Rc::clone(&current.io.timers).sweep());
    guarded::spawn_for_all("sends", Rc::clone(&current.io.outbox).carry_out());
    guarded::spawn_for_all("pool", idle::look_after(Rc::clone(current)));
    let meter = Arc::clone(&current.meters.own);
    meter.thread.set(process::this_thread());
    let facts = Rc::clone(&current.reports).keep_flushing(meter);
    guarded::spawn_for_all("facts", facts);
    let lines = Rc::clone(&current.access_log).keep_flushing();
    guarded::spawn_for_all("log", lines);
    let entries = Rc::clone(&current.journals).keep_flushing();
    guarded::spawn_for_all("journals", entries);
}

/// Checks health, and stays to the end: operators can watch while the callers' shards drain.
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
            health::check_changed(current, checks, &former.era);
        }
    }
}

/// Cuts off the last connections when the time to finish is over.
async fn cut_when_stopping(current: Rc<Current>, mut bell: Bell) {
    while current.process.phase() != Phase::Stopping {
        if bell.heard().await.is_err() {
            return;
        }
    }
    let until = clock::now() + TELL_WITHIN;
    loop {
        // Repeatedly: a request may open a connection after the first cut.
        if clock::now() < until {
            current.io.timers.cut_reads();
        } else {
            current.io.timers.cut_all();
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// How long callers may take to be told that the process stops before their answers are complete.
const TELL_WITHIN: Duration = Duration::from_millis(500);
