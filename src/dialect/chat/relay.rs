//! Relays a stream of chat completions to a caller who reads the same.
//!
//! Every event is passed on as it came, except the model's name and what infermux itself has
//! caused. The caller gets only whole `data` events and keep-alive comments: `event`, `id` and
//! `retry` lines make official readers fail, and half an event would hide an error that follows.

mod chunk;

use crate::base::endpoint::Endpoint;
use crate::dialect::chat::choices::Indexes;
use crate::dialect::chat::provider_error;
use crate::dialect::chat::write_event::{DONE, HEARTBEAT};
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{BrokenEnd, Ending, Relay, Said};
use crate::dialect::shell::plan::{StreamPlan, UsageChunk};
use crate::dialect::shell::sign::Sign;
use crate::dialect::tariff;
use crate::wire::json::{self, Kind};
use crate::wire::splice::Splice;
use crate::wire::sse;
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::Usage;

use chunk::Chunk;

/// Relays one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug)]
pub struct ChatRelay {
    caller_model: Vec<u8>,
    endpoint: Endpoint,
    usage_chunk: UsageChunk,
    /// Whether notes about the content come in chunks of their own.
    notes_apart: bool,
    /// Choices that have occurred, and those that have a finish reason.
    seen: Indexes,
    finished: Indexes,
    usage: Option<Usage>,
    groq_usage: Option<Usage>,
    /// Whether usage came with the last finish reason or after it.
    is_usage_final: bool,
}

impl Default for ChatRelay {
    fn default() -> Self {
        Self {
            caller_model: Vec::new(),
            endpoint: Endpoint::ChatCompletions,
            usage_chunk: UsageChunk::default(),
            notes_apart: false,
            seen: Indexes::NONE,
            finished: Indexes::NONE,
            usage: None,
            groq_usage: None,
            is_usage_final: false,
        }
    }
}

impl Relay for ChatRelay {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut caller_model = std::mem::take(&mut self.caller_model);
        caller_model.clear();
        caller_model.extend_from_slice(plan.caller_model);
        *self = Self {
            caller_model,
            endpoint: plan.endpoint,
            usage_chunk: plan.usage,
            notes_apart: plan.notes_apart,
            ..Self::default()
        };
    }

    fn relay(
        &mut self,
        arrived: &Arrived<'_>,
        flow: &mut Flow,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        let data = arrived.data;
        let (mut chunk, mut splice) = (Chunk::of(data), Splice::new(data));
        chunk.read(self.endpoint)?;
        if chunk.error.is_some_and(|error| !error.is_blank()) {
            return Err(on_error(data, flow, out));
        }
        if let Some(error) = chunk.choices.error {
            return Err(on_error(error.of(data), flow, out));
        }
        if chunk.is_ping {
            return Ok(Said::Nothing);
        }
        self.note(&chunk, flow);
        flow.note_id_in(data);
        let said = if chunk.choices.count > 0 || chunk.usage.is_some() {
            Said::Something
        } else {
            Said::Nothing
        };
        if self.withholds(&chunk) {
            return Ok(said);
        }
        let cost = cost(&chunk, flow);
        if chunk.choices.has_content || !chunk.choices.finished.is_empty() {
            flow.commit(out);
        }
        chunk::edit(&chunk, &self.caller_model, self.usage_chunk, &mut splice);
        chunk::tell(&chunk, cost.as_deref(), &mut splice);
        let to = flow.place(out);
        let start = to.len();
        chunk::write(&splice, to);
        if flow.wants_form()
            && let Some(event) = arrived.alone()
        {
            chunk::learn(flow, &chunk, &splice, event, &out[start..]);
        }
        flow.check_held()?;
        Ok(said)
    }

    fn note_alike(&mut self, _: &[u8]) {}

    fn write_end(&mut self, _: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        sse::write_event(DONE, out);
        Ok(())
    }

    fn is_finished(&self) -> bool {
        !self.finished.is_empty() && self.finished.contains(self.seen)
    }

    fn is_usage_final(&self) -> bool {
        self.is_usage_final
    }

    fn is_whole(&self) -> bool {
        self.is_finished()
    }

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Fixed(HEARTBEAT)
    }
}

impl ChatRelay {
    /// Keeps what the accounts need.
    fn note(&mut self, chunk: &Chunk<'_>, flow: &mut Flow) {
        let usage = chunk.usage.and_then(|usage| Usage::read(&usage.value));
        let groq_usage = chunk
            .x_groq
            .and_then(|groq| json::member(groq.text, b"usage"))
            .and_then(|usage| Usage::read(&usage.value));
        flow.books.count_text(chunk.choices.text_bytes);
        self.seen = self.seen.with(chunk.choices.seen);
        self.finished = self.finished.with(chunk.choices.finished);
        if usage.or(groq_usage).is_some() {
            self.is_usage_final |= self.is_finished();
            // Usage is cumulative: the last one counts.
            self.usage = usage.or(self.usage);
            self.groq_usage = groq_usage.or(self.groq_usage);
            flow.books.tell(self.usage.or(self.groq_usage));
        }
        if let Some(model) = chunk.model
            && let [b'"', name @ .., b'"'] = model.text
        {
            flow.note_model(name);
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
}

/// The stream's cost up to this chunk, where the chunk is to state it.
fn cost(chunk: &Chunk<'_>, flow: &Flow) -> Option<Vec<u8>> {
    flow.books.tariff.as_ref()?;
    chunk
        .usage
        .filter(|usage| usage.value.kind == Kind::Object)?;
    Some(tariff::number(flow.books.cost()?))
}

fn on_error(data: &[u8], flow: &mut Flow, out: &mut Vec<u8>) -> StreamFault {
    flow.on_error(data, out, |out| {
        out.extend_from_slice(b"data: ");
        let start = out.len();
        provider_error::write_in_shape(data, out);
        sse::end_event(start, out);
    })
}
