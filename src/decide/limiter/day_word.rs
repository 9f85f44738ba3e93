//! The word of a limit per day, which threads share: what is left of it.

/// A day's tag, and what is left of the limit in it.
///
/// What is left has a sign, because a request may use more tokens than were taken for it, and a
/// limit that is not enforced is exceeded: the amount that is owed stays in the word until it is
/// given back, or the day ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayWord {
    day: u8,
    left: i64,
}

/// The most that a word can say is left, or owed: about 2.8 × 10^17.
const LEFT_MAX: i64 = (1 << (LEFT_BITS - 1)) - 1;
const LEFT_BITS: u32 = 59;
const LEFT_MASK: u64 = (1 << LEFT_BITS) - 1;
const TAGS: u8 = 32;
/// The tag has the other five bits.
const _: () = assert!(64 - LEFT_BITS == TAGS.trailing_zeros());

impl DayWord {
    /// The word of the day with this tag (modulo 32), with what is left cut off at both bounds.
    #[must_use]
    pub fn new(day: u8, left: i64) -> Self {
        Self {
            day: day % TAGS,
            left: left.clamp(-LEFT_MAX, LEFT_MAX),
        }
    }

    /// Unpacks it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        // The shift to the right is that of a signed number: it restores the sign.
        let left = (bits << (64 - LEFT_BITS)).cast_signed() >> (64 - LEFT_BITS);
        let day = u8::try_from(bits >> LEFT_BITS).unwrap_or(0);
        Self { day, left }
    }

    /// Packs it: five bits of tag above 59 bits of what is left.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.day) << LEFT_BITS | self.left.cast_unsigned() & LEFT_MASK
    }

    /// The day's tag.
    #[must_use]
    pub fn day(self) -> u8 {
        self.day
    }

    /// What is left; below zero while the day is overdrawn.
    #[must_use]
    pub fn left(self) -> i64 {
        self.left
    }

    /// Whether this much is left.
    #[must_use]
    pub fn has(self, amount: u64) -> bool {
        self.left >= signed(amount)
    }

    /// The word after `amount` is taken, whether or not it is left: who enforces the limit asks
    /// [`Self::has`] first.
    #[must_use]
    pub fn take(self, amount: u64) -> Self {
        self.plus(signed(amount).saturating_neg())
    }

    /// The word after a request, for which `taken` was taken on the day with this tag, has used
    /// `used`: what was not used comes back, and an excess is taken. `None`: the word belongs to
    /// another day.
    #[must_use]
    pub fn settled(self, day: u8, taken: u64, used: u64) -> Option<Self> {
        self.changed(day, signed(taken).saturating_sub(signed(used)))
    }

    /// The word after a change of the day with this tag. `None`: the word belongs to another day.
    #[must_use]
    pub fn changed(self, day: u8, change: i64) -> Option<Self> {
        (day % TAGS == self.day).then(|| self.plus(change))
    }

    fn plus(self, change: i64) -> Self {
        Self::new(self.day, self.left.saturating_add(change))
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_small_word_does_what_plain_numbers_do() {
        for (day, left) in (0..TAGS).flat_map(|day| (-4..=4).map(move |left| (day, left))) {
            let word = DayWord::new(day, left);
            assert_eq!(DayWord::from_bits(word.to_bits()), word);
            assert_eq!(DayWord::new(day + TAGS, left), word);
            assert_eq!((word.day(), word.left()), (day, left));
            for amount in 0..=5_u64 {
                let number = amount.cast_signed();
                assert_eq!(word.has(amount), left >= number, "{word:?} {amount}");
                assert_eq!(word.take(amount), DayWord::new(day, left - number));
                for used in 0..=5_u64 {
                    let settled = DayWord::new(day, left + number - used.cast_signed());
                    assert_eq!(word.settled(day, amount, used), Some(settled));
                    assert_eq!(word.settled(day + TAGS, amount, used), Some(settled));
                }
            }
            for other in (0..TAGS).filter(|other| *other != day) {
                assert_eq!(word.settled(other, 5, 0), None);
                assert_eq!(word.changed(other, 5), None);
            }
        }
    }

    #[test]
    fn amounts_are_cut_off_and_not_wrapped() {
        let most = DayWord::new(31, i64::MAX);
        assert_eq!(DayWord::from_bits(most.to_bits()), most);
        assert_eq!(most.changed(31, i64::MAX), Some(most));
        assert!(!most.has(u64::MAX));
        let least = most.take(u64::MAX).take(u64::MAX);
        assert_eq!(least, DayWord::new(31, i64::MIN));
        assert_eq!(DayWord::from_bits(least.to_bits()), least);
        assert_eq!(least.settled(31, 0, u64::MAX), Some(least));
        assert_eq!((least.left(), least.has(0)), (-LEFT_MAX, false));
    }

    proptest! {
        #[test]
        fn is_unpacked_as_it_was_packed(day in 0..TAGS, left in -LEFT_MAX..=LEFT_MAX) {
            let word = DayWord::new(day, left);
            prop_assert_eq!(DayWord::from_bits(word.to_bits()), word);
            prop_assert_eq!((word.day(), word.left()), (day, left));
        }

        /// Requests come and go over several days, and limits change.
        #[test]
        fn a_word_says_what_a_plain_model_says(
            limit in 0..60_i64,
            steps in prop::collection::vec((0..8_u8, 0..40_u64, 0..40_u64), 1..80),
        ) {
            let (mut day, mut left) = (30_u8, limit);
            let mut bits = DayWord::new(day, left).to_bits();
            let mut under_way: Vec<(u8, u64)> = Vec::new();
            for (step, amount, used) in steps {
                let word = DayWord::from_bits(bits);
                let next = match (step, under_way.pop()) {
                    (0, _) => {
                        (day, left) = (day + 1, limit);
                        Some(DayWord::new(day, left))
                    }
                    (1, _) => {
                        left += amount.cast_signed();
                        word.changed(day % TAGS, amount.cast_signed())
                    }
                    (2..5, Some((of, taken))) => {
                        if of == day {
                            left += taken.cast_signed() - used.cast_signed();
                        }
                        word.settled(of % TAGS, taken, used)
                    }
                    (_, last) => {
                        under_way.extend(last);
                        prop_assert_eq!(word.has(amount), left >= amount.cast_signed());
                        word.has(amount).then(|| {
                            under_way.push((day, amount));
                            left -= amount.cast_signed();
                            word.take(amount)
                        })
                    }
                };
                bits = next.unwrap_or(word).to_bits();
                let word = DayWord::from_bits(bits);
                prop_assert_eq!((word.day(), word.left()), (day % TAGS, left));
            }
        }
    }
}
