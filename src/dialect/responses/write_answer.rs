//! Writes a whole response (section 4 of reference/responses-inbound.md).

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::ids::{self, Ids};
use super::item::{self, Item, Kind, PartKind, Standing};
use super::object::{Base, Refusal, Spent, State, Status};
use crate::dialect::answer::{Answer, Call, ItemPlace};
use crate::dialect::call_ids::CallIds;
use crate::dialect::compose::{Composer, between_quotes, compact};
use crate::dialect::fresh::Fresh;
use crate::dialect::names::Names;
use crate::dialect::prompt::Input;
use crate::dialect::shell::plan::Wanted;
use crate::dialect::signature::{self, ThoughtField};
use crate::wire::json;

/// Appends the response that tells `answer`, made at `created`. `caller_model` is the caller's name
/// for the model, a JSON string with its quotes. Returns the places of its items.
pub fn write(
    answer: &Answer<'_>,
    caller_model: &[u8],
    created: u64,
    wanted: &Wanted<'_>,
    out: &mut Vec<u8>,
) -> SmallVec<[ItemPlace; 1]> {
    let mut fresh = Fresh::new(wanted.seed);
    let base = Base {
        ids: Ids::new(&mut fresh),
        model: Cow::Borrowed(caller_model),
        created,
        echo: wanted.echo.cloned().unwrap_or_default(),
    };
    let refusal = match answer.refusal {
        Some(text) if !between_quotes(text).is_empty() => Refusal::Worded,
        Some(_) | None => Refusal::Unworded,
    };
    let usage = answer.known().usage;
    let state = State {
        status: Status::of(answer.stop, refusal),
        tier: answer.tier.map(between_quotes),
        spent: usage.map(|usage| Spent {
            usage,
            thinking: answer.thinking,
            cost: None,
        }),
    };
    let output = Output {
        answer,
        has_thoughts: says_any(&answer.thoughts),
        has_text: says_any(&answer.texts),
        has_refusal: refusal == Refusal::Worded,
    };
    base.write_around(&state, output.room(), out, |out| {
        let mut items = Items {
            ids: &base.ids,
            last: match state.status {
                Status::Incomplete(_) => Standing::Incomplete,
                Status::InProgress | Status::Completed | Status::Failed(..) => Standing::Completed,
            },
            count: output.count(),
            places: SmallVec::with_capacity(output.count()),
            out,
        };
        output.write(&base, &mut items);
        output.write_calls(wanted, &mut fresh, &mut items);
        items.places
    })
}

/// Whether one of these strings is not empty.
fn says_any(strings: &[&[u8]]) -> bool {
    strings.iter().any(|text| !between_quotes(text).is_empty())
}

/// What an answer's output has.
struct Output<'o, 'a> {
    answer: &'o Answer<'a>,
    has_thoughts: bool,
    has_text: bool,
    has_refusal: bool,
}

impl Output<'_, '_> {
    /// Whether it has a message. Programs read the last item, so that there is one of them at
    /// least.
    const fn has_message(&self) -> bool {
        self.has_text || self.has_refusal || self.answer.calls.is_empty()
    }

    /// How many items it has.
    fn count(&self) -> usize {
        usize::from(self.has_thoughts) + usize::from(self.has_message()) + self.answer.calls.len()
    }

    /// How many bytes it takes, as a rule.
    fn room(&self) -> usize {
        let answer = self.answer;
        let logprobs = answer.logprobs.as_ref().map_or(0, Vec::len);
        answer.text_bytes + logprobs + self.count() * AROUND_ITEM_BYTES
    }

    /// Appends what the model has thought and said.
    fn write(&self, base: &Base<'_>, items: &mut Items<'_>) {
        let inside = |strings: &[&[u8]], kind, logprobs: &[u8], out: &mut Vec<u8>| {
            let texts = strings.iter().map(|text| between_quotes(text));
            item::write_joined(kind, texts, logprobs, out);
        };
        let answer = self.answer;
        if self.has_thoughts {
            let mark = base.echo.wants_encrypted.then(|| mark_of(answer));
            items.add_list(Kind::Reasoning, mark, |parts| {
                inside(&answer.thoughts, PartKind::Summary, b"", parts.element());
            });
        }
        if self.has_message() {
            let logprobs = answer.logprobs.as_deref().filter(|_| self.has_text);
            items.add_list(Kind::Message, None, |parts| {
                if self.has_text || !self.has_refusal {
                    let logprobs = logprobs.unwrap_or_default();
                    inside(&answer.texts, PartKind::Text, logprobs, parts.element());
                }
                if self.has_refusal {
                    inside(
                        answer.refusal.as_slice(),
                        PartKind::Refusal,
                        b"",
                        parts.element(),
                    );
                }
            });
        }
    }

