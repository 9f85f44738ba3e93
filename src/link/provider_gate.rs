//! The words about one provider that every shard reads at admission, and takes from.

use crate::link::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Instant;
use crate::decide::limiter::Window60;
use crate::link::Padded;
use crate::link::complaint::Told;
use crate::link::headroom::{Headroom, signed};
use crate::link::in_flight::InFlight;
use crate::link::lease::Leases;
use crate::link::orders::{Circuit, Health, Rotation};
use crate::link::origin::Origin;

pub use crate::link::standing::{Cause, Limit, Standing};

/// One provider's words, and its limits under one configuration. A provider without limits touches
/// no shared word but the first.
#[derive(Clone, Debug)]
pub struct ProviderGate {
    read: Arc<Padded<ReadWords>>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) requests: Option<Headroom>,
    pub(super) tokens: Option<Headroom>,
    check_interval: Duration,
    pub(super) counters: Counters,
    told: Arc<Told>,
    /// The leases of its limits, where the instance does not have all of them.
    pub(super) leases: Option<Arc<Padded<Leases>>>,
}

/// The words that limits count in, whether or not there are limits: each new configuration takes
/// them over.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    in_flight: Arc<Padded<AtomicU32>>,
    pub(super) requests: Arc<Padded<AtomicI64>>,
    pub(super) tokens: Arc<Padded<AtomicI64>>,
}

/// Words that change seldom and are read for every request.
#[derive(Debug, Default)]
struct ReadWords {
    /// Bits 0 and 1: the circuit; bit 2: unhealthy; bit 3: taken out by an operator; from bit 32:
    /// the half-open generation.
    state: AtomicU64,
    /// When an open circuit is next tried.
    until: AtomicU64,
    /// Until when the provider asked to be left alone.
    aside_until: AtomicU64,
    /// When the next request leaves the window of the rate limits.
    frees_at: AtomicU64,
    /// Average response time over all shards, in nanoseconds, and how many samples are in it.
    average: AtomicU64,
    samples: AtomicU32,
}

/// What its gate needs of the Plan's settings for a provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Requests in the window.
    pub requests: Option<u64>,
    /// Tokens in the window.
    pub tokens: Option<u64>,
    /// Requests at once.
    pub in_flight: Option<u32>,
    /// Whether requests in flight are counted where there is no limit, too.
    pub counts_in_flight: bool,
    /// Pause between two health checks: an unhealthy provider may become healthy with the next.
    pub check_interval: Duration,
    /// Where the quotas come from.
    pub origin: Origin,
}

/// What was taken from a gate for one attempt. Its holder must report it in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Tokens taken from the headroom.
    pub tokens: u64,
    /// The half-open phase whose permit was taken.
    pub probe: Option<u32>,
}

const CIRCUIT: u64 = 0b11;
const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN_FREE: u64 = 2;
const HALF_OPEN_TAKEN: u64 = 3;
const UNHEALTHY: u64 = 0b100;
const TAKEN_OUT: u64 = 0b1000;
const GENERATION_SHIFT: u32 = 32;

/// How long a caller is asked to wait when all of `max_in_flight` is taken.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);
/// How long a caller is asked to wait where other instances have what is missing.
const PART_WAIT: Duration = Duration::from_secs(1);

/// The words of a gate that stay whatever its limits become.
type SharedWords = (
    Arc<Padded<ReadWords>>,
    Arc<Told>,
    Option<Arc<Padded<Leases>>>,
);

