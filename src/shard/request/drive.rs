//! One request from its body to its settlement: it is routed and reserved for, and then takes the
//! course that its machine says (`exchange::course`).

use crate::exchange::course::Action;
use crate::exchange::course::Try;
use crate::exchange::course::{Course, Part, Reasoning};
use crate::exchange::route::Survey;
use std::ops::Range;
use std::rc::Rc;

use crate::base::endpoint::Endpoint;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;

use crate::decide::eligible::Eligible;
use crate::decide::outcome::{Outcome, Verdict};
use crate::dialect::ask::Ask;
use crate::exchange::refusal::Refusal;
use crate::exchange::request::Request;
use crate::exchange::target::Target;
use crate::link::facts::{Sample, SampleKind};
use crate::shard::http::body::Body;
use crate::shard::http::caller::Caller;
use crate::shard::request::admit;
use crate::shard::request::affinity;
use crate::shard::request::after::{self, After};
use crate::shard::request::allowed;
use crate::shard::request::ask::{self, Kept};
use crate::shard::request::attempt::End;
use crate::shard::request::choose;
use crate::shard::request::count;
use crate::shard::request::early;
use crate::shard::request::job::{Begun, Job};
use crate::shard::request::kept;
use crate::shard::request::local;
use crate::shard::request::manage;
#[cfg(debug_assertions)]
use crate::shard::request::mishap;
use crate::shard::request::models;
use crate::shard::request::not_translated::NotTranslated;
use crate::shard::request::outage;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::parts;
use crate::shard::request::perform;
use crate::shard::request::permit::Permit;
use crate::shard::request::pins;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::request::spend;
use crate::shard::request::stored;
use crate::shard::request::translated;
use crate::shard::request::unserved::Unserved;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// Answers a request whose `body`, or the beginning of it, has arrived.
pub(super) async fn answer<'a>(
    shard: &'a Rc<Shard>,
    caller: &mut Caller,
    request: &'a Request,
    target: &'a Target,
    body: Body,
) -> After {
    let kept = Kept::of(caller, &body);
    let at = body.at.clone();
    let read = ask::read(shard, caller, target, body, &kept).await;
    let mut record = Record::new(shard, request);
    let served = match read {
        Ok(Some((endpoint, ref ask))) => {
            let asked = Asked {
                endpoint,
                head: kept.head(),
                at,
                ask,
                parcel: kept.parcel(),
            };
            serve((shard, request), caller, &mut record, asked).await
        }
        Ok(None) => serve_other(shard, caller, &mut record, (target, at)).await,
        Err(unserved) => Err(unserved),
    };
    match served {
        Ok(after) => after,
        Err(unserved) => refuse::tell(caller, &mut record, &unserved.refusal()).await,
    }
}

/// Serves a request that asks nothing of a provider's models, and whose body stands `at` there.
async fn serve_other<'a>(
    shard: &'a Rc<Shard>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    (target, at): (&'a Target, Range<usize>),
) -> Result<After, Unserved<'a>> {
    let (_, request) = record.of();
    let answer = match target {
        Target::Root => local::root(shard),
        Target::Preflight(lines) => local::preflight(lines),
        Target::Models => models::all(shard, caller, request)?,
        Target::Model(id) => models::one(shard, request, id)?,
        Target::Manage(what) => manage::answer(shard, caller, request, (what, at)).await?,
        Target::Stored(what) => return stored::answer(shard, caller, record, (what, at)).await,
        // They ask for something.
        Target::Infer(..) | Target::Passed(_) => return Ok(After::Close),
    };
    Ok(local::answer(shard, caller, request, record, answer).await)
}

/// What a request asks for, once its body was read.
struct Asked<'a> {
    /// What it is for.
    endpoint: Endpoint,
    /// The caller's bytes up to the body at least.
    head: &'a [u8],
    /// Where the body stands in the caller's bytes.
    at: Range<usize>,
    /// What the body says.
    ask: &'a Ask<'a>,
    /// What is known besides, if it is passed on as it is.
    parcel: Option<&'a Parcel>,
}

/// Finds out where a request goes, and sends it there.
async fn serve<'a>(
    (shard, request): (&'a Rc<Shard>, &'a Request),
    caller: &mut Caller,
    record: &mut Record<'a>,
    asked: Asked<'a>,
) -> Result<After, Unserved<'a>> {
    let Asked {
        endpoint,
        head,
        at,
        ask,
        parcel,
    } = asked;
    record.asks(endpoint, ask);
    #[cfg(debug_assertions)]
    mishap::play(caller);
    allowed::check(shard, caller, (request, ask), at.clone()).await?;
    let Some(routed) = choose::route(shard, endpoint, &ask.model) else {
        return Err(choose::not_found(shard, endpoint, &ask.model).into());
    };
    let pins = pins::read(shard, caller, (endpoint, &routed), at.clone()).await?;
    let begun = Begun {
        endpoint,
        head,
        body: at,
        ask,
        routed,
        pins,
        parcel,
    };
    let mut job = begun.job(shard, request);
    if job.routed.route.affinity.is_some() {
        affinity::read(&mut job, caller).await?;
    }
    pins::narrow(&mut job)?;
    if let Err(halt) = admit::pass(&mut job, record) {
        Box::pin(admit::later(&mut job, record, halt)).await?;
    }
    if matches!(endpoint, Endpoint::CountTokens | Endpoint::InputTokens) {
        return count::answer(&job, caller, record).await;
    }
    if job.model_override.is_some() {
        pins::narrow(&mut job)?;
    }
    job.record_route(record);
    Drive::new(&job, caller, record).run().await
}

