//! One budget's words: what is left of it in the running period, and what has been spent.

use crate::link::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::decide::budget::{Capped, Share, SpentWord, Standing, Word};
use crate::link::Padded;
use crate::link::lease::BudgetLease;
use crate::link::origin::Origin;

/// One budget's words; each new configuration takes them over.
///
/// Shards reserve, and settle when a request ends; the coordinator starts periods and changes the
/// balance when a reload changes the amount. Each word carries its period, so that a change for
/// another period has no effect on it.
#[derive(Clone, Debug)]
pub struct BudgetGate {
    words: Arc<Padded<Words>>,
    /// Its lease, where the instance does not have all of the budget.
    lease: Option<Arc<Padded<BudgetLease>>>,
}

#[derive(Debug)]
struct Words {
    balance: AtomicU64,
    /// What has been spent this period, without reservations.
    spent: AtomicU64,
    /// Requests that were refused for good, or served with another model.
    refusals: AtomicU64,
    /// In which period and at which amount one was last reported; 0: none was.
    reported: AtomicU64,
}

/// What was taken from a budget's words for one request. Its holder must settle it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The period whose balance it is taken from.
    pub period: PeriodTag,
    /// The share that is taken.
    pub share: Share,
}

impl Default for Reserved {
    /// Nothing.
    fn default() -> Self {
        let share = Share {
            amount: NanoUsd::ZERO,
            capped: Capped::No,
        };
        let period = PeriodTag(0);
        Self { period, share }
    }
}

impl Default for BudgetGate {
    /// Nothing is left until the coordinator publishes a balance.
    fn default() -> Self {
        let words = Words {
            balance: AtomicU64::new(Word::new(0, 0).to_bits()),
            spent: AtomicU64::new(SpentWord::new(0, NanoUsd::ZERO).to_bits()),
            refusals: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        };
        Self {
            words: Arc::new(Padded(words)),
            lease: None,
        }
    }
}

impl BudgetGate {
    /// Reserves `costs` where there is nothing to decide: the instance has all of the budget, and
    /// that much of it is neither spent nor reserved, so that every decision would be the same.
    /// `None`: a decision is needed.
    #[inline]
    #[must_use]
    pub fn reserve_plainly(&self, costs: NanoUsd) -> Option<Reserved> {
        if self.lease.is_some() || costs == NanoUsd::ZERO {
            return None;
        }
        let share = Share {
            amount: costs,
            capped: Capped::No,
        };
        let take = |bits| {
            let word = Word::from_bits(bits);
            (word.left() >= costs).then(|| word.take(share).to_bits())
        };
        let balance = &self.words.0.balance;
        let before = balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        let period = PeriodTag(Word::from_bits(before.ok()?).period());
        Some(Reserved { period, share })
    }

