//! Rate limits of all providers: what goes back to their headroom, and which are left alone.

use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::config::plan::Provider;
use crate::decide::limiter::{Cooldown, Returned, Window60};
use crate::decide::outcome::Signal;
use crate::link::facts::Fact;
use crate::link::orders::Order;

/// The windows and pauses of all providers.
pub struct Limits {
    /// By provider.
    providers: Vec<Account>,
    span: Duration,
}

struct Account {
    /// Requests and tokens per window; `None` where the file sets no limit.
    requests: Option<u64>,
    tokens: Option<u64>,
    /// The limits from which the published words count down: those that were last in force. A word
    /// that was ever used is kept up to date, so that it is right when its limit comes back.
    counted: [Option<u64>; 2],
    /// `None` where there was never a limit.
    window: Option<Window60>,
    cooldown: Cooldown,
    /// When the next request leaves the window, as last ordered.
    frees_at: Instant,
}

impl Limits {
    /// The limits of these providers, over windows of this length (60 s, shorter in tests). Each
    /// provider's published words start at its limits.
    #[must_use]
    pub fn new(providers: &[Provider], span: Duration) -> Self {
        let account = |provider: &Provider| Account::new(limits(provider), span);
        Self {
            providers: providers.iter().map(account).collect(),
            span,
        }
    }

    /// Adopts the limits of `providers`: charges stay, and the headroom changes by the difference
    /// of the limits. The words of `fresh` providers start at their limits.
    pub fn adopt(&mut self, providers: &[Provider], fresh: &[ProviderId], orders: &mut Vec<Order>) {
        let span = self.span;
        for provider in providers {
            let at = provider.id.index();
            while self.providers.len() <= at {
                self.providers.push(Account::new([None; 2], span));
            }
            if fresh.contains(&provider.id) {
                self.providers[at] = Account::new(limits(provider), span);
            } else {
                self.providers[at].adopt(provider.id, limits(provider), span, orders);
            }
        }
    }

    /// Takes in a shard's fact.
    pub fn on_fact(&mut self, fact: &Fact, orders: &mut Vec<Order>) {
        match *fact {
            Fact::Admitted {
                provider,
                at,
                requests,
                tokens,
            } => {
                let Some(account) = self.account(provider) else {
                    return;
                };
                if let Some(window) = &mut account.window {
                    let returned = window.on_admitted(at, requests, tokens);
                    account.give(provider, returned, orders);
                    account.order_frees_at(provider, orders);
                }
            }
            Fact::Ended(ended) => {
                let Some(account) = self.account(ended.provider) else {
                    return;
                };
                match ended.signal {
                    Signal::Success => account.cooldown.on_success(ended.admitted),
                    Signal::Failure | Signal::Neutral => {}
                }
                if let Some(window) = &mut account.window {
                    // The shard has taken the excess already: it is not taken twice, and the part
                    // that does not belong to the window goes back.
                    let change = window.on_ended(ended.admitted, ended.reserved, ended.used);
                    let tokens = change.saturating_add(signed(ended.excess.get()));
                    account.order(ended.provider, 0, tokens, orders);
                }
            }
            Fact::Cooldown { provider, at, span } => {
                let Some(account) = self.account(provider) else {
                    return;
                };
                if let Some(until) = account.cooldown.on_refused(at, span) {
                    orders.push(Order::Cooldown { provider, until });
                }
            }
            Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Settled { .. }
            | Fact::Forgotten { .. } => {}
        }
    }

    /// Time passes.
    pub fn on_time(&mut self, now: Instant, orders: &mut Vec<Order>) {
        for (id, account) in (0..).map(ProviderId).zip(&mut self.providers) {
            if let Some(window) = &mut account.window {
                let returned = window.expire(now);
                account.give(id, returned, orders);
                account.order_frees_at(id, orders);
            }
        }
    }

    /// When [`Self::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let windows = self.providers.iter().filter_map(|one| one.window.as_ref());
        windows.filter_map(Window60::deadline).min()
    }

    fn account(&mut self, provider: ProviderId) -> Option<&mut Account> {
        self.providers.get_mut(provider.index())
    }
}

/// Requests and tokens per window.
fn limits(provider: &Provider) -> [Option<u64>; 2] {
    [provider.requests_per_minute, provider.tokens_per_minute]
}

impl Account {
    fn new([requests, tokens]: [Option<u64>; 2], span: Duration) -> Self {
        let is_limited = requests.is_some() || tokens.is_some();
        Self {
            requests,
            tokens,
            counted: [requests, tokens],
            window: is_limited.then(|| Window60::new(span)),
            cooldown: Cooldown::default(),
            frees_at: Instant::ZERO,
        }
    }

    /// Adopts other limits. A word that was never used starts with the rest of its limit; any other
    /// changes by the difference, since shards may have taken from it without having reported it.
    fn adopt(
        &mut self,
        provider: ProviderId,
        limits: [Option<u64>; 2],
        span: Duration,
        orders: &mut Vec<Order>,
    ) {
        [self.requests, self.tokens] = limits;
        if limits != [None; 2] {
            self.window.get_or_insert_with(|| Window60::new(span));
        }
        let held = self.window.as_ref().map(Window60::held).unwrap_or_default();
        let held = [held.requests, held.tokens.get()];
        let mut changes = [0; 2];
        for (place, limit) in limits.into_iter().enumerate() {
            let Some(limit) = limit else { continue };
            let before = self.counted[place].replace(limit);
            changes[place] = signed(limit).saturating_sub(signed(before.unwrap_or(held[place])));
        }
        let [requests, tokens] = changes;
        self.order(provider, requests, tokens, orders);
    }

