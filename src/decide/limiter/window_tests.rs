//! A window against scripts, and against a model that remembers every admission.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Lines of `<ms> admit <tokens>`, `<ms> end <admitted ms> <reserved> <used>` and `<ms> look`,
/// each followed by the requests and tokens that go back, and the next deadline in ms.
fn check(seconds: u64, script: &str) {
    let mut window = Window60::new(Duration::from_secs(seconds));
    for line in script.trim().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |place: usize| words[place].parse::<u64>().unwrap();
        let now = at(number(0));
        let (requests, tokens) = match words[1] {
            "admit" => pair(window.on_admitted(now, 1, Tokens::new(number(2)))),
            "end" => {
                let (reserved, used) = (Tokens::new(number(3)), Tokens::new(number(4)));
                (0, window.on_ended(at(number(2)), reserved, used))
            }
            _ => pair(window.expire(now)),
        };
        let deadline = window.deadline().map(|due| due.as_nanos() / 1_000_000);
        let deadline = deadline.map_or_else(|| "-".to_owned(), |due| due.to_string());
        let found = [requests.to_string(), tokens.to_string(), deadline];
        assert_eq!(words[words.len() - 3..], found, "{line}");
    }
}

fn pair(returned: Returned) -> (u64, i64) {
    (returned.requests, signed(returned.tokens.get()))
}

#[test]
fn a_bucket_goes_back_when_all_of_it_is_older_than_the_window() {
    check(
        60,
        "
         1000 admit 10             0   0 62000
         1999 admit 20             0   0 62000
         2000 admit 40             0   0 62000
        61999 look                 0   0 62000
        62000 look                 2  30 63000
        62999 look                 0   0 63000
        63000 look                 1  40 -
        99000 look                 0   0 -
        ",
    );
}

/// An attempt that began before there was a limit is not reported, and its tokens count when it
/// ends.
#[test]
fn what_an_attempt_without_a_report_has_used_goes_back_like_everything_else() {
    check(
        60,
        "
         9000 admit 10                  0   0 70000
        10000 end 3000 0 70             0 -70 64000
        64000 look                      0  70 70000
        70000 look                      1  10 -
        ",
    );
}

#[test]
fn what_an_attempt_did_not_use_goes_back_at_once_and_only_once() {
    check(
        60,
        "
         1000 admit 100                 0   0 62000
         1500 admit 100                 0   0 62000
         3000 end 1000 100 30           0  70 62000
         4000 end 1500 100 130          0 -30 62000
        62000 look                      2 160 -
        63000 end 1500 100 0            0   0 -
        ",
    );
}

#[test]
fn reports_that_come_late_or_out_of_order_find_their_bucket() {
    check(
        2,
        "
        10000 admit 1              0   0 13000
         9000 admit 2              0   0 12000
         8000 admit 4              0   0 11000
         7999 admit 8              1   8 11000
        11000 look                 1   4 12000
        10500 look                 0   0 12000
         8500 admit 16             1  16 12000
        14000 admit 32             2   3 17000
        ",
    );
}

#[test]
fn an_admission_proves_that_its_second_has_come() {
    check(
        60,
        "
          1000 admit 5             0   0 62000
        500000 admit 7             1   5 561000
        500000 end 1000 5 0        0   0 561000
        560999 look                0   0 561000
        561000 look                1   7 -
        ",
    );
}

#[test]
fn an_end_that_nothing_was_reported_of_gives_nothing() {
    check(
        60,
        "
        1000 end 1000 50 10         0   0 -
        1000 admit 5                0   0 62000
        1000 end 1000 50 10         0   5 62000
        1000 end 900000 50 10       0   0 62000
        ",
    );
}

#[test]
fn a_window_has_between_one_and_sixty_seconds() {
    for (millis, seconds) in [(0, 1), (1_000, 1), (5_999, 5), (60_000, 60), (90_000, 60)] {
        let window = Window60::new(Duration::from_millis(millis));
        assert_eq!(window.seconds, seconds, "{millis} ms");
    }
    assert_eq!(Window60::default().seconds, 60);
}

#[test]
fn a_window_that_holds_nothing_has_no_memory() {
    let mut window = Window60::default();
    window.on_admitted(at(1_000), 0, Tokens::ZERO);
    assert_eq!((window.deadline(), window.buckets.capacity()), (None, 0));
    window.on_admitted(at(1_000), 1, Tokens::ZERO);
    window.expire(at(62_000));
    assert_eq!((window.deadline(), window.buckets.capacity()), (None, 0));
}

#[test]
fn the_end_of_time_is_no_special_case() {
    let mut window = Window60::default();
    assert_eq!(
        window.on_admitted(Instant::NEVER, 1, Tokens::new(1)),
        Returned::default()
    );
    assert_eq!(
        window
            .on_admitted(Instant::ZERO, 1, Tokens::new(3))
            .requests,
        1
    );
    assert_eq!(window.expire(Instant::NEVER), Returned::default());
    assert_eq!(window.held().requests, 1);
    assert!(window.deadline().is_some());
}

/// One attempt, as the model remembers it.
#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    reserved: u64,
    /// The tokens that it counts for: those reserved, and once its end is reported, those used.
    charged: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Running,
    Ended,
}

#[derive(Clone, Copy)]
enum Report {
    Admitted(usize),
    Ended(usize, u64),
}

#[derive(Clone, Debug)]
enum Step {
    /// Milliseconds pass.
    Wait(u64),
    /// A shard asks for this many tokens; its clock is this many milliseconds behind.
    Ask(usize, u64, u64),
    /// An attempt ends and has used this share, in percent, of what it reserved.
    End(usize, u64),
    /// The oldest report of a shard arrives.
    Hear(usize),
    /// The coordinator looks at the clock.
    Look,
}

