//! One attempt at one provider: connection, request, the answer's head, and what the status means.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::base::limits::{LEFT_BYTES_MAX, ONE_SEND_BYTES_MAX};
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::{Candidate, Provider, ProviderKind};
use crate::decide::failover::Attempts;
use crate::decide::outcome::{KeyOwner, Outcome, Sample as Kind, Waiting};
use crate::exchange::admit::{self, Presented};
use crate::exchange::headers::{Added, Totals};
use crate::exchange::inbound::Crossing;
use crate::exchange::outbound::Outbound;
use crate::exchange::refusal::Refusal;
use crate::exchange::relay::UsageChunk;
use crate::link::facts::{Fact, Sample};
use crate::shard::http::caller::Caller;
use crate::shard::http::kind;
use crate::shard::http::receive;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::conclude;
use crate::shard::request::connect;
use crate::shard::request::drive::{Job, provider_of};
use crate::shard::request::lost;
use crate::shard::request::permit::Permit;
use crate::shard::request::record::{Record, Used};
use crate::shard::request::spend;
use crate::shard::request::stream;
use crate::shard::request::translated::Translated;
use crate::shard::request::words::Words;
use crate::shard::run::Shard;
use crate::sys::clock;
use crate::translate::tariff::Tariff;
use crate::wire::openai::{self, RequestEdits};
use crate::wire::seen::Seen;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// How an attempt ended, as far as the driver must know.
pub enum End {
    /// It ended like this; what the caller is owed in that case has been sent.
    Outcome(Outcome),
    /// The provider does not take `stream_options`: the same again without the injection.
    WithoutInjection,
    /// infermux itself cannot go on.
    Refused(Refusal<'static>),
}

/// Whether a pooled connection will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// It will.
    NotNeeded,
    /// A pooled one has just died: this time, open one.
    Needed,
}

/// Whether infermux may ask for the usage of a stream that its caller did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// It may, unless the provider is known not to take it.
    Allowed,
    /// The provider has just refused the request with it.
    Refused,
}

/// What is tried.
#[derive(Clone, Copy)]
pub struct Try<'j> {
    /// Place of the candidate on its route.
    pub place: usize,
    /// Whether a pooled connection will do.
    pub fresh: Fresh,
    /// Whether the usage of a stream may be asked for.
    pub injection: Injection,
    /// When it begins.
    pub started: Instant,
    /// The right to do so.
    pub permit: &'j RefCell<Permit>,
}

/// One attempt, as its steps need it.
pub struct Attempt<'j, 'a> {
    /// The request.
    pub job: &'j Job<'a>,
    /// The provider.
    pub provider: &'a Provider,
    /// Place of the candidate on its route.
    pub place: usize,
    /// The right to make it.
    pub permit: &'j RefCell<Permit>,
    /// When it began; waiting for the provider counts from here.
    pub started: Instant,
    /// When it was sent; response times count from here.
    pub sent_at: Instant,
    /// When all attempts together must have ended.
    pub overall: Instant,
    /// Whose key it is sent with.
    pub key: KeyOwner,
    /// The caller's key, where it is sent on.
    pub callers_key: Option<&'a [u8]>,
    /// Whose wish the usage chunk is.
    pub usage: UsageChunk,
}

