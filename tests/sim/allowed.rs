//! The judge's view of the limits of one scope of callers.

use std::time::Duration;

use infermux::testing::base::period::{Period, PeriodTag};
use infermux::testing::base::time::Instant;
use infermux::testing::config::scope::{Limits, Scope};
use infermux::testing::ledger::state::State;
use infermux::testing::link::scope_gate::{ScopeGate, ScopeLimit, ScopeLimits, ScopeTaken};

use crate::promise::{AttemptId, Held, promise};
use crate::window::{Counted, Limited, Window};

/// What is taken of a scope's limits, request by request.
pub(crate) struct Allowed {
    scope: Scope,
    window: Window,
    /// What the minute's words lack at most: nothing else is missing from them.
    lack: Lack,
    day: Day,
}

/// The running day, which shards and reloads change, and the coordinator turns.
struct Day {
    today: Period,
    /// The limits from which the words count down, requests and tokens: those last in force.
    counted: [Option<u64>; 2],
    /// Requests made; tokens used or reserved.
    taken: [i128; 2],
    /// What was used, without reservations.
    used: [u64; 2],
}

/// What was taken of the minute and has not surely come back.
#[derive(Default)]
struct Lack {
    charges: Vec<Charge>,
    requests: u64,
    tokens: u64,
}

struct Charge {
    request: AttemptId,
    at: Instant,
    requests: u64,
    tokens: u64,
    /// Whether the coordinator knows of it.
    is_merged: bool,
    /// Whether it has exceeded what was taken for it, and the coordinator does not know.
    is_owed: bool,
}

impl Allowed {
    /// `used` is what is known of the running day under the scope's name.
    pub(crate) fn new((scope, limits): (&Scope, &Limits), today: Period, used: [u64; 2]) -> Self {
        let mut new = Self {
            scope: scope.clone(),
            window: Window::new(Limited::default()),
            lack: Lack::default(),
            day: Day {
                today,
                counted: [None; 2],
                taken: used.map(i128::from),
                used,
            },
        };
        new.on_reload(limits);
        new
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What was used of the running day.
    pub(crate) fn used(&self) -> (Period, [u64; 2]) {
        (self.day.today, self.day.used)
    }

    /// The configuration was reloaded: other limits, and what is taken stays.
    pub(crate) fn on_reload(&mut self, limits: &Limits) {
        let Limits {
            requests_per_minute,
            tokens_per_minute,
            requests_per_day,
            tokens_per_day,
            max_in_flight,
            enforce: _,
            reach: _,
        } = *limits;
        let in_flight = max_in_flight.map(u64::from);
        self.window.on_reload(Limited::new(
            requests_per_minute,
            tokens_per_minute,
            in_flight,
        ));
        let [requests, tokens] = &mut self.day.counted;
        *requests = requests_per_day.or(*requests);
        *tokens = tokens_per_day.or(*tokens);
    }

    /// A shard has taken this from a gate with these limits.
    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        (taken, limits): (&ScopeTaken, &ScopeLimits),
        request: AttemptId,
    ) -> Held {
        let counted = Counted::under(Limited::of_scope(limits), limits.mode);
        self.window
            .on_taken(now, (taken.tokens(), counted), request)?;
        self.lack.add(Charge {
            request,
            at: now,
            requests: taken.requests(),
            tokens: taken.tokens(),
            is_merged: !limits.must_be_told(),
            is_owed: false,
        });
        let day = &mut self.day;
        for (place, (tag, amount)) in of_day(taken).into_iter().enumerate() {
            let Some(tag) = tag else { continue };
            // proves: limit.never-over
            promise("limit.never-over", tag == day.today.tag(), || {
                format!("taken of the day with {tag:?}, and it is {}", day.today)
            })?;
            day.taken[place] += i128::from(amount);
        }
        let [requests, tokens] = [0, 1].map(|place| day.left(place));
        day.used[0] += u64::from(taken.request_of().is_some());
        let fits = |left: Option<i128>, tag: Option<PeriodTag>| {
            counted.is_kept() <= (tag.is_none() || left.is_none_or(|left| left >= 0))
        };
        let kept = fits(requests, taken.request_of())
            && fits(tokens, taken.tokens_of().map(|(tag, _)| tag));
        promise("limit.never-over", kept, || {
            format!("{requests:?} requests and {tokens:?} tokens are left of the day")
        })
    }

