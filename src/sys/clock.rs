//! The only place that reads a clock.

use crate::base::time::{Instant, WallTime};

/// The moment on the monotonic clock; the vDSO answers without a system call.
#[must_use]
#[expect(unsafe_code, reason = "std gives no absolute monotonic time")]
pub fn now() -> Instant {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid, writable timespec for the length of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Instant::from_nanos(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The calendar time; a clock set before 1970 counts as 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn wall() -> WallTime {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since_epoch.map_or(0, |span| span.as_millis());
    WallTime::from_unix_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The calendar time in nanoseconds since the Unix epoch; a clock set before 1970 counts as 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn wall_nanos() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since_epoch.map_or(0, |span| span.as_nanos());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_clocks_run_forward() {
        let (first, second) = (super::now(), super::now());
        assert!(second >= first && first.as_nanos() > 0);
        assert!(super::wall().civil().year >= 2024);
        assert!(super::wall_nanos() / 1_000_000 >= super::wall().unix_millis() - 1_000);
    }
}
