//! The judge's view of one provider's limits.

use std::collections::VecDeque;
use std::time::Duration;

use infermux::testing::base::time::Instant;
use infermux::testing::config::plan::Provider;
use infermux::testing::link::provider_gate::ProviderGate;

use crate::promise::{AttemptId, Held, promise};

/// What was admitted within the latest window, attempt by attempt.
pub(crate) struct Window {
    requests: Option<u64>,
    tokens: Option<u64>,
    places: Option<u32>,
    /// By when they were admitted.
    charges: VecDeque<Charge>,
    /// Of these, the requests, and the tokens.
    charged: u64,
    tokens_charged: u64,
    in_flight: u32,
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

/// What a gate counts: an attempt by a configuration without a limit is not charged to it.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    requests: bool,
    tokens: bool,
    places: Option<u32>,
}

impl Counted {
    /// By a gate of this provider.
    pub(crate) fn by(provider: &Provider) -> Self {
        Self {
            requests: provider.requests_per_minute.is_some(),
            tokens: provider.tokens_per_minute.is_some(),
            places: provider.max_in_flight,
        }
    }
}

impl Window {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self {
            requests: provider.requests_per_minute,
            tokens: provider.tokens_per_minute,
            places: provider.max_in_flight,
            charges: VecDeque::new(),
            charged: 0,
            tokens_charged: 0,
            in_flight: 0,
        }
    }

    /// The configuration was reloaded: other limits, and what is charged stays.
    pub(crate) fn on_reload(&mut self, provider: &Provider) {
        self.requests = provider.requests_per_minute;
        self.tokens = provider.tokens_per_minute;
        self.places = provider.max_in_flight;
    }

    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        (tokens, counted): (u64, Counted),
        attempt: AttemptId,
    ) -> Held {
        self.in_flight += u32::from(counted.places.is_some());
        let in_flight = self.in_flight;
        // proves: limit.never-over
        promise(
            "limit.never-over",
            counted.places.is_none_or(|max| in_flight <= max),
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
        let (requests, tokens) = (self.charged, self.tokens_charged);
        promise(
            "limit.never-over",
            !counted.requests || self.requests.is_none_or(|max| requests <= max),
            || format!("{requests} requests in a minute of {:?}", self.requests),
        )?;
        promise(
            "limit.never-over",
            !counted.tokens || self.tokens.is_none_or(|max| tokens <= max),
            || format!("{tokens} tokens in a minute of {:?}", self.tokens),
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

    pub(crate) fn check(&mut self, now: Instant, gate: &ProviderGate) -> Held {
        let (requests, tokens) = gate.headroom();
        self.expire(now);
        let taken = self.charged;
        let fits = |left: Option<u64>, taken: u64, limit: Option<u64>| {
            left.zip(limit)
                .is_none_or(|(left, limit)| left == 0 || left + taken <= limit)
        };
        // proves: limit.never-over
        promise(
            "limit.never-over",
            fits(requests, taken, self.requests),
            || {
                format!(
                    "{taken} requests within a minute and {requests:?} left: {:?}",
                    self.requests
                )
            },
        )?;
        let taken = self.tokens_charged;
        promise("limit.never-over", fits(tokens, taken, self.tokens), || {
            format!(
                "{taken} tokens within a minute and {tokens:?} left: {:?}",
                self.tokens
            )
        })
    }

    /// All has come back, and all places are free: the gate's last permits are taken to see it.
    pub(crate) fn check_end(&self, gate: &ProviderGate) -> Held {
        let headroom = gate.headroom();
        // proves: reservation.settled-once
        promise(
            "reservation.settled-once",
            headroom == (self.requests, self.tokens),
            || format!("left {headroom:?} of {:?}", (self.requests, self.tokens)),
        )?;
        let Some(places) = self.places else {
            return Ok(());
        };
        let taken = (0..=places).filter(|_| gate.take(0).is_some()).count();
        promise("reservation.settled-once", taken == places as usize, || {
            format!("{taken} places are free of {places}: {gate:?}")
        })
    }
}

const SPAN: Duration = Duration::from_secs(60);
