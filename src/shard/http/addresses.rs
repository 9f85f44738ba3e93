//! The addresses of providers that have many, and the connections to each.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::time::Instant;
use crate::decide::spread::{Choice, Family, Load, Spread, Youngest};

/// The addresses of one shard's providers, except those that have always had one at most.
#[derive(Default)]
pub struct Addresses {
    known: RefCell<HashMap<ProviderId, Known>>,
    /// Whether there are any.
    is_used: Cell<bool>,
}

struct Known {
    found: Arc<[SocketAddr]>,
    tallies: Vec<Rc<Tally>>,
    spread: Spread,
}

/// Counts the connections to one address.
#[derive(Debug)]
pub struct Tally {
    address: SocketAddr,
    busy: Cell<u32>,
    idle: Cell<u32>,
}

/// Where a request goes.
pub enum Next {
    /// Over a waiting connection that this one counts.
    At(Rc<Tally>),
    /// Over the connection that has waited for the shortest time.
    Youngest,
    /// Over a new connection.
    Open,
}

impl Addresses {
    /// Whether some provider has many.
    pub fn is_used(&self) -> bool {
        self.is_used.get()
    }

    /// Takes over what was found for `provider`. `turn` says which of its addresses comes first.
    pub fn learn(&self, provider: ProviderId, found: Arc<[SocketAddr]>, turn: impl Fn() -> usize) {
        if found.len() < 2 && !self.is_used() {
            return;
        }
        let mut known = self.known.borrow_mut();
        match known.get_mut(&provider) {
            Some(known) if known.found == found => {}
            Some(known) => known.learn(found),
            None if found.len() < 2 => {}
            None => {
                let mut new = Known {
                    found: Arc::default(),
                    tallies: Vec::new(),
                    spread: Spread::default(),
                };
                new.learn(found);
                new.spread.begin_at(turn());
                known.insert(provider, new);
                self.is_used.set(true);
            }
        }
    }

    /// Forgets the addresses of `provider`.
    pub fn forget(&self, provider: ProviderId) {
        if self.is_used() {
            self.known.borrow_mut().remove(&provider);
        }
    }

    /// The addresses of `provider` in the order in which a connection is tried; `None`: it has
    /// never had many.
    pub fn order(&self, provider: ProviderId, now: Instant) -> Option<Vec<Rc<Tally>>> {
        let mut known = self.known.borrow_mut();
        let Known {
            tallies, spread, ..
        } = known.get_mut(&provider)?;
        let order = spread.order(now, |at| tallies[at].busy.get());
        Some(
            order
                .into_iter()
                .map(|at| Rc::clone(&tallies[at]))
                .collect(),
        )
    }

    /// The address of `tally` has accepted a connection.
    pub fn accepted(&self, provider: ProviderId, tally: &Rc<Tally>) {
        if let Some(known) = self.known.borrow_mut().get_mut(&provider)
            && let Some(at) = known.place(tally)
        {
            known.spread.accepted(at);
        }
    }

    /// The address of `tally` has not accepted a connection, or was of no use.
    pub fn failed(&self, provider: ProviderId, tally: &Rc<Tally>, now: Instant) {
        if let Some(known) = self.known.borrow_mut().get_mut(&provider)
            && let Some(at) = known.place(tally)
        {
            known.spread.failed(at, now);
        }
    }

    /// Where the next request to `provider` goes, given what counts the connection that has waited
    /// for the shortest time, and for how long that has waited.
    pub fn next(
        &self,
        provider: ProviderId,
        now: Instant,
        (youngest, waited): (Option<&Rc<Tally>>, Duration),
    ) -> Next {
        let mut known = self.known.borrow_mut();
        let Some(known) = known.get_mut(&provider) else {
            return Next::Youngest;
        };
        let place = youngest.and_then(|tally| known.place(tally));
        let Known {
            tallies, spread, ..
        } = known;
        let load = |at: usize| Load {
            busy: tallies[at].busy.get(),
            idle: tallies[at].idle.get(),
        };
        match spread.choose(now, load, Youngest { place, waited }) {
            Choice::At(at) => Next::At(Rc::clone(&tallies[at])),
            Choice::Youngest => Next::Youngest,
            Choice::Open => Next::Open,
        }
    }
}

impl Known {
    fn learn(&mut self, found: Arc<[SocketAddr]>) {
        let first = found.first().map(SocketAddr::is_ipv4);
        let before: Vec<Option<usize>> = found
            .iter()
            .map(|address| self.tallies.iter().position(|one| one.address == *address))
            .collect();
        let families = found.iter().map(|address| {
            if Some(address.is_ipv4()) == first {
                Family::Preferred
            } else {
                Family::Other
            }
        });
        self.spread.learn(families.zip(before.iter().copied()));
        let tallies = found.iter().zip(&before).map(|(address, before)| {
            let kept = before.and_then(|at| self.tallies.get(at));
            kept.map_or_else(|| Rc::new(Tally::of(*address)), Rc::clone)
        });
        self.tallies = tallies.collect();
        self.found = found;
    }

    fn place(&self, tally: &Rc<Tally>) -> Option<usize> {
        self.tallies.iter().position(|one| Rc::ptr_eq(one, tally))
    }
}

impl Tally {
    fn of(address: SocketAddr) -> Self {
        Self {
            address,
            busy: Cell::default(),
            idle: Cell::default(),
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection was opened, and has a request.
    pub fn opened(&self) {
        self.busy.set(self.busy.get() + 1);
    }

    /// A connection with a request was closed.
    pub fn closed(&self) {
        self.busy.set(self.busy.get().saturating_sub(1));
    }

    /// A connection waits for its next request.
    pub fn parked(&self) {
        self.closed();
        self.idle.set(self.idle.get() + 1);
    }

    /// A waiting connection has a request.
    pub fn taken(&self) {
        self.opened();
        self.idle.set(self.idle.get().saturating_sub(1));
    }
}
