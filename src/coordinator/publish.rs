//! Orders as changes of the words that shards read.

use std::sync::Arc;

use crate::link::gate::Gates;
use crate::link::orders::Order;

/// Publishes orders.
pub struct Publisher {
    gates: Arc<Gates>,
    /// By budget: what a balance could not be lowered by, since others had reserved it already.
    debts: Box<[u64]>,
}

impl Publisher {
    /// Publishes to `gates`.
    #[must_use]
    pub fn new(gates: Arc<Gates>) -> Self {
        Self {
            debts: vec![0; gates.budgets.len()].into(),
            gates,
        }
    }

    /// Puts `order` in force.
    pub fn publish(&mut self, order: Order) {
        let Self { gates, debts } = self;
        match order {
            Order::Circuit { provider, state } => {
                gates.providers[provider.index()].set_circuit(state);
            }
            Order::Health { provider, state } => {
                gates.providers[provider.index()].set_health(state);
            }
            Order::Headroom {
                provider,
                requests,
                tokens,
            } => {
                gates.providers[provider.index()].give_back(requests, tokens);
            }
            Order::FreesAt { provider, at } => gates.providers[provider.index()].set_frees_at(at),
            Order::Average {
                provider,
                average,
                samples,
            } => {
                gates.providers[provider.index()].set_average(average, samples);
            }
            Order::Cooldown { provider, until } => {
                gates.providers[provider.index()].set_aside(until);
            }
            Order::Balance {
                budget,
                month,
                change,
                spent,
            } => {
                let debt = &mut debts[budget.index()];
                let paid = u64::try_from(change).unwrap_or(0).min(*debt);
                *debt -= paid;
                let change = change - i64::try_from(paid).unwrap_or(i64::MAX);
                *debt += gates.budgets[budget.index()].change(month, change, spent);
            }
            Order::Month {
                budget,
                month,
                balance,
            } => {
                debts[budget.index()] = 0;
                gates.budgets[budget.index()].start_month(month, balance);
            }
        }
    }
}
