//! The items of translated answers, which callers may refer to later (rule I4 of
//! reference/responses-inbound.md): what of an answer is remembered, and what a request refers to.

use std::sync::Arc;

use memchr::memmem;

use crate::base::limits::REFERENCED_BYTES_MAX;
use crate::base::map::Map;
use crate::dialect::answer::ItemPlace;
use crate::dialect::responses::references;
use crate::dialect::responses::remembered::Remembered;
use crate::dialect::unsupported::Unsupported;
use crate::link::memory::{Memory, Thing};
use crate::wire::json::{self, Kind};
use crate::wire::needle;

/// The items of the whole process, as their answers had them.
pub type Items = Memory<Box<[u8]>>;

/// Remembers the items of a whole response, which stand at these `places` of its `body`.
pub fn remember(items: &Items, body: &[u8], places: &[ItemPlace]) {
    for place in places {
        let (id, item) = (body.get(place.id.clone()), body.get(place.item.clone()));
        if let (Some(id), Some(item)) = (id, item) {
            items.remember(id, item.into(), item.len());
        }
    }
}

/// Remembers the items of a `response` that was written as a whole.
fn remember_all(items: &Items, response: &[u8]) {
    let Some(output) = json::member(response, b"output").map(|output| output.value) else {
        return;
    };
    if output.kind != Kind::Array {
        return;
    }
    for item in json::elements(output.text).map_while(Result::ok) {
        if let Some(id) = json::member(item.text, b"id") {
            let id = id.value.word();
            items.remember(&id, item.text.into(), item.text.len());
        }
    }
}

/// Remembers the items of the response that ends the stream of `events`, if it does.
pub fn remember_last(items: &Items, events: &[u8]) {
    let Some(at) = memmem::rfind(events, b"\ndata: ") else {
        return;
    };
    let data = events.split_at(at + b"\ndata: ".len()).1;
    let end = memchr::memchr(b'\n', data).unwrap_or(data.len());
    let data = data.split_at(end).0;
    if let Some(response) = json::member(data, b"response") {
        remember_all(items, response.value.text);
    }
}

/// The items that one request refers to.
#[derive(Debug, Default)]
pub struct Found(Map<Box<[u8]>, Item>);

/// A remembered item, as JSON text.
type Item = Arc<Thing<Box<[u8]>>>;

impl Found {
    /// Looks up what the request `body`, which is JSON, refers to.
    ///
    /// # Errors
    /// With all items in the places of their references, the request would be far longer than it
    /// is: each item counts as often as it is referred to.
    pub fn of(items: &Items, body: &[u8]) -> Result<Self, Unsupported> {
        let mut found = Self::default();
        if items.bytes() == 0 || !needle::is_in(body, b"item_reference") {
            return Ok(found);
        }
        let mut bytes = 0_usize;
        references::each_own(body, |id| {
            if let Some(item) = items.find(id) {
                bytes = bytes.saturating_add(item.thing.len());
                if bytes <= REFERENCED_BYTES_MAX {
                    found.0.insert(id.into(), item);
                }
            }
        });
        if bytes > REFERENCED_BYTES_MAX {
            return Err(Unsupported::referenced());
        }
        Ok(found)
    }
}

impl Remembered for Found {
    fn item(&self, id: &str) -> Option<&[u8]> {
        self.0.get(id.as_bytes()).map(|item| &*item.thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &str = r#"{"id":"resp_ifx_0","output":[
        {"id":"rs_ifx_0a","type":"reasoning","summary":[]},
        {"type":"message","id":"msg_ifx_0b","content":[{"id":"no"}]},{"type":"odd"}]}"#;

    fn found(items: &Items, ids: &[&str]) -> Vec<Option<String>> {
        let references = ids
            .iter()
            .map(|id| format!(r#"{{"type":"item_reference","id":"{id}"}}"#));
        let references: Vec<String> = references.collect();
        let body = format!(r#"{{"input":[{}]}}"#, references.join(","));
        let found = Found::of(items, body.as_bytes()).expect("few bytes");
        let text = |id: &&str| {
            let item = found.item(id)?;
            Some(String::from_utf8(item.to_vec()).expect("UTF-8"))
        };
        ids.iter().map(text).collect()
    }

    #[test]
    fn the_items_of_an_answer_are_found_as_they_stood_in_it() {
        let reasoning = Some(r#"{"id":"rs_ifx_0a","type":"reasoning","summary":[]}"#.to_owned());
        let message =
            Some(r#"{"type":"message","id":"msg_ifx_0b","content":[{"id":"no"}]}"#.to_owned());
        let ids = ["rs_ifx_0a", "msg_ifx_0b", "no", "resp_ifx_0"];
        let expected = [reasoning, message, None, None];

        let whole = Items::new(8, 10_000, Arc::default());
        remember_all(&whole, RESPONSE.as_bytes());
        assert_eq!(found(&whole, &ids), expected);

        let streamed = Items::new(8, 10_000, Arc::default());
        let line = RESPONSE.replace('\n', "");
        let line = line.replace("        ", "");
        let events = format!(
            "event: response.output_item.done\ndata: {{\"item\":{{\"id\":\"x_ifx_0\"}}}}\n\n\
             event: response.completed\ndata: {{\"response\":{line}}}\n\n"
        );
        remember_last(&streamed, events.as_bytes());
        assert_eq!(found(&streamed, &ids), expected);
    }

    #[test]
    fn an_item_counts_as_often_as_it_is_referred_to() {
        let items = Items::new(8, 1 << 20, Arc::default());
        let text = "x".repeat(60_000);
        let response = format!(r#"{{"output":[{{"id":"msg_ifx_0b","text":"{text}"}}]}}"#);
        remember_all(&items, response.as_bytes());
        let refers = |count: usize| {
            let reference = r#"{"type":"item_reference","id":"msg_ifx_0b"}"#;
            let body = format!(r#"{{"input":[{}]}}"#, vec![reference; count].join(","));
            Found::of(&items, body.as_bytes()).is_ok()
        };
        let most = REFERENCED_BYTES_MAX / 60_000 - 1;
        assert!(refers(1) && refers(most));
        assert!(!refers(most + 2) && !refers(10 * most));
    }

    #[test]
    fn whatever_is_no_answer_leaves_nothing() {
        let items = Items::new(8, 10_000, Arc::default());
        for odd in [
            "",
            "{}",
            "[]",
            r#"{"output":{}}"#,
            r#"{"output":[1]}"#,
            "<html>",
        ] {
            remember_all(&items, odd.as_bytes());
            remember_last(&items, odd.as_bytes());
            remember_last(&items, format!("\ndata: {odd}").as_bytes());
        }
        assert_eq!(items.bytes(), 0);
    }
}
