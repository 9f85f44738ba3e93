//! Metrics of the limits and budgets of teams and keys. Those of callers have metrics of their own.

use crate::base::limits::SCOPE_SERIES_MAX;
use crate::base::period::Per;
use crate::config::accounts::Account;
use crate::config::scope::{Enforce, Scope};
use crate::coordinator::known::{BudgetStanding, Known};
use crate::link::meters::OTHERS;
use crate::link::scope_gate::{LimitLeft, LimitMode, ScopeGate, ScopeLimit};
use crate::report::exposition::Exposition;
use crate::report::metrics::Family;

/// Writes them. What has no limit or budget adds no series.
pub(super) fn write(out: &mut Exposition, known: &Known) {
    let scopes = Scopes::of(known);
    scopes.limits(out, known);
    scopes.budgets(out, known);
}

/// All scopes of teams and keys.
struct Scopes<'a> {
    /// Those with series of their own: the first ones of the files, so that it is the same ones in
    /// every scrape.
    shown: Vec<(Labels<'a>, &'a Account)>,
    /// The others, with the kind of scope: their counters are added up.
    others: Vec<(&'static str, &'a Account)>,
}

/// `scope`, `name` and `models`
type Labels<'a> = [&'a str; 3];

const TEAM: &str = "team";
const KEY: &str = "key";

impl<'a> Scopes<'a> {
    fn of(known: &'a Known) -> Self {
        let (mut shown, mut others) = (Vec::new(), Vec::new());
        let (mut teams, mut keys) = (0, 0);
        for account in known.callers.accounts().all() {
            let (labels, count) = match &account.scope {
                Scope::Team(name) => ([TEAM, &**name, ""], &mut teams),
                Scope::Key(name) => ([KEY, &**name, ""], &mut keys),
                Scope::KeyModels { key, models } => ([KEY, &**key, &**models], &mut keys),
                Scope::Caller(_) => continue,
            };
            *count += 1;
            if *count <= SCOPE_SERIES_MAX {
                shown.push((labels, account));
            } else {
                let kind = if labels[0] == TEAM { TEAM } else { KEY };
                others.push((kind, account));
            }
        }
        Self { shown, others }
    }

