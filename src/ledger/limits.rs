//! Rate limits of all providers and of all scopes of callers: what goes back to their headroom, and
//! which providers are left alone.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::ids::{ProviderId, ScopeId, Subject};
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::accounts::Accounts;
use crate::config::plan::Provider;
use crate::config::scope::Reach;
use crate::decide::limiter::{Cooldown, Returned, Window60};
use crate::decide::outcome::Signal;
use crate::link::facts::{Admitted, Fact, Left};
use crate::link::orders::Order;

/// The windows of all subjects, and the pauses of providers.
pub struct Limits {
    /// By provider.
    providers: Vec<Account>,
    /// By scope.
    scopes: Vec<Account>,
    /// By provider.
    cooldowns: Vec<Cooldown>,
    /// The windows that hold something, by when the next of it leaves: of thousands of windows,
    /// most are not looked at.
    due: BTreeSet<(Instant, Subject)>,
    span: Duration,
}

#[derive(Default)]
struct Account {
    /// The limits from which the published words count down, requests and tokens per window: those
    /// that were last in force. A word that was ever used is kept up to date, so that it is right
    /// when its limit comes back.
    counted: [Option<u64>; 2],
    /// Whether the published words hold a part that is leased: then they begin at 0, and whoever
    /// leases changes them beside the books.
    is_leased: bool,
    /// `None` where there was never a limit.
    window: Option<Window60>,
    /// When the next request leaves the window, as last ordered; it stands in `due`.
    frees_at: Instant,
    /// Whether its words have begun: at the limits that it had then.
    has_begun: bool,
}

/// Attempts or requests that have ended.
#[derive(Clone, Copy)]
struct Past {
    admitted: Instant,
    reserved: Tokens,
    excess: Tokens,
    used: Tokens,
}

impl Limits {
    /// The limits of these providers and of these scopes, over windows of this length (60 s,
    /// shorter in tests). Published words start at their limits.
    #[must_use]
    pub fn new(providers: &[Provider], accounts: &Accounts, span: Duration) -> Self {
        let mut limits = Self {
            providers: Vec::new(),
            scopes: Vec::new(),
            cooldowns: Vec::new(),
            due: BTreeSet::new(),
            span,
        };
        let ids: Vec<ProviderId> = providers.iter().map(|one| one.id).collect();
        limits.adopt(providers, &ids, &mut Vec::new());
        let scopes = accounts.all().iter().filter_map(|one| one.limits);
        let ids: Vec<ScopeId> = scopes.map(|(id, _)| id).collect();
        limits.adopt_scopes(accounts, &ids, &mut Vec::new());
        limits
    }

    /// Adopts the limits of `providers`: charges stay, and the headroom changes by the difference
    /// of the limits. The words of `fresh` providers start at their limits.
    pub fn adopt(&mut self, providers: &[Provider], fresh: &[ProviderId], orders: &mut Vec<Order>) {
        for id in fresh {
            self.clear(Subject::Provider(*id));
            if self.cooldowns.len() <= id.index() {
                self.cooldowns
                    .resize_with(id.index() + 1, Cooldown::default);
            }
            self.cooldowns[id.index()] = Cooldown::default();
        }
        for one in providers {
            let limits = [one.requests_per_minute, one.tokens_per_minute];
            self.set(Subject::Provider(one.id), (limits, one.reach), orders);
        }
    }

    /// Adopts the limits of scopes, likewise.
    pub fn adopt_scopes(
        &mut self,
        accounts: &Accounts,
        fresh: &[ScopeId],
        orders: &mut Vec<Order>,
    ) {
        for id in fresh {
            self.clear(Subject::Scope(*id));
        }
        for (id, limits) in accounts.all().iter().filter_map(|one| one.limits) {
            let per_minute = [limits.requests_per_minute, limits.tokens_per_minute];
            self.set(Subject::Scope(id), (per_minute, limits.reach), orders);
        }
    }