/// Makes one attempt at the candidate `place` of the job's route.
pub async fn run<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    attempts: &mut Attempts,
    Try {
        place,
        fresh,
        injection,
        started,
        permit,
    }: Try<'_>,
) -> End {
    let shard = job.shard;
    let id = job.routed.route.candidates[place].provider;
    let provider = shard.plan.provider(id);
    record.words = Words::default();
    let deadline = attempts.attempt_deadline(started, provider.timeout);
    let pooled = match fresh {
        Fresh::NotNeeded => shard.pool.take(id, started),
        Fresh::Needed => None,
    };
    let (mut up, sent_at) = match pooled {
        Some(pooled) => (pooled, started),
        None => match caller
            .unless_gone(connect::connect(shard, id, deadline))
            .await
        {
            Some(Ok(opened)) => (opened, clock::now()),
            None => return End::Outcome(Outcome::CallerGone),
            Some(Err(_)) if caller.is_gone() => return End::Outcome(Outcome::CallerGone),
            Some(Err(fault)) => return End::Outcome(Outcome::ConnectFailed(fault)),
        },
    };
    if caller.is_gone() {
        up.rest(shard, id);
        return End::Outcome(Outcome::CallerGone);
    }
    let presented = Presented::read(&caller.head, job.head);
    let credential = admit::credential(provider, &shard.plan.auth, presented);
    let attempt = Attempt {
        job,
        provider,
        place,
        permit,
        started,
        sent_at,
        overall: attempts.deadline(),
        key: credential.owner(provider),
        callers_key: credential.callers_key(),
        usage: usage_chunk(job, place, injection),
    };
    up.socket.deadline.set(deadline, Cut::Both);
    let head = match send_request(&attempt, caller, &mut up, credential).await {
        Ok(()) if caller.is_gone() => Err(Outcome::CallerGone),
        Ok(()) => up.read_head(caller).await,
        Err(outcome) => return End::Outcome(outcome),
    };
    if let Err(outcome) = head {
        // Where the caller has left, the provider has the request and bills its prompt.
        let seen = (outcome == Outcome::CallerGone).then(Seen::default);
        return End::Outcome(attempt.abandoned(record, seen, outcome));
    }
    record.words = Words::of_head(&attempt, &up);
    if up.head.status != 429
        && let Some(span) = up.used_up()
    {
        attempt.put_aside(Some(span));
    }
    let is_success = (200..=299).contains(&up.head.status);
    match kind::of(job, caller, &mut up).await {
        Ok(kind::Kind::Stream) => {
            return End::Outcome(stream::relay(&attempt, caller, record, attempts, up).await);
        }
        Ok(kind::Kind::Whole) => {}
        Err(outcome) => {
            let seen = lost::seen(&attempt, &mut up).await;
            return End::Outcome(attempt.abandoned(record, seen, outcome));
        }
    }
    match receive::read(shard, caller, &mut up).await {
        Ok(()) => {}
        // Whoever refuses a request bills nothing.
        Err(receive::Stop::Outcome(outcome)) => {
            let seen = if is_success {
                lost::seen(&attempt, &mut up).await
            } else {
                None
            };
            return End::Outcome(attempt.abandoned(record, seen, outcome));
        }
        Err(receive::Stop::Overloaded) => {
            if is_success {
                lost::book_unheld(&attempt, record, &mut up).await;
            }
            return End::Refused(Refusal::Overloaded);
        }
    }
    conclude::whole(&attempt, caller, record, attempts, up).await
}

impl<'a> Job<'a> {
    /// What the candidate `place` calls the model.
    #[must_use]
    pub fn model_at(&self, place: usize) -> &'a str {
        let candidate: &'a Candidate = &self.routed.route.candidates[place];
        candidate.model.as_deref().unwrap_or(self.model)
    }

    /// What an answer of the candidate `place` says about how it came about.
    #[must_use]
    pub fn added<'s>(
        &'s self,
        place: usize,
        record: &Record<'s>,
        latency: Duration,
        totals: Totals,
    ) -> Added<'s> {
        Added {
            request_id: self.request.id.as_str(),
            provider: &provider_of(self, place).name,
            model: self.model_at(place),
            strategy: self.routed.route.strategy,
            group: self.routed.group,
            latency,
            attempts: record.attempts,
            model_override: self.model_override,
            totals,
        }
    }
}

impl<'a> Attempt<'_, 'a> {
    /// The candidate.
    #[must_use]
    pub fn candidate(&self) -> &'a Candidate {
        &self.job.routed.route.candidates[self.place]
    }

    /// What decides which of the provider's fields the caller gets.
    #[must_use]
    pub fn crossing(&self) -> Crossing<'a> {
        let shard: &'a Shard = self.job.shard;
        Crossing {
            key: self.key,
            masks: shard.era.prefixes(self.candidate().provider).masks(),
        }
    }

    /// The provider asked to be left alone.
    pub fn put_aside(&self, span: Option<Duration>) {
        let provider = self.candidate().provider;
        self.job.shard.reports.report(Fact::Cooldown {
            provider,
            at: clock::now(),
            span,
        });
    }

    /// What was used, and what it costs: as the provider says, else a quarter of the characters.
    #[must_use]
    pub fn used(&self, usage: Option<Usage>, text_bytes: usize) -> Used {
        spend::used(self.job, self.place, usage, text_bytes)
    }

    /// What the cost of its stream is made of, where the caller wants that in its usage.
    #[must_use]
    pub fn tariff(&self) -> Option<Tariff> {
        spend::tariff(self.job, self.place)
    }

    /// The end of an attempt whose answer the caller does not get, and of which this was `seen`.
    /// The provider bills it: a caller who has left pays, a failure is infermux's own loss.
    pub fn abandoned(
        &self,
        record: &mut Record<'_>,
        seen: Option<Seen>,
        outcome: Outcome,
    ) -> Outcome {
        let Some(seen) = seen else { return outcome };
        let used = self.used(seen.usage, seen.text_bytes);
        if outcome == Outcome::CallerGone {
            record.settle(used);
            self.settle(clock::now(), outcome, None, used.sum());
        } else {
            record.lose(&used);
        }
        outcome
    }

    /// Where the attempt is a probe, waits until what it has reported is in force: whoever has its
    /// answer can rely on the circuit being closed.
    pub async fn enforce_probe(&self) {
        if self.permit.borrow().is_probe() {
            self.job.shard.reports.enforce().await;
        }
    }

    /// Says how the attempt ended at `at`; `measured` is what the provider took, where that is
    /// known.
    pub fn settle(&self, at: Instant, outcome: Outcome, measured: Option<Sample>, used: Tokens) {
        let counts = outcome.sample() == Kind::Measured;
        self.permit
            .borrow_mut()
            .settle(at, outcome, measured.filter(|_| counts), used);
    }

    /// The provider's own name for the model.
    #[must_use]
    pub fn upstream_model(&self) -> &'a str {
        self.job.model_at(self.place)
    }

    /// The caller's name for the model, as its body has it.
    #[must_use]
    pub fn caller_model(&self) -> &'a [u8] {
        self.job.ask.model_json.as_bytes()
    }

    /// The caller's `body` as this provider gets it.
    fn edited<'s>(&'s self, body: &'s [u8]) -> Splice<'s> {
        let job = self.job;
        let names = &job.shard.era.routes[job.routed.id.index()].models;
        let edits = RequestEdits {
            model: names[self.place]
                .as_deref()
                .or(self.job.model_json.as_deref()),
            inject_usage: self.usage == UsageChunk::Injected,
            copy_max_tokens: self.provider.kind == ProviderKind::Ollama,
        };
        openai::edit_request(body, job.ask, &edits)
    }
}

