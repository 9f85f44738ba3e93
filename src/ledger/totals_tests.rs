//! Totals over shards, months and restarts.

use super::*;
use crate::base::money::NanoUsd;

const OCTOBER: &str = "2026-10";

fn at(month: &str, minute: u64) -> WallTime {
    let start = Month::parse(month).unwrap().start();
    WallTime::from_unix_millis(start.unix_millis() + minute * 60_000)
}

fn tag(month: &str) -> MonthTag {
    MonthTag(Month::parse(month).unwrap().tag())
}

fn one(cost: u64) -> Spent {
    Spent {
        cost: NanoUsd::new(cost),
        requests: 1,
        prompt_tokens: 10,
        completion_tokens: 5,
    }
}

/// A shard that has announced its counters.
struct Shard {
    own: Arc<LoopMeter>,
    series: Arc<Series>,
    caller: Arc<Account>,
}

impl Shard {
    fn new(number: u16, totals: &mut Totals) -> Self {
        let shard = Self {
            own: Arc::default(),
            series: Arc::default(),
            caller: Arc::default(),
        };
        totals.begin(Meter::Loop(ShardId(number), Arc::clone(&shard.own)));
        totals.begin(series("p", "m", &shard.series));
        totals.begin(party("me", &shard.caller));
        shard
    }

    fn book(&self, month: &str, spent: Spent) {
        let tag = tag(month);
        self.own.account.book(tag, spent);
        self.series.account.book(tag, spent);
        self.caller.book(tag, spent);
    }
}

fn series(provider: &str, model: &str, meter: &Arc<Series>) -> Meter {
    Meter::Series {
        provider: provider.into(),
        model: model.into(),
        priced: Priced::No,
        kept: Kept::WhileRoom,
        meter: Arc::clone(meter),
    }
}

fn party(name: &str, meter: &Arc<Account>) -> Meter {
    Meter::Party {
        party: Party::Caller,
        name: name.into(),
        kept: Kept::WhileRoom,
        meter: Arc::clone(meter),
    }
}

/// The cost is the same in all reports.
fn assert_cost(totals: &Totals, cost: u64) {
    let cost = NanoUsd::new(cost);
    assert_eq!(totals.all().cost, cost);
    let by_series: Spent = totals.by_series().map(|(_, spent)| spent).sum();
    assert_eq!(by_series.cost, cost);
    let by_party: Spent = totals.by_party(Party::Caller).map(|(_, spent)| spent).sum();
    assert_eq!(by_party.cost, cost);
}

#[test]
fn all_shards_are_added_up_and_each_month_counts_for_itself() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    let shards = [0, 1].map(|number| Shard::new(number, &mut totals));
    shards[0].book(OCTOBER, one(3));
    shards[1].book(OCTOBER, one(4));
    assert_eq!(totals.on_time(at(OCTOBER, 1)), None);
    assert_cost(&totals, 7);
    assert_eq!(
        totals.of_party(Party::Caller, "me"),
        Some(one(3).plus(one(4)))
    );
    assert_eq!(totals.of_party(Party::Caller, "you"), None);
    // The month after next uses the same counters again.
    for (month, cost) in [("2026-11", 5), ("2026-12", 6), ("2027-01", 7)] {
        assert_eq!(totals.on_time(at(month, 0)), Some(tag(month)));
        assert_cost(&totals, 0);
        shards[1].book(month, one(cost));
        assert_eq!(totals.on_time(at(month, 1)), None);
        assert_cost(&totals, cost);
    }
}

#[test]
fn a_request_that_outlasts_its_month_counts_in_the_month_before() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    let shard = Shard::new(0, &mut totals);
    shard.book(OCTOBER, one(1));
    totals.on_time(at("2026-11", 0));
    shard.book(OCTOBER, one(2));
    totals.on_time(at("2026-11", 1));
    assert_cost(&totals, 0);
    let mut state = State::default();
    totals.save(&mut state);
    let october = state.month(Month::parse(OCTOBER).unwrap()).unwrap();
    assert_eq!(october.all.cost, NanoUsd::new(3));
}

