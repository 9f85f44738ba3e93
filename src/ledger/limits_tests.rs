//! Windows and pauses against scripts.

use super::*;
use crate::config::account_seats::AccountSeats;
use crate::config::keyring::{Keyring, Team};
use crate::config::plan::Budgets;
use crate::config::scope::{self, Allowance};
use crate::config::{self, Environment, Options, Strictness};
use crate::link::facts::{Admitted, Left, Sample, SampleKind, Success, Successes};

const FILE: &str = "
providers:
  - {name: both, type: ollama, rate_limits: {requests_per_minute: 10, tokens_per_minute: 100}}
  - {name: requests, type: ollama, rate_limits: {requests_per_minute: 10}}
  - {name: tokens, type: ollama, rate_limits: {tokens_per_minute: 100}}
  - {name: none, type: ollama}
";

fn providers(file: &str) -> Box<[Provider]> {
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    config::load(file, &options).ok().unwrap().plan.providers
}

fn limits() -> Limits {
    Limits::new(&providers(FILE), &Accounts::default(), Window60::SPAN)
}

/// Scopes with these limits per minute: requests and tokens; 0: none.
fn accounts(limits: &[[u64; 2]]) -> Accounts {
    let team = |(place, [requests, tokens]): (usize, &[u64; 2])| {
        let limit = |most: &u64| (*most > 0).then_some(*most);
        let limits = scope::Limits {
            requests_per_minute: limit(requests),
            tokens_per_minute: limit(tokens),
            ..scope::Limits::default()
        };
        Team {
            name: place.to_string().into(),
            models: None,
            allowance: Allowance {
                limits: Some(limits),
                budgets: Box::default(),
            },
        }
    };
    let teams: Vec<Team> = limits.iter().enumerate().map(team).collect();
    Accounts::new(&Keyring::default(), &teams, &Budgets::default())
}

