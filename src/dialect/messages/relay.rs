//! Relays a Messages stream to a caller who reads the same (rule MP4 of
//! reference/messages-inbound.md).
//!
//! Every event is passed on as it came, except the model's name. Its name is written anew from its
//! type, which says the same.

use crate::base::tokens::Tokens;
use crate::dialect::messages::read_error;
use crate::dialect::messages::told::{DeltaKind, Told, ToldKind, telling};
use crate::dialect::messages::usage::Counters;
use crate::dialect::messages::write_error;
use crate::dialect::messages::write_event::{HEARTBEAT, frames};
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{BrokenEnd, Ending, Relay, Said};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::dialect::tariff;
use crate::wire::forms::{Gap, GapKind};
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;
use crate::wire::sse;
use crate::wire::stream_fault::StreamFault;

/// Relays one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug, Default)]
pub struct MessagesRelay {
    caller_model: Vec<u8>,
    request_id: String,
    counters: Counters,
    /// How many blocks have begun and not ended.
    open: usize,
    /// Whether the block that began last holds thoughts and has not ended.
    is_thinking: bool,
    has_stop_reason: bool,
    /// Whether the end of the message has stated the output.
    is_output_told: bool,
}

impl Relay for MessagesRelay {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        old.caller_model.clear();
        old.caller_model.extend_from_slice(plan.caller_model);
        old.request_id.clear();
        old.request_id.push_str(plan.wanted.request_id);
        *self = Self {
            caller_model: old.caller_model,
            request_id: old.request_id,
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
        let mut told = Told::default();
        told.read(data)?;
        let (mut model, mut cost) = (None, None);
        match told.kind {
            ToldKind::Unnamed => return Ok(Said::Nothing),
            ToldKind::Ping if !flow.is_committed() => return Ok(Said::Nothing),
            ToldKind::Error => return Err(self.on_error(data, flow, out)),
            ToldKind::MessageStop if !flow.is_committed() => return Err(StreamFault::NoContent),
            ToldKind::MessageStart => model = self.on_start(&told, flow)?,
            ToldKind::BlockStart => self.on_block_start(&told, flow, out),
            ToldKind::BlockDelta => on_delta(&told, flow, out),
            ToldKind::BlockStop => {
                self.open = self.open.saturating_sub(1);
                self.is_thinking = false;
            }
            ToldKind::MessageDelta => cost = self.on_message_delta(&told, flow, out)?,
            ToldKind::MessageStop | ToldKind::Other | ToldKind::Ping => {}
        }
        let mut splice = Splice::new(data);
        if let Some(model) = &model {
            splice.replace(model.span(), &self.caller_model);
        }
        if let (Some(cost), Some(usage)) = (&cost, &told.usage) {
            tariff::insert(usage, cost, &mut splice);
        }
        let to = flow.place(out);
        let start = to.len();
        write(&told, &splice, data, to);
        if flow.wants_form() && model.is_none() && cost.is_none() {
            learn(&told, arrived, flow, out.split_at(start).1);
        }
        flow.check_held()?;
        if told.kind == ToldKind::MessageStop {
            flow.done();
        }
        Ok(match told.kind {
            // A caller may have thoughts left out: then pings alone show that there are some.
            ToldKind::Ping if !self.is_thinking => Said::Nothing,
            _ => Said::Something,
        })
    }

    fn note_alike(&mut self, _: &[u8]) {}

