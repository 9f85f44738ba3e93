//! One shard's counters, by provider, model and attribution.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use crate::base::ids::{ProviderId, ShardId};
use crate::base::limits::{LABEL_BYTES_MAX, OPEN_SERIES_MAX, PARTIES_MAX};
use crate::base::map::Map;
use crate::base::spent::Spent;
use crate::exchange::attribution::{Attribution, Label};
use crate::exchange::principal::Owner;
use crate::link::facts::MonthTag;
use crate::link::gate::Audience;
use crate::link::meters::{
    Account, Gauge, Kept, LoopMeter, Meter, MeterSender, NOBODY, OTHERS, Party, Priced,
    ProviderMeter, Series,
};
use crate::report::escape::acts;

/// The counters of one shard. A counter begins with its first request, and is announced then.
pub struct Meters {
    sender: MeterSender,
    /// Counters that belong to no provider or model.
    pub own: Arc<LoopMeter>,
    /// By provider.
    providers: RefCell<Vec<Option<Arc<ProviderMeter>>>>,
    /// By provider, then by model.
    series: RefCell<Vec<Map<Box<str>, Arc<Series>>>>,
    /// Series that no configuration names.
    open_series: Cell<usize>,
    /// Requests that came to no provider.
    nobody: RefCell<Option<Arc<Series>>>,
    /// By place of the party.
    parties: [RefCell<Map<Box<str>, Arc<Account>>>; Party::ALL.len()],
    /// Of these, the accounts of requests that name no party: most name no project, for example.
    unnamed: [OnceCell<Arc<Account>>; Party::ALL.len()],
}

/// A provider and one of its models.
#[derive(Clone, Copy, Debug)]
pub struct SeriesKey<'a> {
    /// The provider.
    pub provider: ProviderId,
    /// Its name.
    pub name: &'a str,
    /// The provider's name for the model.
    pub model: &'a str,
    /// Whether it is counted apart.
    pub kept: Kept,
    /// Whether its price is known.
    pub priced: Priced,
}

impl Meters {
    /// No counters yet.
    #[must_use]
    pub fn new(shard: ShardId, sender: MeterSender) -> Self {
        let own = Arc::new(LoopMeter::default());
        sender.begin(Meter::Loop(shard, Arc::clone(&own)));
        Self {
            sender,
            own,
            providers: RefCell::default(),
            series: RefCell::default(),
            open_series: Cell::new(0),
            nobody: RefCell::default(),
            parties: Default::default(),
            unnamed: Default::default(),
        }
    }

    /// The counts of the provider `id`, which is called `name`.
    #[must_use]
    pub fn provider(&self, id: ProviderId, name: &str) -> Arc<ProviderMeter> {
        let mut providers = self.providers.borrow_mut();
        if providers.len() <= id.index() {
            providers.resize(id.index() + 1, None);
        }
        let meter = providers[id.index()].get_or_insert_with(|| {
            let meter = Arc::<ProviderMeter>::default();
            self.sender.begin(Meter::Provider {
                name: name.into(),
                meter: Arc::clone(&meter),
            });
            meter
        });
        Arc::clone(meter)
    }

    /// Forgets the counters of an id that has a new holder: they begin anew. The former ones stay
    /// with the coordinator.
    pub fn forget(&self, id: ProviderId) {
        if let Some(meter) = self.providers.borrow_mut().get_mut(id.index()) {
            *meter = None;
        }
        if let Some(series) = self.series.borrow_mut().get_mut(id.index()) {
            series.clear();
        }
    }

    /// Lets `count` count a request for `key`; `None`: it came to no provider.
    pub fn series(&self, key: Option<SeriesKey<'_>>, count: impl FnOnce(&Series)) {
        let Some(key) = key else {
            let mut nobody = self.nobody.borrow_mut();
            return count(nobody.get_or_insert_with(|| {
                self.begin_series(NOBODY, NOBODY, (Priced::Yes, Kept::Always))
            }));
        };
        let mut series = self.series.borrow_mut();
        if series.len() <= key.provider.index() {
            series.resize_with(key.provider.index() + 1, Map::default);
        }
        let models = &mut series[key.provider.index()];
        if let Some(series) = models.get(key.model) {
            return count(series);
        }
        let has_place = match key.kept {
            Kept::Always => true,
            Kept::WhileRoom => self.open_series.get() < OPEN_SERIES_MAX,
            Kept::IfKnown => false,
        };
        // Callers choose the names of an open provider's models.
        let is_plain = key.model.len() <= LABEL_BYTES_MAX && !key.model.chars().any(acts);
        let (model, kept) = if has_place && is_plain {
            (key.model, key.kept)
        } else {
            (OTHERS, Kept::Always)
        };
        if kept == Kept::WhileRoom {
            self.open_series.set(self.open_series.get() + 1);
        }
        let begin = || self.begin_series(key.name, model, (key.priced, kept));
        count(models.entry(model.into()).or_insert_with(begin));
    }

