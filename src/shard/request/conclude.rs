//! What an answer that was read whole means.

use crate::base::endpoint::Dialect;
use crate::base::tokens::Tokens;
use crate::decide::outcome::{Failure, Outcome, Topic, Verdict, classify_status};
use crate::dialect::chat::{lessons, provider_error};
use crate::dialect::complaint::Form;
use crate::dialect::errors;
use crate::dialect::messages::read_error;
use crate::dialect::shell::plan::UsageChunk;
use crate::dialect::topic;
use crate::exchange::course::{Course, Part};
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::{Attempt, End};
use crate::shard::request::bridged;
use crate::shard::request::error::Error;
use crate::shard::request::kept;
use crate::shard::request::pins::{self, Search};
use crate::shard::request::record::Record;
use crate::shard::request::whole;
use crate::sys::clock;
use crate::wire::json;
use crate::wire::json::check::is_json;

/// Decides by status and body, and relays what is for the caller.
pub async fn whole<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &mut Course,
    up: Box<Upstream>,
) -> End {
    let id = attempt.candidate().provider;
    let found = if is_taken_whole(attempt, &up) {
        Ok((IsMine::Yes, None))
    } else {
        part_to_leave_out(attempt, caller, record, course, &up).await
    };
    let (is_mine, part) = match found {
        Ok(found) => found,
        Err(refusal) => return End::Refused(refusal),
    };
    if let Some(part) = part {
        attempt.job.shard.park(id, up);
        return End::Without(part);
    }
    let (outcome, told) = judged(attempt, &up, is_mine);
    if outcome != Outcome::Answered {
        attempt.note_error(record, up.body());
    }
    let ended = match outcome {
        Outcome::Answered => whole::relay(attempt, caller, record, course, up).await,
        Outcome::RequestRefused(_) | Outcome::CallerKeyRefused(_) => {
            attempt.job.let_go(caller, course.commit());
            // Its place is free before its caller can ask again.
            attempt.settle(clock::now(), outcome, None, Tokens::ZERO);
            kept::pass_through(attempt, caller, record, up, told)
                .await
                .unwrap_or(outcome)
        }
        // Told only where nobody else can do better.
        Outcome::AccessRefused | Outcome::NotMine | Outcome::Overflowed => {
            kept::keep(attempt, record, &up, told);
            attempt.job.shard.park(id, up);
            outcome
        }
        Outcome::StaleConnection
        | Outcome::ConnectFailed(_)
        | Outcome::TimedOut(_)
        | Outcome::Failed(_)
        | Outcome::RateLimited
        | Outcome::OwnKeyRefused(_)
        | Outcome::Untranslatable
        | Outcome::TooLarge
        | Outcome::StreamCut
        | Outcome::StreamStalled
        | Outcome::CallerGone => {
            heed_retry_after(attempt, record, &up, outcome);
            attempt.job.shard.park(id, up);
            outcome
        }
    };
    End::Outcome(ended)
}

/// Whether the provider knows what the request refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsMine {
    /// It does, or does not say otherwise.
    Yes,
    /// It says that it does not.
    No,
}

/// Whether the status alone says that the provider has refused nothing of the request.
fn is_taken_whole(attempt: &Attempt<'_, '_>, up: &Upstream) -> bool {
    (200..=299).contains(&up.head.status) && attempt.dialect() != Dialect::Responses
}

/// The part that the request is sent again without, at the same provider.
async fn part_to_leave_out<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    course: &Course,
    up: &Upstream,
) -> Result<(IsMine, Option<Part>), Refusal<'static>> {
    let search = pins::not_mine(attempt, caller, course, up).await?;
    Ok(match (refused_part(attempt, up), search) {
        (Some(part), _) | (None, Some(Search::EndsWithout(part))) => (IsMine::Yes, Some(part)),
        (None, Some(Search::GoesOn)) => (IsMine::No, None),
        (None, None) => {
            let part = bridged::instead(attempt, caller, record, up).await?;
            (IsMine::Yes, part)
        }
    })
}

/// The part of the request which the provider refuses and which infermux has added.
fn refused_part(attempt: &Attempt<'_, '_>, up: &Upstream) -> Option<Part> {
    let (status, body) = (up.head.status, up.body());
    if !matches!(status, 400 | 422) {
        return None;
    }
    if attempt.usage == UsageChunk::Injected && provider_error::names_stream_options(body) {
        return Some(Part::Usage);
    }
    let sent = attempt.job.derived_keys();
    if attempt.left_out.is_empty() {
        let refused = lessons::refused(status, body, sent);
        return (!refused.is_empty()).then_some(Part::Keys(refused));
    }
    if lessons::has_helped(status, body, sent, attempt.left_out) {
        attempt.learn();
    }
    None
}