    /// Reserves the share that `decide` returns for the budget's standing; `amount` is a period's.
    ///
    /// # Errors
    ///
    /// `decide` refuses: its error is returned, and nothing is reserved.
    pub fn reserve<E>(
        &self,
        amount: NanoUsd,
        decide: impl Fn(&Standing) -> Result<Share, E>,
    ) -> Result<Reserved, E> {
        let balance = &self.words.0.balance;
        let mut bits = balance.load(Ordering::Acquire);
        loop {
            let word = Word::from_bits(bits);
            let share = decide(&self.seen(word, amount))?;
            let share = Share {
                amount: share.amount.min(word.left()),
                ..share
            };
            let swapped = balance.compare_exchange_weak(
                bits,
                word.take(share).to_bits(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => {
                    let period = PeriodTag(word.period());
                    return Ok(Reserved { period, share });
                }
                Err(newer) => bits = newer,
            }
        }
    }

    /// How the budget stands, of which `amount` is a period's.
    #[must_use]
    pub fn standing(&self, amount: NanoUsd) -> Standing {
        let bits = self.words.0.balance.load(Ordering::Acquire);
        self.seen(Word::from_bits(bits), amount)
    }

    /// How the budget stands with this balance.
    fn seen(&self, balance: Word, amount: NanoUsd) -> Standing {
        Standing {
            amount,
            // Read after the balance: an amount that has come back to the balance was added to
            // what is spent before that.
            spent: self.spent_by_all(),
            left: balance.left(),
            capped: match self.lease() {
                // Another instance may have a request that may exceed the budget.
                Some(lease) if !lease.may_exceed() => Capped::Yes,
                Some(_) | None => balance.capped(),
            },
        }
    }

    /// A request has ended and cost this much: its reservation comes back, and its cost is spent. A
    /// request of a former period changes nothing.
    pub fn settle(&self, reserved: &Reserved, cost: NanoUsd) {
        let Words { balance, spent, .. } = &self.words.0;
        let Reserved { period, share } = *reserved;
        // The spent word changes first: a thread that sees the new balance then also sees the cost
        // as spent.
        let spend = |bits| Some(SpentWord::from_bits(bits).plus(period.0, cost)?.to_bits());
        let _ = spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, spend);
        let settle = |bits| {
            Some(
                Word::from_bits(bits)
                    .settled(period.0, share, cost)?
                    .to_bits(),
            )
        };
        let _ = balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, settle);
    }

    /// This much is spent for which nothing was reserved.
    pub fn spend(&self, period: PeriodTag, cost: NanoUsd) {
        let nothing = Reserved {
            period,
            ..Reserved::default()
        };
        self.settle(&nothing, cost);
    }

    /// The same words, of which the instance has all or a part.
    #[must_use]
    pub fn of(&self, origin: Origin) -> Self {
        let lease = match origin {
            Origin::Own => None,
            Origin::Leased => Some(self.lease.clone().unwrap_or_default()),
        };
        Self {
            lease,
            ..self.clone()
        }
    }

    /// Where its quota comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        if self.lease.is_some() {
            Origin::Leased
        } else {
            Origin::Own
        }
    }

    /// Its lease, where the instance has a part of it only.
    #[must_use]
    pub fn lease(&self) -> Option<&BudgetLease> {
        Some(&self.lease.as_ref()?.0)
    }

    /// What has been spent this period by all instances, as far as is known, without reservations.
    #[must_use]
    pub fn spent_by_all(&self) -> NanoUsd {
        let others = self.lease().map_or(0, |one| one.lease.elsewhere());
        self.spent().saturating_add(NanoUsd::new(others))
    }

    /// The part of [`Self::spent_by_all`] that instances which have died had leased, and did not
    /// tell to be spent.
    #[must_use]
    pub fn lost(&self) -> NanoUsd {
        NanoUsd::new(self.lease().map_or(0, BudgetLease::lost))
    }

    /// Changes the balance of the period that it is of; returns what the word holds then. Only the
    /// coordinator calls this.
    pub fn change_part(&self, change: i64) -> i64 {
        let changed = |bits| {
            let word = Word::from_bits(bits);
            Some(word.changed(word.period(), change).to_bits())
        };
        let balance = &self.words.0.balance;
        let _ = balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
        self.held()
    }

    /// What the word holds: the instance's part less what is spent and reserved.
    #[must_use]
    pub fn held(&self) -> i64 {
        Word::from_bits(self.words.0.balance.load(Ordering::Acquire)).balance()
    }

    /// Whether the instance's part is too small for a request that reserves `costs`.
    #[must_use]
    pub fn lacks(&self, costs: NanoUsd) -> bool {
        Word::from_bits(self.words.0.balance.load(Ordering::Acquire)).left() < costs
    }

    /// Whether a request that may exceed the budget is under way.
    #[must_use]
    pub fn has_capped(&self) -> bool {
        let word = Word::from_bits(self.words.0.balance.load(Ordering::Acquire));
        word.capped() == Capped::Yes
    }

    /// Whether these are the same words, and so those of the same budget.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.words, &other.words)
    }

    /// Counts a request that is refused for good, or served with another model; returns whether it
    /// is the first one of the running period with this `amount`.
    #[must_use]
    pub fn count_refusal(&self, amount: NanoUsd) -> bool {
        let Words {
            refusals,
            reported,
            balance,
            ..
        } = &self.words.0;
        refusals.fetch_add(1, Ordering::Relaxed);
        let period = Word::from_bits(balance.load(Ordering::Acquire)).period();
        let mark = (amount.get().rotate_left(u8::BITS) ^ u64::from(period)) | MARK;
        reported.load(Ordering::Relaxed) != mark && reported.swap(mark, Ordering::Relaxed) != mark
    }

    /// Requests that were refused for good, or served with another model.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.words.0.refusals.load(Ordering::Relaxed)
    }

    /// What has been spent this period, without reservations.
    #[must_use]
    pub fn spent(&self) -> NanoUsd {
        SpentWord::from_bits(self.words.0.spent.load(Ordering::Acquire)).spent()
    }

    /// Changes the balance, if it is that of `period`; only the coordinator calls this.
    pub fn change(&self, period: PeriodTag, change: i64) {
        let changed = |bits| Some(Word::from_bits(bits).changed(period.0, change).to_bits());
        let balance = &self.words.0.balance;
        let _ = balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
    }

    /// Begins a period with this balance, and this much spent; only the coordinator calls this.
    /// Requests under way belong to the period before.
    pub fn begin(&self, period: PeriodTag, balance: i64, spent: NanoUsd) {
        let words = &self.words.0;
        // The models of interleavings know an order of swaps alone, and none of stores among them.
        let spent = SpentWord::new(period.0, spent);
        words.spent.swap(spent.to_bits(), Ordering::AcqRel);
        let balance = Word::new(period.0, balance);
        words.balance.swap(balance.to_bits(), Ordering::AcqRel);
    }
}

