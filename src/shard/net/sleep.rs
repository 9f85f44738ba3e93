//! Waiting for time to pass.

use std::time::Duration;

pub use monoio::time::sleep;

/// The same within a request: a timer is aligned so that it would pad every request's future, and
/// so it is in a box of its own.
pub async fn sleep_apart(span: Duration) {
    Box::pin(sleep(span)).await;
}

/// Lets the loop do what else there is, for a millisecond. A task that wakes itself would not do:
/// the loop goes on with the tasks that are ready before it looks at its ring and its timers.
pub async fn pause() {
    sleep_apart(Duration::from_millis(1)).await;
}
