//! What a request leaves behind, however it ends: its costs, its counts and its line in the log.

use std::time::Duration;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::ids::{ProviderId, RouteId};
use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::base::trace::SpanId;
use crate::decide::affinity::Stay;
use crate::decide::outcome::Outcome;
use crate::decide::strategy::Strategy;
use crate::dialect::ask::Ask;
use crate::exchange::attribution::Label;
use crate::exchange::principal::Principal;
use crate::exchange::refusal::{self, Connection, Refusal};
use crate::exchange::request::Request;
use crate::link::facts::MonthTag;
use crate::link::gate::Audience;
use crate::link::meters::{Kept, Priced, Series};
use crate::link::noted::CALLER_GONE;
use crate::report::access_line::{Access, Counted, access_line};
use crate::report::line::Level;
use crate::shard::request::error::KeptError;
use crate::shard::request::journal::{self, Ending, Journal};
use crate::shard::request::noted::{self, Notable};
use crate::shard::request::pass::{Bill, Pass};
use crate::shard::request::response_time::ResponseTime;
use crate::shard::request::used::Used;
use crate::shard::request::words::Words;
use crate::shard::state::meters::SeriesKey;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// The record of one request. It is settled when it is dropped, so that an early return, a hang-up
/// and a panic leave their line like everything else.
pub struct Record<'a> {
    shard: &'a Shard,
    request: &'a Request,
    /// The model that the caller asked for.
    pub model: Option<&'a str>,
    /// Whether the caller asked for a stream; `None`: its body was not read that far.
    pub stream: Option<bool>,
    /// How the provider was chosen.
    pub strategy: Option<Strategy>,
    /// The matching group.
    pub group: Option<&'a str>,
    /// The provider that was asked last.
    pub asked: Option<Asked<'a>>,
    /// Whether it went to the provider of its conversation; `None`: conversations are not kept
    /// together, or no provider was asked.
    pub stay: Option<Stay>,
    /// The provider that was asked last, where no model was asked for.
    pub relayed_by: Option<&'a str>,
    /// The month in which it was admitted.
    month: MonthTag,
    /// The provider's response time, once its answer is there.
    pub response_time: Option<ResponseTime>,
    /// Time spent waiting for providers.
    pub waited: Duration,
    /// Providers tried.
    pub attempts: u32,
    /// The status that the caller was told; `None`: nobody was there to be told.
    pub status: Option<u16>,
    /// Whether the head of its stream was sent before there was any content: what ends it is told
    /// as an event.
    pub has_early_head: bool,
    /// When the answer's first byte left, an early head apart.
    pub first_byte: Option<Instant>,
    /// What was used.
    pub tokens: Option<Used>,
    /// The cost of attempts that failed after their provider had begun to answer.
    failed_cost: Option<NanoUsd>,
    /// Tokens that the running attempt has used, where it is one of these attempts.
    lost: Tokens,
    /// What it holds of the limits and budgets of its scopes.
    pub pass: Option<Pass>,
    /// How long the providers that are at their limits asked to be left alone, the shortest.
    pub retry_after: Option<Duration>,
    /// The error of a provider, to be told where no other provider answers.
    pub kept: Option<Box<KeptError>>,
    /// What a provider's dialect could not express.
    pub inexpressible: Option<String>,
    /// The model that a budget put in place of the one asked for.
    pub model_override: Option<&'a str>,
    /// The last provider's own words.
    pub words: Words,
    /// Parameters that the last provider's dialect has no place for; kept for a log of steps.
    pub dropped: Option<String>,
    /// Whether a stream that could not be completed has its proper end nevertheless.
    pub has_end: bool,
    /// Rules that have changed the request for the last provider; kept for a log of steps.
    pub changed: Option<String>,
    /// What becomes of the connection afterwards.
    pub connection: Connection,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// Whether its caller waited longer for its answer than is usual.
    is_slow: bool,
    /// Whether it has been counted.
    is_counted: bool,
    /// Whether the process has stopped before it was answered.
    is_cut_off: bool,
    /// What is kept of it while it runs; `None`: requests are not recorded.
    pub journal: Option<Box<Journal>>,
}

