//! One request from head to settlement, in a straight line: admit, route, attempt, answer.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::Endpoint;
use crate::decide::failover::{Attempts, Grant, Step};
use crate::decide::outcome::{Outcome, Sample as Kind, Signal, Verdict};
use crate::exchange::admit::{self, Presented};
use crate::exchange::media;
use crate::exchange::refusal::{Connection, LastWord, Refusal};
use crate::exchange::request::Request;
use crate::exchange::route::Routed;
use crate::exchange::target::{self, Manage, Target};
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::decode;
use crate::shard::request::ask;
use crate::shard::request::attempt::{self, End, Fresh, Injection, Try};
use crate::shard::request::choose;
use crate::shard::request::conclude;
use crate::shard::request::local;
use crate::shard::request::manage;
#[cfg(debug_assertions)]
use crate::shard::request::mishap;
use crate::shard::request::models;
use crate::shard::request::permit::Permit;
use crate::shard::request::record::{Asked, Record};
use crate::shard::request::refuse;
use crate::shard::request::spend::{self, Allowance, Turn};
use crate::shard::request::translated::{self, NotTranslated, Translated};
use crate::shard::request::whole;
use crate::shard::request::words::Words;
use crate::shard::run::Shard;
use crate::sys::clock;
use crate::wire::head::Head;
use crate::wire::json;
use crate::wire::openai::{self, Ask};

/// What becomes of the caller's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It takes another request.
    KeepAlive,
    /// It is closed.
    Close,
}

/// One inference, as its attempts need it.
pub struct Job<'a> {
    /// The shard it runs on.
    pub shard: &'a Rc<Shard>,
    /// The request.
    pub request: &'a Request,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The caller's bytes from the beginning to the body at least, whatever becomes of the body.
    pub head: &'a [u8],
    /// Where the body stands in the caller's bytes.
    pub body: Range<usize>,
    /// The body in the dialect of the candidate that is asked, where that is not the caller's.
    pub translated: RefCell<Option<Translated>>,
    /// What the body says.
    pub ask: &'a Ask<'a>,
    /// The model that is served: the one asked for, or what a budget puts in its place.
    pub model: &'a str,
    /// The model that a budget puts in place of the one asked for.
    pub model_override: Option<&'a str>,
    /// The same as a JSON string.
    pub model_json: Option<Vec<u8>>,
    /// Where it may go.
    pub routed: Routed<'a>,
}

impl Job<'_> {
    /// Lets go of the request's body, and of its translation: its answer goes to the caller, and
    /// nobody else is asked any more.
    pub fn let_go(&self, caller: &mut Caller) {
        self.translated.replace(None);
        caller.let_go(self.body.end);
    }
}

/// Looks at what the head alone decides: path, method, key.
///
/// # Errors
///
/// The request is refused, whatever its body says.
pub fn check<'a>(
    shard: &Shard,
    request: &mut Request,
    head: &Head,
    bytes: &'a [u8],
) -> Result<Target, Refusal<'a>> {
    if let Some(repeated) = request.repeated {
        return Err(Refusal::InvalidRequest(repeated));
    }
    let preflight = shard.era.cors.as_ref().zip(request.grant);
    let preflight = preflight.and_then(|(cors, grant)| cors.preflight(grant, head, bytes));
    if let Some(lines) = preflight {
        let target = Target::Preflight(lines);
        request.origin.endpoint = Some(target.name());
        return Ok(target);
    }
    let target = std::str::from_utf8(&bytes[head.target.clone()])
        .map_err(|_| Refusal::Malformed("the request target is not valid"))?;
    let (_, target) = target::read(shard.door, &bytes[head.method.clone()], target)?;
    request.origin.endpoint = Some(target.name());
    let authorization = head.value(bytes, "authorization");
    match &target {
        // The page has no data in it: what it shows, it asks for with the token.
        Target::Root
        | Target::Preflight(_)
        | Target::Manage(Manage::Page | Manage::PageElsewhere | Manage::Health | Manage::Ready) => {
        }
        Target::Manage(Manage::Report(_)) => {
            admit::operator(shard.management_token.as_ref(), authorization)?;
        }
        Target::Manage(Manage::Reload | Manage::Circuit(..)) => {
            admit::operator(shard.management_token.as_ref(), authorization)?;
            admit::same_site(head.value(bytes, "origin"), head.value(bytes, "host"))?;
        }
        Target::Infer(..) | Target::Models | Target::Model(_) => {
            admit::authenticate(&shard.plan.auth, Presented::read(head, bytes))?;
            if matches!(target, Target::Infer(..)) {
                media::may_be_read(|name| head.value(bytes, name))?;
            }
        }
    }
    Ok(target)
}

