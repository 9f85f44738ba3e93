//! The rest of a request that is sent on while it arrives.

use std::time::Duration;

use crate::base::time::Instant;
use crate::exchange::refusal::Connection;
use crate::wire::body::BodyDecoder;

/// What is still to come of the current request's body.
pub struct Upload {
    /// Tells its bytes from what comes after them.
    pub body: BodyDecoder,
    /// How many bytes of it may still come.
    pub room: usize,
    /// How many bytes all of it may have.
    pub limit: usize,
    /// What becomes of the connection once all of it has come.
    pub connection: Connection,
    /// Whether any of it was taken from the caller: then nobody else can be sent it.
    pub is_begun: bool,
    pace: Pace,
}

/// How fast a body must arrive: never silent for `body_timeout`, and on average 1 KiB/s once ten
/// seconds have passed.
pub struct Pace {
    start: Instant,
    silence: Duration,
    arrived: u64,
}

impl Upload {
    /// The rest of a body, of `room` bytes at most, and `limit` in all, whose beginning has come at
    /// this `pace`.
    #[must_use]
    pub fn new(body: BodyDecoder, room: usize, limit: usize, pace: Pace) -> Box<Self> {
        Box::new(Self {
            body,
            room,
            limit,
            connection: Connection::KeepAlive,
            is_begun: false,
            pace,
        })
    }

    /// How fast it must arrive.
    pub fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

impl Pace {
    /// The pace of a body that begins to arrive at `start`.
    #[must_use]
    pub const fn new(silence: Duration, start: Instant) -> Self {
        Self {
            start,
            silence,
            arrived: 0,
        }
    }

    /// When more must have arrived, given that it is `now`.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        let average = Duration::from_secs((self.arrived / 1_024).max(10));
        (now + self.silence).min(self.start + average)
    }

    /// So many bytes have arrived.
    pub fn note(&mut self, count: usize) {
        self.arrived += count as u64;
    }

    /// Others have kept it waiting for so long.
    pub fn excuse(&mut self, span: Duration) {
        self.start = self.start + span;
    }
}
