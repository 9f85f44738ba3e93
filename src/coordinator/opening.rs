//! What a coordinator begins with.

use std::sync::Arc;

use crate::config::plan::Plan;
use crate::coordinator::reports::Job;
use crate::exchange::callers::Callers;
use crate::ledger::books::Books;
use crate::ledger::totals::Totals;
use crate::link::gate::Gates;
use crate::link::meters::MeterReceiver;
use crate::link::progress::Progress;
use crate::link::queue::Giver;

/// What a coordinator begins with.
pub struct Opening {
    /// The configuration.
    pub plan: Arc<Plan>,
    /// The words that it publishes.
    pub gates: Arc<Gates>,
    /// The callers, with the words of their limits and budgets.
    pub callers: Arc<Callers>,
    /// How far the shards have reported, and how far the coordinator has merged.
    pub progress: Arc<Progress>,
    /// The books.
    pub books: Books,
    /// The totals.
    pub totals: Totals,
    /// Receives the counters that shards begin.
    pub meters: MeterReceiver,
    /// Takes questions whose answers take long to write.
    pub reports: Giver<Job>,
}