/// The provider that a request was sent to.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The provider.
    pub id: ProviderId,
    /// Its name.
    pub provider: &'a str,
    /// The provider's name for the model.
    pub model: &'a str,
    /// The route that led there.
    pub route: RouteId,
    /// How a request for a response got there; `None`: it was another one.
    pub responses: Option<&'static str>,
}

impl<'a> Record<'a> {
    /// Notes what is asked for.
    pub fn asks(&mut self, endpoint: Endpoint, ask: &'a Ask<'_>) {
        self.model = (!ask.model.is_empty()).then_some(&*ask.model);
        self.stream = endpoint.is_written().then_some(ask.stream);
    }

    /// Whose record it is: the request, and the shard that it runs on.
    #[must_use]
    pub const fn of(&self) -> (&'a Shard, &'a Request) {
        (self.shard, self.request)
    }

    /// The record of a request that begins.
    #[must_use]
    pub fn new(shard: &'a Shard, request: &'a Request) -> Self {
        Self {
            shard,
            request,
            model: None,
            stream: None,
            strategy: None,
            group: None,
            asked: None,
            stay: None,
            relayed_by: None,
            month: shard.gates.month(),
            response_time: None,
            waited: Duration::ZERO,
            attempts: 0,
            status: None,
            has_early_head: false,
            first_byte: None,
            tokens: None,
            failed_cost: None,
            lost: Tokens::ZERO,
            pass: None,
            retry_after: None,
            kept: None,
            inexpressible: None,
            model_override: None,
            words: Words::default(),
            dropped: None,
            has_end: false,
            changed: None,
            connection: request.connection,
            error: None,
            is_slow: false,
            is_counted: false,
            is_cut_off: false,
            journal: (shard.era.recorders.as_ref()).and_then(|to| journal::begun(to, request)),
        }
    }

    /// The month in which it was admitted.
    #[must_use]
    pub const fn month(&self) -> MonthTag {
        self.month
    }

    /// Whether the caller can still be told an error in place of an answer.
    #[must_use]
    pub const fn is_tellable(&self) -> bool {
        self.status.is_none() || (self.has_early_head && self.first_byte.is_none())
    }

    /// The caller did not wait for the answer, or for all of it, unless it was cut off before.
    pub fn caller_gone(&mut self) {
        if !self.is_cut_off {
            self.status = None;
            self.error = Some("caller_gone");
        }
    }

    /// infermux stops before the answer is complete; its caller has waited.
    pub fn cut_off(&mut self) {
        self.is_cut_off = true;
        self.error = Some(Refusal::ShuttingDown.row().code);
    }

    /// Takes note of what was used, and books what it cost: before the answer's last byte leaves,
    /// so that a caller who has it finds it in every report and in its budget. Only the first word
    /// counts.
    pub fn settle(&mut self, used: Used) {
        if self.tokens.is_none() {
            self.tokens = Some(used);
            if let Some(journal) = &mut self.journal {
                journal.used(&used, false);
            }
        }
        if let Some(pass) = &mut self.pass {
            let (tokens, cost) = (used.sum(), used.cost);
            pass.settle(&Bill { tokens, cost });
        }
    }

    /// Books what the running attempt has cost, which has failed after its provider had begun to
    /// answer: nobody is told, and no budget pays for it (promise `failed.booked-apart`).
    pub fn lose(&mut self, used: &Used) {
        let cost = self.failed_cost.unwrap_or_default();
        self.failed_cost = Some(cost.saturating_add(used.cost));
        self.lost = used.sum();
        if let Some(journal) = &mut self.journal {
            journal.used(used, true);
        }
        let meters = &self.shard.meters;
        meters.series(self.series_key(used.priced), |series| {
            series.failed_cost.add(used.cost.get());
        });
    }

    /// The head of a provider's answer is there; these are its words.
    pub fn hear(&mut self, status: u16, words: Words) {
        if let Some(journal) = &mut self.journal {
            journal.heard(status, words.id());
        }
        self.words = words;
    }

    /// The span of the running attempt; `None`: traces are not told.
    pub fn attempt_span(&mut self) -> Option<SpanId> {
        self.request.trace.as_ref()?;
        let fresh = SpanId::fresh(self.shard.random.borrow_mut().next_u64());
        let journal = self.journal.as_mut();
        Some(journal.map_or(fresh, |journal| journal.span(fresh)))
    }

