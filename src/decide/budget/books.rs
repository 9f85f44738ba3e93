//! The books of one budget: what is spent, month by month.

use std::collections::BTreeMap;

use crate::base::money::NanoUsd;
use crate::base::month::Month;

/// What one caller has spent, as far as shards have reported it.
///
/// Invariant: the published balance is a month's amount less what is spent and less what is
/// reserved, unreported requests included. Shards change the balance when they reserve and settle;
/// the books only set it at the start of a month and when a reload changes the amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    monthly: NanoUsd,
    month: Month,
    /// By month, the running one included once anything is spent in it.
    spent: BTreeMap<Month, NanoUsd>,
    /// The level of the running month that has been announced.
    told: Option<Level>,
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

/// Months whose spend is kept, the running one included.
pub const MONTHS_KEPT: usize = 3;

impl Books {
    /// The books in `month`, with what was spent before a restart. Levels that were reached before
    /// the restart count as announced.
    #[must_use]
    pub fn new(monthly: NanoUsd, month: Month, spent: BTreeMap<Month, NanoUsd>) -> Self {
        let mut books = Self {
            monthly,
            month,
            spent,
            told: None,
        };
        books.told = books.level();
        books
    }

    /// A request that was admitted in `month` has ended.
    pub fn on_settled(&mut self, month: Month, cost: NanoUsd) {
        let spent = self.spent.entry(month).or_default();
        *spent = spent.saturating_add(cost);
    }

    /// Begins `month` if it is a later one; returns whether it is. What was reserved before is
    /// booked to the month in which it was reserved.
    ///
    /// The month never goes back: reports still to come name the month whose balance was taken
    /// from, and that balance is gone.
    pub fn on_month(&mut self, month: Month) -> bool {
        if month <= self.month {
            return false;
        }
        self.month = month;
        self.told = None;
        while self.spent.len() >= MONTHS_KEPT {
            self.spent.pop_first();
        }
        true
    }

    /// A month's amount changes; returns by how much the balance changes.
    pub fn set_monthly(&mut self, monthly: NanoUsd) -> i64 {
        let before = std::mem::replace(&mut self.monthly, monthly);
        if before != monthly {
            // A level that is reached only under the new amount is announced when more is spent.
            self.told = self.told.min(self.level());
        }
        saturated(i128::from(monthly.get()) - i128::from(before.get()))
    }

    /// The level that has been reached since the last call.
    pub fn alert(&mut self) -> Option<Level> {
        let level = self.level();
        if level <= self.told {
            return None;
        }
        self.told = level;
        level
    }

    /// What the running month still allows, below zero when it is overdrawn.
    #[must_use]
    pub fn balance(&self) -> i64 {
        saturated(i128::from(self.monthly.get()) - i128::from(self.spent().get()))
    }

    /// The running month.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// A month's amount.
    #[must_use]
    pub fn monthly(&self) -> NanoUsd {
        self.monthly
    }

    /// Spent in the running month.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        self.spent.get(&self.month).copied().unwrap_or_default()
    }

    /// Spent by month.
    #[must_use]
    pub fn by_month(&self) -> &BTreeMap<Month, NanoUsd> {
        &self.spent
    }

    fn level(&self) -> Option<Level> {
        let (spent, monthly) = (
            u128::from(self.spent().get()),
            u128::from(self.monthly.get()),
        );
        if spent == 0 {
            None
        } else if spent >= monthly {
            Some(Level::All)
        } else if spent * 5 >= monthly * 4 {
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

    fn month(number: u64) -> Month {
        Month::new(2026, number).unwrap()
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
                let is_new = books.on_month(month(number(1)));
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
            books.on_month(month(number));
            books.on_settled(month(number), NanoUsd::new(number));
        }
        let kept: Vec<Month> = books.by_month().keys().copied().collect();
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
}
