//! What is kept of a request while it runs, where requests are recorded: its attempts.

use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::limits::MODEL_NAME_BYTES_MAX;
use crate::base::time::Instant;
use crate::base::trace::SpanId;
use crate::config::plan::Provider;
use crate::decide::affinity::Stay;
use crate::decide::outcome::{KeyOwner, Outcome};
use crate::exchange::masks::OwnMasks;
use crate::exchange::request::Request;
use crate::exchange::request_id::RequestId;
use crate::link::facts::MonthTag;
use crate::link::gate::Audience;
use crate::link::journal::{AttemptEntry, Entry, Moment, Names, RequestEntry, Spend};
use crate::link::recorder::Recorders;
use crate::report::access_line::Access;
use crate::report::escape::bounded;
use crate::shard::request::used::Used;
use crate::sys::clock;

/// The journal of one request.
pub struct Journal {
    /// When the request's head was complete.
    pub started: Moment,
    /// Its attempts; the last may still run.
    pub attempts: Vec<AttemptEntry>,
    /// The last attempt, while it runs.
    running: Option<Running>,
}

/// What is known of an attempt only while it runs.
#[derive(Default)]
struct Running {
    /// When its answer was complete, where that is known.
    settled: Option<Instant>,
}

/// An attempt that begins.
pub struct Beginning<'a> {
    /// Its provider.
    pub provider: &'a Provider,
    /// The provider's name for the model; empty where the request has none.
    pub model: &'a str,
    /// The dialect in which the provider is asked.
    pub dialect: Dialect,
    /// Whether it tests an open circuit.
    pub is_probe: bool,
    /// How the attempt before ended.
    pub after: Option<Outcome>,
    /// When it begins.
    pub at: Instant,
}

/// What the entry of a request says beyond the request's line.
pub struct Ending<'a> {
    /// The request.
    pub request: &'a Request,
    /// When the first byte of its answer left.
    pub first_byte: Option<Instant>,
    /// How long the first content of a stream took that the caller has.
    pub first_content: Option<Duration>,
    /// Whether it went to the provider of its conversation.
    pub stay: Option<Stay>,
    /// The month in which it is booked.
    pub month: MonthTag,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// What is billed.
    pub used: Option<&'a Used>,
}