/// As [`meaning`], where the provider may have said that it does not know what the request refers
/// to.
fn judged(attempt: &Attempt<'_, '_>, up: &Upstream, is_mine: IsMine) -> (Outcome, Error) {
    let (outcome, told) = meaning(attempt, up);
    match is_mine {
        IsMine::Yes => (outcome, told),
        IsMine::No => (Outcome::NotMine, told),
    }
}

/// What the answer means, and what the caller would be told of an error.
fn meaning(attempt: &Attempt<'_, '_>, up: &Upstream) -> (Outcome, Error) {
    let (status, provider) = (up.head.status, attempt.dialect());
    if status == PROXY_LOGIN {
        return (
            classify_status(status, attempt.key, Topic::Unknown),
            Error::default(),
        );
    }
    let caller = attempt.job.endpoint.dialect();
    let is_anthropics = caller == Dialect::Messages || provider == Dialect::Messages;
    if status < 300 || !is_anthropics {
        let topic = match (provider, caller) {
            // Codex goes by the code, which many servers do not have (rule X4 of
            // reference/responses-inbound.md).
            (Dialect::Chat, Dialect::Responses) if status >= 300 => {
                errors::read(provider, Some(status), up.body()).topic
            }
            (_, _) => topic::of(status, up.body()),
        };
        let outcome = classify_status(status, attempt.key, topic);
        let is_told = outcome.verdict() == Verdict::PassThrough;
        let told = is_told.then(|| told_alike(attempt, up, topic));
        return (outcome, told.unwrap_or_default());
    }
    let complaint = errors::read(provider, Some(status), up.body());
    let outcome = match provider {
        Dialect::Chat | Dialect::Responses => classify_status(status, attempt.key, complaint.topic),
        Dialect::Messages => read_error::outcome(&complaint, attempt.key),
    };
    if provider == caller && complaint.form != Form::Foreign && has_error(up.body()) {
        // Callers go by its wording (rule MP5 of reference/messages-inbound.md).
        let body = up.body().to_vec();
        let status = if outcome == Outcome::Overflowed {
            complaint.status
        } else {
            status
        };
        return (outcome, Error::object(status, body));
    }
    let (status, mut body) = (complaint.status, Vec::new());
    let request_id = attempt.job.request.id.as_str();
    errors::write(&complaint, caller, request_id, &mut body);
    (outcome, Error::object(status, body))
}

/// What a caller of an API of OpenAI's is told of an error of a provider that has one.
fn told_alike(attempt: &Attempt<'_, '_>, up: &Upstream, topic: Topic) -> Error {
    let is_native = attempt.dialect() == Dialect::Responses;
    let mut told = if is_native && has_error(up.body()) && is_json(up.body()) {
        Error::object(up.head.status, up.body().to_vec())
    } else {
        kept::told(up, topic)
    };
    if attempt.job.endpoint.dialect() == Dialect::Responses {
        told.body = provider_error::without_overload(&told.body);
    }
    told
}

/// The status of a proxy that wants other credentials (RFC 9110, section 15.5.8).
const PROXY_LOGIN: u16 = 407;

fn has_error(body: &[u8]) -> bool {
    json::member(body, b"error").is_some()
}

/// A provider that refuses, or fails, may say how long it wants to be left alone.
fn heed_retry_after(
    attempt: &Attempt<'_, '_>,
    record: &mut Record<'_>,
    up: &Upstream,
    outcome: Outcome,
) {
    match outcome {
        Outcome::RateLimited => {
            let asked = up.retry_after();
            attempt.put_aside(asked);
            record.retry_after = record.retry_after.into_iter().chain(asked).min();
        }
        Outcome::Failed(Failure::Status(503 | 529)) => {
            if let Some(asked) = up.retry_after_failure() {
                attempt.put_aside(Some(asked));
            }
        }
        Outcome::Answered
        | Outcome::StaleConnection
        | Outcome::ConnectFailed(_)
        | Outcome::TimedOut(_)
        | Outcome::Failed(_)
        | Outcome::OwnKeyRefused(_)
        | Outcome::AccessRefused
        | Outcome::NotMine
        | Outcome::Untranslatable
        | Outcome::Overflowed
        | Outcome::TooLarge
        | Outcome::CallerKeyRefused(_)
        | Outcome::RequestRefused(_)
        | Outcome::StreamCut
        | Outcome::StreamStalled
        | Outcome::CallerGone => {}
    }
}
