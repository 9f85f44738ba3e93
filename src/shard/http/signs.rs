//! Signs of life for a caller whose answer has begun and pauses.

use std::time::Duration;

use crate::base::time::Instant;
use crate::exchange::version::Version;
use crate::wire::chunked::write_chunk_head;

/// When a caller is sent a sign of life, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// Longest time for which nothing is sent; zero: there are no signs.
    every: Duration,
    /// When something was sent last.
    sent_at: Instant,
    sign: &'static [u8],
    version: Version,
}

impl Signs {
    /// None are sent.
    pub const OFF: Self = Self {
        every: Duration::ZERO,
        sent_at: Instant::NEVER,
        sign: b"",
        version: Version::Http11,
    };

    /// `sign` is sent whenever nothing else was for so long, unless that is zero; the answer begins
    /// `now`.
    #[must_use]
    pub const fn new(sign: &'static [u8], version: Version, every: Duration, now: Instant) -> Self {
        Self {
            every,
            sent_at: now,
            sign,
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
    pub fn framed(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.version {
            Version::Http11 => {
                write_chunk_head(self.sign.len(), &mut out);
                out.extend_from_slice(self.sign);
                out.extend_from_slice(b"\r\n");
            }
            Version::Http10 => out.extend_from_slice(self.sign),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_due_when_nothing_was_sent_for_so_long() {
        let start = Instant::from_nanos(1_000_000_000);
        let every = Duration::from_secs(15);
        let mut signs = Signs::new(b": ping\n\n", Version::Http11, every, start);
        assert!(signs.is_on() && !Signs::OFF.is_on());
        assert_eq!(signs.due(), start + every);
        signs.note_sent(start + Duration::from_secs(4));
        assert_eq!(signs.due(), start + Duration::from_secs(19));
        assert_eq!(signs.framed(), b"8\r\n: ping\n\n\r\n");
        let old = Signs::new(b": ping\n\n", Version::Http10, every, start);
        assert_eq!(old.framed(), b": ping\n\n");
    }
}