impl Journal {
    /// The journal of a request whose head was complete at `started`.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        let (now, unix_nanos) = (clock::now(), clock::wall_nanos());
        let moment = Moment {
            at: now,
            unix_nanos,
        };
        Self {
            started: Moment {
                at: started,
                unix_nanos: moment.unix_nanos_of(started),
            },
            attempts: Vec::new(),
            running: None,
        }
    }

    /// An attempt begins.
    #[inline(never)]
    pub fn begin(&mut self, beginning: &Beginning<'_>) {
        self.end(None, None);
        let provider = beginning.provider;
        self.attempts.push(AttemptEntry {
            provider: provider.name.clone(),
            provider_type: provider.vendor.name,
            host: provider.base.host.clone(),
            port: provider.base.port,
            dialect: beginning.dialect,
            model: bounded(beginning.model, MODEL_NAME_BYTES_MAX).into(),
            is_probe: beginning.is_probe,
            after: beginning.after,
            started: beginning.at,
            sent: None,
            sends: 0,
            key: None,
            head: None,
            first_content: None,
            ended: beginning.at,
            status: None,
            outcome: None,
            spend: None,
            is_lost: false,
            span: None,
            provider_request_id: None,
            answer_id: None,
        });
        self.running = Some(Running::default());
    }

    /// The request of the running attempt can be sent at `at`, in this dialect and with the key of
    /// `key`.
    #[inline(never)]
    pub fn sent(&mut self, at: Instant, dialect: Dialect, key: KeyOwner) {
        if let Some(attempt) = self.running() {
            attempt.sent = Some(at);
            attempt.sends += 1;
            (attempt.dialect, attempt.key) = (dialect, Some(key));
            (attempt.head, attempt.status) = (None, None);
        }
    }

    /// The span of the running attempt: the provider is told `fresh`, unless it was told another
    /// one before.
    #[inline(never)]
    pub fn span(&mut self, fresh: SpanId) -> SpanId {
        self.running()
            .map_or(fresh, |attempt| *attempt.span.get_or_insert(fresh))
    }

    /// The head of an answer is there, with this status and the provider's own id.
    #[inline(never)]
    pub fn heard(&mut self, status: u16, id: Option<&str>) {
        if let Some(attempt) = self.running() {
            attempt.head = Some(clock::now());
            attempt.status = Some(status);
            attempt.provider_request_id = id.map(Into::into);
        }
    }

    /// The provider's id of its answer is known; `masks` are infermux's own keys.
    #[inline(never)]
    pub fn answered(&mut self, masks: &OwnMasks, id: &[u8]) {
        if let (Some(attempt), Some(id)) = (self.running(), RequestId::told(id, masks)) {
            attempt.answer_id = Some(id.as_str().into());
        }
    }

    /// The running attempt has used this, and nothing more follows.
    #[inline(never)]
    pub fn used(&mut self, used: &Used, is_lost: bool) {
        if let Some(attempt) = self.running() {
            (attempt.spend, attempt.is_lost) = (Some(spend(used)), is_lost);
        }
        if let Some(running) = &mut self.running {
            running.settled = Some(clock::now());
        }
    }

    /// The running attempt, if there is one, has ended with this outcome; `None`: infermux itself
    /// has ended it. The caller has a stream from it whose first content came `first_content` after
    /// the request was sent.
    #[inline(never)]
    pub fn end(&mut self, outcome: Option<Outcome>, first_content: Option<Duration>) {
        let Some(running) = self.running.take() else {
            return;
        };
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = outcome;
            attempt.ended = running.settled.unwrap_or_else(clock::now);
            attempt.first_content = attempt.sent.zip(first_content).map(|(at, span)| at + span);
        }
    }

    /// The entry of the request, whose line says `access`.
    #[must_use]
    pub fn entry(mut self, access: &Access<'_>, ending: &Ending<'_>) -> Entry {
        let request = ending.request;
        let ended = request.started + access.latency;
        // Nothing of a request ends after it.
        if let Some(running) = &mut self.running {
            running.settled.get_or_insert(ended);
        }
        self.end(None, ending.first_content);
        let own = |text: Option<&str>| text.map(Box::from);
        Entry::Request(Box::new(RequestEntry {
            id: request.id.as_str().into(),
            trace: request.trace.clone().filter(|trace| trace.is_told()),
            started: self.started,
            ready: request.ready,
            ended,
            first_byte: ending.first_byte,
            method: own(access.method),
            path: own(access.path),
            endpoint: request.origin.endpoint,
            dialect: request.origin.dialect,
            stream: access.stream,
            principal: Names {
                key: own(access.key),
                team: own(access.team),
                caller: own(access.caller),
                project: own(access.project),
                env: own(access.env),
            },
            model: own(access.model.map(|name| bounded(name, MODEL_NAME_BYTES_MAX))),
            model_override: own(access.model_override),
            strategy: access.strategy,
            group: own(access.group),
            stay: ending.stay,
            month: ending.month,
            status: access.status,
            error: ending.error,
            spend: ending.used.map(spend),
            failed_cost: access.failed_cost,
            attempts_sent: access.attempts,
            attempts: self.attempts,
        }))
    }

    fn running(&mut self) -> Option<&mut AttemptEntry> {
        self.running.as_ref()?;
        self.attempts.last_mut()
    }
}

/// The journal of a request that begins, where one of the recorders wants it; operators' requests
/// are not recorded.
#[cold]
pub fn begun(recorders: &Recorders, request: &Request) -> Option<Box<Journal>> {
    let is_callers = request.audience == Audience::Callers;
    let is_told = request.trace.as_ref().is_some_and(|trace| trace.is_told());
    let is_wanted = recorders.usage.is_some() || is_told;
    (is_callers && is_wanted).then(|| Box::new(Journal::new(request.started)))
}

/// What was used, as it is recorded.
fn spend(used: &Used) -> Spend {
    Spend {
        prompt: used.prompt,
        completion: used.completion,
        counts: used.counts,
        thinking: used.thinking,
        cost: used.cost,
        priced: used.priced,
        is_estimated: used.is_estimated(),
    }
}
