//! One budget's words: what is left of it, and of which month.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::money::NanoUsd;
use crate::link::Padded;
use crate::link::facts::MonthTag;

/// One budget's words.
#[derive(Debug)]
pub struct BudgetGate {
    /// The month in the upper 6 bits, nano-dollars that may still be reserved in the lower 58.
    balance: Padded<AtomicU64>,
    /// What has been spent this month, reservations apart.
    spent: AtomicU64,
}

const MONTH_SHIFT: u32 = 58;
/// The largest balance: about 288 million dollars.
pub const BALANCE_MAX: u64 = (1 << MONTH_SHIFT) - 1;

impl BudgetGate {
    /// A budget with this balance.
    #[must_use]
    pub fn new(month: MonthTag, balance: NanoUsd, spent: NanoUsd) -> Self {
        Self {
            balance: Padded(AtomicU64::new(word(month, balance.get()))),
            spent: AtomicU64::new(spent.get()),
        }
    }

    /// The month, what may still be reserved in it, and what has been spent.
    #[must_use]
    pub fn read(&self) -> (MonthTag, NanoUsd, NanoUsd) {
        let word = self.balance.0.load(Ordering::Acquire);
        let spent = NanoUsd::new(self.spent.load(Ordering::Relaxed));
        (month_of(word), NanoUsd::new(word & BALANCE_MAX), spent)
    }

    /// Reserves what `decide` makes of the balance; the month and the amount. `Err`: what `decide`
    /// says instead.
    ///
    /// # Errors
    ///
    /// `decide` reserves nothing.
    pub fn reserve<E>(
        &self,
        decide: impl Fn(NanoUsd, NanoUsd) -> Result<NanoUsd, E>,
    ) -> Result<(MonthTag, NanoUsd), E> {
        loop {
            let word_before = self.balance.0.load(Ordering::Acquire);
            let balance = word_before & BALANCE_MAX;
            let spent = NanoUsd::new(self.spent.load(Ordering::Relaxed));
            let amount = decide(NanoUsd::new(balance), spent)?.get().min(balance);
            let after = word_before - amount;
            let swapped = self.balance.0.compare_exchange_weak(
                word_before,
                after,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if swapped.is_ok() {
                return Ok((month_of(word_before), NanoUsd::new(amount)));
            }
        }
    }

    /// Changes the balance, if the word is of `month`; only the coordinator does. What a negative
    /// change could not be taken from is returned: the coordinator keeps it as a debt.
    pub fn change(&self, month: MonthTag, change: i64, spent: NanoUsd) -> u64 {
        let mut missing = 0;
        let _ = self
            .balance
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| {
                missing = 0;
                if month_of(before) != month {
                    return None;
                }
                let balance = before & BALANCE_MAX;
                let after = if change >= 0 {
                    balance
                        .saturating_add(change.unsigned_abs())
                        .min(BALANCE_MAX)
                } else {
                    missing = change.unsigned_abs().saturating_sub(balance);
                    balance.saturating_sub(change.unsigned_abs())
                };
                Some(word(month, after))
            });
        self.spent.store(spent.get(), Ordering::Relaxed);
        missing
    }

    /// A new month begins; only the coordinator calls this.
    pub fn start_month(&self, month: MonthTag, balance: NanoUsd) {
        self.spent.store(0, Ordering::Relaxed);
        self.balance
            .0
            .store(word(month, balance.get()), Ordering::Release);
    }
}

fn word(month: MonthTag, balance: u64) -> u64 {
    u64::from(month.0 & 63) << MONTH_SHIFT | balance.min(BALANCE_MAX)
}

fn month_of(word: u64) -> MonthTag {
    MonthTag(u8::try_from(word >> MONTH_SHIFT).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_never_exceed_the_balance() {
        let gate = BudgetGate::new(MonthTag(5), NanoUsd::new(100), NanoUsd::new(7));
        let ask = |amount| gate.reserve(|_, _| Ok::<_, ()>(NanoUsd::new(amount)));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::new(60))));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::new(40))));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::ZERO)));
        assert_eq!(
            gate.reserve(|left, spent| Err((left, spent))),
            Err((NanoUsd::ZERO, NanoUsd::new(7)))
        );
    }

    #[test]
    fn a_change_of_another_month_is_no_change() {
        let gate = BudgetGate::new(MonthTag(63), NanoUsd::new(100), NanoUsd::ZERO);
        assert_eq!(gate.change(MonthTag(62), 50, NanoUsd::ZERO), 0);
        assert_eq!(gate.change(MonthTag(63), -130, NanoUsd::new(130)), 30);
        assert_eq!(
            gate.read(),
            (MonthTag(63), NanoUsd::ZERO, NanoUsd::new(130))
        );
        gate.start_month(MonthTag(0), NanoUsd::new(9));
        assert_eq!(gate.read(), (MonthTag(0), NanoUsd::new(9), NanoUsd::ZERO));
    }
}
