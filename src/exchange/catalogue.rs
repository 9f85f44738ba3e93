//! The list of models for callers: models that the configuration names, and models that open
//! providers list. It is built whenever one of these changes, and published as a whole.

use std::ops::Range;
use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::base::limits::MODELS_LISTED_MAX;
use crate::base::map::Map;
use crate::config::plan::Plan;
use crate::exchange::model_list::{ModelList, write_entry};
use crate::link::gate::Turns;

/// All models, and the providers that list them.
#[derive(Debug)]
pub struct Catalogue {
    /// The answer to a request for the whole list.
    text: Arc<Vec<u8>>,
    models: Map<Box<str>, Model>,
    /// Groups of open providers that list the same models; the first is empty.
    listers: Vec<Box<[ProviderId]>>,
    /// Models that had no room.
    left_out: usize,
}

/// One model.
#[derive(Debug)]
struct Model {
    /// Where its entry stands in the text.
    entry: Range<u32>,
    /// Place of the group of providers that list it.
    listers: u32,
    /// The turns of these providers, where they are several.
    turns: Option<Arc<Turns>>,
}

/// The providers that list a model.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The open providers.
    pub by: &'a [ProviderId],
    /// Their turns, where they are several.
    pub turns: Option<&'a Arc<Turns>>,
}

impl Catalogue {
    /// The catalogue of `plan`; `list` gives the list of each open provider. The turns of models
    /// that were in the `former` catalogue go on.
    #[must_use]
    pub fn new<'a>(
        plan: &Plan,
        list: impl Fn(ProviderId) -> Option<&'a ModelList>,
        former: Option<&Self>,
    ) -> Self {
        let mut draft = Draft::default();
        for provider in &plan.providers {
            let aliases = provider.model_aliases.iter();
            let names = aliases.flat_map(|(alias, target)| [&**alias, &**target]);
            for name in provider.names().chain(names) {
                draft.name(name, &provider.name);
            }
        }
        for provider in &plan.providers {
            if let Some(list) = list(provider.id) {
                let served = list.models();
                for (name, entry) in served.filter(|(name, _)| provider.may_serve_unnamed(name)) {
                    draft.list(name, entry, provider.id);
                }
            }
        }
        draft.finish(former)
    }

    /// The answer to a request for the whole list.
    #[must_use]
    pub fn text(&self) -> &Arc<Vec<u8>> {
        &self.text
    }

    /// The entry of the model called `id`.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&[u8]> {
        let Range { start, end } = self.models.get(id)?.entry;
        self.text.get(start as usize..end as usize)
    }

    /// The open providers that list the model called `id`; `None`: no provider does.
    #[must_use]
    pub fn listed(&self, id: &str) -> Option<Listed<'_>> {
        let model = self.models.get(id)?;
        let by = self.listers.get(model.listers as usize)?;
        let turns = model.turns.as_ref();
        (!by.is_empty()).then_some(Listed { by, turns })
    }

    /// How many models there are, and how many had no room.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.models.len(), self.left_out)
    }
}

/// A catalogue that is being made, in one pass over all lists.
struct Draft {
    text: Vec<u8>,
    models: Map<Box<str>, Model>,
    listers: Vec<Box<[ProviderId]>>,
    /// The group that a group becomes with one more provider.
    grown: Map<(u32, ProviderId), u32>,
    left_out: usize,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            text: START.to_vec(),
            models: Map::default(),
            listers: vec![Box::default()],
            grown: Map::default(),
            left_out: 0,
        }
    }
}

impl Draft {
    /// Adds a model that the configuration names; its owner is the first provider that claims it.
    fn name(&mut self, name: &str, owner: &str) {
        if !self.models.contains_key(name) {
            let entry = self.place(|text| write_entry(name, owner, text));
            self.add(name, entry);
        }
    }

    /// Adds a model that an open provider lists; the first list that has it provides its entry.
    fn list(&mut self, name: &str, entry: &[u8], provider: ProviderId) {
        if !self.models.contains_key(name) {
            if self.models.len() >= MODELS_LISTED_MAX {
                self.left_out += 1;
                return;
            }
            let entry = self.place(|text| text.extend_from_slice(entry));
            self.add(name, entry);
        }
        if let Some(model) = self.models.get_mut(name) {
            let former = model.listers;
            let grown = self.grown.entry((former, provider));
            model.listers = *grown.or_insert_with(|| {
                let group = &self.listers[former as usize];
                if group.last() == Some(&provider) {
                    // The provider lists the model twice.
                    return former;
                }
                let group = group.iter().copied().chain([provider]);
                self.listers.push(group.collect());
                place(self.listers.len() - 1)
            });
        }
    }

