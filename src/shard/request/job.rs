//! One inference request: what the functions share that carry it out.

use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::Outcome;
use crate::link::facts::Sample;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::permit::Permit;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::config::model_settings::ModelSettings;
use crate::config::plan::{Candidate, Provider};
use crate::dialect::ask::Ask;
use crate::dialect::chat::lessons::Keys;
use crate::dialect::form::Form;
use crate::exchange::affinity::Found;
use crate::exchange::course::Release;
use crate::exchange::headers::{Added, Totals};
use crate::exchange::parameters;
use crate::exchange::pins::Pins;
use crate::exchange::request::Request;
use crate::exchange::route::Routed;
use crate::shard::http::caller::Caller;
use crate::shard::request::journal::Beginning;
use crate::shard::request::record::{Asked, Record};
use crate::shard::request::rewritten::{Edits, Translated};
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::rules::Rules;

/// One inference request.
pub struct Job<'a> {
    /// The shard that the request runs on.
    pub shard: &'a Rc<Shard>,
    /// The request.
    pub request: &'a Request,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The caller's bytes up to the body at least. They stay when the body is dropped.
    pub head: &'a [u8],
    /// Where the body stands in the caller's bytes.
    pub body: Range<usize>,
    /// The body for the candidate that is asked, where it is not the caller's with a few edits.
    pub translated: RefCell<Option<Translated>>,
    /// The candidate that was last asked for a response, and in which dialect.
    pub asked_in: Cell<Option<(usize, Dialect)>>,
    /// What is changed in the body for that candidate, where rules have changed anything.
    pub edits: RefCell<Option<Edits>>,
    /// The permit of the attempt that is being made.
    pub permit: RefCell<Option<Permit>>,
    /// What the body says.
    pub ask: &'a Ask<'a>,
    /// The model that is served: the one asked for, or what a budget puts in its place.
    pub model: &'a str,
    /// The model that a budget puts in place of the one asked for.
    pub model_override: Option<&'a str>,
    /// `model_override` as a JSON string.
    pub model_json: Option<Vec<u8>>,
    /// The candidates that the request may be sent to.
    pub routed: Routed<'a>,
    /// What the request refers to, and to whom that belongs.
    pub pins: Pins,
    /// The conversation that it belongs to, where conversations are kept together.
    pub conversation: Option<Found>,
    /// Whether something besides the strategy may say who takes it: what it refers to, or its
    /// conversation.
    pub is_steered: bool,
    /// The places in `input` of what it is sent again without, since nobody can open that.
    pub removable: RefCell<Vec<usize>>,
    /// What is known besides of a request that is passed on as it is.
    pub parcel: Option<&'a Parcel>,
}

/// What is known of a request once it has a route.
pub struct Begun<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The caller's bytes up to the body at least.
    pub head: &'a [u8],
    /// Where the body stands in the caller's bytes.
    pub body: Range<usize>,
    /// What the body says.
    pub ask: &'a Ask<'a>,
    /// The candidates that the request may be sent to.
    pub routed: Routed<'a>,
    /// What the request refers to, and to whom that belongs.
    pub pins: Pins,
    /// What is known besides of a request that is passed on as it is.
    pub parcel: Option<&'a Parcel>,
}

impl<'a> Begun<'a> {
    /// The request as one that is carried out.
    #[inline]
    #[must_use]
    pub fn job(self, shard: &'a Rc<Shard>, request: &'a Request) -> Job<'a> {
        Job {
            shard,
            request,
            endpoint: self.endpoint,
            head: self.head,
            body: self.body,
            translated: RefCell::default(),
            edits: RefCell::default(),
            asked_in: Cell::default(),
            permit: RefCell::default(),
            ask: self.ask,
            model: &self.ask.model,
            model_override: None,
            model_json: None,
            is_steered: self.pins.preferred().is_some(),
            routed: self.routed,
            pins: self.pins,
            conversation: None,
            removable: RefCell::default(),
            parcel: self.parcel,
        }
    }
}

