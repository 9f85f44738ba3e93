//! The content events of a stream: rendered when they are due, at their pace and size.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::answer::{Answer, Stamp};
use crate::http;
use crate::reply::{Stream, quoted};
use crate::sse::Sse;
use crate::step_end::StepEnd;

/// The content events of a stream, rendered when they are due.
#[derive(Debug)]
pub(crate) struct Content {
    stream: Stream,
    sse: Sse,
    next: usize,
    end: usize,
    interval: Duration,
    stamp: Stamp,
    event_bytes: usize,
    started: Option<Instant>,
    scratch: Vec<u8>,
}

impl Content {
    pub(crate) fn new(answer: &Answer, stream: Stream, sse: Sse, end: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a ratio of two small counts")]
        let words = stream.pieces.count as f64 / stream.pieces.events.max(1) as f64;
        Self {
            interval: answer.event_interval(words),
            stamp: answer.stamp,
            event_bytes: answer.event_bytes,
            stream,
            sse,
            next: 0,
            end,
            started: None,
            scratch: Vec::new(),
        }
    }

    /// Whether an event is still to come.
    pub(crate) fn is_left(&self) -> bool {
        self.next < self.end
    }

    /// Writes the next event if it is due. Event `i` is due `i` intervals after the first one, so
    /// that a late wake-up does not shift the rest.
    pub(crate) fn emit(&mut self, now: Instant, out: &mut Vec<u8>) -> StepEnd {
        let started = *self.started.get_or_insert(now);
        let passed = u32::try_from(self.next).unwrap_or(u32::MAX);
        let due = started + self.interval.saturating_mul(passed);
        if now < due {
            return StepEnd::Until(due);
        }
        let sent = match self.stamp {
            Stamp::None => 0,
            Stamp::Field | Stamp::Text => epoch_nanoseconds(),
        };
        let text = match self.stamp {
            Stamp::Text => format!("{sent} "),
            Stamp::None | Stamp::Field => self.stream.pieces.piece(self.next),
        };
        let form = &self.stream.content;
        self.scratch.clear();
        self.scratch.extend_from_slice(form.before.as_bytes());
        self.scratch.extend_from_slice(quoted(&text).as_bytes());
        self.scratch.extend_from_slice(form.after.as_bytes());
        let number = self.stream.opening.len() + self.next;
        if self.stream.numbered {
            http::put(
                &mut self.scratch,
                format_args!(",\"sequence_number\":{number}"),
            );
        }
        if self.stamp == Stamp::Field {
            http::put(&mut self.scratch, format_args!(",\"mock_sent_ns\":{sent}"));
        }
        let size = self.sse.size(number, form.name, self.scratch.len() + 1);
        let field = form.pad.len() + ",\"\":\"\"".len();
        if let Some(count) = self.event_bytes.checked_sub(size + field) {
            http::put(&mut self.scratch, format_args!(",\"{}\":\"", form.pad));
            self.scratch.resize(self.scratch.len() + count, b'x');
            self.scratch.push(b'"');
        }
        self.scratch.push(b'}');
        self.sse.event(number, form.name, &self.scratch, out);
        self.next += 1;
        StepEnd::Go
    }
}

/// The time of day in nanoseconds since 1970.
pub(crate) fn epoch_nanoseconds() -> u64 {
    let passed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
}
