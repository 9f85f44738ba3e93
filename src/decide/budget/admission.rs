//! Whether a budgeted caller's request may be sent, and what is reserved for it.

use crate::base::money::NanoUsd;

/// A budget's state, as its published words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What may be spent in the period.
    pub amount: NanoUsd,
    /// What has been spent, without reservations.
    pub spent: NanoUsd,
    /// What is neither spent nor reserved.
    pub left: NanoUsd,
    /// Whether a capped reservation is under way.
    pub capped: Capped,
}

/// Whether a reservation is less than its request may cost, because no more was left.
///
/// Such a request may exceed the budget. Only one of them is under way at a time, since their
/// excesses would add up. Requests that a budget does not stop are not counted among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capped {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What is reserved for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How much.
    pub amount: NanoUsd,
    /// Whether that is less than the request may cost.
    pub capped: Capped,
}

/// What a request is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The cost of its prompt alone.
    pub prompt: NanoUsd,
    /// The cost of its prompt and its answer.
    pub whole: NanoUsd,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The request may be sent, once this share is taken from the balance.
    Reserve(Share),
    /// The request would exceed the budget, and may not be sent before the period ends.
    RefuseForGood,
    /// The request may be sent later: only reservations of other requests stand in its way.
    RefuseInFlight,
}

/// Decides about a request. If the word changes before the reservation is taken from it, the caller
/// asks again.
#[must_use]
pub fn admit(standing: &Standing, ask: &Ask) -> Admission {
    let Standing {
        amount,
        spent,
        left,
        capped,
    } = *standing;
    let costs = ask.costs();
    let used_up = spent >= amount && costs > NanoUsd::ZERO;
    if used_up || spent > amount || ask.prompt > amount.saturating_sub(spent) {
        return Admission::RefuseForGood;
    }
    // A reservation of nothing would let any number of requests through on the same cent.
    if left < ask.prompt || (left == NanoUsd::ZERO && costs > NanoUsd::ZERO) {
        return Admission::RefuseInFlight;
    }
    if costs <= left {
        return Admission::Reserve(Share {
            amount: costs,
            capped: Capped::No,
        });
    }
    match capped {
        Capped::Yes => Admission::RefuseInFlight,
        Capped::No => Admission::Reserve(Share {
            amount: left,
            capped: Capped::Yes,
        }),
    }
}

/// What is reserved for a request that the budget does not stop.
#[must_use]
pub fn share_of_unstoppable(standing: &Standing, ask: &Ask) -> Share {
    Share {
        amount: ask.costs().min(standing.left),
        capped: Capped::No,
    }
}

impl Ask {
    /// What is reserved for it.
    #[must_use]
    pub fn costs(&self) -> NanoUsd {
        self.whole.max(self.prompt)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Before `;`, the amount amount, what is spent and what is left, and `+` where a capped
    /// reservation is under way; behind it, the costs of the prompt and of the whole request. Then
    /// the verdict.
    fn check(line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |place: usize| NanoUsd::new(words[place].parse().unwrap());
        let standing = Standing {
            amount: number(0),
            spent: number(1),
            left: number(2),
            capped: if words[3] == "+" {
                Capped::Yes
            } else {
                Capped::No
            },
        };
        let ask = Ask {
            prompt: number(4),
            whole: number(5),
        };
        let found = match admit(&standing, &ask) {
            Admission::RefuseForGood => "for-good".to_owned(),
            Admission::RefuseInFlight => "in-flight".to_owned(),
            Admission::Reserve(share) => match share.capped {
                Capped::Yes => format!("capped {}", share.amount.get()),
                Capped::No => format!("all {}", share.amount.get()),
            },
        };
        assert_eq!(found, words[6..].join(" "), "{line}");
    }

    #[test]
    fn a_request_is_judged_by_its_prompt_and_reserves_its_whole_estimate() {
        let script = "
            100   0 100 -   10 50   all 50
            100   0 100 +   10 50   all 50
            100   0 100 -   10  5   all 10
            100  50  50 +   10 50   all 50
            100  80  20 -   10 50   capped 20
            100  90  10 -   10 50   capped 10
            100  80  20 +   10 50   in-flight
            100  90  10 +   10 10   all 10
            100  91   9 -   10 50   for-good
            100  91   9 +   10 50   for-good
            100  80   5 -   10 50   in-flight
            100   0   0 -    0 50   in-flight
            100   0   0 -   10 10   in-flight
            100 100   0 -    0 50   for-good
            100 100   0 -    0  0   all 0
            100 101   0 -    0  0   for-good
              0   0   0 -    1  1   for-good
        ";
        script.trim().lines().for_each(check);
    }

    #[test]
    fn what_is_beyond_all_numbers_is_refused() {
        let most = NanoUsd::new(u64::MAX);
        let standing = Standing {
            amount: most,
            spent: NanoUsd::new(u64::MAX - 1),
            left: NanoUsd::new(1),
            capped: Capped::No,
        };
        let ask = Ask {
            prompt: most,
            whole: most,
        };
        assert_eq!(admit(&standing, &ask), Admission::RefuseForGood);
    }

    proptest! {
        #[test]
        fn never_reserves_more_than_is_left_nor_nothing_for_something(
            standing in prop::array::uniform3(0..200_u64),
            is_capped: bool,
            ask in prop::array::uniform2(0..200_u64),
        ) {
            let [amount, spent, left] = standing.map(NanoUsd::new);
            let [prompt, whole] = ask.map(NanoUsd::new);
            let capped = if is_capped { Capped::Yes } else { Capped::No };
            let standing = Standing { amount, spent, left, capped };
            let ask = Ask { prompt, whole };
            match admit(&standing, &ask) {
                Admission::Reserve(Share { amount, capped }) => {
                    prop_assert!(amount <= left && amount >= prompt);
                    prop_assert!(amount > NanoUsd::ZERO || whole.max(prompt) == NanoUsd::ZERO);
                    prop_assert_eq!(capped == Capped::Yes, amount < whole.max(prompt));
                    prop_assert!(capped == Capped::No || !is_capped);
                }
                Admission::RefuseForGood | Admission::RefuseInFlight => {}
            }
            prop_assert!(share_of_unstoppable(&standing, &ask).amount <= left);
        }
    }
}