impl Job<'_> {
    /// Calls `act` with the permit of the attempt that is being made, if there is one.
    pub fn with_permit<T>(&self, act: impl FnOnce(&mut Permit) -> T) -> Option<T> {
        self.permit.borrow_mut().as_mut().map(act)
    }

    /// Says how the attempt that is being made ended at `at`: `measured` is what the provider took,
    /// where that counts. Only the first word counts.
    pub fn settle(&self, at: Instant, outcome: Outcome, measured: Option<Sample>, used: Tokens) {
        let mut permit = self.permit.borrow_mut();
        if let Some(permit) = permit.as_mut()
            && let Some(latency) = permit.settle(at, outcome, measured, used)
        {
            self.shard.observe(permit.provider(), latency);
        }
    }

    /// Whether it costs nothing: it passes no budget, and uses no tokens.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.endpoint.is_free() || self.parcel.is_some_and(Parcel::is_free)
    }

    /// The request as a form, if it is one.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        self.parcel?.form.as_ref()
    }

    /// How many tokens the prompt is likely to have.
    #[must_use]
    pub const fn prompt(&self) -> Tokens {
        Tokens::estimated(self.ask.prompt_bytes)
    }

    /// Whether the caller waits for events.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.ask.stream && self.endpoint.is_written()
    }

    /// The keys that infermux has derived for the candidate that is asked.
    #[must_use]
    pub fn derived_keys(&self) -> Keys {
        let translated = self.translated.borrow();
        let sent = translated.as_ref().map(|translated| translated.kept.sent);
        sent.unwrap_or_default()
    }

    /// Whether the caller may refer to the items of its answer, which infermux has written, later.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        let translated = self.translated.borrow();
        translated.as_ref().is_some_and(|one| one.kept.is_stored)
    }

    /// Drops the request's body and its translation: its answer goes to the caller, and no other
    /// provider is asked any more.
    pub fn let_go(&self, caller: &mut Caller, _: Release) {
        self.translated.replace(None);
        self.edits.replace(None);
        caller.let_go(self.body.end);
    }
}

