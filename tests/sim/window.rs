//! The judge's view of the limits of one provider, or of one scope of callers: those of the rolling
//! minute, and of what is in flight.

use std::collections::VecDeque;
use std::time::Duration;

use infermux::testing::base::time::Instant;
use infermux::testing::config::plan::Provider;
use infermux::testing::link::scope_gate::{LimitMode, ScopeLimit, ScopeLimits};

use crate::promise::{AttemptId, Held, promise};

/// What was admitted within the latest window, attempt by attempt; for a scope, request by request.
pub(crate) struct Window {
    limits: Limited,
    /// By when they were admitted.
    charges: VecDeque<Charge>,
    /// Of these, the requests, and the tokens.
    charged: u64,
    tokens_charged: u64,
    in_flight: u64,
}

struct Charge {
    attempt: AttemptId,
    /// When it was admitted; at first, when it was taken.
    at: Instant,
    /// Tokens taken for it; once it has ended, tokens used where that is more; once its end is
    /// merged, tokens used.
    tokens: u64,
    counted: Counted,
}

/// The limits of one configuration.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limited {
    requests: Option<u64>,
    tokens: Option<u64>,
    places: Option<u64>,
}

/// What a gate counts: an attempt by a configuration without a limit is not charged to it.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    requests: bool,
    tokens: bool,
    places: Option<u64>,
    /// Whether its limits refuse.
    mode: LimitMode,
}

impl Limited {
    pub(crate) fn new(requests: Option<u64>, tokens: Option<u64>, places: Option<u64>) -> Self {
        Self {
            requests,
            tokens,
            places,
        }
    }

    pub(crate) fn of(provider: &Provider) -> Self {
        Self {
            requests: provider.requests_per_minute,
            tokens: provider.tokens_per_minute,
            places: provider.max_in_flight.map(u64::from),
        }
    }

    pub(crate) fn of_scope(limits: &ScopeLimits) -> Self {
        Self {
            requests: limits.of(ScopeLimit::RequestsPerMinute),
            tokens: limits.of(ScopeLimit::TokensPerMinute),
            places: limits.of(ScopeLimit::InFlight),
        }
    }
}

impl Counted {
    /// By a gate of this provider.
    pub(crate) fn by(provider: &Provider) -> Self {
        Self::under(Limited::of(provider), LimitMode::Refuse)
    }

    /// By a gate with these limits.
    pub(crate) fn under(limits: Limited, mode: LimitMode) -> Self {
        Self {
            requests: limits.requests.is_some(),
            tokens: limits.tokens.is_some(),
            places: limits.places,
            mode,
        }
    }

    /// Whether no limit of its kind may be exceeded.
    pub(crate) fn is_kept(self) -> bool {
        self.mode == LimitMode::Refuse
    }
}

impl Window {
    pub(crate) fn new(limits: Limited) -> Self {
        Self {
            limits,
            charges: VecDeque::new(),
            charged: 0,
            tokens_charged: 0,
            in_flight: 0,
        }
    }

    /// The configuration was reloaded: other limits, and what is charged stays.
    pub(crate) fn on_reload(&mut self, limits: Limited) {
        self.limits = limits;
    }

    /// Requests and tokens of the minute.
    pub(crate) fn limits(&self) -> (Option<u64>, Option<u64>) {
        (self.limits.requests, self.limits.tokens)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        (tokens, counted): (u64, Counted),
        attempt: AttemptId,
    ) -> Held {
        self.in_flight += u64::from(counted.places.is_some());
        let in_flight = self.in_flight;
        // proves: limit.never-over
        promise(
            "limit.never-over",
            !counted.is_kept() || counted.places.is_none_or(|max| in_flight <= max),
            || {
                format!(
                    "{in_flight} requests at once, with room for {:?}",
                    counted.places
                )
            },
        )?;
        self.add(Charge {
            attempt,
            at: now,
            tokens,
            counted,
        });
        self.expire(now);
        if !counted.is_kept() {
            return Ok(());
        }
        let (requests, tokens) = (self.charged, self.tokens_charged);
        let most = self.limits;
        promise(
            "limit.never-over",
            !counted.requests || most.requests.is_none_or(|max| requests <= max),
            || format!("{requests} requests in a minute of {:?}", most.requests),
        )?;
        promise(
            "limit.never-over",
            !counted.tokens || most.tokens.is_none_or(|max| tokens <= max),
            || format!("{tokens} tokens in a minute of {:?}", most.tokens),
        )
    }

