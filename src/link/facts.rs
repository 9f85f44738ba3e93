//! What shards report to the coordinator, in the order in which things happened.

use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::Signal;

/// Something that happened on a shard. Plain data, so that it could come from another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A provider's attempts, or a scope's requests, were admitted.
    Admitted(Admitted),
    /// A provider's attempts, or a scope's requests, have ended, and were settled in its words.
    Left(Left),
    /// An attempt ended.
    Ended(Ended),
    /// Attempts succeeded that were no probes.
    Succeeded(Successes),
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
    /// Requests that a budget pays for have ended, and were settled in the budget's words.
    Settled {
        /// The budget.
        budget: BudgetId,
        /// The period in which they were admitted, as the budget's word said.
        period: PeriodTag,
        /// What they cost.
        cost: NanoUsd,
        /// What the first of them cost.
        first: NanoUsd,
    },
    /// A budget has refused a request, or has sent it to another model, which it had not done in
    /// this period at this amount.
    Refused {
        /// The budget.
        budget: BudgetId,
        /// What had been spent of it.
        spent: NanoUsd,
        /// What may be spent of it.
        amount: NanoUsd,
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

/// What was taken from the headroom of a provider or a scope within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The attempts' provider, or the requests' scope.
    pub subject: Subject,
    /// When the last of them was admitted; the windows that they are charged to start with this
    /// second.
    pub at: Instant,
    /// Requests taken: one for each, or none where the subject has no limit on them.
    pub requests: u64,
    /// Tokens taken; zero where the subject has no limit on tokens.
    pub tokens: Tokens,
    /// The day from whose requests some were taken, as the scope's word said, and how many; `None`:
    /// there is no such limit.
    pub day: Option<(PeriodTag, u64)>,
}

/// What was used of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The attempts' provider, or the requests' scope.
    pub subject: Subject,
    /// When one of them was admitted, and all others in the same second.
    pub admitted: Instant,
    /// The day from whose tokens some were taken, as the scope's word said; `None`: there is no
    /// such limit.
    pub day: Option<PeriodTag>,
    /// Tokens that were taken from the headroom when they were admitted.
    pub reserved: Tokens,
    /// Tokens that were taken from the headroom in addition when they ended, since they had used
    /// more.
    pub excess: Tokens,
    /// Tokens that they used.
    pub used: Tokens,
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
    /// The half-open phase whose probe it was.
    pub probe: Option<u32>,
    /// For a failure: how many successes of the provider had ended before it, over all shards; for
    /// any other end 0.
    pub successes_before: u64,
}

/// Successes of one provider that ended at about the same time, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successes {
    /// The provider.
    pub provider: ProviderId,
    /// When one of them ended, and all others in the same [`SUCCESSES_WITHIN`].
    pub at: Instant,
    count: u8,
    list: [Success; SUCCESSES_PER_FACT],
}

/// An attempt that succeeded, in two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// When it was admitted.
    pub admitted: Instant,
    /// Nanoseconds of the response time, times two; one more for a stream's first content.
    sample: u64,
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

impl Admitted {
    /// Adds `other` to this, where both are about the same and no book can tell them apart from
    /// their sum; returns whether it was added.
    #[inline]
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let is_same = self.subject == other.subject
            && self.at.as_secs() == other.at.as_secs()
            && self.day.map(|(day, _)| day) == other.day.map(|(day, _)| day);
        if is_same {
            self.at = self.at.max(other.at);
            self.requests = self.requests.saturating_add(other.requests);
            self.tokens = self.tokens.saturating_add(other.tokens);
            if let (Some((_, count)), Some((_, more))) = (&mut self.day, other.day) {
                *count = count.saturating_add(more);
            }
        }
        is_same
    }
}

impl Left {
    /// As [`Admitted::join`].
    #[inline]
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let is_same = self.subject == other.subject
            && self.admitted.as_secs() == other.admitted.as_secs()
            && self.day == other.day;
        if is_same {
            self.reserved = self.reserved.saturating_add(other.reserved);
            self.excess = self.excess.saturating_add(other.excess);
            self.used = self.used.saturating_add(other.used);
        }
        is_same
    }
}

impl Successes {
    /// One success, which ended at `at`.
    #[must_use]
    pub fn new(provider: ProviderId, at: Instant, success: Success) -> Self {
        Self {
            provider,
            at,
            count: 1,
            list: [success; SUCCESSES_PER_FACT],
        }
    }

    /// Adds a success of `provider` that ended at `at`, where there is room for it; returns whether
    /// it was added.
    #[must_use]
    pub fn add(&mut self, provider: ProviderId, at: Instant, success: Success) -> bool {
        let is_same = (self.provider, slot(self.at)) == (provider, slot(at));
        let Some(place) = self.list.get_mut(usize::from(self.count)) else {
            return false;
        };
        if is_same {
            *place = success;
            self.count += 1;
        }
        is_same
    }

    /// The successes, in their order.
    #[must_use]
    pub fn list(&self) -> &[Success] {
        &self.list[..usize::from(self.count).min(SUCCESSES_PER_FACT)]
    }
}

impl Success {
    /// An attempt that was admitted then, with this response time.
    #[must_use]
    pub fn new(admitted: Instant, sample: Sample) -> Self {
        let nanos = u64::try_from(sample.latency.as_nanos()).unwrap_or(u64::MAX);
        let kind = u64::from(sample.kind == SampleKind::FirstContent);
        let sample = nanos.min(u64::MAX >> 1) << 1 | kind;
        Self { admitted, sample }
    }

    /// The response time.
    #[must_use]
    pub const fn sample(self) -> Sample {
        Sample {
            latency: Duration::from_nanos(self.sample >> 1),
            kind: if self.sample & 1 == 1 {
                SampleKind::FirstContent
            } else {
                SampleKind::WholeAnswer
            },
        }
    }
}

const fn slot(at: Instant) -> u64 {
    at.as_nanos() / SUCCESSES_WITHIN
}

/// Most successes in one fact: all facts are as large as the largest.
pub const SUCCESSES_PER_FACT: usize = 6;
/// Nanoseconds: the slices of all windows, a tenth or a twentieth of whole seconds, are multiples
/// of this, so that moments within it are in the same slices.
pub const SUCCESSES_WITHIN: u64 = 50_000_000;

/// A month in the form that a gate's word has room for: months since 1970 modulo 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthTag(pub u8);
