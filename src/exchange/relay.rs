//! The relay of a stream in the caller's own dialect: provider's bytes in, caller's bytes out.
//!
//! Every event is passed on as it came, except the model's name and what infermux itself has
//! caused. The caller gets only whole `data` events and keep-alive comments: `event`, `id` and
//! `retry` lines make official readers fail, and half an event would hide an error that follows.

mod chunk;

use crate::base::endpoint::Endpoint;
use crate::base::limits::{HELD_BACK_BYTES_MAX, KEPT_BUFFER_BYTES_MAX, MODEL_NAME_BYTES_MAX};
use crate::dialect::tariff::{self, Tariff};
use crate::exchange::choices::Indexes;
use crate::exchange::provider_error;
use crate::exchange::relay::chunk::Chunk;
use crate::wire::forms::Forms;
use crate::wire::json::{self, Kind};
use crate::wire::splice::Splice;
use crate::wire::sse::{self, Item, Splitter};
use crate::wire::usage::Usage;

pub use crate::wire::stream_fault::StreamFault;
pub use chunk::UsageChunk;

/// What the relay of a stream must know.
#[derive(Clone, Copy, Debug)]
pub struct RelayPlan<'a> {
    /// The model's name as the caller wrote it: a JSON string with its quotes.
    pub caller_model: &'a [u8],
    /// Whether the provider sends its notes about the content in chunks of their own.
    pub notes_apart: bool,
    /// The endpoint that it answers.
    pub endpoint: Endpoint,
    /// Whether infermux or the caller asked for the usage chunk.
    pub usage: UsageChunk,
    /// What its cost is computed from, where the caller wants the cost in the usage.
    pub tariff: Option<Tariff>,
    /// Longest event, in bytes: no less than one read, since events that fit a form are not
    /// measured.
    pub event_bytes_max: usize,
}

/// Relays one stream. Kept and [reset](Self::reset) for the next, it allocates nothing.
///
/// A fault ends the stream: what is pushed after it, or after `[DONE]`, is ignored.
#[derive(Debug)]
pub struct StreamRelay {
    splitter: Splitter,
    stream: Stream,
    /// Whether the last pushed bytes were part of an event.
    has_moved: bool,
}

impl Default for StreamRelay {
    fn default() -> Self {
        Self {
            splitter: Splitter::default(),
            stream: Stream::new(),
            has_moved: false,
        }
    }
}

impl StreamRelay {
    /// Begins a stream and forgets the former one.
    pub fn reset(&mut self, plan: &RelayPlan<'_>) {
        self.splitter.reset(plan.event_bytes_max);
        self.stream.reset(plan);
        self.check();
    }

    /// Takes bytes of the provider's body, without their transfer coding, and appends the caller's
    /// bytes to `out`: nothing before the stream is committed, whole events from then on.
    ///
    /// # Errors
    /// The stream is over. Before the commit, another provider may be tried; after it, the caller
    /// must be sent an error frame, except for `StreamFault::ErrorRelayed`.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let (mut is_alive, mut has_split) = (false, false);
        self.has_moved = false;
        while !self.stream.is_over() {
            let is_between_events = self.splitter.is_between_events();
            if is_between_events {
                let all = bytes.len();
                bytes = self.stream.relay_alike(bytes, out);
                self.has_moved |= bytes.len() < all;
                if bytes.is_empty() {
                    break;
                }
            }
            has_split = true;
            let before = bytes;
            let item = match self.splitter.next(&mut bytes) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(sse::EventTooLong) => return Err(self.stream.fail(StreamFault::EventTooLong)),
            };
            match item {
                Item::Data(data) => {
                    let event = before.split_at(before.len() - bytes.len()).0;
                    let whole = is_between_events.then_some(event);
                    match self.stream.on_data(data, whole, out)? {
                        Said::Something => self.has_moved = true,
                        Said::Nothing => is_alive = true,
                    }
                }
                Item::Comment => is_alive = true,
            }
        }
        // Events that fit a form do not go through the splitter.
        if has_split {
            self.has_moved |= self.splitter.is_within_event();
            self.splitter.shrink();
        }
        // The caller's own idle timeout must not fire while the provider shows that it is working.
        // There is one comment per read, so that a provider cannot inflate the caller's side.
        if is_alive && self.stream.is_committed && !self.stream.is_over() {
            out.extend_from_slice(b": ping\n\n");
        }
        self.check();
        Ok(())
    }

    /// The provider's body has ended properly. Appends the `[DONE]` that some providers leave out
    /// after the last finish reason.
    ///
    /// # Errors
    /// The answer is not complete, or the last event, which lacked its blank line, has a fault.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.stream.is_over()
            && let Some(data) = self.splitter.finish()
            && (data.starts_with(DONE) || json::members(data).all(|member| member.is_ok()))
        {
            self.stream.on_data(data, None, out)?;
        }
        let ended = self.stream.finish(out);
        self.check();
        ended
    }

    /// Whether the last pushed bytes were part of an event: comments, pings and other empty events
    /// do not count.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// How much of an unfinished event is kept, in bytes.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.splitter.kept()
    }

    /// Whether the caller has been sent anything, so that no other provider can take over.
    #[must_use]
    pub const fn is_committed(&self) -> bool {
        self.stream.is_committed
    }

    /// Whether the caller has been sent `[DONE]`.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.stream.is_done
    }

    /// Whether the content is complete while the usage has not arrived.
    #[must_use]
    pub const fn awaits_usage(&self) -> bool {
        let stream = &self.stream;
        stream.is_finished() && !stream.is_usage_final && !stream.is_over()
    }

    /// The usage that the provider states; `None`: it must be estimated.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.stream.usage()
    }

    /// Length of the text that was relayed or held back, for an estimate.
    #[must_use]
    pub const fn text_bytes(&self) -> usize {
        self.stream.text_bytes
    }

    /// The model's name as the provider gives it: the inside of a JSON string, empty when unknown.
    #[must_use]
    pub fn upstream_model(&self) -> &[u8] {
        &self.stream.upstream_model
    }

    /// The error event that the provider sent, a JSON object; see
    /// `wire::provider_error::ProviderError`.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        match self.stream.fault {
            Some(StreamFault::Error | StreamFault::ErrorRelayed) => Some(&self.stream.error),
            None
            | Some(
                StreamFault::Malformed
                | StreamFault::EventTooLong
                | StreamFault::HeldBackTooLong
                | StreamFault::NoContent
                | StreamFault::Cut,
            ) => None,
        }
    }

    fn check(&self) {
        let stream = &self.stream;
        debug_assert!(!stream.is_committed || stream.held.is_empty());
        debug_assert!(!stream.is_done || (stream.is_committed && stream.fault.is_none()));
        debug_assert!(stream.held.len() <= HELD_BACK_BYTES_MAX || stream.is_over());
    }
}

