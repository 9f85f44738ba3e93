//! The state of one instance that all threads share: its script, its counters and its last
//! requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::content::epoch_nanoseconds;
use crate::http::Request;
use crate::responses::Shelf;
use crate::script::Script;

/// One instance, shared by the threads that serve it.
#[derive(Debug)]
pub(crate) struct Instance {
    script: Mutex<Arc<Script>>,
    version: AtomicU64,
    /// The version of the script that each worker serves by.
    applied: Vec<AtomicU64>,
    counters: Counters,
    requests: Mutex<VecDeque<Recorded>>,
    stored: Mutex<Shelf>,
    waiters: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
    wakers: OnceLock<Arc<Vec<mio::Waker>>>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    answered: AtomicU64,
    peer_closed: AtomicU64,
    cut: AtomicU64,
    unanswered: AtomicU64,
    in_flight: AtomicU64,
    connections_opened: AtomicU64,
    connections_open: AtomicU64,
    /// Never reset: request and connection numbers stay unique.
    request_numbers: AtomicU64,
    connection_numbers: AtomicU64,
}

/// The counters' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Requests that arrived completely.
    pub requests: u64,
    /// Requests whose answer was written completely.
    pub answered: u64,
    /// Requests that the peer gave up, streams cut by it included.
    pub peer_closed: u64,
    /// Answers that the mock cut by its script.
    pub cut: u64,
    /// Those of them before whose first byte the connection had had another answer: to whoever
    /// sent the request, the connection was one that had been idle for too long, and the request
    /// may come again.
    pub unanswered: u64,
    /// Requests that have arrived and are not ended.
    pub in_flight: u64,
    /// Connections that were accepted on the instance's port.
    pub connections_opened: u64,
    /// Connections on the instance's port that are open now.
    pub connections_open: u64,
}

/// One request that has arrived.
#[derive(Debug)]
struct Recorded {
    number: u64,
    connection: u64,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    body_bytes: usize,
    arrived_ns: u64,
    end: Option<(End, Duration)>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    PeerClosed,
    Cut,
}

/// Identifies a request that is being answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    arrived: Instant,
}

/// Conditions to wait for: all that are named must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Goals {
    /// At least this many requests have arrived.
    pub requests: Option<u64>,
    /// At least this many were answered.
    pub answered: Option<u64>,
    /// At least this many were given up by the peer.
    pub peer_closed: Option<u64>,
    /// At least this many connections were accepted.
    pub connections_opened: Option<u64>,
    /// At most this many connections are open.
    pub connections_open: Option<u64>,
    /// At most this many requests are in flight.
    pub in_flight: Option<u64>,
    /// Every thread serves by this version of the script or a later one.
    pub applied: Option<u64>,
}

impl Instance {
    pub(crate) fn new(script: Script, workers: usize) -> Self {
        Self {
            script: Mutex::new(Arc::new(script)),
            version: AtomicU64::new(0),
            applied: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            counters: Counters::default(),
            requests: Mutex::new(VecDeque::new()),
            stored: Mutex::default(),
            waiters: AtomicUsize::new(0),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            wakers: OnceLock::new(),
        }
    }

    /// Tells the instance how its workers are woken; only the first call counts.
    pub(crate) fn set_wakers(&self, wakers: Arc<Vec<mio::Waker>>) {
        let _ = self.wakers.set(wakers);
    }

    /// The script in force and its version.
    pub(crate) fn script(&self) -> (u64, Arc<Script>) {
        let script = held(&self.script);
        (self.version.load(Ordering::SeqCst), Arc::clone(&script))
    }

    /// The version of the script in force.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Replaces the script; returns the version to wait for.
    pub(crate) fn replace(&self, source: Value) -> Result<u64, String> {
        let version = {
            let mut script = held(&self.script);
            *script = Arc::new(Script::parse(source, Some(&script))?);
            self.version.fetch_add(1, Ordering::SeqCst) + 1
        };
        self.wake_workers();
        Ok(version)
    }

    /// Clears the counters and the recorded requests, and rewinds the script.
    pub(crate) fn reset(&self) {
        for count in [
            &self.counters.requests,
            &self.counters.answered,
            &self.counters.peer_closed,
            &self.counters.cut,
            &self.counters.unanswered,
            &self.counters.connections_opened,
        ] {
            count.store(0, Ordering::SeqCst);
        }
        held(&self.requests).clear();
        held(&self.script).rewind();
    }

    /// Notes that a worker serves by that version now.
    pub(crate) fn apply(&self, worker: usize, version: u64) {
        if let Some(applied) = self.applied.get(worker) {
            applied.store(version, Ordering::SeqCst);
        }
        self.tell();
    }

    /// Numbers a connection, and counts it where it came in by the instance's own port.
    pub(crate) fn connect(&self, counted: Counted) -> u64 {
        if counted == Counted::Yes {
            self.counters
                .connections_opened
                .fetch_add(1, Ordering::SeqCst);
            self.counters
                .connections_open
                .fetch_add(1, Ordering::SeqCst);
            self.tell();
        }
        self.counters
            .connection_numbers
            .fetch_add(1, Ordering::SeqCst)
            + 1
    }

    /// Notes that a connection is gone.
    pub(crate) fn disconnect(&self, counted: Counted) {
        if counted == Counted::Yes {
            self.counters
                .connections_open
                .fetch_sub(1, Ordering::SeqCst);
            self.tell();
        }
    }

