//! The words of scopes: a request passes several of them in order, and what it took comes back
//! where a later one refuses.

use infermux::testing::base::period::PeriodTag;
use infermux::testing::base::time::Instant;
use infermux::testing::link::scope_gate::{DayEnd, ScopeGate, ScopeLimit, ScopeLimits};

use super::{end, every_order, with};

const NOW: Instant = Instant::from_millis(1_000);
const TUESDAY: PeriodTag = PeriodTag(3);
const WEDNESDAY: PeriodTag = PeriodTag(4);

fn scope(most: &[(ScopeLimit, u64)]) -> ScopeGate {
    let mut limits = ScopeLimits::default();
    for (limit, count) in most {
        limits.most[*limit as usize] = Some(*count);
    }
    ScopeGate::new(limits, DayEnd::default())
}

fn left(gate: &ScopeGate, limit: ScopeLimit) -> u64 {
    gate.left_of(limit, NOW).expect("a limit").left
}

/// Finds: the team's part does not come back where the key refuses; a later limit's refusal leaves
/// what an earlier one gave.
#[test]
fn whoever_is_refused_by_a_later_scope_leaves_nothing_taken() {
    use ScopeLimit::{InFlight, RequestsPerMinute, TokensPerMinute};

    every_order(|| {
        let team = scope(&[(InFlight, 2), (RequestsPerMinute, 5)]);
        let key = scope(&[(RequestsPerMinute, 5), (TokensPerMinute, 10)]);
        let shards = [(); 2].map(|()| {
            with(&(team.clone(), key.clone()), |(team, key)| {
                let Ok(of_team) = team.take(NOW, 7) else {
                    return false;
                };
                let Ok(_) = key.take(NOW, 7) else {
                    team.cancel(of_team);
                    return false;
                };
                true
            })
        });
        let admitted = shards.into_iter().map(end).filter(|is_in| *is_in);
        let admitted = admitted.count();
        // Seven tokens fit once into ten.
        assert_eq!(admitted, 1);
        assert_eq!(left(&team, InFlight), 1);
        assert_eq!(left(&team, RequestsPerMinute), 4);
        assert_eq!(left(&key, RequestsPerMinute), 4);
        assert_eq!(left(&key, TokensPerMinute), 3);
    });
}

/// Finds: what a request of yesterday did not use comes back to today; a day's word is changed by a
/// load and a store.
#[test]
fn a_day_is_charged_for_its_own_requests_alone() {
    use ScopeLimit::{RequestsPerDay, TokensPerDay};

    every_order(|| {
        let gate = scope(&[(RequestsPerDay, 10), (TokensPerDay, 100)]);
        gate.begin_day(TUESDAY, 10, 100);
        let shards = [(40, 10), (30, 30)].map(|(tokens, used)| {
            with(&gate, move |gate| {
                let taken = gate.take(NOW, tokens).ok()?;
                let _ = gate.settle(&taken, used);
                let of = |day: Option<PeriodTag>| day == Some(WEDNESDAY);
                let day = taken.tokens_of().map(|(day, _)| day);
                Some((of(taken.request_of()), if of(day) { used } else { 0 }))
            })
        });
        let coordinator = with(&gate, |gate| gate.begin_day(WEDNESDAY, 10, 100));
        let ends: Vec<_> = shards.into_iter().filter_map(end).collect();
        end(coordinator);
        assert_eq!(ends.len(), 2);
        let requests = ends.iter().filter(|(is_todays, _)| *is_todays).count() as u64;
        let tokens: u64 = ends.iter().map(|(_, used)| used).sum();
        assert_eq!(left(&gate, RequestsPerDay), 10 - requests);
        assert_eq!(left(&gate, TokensPerDay), 100 - tokens);
    });
}
