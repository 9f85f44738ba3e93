//! This instance as one of several that share limits and budgets: it drives the shares, sends what
//! they say to the store's thread, and puts in force what they decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{BudgetId, ProviderId, Subject};
use crate::base::money::NanoUsd;
use crate::base::period::{Per, Period};
use crate::base::time::{Instant, WallTime};
use crate::config::accounts::Accounts;
use crate::config::plan::Plan;
use crate::config::shared::Shared;
use crate::coordinator::calls::{calls, leaving, random_identity, read};
use crate::coordinator::outages;
use crate::coordinator::quotas::{self, AnyLease, Entry, Published, Quotas, Target};
use crate::coordinator::standing;
use crate::coordinator::told::{Tell, Told};
use crate::ledger::shares::Shares;
use crate::ledger::shares::message::{Batch, Reply};
use crate::ledger::shares::quota::{Identity, News, OnLoss, Pace, Quota, ShareId, State};
use crate::link::budget_gate::BudgetGate;
use crate::link::facts::Fact;
use crate::link::orders::Order;
use crate::link::queue::Giver;
use crate::link::reports::Lacking;
use crate::link::scope_gate::ScopeLimit;
use crate::link::store::{self, Errand, Said};
use crate::report::status::SharedReport;

/// This instance in its fleet.
pub struct Fleet {
    shares: Shares,
    quotas: Quotas,
    /// By share, the terms that it has.
    terms: Vec<Option<Quota>>,
    namespace: Box<str>,
    sync: Duration,
    id: Arc<str>,
    errands: Giver<Errand>,
    /// The quotas that the batch under way is about, and whether it begins with a hello.
    asked: (Vec<ShareId>, bool),
    is_connected: bool,
    /// What the server that is connected calls itself.
    run_id: Box<str>,
    state: State,
    /// The periods in which budgets run, and the day.
    periods: ([Period; Per::ALL.len()], Period),
    /// Budgets of which a last request was to be sent, and when that was last seen.
    last_requests: BTreeMap<ShareId, Instant>,
    /// What has been spent of budgets elsewhere, which the books have not been told.
    elsewhere: Vec<(BudgetId, NanoUsd)>,
    /// Batches that were answered, and that were not.
    exchanges: [u64; 2],
    /// Tells the main thread.
    tell: Tell,
}

impl Fleet {
    /// An instance that nobody has heard of yet.
    #[must_use]
    pub fn new(shared: &Shared, identity: Identity, errands: Giver<Errand>, tell: Tell) -> Self {
        let pace = Pace {
            sync: shared.sync,
            member_ttl: shared.member_ttl,
        };
        let id = Arc::clone(&identity.id);
        let never = Period::of(Per::Day, WallTime::default());
        Self {
            shares: Shares::new(identity, pace),
            quotas: Quotas::default(),
            terms: Vec::new(),
            namespace: shared.namespace.clone(),
            sync: shared.sync,
            id,
            errands,
            asked: (Vec::new(), false),
            is_connected: false,
            run_id: Box::default(),
            state: State::Lost,
            periods: ([never; Per::ALL.len()], never),
            last_requests: BTreeMap::new(),
            elsewhere: Vec::new(),
            exchanges: [0; 2],
            tell,
        }
    }

    /// Adopts a configuration, whose orders are in force.
    pub fn adopt(
        &mut self,
        now: Instant,
        (plan, accounts): (&Plan, &Accounts),
        published: Published<'_>,
    ) {
        let entries = quotas::entries(plan, accounts, published.books);
        for (id, target) in self.quotas.others(&entries) {
            // The word is the instance's own from now on.
            let mut words = published.words(&self.quotas);
            let part = self.shares.remove(id, &mut words);
            words.change_of(target, -i64::try_from(part).unwrap_or(i64::MAX));
            self.quotas.remove(target);
            if let Some(terms) = self.terms.get_mut(id.index()) {
                *terms = None;
            }
        }
        self.quotas.add(&entries);
        self.periods = (published.books.periods(), published.books.today());
        for entry in entries {
            self.set(now, entry, published);
        }
    }

