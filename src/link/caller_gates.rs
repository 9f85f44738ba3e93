//! The words of callers' limits and budgets that every shard takes from.

use std::sync::Arc;

use crate::base::ids::{BudgetId, ScopeId};
use crate::link::budget_gate::BudgetGate;
use crate::link::origin::Origin;
use crate::link::scope_gate::{DayEnd, ScopeGate, ScopeLimits};

/// The words of all scopes of callers.
#[derive(Clone, Debug, Default)]
pub struct CallerGates {
    /// The words of each scope's limits, by id.
    pub scopes: Arc<[ScopeGate]>,
    /// The words of each budget, by id.
    pub budgets: Arc<[BudgetGate]>,
    /// When the running day ends.
    pub day_end: DayEnd,
}

impl CallerGates {
    /// The words that follow on these, with the `limits` of each scope that has any: the words of
    /// `fresh` scopes and budgets begin anew.
    #[must_use]
    pub fn next(
        &self,
        limits: &[(ScopeId, ScopeLimits)],
        (fresh_scopes, fresh_budgets): (&[ScopeId], &[BudgetId]),
    ) -> Self {
        Self {
            scopes: self.next_scopes(limits, fresh_scopes),
            budgets: self.next_budgets(fresh_budgets),
            day_end: self.day_end.clone(),
        }
    }

    /// The same words, where the instance has a part of these budgets only; the ids are in order.
    #[must_use]
    pub fn leasing(self, leased: &[BudgetId]) -> Self {
        let origin = |place: usize| {
            let is_leased = leased.binary_search_by_key(&place, |id| id.index()).is_ok();
            if is_leased {
                Origin::Leased
            } else {
                Origin::Own
            }
        };
        let is_same = |(place, gate): (usize, &BudgetGate)| gate.origin() == origin(place);
        if self.budgets.iter().enumerate().all(is_same) {
            return self;
        }
        let budgets = self.budgets.iter().enumerate();
        Self {
            budgets: budgets.map(|(at, gate)| gate.of(origin(at))).collect(),
            ..self
        }
    }

    fn next_scopes(
        &self,
        limits: &[(ScopeId, ScopeLimits)],
        fresh: &[ScopeId],
    ) -> Arc<[ScopeGate]> {
        let is_same = |(id, limits): &(ScopeId, ScopeLimits)| {
            let gate = self.scopes.get(id.index());
            gate.is_some_and(|gate| gate.limits() == limits)
        };
        if fresh.is_empty() && limits.iter().all(is_same) {
            return Arc::clone(&self.scopes);
        }
        let new = |limits| ScopeGate::new(limits, self.day_end.clone());
        let mut scopes = self.scopes.to_vec();
        let mut is_fresh = vec![false; scopes.len()];
        for id in fresh.iter().map(|id| id.index()) {
            if scopes.len() <= id {
                scopes.resize_with(id + 1, || new(ScopeLimits::default()));
                is_fresh.resize(id + 1, true);
            }
            is_fresh[id] = true;
        }
        for (id, limits) in limits {
            let Some(gate) = scopes.get_mut(id.index()) else {
                continue;
            };
            *gate = if is_fresh[id.index()] {
                new(*limits)
            } else {
                gate.with_limits(*limits)
            };
        }
        scopes.into()
    }

    fn next_budgets(&self, fresh: &[BudgetId]) -> Arc<[BudgetGate]> {
        if fresh.is_empty() {
            return Arc::clone(&self.budgets);
        }
        let mut budgets = self.budgets.to_vec();
        for id in fresh {
            if budgets.len() <= id.index() {
                budgets.resize_with(id.index() + 1, BudgetGate::default);
            }
            budgets[id.index()] = BudgetGate::default();
        }
        budgets.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Instant;
    use crate::link::scope_gate::ScopeLimit;

    fn requests(limit: u64) -> ScopeLimits {
        let mut limits = ScopeLimits::default();
        limits.most[ScopeLimit::RequestsPerMinute as usize] = Some(limit);
        limits
    }

    /// What is left of the requests of each scope's minute.
    fn left(gates: &CallerGates) -> Vec<u64> {
        let left = |gate: &ScopeGate| {
            let left = gate.left(Instant::ZERO);
            left.of(ScopeLimit::RequestsPerMinute)
                .map_or(0, |one| one.left)
        };
        gates.scopes.iter().map(left).collect()
    }

    #[test]
    fn scopes_that_stay_keep_their_words_and_fresh_ones_begin_anew() {
        let ids = [0, 1, 2].map(ScopeId);
        let first = ids.map(|id| (id, requests(5)));
        let gates = CallerGates::default().next(&first, (&ids, &[]));
        for gate in &*gates.scopes {
            gate.take(Instant::ZERO, 0).expect("there is room");
        }
        let same = gates.next(&first, (&[], &[]));
        assert!(Arc::ptr_eq(&gates.scopes, &same.scopes));
        let [zero, _, two] = ids;
        let four = ScopeId(4);
        let next = [(zero, requests(9)), (two, requests(3)), (four, requests(2))];
        let next = gates.next(&next, (&[two, four], &[]));
        // The coordinator adds the difference of the limits. What nobody has any more stays.
        assert_eq!(left(&next), [4, 4, 3, 0, 2]);
        let limit = next.scopes[0].limits().of(ScopeLimit::RequestsPerMinute);
        assert_eq!(limit, Some(9));
        gates.scopes[0].give_back(1, 0);
        next.scopes[2].give_back(-1, 0);
        assert_eq!((left(&next)[0], left(&gates)[2]), (5, 4));
        next.day_end.set(Instant::from_nanos(7));
        assert_eq!(gates.day_end.clone().get(), Instant::from_nanos(7));
    }
}
