//! Very many connections of one thread, which are looked at in turns.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::tally::Statuses;
use crate::clock::{Stopwatch, pause};

/// One connection.
pub(super) struct One {
    stream: TcpStream,
    /// What came, as far as it is kept.
    pub(super) said: Vec<u8>,
    /// When it was closed by the other side.
    pub(super) closed: Option<Duration>,
}

/// Many connections.
pub(super) struct Crowd {
    pub(super) all: Vec<One>,
    clock: Stopwatch,
}

/// Most bytes that are kept of what one connection is told.
const KEPT: usize = 16 << 10;

impl Crowd {
    /// Opens so many connections; `room` is the size of their receive buffers, where it matters.
    pub(super) fn open(address: &str, count: usize, room: Option<usize>) -> Result<Self, String> {
        let address: SocketAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
        let open = |_| {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )?;
            if let Some(room) = room {
                socket.set_recv_buffer_size(room)?;
            }
            socket.connect(&address.into())?;
            socket.set_tcp_nodelay(true)?;
            socket.set_nonblocking(true)?;
            Ok(One {
                stream: socket.into(),
                said: Vec::new(),
                closed: None,
            })
        };
        let all: std::io::Result<Vec<One>> = (0..count).map(open).collect();
        let all = all.map_err(|e| format!("{count} connections: {e}"))?;
        Ok(Self {
            all,
            clock: Stopwatch::start(),
        })
    }

    /// Sends the same to all that are open. What does not fit is dropped.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        for one in self.all.iter_mut().filter(|one| one.closed.is_none()) {
            // It may be closed meanwhile: the next look shows it.
            let _ = one.stream.write(bytes);
        }
    }

    /// Takes in what has come, and who has been closed.
    pub(super) fn look(&mut self) {
        let at = self.clock.elapsed();
        for one in self.all.iter_mut().filter(|one| one.closed.is_none()) {
            one.look(at);
        }
    }

    /// Goes on, with `act` before each look, until all are closed or `most` is over.
    pub(super) fn until_closed(
        &mut self,
        most: Duration,
        mut act: impl FnMut(&mut Self, Duration),
    ) {
        while self.clock.elapsed() < most && self.closed() < self.all.len() {
            let at = self.clock.elapsed();
            act(self, at);
            self.look();
            pause(Duration::from_millis(50));
        }
    }

    /// Waits until each has been told an answer's head.
    pub(super) fn until_told(&mut self, most: Duration) -> usize {
        let clock = Stopwatch::start();
        let is_told = |one: &One| one.said.windows(4).any(|part| part == b"\r\n\r\n");
        loop {
            self.look();
            let told = self.all.iter().filter(|one| is_told(one)).count();
            if told == self.all.len() || clock.elapsed() > most {
                return told;
            }
            pause(Duration::from_millis(10));
        }
    }

    /// How many the other side has closed.
    pub(super) fn closed(&self) -> usize {
        self.all.iter().filter(|one| one.closed.is_some()).count()
    }

    /// When the last of them was closed, since all were open.
    pub(super) fn last_closed(&self) -> Duration {
        let closed = self.all.iter().filter_map(|one| one.closed);
        closed.max().unwrap_or_default()
    }

    /// The statuses that they were told; 0 stands for none.
    pub(super) fn statuses(&self) -> Statuses {
        let mut statuses = Statuses::new();
        for one in &self.all {
            let line = String::from_utf8_lossy(&one.said);
            let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
            let status = status.filter(|_| line.starts_with("HTTP/1.1 "));
            *statuses.entry(status.unwrap_or_default()).or_default() += 1;
        }
        statuses
    }
}

impl One {
    fn look(&mut self, at: Duration) {
        let mut room = [0; 4096];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => self.closed = Some(at),
                Ok(count) => {
                    let left = KEPT.saturating_sub(self.said.len()).min(count);
                    self.said.extend_from_slice(&room[..left]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.closed = Some(at),
            }
            return;
        }
    }
}
