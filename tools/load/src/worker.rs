//! One thread's loop: its connections, its share of the requests, its tally.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::clock::Clock;
use crate::connection::{Connection, Server, Turn};
use crate::kind::Kind;
use crate::pace::Pace;
use crate::request::Request;
use crate::tally::{Failure, Tally};

/// How often timeouts and closed connections are checked.
const SWEEP: Duration = Duration::from_millis(50);
/// How long a connection that failed to open waits before it tries again.
const RECONNECT: Duration = Duration::from_millis(100);
/// One read takes at most this much.
const READ_BYTES: usize = 128 << 10;
/// The timer's place in the poll, which no connection has.
const TIMER: Token = Token(usize::MAX - 1);

/// What one thread is to do.
pub(crate) struct Job<'a> {
    /// Where to.
    pub(crate) server: Server,
    /// What is sent, with the numbers that this thread puts into it.
    pub(crate) request: Request,
    /// How many connections.
    pub(crate) connections: u64,
    /// What the answers are.
    pub(crate) kind: Kind,
    /// The most one request may take.
    pub(crate) timeout: Duration,
    /// When requests start.
    pub(crate) pace: Pace,
    /// The moment from which answers are measured.
    pub(crate) measured_from: Duration,
    /// The end of the window in which answers count into the rate; none where requests are counted.
    pub(crate) window_end: Option<Duration>,
    /// The run's clock.
    pub(crate) clock: Clock,
    /// Good answers so far, for the progress line.
    pub(crate) progress: &'a AtomicU64,
}

/// The loop's state.
pub(crate) struct Worker<'a> {
    job: Job<'a>,
    poll: Poll,
    timer: OwnedFd,
    /// The moment the timer is set to.
    alarm: Option<Duration>,
    connections: Vec<Connection>,
    /// The request of each connection, where no two requests are the same.
    own: Vec<Request>,
    /// Connections that wait for a request to be due.
    idle: Vec<usize>,
    busy: usize,
    answered: u64,
    tally: Tally,
}

impl<'a> Worker<'a> {
    /// Prepares everything that can fail before the run.
    ///
    /// # Errors
    ///
    /// When the system gives no poll or timer.
    pub(crate) fn new(job: Job<'a>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let connections = (0..job.connections)
            .map(|_| Connection::new(job.kind, job.clock.epoch))
            .collect();
        let own = match job.request.is_numbered() {
            true => (0..job.connections).map(|_| job.request.clone()).collect(),
            false => Vec::new(),
        };
        Ok(Self {
            job,
            poll,
            timer,
            alarm: None,
            connections,
            own,
            idle: Vec::new(),
            busy: 0,
            answered: 0,
            tally: Tally::new(),
        })
    }

