//! The rolling window of one provider: when what was taken from its headroom comes back.

use std::time::Duration;

use crate::base::time::Instant;
use crate::base::tokens::Tokens;

/// What was taken from one provider's headroom, in buckets of one second of admission.
///
/// Shards take from the headroom before they send, and report it; only this window says what goes
/// back. A bucket goes back when all of it is older than the window, so the headroom never holds
/// more than the limit less what was admitted within the window, in whatever order the reports come
/// in.
///
/// The window's time is the latest moment that it was told of: an admission proves that its second
/// has come.
#[derive(Clone, Debug)]
pub struct Window60 {
    /// One bucket per second of the window and one for the running second, in which the bucket of
    /// second `s` has the place `s % buckets.len()`.
    buckets: Box<[Bucket]>,
    /// The first second whose bucket has not gone back.
    oldest: u64,
    /// No bucket before this second holds anything; `u64::MAX` when none does.
    due: u64,
}

/// What was admitted within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    requests: u64,
    tokens: u64,
}

/// What goes back to the headroom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: Tokens,
}

impl Default for Window60 {
    fn default() -> Self {
        Self::new(Self::SPAN)
    }
}

impl Window60 {
    /// The window of the contract.
    pub const SPAN: Duration = Duration::from_secs(60);

    /// A window of this length, in whole seconds between one and sixty.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        let seconds = span.clamp(Duration::from_secs(1), Self::SPAN).as_secs();
        Self {
            buckets: (0..=seconds).map(|_| Bucket::default()).collect(),
            oldest: 0,
            due: u64::MAX,
        }
    }

    /// Requests and tokens were taken at `at`. Returns what goes back, both for these if their
    /// second has left the window, and for buckets that leave it because time has passed.
    pub fn on_admitted(&mut self, at: Instant, requests: u64, tokens: Tokens) -> Returned {
        let mut returned = self.expire(at);
        let second = at.as_secs();
        if second < self.oldest {
            // The report comes after its window, so its requests and tokens go back at once.
            returned.add(requests, tokens.get());
            return returned;
        }
        self.bucket(second).add(requests, tokens.get());
        self.due = self.due.min(second);
        self.check();
        returned
    }

    /// An attempt that was admitted at `admitted` with `reserved` tokens has used `used`. Returns
    /// by how much the headroom changes: unused tokens go back; an excess is to be taken from it,
    /// unless a shard has done so already.
    pub fn on_ended(&mut self, admitted: Instant, reserved: Tokens, used: Tokens) -> i64 {
        let second = admitted.as_secs();
        // The bucket has gone back whole, or nothing was ever reported for it.
        if second < self.oldest || second > self.newest() {
            return 0;
        }
        let (reserved, used) = (reserved.get(), used.get());
        let bucket = self.bucket(second);
        if used > reserved {
            let more = (used - reserved).min(i64::MAX as u64);
            bucket.tokens = bucket.tokens.saturating_add(more);
            // The bucket may have held nothing: an attempt may begin before there is a limit.
            self.due = self.due.min(second);
            return -signed(more);
        }
        let fewer = (reserved - used).min(bucket.tokens);
        bucket.tokens -= fewer;
        signed(fewer)
    }

    /// Returns what has left the window by `now`. A moment before the latest one changes nothing.
    pub fn expire(&mut self, now: Instant) -> Returned {
        let mut returned = Returned::default();
        let oldest = now.as_secs().saturating_sub(self.seconds());
        // Buckets before the first one that holds anything need no visit, nor do seconds beyond the
        // ring's length, since each of them shares a bucket with a visited one.
        let first = self.due.max(self.oldest);
        let beyond = oldest.min(self.newest() + 1);
        for second in first..beyond {
            let bucket = std::mem::take(self.bucket(second));
            returned.add(bucket.requests, bucket.tokens);
        }
        if oldest > self.oldest {
            self.oldest = oldest;
            self.due = self.first_held();
        }
        self.check();
        returned
    }

    /// When the next bucket leaves the window.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let second = self.due.checked_add(self.seconds() + 1)?;
        Some(Instant::from_millis(second.saturating_mul(1_000)))
    }

    /// What the window holds.
    #[must_use]
    pub fn held(&self) -> Returned {
        let mut held = Returned::default();
        for bucket in &self.buckets {
            held.add(bucket.requests, bucket.tokens);
        }
        held
    }

    fn first_held(&self) -> u64 {
        let seconds = self.oldest..=self.newest();
        let place = |second: &u64| {
            let bucket = self.buckets.get(self.place(*second));
            bucket.is_some_and(|bucket| *bucket != Bucket::default())
        };
        seconds.into_iter().find(place).unwrap_or(u64::MAX)
    }

    /// The last second that has a bucket.
    fn newest(&self) -> u64 {
        self.oldest.saturating_add(self.seconds())
    }

    /// The window's length.
    fn seconds(&self) -> u64 {
        self.buckets.len() as u64 - 1
    }

    fn bucket(&mut self, second: u64) -> &mut Bucket {
        let place = self.place(second);
        &mut self.buckets[place]
    }

    fn place(&self, second: u64) -> usize {
        usize::try_from(second % self.buckets.len() as u64).unwrap_or(0)
    }

    fn check(&self) {
        debug_assert!(self.due >= self.oldest, "what is due has not gone back");
        debug_assert!(self.due == u64::MAX || self.due <= self.newest());
    }
}

impl Bucket {
    fn add(&mut self, requests: u64, tokens: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

impl Returned {
    /// Nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, requests: u64, tokens: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.tokens = self.tokens.saturating_add(Tokens::new(tokens));
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
