//! Tests of where conversations belong.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn seats(weights: &[u32]) -> Seats {
    Seats::new(NAMES.into_iter().zip(weights.iter().copied()))
}

fn idle(_: usize) -> u32 {
    0
}

fn key(session: u64) -> Key {
    Key(Fingerprint::of(&session.to_le_bytes()))
}

fn set(mask: u8) -> Eligible {
    (0..8).filter(|place| mask >> place & 1 == 1).collect()
}

#[test]
fn logarithms_are_those_of_the_numbers() {
    for (number, expected) in [
        (u64::MAX, 0.0),
        (1 << 63, 1.0),
        (3 << 62, 0.415_037_499),
        (1 << 32, 32.0),
        (1, 64.0),
        (0, 64.0),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "nine digits are compared")]
        let found = minus_log2(number) as f64 / f64::from(1_u32 << 16) / f64::from(1_u32 << 16);
        assert!((found - expected).abs() < 1e-8, "{number}: {found}");
    }
}

#[test]
fn each_comes_first_in_proportion_to_its_weight() {
    for weights in [&[1, 1, 1, 1][..], &[3, 1], &[5, 2, 1], &[0, 1]] {
        let seats = seats(weights);
        let mut counts = vec![0_u32; weights.len()];
        for session in 0..20_000 {
            let all = Eligible::first(weights.len());
            counts[seats.choose(key(session), 1_250, &all, idle).unwrap()] += 1;
        }
        let sum: u32 = weights.iter().map(|weight| (*weight).max(1)).sum();
        for (count, weight) in counts.iter().zip(weights) {
            let expected = 20_000 * (*weight).max(1) / sum;
            // Standard deviation 71 at most.
            assert!(count.abs_diff(expected) < 400, "{weights:?}: {counts:?}");
        }
    }
}

/// What is chosen may never change: instances of different versions must agree.
#[test]
fn the_choice_is_the_same_for_ever() {
    let seats = seats(&[1, 2, 1, 3, 1, 1, 1, 1]);
    let chosen = (0..24).map(|session| {
        let place = seats.first(key(session), &Eligible::first(8)).unwrap();
        NAMES[place]
    });
    assert_eq!(chosen.collect::<String>(), "ddhahggaeehdbbddgfdabdca");
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let (one, other) = (
        Seats::new([("x", 1), ("y", 2), ("z", 1)].into_iter()),
        Seats::new([("z", 1), ("x", 1), ("y", 2)].into_iter()),
    );
    let all = Eligible::first(3);
    for session in 0..1_000 {
        let one = one
            .first(key(session), &all)
            .map(|place| ["x", "y", "z"][place]);
        let other = other
            .first(key(session), &all)
            .map(|place| ["z", "x", "y"][place]);
        assert_eq!(one, other);
    }
}

/// All sets of eight candidates, and each of its members leaving: 1,024 pairs for each session.
#[test]
fn who_leaves_moves_its_own_conversations_alone_and_gets_them_back() {
    let seats = seats(&[1, 2, 1, 3, 1, 1, 5, 1]);
    for session in 0..50 {
        for mask in 1..=u8::MAX {
            let before = seats.first(key(session), &set(mask)).unwrap();
            for gone in set(mask).iter() {
                let after = seats.first(key(session), &set(mask & !(1 << gone)));
                if gone == before {
                    assert_ne!(after, Some(before));
                } else {
                    assert_eq!(after, Some(before), "{mask:b} without {gone}");
                }
            }
        }
    }
}

