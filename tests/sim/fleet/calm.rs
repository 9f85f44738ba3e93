//! Several instances of which nothing goes wrong: how soon one of them has all of a limit, how
//! often they call the store meanwhile, and what they remember when it alone loses its data. An
//! exchange takes a millisecond.

use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::time::Instant;
use infermux::testing::ledger::shares::{Kept, OnLoss, Pace, Standing};

use crate::fleet::process::{Disk, Process, Wish};
use crate::fleet::setting::{Clock, Mood, PLACES, QUOTAS, RPM, Setting, TPM};
use crate::fleet::wire::{Answer, Message, Server};

struct Fleet {
    server: Server,
    processes: Vec<Process>,
    /// By process, the answer that is on its way.
    answers: Vec<Option<Answer>>,
    now: Instant,
    /// Calls of the script about quotas.
    calls: u64,
    /// Requests that were admitted.
    admitted: u64,
}

/// A caller: when it acts next, and until when its request waits.
#[derive(Clone, Copy, Default)]
struct Caller {
    due: Instant,
    waits_until: Option<Instant>,
}

impl Caller {
    fn at(due: Instant) -> Self {
        Self {
            due,
            waits_until: None,
        }
    }
}

const MEMBERS: [usize; 4] = [2, 3, 5, 20];

fn setting(processes: usize, limits: [u64; QUOTAS]) -> Setting {
    let calm = Mood {
        lost: 0,
        repeated: 0,
        cut_short: 0,
        late: 0,
        latest: 1,
    };
    Setting {
        processes,
        pace: Pace {
            sync: Duration::from_millis(100),
            member_ttl: Duration::from_secs(120),
        },
        span: Duration::from_secs(60),
        limits,
        has: limits.map(|limit| limit > 0),
        on_loss: OnLoss::Share,
        standing: Standing::Yes,
        mood: calm,
        busy: Duration::ZERO,
        parts: 1,
        pause: (1, 1),
        store_clock: Clock::EXACT,
        only_cuts: false,
    }
}

impl Fleet {
    /// All are members, and the store has learned what they hold.
    fn new(setting: &Setting) -> Self {
        let server = Server::new(Clock::EXACT);
        let new = |place: usize| {
            let disk = Disk {
                id: format!("p{place}").into(),
                kept: Kept::Yes,
                spent: 0,
            };
            let nonce = place as u64 + 1;
            let mut process = Process::new(setting, &disk, Clock::EXACT, nonce, Instant::ZERO);
            process.shares.on_connected(&server.run);
            process
        };
        let processes: Vec<Process> = (0..setting.processes).map(new).collect();
        let mut fleet = Self {
            answers: vec![None; processes.len()],
            processes,
            server,
            now: Instant::ZERO,
            calls: 0,
            admitted: 0,
        };
        fleet.pass(Duration::from_secs(6));
        fleet
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// A millisecond passes: answers arrive, and whoever has something to say says it.
    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        for (place, process) in self.processes.iter_mut().enumerate() {
            if let Some(mut answer) = self.answers[place].take() {
                answer.reply.took = self.now.since(answer.sent);
                let own = process.clock.at(self.now);
                process
                    .shares
                    .on_reply(own, &answer.reply, &mut process.words);
            }
            process.wake(self.now);
            let batch = process.shares.batch(self.now, &mut process.words);
            process.hear_news();
            let Some(batch) = batch else { continue };
            self.calls += batch.asks.len() as u64;
            let message = Message {
                process: place,
                incarnation: 0,
                sent: self.now,
                run: Arc::clone(&self.server.run),
                arrive: batch.asks.len(),
                batch,
            };
            self.answers[place] = self.server.serve(self.now, &message);
        }
    }

    /// So many callers ask one instance, as requests do: one that lacks a part tells that once,
    /// looks every 2 ms for 50 ms, and is refused then, or at once where the store has just said
    /// no. Its caller asks again after 10 ms. Returns how long it takes until `count` are admitted.
    fn admit(&mut self, place: usize, callers: usize, (wish, count): (Wish, u64)) -> Duration {
        let (began, wait) = (self.now, Duration::from_millis(50));
        let mut all = vec![Caller::default(); callers];
        let end = self.admitted + count;
        while self.admitted < end && self.now.since(began) < Duration::from_secs(20) {
            for caller in &mut all {
                if self.now < caller.due || self.admitted == end {
                    continue;
                }
                let process = &mut self.processes[place];
                let may_tell = caller.waits_until.is_none();
                if let Some(request) = process.admit_again(self.now, wish, may_tell) {
                    process.requests.insert(self.admitted, request);
                    self.admitted += 1;
                    *caller = Caller::at(self.now + Duration::from_millis(10));
                    continue;
                }
                let is_vain = process.waits_in_vain(self.now);
                let until = *caller.waits_until.get_or_insert(self.now + wait);
                if self.now >= until || (may_tell && is_vain) {
                    *caller = Caller::at(self.now + Duration::from_millis(10));
                } else {
                    caller.due = self.now + Duration::from_millis(2);
                }
            }
            self.step();
        }
        self.now.since(began)
    }

    /// One request of one token, which is admitted now or soon.
    fn ask_once(&mut self, place: usize) {
        let wish = Wish {
            tokens: 1,
            prompt: 0,
            whole: 0,
        };
        self.admit(place, 1, (wish, 1));
    }

