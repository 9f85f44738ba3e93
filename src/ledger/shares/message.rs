//! What an instance says to the store and what it is answered: values, and their form as arguments
//! and results of the scripts.
//!
//! The scripts and these forms belong together. Numbers are whole and below 2^53, since the store
//! counts with floating point.

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::WallTime;
use crate::ledger::shares::quota::{Kept, Kind, ShareId, Short};

/// Everything that an instance has to say at once: one pipeline, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its number: [`Reply`] repeats it.
    pub number: u64,
    /// First on every new connection, and each second.
    pub hello: Option<Hello>,
    /// What it says about quotas; empty until a hello was answered.
    pub asks: Vec<Ask>,
    /// Who says it.
    pub member: Member,
}

/// What the store answers to a [`Batch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The batch's number.
    pub number: u64,
    /// The answer to its hello, where it had one.
    pub hello: Option<HelloAnswer>,
    /// The answers to its asks, in their order.
    pub asks: Vec<AskAnswer>,
    /// How long the store took, with the way there and back.
    pub took: Duration,
}

/// The instance that speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: Arc<str>,
    /// Which process of that name it is, as the store has numbered it; 0: not yet.
    pub generation: u64,
    /// The store's data that it knows.
    pub epoch: u64,
    /// Whether the name is kept by a state file.
    pub kept: Kept,
    /// How long it counts as living after each report.
    pub ttl: Duration,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            id: "".into(),
            generation: 0,
            epoch: 0,
            kept: Kept::No,
            ttl: Duration::ZERO,
        }
    }
}

/// An instance tells that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The process's random number.
    pub nonce: u64,
    /// The server's `run_id`, as `INFO server` tells it on this connection.
    pub run: Arc<str>,
    /// Providers that it puts aside, and for how long from now on.
    pub put_asides: Vec<(Arc<str>, Duration)>,
}

/// What a hello is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloAnswer {
    /// The instance is a member.
    Welcome(Welcome),
    /// A process with its name may still be living: it is asked, and hello is said again in half a
    /// second.
    Wait,
    /// A process with its name lives, and says so.
    Taken,
    /// Another process has taken over the name.
    Replaced,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Names the store's data: it changes when data is lost.
    pub epoch: u64,
    /// The process's number.
    pub generation: u64,
    /// Members that count as living, this one included.
    pub members: u64,
    /// The store's clock.
    pub now: WallTime,
    /// How long the store still grants nothing.
    pub learning: Duration,
    /// Providers that are put aside, and for how long.
    pub put_asides: Vec<(Arc<str>, Duration)>,
}

/// What an instance says about one quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The quota, in this process.
    pub share: ShareId,
    /// Its name in the store.
    pub name: Arc<str>,
    /// How it is counted.
    pub kind: Kind,
    /// The quota's limit.
    pub limit: u64,
    /// The ask's number among those about this quota: a later one has a higher one.
    pub number: u64,
    /// The latest answered one, which this store must know of; 0: none that it must know.
    pub answered: u64,
    /// Whether the process was never answered about this quota: what a former process of its name
    /// holds counts as used now.
    pub fresh: bool,
    /// What it keeps: its allowance, and what is used beyond it.
    pub keep: u64,
    /// What waiting requests lack.
    pub need: u64,
    /// What the smallest of them lacks: less is of no use.
    pub unit: u64,
    /// What it would like beside that.
    pub ahead: u64,
    /// What was used in the period: for reports.
    pub spent: u64,
    /// The largest sum of all members that it knew; told while the store learns.
    pub known: u64,
    /// Whether it wants or holds the mark of last requests.
    pub short: Short,
    /// Whether the instance stops: what it keeps goes as if it had died now.
    pub leaves: bool,
}

/// What an ask is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskAnswer {
    /// It was taken in.
    Granted(Granted),
    /// A later ask was taken in before.
    Old,
    /// The store's data is another: hello comes first.
    Epoch,
    /// The process is no member: hello comes first.
    Gone,
}

/// How a quota stands after an ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The ask's number.
    pub number: u64,
    /// The store's clock.
    pub now: WallTime,
    /// How long the store still grants nothing.
    pub learning: Duration,
    /// What is charged to the instance without the grant: at least the ask's `keep`.
    pub keep: u64,
    /// What it has in addition.
    pub grant: u64,
    /// What is charged to all, and what nobody is known to hold.
    pub sum: u64,
    /// An even part among those who lack some.
    pub fair: u64,
    /// Other members who lacked some within the last 2 s.
    pub hungry: u64,
    /// What all have spent in the period.
    pub spent: u64,
    /// What members who have died had leased in the period and did not tell to be spent.
    pub lost: u64,
    /// Whether the instance holds the mark of last requests.
    pub short: bool,
}