    /// Runs until no request is left to send and none is under way.
    ///
    /// # Errors
    ///
    /// When the poll itself fails.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        let mut next_sweep = Duration::ZERO;
        loop {
            let now = self.job.clock.now();
            if now >= next_sweep {
                self.sweep(now);
                next_sweep = now + SWEEP;
            }
            self.dispatch(now)?;
            if self.busy == 0 && self.job.pace.has_ended(now) {
                self.tally.unsent = self.job.pace.unsent();
                return Ok(self.tally);
            }
            match self.poll.poll(&mut events, Some(SWEEP)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                Err(_) => continue,
                Ok(()) => {}
            }
            for event in &events {
                if event.token() == TIMER {
                    self.alarm = None;
                } else {
                    self.on_event(event, &mut buffer);
                }
            }
        }
    }

    /// Gives requests that are due to connections that are idle, and sets the timer for the next.
    fn dispatch(&mut self, now: Duration) -> io::Result<()> {
        while let Some(index) = self.idle.pop() {
            if !self.connections[index].is_idle() {
                continue;
            }
            self.next(index, now);
            // The connection is still idle: no request is due for it, and so none for the others.
            if self.idle.last() == Some(&index) {
                break;
            }
        }
        if self.idle.is_empty() {
            return Ok(());
        }
        let due = self.job.pace.next_due(now);
        if let Some(due) = due.filter(|due| self.alarm != Some(*due)) {
            let wait = due.saturating_sub(now).max(Duration::from_nanos(1));
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: Timespec::try_from(wait).unwrap_or(zero),
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
            self.alarm = Some(due);
        }
        Ok(())
    }

    fn sweep(&mut self, now: Duration) {
        for index in 0..self.connections.len() {
            if self.connections[index].is_due(now) && !self.job.pace.has_ended(now) {
                self.open(index, now);
            } else if let Some(failure) = self.connections[index].overdue(now, self.job.timeout) {
                self.fail(index, failure, now);
            }
        }
    }

    fn open(&mut self, index: usize, now: Duration) {
        let (server, registry) = (&self.job.server, self.poll.registry());
        let opened = self.connections[index].open(server, registry, Token(index), now);
        if opened.is_err() {
            self.fail(index, Failure::Connect, now);
        }
    }

    fn on_event(&mut self, event: &Event, buffer: &mut [u8]) {
        let index = event.token().0;
        let now = self.job.clock.now();
        match self.connections[index].connected(now) {
            Turn::Ready => return self.next(index, now),
            Turn::Failed(failure) => return self.fail(index, failure, now),
            Turn::Wait | Turn::Closed => {}
        }
        if event.is_writable() && self.connections[index].is_busy() {
            let request = self.own.get(index).unwrap_or(&self.job.request);
            let turn = self.connections[index].write(request.bytes());
            self.act(index, turn, now);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.receive(index, event, buffer);
        }
    }

    /// Reads until nothing is left. A read that does not fill the buffer has drained the socket;
    /// only an end of the connection can still be waiting behind it.
    fn receive(&mut self, index: usize, event: &Event, buffer: &mut [u8]) {
        loop {
            let count = match self.connections[index].read(buffer) {
                Ok(0) => return,
                Ok(count) => count,
                Err(turn) => return self.act(index, turn, self.job.clock.now()),
            };
            let now = self.job.clock.now();
            let bytes = buffer.get(..count).unwrap_or_default();
            let turn = self.connections[index].take(bytes, now, &mut self.tally);
            self.act(index, turn, now);
            let is_short = count < buffer.len() && self.connections[index].short_read_is_last();
            if is_short && !event.is_read_closed() {
                return;
            }
        }
    }

    fn act(&mut self, index: usize, turn: Turn, now: Duration) {
        match turn {
            Turn::Wait => {}
            Turn::Ready => self.complete(index, now),
            Turn::Closed => {
                self.idle.retain(|waiting| *waiting != index);
                self.reopen(index, now);
            }
            Turn::Failed(failure) => self.fail(index, failure, now),
        }
    }

    fn complete(&mut self, index: usize, now: Duration) {
        let Some(completed) = self.connections[index].complete(self.job.request.bytes().len(), now)
        else {
            return;
        };
        self.busy -= 1;
        if completed.start.is_measured {
            self.tally.sent += completed.sent;
            match completed.failure {
                Some(failure) => self.tally.fail(failure, now),
                None => self.count(now.saturating_sub(completed.start.at), now),
            }
        }
        if self.connections[index].is_idle() {
            self.next(index, now);
        } else {
            self.reopen(index, now);
        }
    }

    fn count(&mut self, latency: Duration, now: Duration) {
        self.tally.latency.record(latency);
        let since = now.saturating_sub(self.job.measured_from);
        self.tally.timeline.record(since);
        self.tally.last_end = self.tally.last_end.max(now);
        self.tally.in_window += u64::from(self.job.window_end.is_none_or(|end| now <= end));
        self.answered += 1;
        self.job.progress.store(self.answered, Ordering::Relaxed);
    }

    /// Sends the next request on an idle connection, or lets it wait for one.
    fn next(&mut self, index: usize, now: Duration) {
        let Some(start) = self.job.pace.take(now) else {
            self.idle.push(index);
            return;
        };
        self.busy += 1;
        let request = match self.own.get_mut(index) {
            Some(own) => {
                own.write_number(self.job.request.next_number());
                own
            }
            None => &self.job.request,
        };
        let turn = self.connections[index].send(start, now, request.bytes());
        self.act(index, turn, now);
    }

    fn reopen(&mut self, index: usize, now: Duration) {
        self.connections[index].close(now);
        if !self.job.pace.has_ended(now) {
            self.open(index, now);
        }
    }

    /// Counts a failure and closes the connection.
    ///
    /// An attempt to connect that fails stands for the request it would have carried: a server that
    /// is down must cost requests, not just time.
    fn fail(&mut self, index: usize, failure: Failure, now: Duration) {
        let was_busy = self.connections[index].is_busy();
        let counts = if was_busy {
            self.busy -= 1;
            self.connections[index].is_measured()
        } else {
            self.job
                .pace
                .take(now)
                .is_some_and(|start| start.is_measured)
        };
        if counts {
            self.tally.fail(failure, now);
        }
        if was_busy {
            self.reopen(index, now);
        } else {
            self.connections[index].close(now + RECONNECT);
        }
    }
}
