//! What callers are told of their limits and budgets.

use std::sync::Arc;

use super::*;
use crate::base::digest::Digest;
use crate::base::endpoint::Dialect;
use crate::base::period::{Per, PeriodTag};
use crate::config::accounts::Accounts;
use crate::config::keyring::{CallerKey, KeySecret, Keyring, NamePattern, PerModel, Team};
use crate::config::plan::Budgets;
use crate::config::scope::Budget;
use crate::config::scope::{Allowance, BudgetAction, Limits, Reach};
use crate::exchange::callers::Callers;

const NOW: Instant = Instant::from_millis(5_000);
const LATER: Instant = Instant::from_millis(20_001);
/// 2026-11-30, 12:00 UTC.
const NOON: WallTime = WallTime::from_unix_millis(1_796_040_000_000);

fn usd(amount: u64, per: Per, enforce: Enforce) -> Budget {
    Budget {
        amount: NanoUsd::new(amount * 1_000_000_000),
        per,
        action: BudgetAction::HardStop,
        model_override: None,
        enforce,
        reach: Reach::Fleet,
    }
}

fn limits(requests: u64, tokens: Option<u64>) -> Limits {
    Limits {
        requests_per_minute: Some(requests),
        tokens_per_minute: tokens,
        ..Limits::default()
    }
}

fn allowance(limits: Limits, budgets: &[Budget]) -> Allowance {
    Allowance {
        limits: Some(limits),
        budgets: budgets.into(),
    }
}

/// A key whose team has 10 requests a minute; it has 4 of itself, 2 for `dear`.
fn callers(enforce: Enforce) -> Callers {
    let team = Team {
        name: "t".into(),
        models: None,
        allowance: allowance(limits(10, Some(500)), &[usd(9, Per::Month, enforce)]),
    };
    let own = Limits {
        requests_per_day: Some(4),
        ..limits(5, Some(1_000))
    };
    let own = Limits { enforce, ..own };
    let dear = PerModel {
        models: Box::new([NamePattern::parse("dear*").unwrap()]),
        allowance: allowance(limits(2, None), &[]),
    };
    let key = CallerKey {
        name: "k".into(),
        team: Some("t".into()),
        caller: "k".into(),
        callers: Box::default(),
        models: None,
        expires: None,
        is_disabled: false,
        stream_cost: false,
        allowance: allowance(own, &[usd(3, Per::Day, enforce)]),
        per_model: Box::new([dear]),
        secrets: Box::new([KeySecret {
            digest: Digest::of(b"k"),
            until: None,
        }]),
    };
    let ring = Keyring::new(vec![key]).unwrap();
    let teams: Box<[Team]> = Box::new([team]);
    let budgets = Budgets {
        state_file: None,
        callers: Box::default(),
    };
    let accounts = Arc::new(Accounts::new(&ring, &teams, &budgets));
    let callers = Callers::first(ring, teams, accounts);
    let gates = callers.gates();
    gates.day_end.set(NOW + Duration::from_secs(43_200));
    for gate in &*gates.scopes {
        gate.begin_day(PeriodTag(3), 4, 0);
        gate.set_frees_at(LATER);
    }
    for gate in &*gates.budgets {
        gate.begin(PeriodTag(3), 9_000_000_000, NanoUsd::new(1_000_000_000));
    }
    callers
}

fn told(callers: &Callers, model: Option<&str>, dialect: Dialect) -> String {
    let scopes = Scopes::new(callers.accounts(), Some(0), None);
    let mut out = Vec::new();
    let wall = (dialect == Dialect::Messages).then_some(NOON);
    Quota::of(&scopes, callers.gates(), model, NOW).write(wall, &mut out);
    String::from_utf8(out).unwrap().replace("\r\n", "|")
}

#[test]
fn the_tightest_scope_is_told() {
    let callers = callers(Enforce::Yes);
    // Nothing is used: the day has less than the minutes, and none of it is missing.
    let day = "x-ratelimit-limit-requests: 4|x-ratelimit-remaining-requests: 4|\
               x-ratelimit-reset-requests: 0s|";
    let tokens = "x-ratelimit-limit-tokens: 500|x-ratelimit-remaining-tokens: 500|\
                  x-ratelimit-reset-tokens: 0s|";
    let budget = "X-Infermux-Budget-Remaining: 2|";
    let all = format!("{day}{tokens}{budget}");
    assert_eq!(told(&callers, Some("cheap"), Dialect::Chat), all);
    assert_eq!(told(&callers, None, Dialect::Responses), all);
    for gate in &*callers.gates().scopes {
        gate.take(NOW, 100).expect("there is room");
    }
    let day = "x-ratelimit-limit-requests: 4|x-ratelimit-remaining-requests: 3|\
               x-ratelimit-reset-requests: 43200s|";
    let tokens = "x-ratelimit-limit-tokens: 500|x-ratelimit-remaining-tokens: 400|\
                  x-ratelimit-reset-tokens: 16s|";
    let all = format!("{day}{tokens}{budget}");
    assert_eq!(told(&callers, Some("cheap"), Dialect::Chat), all);
    let dear = "x-ratelimit-limit-requests: 2|x-ratelimit-remaining-requests: 1|\
                x-ratelimit-reset-requests: 16s|";
    let all = format!("{dear}{tokens}{budget}");
    assert_eq!(told(&callers, Some("dearest"), Dialect::Chat), all);
}

#[test]
fn anthropics_clients_are_told_in_their_words_too() {
    let callers = callers(Enforce::Yes);
    callers.gates().scopes[0]
        .take(NOW, 100)
        .expect("there is room");
    let text = told(&callers, None, Dialect::Messages);
    let expected = "anthropic-ratelimit-tokens-limit: 500|\
                    anthropic-ratelimit-tokens-remaining: 400|\
                    anthropic-ratelimit-tokens-reset: 2026-11-30T12:00:16Z|";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("anthropic-ratelimit-requests-limit: 4|"),
        "{text}"
    );
    assert!(text.contains("x-ratelimit-limit-tokens: 500|"), "{text}");
}

#[test]
fn what_refuses_nothing_is_not_told() {
    let callers = callers(Enforce::No);
    let text = told(&callers, None, Dialect::Chat);
    assert!(text.contains("limit-requests: 10|"), "{text}");
    assert!(!text.contains("Budget"), "{text}");
    let scopes = Scopes::new(callers.accounts(), None, None);
    let mut out = Vec::new();
    let quota = Quota::of(&scopes, callers.gates(), None, NOW);
    quota.write(Some(NOON), &mut out);
    assert_eq!(out, b"");
}
