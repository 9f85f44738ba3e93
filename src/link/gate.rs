//! Published words that every shard reads.

use crate::link::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::ops::Deref;
use std::sync::Arc;

use crate::base::ids::RouteId;
use crate::link::Padded;
use crate::link::facts::MonthTag;
use crate::link::noted::Noted;
use crate::link::pause::ConnectionPauses;
use crate::link::provider_gate::ProviderGate;
use crate::link::recorder::AllRecorders;

/// The words that belong to one configuration. The words of the process, which outlive it, are
/// reached through them ([`std::ops::Deref`]).
#[derive(Debug)]
pub struct Gates {
    /// The words of each provider, by id.
    pub providers: Box<[ProviderGate]>,
    tickets: Box<[Padded<AtomicU64>]>,
    process: Arc<Process>,
}

/// The turns of a rotation from which several threads draw.
#[derive(Debug, Default)]
pub struct Turns(AtomicU64);

impl Turns {
    /// The next number: each is given out once in the whole process.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The number that is given out next.
    #[must_use]
    pub fn coming(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The words of one process.
#[derive(Debug)]
pub struct Process {
    /// Open connections, by audience.
    connections: [Padded<AtomicUsize>; 2],
    most: ConnectionsMax,
    /// Callers' requests that wait on operators' connections for a caller's place.
    waiting: AtomicUsize,
    phase: Padded<AtomicU8>,
    /// Reloads that succeeded, and that failed.
    reloads: [AtomicU64; 2],
    /// Bytes of items of translated answers that are remembered.
    pub remembered: Arc<AtomicUsize>,
    month: Padded<AtomicU8>,
    /// How often an event loop had no place for a connection, and no idle connection of its own to
    /// close, by audience.
    places_lacked: [AtomicU64; 2],
    /// How often an event loop had no descriptor and no idle connection of its own to close.
    lacks: AtomicU64,
    /// Those who record requests.
    pub recorders: Arc<AllRecorders>,
    /// The pauses between warnings about connections, common to all event loops.
    pub pauses: ConnectionPauses,
    /// The last requests that failed, were refused or were slow.
    pub noted: Noted,
}

/// Who a connection or a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A caller's.
    Callers,
    /// An operator's.
    Operators,
}

/// Most connections of a process at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsMax {
    /// Callers'.
    pub callers: usize,
    /// Operators'.
    pub operators: usize,
}

/// How a reload went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The file is in force.
    Yes,
    /// The file cannot be used.
    No,
}

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It starts, and is not reported as ready.
    Starting,
    /// It takes new connections and requests.
    Serving,
    /// It still takes them, but is reported as not ready: it is about to stop.
    Leaving,
    /// No new connections; requests in flight finish.
    Draining,
    /// The time for draining is over: the last connections are cut off.
    Stopping,
}

impl Gates {
    /// The words of a process with this many routes that takes `most` connections.
    #[must_use]
    pub fn new(routes: usize, most: ConnectionsMax) -> Self {
        Self {
            providers: Box::default(),
            tickets: (0..routes).map(|_| Padded::default()).collect(),
            process: Arc::new(Process {
                connections: Default::default(),
                most,
                waiting: AtomicUsize::new(0),
                phase: Padded::default(),
                month: Padded::default(),
                reloads: Default::default(),
                remembered: Arc::default(),
                places_lacked: Default::default(),
                lacks: AtomicU64::new(0),
                recorders: Arc::default(),
                pauses: ConnectionPauses::default(),
                noted: Noted::default(),
            }),
        }
    }

    /// The words for the next configuration: `former` names for each of its routes the route that
    /// it was until now, so that its rotation goes on.
    #[must_use]
    pub fn next(&self, former: &[Option<RouteId>]) -> Self {
        let ticket = |route: &Option<RouteId>| {
            let ticket = route.and_then(|id| self.tickets.get(id.index()));
            let next = ticket.map_or(0, |ticket| ticket.0.load(Ordering::Relaxed));
            Padded(AtomicU64::new(next))
        };
        Self {
            providers: Box::default(),
            tickets: former.iter().map(ticket).collect(),
            process: Arc::clone(&self.process),
        }
    }

    /// The words of the process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Adds the words of the providers.
    #[must_use]
    pub fn with(self, providers: Box<[ProviderGate]>) -> Self {
        Self { providers, ..self }
    }

    /// The next number of `route`'s rotation: each is given out once in the whole process, so that
    /// the rotation is exact whichever shard a connection landed on.
    #[must_use]
    pub fn ticket(&self, route: RouteId) -> u64 {
        self.tickets[route.index()]
            .0
            .fetch_add(1, Ordering::Relaxed)
    }

    /// The number of `route`'s rotation that is given out next.
    #[must_use]
    pub fn coming_ticket(&self, route: RouteId) -> u64 {
        self.tickets[route.index()].0.load(Ordering::Relaxed)
    }
}

