//! What an answer tells its caller of the limits and budgets that it goes by.

use std::cmp::Reverse;
use std::io::Write as _;
use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::time::{Instant, WallTime};
use crate::config::scope::Enforce;
use crate::exchange::scopes::Scopes;
use crate::link::budget_gate::BudgetGate;
use crate::link::caller_gates::CallerGates;
use crate::link::scope_gate::{LimitLeft, LimitMode, ScopeGate, ScopeLimit};

/// What is left for a caller, in the tightest of the scopes that its request passes. Limits and
/// budgets that refuse nothing are not told, since callers slow down by what they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    requests: Option<LimitLeft>,
    tokens: Option<LimitLeft>,
    budget: Option<NanoUsd>,
    /// When it was looked at.
    now: Instant,
}

impl Quota {
    /// Nothing known yet, at this moment.
    #[must_use]
    pub fn at(now: Instant) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    /// What is left at `now` for requests for `model`.
    #[must_use]
    pub fn of<'a>(
        scopes: &Scopes<'a>,
        gates: &CallerGates,
        model: Option<&'a str>,
        now: Instant,
    ) -> Self {
        let mut quota = Self::at(now);
        for account in scopes.of_model(model) {
            if let Some((id, _)) = account.limits {
                quota.add_limits(&gates.scopes[id.index()]);
            }
            for (id, budget) in &account.budgets {
                if budget.enforce == Enforce::Yes {
                    quota.add_budget(budget.amount, &gates.budgets[id.index()]);
                }
            }
        }
        quota
    }

    /// The request passes these limits.
    pub fn add_limits(&mut self, gate: &ScopeGate) {
        if gate.limits().mode == LimitMode::Count {
            return;
        }
        for limit in gate.there() {
            let place = match limit {
                ScopeLimit::InFlight => continue,
                ScopeLimit::RequestsPerMinute | ScopeLimit::RequestsPerDay => &mut self.requests,
                ScopeLimit::TokensPerMinute | ScopeLimit::TokensPerDay => &mut self.tokens,
            };
            if let Some(left) = gate.left_of(limit, self.now)
                && place.is_none_or(|other| tightness(&left) < tightness(&other))
            {
                *place = Some(left);
            }
        }
    }

    /// The request passes this budget, which allows `amount`.
    pub fn add_budget(&mut self, amount: NanoUsd, gate: &BudgetGate) {
        // What is reserved for others comes back, mostly.
        let left = amount.saturating_sub(gate.spent_by_all());
        self.budget = Some(self.budget.map_or(left, |other| other.min(left)));
    }

    /// Appends the header lines; those of Messages, too, where `wall` says what time it is.
    pub fn write(&self, wall: Option<WallTime>, out: &mut Vec<u8>) {
        if let Some(left) = &self.requests {
            let wait = self.wait(left);
            // Every answer has these lines, and `write!` takes several times as long.
            out.reserve(LINES_ROOM);
            number_after(b"x-ratelimit-limit-requests: ", left.limit, out);
            number_after(b"\r\nx-ratelimit-remaining-requests: ", left.left, out);
            number_after(b"\r\nx-ratelimit-reset-requests: ", wait, out);
            out.extend_from_slice(b"s\r\n");
            write_for_messages("requests", (left, wait), wall, out);
        }
        if let Some(left) = &self.tokens {
            let wait = self.wait(left);
            out.reserve(LINES_ROOM);
            number_after(b"x-ratelimit-limit-tokens: ", left.limit, out);
            number_after(b"\r\nx-ratelimit-remaining-tokens: ", left.left, out);
            number_after(b"\r\nx-ratelimit-reset-tokens: ", wait, out);
            out.extend_from_slice(b"s\r\n");
            write_for_messages("tokens", (left, wait), wall, out);
        }
        if let Some(left) = self.budget {
            out.extend_from_slice(b"X-Infermux-Budget-Remaining: ");
            left.write(out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whole seconds until more is left.
    fn wait(&self, left: &LimitLeft) -> u64 {
        let span = left.resets.since(self.now);
        span.as_secs() + u64::from(span.subsec_nanos() > 0)
    }
}

#[inline]
fn number_after<const N: usize>(text: &[u8; N], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the lines of Messages about `name`, where `wall` says what time it is.
#[inline]
fn write_for_messages(
    name: &str,
    (left, wait): (&LimitLeft, u64),
    wall: Option<WallTime>,
    out: &mut Vec<u8>,
) {
    let Some(wall) = wall else { return };
    let resets = wall.after(Duration::from_secs(wait)).civil();
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "anthropic-ratelimit-{name}-limit: {}\r\n\
         anthropic-ratelimit-{name}-remaining: {}\r\n\
         anthropic-ratelimit-{name}-reset: {resets}Z\r\n",
        left.limit, left.left
    );
}

/// The less is left, and the later more is, the tighter.
fn tightness(left: &LimitLeft) -> (u64, Reverse<Instant>) {
    (left.left, Reverse(left.resets))
}

/// Bytes of the lines about one kind of limit with the longest numbers.
const LINES_ROOM: usize = 160;

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
