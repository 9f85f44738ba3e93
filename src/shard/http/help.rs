//! Has helper threads do long computations; the shard serves others meanwhile.

use std::ops::Range;
use std::sync::Arc;

use crate::base::limits::INSPECTED_AT_ONCE_BYTES_MAX;
use crate::exchange::refusal::Refusal;
use crate::link::helpers::{self, Helpers, Look};
use crate::shard::http::caller::Caller;
use crate::shard::net::sleep::pause;

/// What happens to work when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused: nothing has been spent on its request yet.
    Refuse,
    /// It waits for its turn: a provider was paid for its request already.
    Wait,
}

/// Has a helper thread call `make`.
///
/// # Errors
///
/// The queue is full, or the work has panicked.
pub async fn make<T: Send + 'static>(
    helpers: &Helpers,
    when_full: WhenFull,
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal<'static>> {
    let (mut work, made) = helpers::work(make);
    while let Err(back) = helpers.give(work) {
        if when_full == WhenFull::Refuse {
            return Err(Refusal::Overloaded);
        }
        work = back;
        pause().await;
    }
    loop {
        match made.look() {
            Look::NotYet => pause().await,
            Look::Done(made) => return Ok(made),
            Look::Lost => return Err(Refusal::Internal),
        }
    }
}

/// What `read` finds in the body at `at` of the caller's bytes; a helper thread looks through a
/// large one.
///
/// # Errors
///
/// No helper thread has time for a large body.
pub async fn look<T: Send + 'static>(
    helpers: &Helpers,
    caller: &mut Caller,
    at: Range<usize>,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, Refusal<'static>> {
    if at.len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        return Ok(read(&caller.bytes[at]));
    }
    let work = move |message: &[u8]| read(&message[at]);
    make_of_message(helpers, caller, work).await
}

/// Has a helper thread call `make` with the caller's message, head and body.
///
/// # Errors
///
/// The queue is full, or the work has panicked.
pub async fn make_of_message<T: Send + 'static>(
    helpers: &Helpers,
    caller: &mut Caller,
    of: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, Refusal<'static>> {
    let lent = caller.lend();
    let theirs = Arc::clone(&lent);
    let work = move || {
        let made = of(&theirs);
        // Dropped before the result is returned, so that the message is the caller's alone again.
        drop(theirs);
        made
    };
    let made = make(helpers, WhenFull::Refuse, work).await;
    caller.take_back(lent);
    made
}
