//! The responses that an instance stores, and what later requests find of them.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::read::items_of;
use crate::ask::Objection;
use crate::endpoint::Wish;
use crate::reply::{Event, seal};
use crate::script::Script;
use crate::strict::check_pairs;

/// The responses that are stored, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Shelf(VecDeque<Stored>);

/// One stored response.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    /// All items that it was made from.
    pub(crate) items: Vec<Value>,
    /// The response as it ends.
    pub(crate) body: Value,
    pub(crate) events: Vec<Event>,
    /// Whether it is made in the background, and its first reader finds it unfinished.
    pub(crate) pending: bool,
}

impl Shelf {
    /// Stores a response; the oldest one makes room.
    pub(crate) fn put(&mut self, mut stored: Stored) {
        for (place, item) in stored.items.iter_mut().enumerate() {
            if let Some(item) = item.as_object_mut()
                && !item.contains_key("id")
            {
                let kind = if item.contains_key("role") {
                    "msg"
                } else {
                    "in"
                };
                let id = format!("{kind}_{}_{place}", stored.id);
                item.insert("id".to_owned(), json!(id));
            }
        }
        if self.0.len() >= STORED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(stored);
    }

    /// Puts the items of the former response in front of those of a body, and the items that it
    /// refers to in place of the references.
    pub(crate) fn gather(
        &self,
        script: &Script,
        body: &mut Map<String, Value>,
    ) -> Result<(), Objection> {
        let text = |key| body.get(key).and_then(Value::as_str);
        let mut items = match text("previous_response_id") {
            Some(id) => self.former(id)?,
            None => Vec::new(),
        };
        let conversation =
            text("conversation").or_else(|| body.get("conversation")?.get("id")?.as_str());
        if let Some(id) = conversation
            && !script.conversations.iter().any(|known| known == id)
        {
            let message = format!("Conversation with id '{id}' not found.");
            return Err(Objection::new(404, None, message).about("conversation"));
        }
        for (index, item) in items_of(body.get("input")).into_iter().enumerate() {
            items.push(self.resolved(&script.name, item, index)?);
        }
        check_pairs(&items)?;
        body.insert("input".to_owned(), Value::Array(items));
        Ok(())
    }

    /// All that was said up to the end of a response.
    fn former(&self, id: &str) -> Result<Vec<Value>, Objection> {
        let Some(stored) = self.find(id) else {
            let message = format!("Previous response with id '{id}' not found.");
            return Err(
                Objection::new(400, Some("previous_response_not_found"), message)
                    .about("previous_response_id"),
            );
        };
        let output = stored.body.get("output").and_then(Value::as_array);
        let output = output.into_iter().flatten();
        Ok(stored.items.iter().chain(output).cloned().collect())
    }

    /// The item itself, or what it refers to.
    fn resolved(&self, name: &str, item: Value, index: usize) -> Result<Value, Objection> {
        let text = |key| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, id) = (text("type"), text("id"));
        let sealed = item.get("encrypted_content").and_then(Value::as_str);
        match (kind, sealed) {
            ("reasoning" | "compaction", Some(sealed)) if !seal::is_of(name, sealed) => {
                let start: String = sealed.chars().take(8).collect();
                let message = format!(
                    "The encrypted content {start}... could not be verified. Reason: Encrypted \
                     content could not be decrypted or parsed."
                );
                let objection = Objection::new(400, Some("invalid_encrypted_content"), message);
                Err(objection.about(format!("input[{index}].encrypted_content")))
            }
            ("item_reference", _) => match self.item(id) {
                Some(found) => Ok(found.clone()),
                None => Err(unknown_item(id)),
            },
            ("reasoning", None) if !id.is_empty() && self.item(id).is_none() => {
                Err(unknown_item(id))
            }
            (_, _) => Ok(item),
        }
    }

    fn find(&self, id: &str) -> Option<&Stored> {
        self.0.iter().find(|stored| stored.id == id)
    }

    /// A stored item, of an input or an output.
    fn item(&self, id: &str) -> Option<&Value> {
        let items = self.0.iter().flat_map(|stored| {
            let output = stored.body.get("output").and_then(Value::as_array);
            output.into_iter().flatten().chain(&stored.items)
        });
        let is_it = |item: &&Value| item.get("id").and_then(Value::as_str) == Some(id);
        items.into_iter().find(is_it)
    }

    /// The events of a stored response, for a reader who wants it as a stream.
    pub(crate) fn events(&self, id: &str) -> Option<&[Event]> {
        Some(&self.find(id)?.events)
    }

    /// Does what is asked of a stored response, and answers.
    pub(crate) fn grant(&mut self, id: &str, wish: Wish) -> Result<Value, Objection> {
        let Some(place) = self.0.iter().position(|stored| stored.id == id) else {
            let message = format!("Response with id '{id}' not found.");
            return Err(Objection::new(404, None, message));
        };
        let Some(stored) = self.0.get_mut(place) else {
            return Err(Objection::bad("no such place"));
        };
        Ok(match wish {
            Wish::Show if std::mem::take(&mut stored.pending) => {
                unfinished(&stored.body, "in_progress")
            }
            Wish::Show => stored.body.clone(),
            Wish::Delete => {
                self.0.remove(place);
                json!({"id": id, "object": "response", "deleted": true})
            }
            Wish::Items => {
                let ids = |item: Option<&Value>| item.and_then(|item| item.get("id").cloned());
                let (first, last) = (ids(stored.items.first()), ids(stored.items.last()));
                json!({"object": "list", "data": stored.items, "first_id": first,
                    "last_id": last, "has_more": false})
            }
            Wish::Cancel if stored.body.get("background") != Some(&Value::Bool(true)) => {
                return Err(Objection::bad("Cannot cancel a synchronous response."));
            }
            Wish::Cancel => {
                if std::mem::take(&mut stored.pending) {
                    stored.body = unfinished(&stored.body, "cancelled");
                }
                stored.body.clone()
            }
        })
    }
}

/// A response that has not come to its end.
pub(crate) fn unfinished(body: &Value, status: &str) -> Value {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.insert("status".to_owned(), json!(status));
        body.insert("output".to_owned(), json!([]));
        body.insert("usage".to_owned(), Value::Null);
    }
    body
}

fn unknown_item(id: &str) -> Objection {
    let message = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try \
         again with `store` set to true, or remove this item from your input."
    );
    Objection::new(404, None, message).about("input")
}

/// How many responses are stored.
const STORED_MAX: usize = 1_024;
