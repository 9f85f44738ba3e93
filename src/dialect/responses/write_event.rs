//! Writes a stream of Responses (section 5 of reference/responses-inbound.md).
//!
//! The items of a response follow each other, while those of other dialects may grow side by side.
//! So items stand in a queue: the first is sent as it grows, and the others wait for its end.

use std::borrow::Cow;

use super::blame;
use super::failure;
use super::ids::{self, Ids};
use super::item::{Item, Kind, PartKind, Standing};
use super::object::{Base, Refusal, Spent, State, Status};
use super::output::Output;
use crate::base::endpoint::Dialect;
use crate::base::limits::KEPT_BUFFER_BYTES_MAX;
use crate::decide::outcome::KeyOwner;
use crate::dialect::call_ids::CallIds;
use crate::dialect::compose::Composer;
use crate::dialect::event::{Event, Piece, Stop};
use crate::dialect::fresh::Fresh;
use crate::dialect::names::Names;
use crate::dialect::shell::books::Books;
use crate::dialect::shell::part::{BrokenEnd, Put, Writer};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::dialect::signature::{self, ThoughtField};
use crate::wire::json;

/// What is written while nothing has been told yet: official readers insist on
/// `response.created` as the first event.
pub const EARLY_SIGN: &[u8] = b": ping\n\n";

/// Writes one stream. Kept and [reset](Writer::reset) for the next.
#[derive(Debug, Default)]
pub struct ResponsesWriter {
    base: Base<'static>,
    names: Names,
    key: KeyOwner,
    fresh: Fresh,
    calls: CallIds,
    output: Output,
    has_begun: bool,
    /// Whether there was text, a refusal in words, or a call.
    has_said: bool,
    /// The provider's word for how the request was served.
    tier: Vec<u8>,
    stop: Option<Stop>,
    refusal: Refusal,
}

impl Writer for ResponsesWriter {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        let mut old = std::mem::take(self);
        let mut model = old.base.model.into_owned();
        for buffer in [&mut model, &mut old.tier] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES_MAX);
        }
        model.extend_from_slice(plan.caller_model);
        old.calls.reset();
        let wanted = &plan.wanted;
        let mut fresh = Fresh::new(wanted.seed);
        let ids = Ids::new(&mut fresh);
        let echo = wanted.echo.cloned().unwrap_or_default();
        let mark = ThoughtField::ReasoningContent.signature();
        old.output.reset(ids, echo.wants_encrypted.then_some(mark));
        *self = Self {
            base: Base {
                ids,
                model: Cow::Owned(model),
                created: plan.created,
                echo,
            },
            names: wanted.names.cloned().unwrap_or_default(),
            key: wanted.key,
            fresh,
            calls: old.calls,
            output: old.output,
            tier: old.tier,
            ..Self::default()
        };
    }

    fn write(&mut self, event: &Event<'_>, books: &Books, out: &mut Vec<u8>) -> Put {
        match *event {
            Event::Thought(piece) => {
                return self.write_text(Kind::Reasoning, PartKind::Summary, piece, out);
            }
            Event::Text(piece) => {
                return self.write_text(Kind::Message, PartKind::Text, piece, out);
            }
            Event::Refusal(piece) => {
                self.refusal = Refusal::Worded;
                return self.write_text(Kind::Message, PartKind::Refusal, piece, out);
            }
            Event::ToolArguments { call, text } => {
                return self.output.write_arguments(call, text, out);
            }
            Event::Signature(signature) => {
                self.mark(signature);
                return Put::Aside;
            }
            Event::Logprobs(logprobs) => {
                self.output.logprobs.clear();
                self.output.logprobs.extend_from_slice(logprobs);
                return Put::Aside;
            }
            Event::Tier(tier) => {
                self.tier.clear();
                self.tier.extend_from_slice(tier);
                return Put::Aside;
            }
            Event::ToolStart {
                call,
                id,
                name,
                signature,
            } => self.start_call(call, [id, signature], name, out),
            Event::ToolEnd { call } => {
                if let Some(item) = self.output.queue.call(call) {
                    item.has_ended = true;
                }
                self.output.settle(out);
            }
            Event::Stop {
                reason,
                explanation,
                ..
            } => self.stop(reason, explanation, out),
            Event::Done => self.end(books, out),
            Event::Start { .. } | Event::Usage { .. } | Event::Error(_) => return Put::Aside,
        }
        Put::Anew
    }

    fn note_alike(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.output.note_alike(text, out);
    }

    fn waiting(&self) -> usize {
        self.output.queue.waiting()
    }

    fn kept(&self) -> usize {
        self.output.room() + self.base.echo.room()
    }

    fn write_error(&mut self, error: &[u8], provider: Dialect, out: &mut Vec<u8>) {
        let failure = failure::read(error, provider, self.key);
        self.fail(failure.code, &failure.message, out);
    }

    fn break_off(&mut self, reason: &str, out: &mut Vec<u8>) -> BrokenEnd {
        self.fail(blame::SERVER_ERROR, &json::quoted(reason), out);
        BrokenEnd::Told
    }

    fn sign(&self) -> Sign {
        Sign::Numbered {
            number: self.output.frames.number,
            step: 1,
        }
    }

    fn note_signs(&mut self, next: Sign) {
        if let Sign::Numbered { number, .. } = next {
            self.output.frames.number = number;
        }
    }
}

