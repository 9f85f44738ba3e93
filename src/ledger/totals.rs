//! What was spent in the running month, by provider, model and party, and over time.
//!
//! The counters themselves stay with the shards; they are added up when a report is asked for. The
//! value of each counter when the month began is kept, and so is what was counted before a restart.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ids::ShardId;
use crate::base::limits::{OPEN_SERIES_MAX, PARTIES_MAX};
use crate::base::month::Month;
use crate::base::spent::Spent;
use crate::base::time::WallTime;
use crate::ledger::state::{MonthState, State};
use crate::ledger::timeline::Timeline;
use crate::link::facts::MonthTag;
use crate::link::meters::{
    Account, Kept, LoopMeter, Meter, OTHERS, Party, Priced, ProviderMeter, Series,
};

/// The totals of one process.
#[derive(Clone, Debug)]
pub struct Totals {
    month: Month,
    /// Shared with the copies that reports are written from, and copied only when a name is new.
    lists: Arc<Lists>,
    /// All requests of the running month, and of the one before: a stream may outlast its month.
    all: Since,
    before: Option<(Month, Since)>,
    timeline: Timeline,
    /// The sum of everything ever counted, as of the last look.
    seen: Spent,
    changed: bool,
}

/// All lists of counters.
#[derive(Clone, Debug, Default)]
struct Lists {
    loops: Vec<(ShardId, Arc<LoopMeter>)>,
    providers: Vec<(Box<str>, Vec<Arc<ProviderMeter>>)>,
    series: Vec<SeriesTotal>,
    /// Places in `series`, by provider, then by model.
    series_places: HashMap<Box<str>, HashMap<Box<str>, usize>>,
    /// Series that no configuration names.
    open_series: usize,
    /// By place of the party.
    parties: [Parties; Party::ALL.len()],
}

/// What counters held before the running month.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    /// Counted before a restart.
    carried: Spent,
    /// The counters' values when the month began.
    base: Spent,
}

impl Since {
    fn spent(self, counted: Spent) -> Spent {
        counted.minus(self.base).plus(self.carried)
    }
}

/// One provider and model.
#[derive(Clone, Debug)]
pub struct SeriesTotal {
    /// The provider's name.
    pub provider: Box<str>,
    /// The provider's name for the model.
    pub model: Box<str>,
    /// What each shard has counted.
    pub shards: Vec<Arc<Series>>,
    since: Since,
}

/// All names of one kind of party.
#[derive(Clone, Debug, Default)]
struct Parties {
    all: Vec<PartyTotal>,
    places: HashMap<Box<str>, usize>,
}

#[derive(Clone, Debug)]
struct PartyTotal {
    name: Box<str>,
    shards: Vec<Arc<Account>>,
    since: Since,
}

impl Totals {
    /// The totals at `wall`, with the earlier `state`.
    #[must_use]
    pub fn new(wall: WallTime, state: &State) -> Self {
        let month = Month::of(wall);
        let mut totals = Self {
            month,
            lists: Arc::default(),
            all: Since::default(),
            before: None,
            timeline: state.timeline(),
            seen: Spent::default(),
            changed: false,
        };
        if let Some(kept) = state.month(month) {
            totals.all.carried = kept.all;
            let lists = Arc::make_mut(&mut totals.lists);
            for (provider, model, spent) in &kept.series {
                let place = lists.series_place(provider, model, Kept::WhileRoom);
                let since = &mut lists.series[place].since;
                since.carried = since.carried.plus(*spent);
            }
            for (parties, kept) in lists.parties.iter_mut().zip(&kept.parties) {
                for (name, spent) in kept {
                    // Each of them had a place when the state was written.
                    let place = parties.place(name, Kept::Always);
                    let since = &mut parties.all[place].since;
                    since.carried = since.carried.plus(*spent);
                }
            }
        }
        totals
    }

    /// A shard has begun to count; returns the provider and model, where the price is not known and
    /// no earlier call has returned them.
    pub fn begin(&mut self, meter: Meter) -> Option<(Box<str>, Box<str>)> {
        let lists = Arc::make_mut(&mut self.lists);
        match meter {
            Meter::Loop(shard, meter) => lists.loops.push((shard, meter)),
            Meter::Provider { name, meter } => {
                let known = lists.providers.iter_mut().find(|(one, _)| *one == name);
                match known {
                    Some((_, shards)) => shards.push(meter),
                    None => lists.providers.push((name, vec![meter])),
                }
            }
            Meter::Series {
                provider,
                model,
                priced,
                kept,
                meter,
            } => {
                let place = lists.series_place(&provider, &model, kept);
                let shards = &mut lists.series[place].shards;
                shards.push(meter);
                let is_news = priced == Priced::No && shards.len() == 1;
                return is_news.then_some((provider, model));
            }
            Meter::Party {
                party,
                name,
                kept,
                meter,
            } => {
                let parties = &mut lists.parties[party.place()];
                let place = parties.place(&name, kept);
                parties.all[place].shards.push(meter);
            }
        }
        None
    }

    /// Time passes: what was spent since the last look belongs to `wall`. If a month begins, it is
    /// returned: from now on requests are to be booked in it.
    pub fn on_time(&mut self, wall: WallTime) -> Option<MonthTag> {
        let ever = self.counted(Account::ever);
        let fresh = ever.minus(self.seen);
        if !fresh.is_nothing() {
            self.seen = ever;
            self.changed = true;
            self.timeline.add(wall, fresh);
        }
        let month = Month::of(wall);
        (month > self.month).then(|| self.start_month(month))
    }

