//! The machine behind the translation: it is given one event after the other, and writes chunks.

use memchr::memchr2;

use super::blocks::{Block, BlockKind, Blocks};
use super::chunks::{self, Chunks};
use super::event::{DeltaKind, Event, EventKind, telling};
use super::plan::{IncludeUsage, StreamPlan};
use crate::base::limits::{KEPT_BUFFER_BYTES_MAX, MODEL_NAME_BYTES_MAX};
use crate::dialect::error;
use crate::dialect::tariff::Tariff;
use crate::dialect::usage::Counters;
use crate::dialect::verbatim;
use crate::wire::forms::{Forms, Gap, GapKind};
use crate::wire::json::{self, Kind, Value};
use crate::wire::sse;
use crate::wire::stream_fault::StreamFault;

/// The data with which some servers end a stream, as OpenAI does.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Whether an event has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Something,
    /// It only shows that the provider is working.
    Nothing,
}

/// The state of a translation, without the splitting into events.
#[derive(Debug, Default)]
pub(super) struct Stream {
    include_usage: IncludeUsage,
    tariff: Option<Tariff>,
    chunks: Chunks,
    pub(super) blocks: Blocks,
    /// Forms of the most frequent deltas; they hold as long as the blocks stay the same.
    forms: Forms,
    has_message: bool,
    pub(super) is_committed: bool,
    pub(super) has_finish_reason: bool,
    pub(super) is_done: bool,
    pub(super) fault: Option<StreamFault>,
    pub(super) counters: Counters,
    /// Whether the end of the message has stated the output.
    pub(super) is_output_told: bool,
    pub(super) text_bytes: usize,
    pub(super) upstream_model: Vec<u8>,
    pub(super) error: Vec<u8>,
}

/// A text that was copied from an event to a chunk.
struct CopiedText {
    /// Where the text stands in the event's data.
    at: usize,
    len: usize,
    /// Length of the part of the chunk behind it.
    behind: usize,
}

