//! Settling: what a request leaves behind, on every way it can end.

use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::base::time::Instant;
use crate::base::tokens::{Counts, Tokens};
use crate::decide::strategy::Strategy;
use crate::exchange::attribution::Label;
use crate::exchange::headers::Totals;
use crate::exchange::refusal::Connection;
use crate::exchange::request::Request;
use crate::report::access_line::{Access, Counted, access_line};
use crate::shard::run::Shard;
use crate::shard::spend::Reservation;
use crate::sys::clock;
use crate::wire::usage::Usage;

/// The record of one request. It is settled when it is dropped, so that an early return, a hang-up
/// and a panic leave their line like everything else.
pub struct Record<'a> {
    shard: &'a Shard,
    request: &'a Request,
    /// The model that the caller asked for.
    pub model: Option<&'a str>,
    /// How the provider was chosen.
    pub strategy: Option<Strategy>,
    /// The matching group.
    pub group: Option<&'a str>,
    /// Who was asked last.
    pub provider: Option<&'a str>,
    /// Providers tried.
    pub attempts: u32,
    /// The status that the caller was told; `None`: nobody was there to be told.
    pub status: Option<u16>,
    /// When the answer's first byte left.
    pub first_byte: Option<Instant>,
    /// What was used.
    pub tokens: Option<Used>,
    /// Money reserved from the caller's budget.
    pub reservation: Option<Reservation<'a>>,
    /// How long the providers that are at their limits asked to be left alone, the shortest.
    pub retry_after: Option<Duration>,
    /// What a provider's dialect could not express.
    pub inexpressible: Option<String>,
    /// The model that a budget put in place of the one asked for.
    pub model_override: Option<&'a str>,
    /// Parameters that the last provider's dialect has no place for; kept for a log of steps.
    pub dropped: Option<String>,
    /// What becomes of the connection afterwards.
    pub connection: Connection,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
}

/// Tokens of a request.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Of the prompt.
    pub prompt: Tokens,
    /// Of the answer.
    pub completion: Tokens,
    /// Who counted.
    pub counted: Counted,
    /// What they cost.
    pub cost: NanoUsd,
}

impl Used {
    /// What the provider says was used; failing that, a quarter of the characters.
    #[must_use]
    pub fn new(usage: Option<Usage>, prompt_bytes: usize, text_bytes: usize) -> Self {
        match usage {
            Some(usage) => Self {
                prompt: usage.prompt,
                completion: usage.completion,
                counted: Counted::ByProvider,
                cost: NanoUsd::ZERO,
            },
            None => Self {
                prompt: Tokens::estimated(prompt_bytes),
                completion: Tokens::estimated(text_bytes),
                counted: Counted::ByEstimate,
                cost: NanoUsd::ZERO,
            },
        }
    }

    /// As if nothing of it had been cached.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            input: self.prompt,
            output: self.completion,
            ..Counts::default()
        }
    }

    /// Both together.
    #[must_use]
    pub fn sum(&self) -> Tokens {
        self.prompt.saturating_add(self.completion)
    }

    /// As headers or trailers.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            prompt: Some(self.prompt),
            completion: Some(self.completion),
            cost: Some(self.cost),
        }
    }
}

impl<'a> Record<'a> {
    /// The record of a request that begins.
    #[must_use]
    pub fn new(shard: &'a Shard, request: &'a Request) -> Self {
        Self {
            shard,
            request,
            model: None,
            strategy: None,
            group: None,
            provider: None,
            attempts: 0,
            status: None,
            first_byte: None,
            tokens: None,
            reservation: None,
            retry_after: None,
            inexpressible: None,
            model_override: None,
            dropped: None,
            connection: request.connection,
            error: None,
        }
    }

    /// The caller did not wait for the answer, or for all of it.
    pub fn leave(&mut self) {
        self.status = None;
        self.error = Some("caller_gone");
    }

    /// Takes note of what was used, and books what it cost: before the answer's last byte leaves,
    /// so that whoever has it finds it in every report. Only the first word counts.
    pub fn settle(&mut self, used: Used) {
        if self.tokens.is_none() {
            self.tokens = Some(used);
        }
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(used.cost);
        }
    }

    fn write_line(&self, now: Instant) {
        let Some(lines) = &self.shard.lines else {
            return;
        };
        let started = self.request.started;
        let label = |label: &'a Option<Label>| label.as_ref().map(Label::as_str);
        let attribution = &self.request.attribution;
        let panicked = std::thread::panicking();
        let access = Access {
            request_id: self.request.id.as_str(),
            caller: label(&attribution.caller),
            project: label(&attribution.project),
            env: label(&attribution.env),
            provider: self.provider,
            model: self.model,
            strategy: self.strategy,
            group: self.group,
            status: self
                .status
                .unwrap_or(if panicked { 500 } else { CALLER_GONE }),
            attempts: self.attempts,
            latency: now.since(started),
            first_byte: self
                .first_byte
                .map(|at| at.since(started))
                .filter(|at| *at > Duration::ZERO),
            prompt_tokens: self.tokens.map(|used| used.prompt),
            completion_tokens: self.tokens.map(|used| used.completion),
            cost: self.tokens.map(|used| used.cost),
            counted: self.tokens.map_or(Counted::ByProvider, |used| used.counted),
            model_override: self.model_override,
            dropped: self.dropped.as_deref(),
            error: if panicked {
                Some("internal_error")
            } else {
                self.error
            },
        };
        let wall = clock::wall();
        self.shard
            .access_log
            .line(|out| access_line(&mut lines.borrow_mut(), out, wall, &access));
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.write_line(clock::now());
    }
}

/// The status of a request whose caller did not wait for the answer, as nginx logs it.
const CALLER_GONE: u16 = 499;