    /// Counts a request and records it if the script says so.
    pub(crate) fn arrive(&self, script: &Script, connection: u64, request: &Request<'_>) -> Ticket {
        let number = self.counters.request_numbers.fetch_add(1, Ordering::SeqCst) + 1;
        if script.record {
            let mut requests = held(&self.requests);
            if requests.len() >= REQUESTS_KEPT {
                requests.pop_front();
            }
            requests.push_back(Recorded::of(script, (number, connection), request));
        }
        self.counters.in_flight.fetch_add(1, Ordering::SeqCst);
        self.counters.requests.fetch_add(1, Ordering::SeqCst);
        self.tell();
        Ticket {
            number,
            arrived: Instant::now(),
        }
    }

    /// Notes how a request ended.
    pub(crate) fn end(&self, ticket: Ticket, end: End, script: &Script) {
        if script.record {
            let passed = ticket.arrived.elapsed();
            let mut requests = held(&self.requests);
            if let Some(entry) = requests
                .iter_mut()
                .rev()
                .find(|entry| entry.number == ticket.number)
            {
                entry.end = Some((end, passed));
            }
        }
        let count = match end {
            End::Answered => &self.counters.answered,
            End::PeerClosed => &self.counters.peer_closed,
            End::Cut => &self.counters.cut,
        };
        self.counters.in_flight.fetch_sub(1, Ordering::SeqCst);
        count.fetch_add(1, Ordering::SeqCst);
        self.tell();
    }

    /// Notes that a connection which had had an answer ends before the first byte of another one.
    pub(crate) fn note_unanswered(&self) {
        self.counters.unanswered.fetch_add(1, Ordering::SeqCst);
    }

    /// The counters' values.
    pub(crate) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Stats {
            requests: read(&self.counters.requests),
            answered: read(&self.counters.answered),
            peer_closed: read(&self.counters.peer_closed),
            cut: read(&self.counters.cut),
            unanswered: read(&self.counters.unanswered),
            in_flight: read(&self.counters.in_flight),
            connections_opened: read(&self.counters.connections_opened),
            connections_open: read(&self.counters.connections_open),
        }
    }

    /// The responses that are stored.
    pub(crate) fn stored(&self) -> MutexGuard<'_, Shelf> {
        held(&self.stored)
    }

    /// The last requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        held(&self.requests).iter().map(Recorded::json).collect()
    }

    /// Whether all of `goals` holds now.
    pub(crate) fn met(&self, goals: &Goals) -> bool {
        let stats = self.stats();
        let least = |goal: Option<u64>, count| goal.is_none_or(|goal| count >= goal);
        let most = |goal: Option<u64>, count| goal.is_none_or(|goal| count <= goal);
        least(goals.requests, stats.requests)
            && least(goals.answered, stats.answered)
            && least(goals.peer_closed, stats.peer_closed)
            && least(goals.connections_opened, stats.connections_opened)
            && most(goals.connections_open, stats.connections_open)
            && most(goals.in_flight, stats.in_flight)
            && goals.applied.is_none_or(|version| {
                self.applied
                    .iter()
                    .all(|applied| applied.load(Ordering::SeqCst) >= version)
            })
    }

    /// Blocks until `goals` holds, at most for `timeout`; says whether it does.
    pub(crate) fn wait(&self, goals: &Goals, timeout: Duration) -> bool {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let guard = held(&self.lock);
        let (guard, _) = self
            .changed
            .wait_timeout_while(guard, timeout, |()| !self.met(goals))
            .unwrap_or_else(PoisonError::into_inner);
        drop(guard);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        self.met(goals)
    }

    /// Wakes threads that wait for a change. A waiter announces itself before it looks at the
    /// counters, and they change before this looks for waiters, so none is missed.
    fn tell(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            drop(held(&self.lock));
            self.changed.notify_all();
            self.wake_workers();
        }
    }

    fn wake_workers(&self) {
        for waker in self
            .wakers
            .get()
            .into_iter()
            .flat_map(|wakers| wakers.iter())
        {
            // A worker that cannot be woken has stopped.
            let _ = waker.wake();
        }
    }
}

/// Whether a connection counts among the instance's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Yes,
    No,
}

/// A waiter that has announced itself; it counts as one for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Instance>);

impl Waiting {
    pub(crate) fn on(instance: &Arc<Instance>) -> Self {
        instance.waiters.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(instance))
    }

    pub(crate) fn met(&self, goals: &Goals) -> bool {
        self.0.met(goals)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stats {
    /// The counters as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "answered": self.answered,
            "peer_closed": self.peer_closed,
            "cut": self.cut,
            "unanswered": self.unanswered,
            "in_flight": self.in_flight,
            "connections_opened": self.connections_opened,
            "connections_open": self.connections_open,
        })
    }
}

impl Recorded {
    fn of(script: &Script, (number, connection): (u64, u64), request: &Request<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kept = request.body.len().min(script.record_body_bytes);
        Self {
            number,
            connection,
            method: request.method.to_owned(),
            target: request.target.to_owned(),
            headers: request
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
                .collect(),
            body: request.body.get(..kept).unwrap_or_default().to_vec(),
            body_bytes: request.body.len(),
            arrived_ns: epoch_nanoseconds(),
            end: None,
        }
    }

    fn json(&self) -> Value {
        let nanoseconds = |passed: Duration| u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        let end = self.end.map(|(end, _)| match end {
            End::Answered => "answered",
            End::PeerClosed => "peer_closed",
            End::Cut => "cut",
        });
        json!({
            "number": self.number,
            "connection": self.connection,
            "method": self.method,
            "path": self.target,
            "headers": self.headers,
            "body": serde_json::from_slice::<Value>(&self.body).unwrap_or(Value::Null),
            "body_text": String::from_utf8_lossy(&self.body),
            "body_bytes": self.body_bytes,
            "arrived_ns": self.arrived_ns,
            "ended": end,
            "ended_after_ns": self.end.map(|(_, passed)| nanoseconds(passed)),
        })
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking thread can leave only counters and lists behind: nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many requests are recorded.
pub(crate) const REQUESTS_KEPT: usize = 256;