    /// For so long, each instance has one request after the other that costs as much as it
    /// reserves. Returns what they cost.
    fn spend(&mut self, span: Duration, cost: u64) -> u64 {
        let wish = Wish {
            tokens: 0,
            prompt: cost,
            whole: cost,
        };
        let (end, mut spent) = (self.now + span, 0);
        while self.now < end {
            for process in &mut self.processes {
                if let Some(request) = process.admit(self.now, wish) {
                    process.settle(self.now, &request, 0, cost);
                    spent += cost;
                }
            }
            self.pass(Duration::from_millis(10));
        }
        for process in &mut self.processes {
            process.wants_no_rest(self.now);
        }
        self.pass(Duration::from_secs(3));
        spent
    }

    /// The store restarts, and has no data.
    fn lose_all(&mut self) {
        self.server.restart(self.now, Duration::ZERO);
        self.server.lose_all();
        for (process, answer) in self.processes.iter_mut().zip(&mut self.answers) {
            *answer = None;
            process.shares.on_disconnected(process.clock.at(self.now));
            process.shares.on_connected(&self.server.run);
        }
    }

    /// Calls of the script in a second, for each instance.
    fn calls_in_a_second(&mut self) -> u64 {
        let (before, span) = (self.calls, 10);
        self.pass(Duration::from_secs(span));
        (self.calls - before).div_ceil(span * self.processes.len() as u64)
    }
}

/// A quota, its limit, and how many requests take all of it.
const CASES: [(usize, u64, u64); 4] = [
    (RPM, 60, 60),
    (RPM, 6_000, 6_000),
    (TPM, 2_400, 120),
    (PLACES, 40, 40),
];

/// How long the last instance takes at most to have all of a limit, over moments of the others'
/// rounds in which demand may begin; before that, `prepare` is done to the fleet.
fn longest(setting: &Setting, case: (u64, u64), prepare: impl Fn(&mut Fleet)) -> Duration {
    let (limit, count) = case;
    let wish = Wish {
        tokens: limit / count,
        prompt: 0,
        whole: 0,
    };
    let spans = (0..4).map(|phase| {
        let mut fleet = Fleet::new(setting);
        prepare(&mut fleet);
        fleet.pass(Duration::from_millis(270 * phase));
        let used = fleet.admitted;
        fleet.admit(setting.processes - 1, 300, (wish, count - used))
    });
    spans.max().unwrap_or_default()
}

#[test]
fn an_instance_with_all_the_demand_gets_all_of_a_limit_within_a_second() {
    for members in MEMBERS {
        for (quota, limit, count) in CASES {
            let mut limits = [0; QUOTAS];
            limits[quota] = limit;
            let took = longest(&setting(members, limits), (limit, count), |_| {});
            println!("{members} members, quota {quota} of {limit}: {took:?}");
            assert!(
                took <= Duration::from_secs(1),
                "{members} {limit}: {took:?}"
            );
        }
    }
}

#[test]
fn what_another_instance_has_just_used_some_of_comes_nearly_as_soon() {
    for standing in [Standing::Yes, Standing::No] {
        let mut limits = [0; QUOTAS];
        limits[RPM] = 600;
        let setting = Setting {
            standing,
            ..setting(3, limits)
        };
        // The first one takes 50 requests a second for two seconds, and keeps some in stock.
        let took = longest(&setting, (600, 600), |fleet| {
            for _ in 0..100 {
                fleet.ask_once(0);
                fleet.pass(Duration::from_millis(20));
            }
            assert!(fleet.processes[0].left(RPM) > 10);
            fleet.pass(Duration::from_secs(3));
        });
        println!("standing {standing:?}: {took:?}");
        // Without a standing part, what is held is spoken of once a second.
        let longest = match standing {
            Standing::Yes => Duration::from_secs(1),
            Standing::No => Duration::from_millis(1_200),
        };
        assert!(took <= longest, "{took:?}");
    }
}

#[test]
fn idle_instances_hardly_call_the_store() {
    for members in MEMBERS {
        // Requests and tokens of a minute have a standing part each, of which two words a second
        // are said; nothing else is held.
        let mut fleet = Fleet::new(&setting(members, [600, 24_000, 40, 1_000_000]));
        let calls = fleet.calls_in_a_second();
        assert!(calls <= 4, "{members} members: {calls}");
        let mut fleet = Fleet::new(&setting(members, [0, 0, 40, 1_000_000]));
        let calls = fleet.calls_in_a_second();
        assert!(calls <= 1, "{members} members: {calls}");
    }
}

/// Such a budget is spoken of once a minute, and a store without data listens for two seconds.
#[test]
fn a_budget_that_is_used_up_stays_so_when_the_store_loses_its_data() {
    for members in MEMBERS {
        let (limit, cost) = (600, 10);
        // A lease that ends before the minute has requests ask.
        let pace = Pace {
            sync: Duration::from_millis(100),
            member_ttl: Duration::from_secs(10),
        };
        let mut fleet = Fleet::new(&Setting {
            pace,
            on_loss: OnLoss::Closed,
            ..setting(members, [0, 0, 0, limit])
        });
        let spent = fleet.spend(Duration::from_secs(10), cost);
        assert!(
            (limit..=limit + cost).contains(&spent),
            "{members}: {spent}"
        );
        for _ in 0..2 {
            fleet.lose_all();
            let more = fleet.spend(Duration::from_secs(15), cost);
            assert_eq!(more, 0, "{members} members, after {spent}");
        }
    }
}
