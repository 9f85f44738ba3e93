//! Relays a stream of Responses to a caller who reads the same (rules N4 to N7 of
//! reference/responses-inbound.md).
//!
//! Every event is passed on as it came, except the model's name in its response.

use crate::decide::outcome::KeyOwner;
use crate::dialect::chat::write_event::DONE;
use crate::dialect::compose::Composer;
use crate::dialect::fresh::Fresh;
use crate::dialect::responses::blame::{self, Blame};
use crate::dialect::responses::ids::Ids;
use crate::dialect::responses::told::{Response, Told, ToldKind};
use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{BrokenEnd, Ending, Relay, Said};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::dialect::tariff;
use crate::wire::forms::{GAPS_MAX, Gap, GapKind};
use crate::wire::json::{self, Kind, Value};
use crate::wire::splice::Splice;
use crate::wire::sse;
use crate::wire::stream_fault::StreamFault;
use crate::wire::usage::{self, Usage};

/// Relays one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug, Default)]
pub struct ResponsesRelay {
    caller_model: Vec<u8>,
    key: KeyOwner,
    /// Id and time of the response as its first event has them, a JSON string and a number; empty:
    /// it has none.
    id: Vec<u8>,
    created_at: Vec<u8>,
    /// What stands in their place.
    seed: [u64; 2],
    began: u64,
    /// The number of the event that came last.
    last: Option<u64>,
    /// How many items of the output have begun and not ended.
    open: usize,
    /// The error that an event has told, a JSON object; empty: none has.
    error: Vec<u8>,
    /// Whether the last event of the response has come.
    has_ended: bool,
}

impl ResponsesRelay {
    /// The id of the response, once its first event has come.
    #[must_use]
    pub fn response_id(&self) -> Option<&[u8]> {
        let id = self.id.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        (!id.is_empty()).then_some(id)
    }
}

impl Relay for ResponsesRelay {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        for room in [&mut old.caller_model, &mut old.id, &mut old.created_at] {
            room.clear();
        }
        old.caller_model.extend_from_slice(plan.caller_model);
        *self = Self {
            caller_model: old.caller_model,
            key: plan.wanted.key,
            id: old.id,
            created_at: old.created_at,
            seed: plan.wanted.seed,
            began: plan.created,
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
        let response = told.response()?;
        self.note(&told, &response, flow);
        let blame = self.failure(&told, &response, data, flow);
        let is_replaceable = blame.is_some() && !flow.is_committed();
        if is_replaceable && !blame.is_some_and(|blame| blame.is_for_caller(self.key)) {
            return Err(StreamFault::Error);
        }
        let cost = self.cost(&told, &response, flow);
        let mut splice = Splice::new(data);
        if let Some(model) = response.model.filter(|one| one.text != self.caller_model) {
            splice.replace(model.span(), &self.caller_model);
        }
        if let (Some(cost), Some(usage)) = (&cost, &response.usage) {
            tariff::insert(usage, cost, &mut splice);
        }
        let is_held = is_replaceable && blame == Some(Blame::Length);
        if told.is_content() && !is_held {
            flow.commit(out);
        }
        let to = flow.place(out);
        let start = to.len();
        sse::write_named(arrived.name, &splice, to);
        if flow.wants_form() && splice.is_unchanged() {
            learn(&told, arrived, flow, out.split_at(start).1);
        }
        flow.check_held()?;
        if is_held {
            // A larger model may answer. Else the caller is told what was held back.
            if !self.has_ended {
                self.write_failed("", flow.place(out));
            }
            return Err(StreamFault::Error);
        }
        if told.kind == ToldKind::Failed {
            return Err(StreamFault::ErrorRelayed);
        }
        Ok(match told.kind {
            // A model that thinks in silence shows itself by these alone.
            ToldKind::Keepalive if self.open == 0 => Said::Nothing,
            _ => Said::Something,
        })
    }

    fn note_alike(&mut self, digits: &[u8]) {
        self.last = usage::digits(digits).or(self.last);
    }

    fn write_end(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        if !self.has_ended {
            return Err(StreamFault::Cut);
        }
        match ending {
            Ending::Said => sse::write_event(DONE, out),
            Ending::Left => {}
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.has_ended
    }

    fn is_usage_final(&self) -> bool {
        // Nothing tells it later.
        self.has_ended
    }

    fn is_whole(&self) -> bool {
        self.has_ended
    }

    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd {
        if !self.has_ended {
            self.write_failed(reason, out);
        }
        BrokenEnd::Told
    }

    fn sign(&self) -> Sign {
        Sign::Numbered {
            number: self.last.unwrap_or_default(),
            step: 0,
        }
    }
}

impl ResponsesRelay {
    /// Keeps what the accounts and a broken end need.
    fn note(&mut self, told: &Told<'_>, response: &Response<'_>, flow: &mut Flow) {
        if let Some(number) = told.sequence_number {
            self.note_alike(number.text);
        }
        if let Some(model) = response.model
            && let [b'"', name @ .., b'"'] = model.text
        {
            flow.note_model(name);
        }
        if let Some(piece) = told.piece() {
            flow.books.count_text(piece.string_len());
        }
        match told.kind {
            ToldKind::Created => self.note_created(response),
            ToldKind::ItemAdded => self.open = self.open.saturating_add(1),
            ToldKind::ItemDone => self.open = self.open.saturating_sub(1),
            ToldKind::Ended | ToldKind::Failed => {
                self.has_ended = true;
                let usage = response.usage.as_ref().and_then(Usage::of_response);
                if usage.is_some() {
                    flow.books.tell(usage);
                }
            }
            ToldKind::Pending
            | ToldKind::Keepalive
            | ToldKind::PartAdded
            | ToldKind::Delta
            | ToldKind::Error
            | ToldKind::Other => {}
        }
    }