    /// The running attempt has ended with this outcome.
    pub fn end_attempt(&mut self, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            journal.end(
                Some(outcome),
                self.response_time.and_then(ResponseTime::first_content),
            );
        }
    }

    /// The tokens that the attempt which has just ended has used for nothing.
    pub fn take_lost(&mut self) -> Tokens {
        std::mem::take(&mut self.lost)
    }

    /// Counts the request as it stands, and gives back what is still reserved for it: before the
    /// last byte of its answer leaves, so that whoever has the answer finds it in every report.
    /// Only the first word counts.
    pub fn count(&mut self) {
        // What nobody has settled by now costs nothing.
        if let Some(pass) = &mut self.pass {
            pass.settle(&Bill::default());
        }
        let is_counted = std::mem::replace(&mut self.is_counted, true);
        if is_counted || self.request.audience == Audience::Operators {
            return;
        }
        let meters = &self.shard.meters;
        let (own, status) = (&meters.own, self.told_status());
        let now = match (self.response_time, self.first_byte) {
            // It is about to leave in one piece.
            (Some(ResponseTime::Whole(_)), Some(now)) => now,
            _ => clock::now(),
        };
        own.requests_total.add(1);
        if let Some(place) = self.error.and_then(refusal::place_of) {
            own.refusals[place].add(1);
        }
        own.requests.count(now);
        if let Some(stay) = self.stay {
            own.affinity[stay.place()].add(1);
        }
        if status == 429 || status >= 500 {
            own.errors.count(now);
        }
        if let (Some(time), Some(at)) = (self.response_time, self.first_byte) {
            let whole = at.since(self.request.ready);
            self.is_slow = whole > self.shard.process.noted.slow_from(time.form());
            own.overhead.observe(whole.saturating_sub(self.waited));
        }
        let priced = self.tokens.map_or(Priced::Yes, |used| used.priced);
        meters.series(self.series_key(priced), |series| {
            self.count_in(series, status);
        });
        if let Some(used) = &self.tokens {
            let attribution = &self.request.attribution;
            let owner = self.request.principal.as_ref().map(Principal::owner);
            let callers = self.request.callers.as_ref();
            let kept =
                |party, name: &str| callers.map_or(Kept::WhileRoom, |all| all.kept(party, name));
            meters.book(self.month, used.spent(), attribution, owner, kept);
        }
    }

    /// The provider and model that are counted; `None`: no provider was asked.
    fn series_key(&self, priced: Priced) -> Option<SeriesKey<'a>> {
        self.asked.map(|asked| SeriesKey {
            provider: asked.id,
            name: asked.provider,
            model: asked.model,
            kept: match (
                self.shard.plan.routes.is_of_unnamed(asked.route),
                self.response_time,
            ) {
                (false, _) => Kept::Always,
                (true, Some(_)) => Kept::WhileRoom,
                // Whoever makes names up gets no place for them.
                (true, None) => Kept::IfKnown,
            },
            priced,
        })
    }

    fn count_in(&self, series: &Series, status: u16) {
        series.count(status);
        match self.response_time {
            Some(ResponseTime::Whole(span)) => series.latency.observe(span),
            Some(ResponseTime::FirstContent(span)) => {
                series.latency.observe(span);
                series.first_token.observe(span);
            }
            None => {}
        }
        let Some(used) = &self.tokens else { return };
        let counts = &used.counts;
        series.input_tokens.add(counts.input.get());
        series.cache_read_tokens.add(counts.cache_read.get());
        series.cache_write_tokens.add(counts.written().get());
        series.output_tokens.add(counts.output.get());
        series
            .estimated
            .add(u64::from(used.counted == Counted::ByEstimate));
        series.unpriced.add(u64::from(used.priced == Priced::No));
        series.account.book(self.month, used.spent());
    }

    /// The status that the caller was told, or what stands for it.
    fn told_status(&self) -> u16 {
        let gone = if std::thread::panicking() {
            500
        } else {
            CALLER_GONE
        };
        self.status.unwrap_or(gone)
    }

    /// The code of the error that the line tells.
    fn told_error(&self) -> Option<&'static str> {
        if std::thread::panicking() {
            return Some("internal_error");
        }
        self.error
    }

    /// How severe its line is; `None`: it has none.
    fn level(&self) -> Option<Level> {
        match self.request.audience {
            Audience::Callers => Some(Level::Info),
            // Probes and scrapers ask again and again.
            Audience::Operators => tracing::enabled!(tracing::Level::DEBUG).then_some(Level::Debug),
        }
    }

    /// Writes its line, and records it, where that is wanted.
    fn tell(&mut self) {
        let journal = self.journal.take();
        let lines = self.shard.lines.as_ref();
        let wanted = lines.and_then(|lines| Some((lines, self.level()?)));
        if wanted.is_none() && journal.is_none() {
            return;
        }
        let access = self.access(wanted.map_or(Level::Debug, |(_, level)| level));
        if let Some((lines, _)) = wanted {
            let wall = clock::wall();
            self.shard
                .access_log
                .line(|out| access_line(&mut lines.borrow_mut(), out, wall, &access));
        }
        if let Some(journal) = journal {
            self.record(*journal, &access);
        }
    }

    /// What its line says.
    fn access(&self, level: Level) -> Access<'_> {
        let origin = &self.request.origin;
        let now = clock::now();
        let started = self.request.started;
        let label = |label: &'a Option<Label>| label.as_ref().map(Label::as_str);
        let attribution = &self.request.attribution;
        let principal = self.request.principal.as_ref();
        Access {
            request_id: self.request.id.as_bytes(),
            level,
            address: origin.address,
            method: origin.method(),
            path: origin.path(),
            endpoint: origin.endpoint,
            dialect: origin.dialect.map(Dialect::name),
            responses: self.asked.and_then(|asked| asked.responses),
            stream: self.stream,
            key: principal.map(|principal| &*principal.key().name),
            team: principal.and_then(|principal| principal.key().team.as_deref()),
            caller: label(&attribution.caller),
            project: label(&attribution.project),
            env: label(&attribution.env),
            provider: self.asked.map(|asked| asked.provider).or(self.relayed_by),
            model: self.model,
            strategy: self.strategy,
            group: self.group,
            status: self.told_status(),
            attempts: self.attempts,
            latency: now.since(started),
            first_byte: self
                .first_byte
                .map(|at| at.since(started))
                .filter(|at| *at > Duration::ZERO),
            prompt_tokens: self.tokens.map(|used| used.prompt),
            completion_tokens: self.tokens.map(|used| used.completion),
            cost: self.tokens.map(|used| used.cost),
            failed_cost: self.failed_cost,
            counted: self.tokens.map_or(Counted::ByProvider, |used| used.counted),
            model_override: self.model_override,
            upstream_request_id: self.words.id(),
            provider_error: self.words.error(),
            dropped: self.dropped.as_deref(),
            changed: self.changed.as_deref(),
            error: self.told_error(),
            trace_id: self.request.trace.as_ref().map(|trace| trace.id),
        }
    }

    /// Records it.
    #[inline(never)]
    fn record(&self, journal: Journal, access: &Access<'_>) {
        let Some(recorders) = &self.shard.era.recorders else {
            return;
        };
        let ending = Ending {
            request: self.request,
            first_byte: self.first_byte,
            first_content: self.response_time.and_then(ResponseTime::first_content),
            stay: self.stay,
            month: self.month,
            error: self.told_error(),
            used: self.tokens.as_ref(),
        };
        let entry = journal.entry(access, &ending);
        self.shard.journals.add(recorders, entry);
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.count();
        // Some leave when their request has been counted with the status that they were about to
        // be told.
        if self.request.audience == Audience::Callers {
            let status = self.told_status();
            if status == CALLER_GONE {
                self.shard.meters.own.disconnects.add(1);
            }
            if status >= 400 || self.error.is_some() || self.is_slow {
                let notable = Notable {
                    request: self.request,
                    told: self.access(Level::Debug),
                    provider_model: self.asked.map(|asked| asked.model),
                    is_slow: self.is_slow,
                };
                noted::note(&self.shard.process.noted, &notable);
            }
        }
        self.tell();
    }
}