    /// Orders when the next request leaves the window, if that has changed.
    fn order_frees_at(&mut self, provider: ProviderId, orders: &mut Vec<Order>) {
        let at = self
            .window
            .as_ref()
            .and_then(Window60::deadline)
            .unwrap_or_default();
        if at != self.frees_at {
            self.frees_at = at;
            orders.push(Order::FreesAt { provider, at });
        }
    }

    fn give(&self, provider: ProviderId, returned: Returned, orders: &mut Vec<Order>) {
        let tokens = signed(returned.tokens.get());
        self.order(provider, signed(returned.requests), tokens, orders);
    }

    /// Orders changes that concern a limit; the words of limits that are not in force stay as they
    /// are.
    fn order(&self, provider: ProviderId, requests: i64, tokens: i64, orders: &mut Vec<Order>) {
        let [counts_requests, counts_tokens] = self.counted.map(|limit| limit.is_some());
        let requests = if counts_requests { requests } else { 0 };
        let tokens = if counts_tokens { tokens } else { 0 };
        if (requests, tokens) != (0, 0) {
            orders.push(Order::Headroom {
                provider,
                requests,
                tokens,
            });
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tokens::Tokens;
    use crate::config::{self, Environment, Options, Strictness};
    use crate::link::facts::Ended;

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
        Limits::new(&providers(FILE), Window60::SPAN)
    }

    /// What is ordered, as `<provider> <requests> <tokens>` or `<provider> until <s>`.
    fn told(orders: &[Order]) -> String {
        let text = |order: &Order| match order {
            Order::Headroom {
                provider,
                requests,
                tokens,
            } => {
                format!("{} {requests} {tokens}", provider.0)
            }
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
        let (provider, tokens) = (ProviderId(provider), Tokens::new(tokens));
        Fact::Admitted {
            provider,
            at: at(seconds),
            requests: 1,
            tokens,
        }
    }

    fn ended(provider: u16, seconds: u64, tokens: [u64; 2]) -> Fact {
        ended_with(provider, seconds, tokens, 0)
    }

    /// An end for which the shard took `excess` more tokens.
    fn ended_with(provider: u16, seconds: u64, [reserved, used]: [u64; 2], excess: u64) -> Fact {
        Fact::Ended(Ended {
            provider: ProviderId(provider),
            admitted: at(seconds),
            at: at(seconds + 1),
            signal: Signal::Success,
            sample: None,
            reserved: Tokens::new(reserved),
            excess: Tokens::new(excess),
            used: Tokens::new(used),
            probe: None,
            successes_before: 0,
        })
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
        assert_eq!(limits.view_of(0), (Some(9), Some(70)));
        assert_eq!(limits.view_of(3), (None, None));
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
        assert_eq!(limits.view_of(2).1, Some(0));
        limits.on_time(at(66), &mut orders);
        assert_eq!(told(&orders), "2 0 130");
        orders.clear();
        // A charge that has outlived its window belongs to none.
        limits.on_fact(&admitted(2, 70, 40), &mut orders);
        limits.on_time(at(131), &mut orders);
        limits.on_fact(&ended_with(2, 70, [40, 50], 10), &mut orders);
        assert_eq!(told(&orders), "2 0 40, 2 0 10");
        assert_eq!(limits.view_of(2).1, Some(100));
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
            format!(
                ", rate_limits: {{requests_per_minute: {requests}, tokens_per_minute: {tokens}}}"
            )
        };
        assert_eq!(adopt(&mut limits, &both(12, 30), &[]), "0 2 -70");
        assert_eq!(limits.view_of(0), (Some(11), Some(0)));
        // Without limits the words are kept up to date, so that they are right when the limits come
        // back.
        assert_eq!(adopt(&mut limits, "", &[]), "");
        assert_eq!(limits.view_of(0), (None, None));
        let mut orders = Vec::new();
        let unlimited = Fact::Admitted {
            provider: ProviderId(0),
            at: at(6),
            requests: 0,
            tokens: Tokens::ZERO,
        };
        limits.on_fact(&unlimited, &mut orders);
        limits.on_fact(&ended(0, 6, [0, 7]), &mut orders);
        limits.on_time(at(70), &mut orders);
        assert_eq!(told(&orders), "0 0 -7, 0 1 47");
        assert_eq!(adopt(&mut limits, &both(12, 30), &[]), "");
        // A provider with a fresh id has all of its headroom, whatever is known under that id.
        limits.on_fact(&admitted(0, 71, 10), &mut orders);
        assert_eq!(adopt(&mut limits, &both(5, 50), &[ProviderId(0)]), "");
        assert_eq!(limits.view_of(0), (Some(5), Some(50)));
    }

    impl Limits {
        /// Requests and tokens that may still be sent, as far as it is reported.
        fn view_of(&self, provider: usize) -> (Option<u64>, Option<u64>) {
            let account = &self.providers[provider];
            let held = account
                .window
                .as_ref()
                .map(Window60::held)
                .unwrap_or_default();
            let tokens = |limit| Tokens::new(limit).saturating_sub(held.tokens).get();
            let requests = |limit: u64| limit.saturating_sub(held.requests);
            (account.requests.map(requests), account.tokens.map(tokens))
        }
    }

    #[test]
    fn a_success_ends_the_doubling_of_pauses() {
        let mut limits = limits();
        let mut orders = Vec::new();
        limits.on_fact(&refused(3, 10), &mut orders);
        limits.on_fact(&refused(3, 11), &mut orders);
        limits.on_fact(&ended(3, 14, [0, 0]), &mut orders);
        limits.on_fact(&refused(3, 15), &mut orders);
        assert_eq!(told(&orders), "3 until 11, 3 until 13, 3 until 16");
    }
}