impl ResponsesWriter {
    /// Writes the beginning of the response, which goes before its first item or its end.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        for name in ["created", "in_progress"] {
            self.tell(name, Status::InProgress, None, out);
        }
    }

    fn write_text(
        &mut self,
        kind: Kind,
        part: PartKind,
        piece: Piece<'_>,
        out: &mut Vec<u8>,
    ) -> Put {
        self.begin(out);
        self.has_said |= kind == Kind::Message;
        self.output.write_text(kind, part, piece, out)
    }

    fn start_call(
        &mut self,
        call: u32,
        [id, signature]: [Option<&[u8]>; 2],
        name: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.begin(out);
        self.has_said = true;
        let signature = signature.map(json::text_inside);
        let fresh = &mut self.fresh;
        let carrying = |id: &str| signature::carrying_any(id, signature.as_deref());
        let own = id.map(|id| carrying(&json::text_inside(id)));
        let id = self.calls.give(own, || carrying(&ids::call(fresh)));
        let name = json::text_inside(name);
        let item = Item::call(call, &id, self.names.tool(&name));
        self.output.append(item, out);
    }

    /// Thoughts have come with this signature: one of a provider means nothing to another one, and
    /// only those of infermux are marks.
    fn mark(&mut self, signature: &[u8]) {
        let signature = std::str::from_utf8(signature).ok();
        let field = signature.and_then(ThoughtField::of_signature);
        if let (Some(mark), Some(field)) = (&mut self.output.mark, field) {
            *mark = field.signature();
        }
    }

    fn stop(&mut self, reason: Stop, explanation: Option<&[u8]>, out: &mut Vec<u8>) {
        self.begin(out);
        self.stop = Some(reason);
        let explanation = explanation.filter(|text| !text.is_empty());
        // A chat provider has told it piece by piece.
        if let (Some(text), Refusal::Unworded) = (explanation, self.refusal) {
            self.refusal = Refusal::Worded;
            let piece = Piece { text, at: None };
            self.write_text(Kind::Message, PartKind::Refusal, piece, out);
        }
    }

    /// Writes what still waits, and the end of the response.
    fn end(&mut self, books: &Books, out: &mut Vec<u8>) {
        self.begin(out);
        // Programs read the last item.
        if !self.has_said {
            self.output
                .append(Item::with(Kind::Message, PartKind::Text), out);
        }
        let status = Status::of(self.stop, self.refusal);
        while !self.output.queue.is_empty() {
            let is_cut = self.output.queue.is_one() && matches!(status, Status::Incomplete(_));
            let standing = if is_cut {
                Standing::Incomplete
            } else {
                Standing::Completed
            };
            self.output.close(standing, out);
            self.output.open(out);
        }
        let told = books.told.filter(|_| books.is_total);
        let spent = told.map(|usage| Spent {
            usage,
            thinking: books.thinking,
            cost: books.cost(),
        });
        self.tell(status.name(), status, spent, out);
    }

    /// Ends a response that has failed; items that are open stay so.
    fn fail(&mut self, code: &'static str, message: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        let status = Status::Failed(code, message);
        self.tell(status.name(), status, None, out);
    }

    /// Appends the event of this name, which has the whole response as it stands.
    fn tell(&mut self, name: &str, status: Status<'_>, spent: Option<Spent>, out: &mut Vec<u8>) {
        let (base, tier) = (&self.base, &self.tier);
        let write = |done: &[u8], event: &mut Composer<'_>| {
            let state = State {
                status,
                tier: Some(&**tier).filter(|tier| !tier.is_empty()),
                spent,
            };
            base.write(&state, done, event.member("response"));
        };
        self.output.write(name, write, out);
    }
}
