//! What is played of a shard's desk: the clock, and an ear that hears what is reported.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use infermux::testing::base::time::Instant;
use infermux::testing::link::facts::{Ended, Fact};
use infermux::testing::shard::state::desk::Report;
use infermux::testing::shard::state::reports::Reports;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ZERO) };
}

/// The time of the run that this thread plays.
pub(crate) fn now() -> Instant {
    NOW.get()
}

pub(crate) fn set_now(now: Instant) {
    NOW.set(now);
}

/// The real reports of a shard; the judge hears of each fact.
pub(crate) struct Tap {
    reports: Reports,
    heard: RefCell<Vec<Fact>>,
}

impl Tap {
    pub(crate) fn new(reports: Reports) -> Self {
        Self {
            reports,
            heard: RefCell::default(),
        }
    }

    /// The facts that were reported since this was last asked.
    pub(crate) fn heard(&self) -> Vec<Fact> {
        self.heard.take()
    }
}

impl Deref for Tap {
    type Target = Reports;

    fn deref(&self) -> &Reports {
        &self.reports
    }
}

impl Report for Tap {
    fn report(&self, fact: Fact) {
        self.heard.borrow_mut().push(fact);
        self.reports.report(fact);
    }

    fn ended(&self, ended: Ended) {
        self.heard.borrow_mut().push(Fact::Ended(ended));
        self.reports.ended(ended);
    }

    fn flush(&self) {
        self.reports.flush();
    }
}
