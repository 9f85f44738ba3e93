//! What is played of a shard's desk: the clock, and an ear that hears what is reported.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;

use infermux::testing::base::ids::ShardId;
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::time::Instant;
use infermux::testing::link::facts::{Ended, Fact};
use infermux::testing::link::held::{HeldBudget, HeldLimits};
use infermux::testing::link::progress::Progress;
use infermux::testing::link::reports::Lacking;
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
    shard: ShardId,
    progress: Arc<Progress>,
    heard: RefCell<Vec<(Fact, u64)>>,
}

impl Tap {
    pub(crate) fn new(reports: Reports, (shard, progress): (ShardId, &Arc<Progress>)) -> Self {
        Self {
            reports,
            shard,
            progress: Arc::clone(progress),
            heard: RefCell::default(),
        }
    }

    /// The facts that were reported since this was last asked, each with the number of the batch
    /// that has it, or will have it.
    pub(crate) fn heard(&self) -> Vec<(Fact, u64)> {
        self.heard.take()
    }

    /// It has just been reported.
    fn hear(&self, fact: Fact) {
        let batch = self.progress.pending()[self.shard.index()];
        self.heard.borrow_mut().push((fact, batch));
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
        self.reports.report(fact);
        self.hear(fact);
    }

    fn passed(&self, at: Instant, held: &[HeldLimits]) {
        for one in held {
            self.reports.passed(at, std::slice::from_ref(one));
            if one.taken.must_be_told() {
                self.hear(Fact::Admitted(one.admitted(at)));
            }
        }
    }

    fn paid(&self, cost: NanoUsd, held: &[HeldBudget]) {
        for one in held {
            self.reports.paid(cost, std::slice::from_ref(one));
            self.hear(one.settled(cost));
        }
    }

    fn ended(&self, ended: Ended) {
        self.reports.ended(ended);
        self.hear(Fact::Ended(ended));
    }

    fn lack(&self, _: Lacking) -> bool {
        // No quota is shared here.
        true
    }

    fn flush(&self) {
        self.reports.flush();
    }
}
