//! Where permits and reservations are taken and given back.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::config::plan::Plan;
use crate::link::facts::{Ended, Fact};
use crate::link::gate::Gates;
use crate::link::held::{HeldBudget, HeldLimits};
use crate::link::reports::{Lacking, Message};
use crate::shard::state::meters::Meters;
use crate::shard::state::reports::Reports;

/// What permits and reservations need: the words of one configuration, and the way to the
/// coordinator.
pub struct Desk {
    /// The configuration.
    pub plan: Arc<Plan>,
    /// Its words.
    pub gates: Arc<Gates>,
    /// Takes reports of what happens.
    pub reports: Rc<dyn Report>,
    /// Counts what happens.
    pub meters: Rc<Meters>,
    /// Reads the clock.
    pub now: fn() -> Instant,
}

/// Takes facts for the coordinator.
pub trait Report {
    /// Reports a fact.
    fn report(&self, fact: Fact);

    /// Reports that a request which was admitted at `at` has passed its scopes, of whose limits it
    /// holds these.
    fn passed(&self, at: Instant, held: &[HeldLimits]);

    /// Reports that a request has ended and cost this much, which is more than nothing; these
    /// budgets pay it.
    fn paid(&self, cost: NanoUsd, held: &[HeldBudget]);

    /// Reports how an attempt has ended.
    fn ended(&self, ended: Ended);

    /// Hands over the reported facts now.
    fn flush(&self);

    /// Tells that requests lack parts of a shared quota; returns whether there was room for that.
    fn lack(&self, lacking: Lacking) -> bool;
}

impl Report for Reports {
    fn report(&self, fact: Fact) {
        Self::report(self, fact);
    }

    fn passed(&self, at: Instant, held: &[HeldLimits]) {
        Self::passed(self, at, held);
    }

    fn paid(&self, cost: NanoUsd, held: &[HeldBudget]) {
        Self::paid(self, cost, held);
    }

    fn ended(&self, ended: Ended) {
        Self::ended(self, ended);
    }

    fn flush(&self) {
        Self::flush(self);
    }

    fn lack(&self, lacking: Lacking) -> bool {
        self.ask(Message::Lacked(lacking)).is_ok()
    }
}
