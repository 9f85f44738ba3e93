//! Connections that wait for a request make way for those that wait for a place.
//!
//! Whoever opens as many connections as there are places, and asks for something now and then,
//! would keep everybody else out for as long as `server.idle_timeout`. A connection between two
//! requests may be closed at any time; the ones that have waited longest are.

use std::time::Duration;

use crate::config::plan::Server;
use crate::link::gate::Audience;
use crate::shard::state::event_loop::Loop;
use crate::sys::clock;

impl Loop {
    /// Closes connections of `of` that wait for a request, since somebody waits for a place; where
    /// there are none here, other event loops are asked to close some of theirs.
    pub fn make_places(&self, of: Audience) {
        if self.yield_places(of) == 0 {
            self.process.lack_places(of);
        }
    }

    /// Closes connections of those who lack places on other event loops.
    pub fn yield_to_others(&self) {
        for of in [Audience::Callers, Audience::Operators] {
            let lacked = self.process.places_lacked(of);
            if self.places_lacked.each_ref()[of as usize].replace(lacked) != lacked {
                self.yield_places(of);
            }
        }
    }

    fn yield_places(&self, of: Audience) -> usize {
        let first = self.server.header_timeout.saturating_sub(WAITED_LEAST);
        let another = between_requests(&self.server, of).saturating_sub(WAITED_LEAST);
        let now = clock::now();
        self.io.timers.cut_longest(of, [now + first, now + another])
    }
}

/// How long a connection of `of` may wait for another request.
#[must_use]
pub fn between_requests(server: &Server, of: Audience) -> Duration {
    match of {
        Audience::Callers => server.idle_timeout,
        Audience::Operators => server.idle_timeout.min(OPERATORS_IDLE_MAX),
    }
}

/// How long an operator's connection may wait for another request: their places are few.
const OPERATORS_IDLE_MAX: Duration = Duration::from_secs(30);
/// How long a connection has waited at least when it makes way: the next request of a busy client
/// comes sooner.
const WAITED_LEAST: Duration = Duration::from_secs(1);
