//! What the end of an attempt means: of an answer that was read whole, and for the log.

use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::ProviderKind;
use crate::decide::failover::Attempts;
use crate::decide::outcome::{Failure, Outcome, Verdict, classify_status};
use crate::exchange::provider_error;
use crate::exchange::relay::UsageChunk;
use crate::link::pause;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::{Attempt, End};
use crate::shard::request::drive::{Job, provider_of};
use crate::shard::request::record::Record;
use crate::shard::request::whole;
use crate::shard::request::words::Words;
use crate::shard::run::Shard;
use crate::sys::clock;
use crate::translate::{error, topic};

/// Decides by status and body, and relays what is for the caller.
pub async fn whole<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &mut Attempts,
    up: Upstream,
) -> End {
    let status = up.head.status;
    let id = attempt.candidate().provider;
    if attempt.usage == UsageChunk::Injected
        && matches!(status, 400 | 422)
        && provider_error::names_stream_options(up.body())
    {
        up.park(attempt.job.shard, id);
        return End::WithoutInjection;
    }
    let (outcome, told) = meaning(attempt, &up);
    if outcome != Outcome::Answered {
        record.words.take_error(attempt, up.body());
    }
    let ended = match outcome {
        Outcome::Answered if attempt.provider.kind == ProviderKind::Anthropic => {
            whole::translate(attempt, caller, record, attempts, up).await
        }
        Outcome::Answered => whole::relay(attempt, caller, record, attempts, up).await,
        Outcome::RequestRefused(_) | Outcome::CallerKeyRefused(_) => {
            attempts.commit();
            // Its place is free before its caller can ask again.
            attempt.settle(clock::now(), outcome, None, Tokens::ZERO);
            whole::pass_through(attempt, caller, record, up, told)
                .await
                .unwrap_or(outcome)
        }
        // Told only where nobody else can do better.
        Outcome::AccessRefused => {
            whole::keep(attempt, record, &up, told);
            up.park(attempt.job.shard, id);
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
            rest(attempt, record, &up, outcome);
            up.park(attempt.job.shard, id);
            outcome
        }
    };
    End::Outcome(ended)
}

/// What the answer means, and what the caller would be told of an error.
fn meaning(attempt: &Attempt<'_, '_>, up: &Upstream) -> (Outcome, whole::Error) {
    let status = up.head.status;
    match attempt.provider.kind {
        ProviderKind::Anthropic if status >= 300 => {
            let mut body = Vec::new();
            let header = |name: &str| up.head.value(&up.bytes, name);
            let error = error::write(status, attempt.key, header, up.body(), &mut body);
            let told = whole::Error {
                status: error.status,
                body,
            };
            (error.outcome, told)
        }
        ProviderKind::Anthropic
        | ProviderKind::OpenAi
        | ProviderKind::Ollama
        | ProviderKind::AzureOpenAi => {
            let topic = topic::of(status, up.body());
            let outcome = classify_status(status, attempt.key, topic);
            let is_told = outcome.verdict() == Verdict::PassThrough;
            let told = is_told.then(|| whole::told(up, topic));
            (outcome, told.unwrap_or_default())
        }
    }
}

/// A provider that refuses, or fails, may say how long it wants to be left alone.
fn rest(attempt: &Attempt<'_, '_>, record: &mut Record<'_>, up: &Upstream, outcome: Outcome) {
    match outcome {
        Outcome::RateLimited => {
            let asked = up.retry_after();
            attempt.put_aside(asked);
            record.retry_after = record.retry_after.into_iter().chain(asked).min();
        }
        Outcome::Failed(Failure::Status(503 | 529)) => {
            if let Some(asked) = up.rest_asked() {
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
        | Outcome::Untranslatable
        | Outcome::TooLarge
        | Outcome::CallerKeyRefused(_)
        | Outcome::RequestRefused(_)
        | Outcome::StreamCut
        | Outcome::StreamStalled
        | Outcome::CallerGone => {}
    }
}

/// Tells the log how an attempt at the candidate `place` ended: of those that fail alike, one a
/// second is a warning, which says how many were kept back; those are for a log of steps.
pub fn log(job: &Job<'_>, place: usize, outcome: Outcome, words: &Words) {
    let (upstream_request_id, provider_error) = (words.id(), words.error());
    match outcome {
        Outcome::Answered => {}
        Outcome::StaleConnection
        | Outcome::CallerGone
        | Outcome::Untranslatable
        | Outcome::TooLarge
        | Outcome::CallerKeyRefused(_)
        | Outcome::RequestRefused(_) => {
            let provider = &*provider_of(job, place).name;
            tracing::debug!(
                provider,
                request_id = job.request.id.as_str(),
                upstream_request_id,
                provider_error,
                "attempt: {outcome}"
            );
        }
        Outcome::ConnectFailed(_)
        | Outcome::TimedOut(_)
        | Outcome::Failed(_)
        | Outcome::RateLimited
        | Outcome::OwnKeyRefused(_)
        | Outcome::AccessRefused
        | Outcome::StreamCut
        | Outcome::StreamStalled => {
            let provider = &*provider_of(job, place).name;
            let request_id = job.request.id.as_str();
            let id = job.routed.route.candidates[place].provider;
            let pauses = &job.shard.gates.providers[id.index()].told().pauses;
            match pauses.of(outcome).end(clock::now()) {
                Some(kept_back) => tracing::warn!(
                    provider,
                    request_id,
                    upstream_request_id,
                    provider_error,
                    repeated = pause::told(kept_back),
                    "the provider {outcome}"
                ),
                None => tracing::debug!(
                    provider,
                    request_id,
                    upstream_request_id,
                    provider_error,
                    "the provider {outcome}"
                ),
            }
        }
    }
}

/// Tells the log that the retry budget is used up.
pub fn log_denied(shard: &Shard, now: Instant) {
    if let Some(kept_back) = shard.retries.pause.end(now) {
        tracing::warn!(
            repeated = pause::told(kept_back),
            "the retry budget is used up: a failed request is not tried elsewhere"
        );
    }
}
