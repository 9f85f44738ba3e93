//! What one request holds of the limits and budgets of its scopes.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::base::ids::{BudgetId, ScopeId, Subject};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::accounts::{Account, Accounts};
use crate::config::scope::{Budget, Enforce};
use crate::decide::budget::{self, Admission, Ask, Share, Standing};
use crate::exchange::callers::SharedCallers;
use crate::exchange::overrides::Overrides;
use crate::exchange::quota::Quota;
use crate::link::budget_gate::Reserved;
use crate::link::caller_gates::CallerGates;
use crate::link::facts::Fact;
use crate::link::held::{HeldBudget, HeldLimits};
use crate::link::lease::Lease;
use crate::link::pause;
use crate::link::reports::Lacking;
use crate::link::scope_gate::{Missing, ScopeLimit, ScopeRefusal, ScopeTaken};
use crate::shard::state::desk::Desk;

/// What a request holds of its scopes' limits and budgets. It is settled exactly once: a pass that
/// is dropped before [`Pass::settle`] has used nothing but its one request.
pub struct Pass {
    desk: Rc<Desk>,
    callers: Rc<SharedCallers>,
    admitted: Instant,
    limits: SmallVec<[HeldLimits; LIMITS_HELD]>,
    budgets: SmallVec<[HeldBudget; BUDGETS_HELD]>,
    stage: Stage,
    /// Whether it passes no budget, since it costs nothing.
    is_free: bool,
}

/// How far a pass has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is being taken: nobody was told of it.
    Begun,
    /// It has passed all of its scopes.
    Taken,
    /// Everything has come back that was not used.
    Settled,
}

/// What a request has used, and what that costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Tokens of the prompt and the answer.
    pub tokens: Tokens,
    /// Money.
    pub cost: NanoUsd,
}

/// What a request asks of its scopes.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The moment.
    pub now: Instant,
    /// The model that it is to be served with; it has none where it asks for no answer.
    pub model: &'a str,
    /// How many tokens it is expected to use.
    pub tokens: Tokens,
    /// What it is expected to cost; `None`: it costs nothing, and passes no budget.
    pub ask: Option<Ask>,
    /// The budgets that have sent it to another model.
    pub overrides: &'a Overrides,
}

/// Who refuses a request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped<'a> {
    /// Whose limit or budget it is.
    pub account: &'a Account,
    /// Which of them.
    pub by: By<'a>,
}

/// What refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// A limit.
    Limit(ScopeRefusal),
    /// A budget.
    Budget {
        /// Its id.
        id: BudgetId,
        /// What it allows.
        rules: &'a Budget,
        /// Its decision.
        refused: Refused,
    },
}

impl<'a> Stopped<'a> {
    /// Whether a part of a limit or budget is missing that may be leased from the shared store.
    #[must_use]
    pub fn lacks_part(&self) -> bool {
        self.missing() != Missing::Limit
    }

    /// What is missing.
    #[must_use]
    pub const fn missing(&self) -> Missing {
        match self.by {
            By::Limit(refusal) => refusal.missing,
            By::Budget { refused, .. } => refused.missing,
        }
    }

    /// The budget that refuses the request; `None`: a limit does.
    #[must_use]
    pub const fn budget(&self) -> Option<(BudgetId, &'a Budget)> {
        match self.by {
            By::Budget { id, rules, .. } => Some((id, rules)),
            By::Limit(_) => None,
        }
    }
}

/// Why a budget reserves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The budget's decision.
    pub admission: Admission,
    /// What has been spent of it.
    pub spent: NanoUsd,
    /// What is missing.
    pub missing: Missing,
}

