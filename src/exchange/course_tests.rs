//! What a course says to everything that can happen.

use std::time::Duration;

use super::*;
use crate::decide::outcome::{ConnectFault, Failure, KeyOwner, Topic, Waiting, classify_status};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn course(attempts_max: u32) -> Course {
    Course::new(attempts_max, at(0), Duration::from_secs(10))
}

/// A course whose request has been sent to the candidate `place`.
fn sent(course: &mut Course, place: usize, now: Instant) -> Try {
    assert_eq!(
        course.chosen(Some(place), Later::Nobody),
        Action::Take(place)
    );
    match course.permit(place, Some(now)) {
        Action::Send(this) => this,
        other => panic!("{other:?}"),
    }
}

fn granted() -> Grant {
    Grant::Granted
}

/// Every way in which an attempt can end.
fn outcomes() -> Vec<Outcome> {
    let told = [
        400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529,
    ];
    let owners = [KeyOwner::Infermux, KeyOwner::Caller];
    let told = told
        .iter()
        .flat_map(|status| owners.map(|owner| classify_status(*status, owner, Topic::Unknown)));
    let mut all: Vec<Outcome> = told.collect();
    all.extend([
        Outcome::Answered,
        Outcome::StaleConnection,
        Outcome::ConnectFailed(ConnectFault::Refused),
        Outcome::ConnectFailed(ConnectFault::NoSocket),
        Outcome::TimedOut(Waiting::Head),
        Outcome::TimedOut(Waiting::Content),
        Outcome::Failed(Failure::Cut),
        Outcome::Failed(Failure::Malformed),
        Outcome::Failed(Failure::ErrorObject),
        Outcome::TooLarge,
        Outcome::Overflowed,
        Outcome::StreamCut,
        Outcome::StreamStalled,
        Outcome::CallerGone,
    ]);
    all
}

#[test]
fn nobody_to_choose_is_a_refusal_before_and_a_verdict_after_an_attempt() {
    let mut course = course(3);
    assert_eq!(course.chosen(None, Later::Nobody), Action::Refuse);
    sent(&mut course, 0, at(1));
    let outcome = Outcome::Failed(Failure::Cut);
    assert_eq!(course.go_on(at(2), outcome, granted), Action::Survey);
    assert_eq!(course.before(), Some(outcome));
    assert_eq!(
        course.chosen(None, Later::Nobody),
        Action::Tell(Verdict::UpstreamError)
    );
}

/// A larger candidate that is out of service may answer another time; so it does not matter whether
/// the request could be sent to more candidates.
#[test]
fn an_overflow_is_told_where_nobody_larger_is_left() {
    for attempts_max in [1, 2] {
        for (later, expected) in [
            (Later::Nobody, Action::Tell(Verdict::PassThrough)),
            (Later::Somebody, Action::Refuse),
        ] {
            let mut course = course(attempts_max);
            sent(&mut course, 0, at(1));
            course.rule_out(&[0].into_iter().collect());
            let outcome = Outcome::Overflowed;
            assert_eq!(course.go_on(at(2), outcome, granted), Action::Survey);
            assert_eq!(course.chosen(None, later), expected);
            let ready = course.chosen(Some(1), later);
            let is_over = attempts_max == 1;
            assert_eq!(ready, if is_over { expected } else { Action::Take(1) });
        }
    }
    // A failure is told at once.
    let mut course = course(1);
    sent(&mut course, 0, at(1));
    let told = course.go_on(at(2), Outcome::Failed(Failure::Cut), granted);
    assert_eq!(told, Action::Tell(Verdict::UpstreamError));
}

#[test]
fn a_permit_that_others_took_is_no_attempt() {
    let mut course = course(1);
    assert_eq!(course.chosen(Some(4), Later::Nobody), Action::Take(4));
    assert_eq!(course.permit(4, None), Action::Survey);
    assert_eq!((course.count(), course.tried().contains(4)), (0, false));
    sent(&mut course, 4, at(1));
    assert_eq!((course.count(), course.tried().contains(4)), (1, true));
}

#[test]
fn a_dead_connection_is_followed_by_one_fresh_one_at_the_same_provider() {
    let mut course = course(2);
    let first = sent(&mut course, 1, at(1));
    assert_eq!(first.fresh, Fresh::NotNeeded);
    let again = course.go_on(at(5), Outcome::StaleConnection, granted);
    let expected = Try {
        fresh: Fresh::Needed,
        started: at(5),
        ..first
    };
    assert_eq!(again, Action::Send(expected));
    assert_eq!(course.count(), 1);
    // The second dead connection is a failure like any other.
    let after = course.go_on(at(6), Outcome::StaleConnection, granted);
    assert_eq!(after, Action::Survey);
}

