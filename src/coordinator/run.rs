//! The coordinator: one thread that keeps the books and publishes their orders.
//!
//! It alone decides about breakers, limits, budgets and totals, and it alone changes gates, except
//! that shards take from them, and settle with budgets. It never touches a disk, a name or a
//! socket.

mod adopt;
mod answers;
mod others;

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::coordinator::alerts::Alerts;
use crate::coordinator::changes::Changes;
use crate::coordinator::fleet::Fleet;
use crate::coordinator::notices::Notices;
use crate::coordinator::opening::Opening;
use crate::coordinator::publish::{Folder, Publisher};
use crate::coordinator::reports::Job;
use crate::coordinator::time::Time;
use crate::exchange::callers::Callers;
use crate::ledger::books::Books;
use crate::ledger::state::State;
use crate::ledger::terms::Terms;
use crate::ledger::totals::Totals;
use crate::link::facts::MonthTag;
use crate::link::gate::Gates;
use crate::link::latest::Latest;
use crate::link::meters::MeterReceiver;
use crate::link::orders::{Circuit, Order};
use crate::link::progress::Progress;
use crate::link::queue::Giver;
use crate::link::reports::{Ask, Batch, Inbox, Incoming, Message, Question};
use crate::link::states::StateSender;
use crate::sys::clock;

/// What the coordinator works on.
pub struct Coordinator {
    plan: Arc<Plan>,
    gates: Arc<Gates>,
    /// Where a configuration is found that is about to take effect.
    terms: Option<Arc<Latest<Terms>>>,
    callers: Arc<Callers>,
    /// Where callers are found whose limits and budgets are about to take effect.
    next_callers: Option<Arc<Latest<Callers>>>,
    progress: Arc<Progress>,
    books: Books,
    /// Shared with reports that are being written.
    totals: Arc<Totals>,
    /// Receives the counters that shards have begun.
    meters: MeterReceiver,
    /// Takes questions whose answers take long to write.
    reports: Giver<Job>,
    /// Changes of circuits, as reports show them.
    changes: Changes,
    /// How often budgets have reached 80 % and 100 %.
    alerts: Alerts,
    /// Tells webhooks.
    notices: Notices,
    /// When the process began.
    started: Time,
    publisher: Publisher,
    folder: Folder,
    orders: Vec<Order>,
    /// Half-open circuits whose permit has not been reported as taken.
    half_open: Vec<(ProviderId, u32)>,
    /// Questions whose answers wait for facts, with the batches that must be merged first.
    asked: Vec<(Ask, Vec<u64>)>,
    /// Takes the durable state, if there is a state file.
    writer: Option<StateSender<Arc<State>>>,
    /// Whether that state has changed since it was last handed over.
    unsaved: bool,
    /// When a state was last handed over.
    saved_at: Instant,
    /// When the counters are looked at next, for the last five minutes.
    looks_at: Instant,
    /// The other instances, where limits and budgets are shared with any.
    fleet: Option<Box<Fleet>>,
}