/// Answers a request whose `body` has arrived.
pub async fn answer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    target: &Target,
    body: Body,
) -> After {
    match target {
        Target::Infer(endpoint, deployment) => {
            infer(
                shard,
                caller,
                request,
                (*endpoint, deployment.as_deref()),
                body,
            )
            .await
        }
        Target::Root => local::root(shard, caller, request).await,
        Target::Preflight(lines) => local::preflight(shard, caller, request, lines).await,
        Target::Models => models::all(shard, caller, request).await,
        Target::Model(id) => models::one(shard, caller, request, id).await,
        Target::Manage(what) => manage::answer(shard, caller, request, what).await,
    }
}

async fn infer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    (endpoint, deployment): (Endpoint, Option<&str>),
    body: Body,
) -> After {
    let body = match decode::request(shard, caller, body, deployment).await {
        Ok(body) => body,
        Err(refusal) => return refuse::refuse(shard, caller, request, &refusal).await,
    };
    let (small, at) = (body.small_message(caller), body.at.clone());
    let head = match &small {
        Some(message) => Rc::clone(message),
        // The body is let go of before the request ends, and its head is not.
        None => Rc::new(caller.bytes[..at.start].to_vec()),
    };
    let read = match &small {
        Some(message) => Ok(openai::read_ask(&message[at.clone()])),
        None => ask::read_large(shard, caller, body).await,
    };
    let ask = match read {
        Ok(Ok(ask)) => ask,
        Ok(Err(fault)) => {
            let fault = fault.to_string();
            return refuse::refuse(shard, caller, request, &Refusal::InvalidRequest(&fault)).await;
        }
        Err(refusal) => return refuse::refuse(shard, caller, request, &refusal).await,
    };
    let mut record = Record::new(shard, request);
    record.model = Some(&ask.model);
    record.stream = (endpoint != Endpoint::Embeddings).then_some(ask.stream);
    #[cfg(debug_assertions)]
    mishap::play(caller);
    let Some(routed) = choose::route(shard, endpoint, &ask.model) else {
        let refusal = Refusal::ModelNotFound { model: &ask.model };
        return refuse::tell(shard, caller, request, &mut record, &refusal).await;
    };
    let mut job = Job {
        shard,
        request,
        endpoint,
        head: &head,
        body: at,
        translated: RefCell::default(),
        ask: &ask,
        model: &ask.model,
        model_override: None,
        model_json: None,
        routed,
    };
    if let Err(refusal) = spend(&mut job, &mut record) {
        return refuse::tell(shard, caller, request, &mut record, &refusal).await;
    }
    record.strategy = Some(job.routed.route.strategy);
    record.group = job.routed.group;
    record.model_override = job.model_override;
    try_candidates(&job, caller, &mut record).await
}

/// Asks the caller's budget. At its limit, another model may take the place of the one asked for:
/// then routing starts over with that.
fn spend<'a>(job: &mut Job<'a>, record: &mut Record<'a>) -> Result<(), Refusal<'a>> {
    let shard: &'a Shard = job.shard;
    let label = job.request.attribution.caller.as_ref();
    let budget = label.and_then(|label| shard.era.purse.budget_of(label.as_str()));
    let mut allowance = spend::admit(job, budget, Turn::AsAsked);
    if let Allowance::Instead(model) = allowance {
        job.routed =
            choose::route(shard, job.endpoint, model).ok_or(Refusal::ModelNotFound { model })?;
        (job.model, job.model_override) = (model, Some(model));
        job.model_json = Some(json::quoted(model));
        allowance = spend::admit(job, budget, Turn::Downgraded);
    }
    match allowance {
        Allowance::Unlimited | Allowance::Instead(_) => Ok(()),
        Allowance::Reserved(reservation) => {
            record.reservation = Some(reservation);
            Ok(())
        }
        Allowance::Refused(refusal) => Err(refusal),
    }
}