    /// Takes in a shard's fact.
    pub fn on_fact(&mut self, fact: &Fact, orders: &mut Vec<Order>) {
        match *fact {
            Fact::Admitted(Admitted {
                subject,
                at,
                requests,
                tokens,
                day: _,
            }) => {
                if let Some(account) = self.account(subject)
                    && let Some(window) = &mut account.window
                {
                    let returned = window.on_admitted(at, requests, tokens);
                    account.give(subject, returned, orders);
                    self.order_frees_at(subject, orders);
                }
            }
            Fact::Ended(ended) => {
                match (ended.signal, self.cooldowns.get_mut(ended.provider.index())) {
                    (Signal::Success, Some(cooldown)) => cooldown.on_success(ended.admitted),
                    (Signal::Success | Signal::Failure | Signal::Neutral, _) => {}
                }
            }
            Fact::Succeeded(ref all) => {
                if let Some(cooldown) = self.cooldowns.get_mut(all.provider.index()) {
                    let admitted = all.list().iter().map(|one| one.admitted).max();
                    cooldown.on_success(admitted.unwrap_or_default());
                }
            }
            Fact::Left(Left {
                subject,
                admitted,
                day: _,
                reserved,
                excess,
                used,
            }) => {
                let past = Past {
                    admitted,
                    reserved,
                    excess,
                    used,
                };
                self.on_past(subject, past, orders);
            }
            Fact::Cooldown { provider, at, span } => {
                let cooldown = self.cooldowns.get_mut(provider.index());
                if let Some(until) = cooldown.and_then(|one| one.on_refused(at, span)) {
                    orders.push(Order::Cooldown { provider, until });
                }
            }
            Fact::ProbeTaken { .. }
            | Fact::ProbeAnswered { .. }
            | Fact::Settled { .. }
            | Fact::Refused { .. }
            | Fact::Forgotten { .. } => {}
        }
    }

    fn on_past(&mut self, subject: Subject, past: Past, orders: &mut Vec<Order>) {
        let Some(account) = self.account(subject) else {
            return;
        };
        let Some(window) = &mut account.window else {
            return;
        };
        // The shard has taken the excess already: it is not taken twice, and the part that does not
        // belong to the window goes back.
        let change = window.on_ended(past.admitted, past.reserved, past.used);
        let tokens = change.saturating_add(signed(past.excess.get()));
        account.order(subject, [0, tokens], orders);
        self.order_frees_at(subject, orders);
    }

    /// Time passes.
    pub fn on_time(&mut self, now: Instant, orders: &mut Vec<Order>) {
        while self.deadline().is_some_and(|at| at <= now) {
            let Some((_, subject)) = self.due.pop_first() else {
                return;
            };
            if let Some(account) = self.account(subject)
                && let Some(window) = &mut account.window
            {
                let returned = window.expire(now);
                account.give(subject, returned, orders);
                self.order_frees_at(subject, orders);
            }
        }
    }

    /// When [`Self::on_time`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Requests and tokens in the subject's window.
    #[must_use]
    pub fn held(&self, subject: Subject) -> [u64; 2] {
        let account = match subject {
            Subject::Provider(id) => self.providers.get(id.index()),
            Subject::Scope(id) => self.scopes.get(id.index()),
        };
        let window = account.and_then(|account| account.window.as_ref());
        let held = window.map(Window60::held).unwrap_or_default();
        [held.requests, held.tokens.get()]
    }

    /// The length of the windows.
    #[must_use]
    pub const fn span(&self) -> Duration {
        self.span
    }

    fn account(&mut self, subject: Subject) -> Option<&mut Account> {
        match subject {
            Subject::Provider(id) => self.providers.get_mut(id.index()),
            Subject::Scope(id) => self.scopes.get_mut(id.index()),
        }
    }

    /// The subject has another holder: nothing is known of it.
    fn clear(&mut self, subject: Subject) {
        let before = std::mem::take(self.entry(subject));
        self.due.remove(&(before.frees_at, subject));
    }

