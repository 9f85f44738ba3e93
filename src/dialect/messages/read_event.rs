//! Reads the stream of a message (rules S of reference/translation.md).
//!
//! Text of the model is told as the bytes that the provider sent.

mod blocks;

use crate::base::tokens::Tokens;
use crate::dialect::event::{Event, Piece};
use crate::dialect::messages::usage::Counters;
use crate::dialect::shell::part::{Reader, Said};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::verbatim;
use crate::wire::forms::Gap;
use crate::wire::json::{self, Kind, Value};
use crate::wire::stream_fault::StreamFault;

use super::read_answer::stop_of;
use super::told::{DeltaKind, Told, ToldKind, telling};
use blocks::{Block, BlockKind, Blocks};

/// Reads one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug, Default)]
pub struct MessagesReader {
    blocks: Blocks,
    counters: Counters,
    has_begun: bool,
    has_stopped: bool,
    /// Whether the end of the message has stated the output.
    is_output_told: bool,
}

/// What is done with what happens.
trait Sink: FnMut(Event<'_>) -> Result<(), StreamFault> {}

impl<F: FnMut(Event<'_>) -> Result<(), StreamFault>> Sink for F {}

impl Reader for MessagesReader {
    fn reset(&mut self, _: &StreamPlan<'_>) {
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.reset();
        *self = Self {
            blocks,
            ..Self::default()
        };
    }

    fn read(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<Said, StreamFault> {
        let mut told = Told::default();
        told.read(data)?;
        match told.kind {
            ToldKind::BlockDelta => {
                self.on_block_delta(&told, sink)?;
                return Ok(Said::More);
            }
            ToldKind::BlockStart => self.on_block_start(&told, sink)?,
            ToldKind::BlockStop => {
                if let Some(block) = self.blocks.close(told.index) {
                    self.end_block(&block, sink)?;
                }
            }
            ToldKind::MessageStart => self.on_message_start(&told, sink)?,
            ToldKind::MessageDelta => self.on_message_delta(&told, sink)?,
            ToldKind::MessageStop => sink(Event::Done)?,
            ToldKind::Error => sink(Event::Error(data))?,
            ToldKind::Ping | ToldKind::Unnamed => return Ok(Said::Nothing),
            ToldKind::Other => {}
        }
        Ok(Said::Something)
    }

    fn flush(
        &mut self,
        sink: &mut impl FnMut(Event<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        while let Some(block) = self.blocks.close_first() {
            self.end_block(&block, sink)?;
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.blocks.is_none_open()
    }

    fn unread(&self) -> &[Gap] {
        &[]
    }
}

impl MessagesReader {
    fn on_message_start(
        &mut self,
        told: &Told<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), StreamFault> {
        let Some(message) = told.message.filter(|value| value.kind == Kind::Object) else {
            return Ok(());
        };
        let (mut id, mut model, mut has_usage) = (None, None, false);
        let mut room = Vec::new();
        for member in json::members(message.text) {
            let json::Member { name, value } = member?;
            match name.read(&mut room) {
                b"usage" => {
                    self.counters.note(&value);
                    has_usage = true;
                }
                b"id" if value.kind == Kind::String => id = Some(value),
                b"model" => model = Some(value),
                _ => {}
            }
        }
        // All events of a stream have the same id.
        if !std::mem::replace(&mut self.has_begun, true) {
            sink(Event::Start {
                id: id.as_ref().map(verbatim::string).transpose()?,
                model: model.and_then(|model| verbatim::string(&model).ok()),
            })?;
        }
        if has_usage {
            self.tell_usage(sink)?;
        }
        Ok(())
    }

    fn on_block_start(&mut self, told: &Told<'_>, sink: &mut impl Sink) -> Result<(), StreamFault> {
        // A server that leaves out the stop of a block ends it with the next start.
        if let Some(block) = self.blocks.close(told.index) {
            self.end_block(&block, sink)?;
        }
        let Some(start) = told.block.filter(|value| value.kind == Kind::Object) else {
            return Ok(());
        };
        let member = |name: &[u8]| json::member(start.text, name).map(|member| member.value);
        let kind = member(b"type").map(|kind| kind.word()).unwrap_or_default();
        let kind = match &*kind {
            b"text" => {
                if let Some(text) = telling(member(b"text")) {
                    sink(Event::Text(untold_place(&text)?))?;
                }
                BlockKind::Text
            }
            b"thinking" => {
                if let Some(text) = telling(member(b"thinking")) {
                    sink(Event::Thought(untold_place(&text)?))?;
                }
                BlockKind::Text
            }
            b"tool_use" => {
                let call = self.start_tool([member(b"id"), member(b"name")], sink)?;
                if let Some(input) = member(b"input").filter(|input| !input.is_blank()) {
                    self.hold_input(call, &input, sink)?;
                }
                BlockKind::Tool(call)
            }
            _ => BlockKind::Other,
        };
        self.blocks.open(told.index, kind)
    }

    /// Tells of the text that a delta adds.
    fn on_block_delta(&mut self, told: &Told<'_>, sink: &mut impl Sink) -> Result<(), StreamFault> {
        let Some(piece) = told.delta.piece() else {
            return Ok(());
        };
        let block = self.blocks.at(told.index).map(|block| block.kind);
        match (told.delta.kind, block) {
            // Input for tools that the server runs itself, and kinds of blocks that callers do not
            // know.
            (_, Some(BlockKind::Other)) => Ok(()),
            // Text counts even if a server has not started its block.
            (DeltaKind::Text, Some(BlockKind::Text | BlockKind::Tool(_)) | None) => {
                sink(Event::Text(copied(&piece)?))
            }
            (DeltaKind::Thinking, Some(BlockKind::Text | BlockKind::Tool(_)) | None) => {
                sink(Event::Thought(copied(&piece)?))
            }
            (DeltaKind::Signature, Some(BlockKind::Text | BlockKind::Tool(_)) | None) => {
                sink(Event::Signature(verbatim::string(&piece)?))
            }
            (DeltaKind::InputJson, Some(BlockKind::Tool(call))) => {
                let text = copied(&piece)?;
                self.blocks.note_arguments(call);
                sink(Event::ToolArguments { call, text })
            }
            (DeltaKind::InputJson, Some(BlockKind::Text) | None) | (DeltaKind::Other, _) => Ok(()),
        }
    }

    fn on_message_delta(
        &mut self,
        told: &Told<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), StreamFault> {
        if let Some(usage) = &told.usage {
            self.is_output_told |= self.counters.note(usage).has_output();
        }
        if let Some(reason) = telling(told.delta.stop_reason).filter(|_| !self.has_stopped) {
            if reason.says("error") {
                return Err(StreamFault::Malformed);
            }
            let explanation = told
                .delta
                .stop_details
                .filter(|details| reason.says("refusal") && details.kind == Kind::Object)
                .and_then(|details| json::member(details.text, b"explanation"));
            let explanation = telling(explanation.map(|member| member.value));
            let explanation = explanation.as_ref().map(verbatim::string).transpose()?;
            let sequence = telling(told.delta.stop_sequence);
            self.flush(sink)?;
            self.has_stopped = true;
            sink(Event::Stop {
                reason: stop_of(&reason.word()),
                sequence: sequence.and_then(|sequence| verbatim::string(&sequence).ok()),
                explanation,
            })?;
        }
        self.tell_usage(sink)
    }

    /// Tells what the counters say, unless they have counted nothing.
    fn tell_usage(&self, sink: &mut impl Sink) -> Result<(), StreamFault> {
        let Some(usage) = self.counters.usage(Tokens::ZERO) else {
            return Ok(());
        };
        sink(Event::Usage {
            usage,
            thinking: self.counters.thinking(),
            is_total: self.has_stopped && self.is_output_told,
        })
    }

    /// Begins the next tool call; every reader needs its `id` and `name`.
    fn start_tool(
        &mut self,
        call: [Option<Value<'_>>; 2],
        sink: &mut impl Sink,
    ) -> Result<u32, StreamFault> {
        let [Some(id), Some(name)] = call else {
            return Err(StreamFault::Malformed);
        };
        let (id, name) = (verbatim::string(&id)?, verbatim::string(&name)?);
        let call = self.blocks.next_tool();
        sink(Event::ToolStart {
            call,
            id: Some(id),
            name,
            signature: None,
        })?;
        Ok(call)
    }

    /// Keeps the arguments that came with the start of a call: they count unless deltas follow.
    fn hold_input(
        &mut self,
        call: u32,
        input: &Value<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), StreamFault> {
        // There is room for one call: calls that overlap have their arguments in deltas.
        if let Some(other) = self.blocks.held_for() {
            self.tell_held(other, sink)?;
        }
        let mut held = self.blocks.take_held();
        held.clear();
        verbatim::write_compact(input, &mut held)?;
        self.blocks.hold(call, held);
        Ok(())
    }

    fn tell_held(&mut self, call: u32, sink: &mut impl Sink) -> Result<(), StreamFault> {
        let held = self.blocks.take_held();
        self.blocks.note_arguments(call);
        let (text, at) = (&*held, None);
        sink(Event::ToolArguments {
            call,
            text: Piece { text, at },
        })
    }

    /// A block has ended.
    fn end_block(&mut self, block: &Block, sink: &mut impl Sink) -> Result<(), StreamFault> {
        let BlockKind::Tool(call) = block.kind else {
            return Ok(());
        };
        if !block.has_arguments && self.blocks.held_for() == Some(call) {
            self.tell_held(call, sink)?;
        }
        sink(Event::ToolEnd { call })
    }
}

/// A text that is copied from the event's data.
fn copied<'a>(value: &Value<'a>) -> Result<Piece<'a>, StreamFault> {
    Ok(Piece {
        text: verbatim::string(value)?,
        at: Some(value.at + 1),
    })
}

/// A text whose place in the event's data is not known.
fn untold_place<'a>(value: &Value<'a>) -> Result<Piece<'a>, StreamFault> {
    let (text, at) = (verbatim::string(value)?, None);
    Ok(Piece { text, at })
}
