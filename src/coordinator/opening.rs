//! What the books of the process open with.

use std::sync::Arc;

use crate::config::plan::Plan;
use crate::coordinator::reports::Job;
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
    /// How far the shards and the coordinator are with reports.
    pub progress: Arc<Progress>,
    /// The books.
    pub books: Books,
    /// What is counted.
    pub totals: Totals,
    /// Counts that shards begin.
    pub meters: MeterReceiver,
    /// Where questions go whose answers take long to write.
    pub reports: Giver<Job>,
}