    fn add(&mut self, charge: Charge) {
        self.charged += u64::from(charge.counted.requests);
        self.tokens_charged += charge.tokens;
        let later = |one: &&Charge| one.at > charge.at;
        let place = self.charges.len() - self.charges.iter().rev().take_while(later).count();
        self.charges.insert(place, charge);
    }

    fn remove(&mut self, attempt: AttemptId) -> Option<Charge> {
        let place = self
            .charges
            .iter()
            .rposition(|one| one.attempt == attempt)?;
        let charge = self.charges.remove(place)?;
        self.charged -= u64::from(charge.counted.requests);
        self.tokens_charged -= charge.tokens;
        Some(charge)
    }

    fn expire(&mut self, now: Instant) {
        let is_old = |one: &Charge| one.at + SPAN <= now;
        while self.charges.front().is_some_and(is_old) {
            if let Some(charge) = self.charges.pop_front() {
                self.charged -= u64::from(charge.counted.requests);
                self.tokens_charged -= charge.tokens;
            }
        }
    }

    /// It was admitted a little after it was taken.
    pub(crate) fn on_admitted(&mut self, at: Instant, attempt: AttemptId) {
        if let Some(charge) = self.remove(attempt) {
            self.add(Charge { at, ..charge });
        }
    }

    pub(crate) fn on_left(&mut self, counted: Counted) -> Held {
        if counted.places.is_none() {
            return Ok(());
        }
        promise("reservation.settled-once", self.in_flight > 0, || {
            "more attempts have ended than were begun".to_owned()
        })?;
        self.in_flight -= 1;
        Ok(())
    }

    /// An attempt has ended: from now on at least the tokens that it used are taken.
    pub(crate) fn on_used(&mut self, used: u64, attempt: AttemptId) {
        self.charge(attempt, |tokens| tokens.max(used));
    }

    /// An attempt's end is merged: the tokens that it used are taken.
    pub(crate) fn on_merged(&mut self, used: u64, attempt: AttemptId) {
        self.charge(attempt, |_| used);
    }

    fn charge(&mut self, attempt: AttemptId, tokens: impl FnOnce(u64) -> u64) {
        if let Some(charge) = self.remove(attempt) {
            let is_counted = charge.counted.tokens;
            let tokens = if is_counted { tokens(charge.tokens) } else { 0 };
            self.add(Charge { tokens, ..charge });
        }
    }

    /// What must hold after every step: the words say that so many requests and tokens are left.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        (requests, tokens): (Option<u64>, Option<u64>),
    ) -> Held {
        self.expire(now);
        let most = self.limits;
        let taken = self.charged;
        let fits = |left: Option<u64>, taken: u64, limit: Option<u64>| {
            left.zip(limit)
                .is_none_or(|(left, limit)| left == 0 || left + taken <= limit)
        };
        // proves: limit.never-over
        promise(
            "limit.never-over",
            fits(requests, taken, most.requests),
            || {
                format!(
                    "{taken} requests within a minute and {requests:?} left: {:?}",
                    most.requests
                )
            },
        )?;
        let taken = self.tokens_charged;
        promise("limit.never-over", fits(tokens, taken, most.tokens), || {
            format!(
                "{taken} tokens within a minute and {tokens:?} left: {:?}",
                most.tokens
            )
        })
    }

    /// All has come back, and all places are free: so many of some number.
    pub(crate) fn check_end(
        &self,
        headroom: (Option<u64>, Option<u64>),
        free: impl FnOnce(u64) -> u64,
    ) -> Held {
        let most = self.limits;
        // proves: reservation.settled-once
        promise(
            "reservation.settled-once",
            headroom == (most.requests, most.tokens),
            || format!("left {headroom:?} of {:?}", (most.requests, most.tokens)),
        )?;
        let Some(places) = most.places else {
            return Ok(());
        };
        let free = free(places);
        promise("reservation.settled-once", free == places, || {
            format!("{free} places are free of {places}")
        })
    }
}

const SPAN: Duration = Duration::from_secs(60);