/// Sends the request.
async fn send_request(
    attempt: &Attempt<'_, '_>,
    caller: &mut Caller,
    up: &mut Upstream,
    credential: admit::Credential<'_>,
) -> Result<(), Outcome> {
    let job = attempt.job;
    let translated = job.translated.borrow().as_ref().map(Translated::bytes);
    let message = Rc::clone(&caller.bytes);
    let (source, splice) = match &translated {
        Some(bytes) => (bytes, Splice::new(bytes)),
        None => (&message, attempt.edited(&message[job.body.clone()])),
    };
    caller.out.clear();
    caller.make_room();
    let mut out = std::mem::take(&mut caller.out);
    let prefixes = job.shard.era.prefixes(attempt.candidate().provider);
    prefixes.write(
        job.endpoint,
        &Outbound {
            model: attempt.upstream_model(),
            credential,
            key: attempt.key,
            request_id: job.request.id.as_str(),
            caller: (&caller.head, job.head),
        },
        splice.len(),
        &mut out,
    );
    match send(source, caller, up, out, &splice).await {
        Ok(()) => Ok(()),
        Err(_) if caller.is_gone() => Err(Outcome::CallerGone),
        Err(_) if !up.has_arrived() && up.socket.deadline.is_overdue() => {
            Err(Outcome::TimedOut(Waiting::Head))
        }
        // A provider that refuses a request may answer, and close, before it has read all of it.
        Err(_) => Ok(()),
    }
}

/// Sends head and body: in one piece while that is small, else without a copy of the body.
async fn send(
    source: &Rc<Vec<u8>>,
    caller: &mut Caller,
    up: &mut Upstream,
    mut out: Vec<u8>,
    splice: &Splice<'_>,
) -> io::Result<()> {
    if splice.len() <= ONE_SEND_BYTES_MAX {
        splice.write(&mut out);
        if out.len() <= LEFT_BYTES_MAX {
            return up.socket.writer.leave(Part::own(out));
        }
        return send_part(caller, up, Part::own(out)).await;
    }
    for piece in splice.pieces() {
        let range = source.as_ptr_range();
        let inside = range.contains(&piece.as_ptr()) && piece.len() > SMALL_PIECE;
        if !inside {
            out.extend_from_slice(piece);
            continue;
        }
        if !out.is_empty() {
            send_part(caller, up, Part::own(out)).await?;
            out = std::mem::take(&mut caller.out);
        }
        let from = piece.as_ptr() as usize - source.as_ptr() as usize;
        let part = Part::shared(Rc::clone(source), from..from + piece.len());
        send_part(caller, up, part).await?;
    }
    if out.is_empty() {
        caller.out = out;
        return Ok(());
    }
    send_part(caller, up, Part::own(out)).await
}

/// Sends one part; an own buffer goes back to the caller's connection, empty.
pub(super) async fn send_part(
    caller: &mut Caller,
    up: &mut Upstream,
    part: Part,
) -> io::Result<()> {
    let (deadline, sending) = up.send(part);
    let (result, part) = caller.watch(deadline, sending).await;
    let mut buffer = part.into_vec();
    if buffer.capacity() > 0 {
        buffer.clear();
        caller.out = buffer;
    }
    result
}

fn usage_chunk(job: &Job<'_>, place: usize, injection: Injection) -> UsageChunk {
    let provider = job.routed.route.candidates[place].provider;
    let may_inject = injection == Injection::Allowed && job.shard.may_inject(provider);
    let kind = job.shard.plan.provider(provider).kind;
    if kind != ProviderKind::Anthropic && job.ask.lacks_usage() && may_inject {
        UsageChunk::Injected
    } else {
        UsageChunk::Untouched
    }
}

/// Pieces up to this size are copied: a send costs more than the copy.
const SMALL_PIECE: usize = 4 << 10;
