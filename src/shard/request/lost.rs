//! The cost of answers that the caller does not get.

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::{ANSWER_BODY_BYTES_MAX, INSPECTED_AT_ONCE_BYTES_MAX};
use crate::decide::outcome::{Failure, Outcome};
use crate::dialect::chat::inspect;
use crate::dialect::messages::usage::Counters;
use crate::dialect::passed_on;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::error::Error;
use crate::shard::request::kept;
use crate::shard::request::record::Record;
use crate::wire::head::Framing;
use crate::wire::seen::{self, Seen};
use crate::wire::usage::Usage;

/// What has arrived of a 2xx answer that the caller does not get; `None`: it is a refusal, for
/// which nothing is billed. A helper thread looks at a large one.
pub async fn seen(attempt: &Attempt<'_, '_>, up: &mut Upstream) -> Option<Seen> {
    let endpoint = attempt.own_endpoint();
    if up.body().len() <= INSPECTED_AT_ONCE_BYTES_MAX {
        return look(endpoint, up.body());
    }
    up.socket.deadline.clear();
    let (bytes, at) = (std::mem::take(&mut up.bytes), up.head.len..up.end);
    let work = move || {
        let seen = look(endpoint, &bytes[at]);
        (bytes, seen)
    };
    // In a box of its own: few requests need the room.
    let made = Box::pin(help::make(&attempt.job.shard.helpers, WhenFull::Wait, work)).await;
    let (bytes, seen) = made.ok()?;
    up.bytes = bytes;
    seen
}

fn look(endpoint: Endpoint, body: &[u8]) -> Option<Seen> {
    match endpoint.dialect() {
        Dialect::Chat if endpoint.is_passed_on() => seen::seen(body, None, passed_on::told),
        Dialect::Messages => seen::seen(body, Some(b"content"), Counters::told),
        Dialect::Responses => seen::seen(body, Some(b"output"), Usage::of_response),
        Dialect::Chat => inspect::seen(body, endpoint),
    }
}

/// Books an answer that infermux cannot hold: the provider has made it, and the caller pays for it.
/// Where the answer told its length, the provider has made all of it.
pub async fn book_unheld(attempt: &Attempt<'_, '_>, record: &mut Record<'_>, up: &mut Upstream) {
    let Some(mut seen) = seen(attempt, up).await else {
        return;
    };
    if let Framing::Length(length) = up.head.framing
        && attempt.job.endpoint.is_written()
    {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let missing = length
            .min(ANSWER_BODY_BYTES_MAX)
            .saturating_sub(up.body().len());
        seen.text_bytes = seen.text_bytes.saturating_add(missing);
    }
    let used = attempt.used(seen.usage, seen.text_bytes);
    record.settle(used);
    attempt.job.with_permit(|permit| permit.abandon(used.sum()));
}

/// Ends an attempt whose 2xx answer, which has been read, turned out to be none.
pub async fn fail(
    attempt: &Attempt<'_, '_>,
    record: &mut Record<'_>,
    up: Box<Upstream>,
    outcome: Outcome,
) -> Outcome {
    let is_rate_limit = outcome == Outcome::RateLimited;
    let is_error = outcome == Outcome::Failed(Failure::ErrorObject);
    if is_error || is_rate_limit || matches!(outcome, Outcome::OwnKeyRefused(_)) {
        attempt.note_error(record, up.body());
        if let Some(told) = kept::overflow(attempt, &up) {
            return overflow(attempt, record, up, told).await;
        }
    }
    if is_rate_limit {
        attempt.put_aside(None);
    }
    close(attempt, record, up, outcome).await
}

/// Ends an attempt whose 2xx answer says that the prompt is too long; the caller is told where no
/// larger model answers.
pub async fn overflow(
    attempt: &Attempt<'_, '_>,
    record: &mut Record<'_>,
    up: Box<Upstream>,
    told: Error,
) -> Outcome {
    kept::keep(attempt, record, &up, told);
    close(attempt, record, up, Outcome::Overflowed).await
}

async fn close(
    attempt: &Attempt<'_, '_>,
    record: &mut Record<'_>,
    mut up: Box<Upstream>,
    outcome: Outcome,
) -> Outcome {
    let seen = seen(attempt, &mut up).await;
    attempt.abandoned(record, seen, outcome);
    attempt.job.shard.park(attempt.candidate().provider, up);
    outcome
}
