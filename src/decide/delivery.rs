//! What is sent to a collector, and when: a bounded queue, batches, and attempts again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::limits::{DELIVERY_BATCH_BYTES, DELIVERY_BATCH_SPANS, DELIVERY_BYTES_MAX};
use crate::base::time::Instant;

/// Spans on their way to a collector, each piece as the text that is sent.
#[derive(Debug, Default)]
pub struct Delivery {
    waiting: VecDeque<Piece>,
    /// Bytes of what waits.
    bytes: usize,
    /// Spans of what waits.
    spans: u64,
    /// When the oldest of what waits came.
    since: Instant,
    /// What was sent without success, and is sent again.
    again: Option<Again>,
    /// Nothing more comes: what waits is sent at once.
    is_closing: bool,
    /// What has become of spans.
    counts: Counts,
}

/// Spans that stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many.
    pub spans: u32,
    /// Their text.
    pub text: Vec<u8>,
}

/// Pieces that are sent together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The pieces, in the order in which they came.
    pub pieces: Vec<Piece>,
    /// How often they have been sent before.
    tries: u32,
}

/// A batch that is sent again.
#[derive(Debug)]
struct Again {
    batch: Batch,
    at: Instant,
}

/// What has become of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The collector has taken them.
    pub sent: u64,
    /// There was no room for them.
    pub dropped: u64,
    /// The collector has refused them, or could not be reached for too long.
    pub failed: u64,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The collector has taken the batch, but for so many spans.
    Taken {
        /// Spans that it has refused.
        rejected: u64,
    },
    /// It never will.
    Refused,
    /// It may later on; where it says so, after this time.
    Later(Option<Duration>),
}

impl Batch {
    /// How many spans it has.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.spans)).sum()
    }
}

impl Delivery {
    /// Takes `piece` in, unless there is no room for it.
    pub fn push(&mut self, now: Instant, piece: Piece) {
        let spans = u64::from(piece.spans);
        if self.bytes + piece.text.len() > DELIVERY_BYTES_MAX {
            self.counts.dropped += spans;
            return;
        }
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.bytes += piece.text.len();
        self.spans += spans;
        self.waiting.push_back(piece);
        self.check();
    }

    /// Nothing more comes: what waits is sent at once, and tried again less often.
    pub fn close(&mut self) {
        self.is_closing = true;
    }

    /// When the next batch is to be sent; `None`: there is nothing to send.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        match &self.again {
            Some(again) => Some(again.at),
            None if self.waiting.is_empty() => None,
            None if self.is_closing || self.is_full() => Some(Instant::ZERO),
            None => Some(self.since + GATHERED_FOR),
        }
    }

    fn is_full(&self) -> bool {
        self.spans >= DELIVERY_BATCH_SPANS || self.bytes >= DELIVERY_BATCH_BYTES
    }

    /// The batch that is to be sent at `now`, if one is.
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.due()? > now {
            return None;
        }
        if let Some(again) = self.again.take() {
            return Some(again.batch);
        }
        let mut batch = Batch::default();
        let (mut bytes, mut spans) = (0, 0);
        while let Some(piece) = self.waiting.front() {
            // One piece is sent, whatever its size.
            let is_full = bytes + piece.text.len() > DELIVERY_BATCH_BYTES
                || spans + u64::from(piece.spans) > DELIVERY_BATCH_SPANS;
            if is_full && !batch.pieces.is_empty() {
                break;
            }
            bytes += piece.text.len();
            spans += u64::from(piece.spans);
            batch.pieces.extend(self.waiting.pop_front());
        }
        self.bytes -= bytes;
        self.spans -= spans;
        self.since = now;
        self.check();
        Some(batch)
    }

    /// What became of `batch` at `now`; `random` spreads the attempts of many processes.
    pub fn ended(&mut self, now: Instant, batch: Batch, answer: Answer, random: u64) {
        let spans = batch.spans();
        match answer {
            Answer::Taken { rejected } => {
                let rejected = rejected.min(spans);
                self.counts.sent += spans - rejected;
                self.counts.failed += rejected;
            }
            Answer::Refused => self.counts.failed += spans,
            Answer::Later(asked) => self.again_later(now, batch, asked, random),
        }
        self.check();
    }

    fn again_later(
        &mut self,
        now: Instant,
        mut batch: Batch,
        asked: Option<Duration>,
        random: u64,
    ) {
        batch.tries += 1;
        let most = if self.is_closing {
            TRIES_CLOSING
        } else {
            TRIES_MAX
        };
        if batch.tries >= most {
            self.counts.failed += batch.spans();
            return;
        }
        let pause = match asked {
            // Nobody may ask for more than the process would wait by itself.
            Some(asked) => asked.clamp(PAUSE_MIN, PAUSE_ASKED_MAX),
            None => pause(batch.tries, random),
        };
        let pause = if self.is_closing { PAUSE_MIN } else { pause };
        self.again = Some(Again {
            batch,
            at: now + pause,
        });
    }

    /// Gives up what has not been taken yet: the time is over.
    pub fn give_up(&mut self) {
        let again = self.again.take().map_or(0, |again| again.batch.spans());
        self.counts.failed += again + self.spans;
        self.waiting.clear();
        (self.bytes, self.spans) = (0, 0);
    }

    /// What has become of spans since this was last asked.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    fn check(&self) {
        debug_assert!(self.bytes <= DELIVERY_BYTES_MAX);
        debug_assert_eq!(
            self.bytes,
            self.waiting.iter().map(|one| one.text.len()).sum::<usize>()
        );
    }
}

/// The pause after this many attempts: it doubles, and is spread over a quarter of itself either
/// way.
fn pause(tries: u32, random: u64) -> Duration {
    let span = PAUSE_FIRST * 2_u32.saturating_pow(tries.saturating_sub(1));
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let spread = random % (millis / 2 + 1);
    Duration::from_millis(millis - millis / 4 + spread)
}

/// How long spans are gathered before a batch of them is sent that is not full.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// How often a batch is sent, at most: over half a minute, where nobody asks for another time.
const TRIES_MAX: u32 = 6;
/// The same once nothing more comes.
const TRIES_CLOSING: u32 = 3;
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause that a collector may ask for.
const PAUSE_ASKED_MAX: Duration = Duration::from_secs(120);

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
