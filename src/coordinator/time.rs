//! What both clocks show.

use crate::base::time::{Instant, WallTime};
use crate::sys::clock;

/// What both clocks show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// The one that nobody sets.
    pub now: Instant,
    /// The calendar.
    pub wall: WallTime,
}

impl Time {
    /// What they show now.
    #[must_use]
    pub fn read() -> Self {
        Self {
            now: clock::now(),
            wall: clock::wall(),
        }
    }
}
