//! Signs of life for a caller whose answer has begun and pauses.

use std::time::Duration;

use crate::base::time::Instant;
use crate::dialect::shell::sign::Sign;
use crate::exchange::version::Version;
use crate::wire::chunked::write_chunk_head;

/// When a caller is sent a sign of life, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// Longest time for which nothing is sent; zero: there are no signs.
    every: Duration,
    /// When something was sent last.
    sent_at: Instant,
    /// The next one.
    pub next: Sign,
    version: Version,
}

impl Signs {
    /// None are sent.
    pub const OFF: Self = Self {
        every: Duration::ZERO,
        sent_at: Instant::NEVER,
        next: Sign::Fixed(b""),
        version: Version::Http11,
    };

    /// `next` is sent whenever nothing else was for so long, unless that is zero; the answer begins
    /// `now`.
    #[must_use]
    pub const fn new(next: Sign, version: Version, every: Duration, now: Instant) -> Self {
        Self {
            every,
            sent_at: now,
            next,
            version,
        }
    }

    /// Whether there are any.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.every.is_zero()
    }

    /// Something is sent `now`.
    pub const fn note_sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    /// When the next sign is due, if nothing else is sent before.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.sent_at + self.every
    }

    /// A sign of life, as one chunk where the version has chunks.
    #[must_use]
    pub fn framed(&mut self) -> Vec<u8> {
        let mut sign = Vec::new();
        self.next.write(&mut sign);
        match self.version {
            Version::Http11 => {
                let mut out = Vec::new();
                write_chunk_head(sign.len(), &mut out);
                out.extend_from_slice(&sign);
                out.extend_from_slice(b"\r\n");
                out
            }
            Version::Http10 => sign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_due_when_nothing_was_sent_for_so_long() {
        let start = Instant::from_nanos(1_000_000_000);
        let every = Duration::from_secs(15);
        let ping = Sign::Fixed(b": ping\n\n");
        let mut signs = Signs::new(ping, Version::Http11, every, start);
        assert!(signs.is_on() && !Signs::OFF.is_on());
        assert_eq!(signs.due(), start + every);
        signs.note_sent(start + Duration::from_secs(4));
        assert_eq!(signs.due(), start + Duration::from_secs(19));
        assert_eq!(signs.framed(), b"8\r\n: ping\n\n\r\n");
        let mut old = Signs::new(ping, Version::Http10, every, start);
        assert_eq!(old.framed(), b": ping\n\n");
    }

    #[test]
    fn signs_with_numbers_count_on() {
        let start = Instant::from_nanos(1);
        let numbered = Sign::Numbered { number: 9, step: 1 };
        let mut signs = Signs::new(numbered, Version::Http10, Duration::from_secs(1), start);
        for number in [9, 10] {
            let data = format!("{{\"type\":\"keepalive\",\"sequence_number\":{number}}}");
            let event = format!("event: keepalive\ndata: {data}\n\n");
            assert_eq!(signs.framed(), event.as_bytes());
        }
        let next = Sign::Numbered {
            number: 11,
            step: 1,
        };
        assert_eq!(signs.next, next);
    }
}
