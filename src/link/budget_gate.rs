//! One budget's words: what is left of it in which month, and what has been spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::money::NanoUsd;
use crate::decide::budget::Word;
use crate::link::Padded;
use crate::link::facts::MonthTag;

/// One budget's words; one configuration takes them over from the other.
#[derive(Clone, Debug)]
pub struct BudgetGate(Arc<Words>);

#[derive(Debug)]
struct Words {
    balance: Padded<AtomicU64>,
    /// What has been spent this month, reservations apart.
    spent: AtomicU64,
}

impl Default for BudgetGate {
    /// Nothing is left until the coordinator says so.
    fn default() -> Self {
        let balance = Padded(AtomicU64::new(Word::new(0, 0).to_bits()));
        let spent = AtomicU64::new(0);
        Self(Arc::new(Words { balance, spent }))
    }
}

impl BudgetGate {
    /// Reserves what `decide` makes of what is left and what has been spent: the month that it is
    /// taken from, and the amount.
    ///
    /// # Errors
    ///
    /// `decide` reserves nothing, and says why.
    pub fn reserve<E>(
        &self,
        decide: impl Fn(NanoUsd, NanoUsd) -> Result<NanoUsd, E>,
    ) -> Result<(MonthTag, NanoUsd), E> {
        let mut bits = self.0.balance.0.load(Ordering::Acquire);
        loop {
            let word = Word::from_bits(bits);
            let amount = decide(word.left(), self.spent())?.min(word.left());
            let Some(after) = word.take(amount) else {
                continue;
            };
            let swapped = self.0.balance.0.compare_exchange_weak(
                bits,
                after.to_bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return Ok((MonthTag(word.month()), amount)),
                Err(newer) => bits = newer,
            }
        }
    }

    /// What has been spent this month, reservations apart.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        NanoUsd::new(self.0.spent.load(Ordering::Relaxed))
    }

    /// Changes the balance, if it is of `month`; only the coordinator does.
    pub fn change(&self, month: MonthTag, change: i64, spent: NanoUsd) {
        let changed = |bits| Some(Word::from_bits(bits).changed(month.0, change).to_bits());
        let _ = self
            .0
            .balance
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
        self.0.spent.store(spent.get(), Ordering::Relaxed);
    }

    /// A month begins; only the coordinator calls this.
    pub fn start_month(&self, month: MonthTag, balance: NanoUsd) {
        let balance = i64::try_from(balance.get()).unwrap_or(i64::MAX);
        self.0.spent.store(0, Ordering::Relaxed);
        self.0
            .balance
            .0
            .store(Word::new(month.0, balance).to_bits(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_never_exceed_the_balance() {
        let gate = BudgetGate::default();
        gate.start_month(MonthTag(5), NanoUsd::new(100));
        let ask = |amount| gate.reserve(|_, _| Ok::<_, ()>(NanoUsd::new(amount)));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::new(60))));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::new(40))));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::ZERO)));
        gate.change(MonthTag(5), 30, NanoUsd::new(70));
        let told = gate.reserve(|left, spent| Err((left, spent)));
        assert_eq!(told, Err((NanoUsd::new(30), NanoUsd::new(70))));
        gate.change(MonthTag(4), 99, NanoUsd::new(70));
        assert_eq!(ask(60), Ok((MonthTag(5), NanoUsd::new(30))));
    }
}
