//! One connection and the request that is under way on it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::answer::{Answer, Progress};
use crate::events::Events;
use crate::kind::Kind;
use crate::pace::Start;
use crate::tally::{Failure, Tally};
use crate::tls::{Stream, Tls};

/// Where connections go.
#[derive(Clone)]
pub(crate) struct Server {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// How the connections are encrypted, where they are.
    pub(crate) tls: Option<Tls>,
}

/// A connection in one of its states, with buffers that it keeps.
pub(crate) struct Connection {
    state: State,
    answer: Answer,
    events: Events,
    kind: Kind,
    /// The start of the run as the time since 1970.
    epoch: Duration,
}

enum State {
    /// Closed; to be opened at that moment.
    Down {
        until: Duration,
    },
    Connecting {
        stream: Stream,
        since: Duration,
    },
    Idle {
        stream: Stream,
    },
    Busy {
        stream: Stream,
        exchange: Exchange,
    },
}

/// A request and how far its answer has come.
struct Exchange {
    start: Start,
    sent_at: Duration,
    written: usize,
    has_byte: bool,
    last_event: Option<Duration>,
}

/// The result of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing that the worker must act on.
    Wait,
    /// It can carry a request.
    Ready,
    /// It is closed and can be opened at once.
    Closed,
    /// Its request, or the attempt to connect, has failed; the connection is closed.
    Failed(Failure),
}