/// The largest number that the store counts exactly.
pub const COUNT_MAX: u64 = 1 << 53;

/// The key of a namespace.
#[must_use]
pub fn namespace_key(namespace: &str) -> String {
    format!("{{infermux:{namespace}}}")
}

/// The key of a quota with this name: in the same slot of a cluster as its namespace.
#[must_use]
pub fn quota_key(namespace: &str, name: &str) -> String {
    format!("{{infermux:{namespace}}}:{name}")
}

impl Hello {
    /// The arguments of `hello.lua`; its key is the namespace's.
    #[must_use]
    pub fn arguments(&self, member: &Member) -> Vec<String> {
        let mut all = vec![
            member.id.to_string(),
            member.generation.to_string(),
            self.nonce.to_string(),
            self.run.to_string(),
            millis(member.ttl).to_string(),
        ];
        for (provider, span) in &self.put_asides {
            all.push(provider.to_string());
            all.push(millis(*span).to_string());
        }
        all
    }
}

impl HelloAnswer {
    /// Reads the result of `hello.lua`, a list of texts; `None`: it is none.
    #[must_use]
    pub fn read<T: AsRef<str>>(result: &[T]) -> Option<Self> {
        let number = |place: usize| result.get(place)?.as_ref().parse::<u64>().ok();
        match number(0)? {
            0 => {}
            1 => return Some(Self::Wait),
            2 => return Some(Self::Taken),
            3 => return Some(Self::Replaced),
            _ => return None,
        }
        let mut put_asides = Vec::new();
        for pair in result.get(6..)?.chunks(2) {
            let [provider, left] = pair else { return None };
            let left = left.as_ref().parse().ok()?;
            put_asides.push((provider.as_ref().into(), Duration::from_millis(left)));
        }
        Some(Self::Welcome(Welcome {
            epoch: number(1)?,
            generation: number(2)?,
            members: number(3)?,
            now: WallTime::from_unix_millis(number(4)?),
            learning: Duration::from_millis(number(5)?),
            put_asides,
        }))
    }
}

impl Ask {
    /// The arguments of `ask.lua`; its keys are the namespace's and the quota's.
    #[must_use]
    pub fn arguments(&self, member: &Member) -> Vec<String> {
        let (kind, window, from, to) = match self.kind {
            Kind::Window { span, .. } => (0, millis(span), 0, 0),
            Kind::InFlight => (1, 0, 0, 0),
            Kind::Period { from, to, .. } => {
                let to = to.map_or(0, WallTime::unix_millis);
                (2, 0, from.unix_millis(), to)
            }
        };
        let short = match self.short {
            Short::No => 0,
            Short::Wanted => 1,
            Short::Held => 2,
        };
        let ttl = if self.leaves { 0 } else { millis(member.ttl) };
        let numbers = [
            member.generation,
            member.epoch,
            self.number,
            self.answered,
            u64::from(self.fresh),
            self.keep,
            self.need,
            self.unit,
            self.ahead,
            self.spent,
            self.known,
            self.limit,
            kind,
            window,
            from,
            to,
            ttl,
            u64::from(member.kept == Kept::Yes),
            short,
        ];
        let numbers = numbers.into_iter().map(|number| number.to_string());
        std::iter::once(member.id.to_string())
            .chain(numbers)
            .collect()
    }
}

impl Granted {
    /// The same in smaller units: each of the store's is so many of them.
    #[must_use]
    pub fn times(&self, scale: u64) -> Self {
        let by = |count: u64| count.saturating_mul(scale);
        Self {
            keep: by(self.keep),
            grant: by(self.grant),
            sum: by(self.sum),
            fair: by(self.fair),
            spent: by(self.spent),
            lost: by(self.lost),
            ..*self
        }
    }
}

impl AskAnswer {
    /// Reads the result of `ask.lua`, a list of whole numbers; `None`: it is none.
    #[must_use]
    pub fn read(result: &[i64]) -> Option<Self> {
        let number = |place: usize| u64::try_from(*result.get(place)?).ok();
        match number(0)? {
            0 => {}
            1 => return Some(Self::Old),
            2 => return Some(Self::Epoch),
            3 => return Some(Self::Gone),
            _ => return None,
        }
        Some(Self::Granted(Granted {
            number: number(1)?,
            now: WallTime::from_unix_millis(number(2)?),
            learning: Duration::from_millis(number(3)?),
            keep: number(4)?,
            grant: number(5)?,
            sum: number(6)?,
            fair: number(7)?,
            hungry: number(8)?,
            spent: number(9)?,
            lost: number(10)?,
            short: number(11)? > 0,
        }))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
