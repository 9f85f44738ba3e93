//! Which of a provider's many addresses a request goes to, and which are left out for a while.
//!
//! Addresses are places in a list. One that accepts no connection is left out, for longer each
//! time; then a single connection finds out whether it is back. Of the others, the one with the
//! fewest requests under way is next, and those with as many take turns. The resolver's first
//! address says which family (IPv4 or IPv6) it prefers; addresses of the other one are for when
//! none of these is left.

use std::time::Duration;

use crate::base::time::Instant;

/// The addresses of one provider, as one event loop knows them.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    places: Vec<Place>,
    /// The place whose turn is next.
    turn: usize,
}

/// One address.
#[derive(Clone, Copy, Debug)]
struct Place {
    family: Family,
    out: Option<Out>,
}

/// Whether an address is of the family that the resolver prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// It is.
    Preferred,
    /// It is of the other one.
    Other,
}

/// An address that is left out.
#[derive(Clone, Copy, Debug)]
struct Out {
    until: Instant,
    /// How often it has failed in a row.
    failures: u32,
}

/// The connections to one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// With a request.
    pub busy: u32,
    /// That wait for one.
    pub idle: u32,
}

/// The connection that has waited for the shortest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Youngest {
    /// The place of its address; `None`: the address is not in the list any more.
    pub place: Option<usize>,
    /// How long it has waited.
    pub waited: Duration,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Over a waiting connection to this place.
    At(usize),
    /// Over the connection that has waited for the shortest time.
    Youngest,
    /// Over a new connection.
    Open,
}

impl Spread {
    /// Takes over another list: for each of its places the family, and the place that the address
    /// had before.
    pub fn learn(&mut self, next: impl IntoIterator<Item = (Family, Option<usize>)>) {
        let next = next.into_iter().map(|(family, before)| Place {
            family,
            out: before.and_then(|at| self.places.get(at)?.out),
        });
        self.places = next.collect();
        self.turn = self.turn.checked_rem(self.places.len()).unwrap_or_default();
    }

    /// The turn begins at this place: event loops should not all begin at the same one.
    pub fn begin_at(&mut self, place: usize) {
        self.turn = place.checked_rem(self.places.len()).unwrap_or_default();
    }

    /// All places in the order in which a connection is tried, given the number of requests under
    /// way at each.
    pub fn order(&mut self, now: Instant, busy: impl Fn(usize) -> u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        order.sort_by_key(|at| {
            let place = &self.places[*at];
            let back = place.out_at(now).unwrap_or(Instant::ZERO);
            let is_other = place.family == Family::Other;
            (back, is_other, busy(*at), self.distance(*at))
        });
        if let Some(first) = order.first().copied() {
            self.pass_turn(first);
            if let Some(out) = &mut self.places[first].out {
                // Whether it is back is for this connection to find out: others go elsewhere.
                out.until = now + pause(out.failures);
            }
        }
        order
    }

    /// A connection to `place` was accepted.
    pub fn accepted(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            place.out = None;
        }
    }

    /// A connection to `place` was not.
    pub fn failed(&mut self, place: usize, now: Instant) {
        if let Some(place) = self.places.get_mut(place) {
            let failures = place.out.map_or(0, |out| out.failures).saturating_add(1);
            let until = now + pause(failures);
            place.out = Some(Out { until, failures });
        }
    }

    /// Where the next request goes, given the connections to each place, one of which waits at
    /// least.
    pub fn choose(
        &mut self,
        now: Instant,
        load: impl Fn(usize) -> Load,
        youngest: Youngest,
    ) -> Choice {
        let is_in = |at: &usize| self.places[*at].out_at(now).is_none();
        let rank = |at: &usize| {
            let is_other = self.places[*at].family == Family::Other;
            (is_other, load(*at).busy, self.distance(*at))
        };
        let best = (0..self.places.len()).filter(is_in).min_by_key(rank);
        let Some(best) = best else {
            return Choice::Youngest;
        };
        if load(best).idle > 0 {
            self.pass_turn(best);
            return Choice::At(best);
        }
        let is_busier = youngest
            .place
            .is_none_or(|at| load(at).busy > load(best).busy);
        // Requests that come seldom keep to few connections: with one for each address, all of them
        // would grow too old before their next request.
        let places = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let is_often = youngest.waited.saturating_mul(places) <= WARM;
        if is_busier || is_often {
            Choice::Open
        } else {
            Choice::Youngest
        }
    }

    /// How many turns it takes until it is this place's.
    fn distance(&self, at: usize) -> usize {
        let count = self.places.len();
        (at + count - self.turn).checked_rem(count).unwrap_or(0)
    }

    fn pass_turn(&mut self, at: usize) {
        self.turn = (at + 1).checked_rem(self.places.len()).unwrap_or(0);
    }
}

impl Place {
    /// Until when the address is left out; `None`: it is not, or not any more.
    fn out_at(&self, now: Instant) -> Option<Instant> {
        self.out.map(|out| out.until).filter(|until| now < *until)
    }
}

/// How long an address that has failed this often in a row is left out.
fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(16));
    let pause = PAUSE.saturating_mul(doubled.unwrap_or(u32::MAX));
    pause.min(PAUSE_MAX)
}