#[test]
fn a_busy_one_is_passed_over_at_the_bound() {
    let pair = seats(&[1, 1]);
    let session = (0..)
        .map(key)
        .find(|key| pair.first(*key, &Eligible::first(2)) == Some(0));
    let session = session.unwrap();
    for (spill, weights, in_flight, expected) in [
        (1_250, [1, 1], [0, 0], 0),
        // One request at once is no reason to move: the bound is a whole request at least.
        (1_250, [1, 1], [1, 0], 0),
        (1_250, [1, 1], [2, 0], 0),
        (1_250, [1, 1], [3, 0], 1),
        // The mean is 8, the bound 10.
        (1_250, [1, 1], [10, 6], 0),
        (1_250, [1, 1], [11, 5], 1),
        (1_000, [1, 1], [9, 7], 1),
        (2_000, [1, 1], [16, 0], 0),
        (10_000, [1, 1], [900, 0], 0),
        // A share of three quarters: 12 of 16, the bound 15.
        (1_250, [3, 1], [15, 1], 0),
        (1_250, [3, 1], [16, 0], 1),
    ] {
        let seats = seats(&weights);
        let session = if weights == [1, 1] {
            session
        } else {
            let mut keys = (0..).map(key);
            keys.find(|key| seats.first(*key, &Eligible::first(2)) == Some(0))
                .unwrap()
        };
        let chosen = seats.choose(session, spill, &Eligible::first(2), |place| {
            in_flight[place]
        });
        assert_eq!(chosen, Some(expected), "{spill} {weights:?} {in_flight:?}");
    }
}

#[test]
fn nobody_is_chosen_from_nobody() {
    assert_eq!(
        seats(&[1, 1]).choose(key(1), 1_250, &Eligible::NONE, idle),
        None
    );
    assert_eq!(
        seats(&[]).choose(key(1), 1_250, &Eligible::first(3), idle),
        None
    );
}

#[test]
fn somebody_is_chosen_while_counts_change() {
    let seats = seats(&[1, 1]);
    let calls = std::cell::Cell::new(0);
    // All requests arrive between the sum and the look at each of them.
    let grows = |_| {
        calls.set(calls.get() + 1);
        if calls.get() > 2 { 1_000 } else { 0 }
    };
    assert!(
        seats
            .choose(key(1), 1_250, &Eligible::first(2), grows)
            .is_some()
    );
}

proptest! {
    #[test]
    fn nobody_over_the_bound_takes_requests(
        session: u64,
        mask in 1..=u8::MAX,
        weights in prop::array::uniform8(1..20_u32),
        in_flight in prop::array::uniform8(0..200_u32),
        spill in 1_000..4_000_u32,
    ) {
        let seats = seats(&weights);
        let eligible = set(mask);
        let chosen = seats.choose(Key(session), spill, &eligible, |place| in_flight[place]);
        let chosen = chosen.unwrap();
        prop_assert!(eligible.contains(chosen));
        let all: u32 = eligible.iter().map(|place| in_flight[place]).sum();
        let sum: u32 = eligible.iter().map(|place| weights[place]).sum();
        let bound = |place: usize| {
            let share = f64::from(all) * f64::from(weights[place]) / f64::from(sum);
            (share * f64::from(spill) / 1_000.0 - 1e-9).ceil()
        };
        prop_assert!(f64::from(in_flight[chosen]) <= bound(chosen));
        // Whoever comes before it is over its bound.
        let has_room = |place: &usize| f64::from(in_flight[*place]) <= bound(*place);
        let rest: Eligible = eligible.iter().filter(has_room).collect();
        prop_assert_eq!(seats.first(Key(session), &rest), Some(chosen));
    }

    #[test]
    fn the_next_in_rank_follows_where_the_first_has_failed(session: u64, mask in 1..=u8::MAX) {
        let seats = seats(&[1; 8]);
        let mut left = set(mask);
        let mut order = Vec::new();
        while let Some(place) = seats.choose(Key(session), 1_250, &left, idle) {
            order.push(place);
            left.remove(place);
        }
        // The same order as without those that are not in the set.
        let mut all = Eligible::first(8);
        let mut whole = Vec::new();
        while let Some(place) = seats.first(Key(session), &all) {
            whole.push(place);
            all.remove(place);
        }
        whole.retain(|place| set(mask).contains(*place));
        prop_assert_eq!(order, whole);
    }
}
