//! The words of one scope of callers with limits, which every shard takes from.

use crate::link::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::base::period::PeriodTag;
use crate::base::time::Instant;
use crate::decide::limiter::{DayWord, Window60};
use crate::link::Padded;
use crate::link::lease::{Lease, Leases};
use crate::link::origin::Origin;
use crate::link::pause::Pause;
use crate::link::scope_limits::LimitSet;
pub use crate::link::scope_limits::{LimitLeft, LimitMode, ScopeLeft, ScopeLimit, ScopeLimits};
pub use crate::link::scope_taken::{Missing, ScopeRefusal, ScopeTaken};
use crate::link::taking::{Fits, change, signed, take_of_day, take_place, take_room};

/// One scope's words, and its limits under one configuration. Only the words of limits that exist
/// are touched.
#[derive(Clone, Debug)]
pub struct ScopeGate {
    words: Arc<Padded<Words>>,
    day_end: DayEnd,
    limits: ScopeLimits,
    /// Those of them that there are.
    there: LimitSet,
    /// The leases of its quotas, where it does not have all of its limits.
    pub(super) leases: Option<Arc<Padded<Leases>>>,
}

/// The words that limits count in, whether or not there are limits: each new configuration takes
/// them over.
#[derive(Debug, Default)]
pub(super) struct Words {
    in_flight: AtomicU32,
    /// Requests and tokens that the rolling minute still has room for. Only the coordinator gives
    /// back what was reported to it.
    requests: AtomicI64,
    tokens: AtomicI64,
    /// Requests and tokens that are left of the day.
    pub(super) day_requests: AtomicU64,
    pub(super) day_tokens: AtomicU64,
    /// When the next request leaves the rolling minute; 0 when it is empty.
    pub(super) frees_at: AtomicU64,
    /// By limit, requests that it has refused.
    refused: [AtomicU64; ScopeLimit::ALL.len()],
    /// By limit, requests that were served although it would have refused them.
    exceeded: [AtomicU64; ScopeLimit::ALL.len()],
    /// Between two warnings of these.
    warnings: Pause,
}

/// When the running day ends: one word for all scopes.
#[derive(Clone, Debug, Default)]
pub struct DayEnd(Arc<Padded<AtomicU64>>);

/// The pause between two warnings that a scope's limits would have refused requests.
const WARNED_EVERY: Duration = Duration::from_secs(60);
/// How long a caller is asked to wait when all of `max_in_flight` is taken.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);
/// How long a caller is asked to wait where other instances have what is missing.
pub(super) const PART_WAIT: Duration = Duration::from_secs(1);

impl DayEnd {
    /// Publishes when the running day ends; only the coordinator calls this.
    pub fn set(&self, at: Instant) {
        self.0.0.store(at.as_nanos(), Ordering::Relaxed);
    }

    /// When the running day ends.
    #[must_use]
    pub fn get(&self) -> Instant {
        Instant::from_nanos(self.0.0.load(Ordering::Relaxed))
    }
}

impl ScopeGate {
    /// A scope with all of its minute, or with no part of it yet where that is leased; nothing is
    /// left of the day until the coordinator begins it.
    #[must_use]
    pub fn new(limits: ScopeLimits, day_end: DayEnd) -> Self {
        let all = |limit| {
            let most = limits.of(limit).filter(|_| limits.origin == Origin::Own);
            AtomicI64::new(most.map_or(0, signed))
        };
        let words = Words {
            requests: all(ScopeLimit::RequestsPerMinute),
            tokens: all(ScopeLimit::TokensPerMinute),
            ..Words::default()
        };
        Self {
            words: Arc::new(Padded(words)),
            day_end,
            limits,
            there: limits.there(),
            leases: (limits.origin == Origin::Leased).then(|| Arc::new(Leases::none())),
        }
    }

    /// The same words under other limits. When a limit changes, the coordinator gives back, or
    /// takes, the difference; requests that were admitted without a limit do not count in it.
    #[must_use]
    pub fn with_limits(&self, limits: ScopeLimits) -> Self {
        let leases = match limits.origin {
            Origin::Own => None,
            Origin::Leased => {
                let leases = self.leases.clone();
                Some(leases.unwrap_or_else(|| Arc::new(Leases::none())))
            }
        };
        Self {
            limits,
            there: limits.there(),
            leases,
            ..self.clone()
        }
    }

    /// The limits that are in force.
    #[must_use]
    pub const fn limits(&self) -> &ScopeLimits {
        &self.limits
    }

