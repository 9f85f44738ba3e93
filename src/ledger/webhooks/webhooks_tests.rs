//! Tests of webhooks, in virtual time.

use super::*;
use crate::base::notice::{Course, Notice, Severity};
use crate::base::secret::Secret;
use crate::base::time::WallTime;
use crate::config::webhook::{Format, place};

fn hook(url: &str, events: &[Event], secret: &str) -> Arc<Webhook> {
    let (base, target) = place(url).ok().unwrap();
    Arc::new(Webhook {
        base,
        target,
        secret: Some(Secret::new(secret)),
        events: events.into(),
        format: Format::Json,
        proxy: None,
    })
}

fn at(second: u64) -> Instant {
    Instant::from_millis(1_000 * second)
}

/// What webhooks do, second by second. Each step is a moment and what happens at it: `open`,
/// `worse` and `closed` with a subject; `80` with a subject; `taken`, `refused`, `failed`; or
/// nothing. What follows is what is tried then.
struct Play {
    webhooks: Webhooks,
    ids: usize,
}

impl Play {
    fn new(hooks: &[Arc<Webhook>]) -> Self {
        let mut webhooks = Webhooks::default();
        webhooks.adopt(hooks);
        Self { webhooks, ids: 0 }
    }

    fn one() -> Self {
        Self::new(&[hook("http://a/", &[Event::Circuit, Event::Budget], "s")])
    }

    fn tell(&mut self, second: u64, what: &str, subject: &str) {
        let (event, severity, course) = match what {
            "open" => (Event::Circuit, Severity::Warning, Course::Lasting),
            "worse" => (Event::Circuit, Severity::Critical, Course::Lasting),
            "closed" => (Event::Circuit, Severity::Info, Course::Lasting),
            "80" => (Event::Budget, Severity::Warning, Course::Moment),
            other => panic!("{other}"),
        };
        self.ids += 1;
        let notice = Arc::new(Dated {
            id: self.ids.to_string().into(),
            at: WallTime::from_unix_millis(1_000 * second),
            notice: Notice {
                event,
                subject: subject.into(),
                severity,
                course,
                message: what.to_owned(),
                details: Vec::new(),
            },
        });
        self.webhooks.on_notice(at(second), &notice);
    }

    /// What is tried at this second, and how it ends.
    fn tried(&mut self, second: u64, outcome: &Outcome) -> Vec<String> {
        let mut tried = Vec::new();
        self.webhooks.on_time(at(second));
        while let Some(attempt) = self.webhooks.next(at(second)) {
            let notice = &attempt.notice.notice;
            tried.push(format!("{} {}", notice.message, notice.subject));
            self.webhooks
                .on_outcome(at(second), attempt.number, outcome.clone(), 0);
        }
        tried
    }

    fn taken(&mut self, second: u64) -> Vec<String> {
        self.tried(second, &Outcome::Taken)
    }

    fn failed(&mut self, second: u64) -> Vec<String> {
        let why = String::from("500");
        self.tried(second, &Outcome::Failed { why, pause: None })
    }

    fn news(&mut self) -> Vec<News> {
        self.webhooks.take_news()
    }
}

const NONE: [&str; 0] = [];

#[test]
fn each_subject_is_told_once_an_hour() {
    let mut play = Play::one();
    play.tell(0, "80", "a");
    play.tell(0, "80", "b");
    play.tell(1, "80", "a");
    assert_eq!(play.taken(1), ["80 a", "80 b"]);
    play.tell(3_599, "80", "a");
    assert_eq!(play.taken(3_599), NONE);
    // What was a moment is not told afterwards.
    assert_eq!(play.taken(3_700), NONE);
    play.tell(3_701, "80", "a");
    assert_eq!(play.taken(3_701), ["80 a"]);
    assert_eq!(play.news(), vec![News::Sent(Event::Budget); 3]);
}

#[test]
fn what_begins_and_ends_again_and_again_is_told_as_it_is_when_the_hour_is_over() {
    let mut play = Play::one();
    // Nobody was told that it was open.
    play.tell(0, "closed", "p");
    assert_eq!(play.taken(0), NONE);
    play.tell(10, "open", "p");
    play.tell(20, "closed", "p");
    assert_eq!(play.taken(20), ["open p", "closed p"]);
    for second in 30..60 {
        play.tell(second, "open", "p");
        play.tell(second, "closed", "p");
    }
    assert_eq!(play.taken(3_620), NONE);
    // It stays open from now on; the hour since the last such notice is over.
    play.tell(3_630, "open", "p");
    assert_eq!(play.taken(3_630), ["open p"]);
    play.tell(3_640, "closed", "p");
    play.tell(3_650, "open", "p");
    assert_eq!(play.taken(3_650), ["closed p"]);
    // Open once more, too early: it is told when the hour is over, with the time of the change.
    assert_eq!(play.webhooks.deadline(), at(7_230));
    assert_eq!(play.taken(7_229), NONE);
    assert_eq!(play.taken(7_230), ["open p"]);
    assert_eq!(play.webhooks.deadline(), Instant::NEVER);
    // What lasts is not forgotten: its end is told a day later.
    play.tell(90_000, "80", "other");
    play.tell(90_000, "closed", "p");
    assert_eq!(play.taken(90_000), ["80 other", "closed p"]);
}

#[test]
fn what_gets_worse_is_told_at_once() {
    let mut play = Play::one();
    play.tell(0, "open", "store");
    play.tell(1, "worse", "store");
    play.tell(2, "closed", "store");
    assert_eq!(play.taken(2), ["open store", "worse store", "closed store"]);
}

