//! Two numbers that matter after each exchange with a store that is played by hand: what the word
//! holds and what the instance may use. The simulation plays the whole of it.

use std::time::Duration;

use super::message::{HelloAnswer, Welcome};
use super::quota::{Kept, Kind, Measure, OnLoss, Short, Standing};
use super::*;

const ID: ShareId = ShareId(0);

/// The only word.
#[derive(Default)]
struct Word {
    left: i64,
    spent: u64,
}

impl Words for Word {
    fn left(&self, _: ShareId) -> i64 {
        self.left
    }

    fn change(&mut self, _: ShareId, by: i64) -> i64 {
        self.left += by;
        self.left
    }

    fn spent(&self, _: ShareId) -> u64 {
        self.spent
    }
}

/// A process with one quota, after its hello.
struct Play {
    shares: Shares,
    word: Word,
    now: Instant,
    /// When it last spoke of the quota.
    asked: Instant,
}

fn window() -> Kind {
    Kind::Window {
        span: Duration::from_secs(60),
        standing: Standing::No,
    }
}

fn money() -> Kind {
    Kind::Period {
        from: WallTime::default(),
        to: None,
        measure: Measure::Money,
    }
}

impl Play {
    fn new(kind: Kind, on_loss: OnLoss, used: u64) -> Self {
        let identity = Identity {
            id: "a".into(),
            kept: Kept::Yes,
            nonce: 7,
        };
        let pace = Pace {
            sync: Duration::from_millis(100),
            member_ttl: Duration::from_secs(10),
        };
        let mut shares = Shares::new(identity, pace);
        let quota = Quota {
            name: "quota".into(),
            kind,
            limit: 100,
            on_loss,
        };
        shares.set(Instant::ZERO, ID, quota, used);
        shares.on_connected("run");
        let mut play = Self {
            shares,
            word: Word::default(),
            now: Instant::ZERO,
            asked: Instant::ZERO,
        };
        play.hello();
        play
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.shares.on_time(self.now, &mut self.word);
    }

    fn hello(&mut self) {
        self.welcome(5, Duration::ZERO);
    }

    /// Hello is said, and answered by a store with the data `epoch`, which learns for so long.
    fn welcome(&mut self, epoch: u64, learning: Duration) {
        let batch = self.shares.batch(self.now, &mut self.word).expect("hello");
        assert!(batch.hello.is_some() && batch.asks.is_empty(), "{batch:?}");
        let welcome = Welcome {
            epoch,
            generation: 9,
            members: 2,
            now: WallTime::default(),
            learning,
            put_asides: Vec::new(),
        };
        let reply = Reply {
            number: batch.number,
            hello: Some(HelloAnswer::Welcome(welcome)),
            ..Reply::default()
        };
        self.shares.on_reply(self.now, &reply, &mut self.word);
    }

    /// The next batch, with its ask.
    fn ask(&mut self) -> (u64, Ask) {
        self.wait(100);
        self.asked = self.now;
        let batch = self
            .shares
            .batch(self.now, &mut self.word)
            .expect("a batch");
        let [ask] = batch.asks.try_into().expect("one ask");
        (batch.number, ask)
    }

    /// The ask is answered: this much is granted, and all have this much.
    fn grant(&mut self, (number, ask): &(u64, Ask), grant: u64, others: u64) {
        let granted = Granted {
            number: ask.number,
            keep: ask.keep,
            grant,
            sum: ask.keep + grant + others,
            fair: 100,
            short: ask.short != Short::No,
            ..Granted::default()
        };
        self.answer(*number, AskAnswer::Granted(granted));
    }

    fn answer(&mut self, number: u64, answer: AskAnswer) {
        let reply = Reply {
            number,
            asks: vec![answer],
            took: self.now.since(self.asked),
            ..Reply::default()
        };
        self.shares.on_reply(self.now, &reply, &mut self.word);
    }

    /// A request takes this much, if it is there; else it is lacked.
    fn take(&mut self, count: i64) {
        if self.word.left >= count {
            self.word.left -= count;
            self.shares.on_use(self.now, ID);
        } else {
            self.shares.on_lack(self.now, ID, count.unsigned_abs());
        }
    }

    #[track_caller]
    fn expect(&self, left: i64, allowance: u64) {
        assert_eq!(
            (self.word.left, self.shares.allowance(ID)),
            (left, allowance)
        );
    }
}

