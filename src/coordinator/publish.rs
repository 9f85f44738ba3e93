//! Orders as changes of the words that shards read.

use std::sync::Arc;

use crate::link::gate::Gates;
use crate::link::orders::Order;

/// Publishes orders.
pub struct Publisher {
    gates: Arc<Gates>,
}

impl Publisher {
    /// Publishes to `gates`.
    #[must_use]
    pub fn new(gates: Arc<Gates>) -> Self {
        Self { gates }
    }

    /// Puts `order` in force.
    pub fn publish(&self, order: Order) {
        let gates = &self.gates;
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
                gates.budgets[budget.index()].change(month, change, spent);
            }
            Order::Month {
                budget,
                month,
                balance,
            } => {
                gates.budgets[budget.index()].start_month(month, balance);
            }
        }
    }
}
