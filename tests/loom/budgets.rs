//! A budget's words: what is left with its sign and period, and what is spent.

use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::PeriodTag;
use infermux::testing::decide::budget::{Capped, Share};
use infermux::testing::link::budget_gate::{BudgetGate, Reserved};

use super::{end, every_order, with};

const AMOUNT: NanoUsd = NanoUsd::new(100);
const MARCH: PeriodTag = PeriodTag(5);
const APRIL: PeriodTag = PeriodTag(6);

fn budget() -> BudgetGate {
    let gate = BudgetGate::default();
    gate.begin(MARCH, 100, NanoUsd::ZERO);
    gate
}

fn reserve(gate: &BudgetGate, amount: u64) -> Reserved {
    let share = Share {
        amount: NanoUsd::new(amount),
        capped: Capped::No,
    };
    let reserved = gate.reserve(AMOUNT, |_| Ok::<_, ()>(share));
    reserved.expect("nobody refuses")
}

/// Finds: the balance is settled by a load and a store; a balance that is overdrawn forgets its
/// sign.
#[test]
fn a_budget_loses_what_is_spent_and_nothing_else() {
    every_order(|| {
        let gate = budget();
        // The second costs more than there is.
        let shards = [(60, 20), (60, 170)].map(|(amount, cost)| {
            with(&gate, move |gate| {
                let reserved = reserve(&gate, amount);
                gate.settle(&reserved, NanoUsd::new(cost));
                reserved.share.amount.get()
            })
        });
        let coordinator = with(&gate, |gate| gate.change(MARCH, 30));
        let reserved: u64 = shards.into_iter().map(end).sum();
        end(coordinator);
        assert!(reserved <= 120);
        assert_eq!(gate.held(), 130 - 190);
        assert_eq!(gate.spent(), NanoUsd::new(190));
    });
}

/// Finds: a new period's balance is published before what is spent in it; a change or a settlement
/// does not look at its period.
#[test]
fn requests_of_two_periods_are_told_apart() {
    every_order(|| {
        let gate = budget();
        let shards = [30, 40].map(|cost| {
            with(&gate, move |gate| {
                let reserved = reserve(&gate, 50);
                gate.settle(&reserved, NanoUsd::new(cost));
                (reserved.period == APRIL).then_some(cost)
            })
        });
        let coordinator = with(&gate, |gate| {
            gate.begin(APRIL, 90, NanoUsd::new(10));
            gate.change(MARCH, 1_000);
        });
        let of_april: u64 = shards.into_iter().filter_map(end).sum();
        end(coordinator);
        assert_eq!(gate.held(), 90 - of_april.cast_signed());
        assert_eq!(gate.spent(), NanoUsd::new(10 + of_april));
    });
}

/// Finds: what is spent is added after the balance has changed.
#[test]
fn what_has_come_back_was_spent_before() {
    every_order(|| {
        let gate = budget();
        let reserved = reserve(&gate, 60);
        let shard = with(&gate, move |gate| gate.settle(&reserved, NanoUsd::new(20)));
        let reader = with(&gate, |gate| gate.standing(AMOUNT));
        let standing = end(reader);
        match standing.left.get() {
            40 => {}
            80 => assert_eq!(standing.spent, NanoUsd::new(20)),
            left => panic!("{left} left"),
        }
        end(shard);
    });
}

/// Finds: the right to exceed a budget is not part of the word that is compared and swapped.
#[test]
fn one_request_at_a_time_may_exceed_a_budget() {
    every_order(|| {
        let gate = budget();
        let shards = [(); 2].map(|()| {
            with(&gate, |gate| {
                let capped = gate.reserve(AMOUNT, |standing| match standing.capped {
                    Capped::Yes => Err(()),
                    Capped::No => Ok(Share {
                        amount: standing.left,
                        capped: Capped::Yes,
                    }),
                });
                capped.ok()
            })
        });
        let had: Vec<Reserved> = shards.into_iter().filter_map(end).collect();
        assert_eq!(had.len(), 1);
        assert!(gate.has_capped());
        gate.settle(&had[0], NanoUsd::new(100));
        assert!(!gate.has_capped());
    });
}
