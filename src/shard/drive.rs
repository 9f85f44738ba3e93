//! One request from head to settlement, in a straight line: admit, route, attempt, answer.

use std::ops::Range;
use std::rc::Rc;

use crate::config::plan::Endpoint;
use crate::decide::failover::{Attempts, Grant, Step};
use crate::decide::outcome::{Outcome, Verdict};
use crate::decide::retry_budget;
use crate::decide::strategy::{Choice, Strategy, choose};
use crate::exchange::admit;
use crate::exchange::refusal::{Connection, LastWord, Refusal};
use crate::exchange::request::Request;
use crate::exchange::route::{self, Routed, Standing};
use crate::exchange::target::{self, Target};
use crate::shard::attempt::{self, End, Fresh, Injection};
use crate::shard::caller::Caller;
use crate::shard::models;
use crate::shard::run::Shard;
use crate::shard::settle::Record;
use crate::sys::clock;
use crate::wire::head::Head;
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
    /// The caller's bytes, head and body.
    pub message: &'a Rc<Vec<u8>>,
    /// Where the body stands in them.
    pub body: Range<usize>,
    /// What the body says.
    pub ask: &'a Ask<'a>,
    /// Where it may go.
    pub routed: Routed<'a>,
}

/// Looks at what the head alone decides: path, method, key.
///
/// # Errors
///
/// The request is refused, whatever its body says.
pub fn check<'a>(shard: &Shard, head: &Head, bytes: &'a [u8]) -> Result<Target, Refusal<'a>> {
    let target = std::str::from_utf8(&bytes[head.target.clone()])
        .map_err(|_| Refusal::Malformed("the request target is not valid"))?;
    admit::authenticate(
        &shard.plan.auth,
        head.value(bytes, "authorization"),
        head.value(bytes, "x-api-key"),
    )?;
    let (_, target) = target::read(&bytes[head.method.clone()], target)?;
    Ok(target)
}

/// Answers a request whose `body` has arrived.
pub async fn answer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    target: &Target,
    body: Range<usize>,
) -> After {
    match target {
        Target::Infer(endpoint) => infer(shard, caller, request, *endpoint, body).await,
        Target::Models | Target::Model(_) => models::answer(shard, caller, request, target).await,
    }
}

/// Lets the tests of a debug build see that a panic ends one connection and nothing else.
#[cfg(debug_assertions)]
fn panic_if_asked(caller: &Caller) {
    let asked = caller.head.value(&caller.bytes, "x-infermux-test-panic");
    assert!(asked.is_none(), "a panic was asked for");
}

/// Answers with an error of infermux's own.
pub async fn refuse(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    refusal: &Refusal<'_>,
) -> After {
    let mut record = Record::new(shard, request);
    tell(shard, caller, request, &mut record, refusal).await
}

/// Answers with an error of infermux's own, after which the connection is closed in any case.
pub async fn refuse_last(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    refusal: &Refusal<'_>,
) {
    let mut record = Record::new(shard, request);
    record.connection = Connection::Close;
    tell(shard, caller, request, &mut record, refusal).await;
}

async fn infer(
    shard: &Rc<Shard>,
    caller: &mut Caller,
    request: &Request,
    endpoint: Endpoint,
    body: Range<usize>,
) -> After {
    let message = Rc::clone(&caller.bytes);
    let ask = match openai::read_ask(&message[body.clone()]) {
        Ok(ask) => ask,
        Err(fault) => {
            let fault = fault.to_string();
            return refuse(shard, caller, request, &Refusal::InvalidRequest(&fault)).await;
        }
    };
    let mut record = Record::new(shard, request);
    record.model = Some(&ask.model);
    #[cfg(debug_assertions)]
    panic_if_asked(caller);
    let Some(routed) = route::route(&shard.plan, endpoint, &ask.model) else {
        let refusal = Refusal::ModelNotFound { model: &ask.model };
        return tell(shard, caller, request, &mut record, &refusal).await;
    };
    record.strategy = Some(routed.route.strategy);
    record.group = routed.group;
    let job = Job {
        shard,
        request,
        endpoint,
        message: &message,
        body,
        ask: &ask,
        routed,
    };
    try_candidates(&job, caller, &mut record).await
}

/// Tries one candidate after the other, until the caller has an answer or nobody is left.
async fn try_candidates<'a>(job: &Job<'a>, caller: &mut Caller, record: &mut Record<'a>) -> After {
    let Job { shard, routed, .. } = job;
    let now = clock::now();
    shard.retries.count_request(shard.id, now);
    let failover = &shard.plan.failover;
    let mut attempts = Attempts::new(failover.max_attempts, now, failover.deadline);
    let extras = &shard.routes[routed.id.index()];
    let choice = Choice {
        ticket: ticket(job),
        random: shard.random.borrow_mut().next_u64(),
        rotation: &extras.rotation,
        latencies: &[],
        min_samples: shard.plan.latency.min_samples,
        costs: &[],
    };
    loop {
        let survey = route::survey(routed.route, attempts.tried(), |_| Standing::Ready);
        let Some(place) = choose(routed.route.strategy, &choice, &survey.eligible) else {
            let verdict = attempts.blamed().map(|blamed| blamed.outcome.verdict());
            let Some(verdict) = verdict else {
                let refusal = survey.refusal(&job.ask.model, clock::now());
                return tell(shard, caller, job.request, record, &refusal).await;
            };
            return conclude(job, caller, record, &attempts, verdict).await;
        };
        attempts.begin(place);
        record.attempts = attempts.count();
        record.provider = Some(&provider_of(job, place).name);
        match attempt_at(job, caller, record, &mut attempts, place).await {
            Ok(None) => {}
            Ok(Some(verdict)) => return conclude(job, caller, record, &attempts, verdict).await,
            Err(refusal) => return tell(shard, caller, job.request, record, &refusal).await,
        }
    }
}

