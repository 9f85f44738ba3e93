//! The configuration for requests that begin now.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use crate::shard::state::event_loop::Loop;
use crate::shard::state::shard::Shard;

/// The shard for the next request.
pub struct Current {
    own: Rc<Loop>,
    shard: RefCell<Rc<Shard>>,
    /// The last step in which the loop was seen not to turn, as far as the loop knows.
    last_stall: Cell<u64>,
}

impl Deref for Current {
    type Target = Loop;

    fn deref(&self) -> &Loop {
        &self.own
    }
}

impl Current {
    /// Begins with the era that is published now.
    #[must_use]
    pub fn new(own: Rc<Loop>) -> Self {
        let shard = Shard::new(Rc::clone(&own), own.era.load(), |era| {
            era.carried_over(&[], USUAL_ANSWER)
        });
        Self {
            shard: RefCell::new(Rc::new(shard)),
            last_stall: Cell::new(0),
            own,
        }
    }

    /// The shard for a request that begins now.
    #[must_use]
    pub fn shard(&self) -> Rc<Shard> {
        // If the loop did not turn, a reload may have gone on without it.
        let stall = self.own.progress.stalled_in(self.own.id);
        if self.last_stall.replace(stall) != stall {
            self.adopt();
        }
        Rc::clone(&self.shard.borrow())
    }

    /// Adopts the published era and the published callers, if they are others; requests under way
    /// keep theirs.
    pub fn adopt(&self) {
        self.own.held_callers.adopt(&self.own.callers);
        let before = self.shard();
        let era = self.own.era.load();
        if era.number == before.era.number {
            return;
        }
        for id in &era.terms.fresh.providers {
            self.own.forget(*id);
        }
        for provider in &before.plan.providers {
            let id = provider.id;
            if era.terms.plan.find_provider(id).is_none() || !era.trusts_as(&before.era, id) {
                self.own.pool.forget(id);
            }
        }
        let after = Shard::new(Rc::clone(&self.own), era, |era| {
            era.carried_over(&before.answers.borrow(), USUAL_ANSWER)
        });
        *self.shard.borrow_mut() = Rc::new(after);
    }
}

/// How long an answer is expected to be before any has been seen, in tokens.
const USUAL_ANSWER: u64 = 512;