impl Pass {
    /// Takes a request through its scopes, whose accounts these are in their order, and keeps what
    /// it holds in `pass`, which is `None` before.
    ///
    /// # Errors
    ///
    /// One of them refuses the request: then nothing is held in any of them.
    pub fn take<'a>(
        pass: &mut Option<Self>,
        (desk, callers): (&Rc<Desk>, &Rc<SharedCallers>),
        accounts: &[&'a Account],
        wanted: &Wanted<'_>,
    ) -> Result<(), Stopped<'a>> {
        let taking = pass.insert(Self {
            desk: Rc::clone(desk),
            callers: Rc::clone(callers),
            admitted: wanted.now,
            limits: SmallVec::new(),
            budgets: SmallVec::new(),
            stage: Stage::Begun,
            is_free: wanted.ask.is_none(),
        });
        for &account in accounts {
            if let Err(by) = taking.take_in(account, wanted) {
                // Dropped, the pass gives back what it holds already.
                *pass = None;
                return Err(Stopped { account, by });
            }
        }
        taking.tell();
        Ok(())
    }

    /// Tells the coordinator what a request lacks in the scopes with these accounts, all at once;
    /// returns whether it is of use to wait. With one scope after the other, instances would hold
    /// parts of limits that they cannot use.
    pub fn tell_lacks(
        desk: &Rc<Desk>,
        callers: &SharedCallers,
        accounts: &[&Account],
        wanted: &Wanted<'_>,
    ) -> bool {
        let mut may_come = true;
        for account in accounts {
            if let Some((id, _)) = account.limits {
                let gate = &callers.gates().scopes[id.index()];
                for (lease, amount) in gate.lacks(wanted.now, wanted.tokens.get()) {
                    let lacking = Lacking::Limits(Subject::Scope(id));
                    may_come &= tell_lack(desk, (lease, amount), (wanted.now, lacking));
                }
            }
            let Some(ask) = &wanted.ask else { continue };
            for (id, rules) in &account.budgets {
                let gate = &callers.gates().budgets[id.index()];
                let may_stop = wanted.overrides.may_refuse((*id, rules), wanted.model);
                if let (Some(lease), true) = (gate.lease(), may_stop)
                    && (gate.lacks(ask.costs()) || !lease.lease.holds(wanted.now))
                {
                    let asked = (&lease.lease, ask.costs().get());
                    may_come &= tell_lack(desk, asked, (wanted.now, Lacking::Budget(*id)));
                }
            }
        }
        may_come
    }

    /// Tells the coordinator what was taken of limits.
    fn tell(&mut self) {
        self.stage = Stage::Taken;
        let held = self.limits.as_slice();
        for one in held.iter().filter(|one| one.taken.exceeds()) {
            let gate = &self.callers.gates().scopes[one.scope.index()];
            if let Some(told) = gate.admit(&one.taken, self.admitted) {
                warn(self.callers.accounts(), one.scope, told);
            }
        }
        if !held.is_empty() {
            self.desk.reports.passed(self.admitted, held);
        }
    }

    #[inline]
    fn take_in<'a>(&mut self, account: &'a Account, wanted: &Wanted<'_>) -> Result<(), By<'a>> {
        if let Some((scope, _)) = account.limits {
            let gate = &self.callers.gates().scopes[scope.index()];
            let taken = gate.take(wanted.now, wanted.tokens.get());
            let taken = taken.map_err(By::Limit)?;
            self.limits.push(HeldLimits { scope, taken });
        }
        let Some(ask) = &wanted.ask else {
            return Ok(());
        };
        for (id, rules) in &account.budgets {
            let id = *id;
            let gate = &self.callers.gates().budgets[id.index()];
            let reserved = match gate.reserve_plainly(ask.costs()) {
                Some(reserved) => reserved,
                None => {
                    let decided = self.reserve((id, rules), ask, wanted);
                    decided.map_err(|refused| By::Budget { id, rules, refused })?
                }
            };
            self.budgets.push(HeldBudget {
                budget: id,
                reserved,
                told: (rules.enforce == Enforce::Yes).then_some(rules.amount),
            });
        }
        Ok(())
    }

    #[inline(never)]
    fn reserve(
        &self,
        (id, rules): (BudgetId, &Budget),
        ask: &Ask,
        wanted: &Wanted<'_>,
    ) -> Result<Reserved, Refused> {
        let gate = &self.callers.gates().budgets[id.index()];
        let lease = gate.lease().map(|lease| &lease.lease);
        let may_stop = || wanted.overrides.may_refuse((id, rules), wanted.model);
        if lease.is_some_and(|lease| !lease.is_open() && !lease.holds(wanted.now)) && may_stop() {
            return Err(Refused {
                admission: Admission::RefuseInFlight,
                spent: gate.spent_by_all(),
                missing: Missing::Lease,
            });
        }
        let is_open = lease.is_some_and(Lease::is_open);
        let reserved = gate.reserve(rules.amount, |standing| {
            if is_open {
                return Ok(budget::share_of_unstoppable(standing, ask));
            }
            decide((id, rules), ask, wanted, standing).map_err(|refused| {
                let is_part = lease.is_some() && refused.admission == Admission::RefuseInFlight;
                let missing = if is_part {
                    Missing::Part
                } else {
                    Missing::Limit
                };
                Refused { missing, ..refused }
            })
        });
        if let Err(refused) = &reserved
            && refused.admission == Admission::RefuseForGood
        {
            self.count_refusal((id, rules), refused.spent);
        }
        reserved
    }

    fn count_refusal(&self, (budget, rules): (BudgetId, &Budget), spent: NanoUsd) {
        let gate = &self.callers.gates().budgets[budget.index()];
        if gate.count_refusal(rules.amount) {
            self.desk.reports.report(Fact::Refused {
                budget,
                spent,
                amount: rules.amount,
            });
        }
    }

    /// The callers in force when it was taken.
    #[must_use]
    pub fn callers(&self) -> &SharedCallers {
        &self.callers
    }

    /// What is reserved of budgets, in their order.
    pub fn reserved(&self) -> impl Iterator<Item = (BudgetId, Reserved)> {
        let held = self.budgets.as_slice().iter();
        held.map(|one| (one.budget, one.reserved))
    }

    /// What is taken of limits, in their order.
    pub fn taken(&self) -> impl Iterator<Item = (ScopeId, ScopeTaken)> {
        let held = self.limits.as_slice().iter();
        held.map(|one| (one.scope, one.taken))
    }

    /// What is left in its scopes at `now`; `None`: it does not know all of them, since it is free.
    #[must_use]
    pub fn quota(&self, now: Instant) -> Option<Quota> {
        if self.is_free {
            return None;
        }
        let gates = self.callers.gates();
        let mut quota = Quota::at(now);
        for one in self.limits.as_slice() {
            quota.add_limits(&gates.scopes[one.scope.index()]);
        }
        for one in self.budgets.as_slice() {
            if let Some(amount) = one.told {
                quota.add_budget(amount, &gates.budgets[one.budget.index()]);
            }
        }
        Some(quota)
    }

    /// The request has used this much. Only the first call counts.
    pub fn settle(&mut self, bill: &Bill) {
        let stage = std::mem::replace(&mut self.stage, Stage::Settled);
        let (limits, budgets) = (self.limits.as_slice(), self.budgets.as_slice());
        let gates = self.callers.gates();
        match stage {
            Stage::Settled => return,
            // Nobody was told of them.
            Stage::Begun => {
                for one in limits {
                    gates.scopes[one.scope.index()].cancel(one.taken);
                }
            }
            Stage::Taken => {
                for one in limits {
                    self.leave(one, bill.tokens);
                }
            }
        }
        // The words know it when this returns, the books within 10 ms.
        for one in budgets {
            gates.budgets[one.budget.index()].settle(&one.reserved, bill.cost);
        }
        if bill.cost > NanoUsd::ZERO && !budgets.is_empty() {
            self.desk.reports.paid(bill.cost, budgets);
        }
    }

    /// What is taken of a scope's limits comes back, as far as it was not used.
    #[inline]
    fn leave(&self, held: &HeldLimits, used: Tokens) {
        let taken = &held.taken;
        if !taken.must_be_settled() && !taken.end_must_be_told() {
            return;
        }
        let gate = &self.callers.gates().scopes[held.scope.index()];
        let excess = gate.settle(taken, used.get());
        gate.release();
        if taken.end_must_be_told() {
            let left = held.left(self.admitted, (used, Tokens::new(excess)));
            self.desk.reports.report(Fact::Left(left));
        }
    }
}

