//! One run of several instances: true time, what happens in it, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::time::Instant;
use infermux::testing::ledger::shares::{Batch, Kept, Reply};

use crate::dice::Dice;
use crate::fleet::allowed::Allowed;
use crate::fleet::process::{Disk, Process, Wish};
use crate::fleet::setting::{Clock, MONEY, Mood, Setting, TPM, share};
use crate::fleet::wire::{Answer, Message, Server};
use crate::promise::{Broken, Held, promise};

/// Something that happens at its time; to a process in the life in which it was meant.
#[derive(Clone)]
enum Event {
    Arrive(usize),
    Again(usize, u64, Wish),
    End(usize, u64, u64),
    Wake(usize, u64),
    Deliver(Box<Message>),
    Answered(Box<Answer>),
    TimeOut(usize, u64, u64),
    Connect(usize, u64),
    Start(usize),
    Fate,
    Want(usize, u64),
}

/// A place for a process, and the process that runs there.
struct Slot {
    disk: Disk,
    clock: Clock,
    running: Option<Process>,
    life: u64,
    cut_until: Instant,
    paused_until: Instant,
    /// When it is woken next.
    wakes: Instant,
    pending: Option<u64>,
    run: Option<Arc<str>>,
    /// When the last answered batch was sent.
    answered: Instant,
    /// The same of one that spoke of quotas.
    heard: Instant,
    /// The same of one that spoke of requests in flight.
    placed: Instant,
    died: Instant,
    has_left: bool,
}

pub(crate) struct World {
    setting: Setting,
    dice: Dice,
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    queued: u64,
    slots: Vec<Slot>,
    server: Server,
    allowed: Allowed,
    numbers: u64,
    /// Nothing goes wrong before this moment: data was lost, and all tell what they hold.
    calm_until: Instant,
    is_over: bool,
    steps: u64,
    /// Steps at this very moment.
    at_once: u64,
    trace: bool,
}

