//! One attempt at one provider: what the functions share that carry it out.

use std::time::Duration;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::base::trace::SpanId;
use crate::config::plan::{Candidate, Provider};
use crate::decide::limiter::Cooldown;
use crate::decide::outcome::{KeyOwner, Outcome, Sample as Kind};
use crate::dialect::ask::{self, RequestEdits};
use crate::dialect::chat::lessons::Keys;
use crate::dialect::request::Kept;
use crate::dialect::shell::plan::{IncludeUsage, StreamPlan, Thoughts, UsageChunk, Wanted};
use crate::dialect::tariff::Tariff;
use crate::exchange::answer_head::PassedOn;
use crate::exchange::auth::{self, Credential, Presented};
use crate::exchange::course::{Injection, Part, Reasoning, Try};
use crate::exchange::inbound::Crossing;
use crate::exchange::refusal::Refusal;
use crate::link::facts::{Fact, Sample};
use crate::shard::http::upstream::Upstream;
use crate::shard::request::job::Job;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::permit::Permit;
use crate::shard::request::record::Record;
use crate::shard::request::spend;
use crate::shard::request::used::Used;
use crate::shard::state::relay::Spare;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::head::Head;
use crate::wire::seen::Seen;
use crate::wire::splice::Splice;
use crate::wire::usage::Usage;