/// What a scope would say to a request: nothing is taken or counted.
///
/// # Errors
///
/// One of its limits or budgets would refuse the request.
pub fn look<'a>(
    gates: &CallerGates,
    account: &'a Account,
    wanted: &Wanted<'_>,
) -> Result<(), Stopped<'a>> {
    let stopped = |by| Stopped { account, by };
    let limited = account.limits.and_then(|(id, _)| {
        let gate = &gates.scopes[id.index()];
        gate.look(wanted.now, wanted.tokens.get())
    });
    if let Some(refusal) = limited {
        return Err(stopped(By::Limit(refusal)));
    }
    let Some(ask) = &wanted.ask else {
        return Ok(());
    };
    for (id, rules) in &account.budgets {
        let id = *id;
        let standing = gates.budgets[id.index()].standing(rules.amount);
        decide((id, rules), ask, wanted, &standing)
            .map_err(|refused| stopped(By::Budget { id, rules, refused }))?;
    }
    Ok(())
}

/// The share of a budget with this standing that a request gets.
fn decide(
    (id, rules): (BudgetId, &Budget),
    ask: &Ask,
    wanted: &Wanted<'_>,
    standing: &Standing,
) -> Result<Share, Refused> {
    if !wanted.overrides.may_refuse((id, rules), wanted.model) {
        return Ok(budget::share_of_unstoppable(standing, ask));
    }
    match budget::admit(standing, ask) {
        Admission::Reserve(share) => Ok(share),
        admission @ (Admission::RefuseForGood | Admission::RefuseInFlight) => {
            let spent = standing.spent;
            Err(Refused {
                admission,
                spent,
                missing: Missing::Limit,
            })
        }
    }
}

/// Tells the log that a limit which is not enforced would have refused a request.
#[cold]
fn warn(accounts: &Accounts, id: ScopeId, (limit, kept_back): (ScopeLimit, u64)) {
    let is_it = |one: &&Account| one.limits.is_some_and(|(other, _)| other == id);
    let Some(account) = accounts.all().iter().find(is_it) else {
        return;
    };
    tracing::warn!(
        scope = %account.scope,
        limit = limit.name(),
        repeated = pause::told(kept_back),
        "a limit that is not enforced would have refused a request"
    );
}

/// Tells the coordinator what a request lacks of one quota; returns whether it may come soon. Where
/// the store has just said no, it is not asked for each request.
pub(super) fn tell_lack(
    desk: &Desk,
    (lease, amount): (&Lease, u64),
    (now, lacking): (Instant, Lacking),
) -> bool {
    if lease.is_vain(now) {
        return false;
    }
    if lease.lack(amount) && !desk.reports.lack(lacking) {
        // Without room, the next request tells.
        let _ = lease.take_lacked();
    }
    true
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.settle(&Bill::default());
    }
}

/// What a request usually holds at most: of the limits of its team, its key and its model.
const LIMITS_HELD: usize = 3;
/// Likewise: one budget of each of these, and its caller's.
const BUDGETS_HELD: usize = 4;
