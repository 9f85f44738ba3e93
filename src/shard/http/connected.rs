//! Counts connections to providers.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::link::meters::ProviderMeter;
use crate::shard::http::addresses::Tally;

/// An open connection to a provider; it is counted as long as this lives.
pub struct Connected {
    meter: Arc<ProviderMeter>,
    /// How many connections its shard has open.
    open: Rc<Cell<usize>>,
    is_idle: bool,
    /// Counts the connections to its address, where its provider has many.
    tally: Option<Rc<Tally>>,
}

impl Connected {
    /// Counts a connection that was opened, also in `open`, the number of its shard, and in
    /// `tally`, those to its address.
    #[must_use]
    pub fn new(meter: Arc<ProviderMeter>, open: Rc<Cell<usize>>, tally: Option<Rc<Tally>>) -> Self {
        meter.connections_opened.add(1);
        open.set(open.get() + 1);
        if let Some(tally) = &tally {
            tally.opened();
        }
        Self {
            meter,
            open,
            is_idle: false,
            tally,
        }
    }

    /// The connection waits for its next request.
    pub fn mark_idle(&mut self) {
        if !std::mem::replace(&mut self.is_idle, true) {
            self.meter.connections_idle.up();
            if let Some(tally) = &self.tally {
                tally.parked();
            }
        }
    }

    /// The connection has a request.
    pub fn mark_busy(&mut self) {
        if std::mem::take(&mut self.is_idle) {
            self.meter.connections_idle.down();
            if let Some(tally) = &self.tally {
                tally.taken();
            }
        }
    }

    /// What counts the connections to its address.
    #[must_use]
    pub fn tally(&self) -> Option<&Rc<Tally>> {
        self.tally.as_ref()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.mark_busy();
        self.meter.connections_closed.add(1);
        self.open.set(self.open.get() - 1);
        if let Some(tally) = &self.tally {
            tally.closed();
        }
    }
}