#[test]
fn what_fails_is_tried_again_in_order_for_an_hour() {
    let mut play = Play::one();
    play.tell(0, "open", "p");
    play.tell(0, "closed", "p");
    let mut second = 0;
    let mut attempts = Vec::new();
    while play.webhooks.left() > 0 {
        let tried = play.failed(second);
        assert!(tried.len() < 2);
        if let Some(tried) = tried.into_iter().next() {
            assert_eq!(tried, "open p");
            attempts.push(second);
        }
        second += 1;
    }
    assert_eq!(attempts[..7], [0, 1, 2, 4, 8, 16, 32]);
    assert_eq!(second, 3_601);
    let why = String::from("500");
    let place: Box<str> = "a".into();
    let expected = [
        News::Fails {
            place: place.clone(),
            why,
        },
        News::Failed(Event::Circuit),
        News::Failed(Event::Circuit),
        News::Loses {
            place: place.clone(),
        },
    ];
    assert_eq!(play.news(), expected);
    play.tell(4_000, "80", "b");
    assert_eq!(play.taken(4_000), ["80 b"]);
    let expected = [News::Sent(Event::Budget), News::Recovered { place }];
    assert_eq!(play.news(), expected);
}

#[test]
fn one_that_is_refused_lets_the_others_pass() {
    let mut play = Play::one();
    play.tell(0, "80", "bad");
    play.tell(0, "80", "good");
    let why = String::from("400");
    assert_eq!(play.tried(0, &Outcome::Refused { why }), ["80 bad"]);
    assert_eq!(play.taken(5), ["80 good", "80 bad"]);
}

#[test]
fn what_is_told_of_one_thing_stays_in_order_when_it_is_refused() {
    let mut play = Play::one();
    play.tell(0, "open", "p");
    play.tell(0, "80", "x");
    play.tell(0, "closed", "p");
    let why = String::from("404");
    assert_eq!(play.tried(0, &Outcome::Refused { why }), ["open p"]);
    assert_eq!(play.taken(5), ["80 x", "open p", "closed p"]);
}

#[test]
fn one_attempt_is_under_way_at_a_time_and_others_do_not_wait_for_it() {
    let both = [Event::Budget];
    let mut play = Play::new(&[hook("http://a/", &both, "s"), hook("http://b/", &both, "s")]);
    play.tell(0, "80", "x");
    play.tell(0, "80", "y");
    let hangs = play.webhooks.next(at(0)).unwrap();
    assert_eq!(hangs.webhook.place(), "a");
    assert_eq!(play.taken(0), ["80 x", "80 y"]);
    assert_eq!(play.webhooks.left(), 2);
    play.webhooks
        .on_outcome(at(9), hangs.number, Outcome::Taken, 0);
    assert_eq!(play.taken(9), ["80 y"]);
    assert_eq!(play.webhooks.left(), 0);
}

#[test]
fn what_finds_no_room_is_counted_and_what_lasts_is_told_later() {
    let mut play = Play::one();
    for number in 0..=NOTICES_WAITING_MAX {
        play.tell(0, "80", &number.to_string());
    }
    play.tell(0, "80", "0");
    play.tell(0, "open", "p");
    let place = "a".into();
    let expected = [News::Dropped(Event::Budget), News::Loses { place }];
    assert_eq!(play.news(), expected);
    assert_eq!(play.taken(1).len(), NOTICES_WAITING_MAX);
    assert_eq!(play.webhooks.deadline(), Instant::ZERO);
    assert_eq!(play.taken(2), ["open p"]);
    // The one that was dropped may be told now.
    play.tell(3, "80", &NOTICES_WAITING_MAX.to_string());
    assert_eq!(play.taken(3).len(), 1);
}

#[test]
fn a_reload_keeps_what_waits_for_those_that_stay() {
    let (a, b) = (
        hook("http://a/1", &[Event::Budget], "s"),
        hook("http://b/", &[Event::Budget], "s"),
    );
    let mut play = Play::new(&[Arc::clone(&a), b]);
    play.tell(0, "80", "x");
    assert_eq!(play.failed(0), ["80 x", "80 x"]);
    play.news();
    // The first one has another secret; the second one is gone, and there is a third one.
    let changed = hook("http://a/1", &[Event::Budget], "t");
    let third = hook("http://a/2", &[Event::Budget], "s");
    play.webhooks.adopt(&[third, Arc::clone(&changed)]);
    assert_eq!(play.news(), [News::Dropped(Event::Budget)]);
    let attempt = play.webhooks.next(at(2)).unwrap();
    assert!(Arc::ptr_eq(&attempt.webhook, &changed));
    // The outcome for one that is gone meanwhile changes nothing.
    play.webhooks.adopt(&[]);
    play.webhooks
        .on_outcome(at(3), attempt.number, Outcome::Taken, 0);
    assert_eq!(play.news(), [News::Dropped(Event::Budget)]);
    play.tell(4, "80", "y");
    assert_eq!(play.webhooks.deadline(), Instant::NEVER);
}

#[test]
fn the_end_gives_each_notice_one_more_attempt() {
    let mut play = Play::one();
    play.tell(0, "80", "x");
    play.tell(0, "80", "y");
    assert_eq!(play.failed(0), ["80 x"]);
    play.news();
    play.webhooks.end();
    assert_eq!(play.failed(0), ["80 x", "80 y"]);
    assert_eq!(play.webhooks.left(), 0);
    assert_eq!(play.news(), vec![News::Failed(Event::Budget); 2]);
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let mut play = Play::one();
    play.tell(0, "80", "x");
    let outcome = Outcome::Failed {
        why: String::from("429"),
        pause: Some(Duration::from_secs(60)),
    };
    assert_eq!(play.tried(0, &outcome), ["80 x"]);
    assert_eq!(play.webhooks.deadline(), at(60));
    assert_eq!(play.taken(59), NONE);
    assert_eq!(play.taken(60), ["80 x"]);
}