    /// Appends the calls of tools.
    fn write_calls(&self, wanted: &Wanted<'_>, fresh: &mut Fresh, items: &mut Items<'_>) {
        if self.answer.calls.is_empty() {
            return;
        }
        let (mut ids, none) = (CallIds::default(), Names::default());
        for (number, call) in (0..).zip(&self.answer.calls) {
            let signature = call
                .signature
                .map(|signature| json::text_inside(between_quotes(signature)));
            let carrying = |id: &str| signature::carrying_any(id, signature.as_deref());
            let own = call.id.map(|id| json::text_inside(between_quotes(id)));
            let own = own.filter(|own| !own.is_empty()).map(|own| carrying(&own));
            let id = ids.give(own, || carrying(&ids::call(fresh)));
            let name = json::text_inside(between_quotes(&call.name));
            let tool = wanted.names.unwrap_or(&none).tool(&name);
            items.add_call(&finished_call(call, Item::call(number, &id, tool)));
        }
    }
}

/// What the caller sends back with the reasoning of an answer.
fn mark_of(answer: &Answer<'_>) -> &'static str {
    let field = answer.signature.and_then(|signature| {
        ThoughtField::of_signature(std::str::from_utf8(signature).unwrap_or_default())
    });
    field.unwrap_or(ThoughtField::ReasoningContent).signature()
}

/// The items of an output, as they are written one after the other.
struct Items<'w> {
    ids: &'w Ids,
    /// How the last one stands; the others are complete.
    last: Standing,
    /// How many there will be.
    count: usize,
    places: SmallVec<[ItemPlace; 1]>,
    out: &'w mut Vec<u8>,
}

impl Items<'_> {
    /// Adds an item with a list of parts. `mark` is what the caller sends back with reasoning.
    fn add_list(
        &mut self,
        kind: Kind,
        mark: Option<&str>,
        write_parts: impl FnOnce(&mut Composer<'_>),
    ) {
        let ids = self.ids;
        self.add(|index, standing, out| {
            let id = item::begin(kind, standing, out, |out| {
                ids.write_item(kind.prefix(), index, out);
            });
            let mut parts = Composer::array(out);
            write_parts(&mut parts);
            parts.end();
            let mut told = Composer::within(out);
            if let Some(mark) = mark {
                told.string("encrypted_content", mark);
            }
            told.end();
            id
        });
    }

    fn add_call(&mut self, call: &Item) {
        let ids = self.ids;
        self.add(|index, standing, out| {
            let mut id = Vec::new();
            ids.write_item(call.kind.prefix(), index, &mut id);
            call.write(&id, standing, None, out)
        });
    }

    /// Adds what `write` appends, an item with this index and this standing; it returns the place
    /// of the item's id.
    fn add(&mut self, write: impl FnOnce(u32, Standing, &mut Vec<u8>) -> Range<usize>) {
        let place = self.places.len();
        if place > 0 {
            self.out.push(b',');
        }
        let is_last = place + 1 == self.count;
        let standing = if is_last {
            self.last
        } else {
            Standing::Completed
        };
        let begin = self.out.len();
        let id = write(u32::try_from(place).unwrap_or(u32::MAX), standing, self.out);
        let item = begin..self.out.len();
        self.places.push(ItemPlace { item, id });
    }
}

/// The item of a call with its arguments: as they were written, if that was in a string.
fn finished_call(call: &Call<'_>, mut item: Item) -> Item {
    let mut written = Vec::new();
    let inside = match (call.written, &call.input) {
        (Some(string), _) => between_quotes(string),
        (None, Input::Object(input) | Input::Other(input)) => {
            let mut text = Vec::new();
            compact(input, &mut text);
            json::write_string(&String::from_utf8_lossy(&text), &mut written);
            between_quotes(&written)
        }
    };
    item.arguments.take(inside);
    if let Some(part) = item.parts.last_mut() {
        part.add(inside, b"");
    }
    item.finish();
    item
}

/// Most bytes that an item has around its text, as a rule.
const AROUND_ITEM_BYTES: usize = 256;

#[cfg(test)]
#[path = "write_answer_tests.rs"]
mod tests;
