//! The judge's view of all scopes of callers: which of them a request passes, what it takes of
//! each, and whether a scope that refuses it may do so.

use std::collections::{BTreeMap, BTreeSet};

use infermux::testing::base::ids::{BudgetId, ScopeId};
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::period::{Per, Period};
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::config::account_seats::FreshAccounts;
use infermux::testing::config::accounts::{self, Accounts};
use infermux::testing::config::plan::{Auth, Plan};
use infermux::testing::config::scope::Scope;
use infermux::testing::decide::budget::{Ask, Capped};
use infermux::testing::exchange::callers::Callers;
use infermux::testing::ledger::state::State;
use infermux::testing::link::budget_gate::Reserved;
use infermux::testing::link::caller_gates::CallerGates;
use infermux::testing::link::scope_gate::{LimitMode, ScopeLeft};
use infermux::testing::shard::request::pass::{By, Pass, Stopped, Wanted};

use crate::allowed::Allowed;
use crate::money::{Account, Allotment, read};
use crate::promise::{AttemptId, Broken, Held, promise};
use crate::scene::Scene;

pub(crate) struct Scopes {
    /// By id; `None` where no scope ever had it.
    limits: Vec<Option<Allowed>>,
    budgets: Vec<Option<Account>>,
    /// The budgets that the configuration has.
    in_force: BTreeSet<BudgetId>,
    /// The running periods.
    periods: [Period; Per::ALL.len()],
    /// What callers were told by scope, and what was spent before the start, whatever ids the
    /// scope's budgets had.
    told: BTreeMap<(Scope, Per), BTreeMap<Period, u64>>,
    /// What scopes without limits used of a day before.
    used: BTreeMap<Scope, (Period, [u64; 2])>,
}

/// What a request holds, as the judge sees it.
pub(crate) type Allotments = Vec<(BudgetId, Allotment)>;

/// What all words of callers said at one moment.
#[derive(PartialEq, Eq)]
pub(crate) struct Words {
    scopes: Vec<ScopeLeft>,
    budgets: Vec<(u64, u64, Capped)>,
}

impl Words {
    pub(crate) fn of(now: Instant, gates: &CallerGates) -> Self {
        let scopes = gates.scopes.iter();
        Self {
            scopes: scopes.map(|one| one.left(now)).collect(),
            budgets: gates.budgets.iter().map(read).collect(),
        }
    }
}

impl Scopes {
    pub(crate) fn new(scene: &Scene) -> Self {
        let mut new = Self {
            limits: Vec::new(),
            budgets: Vec::new(),
            in_force: BTreeSet::new(),
            periods: Per::ALL.map(|per| Period::of(per, scene.wall)),
            told: BTreeMap::new(),
            used: BTreeMap::new(),
        };
        let today = new.periods[Per::Day as usize];
        for account in scene.accounts.all() {
            let used = scene.state.used_on(today, &account.scope);
            new.used.insert(account.scope.clone(), (today, used));
            for (_, budget) in &account.budgets {
                let spent = scene.state.spent_by(&account.scope, budget.per);
                let spent = spent.iter().map(|(period, nano)| (*period, nano.get()));
                let name = (account.scope.clone(), budget.per);
                new.told.insert(name, spent.collect());
            }
        }
        new.adopt(&scene.accounts, (&[], &[]));
        new
    }

    /// The configuration was reloaded: ids that stay keep what is known of them.
    pub(crate) fn on_reload(&mut self, callers: &Callers) {
        let fresh = callers.fresh();
        self.adopt(callers.accounts(), (&fresh.scopes, &fresh.budgets));
    }

    fn adopt(&mut self, accounts: &Accounts, fresh: (&[ScopeId], &[BudgetId])) {
        for id in fresh.0 {
            if let Some(former) = self.limits.get_mut(id.index()).and_then(Option::take) {
                let used = former.used();
                self.used.insert(former.scope().clone(), used);
            }
        }
        for id in fresh.1 {
            if let Some(former) = self.budgets.get_mut(id.index()) {
                *former = None;
            }
        }
        let today = self.periods[Per::Day as usize];
        let budgets = accounts.all().iter().flat_map(|one| &one.budgets);
        let in_force = budgets.map(|(id, _)| *id).collect();
        let were_in_force = std::mem::replace(&mut self.in_force, in_force);
        for account in accounts.all() {
            let scope = &account.scope;
            if let Some((id, limits)) = &account.limits {
                match place(&mut self.limits, id.index()) {
                    Some(known) => known.on_reload(limits),
                    empty @ None => {
                        let used = self.used.get(scope).filter(|(day, _)| *day == today);
                        let used = used.map_or([0; 2], |(_, used)| *used);
                        *empty = Some(Allowed::new((scope, limits), today, used));
                    }
                }
            }
            for (id, budget) in &account.budgets {
                let told = self.told.get(&(scope.clone(), budget.per)).cloned();
                let told = told.unwrap_or_default();
                match place(&mut self.budgets, id.index()) {
                    Some(known) => {
                        known.on_reload(budget);
                        if !were_in_force.contains(id) {
                            known.on_return(&told);
                        }
                    }
                    empty @ None => {
                        let period = self.periods[budget.per as usize];
                        *empty = Some(Account::new((scope, budget), period, told));
                    }
                }
            }
        }
    }