    /// Gives a quota its terms, if they are others than before.
    fn set(&mut self, now: Instant, entry: Entry, published: Published<'_>) {
        let Some(id) = self.quotas.number(entry.target) else {
            return;
        };
        if self.terms.len() <= id.index() {
            self.terms.resize_with(id.index() + 1, || None);
        }
        if self.terms[id.index()].as_ref() == Some(&entry.quota) {
            return;
        }
        if let Some(lease) = published.words(&self.quotas).lease(entry.target) {
            let is_open = self.state == State::Lost && entry.quota.on_loss == OnLoss::Open;
            lease.words().set_open(is_open);
            if self.state != State::Ok {
                lease.words().set_vain_until(Instant::NEVER);
            }
            let before = self.terms[id.index()].as_ref();
            if before.is_none_or(|one| one.name != entry.quota.name) {
                standing::forget(&lease);
                // What was heard of the former period is none of the next one's.
                let is_other = |budget: &BudgetId| Target::Budget(*budget) != entry.target;
                self.elsewhere.retain(|(budget, _)| is_other(budget));
            }
        }
        self.terms[id.index()] = Some(entry.quota.clone());
        self.shares.set(now, id, entry.quota, entry.used);
    }

    /// A shard has reported `fact`.
    pub fn on_fact(&mut self, now: Instant, fact: &Fact) {
        let targets = match *fact {
            Fact::Admitted(admitted) => Some(admitted.subject),
            Fact::Left(left) => Some(left.subject),
            Fact::Ended(ended) => Some(Subject::Provider(ended.provider)),
            Fact::Settled { budget, .. } => {
                let share = self.quotas.number(Target::Budget(budget));
                share.into_iter().for_each(|id| self.shares.on_use(now, id));
                None
            }
            Fact::Succeeded(_)
            | Fact::Cooldown { .. }
            | Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Refused { .. }
            | Fact::Forgotten { .. } => None,
        };
        let Some(subject) = targets else { return };
        for limit in ScopeLimit::ALL {
            if let Some(id) = self.quotas.number(Target::Limit(subject, limit)) {
                self.shares.on_use(now, id);
            }
        }
    }

    /// The books order a change of the words. Of requests and tokens that have left a window, or
    /// were not used, only a part may go back to the words; a provider that is put aside is put
    /// aside by the others, too.
    pub fn on_order(&mut self, now: Instant, order: &mut Order, plan: &Plan) {
        match order {
            Order::Headroom {
                subject,
                requests,
                tokens,
            } => {
                let limit = ScopeLimit::RequestsPerMinute;
                *requests = self.returned(now, (*subject, limit), *requests);
                let limit = ScopeLimit::TokensPerMinute;
                *tokens = self.returned(now, (*subject, limit), *tokens);
            }
            Order::Cooldown { provider, until } => {
                if let Some(provider) = plan.find_provider(*provider) {
                    let span = until.since(now);
                    self.shares.on_put_aside(now, &provider.name, span);
                }
            }
            Order::Circuit { .. }
            | Order::Health { .. }
            | Order::Rotation { .. }
            | Order::FreesAt { .. }
            | Order::Day { .. }
            | Order::DayChange { .. }
            | Order::DayEnds { .. }
            | Order::Average { .. }
            | Order::Balance { .. }
            | Order::Missed { .. }
            | Order::Period { .. } => {}
        }
    }

    fn returned(
        &mut self,
        now: Instant,
        (subject, limit): (Subject, ScopeLimit),
        count: i64,
    ) -> i64 {
        match self.quotas.number(Target::Limit(subject, limit)) {
            Some(id) if count > 0 => {
                let back = self.shares.on_returned(now, id, count.unsigned_abs());
                i64::try_from(back).unwrap_or(i64::MAX)
            }
            Some(_) | None => count,
        }
    }

    /// Requests lack parts of quotas.
    pub fn on_lacking(&mut self, now: Instant, lacking: Lacking, published: Published<'_>) {
        let targets: Vec<Target> = match lacking {
            Lacking::Budget(id) => vec![Target::Budget(id)],
            Lacking::Limits(subject) => {
                let limits = ScopeLimit::ALL.into_iter();
                limits.map(|limit| Target::Limit(subject, limit)).collect()
            }
        };
        for target in targets {
            let lease = published.words(&self.quotas).lease(target);
            let lacked = lease.and_then(|lease| lease.words().take_lacked());
            let (Some(id), Some(lacked)) = (self.quotas.number(target), lacked) else {
                continue;
            };
            self.shares.on_lack(now, id, lacked.unit);
            let others = lacked.sum - lacked.unit;
            if others > 0 {
                self.shares.on_lack(now, id, others.max(lacked.unit));
            }
            if let Target::Budget(_) = target {
                self.last_requests.insert(id, now);
                self.shares.on_short(now, id, true);
            }
        }
    }

