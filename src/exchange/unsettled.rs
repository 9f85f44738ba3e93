//! Responses in the background whose usage was not known when they were booked (rule M3 of
//! reference/responses-inbound.md).

use crate::base::ids::{BudgetId, ProviderId};
use crate::base::period::Period;
use crate::base::spent::Spent;
use crate::base::time::WallTime;
use crate::base::tokens::{Counts, Tokens};
use crate::decide::pricing::{self, Row};
use crate::exchange::attribution::Attribution;
use crate::exchange::principal::Owner;
use crate::link::budget_gate::BudgetGate;
use crate::link::facts::MonthTag;
use crate::link::memory::Memory;
use crate::wire::usage::Usage;

/// A response that was booked by an estimate.
#[derive(Debug)]
pub struct Unsettled {
    /// The id of the request that began it, where that is recorded.
    pub recorded: Option<Box<str>>,
    /// The month in which it was admitted.
    pub month: MonthTag,
    /// Whom it is counted for.
    pub attribution: Attribution,
    /// Whose key asked for it; `None`: there are no keys.
    pub owner: Option<Owner<Box<str>>>,
    /// Its provider.
    pub provider: ProviderId,
    /// The provider's name for the model.
    pub model: Box<str>,
    /// The prices; `None`: nobody knows them.
    pub row: Option<Row>,
    /// The budgets that have paid for it.
    pub budgets: Box<[Paying]>,
    /// What was booked.
    pub booked: Spent,
    /// The tokens that were booked.
    pub counts: Counts,
}

/// A budget that has paid for a response.
#[derive(Debug)]
pub struct Paying {
    /// Its id.
    pub id: BudgetId,
    /// Its words: whether the id is still that budget's is told by them.
    pub gate: BudgetGate,
    /// The period in which it has paid.
    pub period: Period,
}

/// The responses of the whole process, by their ids.
pub type AllUnsettled = Memory<Unsettled>;

/// What a response has used beyond what was booked. A count that was estimated too high stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In sums.
    pub spent: Spent,
    /// By kind of token.
    pub counts: Counts,
}

impl Unsettled {
    /// The difference that `usage` makes, in the month `now`; `None`: the books of its month are
    /// closed.
    #[must_use]
    pub fn difference(&self, usage: &Usage, now: MonthTag) -> Option<Difference> {
        let is_open = now == self.month || now.0 == (self.month.0 + 1) % MONTH_TAGS;
        if !is_open {
            return None;
        }
        let counts = usage.counts();
        let cost = self.row.map(|row| pricing::cost(&counts, &row));
        let used = Spent {
            cost: cost.unwrap_or_default(),
            requests: self.booked.requests,
            prompt_tokens: usage.prompt.get(),
            completion_tokens: usage.completion.get(),
        };
        let more = |used: Tokens, booked| used.saturating_sub(booked);
        Some(Difference {
            spent: used.minus(self.booked),
            counts: Counts {
                input: more(counts.input, self.counts.input),
                cache_read: more(counts.cache_read, self.counts.cache_read),
                cache_write: more(counts.cache_write, self.counts.cache_write),
                cache_write_1h: more(counts.cache_write_1h, self.counts.cache_write_1h),
                output: more(counts.output, self.counts.output),
            },
        })
    }
}

impl Paying {
    /// Whether the books of the period are open at `wall`: until the next one has ended.
    #[must_use]
    pub fn is_open(&self, wall: WallTime) -> bool {
        let now = Period::of(self.period.per(), wall);
        self.period == now || self.period == now.minus(1)
    }
}

/// The tags of months repeat after this number.
const MONTH_TAGS: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::{NanoUsd, Price};

    fn unsettled(month: u8) -> Unsettled {
        Unsettled {
            recorded: None,
            month: MonthTag(month),
            attribution: Attribution::default(),
            owner: None,
            provider: ProviderId(0),
            model: "m".into(),
            row: Some(Row::flat(
                Price::per_million(1_000_000),
                Price::per_million(2_000_000),
            )),
            budgets: Box::default(),
            booked: Spent {
                cost: NanoUsd::new(10),
                requests: 1,
                prompt_tokens: 10,
                completion_tokens: 0,
            },
            counts: Counts {
                input: Tokens::new(10),
                ..Counts::default()
            },
        }
    }

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage {
            prompt: Tokens::new(prompt),
            completion: Tokens::new(completion),
            ..Usage::default()
        }
    }

    #[test]
    fn what_was_used_beyond_the_estimate_is_the_difference() {
        let found = unsettled(3).difference(&usage(12, 5), MonthTag(3));
        let found = found.expect("the books are open");
        let expected = Spent {
            cost: NanoUsd::new(12 + 10 - 10),
            requests: 0,
            prompt_tokens: 2,
            completion_tokens: 5,
        };
        assert_eq!(found.spent, expected);
        assert_eq!(found.counts.input, Tokens::new(2));
        assert_eq!(found.counts.output, Tokens::new(5));
        // What was estimated too high stays: counts never fall.
        let less = unsettled(3).difference(&usage(4, 1), MonthTag(3));
        let less = less.expect("the books are open").spent;
        assert_eq!((less.prompt_tokens, less.cost), (0, NanoUsd::ZERO));
    }

    #[test]
    fn the_books_of_a_budgets_period_stay_open_for_one_more() {
        let day = |text| Period::parse(text).unwrap();
        let is_open = |period, now| {
            let paying = Paying {
                id: BudgetId(0),
                gate: BudgetGate::default(),
                period: day(period),
            };
            paying.is_open(day(now).start())
        };
        for (period, now, expected) in [
            ("2026-11-30", "2026-11-30", true),
            ("2026-11-30", "2026-12-01", true),
            ("2026-11-30", "2026-12-02", false),
            // The tag of this day is the same.
            ("2026-11-30", "2027-01-01", false),
            ("week-2026-11-30", "2026-12-13", true),
            ("week-2026-11-30", "2026-12-14", false),
            ("total", "2026-12-14", true),
        ] {
            assert_eq!(is_open(period, now), expected, "{period} {now}");
        }
    }

    #[test]
    fn the_books_of_a_month_stay_open_for_one_more() {
        let is_open = |month, now| {
            let difference = unsettled(month).difference(&usage(20, 0), MonthTag(now));
            difference.is_some()
        };
        assert!(is_open(3, 3) && is_open(3, 4) && is_open(31, 0));
        assert!(!is_open(3, 5) && !is_open(3, 2) && !is_open(31, 1));
    }
}