/// One attempt at one candidate, with the repeats that belong to it; the verdict, or `None` when
/// another candidate may be tried.
async fn attempt_at<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &mut Attempts,
    place: usize,
) -> Result<Option<Verdict>, Refusal<'static>> {
    let (mut fresh, mut injection) = (Fresh::NotNeeded, Injection::Allowed);
    loop {
        let how = (place, fresh, injection);
        let outcome = match attempt::run(job, caller, record, attempts, how).await {
            End::Outcome(outcome) => outcome,
            End::WithoutInjection => {
                injection = Injection::Refused;
                continue;
            }
            End::Refused(refusal) => return Err(refusal),
        };
        if injection == Injection::Refused && outcome == Outcome::Answered {
            // Only now is it sure that the injection was to blame, and not what the caller wrote.
            let provider = job.routed.route.candidates[place].provider;
            job.shard.without_injection(provider);
        }
        log_outcome(job, place, outcome);
        let grant = || grant(job.shard);
        match attempts.on_outcome(clock::now(), outcome, grant) {
            Step::SameProviderFresh => fresh = Fresh::Needed,
            Step::Another => return Ok(None),
            Step::End(verdict) => return Ok(Some(verdict)),
        }
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
        Verdict::Answer | Verdict::PassThrough => after(job.shard, record.connection),
        // The stream has its error frame; its end without a last chunk says the rest.
        Verdict::StreamCut | Verdict::StreamStalled => After::Close,
        Verdict::Nothing => {
            // Whatever was begun, the caller does not have it.
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
            let provider = &provider_of(job, blamed.candidate).name;
            record.provider = Some(provider);
            let last = LastWord {
                provider,
                model: &job.ask.model,
                outcome: blamed.outcome,
                retry: record.retry_after.unwrap_or(attempt::RETRY_AFTER),
            };
            match Refusal::of_verdict(verdict, &last) {
                Some(refusal) => tell(job.shard, caller, job.request, record, &refusal).await,
                None => After::Close,
            }
        }
    }
}

/// Writes a refusal to the caller.
pub async fn tell(
    shard: &Shard,
    caller: &mut Caller,
    request: &Request,
    record: &mut Record<'_>,
    refusal: &Refusal<'_>,
) -> After {
    record.status = Some(refusal.row().status);
    record.error = Some(refusal.row().code);
    caller.out.clear();
    let mut envelope = request.envelope(record.attempts);
    envelope.connection = shard.connection(record.connection);
    refusal.write_answer(&mut caller.out, &envelope);
    if caller.send_out(shard).await.is_err() {
        record.leave();
        return After::Close;
    }
    match (refusal.connection(), envelope.connection) {
        (Connection::KeepAlive, Connection::KeepAlive) => After::KeepAlive,
        (Connection::KeepAlive | Connection::Close, _) => After::Close,
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

/// The request's number on its route. A strategy that needs none takes none: the word is shared.
fn ticket(job: &Job<'_>) -> u64 {
    match job.routed.route.strategy {
        Strategy::RoundRobin | Strategy::LeastLatency | Strategy::CostWeighted => {
            job.shard.gates.ticket(job.routed.id)
        }
        Strategy::Random | Strategy::Priority => 0,
    }
}

fn grant(shard: &Shard) -> Grant {
    let now = clock::now();
    let recent = shard.retries.recent(now);
    let permille = shard.plan.failover.retry_budget_permille;
    if retry_budget::may_retry(recent.requests, recent.retries, permille) {
        shard.retries.count_retry(shard.id, now);
        Grant::Granted
    } else {
        tracing::warn!("the retry budget is used up: a failed request is not tried elsewhere");
        Grant::Denied
    }
}

fn provider_of<'a>(job: &Job<'a>, place: usize) -> &'a crate::config::plan::Provider {
    job.shard
        .plan
        .provider(job.routed.route.candidates[place].provider)
}

fn log_outcome(job: &Job<'_>, place: usize, outcome: Outcome) {
    match outcome {
        Outcome::Answered => {}
        Outcome::StaleConnection
        | Outcome::CallerGone
        | Outcome::Untranslatable
        | Outcome::CallerKeyRefused(_)
        | Outcome::RequestRefused(_) => {
            let provider = &*provider_of(job, place).name;
            tracing::debug!(
                provider,
                request_id = job.request.id.as_str(),
                "attempt: {outcome}"
            );
        }
        Outcome::ConnectFailed(_)
        | Outcome::TimedOut(_)
        | Outcome::Failed(_)
        | Outcome::RateLimited
        | Outcome::OwnKeyRefused(_)
        | Outcome::StreamCut
        | Outcome::StreamStalled => {
            let provider = &*provider_of(job, place).name;
            let request_id = job.request.id.as_str();
            tracing::warn!(provider, request_id, "the provider {outcome}");
        }
    }
}
