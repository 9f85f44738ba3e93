//! The list of models that one provider sends, in whatever shape.

use std::borrow::Cow;

use crate::base::endpoint::Dialect;
use crate::base::limits::MODEL_NAME_BYTES_MAX;
use crate::dialect::messages::read_models as anthropic;
use crate::wire::json::{self, Kind, Value, check};

/// The models of one provider, each with its entry in the callers' list.
#[derive(Debug, Default)]
pub struct ModelList {
    /// The entries, one behind the other.
    text: Vec<u8>,
    /// Each model's name, and where its entry ends.
    ends: Vec<(Box<str>, usize)>,
}

impl ModelList {
    /// Reads a list that came in `pages` from the provider called `owner`; `None`: the pages hold
    /// no list.
    ///
    /// OpenAI's shape and Anthropic's (`data`), Ollama's own (`models`) and a bare array are
    /// understood. Models without a name, and names that no request may carry, are left out.
    #[must_use]
    pub fn read(dialect: Dialect, owner: &str, pages: &[Vec<u8>]) -> Option<Self> {
        let mut list = Self::default();
        for page in pages {
            if !check::is_json(page) {
                return None;
            }
            for model in json::elements(models(page)?) {
                list.add(dialect, owner, &model.ok()?);
            }
        }
        list.text.shrink_to_fit();
        Some(list)
    }

    /// The models, each with its entry.
    pub fn models(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut from = 0;
        self.ends.iter().map(move |(name, end)| {
            let entry = self.text.get(from..*end).unwrap_or_default();
            from = *end;
            (&**name, entry)
        })
    }

    /// How many models there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes it takes, approximately.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = self
            .ends
            .iter()
            .map(|(name, _)| name.len() + size_of::<(Box<str>, usize)>());
        self.text.len() + names.sum::<usize>()
    }

    fn add(&mut self, dialect: Dialect, owner: &str, model: &Value<'_>) {
        let Some(name) = name(model).filter(|name| may_be_asked_for(name)) else {
            return;
        };
        match dialect {
            Dialect::Messages => {
                if !anthropic::write(model, &name, owner, &mut self.text) {
                    return;
                }
            }
            Dialect::Chat | Dialect::Responses => {
                if member(model, b"id").is_some() {
                    self.text.extend_from_slice(model.text);
                } else {
                    write_entry(&name, owner, &mut self.text);
                }
            }
        }
        self.ends.push((name.into(), self.text.len()));
    }
}

/// Appends the entry of a model of which only the name is known.
pub fn write_entry(id: &str, owner: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    json::write_string(id, out);
    // The time at which the model was made is not known.
    out.extend_from_slice(b",\"object\":\"model\",\"created\":0,\"owned_by\":");
    json::write_string(owner, out);
    out.push(b'}');
}

/// The array that holds the models.
fn models(page: &[u8]) -> Option<&[u8]> {
    if page.trim_ascii_start().first() == Some(&b'[') {
        return Some(page);
    }
    let list = |name| json::member(page, name).map(|member| member.value);
    let list = list(b"data").or_else(|| list(b"models"))?;
    (list.kind == Kind::Array).then_some(list.text)
}

/// The name by which requests ask for the model.
fn name<'a>(model: &Value<'a>) -> Option<Cow<'a, str>> {
    if model.kind == Kind::String {
        return model.string();
    }
    let names: [&[u8]; 3] = [b"id", b"model", b"name"];
    names.into_iter().find_map(|name| member(model, name))
}

fn member<'a>(model: &Value<'a>, name: &[u8]) -> Option<Cow<'a, str>> {
    if model.kind != Kind::Object {
        return None;
    }
    json::member(model.text, name)?.value.string()
}

fn may_be_asked_for(name: &str) -> bool {
    !name.is_empty() && name.len() <= MODEL_NAME_BYTES_MAX && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, pages: &[&str], expected: Option<&[(&str, &str)]>) {
        let bodies: Vec<Vec<u8>> = pages.iter().map(|page| page.as_bytes().to_vec()).collect();
        let list = ModelList::read(dialect, "p", &bodies);
        let found: Option<Vec<(&str, &str)>> = list.as_ref().map(|list| {
            let models = list.models();
            let text = |(name, entry)| (name, std::str::from_utf8(entry).unwrap());
            models.map(text).collect()
        });
        assert_eq!(found.as_deref(), expected, "{pages:?}");
    }

    #[test]
    fn every_shape_of_a_list_is_understood() {
        let openai = |page, expected| check(Dialect::Chat, &[page], expected);
        openai(
            r#"{"object":"list","data":[{"id":"a","x":1}, {"no":"id"},7,{"id":"b\u002fc"}]}"#,
            Some(&[
                ("a", r#"{"id":"a","x":1}"#),
                ("b/c", r#"{"id":"b\u002fc"}"#),
            ]),
        );
        openai(
            r#" [ {"id":"a"} , "b" ] "#,
            Some(&[
                ("a", r#"{"id":"a"}"#),
                (
                    "b",
                    r#"{"id":"b","object":"model","created":0,"owned_by":"p"}"#,
                ),
            ]),
        );
        openai(
            r#"{"models":[{"name":"llama3:8b","model":"llama3:8b","size":4}]}"#,
            Some(&[(
                "llama3:8b",
                r#"{"id":"llama3:8b","object":"model","created":0,"owned_by":"p"}"#,
            )]),
        );
        openai(r#"{"data":[]}"#, Some(&[]));
        openai(
            r#"{"data":[{"id":""},{"id":"a\u0000"},{"id":7}]}"#,
            Some(&[]),
        );
        for none in [
            "",
            "x",
            "7",
            "\"a\"",
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":[{"id":"a"}"#,
            r#"{"data":[{"id":"a"}],}"#,
            "[\u{1}]",
        ] {
            openai(none, None);
        }
        check(Dialect::Chat, &["[]", "{}"], None);
    }

    #[test]
    fn pages_are_one_list_and_anthropics_has_its_own_models_alone() {
        check(
            Dialect::Messages,
            &[
                r#"{"data":[{"id":"claude-a","created_at":"2025-11-24T00:00:00Z"},{"id":"g"}]}"#,
                r#"{"data":[{"id":"claude-b"}],"has_more":false}"#,
            ],
            Some(&[
                (
                    "claude-a",
                    r#"{"id":"claude-a","object":"model","created":1763942400,"owned_by":"p"}"#,
                ),
                (
                    "claude-b",
                    r#"{"id":"claude-b","object":"model","created":0,"owned_by":"p"}"#,
                ),
            ]),
        );
    }
}
