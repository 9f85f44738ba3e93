//! What shards report to the coordinator, in the order in which it happened.

use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::Signal;

/// Something that happened on a shard. Plain data, so that it could come from another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An attempt was admitted: this was taken from the headroom.
    Admitted {
        /// At this provider.
        provider: ProviderId,
        /// When; the window that it is charged to counts from here.
        at: Instant,
        /// Requests taken: one, or none where the provider has no limit on them.
        requests: u64,
        /// Tokens taken; zero where the provider has no limit on tokens.
        tokens: Tokens,
    },
    /// An attempt ended.
    Ended(Ended),
    /// The provider asked to be left alone.
    Cooldown {
        /// Who.
        provider: ProviderId,
        /// When it said so.
        at: Instant,
        /// For how long; `None`: it gave no time (1 s, doubling to 60 s).
        span: Option<Duration>,
    },
    /// The probe's permit of this generation was taken at `at`.
    ProbeTaken {
        /// Whose circuit.
        provider: ProviderId,
        /// Which half-open phase.
        generation: u32,
        /// When.
        at: Instant,
    },
    /// The probe of this generation has its answer, which is still being relayed.
    ProbeAnswered {
        /// Whose circuit.
        provider: ProviderId,
        /// Which half-open phase.
        generation: u32,
        /// When.
        at: Instant,
    },
    /// A budgeted caller's request ended, and was settled with the budget's words.
    Settled {
        /// Whose budget.
        budget: BudgetId,
        /// The month in which it was admitted, as the budget's word said.
        month: MonthTag,
        /// What it cost.
        cost: NanoUsd,
    },
    /// Successes that ended, and of which nothing more is told: the shard held too many facts.
    Forgotten {
        /// At this provider.
        provider: ProviderId,
        /// How many.
        successes: u64,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// At this provider.
    pub provider: ProviderId,
    /// When it was admitted.
    pub admitted: Instant,
    /// When it ended.
    pub at: Instant,
    /// What the breaker is told.
    pub signal: Signal,
    /// The response time, where it says something about the provider.
    pub sample: Option<Sample>,
    /// Tokens that were taken from the headroom when it was admitted.
    pub reserved: Tokens,
    /// Tokens that were taken from the headroom when it ended, since it used more.
    pub excess: Tokens,
    /// Tokens that it used.
    pub used: Tokens,
    /// The half-open phase whose probe it was.
    pub probe: Option<u32>,
    /// For a failure: how many successes of the provider had ended before it, over all shards; for
    /// any other end 0.
    pub successes_before: u64,
}

/// A response time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How long it took.
    pub latency: Duration,
    /// Up to what.
    pub kind: SampleKind,
}

/// What a response time was measured up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// The first content of a stream.
    FirstContent,
    /// The last byte of an answer that was not streamed.
    WholeAnswer,
}

/// A month, as far as a gate's word tells it: months since 1970 modulo 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthTag(pub u8);
