//! What each shard counts, in words that only this shard writes and any thread may read at any
//! time.
//!
//! A count is a plain load and store by the shard that owns it, so that requests do not wait for
//! each other and reports do not wait for shards. A request is counted before the last byte of its
//! answer leaves: a caller who has the answer finds it in every report (promise `counters.exact`).

use crate::link::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::base::ids::ShardId;
use crate::base::limits::{ERROR_CODES_MAX, LOSSES_MAX};
use crate::base::money::NanoUsd;
use crate::base::spent::Spent;
use crate::decide::affinity::Stay;
use crate::decide::outcome::Outcome;
use crate::link::counter::Counter;
use crate::link::facts::MonthTag;
use crate::link::histogram::Histogram;
use crate::link::recent::Recent;
use crate::wire::rules::Kind;

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

    /// Sets the number; only the shard that owns it may call this.
    pub fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Release);
    }

    /// The current number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What was spent, by month.
///
/// There are two sets of counters, which months use in turn and which are never reset. A reader
/// remembers what a set held when its month began.
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
    /// Books a request that was admitted in `month`; only the shard that owns the account may call
    /// this.
    pub fn book(&self, month: MonthTag, spent: Spent) {
        let place = &self.months[usize::from(month.0 % 2)];
        place.cost.add(spent.cost.get());
        place.requests.add(spent.requests);
        place.prompt_tokens.add(spent.prompt_tokens);
        place.completion_tokens.add(spent.completion_tokens);
    }

    /// The sums in the counters of `month`.
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

    /// The sums over both sets of counters.
    #[must_use]
    pub fn ever(&self) -> Spent {
        self.of(MonthTag(0)).plus(self.of(MonthTag(1)))
    }
}

/// One shard's requests to one provider for one model.
#[derive(Debug, Default)]
pub struct Series {
    /// By place in [`STATUSES`]; the last one is for all other statuses.
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
    /// Requests whose tokens were estimated.
    pub estimated: Counter,
    /// Requests whose price is not known.
    pub unpriced: Counter,
    /// Cost of failed attempts, in nano-dollars; no caller was told of it.
    pub failed_cost: Counter,
    /// What the requests used and cost.
    pub account: Account,
}

impl Series {
    /// Counts a request that was answered with `status`; only the shard that owns this may call it.
    pub fn count(&self, status: u16) {
        let place = STATUSES.iter().position(|one| *one == status);
        self.statuses[place.unwrap_or(STATUSES.len())].add(1);
    }
}

/// Statuses that have a counter of their own, the most frequent first.
pub const STATUSES: [u16; 31] = [
    200, 429, 400, 502, 503, 504, 499, 401, 404, 403, 500, 413, 422, 408, 409, 402, 405, 415, 431,
    501, 529, 201, 505, 520, 521, 522, 523, 524, 525, 526, 530,
];

/// One shard's attempts at one provider.
#[derive(Debug, Default)]
pub struct ProviderMeter {
    /// Attempts that began.
    pub begun: Counter,
    /// Attempts that ended, in any way.
    pub ended: Counter,
    /// By [`Outcome::place`].
    pub outcomes: [Counter; Outcome::LABELS.len()],
    /// Requests that went on to another provider, by the outcome at this one.
    pub failovers: [Counter; Outcome::LABELS.len()],
    /// Rules that have changed requests, by the rule's kind.
    pub parameters: [Counter; Kind::ALL.len()],
    /// Connections that were opened.
    pub connections_opened: Counter,
    /// Connections that were closed.
    pub connections_closed: Counter,
    /// Connections that wait for a request.
    pub connections_idle: Gauge,
}

