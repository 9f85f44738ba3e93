//! The world of one run: virtual time, the coordinator, and everything that goes wrong.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::ids::{ProviderId, ShardId};
use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::config::account_seats::AccountSeats;
use infermux::testing::config::seats::Seats;
use infermux::testing::coordinator::opening::Opening;
use infermux::testing::coordinator::run::Coordinator;
use infermux::testing::coordinator::time::Time;
use infermux::testing::decide::limiter::Window60;
use infermux::testing::exchange::callers::{Callers, SharedCallers};
use infermux::testing::exchange::recent_keys::RecentKeys;
use infermux::testing::ledger::books::Books;
use infermux::testing::ledger::state::State;
use infermux::testing::ledger::terms::Terms;
use infermux::testing::ledger::totals::Totals;
use infermux::testing::link::gate::{ConnectionsMax, Gates};
use infermux::testing::link::latest::Latest;
use infermux::testing::link::meters;
use infermux::testing::link::orders::Health;
use infermux::testing::link::progress::Progress;
use infermux::testing::link::queue;
use infermux::testing::link::reports::{self, Ask, ByHand, Inbox, Message, Question, Reply};
use infermux::testing::link::states::{self, Received, StateReceiver};
use infermux::testing::shard::state::desk::{Desk, Report};
use infermux::testing::shard::state::meters::Meters;
use infermux::testing::shard::state::reports::Reports;

use crate::dice::Dice;
use crate::judge::Judge;
use crate::memory::Memory;
use crate::promise::{Broken, Held, promise};
use crate::request::Request;
use crate::scene::{Draft, Mood, Scene, accounts, ring};
use crate::tap::{self, Tap};

/// Something that happens at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Callers come.
    Arrive,
    /// A request goes on; of several such events, the one with its latest turn counts.
    Step(usize, u32),
    /// A caller leaves, whatever has become of its request.
    HangUp(usize),
    /// A shard hands its facts over.
    Flush(usize),
    /// A message of a shard reaches the coordinator.
    Deliver(usize),
    /// The coordinator wakes; the latest of these counts.
    Wake(u64),
    /// A shard goes by the configuration that is published.
    Adopt(usize),
    /// Something goes wrong, or well again.
    Fate,
}

/// One shard, but for its requests.
pub(crate) struct Shard {
    pub(crate) reports: Rc<Tap>,
    meters: Rc<Meters>,
    /// What its next request goes by.
    terms: Arc<Terms>,
    /// The same, as permits and reservations are taken by it.
    pub(crate) desk: Rc<Desk>,
    pub(crate) callers: Rc<SharedCallers>,
    inbox: Inbox,
    pub(crate) stuck_until: Instant,
    pub(crate) will_flush: bool,
    /// Number of the last batch that it handed over.
    handed_over: u64,
    will_deliver: bool,
}

pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) dice: Dice,
    pub(crate) now: Instant,
    pub(crate) gates: Arc<Gates>,
    callers: Arc<Latest<Callers>>,
    account_seats: AccountSeats,
    draft: Draft,
    seats: Seats,
    terms: Arc<Latest<Terms>>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) requests: Vec<Request>,
    pub(crate) moods: Vec<Mood>,
    pub(crate) judge: Judge,
    pub(crate) memory: Memory,
    pub(crate) attempts: u64,
    trace: Trace,
    wall_at_zero: WallTime,
    queue: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    queued: u64,
    coordinator: Coordinator,
    states: StateReceiver<Arc<State>>,
    saved: String,
    replies: Vec<Arc<Reply>>,
    stuck_until: Instant,
    wake: u64,
    steps: u64,
    had_leap: bool,
}

/// Where the line of each step goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    None,
    Kept(String),
    Printed,
}

/// A run that broke a promise.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) step: u64,
    pub(crate) now: Instant,
    pub(crate) broken: Broken,
}

/// Runs the world of `seed` to its end.
pub(crate) fn run(seed: u64, trace: Trace) -> Result<(u64, Trace), Fault> {
    let mut world = World::new(seed, trace);
    match world.live() {
        Ok(()) => Ok((world.steps, world.trace)),
        Err(broken) => {
            let (step, now) = (world.steps, world.now);
            Err(Fault { step, now, broken })
        }
    }
}

impl Shard {
    fn adopt(&mut self, terms: Arc<Terms>, callers: Arc<Callers>) {
        self.callers = Rc::new(SharedCallers::new(callers, RecentKeys::default()));
        self.desk = desk(&terms, &self.reports, &self.meters);
        self.terms = terms;
    }
}