impl Connection {
    /// A connection that is to be opened at once.
    pub(crate) fn new(kind: Kind, epoch: Duration) -> Self {
        let state = State::Down {
            until: Duration::ZERO,
        };
        Self {
            state,
            answer: Answer::new(),
            events: Events::new(kind == Kind::StampedStream),
            kind,
            epoch,
        }
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy { .. })
    }

    /// Whether the request that is under way is measured.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(&self.state, State::Busy { exchange, .. } if exchange.start.is_measured)
    }

    /// Closes it, to be opened again at `until`.
    pub(crate) fn close(&mut self, until: Duration) {
        self.state = State::Down { until };
    }

    /// Whether it is closed and due to be opened at `now`.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, State::Down { until } if until <= now)
    }

    /// Whether what is under way has taken longer than `timeout` at `now`, and what failed then.
    ///
    /// The time counts from the moment the request was sent, not from the moment it was due.
    pub(crate) fn overdue(&self, now: Duration, timeout: Duration) -> Option<Failure> {
        let late = |since: Duration| now.saturating_sub(since) >= timeout;
        match &self.state {
            State::Connecting { since, .. } if late(*since) => Some(Failure::Connect),
            State::Busy { exchange, .. } if late(exchange.sent_at) => Some(Failure::Timeout),
            State::Down { .. }
            | State::Connecting { .. }
            | State::Idle { .. }
            | State::Busy { .. } => None,
        }
    }

    /// Starts to connect; the poll says when it is ready.
    pub(crate) fn open(
        &mut self,
        server: &Server,
        registry: &Registry,
        token: Token,
        now: Duration,
    ) -> io::Result<()> {
        let mut socket = TcpStream::connect(server.address)?;
        socket.set_nodelay(true)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let stream = Stream::new(socket, server.tls.as_ref())?;
        self.state = State::Connecting { stream, since: now };
        Ok(())
    }

    /// Whether the connection has been made, TLS included.
    pub(crate) fn connected(&mut self, now: Duration) -> Turn {
        let State::Connecting { stream, .. } = &mut self.state else {
            return Turn::Wait;
        };
        let socket = stream.socket();
        if !matches!(socket.take_error(), Ok(None)) {
            return Turn::Failed(Failure::Connect);
        }
        if matches!(socket.peer_addr(), Err(e) if e.kind() == io::ErrorKind::NotConnected) {
            return Turn::Wait;
        }
        match stream.shake_hands() {
            Ok(true) => {}
            Ok(false) => return Turn::Wait,
            Err(_) => return Turn::Failed(Failure::Tls),
        }
        match std::mem::replace(&mut self.state, State::Down { until: now }) {
            State::Connecting { stream, .. } => self.state = State::Idle { stream },
            other => self.state = other,
        }
        Turn::Ready
    }

    /// Sends `request` on an idle connection.
    pub(crate) fn send(&mut self, start: Start, now: Duration, request: &[u8]) -> Turn {
        self.state = match std::mem::replace(&mut self.state, State::Down { until: now }) {
            State::Idle { stream } => {
                let exchange = Exchange {
                    start,
                    sent_at: now,
                    written: 0,
                    has_byte: false,
                    last_event: None,
                };
                State::Busy { stream, exchange }
            }
            other @ (State::Down { .. } | State::Connecting { .. } | State::Busy { .. }) => other,
        };
        self.answer.restart();
        self.events.restart();
        self.write(request)
    }

    /// Writes what is left of `request`.
    pub(crate) fn write(&mut self, request: &[u8]) -> Turn {
        let State::Busy { stream, exchange } = &mut self.state else {
            return Turn::Wait;
        };
        while let Some(left) = request
            .get(exchange.written..)
            .filter(|left| !left.is_empty())
        {
            match stream.write(left) {
                Ok(0) => return Turn::Failed(Failure::Reset),
                Ok(count) => exchange.written += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Turn::Wait,
                // The answer may have been sent before the connection was reset: reading decides.
                Err(_) => return Turn::Wait,
            }
        }
        // Bytes that TLS still holds leave now, or with the next turn; the read will show a broken
        // socket.
        let _ = stream.flush();
        Turn::Wait
    }

    /// Whether a read that does not fill its buffer has emptied the socket.
    pub(crate) fn short_read_is_last(&self) -> bool {
        match &self.state {
            State::Busy { stream, .. } | State::Idle { stream } => stream.short_read_is_last(),
            State::Down { .. } | State::Connecting { .. } => true,
        }
    }

    /// Reads once into `buffer`; the count is 0 when nothing more is there now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Turn> {
        let (stream, is_busy) = match &mut self.state {
            State::Busy { stream, .. } => (stream, true),
            State::Idle { stream } => (stream, false),
            State::Down { .. } | State::Connecting { .. } => return Ok(0),
        };
        let failure = if is_busy {
            Turn::Failed(Failure::Reset)
        } else {
            Turn::Closed
        };
        loop {
            return match stream.read(buffer) {
                Ok(0) if is_busy && self.answer.closed() == Progress::Whole => Err(Turn::Ready),
                Ok(0) => Err(failure),
                Ok(count) if is_busy => Ok(count),
                // These bytes belong to no request.
                Ok(_) => Err(Turn::Closed),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
                Err(_) => Err(failure),
            };
        }
    }

    /// Takes `bytes` of the answer that arrived at `now`; `Ready` means that it is whole.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Duration, tally: &mut Tally) -> Turn {
        let State::Busy { exchange, .. } = &mut self.state else {
            return Turn::Wait;
        };
        let is_measured = exchange.start.is_measured;
        if is_measured {
            tally.received += bytes.len() as u64;
        }
        if self.kind == Kind::Plain {
            return match self.answer.push(bytes, |_| {}) {
                Ok(Progress::Whole) => Turn::Ready,
                Ok(Progress::Partial) => Turn::Wait,
                Err(_) => Turn::Failed(Failure::Malformed),
            };
        }
        let (events_before, had_content) = (self.events.count, self.events.has_content);
        let events = &mut self.events;
        let progress = self.answer.push(bytes, |part| events.push(part));
        if is_measured {
            let since_start = now.saturating_sub(exchange.start.at);
            if !exchange.has_byte {
                exchange.has_byte = true;
                tally.first_byte.record(since_start);
            }
            if self.events.has_content && !had_content {
                tally.first_content.record(since_start);
            }
            for _ in events_before..self.events.count {
                if let Some(before) = exchange.last_event.replace(now) {
                    tally.gap.record(now.saturating_sub(before));
                }
                tally.events += 1;
            }
            for sent in &self.events.stamps {
                let delay = (self.epoch + now).saturating_sub(Duration::from_nanos(*sent));
                tally.delay.record(delay);
            }
        }
        self.events.stamps.clear();
        match progress {
            Ok(Progress::Whole) => Turn::Ready,
            Ok(Progress::Partial) => Turn::Wait,
            Err(_) => Turn::Failed(Failure::Malformed),
        }
    }

    /// Ends the exchange whose answer is whole; returns when it started, and what was wrong with
    /// it.
    ///
    /// The connection is idle afterwards, or closed where it cannot carry another request.
    pub(crate) fn complete(&mut self, request_len: usize, now: Duration) -> Option<Completed> {
        let state = std::mem::replace(&mut self.state, State::Down { until: now });
        let State::Busy { stream, exchange } = state else {
            self.state = state;
            return None;
        };
        if self.answer.keeps_alive() && exchange.written == request_len {
            self.state = State::Idle { stream };
        }
        let status = self.answer.status();
        let failure = match self.kind {
            _ if !(200..300).contains(&status) => Some(Failure::Status(status)),
            Kind::Plain => None,
            Kind::Stream | Kind::StampedStream if self.events.has_error => {
                Some(Failure::ErrorEvent)
            }
            Kind::Stream | Kind::StampedStream if !self.events.is_done => Some(Failure::NoDone),
            Kind::Stream | Kind::StampedStream => None,
        };
        let sent = exchange.written as u64;
        Some(Completed {
            start: exchange.start,
            failure,
            sent,
        })
    }

    /// Whether it can carry a request now.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle { .. })
    }
}

/// An exchange that came to its end.
pub(crate) struct Completed {
    /// When it started.
    pub(crate) start: Start,
    /// What was wrong with the answer, though it was whole.
    pub(crate) failure: Option<Failure>,
    /// Bytes of the request that were sent.
    pub(crate) sent: u64,
}
