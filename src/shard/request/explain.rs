//! `/_infermux/explain`: where a request would go, by the steps that requests take themselves.
//! Nothing is taken, counted or sent.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::endpoint::Endpoint;
use crate::base::limits::EXPLAINED_BODY_BYTES_MAX;
use crate::dialect::ask::{Ask, read_ask};
use crate::dialect::passed_on;
use crate::exchange::explain::{self, Asked};
use crate::exchange::passed;
use crate::exchange::pins::Pins;
use crate::exchange::refusal::{PathHint, Refusal};
use crate::exchange::request::Request;
use crate::exchange::route::Routed;
use crate::report::explained::{Explained, OtherExplained};
use crate::report::providers;
use crate::shard::http::caller::Caller;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::request::affinity;
use crate::shard::request::allowed;
use crate::shard::request::choose;
use crate::shard::request::job::{Begun, Job};
use crate::shard::request::local::Answer;
use crate::shard::request::parcel::{self, Parcel};
use crate::shard::request::pins;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::wire::json;

use candidates::Prospect;
use who::Who;

mod candidates;
mod sent;
mod who;

/// The answer with what would become of the request that is `asked` for, whose body stands `at`
/// there in the caller's bytes.
///
/// # Errors
///
/// It cannot be found out.
pub(super) async fn answer<'q>(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (asked, at): (&'q Asked, Range<usize>),
) -> Result<Answer, Refusal<'q>> {
    let told = explain(shard, caller, request, (asked, at)).await?;
    Ok(Answer::json(200, providers::body(&told)))
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
    let body = Arc::new(body_of(asked, &caller.bytes[at.clone()])?);
    let mut told = who.begun(asked.endpoint);
    if !asked.endpoint.has_model() && shard.plan.routes.passthrough.is_none() {
        let (path, hint) = (asked.endpoint.path(), PathHint::Passthrough);
        return Ok(refused(told, &Refusal::UnknownUrl { path, hint }, asked));
    }
    let read = match read(shard, asked.endpoint, &body).await? {
        Ok(read) => read.with_model_of(asked),
        Err(why) => return Ok(refused(told, &Refusal::InvalidRequest(&why), asked)),
    };
    let Read { ask, named, parcel } = read;
    (told.model, told.stream) = (ask.model.clone().into_owned(), ask.stream);
    who.admit(&mut told, asked.endpoint, (&ask.model, &named));
    let Some(routed) = choose::route(shard, asked.endpoint, &ask.model) else {
        let refusal = choose::not_found(shard, asked.endpoint, &ask.model);
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
        parcel: parcel.as_ref(),
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

/// The body that is explained: the one that was sent, else one that is made up.
///
/// # Errors
///
/// Nothing says what is asked for.
fn body_of<'q>(asked: &Asked, sent: &[u8]) -> Result<Vec<u8>, Refusal<'q>> {
    match &asked.model {
        _ if !sent.is_empty() => Ok(sent.to_vec()),
        Some(model) => Ok(asked.body_for(model)),
        None if !asked.endpoint.has_model() => Ok(Vec::new()),
        None => Err(Refusal::InvalidRequest(NOTHING_ASKED)),
    }
}

/// What was read of a request's body.
struct Read {
    /// What it asks for.
    ask: Ask<'static>,
    /// The models that it names besides.
    named: Vec<String>,
    /// What is known besides, if it is passed on as it is.
    parcel: Option<Parcel>,
}

impl Read {
    /// Reads the `body`, as that of a request is read.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    fn of(endpoint: Endpoint, body: &[u8]) -> Result<Self, String> {
        if !endpoint.has_model() {
            let path = endpoint.path().trim_start_matches("/v1");
            return Ok(Self {
                ask: Ask::of_form("", 0),
                named: Vec::new(),
                parcel: passed::at(path).as_ref().map(Parcel::of_passed),
            });
        }
        if let Some(label) = explain::form_label(endpoint, body) {
            let read = parcel::read_whole_form(&label, body);
            let (ask, parcel) = read.map_err(|fault| fault.to_string())?;
            return Ok(Self {
                ask,
                named: Vec::new(),
                parcel: Some(parcel),
            });
        }
        let ask = read_ask(endpoint.dialect(), body).map_err(|fault| fault.to_string())?;
        let mut ask = ask.into_owned();
        let parcel = endpoint.is_passed_on().then(|| {
            let asked = passed_on::asked(endpoint, body);
            Parcel::of_json(asked, &mut ask, body.len())
        });
        Ok(Self {
            ask,
            named: allowed::others(body),
            parcel,
        })
    }

    /// The same, for the model that is named besides the body.
    fn with_model_of(mut self, asked: &Asked) -> Self {
        if let Some(model) = asked.model.as_ref().filter(|_| asked.endpoint.has_model()) {
            let quoted = String::from_utf8(json::quoted(model)).unwrap_or_default();
            (self.ask.model, self.ask.model_json) = (Cow::Owned(model.clone()), quoted.into());
        }
        self
    }
}

/// What the body asks for. A helper thread reads it.
async fn read(
    shard: &Shard,
    endpoint: Endpoint,
    body: &Arc<Vec<u8>>,
) -> Result<Result<Read, String>, Refusal<'static>> {
    let body = Arc::clone(body);
    let work = move || Read::of(endpoint, &body);
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
        Unserved::Invalid(_) | Unserved::NotAllowed { .. } | Unserved::Faults(_) => {
            Ok(refused(told, &unserved.refusal(), asked))
        }
    }
}

const NOTHING_ASKED: &str = "name the `model`, or send the body of a request";