/// A shard's desk under these terms.
fn desk(terms: &Terms, reports: &Rc<Tap>, meters: &Rc<Meters>) -> Rc<Desk> {
    Rc::new(Desk {
        plan: Arc::clone(&terms.plan),
        gates: Arc::clone(&terms.gates),
        reports: Rc::clone(reports) as Rc<dyn Report>,
        meters: Rc::clone(meters),
        now: tap::now,
    })
}

impl World {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut dice = Dice::new(seed);
        let mut scene = Scene::new(&mut dice);
        let first = Arc::new(Terms::first(
            Arc::clone(&scene.plan),
            ConnectionsMax::default(),
        ));
        let gates = Arc::clone(&first.gates);
        let terms = Arc::new(Latest::new(Arc::clone(&first)));
        let progress = Arc::new(Progress::new(usize::from(scene.shards)));
        let state = std::mem::take(&mut scene.state);
        scene.state = state.clone();
        let saved = state.to_json().expect("a state is text");
        let totals = Totals::new(scene.wall, &state);
        let judge = Judge::new(&scene);
        // Ids are given away when nobody holds the accounts any more that have them.
        let accounts = std::mem::take(&mut scene.accounts);
        let account_seats = AccountSeats::of(&accounts).narrowed(SEATS, SEATS_MAX);
        let teams = scene.plan.teams.clone();
        let configuration = (&*scene.plan, &*accounts);
        let books = Books::new(configuration, scene.wall, state, Window60::SPAN);
        let first_callers = Callers::first(ring(&scene.plan), teams, accounts);
        let first_callers = Arc::new(first_callers);
        let callers = Arc::new(Latest::new(Arc::clone(&first_callers)));
        let (sender, states) = states::channel();
        let coordinator = Coordinator::new(Opening {
            plan: Arc::clone(&scene.plan),
            gates: Arc::clone(&gates),
            callers: Arc::clone(&first_callers),
            progress: Arc::clone(&progress),
            books,
            totals,
            meters: meters::channel().1,
            reports: queue::queue(0).0,
        })
        .with_terms(Arc::clone(&terms))
        .with_callers(Arc::clone(&callers));
        let shard = |number| {
            let (reporter, inbox) = reports::channel_of(scene.room);
            let reports = Reports::new(ShardId(number), Arc::clone(&progress), reporter);
            let reports = Rc::new(Tap::new(reports, (ShardId(number), &progress)));
            let meters = Rc::new(Meters::new(ShardId(number), meters::channel().0));
            Shard {
                desk: desk(&first, &reports, &meters),
                reports,
                meters,
                terms: Arc::clone(&first),
                callers: Rc::new(SharedCallers::new(
                    Arc::clone(&first_callers),
                    RecentKeys::default(),
                )),
                inbox,
                stuck_until: Instant::ZERO,
                will_flush: false,
                handed_over: 0,
                will_deliver: false,
            }
        };
        let moods = scene.plan.providers.iter().map(|_| Mood::any(&mut dice));
        Self {
            now: Instant::from_millis(1),
            shards: (0..scene.shards).map(shard).collect(),
            requests: Vec::new(),
            moods: moods.collect(),
            judge,
            memory: Memory::new(&mut dice, scene.shards),
            attempts: 0,
            trace,
            wall_at_zero: scene.wall,
            queue: BinaryHeap::new(),
            queued: 0,
            coordinator: coordinator.with_writer(sender),
            states,
            saved,
            replies: Vec::new(),
            stuck_until: Instant::ZERO,
            wake: 0,
            steps: 0,
            had_leap: false,
            gates,
            callers,
            account_seats,
            draft: scene.draft.clone(),
            seats: Seats::of(&scene.plan),
            terms,
            scene,
            dice,
        }
    }

    fn live(&mut self) -> Held {
        self.coordinator.start(self.time());
        self.after(Duration::ZERO, Event::Wake(0));
        self.after(Duration::ZERO, Event::Arrive);
        self.after(Duration::from_secs(1), Event::Fate);
        let mut quiet_since = None;
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            let at = at.max(self.now);
            if let Some(later) = self.held_until(event).filter(|later| at < *later) {
                self.at(later, event);
                continue;
            }
            self.now = at;
            tap::set_now(at);
            if self.do_event(event)? == Happened::Something {
                self.steps += 1;
                let callers = self.callers.load();
                self.judge.check(self.now, (&self.gates, callers.gates()))?;
                self.memory.check()?;
            }
            match quiet_since {
                None if self.is_quiet() => {
                    self.close_circuits()?;
                    quiet_since = Some(at);
                }
                Some(since) if at >= since + SETTLED_AFTER => return self.end(),
                None | Some(_) => {}
            }
            promise("reservation.settled-once", self.steps < STEPS_MAX, || {
                "it does not come to an end".to_owned()
            })?;
        }
        unreachable!("the coordinator always wakes again")
    }

    /// Until when whoever does this is stuck.
    fn held_until(&self, event: Event) -> Option<Instant> {
        match event {
            Event::Step(request, _) | Event::HangUp(request) => {
                Some(self.shards[self.requests[request].shard].stuck_until)
            }
            Event::Flush(shard) | Event::Adopt(shard) => Some(self.shards[shard].stuck_until),
            Event::Deliver(_) | Event::Wake(_) => Some(self.stuck_until),
            Event::Arrive | Event::Fate => None,
        }
    }

    fn do_event(&mut self, event: Event) -> Result<Happened, Broken> {
        match event {
            Event::Arrive => self.arrive(),
            Event::Step(request, turn) => return self.step(request, turn),
            Event::HangUp(request) => return self.hang_up(request),
            Event::Flush(shard) => return Ok(self.flush(shard)),
            Event::Deliver(shard) => return self.deliver(shard),
            Event::Wake(wake) if wake == self.wake => self.do_what_is_due(),
            Event::Wake(_) => return Ok(Happened::Nothing),
            Event::Adopt(shard) => self.shards[shard].adopt(self.terms.load(), self.callers.load()),
            Event::Fate => self.fate()?,
        }
        Ok(Happened::Something)
    }

    /// Whether callers come and things go wrong.
    pub(crate) fn is_open(&self) -> bool {
        self.now < Instant::ZERO + self.scene.length
    }

    fn is_quiet(&self) -> bool {
        !self.is_open() && self.judge.is_all_merged() && self.requests.iter().all(Request::is_over)
    }

    /// Puts every provider back in service.
    fn close_circuits(&mut self) -> Held {
        for provider in (0..).map(ProviderId).take(self.moods.len()) {
            let health = self.health(provider, Health::Healthy);
            self.take_in(health)?;
            let act = self.act(provider, ByHand::Close);
            self.take_in(act)?;
        }
        self.do_what_is_due();
        Ok(())
    }

    /// What a run ends with: every word is looked at.
    fn end(&mut self) -> Held {
        let answered = self.replies.iter().all(|reply| reply.taken().is_some());
        promise("reservation.settled-once", answered, || {
            "a report was asked for and never came".to_owned()
        })?;
        let callers = self.callers.load();
        self.judge.check(self.now, (&self.gates, callers.gates()))?;
        // What they held is held by nobody now, and neither are their shards' leases.
        self.requests.clear();
        self.memory.check_end()?;
        self.coordinator.finish(self.time());
        self.read_states();
        let state = State::parse(&self.saved).expect("a state");
        let gates = (&*self.gates, callers.gates());
        self.judge.check_end(self.now, gates, &state)
    }

    pub(crate) fn time(&self) -> Time {
        let wall = self.wall_at_zero.after(self.now.since(Instant::ZERO));
        let now = self.now;
        Time { now, wall }
    }

    pub(crate) fn after(&mut self, span: Duration, event: Event) {
        self.at(self.now + span, event);
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, event)));
    }

    /// Writes a line of the trace.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        let now = self.now.as_nanos();
        let (seconds, nanos) = (now / 1_000_000_000, now % 1_000_000_000);
        match &mut self.trace {
            Trace::None => {}
            Trace::Kept(text) => {
                text.push_str(&format!("{seconds}.{nanos:09} {}\n", line()));
            }
            Trace::Printed => println!("{seconds:>5}.{nanos:09} {}", line()),
        }
    }

    /// Hands over what waits, again and again until it is in force.
    fn flush(&mut self, shard: usize) -> Happened {
        let Shard {
            reports,
            will_flush,
            handed_over,
            ..
        } = &mut self.shards[shard];
        let number = reports.hand_over();
        *will_flush = !reports.is_in_force(number);
        let is_new = std::mem::replace(handed_over, number) != number;
        if *will_flush {
            self.after(Duration::from_millis(10), Event::Flush(shard));
        }
        self.expect_delivery(shard);
        if !is_new {
            return Happened::Nothing;
        }
        self.say(|| format!("shard {shard} hands over up to batch {number}"));
        Happened::Something
    }

    /// A shard may have handed something over, which will take its time.
    pub(crate) fn expect_delivery(&mut self, shard: usize) {
        if std::mem::replace(&mut self.shards[shard].will_deliver, true) {
            return;
        }
        let span = match self.dice.between(0, 99) {
            0..60 => self.dice.span(0, 0),
            60..95 => self.dice.span(0, 3),
            95..99 => self.dice.span(3, 50),
            _ => self.dice.span(50, 2_000),
        };
        self.after(span, Event::Deliver(shard));
    }

    fn deliver(&mut self, shard: usize) -> Result<Happened, Broken> {
        self.shards[shard].will_deliver = false;
        let Some(message) = self.shards[shard].inbox.ready() else {
            return Ok(Happened::Nothing);
        };
        self.take_in(message)?;
        self.expect_delivery(shard);
        if self.dice.chance(500) {
            self.do_what_is_due();
        } else {
            let span = self.dice.span(0, 1);
            self.wake_after(span);
        }
        Ok(Happened::Something)
    }

    fn take_in(&mut self, message: Message) -> Held {
        let seen = self.judge.taken(&self.gates);
        match &message {
            Message::Facts(batch) => {
                self.judge.on_merged(self.now, batch)?;
                let (shard, number, facts) = (batch.shard.0, batch.number, batch.facts.len());
                self.say(|| format!("batch {number} of shard {shard} is merged: {facts} facts"));
            }
            Message::Health {
                provider, state, ..
            } => {
                let (provider, state) = (*provider, *state);
                self.judge.on_health(provider, state);
                self.say(|| format!("provider {} is {state:?}", provider.0));
            }
            Message::Lacked(_) | Message::Store(_) => {}
            Message::Ask(ask) => {
                if let Question::ByHand(provider, act) = ask.question {
                    self.judge.by_hand(self.now, provider, act);
                    self.say(|| format!("an operator says to provider {}: {act:?}", provider.0));
                }
                if ask.question == Question::Adopt {
                    let (terms, callers) = (self.terms.load(), self.callers.load());
                    self.judge.on_reload(self.now, (&terms, &callers), &seen);
                }
            }
            Message::Stop => {}
        }
        let _ = self.coordinator.take_in(self.now, message);
        self.judge.on_published(self.now, &seen);
        Ok(())
    }

    fn wake_after(&mut self, span: Duration) {
        self.wake += 1;
        self.after(span, Event::Wake(self.wake));
    }

    fn do_what_is_due(&mut self) {
        let time = self.time();
        let seen = self.judge.taken(&self.gates);
        self.coordinator.do_what_is_due(time);
        self.judge.on_due(time.now, time.wall, &seen);
        self.read_states();
        let wall = time.wall;
        self.say(|| format!("the coordinator does what is due; it is {wall}"));
        let late = if self.dice.chance(50) { 200 } else { 2 };
        let late = self.dice.span(0, late);
        self.wake_after(self.coordinator.wait(time) + late);
    }

    fn read_states(&mut self) {
        while let Received::State(state) = self.states.next(Some(Duration::ZERO)) {
            self.saved = state.to_json().expect("a state is text");
        }
    }

    /// Another file: the coordinator goes by it, then one shard after the other. The next one has
    /// to wait for the last of them.
    fn reload(&mut self) -> Held {
        let terms = self.terms.load();
        let is_old = |one: &Shard| !Arc::ptr_eq(&one.terms, &terms);
        if self.now < self.stuck_until || self.shards.iter().any(is_old) {
            return Ok(());
        }
        let draft = self.draft.changed(&mut self.dice);
        let plan = draft.plan();
        let Ok(accounts) = self.account_seats.seat(accounts(&plan)) else {
            return Ok(());
        };
        let former = self.callers.load();
        let is_known = {
            let scopes = &self.judge.scopes;
            scopes.knows_any(&accounts.accounts, &accounts.fresh)
                || accounts.accounts.has_more_budgets_than(former.accounts())
        };
        if is_known && !self.judge.is_all_merged() {
            // With the usual number of seats, reports are merged long before an id is given away;
            // and a further budget, or one that comes back, begins with what is booked of its
            // scope's spend.
            return Ok(());
        }
        let seated = (accounts.accounts, accounts.fresh);
        let (ring, teams) = (ring(&plan), plan.teams.clone());
        let callers = former.next(ring, teams, seated);
        self.callers.publish(Arc::new(callers));
        self.account_seats = accounts.seats;
        let seated = self.seats.seat(plan).expect("room for all");
        let next = Arc::new(terms.next(seated.plan, seated.fresh));
        (self.draft, self.seats) = (draft, seated.seats);
        self.terms.publish(Arc::clone(&next));
        self.gates = Arc::clone(&next.gates);
        while self.moods.len() < self.gates.providers.len() {
            self.moods.push(Mood::any(&mut self.dice));
        }
        self.say(|| {
            let ids = next.plan.providers.iter().map(|one| one.id.0);
            format!(
                "the configuration has providers {:?}",
                ids.collect::<Vec<_>>()
            )
        });
        let reply = Arc::new(Reply::default());
        self.replies.push(Arc::clone(&reply));
        let question = Question::Adopt;
        self.take_in(Message::Ask(Ask { question, reply }))?;
        let span = self.dice.span(0, 1);
        self.wake_after(span);
        for shard in 0..self.shards.len() {
            let most = if self.dice.chance(100) { 5_000 } else { 5 };
            let span = self.dice.span(0, most);
            self.after(span, Event::Adopt(shard));
        }
        Ok(())
    }

    fn fate(&mut self) -> Held {
        if !self.is_open() {
            return Ok(());
        }
        if self.dice.chance(200) {
            self.reload()?;
        }
        let place = self.dice.place(self.moods.len());
        let provider = ProviderId(u16::try_from(place).unwrap_or(0));
        match self.dice.between(0, 99) {
            0..50 => {
                self.moods[place] = Mood::any(&mut self.dice);
                let mood = self.moods[place];
                self.say(|| format!("provider {place} is {mood:?}"));
            }
            50..65 => {
                let states = [Health::Healthy, Health::Healthy, Health::Unhealthy];
                let state = self.dice.one_of(&states);
                let message = self.health(provider, state);
                self.send(message);
            }
            65..75 => {
                let act = self
                    .dice
                    .one_of(&[ByHand::Open, ByHand::Close, ByHand::Reset]);
                let message = self.act(provider, act);
                self.send(message);
            }
            75..85 => {
                let shard = self.dice.place(self.shards.len());
                let most = if self.dice.chance(100) { 70_000 } else { 6_000 };
                let span = self.dice.span(10, most);
                self.stop_shard(shard, span);
            }
            85..93 => {
                let span = self.dice.span(5, 5_000);
                self.stuck_until = self.stuck_until.max(self.now) + span;
                self.judge.on_stuck(span, self.stuck_until);
                self.say(|| format!("the coordinator is stuck for {span:?}"));
            }
            _ => self.set_clock(),
        }
        let pause = self.dice.span(100, 4_000);
        self.after(pause, Event::Fate);
        Ok(())
    }

    pub(crate) fn stop_shard(&mut self, shard: usize, span: Duration) {
        let shard_of = &mut self.shards[shard];
        shard_of.stuck_until = shard_of.stuck_until.max(self.now) + span;
        self.say(|| format!("shard {shard} is stuck for {span:?}"));
    }

    fn set_clock(&mut self) {
        let leap = !self.had_leap && self.dice.chance(100);
        let span = if leap {
            self.had_leap = true;
            LEAP
        } else {
            self.dice.span(1, 3_600_000)
        };
        self.wall_at_zero = if leap || self.dice.chance(500) {
            self.wall_at_zero.after(span)
        } else {
            self.wall_at_zero.before(span)
        };
        let wall = self.time().wall;
        self.say(|| format!("somebody sets the clock to {wall}"));
    }

    fn health(&self, provider: ProviderId, state: Health) -> Message {
        let at = self.time().wall;
        Message::Health {
            provider,
            state,
            at,
            complaint: None,
        }
    }

    fn act(&mut self, provider: ProviderId, act: ByHand) -> Message {
        let reply = Arc::new(Reply::default());
        self.replies.push(Arc::clone(&reply));
        let question = Question::ByHand(provider, act);
        Message::Ask(Ask { question, reply })
    }

    /// Sends a message that is no fact by way of some shard; where there is no room, it is lost.
    fn send(&mut self, message: Message) {
        let shard = self.dice.place(self.shards.len());
        if let Err(Message::Ask(ask)) = self.shards[shard].reports.ask(message) {
            self.replies.retain(|reply| !Arc::ptr_eq(reply, &ask.reply));
        }
        self.expect_delivery(shard);
    }
}

/// Whether an event was more than a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Something,
    Nothing,
}

/// Up to this number of ids of scopes, and of budgets, none is given away.
const SEATS: usize = 2;
const SEATS_MAX: usize = 40;
/// Beyond the end of a month, mostly. Words know a day by its number modulo 32: whoever sets the
/// clock further than that while a request is under way settles it to another day.
const LEAP: Duration = Duration::from_secs(24 * 86_400);
/// When the last window is empty.
const SETTLED_AFTER: Duration = Duration::from_secs(62);
const STEPS_MAX: u64 = 300_000;