    /// Keeps what a response that infermux ends itself has of the provider's own.
    fn note_created(&mut self, response: &Response<'_>) {
        let is = |value: &Value<'_>, kind| value.kind == kind && value.text.len() <= ID_BYTES_MAX;
        let id = response.id.filter(|id| is(id, Kind::String));
        let created_at = response.created_at.filter(|at| is(at, Kind::Number));
        let rooms = [&mut self.id, &mut self.created_at];
        for (room, value) in rooms.into_iter().zip([id, created_at]) {
            if let Some(value) = value {
                room.clear();
                room.extend_from_slice(value.text);
            }
        }
    }

    /// What the error is about that the event tells, where it tells one; the error is kept.
    fn failure(
        &mut self,
        told: &Told<'_>,
        response: &Response<'_>,
        data: &[u8],
        flow: &mut Flow,
    ) -> Option<Blame> {
        let error = match told.kind {
            ToldKind::Error => data,
            ToldKind::Failed => response.error.map_or(b"{}".as_slice(), |error| error.text),
            ToldKind::Created
            | ToldKind::Pending
            | ToldKind::Keepalive
            | ToldKind::ItemAdded
            | ToldKind::ItemDone
            | ToldKind::PartAdded
            | ToldKind::Delta
            | ToldKind::Ended
            | ToldKind::Other => return None,
        };
        flow.note_error(error);
        self.error.clear();
        self.error.extend_from_slice(error);
        Some(Blame::of(error))
    }

    /// What the stream has cost, where its usage is to tell it.
    fn cost(&self, told: &Told<'_>, response: &Response<'_>, flow: &Flow) -> Option<Vec<u8>> {
        let is_object = response
            .usage
            .is_some_and(|usage| usage.kind == Kind::Object);
        let is_last = matches!(told.kind, ToldKind::Ended | ToldKind::Failed);
        (is_object && is_last)
            .then(|| flow.books.cost())
            .flatten()
            .map(tariff::number)
    }

    /// Appends the event that ends a response whose provider has not ended it, for this `reason`
    /// where the provider has given none.
    fn write_failed(&self, reason: &str, out: &mut Vec<u8>) {
        let told = json::member(&self.error, b"message");
        let told = told.or_else(|| {
            let inner = json::member(&self.error, b"error")?.value;
            json::member(inner.text, b"message")
        });
        let message = told.map(|message| message.value);
        let message = message.filter(|message| message.kind == Kind::String);
        let own = json::quoted(reason);
        let code = if self.error.is_empty() {
            blame::SERVER_ERROR
        } else {
            Blame::of(&self.error).code(self.key)
        };
        let mut data = Vec::new();
        let mut event = Composer::object(&mut data);
        event.string("type", "response.failed");
        event.number(
            "sequence_number",
            self.last.map_or(0, |last| last.saturating_add(1)),
        );
        let mut response = Composer::object(event.member("response"));
        if self.id.is_empty() {
            let id = response.member("id");
            id.push(b'"');
            Ids::new(&mut Fresh::new(self.seed)).write_response(id);
            id.push(b'"');
        } else {
            response.raw("id", &self.id);
        }
        response.string("object", "response");
        if self.created_at.is_empty() {
            response.number("created_at", self.began);
        } else {
            response.raw("created_at", &self.created_at);
        }
        response.string("status", "failed");
        let mut error = Composer::object(response.member("error"));
        error.string("code", code);
        error.raw("message", message.map_or(&own, |message| message.text));
        error.end();
        response.raw("model", &self.caller_model);
        response.raw("output", b"[]");
        response.raw("parallel_tool_calls", b"true");
        response.raw("tool_choice", b"\"auto\"");
        response.raw("tools", b"[]");
        response.end();
        event.end();
        sse::write_named(Some(b"response.failed"), &Splice::new(&data), out);
    }
}

/// Learns the form of an event with a piece of text, which was relayed as `written`.
fn learn(told: &Told<'_>, arrived: &Arrived<'_>, flow: &mut Flow, written: &[u8]) {
    let (Some(piece), Some(event)) = (told.piece(), arrived.alone()) else {
        return;
    };
    let before = written.len() - b"\n\n".len() - arrived.data.len();
    let gap = |at: usize, len: usize, kind: GapKind| Gap {
        read_at: event.data_at + at,
        written_at: Some(before + at),
        len,
        kind,
    };
    let inside = |value: Value<'_>, kind| gap(value.at + 1, value.text.len() - 2, kind);
    let hidden = told.obfuscation.filter(|value| value.kind == Kind::String);
    let number = told
        .sequence_number
        .filter(|number| number.text.iter().all(u8::is_ascii_digit));
    let found = [
        Some(inside(piece, GapKind::Text)),
        hidden.map(|value| inside(value, GapKind::Silent)),
        number.map(|value| gap(value.at, value.text.len(), GapKind::Digits)),
    ];
    let mut gaps = [Gap::NONE; GAPS_MAX];
    let mut count = 0;
    for (place, gap) in gaps.iter_mut().zip(found.into_iter().flatten()) {
        *place = gap;
        count += 1;
    }
    let gaps = &mut gaps[..count];
    gaps.sort_unstable_by_key(|gap| gap.read_at);
    flow.learn(event.text, written, gaps, 0);
}

/// Longest id that is kept, in bytes.
const ID_BYTES_MAX: usize = 512;