impl Deref for Gates {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Process {
    /// Counts one more connection of `audience`, unless that has its maximum; returns whether it
    /// was counted.
    #[must_use]
    pub fn acquire(&self, audience: Audience) -> bool {
        let most = self.most(audience);
        let count = &self.connections[audience as usize].0;
        let acquired = count.fetch_add(1, Ordering::Relaxed) < most;
        if !acquired {
            self.release(audience);
        }
        acquired
    }

    fn most(&self, audience: Audience) -> usize {
        match audience {
            Audience::Callers => self.most.callers,
            Audience::Operators => self.most.operators,
        }
    }

    /// Whether `audience` has its maximum of connections.
    #[must_use]
    pub fn is_full(&self, audience: Audience) -> bool {
        self.connections(audience) >= self.most(audience)
    }

    /// Counts one connection of `audience` less.
    pub fn release(&self, audience: Audience) {
        self.connections[audience as usize]
            .0
            .fetch_sub(1, Ordering::Relaxed);
    }

    /// Open connections of `audience`.
    #[must_use]
    pub fn connections(&self, audience: Audience) -> usize {
        self.connections[audience as usize]
            .0
            .load(Ordering::Relaxed)
    }

    /// Counts one more caller's request that waits on an operators' connection, unless three
    /// quarters of these are waiting already; returns whether it was counted.
    #[must_use]
    pub fn begin_waiting(&self) -> bool {
        let may = self.waiting.fetch_add(1, Ordering::Relaxed) < self.most.operators * 3 / 4;
        if !may {
            self.end_waiting();
        }
        may
    }

    /// Counts one of these requests less.
    pub fn end_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that an event loop has no place for a connection of `audience`, and no idle one to
    /// close for it.
    pub fn lack_places(&self, audience: Audience) {
        self.places_lacked[audience as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was noted: when the number has grown, the other event loops close idle
    /// connections.
    #[must_use]
    pub fn places_lacked(&self, audience: Audience) -> u64 {
        self.places_lacked[audience as usize].load(Ordering::Relaxed)
    }

    /// Notes that an event loop has no descriptor left, and no idle connection to close.
    pub fn lack_descriptors(&self) {
        self.lacks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was noted: when the number has grown, the other event loops close an idle
    /// connection.
    #[must_use]
    pub fn descriptors_lacked(&self) -> u64 {
        self.lacks.load(Ordering::Relaxed)
    }

    /// Counts a reload that succeeded, or failed.
    pub fn count_reload(&self, reload: Reloaded) {
        self.reloads[reload as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of items of translated answers that are remembered.
    #[must_use]
    pub fn remembered_bytes(&self) -> u64 {
        self.remembered.load(Ordering::Relaxed) as u64
    }

    /// Reloads of the configuration that succeeded, and that failed.
    #[must_use]
    pub fn reloads(&self) -> [u64; 2] {
        self.reloads
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// How far the process has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            2 => Phase::Leaving,
            3 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Whether new connections and requests are accepted.
    #[must_use]
    pub fn is_taking(&self) -> bool {
        self.phase() < Phase::Draining
    }

    /// The running month, as the books say.
    #[must_use]
    pub fn month(&self) -> MonthTag {
        MonthTag(self.month.0.load(Ordering::Acquire))
    }

    /// Begins a month; only the coordinator calls this.
    pub fn start_month(&self, month: MonthTag) {
        self.month.0.store(month.0, Ordering::Release);
    }

    /// Moves on to `phase`, never back.
    pub fn advance(&self, phase: Phase) {
        self.phase.0.fetch_max(phase as u8, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ticket_is_given_out_once() {
        let gates = Gates::new(2, ConnectionsMax::default());
        let tickets: Vec<u64> = (0..3).map(|_| gates.ticket(RouteId(1))).collect();
        assert_eq!(tickets, [0, 1, 2]);
        assert_eq!(gates.coming_ticket(RouteId(1)), 3);
        assert_eq!(gates.ticket(RouteId(0)), 0);
    }

    #[test]
    fn connections_stop_at_their_limit() {
        let most = ConnectionsMax {
            callers: 2,
            operators: 2,
        };
        let gates = Gates::new(0, most);
        for audience in [Audience::Callers, Audience::Operators] {
            assert!(gates.acquire(audience) && gates.acquire(audience));
            assert!(!gates.acquire(audience), "each has a number of its own");
            gates.release(audience);
            assert_eq!(gates.connections(audience), 1);
            assert!(gates.acquire(audience));
        }
        assert!(gates.begin_waiting() && !gates.begin_waiting());
        gates.end_waiting();
        assert!(gates.begin_waiting());
    }

    #[test]
    fn a_phase_never_goes_back() {
        let gates = Gates::new(0, ConnectionsMax::default());
        assert_eq!(gates.phase(), Phase::Starting);
        gates.advance(Phase::Serving);
        assert_eq!(gates.phase(), Phase::Serving);
        gates.advance(Phase::Stopping);
        gates.advance(Phase::Draining);
        assert_eq!(gates.phase(), Phase::Stopping);
    }
}
