//! The scripts of `ledger::shares` on a real server, held against the store as a machine.
//!
//! Random calls of six processes under four names go to both, and every answer is compared. The
//! scripts run as they are but for their clock: they read it from a key, so that hours pass in
//! seconds; that they read the server's own one otherwise is a test of its own. `server` says which
//! servers these are.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the environment and the clock"
)]

mod costs;
#[path = "../sim/dice.rs"]
mod dice;
mod server;
#[path = "../support/store.rs"]
mod store;

use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::time::WallTime;
use infermux::testing::ledger::shares::{
    Ask, AskAnswer, Hello, HelloAnswer, Kept, Kind, Measure, Member, ShareId, Short, Standing,
    namespace_key, quota_key, scripts,
};

use dice::Dice;
use server::{Server, Value};
use store::Store;

const SEEDS: u64 = 150;
const CALLS: u64 = 300;
const NAMESPACE: &str = "test";
const TTL: Duration = Duration::from_secs(5);
const START: u64 = 1_800_000_000_000;

/// One process, as far as its messages go.
struct Process {
    member: Member,
    nonce: u64,
    /// By quota: the number of the latest ask, of the latest answered one, and what it holds.
    asked: [u64; QUOTAS.len()],
    answered: [u64; QUOTAS.len()],
    held: [u64; QUOTAS.len()],
}

/// Name, limit, and kind by number. What six of the largest ones add up to is still exact.
const QUOTAS: [(&str, u64, u8); 6] = [
    ("provider a/rpm", 60, 0),
    ("provider a/tpm", 1_400_000_000_000_001, 0),
    ("key k/in-flight", 7, 1),
    ("key k/usd/2027-01", 1_499_999_999_999_999, 2),
    ("key k/usd/total", 1_000, 3),
    ("key k/usd/2026-12", 100, 4),
];

fn kind(number: u8) -> Kind {
    let wall = WallTime::from_unix_millis;
    let period = |from, to| Kind::Period {
        from: wall(from),
        to,
        measure: Measure::Money,
    };
    match number {
        0 => Kind::Window {
            span: Duration::from_secs(60),
            standing: Standing::No,
        },
        1 => Kind::InFlight,
        2 => period(START - 1_000, Some(wall(START + 600_000))),
        3 => period(0, None),
        _ => period(START - 2_000_000, Some(wall(START + 20_000))),
    }
}

impl Process {
    fn new(number: u64, dice: &mut Dice) -> Self {
        let kept = if dice.chance(500) {
            Kept::Yes
        } else {
            Kept::No
        };
        Self {
            member: Member {
                id: format!("p{number}").into(),
                generation: 0,
                epoch: 0,
                kept,
                ttl: TTL,
            },
            nonce: dice.between(1, u64::MAX / 2),
            asked: Default::default(),
            answered: Default::default(),
            held: Default::default(),
        }
    }

    fn hello(&self, run: &Arc<str>, dice: &mut Dice) -> Hello {
        let aside = |dice: &mut Dice| {
            let name = format!("provider {}", dice.between(0, 2)).into();
            (name, dice.span(1, 9_000))
        };
        let count = if dice.chance(100) { 1 } else { 0 };
        Hello {
            nonce: self.nonce,
            run: Arc::clone(run),
            put_asides: (0..count).map(|_| aside(dice)).collect(),
        }
    }

    fn ask(&mut self, place: usize, dice: &mut Dice) -> Ask {
        let (name, limit, number) = QUOTAS[place];
        let some = |dice: &mut Dice| match dice.between(0, 3) {
            0 => 0,
            1 => dice.between(0, limit.min(9)),
            2 => dice.between(0, limit / 3),
            _ => dice.between(0, limit),
        };
        // Mostly the next number; at times one that was said before.
        self.asked[place] += u64::from(dice.chance(950));
        let keep = if dice.chance(900) {
            self.held[place] - dice.between(0, self.held[place].min(limit / 9 + 1))
        } else {
            some(dice)
        };
        let need = if dice.chance(600) { some(dice) } else { 0 };
        let fresh = self.answered[place] == 0 && dice.chance(900);
        Ask {
            share: ShareId::default(),
            name: name.into(),
            kind: kind(number),
            limit,
            number: self.asked[place],
            answered: if dice.chance(900) {
                self.answered[place]
            } else {
                0
            },
            fresh,
            keep,
            need,
            unit: dice.between(need.min(1), need),
            ahead: if dice.chance(500) { some(dice) } else { 0 },
            spent: if number > 1 { keep / 2 } else { 0 },
            known: some(dice),
            short: dice.one_of(&[Short::No, Short::No, Short::Wanted, Short::Held]),
            leaves: dice.chance(10),
        }
    }
}