    /// Its request has ended with so many tokens.
    pub(crate) fn on_settled(
        &mut self,
        now: Instant,
        (taken, limits): (&ScopeTaken, &ScopeLimits),
        (used, request): (u64, AttemptId),
    ) -> Held {
        let counted = Counted::under(Limited::of_scope(limits), limits.mode);
        self.window.on_used(used, request);
        if limits.of(ScopeLimit::TokensPerMinute).is_some() && used > taken.tokens() {
            self.lack.on_excess(now, used - taken.tokens(), request);
        }
        if let Some((tag, amount)) = taken.tokens_of()
            && self.day.today.last_with_tag(tag) == self.day.today
        {
            self.day.taken[1] += i128::from(used) - i128::from(amount);
            self.day.used[1] += used;
        }
        self.window.on_left(counted)
    }

    /// The coordinator knows that a request was admitted.
    pub(crate) fn on_admitted(&mut self, request: AttemptId) {
        if let Some(charge) = self.lack.find(request) {
            charge.is_merged = true;
        }
    }

    /// The coordinator knows that a request has ended.
    pub(crate) fn on_merged(&mut self, admitted: Instant, (used, request): (u64, AttemptId)) {
        self.window.on_merged(used, request);
        self.lack.on_merged(admitted, used, request);
    }

    /// The coordinator has done what was due, in this day.
    pub(crate) fn on_due(&mut self, now: Instant) {
        self.lack.forget(now);
    }

    pub(crate) fn on_day(&mut self, today: Period) {
        self.day.today = today;
        self.day.taken = [0; 2];
        self.day.used = [0; 2];
    }

    /// Whether `limit`, which allows `most`, may lack room for a request of `tokens` tokens.
    pub(crate) fn is_full(&self, (limit, most): (ScopeLimit, u64), tokens: u64) -> bool {
        let (requests, of_minute) = self.window.limits();
        let lacks = |limit: Option<u64>, lack: u64, amount: u64| {
            limit.is_none_or(|limit| lack + amount > limit)
        };
        let is_short = |place: usize, amount: u64| {
            let left = self.day.left(place);
            left.is_none_or(|left| left < i128::from(amount))
        };
        match limit {
            ScopeLimit::InFlight => self.window.in_flight() >= most,
            ScopeLimit::RequestsPerMinute => lacks(requests, self.lack.requests, 1),
            ScopeLimit::TokensPerMinute => lacks(of_minute, self.lack.tokens, tokens.min(most)),
            ScopeLimit::RequestsPerDay => is_short(0, 1),
            ScopeLimit::TokensPerDay => is_short(1, tokens.min(most)),
        }
    }

    /// What must hold after every step.
    pub(crate) fn check(&mut self, now: Instant, gate: &ScopeGate) -> Held {
        let left = gate.left(now);
        let left = |limit| left.of(limit).map(|one| one.left);
        let minute = (
            left(ScopeLimit::RequestsPerMinute),
            left(ScopeLimit::TokensPerMinute),
        );
        self.window.check(now, minute)?;
        let (requests, tokens) = self.window.limits();
        let lack = (self.lack.requests, self.lack.tokens);
        let is_there = |left: Option<u64>, limit: Option<u64>, lack: u64| {
            left.zip(limit)
                .is_none_or(|(left, limit)| left >= limit.saturating_sub(lack))
        };
        // proves: reservation.settled-once
        promise(
            "reservation.settled-once",
            is_there(minute.0, requests, lack.0) && is_there(minute.1, tokens, lack.1),
            || {
                let (scope, limits) = (&self.scope, (requests, tokens));
                format!("{scope} has {minute:?} left of {limits:?}, and {lack:?} are taken")
            },
        )?;
        let places = gate.limits().of(ScopeLimit::InFlight);
        let (free, in_flight) = (left(ScopeLimit::InFlight), self.window.in_flight());
        let expected = places.map(|most| most.saturating_sub(in_flight));
        promise("reservation.settled-once", free == expected, || {
            format!("the word says {free:?} of {places:?} are free, and {in_flight} are in flight")
        })?;
        for (place, limit) in OF_DAY.into_iter().enumerate() {
            let (left, expected) = (left(limit), self.day.left(place));
            let same = left.zip(expected).is_none_or(|(left, expected)| {
                let most = gate.limits().of(limit).map_or(0, i128::from);
                i128::from(left) == expected.clamp(0, most)
            });
            // proves: limit.never-over
            promise("limit.never-over", same, || {
                let (scope, limit) = (&self.scope, limit.name());
                format!("{scope}: the word of {limit} says {left:?}, and {expected:?} is left")
            })?;
        }
        Ok(())
    }

