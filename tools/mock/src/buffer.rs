//! A byte queue that a socket is read into and requests are cut from.

use std::io::{self, Read};

/// Bytes that have arrived and are not consumed yet.
///
/// Invariant: `start <= end <= bytes.len()`; what lies behind `end` is zeroed or stale room.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// What one pass over the socket brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The socket is drained for now.
    Drained,
    /// The buffer holds as much as it may; the socket may have more.
    Full,
    /// The peer has closed its side.
    End,
}

impl Buffer {
    /// The bytes that are not consumed yet.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes are not consumed yet.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            // One huge body must not pin its memory for the life of the connection.
            if self.bytes.len() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }

    /// Takes `from..to` (counted from the first unconsumed byte) out of the middle.
    pub(crate) fn remove(&mut self, from: usize, to: usize) {
        let (from, to) = (self.start + from, self.start + to);
        if from <= to && to <= self.end {
            self.bytes.copy_within(to..self.end, from);
            self.end -= to - from;
        }
    }

    /// Reads until the socket is drained, ends, or `limit` bytes are held.
    ///
    /// A read that leaves room has drained the socket, which saves the read that would only say
    /// so; `ending` says that the peer's end is known to follow and is worth that read.
    pub(crate) fn fill(
        &mut self,
        source: &mut impl Read,
        limit: usize,
        ending: Ending,
    ) -> io::Result<Arrival> {
        loop {
            if self.len() >= limit {
                return Ok(Arrival::Full);
            }
            self.make_room(limit);
            let Some(room) = self.bytes.get_mut(self.end..) else {
                return Ok(Arrival::Full);
            };
            let size = room.len();
            match source.read(room) {
                Ok(0) => return Ok(Arrival::End),
                Ok(count) => {
                    self.end += count;
                    if count < size && ending == Ending::NotSeen {
                        return Ok(Arrival::Drained);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Arrival::Drained);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self, limit: usize) {
        if self.bytes.len() - self.end >= ROOM_MIN {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < ROOM_MIN {
            let size = (self.bytes.len() * 2).max(FIRST).min(limit + ROOM_MIN);
            self.bytes.resize(size.max(self.end + ROOM_MIN), 0);
        }
    }
}

/// Whether the poller has reported that the peer's end follows the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No end was reported.
    NotSeen,
    /// The end of the peer's bytes is in the socket already.
    Seen,
}

/// The first size of a buffer: a usual request fits several times.
const FIRST: usize = 8 * 1024;
/// A read with less room than this is not worth its system call.
const ROOM_MIN: usize = 2 * 1024;
/// The largest allocation that an empty buffer keeps.
const KEPT: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_read_in_order() {
        let mut buffer = Buffer::default();
        let mut source: &[u8] = b"hello world";
        let arrival = buffer.fill(&mut source, 64, Ending::Seen).unwrap();
        assert_eq!(arrival, Arrival::End);
        buffer.remove(5, 6);
        buffer.consume(1);
        assert_eq!(buffer.filled(), b"elloworld");
    }

    #[test]
    fn stops_at_its_limit() {
        let mut buffer = Buffer::default();
        let body = vec![7_u8; 100_000];
        let mut source = body.as_slice();
        let arrival = buffer.fill(&mut source, 50_000, Ending::NotSeen).unwrap();
        assert_eq!(arrival, Arrival::Full);
        assert!(buffer.len() >= 50_000 && buffer.len() < 70_000);
    }
}
