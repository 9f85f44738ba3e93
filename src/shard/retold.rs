//! A whole answer that its caller wants as a stream: told as one.

use crate::decide::outcome::{Failure, Outcome};
use crate::exchange::headers::{self, Totals};
use crate::exchange::request::Version;
use crate::exchange::retell::{self, Telling};
use crate::shard::attempt::Attempt;
use crate::shard::caller::Caller;
use crate::shard::settle::Record;
use crate::shard::stream;
use crate::shard::upstream::Upstream;
use crate::sys::clock;
use crate::wire::chunked::write_chunk_head;

/// The events that the completion `body` amounts to.
///
/// # Errors
/// It is not JSON throughout.
pub fn events(attempt: &Attempt<'_, '_>, body: &[u8]) -> Result<Vec<u8>, Outcome> {
    let telling = Telling {
        endpoint: attempt.job.endpoint,
        caller_model: attempt.caller_model(),
        include_usage: attempt.job.ask.include_usage,
    };
    let mut events = Vec::with_capacity(body.len() + body.len() / 2);
    if retell::write(body, &telling, &mut events) {
        Ok(events)
    } else {
        Err(Outcome::Failed(Failure::Malformed))
    }
}

/// Sends the events of an answer that has been settled.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: Upstream,
    (events, totals): (Vec<u8>, Totals),
) -> Outcome {
    let job = attempt.job;
    caller.out.clear();
    stream::begin(attempt, caller, record, &up, clock::now());
    record.count();
    up.park(job.shard, attempt.candidate().provider);
    let out = &mut caller.out;
    match job.request.version {
        Version::Http11 => {
            write_chunk_head(events.len(), out);
            out.extend_from_slice(&events);
            out.extend_from_slice(b"\r\n0\r\n");
            headers::totals(out, &totals);
            out.extend_from_slice(b"\r\n");
        }
        Version::Http10 => out.extend_from_slice(&events),
    }
    let sent = caller.send_out(job.shard).await;
    sent.map_or(Outcome::CallerGone, |()| Outcome::Answered)
}
