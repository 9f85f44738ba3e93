//! What a large request asks for: read as its body has arrived, or by a helper thread.

use crate::base::endpoint::Dialect;
use crate::dialect::ask::{Ask, AskFault, read_ask};
use crate::exchange::refusal::Refusal;
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::state::event_loop::Loop;

/// What the request asks for, as a copy: the body is dropped before the request ends.
///
/// # Errors
///
/// The body is unusual or wrong, and too much work waits for the helper threads to judge it.
pub async fn read_large(
    shard: &Loop,
    caller: &mut Caller,
    dialect: Dialect,
    body: Body,
) -> Result<Result<Ask<'static>, AskFault>, Refusal<'static>> {
    let at = body.at;
    let Some(arriving) = body.arriving else {
        return Ok(read_ask(dialect, &caller.bytes[at]).map(Ask::into_owned));
    };
    if let Some(read) = arriving.finish(&caller.bytes[at.clone()]) {
        return Ok(read);
    }
    // The reader that knows all of JSON takes its time: 31 MiB take it a tenth of a second.
    let judge = move |message: &[u8]| read_ask(dialect, &message[at]).map(Ask::into_owned);
    help::make_of_message(&shard.helpers, caller, judge).await
}