/// What is ordered, as `<provider> <requests> <tokens>` or `<provider> until <s>`; scopes have an
/// `s` before their number.
fn told(orders: &[Order]) -> String {
    let text = |order: &Order| match order {
        Order::Headroom {
            subject,
            requests,
            tokens,
        } => match subject {
            Subject::Provider(id) => format!("{} {requests} {tokens}", id.0),
            Subject::Scope(id) => format!("s{} {requests} {tokens}", id.0),
        },
        Order::Cooldown { provider, until } => {
            format!("{} until {}", provider.0, until.as_secs())
        }
        other => panic!("{other:?}"),
    };
    let hints = |order: &&Order| !matches!(order, Order::FreesAt { .. });
    orders
        .iter()
        .filter(hints)
        .map(text)
        .collect::<Vec<_>>()
        .join(", ")
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

fn admitted(provider: u16, seconds: u64, tokens: u64) -> Fact {
    let subject = Subject::Provider(ProviderId(provider));
    admitted_to(subject, seconds, tokens)
}

fn admitted_to(subject: Subject, seconds: u64, tokens: u64) -> Fact {
    Fact::Admitted(Admitted {
        subject,
        at: at(seconds),
        requests: 1,
        tokens: Tokens::new(tokens),
        day: None,
    })
}

fn left(scope: u32, seconds: u64, [reserved, used]: [u64; 2], excess: u64) -> Fact {
    let subject = Subject::Scope(ScopeId(scope));
    left_by(subject, seconds, [reserved, used], excess)
}

fn left_by(subject: Subject, seconds: u64, [reserved, used]: [u64; 2], excess: u64) -> Fact {
    Fact::Left(Left {
        subject,
        admitted: at(seconds),
        day: None,
        reserved: Tokens::new(reserved),
        excess: Tokens::new(excess),
        used: Tokens::new(used),
    })
}

fn ended(provider: u16, seconds: u64, tokens: [u64; 2]) -> Fact {
    ended_with(provider, seconds, tokens, 0)
}

/// An end for which the shard took `excess` more tokens.
fn ended_with(provider: u16, seconds: u64, [reserved, used]: [u64; 2], excess: u64) -> Fact {
    let subject = Subject::Provider(ProviderId(provider));
    left_by(subject, seconds, [reserved, used], excess)
}

fn succeeded(provider: u16, seconds: u64) -> Fact {
    let sample = Sample {
        latency: Duration::from_secs(1),
        kind: SampleKind::WholeAnswer,
    };
    let success = Success::new(at(seconds), sample);
    let (provider, ended) = (ProviderId(provider), at(seconds + 1));
    Fact::Succeeded(Successes::new(provider, ended, success))
}

fn refused(provider: u16, seconds: u64) -> Fact {
    Fact::Cooldown {
        provider: ProviderId(provider),
        at: at(seconds),
        span: None,
    }
}

#[test]
fn only_limits_that_are_set_are_ordered_about() {
    let mut limits = limits();
    let mut orders = Vec::new();
    for provider in 0..4 {
        limits.on_fact(&admitted(provider, 5, 40), &mut orders);
    }
    assert_eq!(told(&orders), "");
    for provider in 0..4 {
        limits.on_fact(&ended(provider, 5, [40, 30]), &mut orders);
    }
    assert_eq!(told(&orders), "0 0 10, 2 0 10");
    orders.clear();
    assert_eq!(limits.held_by(0), (1, 30));
    assert_eq!(limits.held_by(3), (0, 0));
    assert_eq!(limits.deadline(), Some(at(66)));
    limits.on_time(at(65), &mut orders);
    assert_eq!(told(&orders), "");
    limits.on_time(at(66), &mut orders);
    assert_eq!(told(&orders), "0 1 30, 1 1 0, 2 0 30");
    assert_eq!(limits.deadline(), None);
    limits.on_fact(&admitted(99, 70, 1), &mut orders);
}

#[test]
fn what_a_shard_took_at_an_end_is_not_taken_twice_and_comes_back_once() {
    let mut limits = limits();
    let mut orders = Vec::new();
    limits.on_fact(&admitted(2, 5, 40), &mut orders);
    limits.on_fact(&ended_with(2, 5, [40, 130], 90), &mut orders);
    assert_eq!(told(&orders), "");
    assert_eq!(limits.held_by(2).1, 130);
    limits.on_time(at(66), &mut orders);
    assert_eq!(told(&orders), "2 0 130");
    orders.clear();
    // A charge that has outlived its window belongs to none.
    limits.on_fact(&admitted(2, 70, 40), &mut orders);
    limits.on_time(at(131), &mut orders);
    limits.on_fact(&ended_with(2, 70, [40, 50], 10), &mut orders);
    assert_eq!(told(&orders), "2 0 40, 2 0 10");
    assert_eq!(limits.held_by(2).1, 0);
}

#[test]
fn a_reload_changes_the_headroom_by_the_difference() {
    let mut limits = limits();
    let adopt = |limits: &mut Limits, text: &str, fresh: &[ProviderId]| {
        let mut orders = Vec::new();
        let file = format!("providers:\n  - {{name: both, type: ollama{text}}}\n");
        limits.adopt(&providers(&file), fresh, &mut orders);
        told(&orders)
    };
    limits.on_fact(&admitted(0, 5, 40), &mut Vec::new());
    let both = |requests: u64, tokens: u64| {
        format!(", rate_limits: {{requests_per_minute: {requests}, tokens_per_minute: {tokens}}}")
    };
    assert_eq!(adopt(&mut limits, &both(12, 30), &[]), "0 2 -70");
    assert_eq!(limits.held_by(0), (1, 40));
    // Without limits the words are kept up to date, so that they are right when the limits come
    // back.
    assert_eq!(adopt(&mut limits, "", &[]), "");
    let mut orders = Vec::new();
    let unlimited = Fact::Admitted(Admitted {
        subject: Subject::Provider(ProviderId(0)),
        at: at(6),
        requests: 0,
        tokens: Tokens::ZERO,
        day: None,
    });
    limits.on_fact(&unlimited, &mut orders);
    limits.on_fact(&ended(0, 6, [0, 7]), &mut orders);
    limits.on_time(at(70), &mut orders);
    assert_eq!(told(&orders), "0 0 -7, 0 1 47");
    assert_eq!(adopt(&mut limits, &both(12, 30), &[]), "");
    // A provider with a fresh id has all of its headroom, whatever is known under that id.
    limits.on_fact(&admitted(0, 71, 10), &mut orders);
    assert_eq!(adopt(&mut limits, &both(5, 50), &[ProviderId(0)]), "");
    assert_eq!((limits.held_by(0), limits.deadline()), ((0, 0), None));
}

impl Limits {
    /// Requests and tokens in a provider's window.
    fn held_by(&self, provider: usize) -> (u64, u64) {
        let window = self.providers[provider].window.as_ref();
        let held = window.map(Window60::held).unwrap_or_default();
        (held.requests, held.tokens.get())
    }
}

#[test]
fn a_scope_has_a_window_like_a_provider() {
    let team = |scope| Subject::Scope(ScopeId(scope));
    let accounts = accounts(&[[5, 90], [5, 0], [0, 90], [0, 0]]);
    let mut limits = Limits::new(&providers(FILE), &accounts, Window60::SPAN);
    let mut orders = Vec::new();
    for scope in 0..4 {
        limits.on_fact(&admitted_to(team(scope), 5, 40), &mut orders);
        limits.on_fact(&left(scope, 5, [40, 50], 10), &mut orders);
    }
    limits.on_fact(&admitted(0, 6, 40), &mut orders);
    limits.on_fact(&ended(0, 6, [40, 30]), &mut orders);
    limits.on_fact(&left(9, 6, [40, 30], 0), &mut orders);
    assert_eq!(told(&orders), "0 0 10");
    orders.clear();
    assert_eq!(limits.deadline(), Some(at(66)));
    limits.on_time(at(67), &mut orders);
    assert_eq!(told(&orders), "s0 1 50, s1 1 0, s2 0 50, 0 1 30");
    assert_eq!(limits.deadline(), None);
    // What was taken in addition after the request's minute comes back at once.
    orders.clear();
    limits.on_fact(&left(0, 5, [40, 60], 20), &mut orders);
    assert_eq!(told(&orders), "s0 0 20");
}

#[test]
fn a_scope_that_stays_keeps_its_window_and_a_fresh_one_begins_anew() {
    let first = std::sync::Arc::new(accounts(&[[5, 90], [5, 90]]));
    let seats = AccountSeats::of(&first);
    let mut limits = Limits::new(&[], &first, Window60::SPAN);
    let mut orders = Vec::new();
    for scope in [0, 1] {
        let subject = Subject::Scope(ScopeId(scope));
        limits.on_fact(&admitted_to(subject, 5, 40), &mut orders);
    }
    let seated = seats.seat(accounts(&[[7, 50], [9, 9], [4, 4]])).unwrap();
    assert_eq!(*seated.fresh.scopes, [ScopeId(2)]);
    limits.adopt_scopes(&seated.accounts, &seated.fresh.scopes, &mut orders);
    assert_eq!(told(&orders), "s0 2 -40, s1 4 -81");
    orders.clear();
    // The holder of an id changes: what the former one has sent is nothing to the next.
    limits.adopt_scopes(&seated.accounts, &[ScopeId(1)], &mut orders);
    assert_eq!(told(&orders), "");
    limits.on_time(at(66), &mut orders);
    assert_eq!(told(&orders), "s0 1 40");
}

/// Of many windows, those are looked at that are due.
#[test]
fn each_window_gives_back_when_it_is_due_whatever_others_do() {
    let mut limits = Limits::new(&[], &accounts(&[[9, 0]; 300]), Window60::SPAN);
    let mut orders = Vec::new();
    let mut admit = |scope: u32, seconds| {
        let subject = Subject::Scope(ScopeId(scope));
        limits.on_fact(&admitted_to(subject, seconds, 0), &mut orders);
    };
    for scope in 0..300 {
        admit(scope, 100 + u64::from(scope % 50));
        admit(scope, 100 + u64::from(scope % 7));
    }
    let mut given = vec![0; 300];
    while let Some(due) = limits.deadline() {
        let before = Instant::from_nanos(due.as_nanos() - 1);
        orders.clear();
        limits.on_time(before, &mut orders);
        assert!(orders.is_empty(), "nothing is due before {due:?}");
        limits.on_time(due, &mut orders);
        for order in &orders {
            match order {
                Order::Headroom {
                    subject: Subject::Scope(id),
                    requests,
                    ..
                } => given[id.index()] += requests,
                Order::FreesAt { at, .. } => assert!(*at == Instant::ZERO || *at > due),
                other => panic!("{other:?}"),
            }
        }
        assert!(!orders.is_empty(), "something is due at {due:?}");
    }
    assert!(given.iter().all(|requests| *requests == 2), "{given:?}");
}

#[test]
fn a_success_ends_the_doubling_of_pauses() {
    let mut limits = limits();
    let mut orders = Vec::new();
    limits.on_fact(&refused(3, 10), &mut orders);
    limits.on_fact(&refused(3, 11), &mut orders);
    limits.on_fact(&succeeded(3, 14), &mut orders);
    limits.on_fact(&refused(3, 15), &mut orders);
    assert_eq!(told(&orders), "3 until 11, 3 until 13, 3 until 16");
}