impl ProviderGate {
    /// A healthy provider with a closed circuit and all of its headroom, or with no part of it yet
    /// where that is leased.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let left = |limit: Option<u64>| {
            let own = limit.filter(|_| limits.origin == Origin::Own);
            Arc::new(Padded(AtomicI64::new(signed(own).unwrap_or_default())))
        };
        let counters = Counters {
            in_flight: Arc::default(),
            requests: left(limits.requests),
            tokens: left(limits.tokens),
        };
        Self::over(SharedWords::default(), counters, limits)
    }

    /// The same words under other limits. When a limit changes, the coordinator gives back, or
    /// takes, the difference; requests that were admitted without a limit do not count in it.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        let (read, told) = (Arc::clone(&self.read), Arc::clone(&self.told));
        let words = (read, told, self.leases.clone());
        Self::over(words, self.counters.clone(), limits)
    }

    fn over(words: SharedWords, counters: Counters, limits: Limits) -> Self {
        let (read, told, leases) = words;
        let headroom = |left: &Arc<_>, limit| {
            let left = Arc::clone(left);
            signed(limit).map(|limit| Headroom { left, limit })
        };
        let leases = match limits.origin {
            Origin::Own => None,
            Origin::Leased => Some(leases.unwrap_or_else(|| Arc::new(Leases::none()))),
        };
        let (now, leased) = (Arc::clone(&counters.in_flight), leases.clone());
        Self {
            read,
            in_flight: match (limits.in_flight, limits.counts_in_flight) {
                (Some(max), _) => Some(InFlight { now, max, leased }),
                (None, true) => Some(InFlight::without_limit(now)),
                (None, false) => None,
            },
            requests: headroom(&counters.requests, limits.requests),
            tokens: headroom(&counters.tokens, limits.tokens),
            check_interval: limits.check_interval,
            counters,
            told,
            leases,
        }
    }

    /// What is known about it in words.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Whether it could take a request of `tokens` tokens. This changes nothing.
    #[must_use]
    pub fn standing(&self, now: Instant, tokens: u64) -> Standing {
        let words = &self.read.0;
        let state = words.state.load(Ordering::Acquire);
        if state & (UNHEALTHY | TAKEN_OUT) != 0 {
            return Standing::Out {
                // Nobody knows when an operator puts it back.
                until: now + self.check_interval,
                cause: if state & TAKEN_OUT != 0 {
                    Cause::TakenOut
                } else {
                    Cause::Unhealthy
                },
            };
        }
        if matches!(state & CIRCUIT, OPEN | HALF_OPEN_TAKEN) {
            let until = Instant::from_nanos(words.until.load(Ordering::Relaxed));
            let cause = Cause::Circuit;
            return Standing::Out { until, cause };
        }
        let aside = Instant::from_nanos(words.aside_until.load(Ordering::Relaxed));
        if now < aside {
            return Standing::Limited {
                until: aside,
                limit: Limit::Provider,
            };
        }
        if self.leases.is_some() && !self.are_held(now) {
            return Standing::Limited {
                until: now + PART_WAIT,
                limit: Limit::Store,
            };
        }
        if self.in_flight.as_ref().is_some_and(InFlight::is_full) {
            return Standing::Limited {
                until: now + IN_FLIGHT_WAIT,
                limit: Limit::InFlight,
            };
        }
        let has = |headroom: &Option<Headroom>, amount| {
            let has = |headroom: &Headroom| headroom.has(amount) || self.is_open();
            headroom.as_ref().is_none_or(has)
        };
        let limit = if !has(&self.requests, 1) {
            Limit::Requests
        } else if !has(&self.tokens, tokens) {
            Limit::Tokens
        } else {
            return Standing::Ready;
        };
        let deadline = Instant::from_nanos(words.frees_at.load(Ordering::Relaxed));
        let until = if self.leases.is_some() && deadline == Instant::ZERO {
            // Others have what is missing.
            now + PART_WAIT
        } else {
            Window60::room_at(deadline, now)
        };
        Standing::Limited { until, limit }
    }

    /// Takes a place among the requests in flight for one that counts for no limit and is no probe,
    /// if the provider is in service; returns whether it did. [`ProviderGate::release`] gives it
    /// back.
    #[must_use]
    pub fn take_place(&self, now: Instant) -> bool {
        let words = &self.read.0;
        let state = words.state.load(Ordering::Acquire);
        let aside = Instant::from_nanos(words.aside_until.load(Ordering::Relaxed));
        let is_in_service = state & (CIRCUIT | UNHEALTHY | TAKEN_OUT) == CLOSED && now >= aside;
        is_in_service && self.in_flight.as_ref().is_none_or(InFlight::take)
    }

    /// Takes what a request of `tokens` tokens needs; `None`, and nothing is taken, where another
    /// thread was faster.
    #[must_use]
    pub fn take(&self, tokens: u64) -> Option<Taken> {
        let (requests, headroom) = (self.requests.as_ref(), self.tokens.as_ref());
        if self.in_flight.as_ref().is_some_and(|places| !places.take()) {
            return None;
        }
        let takes = |headroom: &Headroom, amount| {
            headroom.take(amount) || self.is_open() && headroom.overdraw(amount)
        };
        if requests.is_some_and(|headroom| !takes(headroom, 1)) {
            self.release();
            return None;
        }
        let needed = headroom.map_or(0, |headroom| headroom.needed(tokens));
        if headroom.is_some_and(|headroom| !takes(headroom, tokens)) {
            requests.iter().for_each(|headroom| headroom.give(1));
            self.release();
            return None;
        }
        match self.take_permit() {
            Ok(probe) => Some(Taken {
                tokens: needed.unsigned_abs(),
                probe,
            }),
            Err(NotTaken) => {
                headroom.iter().for_each(|headroom| headroom.give(needed));
                requests.iter().for_each(|headroom| headroom.give(1));
                self.release();
                None
            }
        }
    }

    /// Takes the tokens that an attempt has used beyond those taken for it; returns their number.
    /// The headroom may fall below zero: the tokens are used, whatever the limit is, and no request
    /// is admitted until enough tokens have left the window.
    #[must_use]
    pub fn take_excess(&self, taken: Taken, used: u64) -> u64 {
        let Some(headroom) = &self.tokens else {
            return 0;
        };
        let excess = used.saturating_sub(taken.tokens);
        if excess > 0 {
            headroom.give(signed(Some(excess)).map_or(0, |excess| -excess));
        }
        excess
    }

    /// An attempt has ended: one request in flight less.
    pub fn release(&self) {
        self.in_flight.iter().for_each(InFlight::release);
    }

    /// How many requests it has in flight, over all shards; 0 where that is not counted.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.as_ref().map_or(0, InFlight::count)
    }

    /// Whether requests or tokens are limited, so that admissions must be reported.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some()
    }

    /// Requests that each attempt takes from the headroom: 0 where there is no such limit.
    #[must_use]
    pub fn requests_taken(&self) -> u64 {
        u64::from(self.requests.is_some())
    }

    /// Headroom left: requests and tokens; `None` where there is no limit.
    #[must_use]
    pub fn headroom(&self) -> (Option<u64>, Option<u64>) {
        let left = |headroom: &Headroom| {
            u64::try_from(headroom.left.0.load(Ordering::Relaxed)).unwrap_or(0)
        };
        (
            self.requests.as_ref().map(left),
            self.tokens.as_ref().map(left),
        )
    }

    /// The limits that are in force: requests and tokens; `None` where there is none.
    #[must_use]
    pub fn limits(&self) -> (Option<u64>, Option<u64>) {
        let limit = |headroom: &Headroom| headroom.limit.unsigned_abs();
        (
            self.requests.as_ref().map(limit),
            self.tokens.as_ref().map(limit),
        )
    }

    /// Whether the permit of this generation has been taken.
    #[must_use]
    pub fn is_taken(&self, generation: u32) -> bool {
        let state = self.read.0.state.load(Ordering::Acquire);
        state & CIRCUIT == HALF_OPEN_TAKEN && state >> GENERATION_SHIFT == u64::from(generation)
    }

    /// Whether the provider passed its last health check.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.read.0.state.load(Ordering::Acquire) & UNHEALTHY == 0
    }

    /// Average response time over all shards, and how many samples are in it.
    #[must_use]
    pub fn average(&self) -> (Duration, u32) {
        let words = &self.read.0;
        let nanos = words.average.load(Ordering::Relaxed);
        (
            Duration::from_nanos(nanos),
            words.samples.load(Ordering::Relaxed),
        )
    }

    /// Publishes the average response time; only the coordinator calls this.
    pub fn set_average(&self, average: Duration, samples: u32) {
        let words = &self.read.0;
        let nanos = u64::try_from(average.as_nanos()).unwrap_or(u64::MAX);
        words.average.store(nanos, Ordering::Relaxed);
        words.samples.store(samples, Ordering::Relaxed);
    }

    /// Publishes when the next request leaves the window; only the coordinator calls this.
    pub fn set_frees_at(&self, at: Instant) {
        self.read.0.frees_at.store(at.as_nanos(), Ordering::Relaxed);
    }

    /// Publishes a circuit; only the coordinator calls this. Returns the permit of the former
    /// state, if a shard had taken it.
    pub fn set_circuit(&self, circuit: Circuit) -> Option<u32> {
        let words = &self.read.0;
        let (state, until) = match circuit {
            Circuit::Closed => (CLOSED, Instant::ZERO),
            Circuit::Open { until } => (OPEN, until),
            Circuit::HalfOpen { generation, until } => (
                HALF_OPEN_FREE | u64::from(generation) << GENERATION_SHIFT,
                until,
            ),
        };
        words.until.store(until.as_nanos(), Ordering::Relaxed);
        let before = self.change(|word| state | word & (UNHEALTHY | TAKEN_OUT));
        let generation = u32::try_from(before >> GENERATION_SHIFT).ok();
        generation.filter(|_| before & CIRCUIT == HALF_OPEN_TAKEN)
    }

    /// Publishes a provider's health; only the coordinator calls this.
    pub fn set_health(&self, health: Health) {
        self.change(|word| match health {
            Health::Healthy => word & !UNHEALTHY,
            Health::Unhealthy => word | UNHEALTHY,
        });
    }

    /// Publishes whether the provider is in rotation; only the coordinator calls this.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.change(|word| match rotation {
            Rotation::In => word & !TAKEN_OUT,
            Rotation::Out => word | TAKEN_OUT,
        });
    }

    /// Publishes until when the provider is left alone; never earlier than before.
    pub fn set_aside(&self, until: Instant) {
        self.read
            .0
            .aside_until
            .fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    /// Gives back requests and tokens that have left the window or were not used; only the
    /// coordinator calls this.
    pub fn give_back(&self, requests: i64, tokens: i64) {
        let Counters {
            requests: left_requests,
            tokens: left_tokens,
            ..
        } = &self.counters;
        for (left, amount) in [(left_requests, requests), (left_tokens, tokens)] {
            if amount != 0 {
                left.0.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// Changes the first word; returns its former value.
    fn change(&self, new: impl Fn(u64) -> u64) -> u64 {
        // A shard may take a permit between the load and the store.
        let update = |word| Some(new(word));
        let state = &self.read.0.state;
        match state.fetch_update(Ordering::AcqRel, Ordering::Acquire, update) {
            Ok(before) | Err(before) => before,
        }
    }

    /// Takes the permit, if the circuit is half-open.
    fn take_permit(&self) -> Result<Option<u32>, NotTaken> {
        let state = &self.read.0.state;
        let word = state.load(Ordering::Acquire);
        match word & (CIRCUIT | UNHEALTHY | TAKEN_OUT) {
            CLOSED => Ok(None),
            HALF_OPEN_FREE => {
                let taken = word & !CIRCUIT | HALF_OPEN_TAKEN;
                state
                    .compare_exchange(word, taken, Ordering::AcqRel, Ordering::Acquire)
                    .map_err(|_| NotTaken)?;
                Ok(u32::try_from(word >> GENERATION_SHIFT).ok())
            }
            _ => Err(NotTaken),
        }
    }
}

/// Another thread was faster, or the circuit has opened meanwhile.
struct NotTaken;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::affinity::{Key, Seats};
    use crate::decide::eligible::Eligible;
    use crate::link::scope_limits::ScopeLimit;

    fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1_000)
    }

    fn open_until(second: u64) -> Standing {
        Standing::Out {
            until: at(second),
            cause: Cause::Circuit,
        }
    }

    #[test]
    fn who_is_taken_out_gets_nothing_until_put_back_whatever_its_circuit_does() {
        let gate = ProviderGate::new(Limits {
            in_flight: Some(2),
            check_interval: Duration::from_secs(7),
            ..Limits::default()
        });
        let under_way = gate.take(1).unwrap();
        gate.set_rotation(Rotation::Out);
        let out = Standing::Out {
            until: at(8),
            cause: Cause::TakenOut,
        };
        let generation = 3;
        let until = at(60);
        for circuit in [
            Circuit::Open { until },
            Circuit::HalfOpen { generation, until },
            Circuit::Closed,
        ] {
            gate.set_circuit(circuit);
            assert_eq!(gate.standing(at(1), 1), out);
            assert!(gate.take(1).is_none() && !gate.take_place(at(1)));
        }
        assert!(gate.is_healthy());
        gate.set_health(Health::Unhealthy);
        assert_eq!(gate.standing(at(1), 1), out);
        gate.set_health(Health::Healthy);
        // What is under way ends as ever.
        assert_eq!((gate.in_flight(), under_way.probe), (1, None));
        gate.release();
        gate.set_rotation(Rotation::In);
        assert_eq!(gate.standing(at(1), 1), Standing::Ready);
        assert!(gate.take(1).is_some());
    }

    fn limited(second: u64, limit: Limit) -> Standing {
        let until = at(second);
        Standing::Limited { until, limit }
    }

    #[test]
    fn only_one_takes_the_permit_of_a_half_open_circuit() {
        let gate = ProviderGate::new(Limits::default());
        assert_eq!(gate.set_circuit(Circuit::Open { until: at(9) }), None);
        assert_eq!(gate.standing(at(1), 0), open_until(9));
        assert_eq!(gate.take(0), None);
        gate.set_circuit(Circuit::HalfOpen {
            generation: 7,
            until: at(20),
        });
        assert_eq!(gate.standing(at(10), 0), Standing::Ready);
        assert!(!gate.is_taken(7));
        assert_eq!(
            gate.take(0),
            Some(Taken {
                tokens: 0,
                probe: Some(7)
            })
        );
        assert!(gate.is_taken(7) && !gate.is_taken(6));
        assert_eq!(gate.take(0), None);
        assert_eq!(gate.standing(at(10), 0), open_until(20));
        assert_eq!(gate.set_circuit(Circuit::Closed), Some(7));
        assert_eq!(
            gate.take(0),
            Some(Taken {
                tokens: 0,
                probe: None
            })
        );
    }

    #[test]
    fn a_provider_needs_health_and_circuit() {
        let check_interval = Duration::from_secs(60);
        let gate = ProviderGate::new(Limits {
            check_interval,
            ..Limits::default()
        });
        gate.set_health(Health::Unhealthy);
        let unhealthy = Standing::Out {
            until: at(61),
            cause: Cause::Unhealthy,
        };
        assert_eq!(gate.standing(at(1), 0), unhealthy);
        assert_eq!(gate.take(0), None);
        gate.set_circuit(Circuit::Closed);
        assert_eq!(gate.take(0), None);
        gate.set_health(Health::Healthy);
        assert!(gate.take(0).is_some());
    }

    #[test]
    fn what_cannot_be_taken_whole_is_not_taken_at_all() {
        let limits = Limits {
            requests: Some(2),
            tokens: Some(100),
            in_flight: Some(9),
            ..Limits::default()
        };
        let gate = ProviderGate::new(limits);
        assert_eq!(gate.take(60).map(|taken| taken.tokens), Some(60));
        assert_eq!(gate.take(60), None);
        assert_eq!(gate.headroom(), (Some(1), Some(40)));
        gate.set_frees_at(at(30));
        assert_eq!(gate.standing(at(1), 60), limited(30, Limit::Tokens));
        assert_eq!(gate.standing(at(1), 40), Standing::Ready);
        gate.give_back(1, 60);
        assert_eq!(
            gate.take(1_000).map(|taken| taken.tokens),
            Some(100),
            "all of the window"
        );
        gate.set_circuit(Circuit::Open { until: at(9) });
        gate.give_back(1, 100);
        assert_eq!(gate.take(1), None);
        assert_eq!(gate.headroom(), (Some(2), Some(100)));
    }

    #[test]
    fn what_is_used_beyond_what_was_taken_is_taken_even_if_it_is_not_there() {
        let tokens = |limit| {
            let limits = Limits {
                tokens: limit,
                ..Limits::default()
            };
            ProviderGate::new(limits)
        };
        let gate = tokens(Some(100));
        let taken = gate.take(10).unwrap();
        assert_eq!(
            [5, 10, 70].map(|used| gate.take_excess(taken, used)),
            [0, 0, 60]
        );
        assert_eq!(gate.headroom().1, Some(30));
        assert_eq!(gate.take_excess(taken, 80), 70);
        assert_eq!((gate.headroom().1, gate.take(1)), (Some(0), None));
        // What takes no tokens does not wait for any.
        assert_eq!(gate.take_excess(taken, 90), 80);
        assert_eq!(gate.standing(at(1), 0), Standing::Ready);
        assert_eq!(gate.take(0).map(|taken| taken.tokens), Some(0));
        gate.give_back(0, 80);
        // Overdrawn tokens are subtracted from the first tokens that come back.
        gate.give_back(0, 41);
        assert_eq!((gate.headroom().1, gate.take(2)), (Some(1), None));
        let unlimited = tokens(None);
        let taken = unlimited.take(10).unwrap();
        assert_eq!(unlimited.take_excess(taken, 80), 0);
    }

    #[test]
    fn of_many_threads_one_takes_the_permit() {
        const ROUNDS: u32 = 2_000;
        let gate = ProviderGate::new(Limits::default());
        let half_open = |generation| Circuit::HalfOpen {
            generation,
            until: at(9),
        };
        gate.set_circuit(Circuit::Open { until: at(9) });
        let (taken, is_over) = (AtomicU32::new(0), AtomicU32::new(0));
        let take = || {
            while is_over.load(Ordering::Relaxed) == 0 {
                let is_taken = gate.take(0).is_some();
                taken.fetch_add(u32::from(is_taken), Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            let _takers = [scope.spawn(take), scope.spawn(take)];
            for generation in 0..ROUNDS {
                gate.set_circuit(half_open(generation));
                while !gate.is_taken(generation) {
                    std::thread::yield_now();
                }
            }
            is_over.store(1, Ordering::Relaxed);
        });
        assert_eq!(taken.load(Ordering::Relaxed), ROUNDS);
    }

    #[test]
    fn conversations_spill_by_what_is_under_way_here_wherever_the_other_places_are() {
        let gates = [(); 3].map(|()| {
            ProviderGate::new(Limits {
                in_flight: Some(100),
                counts_in_flight: true,
                origin: Origin::Leased,
                ..Limits::default()
            })
        });
        // Other instances have the rest of the places.
        for (gate, part) in gates.iter().zip([2, 5, 40]) {
            let leases = gate.leases.as_ref().expect("leases");
            leases.0.of(ScopeLimit::InFlight).set_until(at(60));
            leases.0.give_places(part);
        }
        let seats = Seats::new([("a", 1), ("b", 1), ("c", 1)].into_iter());
        let mut taken = [0_u32; 3];
        loop {
            let is_ready = |place: &usize| gates[*place].standing(at(1), 0) == Standing::Ready;
            let eligible: Eligible = (0..3).filter(is_ready).collect();
            let in_flight = |place: usize| gates[place].in_flight();
            let Some(place) = seats.choose(Key(7), 1_250, &eligible, in_flight) else {
                assert_eq!(eligible, Eligible::NONE);
                break;
            };
            let (mut sum, mut count) = (0, 0);
            for place in eligible.iter() {
                assert_eq!(in_flight(place), taken[place]);
                (sum, count) = (sum + taken[place], count + 1);
            }
            let most = (sum * 1_250).div_ceil(count * 1_000);
            assert!(in_flight(place) <= most, "{taken:?} {place}");
            assert!(gates[place].take(0).is_some());
            taken[place] += 1;
        }
        // As many as the instance has places for.
        assert_eq!(taken, [2, 5, 40]);
    }

    #[test]
    fn places_and_times_aside_are_limits() {
        let gate = ProviderGate::new(Limits {
            in_flight: Some(1),
            ..Limits::default()
        });
        assert!(gate.take(0).is_some());
        assert_eq!(gate.standing(at(1), 0), limited(2, Limit::InFlight));
        assert_eq!(gate.take(0), None);
        gate.release();
        gate.set_aside(at(50));
        gate.set_aside(at(40));
        assert_eq!(gate.standing(at(1), 0), limited(50, Limit::Provider));
        assert_eq!(gate.standing(at(51), 0), Standing::Ready);
    }
}
