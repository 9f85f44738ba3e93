//! Access lines of one shard: gathered, and handed to the writing thread in batches.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::base::limits::LOG_HANDOVER_BYTES;
use crate::link::log::LogSender;
use crate::shard::net::nudge::Nudge;
use crate::shard::net::sleep::sleep;

/// The lines that wait, and where they go.
pub struct AccessLog {
    lines: RefCell<Vec<u8>>,
    sender: LogSender,
    filled: Nudge,
}

impl AccessLog {
    /// No lines yet.
    #[must_use]
    pub fn new(sender: LogSender) -> Self {
        Self {
            lines: RefCell::default(),
            sender,
            filled: Nudge::default(),
        }
    }

    /// Lets `write` append one line.
    pub fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut lines = self.lines.borrow_mut();
        if lines.is_empty() {
            self.filled.give();
        }
        write(&mut lines);
        if lines.len() >= LOG_HANDOVER_BYTES {
            self.sender.send(replaced(&mut lines));
        }
    }

    /// Hands over what waits.
    pub fn flush(&self) {
        let mut lines = self.lines.borrow_mut();
        if !lines.is_empty() {
            self.sender.send(replaced(&mut lines));
        }
    }

    /// Hands lines over at most 10 ms after they were written, as long as the shard runs.
    pub async fn keep_flushing(self: Rc<Self>) {
        loop {
            self.filled.wait().await;
            sleep(Duration::from_millis(10)).await;
            self.flush();
        }
    }
}

/// Takes the lines, and leaves a buffer with as much room.
fn replaced(lines: &mut Vec<u8>) -> Vec<u8> {
    let next = Vec::with_capacity(lines.len().next_power_of_two());
    std::mem::replace(lines, next)
}
