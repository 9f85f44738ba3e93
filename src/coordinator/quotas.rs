//! The limits and budgets of a configuration that are shared with other instances: their numbers,
//! their names in the store, and the words that they are counted in.

use std::collections::{HashMap, HashSet};

use crate::base::ids::{BudgetId, ProviderId, ScopeId, Subject};
use crate::base::period::{Per, Period};
use crate::config::accounts::Accounts;
use crate::config::plan::Plan;
use crate::config::scope::Reach;
use crate::config::shared::{self, Shared};
use crate::ledger::books::Books;
use crate::ledger::shares::quota::{Kind, Measure, OnLoss, Quota, ShareId, Standing, Words};
use crate::link::budget_gate::BudgetGate;
use crate::link::caller_gates::CallerGates;
use crate::link::gate::Gates;
use crate::link::lease::{BudgetLease, Lease};
use crate::link::scope_gate::ScopeLimit;

/// What a shared quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One limit of a provider or a scope.
    Limit(Subject, ScopeLimit),
    /// A budget.
    Budget(BudgetId),
}

/// The shared quotas and their numbers. A quota keeps its number while it is in force.
#[derive(Debug, Default)]
pub struct Quotas {
    /// By number; `None` is free.
    targets: Vec<Option<Target>>,
    numbers: HashMap<Target, ShareId>,
}

/// A shared quota as the files have it, and what this process has used of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it limits.
    pub target: Target,
    /// Its terms.
    pub quota: Quota,
    /// What was used of it in its window or period, as far as shards have reported.
    pub used: u64,
}

impl Quotas {
    /// The quotas that are not among `entries`.
    #[must_use]
    pub fn others(&self, entries: &[Entry]) -> Vec<(ShareId, Target)> {
        let stay: HashSet<Target> = entries.iter().map(|entry| entry.target).collect();
        let all = self.all();
        all.filter(|(_, target)| !stay.contains(target)).collect()
    }

    /// The number of the quota of `target` is free.
    pub fn remove(&mut self, target: Target) {
        if let Some(id) = self.numbers.remove(&target) {
            self.targets[id.index()] = None;
        }
    }

    /// Gives those of `entries` numbers that have none.
    pub fn add(&mut self, entries: &[Entry]) {
        let mut free = 0;
        for entry in entries {
            if self.numbers.contains_key(&entry.target) {
                continue;
            }
            while self.targets.get(free).is_some_and(Option::is_some) {
                free += 1;
            }
            if free == self.targets.len() {
                self.targets.push(None);
            }
            self.targets[free] = Some(entry.target);
            let id = ShareId(u32::try_from(free).unwrap_or(u32::MAX));
            self.numbers.insert(entry.target, id);
        }
    }

    /// The number of the quota that limits `target`, where it is shared.
    #[must_use]
    pub fn number(&self, target: Target) -> Option<ShareId> {
        self.numbers.get(&target).copied()
    }

    /// What the quota with this number limits.
    #[must_use]
    pub fn target(&self, id: ShareId) -> Option<Target> {
        self.targets.get(id.index()).copied().flatten()
    }

    /// All numbers in use.
    pub fn all(&self) -> impl Iterator<Item = (ShareId, Target)> {
        let targets = (0..).map(ShareId).zip(&self.targets);
        targets.filter_map(|(id, target)| Some((id, (*target)?)))
    }
}