    /// The month's counters count from their present values.
    fn start_month(&mut self, month: Month) -> MonthTag {
        let tag = MonthTag(month.tag());
        let since = |base| Since {
            carried: Spent::default(),
            base,
        };
        let all = since(self.counted(|account| account.of(tag)));
        self.before = Some((self.month, self.all));
        self.all = all;
        self.month = month;
        self.changed = true;
        let lists = Arc::make_mut(&mut self.lists);
        for one in &mut lists.series {
            one.since = since(one.counted(tag));
        }
        for one in lists
            .parties
            .iter_mut()
            .flat_map(|parties| &mut parties.all)
        {
            one.since = since(one.counted(tag));
        }
        tag
    }

    fn counted(&self, of: impl Fn(&Account) -> Spent) -> Spent {
        let loops = self.lists.loops.iter();
        loops.map(|(_, meter)| of(&meter.account)).sum()
    }

    fn tag(&self) -> MonthTag {
        MonthTag(self.month.tag())
    }

    /// The running month.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// All requests of the month.
    #[must_use]
    pub fn all(&self) -> Spent {
        let tag = self.tag();
        self.all.spent(self.counted(|account| account.of(tag)))
    }

    /// By provider and model, what was spent in the month.
    pub fn by_series(&self) -> impl Iterator<Item = (&SeriesTotal, Spent)> {
        let tag = self.tag();
        let series = self.lists.series.iter();
        series.map(move |one| (one, one.since.spent(one.counted(tag))))
    }

    /// Every shard's counts of a provider and model, with the provider's name.
    pub fn series(&self) -> impl Iterator<Item = (&str, &Series)> {
        let series = self.lists.series.iter();
        series.flat_map(|one| one.shards.iter().map(|shard| (&*one.provider, &**shard)))
    }

    /// By the names of one kind, what was spent in the month; names without spend are left out.
    pub fn by_party(&self, party: Party) -> impl Iterator<Item = (&str, Spent)> {
        let tag = self.tag();
        let parties = self.lists.parties[party.place()].all.iter();
        let parties = parties.map(move |one| (&*one.name, one.since.spent(one.counted(tag))));
        parties.filter(|(_, spent)| !spent.is_nothing())
    }

    /// What one party has spent in the month.
    #[must_use]
    pub fn of_party(&self, party: Party, name: &str) -> Option<Spent> {
        let parties = &self.lists.parties[party.place()];
        let one = parties.places.get(name).map(|place| &parties.all[*place])?;
        Some(one.since.spent(one.counted(self.tag())))
    }

    /// What was spent over time.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Every event loop's counts.
    #[must_use]
    pub fn loops(&self) -> &[(ShardId, Arc<LoopMeter>)] {
        &self.lists.loops
    }

    /// Every provider's counts, by shard.
    #[must_use]
    pub fn providers(&self) -> &[(Box<str>, Vec<Arc<ProviderMeter>>)] {
        &self.lists.providers
    }

    /// Whether the durable state has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Writes the durable state into `state`.
    pub fn save(&self, state: &mut State) {
        let series = self.by_series().filter(|(_, spent)| !spent.is_nothing());
        let series = series.map(|(one, spent)| (one.provider.clone(), one.model.clone(), spent));
        let party = |party| {
            let all = self.by_party(party);
            all.map(|(name, spent)| (name.into(), spent)).collect()
        };
        let month = MonthState {
            all: self.all(),
            series: series.collect(),
            parties: Party::ALL.map(party),
        };
        if let Some((before, since)) = self.before {
            let tag = MonthTag(before.tag());
            state.set_month(
                before,
                MonthState {
                    all: since.spent(self.counted(|account| account.of(tag))),
                    ..MonthState::default()
                },
            );
        }
        if self.seen != Spent::default() || state.month(self.month).is_some() {
            state.set_month(self.month, month);
        }
        state.set_timeline(&self.timeline);
    }
}

impl Lists {
    fn series_place(&mut self, provider: &str, model: &str, kept: Kept) -> usize {
        let known = |model: &str| self.series_places.get(provider)?.get(model).copied();
        if let Some(place) = known(model) {
            return place;
        }
        let has_room = kept == Kept::Always || self.open_series < OPEN_SERIES_MAX;
        let model = if has_room { model } else { OTHERS };
        if let Some(place) = known(model) {
            return place;
        }
        self.open_series += usize::from(kept == Kept::WhileRoom && has_room);
        let place = self.series.len();
        self.series.push(SeriesTotal {
            provider: provider.into(),
            model: model.into(),
            shards: Vec::new(),
            since: Since::default(),
        });
        let models = self.series_places.entry(provider.into()).or_default();
        models.insert(model.into(), place);
        place
    }
}

impl SeriesTotal {
    fn counted(&self, month: MonthTag) -> Spent {
        let shards = self.shards.iter();
        shards.map(|series| series.account.of(month)).sum()
    }
}

impl PartyTotal {
    fn counted(&self, month: MonthTag) -> Spent {
        self.shards.iter().map(|account| account.of(month)).sum()
    }
}

impl Parties {
    fn place(&mut self, name: &str, kept: Kept) -> usize {
        let has_room = kept == Kept::Always || self.all.len() < PARTIES_MAX;
        let known = self.places.get(name).copied();
        let name = if has_room { name } else { OTHERS };
        if let Some(place) = known.or_else(|| self.places.get(name).copied()) {
            return place;
        }
        let place = self.all.len();
        self.all.push(PartyTotal {
            name: name.into(),
            shards: Vec::new(),
            since: Since::default(),
        });
        self.places.insert(name.into(), place);
        place
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
