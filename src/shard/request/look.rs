//! A look through a request's body, for what only some requests must know of it.

use std::ops::Range;

use crate::base::limits::INSPECTED_AT_ONCE_BYTES_MAX;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::state::event_loop::Loop;

/// What `read` finds in the body at `at` of the caller's bytes; a helper thread looks through a
/// large one.
///
/// # Errors
///
/// No helper thread has time for a large body.
pub(super) async fn look<T: Send + 'static>(
    shard: &Loop,
    caller: &mut Caller,
    at: Range<usize>,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, Refusal<'static>> {
    if at.len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        return Ok(read(&caller.bytes[at]));
    }
    let work = move |message: &[u8]| read(&message[at]);
    help::make_of_message(&shard.helpers, caller, work).await
}