    fn place(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<u32> {
        if self.text.len() > START.len() {
            self.text.push(b',');
        }
        let from = self.text.len();
        write(&mut self.text);
        place(from)..place(self.text.len())
    }

    fn add(&mut self, name: &str, entry: Range<u32>) {
        let model = Model {
            entry,
            listers: 0,
            turns: None,
        };
        self.models.insert(name.into(), model);
    }

    fn finish(mut self, former: Option<&Catalogue>) -> Catalogue {
        self.text.extend_from_slice(b"]}");
        self.text.shrink_to_fit();
        for (name, model) in &mut self.models {
            if self.listers[model.listers as usize].len() > 1 {
                let before = former.and_then(|former| former.models.get(name));
                let turns = before.and_then(|before| before.turns.clone());
                model.turns = Some(turns.unwrap_or_default());
            }
        }
        Catalogue {
            text: Arc::new(self.text),
            models: self.models,
            listers: self.listers,
            left_out: self.left_out,
        }
    }
}

/// A place in a text, or in a table, that is bounded by `base::limits`.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

const START: &[u8] = b"{\"object\":\"list\",\"data\":[";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::endpoint::Dialect;
    use crate::config::{self, Environment, Options, Strictness};

    fn plan(text: &str) -> Plan {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(text, &options).expect("a good file").plan
    }

    fn list(body: &str) -> ModelList {
        let pages = [body.as_bytes().to_vec()];
        ModelList::read(Dialect::Chat, "p", &pages).expect("a list")
    }

    const PLAN: &str = "providers:
  - {name: a, type: ollama, models: [m], model_aliases: {fast: m}}
  - {name: b, type: ollama}
  - {name: c, type: ollama}
";

    #[test]
    fn each_model_is_told_once_and_known_by_who_lists_it() {
        let plan = plan(PLAN);
        let lists = [
            ModelList::default(),
            list(r#"{"data":[{"id":"m"},{"id":"x/y","z":1},{"id":"x/y"}]}"#),
            list(r#"[{"id":"x/y"},{"id":"w"}]"#),
        ];
        let catalogue = Catalogue::new(&plan, |id| lists.get(id.index()), None);
        let own =
            |id: &str| format!(r#"{{"id":"{id}","object":"model","created":0,"owned_by":"a"}}"#);
        let expected = format!(
            r#"{{"object":"list","data":[{},{},{{"id":"x/y","z":1}},{{"id":"w"}}]}}"#,
            own("m"),
            own("fast")
        );
        assert_eq!(std::str::from_utf8(catalogue.text()), Ok(&*expected));
        assert_eq!(catalogue.counts(), (4, 0));
        assert_eq!(catalogue.entry("x/y"), Some(&br#"{"id":"x/y","z":1}"#[..]));
        assert_eq!(catalogue.entry("nobody"), None);
        let by = |id| {
            let listed = catalogue.listed(id);
            listed.map_or(Vec::new(), |listed| {
                listed.by.iter().map(|id| id.0).collect()
            })
        };
        assert_eq!(by("x/y"), [1, 2]);
        assert_eq!(by("w"), [2]);
        assert_eq!(by("m"), [1]);
        assert!(by("fast").is_empty() && by("nobody").is_empty());
    }

    #[test]
    fn turns_are_those_of_a_model_and_go_on() {
        let plan = plan(PLAN);
        let lists = [list("[]"), list(r#"["x","y"]"#), list(r#"["x","y"]"#)];
        let of = |catalogue: &Catalogue, id| {
            let turns = catalogue
                .listed(id)
                .and_then(|listed| listed.turns.cloned());
            turns.expect("two list it")
        };
        let before = Catalogue::new(&plan, |id| lists.get(id.index()), None);
        assert_eq!((of(&before, "x").next(), of(&before, "y").next()), (0, 0));
        let after = Catalogue::new(&plan, |id| lists.get(id.index()), Some(&before));
        assert_eq!((of(&after, "x").next(), of(&before, "x").next()), (1, 2));
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let plan = plan(PLAN);
        let ids: Vec<String> = (0..300_000).map(|id| format!("\"m-{id}\"")).collect();
        let all = list(&format!("[{}]", ids.join(",")));
        let catalogue = Catalogue::new(&plan, |id| (id.index() > 0).then_some(&all), None);
        assert_eq!(
            catalogue.counts(),
            (MODELS_LISTED_MAX, 2 * (300_000 + 2 - MODELS_LISTED_MAX))
        );
        assert_eq!(catalogue.listers.len(), 3, "groups are shared");
        let last = catalogue.listed("m-80000").expect("it is listed");
        assert_eq!(last.by, [ProviderId(1), ProviderId(2)]);
    }
}
