//! Facts that become one, and those that must not.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::ids::{BudgetId, ScopeId};
use crate::base::money::NanoUsd;
use crate::base::period::PeriodTag;
use crate::base::tokens::Tokens;
use crate::decide::outcome::Signal;
use crate::link::facts::{Admitted, Ended, Left, SUCCESSES_PER_FACT, Sample, SampleKind};

fn admitted(subject: Subject, millis: u64, day: u8) -> Fact {
    Fact::Admitted(Admitted {
        subject,
        at: Instant::from_millis(millis),
        requests: 1,
        tokens: Tokens::new(10),
        day: Some((PeriodTag(day), 1)),
    })
}

fn left(subject: Subject, millis: u64, day: u8) -> Fact {
    Fact::Left(Left {
        subject,
        admitted: Instant::from_millis(millis),
        day: Some(PeriodTag(day)),
        reserved: Tokens::new(10),
        excess: Tokens::new(2),
        used: Tokens::new(12),
    })
}

fn settled(budget: u32, period: u8) -> Fact {
    Fact::Settled {
        budget: BudgetId(budget),
        period: PeriodTag(period),
        cost: NanoUsd::new(7),
        first: NanoUsd::new(7),
    }
}

fn success(millis: u64) -> Success {
    let sample = Sample {
        latency: Duration::from_millis(millis),
        kind: SampleKind::FirstContent,
    };
    Success::new(Instant::from_millis(millis), sample)
}

fn failed(provider: u16) -> Fact {
    Fact::Ended(Ended {
        provider: ProviderId(provider),
        admitted: Instant::ZERO,
        at: Instant::ZERO,
        signal: Signal::Failure,
        sample: None,
        probe: None,
        successes_before: 0,
    })
}

fn tell(all: &mut Gathered, fact: Fact) {
    if !all.join(&fact) {
        all.push(fact);
    }
}

fn succeed(all: &mut Gathered, provider: u16, millis: u64) {
    let (provider, at) = (ProviderId(provider), Instant::from_millis(millis));
    if !all.succeed(provider, at, success(millis)) {
        all.push(Fact::Succeeded(Successes::new(
            provider,
            at,
            success(millis),
        )));
    }
}

const TEAM: Subject = Subject::Scope(ScopeId(3));
const KEY: Subject = Subject::Scope(ScopeId(4));
/// It shares an entry with the team.
const FAR: Subject = Subject::Scope(ScopeId(3 + 256));
const PROVIDER: Subject = Subject::Provider(ProviderId(3));

#[test]
fn what_is_told_of_one_scope_in_one_second_is_one_fact() {
    let mut all = Gathered::default();
    for millis in [5_000, 5_999, 5_500] {
        for subject in [TEAM, KEY, PROVIDER] {
            tell(&mut all, admitted(subject, millis, 1));
            tell(&mut all, left(subject, millis, 1));
        }
        tell(&mut all, settled(3, 1));
    }
    assert_eq!(all.len(), 7);
    let facts = all.take(8);
    assert!(all.is_empty() && facts.len() == 7);
    let Fact::Admitted(team) = facts[0] else {
        panic!("{:?}", facts[0]);
    };
    assert_eq!(
        (team.subject, team.requests, team.tokens.get()),
        (TEAM, 3, 30)
    );
    assert_eq!(team.at, Instant::from_millis(5_999));
    assert_eq!(team.day, Some((PeriodTag(1), 3)));
    let Fact::Left(team) = facts[1] else {
        panic!("{:?}", facts[1]);
    };
    let tokens = [team.reserved, team.excess, team.used].map(Tokens::get);
    assert_eq!((team.subject, tokens), (TEAM, [30, 6, 36]));
    let cost = NanoUsd::new(21);
    let is_sum = |fact: &Fact| matches!(fact, Fact::Settled { cost: sum, .. } if *sum == cost);
    assert_eq!(facts.iter().filter(|fact| is_sum(fact)).count(), 1);
    // The next batch begins anew, whatever stood at the same place.
    tell(&mut all, left(TEAM, 5_000, 1));
    assert_eq!(all.len(), 1);
}