/// Tries one candidate after the other, until the caller has an answer or nobody is left.
async fn try_candidates<'a>(job: &Job<'a>, caller: &mut Caller, record: &mut Record<'a>) -> After {
    let Job { shard, routed, .. } = job;
    // Nothing has been waited for since.
    let mut now = job.request.ready;
    shard.retries.count_request(shard.id, now);
    let failover = &shard.plan.failover;
    let mut attempts = Attempts::new(failover.max_attempts, now, failover.deadline);
    let turn = (choose::ticket(job), shard.random.borrow_mut().next_u64());
    let tokens = spend::expected(job).sum();
    // What has happened at the provider before.
    let mut before = None;
    loop {
        let survey = choose::survey(job, now, attempts.tried(), tokens);
        let Some(place) = choose::pick(job, turn, &survey.eligible) else {
            let verdict = attempts.blamed().map(|blamed| blamed.outcome.verdict());
            let Some(verdict) = verdict else {
                return refuse::tell_nobody(job, caller, record, (&survey, now)).await;
            };
            return conclude(job, caller, record, &attempts, verdict).await;
        };
        let id = routed.route.candidates[place].provider;
        match translated::prepare(job, caller, record, place).await {
            Ok(()) => {}
            Err(NotTranslated::Refused(refusal)) => {
                return refuse::tell(shard, caller, job.request, record, &refusal).await;
            }
            Err(NotTranslated::Unsupported(why)) => {
                attempts.begin(place);
                record.inexpressible = Some(why.to_string());
                let step = attempts.on_outcome(now, Outcome::Untranslatable, || Grant::Granted);
                let meter = shard.meters.provider(id, &provider_of(job, place).name);
                meter.outcomes[Outcome::Untranslatable.place()].add(1);
                before = before.or(Some(Outcome::Untranslatable));
                match step {
                    Step::Another | Step::SameProviderFresh => continue,
                    Step::End(verdict) => {
                        return conclude(job, caller, record, &attempts, verdict).await;
                    }
                }
            }
        }
        // Another shard was faster: the survey will show it.
        let Some(permit) = Permit::take(shard, id, now, tokens) else {
            now = clock::now();
            continue;
        };
        if let Some(outcome) = before {
            permit.count_failover(outcome);
        }
        attempts.begin(place);
        record.attempts = attempts.count();
        record.asked = Some(asked(job, place));
        match attempt_at(job, caller, record, &mut attempts, (place, permit)).await {
            Ok(ControlFlow::Continue(outcome)) => {
                before = Some(outcome);
                now = clock::now();
            }
            Ok(ControlFlow::Break(verdict)) => {
                return conclude(job, caller, record, &attempts, verdict).await;
            }
            Err(refusal) => {
                return refuse::tell(shard, caller, job.request, record, &refusal).await;
            }
        }
    }
}

/// One attempt at one candidate, with the repeats that belong to it; the verdict, or how it ended
/// where another candidate may be tried.
async fn attempt_at<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &mut Attempts,
    (place, permit): (usize, Permit),
) -> Result<ControlFlow<Verdict, Outcome>, Refusal<'static>> {
    let (mut fresh, mut injection) = (Fresh::NotNeeded, Injection::Allowed);
    let mut started = permit.admitted();
    let permit = RefCell::new(permit);
    loop {
        let this = Try {
            place,
            fresh,
            injection,
            started,
            permit: &permit,
        };
        let outcome = match attempt::run(job, caller, record, attempts, this).await {
            End::Outcome(outcome) => outcome,
            End::WithoutInjection => {
                injection = Injection::Refused;
                let now = clock::now();
                record.waited += now.since(std::mem::replace(&mut started, now));
                continue;
            }
            End::Refused(refusal) => return Err(refusal),
        };
        if injection == Injection::Refused && outcome == Outcome::Answered {
            // Only now is it sure that the injection was to blame, and not what the caller wrote.
            let provider = job.routed.route.candidates[place].provider;
            job.shard.without_injection(provider);
        }
        conclude::log(job, place, outcome, &record.words);
        let now = match (record.response_time, record.first_byte) {
            // Its answer has begun: nothing depends on the time any more.
            (Some(_), Some(begun)) => begun,
            (_, _) => {
                let now = clock::now();
                record.waited += now.since(std::mem::replace(&mut started, now));
                now
            }
        };
        if outcome == Outcome::StaleConnection {
            permit.borrow().count(outcome);
        } else {
            settle(job, (place, now), &permit, (outcome, record.take_lost())).await;
        }
        let tried = *attempts.tried();
        let grant = || choose::grant(job, &tried);
        match attempts.on_outcome(now, outcome, grant) {
            Step::SameProviderFresh => fresh = Fresh::Needed,
            Step::Another => return Ok(ControlFlow::Continue(outcome)),
            Step::End(verdict) => return Ok(ControlFlow::Break(verdict)),
        }
    }
}

