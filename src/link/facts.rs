//! What shards report to the coordinator, in the order in which things happened.

use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId, ScopeId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::Signal;

/// Something that happened on a shard. Plain data, so that it could come from another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A provider's attempt, or a scope's request, was admitted: this much was taken from the
    /// headroom.
    Admitted {
        /// The attempt's provider, or the request's scope.
        subject: Subject,
        /// When it was admitted; the window that it is charged to starts at this moment.
        at: Instant,
        /// Requests taken: one, or none where the subject has no limit on them.
        requests: u64,
        /// Tokens taken; zero where the subject has no limit on tokens.
        tokens: Tokens,
        /// The day from whose requests one was taken, as the scope's word said; `None`: there is no
        /// such limit.
        day: Option<PeriodTag>,
    },
    /// A scope's request has ended, and was settled in the scope's words.
    Left {
        /// The scope.
        scope: ScopeId,
        /// When the request was admitted.
        admitted: Instant,
        /// The day from whose tokens some were taken, as the scope's word said; `None`: there is no
        /// such limit.
        day: Option<PeriodTag>,
        /// Tokens that were taken from the headroom when it was admitted.
        reserved: Tokens,
        /// Tokens that were taken from the headroom in addition when it ended, since it had used
        /// more.
        excess: Tokens,
        /// Tokens that it used.
        used: Tokens,
    },
    /// An attempt ended.
    Ended(Ended),
    /// The provider asked to be left alone.
    Cooldown {
        /// The provider.
        provider: ProviderId,
        /// When it asked.
        at: Instant,
        /// How long; `None`: it named no time (1 s, doubling to 60 s).
        span: Option<Duration>,
    },
    /// The probe's permit of this generation was taken at `at`.
    ProbeTaken {
        /// The provider whose circuit is half-open.
        provider: ProviderId,
        /// The number of the half-open phase.
        generation: u32,
        /// When the permit was taken.
        at: Instant,
    },
    /// The probe of this generation has its answer, which is still being relayed.
    ProbeAnswered {
        /// The provider whose circuit is half-open.
        provider: ProviderId,
        /// The number of the half-open phase.
        generation: u32,
        /// When the answer came.
        at: Instant,
    },
    /// A request that a budget pays for has ended, and was settled in the budget's words.
    Settled {
        /// The budget.
        budget: BudgetId,
        /// The period in which the request was admitted, as the budget's word said.
        period: PeriodTag,
        /// What it cost.
        cost: NanoUsd,
    },
    /// Successes that ended and are reported only by their number, since the shard held too many
    /// facts.
    Forgotten {
        /// The provider.
        provider: ProviderId,
        /// Their number.
        successes: u64,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The attempt's provider.
    pub provider: ProviderId,
    /// When it was admitted.
    pub admitted: Instant,
    /// When it ended.
    pub at: Instant,
    /// What the end means for the breaker.
    pub signal: Signal,
    /// The response time, where it says something about the provider.
    pub sample: Option<Sample>,
    /// Tokens that were taken from the headroom when it was admitted.
    pub reserved: Tokens,
    /// Tokens that were taken from the headroom in addition when it ended, since it had used more.
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
    /// What it was measured up to.
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

/// A month in the form that a gate's word has room for: months since 1970 modulo 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthTag(pub u8);
