//! A scriptable stand-in for LLM providers, for tests, demonstrations and load tests.
//!
//! It speaks OpenAI's API, Azure's and Ollama's forms of it, and Anthropic's Messages, over
//! HTTP/1.1, and fails in every way a script asks for. It shares no code with infermux: a mistake
//! made on both sides would hide itself.
//!
//! ```
//! use infermux_mock::{Goals, Mock};
//! use std::time::Duration;
//!
//! let mock = Mock::start(serde_json::json!({ "answers": [503, "ok"] })).expect("a free port");
//! let url = format!("http://{}/v1", mock.address());
//! assert!(mock.requests().is_empty(), "nobody has called {url} yet");
//! assert!(mock.wait(&Goals { in_flight: Some(0), ..Goals::default() }, Duration::ZERO));
//! ```
#![forbid(unsafe_code)]

mod answer;
mod ask;
mod buffer;
mod connection;
mod content;
mod control;
mod endpoint;
mod errors;
mod http;
mod instance;
mod other_ask;
mod others;
mod program;
mod reply;
mod responses;
mod script;
mod serve;
mod sse;
mod step_end;
mod strict;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};
use serde_json::Value;
use socket2::Socket;

use crate::instance::Instance;
use crate::script::Script;
use crate::worker::{Home, Worker};

pub use crate::instance::{Goals, Stats};
pub use crate::script::Dialect;

/// Several instances served by the same threads, until dropped.
#[derive(Debug)]
pub struct Running {
    instances: Vec<Seat>,
    stop: Arc<AtomicBool>,
    wakers: Arc<Vec<Waker>>,
    threads: Vec<JoinHandle<()>>,
}

/// One running instance of its own, until dropped.
#[derive(Debug)]
pub struct Mock {
    running: Running,
}

/// An instance and its addresses.
#[derive(Debug)]
pub struct Seat {
    instance: Arc<Instance>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    /// Keeps the port while the listeners are closed.
    _port: Socket,
}

/// How an instance is to be started: a script, and the addresses it listens on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The script, as described in the README.
    pub script: Value,
    /// Where it serves; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where it serves only its control paths, also while it refuses connections.
    pub control: Option<SocketAddr>,
}

impl Setup {
    /// An instance on a free loopback port, and a control port beside it.
    pub fn local(script: Value) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            script,
            listen: any,
            control: Some(any),
        }
    }
}

/// Starts instances, all served by each of `threads` threads.
///
/// # Errors
///
/// A sentence that says which script is wrong or which address is not available.
pub fn start(setups: Vec<Setup>, threads: usize) -> Result<Running, String> {
    let threads = threads.max(1);
    let mut instances = Vec::new();
    let mut homes: Vec<Vec<Home>> = (0..threads).map(|_| Vec::new()).collect();
    for setup in setups {
        let seat = seat(setup, &mut homes)?;
        instances.push(seat);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut wakers = Vec::new();
    let mut workers = Vec::new();
    let failed = |error: std::io::Error| format!("cannot start a thread: {error}");
    for (index, homes) in homes.into_iter().enumerate() {
        let poll = Poll::new().map_err(failed)?;
        wakers.push(Waker::new(poll.registry(), worker::WAKE).map_err(failed)?);
        workers.push(Worker::new(index, poll, homes, &stop).map_err(failed)?);
    }
    let wakers = Arc::new(wakers);
    for seat in &instances {
        seat.instance.set_wakers(Arc::clone(&wakers));
    }
    let mut running = Running {
        instances,
        stop,
        wakers,
        threads: Vec::new(),
    };
    for worker in workers {
        let name = format!("mock-{}", running.threads.len());
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(|| worker.run());
        running.threads.push(thread.map_err(failed)?);
    }
    Ok(running)
}

/// Binds an instance's ports and gives every worker a listener on them.
fn seat(setup: Setup, homes: &mut [Vec<Home>]) -> Result<Seat, String> {
    let script = Script::parse(setup.script, None)?;
    let refuse = script.refuse;
    let instance = Arc::new(Instance::new(script, homes.len()));
    let failed = |wanted: SocketAddr| move |error| format!("cannot listen on {wanted}: {error}");
    let port = worker::bind(setup.listen).map_err(failed(setup.listen))?;
    let address = port
        .local_addr()
        .map_err(failed(setup.listen))?
        .as_socket()
        .ok_or("the socket has no address")?;
    let mut control = setup.control;
    for homes in homes.iter_mut() {
        let mut home = Home::new(&instance, address);
        if !refuse {
            home.listener = Some(worker::listen(address).map_err(failed(address))?);
        }
        if let Some(wanted) = control {
            let listener = worker::listen(wanted).map_err(failed(wanted))?;
            control = Some(listener.local_addr().map_err(failed(wanted))?);
            home.control = Some(listener);
        }
        homes.push(home);
    }
    Ok(Seat {
        instance,
        address,
        control,
        _port: port,
    })
}

impl Running {
    /// The instances, in the order they were given.
    pub fn seats(&self) -> &[Seat] {
        &self.instances
    }

    /// Blocks for as long as the threads serve.
    pub fn join(mut self) {
        for thread in self.threads.drain(..) {
            // A thread that panicked has reported that on standard error.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in self.wakers.iter() {
            // A thread that cannot be woken has stopped.
            let _ = waker.wake();
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has reported that on standard error.
            let _ = thread.join();
        }
    }
}

impl Seat {
    /// The instance's name, by its script.
    pub fn name(&self) -> String {
        self.instance.script().1.name.clone()
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves its control paths at all times.
    pub fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// Replaces the script; when this returns, it is in force.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the script, which then changes nothing.
    pub fn set_script(&self, script: Value) -> Result<(), String> {
        let version = self.instance.replace(script)?;
        let goals = Goals {
            applied: Some(version),
            ..Goals::default()
        };
        if self.instance.wait(&goals, APPLY_MAX) {
            Ok(())
        } else {
            Err("the threads did not take the script over in time".to_owned())
        }
    }

    /// Clears counters and recorded requests and rewinds the script.
    pub fn reset(&self) {
        self.instance.reset();
    }

    /// The counters' values.
    pub fn stats(&self) -> Stats {
        self.instance.stats()
    }

    /// The last 256 requests, oldest first, in the form of `GET /_mock/requests`.
    pub fn requests(&self) -> Vec<Value> {
        self.instance.requests()
    }

    /// Blocks until all of `goals` holds, at most for `timeout`; says whether it does.
    pub fn wait(&self, goals: &Goals, timeout: Duration) -> bool {
        self.instance.wait(goals, timeout)
    }

    /// Blocks until `count` requests have arrived, at most for `timeout`; says whether they have.
    pub fn wait_for_requests(&self, count: u64, timeout: Duration) -> bool {
        self.wait(
            &Goals {
                requests: Some(count),
                ..Goals::default()
            },
            timeout,
        )
    }
}

impl Mock {
    /// Starts one instance on free loopback ports, served by one thread.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the script or why no port is available.
    pub fn start(script: Value) -> Result<Self, String> {
        Ok(Self {
            running: start(vec![Setup::local(script)], 1)?,
        })
    }
}

impl std::ops::Deref for Mock {
    type Target = Seat;

    fn deref(&self) -> &Seat {
        // Invariant: `start` was given exactly one setup.
        &self.running.instances[0]
    }
}

/// How long a change of script may take to reach every thread.
const APPLY_MAX: Duration = Duration::from_secs(10);
