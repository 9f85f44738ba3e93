//! What an answer tells its caller of the limits and budgets that it goes by.

use std::cmp::Reverse;
use std::io::Write as _;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::money::NanoUsd;
use crate::base::time::{Instant, WallTime};
use crate::config::accounts::Account;
use crate::config::scope::{Budget, Enforce};
use crate::exchange::scopes::Scopes;
use crate::link::budget_gate::BudgetGate;
use crate::link::caller_gates::CallerGates;
use crate::link::scope_gate::{LimitLeft, LimitMode, ScopeLimit};

/// What is left for a caller, in the tightest of the scopes that its request passes. Limits and
/// budgets that refuse nothing are not told, since callers slow down by what they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    requests: Option<LimitLeft>,
    tokens: Option<LimitLeft>,
    budget: Option<NanoUsd>,
    /// When it was looked at.
    now: Instant,
    wall: WallTime,
}

impl Quota {
    /// What is left at this moment for requests for `model`.
    #[must_use]
    pub fn of<'a>(
        scopes: &Scopes<'a>,
        gates: &CallerGates,
        model: Option<&'a str>,
        (now, wall): (Instant, WallTime),
    ) -> Self {
        let mut quota = Self {
            now,
            wall,
            ..Self::default()
        };
        for account in scopes.of_model(model) {
            quota.take_in(account, gates);
        }
        quota
    }

    fn take_in(&mut self, account: &Account, gates: &CallerGates) {
        let gate = account.limits.map(|(id, _)| &gates.scopes[id.index()]);
        if let Some(gate) = gate.filter(|gate| gate.limits().mode == LimitMode::Refuse) {
            let left = gate.left(self.now);
            for (place, limits) in [(&mut self.requests, REQUESTS), (&mut self.tokens, TOKENS)] {
                let told = limits.into_iter().filter_map(|limit| left.of(limit));
                *place = place.take().into_iter().chain(told).min_by_key(tightness);
            }
        }
        let enforced = account.budgets.iter();
        let enforced = enforced.filter(|(_, budget)| budget.enforce == Enforce::Yes);
        let left = enforced.map(|(id, budget)| left_of(budget, &gates.budgets[id.index()]));
        self.budget = self.budget.into_iter().chain(left).min();
    }

    /// Appends the header lines for a caller that speaks `dialect`.
    pub fn write(&self, dialect: Dialect, out: &mut Vec<u8>) {
        for (name, left) in [("requests", self.requests), ("tokens", self.tokens)] {
            let Some(left) = left else { continue };
            let wait = whole_seconds(left.resets.since(self.now));
            // Every answer has these lines, and `write!` takes several times as long.
            for (start, number, end) in [
                ("x-ratelimit-limit-", left.limit, "\r\n"),
                ("x-ratelimit-remaining-", left.left, "\r\n"),
                ("x-ratelimit-reset-", wait, "s\r\n"),
            ] {
                let mut digits = itoa::Buffer::new();
                for part in [start, name, ": ", digits.format(number), end] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            if dialect == Dialect::Messages {
                let resets = self.wall.after(Duration::from_secs(wait)).civil();
                // Writing to memory cannot fail.
                let _ = write!(
                    out,
                    "anthropic-ratelimit-{name}-limit: {}\r\n\
                     anthropic-ratelimit-{name}-remaining: {}\r\n\
                     anthropic-ratelimit-{name}-reset: {resets}Z\r\n",
                    left.limit, left.left
                );
            }
        }
        if let Some(left) = self.budget {
            out.extend_from_slice(b"X-Infermux-Budget-Remaining: ");
            left.write(out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The less is left, and the later more is, the tighter.
fn tightness(left: &LimitLeft) -> (u64, Reverse<Instant>) {
    (left.left, Reverse(left.resets))
}

/// What is not spent of a budget. What is reserved for others comes back, mostly.
fn left_of(budget: &Budget, gate: &BudgetGate) -> NanoUsd {
    budget.amount.saturating_sub(gate.spent())
}

fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

const REQUESTS: [ScopeLimit; 2] = [ScopeLimit::RequestsPerMinute, ScopeLimit::RequestsPerDay];
const TOKENS: [ScopeLimit; 2] = [ScopeLimit::TokensPerMinute, ScopeLimit::TokensPerDay];

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