/// Settles an attempt that has not settled itself. A failure is in force everywhere before anybody
/// is told of it (promise `verdict.before-cause`).
async fn settle(
    job: &Job<'_>,
    (place, now): (usize, Instant),
    permit: &RefCell<Permit>,
    (outcome, used): (Outcome, Tokens),
) {
    let provider = provider_of(job, place);
    let kind = if job.ask.stream {
        SampleKind::FirstContent
    } else {
        SampleKind::WholeAnswer
    };
    let timeout = Sample {
        latency: provider.timeout,
        kind,
    };
    let sample = (outcome.sample() == Kind::TheTimeout).then_some(timeout);
    permit.borrow_mut().settle(now, outcome, sample, used);
    let fails = outcome.for_breaker(&provider.breaker) == Signal::Failure;
    if fails || outcome == Outcome::RateLimited {
        job.shard.reports.enforce().await;
    }
}

/// What the caller is told when all is said and done.
async fn conclude<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &Attempts,
    verdict: Verdict,
) -> After {
    match verdict {
        Verdict::Answer => after(job.shard, record.connection),
        Verdict::PassThrough => {
            let blamed = attempts.blamed().map(|blamed| blamed.candidate);
            match whole::tell_kept(job, caller, record, blamed).await {
                Ok(()) => after(job.shard, record.connection),
                Err(_) => After::Close,
            }
        }
        // The stream has its error frame; its end without a last chunk says the rest.
        Verdict::StreamCut | Verdict::StreamStalled => After::Close,
        Verdict::Nothing if caller.is_cut_off() && record.status.is_none() => {
            let refusal = Refusal::ShuttingDown;
            refuse::tell(job.shard, caller, job.request, record, &refusal).await
        }
        Verdict::Nothing => {
            // Whatever was begun, the caller does not have it.
            if caller.is_cut_off() {
                record.cut_off();
            }
            record.leave();
            After::Close
        }
        Verdict::UpstreamError
        | Verdict::UpstreamTimeout
        | Verdict::RateLimit
        | Verdict::InvalidRequest => {
            let Some(blamed) = attempts.blamed() else {
                return After::Close;
            };
            let asked = asked(job, blamed.candidate);
            let before = record.asked.replace(asked);
            if before.is_some_and(|before| before.id != asked.id) {
                // They are another provider's.
                record.words = Words::default();
            }
            let last = LastWord {
                provider: asked.provider,
                model: &job.ask.model,
                outcome: blamed.outcome,
                retry: choose::retry_in(job, record.retry_after),
            };
            let why = record.inexpressible.take();
            let refusal = match (verdict, &why) {
                (Verdict::InvalidRequest, Some(why)) => Some(Refusal::InvalidRequest(why)),
                _ => Refusal::of_verdict(verdict, &last),
            };
            match refusal {
                Some(refusal) => {
                    refuse::tell(job.shard, caller, job.request, record, &refusal).await
                }
                None => After::Close,
            }
        }
    }
}

/// A candidate, for the record.
pub fn asked<'a>(job: &Job<'a>, place: usize) -> Asked<'a> {
    Asked {
        id: job.routed.route.candidates[place].provider,
        provider: &provider_of(job, place).name,
        model: job.model_at(place),
        route: job.routed.id,
    }
}

/// What becomes of the connection after a complete answer.
#[must_use]
pub fn after(shard: &Shard, connection: Connection) -> After {
    match shard.connection(connection) {
        Connection::KeepAlive => After::KeepAlive,
        Connection::Close => After::Close,
    }
}

/// The provider of a candidate.
pub fn provider_of<'a>(job: &Job<'a>, place: usize) -> &'a crate::config::plan::Provider {
    job.shard
        .plan
        .provider(job.routed.route.candidates[place].provider)
}