    /// There is news of the store.
    pub fn on_store(&mut self, now: Instant, news: store::News, published: Published<'_>) {
        match news {
            store::News::Connected(server) => {
                if let Some(policy) = &server.evicts {
                    tracing::warn!(
                        policy = &**policy,
                        "the shared store drops keys when its memory is full: what instances hold \
                         may be lost; its maxmemory-policy should be noeviction"
                    );
                }
                self.is_connected = true;
                self.run_id = server.run_id.clone();
                self.shares.on_connected(&server.run_id);
                (self.tell)(Told::Connected);
            }
            store::News::Done { number, said, took } => {
                self.on_done(now, (number, &said, took), published);
            }
            store::News::Lost { number } => {
                self.exchanges[1] += 1;
                self.is_connected = false;
                self.shares.on_failed(now, number);
                self.shares.on_disconnected(now);
            }
        }
    }

    fn on_done(
        &mut self,
        now: Instant,
        (number, said, took): (u64, &[Said], Duration),
        published: Published<'_>,
    ) {
        let (asked, has_hello) = std::mem::take(&mut self.asked);
        let Some(reply) = read(number, said, (has_hello, asked.len())) else {
            self.exchanges[1] += 1;
            tracing::error!("the shared store's answers are not those of the scripts");
            self.shares.on_failed(now, number);
            self.shares.on_connected(&self.run_id);
            return;
        };
        let reply = Reply { took, ..reply };
        self.exchanges[0] += 1;
        let Self { shares, quotas, .. } = self;
        shares.on_reply(now, &reply, &mut published.words(quotas));
        let touched = self.shares.take_touched();
        self.publish_standings(now, &touched, published);
    }

    /// Publishes what is known of these quotas beside their words.
    fn publish_standings(&mut self, now: Instant, ids: &[ShareId], published: Published<'_>) {
        let words = published.words(&self.quotas);
        let moment = (now, self.sync);
        let publish = |id: &ShareId| standing::publish(&self.shares, &words, moment, *id);
        let told = ids.iter().filter_map(publish);
        self.elsewhere.extend(told);
    }

    /// What has been spent of budgets elsewhere, where that was heard since the last call.
    pub fn take_elsewhere(&mut self) -> Vec<(BudgetId, NanoUsd)> {
        std::mem::take(&mut self.elsewhere)
    }

    /// Does what is due at `now`. Returns the providers that other instances put aside, and until
    /// when.
    pub fn on_time(
        &mut self,
        now: Instant,
        (plan, accounts): (&Plan, &Accounts),
        published: Published<'_>,
    ) -> Vec<(ProviderId, Instant)> {
        if self.periods != (published.books.periods(), published.books.today()) {
            self.adopt(now, (plan, accounts), published);
        }
        self.forget_last_requests(now, published);
        let Self { shares, quotas, .. } = &mut *self;
        shares.on_time(now, &mut published.words(quotas));
        if self.is_connected {
            let Self { shares, quotas, .. } = &mut *self;
            if let Some(batch) = shares.batch(now, &mut published.words(quotas)) {
                self.send(now, &batch);
            }
        }
        let mut asides = Vec::new();
        for news in self.shares.take_news() {
            match news {
                News::Lease { share, until } => {
                    self.with_lease(share, published, |lease| lease.words().set_until(until));
                }
                News::Short { share, may } => self.with_lease(share, published, |lease| {
                    if let AnyLease::Budget(lease) = lease {
                        lease.set_may_exceed(may);
                    }
                }),
                News::PutAside { provider, until } => {
                    let providers = plan.providers.iter();
                    let known = providers.filter(|one| *one.name == *provider);
                    asides.extend(known.map(|one| (one.id, until)));
                }
                News::State(state) => self.on_state(now, state, published),
                News::Taken => (self.tell)(Told::Taken),
                News::Replaced => self.on_replaced(now, published),
            }
        }
        asides
    }

