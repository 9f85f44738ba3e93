//! Connections to providers, as they are counted.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::link::meters::ProviderMeter;

/// An open connection to a provider, as it is counted.
pub struct Connected {
    meter: Arc<ProviderMeter>,
    /// How many its shard has.
    open: Rc<Cell<usize>>,
    is_idle: bool,
}

impl Connected {
    /// Counts a connection that was opened, among those that its shard has `open`.
    #[must_use]
    pub fn new(meter: Arc<ProviderMeter>, open: Rc<Cell<usize>>) -> Self {
        meter.connections_opened.add(1);
        open.set(open.get() + 1);
        Self {
            meter,
            open,
            is_idle: false,
        }
    }

    /// It waits for its next request.
    pub fn mark_idle(&mut self) {
        if !std::mem::replace(&mut self.is_idle, true) {
            self.meter.connections_idle.up();
        }
    }

    /// It has one.
    pub fn mark_busy(&mut self) {
        if std::mem::take(&mut self.is_idle) {
            self.meter.connections_idle.down();
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.mark_busy();
        self.meter.connections_closed.add(1);
        self.open.set(self.open.get() - 1);
    }
}