#[test]
fn what_requests_lack_is_asked_for_and_granted() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(3);
    play.take(2);
    let ask = play.ask();
    assert_eq!(
        (ask.1.keep, ask.1.need, ask.1.unit, ask.1.fresh),
        (0, 5, 2, true)
    );
    play.grant(&ask, 5, 0);
    play.expect(5, 5);
    play.take(3);
    play.expect(2, 5);
    let lease = play
        .shares
        .take_news()
        .into_iter()
        .find_map(|news| match news {
            News::Lease { until, .. } if until > Instant::ZERO => Some(until),
            _ => None,
        });
    assert_eq!(
        lease,
        Some(play.now + Duration::from_secs(9)),
        "from when it was asked for"
    );
}

#[test]
fn only_the_answer_to_the_latest_ask_counts() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(3);
    let first = play.ask();
    play.shares.on_failed(play.now, first.0);
    play.grant(&first, 3, 0);
    play.expect(0, 0);
    play.shares.on_connected("run");
    play.hello();
    play.take(3);
    let second = play.ask();
    assert_eq!(
        (second.1.number, second.1.answered),
        (first.1.number + 1, 0)
    );
    play.grant(&(second.0, first.1), 3, 0);
    play.expect(0, 0);
}

#[test]
fn use_beyond_the_allowance_is_charged_and_then_may_be() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(5);
    let ask = play.ask();
    play.grant(&ask, 5, 0);
    play.take(5);
    // The request used seven more than it had reserved.
    play.word.left -= 7;
    play.shares.on_use(play.now, ID);
    let ask = play.ask();
    assert_eq!((ask.1.keep, ask.1.need), (12, 0));
    play.grant(&ask, 0, 0);
    play.expect(0, 12);
}

#[test]
fn more_than_the_limit_is_paid_by_all_who_hear_of_it() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(30);
    let ask = play.ask();
    play.grant(&ask, 30, 0);
    play.take(20);
    play.wait(1_000);
    let ask = play.ask();
    play.grant(&ask, 0, 85);
    // 15 too many: the ten that are left, and five that come back from use.
    play.expect(-5, 15);
    let back = play.shares.on_returned(play.now, ID, 4);
    play.word.left += i64::try_from(back).expect("few");
    play.wait(1_000);
    let ask = play.ask();
    assert_eq!(ask.1.keep, 16, "what is used");
    play.grant(&ask, 0, 85);
    play.expect(-1, 15);
}

#[test]
fn what_comes_back_above_an_even_part_goes_to_those_who_lack_some() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(60);
    let ask = play.ask();
    play.grant(&ask, 60, 0);
    play.take(60);
    play.wait(1_000);
    let (number, ask) = play.ask();
    let granted = Granted {
        number: ask.number,
        keep: ask.keep,
        sum: 100,
        fair: 50,
        hungry: 1,
        ..Granted::default()
    };
    play.answer(number, AskAnswer::Granted(granted));
    assert_eq!(play.shares.on_returned(play.now, ID, 8), 0);
    assert_eq!(play.shares.on_returned(play.now, ID, 8), 6);
    play.expect(0, 50);
}

#[test]
fn without_a_lease_nothing_that_ends_is_used_again() {
    for (on_loss, back, until) in [(OnLoss::Closed, 0, false), (OnLoss::Share, 5, true)] {
        let mut play = Play::new(window(), on_loss, 0);
        play.take(20);
        let ask = play.ask();
        play.grant(&ask, 20, 0);
        play.take(15);
        let news = play.shares.take_news();
        let forever = News::Lease {
            share: ID,
            until: Instant::NEVER,
        };
        assert_eq!(news.contains(&forever), until, "{news:?}");
        play.shares.on_disconnected(play.now);
        assert_eq!(play.shares.state(play.now), State::Away);
        play.wait(9_000);
        assert_eq!(play.shares.state(play.now), State::Lost);
        assert_eq!(play.shares.on_returned(play.now, ID, 5), back);
        play.word.left += i64::try_from(back).expect("few");
        // Who comes back has what is used, and nothing more.
        play.shares.on_connected("run");
        play.hello();
        let ask = play.ask();
        let used = 10;
        assert_eq!((ask.1.keep, ask.1.answered, ask.1.fresh), (used, 0, false));
        play.grant(&ask, 0, 0);
        play.expect(0, used);
    }
}

#[test]
fn use_beyond_the_allowance_that_ends_without_a_lease_leaves_nothing_behind() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(5);
    let ask = play.ask();
    play.grant(&ask, 5, 0);
    play.take(5);
    play.word.left -= 20;
    play.shares.on_disconnected(play.now);
    play.wait(9_000);
    let back = play.shares.on_returned(play.now, ID, 25);
    play.word.left += i64::try_from(back).expect("few");
    play.expect(0, 0);
}

