//! What each shard counts: words that it alone writes and anyone may read at any time.
//!
//! A count is a plain load and store of the shard that owns it, so that no request waits for
//! another and no report for a shard. A count is there before the last byte of the answer leaves:
//! whoever has an answer finds it in every report (promise `counters.exact`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::base::ids::ShardId;
use crate::base::limits::ERROR_CODES_MAX;
use crate::base::money::NanoUsd;
use crate::base::spent::Spent;
use crate::decide::outcome::Outcome;
use crate::link::counter::Counter;
use crate::link::facts::MonthTag;
use crate::link::histogram::Histogram;
use crate::link::recent::Recent;

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more; only the shard that owns it may call this.
    pub fn up(&self) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + 1, Ordering::Release);
    }

    /// One less; only the shard that owns it may call this.
    pub fn down(&self) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count.saturating_sub(1), Ordering::Release);
    }

    /// Sets it; only the shard that owns it may call this.
    pub fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Release);
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What was spent, apart by month.
///
/// There are two places, which months take in turn; a place is never emptied. Whoever reads keeps
/// what a place held when its month began.
#[derive(Debug, Default)]
pub struct Account {
    months: [MonthCounters; 2],
}

#[derive(Debug, Default)]
struct MonthCounters {
    cost: Counter,
    requests: Counter,
    prompt_tokens: Counter,
    completion_tokens: Counter,
}

impl Account {
    /// Books what was admitted in `month`; only the shard that owns it may call this.
    pub fn book(&self, month: MonthTag, spent: Spent) {
        let place = &self.months[usize::from(month.0 % 2)];
        place.cost.add(spent.cost.get());
        place.requests.add(spent.requests);
        place.prompt_tokens.add(spent.prompt_tokens);
        place.completion_tokens.add(spent.completion_tokens);
    }

    /// What the place of `month` has come to.
    #[must_use]
    pub fn of(&self, month: MonthTag) -> Spent {
        let place = &self.months[usize::from(month.0 % 2)];
        Spent {
            cost: NanoUsd::new(place.cost.get()),
            requests: place.requests.get(),
            prompt_tokens: place.prompt_tokens.get(),
            completion_tokens: place.completion_tokens.get(),
        }
    }

    /// What both places have come to.
    #[must_use]
    pub fn ever(&self) -> Spent {
        self.of(MonthTag(0)).plus(self.of(MonthTag(1)))
    }
}

/// One shard's requests to one provider for one model.
#[derive(Debug, Default)]
pub struct Series {
    /// By place in [`STATUSES`]; the last is for all others.
    pub statuses: [Counter; STATUSES.len() + 1],
    /// Response times of answers.
    pub latency: Histogram,
    /// Times to the first content of streams.
    pub first_token: Histogram,
    /// Prompt tokens that no cache had a part in.
    pub input_tokens: Counter,
    /// Prompt tokens read from a cache.
    pub cache_read_tokens: Counter,
    /// Prompt tokens written to a cache.
    pub cache_write_tokens: Counter,
    /// Tokens that were generated.
    pub output_tokens: Counter,
    /// Requests whose tokens nobody counted.
    pub estimated: Counter,
    /// Requests that have no price.
    pub unpriced: Counter,
    /// What attempts cost that failed, in nano-dollars: no caller was told.
    pub failed_cost: Counter,
    /// What they came to.
    pub account: Account,
}

impl Series {
    /// Counts a request that was answered with `status`; only the shard that owns this may call it.
    pub fn count(&self, status: u16) {
        let place = STATUSES.iter().position(|one| *one == status);
        self.statuses[place.unwrap_or(STATUSES.len())].add(1);
    }
}

/// Statuses that are counted each for itself, the most frequent first.
pub const STATUSES: [u16; 22] = [
    200, 429, 400, 502, 503, 504, 499, 401, 404, 403, 500, 413, 422, 408, 409, 402, 405, 415, 431,
    501, 529, 201,
];

/// One shard's attempts at one provider.
#[derive(Debug, Default)]
pub struct ProviderMeter {
    /// Attempts that began.
    pub begun: Counter,
    /// Attempts that ended, on whatever way.
    pub ended: Counter,
    /// By [`Outcome::place`].
    pub outcomes: [Counter; Outcome::LABELS.len()],
    /// Requests that went on to another provider, by what had happened here.
    pub failovers: [Counter; Outcome::LABELS.len()],
    /// Connections that were opened.
    pub connections_opened: Counter,
    /// Connections that were closed.
    pub connections_closed: Counter,
    /// Connections that wait for a request.
    pub connections_idle: Gauge,
}

