//! A provider that was taken to have Responses, and turns out not to: the same request goes to it
//! in its own dialect, and so do later ones (rule N8 of reference/responses-inbound.md).

use crate::base::endpoint::{Dialect, Endpoint};
use crate::config::responses::Responses;
use crate::dialect::responses::missing;
use crate::exchange::course::{Part, Try};
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::upstream::Upstream;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::not_translated::NotTranslated;
use crate::shard::request::record::Record;
use crate::shard::request::translated;

/// Where the answer `up` says that the provider has no Responses, writes the request in the
/// provider's own dialect, and returns what it is to be sent again without. What cannot be told in
/// that dialect is not: its caller gets the provider's answer. Neither teaches anything about
/// others: only an answer in that dialect does ([`learn`]).
///
/// # Errors
///
/// There is no memory or no time for the translation.
pub async fn instead<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: &Upstream,
) -> Result<Option<Part>, Refusal<'static>> {
    if !lacks_responses(attempt, up) {
        return Ok(None);
    }
    let (job, place) = (attempt.job, attempt.place);
    job.ask_in(place, attempt.provider.vendor.dialect);
    let again = Try::first(place, attempt.started);
    match translated::prepare(job, caller, record, &again).await {
        Ok(()) => {
            record.asked = Some(job.asked(place));
            Ok(Some(Part::Responses))
        }
        Err(NotTranslated::Unsupported(_)) => {
            job.ask_in(place, Dialect::Responses);
            Ok(None)
        }
        Err(NotTranslated::Refused(refusal)) => Err(refusal),
    }
}

/// The provider answers the request. Where it does so in its own dialect because it has turned out
/// to have no Responses, later requests go to it in that dialect at once.
pub fn learn(attempt: &Attempt<'_, '_>) {
    if is_presumed(attempt) && attempt.dialect() != Dialect::Responses {
        attempt.job.shard.without_responses(attempt.provider.id);
    }
}

/// Whether the request is one for a response, and the provider is taken to have them.
fn is_presumed(attempt: &Attempt<'_, '_>) -> bool {
    let is_asked_for = attempt.job.endpoint == Endpoint::Responses;
    is_asked_for && attempt.provider.responses == Responses::Presumed
}

fn lacks_responses(attempt: &Attempt<'_, '_>, up: &Upstream) -> bool {
    is_presumed(attempt) && attempt.dialect() == Dialect::Responses && {
        let deployment = attempt.provider.azure_deployment.as_deref();
        let models = [
            attempt.upstream_model(),
            attempt.job.model,
            deployment.unwrap_or_default(),
        ];
        missing::says_no_path(up.head.status, up.body(), &models)
    }
}