/// Whether an event has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Something,
    /// It only shows that the provider is working.
    Nothing,
}

/// The data of an event that ends the stream.
const DONE: &[u8] = b"[DONE]";

/// The state of a relay, without the splitting into events.
#[derive(Debug)]
struct Stream {
    caller_model: Vec<u8>,
    notes_apart: bool,
    endpoint: Endpoint,
    usage_chunk: UsageChunk,
    tariff: Option<Tariff>,
    /// Forms of the most frequent events.
    forms: Forms,
    /// Events that are held back until the first content, as the caller will get them.
    held: Vec<u8>,
    is_committed: bool,
    is_done: bool,
    fault: Option<StreamFault>,
    /// Choices that have occurred, and those that have a finish reason.
    seen: Indexes,
    finished: Indexes,
    usage: Option<Usage>,
    groq_usage: Option<Usage>,
    /// Whether usage came with the last finish reason or after it.
    is_usage_final: bool,
    text_bytes: usize,
    upstream_model: Vec<u8>,
    error: Vec<u8>,
}

impl Stream {
    fn new() -> Self {
        Self {
            caller_model: Vec::new(),
            notes_apart: false,
            endpoint: Endpoint::ChatCompletions,
            usage_chunk: UsageChunk::Untouched,
            tariff: None,
            forms: Forms::default(),
            held: Vec::new(),
            is_committed: false,
            is_done: false,
            fault: None,
            seen: Indexes::NONE,
            finished: Indexes::NONE,
            usage: None,
            groq_usage: None,
            is_usage_final: false,
            text_bytes: 0,
            upstream_model: Vec::new(),
            error: Vec::new(),
        }
    }

    fn reset(&mut self, plan: &RelayPlan<'_>) {
        let old = std::mem::replace(self, Self::new());
        let [mut caller_model, held, upstream_model, error] =
            [old.caller_model, old.held, old.upstream_model, old.error].map(emptied);
        caller_model.extend_from_slice(plan.caller_model);
        let mut forms = old.forms;
        forms.reset();
        *self = Self {
            caller_model,
            notes_apart: plan.notes_apart,
            endpoint: plan.endpoint,
            usage_chunk: plan.usage,
            tariff: plan.tariff,
            forms,
            held,
            upstream_model,
            error,
            ..Self::new()
        };
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.or(self.groq_usage)
    }

    /// The stream's cost up to this chunk, where the chunk is to state it.
    fn cost(&self, chunk: &Chunk<'_>) -> Option<Vec<u8>> {
        let tariff = self.tariff.as_ref()?;
        chunk
            .usage
            .filter(|usage| usage.value.kind == Kind::Object)?;
        Some(tariff::number(tariff.cost(self.usage(), self.text_bytes)))
    }

    const fn is_over(&self) -> bool {
        self.is_done || self.fault.is_some()
    }

    /// Whether every choice that has occurred has its finish reason.
    const fn is_finished(&self) -> bool {
        !self.finished.is_empty() && self.finished.contains(self.seen)
    }

    fn fail(&mut self, fault: StreamFault) -> StreamFault {
        self.fault = Some(fault);
        fault
    }

