//! One connection: reads requests, takes the steps of their answers, watches the peer.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::ask;
use crate::buffer::{Arrival, Buffer, Ending};
use crate::errors;
use crate::http::{self, Complaint, Framing, Persistence, Progress};
use crate::instance::{Counted, End, Instance, Ticket};
use crate::program::Program;
use crate::script::Script;
use crate::serve::{self, Entrance, Scene, Served};
use crate::step_end::{Cut, StepEnd};

/// One connection and its state.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    /// The instance it belongs to, by its place in the worker's list.
    pub(crate) home: usize,
    /// When it asked to be called; a timer's call at another time is out of date.
    pub(crate) alarm: Option<Instant>,
    entrance: Entrance,
    instance: Arc<Instance>,
    number: u64,
    input: Buffer,
    framing: Framing,
    output: Vec<u8>,
    sent: usize,
    exchange: Option<Exchange>,
    /// Answers that are written to `output` but not to the socket yet.
    unsent: Vec<Ticket>,
    written: Written,
    pieces: Option<Pieces>,
    /// The socket may have bytes that were not read.
    readable: bool,
    ending: Ending,
    /// The peer has ended its side, and all that it sent was read.
    ended: bool,
    /// No further request is taken.
    last: bool,
}

/// What has been written to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    WholeAnswers,
    PartOfAnAnswer,
}

/// A request that is being answered step by step.
#[derive(Debug)]
struct Exchange {
    ticket: Option<Ticket>,
    program: Box<Program>,
}

/// An answer that is written in pieces.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    size: usize,
    interval: Duration,
    next: Option<Instant>,
}

/// When a connection is to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// When the socket is ready.
    Socket,
    /// At that moment, or when the socket is ready.
    At(Instant),
    /// After every turn, and at that moment.
    Parked(Instant),
    /// Never: it is over.
    Gone,
}

/// Why no more output is made for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    Full,
    Input,
    Until(Instant),
    Parked(Instant),
    Silence,
    Cut(Cut),
    Close,
}

enum Flushed {
    All,
    Blocked,
    Until(Instant),
    Lost,
}

impl Connection {
    pub(crate) fn new(
        socket: TcpStream,
        (home, instance): (usize, &Arc<Instance>),
        entrance: Entrance,
    ) -> Self {
        Self {
            socket,
            home,
            alarm: None,
            entrance,
            instance: Arc::clone(instance),
            number: instance.connect(counted(entrance)),
            input: Buffer::default(),
            framing: Framing::default(),
            output: Vec::new(),
            sent: 0,
            exchange: None,
            unsent: Vec::new(),
            written: Written::Nothing,
            pieces: None,
            readable: true,
            ending: Ending::NotSeen,
            ended: false,
            last: false,
        }
    }

    /// Notes what the poller reports about the socket.
    pub(crate) fn notice(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        if event.is_read_closed() || event.is_error() {
            self.ending = Ending::Seen;
        }
    }

    /// Takes no further request; says whether the connection may be dropped at once.
    pub(crate) fn retire(&mut self) -> bool {
        self.last = true;
        self.entrance == Entrance::Main && self.exchange.is_none() && self.unsent.is_empty()
    }

    /// Whether it came in through the control port.
    pub(crate) fn entrance(&self) -> Entrance {
        self.entrance
    }

    /// Does everything that can be done now.
    pub(crate) fn run(&mut self, script: &Script) -> Wake {
        if self.readable && !self.read() {
            return self.lost(script);
        }
        loop {
            let pause = self.make_output(script);
            match self.flush() {
                Flushed::All => self.end_answered(script),
                Flushed::Lost => return self.lost(script),
                Flushed::Blocked | Flushed::Until(_) if self.hung_up() => {
                    return self.lost(script);
                }
                Flushed::Blocked => return Wake::Socket,
                Flushed::Until(instant) => return Wake::At(instant),
            }
            let next = match pause {
                Pause::Full => continue,
                Pause::Input if self.readable && !self.ended => {
                    if self.read() {
                        continue;
                    }
                    return self.lost(script);
                }
                Pause::Input | Pause::Silence => Wake::Socket,
                Pause::Until(instant) => Wake::At(instant),
                Pause::Parked(instant) => Wake::Parked(instant),
                Pause::Close => return Wake::Gone,
                Pause::Cut(cut) => return self.cut(cut, script),
            };
            if self.hung_up() {
                return self.lost(script);
            }
            return next;
        }
    }

    /// Whether the peer has ended its side, as far as can be known without more room.
    fn hung_up(&self) -> bool {
        self.ended || (self.readable && self.ending == Ending::Seen)
    }

    /// Reads the bytes that are there; returns false when the connection is broken.
    fn read(&mut self) -> bool {
        let limit = self.framing.room().max(READ_MAX);
        match self.input.fill(&mut &self.socket, limit, self.ending) {
            Ok(Arrival::Drained) => self.readable = false,
            Ok(Arrival::Full) => {}
            Ok(Arrival::End) => {
                self.readable = false;
                self.ended = true;
            }
            Err(_) => return false,
        }
        true
    }

