//! The list of models: what the providers of the Plan claim, and what open ones say they serve.

use crate::base::ids::ProviderId;
use crate::config::plan::Plan;
use crate::wire::json;

/// The models that the Plan names, and the providers that must be asked for theirs.
pub struct Catalogue {
    /// Each model once, with the first provider that claims it.
    claimed: Vec<(Box<str>, Box<str>)>,
    /// Providers without `models`, in declaration order.
    open: Vec<ProviderId>,
}

impl Catalogue {
    /// The catalogue of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut catalogue = Self {
            claimed: Vec::new(),
            open: Vec::new(),
        };
        let mut seen = std::collections::HashSet::new();
        for provider in &plan.providers {
            if provider.models.is_empty() {
                catalogue.open.push(provider.id);
            }
            let aliases = provider.model_aliases.iter();
            let names = aliases.flat_map(|(alias, target)| [alias, target]);
            for name in provider.models.iter().chain(names) {
                if seen.insert(name.clone()) {
                    catalogue
                        .claimed
                        .push((name.clone(), provider.name.clone()));
                }
            }
        }
        catalogue
    }

    /// Providers that must be asked for their models.
    #[must_use]
    pub fn open(&self) -> &[ProviderId] {
        &self.open
    }

    /// The models that the Plan names.
    #[must_use]
    pub fn list(&self) -> List {
        let mut list = List {
            body: b"{\"object\":\"list\",\"data\":[".to_vec(),
            ids: Vec::new(),
        };
        for (id, owner) in &self.claimed {
            list.begin(id.as_bytes());
            write_model(id, owner, &mut list.body);
        }
        list
    }

    /// Appends the model called `id`; whether the Plan names it.
    pub fn write_claimed(&self, id: &str, out: &mut Vec<u8>) -> bool {
        let found = self.claimed.iter().find(|(claimed, _)| **claimed == *id);
        if let Some((id, owner)) = found {
            write_model(id, owner, out);
        }
        found.is_some()
    }
}

/// A list of models that is being put together.
pub struct List {
    body: Vec<u8>,
    ids: Vec<Box<[u8]>>,
}

impl List {
    /// Adds the models of a provider's own list that are not there yet; how many there are, or
    /// `None` where `answer` is no list.
    pub fn add(&mut self, answer: &[u8]) -> Option<usize> {
        let data = json::member(answer, b"data")?;
        let mut count = 0;
        for model in json::elements(data.value.text) {
            let model = model.ok()?;
            let Some(id) = json::member(model.text, b"id").and_then(|id| id.value.string()) else {
                continue;
            };
            count += 1;
            if !self.ids.iter().any(|known| **known == *id.as_bytes()) {
                self.begin(id.as_bytes());
                self.body.extend_from_slice(model.text);
            }
        }
        Some(count)
    }

    /// Whether no model is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The list as the body of an answer.
    #[must_use]
    pub fn into_body(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"]}");
        self.body
    }

    fn begin(&mut self, id: &[u8]) {
        if !self.ids.is_empty() {
            self.body.push(b',');
        }
        self.ids.push(id.into());
    }
}

/// Appends the model called `id` from a provider's own list; whether it is there.
pub fn write_found(answer: &[u8], id: &str, out: &mut Vec<u8>) -> bool {
    let Some(data) = json::member(answer, b"data") else {
        return false;
    };
    let mut models = json::elements(data.value.text).filter_map(Result::ok);
    let found = models.find(|model| {
        let found = json::member(model.text, b"id").and_then(|id| id.value.string());
        found.as_deref() == Some(id)
    });
    if let Some(model) = &found {
        out.extend_from_slice(model.text);
    }
    found.is_some()
}

/// The time at which a configured model was made is not known.
fn write_model(id: &str, owner: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    json::write_string(id, out);
    out.extend_from_slice(b",\"object\":\"model\",\"created\":0,\"owned_by\":");
    json::write_string(owner, out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_without_repeats() {
        let mut list = List {
            body: b"{\"data\":[".to_vec(),
            ids: Vec::new(),
        };
        let answer = br#"{"object":"list","data":[{"id":"a","x":1},{"no":"id"},{"id":"b"}]}"#;
        assert_eq!(list.add(answer), Some(2));
        assert_eq!(
            list.add(br#"{"data":[{"id":"b","y":2},{"id":"c"}]}"#),
            Some(2)
        );
        assert_eq!(list.add(b"nonsense"), None);
        let body = String::from_utf8(list.into_body()).unwrap();
        assert_eq!(body, r#"{"data":[{"id":"a","x":1},{"id":"b"},{"id":"c"}]}"#);
        let mut out = Vec::new();
        assert!(write_found(answer, "a", &mut out) && !write_found(answer, "z", &mut out));
        assert_eq!(out, br#"{"id":"a","x":1}"#);
    }
}
