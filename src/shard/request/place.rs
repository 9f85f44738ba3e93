//! A connection's place: among those of callers, which `server.max_connections` bounds, or among
//! those of operators, which have a number of their own. Neither waits for the other.
//!
//! Where both share a listener, the first request of a connection shows whose it is. While callers
//! have all of their places, connections are accepted on operators' places, and a caller's request
//! on one of them waits for a place of its own, in the order in which they came. So that operators
//! find places all the same, no more than three quarters of theirs are waited on: one more caller's
//! request is refused, and a connection that has sent nothing is closed after a second.

use std::cell::Cell;
use std::rc::Rc;

use crate::exchange::door::Door;
use crate::exchange::refusal::Refusal;
use crate::link::gate::{Audience, Phase};
use crate::link::pause;
use crate::shard::http::caller::{Caller, Patience, RequestOrder};
use crate::shard::http::stop::Stop;
use crate::shard::net::sleep::sleep;
use crate::shard::net::timers::{FIRST_REQUEST, Waits};
use crate::shard::state::current::Current;
use crate::shard::state::event_loop::Loop;
use crate::shard::state::lobby::LOOK_EVERY;
use crate::shard::state::yielding::between_requests;
use crate::sys::clock;

/// A connection that counts as open as long as this lives, however its task ends.
pub struct Place {
    current: Rc<Current>,
    /// Whose place the connection has; `None`: the connection came while the process drained and
    /// all places were taken.
    of: Cell<Option<Audience>>,
}

impl Place {
    /// Counts a connection on the place that was found for it.
    #[must_use]
    pub fn new(current: Rc<Current>, of: Option<Audience>) -> Self {
        current.count_connections(|open| open[slot(of)] += 1);
        Self {
            current,
            of: Cell::new(of),
        }
    }

    /// A place for a connection that came by the door of `shard`; `None`: all are taken.
    #[must_use]
    pub fn find(shard: &Loop) -> Option<Audience> {
        let audiences: &[Audience] = match shard.door {
            Door::Both => &[Audience::Callers, Audience::Operators],
            Door::Callers => &[Audience::Callers],
            Door::Operators => &[Audience::Operators],
        };
        let mut audiences = audiences.iter().copied();
        audiences.find(|audience| shard.process.acquire(*audience))
    }

    /// The event loop that the connection is on.
    #[must_use]
    pub fn current(&self) -> &Rc<Current> {
        &self.current
    }

    /// Whether it is among those of `audience`.
    #[must_use]
    pub fn is_of(&self, audience: Audience) -> bool {
        self.of.get() == Some(audience)
    }

    /// Whether all places of its kind are taken, its own included: others wait for one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        let of = self.of.get();
        of.is_none_or(|of| self.current.process.is_full(of))
    }

    /// Whether a request of `audience` need not wait for anything.
    #[must_use]
    pub fn may_enter(&self, audience: Audience) -> bool {
        let is_callers = audience == Audience::Callers;
        self.is_of(audience) && !(is_callers && self.is_starting())
    }

    /// How long the connection waits for a request's head.
    #[must_use]
    pub fn patience(&self, order: RequestOrder) -> Patience {
        let (shard, server) = (&**self.current, &self.current.server);
        let is_operators = self.is_of(Audience::Operators);
        let of = match is_operators {
            true => Audience::Operators,
            false => Audience::Callers,
        };
        // The connection may have a place that others need, without being one of theirs.
        let is_guest = is_operators && shard.door == Door::Both;
        let in_head = server.header_timeout;
        let (before_head, waits) = match order {
            RequestOrder::First if shard.process.is_taking() && !is_guest => {
                (in_head, Waits::First(of))
            }
            RequestOrder::First => (in_head.min(FIRST_REQUEST), Waits::Moment),
            RequestOrder::Later => (between_requests(server, of), Waits::Another(of)),
        };
        Patience {
            before_head,
            waits,
            in_head,
        }
    }

    /// Takes the place that a request of `audience` needs, and waits for it where that must be; a
    /// caller's request waits until start-up has ended, too.
    ///
    /// # Errors
    ///
    /// The caller has left, or there is no place for it.
    pub async fn enter(&self, caller: &mut Caller, audience: Audience) -> Result<(), Stop> {
        self.change(caller, audience).await?;
        if audience == Audience::Callers && self.is_starting() {
            self.until_started(caller).await?;
        }
        Ok(())
    }

    /// Whether the first health checks have yet to say who can be asked.
    fn is_starting(&self) -> bool {
        self.current.process.phase() == Phase::Starting
    }

    async fn until_started(&self, caller: &mut Caller) -> Result<(), Stop> {
        // In a box of its own: a timer is aligned so that it would pad every request's future.
        let started = Box::pin(async {
            while self.is_starting() {
                sleep(LOOK_EVERY).await;
            }
        });
        let started = caller.unless_gone_before_body(started).await;
        started.ok_or(Stop::Gone)
    }

    /// Takes the place that a request of `audience` needs, and waits for it where that must be.
    async fn change(&self, caller: &mut Caller, audience: Audience) -> Result<(), Stop> {
        if self.is_of(audience) {
            return Ok(());
        }
        if !self.current.process.acquire(audience) {
            match audience {
                // There are very many of them: the one it has will do.
                Audience::Operators => return Ok(()),
                Audience::Callers => self.wait(caller).await?,
            }
        }
        let before = self.of.replace(Some(audience));
        self.current.count_connections(|open| {
            open[slot(before)] -= 1;
            open[slot(Some(audience))] += 1;
        });
        before
            .iter()
            .for_each(|of| self.current.process.release(*of));
        Ok(())
    }

    /// Waits for a caller's place, and takes it.
    async fn wait(&self, caller: &mut Caller) -> Result<(), Stop> {
        let current = &*self.current;
        let on_operators = self.is_of(Audience::Operators);
        if on_operators && !current.process.begin_waiting() {
            return Err(Stop::Refused(Refusal::TooManyConnections));
        }
        if let Some(kept_back) = current.process.pauses.requests.end(clock::now()) {
            let repeated = pause::told(kept_back);
            tracing::warn!(repeated, "server.max_connections is reached: requests wait");
        }
        let waiting = current
            .lobby
            .join(on_operators.then_some(&*current.process));
        // In a box of its own: a timer is aligned so that it would pad every request's future.
        let admitted = Box::pin(waiting.until_admitted(&current.process, || {
            current.make_places(Audience::Callers);
        }));
        let admitted = caller.unless_gone_before_body(admitted).await;
        drop(waiting);
        match admitted {
            Some(true) => Ok(()),
            Some(false) => Err(Stop::Refused(Refusal::ShuttingDown)),
            None => Err(Stop::Gone),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let of = self.of.get();
        self.current.count_connections(|open| open[slot(of)] -= 1);
        of.iter().for_each(|of| self.current.process.release(*of));
    }
}

/// Where a connection is counted: one without a place is a caller's connection that waits.
fn slot(of: Option<Audience>) -> usize {
    of.unwrap_or(Audience::Callers) as usize
}