/// Runs the fleet of `seed` to its end; the steps that it took.
pub(crate) fn run(seed: u64, trace: bool) -> Result<u64, (Instant, Broken)> {
    let mut world = World::new(seed, trace);
    match world.live() {
        Ok(()) => Ok(world.steps),
        Err(broken) => Err((world.now, broken)),
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut dice = Dice::new(seed);
        let setting = Setting::new(&mut dice);
        let slot = |place: usize, dice: &mut Dice| Slot {
            disk: Disk {
                id: format!("p{place}").into(),
                kept: if dice.chance(500) {
                    Kept::Yes
                } else {
                    Kept::No
                },
                spent: 0,
            },
            clock: Clock::new(dice),
            running: None,
            life: 0,
            cut_until: Instant::ZERO,
            paused_until: Instant::ZERO,
            wakes: Instant::NEVER,
            pending: None,
            run: None,
            answered: Instant::ZERO,
            heard: Instant::ZERO,
            placed: Instant::ZERO,
            died: Instant::ZERO,
            has_left: true,
        };
        let slots = (0..setting.processes).map(|place| slot(place, &mut dice));
        let slots = slots.collect();
        let mut world = Self {
            slots,
            server: Server::new(setting.store_clock),
            allowed: Allowed::new(&setting),
            setting,
            dice,
            now: Instant::ZERO,
            events: BTreeMap::new(),
            queued: 0,
            numbers: 0,
            calm_until: Instant::ZERO,
            is_over: false,
            steps: 0,
            at_once: 0,
            trace,
        };
        for place in 0..world.slots.len() {
            world.after(0, 2_000, Event::Start(place));
            world.after(0, 3_000, Event::Arrive(place));
        }
        world.after(2_000, 8_000, Event::Fate);
        world
    }

    fn live(&mut self) -> Held {
        let busy = Instant::ZERO + self.setting.busy;
        self.until(busy)?;
        self.heal();
        // All requests end, the dead are forgotten, and what was used leaves every window.
        let quiet = self.setting.pace.member_ttl + self.setting.span + Duration::from_secs(12);
        self.until(busy + quiet * 11 / 10)?;
        self.one_wants_everything()
    }

    fn until(&mut self, end: Instant) -> Held {
        while let Some((key, event)) = self.events.pop_first() {
            if key.0 > end {
                self.events.insert(key, event);
                break;
            }
            self.steps += 1;
            self.at_once = if key.0 > self.now {
                0
            } else {
                self.at_once + 1
            };
            self.now = key.0;
            assert!(self.at_once < 10_000, "time stands still");
            self.step(&event)?;
        }
        self.now = end;
        Ok(())
    }

    fn at(&mut self, when: Instant, event: Event) {
        self.queued += 1;
        self.events.insert((when.max(self.now), self.queued), event);
    }

    fn after(&mut self, from: u64, to: u64, event: Event) {
        let span = self.dice.span(from, to);
        self.at(self.now + span, event);
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9.3} {}", self.now.as_nanos() as f64 / 1e9, what());
        }
    }

    /// Whether an event meant for this life of a process happens now; one for a process that stands
    /// still happens when it goes on.
    fn meets(&mut self, place: usize, life: u64, event: &Event) -> bool {
        let slot = &self.slots[place];
        if slot.running.is_none() || slot.life != life {
            return false;
        }
        let until = slot.paused_until;
        if self.now < until {
            self.at(until, event.clone());
            return false;
        }
        true
    }

    fn step(&mut self, event: &Event) -> Held {
        match event.clone() {
            Event::Arrive(place) => self.arrive(place),
            Event::Again(place, life, wish) if self.meets(place, life, event) => {
                self.admit(place, wish, false)
            }
            Event::End(place, life, number) if self.meets(place, life, event) => {
                self.end(place, number)
            }
            Event::Wake(place, life) if self.meets(place, life, event) => {
                self.slots[place].wakes = Instant::NEVER;
                self.turn(place, Process::wake);
                Ok(())
            }
            Event::Deliver(message) => {
                self.deliver(*message);
                Ok(())
            }
            Event::Answered(answer) if self.meets(answer.process, answer.incarnation, event) => {
                self.answered(&answer);
                Ok(())
            }
            Event::TimeOut(place, life, number) if self.meets(place, life, event) => {
                if self.slots[place].pending == Some(number) {
                    self.disconnect(place);
                }
                Ok(())
            }
            Event::Connect(place, life) if self.meets(place, life, event) => {
                self.connect(place);
                Ok(())
            }
            Event::Start(place) => {
                self.start(place);
                Ok(())
            }
            Event::Fate => self.fate(),
            Event::Want(place, life) if self.meets(place, life, event) => {
                self.want(place);
                Ok(())
            }
            Event::Again(..)
            | Event::End(..)
            | Event::Wake(..)
            | Event::Answered(_)
            | Event::TimeOut(..)
            | Event::Connect(..)
            | Event::Want(..) => Ok(()),
        }
    }

    fn arrive(&mut self, place: usize) -> Held {
        if self.is_over {
            return Ok(());
        }
        let (from, to) = self.setting.pause;
        self.after(from, to, Event::Arrive(place));
        let slot = &self.slots[place];
        if slot.running.is_none() || self.now < slot.paused_until {
            return Ok(());
        }
        let most = self.setting.limits[TPM];
        let tokens = match self.dice.between(0, 19) {
            0 => self.dice.between(1, most * 2),
            1..4 => self.dice.between(1, most / 2),
            _ => self.dice.between(1, most / 20 + 1),
        };
        let budget = self.setting.limits[MONEY];
        let prompt = self.dice.between(0, budget / self.setting.parts / 3);
        let answer = self.dice.between(0, budget / self.setting.parts);
        let wish = Wish {
            tokens,
            prompt,
            whole: prompt + answer,
        };
        self.admit(place, wish, true)
    }

    fn admit(&mut self, place: usize, wish: Wish, may_wait: bool) -> Held {
        self.forget_who_is_cut_off(place);
        let now = self.now;
        let mut admitted = None;
        self.turn(place, |process, now| admitted = process.admit(now, wish));
        let life = self.slots[place].life;
        let Some(request) = admitted else {
            if may_wait && self.dice.chance(500) {
                let again = Event::Again(place, life, wish);
                self.at(now + Duration::from_millis(50), again);
            }
            return Ok(());
        };
        self.numbers += 1;
        let number = self.numbers;
        self.note(|| format!("p{place} admits {number}: {request:?}"));
        if let Some(process) = &mut self.slots[place].running {
            process.requests.insert(number, request);
        }
        let most = if self.dice.chance(100) { 8_000 } else { 800 };
        self.after(5, most, Event::End(place, life, number));
        self.allowed.on_admitted(now, place, number, &request)
    }

    /// Places of a process that the store has forgotten are free for others; a process that was
    /// told to go on with its share does.
    fn forget_who_is_cut_off(&mut self, place: usize) {
        let ttl = self.setting.pace.member_ttl;
        for (place, slot) in self.slots.iter().enumerate() {
            if slot.running.is_some() && self.now.since(slot.placed) >= ttl * 95 / 100 {
                self.allowed.on_forgotten(place, slot.placed);
            }
        }
        let slot = &self.slots[place];
        let goes_on = slot
            .running
            .as_ref()
            .is_some_and(|one| !one.is_closed_by_loss());
        if goes_on && self.now.since(slot.heard) >= ttl * 85 / 100 {
            self.allowed.on_share_of_its_own(self.now);
        }
    }

    fn end(&mut self, place: usize, number: u64) -> Held {
        let slot = &mut self.slots[place];
        let request = slot
            .running
            .as_mut()
            .and_then(|one| one.requests.remove(&number));
        let Some(request) = request else {
            return Ok(());
        };
        let tokens = request.wish.tokens.min(self.setting.limits[TPM]);
        let used = if self.dice.chance(900) {
            self.dice.between(0, tokens)
        } else {
            self.dice.between(tokens, tokens * 2)
        };
        let cost = self.dice.between(request.wish.prompt, request.wish.whole);
        self.note(|| format!("p{place} ends {number}: {used} tokens, {cost}"));
        let held = self
            .allowed
            .on_ended(self.now, number, &request, (used, cost));
        self.turn(place, |process, now| {
            process.settle(now, &request, used, cost);
        });
        held
    }

    /// A process acts; then it says what it has to, and is woken when it wants to be.
    fn turn(&mut self, place: usize, act: impl FnOnce(&mut Process, Instant)) {
        let now = self.now;
        let number = self.dice.between(1, u64::MAX / 2);
        let slot = &mut self.slots[place];
        let Some(process) = &mut slot.running else {
            return;
        };
        act(process, now);
        if let Some(disk) = process.rename(now, number) {
            slot.disk = disk;
        }
        if self.dice.chance(500) {
            slot.disk.spent = process.words.spent;
        }
        let batch = process
            .shares
            .batch(process.clock.at(now), &mut process.words);
        process.hear_news();
        let (must_end, life, wakes) = (process.must_end, slot.life, process.deadline());
        if must_end {
            self.kill(place);
            return;
        }
        if wakes < slot.wakes {
            slot.wakes = wakes;
            self.at(wakes, Event::Wake(place, life));
        }
        if let Some(batch) = batch {
            self.send(place, batch);
        }
    }

    fn send(&mut self, place: usize, batch: Batch) {
        let mood = self.mood();
        let slot = &mut self.slots[place];
        let (number, life) = (batch.number, slot.life);
        slot.pending = Some(number);
        let Some(run) = slot.run.clone() else {
            return;
        };
        let is_cut = self.now < slot.cut_until;
        let message = Message {
            process: place,
            incarnation: life,
            sent: self.now,
            run,
            arrive: if self.dice.chance(mood.cut_short) {
                self.dice.place(batch.asks.len() + 1)
            } else {
                batch.asks.len()
            },
            batch,
        };
        self.note(|| format!("p{place} says {:?}", message.batch));
        let timeout = Event::TimeOut(place, life, number);
        self.at(self.now + Duration::from_millis(250), timeout);
        if !is_cut && !self.dice.chance(mood.lost) {
            self.travel(mood, Event::Deliver(Box::new(message.clone())));
        }
        if !is_cut && self.dice.chance(mood.repeated) {
            self.travel(mood, Event::Deliver(Box::new(message)));
        }
    }

    fn travel(&mut self, mood: Mood, event: Event) {
        let latest = if self.dice.chance(mood.late) {
            mood.latest
        } else {
            4
        };
        self.after(0, latest, event);
    }

    fn deliver(&mut self, message: Message) {
        if self.now < self.server.hung_until {
            let until = self.server.hung_until;
            self.at(until, Event::Deliver(Box::new(message)));
            return;
        }
        let mood = self.mood();
        let Some(answer) = self.server.serve(self.now, &message) else {
            return;
        };
        let is_cut = self.now < self.slots[message.process].cut_until;
        if !is_cut && !self.dice.chance(mood.lost) {
            self.travel(mood, Event::Answered(Box::new(answer)));
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let place = answer.process;
        let slot = &mut self.slots[place];
        if slot.pending == Some(answer.reply.number) {
            slot.pending = None;
            slot.answered = answer.sent;
            if !answer.reply.asks.is_empty() {
                slot.heard = answer.sent;
            }
            if answer.of_places {
                slot.placed = answer.sent;
            }
            self.note(|| format!("p{place} hears {:?}", answer.reply));
        }
        self.turn(place, |process, now| {
            let own = process.clock.at(now);
            let reply = Reply {
                took: now.since(answer.sent),
                ..answer.reply.clone()
            };
            process.shares.on_reply(own, &reply, &mut process.words);
            process.hear_news();
        });
    }

    fn disconnect(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        (slot.pending, slot.run) = (None, None);
        let life = slot.life;
        if let Some(process) = &mut slot.running {
            process.shares.on_disconnected(process.clock.at(self.now));
            self.after(100, 500, Event::Connect(place, life));
        }
    }

    fn connect(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        if slot.run.is_some() {
            return;
        }
        if self.now < slot.cut_until || self.now < self.server.down_until {
            self.disconnect(place);
            return;
        }
        let run = Arc::clone(&self.server.run);
        slot.run = Some(Arc::clone(&run));
        self.turn(place, |process, _| process.shares.on_connected(&run));
    }

    fn start(&mut self, place: usize) {
        let nonce = self.dice.between(1, u64::MAX / 2);
        let slot = &mut self.slots[place];
        if slot.running.is_some() {
            return;
        }
        let (clock, now) = (slot.clock, self.now);
        slot.life += 1;
        slot.has_left = false;
        (slot.pending, slot.run, slot.wakes) = (None, None, Instant::NEVER);
        (slot.answered, slot.heard, slot.placed) = (now, now, now);
        slot.running = Some(Process::new(&self.setting, &slot.disk, clock, nonce, now));
        let (life, id) = (slot.life, Arc::clone(&slot.disk.id));
        self.note(|| format!("p{place} starts as {id}"));
        self.after(0, 50, Event::Connect(place, life));
    }

    fn kill(&mut self, place: usize) {
        let now = self.now;
        let slot = &mut self.slots[place];
        let Some(process) = slot.running.take() else {
            return;
        };
        slot.died = now;
        slot.paused_until = Instant::ZERO;
        for (number, request) in process.requests {
            self.allowed.on_died(number, &request);
        }
        if slot.disk.kept == Kept::No || self.dice.chance(300) {
            // The next one begins without the state file.
            self.numbers += 1;
            let kept = slot.disk.kept;
            slot.disk = Disk {
                id: format!("n{}", self.numbers).into(),
                kept,
                spent: 0,
            };
        }
        self.note(|| format!("p{place} dies"));
        self.after(50, 9_000, Event::Start(place));
    }

    /// A graceful stop: requests end, and what is not used is given back.
    fn stop(&mut self, place: usize) -> Held {
        let slot = &self.slots[place];
        let numbers = slot
            .running
            .iter()
            .flat_map(|one| one.requests.keys().copied());
        let numbers: Vec<u64> = numbers.collect();
        for number in numbers {
            self.end(place, number)?;
        }
        let slot = &mut self.slots[place];
        let Some(process) = &mut slot.running else {
            return Ok(());
        };
        let own = process.clock.at(self.now);
        let batch = process.shares.leave(own, &mut process.words);
        slot.disk.spent = process.words.spent;
        let is_heard = self.now >= slot.cut_until
            && self.now >= self.server.hung_until
            && slot.run.as_ref() == Some(&self.server.run);
        if is_heard {
            self.server.leave(self.now, &batch);
        }
        slot.has_left = is_heard;
        slot.running = None;
        if slot.disk.kept == Kept::No {
            self.numbers += 1;
            slot.disk = Disk {
                id: format!("n{}", self.numbers).into(),
                kept: Kept::No,
                spent: 0,
            };
        }
        slot.died = self.now;
        self.note(|| format!("p{place} stops, heard: {is_heard}"));
        self.after(50, 9_000, Event::Start(place));
        Ok(())
    }

    fn mood(&self) -> Mood {
        if self.is_over || self.now < self.calm_until {
            return Mood {
                lost: 0,
                repeated: 0,
                cut_short: 0,
                late: 0,
                latest: 1,
            };
        }
        self.setting.mood
    }

    fn fate(&mut self) -> Held {
        if self.is_over {
            return Ok(());
        }
        self.after(500, 7_000, Event::Fate);
        if self.now < self.calm_until {
            return Ok(());
        }
        let place = self.dice.place(self.slots.len());
        if self.setting.only_cuts {
            let pace = self.setting.pace;
            let span = pace.member_ttl + self.setting.span + Duration::from_secs(3);
            if self.slots.iter().all(|slot| self.now >= slot.cut_until) {
                self.slots[place].cut_until = self.now + span;
            }
            return Ok(());
        }
        let span = |dice: &mut Dice| {
            let most = if dice.chance(400) { 14_000 } else { 2_500 };
            dice.span(100, most)
        };
        let span = span(&mut self.dice);
        let what = self.dice.between(0, 9);
        self.note(|| format!("fate {what} of p{place}, {span:?}"));
        match what {
            0 | 1 => self.slots[place].cut_until = self.now + span,
            2 => self.server.hung_until = self.now + span / 2,
            3 => self.restart(span / 2),
            4 | 5 => self.lose(what == 4),
            6 => {
                let end = Instant::ZERO + self.setting.busy;
                self.slots[place].paused_until = (self.now + span).min(end);
            }
            7 => self.kill(place),
            8 if self.now >= self.slots[place].paused_until => return self.stop(place),
            _ => self.server.keep_copy(),
        }
        Ok(())
    }

    fn restart(&mut self, span: Duration) {
        self.server.restart(self.now, span);
        for place in 0..self.slots.len() {
            self.disconnect(place);
        }
    }

    /// The store loses its data, all of it or what is new, where somebody can tell what everybody
    /// holds.
    fn lose(&mut self, all: bool) {
        let now = self.now;
        if !self.can_tell() || now < self.server.hung_until || now < self.server.down_until {
            return;
        }
        // What the dead have spent is remembered by those who have heard of it in the last minute.
        let is_remembered = self
            .slots
            .iter()
            .all(|slot| self.is_there(slot) || slot.has_left);
        self.allowed.money_is_unknown |= !is_remembered;
        self.calm_until = now + Duration::from_secs(5);
        if all && self.dice.chance(500) {
            self.server.lose_all();
            return;
        }
        if all {
            self.server.lose_all();
        } else {
            self.server.turn_back();
        }
        self.restart(Duration::from_millis(20));
    }

    fn is_there(&self, slot: &Slot) -> bool {
        slot.running.is_some()
            && self.now >= slot.cut_until
            && self.now >= slot.paused_until
            && self.now.since(slot.heard) < Duration::from_millis(1_300)
    }

    /// Whether those who are there know what everybody holds. Who is away has been for so long that
    /// those who hold some of the same quotas, and so report them, have heard of what it had.
    fn can_tell(&self) -> bool {
        let ttl = self.setting.pace.member_ttl;
        let forgotten = ttl + self.setting.span + Duration::from_secs(3);
        let (mut is_whole, mut is_known) = (true, true);
        for slot in &self.slots {
            let dead_for = self.now.since(slot.died);
            let is_forgotten = slot.life == 0
                || dead_for > forgotten
                || (slot.has_left && dead_for > self.setting.span + Duration::from_secs(3));
            if self.is_there(slot) || (slot.running.is_none() && is_forgotten) {
                continue;
            }
            is_whole = false;
            let away_since = slot.answered.max(slot.died);
            is_known &= self.now.since(away_since) > Duration::from_secs(4);
        }
        let tells = |quota: usize| {
            let there = self.slots.iter().filter(|slot| self.is_there(slot));
            let there = there.filter_map(|slot| slot.running.as_ref());
            there
                .into_iter()
                .any(|one| one.shares.allowance(share(quota)) > 0)
        };
        is_whole || (is_known && self.setting.quotas().all(|one| one == MONEY || tells(one)))
    }

    /// Nothing goes wrong any more, nobody comes, and everybody is there.
    fn heal(&mut self) {
        self.is_over = true;
        self.server.hung_until = self.now;
        self.server.down_until = self.now;
        for place in 0..self.slots.len() {
            self.slots[place].cut_until = self.now;
            self.after(0, 500, Event::Start(place));
        }
    }

    fn want(&mut self, place: usize) {
        let limits = self.setting.limits;
        let quotas: Vec<usize> = self.setting.quotas().collect();
        self.turn(place, |process, now| {
            let own = process.clock.at(now);
            for quota in quotas {
                if quota == MONEY {
                    process.shares.on_lack(own, share(quota), 1);
                }
                process.shares.on_lack(own, share(quota), limits[quota]);
            }
        });
        let life = self.slots[place].life;
        self.after(200, 300, Event::Want(place, life));
    }

    fn one_wants_everything(&mut self) -> Held {
        let place = self.dice.place(self.slots.len());
        let life = self.slots[place].life;
        self.note(|| format!("p{place} wants everything"));
        self.at(self.now, Event::Want(place, life));
        let mut missing: Vec<usize> = self.setting.quotas().collect();
        for _ in 0..40 {
            self.until(self.now + Duration::from_millis(100))?;
            missing.retain(|quota| !self.has_everything(place, *quota));
        }
        // proves: fleet.one-has-all
        promise("fleet.one-has-all", missing.is_empty(), || {
            let process = self.slots[place].running.as_ref();
            let left = process.map(|one| missing.iter().map(|quota| one.left(*quota)).collect());
            let left: Vec<i64> = left.unwrap_or_default();
            let limits = self.setting.limits;
            format!("p{place} has {left:?} of quotas {missing:?}, of {limits:?}")
        })
    }

    fn has_everything(&self, place: usize, quota: usize) -> bool {
        let Some(process) = &self.slots[place].running else {
            return false;
        };
        let limit = self.setting.limits[quota];
        let left = process.left(quota).max(0).unsigned_abs();
        if quota != MONEY {
            return left == limit;
        }
        // What is spent, and what was leased to those who have died, is gone.
        let [_, lost] = process.shares.spent_by_others(share(quota), &process.words);
        let running = self.slots.iter().filter_map(|slot| slot.running.as_ref());
        let inherited: u64 = running.map(Process::inherited).sum();
        // What is expected to be taken next is rounded up in each process.
        let rounded = self.slots.len() as u64;
        left + inherited + lost + self.allowed.spent() + rounded >= limit
    }
}
