//! The rolling window of a provider or a scope: when what was taken from its headroom comes back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::time::Instant;
use crate::base::tokens::Tokens;

/// What was taken from the headroom of a provider or a scope, in buckets of one second of
/// admission.
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
    /// What is held, by second, the earliest first. A window that holds nothing has no buckets, and
    /// no memory for them: of thousands of windows, most hold nothing.
    buckets: VecDeque<Bucket>,
    /// The first second whose bucket has not gone back.
    oldest: u64,
    /// The window's length.
    seconds: u64,
}

/// What was admitted within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    second: u64,
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
            buckets: VecDeque::new(),
            oldest: 0,
            seconds,
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
        if requests > 0 || tokens > Tokens::ZERO {
            self.bucket(second).add(requests, tokens.get());
        }
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
        if used > reserved {
            // There may be no bucket yet: an attempt may begin before there is a limit.
            let more = (used - reserved).min(i64::MAX as u64);
            self.bucket(second).add(0, more);
            self.check();
            return -signed(more);
        }
        let Ok(place) = self.find(second) else {
            return 0;
        };
        let bucket = &mut self.buckets[place];
        let fewer = (reserved - used).min(bucket.tokens);
        bucket.tokens -= fewer;
        signed(fewer)
    }

    /// Returns what has left the window by `now`. A moment before the latest one changes nothing.
    pub fn expire(&mut self, now: Instant) -> Returned {
        let mut returned = Returned::default();
        self.oldest = self.oldest.max(now.as_secs().saturating_sub(self.seconds));
        let oldest = self.oldest;
        let leaves = |bucket: &Bucket| bucket.second < oldest;
        while self.buckets.front().is_some_and(leaves) {
            let bucket = self.buckets.pop_front();
            bucket
                .iter()
                .for_each(|one| returned.add(one.requests, one.tokens));
        }
        if self.buckets.is_empty() {
            self.buckets = VecDeque::new();
        }
        self.check();
        returned
    }

    /// When the next bucket leaves the window.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let second = self
            .buckets
            .front()?
            .second
            .saturating_add(self.seconds + 1);
        Some(Instant::from_millis(second.saturating_mul(1_000)))
    }

    /// When a window that is full at `now` has room again, where its first bucket leaves it at
    /// `deadline`, as far as anybody was told. A bucket is kept for up to a second longer than the
    /// window is: nobody waits for longer than the window.
    #[must_use]
    pub fn room_at(deadline: Instant, now: Instant) -> Instant {
        match deadline {
            // What fills it was taken just now.
            Instant::ZERO => now + Self::SPAN,
            at => at.max(now).min(now + Self::SPAN),
        }
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

    /// The last second that may have a bucket.
    fn newest(&self) -> u64 {
        self.oldest.saturating_add(self.seconds)
    }

    /// The place of this second's bucket; the error is where it would be.
    fn find(&self, second: u64) -> Result<usize, usize> {
        match self.buckets.back() {
            // Most reports are about the running second.
            Some(last) if last.second == second => Ok(self.buckets.len() - 1),
            Some(last) if last.second < second => Err(self.buckets.len()),
            Some(_) | None => self.buckets.binary_search_by_key(&second, |one| one.second),
        }
    }

    /// This second's bucket; an empty one if it has none.
    fn bucket(&mut self, second: u64) -> &mut Bucket {
        let place = self.find(second).unwrap_or_else(|place| {
            self.buckets.insert(
                place,
                Bucket {
                    second,
                    requests: 0,
                    tokens: 0,
                },
            );
            place
        });
        &mut self.buckets[place]
    }

    fn check(&self) {
        debug_assert!(self.buckets.iter().is_sorted_by(|a, b| a.second < b.second));
        let held = self.oldest..=self.newest();
        debug_assert!(self.buckets.iter().all(|one| held.contains(&one.second)));
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