    fn write_end(&mut self, _: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        // Byte for byte as the published vectors have it.
        frames::write("message_stop", &[br#"{"type": "message_stop"}"#], out);
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.has_stop_reason
    }

    fn is_usage_final(&self) -> bool {
        self.has_stop_reason && self.is_output_told
    }

    fn is_whole(&self) -> bool {
        self.open == 0
    }

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Fixed(HEARTBEAT)
    }
}

impl MessagesRelay {
    /// Returns the place of the model's name.
    fn on_start<'a>(
        &mut self,
        told: &Told<'a>,
        flow: &mut Flow,
    ) -> Result<Option<Value<'a>>, StreamFault> {
        let Some(message) = told.message.filter(|value| value.kind == Kind::Object) else {
            return Ok(None);
        };
        flow.note_id_in(message.text);
        let (mut model, mut room) = (None, Vec::new());
        for member in json::members(message.text) {
            let json::Member { name, value } = member?;
            match name.read(&mut room) {
                b"usage" => {
                    self.note_usage(&value, flow);
                }
                b"model" => model = Some(value),
                _ => {}
            }
        }
        let Some(model) = model else {
            return Ok(None);
        };
        if let [b'"', name @ .., b'"'] = model.text {
            flow.note_model(name);
        }
        Ok(Some(Value {
            at: message.at + model.at,
            ..model
        }))
    }

    /// Any block but an empty text is content: with thoughts left out, nothing else comes for
    /// minutes.
    fn on_block_start(&mut self, told: &Told<'_>, flow: &mut Flow, out: &mut Vec<u8>) {
        self.open = self.open.saturating_add(1);
        let Some(block) = told.block else {
            return;
        };
        let member = |name: &[u8]| json::member(block.text, name).map(|member| member.value);
        let text = telling(member(b"text"));
        let is = |name| member(b"type").is_some_and(|kind| kind.says(name));
        let is_text = is("text");
        self.is_thinking = is("thinking");
        flow.books
            .count_text(text.map_or(0, |text| text.string_len()));
        if !is_text || text.is_some() {
            flow.commit(out);
        }
    }

    /// Returns what the stream has cost, where its usage is to tell it.
    fn on_message_delta(
        &mut self,
        told: &Told<'_>,
        flow: &mut Flow,
        out: &mut Vec<u8>,
    ) -> Result<Option<Vec<u8>>, StreamFault> {
        let reason = telling(told.delta.stop_reason);
        if reason.is_some_and(|reason| reason.says("error")) {
            return Err(StreamFault::Malformed);
        }
        self.has_stop_reason |= reason.is_some();
        if let Some(usage) = &told.usage {
            self.is_output_told |= self.note_usage(usage, flow).has_output();
        }
        flow.books.is_total = self.is_usage_final();
        if reason.is_some() {
            flow.commit(out);
        }
        let is_object = told.usage.is_some_and(|usage| usage.kind == Kind::Object);
        let cost = flow.books.cost().filter(|_| reason.is_some() && is_object);
        Ok(cost.map(tariff::number))
    }

    /// Takes in a usage, and returns what it states.
    fn note_usage(&mut self, usage: &Value<'_>, flow: &mut Flow) -> Counters {
        let stated = self.counters.note(usage);
        flow.books.told = self.counters.usage(Tokens::ZERO);
        flow.books.thinking = self.counters.thinking();
        stated
    }

    /// An error with a type is one of the dialect and passes on as it is; another has the form of a
    /// proxy in between.
    fn on_error(&self, data: &[u8], flow: &mut Flow, out: &mut Vec<u8>) -> StreamFault {
        let is_own = json::member(data, b"type").is_some_and(|kind| kind.value.says("error"));
        flow.on_error(data, out, |out| {
            if is_own {
                sse::write_named(Some(b"error"), &Splice::new(data), out);
                return;
            }
            let mut body = Vec::new();
            let complaint = read_error::read(None, data);
            write_error::write(&complaint, &self.request_id, &mut body);
            frames::write("error", &[&body], out);
        })
    }
}

/// A delta with text is content, and so is one of a kind that is not known.
fn on_delta(told: &Told<'_>, flow: &mut Flow, out: &mut Vec<u8>) {
    let piece = told.delta.piece();
    match told.delta.kind {
        DeltaKind::Text | DeltaKind::Thinking | DeltaKind::InputJson => {
            flow.books
                .count_text(piece.map_or(0, |piece| piece.string_len()));
            if piece.is_some() {
                flow.commit(out);
            }
        }
        DeltaKind::Signature | DeltaKind::Other => flow.commit(out),
    }
}

/// Appends an event.
fn write(told: &Told<'_>, splice: &Splice<'_>, data: &[u8], out: &mut Vec<u8>) {
    match told.kind {
        ToldKind::BlockDelta => sse::write_named(Some(b"content_block_delta"), splice, out),
        _ => {
            let name = json::member(data, b"type").map(|kind| kind.value.word());
            sse::write_named(Some(&name.unwrap_or_default()), splice, out);
        }
    }
}

/// Learns the form of an event with a piece of text, which was relayed as `written`.
fn learn(told: &Told<'_>, arrived: &Arrived<'_>, flow: &mut Flow, written: &[u8]) {
    let counts = told.kind == ToldKind::BlockDelta && told.delta.kind != DeltaKind::Signature;
    let is_text = |piece: &Value<'_>| counts && piece.kind == Kind::String;
    let piece = told.delta.piece().filter(is_text);
    let (Some(piece), Some(event)) = (piece, arrived.alone()) else {
        return;
    };
    let before = written.len() - b"\n\n".len() - arrived.data.len();
    let gap = Gap {
        read_at: event.data_at + piece.at + 1,
        written_at: Some(before + piece.at + 1),
        len: piece.text.len() - 2,
        kind: GapKind::Text,
    };
    flow.learn(event.text, written, &[gap], 0);
}