/// Both stores, and what the processes know of them.
struct World {
    server: Server,
    hello: String,
    ask: String,
    leave: String,
    model: Store,
    older: Option<(Vec<(String, Value)>, Store)>,
    processes: Vec<Process>,
    run: Arc<str>,
    now: u64,
    dice: Dice,
}

impl World {
    fn new(mut server: Server, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        server.call(&["FLUSHALL"]);
        let hello = server.load(&by_key(scripts::HELLO));
        let ask = server.load(&by_key(scripts::ASK));
        let leave = server.load(scripts::LEAVE);
        // The last two are copies of the first two.
        let processes = (0..6).map(|number| Process::new(number % 4, &mut dice));
        let processes = processes.collect();
        let mut world = Self {
            server,
            hello,
            ask,
            leave,
            model: Store::default(),
            older: None,
            processes,
            run: "run-1".into(),
            now: START,
            dice,
        };
        world.set_clock();
        world
    }

    fn set_clock(&mut self) {
        let (seconds, micros) = (self.now / 1_000, self.now % 1_000 * 1_000);
        self.server.call(&["DEL", "clock"]);
        let (seconds, micros) = (seconds.to_string(), micros.to_string());
        self.server.call(&["RPUSH", "clock", &seconds, &micros]);
    }

    fn step(&mut self) -> Result<&'static str, String> {
        match self.dice.between(0, 999) {
            0..3 => self.lose(),
            3..6 => self.keep_copy(),
            6..10 => self.turn_back(),
            10..12 => self.run = format!("run-{}", self.now).into(),
            12..16 => self.now += self.dice.between(0, 150_000),
            16..120 => self.now += self.dice.between(0, 2_500),
            120..500 => self.now += self.dice.between(0, 200),
            _ => {}
        }
        self.set_clock();
        let place = self.dice.place(self.processes.len());
        if self.dice.chance(10) {
            let Member { id, kept, .. } = self.processes[place].member.clone();
            let number = id[1..].parse().expect("a number");
            self.processes[place] = Process::new(number, &mut self.dice);
            self.processes[place].member.kept = kept;
        }
        let is_known = self.processes[place].member.generation > 0;
        if is_known && self.dice.chance(5) {
            return self.say_farewell(place);
        }
        if !is_known || self.dice.chance(100) {
            self.say_hello(place)
        } else {
            self.say_ask(place)
        }
    }

    fn say_hello(&mut self, place: usize) -> Result<&'static str, String> {
        let process = &mut self.processes[place];
        let hello = process.hello(&self.run, &mut self.dice);
        let arguments = hello.arguments(&process.member);
        let result = self.server.run(&self.hello, &keys(None), &arguments);
        let mut found = HelloAnswer::read(&result.texts());
        if let Some(HelloAnswer::Welcome(welcome)) = &mut found {
            welcome.put_asides.sort();
        }
        let expected = self.model.hello(self.now, &process.member, &hello);
        if found.as_ref() != Some(&expected) {
            return Err(format!(
                "{hello:?}: {found:?} ({result:?}), not {expected:?}"
            ));
        }
        match expected {
            HelloAnswer::Welcome(welcome) => {
                process.member.generation = welcome.generation;
                if process.member.epoch != welcome.epoch {
                    process.answered = Default::default();
                }
                process.member.epoch = welcome.epoch;
                Ok("welcome")
            }
            HelloAnswer::Wait => Ok("wait"),
            HelloAnswer::Taken => Ok("taken"),
            HelloAnswer::Replaced => {
                process.member.generation = 0;
                Ok("replaced")
            }
        }
    }

    fn say_ask(&mut self, place: usize) -> Result<&'static str, String> {
        let process = &mut self.processes[place];
        let quota = self.dice.place(QUOTAS.len());
        let ask = process.ask(quota, &mut self.dice);
        let arguments = ask.arguments(&process.member);
        let result = self
            .server
            .run(&self.ask, &keys(Some(&ask.name)), &arguments);
        let found = AskAnswer::read(&result.numbers());
        let expected = self.model.ask(self.now, &process.member, &ask);
        if found != Some(expected) {
            return Err(format!("{ask:?}: {found:?} ({result:?}), not {expected:?}"));
        }
        match expected {
            AskAnswer::Granted(granted) => {
                process.answered[quota] = ask.number;
                process.held[quota] = granted.keep + granted.grant;
                Ok(
                    match (granted.grant, granted.learning.is_zero(), granted.short) {
                        (_, _, true) => "short",
                        (_, false, _) => "learning",
                        (0, true, _) => "nothing",
                        _ if granted.hungry > 0 => "granted beside hungry ones",
                        _ => "granted",
                    },
                )
            }
            AskAnswer::Old => Ok("old"),
            AskAnswer::Epoch => {
                process.member.generation *= u64::from(self.dice.chance(800));
                self.say_hello(place)?;
                Ok("epoch")
            }
            AskAnswer::Gone => {
                self.say_hello(place)?;
                Ok("gone")
            }
        }
    }

    fn say_farewell(&mut self, place: usize) -> Result<&'static str, String> {
        let Member { id, generation, .. } = &self.processes[place].member;
        let arguments = [id.to_string(), generation.to_string()];
        let result = self.server.run(&self.leave, &keys(None), &arguments);
        let expected = i64::from(self.model.leave(&self.processes[place].member));
        if result != Value::Number(expected) {
            return Err(format!("leave: {result:?}, not {expected}"));
        }
        Ok("left")
    }

    fn lose(&mut self) {
        self.server.call(&["FLUSHALL"]);
        self.model = Store::default();
    }

    fn keep_copy(&mut self) {
        let names = QUOTAS.iter().map(|(name, ..)| quota_key(NAMESPACE, name));
        let names: Vec<String> = names.chain([namespace_key(NAMESPACE)]).collect();
        let dump = names.into_iter().map(|name| {
            let text = self.server.call(&["DUMP", &name]);
            (name, text)
        });
        self.older = Some((dump.collect(), self.model.clone()));
    }

    /// The server has older data.
    fn turn_back(&mut self) {
        let Some((dump, model)) = &self.older else {
            return;
        };
        self.server.call(&["FLUSHALL"]);
        for (name, value) in dump {
            if let Value::Bytes(bytes) = value {
                let parts: [&[u8]; 4] = [b"RESTORE", name.as_bytes(), b"0", bytes];
                self.server.call_bytes(&parts);
            }
        }
        self.model = model.clone();
    }
}