    /// Whether one of the fresh ids, or its new holder, was known before.
    pub(crate) fn knows_any(&self, accounts: &Accounts, fresh: &FreshAccounts) -> bool {
        let is_new = |id: &BudgetId| fresh.budgets.contains(id);
        let knows = |account: &accounts::Account| {
            let new = account.budgets.iter().filter(|(id, _)| is_new(id));
            let mut names = new.map(|(_, budget)| (account.scope.clone(), budget.per));
            names.any(|name| self.told.contains_key(&name))
        };
        let had = |id: &ScopeId| id.index() < self.limits.len();
        fresh.scopes.iter().any(had)
            || fresh
                .budgets
                .iter()
                .any(|id| id.index() < self.budgets.len())
            || accounts.all().iter().any(knows)
    }

    pub(crate) fn limits(&mut self, id: ScopeId) -> &mut Allowed {
        let limits = self.limits[id.index()].as_mut();
        limits.expect("a scope that requests have passed")
    }

    fn budget(&mut self, id: BudgetId) -> &mut Account {
        let budget = self.budgets[id.index()].as_mut();
        budget.expect("a budget that requests have passed")
    }

    /// A request has passed its scopes: those called `expected`, and no others.
    pub(crate) fn on_passed(
        &mut self,
        (pass, expected): (&Pass, &[Scope]),
        wanted: &Wanted<'_>,
        request: AttemptId,
    ) -> Result<Allotments, Broken> {
        let callers = pass.callers();
        let accounts = callers.accounts().all();
        let due = accounts.iter().filter(|one| expected.contains(&one.scope));
        let limited: Vec<ScopeId> = due.clone().filter_map(|one| Some(one.limits?.0)).collect();
        let ids = |of: &accounts::Account| of.budgets.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let mut budgets: Vec<BudgetId> = due.flat_map(ids).collect();
        if wanted.ask.is_none() {
            budgets.clear();
        }
        let sorted = |mut all: Vec<u32>| {
            all.sort_unstable();
            all
        };
        let found = (
            sorted(pass.taken().map(|(id, _)| id.0).collect()),
            sorted(pass.reserved().map(|(id, _)| id.0).collect()),
        );
        let due = (
            sorted(limited.iter().map(|id| id.0).collect()),
            sorted(budgets.iter().map(|id| id.0).collect()),
        );
        // proves: scope.each-counts
        promise("scope.each-counts", found == due, || {
            format!(
                "a request for {} passes {found:?}, not {due:?}",
                wanted.model
            )
        })?;
        for (id, taken) in pass.taken() {
            let limits = callers.gates().scopes[id.index()].limits();
            self.limits(id)
                .on_taken(wanted.now, (&taken, limits), request)?;
        }
        let mut allotments = Vec::new();
        for (id, reserved) in pass.reserved() {
            let allotment = allotment(callers, (id, reserved), wanted);
            self.budget(id).on_reserved(&allotment)?;
            allotments.push((id, allotment));
        }
        Ok(allotments)
    }

    /// A request is refused, or is to be served with another model.
    pub(crate) fn on_stopped(
        &self,
        callers: &Callers,
        stopped: &Stopped<'_>,
        wanted: &Wanted<'_>,
    ) -> Held {
        let name = &stopped.account.scope;
        let (may, is_full) = match stopped.by {
            By::Limit(refusal) => {
                let id = stopped.account.limits.map(|(id, _)| id.index());
                let id = id.unwrap_or(usize::MAX);
                let known = self.limits.get(id).and_then(Option::as_ref);
                let limits = callers.gates().scopes[id].limits();
                let most = limits.of(refusal.limit).unwrap_or(u64::MAX);
                let tokens = wanted.tokens.get();
                let is_full = known.is_some_and(|one| one.is_full((refusal.limit, most), tokens));
                let may = limits.mode == LimitMode::Refuse && refusal.until >= wanted.now;
                (may, is_full)
            }
            By::Budget { id, rules, .. } => {
                let known = self.budgets.get(id.index()).and_then(Option::as_ref);
                let known = known.zip(wanted.ask.as_ref());
                let is_full = known.is_some_and(|(one, ask)| one.is_full(rules.amount, ask));
                let is_served = rules.model_override.as_deref() == Some(wanted.model);
                let may =
                    rules.may_stop() && !is_served && !wanted.overrides.budgets().contains(&id);
                (may, is_full)
            }
        };
        // proves: refused.for-a-reason
        promise("refused.for-a-reason", may, || {
            format!(
                "{name} refuses a request that it may not refuse: {:?}",
                stopped.by
            )
        })?;
        promise("refused.for-a-reason", is_full, || {
            format!("{name} refuses a request, and has room: {:?}", stopped.by)
        })
    }

