//! One request from head to settlement, in a straight line: admit, route, attempt, answer.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::Endpoint;
use crate::decide::failover::{Attempts, Grant, Step};
use crate::decide::outcome::{Outcome, Sample as Kind, Signal, Verdict};
use crate::exchange::refusal::{LastWord, Refusal};
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::http::decode;
use crate::shard::request::after::{self, After};
use crate::shard::request::ask;
use crate::shard::request::attempt::End;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::kept;
use crate::shard::request::local;
use crate::shard::request::manage;
#[cfg(debug_assertions)]
use crate::shard::request::mishap;
use crate::shard::request::models;
use crate::shard::request::outage;
use crate::shard::request::perform::{self, Fresh, Injection, Try};
use crate::shard::request::permit::Permit;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::request::spend::{self, Allowance, Turn};
use crate::shard::request::translated::{self, NotTranslated};
use crate::shard::request::words::Words;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::{json, openai};

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
    let body = match decode::request(
        &shard.io,
        shard.server.max_body_bytes,
        caller,
        body,
        deployment,
    )
    .await
    {
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
                let meter = shard.meters.provider(id, &job.provider_at(place).name);
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
        record.asked = Some(job.asked(place));
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
        let outcome = match perform::attempt(job, caller, record, attempts, this).await {
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
        outage::log(job, place, outcome, &record.words);
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
    let provider = job.provider_at(place);
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
        Verdict::Answer => after::after(job.shard, record.connection),
        Verdict::PassThrough => {
            let blamed = attempts.blamed().map(|blamed| blamed.candidate);
            match kept::tell_kept(job, caller, record, blamed).await {
                Ok(()) => after::after(job.shard, record.connection),
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
            let asked = job.asked(blamed.candidate);
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