/// One inference request on its way over its candidates.
struct Drive<'d, 'a> {
    job: &'d Job<'a>,
    caller: &'d mut Caller,
    record: &'d mut Record<'a>,
    course: Course,
    /// When the candidates are looked at.
    now: Instant,
    /// The numbers that the choice among the candidates depends on: the ticket and a random one.
    numbers: (u64, u64),
    /// What the request is expected to use.
    tokens: Tokens,
    /// What was seen of the candidates where none of them can take the request.
    nobody: Option<Survey>,
}

impl<'d, 'a> Drive<'d, 'a> {
    fn new(job: &'d Job<'a>, caller: &'d mut Caller, record: &'d mut Record<'a>) -> Self {
        let shard = job.shard;
        // Nothing has been waited for since.
        let now = job.request.ready;
        shard.retries.count_request(shard.id, now);
        let failover = &shard.plan.failover;
        Self {
            course: Course::new(failover.max_attempts, now, failover.deadline),
            now,
            numbers: (choose::ticket(job), shard.random.borrow_mut().next_u64()),
            tokens: spend::expected(job).sum(),
            nobody: None,
            job,
            caller,
            record,
        }
    }

    /// Carries out what the request's course says, until the caller has an answer or nobody is
    /// left.
    async fn run(&mut self) -> Result<After, Unserved<'a>> {
        let mut action = Action::Survey;
        loop {
            action = match action {
                Action::Survey => self.survey().await,
                Action::Take(place) => self.take(place).await?,
                Action::Send(this) => self.send(this).await?,
                Action::Refuse => return Ok(self.tell_nobody().await),
                Action::Tell(verdict) => return self.tell(verdict).await,
            };
            if action == Action::Survey {
                self.now = clock::now();
            }
        }
    }

    async fn survey(&mut self) -> Action {
        let mut survey = choose::survey(self.job, self.now, self.course.tried(), self.tokens);
        if survey.eligible.is_empty() && self.job.shard.plan.shared.is_some() {
            let wanted = (self.course.tried(), self.tokens);
            let waited = parts::survey_later(self.job, wanted, &mut self.now);
            survey = Box::pin(waited).await.unwrap_or(survey);
        }
        let place = match self.job.is_steered {
            true => self.steered(&survey.eligible),
            false => choose::pick(self.job, self.numbers, &survey.eligible),
        };
        let is_begun = self.job.parcel.is_some_and(Parcel::is_begun);
        let place = place.filter(|_| !is_begun);
        let action = self.course.chosen(place, survey.later);
        if action == Action::Refuse {
            self.nobody = Some(survey);
        }
        action
    }

    /// The candidate that a steered request goes to, and whether it stays with its conversation.
    #[inline(never)]
    fn steered(&mut self, eligible: &Eligible) -> Option<usize> {
        let place = choose::steered(self.job, eligible);
        let place = place.or_else(|| choose::pick(self.job, self.numbers, eligible));
        match place {
            Some(place) => self.record.stay = affinity::stay(self.job, place),
            // Where nobody was asked, it has gone nowhere.
            None if self.record.asked.is_none() => self.record.stay = None,
            None => {}
        }
        place
    }

    /// Writes the request in the dialect of the candidate, and takes one of its permits.
    async fn take(&mut self, place: usize) -> Result<Action, Refusal<'a>> {
        let (job, shard) = (self.job, self.job.shard);
        let id = job.routed.route.candidates[place].provider;
        let this = Try::first(place, self.now);
        let prepared = if translated::prepare_plain(job, self.record, place) {
            Ok(())
        } else {
            translated::prepare(job, self.caller, self.record, &this).await
        };
        match prepared {
            Ok(()) => {}
            Err(NotTranslated::Refused(refusal)) => return Err(refusal),
            Err(NotTranslated::Unsupported(why)) => {
                self.record.inexpressible = Some(why.to_string());
                let meter = shard.meters.provider(id, &job.provider_at(place).name);
                meter.outcomes[Outcome::Untranslatable.place()].add(1);
                return Ok(self.course.inexpressible(self.now, place));
            }
        }
        let Some(permit) = Permit::take(&shard.desk, id, self.now, self.tokens) else {
            return Ok(self.course.permit(place, None));
        };
        if let Some(outcome) = self.course.before() {
            permit.count_failover(outcome);
        }
        let action = self.course.permit(place, Some(permit.admitted()));
        if self.record.journal.is_some() {
            let is_probe = permit.taken().probe.is_some();
            job.note_begun(self.record, place, is_probe, self.course.before());
        }
        job.permit.replace(Some(permit));
        self.record.attempts = self.course.count();
        self.record.asked = Some(job.asked(place));
        Ok(action)
    }

    /// Makes one attempt, and settles it.
    async fn send(&mut self, this: Try) -> Result<Action, Refusal<'a>> {
        let (job, record) = (self.job, &mut *self.record);
        if early::is_due(job, record, this.place) {
            early::begin(job, self.caller, record).await;
        }
        let end = perform::attempt(job, self.caller, record, &mut self.course, this).await;
        let outcome = match end {
            End::Outcome(outcome) => outcome,
            End::Without(part) => {
                let now = clock::now();
                record.waited += now.since(this.started);
                let action = self.course.without(now, part);
                return match part {
                    // It is written already.
                    Part::Responses => Ok(action),
                    Part::Usage | Part::Keys(_) | Part::Reasoning => self.write_again(action).await,
                };
            }
            End::Refused(refusal) => {
                job.permit.replace(None);
                return Err(refusal);
            }
        };
        outage::log(job, this.place, outcome, &record.words);
        let now = match (record.response_time, record.first_byte) {
            // Its answer has begun: nothing depends on the time any more.
            (Some(_), Some(begun)) => begun,
            (_, _) => {
                let now = clock::now();
                record.waited += now.since(this.started);
                now
            }
        };
        self.settle(this.place, now, outcome).await;
        if outcome == Outcome::Overflowed {
            self.course.rule_out(&choose::too_small(job, this.place));
        }
        let tried = *self.course.tried();
        let grant = || choose::grant(job, &tried);
        let action = self.course.go_on(now, outcome, grant);
        if !matches!(action, Action::Send(_)) {
            job.permit.replace(None);
            self.record.end_attempt(outcome);
        }
        Ok(action)
    }

    /// Writes the request again, without what its provider refuses.
    async fn write_again(&mut self, action: Action) -> Result<Action, Refusal<'a>> {
        if let Action::Send(this) = action
            && (self.job.is_translated_at(this.place) || this.reasoning == Reasoning::LeftOut)
        {
            let again = translated::prepare(self.job, self.caller, self.record, &this).await;
            if let Err(NotTranslated::Refused(refusal)) = again {
                self.job.permit.replace(None);
                return Err(refusal);
            }
        }
        Ok(action)
    }

    /// Settles an attempt that has not settled itself. A failure is in force everywhere before
    /// anybody is told of it (promise `verdict.before-cause`).
    async fn settle(&mut self, place: usize, now: Instant, outcome: Outcome) {
        let (job, provider) = (self.job, self.job.provider_at(place));
        let closing = self.course.ended(outcome, &provider.breaker);
        if closing.refuses_injection {
            job.shard.without_injection(provider.id);
        }
        if !closing.is_settled {
            job.with_permit(|permit| permit.count(outcome));
            return;
        }
        let kind = if job.ask.stream {
            SampleKind::FirstContent
        } else {
            SampleKind::WholeAnswer
        };
        let timeout = Sample {
            latency: provider.timeout,
            kind,
        };
        let sample = closing.counts_timeout.then_some(timeout);
        job.settle(now, outcome, sample, self.record.take_lost());
        if closing.is_enforced {
            job.shard.reports.enforce().await;
        }
    }

    /// Tells the caller that nobody can take the request, and why.
    async fn tell_nobody(&mut self) -> After {
        let Some(survey) = &self.nobody else {
            return After::Close;
        };
        let now = self.now;
        refuse::tell_nobody(self.job, self.caller, self.record, (survey, now)).await
    }

    /// Tells the caller what a verdict says.
    async fn tell(&mut self, verdict: Verdict) -> Result<After, Unserved<'a>> {
        let (job, course) = (self.job, &self.course);
        let (caller, record) = (&mut *self.caller, &mut *self.record);
        let after = match verdict {
            Verdict::Answer => after::after(job.shard, record.connection),
            Verdict::PassThrough => {
                let blamed = course.blamed().map(|blamed| blamed.candidate);
                match kept::tell_kept(job, caller, record, blamed).await {
                    Ok(()) => after::after(job.shard, record.connection),
                    Err(_) => After::Close,
                }
            }
            // What ends the stream cannot be taken for success. To close the connection would race
            // with the caller's next request.
            Verdict::StreamCut | Verdict::StreamStalled if record.has_end => {
                after::after(job.shard, record.connection)
            }
            // The stream has its error frame; its end without a last chunk says the rest.
            Verdict::StreamCut | Verdict::StreamStalled => After::Close,
            Verdict::Nothing if caller.is_cut_off() && record.is_tellable() => {
                return Err(Refusal::ShuttingDown.into());
            }
            Verdict::Nothing => {
                // Whatever was begun, the caller does not have it.
                if caller.is_cut_off() {
                    record.cut_off();
                }
                record.caller_gone();
                After::Close
            }
            Verdict::UpstreamError
            | Verdict::UpstreamTimeout
            | Verdict::RateLimit
            | Verdict::InvalidRequest => match course.blamed() {
                Some(blamed) => refuse::tell_verdict(job, caller, record, verdict, blamed).await,
                None => After::Close,
            },
        };
        Ok(after)
    }
}
