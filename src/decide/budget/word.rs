//! The two words of a budget, which threads share: what is left of it, and what is spent.

use crate::base::limits::BUDGET_USD_MAX;
use crate::base::money::NanoUsd;
use crate::decide::budget::{Capped, Share};

/// A period's tag, what is neither spent nor reserved in it, in nano-dollars, and whether a capped
/// reservation is under way.
///
/// The balance has a sign, because a request may cost more than was reserved for it: the overdrawn
/// amount stays in the word until it is paid back. A word that stopped at zero would forget that
/// amount whenever another shard has taken from it in the meantime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    period: u8,
    capped: Capped,
    balance: i64,
}

/// A period's tag, and what is spent in it, in nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentWord {
    period: u8,
    spent: u64,
}

/// The largest balance that a word has room for, in nano-dollars: about 144 million dollars.
const BALANCE_MAX: i64 = (1 << (BALANCE_BITS - 1)) - 1;
const BALANCE_BITS: u32 = 58;
const CAPPED_BIT: u64 = 1 << BALANCE_BITS;
/// Five bits are left for the period's tag.
const TAG_SHIFT: u32 = BALANCE_BITS + 1;
const TAGS: u8 = 32;
const _: () = assert!(64 - TAG_SHIFT == TAGS.trailing_zeros());
const _: () = assert!(BUDGET_USD_MAX as i64 * 1_000_000_000 <= BALANCE_MAX);
/// The most that a word can say is spent, in nano-dollars: about 576 million dollars.
const SPENT_MAX: u64 = (1 << TAG_SHIFT) - 1;

impl Word {
    /// The word of the period with this tag (modulo 32), with the balance capped at both bounds,
    /// and no capped reservation.
    #[must_use]
    pub fn new(period: u8, balance: i64) -> Self {
        Self {
            period: period % TAGS,
            capped: Capped::No,
            balance: balance.clamp(-BALANCE_MAX, BALANCE_MAX),
        }
    }

    /// Unpacks it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        // The shift to the right is that of a signed number: it restores the sign.
        let balance = (bits << (64 - BALANCE_BITS)).cast_signed() >> (64 - BALANCE_BITS);
        let capped = if bits & CAPPED_BIT == 0 {
            Capped::No
        } else {
            Capped::Yes
        };
        Self {
            period: tag_of(bits),
            capped,
            balance,
        }
    }

    /// Packs it: five bits of tag and one that says whether a capped reservation is under way,
    /// above 58 bits of balance.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        let capped = match self.capped {
            Capped::Yes => CAPPED_BIT,
            Capped::No => 0,
        };
        let balance = self.balance.cast_unsigned() & (CAPPED_BIT - 1);
        u64::from(self.period) << TAG_SHIFT | capped | balance
    }

    /// The period's tag.
    #[must_use]
    pub fn period(self) -> u8 {
        self.period
    }

    /// The balance; below zero while it is overdrawn.
    #[must_use]
    pub fn balance(self) -> i64 {
        self.balance
    }

    /// What may still be reserved; nothing while the balance is overdrawn.
    #[must_use]
    pub fn left(self) -> NanoUsd {
        NanoUsd::new(self.balance.max(0).unsigned_abs())
    }

    /// Whether a capped reservation is under way.
    #[must_use]
    pub fn capped(self) -> Capped {
        self.capped
    }

    /// The word after `share` is reserved; [`admit`](crate::decide::budget::admit) has allowed that
    /// share for this word.
    #[must_use]
    pub fn take(self, share: Share) -> Self {
        debug_assert!(share.amount <= self.left(), "{share:?} of {self:?}");
        debug_assert!(
            (self.capped, share.capped) != (Capped::Yes, Capped::Yes),
            "{self:?}"
        );
        let capped = match share.capped {
            Capped::Yes => Capped::Yes,
            Capped::No => self.capped,
        };
        Self {
            capped,
            // The share is no more than is left, so the balance stays in bounds.
            balance: self.balance - share.amount.get().cast_signed(),
            ..self
        }
    }

    /// The word after a request of `period`, for which `share` was reserved, has cost `cost`: an
    /// unused part of the share comes back, and an excess is taken. `None`: the word belongs to
    /// another period.
    #[must_use]
    pub fn settled(self, period: u8, share: Share, cost: NanoUsd) -> Option<Self> {
        if period % TAGS != self.period {
            return None;
        }
        let balance = self.balance.saturating_add(signed(share.amount));
        let capped = match share.capped {
            Capped::Yes => Capped::No,
            Capped::No => self.capped,
        };
        Some(Self {
            capped,
            ..self.with(balance.saturating_sub(signed(cost)))
        })
    }

    /// The word after an order for `period`; an order for another period changes nothing.
    #[must_use]
    pub fn changed(self, period: u8, change: i64) -> Self {
        if period % TAGS != self.period {
            return self;
        }
        self.with(self.balance.saturating_add(change))
    }

    fn with(self, balance: i64) -> Self {
        Self {
            balance: balance.clamp(-BALANCE_MAX, BALANCE_MAX),
            ..self
        }
    }
}

