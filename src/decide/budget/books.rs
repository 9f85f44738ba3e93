//! The books of one budget: what is spent and reserved, month by month.

use std::collections::BTreeMap;

use crate::base::money::NanoUsd;
use crate::base::month::Month;

/// What one caller spends and has reserved.
///
/// Invariant: the published balance is what a month allows, less what is spent, less what is
/// reserved, reservations that have not been reported included. Shards take from it when they
/// reserve; this says only what a settled request changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    monthly: NanoUsd,
    month: Month,
    /// Reserved in the running month, as far as it is reported.
    reserved: NanoUsd,
    /// By month, the running one included once anything is spent in it.
    spent: BTreeMap<Month, NanoUsd>,
    /// What has been told of the running month.
    told: Option<Level>,
}

/// How far a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// To 80 %.
    Most,
    /// To 100 %.
    All,
}

impl Level {
    /// It in percent of the budget.
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
    /// The books in `month`, with what was spent before a restart. Levels that were reached by
    /// then have been told of.
    #[must_use]
    pub fn new(monthly: NanoUsd, month: Month, spent: BTreeMap<Month, NanoUsd>) -> Self {
        let mut books = Self {
            monthly,
            month,
            reserved: NanoUsd::ZERO,
            spent,
            told: None,
        };
        books.told = books.level();
        books
    }

    /// Money was reserved in `month`.
    pub fn on_reserved(&mut self, month: Month, amount: NanoUsd) {
        if month == self.month {
            self.reserved = self.reserved.saturating_add(amount);
        }
    }

    /// A request that was admitted in `month` has ended. By how much the running month's balance
    /// changes; `None`: it belongs to another month.
    pub fn on_settled(&mut self, month: Month, reserved: NanoUsd, cost: NanoUsd) -> Option<i64> {
        let spent = self.spent.entry(month).or_default();
        *spent = spent.saturating_add(cost);
        if month != self.month {
            return None;
        }
        self.reserved = self.reserved.saturating_sub(reserved);
        let change = i128::from(reserved.get()) - i128::from(cost.get());
        Some(saturated(change))
    }

    /// Whether `month` is a later one, which begins now. What was reserved before is settled in
    /// the month in which it was reserved.
    ///
    /// It never goes back: reservations that are still to be reported tell the month of the
    /// balance that they were taken from, and that balance is gone.
    pub fn on_month(&mut self, month: Month) -> bool {
        if month <= self.month {
            return false;
        }
        self.month = month;
        self.reserved = NanoUsd::ZERO;
        self.told = None;
        while self.spent.len() >= MONTHS_KEPT {
            self.spent.pop_first();
        }
        true
    }

    /// The month allows another amount from now on. By how much the balance changes.
    pub fn set_monthly(&mut self, monthly: NanoUsd) -> i64 {
        let before = std::mem::replace(&mut self.monthly, monthly);
        if before != monthly {
            // What it has come to by other terms is told when more is spent.
            self.told = self.told.min(self.level());
        }
        saturated(i128::from(monthly.get()) - i128::from(before.get()))
    }

    /// The level that has been reached since this was last asked.
    pub fn alert(&mut self) -> Option<Level> {
        let level = self.level();
        if level <= self.told {
            return None;
        }
        self.told = level;
        level
    }

    /// What the running month still allows; below zero when it is overdrawn.
    #[must_use]
    pub fn balance(&self) -> i64 {
        let taken = i128::from(self.spent().get()) + i128::from(self.reserved.get());
        saturated(i128::from(self.monthly.get()) - taken)
    }

    /// The running month.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// What a month allows.
    #[must_use]
    pub fn monthly(&self) -> NanoUsd {
        self.monthly
    }

    /// Spent in the running month.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        self.spent.get(&self.month).copied().unwrap_or_default()
    }

    /// Reserved in the running month, as far as it is reported.
    #[must_use]
    pub fn reserved(&self) -> NanoUsd {
        self.reserved
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

    /// Lines of `reserve <month> <amount>`, `settle <month> <reserved> <cost> <change, or ->` and
    /// `month <month>`; after each, spent, reserved, balance and the level that is told (%).
    fn check(monthly: u64, script: &str) {
        let mut books = Books::new(NanoUsd::new(monthly), month(1), BTreeMap::new());
        for line in script.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |place: usize| words[place].parse::<u64>().unwrap();
            match words[0] {
                "reserve" => books.on_reserved(month(number(1)), NanoUsd::new(number(2))),
                "settle" => {
                    let (reserved, cost) = (NanoUsd::new(number(2)), NanoUsd::new(number(3)));
                    let change = books.on_settled(month(number(1)), reserved, cost);
                    let change = change.map_or_else(|| "-".to_owned(), |by| by.to_string());
                    assert_eq!(change, words[4], "{line}");
                }
                _ => assert_eq!(
                    books.on_month(month(number(1))),
                    words[2] == "new",
                    "{line}"
                ),
            }
            let level = match books.alert() {
                None => "-",
                Some(Level::Most) => "80",
                Some(Level::All) => "100",
            };
            let sums = [books.spent(), books.reserved()].map(|sum| sum.get().to_string());
            let [spent, reserved] = sums;
            let found = [
                spent,
                reserved,
                books.balance().to_string(),
                level.to_owned(),
            ];
            assert_eq!(words[words.len() - 4..], found, "{line}");
        }
    }

    #[test]
    fn reservations_become_spend_and_levels_are_told_once_a_month() {
        check(
            100,
            "
            reserve 1 50             0 50   50   -
            reserve 1 30             0 80   20   -
            settle  1 50 79  -29    79 30   -9   -
            settle  1 30 1    29    80  0   20  80
            reserve 1 20            80 20    0   -
            settle  1 20 60  -40   140  0  -40 100
            settle  1 0 1     -1   141  0  -41   -
            month   2 new            0  0  100   -
            settle  2 0 200 -200   200  0 -100 100
            ",
        );
    }

    #[test]
    fn a_request_of_an_older_month_is_booked_to_that_month() {
        check(
            100,
            "
            reserve 1 50              0 50   50   -
            month   2 new             0  0  100   -
            reserve 1 10              0  0  100   -
            reserve 2 40              0 40   60   -
            settle  1 50 99   -       0 40   60   -
            month   1 old             0 40   60   -
            settle  2 40 30  10      30  0   70   -
            ",
        );
    }

    #[test]
    fn a_few_months_are_kept() {
        let mut books = Books::new(NanoUsd::new(9), month(1), BTreeMap::new());
        for number in 1..=6 {
            books.on_month(month(number));
            books.on_settled(month(number), NanoUsd::ZERO, NanoUsd::new(number));
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
        books.on_settled(month(1), NanoUsd::ZERO, NanoUsd::new(15));
        assert_eq!(books.alert(), Some(Level::All));
    }
}