#[test]
fn a_restart_goes_on_where_the_state_ends() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    let shard = Shard::new(0, &mut totals);
    shard.book(OCTOBER, one(3));
    assert!(!totals.take_changed());
    totals.on_time(at(OCTOBER, 7));
    assert!(totals.take_changed() && !totals.take_changed());
    let mut state = State::default();
    totals.save(&mut state);
    let state = State::parse(&state.to_json().unwrap()).unwrap();

    let mut totals = Totals::new(at(OCTOBER, 8), &state);
    assert_cost(&totals, 3);
    let shard = Shard::new(0, &mut totals);
    shard.book(OCTOBER, one(4));
    totals.on_time(at(OCTOBER, 9));
    assert_cost(&totals, 7);
    let range = crate::base::range::Range { hours: 1, step: 1 };
    let spans = totals.timeline().spans(at(OCTOBER, 9), range);
    let spent: Vec<u64> = spans
        .iter()
        .rev()
        .take(3)
        .map(|s| s.spent.cost.get())
        .collect();
    assert_eq!(spent, [4, 0, 3]);
    // A later month does not include it.
    assert_cost(&Totals::new(at("2026-11", 0), &state), 0);
}

#[test]
fn names_beyond_the_bound_are_counted_together() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    for number in 0..PARTIES_MAX + 3 {
        let account = Arc::<Account>::default();
        account.book(tag(OCTOBER), one(1));
        totals.begin(party(&number.to_string(), &account));
    }
    let others = totals.of_party(Party::Caller, OTHERS).unwrap();
    assert_eq!(others.requests, 3);
    assert_eq!(totals.by_party(Party::Caller).count(), PARTIES_MAX + 1);
    for number in 0..OPEN_SERIES_MAX + 3 {
        let meter = Arc::<Series>::default();
        meter.account.book(tag(OCTOBER), one(1));
        totals.begin(series("p", &number.to_string(), &meter));
    }
    let others = totals
        .by_series()
        .find(|(one, _)| &*one.model == OTHERS)
        .unwrap();
    assert_eq!(others.1.requests, 3);
    assert_eq!(totals.by_series().count(), OPEN_SERIES_MAX + 1);
}

#[test]
fn a_model_without_a_price_is_told_of_once() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    let meter = Arc::<Series>::default();
    let told = totals.begin(series("p", "m", &meter));
    assert_eq!(told, Some(("p".into(), "m".into())));
    assert_eq!(totals.begin(series("p", "m", &meter)), None);
}

#[test]
fn a_copy_shares_all_names_until_one_is_new() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    let shard = Shard::new(0, &mut totals);
    let copy = totals.clone();
    shard.book(OCTOBER, one(7));
    totals.on_time(at(OCTOBER, 1));
    assert!(Arc::ptr_eq(&copy.lists, &totals.lists));
    totals.begin(party("you", &Arc::default()));
    assert_eq!(copy.of_party(Party::Caller, "you"), None);
    assert_cost(&copy, 7);
    assert_cost(&totals, 7);
}

#[test]
fn a_restart_keeps_apart_what_was_kept_apart_however_many_there_are() {
    let mut totals = Totals::new(at(OCTOBER, 0), &State::default());
    totals.begin(Meter::Loop(ShardId(0), Arc::default()));
    let begin = |totals: &mut Totals, name: &str, kept| {
        let meter = Arc::<Account>::default();
        meter.book(tag(OCTOBER), one(1));
        totals.begin(Meter::Party {
            party: Party::Key,
            name: name.into(),
            kept,
            meter,
        });
    };
    for number in 0..=PARTIES_MAX {
        begin(&mut totals, &number.to_string(), Kept::WhileRoom);
    }
    begin(&mut totals, "limited", Kept::Always);
    let spent = |totals: &Totals, name| totals.of_party(Party::Key, name);
    assert_eq!(spent(&totals, "limited"), Some(one(1)));
    assert_eq!(spent(&totals, OTHERS), Some(one(1)));
    let mut state = State::default();
    state.set_month(Month::parse(OCTOBER).unwrap(), MonthState::default());
    totals.save(&mut state);
    let state = State::parse(&state.to_json().unwrap()).unwrap();
    let mut totals = Totals::new(at(OCTOBER, 1), &state);
    assert_eq!(spent(&totals, "limited"), Some(one(1)));
    assert_eq!(spent(&totals, OTHERS), Some(one(1)));
    assert_eq!(totals.by_party(Party::Key).count(), PARTIES_MAX + 2);
    // There is no room for more.
    begin(&mut totals, "late", Kept::WhileRoom);
    assert_eq!(spent(&totals, "late"), None);
    assert_eq!(spent(&totals, OTHERS), Some(one(1).plus(one(1))));
}
