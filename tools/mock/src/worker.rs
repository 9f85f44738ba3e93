//! The event loop: one thread that serves its share of every instance's connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::{Connection, Wake};
use crate::instance::Instance;
use crate::script::Script;
use crate::serve::Entrance;

/// One thread's loop.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    poll: Poll,
    homes: Vec<Home>,
    connections: Slab<Connection>,
    alarms: BinaryHeap<Reverse<(Instant, usize)>>,
    parked: Vec<usize>,
    /// A listener could not accept, most likely for lack of descriptors.
    starved: bool,
    stop: Arc<AtomicBool>,
}

/// A worker's part of one instance.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) instance: Arc<Instance>,
    pub(crate) address: SocketAddr,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) control: Option<TcpListener>,
    version: u64,
    script: Arc<Script>,
}

impl Home {
    pub(crate) fn new(instance: &Arc<Instance>, address: SocketAddr) -> Self {
        let (version, script) = instance.script();
        let instance = Arc::clone(instance);
        Self {
            instance,
            address,
            listener: None,
            control: None,
            version,
            script,
        }
    }
}

/// Makes a socket that is bound to `address` beside others of this process.
///
/// Without `listen` it holds the port, so that the address stays the instance's own while
/// connects to it are refused.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Makes a listener on `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        poll: Poll,
        homes: Vec<Home>,
        stop: &Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let worker = Self {
            index,
            poll,
            homes,
            connections: Slab::new(),
            alarms: BinaryHeap::new(),
            parked: Vec::new(),
            starved: false,
            stop: Arc::clone(stop),
        };
        for (number, home) in worker.homes.iter().enumerate() {
            let listeners = [(&home.listener, 0), (&home.control, 1)];
            for (listener, offset) in listeners {
                if let Some(listener) = listener {
                    worker.watch(listener, Token(2 * number + offset))?;
                }
            }
        }
        Ok(worker)
    }

    fn watch(&self, listener: &TcpListener, token: Token) -> io::Result<()> {
        let source = listener.as_raw_fd();
        self.poll
            .registry()
            .register(&mut SourceFd(&source), token, Interest::READABLE)
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stop.load(Ordering::SeqCst) {
            if let Err(error) = self.poll.poll(&mut events, self.timeout()) {
                if error.kind() == ErrorKind::Interrupted {
                    continue;
                }
                eprintln!("mock: the event loop failed: {error}");
                return;
            }
            self.follow_scripts();
            let first = 2 * self.homes.len();
            for event in &events {
                match event.token() {
                    WAKE => {}
                    Token(token) if token < first => self.accept(token),
                    Token(token) => {
                        if let Some(connection) = self.connections.get_mut(token - first) {
                            connection.notice(event);
                            self.serve(token - first);
                        }
                    }
                }
            }
            if std::mem::take(&mut self.starved) {
                (0..first).for_each(|token| self.accept(token));
            }
            self.ring_alarms();
            for key in std::mem::take(&mut self.parked) {
                self.serve(key);
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if self.starved {
            return Some(STARVED_RETRY);
        }
        let Reverse((alarm, _)) = self.alarms.peek()?;
        Some(alarm.saturating_duration_since(Instant::now()))
    }

    /// Takes over scripts that have been replaced.
    fn follow_scripts(&mut self) {
        for number in 0..self.homes.len() {
            let Some(home) = self.homes.get_mut(number) else {
                continue;
            };
            if home.instance.version() == home.version {
                continue;
            }
            (home.version, home.script) = home.instance.script();
            let refuse = home.script.refuse;
            if refuse {
                home.listener = None;
            } else if home.listener.is_none() {
                match listen(home.address) {
                    Ok(listener) => home.listener = Some(listener),
                    Err(error) => eprintln!("mock: cannot listen on {}: {error}", home.address),
                }
                if let Some(home) = self.homes.get(number)
                    && let Some(listener) = &home.listener
                    && let Err(error) = self.watch(listener, Token(2 * number))
                {
                    eprintln!("mock: cannot watch {}: {error}", home.address);
                }
            }
            if refuse {
                self.retire(number);
            }
            if let Some(home) = self.homes.get(number) {
                home.instance.apply(self.index, home.version);
            }
        }
    }

    /// Ends the connections of an instance that refuses: idle ones now, others after their answer.
    fn retire(&mut self, number: usize) {
        self.connections.retain(|_, connection| {
            connection.home != number
                || connection.entrance() == Entrance::Control
                || !connection.retire()
        });
    }

    fn accept(&mut self, token: usize) {
        let (number, entrance) = (
            token / 2,
            if token.is_multiple_of(2) {
                Entrance::Main
            } else {
                Entrance::Control
            },
        );
        loop {
            let Some(home) = self.homes.get(number) else {
                return;
            };
            let listener = match entrance {
                Entrance::Main => &home.listener,
                Entrance::Control => &home.control,
            };
            let Some(listener) = listener else { return };
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    self.starved = true;
                    return;
                }
            };
            if socket
                .set_nonblocking(true)
                .and_then(|()| socket.set_nodelay(true))
                .is_err()
            {
                continue;
            }
            let source = socket.as_raw_fd();
            let entry = self.connections.vacant_entry();
            let token = Token(2 * self.homes.len() + entry.key());
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self
                .poll
                .registry()
                .register(&mut SourceFd(&source), token, interest)
                .is_ok()
            {
                entry.insert(Connection::new(socket, (number, &home.instance), entrance));
            }
        }
    }

    fn serve(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Some(home) = self.homes.get(connection.home) else {
            return;
        };
        let next = connection.run(&home.script);
        match next {
            Wake::Socket => connection.alarm = None,
            Wake::At(instant) => self.set_alarm(key, instant),
            Wake::Parked(instant) => {
                if !self.parked.contains(&key) {
                    self.parked.push(key);
                }
                self.set_alarm(key, instant);
            }
            Wake::Gone => drop(self.connections.remove(key)),
        }
    }

    fn set_alarm(&mut self, key: usize, instant: Instant) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.alarm != Some(instant)
        {
            connection.alarm = Some(instant);
            self.alarms.push(Reverse((instant, key)));
        }
    }

    fn ring_alarms(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((instant, key))) = self.alarms.peek() {
            if instant > now {
                return;
            }
            self.alarms.pop();
            let current = self.connections.get_mut(key);
            if let Some(connection) = current
                && connection.alarm == Some(instant)
            {
                connection.alarm = None;
                self.serve(key);
            }
        }
    }
}

/// The token of the waker; no connection has it.
pub(crate) const WAKE: Token = Token(usize::MAX);

const BACKLOG: i32 = 4096;
/// Pause of a listener that could not accept.
const STARVED_RETRY: Duration = Duration::from_millis(10);