    /// What must hold when all requests are over, and the minute is empty.
    pub(crate) fn check_end(&self, now: Instant, gate: &ScopeGate, state: &State) -> Held {
        let left = gate.left(now);
        let left = |limit| left.of(limit).map(|one| one.left);
        let minute = (
            left(ScopeLimit::RequestsPerMinute),
            left(ScopeLimit::TokensPerMinute),
        );
        let free = left(ScopeLimit::InFlight).unwrap_or(0);
        self.window.check_end(minute, |_| free)?;
        let (today, used) = self.used();
        let saved = state.used_on(today, &self.scope);
        // proves: reservation.settled-once
        promise("reservation.settled-once", saved == used, || {
            let scope = &self.scope;
            format!("{scope} has used {used:?} on {today}, and {saved:?} is saved")
        })
    }
}

impl Day {
    /// What is left: of requests, of tokens; below zero what is owed.
    fn left(&self, place: usize) -> Option<i128> {
        Some(i128::from(self.counted[place]?) - self.taken[place])
    }
}

impl Lack {
    fn add(&mut self, charge: Charge) {
        self.requests += charge.requests;
        self.tokens += charge.tokens;
        self.charges.push(charge);
    }

    fn find(&mut self, request: AttemptId) -> Option<&mut Charge> {
        let mut latest = self.charges.iter_mut().rev();
        latest.find(|one| one.request == request)
    }

    /// A shard has taken more from the words.
    fn on_excess(&mut self, now: Instant, excess: u64, request: AttemptId) {
        match self.find(request) {
            Some(charge) => {
                charge.tokens += excess;
                charge.is_owed = true;
                self.tokens += excess;
            }
            None => self.add(Charge {
                request,
                at: now,
                requests: 0,
                tokens: excess,
                is_merged: true,
                is_owed: true,
            }),
        }
    }

    /// What it did not use has come back; what it used is taken, whether or not it was charged.
    fn on_merged(&mut self, at: Instant, used: u64, request: AttemptId) {
        if let Some(charge) = self.find(request) {
            charge.is_owed = false;
            let before = std::mem::replace(&mut charge.tokens, used);
            self.tokens = self.tokens - before + used;
            return;
        }
        self.add(Charge {
            request,
            at,
            requests: 0,
            tokens: used,
            is_merged: true,
            is_owed: false,
        });
    }

    /// What the coordinator knows has come back when its second has left the minute.
    fn forget(&mut self, now: Instant) {
        let (requests, tokens) = (&mut self.requests, &mut self.tokens);
        self.charges.retain(|charge| {
            let is_back = charge.is_merged && !charge.is_owed && charge.at + KEPT <= now;
            if is_back {
                *requests -= charge.requests;
                *tokens -= charge.tokens;
            }
            !is_back
        });
    }
}

/// The day of which requests, and of which tokens were taken, and how many.
fn of_day(taken: &ScopeTaken) -> [(Option<PeriodTag>, u64); 2] {
    let tokens = taken
        .tokens_of()
        .map_or((None, 0), |(tag, amount)| (Some(tag), amount));
    [(taken.request_of(), 1), tokens]
}

const OF_DAY: [ScopeLimit; 2] = [ScopeLimit::RequestsPerDay, ScopeLimit::TokensPerDay];
/// A second of admission leaves the minute as a whole.
const KEPT: Duration = Duration::from_secs(61);