/// How an attempt ended, as far as the driver must know.
pub enum End {
    /// The attempt ended with this outcome; what the caller gets in that case has been sent.
    Outcome(Outcome),
    /// The provider refuses a part of the request that infermux has added: it is to be sent again
    /// without that.
    Without(Part),
    /// infermux itself cannot go on.
    Refused(Refusal<'static>),
}

/// One attempt at one provider.
pub struct Attempt<'j, 'a> {
    /// The request.
    pub job: &'j Job<'a>,
    /// The provider.
    pub provider: &'a Provider,
    /// Place of the candidate on its route.
    pub place: usize,
    /// When the attempt began; the time spent waiting for the provider counts from here.
    pub started: Instant,
    /// When the request was sent; response times count from here.
    pub sent_at: Instant,
    /// When all attempts together must have ended.
    pub overall: Instant,
    /// Whose key the request is sent with.
    pub key: KeyOwner,
    /// The caller's key, where it is sent to the provider.
    pub callers_key: Option<&'a [u8]>,
    /// Whether infermux or the caller asked for the usage chunk.
    pub usage: UsageChunk,
    /// Keys that the provider has refused in this request, and that it does not have any more.
    pub left_out: Keys,
    /// Whether reasoning is sent that only its maker can open.
    pub reasoning: Reasoning,
    /// Its span, where the request belongs to a trace.
    pub span: Option<SpanId>,
}

impl<'j, 'a> Attempt<'j, 'a> {
    /// The attempt `this`, whose request can be sent at `sent_at`, and the key to send with it.
    #[must_use]
    pub fn new(
        job: &'j Job<'a>,
        head: &Head,
        this: &Try,
        sent_at: Instant,
        overall: Instant,
    ) -> (Self, Credential<'a>) {
        let provider = job.provider_at(this.place);
        let presented = Presented::read(head, job.head);
        let credential = auth::credential(provider, &job.shard.plan.auth, presented);
        let attempt = Self {
            job,
            provider,
            place: this.place,
            started: this.started,
            sent_at,
            overall,
            key: credential.owner(provider),
            callers_key: credential.callers_key(),
            usage: usage_chunk(job, this),
            left_out: this.left_out,
            reasoning: this.reasoning,
            span: None,
        };
        (attempt, credential)
    }
}

impl<'a> Attempt<'_, 'a> {
    /// The candidate.
    #[must_use]
    pub fn candidate(&self) -> &'a Candidate {
        &self.job.routed.route.candidates[self.place]
    }

    /// Whether the provider speaks another dialect than the caller.
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.dialect() != self.job.endpoint.dialect()
    }

    /// The dialect in which the provider is asked.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.job.endpoint.dialect() {
            Dialect::Chat | Dialect::Messages => self.provider.vendor.dialect,
            Dialect::Responses => self.job.dialect_at(self.place),
        }
    }

    /// The provider's own endpoint that was asked.
    #[must_use]
    pub fn own_endpoint(&self) -> Endpoint {
        self.job.endpoint.told_in(self.dialect())
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

    /// The fields of the provider's answer that the caller gets.
    #[must_use]
    pub fn passed_on<'u>(&self, up: &'u Upstream) -> PassedOn<'u>
    where
        'a: 'u,
    {
        PassedOn::Head(&up.head, &up.bytes, self.crossing())
    }

    /// Takes note of the provider's own words: of the error that `body` is.
    pub fn note_error(&self, record: &mut Record<'_>, body: &[u8]) {
        let masks = &self.job.shard.era.masks;
        record.words.take_error(masks, self.callers_key, body);
    }

    /// The provider asked to be left alone. Every shard does so from now on: whoever is told of the
    /// answer may ask again at once. The books may lengthen the pause.
    pub fn put_aside(&self, span: Option<Duration>) {
        let provider = self.candidate().provider;
        let (shard, at) = (self.job.shard, clock::now());
        shard.gates.providers[provider.index()].set_aside(at + Cooldown::least(span));
        shard.reports.report(Fact::Cooldown { provider, at, span });
    }

    /// Takes note that the request is about to be sent.
    pub fn note_sent(&mut self, record: &mut Record<'_>) {
        self.span = record.attempt_span();
        if let Some(journal) = &mut record.journal {
            journal.sent(self.sent_at, self.dialect(), self.key);
        }
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
        let is_probe = |permit: &mut Permit| permit.taken().probe.is_some();
        if self.job.with_permit(is_probe) == Some(true) {
            self.job.shard.reports.enforce().await;
        }
    }

    /// Notes that the provider refuses the keys that the request does not have any more: without
    /// them it was taken.
    pub fn learn(&self) {
        if !self.left_out.is_empty() {
            let shard = self.job.shard;
            shard.leave_out(self.provider.id, self.upstream_model(), self.left_out);
        }
    }

    /// Says how the attempt ended at `at`; `measured` is what the provider took, where that is
    /// known.
    pub fn settle(&self, at: Instant, outcome: Outcome, measured: Option<Sample>, used: Tokens) {
        let counts = outcome.sample() == Kind::Measured;
        self.job
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

    /// What the reader of the answer must know of the request.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.with_kept(Kept::clone)
    }

    /// Tells `read` what the reader of the answer must know of the request.
    pub fn with_kept<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        match &*self.job.translated.borrow() {
            Some(translated) => read(&translated.kept),
            None => read(&Kept::default()),
        }
    }

    /// What the request says of the answer in a dialect that is not the provider's.
    #[must_use]
    pub fn wanted<'k>(&self, kept: &'k Kept) -> Wanted<'k>
    where
        'a: 'k,
    {
        let job = self.job;
        let mut random = job.shard.random.borrow_mut();
        Wanted {
            thoughts: if kept.shows_thoughts {
                Thoughts::Shown
            } else {
                Thoughts::Hidden
            },
            names: Some(&kept.names),
            stops: &kept.stops,
            prompt: Tokens::estimated(job.ask.prompt_bytes),
            request_id: job.request.id.as_str(),
            key: self.key,
            seed: [random.next_u64(), random.next_u64()],
            echo: kept.echo.as_ref(),
        }
    }

    /// Prepares a stream's machine for the provider's answer.
    pub fn begin_stream(&self, relay: &mut Spare, record: &Record<'_>) {
        let job = self.job;
        let vendor = self.provider.vendor;
        let kept = self.kept();
        let plan = StreamPlan {
            caller: job.endpoint.dialect(),
            provider: self.dialect(),
            endpoint: self.own_endpoint(),
            caller_model: self.caller_model(),
            usage: self.usage,
            include_usage: if job.ask.include_usage {
                IncludeUsage::Yes
            } else {
                IncludeUsage::No
            },
            notes_apart: vendor.habits.notes_apart,
            wanted: self.wanted(&kept),
            tariff: self.tariff(),
            created: clock::wall().unix_millis() / 1_000,
            event_bytes_max: job.shard.server.max_event_bytes,
        };
        relay.reset(&job.shard.io.buffers, &plan);
        if record.journal.is_some() {
            relay.want_id();
        }
    }

    /// The caller's `body` as this provider gets it.
    #[must_use]
    pub fn edited<'s>(&'s self, body: &'s [u8]) -> Splice<'s> {
        let job = self.job;
        match job.parcel {
            Some(Parcel {
                form: Some(form), ..
            }) => return form.edit(body, job.form_model_at(self.place)),
            Some(parcel) if parcel.is_carried() => return Splice::new(body),
            Some(_) | None => {}
        }
        let edits = RequestEdits {
            model: job.model_json_at(self.place),
            inject_usage: self.usage == UsageChunk::Injected,
            copy_max_tokens: self.provider.vendor.habits.reads_less
                && self.dialect() == Dialect::Chat,
        };
        ask::edit_request(body, job.ask, &edits)
    }
}

/// Who asks for the usage of the answer to the attempt `this`: infermux, unless the caller has, or
/// the provider refuses to be asked.
#[must_use]
pub fn usage_chunk(job: &Job<'_>, this: &Try) -> UsageChunk {
    let provider = job.provider_at(this.place);
    let is_asked = match job.dialect_at(this.place) {
        Dialect::Chat => job.ask.lacks_usage() && !job.endpoint.is_passed_on(),
        // It tells its usage unasked.
        Dialect::Messages | Dialect::Responses => false,
    };
    let may_inject = || this.injection == Injection::Allowed && job.shard.may_inject(provider.id);
    if is_asked && may_inject() {
        UsageChunk::Injected
    } else {
        UsageChunk::Untouched
    }
}
