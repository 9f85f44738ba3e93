//! What scopes of callers are allowed, and what is left of it: read from the words that shards take
//! from, which are exact at any time.

use crate::base::money::NanoUsd;
use crate::base::period::{Per, Period};
use crate::base::time::WallTime;
use crate::config::accounts::Account;
use crate::config::scope::{Budget, Enforce, Limits};
use crate::coordinator::time::Time;
use crate::link::budget_gate::BudgetGate;
use crate::link::caller_gates::CallerGates;
use crate::link::scope_gate::{LimitLeft, ScopeGate, ScopeLimit};
use crate::report::allowance::{
    AllowanceReport, BudgetReport, BudgetState, LimitReport, LimitsReport,
};
use crate::report::dollars::{Left, Usd};

/// What `account` is allowed and what is left of it at `time`.
pub(super) fn allowance<'a>(
    account: &'a Account,
    gates: &CallerGates,
    time: Time,
) -> AllowanceReport<'a> {
    let limits = account.limits.as_ref().and_then(|(id, limits)| {
        let gate = gates.scopes.get(id.index())?;
        Some(of_limits(limits, gate, time))
    });
    let budgets = account.budgets.iter().filter_map(|(id, budget)| {
        let gate = gates.budgets.get(id.index())?;
        Some(of_budget(budget, gate, time))
    });
    AllowanceReport {
        limits,
        budgets: budgets.collect(),
    }
}

fn of_limits(limits: &Limits, gate: &ScopeGate, time: Time) -> LimitsReport {
    let left = gate.left(time.now);
    let limit = |limit: ScopeLimit| {
        let one = left.of(limit)?;
        let report = LimitReport {
            limit: one.limit,
            left: one.left,
            resets_at: resets_at(limit, one, time),
            refused: gate.refused(limit),
            exceeded: gate.exceeded(limit),
        };
        Some((limit.name(), report))
    };
    LimitsReport {
        enforce: limits.enforce == Enforce::Yes,
        limits: ScopeLimit::ALL.into_iter().filter_map(limit).collect(),
    }
}

fn resets_at(limit: ScopeLimit, one: LimitLeft, time: Time) -> Option<WallTime> {
    if one.left >= one.limit {
        return None;
    }
    match limit {
        // Places come back when requests end.
        ScopeLimit::InFlight => None,
        ScopeLimit::RequestsPerMinute | ScopeLimit::TokensPerMinute => {
            Some(time.wall.after(one.resets.since(time.now)))
        }
        ScopeLimit::RequestsPerDay | ScopeLimit::TokensPerDay => {
            Period::of(Per::Day, time.wall).end()
        }
    }
}

fn of_budget<'a>(budget: &'a Budget, gate: &BudgetGate, time: Time) -> BudgetReport<'a> {
    let spent = gate.spent_by_all();
    BudgetReport {
        per: budget.per.name(),
        usd: Usd(budget.amount),
        spent_usd: Usd(spent),
        lost_usd: Some(gate.lost())
            .filter(|lost| *lost > NanoUsd::ZERO)
            .map(Usd),
        remaining_usd: Left::of(budget.amount, spent),
        resets_at: Period::of(budget.per, time.wall).end(),
        action: budget.action.name(),
        state: match (spent < budget.amount, budget.may_stop()) {
            (true, _) => BudgetState::Within,
            (false, false) => BudgetState::Exceeded,
            (false, true) if budget.model_override.is_some() => BudgetState::Overrides,
            (false, true) => BudgetState::Refuses,
        },
        model_override: budget.model_override.as_deref(),
        enforce: budget.enforce == Enforce::Yes,
        refused: gate.refusals(),
    }
}