/// What one event loop counts besides providers and models.
#[derive(Debug)]
pub struct LoopMeter {
    /// The kernel's number of its thread.
    pub thread: Gauge,
    /// Requests that ended, by second.
    pub requests: Recent<SECONDS>,
    /// Requests that failed, with 429 or 5xx, by second.
    pub errors: Recent<SECONDS>,
    /// All requests that ended.
    pub requests_total: Counter,
    /// Callers that left before their answer was complete.
    pub disconnects: Counter,
    /// Extra attempts that the retry budget did not allow.
    pub retries_denied: Counter,
    /// Requests on routes that keep conversations together, by how they stayed.
    pub affinity: [Counter; Stay::ALL.len()],
    /// Errors that infermux itself answered with, by the code's place in their table.
    pub refusals: [Counter; ERROR_CODES_MAX],
    /// Callers' connections that are open.
    pub callers: Gauge,
    /// Callers' connections with a request under way.
    pub callers_busy: Gauge,
    /// Operators' connections that are open.
    pub operators: Gauge,
    /// Operators' connections with a request under way.
    pub operators_busy: Gauge,
    /// Bytes of bodies that it holds in memory.
    pub buffered: Gauge,
    /// What was left out of requests for responses, by its place in the list of losses.
    pub responses_dropped: [Counter; LOSSES_MAX],
    /// Time that infermux added to answers.
    pub overhead: Histogram,
    /// How late the loop's 10-ms tick was.
    pub delay: Histogram,
    /// What all requests used and cost.
    pub account: Account,
}

/// Seconds over which recent requests are counted, the running one included.
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
            affinity: [const { Counter::new() }; Stay::ALL.len()],
            refusals: [const { Counter::new() }; ERROR_CODES_MAX],
            callers: Gauge::default(),
            callers_busy: Gauge::default(),
            operators: Gauge::default(),
            operators_busy: Gauge::default(),
            buffered: Gauge::default(),
            responses_dropped: [const { Counter::new() }; LOSSES_MAX],
            overhead: Histogram::default(),
            delay: Histogram::default(),
            account: Account::default(),
        }
    }
}

/// A kind of name that a request is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// `X-Infermux-Caller`
    Caller,
    /// `X-Infermux-Project`
    Project,
    /// `X-Infermux-Env`
    Env,
    /// The caller's key, under `auth.mode: keys`.
    Key,
    /// The key's team.
    Team,
}

impl Party {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Caller,
        Self::Project,
        Self::Env,
        Self::Key,
        Self::Team,
    ];

    /// Its place among them.
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Caller => 0,
            Self::Project => 1,
            Self::Env => 2,
            Self::Key => 3,
            Self::Team => 4,
        }
    }
}

/// Whether a name is kept apart from others when there are too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Always: the configuration names it.
    Always,
    /// As long as there is room.
    WhileRoom,
    /// Only if it has a counter already.
    IfKnown,
}

/// Whether a model's price is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priced {
    /// The price is known.
    Yes,
    /// The price is not known: requests cost nothing.
    No,
}

/// Counters that a shard has begun, for the coordinator to read.
#[derive(Clone, Debug)]
pub enum Meter {
    /// Counters of an event loop.
    Loop(ShardId, Arc<LoopMeter>),
    /// Counters of a provider.
    Provider {
        /// The provider's name.
        name: Box<str>,
        /// The counters.
        meter: Arc<ProviderMeter>,
    },
    /// Counters of a provider and model.
    Series {
        /// The provider's name.
        provider: Box<str>,
        /// The provider's name for the model.
        model: Box<str>,
        /// Whether its price is known.
        priced: Priced,
        /// Whether the model is counted apart from others.
        kept: Kept,
        /// The counters.
        meter: Arc<Series>,
    },
    /// Counters of a caller, project, environment, key or team.
    Party {
        /// Which of them.
        party: Party,
        /// Its name.
        name: Box<str>,
        /// Whether the name is counted apart from others.
        kept: Kept,
        /// The counters.
        meter: Arc<Account>,
    },
}

/// The name under which requests without a name are counted.
pub const NOBODY: &str = "(none)";
/// The name under which names are counted for which there was no room.
pub const OTHERS: &str = "(other)";

/// The end of shards, which begin counters.
#[derive(Clone, Debug)]
pub struct MeterSender(Sender<Meter>);

/// The end of the coordinator, which reads them.
#[derive(Debug)]
pub struct MeterReceiver(Receiver<Meter>);

/// Both ends. The channel has no bound: the tables of shards bound how many counters they begin.
#[must_use]
pub fn channel() -> (MeterSender, MeterReceiver) {
    let (sender, receiver) = crossbeam_channel::unbounded();
    (MeterSender(sender), MeterReceiver(receiver))
}

impl MeterSender {
    /// Announces counters, before the first request in them has its answer.
    pub fn begin(&self, meter: Meter) {
        // There is no reader only when the process ends.
        let _ = self.0.send(meter);
    }
}

impl MeterReceiver {
    /// Counters that were begun and not returned yet.
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