/// How long an address is left out after a first failure.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest time for which it is.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// How long connections to all addresses may wait between two requests so that all of them stay
/// open: half of what the pool keeps them for.
const WARM: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn of(families: &str) -> Spread {
        let mut spread = Spread::default();
        spread.learn(families.chars().map(|family| {
            let family = match family {
                'p' => Family::Preferred,
                _ => Family::Other,
            };
            (family, None)
        }));
        spread
    }

    #[test]
    fn connections_take_turns_and_the_least_busy_comes_first() {
        let mut spread = of("ppp");
        assert_eq!(spread.order(at(1), |_| 0), [0, 1, 2]);
        assert_eq!(spread.order(at(1), |_| 0), [1, 2, 0]);
        assert_eq!(spread.order(at(1), |at| [3, 1, 2][at]), [1, 2, 0]);
        spread.begin_at(5);
        assert_eq!(spread.order(at(1), |_| 0)[0], 2);
        assert!(Spread::default().order(at(1), |_| 0).is_empty());
    }

    #[test]
    fn the_other_family_is_for_when_none_of_the_preferred_is_left() {
        let mut spread = of("ppoo");
        assert_eq!(spread.order(at(1), |at| [9, 9, 0, 0][at]), [0, 1, 2, 3]);
        spread.failed(0, at(1));
        spread.failed(1, at(2));
        assert_eq!(spread.order(at(3), |_| 0), [2, 3, 0, 1]);
    }

    #[test]
    fn a_dead_one_is_left_out_for_longer_each_time_and_tried_by_one_alone() {
        let mut spread = of("pp");
        let order = |spread: &mut Spread, millis| spread.order(at(millis), |at| [0, 5][at])[0];
        spread.failed(0, at(0));
        assert_eq!(order(&mut spread, 4_999), 1);
        // One tries it, and the others do not wait for that.
        assert_eq!(order(&mut spread, 5_000), 0);
        assert_eq!(order(&mut spread, 5_001), 1);
        spread.failed(0, at(5_100));
        assert_eq!(order(&mut spread, 15_099), 1);
        assert_eq!(order(&mut spread, 15_100), 0);
        spread.accepted(0);
        assert_eq!(order(&mut spread, 15_101), 0);
        spread.failed(0, at(20_000));
        assert_eq!(order(&mut spread, 25_000), 0, "it began anew");
        (0..50).for_each(|_| spread.failed(0, at(30_000)));
        assert_eq!(order(&mut spread, 149_999), 1);
        assert_eq!(order(&mut spread, 150_000), 0);
        // Where all are out, the one that is back first.
        spread.failed(1, at(150_001));
        assert_eq!(spread.order(at(150_002), |_| 0), [1, 0]);
    }

    #[test]
    fn a_list_that_changes_keeps_what_is_known() {
        let mut spread = of("ppp");
        spread.failed(1, at(0));
        let kept = [Some(2), Some(1), None];
        spread.learn(kept.map(|before| (Family::Preferred, before)));
        assert_eq!(spread.order(at(1), |_| 0), [0, 2, 1]);
        spread.learn([]);
        assert!(spread.order(at(1), |_| 0).is_empty());
    }

    fn choose(spread: &mut Spread, loads: &[(u32, u32)], youngest: (usize, u64)) -> Choice {
        let load = |at: usize| Load {
            busy: loads[at].0,
            idle: loads[at].1,
        };
        let youngest = Youngest {
            place: (youngest.0 < loads.len()).then_some(youngest.0),
            waited: Duration::from_millis(youngest.1),
        };
        spread.choose(at(1), load, youngest)
    }

    #[test]
    fn requests_go_where_the_fewest_are_under_way() {
        let mut spread = of("ppp");
        let loads = [(2, 1), (0, 1), (1, 1)];
        assert_eq!(choose(&mut spread, &loads, (0, 0)), Choice::At(1));
        let even = [(0, 1), (0, 1), (0, 1)];
        for next in [2, 0, 1, 2] {
            assert_eq!(choose(&mut spread, &even, (0, 0)), Choice::At(next));
        }
        // No connection waits at the least busy one.
        let loads = [(1, 1), (0, 0), (0, 0)];
        assert_eq!(choose(&mut spread, &loads, (0, 29_000)), Choice::Open);
        spread.failed(1, at(0));
        spread.failed(2, at(0));
        assert_eq!(choose(&mut spread, &loads, (0, 0)), Choice::At(0));
        spread.failed(0, at(0));
        assert_eq!(choose(&mut spread, &loads, (0, 0)), Choice::Youngest);
    }

    #[test]
    fn requests_that_come_seldom_keep_to_few_connections() {
        let mut spread = of("ppp");
        spread.begin_at(1);
        let loads = [(0, 1), (0, 0), (0, 0)];
        assert_eq!(choose(&mut spread, &loads, (0, 5_000)), Choice::Open);
        assert_eq!(choose(&mut spread, &loads, (0, 5_001)), Choice::Youngest);
        assert_eq!(
            choose(&mut spread, &loads, (9, 5_001)),
            Choice::Open,
            "it is not listed"
        );
    }
}