#[test]
fn a_refused_injection_is_left_out_and_learned_by_an_answer_alone() {
    for outcome in outcomes() {
        let mut course = course(2);
        let first = sent(&mut course, 0, at(1));
        let again = course.without(at(3), Part::Usage);
        let expected = Try {
            injection: Injection::Refused,
            started: at(3),
            ..first
        };
        assert_eq!(again, Action::Send(expected));
        let closing = course.ended(outcome, &BreakerPolicy::default());
        let is_answered = outcome == Outcome::Answered;
        assert_eq!(closing.refuses_injection, is_answered, "{outcome:?}");
    }
}

#[test]
fn a_request_without_sealed_reasoning_is_the_same_attempt() {
    let mut course = course(1);
    let first = sent(&mut course, 0, at(1));
    let expected = Try {
        reasoning: Reasoning::LeftOut,
        started: at(3),
        ..first
    };
    let again = course.without(at(3), Part::Reasoning);
    assert_eq!((again, course.count()), (Action::Send(expected), 1));
}

#[test]
fn a_request_in_another_dialect_is_the_same_attempt() {
    let mut course = course(1);
    let first = sent(&mut course, 0, at(1));
    let expected = Try {
        started: at(3),
        ..first
    };
    assert_eq!(
        course.without(at(3), Part::Responses),
        Action::Send(expected)
    );
    assert_eq!(course.count(), 1);
}

#[test]
fn an_inexpressible_request_is_taken_elsewhere_and_costs_no_attempt() {
    let mut course = course(1);
    assert_eq!(course.inexpressible(at(1), 0), Action::Survey);
    assert_eq!(course.before(), Some(Outcome::Untranslatable));
    assert_eq!(course.count(), 0);
    sent(&mut course, 1, at(1));
    let told = course.go_on(at(2), Outcome::Failed(Failure::Cut), granted);
    assert_eq!(told, Action::Tell(Verdict::UpstreamError));
    let mut alone = Course::new(3, at(0), Duration::from_secs(1));
    assert_eq!(alone.inexpressible(at(1), 0), Action::Survey);
    assert_eq!(
        alone.chosen(None, Later::Nobody),
        Action::Tell(Verdict::InvalidRequest)
    );
}

/// Whatever happens, and in whatever order: a course ends after as many attempts as it has, tries
/// nobody twice, sends nothing once its answer has begun, and enforces every failure.
#[test]
fn every_course_of_three_attempts_ends() {
    let policy = BreakerPolicy::default();
    for first in outcomes() {
        for second in outcomes() {
            for third in outcomes() {
                for commits in 0..4 {
                    let ends = [first, second, third];
                    let mut course = course(3);
                    let (mut action, mut sends, mut places) = (Action::Survey, 0, Vec::new());
                    for step in 0..20 {
                        let now = at(step);
                        action = match action {
                            Action::Survey => course.chosen(Some(places.len()), Later::Nobody),
                            Action::Take(place) => {
                                assert!(!places.contains(&place));
                                places.push(place);
                                course.permit(place, Some(now))
                            }
                            Action::Send(this) => {
                                assert_eq!(places.last(), Some(&this.place));
                                let outcome = ends[sends % 3];
                                sends += 1;
                                if sends == commits {
                                    let _: Release = course.commit();
                                }
                                let closing = course.ended(outcome, &policy);
                                let fails = outcome.for_breaker(&policy) == Signal::Failure;
                                assert!(!fails || closing.is_enforced, "{outcome:?}");
                                let next = course.go_on(now, outcome, granted);
                                let is_over = matches!(next, Action::Tell(_));
                                let has_begun = commits > 0 && sends >= commits;
                                assert!(is_over || !has_begun, "{ends:?} {commits}");
                                next
                            }
                            Action::Refuse => panic!("somebody could be asked"),
                            Action::Tell(_) => break,
                        };
                    }
                    assert!(matches!(action, Action::Tell(_)), "{ends:?}");
                    assert!(places.len() <= 3 && course.count() <= 3, "{ends:?}");
                }
            }
        }
    }
}

#[test]
fn the_retry_budget_is_asked_only_for_another_attempt() {
    let mut course = course(2);
    sent(&mut course, 0, at(1));
    let asked = std::cell::Cell::new(0);
    let deny = || {
        asked.set(asked.get() + 1);
        Grant::Denied
    };
    let told = course.go_on(at(2), Outcome::Failed(Failure::Cut), deny);
    assert_eq!(told, Action::Tell(Verdict::UpstreamError));
    assert_eq!(asked.get(), 1);
}
