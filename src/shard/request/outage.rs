//! What the log is told of attempts that fail.

use crate::base::time::Instant;
use crate::decide::outcome::Outcome;
use crate::link::pause;
use crate::shard::request::job::Job;
use crate::shard::request::words::Words;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// Tells the log how an attempt at the candidate `place` ended. Of attempts that fail alike, one a
/// second is a warning, which says how many were kept back; the others are debug lines.
pub fn log(job: &Job<'_>, place: usize, outcome: Outcome, words: &Words) {
    if outcome == Outcome::Answered {
        return;
    }
    let (upstream_request_id, provider_error) = (words.id(), words.error());
    match outcome {
        Outcome::Answered => {}
        Outcome::StaleConnection
        | Outcome::CallerGone
        | Outcome::Untranslatable
        | Outcome::Overflowed
        | Outcome::TooLarge
        | Outcome::NotMine
        | Outcome::CallerKeyRefused(_)
        | Outcome::RequestRefused(_) => {
            let provider = &*job.provider_at(place).name;
            tracing::debug!(
                provider,
                request_id = job.request.id.as_str(),
                upstream_request_id,
                provider_error,
                reason = outcome.label(),
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
            let provider = &*job.provider_at(place).name;
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