    /// Relays the events at the front of `bytes` that fit a form; returns the bytes behind them.
    /// Only their text counts.
    fn relay_alike<'i>(&mut self, mut bytes: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        while let Some(passed) = self.forms.pass(bytes, |_| true, out) {
            debug_assert!(self.is_committed);
            self.text_bytes = self.text_bytes.saturating_add(passed.text_bytes);
            bytes = bytes.split_at(passed.len).1;
        }
        bytes
    }

    /// Takes in the data of an event; `event` is the whole event if all of it is at hand.
    fn on_data(
        &mut self,
        data: &[u8],
        event: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        if data.starts_with(DONE) {
            return self.on_done(out).map(|()| Said::Something);
        }
        // To a browser, an event without data is none; to OpenAI's reader it is a syntax error.
        if data.trim_ascii().is_empty() {
            return Ok(Said::Nothing);
        }
        let (mut chunk, mut splice) = (Chunk::of(data), Splice::new(data));
        if chunk.read(self.endpoint).is_err() {
            return Err(self.fail(StreamFault::Malformed));
        }
        if chunk.error.is_some_and(|error| !error.is_blank()) {
            return Err(self.on_error(data, out));
        }
        if let Some(error) = chunk.choices.error {
            return Err(self.on_error(error.of(data), out));
        }
        if chunk.is_ping {
            return Ok(Said::Nothing);
        }
        self.note(&chunk);
        let said = if chunk.choices.count > 0 || chunk.usage.is_some() {
            Said::Something
        } else {
            Said::Nothing
        };
        if self.withholds(&chunk) {
            return Ok(said);
        }
        let cost = self.cost(&chunk);
        if !self.is_committed && (chunk.choices.has_content || !chunk.choices.finished.is_empty()) {
            self.is_committed = true;
            out.append(&mut self.held);
        }
        let to = if self.is_committed {
            out
        } else {
            &mut self.held
        };
        chunk::edit(&chunk, &self.caller_model, self.usage_chunk, &mut splice);
        chunk::tell(&chunk, cost.as_deref(), &mut splice);
        let start = to.len();
        chunk::write(&splice, to);
        if let Some(event) = event
            && self.is_committed
            && self.forms.wants_more()
        {
            chunk::learn(&mut self.forms, &chunk, &splice, event, &to[start..]);
        }
        if self.held.len() > HELD_BACK_BYTES_MAX {
            return Err(self.fail(StreamFault::HeldBackTooLong));
        }
        Ok(said)
    }

    /// Keeps what the accounts need.
    fn note(&mut self, chunk: &Chunk<'_>) {
        let usage = chunk.usage.and_then(|usage| Usage::read(&usage.value));
        let groq_usage = chunk
            .x_groq
            .and_then(|groq| json::member(groq.text, b"usage"))
            .and_then(|usage| Usage::read(&usage.value));
        self.text_bytes = self.text_bytes.saturating_add(chunk.choices.text_bytes);
        self.seen = self.seen.with(chunk.choices.seen);
        self.finished = self.finished.with(chunk.choices.finished);
        self.is_usage_final |= self.is_finished() && usage.or(groq_usage).is_some();
        // Usage is cumulative: the last one counts.
        self.usage = usage.or(self.usage);
        self.groq_usage = groq_usage.or(self.groq_usage);
        if self.upstream_model.is_empty()
            && let Some(model) = chunk.model
            && let [b'"', name @ .., b'"'] = model.text
            && name.len() <= MODEL_NAME_BYTES_MAX
        {
            self.upstream_model.extend_from_slice(name);
        }
    }

    /// Whether the caller must not get the chunk, because it did not ask for it or cannot read it.
    fn withholds(&self, chunk: &Chunk<'_>) -> bool {
        let has_usage = chunk
            .usage
            .is_some_and(|usage| usage.value.kind == Kind::Object);
        let choices = &chunk.choices;
        if choices.count == 0 && has_usage {
            return self.usage_chunk == UsageChunk::Injected;
        }
        // Annotations of the content filter have no choices, and callers take `choices[0].delta`
        // for granted. A chunk with a finish reason is no annotation.
        self.notes_apart && !choices.has_carrier && choices.finished.is_empty()
    }

    fn on_done(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.is_committed {
            return Err(self.fail(StreamFault::NoContent));
        }
        self.is_done = true;
        sse::write_event(DONE, out);
        Ok(())
    }

    fn on_error(&mut self, data: &[u8], out: &mut Vec<u8>) -> StreamFault {
        self.error.extend_from_slice(data);
        if !self.is_committed {
            return self.fail(StreamFault::Error);
        }
        out.extend_from_slice(b"data: ");
        let start = out.len();
        provider_error::write_in_shape(data, out);
        sse::end_event(start, out);
        self.fail(StreamFault::ErrorRelayed)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.is_done {
            return Ok(());
        }
        if !self.is_finished() {
            return Err(self.fail(StreamFault::Cut));
        }
        self.on_done(out)
    }
}

/// An emptied buffer for the next stream; the room that one long event took is given back.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
    buffer
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