    /// The subject's account; the ids below it get theirs, too.
    fn entry(&mut self, subject: Subject) -> &mut Account {
        let (accounts, place) = match subject {
            Subject::Provider(id) => (&mut self.providers, id.index()),
            Subject::Scope(id) => (&mut self.scopes, id.index()),
        };
        if accounts.len() <= place {
            accounts.resize_with(place + 1, Account::default);
        }
        &mut accounts[place]
    }

    /// Gives the subject these limits: requests and tokens.
    fn set(
        &mut self,
        subject: Subject,
        (limits, reach): ([Option<u64>; 2], Reach),
        orders: &mut Vec<Order>,
    ) {
        let span = self.span;
        let account = self.entry(subject);
        if limits != [None; 2] {
            account.window.get_or_insert_with(|| Window60::new(span));
        }
        account.adopt(subject, (limits, reach), orders);
    }

    /// Orders when the next request leaves the subject's window, if that has changed.
    fn order_frees_at(&mut self, subject: Subject, orders: &mut Vec<Order>) {
        let Some(account) = self.account(subject) else {
            return;
        };
        let window = account.window.as_ref();
        let at = window.and_then(Window60::deadline).unwrap_or_default();
        let before = std::mem::replace(&mut account.frees_at, at);
        if at == before {
            return;
        }
        self.due.remove(&(before, subject));
        if at > Instant::ZERO {
            self.due.insert((at, subject));
        }
        orders.push(Order::FreesAt { subject, at });
    }
}

impl Account {
    /// Adopts limits. The first ones are those at which its words begin. Later on, a word that was
    /// never used starts with the rest of its limit; any other changes by the difference, since
    /// shards may have taken from it without having reported it.
    fn adopt(
        &mut self,
        subject: Subject,
        (limits, reach): ([Option<u64>; 2], Reach),
        orders: &mut Vec<Order>,
    ) {
        let held = self.window.as_ref().map(Window60::held).unwrap_or_default();
        let held = [held.requests, held.tokens.get()];
        let was_leased = std::mem::replace(&mut self.is_leased, reach == Reach::Fleet);
        // What is leased is given by whoever leases it: to the books, there is nothing but what is
        // in the window when the lease begins.
        let begins = self.is_leased && !was_leased;
        let base = |place: usize| {
            if begins && self.has_begun {
                held[place]
            } else {
                0
            }
        };
        let own = |place: usize, limit| if self.is_leased { base(place) } else { limit };
        let limits = [0, 1].map(|place| limits[place].map(|limit| own(place, limit)));
        if !std::mem::replace(&mut self.has_begun, true) {
            self.counted = limits;
            return;
        }
        let mut changes = [0; 2];
        for (place, limit) in limits.into_iter().enumerate() {
            let Some(limit) = limit else { continue };
            if was_leased && self.is_leased {
                self.counted[place].get_or_insert(0);
                continue;
            }
            let before = self.counted[place].replace(limit);
            changes[place] = signed(limit).saturating_sub(signed(before.unwrap_or(held[place])));
        }
        self.order(subject, changes, orders);
        if begins {
            self.counted = self.counted.map(|counted| counted.map(|_| 0));
        }
    }

    fn give(&self, subject: Subject, returned: Returned, orders: &mut Vec<Order>) {
        let changes = [returned.requests, returned.tokens.get()].map(signed);
        self.order(subject, changes, orders);
    }

    /// Orders changes, of requests and tokens, that concern a limit; the words of limits that are
    /// not in force stay as they are.
    fn order(&self, subject: Subject, changes: [i64; 2], orders: &mut Vec<Order>) {
        let [counts_requests, counts_tokens] = self.counted.map(|limit| limit.is_some());
        let requests = if counts_requests { changes[0] } else { 0 };
        let tokens = if counts_tokens { changes[1] } else { 0 };
        if (requests, tokens) != (0, 0) {
            orders.push(Order::Headroom {
                subject,
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
#[path = "limits_tests.rs"]
mod tests;