/// The shared quotas of `plan` and of `accounts`; none where no store is shared.
#[must_use]
pub fn entries(plan: &Plan, accounts: &Accounts, books: &Books) -> Vec<Entry> {
    let Some(shared) = &plan.shared else {
        return Vec::new();
    };
    let naming = Naming { shared, books };
    let mut entries = Vec::new();
    for provider in plan
        .providers
        .iter()
        .filter(|one| one.reach == Reach::Fleet)
    {
        let (subject, name) = (Subject::Provider(provider.id), &provider.name);
        let limits = [
            (ScopeLimit::InFlight, provider.max_in_flight.map(u64::from)),
            (ScopeLimit::RequestsPerMinute, provider.requests_per_minute),
            (ScopeLimit::TokensPerMinute, provider.tokens_per_minute),
        ];
        let name = format!("provider {name}");
        entries.extend(naming.limits(subject, &name, limits));
    }
    for account in accounts.all() {
        let name = account.scope.to_string();
        if let Some((id, limits)) = account.limits.filter(|(_, one)| one.reach == Reach::Fleet) {
            let limits = [
                (ScopeLimit::InFlight, limits.max_in_flight.map(u64::from)),
                (ScopeLimit::RequestsPerMinute, limits.requests_per_minute),
                (ScopeLimit::TokensPerMinute, limits.tokens_per_minute),
                (ScopeLimit::RequestsPerDay, limits.requests_per_day),
                (ScopeLimit::TokensPerDay, limits.tokens_per_day),
            ];
            entries.extend(naming.limits(Subject::Scope(id), &name, limits));
        }
        // A scope may have several budgets of one period: each has its number among them.
        let mut counts = [0; Per::ALL.len()];
        for (id, budget) in &account.budgets {
            let count = &mut counts[budget.per as usize];
            *count += 1;
            if budget.reach == Reach::Fleet {
                entries.extend(naming.budget(*id, (&name, *count), budget.amount.get()));
            }
        }
    }
    entries
}

struct Naming<'a> {
    shared: &'a Shared,
    books: &'a Books,
}

impl Naming<'_> {
    fn limits<const N: usize>(
        &self,
        subject: Subject,
        name: &str,
        limits: [(ScopeLimit, Option<u64>); N],
    ) -> impl Iterator<Item = Entry> {
        limits.into_iter().filter_map(move |(limit, most)| {
            let (kind, used, measure) = self.kind(subject, limit);
            let on_loss = match kind {
                Kind::Window { .. } | Kind::InFlight => self.shared.on_loss_of_limits,
                Kind::Period { .. } => self.shared.on_loss_of_budgets,
            };
            let quota = Quota {
                name: format!("{name}/{measure}").into(),
                kind,
                limit: most?,
                on_loss: of_loss(on_loss),
            };
            let target = Target::Limit(subject, limit);
            Some(Entry {
                target,
                quota,
                used,
            })
        })
    }

    /// How a limit is counted, what is used of it, and its name behind that of its subject.
    fn kind(&self, subject: Subject, limit: ScopeLimit) -> (Kind, u64, String) {
        let place = usize::from(limit.is_of_tokens());
        let measure = limit.name().to_owned();
        match limit {
            ScopeLimit::InFlight => (Kind::InFlight, 0, measure),
            ScopeLimit::RequestsPerMinute | ScopeLimit::TokensPerMinute => {
                let standing = match subject {
                    Subject::Provider(_) => Standing::Yes,
                    Subject::Scope(_) => Standing::No,
                };
                let span = self.books.window();
                let used = self.books.held_in_window(subject)[place];
                (Kind::Window { span, standing }, used, measure)
            }
            ScopeLimit::RequestsPerDay | ScopeLimit::TokensPerDay => {
                let today = self.books.today();
                let used = match subject {
                    Subject::Scope(id) => self.books.used_today(id)[place],
                    Subject::Provider(_) => 0,
                };
                let kind = period(today, Measure::Count);
                (kind, used, format!("{measure}/{today}"))
            }
        }
    }

    fn budget(&self, id: BudgetId, (name, number): (&str, u32), amount: u64) -> Option<Entry> {
        let (running, spent) = self.books.running(id)?;
        let quota = Quota {
            name: format!("{name}/usd_per_{}-{number}/{running}", running.per().name()).into(),
            kind: period(running, Measure::Money),
            limit: amount,
            on_loss: of_loss(self.shared.on_loss_of_budgets),
        };
        Some(Entry {
            target: Target::Budget(id),
            quota,
            used: spent.get(),
        })
    }
}

fn period(period: Period, measure: Measure) -> Kind {
    Kind::Period {
        from: period.start(),
        to: period.end(),
        measure,
    }
}

const fn of_loss(on_loss: shared::OnLoss) -> OnLoss {
    match on_loss {
        shared::OnLoss::Share => OnLoss::Share,
        shared::OnLoss::Closed => OnLoss::Closed,
        shared::OnLoss::Open => OnLoss::Open,
    }
}

/// The published words.
#[derive(Clone, Copy)]
pub struct Published<'a> {
    /// Those of providers.
    pub gates: &'a Gates,
    /// Those of callers.
    pub callers: &'a CallerGates,
    /// What shards have reported.
    pub books: &'a Books,
}

