//! The one place that reads a clock; every other part gets moments as arguments.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Moments counted from the start of the run, the same for every thread.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// The start as the time since 1970.
    pub(crate) epoch: Duration,
}

impl Clock {
    /// A clock that starts at zero.
    #[expect(clippy::disallowed_methods, reason = "this file is the tool's clock")]
    pub(crate) fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: Instant::now(),
            epoch: epoch.unwrap_or_default(),
        }
    }

    /// The time since the start.
    pub(crate) fn now(self) -> Duration {
        self.start.elapsed()
    }
}
