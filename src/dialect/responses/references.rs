//! What a request for a response refers to that was made before: earlier responses, conversations,
//! items, and contents that only their maker can open (rules I1 to I3 of
//! reference/responses-inbound.md).

use std::borrow::Cow;

use memchr::memchr;

use crate::wire::json::{self, Kind, Value};
use crate::wire::needle;

/// One thing that a request refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where it stands.
    pub place: Place,
    /// What names it: an id, or a sealed content.
    pub name: Cow<'a, [u8]>,
}

/// Where a reference stands. Items are known by their places in `input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `previous_response_id`
    PreviousResponse,
    /// `conversation`
    Conversation,
    /// An `item_reference`.
    Item(usize),
    /// A reasoning item, which can be left out.
    Reasoning(usize),
    /// A compaction item, which cannot.
    Compaction(usize),
}

/// How the ids begin of responses that infermux has translated, and the mark in all ids of theirs.
pub const OWN_RESPONSE: &[u8] = b"resp_ifx_";
/// What stands behind the prefix of each id that infermux has made.
const OWN_MARK: &[u8] = b"_ifx_";
/// How a content begins that infermux has put in the place of a sealed one.
const OWN_CONTENT: &[u8] = b"infermux.";

/// Whether `body` may refer to a response that infermux has translated.
#[must_use]
pub fn may_name_own_response(body: &[u8]) -> bool {
    needle::is_in(body, OWN_RESPONSE)
}

/// Whether `body` may refer to anything that infermux has made, an item or a response: where
/// nothing is escaped, their ids stand in it as they are.
#[must_use]
pub fn may_name_own(body: &[u8]) -> bool {
    needle::is_in(body, OWN_MARK) || memchr(b'\\', body).is_some()
}

impl Place {
    /// The place of a reasoning item.
    #[must_use]
    pub const fn reasoning(self) -> Option<usize> {
        match self {
            Self::Reasoning(at) => Some(at),
            Self::PreviousResponse | Self::Conversation | Self::Item(_) | Self::Compaction(_) => {
                None
            }
        }
    }
}

/// Whether infermux has made this id.
#[must_use]
pub fn is_own(id: &[u8]) -> bool {
    needle::is_in(id, OWN_MARK)
}

/// Calls `tell` with each thing that the request `body`, which is JSON, refers to. Items that
/// infermux itself has made are no references to a provider, and are left out.
pub fn each<'a>(body: &'a [u8], mut tell: impl FnMut(Reference<'a>)) {
    for member in json::members(body).map_while(Result::ok) {
        let value = member.value;
        if member.name.is(b"previous_response_id")
            && value.kind == Kind::String
            && !value.is_blank()
        {
            tell(Reference {
                place: Place::PreviousResponse,
                name: value.word(),
            });
        } else if member.name.is(b"conversation") {
            let id = match value.kind {
                Kind::Object => json::member(value.text, b"id").map(|id| id.value),
                _ => Some(value),
            };
            if let Some(id) = id.filter(|id| id.kind == Kind::String) {
                tell(Reference {
                    place: Place::Conversation,
                    name: id.word(),
                });
            }
        } else if member.name.is(b"input") && value.kind == Kind::Array {
            let items = json::elements(value.text).map_while(Result::ok);
            let found = items
                .enumerate()
                .filter_map(|(at, item)| of_item(&item, at));
            found.for_each(&mut tell);
        }
    }
}

/// Calls `tell` with the id of each item that the request `body` refers to and that infermux may
/// have made.
pub fn each_own(body: &[u8], mut tell: impl FnMut(&[u8])) {
    let Some(input) = json::member(body, b"input").map(|input| input.value) else {
        return;
    };
    if input.kind != Kind::Array {
        return;
    }
    for item in json::elements(input.text).map_while(Result::ok) {
        let is = |name: &[u8]| json::member(item.text, name).map(|member| member.value);
        if is(b"type").is_some_and(|kind| kind.says("item_reference"))
            && let Some(id) = is(b"id")
            && is_own(&id.word())
        {
            tell(&id.word());
        }
    }
}

/// What the item of `input` at this place refers to.
fn of_item<'a>(item: &Value<'a>, at: usize) -> Option<Reference<'a>> {
    if item.kind != Kind::Object {
        return None;
    }
    let (mut place, mut id, mut content) = (None, None, None);
    for member in json::members(item.text).map_while(Result::ok) {
        let value = member.value;
        if value.kind != Kind::String {
            continue;
        }
        if member.name.is(b"type") {
            place = value.known(|kind| match kind {
                b"item_reference" => Some(Place::Item(at)),
                b"reasoning" => Some(Place::Reasoning(at)),
                b"compaction" => Some(Place::Compaction(at)),
                _ => None,
            });
        } else if member.name.is(b"id") {
            id = Some(value);
        } else if member.name.is(b"encrypted_content") {
            content = Some(value);
        }
    }
    let place = place?;
    let name = match place {
        Place::Item(_) => id?.word(),
        _ => content.or(id)?.word(),
    };
    let is_own = is_own(&name) && content.is_none() || name.starts_with(OWN_CONTENT);
    (!is_own && !name.is_empty()).then_some(Reference { place, name })
}

/// Calls `tell` with each name in the response `body`, a JSON object, that a later request may
/// refer to: its own id, its conversation's, those of its items, and their sealed contents.
pub fn each_made<'a>(body: &'a [u8], mut tell: impl FnMut(&Cow<'a, [u8]>)) {
    for member in json::members(body).map_while(Result::ok) {
        let value = member.value;
        if member.name.is(b"id") && value.kind == Kind::String {
            tell(&value.word());
        } else if member.name.is(b"conversation") && value.kind == Kind::Object {
            if let Some(id) = json::member(value.text, b"id") {
                tell(&id.value.word());
            }
        } else if member.name.is(b"output") && value.kind == Kind::Array {
            let items = json::elements(value.text).map_while(Result::ok);
            items.for_each(|item| each_made_in_item(item.text, &mut tell));
        }
    }
}

/// As [`each_made`], for the data of an event of a stream.
pub fn each_made_in_event<'a>(data: &'a [u8], mut tell: impl FnMut(&Cow<'a, [u8]>)) {
    if !may_make(data) {
        return;
    }
    if let Some(response) = json::member(data, b"response") {
        each_made(response.value.text, tell);
    } else if let Some(item) = json::member(data, b"item") {
        each_made_in_item(item.value.text, &mut tell);
    }
}

/// Whether an event may make something: deltas, which are nearly all of a stream, do not.
fn may_make(data: &[u8]) -> bool {
    let kind = match data.strip_prefix(b"{\"type\":\"") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'"');
            Cow::Borrowed(rest.split_at(end.unwrap_or(0)).0)
        }
        None => match json::member(data, b"type") {
            Some(kind) => kind.value.word(),
            None => return false,
        },
    };
    matches!(
        &*kind,
        b"response.created"
            | b"response.output_item.done"
            | b"response.completed"
            | b"response.incomplete"
    )
}

fn each_made_in_item<'a>(item: &'a [u8], tell: &mut impl FnMut(&Cow<'a, [u8]>)) {
    for member in json::members(item).map_while(Result::ok) {
        let is_name = member.name.is(b"id") || member.name.is(b"encrypted_content");
        if is_name && member.value.kind == Kind::String {
            tell(&member.value.word());
        }
    }
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
