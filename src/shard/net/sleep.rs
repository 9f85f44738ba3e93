//! Waiting for time to pass.

use std::time::Duration;

pub use monoio::time::sleep;

/// Sleeps within a request: a timer's alignment would pad every request's future, so it is in a box
/// of its own.
pub async fn sleep_apart(span: Duration) {
    Box::pin(sleep(span)).await;
}

/// Lets the loop do other work for a millisecond. A task that only wakes itself would not: the loop
/// runs all ready tasks before it looks at its ring and its timers.
pub async fn pause() {
    sleep_apart(Duration::from_millis(1)).await;
}