#[test]
fn where_a_loss_opens_everything_is_admitted_and_counted() {
    let mut play = Play::new(window(), OnLoss::Open, 0);
    play.take(1);
    let ask = play.ask();
    play.grant(&ask, 1, 0);
    play.shares.on_disconnected(play.now);
    play.wait(9_000);
    for _ in 0..500 {
        play.take(1);
    }
    play.shares.on_connected("run");
    play.hello();
    let ask = play.ask();
    assert_eq!(ask.1.keep, 500);
    play.grant(&ask, 0, 0);
    // It is 400 over the limit, and gets nothing before these have ended.
    play.expect(-400, 100);
}

#[test]
fn what_a_former_process_held_counts_as_used() {
    let mut play = Play::new(money(), OnLoss::Closed, 40);
    play.word.spent = 40;
    play.take(2);
    let (number, ask) = play.ask();
    assert_eq!(
        (ask.keep, ask.need, ask.fresh, ask.spent),
        (40, 2, true, 40)
    );
    let granted = Granted {
        number: ask.number,
        keep: 47,
        grant: 2,
        sum: 49,
        fair: 100,
        ..Granted::default()
    };
    play.answer(number, AskAnswer::Granted(granted));
    play.expect(2, 49);
    play.take(2);
    let ask = play.ask();
    assert_eq!((ask.1.keep, ask.1.fresh), (49, false));
}

/// A budget that is used up is spoken of once a minute; a store that has lost its data forgets what
/// nobody tells it within two seconds.
#[test]
fn a_store_that_has_lost_its_data_is_told_of_a_calm_quota_at_once() {
    let mut play = Play::new(money(), OnLoss::Closed, 30);
    (play.word.left, play.word.spent) = (0, 30);
    let ask = play.ask();
    play.grant(&ask, 0, 70);
    play.wait(5_000);
    assert!(
        play.shares
            .batch(play.now, &mut play.word)
            .is_some_and(|batch| batch.asks.is_empty())
    );
    play.shares.on_disconnected(play.now);
    play.shares.on_connected("another");
    play.welcome(6, Duration::from_secs(2));
    let (_, ask) = play.ask();
    assert_eq!(
        (ask.keep, ask.spent, ask.known, ask.answered),
        (30, 30, 100, 0)
    );
}

#[test]
fn the_mark_of_last_requests_is_told_and_given_back() {
    let mut play = Play::new(money(), OnLoss::Closed, 0);
    play.shares.on_short(play.now, ID, true);
    play.take(5);
    let ask = play.ask();
    assert_eq!(ask.1.short, Short::Wanted);
    play.grant(&ask, 3, 97);
    let told = |play: &mut Play| {
        let news = play.shares.take_news();
        let told = news.into_iter().filter_map(|one| match one {
            News::Short { may, .. } => Some(may),
            _ => None,
        });
        told.collect::<Vec<bool>>()
    };
    assert_eq!(told(&mut play), [true]);
    play.wait(1_000);
    let ask = play.ask();
    assert_eq!(ask.1.short, Short::Held, "it is renewed");
    play.grant(&ask, 0, 97);
    play.shares.on_short(play.now, ID, false);
    assert_eq!(told(&mut play), [false]);
    let ask = play.ask();
    assert_eq!(ask.1.short, Short::No);
}

#[test]
fn large_amounts_are_counted_in_millionths_rounded_up() {
    let mut play = Play::new(money(), OnLoss::Closed, 0);
    let quota = Quota {
        name: "large".into(),
        kind: money(),
        limit: 20_000_000_000_000_000,
        on_loss: OnLoss::Closed,
    };
    play.shares.set(play.now, ID, quota, 1_500);
    play.take(2_100);
    let ask = play.ask();
    assert_eq!(
        (ask.1.limit, ask.1.keep, ask.1.need),
        (20_000_000_000_000, 2, 3)
    );
    play.grant(&ask, 3, 0);
    play.expect(3_000, 5_000);
}

#[test]
fn the_store_is_left_alone_for_nine_times_as_long_as_it_took() {
    let mut play = Play::new(window(), OnLoss::Closed, 0);
    play.take(1);
    let ask = play.ask();
    play.wait(40);
    play.grant(&ask, 1, 0);
    play.take(5);
    assert_eq!(
        play.shares.deadline(),
        play.now + Duration::from_millis(360)
    );
    play.wait(359);
    assert_eq!(play.shares.batch(play.now, &mut play.word), None);
    play.wait(1);
    assert!(play.shares.batch(play.now, &mut play.word).is_some());
}
