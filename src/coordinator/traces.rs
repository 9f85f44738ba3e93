//! Tells the traces of requests, on a thread of its own because it blocks: nobody waits for a
//! collector, whatever it does.

use std::time::Duration;

use crate::base::time::Instant;
use crate::coordinator::collector::Collector;
use crate::coordinator::spans;
use crate::decide::delivery::Delivery;
use crate::link::journal::Entry;
use crate::link::recorder::{Entries, Next, Told};
use crate::sys::{clock, entropy};

/// Tells the traces of requests to one collector, until nobody is left who could have any.
pub struct Teller {
    collector: Collector,
    entries: Entries,
    delivery: Delivery,
    /// The last fault that was logged since the collector has taken spans.
    told: Option<String>,
}

impl Teller {
    /// Tells `collector` of `entries`.
    #[must_use]
    pub fn new(collector: Collector, entries: Entries) -> Self {
        Self {
            collector,
            entries,
            delivery: Delivery::default(),
            told: None,
        }
    }

    /// Tells all traces that come.
    pub fn run(mut self) {
        loop {
            let now = clock::now();
            let wait = self.delivery.due().unwrap_or(Instant::NEVER).since(now);
            match self.entries.within(wait.min(LONGEST_WAIT)) {
                Next::Told(Told::Entries(batch)) => self.take_in(&batch),
                Next::Told(Told::Reloaded) | Next::Nothing => {}
                Next::Told(Told::Stop) | Next::Gone => return self.close(),
            }
            self.send(clock::now(), Instant::NEVER);
        }
    }

    fn take_in(&mut self, batch: &[Entry]) {
        let now = clock::now();
        let requests = batch.iter().filter_map(Entry::request);
        for piece in requests.filter_map(spans::piece) {
            self.delivery.push(now, piece);
        }
        self.count();
    }

    /// Sends a batch, if one is due at `now`; gives up at `until`.
    fn send(&mut self, now: Instant, until: Instant) {
        let Some(batch) = self.delivery.take(now) else {
            return;
        };
        let until = self.collector.deadline(now).min(until);
        let handed = self.collector.hand(&batch, until);
        self.note(handed.fault);
        let now = clock::now();
        self.delivery
            .ended(now, batch, handed.answer, entropy::seed());
        self.count();
    }

    /// Takes note of how an attempt has ended: an outage of minutes is logged once for each of its
    /// reasons.
    fn note(&mut self, fault: Option<String>) {
        let collector = self.collector.shown();
        match &fault {
            None if self.told.is_some() => {
                tracing::info!(collector, "traces are sent again");
            }
            Some(fault) if self.told.as_ref() != Some(fault) => {
                tracing::warn!(collector, fault, "traces cannot be sent");
            }
            None | Some(_) => {}
        }
        self.told = fault;
    }

    /// Tells the rest, in the time that is left for that.
    fn close(mut self) {
        while let Some(batch) = self.entries.ready() {
            self.take_in(&batch);
        }
        self.delivery.close();
        let until = clock::now() + CLOSED_WITHIN;
        while let Some(due) = self.delivery.due()
            && due < until
            && clock::now() < until
        {
            let wait = due.since(clock::now());
            if wait > Duration::ZERO {
                std::thread::park_timeout(wait);
            }
            self.send(clock::now(), until);
        }
        self.delivery.give_up();
        let lost = self.count();
        if lost > 0 {
            let collector = self.collector.shown();
            tracing::warn!(collector, lost, "the last spans are lost");
        }
    }

    /// Adds up what has become of spans; returns how many have failed.
    fn count(&mut self) -> usize {
        let counts = self.delivery.take_counts();
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let all = self.entries.counts();
        all.written.add(number(counts.sent));
        all.dropped.add(number(counts.dropped));
        all.failures.add(number(counts.failed));
        number(counts.failed)
    }
}

/// How many spans are told of `entry`.
#[must_use]
pub fn spans_of(entry: &Entry) -> usize {
    let request = entry.request().filter(|request| request.trace.is_some());
    request.map_or(0, |request| {
        let attempts = request.attempts.iter();
        1 + attempts.filter(|one| one.span.is_some()).count()
    })
}

/// How long the last spans may take when the process stops, or the configuration names another
/// collector.
pub const CLOSED_WITHIN: Duration = Duration::from_millis(2_500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
