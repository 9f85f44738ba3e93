//! Pairs of connections, a caller's and its own to the provider, and the bytes between them.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use crate::pool::Piece;
use crate::ring::{self, Operation, Outcome, Ring};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// The sockets, and what is under way between them.
pub(crate) struct Forwarder {
    ring: Ring,
    listener: TcpListener,
    upstream: SocketAddr,
    /// A caller's side has an even number, and its provider's the next one.
    sides: Vec<Option<Side>>,
    /// Even numbers of pairs that are free.
    free: Vec<u32>,
    /// Sides for which there was no buffer.
    starved: Vec<u32>,
}

/// One socket of a pair.
struct Side {
    socket: TcpStream,
    /// What is being sent here.
    sending: Option<Piece>,
    /// What is to be sent here next.
    waiting: VecDeque<Piece>,
    /// Whether nothing more is received here.
    has_ended: bool,
}

impl Forwarder {
    /// A forwarder that listens.
    ///
    /// # Errors
    ///
    /// The address is taken, or the kernel gives no ring.
    pub(crate) fn new(listen: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&listen.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let mut ring = Ring::new()?;
        ring.accept(listener.as_raw_fd())?;
        Ok(Self {
            ring,
            listener,
            upstream,
            sides: Vec::new(),
            free: Vec::new(),
            starved: Vec::new(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for something to happen, and forwards what has come.
    ///
    /// # Errors
    ///
    /// The ring is of no use any more.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let mut outcomes = self.ring.wait()?;
        for outcome in outcomes.drain(..) {
            match outcome.operation {
                Operation::Accept => self.accepted(outcome)?,
                Operation::Receive(side) => self.received(side, &outcome)?,
                Operation::Send(side) => self.sent(side, outcome.result)?,
            }
        }
        self.ring.recycle(outcomes);
        for side in std::mem::take(&mut self.starved) {
            self.receive(side)?;
        }
        Ok(())
    }

    fn accepted(&mut self, outcome: Outcome) -> io::Result<()> {
        if !outcome.goes_on {
            self.ring.accept(self.listener.as_raw_fd())?;
        }
        let Some(caller) = ring::accepted(outcome) else {
            return Ok(());
        };
        // Loopback answers at once; a provider that refuses closes its caller's connection.
        let Ok(provider) = TcpStream::connect(self.upstream) else {
            return Ok(());
        };
        let pair = self.free.pop().unwrap_or_else(|| {
            self.sides.extend([None, None]);
            u32::try_from(self.sides.len() - 2).unwrap_or(u32::MAX)
        });
        for (side, socket) in [(pair, caller), (pair + 1, provider)] {
            socket.set_nodelay(true)?;
            self.sides[side as usize] = Some(Side {
                socket,
                sending: None,
                waiting: VecDeque::new(),
                has_ended: false,
            });
            self.receive(side)?;
        }
        Ok(())
    }

    fn received(&mut self, side: u32, outcome: &Outcome) -> io::Result<()> {
        if let (Some(id), Ok(len)) = (outcome.buffer, u32::try_from(outcome.result)) {
            let piece = Piece { id, at: 0, len };
            match self.side(side ^ 1) {
                Some(other) if len > 0 => other.waiting.push_back(piece),
                Some(_) | None => self.ring.put(id),
            }
            self.send(side ^ 1)?;
        }
        if outcome.result == -libc::ENOBUFS {
            self.starved.push(side);
        } else if outcome.result <= 0 {
            if let Some(own) = self.side(side) {
                own.has_ended = true;
            }
            self.end(side);
        } else if !outcome.goes_on {
            self.receive(side)?;
        }
        Ok(())
    }

    fn sent(&mut self, side: u32, result: i32) -> io::Result<()> {
        let Some(own) = self.side(side) else {
            return Ok(());
        };
        let Some(piece) = own.sending.take() else {
            return Ok(());
        };
        let done = u32::try_from(result).unwrap_or(piece.len);
        if done < piece.len {
            own.waiting.push_front(Piece {
                at: piece.at + done,
                len: piece.len - done,
                ..piece
            });
        } else {
            self.ring.put(piece.id);
        }
        if result < 0 {
            self.forget(side);
        }
        self.send(side)?;
        self.end(side ^ 1);
        Ok(())
    }

    fn receive(&mut self, side: u32) -> io::Result<()> {
        let socket = self.side(side).map(|own| own.socket.as_raw_fd());
        socket.map_or(Ok(()), |socket| self.ring.receive(side, socket))
    }

    /// Sends what waits, one piece at a time, so that the pieces keep their order.
    fn send(&mut self, side: u32) -> io::Result<()> {
        let Some(own) = self.side(side).filter(|own| own.sending.is_none()) else {
            return Ok(());
        };
        own.sending = own.waiting.pop_front();
        let socket = own.socket.as_raw_fd();
        let piece = own.sending;
        piece.map_or(Ok(()), |piece| self.ring.send(side, socket, piece))
    }

    /// Once all is sent that came from `side`, which has ended, both sides of the pair end; once
    /// nothing is under way, they are gone.
    fn end(&mut self, side: u32) {
        let pair = side & !1;
        let [has_ended, all_sent] = [
            self.side(side).is_some_and(|own| own.has_ended),
            self.side(side ^ 1).is_none_or(|other| other.is_idle()),
        ];
        if has_ended && all_sent {
            for side in [pair, pair + 1] {
                if let Some(own) = self.side(side) {
                    // It may have been closed by its peer; then there is nothing to do.
                    let _ = own.socket.shutdown(Shutdown::Both);
                }
            }
        }
        let is_over = |own: &mut Side| own.has_ended && own.is_idle();
        if [pair, pair + 1]
            .into_iter()
            .all(|side| self.side(side).is_some_and(is_over))
        {
            self.sides[pair as usize] = None;
            self.sides[pair as usize + 1] = None;
            self.free.push(pair);
        }
    }

    /// Gives back what waits for a side that takes no more.
    fn forget(&mut self, side: u32) {
        while let Some(piece) = self.side(side).and_then(|own| own.waiting.pop_front()) {
            self.ring.put(piece.id);
        }
    }

    fn side(&mut self, side: u32) -> Option<&mut Side> {
        self.sides.get_mut(side as usize)?.as_mut()
    }
}

impl Side {
    fn is_idle(&self) -> bool {
        self.sending.is_none() && self.waiting.is_empty()
    }
}