/// What one event loop counts apart from providers and models.
#[derive(Debug)]
pub struct LoopMeter {
    /// The kernel's number of its thread.
    pub thread: Gauge,
    /// Requests that ended, by second.
    pub requests: Recent<SECONDS>,
    /// Those of them that failed: 429 and 5xx.
    pub errors: Recent<SECONDS>,
    /// All requests that ended.
    pub requests_total: Counter,
    /// Callers that did not wait for their answer.
    pub disconnects: Counter,
    /// Extra attempts that the retry budget did not allow.
    pub retries_denied: Counter,
    /// Errors of infermux's own, by the code's place in the table of them.
    pub refusals: [Counter; ERROR_CODES_MAX],
    /// Callers' connections that are open.
    pub callers: Gauge,
    /// Callers' connections with a request on its way.
    pub callers_busy: Gauge,
    /// Operators' connections that are open.
    pub operators: Gauge,
    /// Operators' connections with a request on its way.
    pub operators_busy: Gauge,
    /// Bytes of bodies that it holds in memory.
    pub buffered: Gauge,
    /// Time that infermux added to answers.
    pub overhead: Histogram,
    /// How late the loop's 10-ms tick was.
    pub delay: Histogram,
    /// All that was spent.
    pub account: Account,
}

/// Seconds that are looked back on, the running one included.
pub const SECONDS: usize = 60;

impl Default for LoopMeter {
    fn default() -> Self {
        Self {
            thread: Gauge::default(),
            requests: Recent::default(),
            errors: Recent::default(),
            requests_total: Counter::default(),
            disconnects: Counter::default(),
            retries_denied: Counter::default(),
            refusals: [const { Counter::new() }; ERROR_CODES_MAX],
            callers: Gauge::default(),
            callers_busy: Gauge::default(),
            operators: Gauge::default(),
            operators_busy: Gauge::default(),
            buffered: Gauge::default(),
            overhead: Histogram::default(),
            delay: Histogram::default(),
            account: Account::default(),
        }
    }
}

/// What a request's headers attribute it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// `X-Infermux-Caller`
    Caller,
    /// `X-Infermux-Project`
    Project,
    /// `X-Infermux-Env`
    Env,
}

impl Party {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Caller, Self::Project, Self::Env];

    /// Its place among them.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Caller => 0,
            Self::Project => 1,
            Self::Env => 2,
        }
    }
}

/// Whether a name is kept apart from others when there are too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In any case: the configuration names it.
    Always,
    /// As long as there is room.
    WhileRoom,
    /// Only if it is kept apart already.
    IfKnown,
}

/// Whether a model's price is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priced {
    /// It is.
    Yes,
    /// It is not: its requests cost nothing.
    No,
}

/// The counts that a shard has begun, for those who read them.
#[derive(Clone, Debug)]
pub enum Meter {
    /// Of an event loop.
    Loop(ShardId, Arc<LoopMeter>),
    /// Of a provider.
    Provider {
        /// Its name.
        name: Box<str>,
        /// What is counted.
        meter: Arc<ProviderMeter>,
    },
    /// Of a provider and model.
    Series {
        /// The provider's name.
        provider: Box<str>,
        /// The provider's name for the model.
        model: Box<str>,
        /// Whether its price is known.
        priced: Priced,
        /// Whether it is kept apart.
        kept: Kept,
        /// What is counted.
        meter: Arc<Series>,
    },
    /// Of a caller, project or environment.
    Party {
        /// Which.
        party: Party,
        /// What the header says.
        name: Box<str>,
        /// Whether it is kept apart.
        kept: Kept,
        /// What is counted.
        meter: Arc<Account>,
    },
}

/// Stands for the name of what has none.
pub const NOBODY: &str = "(none)";
/// Stands for all names for which there was no room.
pub const OTHERS: &str = "(other)";

/// The end that begins counts.
#[derive(Clone, Debug)]
pub struct MeterSender(Sender<Meter>);

/// The end that reads them.
#[derive(Debug)]
pub struct MeterReceiver(Receiver<Meter>);

/// Both ends. Nothing is ever refused: a shard's tables bound how many counts it begins.
#[must_use]
pub fn channel() -> (MeterSender, MeterReceiver) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (MeterSender(sender), MeterReceiver(receiver))
}

impl MeterSender {
    /// Makes a count known: before its first request has its answer.
    pub fn begin(&self, meter: Meter) {
        // Without a reader, the process ends.
        let _ = self.0.send(meter);
    }
}

impl MeterReceiver {
    /// A count that has begun since this was last asked.
    #[must_use]
    pub fn next(&self) -> Option<Meter> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_take_the_two_places_in_turn() {
        let account = Account::default();
        let one = Spent {
            cost: NanoUsd::new(2),
            requests: 1,
            prompt_tokens: 7,
            completion_tokens: 5,
        };
        account.book(MonthTag(63), one);
        account.book(MonthTag(0), one);
        account.book(MonthTag(2), one);
        assert_eq!(account.of(MonthTag(1)), one);
        assert_eq!(account.of(MonthTag(63)), one);
        assert_eq!(account.of(MonthTag(4)), one.plus(one));
        assert_eq!(account.ever().requests, 3);
    }

    #[test]
    fn every_status_is_counted_somewhere() {
        let series = Series::default();
        for status in [200, 429, 299, 418] {
            series.count(status);
        }
        assert_eq!(series.statuses[0].get(), 1);
        assert_eq!(series.statuses[1].get(), 1);
        assert_eq!(series.statuses[STATUSES.len()].get(), 2);
    }
}