impl SpentWord {
    /// The word of the period with this tag (modulo 32).
    #[must_use]
    pub fn new(period: u8, spent: NanoUsd) -> Self {
        Self {
            period: period % TAGS,
            spent: spent.get().min(SPENT_MAX),
        }
    }

    /// Unpacks it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self {
            period: tag_of(bits),
            spent: bits & SPENT_MAX,
        }
    }

    /// Packs it: five bits of tag above what is spent.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.period) << TAG_SHIFT | self.spent
    }

    /// What is spent.
    #[must_use]
    pub fn spent(self) -> NanoUsd {
        NanoUsd::new(self.spent)
    }

    /// The word after `cost` is spent in `period`; `None`: the word belongs to another period.
    #[must_use]
    pub fn plus(self, period: u8, cost: NanoUsd) -> Option<Self> {
        let spent = NanoUsd::new(self.spent).saturating_add(cost);
        (period % TAGS == self.period).then(|| Self::new(period, spent))
    }
}

fn signed(amount: NanoUsd) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

fn tag_of(bits: u64) -> u8 {
    u8::try_from(bits >> TAG_SHIFT).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(amount: u64, capped: Capped) -> Share {
        let amount = NanoUsd::new(amount);
        Share { amount, capped }
    }

    #[test]
    fn an_overdrawn_word_has_nothing_left_until_it_is_paid_back() {
        let plain = |amount| share(amount, Capped::No);
        let word = Word::new(7, 20).changed(7, -50);
        assert_eq!((word.left(), word.take(plain(0))), (NanoUsd::ZERO, word));
        let word = word.changed(8, 1_000).changed(7, 60);
        assert_eq!(word.left(), NanoUsd::new(30));
        assert_eq!(word.take(plain(30)), Word::new(7, 0));
    }

    #[test]
    fn one_capped_reservation_is_under_way_at_a_time() {
        let (capped, plain) = (share(20, Capped::Yes), share(5, Capped::No));
        let word = Word::new(7, 30).take(capped);
        assert_eq!((word.left().get(), word.capped()), (10, Capped::Yes));
        let word = word.take(plain);
        // Other requests end, the balance changes, a request of another period ends: the capped one
        // is still under way.
        let word = word.settled(7, plain, NanoUsd::new(9)).unwrap();
        assert_eq!((word.left().get(), word.capped()), (1, Capped::Yes));
        assert_eq!(word.changed(7, 5).capped(), Capped::Yes);
        assert_eq!(word.settled(6, capped, NanoUsd::ZERO), None);
        let word = word.settled(7, capped, NanoUsd::new(24)).unwrap();
        assert_eq!((word, word.capped()), (Word::new(7, -3), Capped::No));
    }

    #[test]
    fn amounts_are_cut_off_and_not_wrapped() {
        assert_eq!(
            Word::new(0, i64::MAX).changed(0, i64::MAX).left().get(),
            144_115_188_075_855_871
        );
        let deep = Word::new(0, i64::MIN).changed(0, i64::MIN);
        assert_eq!(Word::from_bits(deep.to_bits()), deep);
        assert_eq!(deep.changed(0, BALANCE_MAX).left(), NanoUsd::ZERO);
        let nothing = share(0, Capped::No);
        let most = NanoUsd::new(u64::MAX);
        assert_eq!(deep.settled(0, nothing, most), Some(deep));
        let all = SpentWord::new(31, most).plus(31, most).unwrap();
        assert_eq!(SpentWord::from_bits(all.to_bits()), all);
        assert_eq!((all.plus(30, most), all.spent().get()), (None, SPENT_MAX));
    }

    proptest! {
        #[test]
        fn is_unpacked_as_it_was_packed(
            period in 0..32_u8,
            balance in -BALANCE_MAX..=BALANCE_MAX,
            is_capped: bool,
            spent in 0..=SPENT_MAX,
        ) {
            let capped = if is_capped { Capped::Yes } else { Capped::No };
            let word = Word { capped, ..Word::new(period, balance) };
            prop_assert_eq!(Word::from_bits(word.to_bits()), word);
            let left = balance.max(0).unsigned_abs();
            prop_assert_eq!((word.period(), word.left().get()), (period, left));
            let word = SpentWord::new(period, NanoUsd::new(spent));
            prop_assert_eq!(SpentWord::from_bits(word.to_bits()), word);
        }
    }
}