    /// A request has ended with so many tokens at this cost.
    pub(crate) fn on_settled(
        &mut self,
        now: Instant,
        (pass, allotments): (&Pass, &Allotments),
        (used, cost, request): (u64, NanoUsd, AttemptId),
    ) -> Held {
        for (id, taken) in pass.taken() {
            let limits = pass.callers().gates().scopes[id.index()].limits();
            self.limits(id)
                .on_settled(now, (&taken, limits), (used, request))?;
        }
        // Several budgets of a scope for the same period are told of one cost.
        let mut told = BTreeSet::new();
        for (id, allotment) in allotments {
            let account = self.budget(*id);
            let period = account.on_settled(allotment, cost);
            let (scope, per) = account.name();
            told.insert((scope.clone(), per, period));
        }
        for (scope, per, period) in told {
            let by_period = self.told.entry((scope, per)).or_default();
            *by_period.entry(period).or_default() += cost.get();
        }
        Ok(())
    }

    /// The coordinator has done what was due.
    pub(crate) fn on_due(&mut self, now: Instant, wall: WallTime) {
        let before = self.periods;
        for period in &mut self.periods {
            *period = Period::of(period.per(), wall).max(*period);
        }
        let [today, ..] = self.periods;
        for scope in self.limits.iter_mut().flatten() {
            if today > before[Per::Day as usize] {
                scope.on_day(today);
            }
            scope.on_due(now);
        }
        if self.periods != before {
            for budget in self.budgets.iter_mut().flatten() {
                budget.on_periods(&self.periods);
            }
        }
    }

    /// What must hold after every step.
    pub(crate) fn check(&mut self, now: Instant, gates: &CallerGates) -> Held {
        for (scope, gate) in self.limits.iter_mut().zip(&*gates.scopes) {
            if let Some(scope) = scope {
                scope.check(now, gate)?;
            }
        }
        for (budget, gate) in self.budgets.iter().zip(&*gates.budgets) {
            if let Some(budget) = budget {
                budget.check(gate)?;
            }
        }
        Ok(())
    }

    /// What must hold when all requests are over, and the minute is empty.
    pub(crate) fn check_end(&self, now: Instant, gates: &CallerGates, state: &State) -> Held {
        for (scope, gate) in self.limits.iter().zip(&*gates.scopes) {
            if let Some(scope) = scope {
                scope.check_end(now, gate, state)?;
            }
        }
        for (budget, gate) in self.budgets.iter().zip(&*gates.budgets) {
            if let Some(budget) = budget {
                budget.check_end(gate)?;
            }
        }
        for ((scope, per), told) in &self.told {
            let period = self.periods[*per as usize];
            let told = told.get(&period).copied().unwrap_or(0);
            let saved = state.spent_by(scope, *per).get(&period).copied();
            let saved = saved.unwrap_or(NanoUsd::ZERO).get();
            // proves: spend.equals-told
            promise("spend.equals-told", saved == told, || {
                format!("{scope} was told {told} in {period}, and {saved} is saved")
            })?;
        }
        Ok(())
    }
}

/// The scopes that a request passes, whether or not they have limits or budgets.
pub(crate) fn passed(plan: &Plan, key: Option<usize>, caller: &str, model: &str) -> Vec<Scope> {
    let mut all = vec![Scope::Caller(caller.into())];
    let Auth::Keys(listed) = &plan.auth else {
        return all;
    };
    let Some(key) = key.and_then(|place| listed.keys.get(place)) else {
        return all;
    };
    all.push(Scope::Key(key.name.clone()));
    all.extend(key.team.clone().map(Scope::Team));
    for entry in &key.per_model {
        let is_for = |text: &str| match text.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == text,
        };
        if entry.label().split(", ").any(is_for) {
            let (key, models) = (key.name.clone(), entry.label());
            all.push(Scope::KeyModels { key, models });
        }
    }
    all
}

/// What a request holds of a budget.
fn allotment(
    callers: &Callers,
    (id, reserved): (BudgetId, Reserved),
    wanted: &Wanted<'_>,
) -> Allotment {
    let accounts = callers.accounts().all();
    let mut budgets = accounts.iter().flat_map(|one| &one.budgets);
    let rules = budgets.find(|(own, _)| *own == id).map(|(_, rules)| rules);
    let is_stopped = rules.is_some_and(|rules| {
        let is_served = rules.model_override.as_deref() == Some(wanted.model);
        rules.may_stop() && !is_served && !wanted.overrides.budgets().contains(&id)
    });
    Allotment {
        reserved,
        ask: wanted.ask.unwrap_or(NOTHING),
        is_stopped,
    }
}

/// The place with this number, which may be empty.
fn place<T>(all: &mut Vec<Option<T>>, number: usize) -> &mut Option<T> {
    if all.len() <= number {
        all.resize_with(number + 1, || None);
    }
    &mut all[number]
}

const NOTHING: Ask = Ask {
    prompt: NanoUsd::ZERO,
    whole: NanoUsd::ZERO,
};