/// Tells a mark from none.
const MARK: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    const AMOUNT: NanoUsd = NanoUsd::new(100);

    fn share(amount: u64, capped: Capped) -> Share {
        let amount = NanoUsd::new(amount);
        Share { amount, capped }
    }

    fn gate() -> BudgetGate {
        let gate = BudgetGate::default();
        gate.begin(PeriodTag(5), 100, NanoUsd::ZERO);
        gate
    }

    fn ask(gate: &BudgetGate, amount: u64) -> Reserved {
        let share = share(amount, Capped::No);
        gate.reserve(AMOUNT, |_| Ok::<_, ()>(share)).unwrap()
    }

    /// What is left and what is spent.
    fn read(gate: &BudgetGate) -> (u64, u64) {
        let told = gate.reserve(AMOUNT, |now| Err((now.left.get(), now.spent.get())));
        told.unwrap_err()
    }

    #[test]
    fn reservations_never_exceed_the_balance() {
        let gate = gate();
        let amounts = [60, 60, 60].map(|amount| ask(&gate, amount).share.amount.get());
        assert_eq!(amounts, [60, 40, 0]);
        gate.change(PeriodTag(5), 30);
        assert_eq!(read(&gate), (30, 0));
        gate.change(PeriodTag(4), 99);
        assert_eq!(ask(&gate, 60).share.amount.get(), 30);
    }

    #[test]
    fn whoever_settles_finds_it_in_force() {
        let gate = gate();
        let [first, second] = [60, 30].map(|amount| ask(&gate, amount));
        gate.settle(&first, NanoUsd::new(20));
        assert_eq!(read(&gate), (50, 20));
        gate.settle(&second, NanoUsd::new(70));
        assert_eq!(read(&gate), (10, 90));
        let third = ask(&gate, 10);
        gate.settle(&third, NanoUsd::new(45));
        assert_eq!(read(&gate), (0, 135));
        // The overdrawn amount is paid back first.
        gate.change(PeriodTag(5), 50);
        assert_eq!(read(&gate), (15, 135));
    }

    #[test]
    fn a_request_of_a_former_month_changes_no_word() {
        let gate = gate();
        let capped = share(100, Capped::Yes);
        let old = gate.reserve(AMOUNT, |_| Ok::<_, ()>(capped)).unwrap();
        gate.begin(PeriodTag(6), 90, NanoUsd::new(10));
        gate.settle(&old, NanoUsd::new(500));
        assert_eq!(read(&gate), (90, 10));
        // An ordinary reservation neither takes nor gives back the right to exceed the budget.
        let new = gate.reserve(AMOUNT, |now| {
            assert_eq!(now.capped, Capped::No);
            Ok::<_, ()>(share(90, Capped::Yes))
        });
        gate.settle(&old, NanoUsd::ZERO);
        assert_eq!(
            gate.reserve(AMOUNT, |now| Err(now.capped)),
            Err(Capped::Yes)
        );
        gate.settle(&new.unwrap(), NanoUsd::ZERO);
        assert_eq!(gate.reserve(AMOUNT, |now| Err(now.capped)), Err(Capped::No));
    }

    #[test]
    fn the_first_refusal_of_a_period_and_an_amount_is_told() {
        let gate = BudgetGate::default();
        let mut told = Vec::new();
        for (period, amount) in [(5, 9), (5, 9), (5, 8), (6, 8), (6, 8), (6, 0), (7, 0)] {
            gate.begin(PeriodTag(period), 0, NanoUsd::ZERO);
            told.push(gate.count_refusal(NanoUsd::new(amount)));
        }
        assert_eq!(told, [true, false, true, true, false, true, true]);
        assert_eq!(gate.refusals(), 7);
    }

    #[test]
    fn threads_that_reserve_and_settle_leave_what_they_have_not_spent() {
        let gate = BudgetGate::default();
        gate.begin(PeriodTag(5), 1_000_000, NanoUsd::ZERO);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..2_000 {
                        let reserved = ask(&gate, 90);
                        gate.settle(&reserved, NanoUsd::new(turn % 100));
                    }
                });
            }
        });
        let spent = 4 * 20 * (0..100).sum::<u64>();
        assert_eq!(read(&gate), (1_000_000 - spent, spent));
    }
}
