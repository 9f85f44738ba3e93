//! Orders as changes of the words that shards read.

use std::sync::Arc;

use crate::base::ids::{ProviderId, Subject};
use crate::link::caller_gates::CallerGates;
use crate::link::gate::Gates;
use crate::link::orders::Order;

/// Publishes orders.
pub struct Publisher {
    gates: Arc<Gates>,
    callers: CallerGates,
}

impl Publisher {
    /// Publishes to the words of providers and of callers.
    #[must_use]
    pub fn new(gates: Arc<Gates>, callers: CallerGates) -> Self {
        Self { gates, callers }
    }

    /// Puts `order` in force. Where it ends a half-open phase, returns the permit of that phase, if
    /// a shard has taken it.
    pub fn publish(&self, order: Order) -> Option<u32> {
        let gates = &self.gates;
        let of = |provider: ProviderId| &gates.providers[provider.index()];
        match order {
            Order::Circuit { provider, state } => {
                return gates.providers[provider.index()].set_circuit(state);
            }
            Order::Health { provider, state } => of(provider).set_health(state),
            Order::Rotation { provider, state } => of(provider).set_rotation(state),
            Order::Headroom {
                subject,
                requests,
                tokens,
            } => match subject {
                Subject::Provider(id) => gates.providers[id.index()].give_back(requests, tokens),
                Subject::Scope(id) => self.callers.scopes[id.index()].give_back(requests, tokens),
            },
            Order::FreesAt { subject, at } => match subject {
                Subject::Provider(id) => gates.providers[id.index()].set_frees_at(at),
                Subject::Scope(id) => self.callers.scopes[id.index()].set_frees_at(at),
            },
            Order::Day {
                scope,
                day,
                requests,
                tokens,
            } => self.callers.scopes[scope.index()].begin_day(day, requests, tokens),
            Order::DayChange {
                scope,
                day,
                requests,
                tokens,
            } => self.callers.scopes[scope.index()].change_day(day, requests, tokens),
            Order::DayEnds { at } => self.callers.day_end.set(at),
            Order::Average {
                provider,
                average,
                samples,
            } => of(provider).set_average(average, samples),
            Order::Cooldown { provider, until } => of(provider).set_aside(until),
            Order::Balance {
                budget,
                period,
                change,
            } => self.callers.budgets[budget.index()].change(period, change),
            Order::Missed {
                budget,
                period,
                cost,
            } => self.callers.budgets[budget.index()].spend(period, cost),
            Order::Period {
                budget,
                period,
                balance,
                spent,
            } => self.callers.budgets[budget.index()].begin(period, balance, spent),
        }
        None
    }
}

/// Joins orders that change the same word: shards read these words for each request, and each
/// change takes the word's cache line away from them.
#[derive(Debug, Default)]
pub struct Folder {
    /// By provider, the place of its last order of headroom; an entry may be out of date, and is
    /// checked.
    headroom: Vec<usize>,
    /// The same by scope.
    scopes: Vec<usize>,
    /// By provider, the place of its last order of the average.
    averages: Vec<usize>,
}

impl Folder {
    /// Joins `orders`; once all of them are in force, the result is the same.
    pub fn fold(&mut self, orders: &mut Vec<Order>) {
        let mut kept = 0;
        for at in 0..orders.len() {
            let order = orders[at];
            if let Some(place) = self.place(order) {
                let last = orders.get(*place).filter(|_| *place < kept);
                if let Some(both) = last.and_then(|last| joined(*last, order)) {
                    orders[*place] = both;
                    continue;
                }
                *place = kept;
            }
            orders[kept] = order;
            kept += 1;
        }
        orders.truncate(kept);
    }

    /// The entry for the last order of this kind; `None`: orders of this kind are not joined.
    fn place(&mut self, order: Order) -> Option<&mut usize> {
        let (places, at) = match order {
            Order::Headroom { subject, .. } => match subject {
                Subject::Provider(id) => (&mut self.headroom, id.index()),
                Subject::Scope(id) => (&mut self.scopes, id.index()),
            },
            Order::Average { provider, .. } => (&mut self.averages, provider.index()),
            Order::Circuit { .. }
            | Order::Health { .. }
            | Order::Rotation { .. }
            | Order::FreesAt { .. }
            | Order::Cooldown { .. }
            | Order::Day { .. }
            | Order::DayChange { .. }
            | Order::DayEnds { .. }
            | Order::Balance { .. }
            | Order::Missed { .. }
            | Order::Period { .. } => return None,
        };
        if places.len() <= at {
            places.resize(at + 1, usize::MAX);
        }
        places.get_mut(at)
    }
}

/// Two orders about the same word as one.
fn joined(first: Order, second: Order) -> Option<Order> {
    if let Order::Headroom {
        subject,
        requests,
        tokens,
    } = first
        && let Order::Headroom {
            subject: same,
            requests: more_requests,
            tokens: more_tokens,
        } = second
        && subject == same
    {
        return Some(Order::Headroom {
            subject,
            requests: requests + more_requests,
            tokens: tokens + more_tokens,
        });
    }
    if let (Order::Average { provider, .. }, Order::Average { provider: same, .. }) =
        (first, second)
        && provider == same
    {
        return Some(second);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::ids::{BudgetId, ScopeId};
    use crate::base::period::PeriodTag;

    fn headroom(provider: u16, requests: i64) -> Order {
        let subject = Subject::Provider(ProviderId(provider));
        headroom_of(subject, requests)
    }

    fn headroom_of(subject: Subject, requests: i64) -> Order {
        Order::Headroom {
            subject,
            requests,
            tokens: 10 * requests,
        }
    }

    fn scope(scope: u32, requests: i64) -> Order {
        headroom_of(Subject::Scope(ScopeId(scope)), requests)
    }

    fn average(provider: u16, millis: u64) -> Order {
        Order::Average {
            provider: ProviderId(provider),
            average: Duration::from_millis(millis),
            samples: 1,
        }
    }

    fn balance(change: i64) -> Order {
        Order::Balance {
            budget: BudgetId(0),
            period: PeriodTag(1),
            change,
        }
    }

    #[test]
    fn orders_about_the_same_word_become_one() {
        let mut folder = Folder::default();
        for (mut orders, expected) in [
            (vec![], vec![]),
            (
                vec![
                    headroom(0, 1),
                    average(0, 5),
                    headroom(1, 2),
                    headroom(0, 3),
                    average(0, 7),
                ],
                vec![headroom(0, 4), average(0, 7), headroom(1, 2)],
            ),
            // A scope has nothing to do with the provider of the same number.
            (
                vec![headroom(0, 1), scope(0, 2), headroom(0, 4), scope(0, 8)],
                vec![headroom(0, 5), scope(0, 10)],
            ),
            // Entries from earlier calls are out of date.
            (
                vec![average(1, 1), headroom(0, 1)],
                vec![average(1, 1), headroom(0, 1)],
            ),
            // These orders come with a reload or a month, and are not joined.
            (
                vec![balance(2), headroom(0, 1), balance(-3)],
                vec![balance(2), headroom(0, 1), balance(-3)],
            ),
        ] {
            folder.fold(&mut orders);
            assert_eq!(orders, expected);
        }
    }
}
