//! What calls of the script cost a real server, as it counts itself, and what a fleet costs it.
//!
//! `cargo x fleet --script` shows the whole of it; otherwise it is a small one, whose figures are
//! held against wide bounds.

use std::collections::VecDeque;
use std::time::Duration;

use infermux::testing::base::time::{Instant, WallTime};
use infermux::testing::ledger::shares::{
    Ask, AskAnswer, Batch, Hello, HelloAnswer, Identity, Kept, Kind, Member, OnLoss, Pace, Quota,
    Reply, ShareId, Shares, Short, Standing, Words, scripts,
};

use crate::server::{Server, Value};
use crate::{START, by_key, keys};

const TTL: Duration = Duration::from_secs(120);
/// Shorter than a minute, so that what is used soon comes back.
const WINDOW: Duration = Duration::from_secs(10);

#[test]
fn calls_cost_the_store_little() {
    let program = std::env::var("INFERMUX_TEST_STORE");
    let program = program.unwrap_or_else(|_| "redis-server".to_owned());
    let Some(mut server) = Server::start(&program) else {
        return;
    };
    let is_whole = std::env::var("INFERMUX_TEST_COSTS").is_ok();
    println!("\n| members | µs of a call |\n|---:|---:|");
    let mut costs = Vec::new();
    for members in [1, 20, 100] {
        let cost = micros_of_a_call(&mut server, members);
        println!("| {members} | {cost:.1} |");
        costs.push(cost);
    }
    let (members, quotas) = if is_whole { (20, 100) } else { (4, 10) };
    println!("\n{members} instances with {quotas} limits each, all in use:\n");
    println!("| | calls a second | part of a core |\n|---|---:|---:|");
    let mut parts = Vec::new();
    for (what, limit) in [("far from the limits", 100_000), ("beyond all limits", 100)] {
        let [calls, part] = costs_of_fleet(&mut server, (members, quotas, limit));
        println!("| {what} | {calls:.0} | {:.1} % |", part * 100.0);
        let of_each = calls / f64::from(members * quotas);
        assert!((0.3..12.0).contains(&of_each), "{of_each} calls");
        parts.push(part);
    }
    // A machine that is busy with other things, and a server without optimization, are ten times
    // as slow.
    assert!(costs[0] < 300.0 && costs[2] < 3_000.0, "{costs:?}");
    assert!(is_whole || parts[1] < 0.5, "{parts:?}");
}

/// What the server says that a call takes, on average of hundreds: the least of ten such averages,
/// since it counts what else the machine does meanwhile.
fn micros_of_a_call(server: &mut Server, count: u64) -> f64 {
    server.call(&["FLUSHALL"]);
    let [hello, ask] = [scripts::HELLO, scripts::ASK].map(|script| server.load(script));
    let quota = keys(Some("provider openai/rpm"));
    let mut members = Vec::new();
    for number in 0..count {
        let mut member = Member {
            id: format!("{number:016x}").into(),
            kept: Kept::Yes,
            ttl: TTL,
            ..Member::default()
        };
        let greeting = Hello {
            nonce: number + 1,
            run: "run".into(),
            put_asides: Vec::new(),
        };
        let said = server.run(&hello, &keys(None), &greeting.arguments(&member));
        let Some(HelloAnswer::Welcome(welcome)) = HelloAnswer::read(&said.texts()) else {
            panic!("{said:?}");
        };
        (member.generation, member.epoch) = (welcome.generation, welcome.epoch);
        members.push(member);
    }
    let rounds = 400_u64.div_ceil(count);
    let mut best = f64::MAX;
    for series in 0..10 {
        server.call(&["CONFIG", "RESETSTAT"]);
        for round in series * rounds + 1..=(series + 1) * rounds {
            for member in &members {
                let said = server.run(&ask, &quota, &of_a_window(round).arguments(member));
                let granted = AskAnswer::read(&said.numbers());
                assert!(matches!(granted, Some(AskAnswer::Granted(_))), "{said:?}");
            }
        }
        let [calls, micros] = calls(server);
        best = best.min(micros / calls);
    }
    best
}

fn of_a_window(number: u64) -> Ask {
    Ask {
        share: ShareId(0),
        name: "provider openai/rpm".into(),
        kind: Kind::Window {
            span: Duration::from_secs(60),
            standing: Standing::Yes,
        },
        limit: 1_000_000,
        number,
        answered: number - 1,
        fresh: number == 1,
        keep: 100,
        need: 10,
        unit: 1,
        ahead: 50,
        spent: 0,
        known: 0,
        short: Short::No,
        leaves: false,
    }
}

/// What processor time the server has taken, in seconds.
fn processor_time(server: &mut Server) -> f64 {
    let info = server.call(&["INFO", "cpu"]).texts().concat();
    let parts = ["used_cpu_user:", "used_cpu_sys:"].map(|name| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| text.trim().parse::<f64>().ok())
    });
    parts.iter().flatten().sum()
}

/// How often scripts were called since the figures were reset, and how long that took in all.
fn calls(server: &mut Server) -> [f64; 2] {
    let info = server.call(&["INFO", "commandstats"]).texts().concat();
    let line = info
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let line = line.expect("scripts were called").to_owned();
    ["calls=", "usec="].map(|name| {
        let (_, rest) = line.split_once(name).expect("a figure");
        let number = rest.split(',').next().expect("a number");
        number.parse().expect("a number")
    })
}