impl Coordinator {
    /// A coordinator with these books.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        let Opening { gates, totals, .. } = opening;
        gates.start_month(MonthTag(totals.month().tag()));
        Self {
            totals: Arc::new(totals),
            meters: opening.meters,
            reports: opening.reports,
            changes: Changes::default(),
            alerts: Alerts::default(),
            notices: Notices::default(),
            started: Time::default(),
            publisher: Publisher::new(Arc::clone(&gates), opening.callers.gates().clone()),
            callers: opening.callers,
            next_callers: None,
            plan: opening.plan,
            gates,
            terms: None,
            progress: opening.progress,
            books: opening.books,
            folder: Folder::default(),
            orders: Vec::new(),
            half_open: Vec::new(),
            asked: Vec::new(),
            writer: None,
            unsaved: false,
            saved_at: Instant::ZERO,
            looks_at: Instant::ZERO,
            fleet: None,
        }
    }

    /// Shares limits and budgets with other instances; the state file is to keep this one's name.
    #[must_use]
    pub fn with_fleet(self, fleet: Fleet) -> Self {
        Self {
            fleet: Some(Box::new(fleet)),
            unsaved: true,
            ..self
        }
    }

    /// Hands the durable state to `writer`.
    #[must_use]
    pub fn with_writer(self, writer: StateSender<Arc<State>>) -> Self {
        Self {
            writer: Some(writer),
            ..self
        }
    }

    /// Looks for the next configuration in `terms` when it is told to adopt one.
    #[must_use]
    pub fn with_terms(self, terms: Arc<Latest<Terms>>) -> Self {
        Self {
            terms: Some(terms),
            ..self
        }
    }

    /// Looks for the next callers in `callers` when it is told to adopt a configuration.
    #[must_use]
    pub fn with_callers(self, callers: Arc<Latest<Callers>>) -> Self {
        Self {
            next_callers: Some(callers),
            ..self
        }
    }

    /// Publishes the first orders of the books, before any shard runs.
    pub fn start(&mut self, time: Time) {
        self.started = time;
        self.books.start(&mut self.orders);
        self.publish(time.now);
        self.share(time.now);
        self.do_what_is_due(time);
    }

    /// Works until it is told to stop.
    pub fn run(mut self, inbox: &Inbox) {
        loop {
            let stop = match inbox.next(self.wait(Time::read())) {
                Incoming::Message(message) => self.take_in(clock::now(), message),
                Incoming::Due => Continue::Yes,
                Incoming::Gone => Continue::No,
            };
            let mut go_on = stop;
            let mut left = TURN;
            while left > 0
                && let Some(message) = inbox.ready()
            {
                left -= 1;
                if let Continue::No = self.take_in(clock::now(), message) {
                    go_on = Continue::No;
                }
            }
            self.do_what_is_due(Time::read());
            if let Continue::No = go_on {
                self.leave(inbox);
                self.finish(Time::read());
                return;
            }
        }
    }

    /// Hands over the last durable state: no message will come any more.
    pub fn finish(&mut self, time: Time) {
        self.count(time);
        self.save(time.now, Last::Yes);
    }

    /// How long it may sleep at `time` if no message comes.
    #[must_use]
    pub fn wait(&self, time: Time) -> Duration {
        let Time { now, wall } = time;
        let due = self.books.deadline(now, wall).min(self.looks_at);
        let due = due.since(now);
        let fleet = self.fleet.as_ref();
        let due = fleet.map_or(due, |fleet| due.min(fleet.deadline(now).since(now)));
        let due = if self.half_open.is_empty() {
            due
        } else {
            due.min(LOOK_AT_PERMITS)
        };
        let due = self.save_after(now).map_or(due, |save| due.min(save));
        if self.asked.is_empty() {
            due
        } else {
            due.min(LOOK_AT_QUESTIONS)
        }
    }

    /// Takes in a message, and publishes the resulting orders.
    pub fn take_in(&mut self, now: Instant, message: Message) -> Continue {
        match message {
            Message::Facts(batch) => self.merge(now, &batch),
            Message::Health {
                provider,
                state,
                at,
                complaint,
            } => {
                if let (Some(complaint), Some(gate)) =
                    (complaint, self.gates.providers.get(provider.index()))
                {
                    gate.told().set_complaint(complaint);
                }
                self.books.on_health(provider, state, at, &mut self.orders);
                self.publish(now);
            }
            Message::Ask(ask) => {
                match &ask.question {
                    Question::ByHand(provider, act) => self.by_hand(now, *provider, *act),
                    Question::Adopt => self.adopt(now),
                    Question::Providers
                    | Question::Changes
                    | Question::Recent
                    | Question::Requests(_)
                    | Question::Status
                    | Question::Metrics
                    | Question::Latency
                    | Question::Costs
                    | Question::CostsBy(..)
                    | Question::CostsOfCaller(_)
                    | Question::CostsByModel
                    | Question::Keys(_)
                    | Question::Key(_)
                    | Question::Timeseries(_) => {}
                }
                self.asked.push((ask, self.progress.pending()));
            }
            Message::Lacked(lacking) => {
                self.with_others(|fleet, published| fleet.on_lacking(now, lacking, published));
            }
            Message::Store(news) => {
                self.with_others(|fleet, published| fleet.on_store(now, news, published));
            }
            Message::Stop => return Continue::No,
        }
        Continue::Yes
    }

    /// Books a batch. When the batch's number is published, all orders that result from it are in
    /// force (promise `verdict.before-cause`).
    fn merge(&mut self, now: Instant, batch: &Batch) {
        for fact in &batch.facts {
            self.books.on_fact(now, fact, &mut self.orders);
            if let Some(fleet) = &mut self.fleet {
                fleet.on_fact(now, fact);
            }
        }
        self.publish(now);
        self.progress.merged(batch.shard, batch.number);
    }

    /// Does what is due at `time`.
    pub fn do_what_is_due(&mut self, time: Time) {
        let Time { now, wall } = time;
        self.look_at_permits(now);
        self.count(time);
        // Periods that are shared go by one clock.
        let fleet = self.fleet.as_ref();
        let wall = fleet.and_then(|fleet| fleet.wall(now)).unwrap_or(wall);
        self.books.on_time(now, wall, &mut self.orders);
        self.publish(now);
        self.attend_others(now);
        self.changes.date(time);
        self.answer(time);
        self.look_back(time);
        self.save(now, Last::No);
    }

    /// Reads the shards' counters.
    fn count(&mut self, time: Time) {
        // `make_mut` copies only while a report is being written, and does not copy the counters.
        let totals = Arc::make_mut(&mut self.totals);
        while let Some(meter) = self.meters.next() {
            if let Some((provider, model)) = totals.begin(meter) {
                self.notices.unpriced(&provider, &model);
                let key = format!("pricing.{provider}.{model}");
                tracing::warn!(
                    provider = &*provider,
                    model = &*model,
                    set = key,
                    "the model's price is not known: its requests are counted at no cost"
                );
            }
        }
        if let Some(month) = totals.on_time(time.wall) {
            // From now on, requests may be booked in the new month.
            self.gates.start_month(month);
        }
        self.unsaved |= totals.take_changed();
    }

    /// Hands the durable state to the writer, if it has changed and the writer is ready.
    fn save(&mut self, now: Instant, last: Last) {
        let Some(writer) = &self.writer else { return };
        self.unsaved |= self.books.take_changed();
        if !self.unsaved {
            return;
        }
        let pause = pause(writer);
        let is_ready = writer.has_room() && self.books.state_is_free();
        let is_due = now >= self.saved_at + pause && is_ready;
        let handed_over = match last {
            Last::Yes => writer.give(self.books.state(&self.totals)),
            Last::No if is_due => writer.offer(self.books.state(&self.totals)),
            Last::No => return,
        };
        self.saved_at = now;
        self.unsaved = handed_over.is_err();
    }

    /// After how long [`Self::save`] has something to do; `None`: nothing has changed.
    fn save_after(&self, now: Instant) -> Option<Duration> {
        let writer = self.writer.as_ref().filter(|_| self.unsaved)?;
        let left = (self.saved_at + pause(writer)).since(now);
        // From then on, the writer is waited for.
        Some(if left.is_zero() { LOOK_AT_WRITER } else { left })
    }

    /// A shard that is stuck right after it took a permit has not reported it, but the gate's word
    /// shows it.
    fn look_at_permits(&mut self, now: Instant) {
        let Self {
            half_open,
            gates,
            books,
            orders,
            ..
        } = self;
        half_open.retain(|&(provider, generation)| {
            let taken = gates.providers[provider.index()].is_taken(generation);
            if taken {
                books.on_probe_taken(now, provider, generation, orders);
            }
            !taken
        });
    }

    /// Publishes the orders of the books, and logs the changes.
    fn publish(&mut self, now: Instant) {
        while !self.orders.is_empty() {
            for (provider, generation) in self.put_in_force(now) {
                let orders = &mut self.orders;
                self.books.on_probe_taken(now, provider, generation, orders);
            }
        }
        for change in self.books.take_changes() {
            let Some(provider) = self.plan.find_provider(change.provider) else {
                continue;
            };
            let provider = &*provider.name;
            let transition = change.transition;
            let (from, to) = (transition.from.name(), transition.to.name());
            let reason = transition.reason.name();
            tracing::info!(provider, from, to, reason, "the circuit has changed");
            self.notices.circuit(provider, transition);
            self.changes.add(provider, change);
        }
        for alert in self.books.take_alerts() {
            self.notices.budget(&alert);
            self.alerts.add(&alert);
        }
    }

    /// Puts the orders in force; returns the permits of half-open phases that end with that, where
    /// a shard has taken them.
    fn put_in_force(&mut self, now: Instant) -> Vec<(ProviderId, u32)> {
        let mut taken = Vec::new();
        self.folder.fold(&mut self.orders);
        for mut order in self.orders.drain(..) {
            if let Some(fleet) = &mut self.fleet {
                fleet.on_order(now, &mut order, &self.plan);
            }
            if let Order::Health { provider, state } = order
                && let Some(provider) = self.plan.find_provider(provider)
            {
                self.notices.health(&provider.name, state);
            }
            let permit = self.publisher.publish(order);
            if let Order::Circuit { provider, state } = order {
                taken.extend(permit.map(|generation| (provider, generation)));
                self.half_open.retain(|&(other, _)| other != provider);
                if let Circuit::HalfOpen { generation, .. } = state {
                    self.half_open.push((provider, generation));
                }
            }
        }
        taken
    }

    /// Answers the questions whose facts are all merged.
    fn answer(&mut self, time: Time) {
        for (ask, batches) in std::mem::take(&mut self.asked) {
            if self.progress.are_merged(&batches) {
                self.report(time, ask);
            } else {
                self.asked.push((ask, batches));
            }
        }
    }
}