    /// Takes what a request of `tokens` tokens needs. One that needs more tokens than a limit
    /// allows in all takes all of them.
    ///
    /// # Errors
    ///
    /// A limit refuses the request: nothing is taken.
    #[inline]
    pub fn take(&self, now: Instant, tokens: u64) -> Result<ScopeTaken, ScopeRefusal> {
        if self.leases.is_some() || self.limits.mode == LimitMode::Count {
            return self.take_as_they_are(now, tokens);
        }
        let mut taken = ScopeTaken::default();
        for limit in self.there {
            let most = self.limits.of(limit).unwrap_or_default();
            let asked = (limit, most, LimitMode::Refuse);
            if self.take_of(asked, tokens, &mut taken) == Fits::No {
                return Err(self.refuse((limit, now), &taken));
            }
            taken.counting.insert(limit);
        }
        Ok(taken)
    }

    /// As [`Self::take`], where parts of limits are leased, or limits only count.
    #[inline(never)]
    fn take_as_they_are(&self, now: Instant, tokens: u64) -> Result<ScopeTaken, ScopeRefusal> {
        let mut taken = ScopeTaken {
            origin: self.limits.origin,
            ..ScopeTaken::default()
        };
        for limit in self.there {
            let most = self.limits.of(limit).unwrap_or_default();
            let mode = self.mode(limit, now);
            let fits = mode.map_or(Fits::No, |mode| {
                self.take_of((limit, most, mode), tokens, &mut taken)
            });
            match (fits, mode) {
                (Fits::Yes, _) => {}
                // It is taken in any case, and so comes back where a later limit refuses.
                (Fits::No, Some(LimitMode::Count)) => taken.exceeded.insert(limit),
                (Fits::No, Some(LimitMode::Refuse) | None) => {
                    return Err(self.refuse((limit, now), &taken));
                }
            }
            taken.counting.insert(limit);
        }
        Ok(taken)
    }

    /// Gives back what was taken so far, and says why `limit` refuses the request.
    #[cold]
    fn refuse(&self, (limit, now): (ScopeLimit, Instant), taken: &ScopeTaken) -> ScopeRefusal {
        self.undo(taken);
        self.refusal(limit, now)
    }

    /// Which limit would refuse a request of `tokens` tokens now: nothing is taken or counted.
    #[must_use]
    pub fn look(&self, now: Instant, tokens: u64) -> Option<ScopeRefusal> {
        let left = self.left(now);
        let mut limits = ScopeLimit::ALL.into_iter().filter_map(|limit| {
            let one = left.of(limit)?;
            let needed = match limit {
                ScopeLimit::InFlight
                | ScopeLimit::RequestsPerMinute
                | ScopeLimit::RequestsPerDay => 1,
                ScopeLimit::TokensPerMinute | ScopeLimit::TokensPerDay => tokens.min(one.limit),
            };
            (one.left < needed).then(|| ScopeRefusal {
                limit,
                until: self.until(limit, now),
                missing: Missing::Limit,
            })
        });
        match self.limits.mode {
            LimitMode::Refuse => limits.next(),
            LimitMode::Count => None,
        }
    }