/// The words of one instance, and what it has used in the window.
struct Own {
    left: Vec<i64>,
    used: Vec<VecDeque<(Instant, u64)>>,
}

impl Words for Own {
    fn left(&self, share: ShareId) -> i64 {
        self.left[share.index()]
    }

    fn change(&mut self, share: ShareId, by: i64) -> i64 {
        self.left[share.index()] += by;
        self.left[share.index()]
    }

    fn spent(&self, _: ShareId) -> u64 {
        0
    }
}

/// Calls in a second, and the processor time that the server takes for them, as a part of that
/// second. Each instance wants five of each limit in a second.
fn costs_of_fleet(server: &mut Server, (members, quotas, limit): (u32, u32, u64)) -> [f64; 2] {
    server.call(&["FLUSHALL"]);
    let [hello, ask] = [scripts::HELLO, scripts::ASK].map(|script| server.load(&by_key(script)));
    let mut fleet: Vec<(Shares, Own)> = (0..members)
        .map(|number| instance(number, (quotas, limit)))
        .collect();
    let step = Duration::from_millis(10);
    let second = Duration::from_secs(1);
    let (warm, end) = (second * 14, second * 20);
    let (mut passed, mut before) = (Duration::ZERO, 0.0);
    while passed < end {
        passed += step;
        if passed == warm {
            server.call(&["CONFIG", "RESETSTAT"]);
            before = processor_time(server);
        }
        let now = Instant::ZERO + passed;
        set_clock(server, passed);
        let turn = passed.as_millis() / step.as_millis();
        for (number, (shares, own)) in fleet.iter_mut().enumerate() {
            for place in 0..quotas {
                // Five times a second, and not all of them at once.
                if (turn + u128::from(place) + number as u128 * 7).is_multiple_of(20) {
                    take(shares, own, (now, ShareId(place)));
                }
            }
            shares.on_time(now, own);
            let Some(batch) = shares.batch(now, own) else {
                continue;
            };
            let reply = carry_out(server, (&hello, &ask), &batch);
            shares.on_reply(now + Duration::from_millis(1), &reply, own);
            let _ = (shares.take_news(), shares.take_touched());
        }
    }
    let [calls, _] = calls(server);
    let span = (end - warm).as_secs_f64();
    [calls / span, (processor_time(server) - before) / span]
}

fn instance(number: u32, (quotas, limit): (u32, u64)) -> (Shares, Own) {
    let identity = Identity {
        id: format!("{number:016x}").into(),
        kept: Kept::Yes,
        nonce: u64::from(number) + 1,
    };
    let pace = Pace {
        sync: Duration::from_millis(100),
        member_ttl: TTL,
    };
    let mut shares = Shares::new(identity, pace);
    for place in 0..quotas {
        let quota = Quota {
            name: format!("provider {place}/rpm").into(),
            kind: Kind::Window {
                span: WINDOW,
                standing: Standing::Yes,
            },
            limit,
            on_loss: OnLoss::Share,
        };
        shares.set(Instant::ZERO, ShareId(place), quota, 0);
    }
    shares.on_connected("run");
    let places = quotas as usize;
    let own = Own {
        left: vec![0; places],
        used: vec![VecDeque::new(); places],
    };
    (shares, own)
}

/// A request takes one if there is one; what has left the window comes back before.
fn take(shares: &mut Shares, own: &mut Own, (now, share): (Instant, ShareId)) {
    let place = share.index();
    while let Some((at, count)) = own.used[place].front().copied()
        && now.since(at) >= WINDOW
    {
        own.used[place].pop_front();
        let back = shares.on_returned(now, share, count);
        own.left[place] += i64::try_from(back).expect("few");
    }
    if own.left[place] > 0 {
        own.left[place] -= 1;
        own.used[place].push_back((now, 1));
        shares.on_use(now, share);
    } else if !shares.waits_in_vain(now, share) {
        shares.on_lack(now, share, 1);
    }
}

fn carry_out(server: &mut Server, (hello, ask): (&str, &str), batch: &Batch) -> Reply {
    let welcome = batch.hello.as_ref().map(|one| {
        let said = server.run(hello, &keys(None), &one.arguments(&batch.member));
        HelloAnswer::read(&said.texts()).expect("an answer")
    });
    let asks = batch.asks.iter().map(|one| {
        let said = server.run(ask, &keys(Some(&one.name)), &one.arguments(&batch.member));
        AskAnswer::read(&said.numbers()).expect("an answer")
    });
    Reply {
        number: batch.number,
        asks: asks.collect(),
        hello: welcome,
        took: Duration::from_millis(1),
    }
}

fn set_clock(server: &mut Server, passed: Duration) {
    let wall = WallTime::from_unix_millis(START)
        .after(passed)
        .unix_millis();
    let (seconds, micros) = (
        (wall / 1_000).to_string(),
        (wall % 1_000 * 1_000).to_string(),
    );
    server.call(&["DEL", "clock"]);
    let set = server.call(&["RPUSH", "clock", &seconds, &micros]);
    assert_eq!(set, Value::Number(2));
}