    fn begin_series(
        &self,
        provider: &str,
        model: &str,
        (priced, kept): (Priced, Kept),
    ) -> Arc<Series> {
        let meter = Arc::<Series>::default();
        self.sender.begin(Meter::Series {
            provider: provider.into(),
            model: model.into(),
            priced,
            kept,
            meter: Arc::clone(&meter),
        });
        meter
    }

    /// Books what was spent under the names of a request's attribution and of its owner, where it
    /// has one; `kept` says whether the configuration names a party.
    pub fn book(
        &self,
        month: MonthTag,
        spent: Spent,
        attribution: &Attribution,
        owner: Option<Owner<&str>>,
        kept: impl Fn(Party, &str) -> Kept,
    ) {
        self.own.account.book(month, spent);
        let Attribution {
            caller,
            project,
            env,
        } = attribution;
        let book = |party: Party, name: Option<&str>| {
            let unnamed = &self.unnamed[party.place()];
            if let (None, Some(account)) = (name, unnamed.get()) {
                return account.book(month, spent);
            }
            let shown = name.unwrap_or(NOBODY);
            let kept = || kept(party, shown);
            self.book_party((party, shown), kept, |account| account.book(month, spent));
            if name.is_none()
                && let Some(account) = self.account(party, shown)
            {
                unnamed.get_or_init(|| account);
            }
        };
        book(Party::Caller, caller.as_ref().map(Label::as_str));
        book(Party::Project, project.as_ref().map(Label::as_str));
        book(Party::Env, env.as_ref().map(Label::as_str));
        if let Some(Owner { key, team }) = owner {
            book(Party::Key, Some(key));
            book(Party::Team, team);
        }
    }

    /// The account of a party that has one of its own.
    fn account(&self, party: Party, name: &str) -> Option<Arc<Account>> {
        self.parties[party.place()]
            .borrow()
            .get(name)
            .map(Arc::clone)
    }

    fn book_party(
        &self,
        (party, name): (Party, &str),
        kept: impl Fn() -> Kept,
        book: impl Fn(&Account),
    ) {
        let mut accounts = self.parties[party.place()].borrow_mut();
        if let Some(account) = accounts.get(name) {
            return book(account);
        }
        let (has_room, kept) = (accounts.len() < PARTIES_MAX, kept());
        let (name, kept) = if has_room || kept == Kept::Always {
            (name, kept)
        } else {
            (OTHERS, Kept::Always)
        };
        let begin = || {
            let meter = Arc::<Account>::default();
            self.sender.begin(Meter::Party {
                party,
                name: name.into(),
                kept,
                meter: Arc::clone(&meter),
            });
            meter
        };
        book(accounts.entry(name.into()).or_insert_with(begin));
    }

    /// Counts a connection as busy with a request of `audience` for as long as the guard lives.
    #[must_use]
    pub fn busy(&self, audience: Audience) -> Busy<'_> {
        let gauge = match audience {
            Audience::Callers => &self.own.callers_busy,
            Audience::Operators => &self.own.operators_busy,
        };
        gauge.up();
        Busy(gauge)
    }
}

