//! The books of one budget: what is spent, period by period.

use std::collections::BTreeMap;

use crate::base::money::NanoUsd;
use crate::base::period::Period;

/// What one caller has spent, as far as shards have reported it.
///
/// Invariant: the published balance is a period's amount less what is spent and less what is
/// reserved, unreported requests included. Shards change the balance when they reserve and settle;
/// the books only set it at the start of a period and when a reload changes the amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    amount: NanoUsd,
    period: Period,
    /// By period, the running one included once anything is spent in it.
    spent: BTreeMap<Period, NanoUsd>,
    /// What others have spent of it in the running period, where several processes share it.
    elsewhere: NanoUsd,
    /// Whether that was ever heard.
    has_heard: bool,
    /// The level of the running period that has been announced.
    told: Option<Level>,
    /// Whether it was announced that it refuses requests, although it is not used up.
    has_refused: bool,
}

/// How far a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 80 % of it.
    Most,
    /// All of it.
    All,
}

impl Level {
    /// The level in percent of the budget.
    #[must_use]
    pub const fn percent(self) -> u32 {
        match self {
            Self::Most => 80,
            Self::All => 100,
        }
    }
}

/// Periods whose spend is kept, the running one included.
pub const PERIODS_KEPT: usize = 3;

impl Books {
    /// The books in `period`, with what was spent before a restart. Levels that were reached before
    /// the restart count as announced.
    #[must_use]
    pub fn new(amount: NanoUsd, period: Period, spent: BTreeMap<Period, NanoUsd>) -> Self {
        let mut books = Self {
            amount,
            period,
            spent,
            elsewhere: NanoUsd::ZERO,
            has_heard: false,
            told: None,
            has_refused: false,
        };
        books.told = books.level();
        books
    }

    /// A request that was admitted in `period` has ended.
    pub fn on_settled(&mut self, period: Period, cost: NanoUsd) {
        let spent = self.spent.entry(period).or_default();
        *spent = spent.saturating_add(cost);
    }

    /// Others have spent this much in the running period. A level that was reached before that was
    /// first heard counts as announced: it was by them, or before a restart.
    pub fn on_elsewhere(&mut self, spent: NanoUsd) {
        self.elsewhere = spent;
        if !std::mem::replace(&mut self.has_heard, true) {
            self.told = self.told.max(self.level());
        }
    }

    /// Begins `period` if it is a later one; returns whether it is. What was reserved before is
    /// booked to the period in which it was reserved.
    ///
    /// The period never goes back: reports still to come name the period whose balance was taken
    /// from, and that balance is gone.
    pub fn on_period(&mut self, period: Period) -> bool {
        if period <= self.period {
            return false;
        }
        self.period = period;
        self.elsewhere = NanoUsd::ZERO;
        self.told = None;
        self.has_refused = false;
        while self.spent.len() >= PERIODS_KEPT {
            self.spent.pop_first();
        }
        true
    }

    /// A period's amount changes; returns by how much the balance changes.
    pub fn set_amount(&mut self, amount: NanoUsd) -> i64 {
        let before = std::mem::replace(&mut self.amount, amount);
        if before != amount {
            // A level that is reached only under the new amount is announced when more is spent.
            self.told = self.told.min(self.level());
            self.has_refused = false;
        }
        saturated(i128::from(amount.get()) - i128::from(before.get()))
    }

    /// The level that has been reached since the last call. A single request may pass the lower one
    /// by: then only the upper one is told.
    pub fn alert(&mut self) -> Option<Level> {
        let level = self.level();
        if level <= self.told {
            return None;
        }
        self.told = level;
        level
    }

    /// The lowest level that has been reached and was not told: several requests have reached the
    /// lower one before the upper one.
    pub fn next_alert(&mut self) -> Option<Level> {
        let lowest = self.told.is_none().then_some(Level::Most);
        match (self.level(), lowest) {
            (Some(Level::All), Some(lowest)) => {
                self.told = Some(lowest);
                self.told
            }
            (Some(Level::Most | Level::All) | None, _) => self.alert(),
        }
    }

    /// A request was refused when this much was spent, with this amount; returns whether that is to
    /// be announced: the budget is not used up, or has been from the beginning, it is the period's
    /// first such request, and the amount has not changed since.
    pub fn on_refused(&mut self, spent: NanoUsd, amount: NanoUsd) -> bool {
        let is_used_up = spent >= amount.max(NanoUsd::new(1)) || self.level() == Some(Level::All);
        if is_used_up || amount != self.amount {
            return false;
        }
        !std::mem::replace(&mut self.has_refused, true)
    }

    /// What the running period still allows, below zero when it is overdrawn.
    #[must_use]
    pub fn balance(&self) -> i64 {
        saturated(i128::from(self.amount.get()) - i128::from(self.spent().get()))
    }

