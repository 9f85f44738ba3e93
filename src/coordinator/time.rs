//! The readings of both clocks.

use crate::base::time::{Instant, WallTime};
use crate::sys::clock;

/// The readings of both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// The monotonic clock.
    pub now: Instant,
    /// The calendar clock.
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