/// The pause between two states for this writer.
fn pause(writer: &StateSender<Arc<State>>) -> Duration {
    (writer.took() * SAVE_SHARE).clamp(SAVE_EVERY, SAVE_WITHIN)
}

/// Whether the coordinator goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// It does.
    Yes,
    /// It is told to stop.
    No,
}

/// Whether the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

/// Shortest time between two states that are written.
const SAVE_EVERY: Duration = Duration::from_millis(50);
/// Longest pause between a change and its way to the writer, unless that is still busy. Of the 100
/// ms that the contract allows, shards take 10 to tell of a change, and 30 are left for the disk.
const SAVE_WITHIN: Duration = Duration::from_millis(60);
/// Writing takes at most one part in this many of the writer's time, unless that would take too
/// long.
const SAVE_SHARE: u32 = 20;
/// Pause between two looks at whether the writer is ready.
const LOOK_AT_WRITER: Duration = Duration::from_millis(5);
/// Most messages that are taken in before due work is done.
const TURN: usize = 256;
/// Pause between two looks for taken permits that no shard has reported.
const LOOK_AT_PERMITS: Duration = Duration::from_millis(50);
/// Pause between two looks at questions that wait for facts.
const LOOK_AT_QUESTIONS: Duration = Duration::from_millis(1);

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