    /// The running period.
    #[must_use]
    pub fn period(&self) -> Period {
        self.period
    }

    /// A period's amount.
    #[must_use]
    pub fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// Spent in the running period.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        self.spent.get(&self.period).copied().unwrap_or_default()
    }

    /// Spent in the running period by all who share it, as far as is known.
    #[must_use]
    pub fn spent_by_all(&self) -> NanoUsd {
        self.spent().saturating_add(self.elsewhere)
    }

    /// Spent by period.
    #[must_use]
    pub fn by_period(&self) -> &BTreeMap<Period, NanoUsd> {
        &self.spent
    }

    fn level(&self) -> Option<Level> {
        let (spent, amount) = (
            u128::from(self.spent_by_all().get()),
            u128::from(self.amount.get()),
        );
        if spent == 0 {
            None
        } else if spent >= amount {
            Some(Level::All)
        } else if spent * 5 >= amount * 4 {
            Some(Level::Most)
        } else {
            None
        }
    }
}

fn saturated(amount: i128) -> i64 {
    let bounds = i128::from(i64::MIN)..=i128::from(i64::MAX);
    i64::try_from(amount.clamp(*bounds.start(), *bounds.end())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::month::Month;
    use crate::base::period::Per;

    fn month(number: u64) -> Period {
        Period::of(Per::Month, Month::new(2026, number).unwrap().start())
    }

    /// Lines of `settle <month> <cost>` and `month <month> <new or old>`; after each, what is
    /// spent, the balance and the level that is announced (%).
    fn check(monthly: u64, script: &str) {
        let mut books = Books::new(NanoUsd::new(monthly), month(1), BTreeMap::new());
        for line in script.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |place: usize| words[place].parse::<u64>().unwrap();
            if words[0] == "settle" {
                books.on_settled(month(number(1)), NanoUsd::new(number(2)));
            } else {
                let is_new = books.on_period(month(number(1)));
                assert_eq!(is_new, words[2] == "new", "{line}");
            }
            let level = match books.alert() {
                None => "-",
                Some(Level::Most) => "80",
                Some(Level::All) => "100",
            };
            let spent = books.spent().get().to_string();
            let found = [spent, books.balance().to_string(), level.to_owned()];
            assert_eq!(words[words.len() - 3..], found, "{line}");
        }
    }

    #[test]
    fn levels_are_told_once_a_month() {
        check(
            100,
            "
            settle  1 79       79   21   -
            settle  1 1        80   20  80
            settle  1 60      140  -40 100
            settle  1 1       141  -41   -
            month   2 new       0  100   -
            settle  2 200     200 -100 100
            ",
        );
    }

    #[test]
    fn a_request_of_an_older_month_is_booked_to_that_month() {
        check(
            100,
            "
            month   2 new       0  100   -
            settle  1 99        0  100   -
            month   1 old       0  100   -
            settle  2 30       30   70   -
            ",
        );
    }

    #[test]
    fn a_few_months_are_kept() {
        let mut books = Books::new(NanoUsd::new(9), month(1), BTreeMap::new());
        for number in 1..=6 {
            books.on_period(month(number));
            books.on_settled(month(number), NanoUsd::new(number));
        }
        let kept: Vec<Period> = books.by_period().keys().copied().collect();
        assert_eq!(kept, [month(4), month(5), month(6)]);
        assert_eq!(books.spent(), NanoUsd::new(6));
    }

    #[test]
    fn what_was_reached_before_a_restart_is_not_told_again() {
        let spent = BTreeMap::from([(month(1), NanoUsd::new(85))]);
        let mut books = Books::new(NanoUsd::new(100), month(1), spent);
        assert_eq!((books.alert(), books.balance()), (None, 15));
        books.on_settled(month(1), NanoUsd::new(15));
        assert_eq!(books.alert(), Some(Level::All));
    }

    #[test]
    fn what_others_spend_counts_towards_levels() {
        let mut books = Books::new(NanoUsd::new(100), month(1), BTreeMap::new());
        let hear = |books: &mut Books, spent| {
            books.on_elsewhere(NanoUsd::new(spent));
            (books.spent_by_all().get(), books.alert())
        };
        // Whoever joins late is not told again of what others were told before.
        assert_eq!(hear(&mut books, 85), (85, None));
        books.on_settled(month(1), NanoUsd::new(10));
        assert_eq!(books.alert(), None);
        assert_eq!(hear(&mut books, 90), (100, Some(Level::All)));
        assert_eq!((books.spent().get(), books.balance()), (10, 90));
        // A period begins with nothing spent anywhere.
        assert!(books.on_period(month(2)));
        assert_eq!(hear(&mut books, 0), (0, None));
        assert_eq!(hear(&mut books, 80), (80, Some(Level::Most)));
    }
}