impl<'a> Published<'a> {
    /// Those of shared quotas.
    #[must_use]
    pub fn words(self, quotas: &'a Quotas) -> GateWords<'a> {
        GateWords {
            quotas,
            gates: self.gates,
            callers: self.callers,
            books: self.books,
        }
    }
}

/// The published words of shared quotas.
pub struct GateWords<'a> {
    /// Which words they are.
    pub quotas: &'a Quotas,
    /// The words of providers.
    pub gates: &'a Gates,
    /// The words of callers.
    pub callers: &'a CallerGates,
    /// What shards have reported.
    pub books: &'a Books,
}

/// The lease of a quota.
pub enum AnyLease<'a> {
    /// Of a limit.
    Limit(&'a Lease),
    /// Of a budget.
    Budget(&'a BudgetLease),
}

impl AnyLease<'_> {
    /// Its words.
    #[must_use]
    pub const fn words(&self) -> &Lease {
        match self {
            Self::Limit(lease) => lease,
            Self::Budget(lease) => &lease.lease,
        }
    }
}

impl<'a> GateWords<'a> {
    /// The lease of what is limited.
    #[must_use]
    pub fn lease(&self, target: Target) -> Option<AnyLease<'a>> {
        match target {
            Target::Limit(Subject::Provider(ProviderId(id)), limit) => {
                let gate = self.gates.providers.get(usize::from(id))?;
                gate.lease(limit).map(AnyLease::Limit)
            }
            Target::Limit(Subject::Scope(ScopeId(id)), limit) => {
                let gate = self.callers.scopes.get(id as usize)?;
                gate.lease(limit).map(AnyLease::Limit)
            }
            Target::Budget(id) => {
                let gate = self.callers.budgets.get(id.index())?;
                gate.lease().map(AnyLease::Budget)
            }
        }
    }

    /// Changes the word of what is limited; returns what it holds then.
    pub fn change_of(&self, target: Target, by: i64) -> i64 {
        match target {
            Target::Limit(Subject::Provider(id), limit) => {
                let gate = self.gates.providers.get(id.index());
                gate.map_or(0, |gate| gate.change_part(limit, by))
            }
            Target::Limit(Subject::Scope(id), limit) => {
                let gate = self.callers.scopes.get(id.index());
                gate.map_or(0, |gate| gate.change_part(limit, by))
            }
            Target::Budget(id) => {
                let gate = self.callers.budgets.get(id.index());
                gate.map_or(0, |gate| gate.change_part(by))
            }
        }
    }
}

impl Words for GateWords<'_> {
    fn left(&self, share: ShareId) -> i64 {
        match self.quotas.target(share) {
            Some(Target::Limit(Subject::Provider(id), limit)) => {
                let gate = self.gates.providers.get(id.index());
                gate.map_or(0, |gate| gate.held(limit))
            }
            Some(Target::Limit(Subject::Scope(id), limit)) => {
                let gate = self.callers.scopes.get(id.index());
                gate.map_or(0, |gate| gate.held(limit))
            }
            Some(Target::Budget(id)) => {
                let gate = self.callers.budgets.get(id.index());
                gate.map_or(0, BudgetGate::held)
            }
            None => 0,
        }
    }

    fn change(&mut self, share: ShareId, by: i64) -> i64 {
        let target = self.quotas.target(share);
        target.map_or(0, |target| self.change_of(target, by))
    }

    fn spent(&self, share: ShareId) -> u64 {
        match self.quotas.target(share) {
            Some(Target::Budget(id)) => {
                let gate = self.callers.budgets.get(id.index());
                gate.map_or(0, |gate| gate.spent().get())
            }
            Some(Target::Limit(Subject::Scope(id), limit)) => match limit {
                ScopeLimit::RequestsPerDay => self.books.used_today(id)[0],
                ScopeLimit::TokensPerDay => self.books.used_today(id)[1],
                ScopeLimit::InFlight
                | ScopeLimit::RequestsPerMinute
                | ScopeLimit::TokensPerMinute => 0,
            },
            Some(Target::Limit(Subject::Provider(_), _)) | None => 0,
        }
    }
}
