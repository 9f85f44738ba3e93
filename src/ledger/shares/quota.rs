//! What is shared over all instances: one limit or one budget, as its file says.

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::{Instant, WallTime};

/// One quota of this process: a dense number that whoever drives the shares gives out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId(pub u32);

impl ShareId {
    /// Its place in tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A limit or a budget that holds over all instances of a namespace.
///
/// | it is | `kind` | one unit of `limit` |
/// |---|---|---|
/// | requests or tokens per minute | [`Kind::Window`] | a request, a token |
/// | `max_in_flight` | [`Kind::InFlight`] | a request |
/// | requests or tokens per day | [`Kind::Period`] | a request, a token |
/// | a budget | [`Kind::Period`] | a nano-dollar |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its name in the store, the same one in every instance: subject and measure, and the period
    /// where it has one. `provider openai/rpm`, `key web-app/usd/2026-11`.
    pub name: Arc<str>,
    /// How it is counted.
    pub kind: Kind,
    /// Most that all instances together may have at once, within the window, or in the period.
    pub limit: u64,
    /// What happens when the store is away for longer than the lease.
    pub on_loss: OnLoss,
}

/// How a quota is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was used within a rolling window of this length.
    Window {
        /// The window's length, as long as the books keep use.
        span: Duration,
        /// Whether each instance keeps a part to go on with, if the store is away: that of
        /// providers' limits.
        standing: Standing,
    },
    /// What is in use at the moment.
    InFlight,
    /// What was used in a period, which goes by the store's clock.
    Period {
        /// Its first moment.
        from: WallTime,
        /// The first moment after it; `None`: it does not end.
        to: Option<WallTime>,
        /// What is counted.
        measure: Measure,
    },
}

impl Kind {
    /// Whether an instance keeps a part that it does not use.
    #[must_use]
    pub fn has_standing_part(self) -> bool {
        match self {
            Self::Window { standing, .. } => standing == Standing::Yes,
            Self::InFlight | Self::Period { .. } => false,
        }
    }
}

/// What a period counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests or tokens of a day.
    Count,
    /// Nano-dollars. A request whose reservation is smaller than its estimate needs the store's
    /// mark ([`Short`]).
    Money,
}

/// Whether an instance keeps a part of the limit that it does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does: a quarter of an even part, unless others lack some.
    Yes,
    /// It does not.
    No,
}

/// What happens to a quota when the store is away for longer than the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// The instance goes on with the part that it has.
    Share,
    /// Nothing more is admitted.
    Closed,
    /// Everything is admitted, and counted.
    Open,
}

/// The mark that one instance of all may hold per budget: it allows one request at a time whose
/// reservation is smaller than its estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Short {
    /// It is neither wanted nor held.
    #[default]
    No,
    /// A request waits for it.
    Wanted,
    /// It is held, and such a request may be under way.
    Held,
}

/// How often an instance speaks, and how long it counts as living without having spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often an instance that has something to say says it.
    pub sync: Duration,
    /// How long an instance that is not heard of keeps what it holds.
    pub member_ttl: Duration,
}

/// Who an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name in the store: from the state file, or random. Letters, digits and `-`.
    pub id: Arc<str>,
    /// Whether the name comes from a state file, so that the instance comes back under it.
    pub kept: Kept,
    /// A random number of this process: it tells two processes with one name apart.
    pub nonce: u64,
}

/// Whether an instance's name outlives its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A state file keeps it.
    Yes,
    /// It is random.
    No,
}

/// How an instance stands with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The store answers and grants.
    Ok,
    /// The store's data is new: everybody tells it what it holds, and nothing is granted, for 2 s.
    Learning,
    /// The store does not answer; the lease goes on.
    #[default]
    Away,
    /// The store has not answered for as long as a lease: each quota goes by its [`OnLoss`].
    Lost,
}

impl State {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Learning => "learning",
            Self::Away => "away",
            Self::Lost => "lost",
        }
    }
}

/// The published words of quotas, as the one who drives the shares knows them.
///
/// A word holds the instance's allowance less what is used of it; below zero where more is used.
/// Shards take from it, and where there is no window put back what ends; the shares alone raise and
/// lower the allowance.
pub trait Words {
    /// What the word of `share` holds.
    fn left(&self, share: ShareId) -> i64;
    /// Changes the word of `share` by `by`; returns what it holds then.
    fn change(&mut self, share: ShareId, by: i64) -> i64;
    /// What was spent of `share` in its period, without what is reserved; 0 where there is none.
    fn spent(&self, share: ShareId) -> u64;
}

/// Something that the one who drives the shares has to act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Shards may take from the words of `share` until `until`, by the process's clock;
    /// [`Instant::NEVER`] where a loss of the store does not close it.
    Lease {
        /// The quota.
        share: ShareId,
        /// That moment.
        until: Instant,
    },
    /// Whether a request of this budget may reserve less than its estimate. One at a time.
    Short {
        /// The quota.
        share: ShareId,
        /// Whether the store's mark is held.
        may: bool,
    },
    /// Another instance puts a provider aside.
    PutAside {
        /// The provider's name.
        provider: Arc<str>,
        /// Until when, by the process's clock.
        until: Instant,
    },
    /// It stands otherwise with the store.
    State(State),
    /// Another living process has the same name: this one must end with exit code 3.
    Taken,
    /// Another process has taken over this one's name: it wants a new, random one
    /// (`Shares::rename`), under which it goes on.
    Replaced,
}
