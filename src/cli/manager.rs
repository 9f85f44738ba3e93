//! The service manager that started the process, as the environment names it.

use std::time::Duration;

use crate::cli::environment;
use crate::cli::stop::Watchdog;
use crate::sys::notify::Manager;

/// The service manager, where the environment names one.
#[must_use]
pub fn manager() -> Manager {
    let place = environment::setting("NOTIFY_SOCKET");
    let manager = place.map(|place| {
        let manager = Manager::at(&place);
        manager.inspect_err(|fault| tracing::warn!(%fault, place, "NOTIFY_SOCKET cannot be used"))
    });
    manager.and_then(Result::ok).unwrap_or_default()
}

/// The watchdog that the service manager asks for: it hears that all is well twice within the time
/// after which it takes silence for a fault. The tests of a debug build may shorten the patience
/// with a loop that does not turn.
#[must_use]
pub fn watchdog() -> Option<Watchdog> {
    let pid = environment::setting("WATCHDOG_PID");
    let is_meant = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let micros = environment::setting("WATCHDOG_USEC").filter(|_| is_meant)?;
    let micros = micros.parse().ok().filter(|micros| *micros > 0)?;
    let shorter = environment::variable("INFERMUX_TEST_STALL_MAX_MS");
    let shorter = shorter.filter(|_| cfg!(debug_assertions));
    let millis = shorter.and_then(|millis| millis.parse().ok());
    Some(Watchdog {
        every: Duration::from_micros(micros) / 2,
        stall_max: Duration::from_millis(millis.unwrap_or(30_000)),
    })
}
