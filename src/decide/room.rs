//! Which candidates have room for a prompt, as far as the windows of their models are known.

use crate::base::tokens::Tokens;
use crate::decide::eligible::Eligible;

/// The longest prompt, as it is estimated, for which a window has room: the window is at least nine
/// tenths of the estimate, which may be too high.
#[must_use]
pub const fn longest(window: Tokens) -> Tokens {
    Tokens::new(window.get().saturating_mul(10) / 9)
}

/// Those of `eligible` that come first for a prompt of about `prompt` tokens: the candidates whose
/// window has room for it or is not known; all of them where there is none of these.
#[must_use]
pub fn first(
    eligible: &Eligible,
    prompt: Tokens,
    window: impl Fn(usize) -> Option<Tokens>,
) -> Eligible {
    let has_room = |place: &usize| window(*place).is_none_or(|window| prompt <= longest(window));
    let first: Eligible = eligible.iter().filter(has_room).collect();
    if first.is_empty() { *eligible } else { first }
}

/// Those of the first `count` candidates that cannot take a prompt of about `prompt` tokens which
/// was too long for the candidate `overflowed`: all but those whose window is known to be larger
/// than that candidate's (promise `overflow.larger-only`). Where its window is not known, it is
/// taken to be as long as the estimate.
#[must_use]
pub fn too_small(
    count: usize,
    overflowed: usize,
    prompt: Tokens,
    window: impl Fn(usize) -> Option<Tokens>,
) -> Eligible {
    let limit = window(overflowed).unwrap_or(prompt);
    let is_larger = |place: &usize| window(*place).is_some_and(|window| window > limit);
    (0..count).filter(|place| !is_larger(place)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// Windows by candidate, in thousands of tokens; 0: not known.
    fn windows(thousands: &[u64]) -> impl Fn(usize) -> Option<Tokens> {
        move |place| {
            let known = thousands.get(place).filter(|thousands| **thousands > 0);
            known.map(|thousands| Tokens::new(thousands * 1_000))
        }
    }

    fn set(places: &[usize]) -> Eligible {
        places.iter().copied().collect()
    }

    #[test]
    fn who_has_room_or_may_have_comes_first() {
        for (thousands, prompt, eligible, expected) in [
            (&[32, 128, 200][..], 120_000, &[0, 1, 2][..], &[1, 2][..]),
            (&[32, 128, 200], 10_000, &[0, 1, 2], &[0, 1, 2]),
            (&[32, 128, 200], 150_000, &[0, 1, 2], &[2]),
            // Nine tenths of the estimate are enough.
            (&[90, 200], 100_000, &[0, 1], &[0, 1]),
            (&[90, 200], 100_001, &[0, 1], &[1]),
            // What is not known has room.
            (&[0, 32], 120_000, &[0, 1], &[0]),
            (&[0, 0], 120_000, &[0, 1], &[0, 1]),
            // Of those that are left, nobody has room.
            (&[32, 128, 200], 120_000, &[0], &[0]),
            (&[32, 64, 100], 120_000, &[0, 1, 2], &[0, 1, 2]),
            (&[32], 120_000, &[], &[]),
        ] {
            let found = first(&set(eligible), Tokens::new(prompt), windows(thousands));
            assert_eq!(found, set(expected), "{thousands:?} {prompt} {eligible:?}");
        }
    }

    #[test]
    fn after_an_overflow_only_a_window_that_is_known_to_be_larger_counts() {
        for (thousands, overflowed, expected) in [
            (&[32, 128, 200][..], 1, &[0, 1][..]),
            (&[32, 128, 200], 2, &[0, 1, 2]),
            (&[32, 128, 200], 0, &[0]),
            (&[128, 128, 0, 129], 0, &[0, 1, 2]),
            // The candidate's own window is not known: larger than the estimate will do.
            (&[0, 32, 120, 121, 0], 0, &[0, 1, 2, 4]),
        ] {
            let count = thousands.len();
            let found = too_small(count, overflowed, Tokens::new(120_000), windows(thousands));
            assert_eq!(found, set(expected), "{thousands:?} {overflowed}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_lost_and_the_longest_prompt_is_the_border(
            thousands in prop::collection::vec(0..300_u64, 1..20),
            prompt in 0..400_000_u64,
            window in any::<u64>(),
        ) {
            let all = Eligible::first(thousands.len());
            let found = first(&all, Tokens::new(prompt), windows(&thousands));
            prop_assert!(!found.is_empty());
            prop_assert!(found.iter().all(|place| all.contains(place)));
            for place in all.iter().filter(|place| !found.contains(*place)) {
                prop_assert!(thousands[place] * 1_000 * 10 < prompt * 9);
            }
            let longest = u128::from(longest(Tokens::new(window)).get());
            let exact = u128::from(window) * 10 / 9;
            prop_assert_eq!(longest, exact.min(u128::from(u64::MAX / 9)));
        }
    }
}
