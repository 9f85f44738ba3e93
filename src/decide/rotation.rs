//! Strict weighted rotation: an order computed once, and a ticket that says whose turn it is.

use crate::decide::eligible::Eligible;

/// The order in which a route's candidates take turns.
///
/// Over one round each candidate occurs as often as its weight says, spread as evenly as can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Weights without their common divisor.
    weights: Box<[u32]>,
    /// One round of turns; empty where all weights are equal: then the candidates take turns in
    /// order.
    round: Box<[u16]>,
    /// Turns in a round.
    turns: u64,
}

impl Rotation {
    /// The rotation of candidates with these weights; a weight of 0 counts as 1.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let raised = weights.iter().map(|&weight| weight.max(1));
        let divisor = raised.clone().fold(0, greatest_common_divisor).max(1);
        let weights: Box<[u32]> = raised.map(|weight| weight / divisor).collect();
        let turns = weights.iter().map(|&weight| u64::from(weight)).sum();
        let equal = weights.iter().all(|&weight| weight == 1);
        let round = if equal {
            Box::default()
        } else {
            spread(&weights, turns)
        };
        Self {
            weights,
            round,
            turns,
        }
    }

    /// The candidate among the `eligible` whose turn it is, for the holder of `ticket`.
    ///
    /// Tickets that follow each other give every eligible candidate exactly its share: the turns of
    /// the others are left out, not handed to a neighbor.
    #[must_use]
    pub fn pick(&self, ticket: u64, eligible: &Eligible) -> Option<usize> {
        let turns = self.turns_of(eligible);
        let turn = usize::try_from(ticket.checked_rem(turns)?).ok()?;
        if self.round.is_empty() {
            return eligible.iter().nth(turn);
        }
        if turns == self.turns {
            return self.round.get(turn).copied().map(usize::from);
        }
        self.round
            .iter()
            .map(|&c| usize::from(c))
            .filter(|&c| eligible.contains(c))
            .nth(turn)
    }

    /// A candidate drawn by weight from the `eligible`, with 64 `random` bits.
    #[must_use]
    pub fn draw(&self, random: u64, eligible: &Eligible) -> Option<usize> {
        let turns = self.turns_of(eligible);
        // The high half of the product is even to within one part in 2^32.
        let mut turn = ((random >> 32) * turns) >> 32;
        for candidate in eligible.iter() {
            let weight = self.weight(candidate);
            if turn < weight {
                return Some(candidate);
            }
            turn -= weight;
        }
        None
    }

    fn turns_of(&self, eligible: &Eligible) -> u64 {
        eligible
            .iter()
            .map(|candidate| self.weight(candidate))
            .sum()
    }

    fn weight(&self, candidate: usize) -> u64 {
        self.weights
            .get(candidate)
            .map_or(0, |&weight| u64::from(weight))
    }
}

/// One round of smooth weighted turns: at every turn each candidate gains its weight, the one with
/// the most credit takes the turn and pays for all. A 5:1:1 split becomes `a a b a c a a`.
fn spread(weights: &[u32], turns: u64) -> Box<[u16]> {
    let cost = i64::try_from(turns).unwrap_or(i64::MAX);
    let mut credits = vec![0_i64; weights.len()];
    let turn = |_| {
        let mut chosen = 0;
        for candidate in 0..weights.len() {
            credits[candidate] += i64::from(weights[candidate]);
            if credits[candidate] > credits[chosen] {
                chosen = candidate;
            }
        }
        credits[chosen] -= cost;
        u16::try_from(chosen).unwrap_or(u16::MAX)
    };
    (0..turns).map(turn).collect()
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(weights: &[u32], eligible: &[usize], count: u64) -> String {
        let rotation = Rotation::new(weights);
        let eligible = eligible.iter().copied().collect();
        let letter = |ticket| match rotation.pick(ticket, &eligible) {
            Some(candidate) => char::from(b'a' + u8::try_from(candidate).unwrap()),
            None => '-',
        };
        (0..count).map(letter).collect()
    }

    #[test]
    fn gives_each_its_turns_evenly_spread() {
        for (weights, eligible, expected) in [
            (&[1, 1][..], &[0, 1][..], "abababab"),
            (&[7, 7, 7], &[0, 1, 2], "abcabcab"),
            (&[5, 1, 1], &[0, 1, 2], "aabacaaaabacaa"),
            (&[10, 2, 2], &[0, 1, 2], "aabacaaaabacaa"),
            (&[5, 1, 1], &[1, 2], "bcbcbcbc"),
            (&[5, 1, 1], &[0, 1], "aabaaaaabaaa"),
            (&[1, 1, 1], &[0, 2], "acacacac"),
            (&[3, 1], &[1], "bbbb"),
            (&[1, 0], &[0, 1], "abab"),
            (&[1, 1], &[], "----"),
            (&[2, 1], &[], "----"),
            (&[], &[], "--"),
        ] {
            let count = u64::try_from(expected.len()).unwrap();
            assert_eq!(
                turns(weights, eligible, count),
                expected,
                "{weights:?} {eligible:?}"
            );
        }
    }

    #[test]
    fn a_candidate_without_a_weight_has_no_turn() {
        assert_eq!(
            Rotation::new(&[2, 1]).pick(0, &[5].into_iter().collect()),
            None
        );
        assert_eq!(
            Rotation::new(&[2, 1]).draw(0, &[5].into_iter().collect()),
            None
        );
    }

    proptest! {
        #[test]
        fn shares_are_exact_whoever_is_eligible(
            weights in prop::collection::vec(1..12_u32, 1..9),
            mask in any::<u8>(),
            start in any::<u32>(),
        ) {
            let rotation = Rotation::new(&weights);
            let eligible: Eligible = (0..weights.len()).filter(|i| mask >> i & 1 == 1).collect();
            let total: u32 = eligible.iter().map(|i| weights[i]).sum();
            let mut taken = vec![0_u32; weights.len()];
            for ticket in 0..total {
                let ticket = u64::from(start) * u64::from(total) + u64::from(ticket);
                let chosen = rotation.pick(ticket, &eligible).unwrap();
                prop_assert!(eligible.contains(chosen));
                taken[chosen] += 1;
            }
            for i in eligible.iter() {
                prop_assert_eq!(taken[i], weights[i]);
            }
        }

        #[test]
        fn a_draw_is_always_eligible(
            weights in prop::collection::vec(1..=100_u32, 1..9),
            mask in any::<u8>(),
            random in any::<u64>(),
        ) {
            let eligible: Eligible = (0..weights.len()).filter(|i| mask >> i & 1 == 1).collect();
            let drawn = Rotation::new(&weights).draw(random, &eligible);
            prop_assert_eq!(drawn.is_none(), eligible.is_empty());
            prop_assert!(drawn.is_none_or(|candidate| eligible.contains(candidate)));
        }
    }
}
