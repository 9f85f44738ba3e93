//! `/_infermux/explain`: where a request would go, by the steps that requests take themselves.
//! Nothing is taken, counted or sent.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::Endpoint;
use crate::base::limits::EXPLAINED_BODY_BYTES_MAX;
use crate::dialect::ask::{Ask, AskFault, read_ask};
use crate::exchange::explain::{self, Asked};
use crate::exchange::pins::Pins;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::exchange::route::Routed;
use crate::report::explained::{Explained, OtherExplained};
use crate::report::providers;
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::request::affinity;
use crate::shard::request::after::After;
use crate::shard::request::allowed;
use crate::shard::request::choose;
use crate::shard::request::job::{Begun, Job};
use crate::shard::request::local::{self, Answer};
use crate::shard::request::pins;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::wire::json;

use candidates::Prospect;
use who::Who;

mod candidates;
mod sent;
mod who;

/// Answers with what would become of the request that is `asked` for.
pub async fn answer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    asked: &Asked,
    body: Body,
) -> After {
    let (_, request) = record.of();
    match explain(shard, caller, request, (asked, body.at)).await {
        Ok(told) => {
            let answer = Answer::json(200, providers::body(&told));
            local::answer(shard, caller, request, record, answer).await
        }
        Err(refusal) => refuse::tell(shard, caller, request, record, &refusal).await,
    }
}

async fn explain<'q>(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (asked, at): (&'q Asked, Range<usize>),
) -> Result<Explained, Refusal<'q>> {
    if at.len() > EXPLAINED_BODY_BYTES_MAX {
        let limit = EXPLAINED_BODY_BYTES_MAX;
        return Err(Refusal::RequestTooLarge { limit });
    }
    let who = Who::of(shard, asked)?;
    // The body, and one translation of it at a time.
    let mut held = shard.io.lease.hold();
    if !held.grow_to(at.len().saturating_mul(3)) {
        return Err(Refusal::Overloaded);
    }
    let body = match (&asked.model, at.is_empty()) {
        (_, false) => caller.bytes[at.clone()].to_vec(),
        (Some(model), true) => asked.body_for(model),
        (None, true) => return Err(Refusal::InvalidRequest(NOTHING_ASKED)),
    };
    let body = Arc::new(body);
    let mut told = who.begun(asked.endpoint);
    let (mut ask, named) = match read(shard, asked.endpoint, &body).await? {
        Ok(read) => read,
        Err(fault) => {
            let why = &fault.to_string();
            return Ok(refused(told, &Refusal::InvalidRequest(why), asked));
        }
    };
    if let Some(model) = &asked.model {
        let quoted = String::from_utf8(json::quoted(model)).unwrap_or_default();
        (ask.model, ask.model_json) = (Cow::Borrowed(model.as_str()), quoted.into());
    }
    (told.model, told.stream) = (ask.model.clone().into_owned(), ask.stream);
    who.admit(&mut told, asked.endpoint, (&ask.model, &named));
    let Some(routed) = choose::route(shard, asked.endpoint, &ask.model) else {
        let refusal = Refusal::ModelNotFound { model: &ask.model };
        told.others = others(shard, (asked.endpoint, &ask.model), None);
        return Ok(refused(told, &refusal, asked));
    };
    let pins = match at.is_empty() {
        true => Ok(Pins::default()),
        false => pins::read(shard, caller, (asked.endpoint, &routed), at).await,
    };
    let pins = match pins {
        Ok(pins) => pins,
        Err(unserved) => return unserved_told(told, &unserved, asked),
    };
    let begun = Begun {
        endpoint: asked.endpoint,
        head: &[],
        body: 0..0,
        ask: &ask,
        routed,
        pins,
        parcel: None,
    };
    route(begun.job(shard, request), told, (&who, asked, body)).await
}

/// Goes on with a request that has a route.
async fn route<'q>(
    mut job: Job<'_>,
    mut told: Explained,
    (who, asked, body): (&Who, &'q Asked, Arc<Vec<u8>>),
) -> Result<Explained, Refusal<'q>> {
    job.conversation = affinity::explained(&job, who.owner(), asked.session.as_deref(), &body);
    if let Err(unserved) = pins::narrow(&mut job) {
        return unserved_told(told, &unserved, asked);
    }
    let accounts = who.accounts();
    if let Err(refusal) = who::pass(&mut job, accounts, &mut told) {
        told.refuse(explain::refusal(&refusal, asked.endpoint));
    }
    if job.model_override.is_some()
        && let Err(unserved) = pins::narrow(&mut job)
    {
        return unserved_told(told, &unserved, asked);
    }
    let prospect = Prospect::of(&job);
    prospect.tell(&job, &mut told);
    for sent in sent::to(&job, &body).await? {
        sent.tell(&mut told.candidates);
    }
    told.others = others(job.shard, (job.endpoint, job.model), Some(&job.routed));
    if told.chosen.is_none() {
        let down = choose::down(&job, prospect.now);
        let refusal = prospect.refusal(&job, &down);
        told.refuse(explain::refusal(&refusal, asked.endpoint));
    }
    Ok(told)
}

/// What the body asks for, and the models that it names besides. A helper thread reads it.
async fn read(
    shard: &Shard,
    endpoint: Endpoint,
    body: &Arc<Vec<u8>>,
) -> Result<Result<(Ask<'static>, Vec<String>), AskFault>, Refusal<'static>> {
    let body = Arc::clone(body);
    let work = move || {
        let ask = read_ask(endpoint.dialect(), &body)?.into_owned();
        Ok((ask, allowed::fallbacks(&body)))
    };
    help::make(&shard.helpers, WhenFull::Refuse, work).await
}

/// The providers that are no candidates.
fn others(
    shard: &Shard,
    (endpoint, model): (Endpoint, &str),
    routed: Option<&Routed<'_>>,
) -> Vec<OtherExplained> {
    let candidates = || {
        let all = routed.into_iter().flat_map(|routed| {
            let candidates = routed.route.candidates.iter().enumerate();
            candidates.filter(|(place, _)| routed.is_candidate(*place))
        });
        all.map(|(_, candidate)| candidate.provider)
    };
    let providers = shard.plan.providers.iter();
    let others = providers.filter(|provider| !candidates().any(|id| id == provider.id));
    let told = others.map(|provider| OtherExplained {
        provider: provider.name.to_string(),
        reason: explain::no_candidate(&shard.plan, provider, (endpoint, model), routed),
    });
    told.collect()
}

fn refused(mut told: Explained, refusal: &Refusal<'_>, asked: &Asked) -> Explained {
    told.refuse(explain::refusal(refusal, asked.endpoint));
    told
}

/// What the request refers to stands in the way.
fn unserved_told<'q>(
    told: Explained,
    unserved: &Unserved<'static>,
    asked: &Asked,
) -> Result<Explained, Refusal<'q>> {
    match unserved {
        // infermux itself cannot go on.
        Unserved::Refused(refusal) => Err(*refusal),
        Unserved::Invalid(_) | Unserved::NotAllowed { .. } => {
            Ok(refused(told, &unserved.refusal(), asked))
        }
    }
}

const NOTHING_ASKED: &str = "name the `model`, or send the body of a request";
