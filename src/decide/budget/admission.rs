//! Whether a budgeted caller's request may be sent, and what is reserved for it.

use crate::base::money::NanoUsd;

/// Where a budget stands, as its published words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What may be spent in the month.
    pub monthly: NanoUsd,
    /// What has been spent, reservations apart.
    pub spent: NanoUsd,
    /// What is neither spent nor reserved.
    pub left: NanoUsd,
}

/// What a request is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its prompt alone.
    pub prompt: NanoUsd,
    /// Its prompt and its answer.
    pub whole: NanoUsd,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, once this much is taken from the balance.
    Reserve(NanoUsd),
    /// It would exceed the budget: not before the month ends.
    RefuseForGood,
    /// Only what is reserved for others stands in its way.
    RefuseInFlight,
}

/// Decides about a request. The word may have changed before the reservation is taken from it;
/// then this is asked again.
#[must_use]
pub fn admit(standing: &Standing, ask: &Ask) -> Admission {
    let Standing {
        monthly,
        spent,
        left,
    } = *standing;
    let costs = ask.whole.max(ask.prompt);
    let used_up = spent >= monthly && costs > NanoUsd::ZERO;
    if used_up || spent > monthly || ask.prompt > monthly.saturating_sub(spent) {
        return Admission::RefuseForGood;
    }
    // A reservation of nothing would let any number of requests through on the same cent.
    if left < ask.prompt || (left == NanoUsd::ZERO && costs > NanoUsd::ZERO) {
        return Admission::RefuseInFlight;
    }
    Admission::Reserve(costs.min(left))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check([monthly, spent, left]: [u64; 3], [prompt, whole]: [u64; 2], expected: Admission) {
        let standing = Standing {
            monthly: NanoUsd::new(monthly),
            spent: NanoUsd::new(spent),
            left: NanoUsd::new(left),
        };
        let ask = Ask {
            prompt: NanoUsd::new(prompt),
            whole: NanoUsd::new(whole),
        };
        assert_eq!(admit(&standing, &ask), expected, "{standing:?} {ask:?}");
    }

    #[test]
    fn a_request_is_judged_by_its_prompt_and_reserves_its_whole_estimate() {
        use Admission::{RefuseForGood, RefuseInFlight, Reserve};
        let reserve = |nano| Reserve(NanoUsd::new(nano));
        for (standing, ask, expected) in [
            ([100, 0, 100], [10, 50], reserve(50)),
            // Near the limit, the worst case is capped at what is left.
            ([100, 80, 20], [10, 50], reserve(20)),
            ([100, 90, 10], [10, 50], reserve(10)),
            ([100, 91, 9], [10, 50], RefuseForGood),
            ([100, 80, 5], [10, 50], RefuseInFlight),
            ([100, 0, 0], [0, 50], RefuseInFlight),
            ([100, 0, 0], [10, 10], RefuseInFlight),
            // Used up: nothing that costs anything, but still what is free.
            ([100, 100, 0], [0, 50], RefuseForGood),
            ([100, 100, 0], [0, 0], reserve(0)),
            ([100, 101, 0], [0, 0], RefuseForGood),
            ([0, 0, 0], [1, 1], RefuseForGood),
            ([100, 0, 100], [10, 5], reserve(10)),
            (
                [u64::MAX, u64::MAX - 1, 1],
                [u64::MAX, u64::MAX],
                RefuseForGood,
            ),
        ] {
            check(standing, ask, expected);
        }
    }

    proptest! {
        #[test]
        fn never_reserves_more_than_is_left_nor_nothing_for_something(
            standing in prop::array::uniform3(0..200_u64),
            ask in prop::array::uniform2(0..200_u64),
        ) {
            let [monthly, spent, left] = standing.map(NanoUsd::new);
            let [prompt, whole] = ask.map(NanoUsd::new);
            match admit(&Standing { monthly, spent, left }, &Ask { prompt, whole }) {
                Admission::Reserve(amount) => {
                    prop_assert!(amount <= left && amount >= prompt);
                    prop_assert!(amount > NanoUsd::ZERO || whole.max(prompt) == NanoUsd::ZERO);
                }
                Admission::RefuseForGood | Admission::RefuseInFlight => {}
            }
        }
    }
}