impl<'a> Job<'a> {
    /// What the candidate `place` calls the model.
    #[must_use]
    pub fn model_at(&self, place: usize) -> &'a str {
        let candidate: &'a Candidate = &self.routed.route.candidates[place];
        candidate.model.as_deref().unwrap_or(self.model)
    }

    /// What the file says of the model at the candidate `place`.
    #[must_use]
    pub fn settings_at(&self, place: usize) -> Option<&'a ModelSettings> {
        let settings = &self.provider_at(place).model_settings;
        settings.of(self.model, self.model_at(place))
    }

    /// The rules for requests to the candidate `place`, in the order in which they are applied.
    #[must_use]
    pub fn rules_at(&self, place: usize) -> Vec<Arc<Rules>> {
        let asked = parameters::Asked {
            endpoint: self.endpoint,
            model: self.model,
            own_model: self.model_at(place),
        };
        let shard: &Shard = self.shard;
        parameters::rules(&shard.plan, self.provider_at(place), asked)
    }

    /// Most tokens that an answer of the candidate `place` has; `None`: that is not known.
    #[must_use]
    pub fn max_output_at(&self, place: usize) -> Option<u64> {
        let set = self.settings_at(place).and_then(|of| of.max_output);
        let (plan, route) = (&self.shard.plan, self.routed.id);
        let purse = &self.shard.era.purse;
        set.or_else(|| purse.max_output(plan, route, place, self.model))
    }

    /// The window of the model of the candidate `place`; `None`: it is not known.
    #[must_use]
    pub fn window_at(&self, place: usize) -> Option<Tokens> {
        let (plan, route) = (&self.shard.plan, self.routed.id);
        self.shard.era.purse.window(plan, route, place, self.model)
    }

    /// The provider of the candidate `place`.
    #[must_use]
    pub fn provider_at(&self, place: usize) -> &'a Provider {
        let shard: &'a Shard = self.shard;
        let candidate = &self.routed.route.candidates[place];
        shard.plan.provider(candidate.provider)
    }

    /// The dialect in which the candidate `place` is asked.
    #[must_use]
    pub fn dialect_at(&self, place: usize) -> Dialect {
        match self.endpoint.dialect() {
            Dialect::Chat | Dialect::Messages => self.provider_at(place).vendor.dialect,
            Dialect::Responses => self.dialect_of_response(place),
        }
    }

    /// The dialect in which the candidate `place` is asked for a response. While it is asked, that
    /// stays what it was.
    fn dialect_of_response(&self, place: usize) -> Dialect {
        if let Some((asked, dialect)) = self.asked_in.get()
            && asked == place
        {
            return dialect;
        }
        let provider = self.provider_at(place);
        if self.shard.is_native(provider) {
            Dialect::Responses
        } else {
            provider.vendor.dialect
        }
    }

    /// The candidate `place` is asked in this dialect from here on.
    pub fn ask_in(&self, place: usize, dialect: Dialect) {
        self.asked_in.set(Some((place, dialect)));
    }

    /// Whether the candidate `place` is asked in another dialect than the caller's.
    #[must_use]
    pub fn is_translated_at(&self, place: usize) -> bool {
        self.dialect_at(place) != self.endpoint.dialect()
    }

    /// How a request for a response reaches the candidate `place`; `None`: another one.
    fn responses_at(&self, place: usize) -> Option<&'static str> {
        match (self.endpoint.dialect(), self.dialect_at(place)) {
            (Dialect::Chat | Dialect::Messages, _) => None,
            (Dialect::Responses, Dialect::Responses) => Some("native"),
            (Dialect::Responses, Dialect::Chat | Dialect::Messages) => Some("bridge"),
        }
    }

    /// What the candidate `place` calls the model, as a JSON string with its quotes; `None`: as the
    /// body has it.
    #[must_use]
    pub fn model_json_at(&self, place: usize) -> Option<&[u8]> {
        let era = &self.shard.era;
        if self.dialect_at(place) == Dialect::Responses {
            let provider = self.routed.route.candidates[place].provider;
            let deployment = era.prefixes(provider).deployment_json();
            if deployment.is_some() {
                return deployment;
            }
        }
        let names = &era.routes[self.routed.id.index()].models;
        names[place].as_deref().or(self.model_json.as_deref())
    }

    /// What the form says to the candidate `place` of its model; `None`: what it says already.
    #[must_use]
    pub fn form_model_at(&self, place: usize) -> Option<&'a str> {
        let is_named = self.form().is_some_and(Form::names_model);
        let is_changed = self.model_override.is_some();
        let candidate = &self.routed.route.candidates[place];
        let is_same = is_named && !is_changed && candidate.model.is_none();
        (!is_same).then(|| self.model_at(place))
    }

    /// Tells the record where the request goes.
    pub fn record_route(&self, record: &mut Record<'a>) {
        record.strategy = Some(self.routed.route.strategy);
        record.group = self.routed.group;
        record.model_override = self.model_override;
    }

    /// Takes note that an attempt at the candidate `place` begins, since the one before ended as
    /// `after` says.
    #[inline(never)]
    pub fn note_begun(
        &self,
        record: &mut Record<'_>,
        place: usize,
        is_probe: bool,
        after: Option<Outcome>,
    ) {
        if let Some(journal) = &mut record.journal {
            journal.begin(&Beginning {
                provider: self.provider_at(place),
                model: self.model_at(place),
                dialect: self.dialect_at(place),
                is_probe,
                after,
                at: clock::now(),
            });
            // It has a span even if no connection comes about.
            let _ = record.attempt_span();
        }
    }

    /// The candidate `place`, for the record.
    #[must_use]
    pub fn asked(&self, place: usize) -> Asked<'a> {
        Asked {
            id: self.routed.route.candidates[place].provider,
            provider: &self.provider_at(place).name,
            model: self.model_at(place),
            route: self.routed.id,
            responses: self.responses_at(place),
        }
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
        let provider = self.routed.route.candidates[place].provider;
        Added {
            request_id: self.request.id.as_bytes(),
            provider_line: self.shard.era.prefixes(provider).provider_line(),
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