fn step(used_percent_max: u64) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_000_u64).prop_map(Step::Wait),
        (0..SHARDS, 0..60_u64, 0..2_500_u64).prop_map(|(a, b, c)| Step::Ask(a, b, c)),
        (0..SHARDS, 0..60_u64, 0..2_500_u64).prop_map(|(a, b, c)| Step::Ask(a, b, c)),
        (0..40_usize, 0..=used_percent_max).prop_map(|(a, b)| Step::End(a, b)),
        (0..SHARDS).prop_map(Step::Hear),
        (0..SHARDS).prop_map(Step::Hear),
        Just(Step::Look),
    ]
}

/// Shards that take from one headroom, and the window that gives back.
struct House {
    window: Window60,
    now: u64,
    /// Requests and tokens that may still be taken.
    left: (i64, i64),
    attempts: Vec<Attempt>,
    /// By attempt, its shard.
    homes: Vec<usize>,
    reports: Vec<VecDeque<Report>>,
}

const SHARDS: usize = 3;
const SECONDS: u64 = 4;
const LIMIT: (i64, i64) = (12, 100);

impl House {
    fn new() -> Self {
        Self {
            window: Window60::new(Duration::from_secs(SECONDS)),
            now: 100_000,
            left: LIMIT,
            attempts: Vec::new(),
            homes: Vec::new(),
            reports: (0..SHARDS).map(|_| VecDeque::new()).collect(),
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(millis) => self.now += millis,
            Step::Ask(shard, tokens, behind) => self.ask(shard, tokens, behind),
            Step::End(which, percent) => self.end(which, percent),
            Step::Hear(shard) => self.hear(shard),
            Step::Look => {
                let returned = self.window.expire(at(self.now));
                self.give(returned);
            }
        }
    }

    fn ask(&mut self, shard: usize, tokens: u64, behind: u64) {
        if self.left.0 < 1 || self.left.1 < signed(tokens) {
            return;
        }
        self.left.0 -= 1;
        self.left.1 -= signed(tokens);
        self.reports[shard].push_back(Report::Admitted(self.attempts.len()));
        self.attempts.push(Attempt {
            at: at(self.now - behind),
            reserved: tokens,
            charged: tokens,
            state: State::Running,
        });
        self.homes.push(shard);
    }

    fn end(&mut self, which: usize, percent: u64) {
        let count = self.attempts.len();
        if count == 0 {
            return;
        }
        let which = which % count;
        let attempt = &mut self.attempts[which];
        if attempt.state == State::Running {
            attempt.state = State::Ended;
            let used = attempt.reserved * percent / 100;
            self.reports[self.homes[which]].push_back(Report::Ended(which, used));
        }
    }

    fn hear(&mut self, shard: usize) {
        match self.reports[shard].pop_front() {
            Some(Report::Admitted(which)) => {
                let Attempt { at, reserved, .. } = self.attempts[which];
                let returned = self.window.on_admitted(at, 1, Tokens::new(reserved));
                self.give(returned);
            }
            Some(Report::Ended(which, used)) => {
                let attempt = &mut self.attempts[which];
                let reserved = Tokens::new(attempt.reserved);
                attempt.charged = used;
                let back = self
                    .window
                    .on_ended(attempt.at, reserved, Tokens::new(used));
                self.left.1 += back;
            }
            None => {}
        }
    }

    fn give(&mut self, returned: Returned) {
        let (requests, tokens) = pair(returned);
        self.left.0 += signed(requests);
        self.left.1 += tokens;
    }

    /// Requests and tokens that were admitted within the last `SECONDS`.
    fn within(&self) -> (i64, i64) {
        let alive =
            |attempt: &&Attempt| at(self.now).since(attempt.at) <= Duration::from_secs(SECONDS);
        let alive = self.attempts.iter().filter(alive);
        alive.fold((0, 0), |sum, attempt| {
            (sum.0 + 1, sum.1 + signed(attempt.charged))
        })
    }

    fn finish(&mut self) {
        for which in 0..self.attempts.len() {
            self.end(which, 50);
        }
        for shard in 0..SHARDS {
            while !self.reports[shard].is_empty() {
                self.hear(shard);
            }
        }
        self.now += (SECONDS + 1) * 1_000;
        self.take(&Step::Look);
    }
}

proptest! {
    #[test]
    fn a_limit_is_never_exceeded_and_everything_comes_back_once(
        steps in prop::collection::vec(step(100), 0..200),
    ) {
        let mut house = House::new();
        for step in &steps {
            house.take(step);
            let (requests, tokens) = house.within();
            prop_assert!(requests <= LIMIT.0 && tokens <= LIMIT.1, "{requests} {tokens}");
            prop_assert!(house.left.0 <= LIMIT.0 && house.left.1 <= LIMIT.1);
        }
        house.finish();
        prop_assert_eq!(house.left, LIMIT);
        prop_assert_eq!(house.window.deadline(), None);
    }

    #[test]
    fn attempts_that_use_more_than_they_reserved_are_paid_back_too(
        steps in prop::collection::vec(step(400), 0..200),
    ) {
        let mut house = House::new();
        steps.iter().for_each(|step| house.take(step));
        house.finish();
        prop_assert_eq!(house.left, LIMIT);
    }

    #[test]
    fn the_deadline_is_when_something_goes_back(
        steps in prop::collection::vec(step(100), 0..60),
    ) {
        let mut house = House::new();
        for step in &steps {
            house.take(step);
            let mut window = house.window.clone();
            if let Some(due) = window.deadline() {
                let before = Instant::from_nanos(due.as_nanos() - 1);
                prop_assert!(window.expire(before).is_nothing());
                prop_assert!(!window.expire(due).is_nothing());
            }
        }
    }
}
