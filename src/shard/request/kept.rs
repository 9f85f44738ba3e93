//! Errors of providers that are told to the caller: at once, or after no other provider has
//! answered.

use std::io;

use crate::base::endpoint::Dialect;
use crate::decide::outcome::{Outcome, Topic};
use crate::dialect::chat::provider_error::{self, Circumstances};
use crate::dialect::errors;
use crate::exchange::answer_head::PassedOn;
use crate::exchange::headers::Totals;
use crate::exchange::inbound;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::answer_head::{self, Told};
use crate::shard::request::attempt::Attempt;
use crate::shard::request::early;
use crate::shard::request::error::{Error, Form, KeptError};
use crate::shard::request::job::Job;
use crate::shard::request::record::Record;
use crate::sys::clock;
use crate::wire::known::Known;

/// An error that was read whole, in OpenAI's shape.
#[must_use]
pub fn told(up: &Upstream, topic: Topic) -> Error {
    let mut body = Vec::new();
    let kind = up.head.value_of(&up.bytes, Known::ContentType);
    let circumstances = Circumstances {
        status: up.head.status,
        topic,
        content_type: kind.and_then(|kind| std::str::from_utf8(kind).ok()),
    };
    let status = provider_error::error_in_openai_shape(circumstances, up.body(), &mut body);
    Error::object(status, body)
}

/// What the caller would be told of a 200 answer that is an error, where it says that the prompt is
/// longer than the model's window; `None`: it says something else.
#[must_use]
pub fn overflow(attempt: &Attempt<'_, '_>, up: &Upstream) -> Option<Error> {
    let provider = attempt.dialect();
    let complaint = errors::read(provider, None, up.body());
    if complaint.topic != Topic::Length {
        return None;
    }
    let caller = attempt.job.endpoint.dialect();
    Some(match (provider, caller) {
        (Dialect::Chat, Dialect::Chat) => told(up, Topic::Length),
        (Dialect::Messages, Dialect::Messages) => {
            Error::object(complaint.status, up.body().to_vec())
        }
        (_, _) => {
            let mut body = Vec::new();
            let request_id = attempt.job.request.id.as_str();
            errors::write(&complaint, caller, request_id, &mut body);
            Error::object(complaint.status, body)
        }
    })
}

/// Relays an error that is about the request itself; the outcome where the caller did not take it.
pub async fn pass_through<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: Box<Upstream>,
    error: Error,
) -> Option<Outcome> {
    keep(attempt, record, &up, error);
    let job = attempt.job;
    job.shard.park(attempt.candidate().provider, up);
    let kept = record.kept.take()?;
    write_kept(job, caller, record, &kept);
    let sent = caller.send_out().await;
    sent.err().map(|_| Outcome::CallerGone)
}

/// Keeps an error for the case that no other provider answers.
pub fn keep(attempt: &Attempt<'_, '_>, record: &mut Record<'_>, up: &Upstream, mut error: Error) {
    attempt.job.shard.era.masks.mask(&mut error.body);
    let mut fields = Vec::new();
    inbound::write_fields(&up.head, &up.bytes, attempt.crossing(), &mut fields);
    record.kept = Some(Box::new(KeptError {
        place: attempt.place,
        error,
        fields,
        words: record.words.clone(),
        latency: clock::now().since(attempt.sent_at),
    }));
}

/// Tells the error that was kept of the candidate `place`, if there is one: else the caller has its
/// answer.
pub async fn tell_kept<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    place: Option<usize>,
) -> io::Result<()> {
    let kept = record.kept.take();
    let Some(kept) = kept.filter(|kept| place == Some(kept.place)) else {
        return Ok(());
    };
    record.asked = Some(job.asked(kept.place));
    write_kept(job, caller, record, &kept);
    let sent = caller.send_out().await;
    if sent.is_err() {
        record.caller_gone();
    }
    sent
}

fn write_kept<'a>(job: &Job<'a>, caller: &mut Caller, record: &mut Record<'a>, kept: &KeptError) {
    record.error = Some("provider_refused");
    record.words = kept.words.clone();
    if record.has_early_head {
        return match kept.error.form {
            Form::Object => early::tell(job, caller, record, &kept.error.body),
            Form::Events => early::tell_events(caller, record, &kept.error.body),
        };
    }
    let told = Told {
        place: kept.place,
        status: kept.error.status,
        media_type: kept.error.form.media_type(),
        length: kept.error.body.len(),
        totals: Totals::default(),
        latency: kept.latency,
    };
    let passed_on = PassedOn::Lines(&kept.fields);
    answer_head::write_whole(job, caller, record, &told, passed_on);
    caller.out.extend_from_slice(&kept.error.body);
}