/// The script with its clock in a key.
fn by_key(script: &str) -> String {
    let own = "redis.call('TIME')";
    assert_eq!(script.matches(own).count(), 1, "one clock");
    script.replace(own, "redis.call('LRANGE', 'clock', 0, 1)")
}

fn keys(quota: Option<&str>) -> Vec<String> {
    let namespace = namespace_key(NAMESPACE);
    let quota = quota.map(|name| quota_key(NAMESPACE, name));
    std::iter::once(namespace).chain(quota).collect()
}

#[test]
fn the_scripts_answer_as_the_machine_does() {
    Server::each(compare);
}

fn compare(mut server: Server) {
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    for seed in 1..=SEEDS {
        let mut world = World::new(server, seed);
        for call in 0..CALLS {
            match world.step() {
                Ok(answer) => *seen.entry(answer).or_default() += 1,
                Err(how) => panic!("seed {seed}, call {call}, at {}: {how}", world.now - START),
            }
        }
        server = world.server;
    }
    println!("{seen:?}");
    // A comparison that never came to an answer would say nothing of it.
    for answer in [
        "welcome",
        "wait",
        "taken",
        "replaced",
        "granted",
        "granted beside hungry ones",
        "nothing",
        "learning",
        "short",
        "old",
        "epoch",
        "gone",
    ] {
        assert!(
            seen.get(answer).is_some_and(|count| *count >= 10),
            "{answer}: {seen:?}"
        );
    }
}

