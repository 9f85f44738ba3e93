//! The one place that reads a clock; every other part gets moments as arguments.

use std::time::{Duration, Instant};

/// Moments counted from the start of the run, the same for every thread.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts at zero.
    #[expect(clippy::disallowed_methods, reason = "this file is the tool's clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }
}
