//! All books together: what the coordinator drives.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId, ScopeId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::{Per, Period};
use crate::base::time::{Instant, WallTime};
use crate::config::account_seats::FreshAccounts;
use crate::config::accounts::Accounts;
use crate::config::plan::Plan;
use crate::decide::ewma::Ewma;
use crate::ledger::breakers::{self, Breakers};
use crate::ledger::budgets::{Alert, Budgets};
use crate::ledger::days::Days;
use crate::ledger::limits::Limits;
use crate::ledger::state::State;
use crate::ledger::terms::Terms;
use crate::ledger::totals::Totals;
use crate::link::facts::{Ended, Fact};
use crate::link::orders::{Health, Order, Rotation};
use crate::link::reports::ByHand;

/// The books of one process.
pub struct Books {
    breakers: Breakers,
    limits: Limits,
    budgets: Budgets,
    days: Days,
    /// The state read at the start, with what has been added since. Shared with the thread that
    /// writes it, and copied only where that has not put it into text yet.
    state: Arc<State>,
    averages: Vec<Ewma>,
    decay_permille: u32,
    /// When each provider's health was last checked.
    checked_at: Vec<Option<WallTime>>,
    alerts: Vec<Alert>,
}

impl Books {
    /// The books for a configuration and its accounts at `wall`, with the earlier `state`; rate
    /// limits per minute hold for `window`.
    #[must_use]
    pub fn new(
        (plan, accounts): (&Plan, &Accounts),
        wall: WallTime,
        state: State,
        window: Duration,
    ) -> Self {
        let providers = plan.providers.len();
        Self {
            breakers: Breakers::new(plan.providers.iter().map(|provider| provider.breaker)),
            limits: Limits::new(&plan.providers, accounts, window),
            budgets: Budgets::new(accounts, wall, &state),
            days: Days::new(accounts, wall, &state),
            state: Arc::new(state),
            averages: vec![Ewma::default(); providers],
            decay_permille: plan.latency.ewma_decay_permille,
            checked_at: vec![None; providers],
            alerts: Vec::new(),
        }
    }

    /// Adopts `terms`: ids that stay keep their state, `fresh` ids begin anew, and ids that are
    /// gone stay in the books for requests that still refer to them.
    pub fn adopt(&mut self, now: Instant, terms: &Terms, orders: &mut Vec<Order>) {
        let Terms { plan, fresh, .. } = terms;
        self.breakers.adopt(now, plan, &fresh.providers, orders);
        self.limits.adopt(&plan.providers, &fresh.providers, orders);
        self.decay_permille = plan.latency.ewma_decay_permille;
        let seats = terms.gates.providers.len();
        self.averages.resize(seats, Ewma::default());
        self.checked_at.resize(seats, None);
        for id in &fresh.providers {
            self.averages[id.index()] = Ewma::default();
            self.checked_at[id.index()] = None;
        }
    }

    /// Adopts the limits and budgets of `accounts`, likewise.
    pub fn adopt_accounts(
        &mut self,
        accounts: &Accounts,
        fresh: &FreshAccounts,
        orders: &mut Vec<Order>,
    ) {
        // What is known under ids that get a new holder is kept by the scopes' names.
        let state = Arc::make_mut(&mut self.state);
        self.budgets.save(state);
        self.days.save(state);
        self.limits.adopt_scopes(accounts, &fresh.scopes, orders);
        self.days
            .adopt(accounts, &fresh.scopes, &self.state, orders);
        self.budgets
            .adopt(accounts, &fresh.budgets, &self.state, orders);
    }

    /// Orders the first values of the published words.
    pub fn start(&self, orders: &mut Vec<Order>) {
        self.budgets.start(orders);
        self.days.start(orders);
    }

    /// Takes in a shard's fact.
    pub fn on_fact(&mut self, now: Instant, fact: &Fact, orders: &mut Vec<Order>) {
        self.breakers.on_fact(now, fact, orders);
        self.limits.on_fact(fact, orders);
        self.days.on_fact(fact);
        self.budgets.on_fact(fact, &mut self.alerts);
        match fact {
            Fact::Ended(Ended {
                provider,
                sample: Some(sample),
                ..
            }) => self.average(*provider, std::iter::once(sample.latency), orders),
            Fact::Succeeded(all) => {
                let latencies = all.list().iter().map(|one| one.sample().latency);
                self.average(all.provider, latencies, orders);
            }
            Fact::Ended(_)
            | Fact::Admitted(_)
            | Fact::Left(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. }
            | Fact::Forgotten { .. } => {}
        }
    }

    /// Adds response times to a provider's average.
    fn average(
        &mut self,
        provider: ProviderId,
        latencies: impl Iterator<Item = Duration>,
        orders: &mut Vec<Order>,
    ) {
        let Some(average) = self.averages.get_mut(provider.index()) else {
            return;
        };
        latencies.for_each(|latency| average.add(latency, self.decay_permille));
        let view = average.view();
        let (average, samples) = (view.average, view.samples);
        orders.push(Order::Average {
            provider,
            average,
            samples,
        });
    }

