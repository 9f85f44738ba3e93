//! Attempts: which step follows which outcome, and that every request ends.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::{Just, Strategy};

use super::*;
use crate::decide::outcome::{ConnectFault, Failure, Waiting};

const SECOND: Duration = Duration::from_secs(1);

/// One request per row: the outcomes as words, and the step after each of them.
fn check(max: u32, script: &str, expected: &str) {
    let mut attempts = Attempts::new(max, Instant::ZERO, 10 * SECOND);
    let (mut now, mut grant, mut next) = (Instant::ZERO, Grant::Granted, 0);
    let mut steps = Vec::new();
    attempts.begin(next);
    for word in script.split_whitespace() {
        let outcome = match word {
            "denied" => {
                grant = Grant::Denied;
                continue;
            }
            "late" => {
                now = Instant::ZERO + 10 * SECOND;
                continue;
            }
            "commit" => {
                attempts.commit();
                continue;
            }
            word => outcome(word),
        };
        let step = attempts.on_outcome(now, outcome, || grant);
        steps.push(name(step));
        if step == Step::Another {
            next += 1;
            attempts.begin(next);
        }
    }
    assert_eq!(steps.join(" "), expected, "max {max}: {script}");
}

fn outcome(word: &str) -> Outcome {
    match word {
        "ok" => Outcome::Answered,
        "stale" => Outcome::StaleConnection,
        "connect" => Outcome::ConnectFailed(ConnectFault::Refused),
        "timeout" => Outcome::TimedOut(Waiting::Head),
        "500" => Outcome::Failed(Failure::Status(500)),
        "429" => Outcome::RateLimited,
        "key" => Outcome::OwnKeyRefused(401),
        "foreign" => Outcome::Untranslatable,
        "long" => Outcome::Overflowed,
        "not-mine" => Outcome::NotMine,
        "caller-key" => Outcome::CallerKeyRefused(401),
        "404" => Outcome::RequestRefused(404),
        "cut" => Outcome::StreamCut,
        "stall" => Outcome::StreamStalled,
        "gone" => Outcome::CallerGone,
        other => panic!("unknown outcome {other}"),
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::SameProviderFresh => "fresh",
        Step::Another => "another",
        Step::End(Verdict::Answer) => "answer",
        Step::End(Verdict::PassThrough) => "pass",
        Step::End(Verdict::UpstreamError) => "502",
        Step::End(Verdict::UpstreamTimeout) => "504",
        Step::End(Verdict::RateLimit) => "429",
        Step::End(Verdict::InvalidRequest) => "400",
        Step::End(Verdict::StreamCut) => "frame-502",
        Step::End(Verdict::StreamStalled) => "frame-504",
        Step::End(Verdict::Nothing) => "499",
    }
}

#[test]
fn a_search_for_the_owner_takes_no_attempt() {
    check(
        1,
        "not-mine not-mine not-mine 500",
        "another another another 502",
    );
    check(
        2,
        "not-mine 500 not-mine ok",
        "another another another answer",
    );
    // The retry budget is for attempts that had a chance.
    check(2, "denied not-mine not-mine ok", "another another answer");
    check(2, "denied not-mine 500", "another 502");
    check(3, "not-mine late not-mine", "another pass");
}

#[test]
fn stops_at_the_first_final_word() {
    for (word, step) in [
        ("ok", "answer"),
        ("caller-key", "pass"),
        ("404", "pass"),
        ("cut", "frame-502"),
        ("stall", "frame-504"),
        ("gone", "499"),
    ] {
        check(3, word, step);
        check(3, &format!("500 {word}"), &format!("another {step}"));
    }
}

#[test]
fn tries_another_until_attempts_run_out() {
    check(3, "500 500 ok", "another another answer");
    check(3, "500 500 500", "another another 502");
    check(2, "connect key", "another 502");
    check(1, "timeout", "504");
    check(0, "500", "502");
}

#[test]
fn a_dead_reused_connection_is_replaced_once_and_for_free() {
    check(1, "stale ok", "fresh answer");
    check(1, "stale stale", "fresh 502");
    check(1, "denied stale 500", "fresh 502");
    check(2, "stale stale stale stale", "fresh another fresh 502");
    check(2, "stale 500 stale ok", "fresh another fresh answer");
    check(2, "late stale", "502");
}

#[test]
fn the_last_error_wins_unless_it_only_says_wait_or_cannot() {
    check(2, "timeout 500", "another 502");
    check(2, "500 timeout", "another 504");
    check(2, "429 429", "another 429");
    check(2, "429 500", "another 502");
    check(2, "500 429", "another 502");
    check(3, "timeout 429 429", "another another 504");
    check(2, "denied foreign 429", "another 429");
    check(2, "429 foreign 500", "another another 502");
    check(2, "500 404", "another pass");
}

#[test]
fn what_was_never_sent_is_no_attempt() {
    check(1, "foreign foreign ok", "another another answer");
    check(1, "denied foreign 500", "another 502");
    check(2, "500 foreign denied ok", "another another answer");
    check(1, "late foreign", "400");
}

#[test]
fn an_overflow_is_an_attempt_and_takes_nothing_from_the_retry_budget() {
    check(3, "denied long long ok", "another another answer");
    check(3, "denied long 500", "another 502");
    check(2, "denied long long", "another pass");
    check(3, "500 long late long", "another another 502");
    check(3, "long long late long", "another another pass");
    check(3, "late long", "pass");
    check(2, "long 429", "another 429");
    check(3, "long 429 long", "another another 429");
    check(2, "foreign long late long", "another another pass");
    check(3, "commit long", "frame-502");
}