#[test]
fn what_a_book_tells_apart_stays_apart() {
    let seconds = [admitted(TEAM, 5_999, 1), admitted(TEAM, 6_000, 1)];
    let days = [admitted(TEAM, 5_000, 1), admitted(TEAM, 5_000, 2)];
    let ends = [left(TEAM, 5_999, 1), left(TEAM, 6_000, 1)];
    let ends_of_days = [left(TEAM, 5_000, 1), left(TEAM, 5_000, 2)];
    let scopes = [admitted(TEAM, 5_000, 1), admitted(FAR, 5_000, 1)];
    let kinds = [admitted(TEAM, 5_000, 1), left(TEAM, 5_000, 1)];
    let provider = [admitted(TEAM, 5_000, 1), admitted(PROVIDER, 5_000, 1)];
    let budgets = [settled(1, 1), settled(2, 1)];
    let periods = [settled(1, 1), settled(1, 2)];
    for pair in [
        seconds,
        days,
        ends,
        ends_of_days,
        scopes,
        kinds,
        provider,
        budgets,
        periods,
    ] {
        let mut all = Gathered::default();
        pair.into_iter().for_each(|fact| tell(&mut all, fact));
        assert_eq!(all.take(0), pair);
    }
}

#[test]
fn what_leaves_is_told_behind_what_was_admitted() {
    let mut all = Gathered::default();
    tell(&mut all, admitted(TEAM, 5_000, 1));
    tell(&mut all, left(TEAM, 5_000, 1));
    // Another scope's fact takes the entry, so that the team's next one is told by itself.
    tell(&mut all, admitted(FAR, 5_000, 1));
    tell(&mut all, admitted(TEAM, 5_000, 1));
    tell(&mut all, left(TEAM, 5_000, 1));
    assert_eq!(all.len(), 5);
    assert_eq!(all.take(0)[4], left(TEAM, 5_000, 1));
}

#[test]
fn successes_become_one_until_something_else_is_told_of_their_provider() {
    let mut all = Gathered::default();
    for millis in [10, 20, 49, 50] {
        succeed(&mut all, 1, millis);
        succeed(&mut all, 2, 10);
    }
    // The slice ends at 50 ms.
    assert_eq!(all.len(), 3);
    tell(&mut all, failed(2));
    succeed(&mut all, 1, 60);
    succeed(&mut all, 2, 10);
    assert_eq!(all.len(), 5);
    let facts = all.take(0);
    let Fact::Succeeded(first) = facts[0] else {
        panic!("{:?}", facts[0]);
    };
    assert_eq!(first.list(), [10, 20, 49].map(success));
    assert_eq!(first.list()[1].sample(), success(20).sample());
    assert_eq!(facts[3], failed(2));
    for _ in 0..=SUCCESSES_PER_FACT {
        succeed(&mut all, 1, 10);
    }
    assert_eq!(all.len(), 2, "a fact has room for so many");
}

proptest! {
    /// Whatever becomes one: the sums of each scope and second are what was told.
    #[test]
    fn nothing_is_lost_and_nothing_is_told_twice(
        told in prop::collection::vec((0..600_u32, 0..3_u64, any::<bool>()), 0..300),
    ) {
        let mut all = Gathered::default();
        let mut expected = std::collections::BTreeMap::<_, u64>::new();
        for (id, second, is_end) in told {
            let subject = Subject::Scope(ScopeId(id));
            let fact = match is_end {
                false => admitted(subject, 1_000 * second, 1),
                true => left(subject, 1_000 * second, 1),
            };
            *expected.entry((subject, second, is_end)).or_default() += 10;
            tell(&mut all, fact);
        }
        let mut found = std::collections::BTreeMap::<_, u64>::new();
        for fact in all.take(0) {
            let (key, tokens) = match fact {
                Fact::Admitted(one) => ((one.subject, one.at.as_secs(), false), one.tokens),
                Fact::Left(one) => ((one.subject, one.admitted.as_secs(), true), one.reserved),
                other => panic!("{other:?}"),
            };
            *found.entry(key).or_default() += tokens.get();
        }
        prop_assert_eq!(found, expected);
    }
}
