//! A whole answer whose caller wants a stream: it is sent as events.

use std::io;
use std::ops::Range;

use crate::base::limits::{ONE_SEND_BYTES_MAX, TRANSLATED_AT_ONCE_BYTES_MAX};
use crate::decide::outcome::Outcome;
use crate::dialect::answer_as_stream::{self, Telling};
use crate::exchange::headers::{self, Totals};
use crate::exchange::version::Version;
use crate::link::buffered::Held;
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::request::answer_head;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::record::Record;
use crate::sys::clock;
use crate::wire::chunked::write_chunk_head;
use crate::wire::usage::Usage;

/// The events that an answer is told as, and what they take.
pub struct Events {
    /// Their text.
    pub bytes: Vec<u8>,
    held: Held,
    /// What the answer has used and cost, once that is settled.
    pub totals: Totals,
}

/// The events that the completion at `at` of `bytes` amounts to, given what it has used. A helper
/// thread makes those of a large one.
///
/// # Errors
/// The answer is not JSON throughout, or the work has panicked and the answer is lost with it.
pub async fn events(
    attempt: &Attempt<'_, '_>,
    (bytes, at): (&mut Vec<u8>, Range<usize>),
    (usage, text_bytes): (Option<Usage>, usize),
) -> Result<Events, Untold> {
    let job = attempt.job;
    let (endpoint, include_usage) = (job.endpoint, job.ask.include_usage);
    let tariff = attempt.tariff();
    let cost = tariff.map(|tariff| tariff.cost(usage, text_bytes));
    let made = if at.len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        let telling = Telling {
            endpoint,
            caller_model: attempt.caller_model(),
            include_usage,
            cost,
        };
        told(&bytes[at], &telling)
    } else {
        let (model, answer) = (attempt.caller_model().to_vec(), std::mem::take(bytes));
        let work = move || {
            let telling = Telling {
                endpoint,
                caller_model: &model,
                include_usage,
                cost,
            };
            let made = told(&answer[at], &telling);
            (answer, made)
        };
        // In a box of its own: few requests need the room.
        let made = Box::pin(help::make(&job.shard.helpers, WhenFull::Wait, work)).await;
        let (answer, made) = made.map_err(|_| Untold)?;
        *bytes = answer;
        made
    };
    let bytes = made.ok_or(Untold)?;
    // They are there, whether or not they may be; nothing else is asked for them.
    let mut held = job.shard.io.lease.hold();
    held.insist_on(bytes.capacity());
    let totals = Totals::default();
    Ok(Events {
        bytes,
        held,
        totals,
    })
}

/// The answer cannot be told as events.
#[derive(Debug)]
pub struct Untold;

fn told(body: &[u8], telling: &Telling<'_>) -> Option<Vec<u8>> {
    let mut events = Vec::with_capacity(body.len() + body.len() / 2);
    answer_as_stream::write(body, telling, &mut events).then_some(events)
}

/// Sends the events of an answer that has been settled.
pub async fn relay<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: Box<Upstream>,
    events: Events,
) -> Outcome {
    let job = attempt.job;
    answer_head::write_streamed(attempt, caller, record, &up, clock::now());
    record.count();
    job.shard.park(attempt.candidate().provider, up);
    let totals = events.totals;
    let is_chunked = job.request.version == Version::Http11;
    if is_chunked {
        write_chunk_head(events.bytes.len(), &mut caller.out);
    }
    if send_events(caller, events).await.is_err() {
        return Outcome::CallerGone;
    }
    if is_chunked {
        let out = &mut caller.out;
        out.extend_from_slice(b"\r\n0\r\n");
        headers::totals(out, &totals);
        out.extend_from_slice(b"\r\n");
    }
    let sent = caller.send_out().await;
    sent.map_or(Outcome::CallerGone, |()| Outcome::Answered)
}

/// Puts few events behind the head, and sends many from where they are.
async fn send_events(caller: &mut Caller, mut events: Events) -> io::Result<()> {
    if events.bytes.len() <= ONE_SEND_BYTES_MAX {
        caller.out.extend_from_slice(&events.bytes);
        return Ok(());
    }
    caller.send_out().await?;
    // What is on its way is counted there.
    events.held.clear();
    let (sent, _) = caller.send(Part::own(events.bytes)).await;
    caller.make_room();
    sent
}