/// The caller is told of an overflow where nobody larger was asked in vain.
#[test]
fn an_overflow_outweighs_the_failure_of_a_smaller_candidate_alone() {
    for (first, second, too_small, expected) in [
        ("500", "timeout", &[0, 1, 2][..], "pass"),
        ("500", "timeout", &[1, 2], "502"),
        ("500", "timeout", &[0, 2], "504"),
        ("500", "timeout", &[2], "504"),
        ("500", "429", &[2], "502"),
        ("500", "429", &[0, 2], "429"),
        ("429", "500", &[1, 2], "429"),
        ("500", "foreign", &[0, 1, 2], "pass"),
        ("foreign", "not-mine", &[2], "pass"),
    ] {
        let mut attempts = Attempts::new(3, Instant::ZERO, SECOND);
        for (place, word) in [first, second].into_iter().enumerate() {
            attempts.begin(place);
            let step = attempts.on_outcome(Instant::ZERO, outcome(word), || Grant::Granted);
            assert_eq!(step, Step::Another);
        }
        attempts.begin(2);
        attempts.rule_out(&too_small.iter().copied().collect());
        let late = Instant::ZERO + SECOND;
        let step = attempts.on_outcome(late, Outcome::Overflowed, || Grant::Granted);
        assert_eq!(name(step), expected, "{first} {second} {too_small:?}");
    }
}

#[test]
fn who_cannot_take_the_request_is_not_chosen() {
    let mut attempts = Attempts::new(3, Instant::ZERO, SECOND);
    attempts.begin(0);
    attempts.rule_out(&[1, 3].into_iter().collect());
    assert_eq!(*attempts.tried(), [0, 1, 3].into_iter().collect());
    assert_eq!(attempts.count(), 1);
}

#[test]
fn the_retry_budget_and_the_deadline_end_it() {
    check(3, "denied 500", "502");
    check(3, "500 denied timeout", "another 504");
    check(3, "500 late 500", "another 502");
    check(3, "late timeout", "504");
}

#[test]
fn nobody_takes_over_a_committed_answer() {
    check(3, "commit 500", "frame-502");
    check(3, "commit stale", "frame-502");
    check(3, "commit timeout", "frame-504");
    check(3, "commit cut", "frame-502");
    check(3, "commit gone", "499");
    check(3, "commit ok", "answer");
}

#[test]
fn blames_the_attempt_that_the_verdict_is_about() {
    let mut attempts = Attempts::new(3, Instant::ZERO, SECOND);
    assert_eq!(attempts.blamed(), None);
    for (candidate, word) in [(4, "timeout"), (2, "429")] {
        attempts.begin(candidate);
        attempts.on_outcome(Instant::ZERO, outcome(word), || Grant::Granted);
    }
    let blamed = Blamed {
        candidate: 4,
        outcome: Outcome::TimedOut(Waiting::Head),
    };
    assert_eq!(attempts.blamed(), Some(blamed));
}

#[test]
fn an_attempt_ends_with_its_timeout_or_with_the_request() {
    let attempts = Attempts::new(3, Instant::ZERO, 10 * SECOND);
    let at = |seconds| Instant::ZERO + seconds * SECOND;
    assert_eq!(attempts.deadline(), at(10));
    assert_eq!(attempts.attempt_deadline(at(2), 5 * SECOND), at(7));
    assert_eq!(attempts.attempt_deadline(at(8), 5 * SECOND), at(10));
    assert_eq!(attempts.attempt_deadline(at(2), Duration::MAX), at(10));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        "ok",
        "stale",
        "connect",
        "timeout",
        "500",
        "429",
        "key",
        "foreign",
        "long",
        "caller-key",
        "404",
        "cut",
        "stall",
        "gone",
    ])
    .prop_flat_map(|word| Just(outcome(word)))
}

proptest! {
    #[test]
    fn always_ends_within_its_bounds(
        max in 0..6_u32,
        candidates in 1..8_usize,
        events in prop::collection::vec(
            (any_outcome(), any::<bool>(), 0..3_000_u64, 0..20_u8),
            40,
        ),
    ) {
        let mut attempts = Attempts::new(max, Instant::ZERO, 10 * SECOND);
        let (mut now, mut committed, mut grants) = (0, false, 0);
        let (mut sends, mut fresh) = (vec![0; candidates], vec![0; candidates]);
        let mut current = Some(0);
        attempts.begin(0);
        sends[0] += 1;
        for (outcome, granted, gap, dice) in events {
            let Some(candidate) = current else { break };
            now += gap;
            if dice == 0 {
                attempts.commit();
                committed = true;
            }
            grants += u32::from(outcome == Outcome::Overflowed);
            let step = attempts.on_outcome(Instant::from_millis(now), outcome, || {
                grants += u32::from(granted);
                if granted { Grant::Granted } else { Grant::Denied }
            });
            if step != Step::End(outcome.verdict()) {
                prop_assert!(!committed || matches!(step, Step::End(_)));
            }
            current = match step {
                Step::End(_) => None,
                Step::SameProviderFresh => {
                    prop_assert!(now < 10_000);
                    fresh[candidate] += 1;
                    Some(candidate)
                }
                Step::Another => {
                    prop_assert!(now < 10_000);
                    let next = (0..candidates).find(|&c| !attempts.tried().contains(c));
                    if let Some(next) = next {
                        attempts.begin(next);
                        sends[next] += 1;
                    }
                    next
                }
            };
            prop_assert!(attempts.count() <= max.max(1));
            prop_assert!(attempts.count() <= 1 + grants);
            prop_assert!(attempts.blamed().is_some());
        }
        // Forty events are more than eight candidates with two connections each can use up.
        prop_assert_eq!(current, None);
        prop_assert!(sends.iter().chain(&fresh).all(|&count| count <= 1));
    }
}