    fn limits(&self, out: &mut Exposition, known: &Known) {
        let left: Vec<(Labels<'_>, ScopeLimit, LimitLeft)> = self
            .shown
            .iter()
            .filter_map(|(labels, account)| Some((*labels, gate(known, account)?)))
            .flat_map(|(labels, gate)| {
                let left = gate.left(known.time.now);
                let limits = ScopeLimit::ALL.into_iter();
                limits.filter_map(move |limit| Some((labels, limit, left.of(limit)?)))
            })
            .collect();
        out.begin(Family::ScopeLimit);
        for ([scope, name, models], limit, left) in &left {
            out.value(&[scope, name, models, limit.name()], left.limit);
        }
        out.begin(Family::ScopeLimitLeft);
        for ([scope, name, models], limit, left) in &left {
            out.value(&[scope, name, models, limit.name()], left.left);
        }
        out.begin(Family::ScopeLimitRefused);
        let refused = |gate: &ScopeGate, limit| gate.refused(limit);
        self.counted(out, known, (LimitMode::Refuse, refused));
        out.begin(Family::ScopeLimitExceeded);
        let exceeded = |gate: &ScopeGate, limit| gate.exceeded(limit);
        self.counted(out, known, (LimitMode::Count, exceeded));
    }

    /// A counter of limits. Limits of another `mode` have one only where they have counted
    /// something before.
    fn counted(
        &self,
        out: &mut Exposition,
        known: &Known,
        (mode, count): (LimitMode, fn(&ScopeGate, ScopeLimit) -> u64),
    ) {
        for ([scope, name, models], account) in &self.shown {
            let Some(gate) = gate(known, account) else {
                continue;
            };
            for limit in ScopeLimit::ALL {
                let count = count(gate, limit);
                let is_there = gate.limits().of(limit).is_some() && gate.limits().mode == mode;
                if is_there || count > 0 {
                    out.value(&[scope, name, models, limit.name()], count);
                }
            }
        }
        for kind in [TEAM, KEY] {
            let others = self.others.iter().filter(|(of, _)| *of == kind);
            let gates: Vec<_> = others.filter_map(|(_, one)| gate(known, one)).collect();
            for limit in ScopeLimit::ALL {
                let sum: u64 = gates.iter().map(|gate| count(gate, limit)).sum();
                if sum > 0 {
                    out.value(&[kind, OTHERS, "", limit.name()], sum);
                }
            }
        }
    }

    fn budgets(&self, out: &mut Exposition, known: &Known) {
        let all: Vec<(Labels<'_>, String, BudgetStanding<'_>)> = self
            .shown
            .iter()
            .flat_map(|(labels, account)| {
                let budgets = known.budgets(account).enumerate();
                // A scope may have several of one period: each has its number.
                budgets.map(|(place, one)| (*labels, (place + 1).to_string(), one))
            })
            .collect();
        out.begin(Family::ScopeBudgetLimit);
        for ([scope, name, models], number, one) in &all {
            let (per, enforce) = (one.budget.per.name(), enforced(one));
            let labels = [scope, name, models, per, number, enforce];
            out.value(&labels, one.budget.amount);
        }
        out.begin(Family::ScopeBudgetSpent);
        for ([scope, name, models], number, one) in &all {
            let (per, enforce) = (one.budget.per.name(), enforced(one));
            out.value(&[scope, name, models, per, number, enforce], one.spent);
        }
        out.begin(Family::ScopeBudgetAlerts);
        for ([scope, name, models], number, one) in &all {
            for (percent, count) in PERCENTS.iter().zip(one.alerts) {
                let per = one.budget.per.name();
                out.value(&[scope, name, models, per, number, percent], count);
            }
        }
        for (kind, per, sum) in self.others_sums(known) {
            for (percent, count) in PERCENTS.iter().zip(sum.alerts) {
                if count > 0 {
                    out.value(&[kind, OTHERS, "", per, "", percent], count);
                }
            }
        }
        out.begin(Family::ScopeBudgetRefusals);
        for ([scope, name, models], number, one) in &all {
            let per = one.budget.per.name();
            out.value(&[scope, name, models, per, number], one.refusals);
        }
        for (kind, per, sum) in self.others_sums(known) {
            if sum.refusals > 0 {
                out.value(&[kind, OTHERS, "", per, ""], sum.refusals);
            }
        }
    }

    /// What budgets without series of their own have counted, by kind of scope and period.
    fn others_sums(&self, known: &Known) -> Vec<(&'static str, &'static str, Sum)> {
        let mut sums = Vec::new();
        for kind in [TEAM, KEY] {
            for per in Per::ALL {
                let others = self.others.iter().filter(|(of, _)| *of == kind);
                let budgets = others.flat_map(|(_, account)| known.budgets(account));
                let budgets = budgets.filter(|one| one.budget.per == per);
                let sum = budgets.fold(Sum::default(), |sum, one| Sum {
                    alerts: [sum.alerts[0] + one.alerts[0], sum.alerts[1] + one.alerts[1]],
                    refusals: sum.refusals + one.refusals,
                });
                sums.push((kind, per.name(), sum));
            }
        }
        sums
    }
}

#[derive(Default)]
struct Sum {
    alerts: [u64; 2],
    refusals: u64,
}

fn gate<'a>(known: &'a Known, account: &Account) -> Option<&'a ScopeGate> {
    let (id, _) = account.limits.as_ref()?;
    known.callers.gates().scopes.get(id.index())
}

fn enforced(one: &BudgetStanding<'_>) -> &'static str {
    match one.budget.enforce {
        Enforce::Yes => "true",
        Enforce::No => "false",
    }
}

const PERCENTS: [&str; 2] = ["80", "100"];
