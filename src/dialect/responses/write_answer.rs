//! Writes a whole response (section 4 of reference/responses-inbound.md).

use super::ids::{self, Ids};
use super::item::{Item, Kind, Part, PartKind, Standing};
use super::object::{Base, Refusal, Spent, State, Status};
use crate::dialect::answer::{Answer, Call, ItemPlace};
use crate::dialect::call_ids::CallIds;
use crate::dialect::compose::{between_quotes, compact};
use crate::dialect::fresh::Fresh;
use crate::dialect::names::Names;
use crate::dialect::prompt::Input;
use crate::dialect::queue::Block;
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
) -> Vec<ItemPlace> {
    let mut fresh = Fresh::new(wanted.seed);
    let base = Base {
        ids: Ids::new(&mut fresh),
        model: caller_model.to_vec(),
        created,
        echo: wanted.echo.cloned().unwrap_or_default(),
    };
    let refusal = match answer.refusal {
        Some(text) if !between_quotes(text).is_empty() => Refusal::Worded,
        Some(_) | None => Refusal::Unworded,
    };
    let status = Status::of(answer.stop, refusal);
    let items = items(answer, wanted, &mut fresh);
    let field = answer.signature.and_then(|signature| {
        ThoughtField::of_signature(std::str::from_utf8(signature).unwrap_or_default())
    });
    let field = field.unwrap_or(ThoughtField::ReasoningContent);
    let mark = base.echo.wants_encrypted.then(|| field.signature());
    let mut output = Vec::with_capacity(items.iter().map(Block::room).sum());
    let mut places = write_items(&items, &base, status, mark, &mut output);
    let usage = answer.known().usage;
    let state = State {
        status,
        output: &output,
        tier: answer.tier.map(between_quotes),
        spent: usage.map(|usage| Spent {
            usage,
            thinking: answer.thinking,
            cost: None,
        }),
    };
    let at = base.write(&state, out);
    for ItemPlace { item, id } in &mut places {
        *item = at + item.start..at + item.end;
        *id = at + id.start..at + id.end;
    }
    places
}

/// Appends `items` as the inside of a list; returns their places.
fn write_items(
    items: &[Item],
    base: &Base,
    status: Status<'_>,
    mark: Option<&str>,
    out: &mut Vec<u8>,
) -> Vec<ItemPlace> {
    let (mut places, mut id) = (Vec::with_capacity(items.len()), Vec::with_capacity(64));
    let last = items.len().saturating_sub(1);
    for (index, (place, item)) in (0..).zip(items.iter().enumerate()) {
        if place > 0 {
            out.push(b',');
        }
        id.clear();
        base.ids.write_item(item.kind.prefix(), index, &mut id);
        let standing = match status {
            Status::Incomplete(_) if place == last => Standing::Incomplete,
            Status::InProgress | Status::Completed | Status::Incomplete(_) | Status::Failed(..) => {
                Standing::Completed
            }
        };
        let begin = out.len();
        let id = item.write(&id, standing, mark, out);
        let item = begin..out.len();
        places.push(ItemPlace { item, id });
    }
    places
}

fn items(answer: &Answer<'_>, wanted: &Wanted<'_>, fresh: &mut Fresh) -> Vec<Item> {
    let mut items = Vec::new();
    let thoughts = answer.thoughts.iter().copied();
    let mut reasoning = Item::new(Kind::Reasoning);
    add_text(PartKind::Summary, thoughts, b"", &mut reasoning);
    if !reasoning.parts.is_empty() {
        items.push(reasoning);
    }
    let mut message = Item::new(Kind::Message);
    let texts = answer.texts.iter().copied();
    let logprobs = answer.logprobs.as_deref().unwrap_or_default();
    add_text(PartKind::Text, texts, logprobs, &mut message);
    add_text(
        PartKind::Refusal,
        answer.refusal.into_iter(),
        b"",
        &mut message,
    );
    if !message.parts.is_empty() {
        items.push(message);
    } else if answer.calls.is_empty() {
        // Programs read the last item.
        items.push(Item::with(Kind::Message, PartKind::Text));
    }
    let (mut ids, none) = (CallIds::default(), Names::default());
    for (number, call) in (0..).zip(&answer.calls) {
        let signature = call
            .signature
            .map(|signature| json::text_inside(between_quotes(signature)));
        let carrying = |id: &str| signature::carrying_any(id, signature.as_deref());
        let own = call.id.map(|id| json::text_inside(between_quotes(id)));
        let own = own.filter(|own| !own.is_empty()).map(|own| carrying(&own));
        let id = ids.give(own, || carrying(&ids::call(fresh)));
        let name = json::text_inside(between_quotes(&call.name));
        let tool = wanted.names.unwrap_or(&none).tool(&name);
        items.push(finished_call(call, Item::call(number, &id, tool)));
    }
    items
}

/// Adds the strings as one part, unless they are empty.
fn add_text<'t>(
    kind: PartKind,
    strings: impl Iterator<Item = &'t [u8]>,
    logprobs: &[u8],
    item: &mut Item,
) {
    let mut part = Part::new(kind);
    strings.for_each(|string| {
        part.add(between_quotes(string), b"");
    });
    if !part.text.is_empty() {
        part.add(b"", logprobs);
        item.parts.push(part);
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

#[cfg(test)]
#[path = "write_answer_tests.rs"]
mod tests;