#[test]
fn the_scripts_go_by_the_servers_clock() {
    Server::each(compare_clocks);
}

fn compare_clocks(mut server: Server) {
    let mut dice = Dice::new(1);
    let process = Process::new(0, &mut dice);
    let script = server.load(scripts::HELLO);
    let hello = process.hello(&"run".into(), &mut dice);
    let millis = |server: &mut Server| {
        let time = server.call(&["TIME"]);
        let parts: Vec<u64> = time
            .texts()
            .iter()
            .map(|part| part.parse().expect("a number"))
            .collect();
        parts[0] * 1_000 + parts[1] / 1_000
    };
    let before = millis(&mut server);
    let result = server.run(&script, &keys(None), &hello.arguments(&process.member));
    let after = millis(&mut server);
    let Some(HelloAnswer::Welcome(welcome)) = HelloAnswer::read(&result.texts()) else {
        panic!("{result:?}");
    };
    assert!(
        (before..=after).contains(&welcome.now.unix_millis()),
        "{welcome:?}"
    );
}

#[test]
fn operators_see_members_and_forget_them() {
    Server::each(see_and_forget);
}

fn see_and_forget(mut server: Server) {
    let mut dice = Dice::new(1);
    let mut process = Process::new(7, &mut dice);
    let [hello, ask, status, forget, leave] = [
        scripts::HELLO,
        scripts::ASK,
        scripts::STATUS,
        scripts::FORGET,
        scripts::LEAVE,
    ]
    .map(|script| server.load(script));
    assert_eq!(
        server.run(&status, &keys(None), &[]).texts()[0],
        "",
        "nobody was ever there"
    );
    let arguments = process
        .hello(&"run".into(), &mut dice)
        .arguments(&process.member);
    let result = server.run(&hello, &keys(None), &arguments).texts();
    let Some(HelloAnswer::Welcome(welcome)) = HelloAnswer::read(&result) else {
        panic!("{result:?}");
    };
    (process.member.generation, process.member.epoch) = (welcome.generation, welcome.epoch);
    let found = server.run(&status, &keys(None), &[]).texts();
    let generation = welcome.generation.to_string();
    assert_eq!(
        found[3..5],
        ["p7".to_owned(), generation.clone()],
        "{found:?}"
    );
    // What it spent stays spent when it is forgotten, what it had leased does not.
    let mut money = process.ask(4, &mut dice);
    (money.keep, money.spent, money.need, money.ahead) = (30, 20, 0, 0);
    (money.number, money.answered, money.leaves) = (1, 0, false);
    let quota = keys(Some(&money.name));
    let asked = server
        .run(&ask, &quota, &money.arguments(&process.member))
        .numbers();
    assert_eq!(asked[6], 30, "{asked:?}");
    let forgotten = server.run(&forget, &quota, &["p7".to_owned()]);
    assert_eq!(
        (
            forgotten.numbers(),
            server.run(&forget, &quota, &["p7".to_owned()]).numbers()
        ),
        (vec![1], vec![0])
    );
    money.number = 2;
    money.keep = 0;
    money.spent = 0;
    let asked = server
        .run(&ask, &quota, &money.arguments(&process.member))
        .numbers();
    assert_eq!((asked[6], asked[9]), (20, 20), "{asked:?}");
    let gone = server.run(&leave, &keys(None), &["p7".to_owned(), generation]);
    assert_eq!(gone.numbers(), [1]);
    assert_eq!(server.run(&status, &keys(None), &[]).texts().len(), 3);
}