impl Stream {
    pub(super) fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        old.chunks.reset(plan.caller_model, plan.created);
        old.blocks.reset();
        old.forms.reset();
        old.upstream_model.clear();
        old.error.clear();
        old.error.shrink_to(KEPT_BUFFER_BYTES_MAX);
        *self = Self {
            include_usage: plan.include_usage,
            tariff: plan.tariff,
            chunks: old.chunks,
            blocks: old.blocks,
            forms: old.forms,
            upstream_model: old.upstream_model,
            error: old.error,
            ..Self::default()
        };
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_done || self.fault.is_some()
    }

    pub(super) fn fail(&mut self, fault: StreamFault) -> StreamFault {
        self.fault = Some(fault);
        fault
    }

    /// Translates the events at the front of `bytes` that fit a form; returns the bytes behind
    /// them.
    pub(super) fn translate_alike<'i>(
        &mut self,
        mut bytes: &'i [u8],
        out: &mut Vec<u8>,
    ) -> &'i [u8] {
        while let Some(passed) = self.forms.pass(bytes, verbatim::is_inside, out) {
            self.text_bytes = self.text_bytes.saturating_add(passed.text_bytes);
            bytes = bytes.split_at(passed.len).1;
        }
        bytes
    }

    /// Takes in the data of an event; `event` is the whole event if all of it is at hand.
    pub(super) fn on_data(
        &mut self,
        data: &[u8],
        event: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        self.try_data(data, event, out)
            .map_err(|fault| self.fail(fault))
    }

    fn try_data(
        &mut self,
        data: &[u8],
        raw: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        if data.starts_with(DONE) {
            return self.on_stop(out).map(|()| Said::Something);
        }
        if data.trim_ascii().is_empty() {
            return Ok(Said::Nothing);
        }
        let mut event = Event::default();
        event.read(data)?;
        if event.kind != EventKind::BlockDelta {
            self.forms.forget();
        }
        match event.kind {
            EventKind::BlockDelta => {
                let (was_committed, start) = (self.is_committed, out.len());
                let copied = self.on_block_delta(&event, out)?;
                if let (Some(copied), Some(raw)) = (copied, raw)
                    && was_committed
                {
                    self.learn(&copied, raw, data, out.split_at(start).1);
                }
            }
            EventKind::BlockStart => self.on_block_start(&event, out)?,
            EventKind::BlockStop => {
                if let Some(block) = self.blocks.close(event.index) {
                    self.end_block(&block, out);
                }
            }
            EventKind::MessageStart => self.on_message_start(&event)?,
            EventKind::MessageDelta => self.on_message_delta(&event, out)?,
            EventKind::MessageStop => self.on_stop(out)?,
            EventKind::Error => return Err(self.on_error(data, out)),
            EventKind::Ping | EventKind::Unnamed => return Ok(Said::Nothing),
            EventKind::Other => {}
        }
        Ok(Said::Something)
    }

    /// Learns the form of a delta that came as `raw` and was written as `out`.
    fn learn(&mut self, copied: &CopiedText, raw: &[u8], data: &[u8], out: &[u8]) {
        // The event has one line of data, and no other line that might mean something.
        let before = raw
            .strip_suffix(b"\n\n")
            .and_then(|raw| raw.strip_suffix(data))
            .filter(|_| memchr2(b'\n', b'\r', data).is_none());
        if let Some(before) = before {
            let gap = Gap {
                read_at: before.len() + copied.at,
                written_at: Some(out.len() - copied.behind - copied.len),
                len: copied.len,
                kind: GapKind::Text,
            };
            self.forms.learn(raw, out, &[gap], 0);
        }
    }

    fn on_message_start(&mut self, event: &Event<'_>) -> Result<(), StreamFault> {
        let Some(message) = event.message.filter(|value| value.kind == Kind::Object) else {
            return Ok(());
        };
        let is_first = !std::mem::replace(&mut self.has_message, true);
        let mut room = Vec::new();
        for member in json::members(message.text) {
            let json::Member { name, value } = member?;
            match name.read(&mut room) {
                b"usage" => {
                    self.counters.note(&value);
                }
                // All chunks of a stream have the same id.
                b"id" if is_first && !self.is_committed && value.kind == Kind::String => {
                    self.chunks.name(verbatim::string(&value)?);
                }
                b"model" if is_first && value.string_len() <= MODEL_NAME_BYTES_MAX => {
                    if let Ok(model) = verbatim::string(&value) {
                        self.upstream_model.clear();
                        self.upstream_model.extend_from_slice(model);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn on_block_start(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        // A server that leaves out the stop of a block ends it with the next start.
        if let Some(block) = self.blocks.close(event.index) {
            self.end_block(&block, out);
        }
        let Some(start) = event.block.filter(|value| value.kind == Kind::Object) else {
            return Ok(());
        };
        let member = |name: &[u8]| json::member(start.text, name).map(|member| member.value);
        let kind = member(b"type").map(|kind| kind.word()).unwrap_or_default();
        let kind = match &*kind {
            b"text" => {
                self.write_text(CONTENT, telling(member(b"text")), out)?;
                BlockKind::Text
            }
            b"thinking" => {
                self.write_text(REASONING, telling(member(b"thinking")), out)?;
                BlockKind::Text
            }
            b"tool_use" => {
                let call = [member(b"id"), member(b"name")];
                let tool = self.start_tool(call, out)?;
                if let Some(input) = member(b"input").filter(|input| !input.is_blank()) {
                    self.hold_input(tool, &input, out)?;
                }
                BlockKind::Tool(tool)
            }
            _ => BlockKind::Other,
        };
        self.blocks.open(event.index, kind)
    }

    /// Writes the text that a delta adds; returns where it stands.
    fn on_block_delta(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<CopiedText>, StreamFault> {
        let Some(piece) = event.delta.piece() else {
            return Ok(None);
        };
        let block = self.blocks.at(event.index);
        let end = match (event.delta.kind, block.map(|block| block.kind)) {
            // Input for tools that the server runs itself, and kinds of blocks that callers do not
            // know.
            (_, Some(BlockKind::Other)) => return Ok(None),
            // Text counts even if a server has not started its block.
            (DeltaKind::Text, Some(BlockKind::Text | BlockKind::Tool(_)) | None) => {
                self.write_text(CONTENT, Some(piece), out)?;
                TEXT_END
            }
            (DeltaKind::Thinking, Some(BlockKind::Text | BlockKind::Tool(_)) | None) => {
                self.write_text(REASONING, Some(piece), out)?;
                TEXT_END
            }
            (DeltaKind::InputJson, Some(BlockKind::Tool(tool))) => {
                let text = verbatim::string(&piece)?;
                self.text_bytes = self.text_bytes.saturating_add(piece.string_len());
                self.write_arguments(tool, text, out);
                ARGUMENTS_END
            }
            (DeltaKind::InputJson, Some(BlockKind::Text) | None) | (DeltaKind::Other, _) => {
                return Ok(None);
            }
        };
        Ok(Some(CopiedText {
            at: piece.at + 1,
            len: piece.text.len() - 2,
            behind: end.len() + chunks::END.len(),
        }))
    }

    fn on_message_delta(
        &mut self,
        event: &Event<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if let Some(usage) = &event.usage {
            self.is_output_told |= self.counters.note(usage).has_output();
        }
        let Some(reason) = telling(event.delta.stop_reason).filter(|_| !self.has_finish_reason)
        else {
            return Ok(());
        };
        if reason.says("error") {
            return Err(StreamFault::Malformed);
        }
        let explanation = event
            .delta
            .stop_details
            .filter(|details| reason.says(REFUSAL) && details.kind == Kind::Object)
            .and_then(|details| json::member(details.text, b"explanation"));
        let explanation = telling(explanation.map(|member| member.value));
        self.finish_choice(&reason.word(), explanation, out)
    }

    /// The provider says that the message is complete.
    fn on_stop(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.is_committed {
            return Err(StreamFault::NoContent);
        }
        if !self.has_finish_reason {
            self.finish_choice(b"", None, out)?;
        }
        if self.include_usage == IncludeUsage::Yes {
            let tariff = self.tariff.as_ref();
            let cost = tariff.map(|tariff| tariff.cost(self.usage(), self.text_bytes));
            let counters = &self.counters;
            self.chunks
                .write_usage(|out| counters.write(cost, out), out);
        }
        self.is_done = true;
        sse::write_event(DONE, out);
        Ok(())
    }

    fn on_error(&mut self, data: &[u8], out: &mut Vec<u8>) -> StreamFault {
        self.error.extend_from_slice(data);
        if !self.is_committed {
            return StreamFault::Error;
        }
        out.extend_from_slice(b"data: ");
        error::write_event(data, out);
        out.extend_from_slice(b"\n\n");
        StreamFault::ErrorRelayed
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.is_done {
            return Ok(());
        }
        if !self.has_finish_reason {
            return Err(self.fail(StreamFault::Cut));
        }
        self.on_stop(out)
    }

    /// Writes the assistant's role, which begins every stream, before the first content.
    fn commit(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_committed, true) {
            let role = b"{\"role\":\"assistant\",\"content\":\"\"}";
            self.chunks.write(&[role], out);
        }
    }

    /// Writes a text under the key that `delta` begins with.
    fn write_text(
        &mut self,
        delta: &[u8],
        piece: Option<Value<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Some(piece) = piece else {
            return Ok(());
        };
        let text = verbatim::string(&piece)?;
        self.text_bytes = self.text_bytes.saturating_add(piece.string_len());
        self.commit(out);
        self.chunks.write(&[delta, text, TEXT_END], out);
        Ok(())
    }

    /// Begins the next tool call; every reader needs its `id` and `name`.
    fn start_tool(
        &mut self,
        call: [Option<Value<'_>>; 2],
        out: &mut Vec<u8>,
    ) -> Result<u32, StreamFault> {
        let [Some(id), Some(name)] = call else {
            return Err(StreamFault::Malformed);
        };
        let (id, name_text) = (verbatim::string(&id)?, verbatim::string(&name)?);
        self.text_bytes = self.text_bytes.saturating_add(name.string_len());
        self.commit(out);
        let tool = self.blocks.next_tool();
        let mut digits = itoa::Buffer::new();
        let delta = [
            b"{\"tool_calls\":[{\"index\":".as_slice(),
            digits.format(tool).as_bytes(),
            b",\"id\":\"",
            id,
            b"\",\"type\":\"function\",\"function\":{\"name\":\"",
            name_text,
            b"\",\"arguments\":\"\"}}]}",
        ];
        self.chunks.write(&delta, out);
        Ok(tool)
    }

    /// Appends to the arguments of a call; `text` is the inside of a JSON string.
    fn write_arguments(&mut self, tool: u32, text: &[u8], out: &mut Vec<u8>) {
        self.blocks.note_arguments(tool);
        let mut digits = itoa::Buffer::new();
        let delta = [
            b"{\"tool_calls\":[{\"index\":".as_slice(),
            digits.format(tool).as_bytes(),
            b",\"function\":{\"arguments\":\"",
            text,
            ARGUMENTS_END,
        ];
        self.chunks.write(&delta, out);
    }

    /// Keeps the arguments that came with the start of a call: they count unless deltas follow.
    fn hold_input(
        &mut self,
        tool: u32,
        input: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        // There is room for one call: calls that overlap have their arguments in deltas.
        if let Some(other) = self.blocks.held_for() {
            self.write_held(other, out);
        }
        let mut held = self.blocks.take_held();
        held.clear();
        verbatim::write_compact(input, &mut held)?;
        self.blocks.hold(tool, held);
        Ok(())
    }

    fn write_held(&mut self, tool: u32, out: &mut Vec<u8>) {
        let held = self.blocks.take_held();
        self.text_bytes = self.text_bytes.saturating_add(held.len());
        self.write_arguments(tool, &held, out);
    }

    /// A block has ended. A call without arguments is given empty ones, since callers parse them.
    fn end_block(&mut self, block: &Block, out: &mut Vec<u8>) {
        match block.kind {
            BlockKind::Tool(tool) if !block.has_arguments => {
                if self.blocks.held_for() == Some(tool) {
                    self.write_held(tool, out);
                } else {
                    self.write_arguments(tool, b"{}", out);
                }
            }
            BlockKind::Tool(_) | BlockKind::Text | BlockKind::Other => {}
        }
    }

    /// Ends the one choice for the `reason` that the provider gives.
    fn finish_choice(
        &mut self,
        reason: &[u8],
        explanation: Option<Value<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let explanation = explanation.as_ref().map(verbatim::string).transpose()?;
        self.commit(out);
        while let Some(block) = self.blocks.close_first() {
            self.end_block(&block, out);
        }
        let delta: [&[u8]; 3] = match explanation {
            Some(explanation) => [b"{\"refusal\":\"", explanation, b"\"}"],
            None => [b"{", b"", b"}"],
        };
        let reason = finish_reason(reason, self.blocks.tools());
        self.chunks.write_finishing(&delta, reason, out);
        self.has_finish_reason = true;
        Ok(())
    }
}

/// OpenAI's reason for Anthropic's, with its quotes.
fn finish_reason(stop_reason: &[u8], tools: u32) -> &'static [u8] {
    match stop_reason {
        // A paused turn is not finished.
        b"max_tokens" | b"model_context_window_exceeded" | b"pause_turn" => b"\"length\"",
        b"tool_use" if tools > 0 => b"\"tool_calls\"",
        reason if reason == REFUSAL.as_bytes() => b"\"content_filter\"",
        _ => b"\"stop\"",
    }
}

/// The beginning of a delta with text.
const CONTENT: &[u8] = b"{\"content\":\"";
/// The beginning of a delta with reasoning.
const REASONING: &[u8] = b"{\"reasoning_content\":\"";
/// The end of both.
const TEXT_END: &[u8] = b"\"}";
/// The end of a delta with arguments.
const ARGUMENTS_END: &[u8] = b"\"}}]}";
/// The stop reason of an answer that the provider holds back.
const REFUSAL: &str = "refusal";
