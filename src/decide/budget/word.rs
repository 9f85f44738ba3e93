//! A budget's balance as one word that threads can share.

use crate::base::limits::BUDGET_USD_MAX;
use crate::base::money::NanoUsd;

/// A month's tag and what is neither spent nor reserved in it, in nano-dollars.
///
/// The balance has a sign, because a request may cost more than was reserved for it: what it
/// overdraws stays in the word until it is paid back. A word that stopped at zero would forget how
/// much that was whenever another shard has taken from it in the meantime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    month: u8,
    balance: i64,
}

/// The largest balance that a word has room for, in nano-dollars: about 144 million dollars.
pub const BALANCE_MAX: i64 = (1 << (BALANCE_BITS - 1)) - 1;
const BALANCE_BITS: u32 = 58;
const _: () = assert!(BUDGET_USD_MAX as i64 * 1_000_000_000 <= BALANCE_MAX);

impl Word {
    /// The word of the month with this tag (modulo 64), with a balance that is capped on both
    /// sides.
    #[must_use]
    pub fn new(month: u8, balance: i64) -> Self {
        Self {
            month: month % 64,
            balance: balance.clamp(-BALANCE_MAX, BALANCE_MAX),
        }
    }

    /// Unpacks it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        // The shift to the right is that of a signed number: it brings the sign back.
        let balance = (bits << (64 - BALANCE_BITS)).cast_signed() >> (64 - BALANCE_BITS);
        let month = u8::try_from(bits >> BALANCE_BITS).unwrap_or(0);
        Self { month, balance }
    }

    /// Packs it: six bits of month above 58 bits of balance.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        let mask = (1 << BALANCE_BITS) - 1;
        u64::from(self.month) << BALANCE_BITS | self.balance.cast_unsigned() & mask
    }

    /// The month's tag.
    #[must_use]
    pub fn month(self) -> u8 {
        self.month
    }

    /// What may still be reserved; nothing while the balance is overdrawn.
    #[must_use]
    pub fn left(self) -> NanoUsd {
        NanoUsd::new(self.balance.max(0).unsigned_abs())
    }

    /// The word after `amount` is reserved; `None`: there is not so much left.
    #[must_use]
    pub fn take(self, amount: NanoUsd) -> Option<Self> {
        let amount = (amount <= self.left()).then(|| amount.get().cast_signed())?;
        Some(Self::new(self.month, self.balance - amount))
    }

    /// The word after an order that is about `month`; one about another month changes nothing.
    #[must_use]
    pub fn changed(self, month: u8, change: i64) -> Self {
        if month % 64 != self.month {
            return self;
        }
        Self::new(self.month, self.balance.saturating_add(change))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_overdrawn_word_has_nothing_left_until_it_is_paid_back() {
        let word = Word::new(7, 20).changed(7, -50);
        assert_eq!(
            (word.left(), word.take(NanoUsd::new(1))),
            (NanoUsd::ZERO, None)
        );
        assert_eq!(word.take(NanoUsd::ZERO), Some(word));
        let word = word.changed(8, 1_000).changed(7, 60);
        assert_eq!(word.left(), NanoUsd::new(30));
        assert_eq!(word.take(NanoUsd::new(30)), Some(Word::new(7, 0)));
        assert_eq!(word.take(NanoUsd::new(31)), None);
    }

    #[test]
    fn balances_are_capped_and_not_wrapped() {
        assert_eq!(
            Word::new(0, i64::MAX).changed(0, i64::MAX).left().get(),
            144_115_188_075_855_871
        );
        let deep = Word::new(0, i64::MIN).changed(0, i64::MIN);
        assert_eq!(Word::from_bits(deep.to_bits()), deep);
        assert_eq!(deep.changed(0, BALANCE_MAX).left(), NanoUsd::ZERO);
    }

    proptest! {
        #[test]
        fn is_unpacked_as_it_was_packed(month in 0..64_u8, balance in -BALANCE_MAX..=BALANCE_MAX) {
            let word = Word::new(month, balance);
            prop_assert_eq!(Word::from_bits(word.to_bits()), word);
            let left = balance.max(0).unsigned_abs();
            prop_assert_eq!((word.month(), word.left().get()), (month, left));
        }
    }
}