    fn make_output(&mut self, script: &Script) -> Pause {
        loop {
            if self.output.len() - self.sent >= OUTPUT_HIGH {
                return Pause::Full;
            }
            let Some(exchange) = &mut self.exchange else {
                // The pieces of one answer must be out before the next answer is begun.
                if self.pieces.is_some() && self.sent < self.output.len() {
                    return Pause::Full;
                }
                self.pieces = None;
                if self.last {
                    return Pause::Close;
                }
                if self.take_request(script) {
                    continue;
                }
                return if self.ended {
                    Pause::Close
                } else {
                    Pause::Input
                };
            };
            match exchange.program.step(Instant::now(), &mut self.output) {
                StepEnd::Go => {}
                StepEnd::Until(instant) => return Pause::Until(instant),
                StepEnd::Parked(instant) => return Pause::Parked(instant),
                StepEnd::Silence => return Pause::Silence,
                StepEnd::Cut(cut) => return Pause::Cut(cut),
                StepEnd::Done => {
                    self.last |= exchange.program.persistence == Persistence::Close;
                    self.unsent.extend(exchange.ticket);
                    self.exchange = None;
                }
            }
        }
    }

    /// Takes the next request off the input and begins its answer; false when none is complete.
    fn take_request(&mut self, script: &Script) -> bool {
        if self.input.len() == 0 {
            return false;
        }
        let head = match self.framing.advance(&mut self.input) {
            Progress::Complete { head } => head,
            Progress::Partial { invite } => {
                if invite {
                    self.output
                        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                return false;
            }
            Progress::Refused(complaint) => {
                self.refuse(complaint, script);
                return true;
            }
        };
        let filled = self.input.filled();
        let framing = std::mem::take(&mut self.framing);
        let (body, total) = match &framing {
            Framing::Unknown => (&[][..], head),
            Framing::Length { length, .. } => (
                filled.get(head..head + length).unwrap_or_default(),
                head + length,
            ),
            Framing::Chunked { body, .. } => (body.as_slice(), head),
        };
        let scene = Scene {
            instance: &self.instance,
            script,
            connection: self.number,
            entrance: self.entrance,
        };
        let output = &mut self.output;
        let served = http::with_request(filled.get(..head).unwrap_or_default(), body, |request| {
            serve::serve(&scene, request, output)
        });
        self.input.consume(total);
        match served {
            Some(Served::Written(ticket, persistence)) => {
                self.unsent.extend(ticket);
                self.last |= persistence == Persistence::Close;
            }
            Some(Served::Program(ticket, program)) => {
                let pieces = |(size, interval)| Pieces {
                    size,
                    interval,
                    next: None,
                };
                self.pieces = program.pieces.map(pieces);
                self.exchange = Some(Exchange { ticket, program });
            }
            None => self.last = true,
        }
        true
    }

    /// Answers bytes that are no request; later bytes of the connection cannot be trusted.
    fn refuse(&mut self, complaint: Complaint, script: &Script) {
        let flavour = ask::manners(script.dialect);
        let body = errors::body(flavour, complaint.status, complaint.message);
        let answer = http::json_answer(complaint.status, body.as_bytes(), Persistence::Close);
        self.output.extend_from_slice(&answer);
        self.last = true;
    }

    /// Writes what the script's pace allows.
    fn flush(&mut self) -> Flushed {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let mut part = rest;
            if let Some(pieces) = &mut self.pieces {
                if let Some(next) = pieces.next {
                    if Instant::now() < next {
                        return Flushed::Until(next);
                    }
                    pieces.next = None;
                }
                part = rest.get(..pieces.size).unwrap_or(rest);
            }
            match (&self.socket).write(part) {
                Ok(0) => return Flushed::Lost,
                Ok(count) => {
                    self.sent += count;
                    self.written = Written::PartOfAnAnswer;
                    if let Some(pieces) = &mut self.pieces
                        && !pieces.interval.is_zero()
                    {
                        pieces.next = Some(Instant::now() + pieces.interval);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Lost,
            }
        }
        self.output.clear();
        self.sent = 0;
        // One huge answer must not pin its memory for the life of the connection.
        if self.output.capacity() > OUTPUT_KEPT {
            self.output = Vec::new();
        }
        Flushed::All
    }

    /// Notes that all complete answers have left.
    fn end_answered(&mut self, script: &Script) {
        if !self.unsent.is_empty() {
            self.written = Written::WholeAnswers;
        }
        for ticket in self.unsent.drain(..) {
            self.instance.end(ticket, End::Answered, script);
        }
    }

    /// Notes that the peer has gone; its request ends with it.
    fn lost(&mut self, script: &Script) -> Wake {
        self.finish(End::PeerClosed, script);
        Wake::Gone
    }

    fn cut(&mut self, cut: Cut, script: &Script) -> Wake {
        if cut == Cut::Reset {
            // Closing a socket that lingers for no time sends an RST.
            let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
        if self.written == Written::WholeAnswers {
            self.instance.note_unanswered();
        }
        self.finish(End::Cut, script);
        Wake::Gone
    }

    fn finish(&mut self, end: End, script: &Script) {
        let running = self.exchange.take().and_then(|exchange| exchange.ticket);
        for ticket in self.unsent.drain(..).chain(running) {
            self.instance.end(ticket, end, script);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.instance.disconnect(counted(self.entrance));
    }
}

fn counted(entrance: Entrance) -> Counted {
    match entrance {
        Entrance::Main => Counted::Yes,
        Entrance::Control => Counted::No,
    }
}

/// How far ahead of the answers requests are read.
const READ_MAX: usize = 256 * 1024;
/// Output beyond this is written before more is made.
const OUTPUT_HIGH: usize = 256 * 1024;
/// The largest output buffer that an idle connection keeps.
const OUTPUT_KEPT: usize = 1024 * 1024;
