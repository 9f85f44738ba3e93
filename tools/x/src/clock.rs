//! The one place that reads a clock.

use std::time::{Duration, Instant};

/// Counts the time since it was started.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "this file is the tool's clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Lets `time` pass.
#[expect(clippy::disallowed_methods, reason = "this file is the tool's clock")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