    /// Counts a refusal by `limit`, of a request that was not served in the end.
    pub fn count_refusal(&self, limit: ScopeLimit) {
        self.words().refused[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The lease of `limit`, where the instance has a part of it only.
    #[must_use]
    pub fn lease(&self, limit: ScopeLimit) -> Option<&Lease> {
        Some(self.leases.as_ref()?.0.of(limit))
    }

    /// The request is not sent under this scope, and nobody was told of it: all comes back.
    pub fn cancel(&self, taken: ScopeTaken) {
        self.undo(&taken);
    }

    /// The request has passed all of its scopes, and is sent: the limits that it exceeds count it.
    /// The coordinator is to be told then what was taken ([`ScopeTaken::must_be_told`]). Returns
    /// the first of these limits and how many warnings were held back, where the log is to be told.
    pub fn admit(&self, taken: &ScopeTaken, now: Instant) -> Option<(ScopeLimit, u64)> {
        let mut exceeded = taken.exceeded;
        for limit in exceeded {
            self.words().exceeded[limit as usize].fetch_add(1, Ordering::Relaxed);
        }
        let first = exceeded.next()?;
        let kept_back = self.words().warnings.end_after(now, WARNED_EVERY)?;
        Some((first, kept_back))
    }

    /// The request has used `used` tokens: an excess is taken from the minute, even below zero, and
    /// its number is returned; what it did not use comes back to the day. What it did not use of
    /// the minute comes back when the coordinator is told.
    #[inline]
    #[must_use = "the coordinator must be told the excess"]
    pub fn settle(&self, taken: &ScopeTaken, used: u64) -> u64 {
        if let Some((day, of_day)) = taken.tokens_of() {
            let settle = |word: DayWord| word.settled(day.0, of_day, used);
            change(&self.words().day_tokens, settle);
        }
        if !taken.counting.has(ScopeLimit::TokensPerMinute) {
            return 0;
        }
        let excess = used.saturating_sub(taken.tokens());
        if excess > 0 {
            let tokens = &self.words().tokens;
            tokens.fetch_sub(signed(excess), Ordering::Relaxed);
        }
        excess
    }

    /// The request has ended: one in flight less.
    #[inline]
    pub fn release(&self) {
        if self.there.has(ScopeLimit::InFlight) {
            if let Some(leases) = &self.leases {
                leases.0.give_places(1);
            } else {
                self.words().in_flight.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// The limits that there are, in their order.
    #[inline]
    pub fn there(&self) -> impl Iterator<Item = ScopeLimit> + use<> {
        self.there
    }

    /// What is left of each limit.
    #[must_use]
    pub fn left(&self, now: Instant) -> ScopeLeft {
        ScopeLeft(ScopeLimit::ALL.map(|limit| self.left_of(limit, now)))
    }

    /// What is left of `limit`; `None`: there is no such limit.
    #[inline]
    #[must_use]
    pub fn left_of(&self, limit: ScopeLimit, now: Instant) -> Option<LimitLeft> {
        let most = self.limits.of(limit)?;
        let elsewhere = self.lease(limit).map_or(0, Lease::elsewhere);
        let left = self.word((limit, most)).saturating_add(signed(elsewhere));
        let used = signed(most).saturating_sub(left).max(0).unsigned_abs();
        let resets = match used {
            0 => now,
            _ => self.until(limit, now),
        };
        Some(LimitLeft {
            limit: most,
            used,
            left: most.saturating_sub(used),
            resets,
        })
    }

    /// Requests that `limit` has refused.
    #[must_use]
    pub fn refused(&self, limit: ScopeLimit) -> u64 {
        self.words().refused[limit as usize].load(Ordering::Relaxed)
    }

    /// Requests that were served although `limit` would have refused them.
    #[must_use]
    pub fn exceeded(&self, limit: ScopeLimit) -> u64 {
        self.words().exceeded[limit as usize].load(Ordering::Relaxed)
    }

    /// Gives back requests and tokens that have left the minute or were not used; only the
    /// coordinator calls this.
    pub fn give_back(&self, requests: i64, tokens: i64) {
        let words = self.words();
        for (left, amount) in [(&words.requests, requests), (&words.tokens, tokens)] {
            if amount != 0 {
                left.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// Publishes when the next request leaves the minute, [`Instant::ZERO`] when it is empty; only
    /// the coordinator calls this.
    pub fn set_frees_at(&self, at: Instant) {
        self.words()
            .frees_at
            .store(at.as_nanos(), Ordering::Relaxed);
    }

    /// Begins a day with this many requests and tokens; only the coordinator calls this. Requests
    /// under way belong to the day before.
    pub fn begin_day(&self, day: PeriodTag, requests: i64, tokens: i64) {
        let words = self.words();
        for (word, left) in [(&words.day_requests, requests), (&words.day_tokens, tokens)] {
            let begun = DayWord::new(day.0, left);
            // The models of interleavings know an order of swaps alone, and none of stores among
            // them.
            word.swap(begun.to_bits(), Ordering::AcqRel);
        }
    }

    /// Changes what is left of the day with this tag; only the coordinator calls this.
    pub fn change_day(&self, day: PeriodTag, requests: i64, tokens: i64) {
        let words = self.words();
        for (word, amount) in [(&words.day_requests, requests), (&words.day_tokens, tokens)] {
            if amount != 0 {
                change(word, |word| word.changed(day.0, amount));
            }
        }
    }

    pub(super) fn words(&self) -> &Words {
        &self.words.0
    }

    /// What the word of `limit` holds.
    pub(super) fn word(&self, (limit, most): (ScopeLimit, u64)) -> i64 {
        let words = self.words();
        let of_minute = |word: &AtomicI64| word.load(Ordering::Relaxed);
        let of_day = |word: &AtomicU64| DayWord::from_bits(word.load(Ordering::Acquire)).left();
        match limit {
            ScopeLimit::InFlight => match &self.leases {
                None => signed(most) - i64::from(words.in_flight.load(Ordering::Relaxed)),
                Some(leases) => leases.0.places(),
            },
            ScopeLimit::RequestsPerMinute => of_minute(&words.requests),
            ScopeLimit::TokensPerMinute => of_minute(&words.tokens),
            ScopeLimit::RequestsPerDay => of_day(&words.day_requests),
            ScopeLimit::TokensPerDay => of_day(&words.day_tokens),
        }
    }

    /// The refusal of a request by a limit of which too little is left at `now`.
    fn refusal(&self, limit: ScopeLimit, now: Instant) -> ScopeRefusal {
        let missing = match self.lease(limit) {
            None => Missing::Limit,
            Some(lease) if !lease.holds(now) => Missing::Lease,
            Some(_) => Missing::Part,
        };
        if missing == Missing::Limit {
            self.count_refusal(limit);
        }
        let until = match missing {
            Missing::Limit => self.until(limit, now),
            Missing::Lease => now + PART_WAIT,
            Missing::Part => self.until_part(limit, now),
        };
        ScopeRefusal {
            limit,
            until,
            missing,
        }
    }

    /// What `limit` does with a request that exceeds it at `now`; `None`: its lease has ended, and
    /// nothing may be taken.
    fn mode(&self, limit: ScopeLimit, now: Instant) -> Option<LimitMode> {
        let mode = self.limits.mode;
        let Some(lease) = self.lease(limit) else {
            return Some(mode);
        };
        if mode == LimitMode::Count || lease.is_open() {
            return Some(LimitMode::Count);
        }
        lease.holds(now).then_some(mode)
    }

    /// Takes from one limit. What does not fit is taken only where limits do not refuse.
    #[inline(always)]
    fn take_of(
        &self,
        (limit, most, mode): (ScopeLimit, u64, LimitMode),
        tokens: u64,
        taken: &mut ScopeTaken,
    ) -> Fits {
        let words = self.words();
        let tokens = tokens.min(most);
        match limit {
            ScopeLimit::InFlight => match &self.leases {
                None => take_place(&words.in_flight, most, mode),
                Some(leases) => take_room(&leases.0.places, 1, mode),
            },
            ScopeLimit::RequestsPerMinute => take_room(&words.requests, 1, mode),
            ScopeLimit::TokensPerMinute => {
                taken.tokens[0] = tokens;
                take_room(&words.tokens, tokens, mode)
            }
            ScopeLimit::RequestsPerDay => {
                let (fits, day) = take_of_day(&words.day_requests, 1, mode);
                taken.days[0] = day;
                fits
            }
            ScopeLimit::TokensPerDay => {
                let (fits, day) = take_of_day(&words.day_tokens, tokens, mode);
                (taken.days[1], taken.tokens[1]) = (day, tokens);
                fits
            }
        }
    }

    /// Gives back what was taken from the limits that count it.
    fn undo(&self, taken: &ScopeTaken) {
        let words = self.words();
        for limit in taken.counting {
            match limit {
                ScopeLimit::InFlight => self.release(),
                ScopeLimit::RequestsPerMinute => {
                    words.requests.fetch_add(1, Ordering::Relaxed);
                }
                ScopeLimit::TokensPerMinute => {
                    let tokens = &words.tokens;
                    tokens.fetch_add(signed(taken.tokens()), Ordering::Relaxed);
                }
                ScopeLimit::RequestsPerDay => {
                    let [day, _] = taken.days;
                    change(&words.day_requests, |word| word.settled(day.0, 1, 0));
                }
                ScopeLimit::TokensPerDay => {
                    let ([_, day], [_, tokens]) = (taken.days, taken.tokens);
                    change(&words.day_tokens, |word| word.settled(day.0, tokens, 0));
                }
            }
        }
    }

    /// When `limit`, of which too little is left at `now`, has more.
    pub(super) fn until(&self, limit: ScopeLimit, now: Instant) -> Instant {
        match limit {
            ScopeLimit::InFlight => now + IN_FLIGHT_WAIT,
            ScopeLimit::RequestsPerMinute | ScopeLimit::TokensPerMinute => {
                let deadline = self.words().frees_at.load(Ordering::Relaxed);
                Window60::room_at(Instant::from_nanos(deadline), now)
            }
            ScopeLimit::RequestsPerDay | ScopeLimit::TokensPerDay => self.day_end.get().max(now),
        }
    }
}

#[cfg(test)]
#[path = "scope_gate_tests.rs"]
mod tests;
