//! What the tests of a debug build may ask of a request by its headers: to go wrong.

use std::time::Duration;

use crate::shard::http::caller::Caller;
use crate::shard::net::guarded;
use crate::sys::clock;

/// Panics on `X-Infermux-Test-Panic: 1`, lets the task panic that it names, and keeps the loop from
/// turning for as many milliseconds as `X-Infermux-Test-Stall` says.
pub(super) fn play(caller: &Caller) {
    let asked = |name| caller.head.value(&caller.bytes, name);
    guarded::trigger::obey(asked("x-infermux-test-panic"));
    let stall = asked("x-infermux-test-stall");
    let millis = stall.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let until = clock::now() + Duration::from_millis(millis.unwrap_or(0));
    while clock::now() < until {
        std::thread::park_timeout(until.since(clock::now()));
    }
}
