//! Starts a thread that reports its end.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::cli::environment;
use crate::cli::not_started::{NotStarted, failed};
use crate::link::events::{Event, EventSender};

/// Starts a thread that reports its end to the main thread, however it ends.
///
/// # Errors
///
/// It cannot be started.
pub fn start_thread(
    name: String,
    events: &EventSender,
    ended: impl FnOnce(Option<String>) -> Event + Send + 'static,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), NotStarted> {
    let events = events.clone();
    let panics = is_to_panic(&name);
    let whole = move || {
        let body = || {
            assert!(!panics, "a panic was asked for");
            body()
        };
        // The process ends after a panic, so the thread's state is not used any more.
        let fault = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(_) => Some(String::from("panicked")),
        };
        events.send(ended(fault));
    };
    let started = thread::Builder::new().name(name).spawn(whole);
    started.map(|_| ()).map_err(failed("cannot start a thread"))
}

/// Whether the thread of this name is to panic: tests of a debug build check how the process
/// reacts.
fn is_to_panic(name: &str) -> bool {
    let asked = environment::variable("INFERMUX_TEST_PANIC").filter(|_| cfg!(debug_assertions));
    asked.is_some_and(|asked| asked == name)
}