    /// A health check ended.
    pub fn on_health(
        &mut self,
        provider: ProviderId,
        state: Health,
        at: WallTime,
        orders: &mut Vec<Order>,
    ) {
        if let Some(checked_at) = self.checked_at.get_mut(provider.index()) {
            *checked_at = Some(at);
        }
        self.breakers.on_health(provider, state, orders);
    }

    /// A gate's word says that the permit of this generation has been taken.
    pub fn on_probe_taken(
        &mut self,
        at: Instant,
        provider: ProviderId,
        generation: u32,
        orders: &mut Vec<Order>,
    ) {
        self.breakers
            .on_probe_taken(at, provider, generation, orders);
    }

    /// An operator changes a circuit.
    pub fn by_hand(
        &mut self,
        now: Instant,
        provider: ProviderId,
        act: ByHand,
        orders: &mut Vec<Order>,
    ) {
        match act {
            ByHand::Open => self.breakers.open(now, provider, orders),
            ByHand::Close => self.breakers.close(now, provider, orders),
            ByHand::Reset => self.breakers.reset(now, provider, orders),
            ByHand::TakeOut => {
                let out = (provider, Rotation::Out);
                self.breakers.rotate(now, out, orders);
            }
            ByHand::PutBack => {
                let back = (provider, Rotation::In);
                self.breakers.rotate(now, back, orders);
            }
        }
    }

    /// A provider of the adopted configuration is out of rotation since that moment, or is not.
    pub fn carry_rotation(&mut self, to: (ProviderId, Option<Instant>), orders: &mut Vec<Order>) {
        self.breakers.carry_rotation(to, orders);
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Instant, wall: WallTime, orders: &mut Vec<Order>) {
        self.breakers.on_time(now, orders);
        self.limits.on_time(now, orders);
        self.budgets.on_time(wall, orders);
        self.days.on_time(now, wall, orders);
    }

    /// When [`Books::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self, now: Instant, wall: WallTime) -> Instant {
        let due = [self.breakers.deadline(), self.limits.deadline()];
        let month = self.budgets.deadline(now, wall);
        due.into_iter().flatten().fold(month, Instant::min)
    }

    /// The length of the windows of limits per minute.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.limits.span()
    }

    /// Requests and tokens in the window of a provider or a scope.
    #[must_use]
    pub fn held_in_window(&self, subject: Subject) -> [u64; 2] {
        self.limits.held(subject)
    }

    /// The running day.
    #[must_use]
    pub const fn today(&self) -> Period {
        self.days.today()
    }

    /// Requests and tokens of a scope in the running day, as far as shards have reported them.
    #[must_use]
    pub fn used_today(&self, scope: ScopeId) -> [u64; 2] {
        self.days.used(scope)
    }

    /// A budget's running period, and what was spent in it, as far as shards have reported it.
    #[must_use]
    pub fn running(&self, budget: BudgetId) -> Option<(Period, NanoUsd)> {
        self.budgets.running(budget)
    }

    /// The running periods of budgets.
    #[must_use]
    pub const fn periods(&self) -> [Period; Per::ALL.len()] {
        self.budgets.periods()
    }

    /// What reports show of a provider.
    #[must_use]
    pub fn view(&mut self, now: Instant, provider: ProviderId) -> Option<breakers::View> {
        self.breakers.view(now, provider)
    }

    /// When a provider's health was last checked.
    #[must_use]
    pub fn checked_at(&self, provider: ProviderId) -> Option<WallTime> {
        self.checked_at.get(provider.index()).copied().flatten()
    }

    /// The circuits that have changed since the last call.
    pub fn take_changes(&mut self) -> impl Iterator<Item = breakers::Change> + '_ {
        self.breakers.take_changes()
    }

    /// Other instances have spent this much of a budget in its running period.
    pub fn on_elsewhere(&mut self, budget: BudgetId, spent: NanoUsd) {
        self.budgets.on_elsewhere(budget, spent, &mut self.alerts);
    }

    /// The budgets that have reached a level since the last call.
    pub fn take_alerts(&mut self) -> impl Iterator<Item = Alert> + '_ {
        self.alerts.drain(..)
    }

    /// Whether the durable state has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        // Both are asked, so that neither says tomorrow what was new today.
        self.budgets.take_changed() | self.days.take_changed()
    }

    /// The durable state, for the thread that writes it.
    #[must_use]
    pub fn state(&mut self, totals: &Totals) -> Arc<State> {
        let state = Arc::make_mut(&mut self.state);
        totals.save(state);
        self.budgets.save(state);
        self.days.save(state);
        Arc::clone(&self.state)
    }

    /// Whether nobody has a former state in hand, so that [`Self::state`] copies nothing.
    #[must_use]
    pub fn state_is_free(&self) -> bool {
        Arc::strong_count(&self.state) == 1
    }
}