/// A request under way.
pub struct Busy<'a>(&'a Gauge);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::meters;

    fn key(model: &str, kept: Kept) -> SeriesKey<'_> {
        SeriesKey {
            provider: ProviderId(3),
            name: "p",
            model,
            kept,
            priced: Priced::Yes,
        }
    }

    /// The counters that have begun: the model of each series, the name of each party.
    fn begun(receiver: &meters::MeterReceiver) -> Vec<String> {
        let all = std::iter::from_fn(|| receiver.next());
        let names = all.filter_map(|meter| match meter {
            Meter::Series { model, .. } => Some(model.into()),
            Meter::Party { name, .. } => Some(name.into()),
            Meter::Loop(..) | Meter::Provider { .. } => None,
        });
        names.collect()
    }

    #[test]
    fn models_that_nobody_configured_are_counted_apart_while_there_is_room() {
        let (sender, receiver) = meters::channel();
        let meters = Meters::new(ShardId(0), sender);
        let names: Vec<String> = (0..OPEN_SERIES_MAX + 2).map(|n| format!("m{n}")).collect();
        for name in &names {
            meters.series(Some(key(name, Kept::WhileRoom)), |one| one.count(200));
        }
        meters.series(Some(key("configured", Kept::Always)), |one| one.count(200));
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        meters.series(Some(key(&long, Kept::Always)), |one| one.count(200));
        // Known, unknown, and one that would act on a terminal.
        for (name, kept) in [
            ("m7", Kept::IfKnown),
            ("made up", Kept::IfKnown),
            ("\u{1b}[2J", Kept::Always),
        ] {
            meters.series(Some(key(name, kept)), |one| one.count(200));
        }
        let begun = begun(&receiver);
        assert_eq!(begun.len(), OPEN_SERIES_MAX + 2);
        assert_eq!(begun[OPEN_SERIES_MAX..], [OTHERS, "configured"]);
        let mut counted = 0;
        meters.series(Some(key(OTHERS, Kept::Always)), |one| {
            counted = one.statuses[0].get();
        });
        assert_eq!(counted, 5);
    }

    #[test]
    fn parties_are_bounded_but_those_that_the_configuration_names() {
        let (sender, receiver) = meters::channel();
        let meters = Meters::new(ShardId(0), sender);
        let book = |name: &str, kept| {
            let attribution = Attribution {
                caller: Label::of(name.as_bytes()),
                ..Attribution::default()
            };
            let spent = Spent {
                requests: 1,
                ..Spent::default()
            };
            meters.book(MonthTag(0), spent, &attribution, None, |_, _| kept);
        };
        for number in 0..=PARTIES_MAX {
            book(&number.to_string(), Kept::WhileRoom);
        }
        book("budgeted", Kept::Always);
        let begun = begun(&receiver);
        // None has a project or an environment.
        assert_eq!(begun.len(), PARTIES_MAX + 1 + 1 + 2);
        assert_eq!(begun[begun.len() - 2..], [OTHERS, "budgeted"]);
        assert_eq!(meters.own.account.ever().requests, PARTIES_MAX as u64 + 2);
    }

    #[test]
    fn keys_and_teams_are_counted_apart_and_bounded_where_there_are_keys() {
        let (sender, receiver) = meters::channel();
        let meters = Meters::new(ShardId(0), sender);
        let book = |owner: Option<(&str, Option<&str>)>| {
            let spent = Spent {
                requests: 1,
                ..Spent::default()
            };
            let owner = owner.map(|(key, team)| Owner { key, team });
            let kept = |party, name: &str| match (party, name) {
                (Party::Key, "limited") => Kept::Always,
                _ => Kept::WhileRoom,
            };
            meters.book(MonthTag(0), spent, &Attribution::default(), owner, kept);
        };
        let sum = |party: Party, name: &str| {
            let accounts = meters.parties[party.place()].borrow();
            accounts.get(name).map(|account| account.ever().requests)
        };
        book(None);
        // The names of the head alone.
        assert_eq!(begun(&receiver), [NOBODY; 3]);
        book(Some(("web", Some("product"))));
        book(Some(("ci", Some("product"))));
        book(Some(("web", None)));
        assert_eq!(begun(&receiver), ["web", "product", "ci", NOBODY]);
        assert_eq!(sum(Party::Key, "web"), Some(2));
        assert_eq!(sum(Party::Team, "product"), Some(2));
        assert_eq!(sum(Party::Team, NOBODY), Some(1));
        assert_eq!(sum(Party::Key, NOBODY), None);
        for number in 0..PARTIES_MAX {
            book(Some((&format!("k{number}"), None)));
        }
        book(Some(("limited", None)));
        assert_eq!(sum(Party::Key, OTHERS), Some(2));
        assert_eq!(sum(Party::Key, "limited"), Some(1));
    }
}