    fn with_lease(
        &self,
        share: ShareId,
        published: Published<'_>,
        act: impl FnOnce(&AnyLease<'_>),
    ) {
        let words = published.words(&self.quotas);
        let target = self.quotas.target(share);
        if let Some(lease) = target.and_then(|target| words.lease(target)) {
            act(&lease);
        }
    }

    /// Sends `batch`; where the thread has no room, the batch counts as lost.
    fn send(&mut self, now: Instant, batch: &Batch) {
        let shares = batch.asks.iter().map(|ask| ask.share).collect();
        self.asked = (shares, batch.hello.is_some());
        let errand = Errand {
            number: batch.number,
            calls: calls(batch, &self.namespace),
        };
        if !self.errands.give(errand) {
            self.shares.on_failed(now, batch.number);
            self.is_connected = false;
        }
    }

    /// Gives back the mark of last requests where none is under way or waits any more.
    fn forget_last_requests(&mut self, now: Instant, published: Published<'_>) {
        let mut over = Vec::new();
        for (id, seen) in &mut self.last_requests {
            let target = self.quotas.target(*id);
            let is_under_way = match target {
                Some(Target::Budget(budget)) => {
                    let gate = published.callers.budgets.get(budget.index());
                    gate.is_some_and(BudgetGate::has_capped)
                }
                Some(Target::Limit(..)) | None => false,
            };
            if is_under_way {
                *seen = now;
            } else if now >= *seen + LAST_REQUEST_AFTER {
                over.push(*id);
            }
        }
        for id in over {
            self.last_requests.remove(&id);
            self.shares.on_short(now, id, false);
        }
    }

    fn on_state(&mut self, now: Instant, state: State, published: Published<'_>) {
        self.state = state;
        (self.tell)(Told::Stands(state));
        let words = published.words(&self.quotas);
        for (id, target) in self.quotas.all() {
            let terms = self.terms.get(id.index()).and_then(Option::as_ref);
            let opens = terms.is_some_and(|terms| terms.on_loss == OnLoss::Open);
            let Some(lease) = words.lease(target) else {
                continue;
            };
            if opens {
                lease.words().set_open(state == State::Lost);
            }
            if state != State::Ok {
                // Nobody waits for what is not granted.
                lease.words().set_vain_until(Instant::NEVER);
            }
        }
        if state == State::Ok {
            let all: Vec<ShareId> = self.quotas.all().map(|(id, _)| id).collect();
            self.publish_standings(now, &all, published);
        }
        let names = (&*self.namespace, &*self.id);
        outages::tell(state, names, self.shares.members());
    }

    fn on_replaced(&mut self, now: Instant, published: Published<'_>) {
        let identity = random_identity();
        tracing::error!(
            former = &*self.id,
            id = &*identity.id,
            "another process has taken over this instance's name in the shared store, with a \
             copied state file or while this one was cut off: this one goes on under another name"
        );
        self.id = Arc::clone(&identity.id);
        let Self { shares, quotas, .. } = self;
        shares.rename(now, identity, &mut published.words(quotas));
    }

    /// The last things that a process says which stops: what it does not use is free for others at
    /// once. `None`: the store is not reached.
    #[must_use]
    pub fn leave(&mut self, now: Instant, published: Published<'_>) -> Option<u64> {
        if !self.is_connected {
            return None;
        }
        let Self { shares, quotas, .. } = &mut *self;
        let batch = shares.leave(now, &mut published.words(quotas));
        let mut calls = calls(&batch, &self.namespace);
        calls.push(leaving(&batch.member, &self.namespace));
        let number = batch.number;
        self.errands
            .give(Errand { number, calls })
            .then_some(number)
    }

    /// When [`Self::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        let last = self.last_requests.values().min();
        let last = last.map_or(Instant::NEVER, |_| now + LAST_REQUEST_AFTER / 4);
        // A batch is sent with a connection only, and its news wakes the coordinator.
        let due = self.shares.deadline();
        let due = if self.is_connected {
            due
        } else {
            due.max(now + self.sync)
        };
        due.min(last)
    }

    /// The store's clock, by which periods go; `None`: it was never heard of.
    #[must_use]
    pub fn wall(&self, now: Instant) -> Option<WallTime> {
        self.shares.wall(now)
    }

    /// What reports show.
    #[must_use]
    pub fn report(&self) -> SharedReport {
        SharedReport {
            state: self.state.name(),
            members: self.shares.members(),
            lag: self.shares.lag(),
            namespace: self.namespace.clone(),
            instance: (&*self.id).into(),
            exchanges: self.exchanges,
        }
    }
}

/// How long after the last request that might exceed a budget its mark is given back.
const LAST_REQUEST_AFTER: Duration = Duration::from_secs(1);
