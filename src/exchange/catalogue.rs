//! The list of models for callers: models that the configuration names, and models that open
//! providers list. It is built whenever one of these changes, and published as a whole.

use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::base::ids::ProviderId;
use crate::base::limits::MODELS_LISTED_MAX;
use crate::base::map::Map;
use crate::config::plan::Plan;
use crate::dialect::messages::write_models::{self as messages, More};
use crate::exchange::model_list::{self as chat, ModelList};
use crate::exchange::page::{Page, PageFault};
use crate::link::gate::Turns;
use crate::wire::json;

/// All models, and the providers that list them.
#[derive(Debug)]
pub struct Catalogue {
    /// The list in each dialect, entry by entry in the same order.
    chat: Listing,
    messages: Listing,
    models: Map<Box<str>, Model>,
    /// Groups of open providers that list the same models; the first is empty.
    listers: Vec<Box<[ProviderId]>>,
    /// Models that had no room.
    left_out: usize,
}

/// The list in one dialect.
#[derive(Debug)]
struct Listing {
    /// The answer to a request for all of it.
    text: Arc<Vec<u8>>,
    /// Where the first entry begins.
    start: usize,
    /// Where each entry ends; a comma stands between two of them.
    ends: Vec<u32>,
}

/// One model.
#[derive(Debug)]
struct Model {
    /// Place of its entry.
    place: u32,
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
    pub fn text(&self, dialect: Dialect) -> &Arc<Vec<u8>> {
        &self.listing(dialect).text
    }

    /// The entry of the model called `id`.
    #[must_use]
    pub fn entry(&self, dialect: Dialect, id: &str) -> Option<&[u8]> {
        let place = self.models.get(id)?.place;
        self.listing(dialect).entry(place as usize)
    }

    /// The answer to a request for a page of the list, in Anthropic's shape.
    ///
    /// # Errors
    ///
    /// There is no such page.
    pub fn page(&self, page: &Page) -> Result<Arc<Vec<u8>>, PageFault> {
        let place_of = |id: &str| Some(self.models.get(id)?.place as usize);
        let cut = page.cut(self.models.len(), place_of)?;
        if cut.places.len() == self.models.len() {
            return Ok(Arc::clone(&self.messages.text));
        }
        let more = if cut.kept_from > 0 {
            More::Follow
        } else {
            More::None
        };
        let places = [cut.places.start, cut.places.end.saturating_sub(1)];
        let ends = (!cut.places.is_empty()).then_some(places);
        let mut out = messages::START.to_vec();
        let ends = ends.and_then(|[first, last]| {
            out.extend_from_slice(self.messages.entries(first, last)?);
            Some([self.messages.entry(first)?, self.messages.entry(last)?])
        });
        messages::write_end(more, ends, &mut out);
        Ok(Arc::new(out))
    }

    /// The answer with those models whose names are `seen`: all of them, or the page of them that a
    /// caller of Messages asks for.
    ///
    /// # Errors
    ///
    /// There is no such page.
    pub fn narrowed(
        &self,
        dialect: Dialect,
        page: Option<&Page>,
        seen: impl Fn(&str) -> bool,
    ) -> Result<Arc<Vec<u8>>, PageFault> {
        let models = self.models.iter().filter(|(name, _)| seen(name));
        let mut places: Vec<usize> = models.map(|(_, model)| model.place as usize).collect();
        places.sort_unstable();
        let place_of = |id: &str| {
            let place = self.models.get(id)?.place as usize;
            places.binary_search(&place).ok()
        };
        let whole = Page::default();
        let cut = page.unwrap_or(&whole).cut(places.len(), place_of)?;
        let listing = self.listing(dialect);
        let places = places.get(cut.places).unwrap_or_default();
        let entries: Vec<&[u8]> = places.iter().filter_map(|at| listing.entry(*at)).collect();
        let mut out = match dialect {
            Dialect::Chat | Dialect::Responses => CHAT_START.to_vec(),
            Dialect::Messages => messages::START.to_vec(),
        };
        out.extend(entries.join(&b","[..]));
        match dialect {
            Dialect::Chat | Dialect::Responses => out.extend_from_slice(CHAT_END),
            Dialect::Messages => {
                let more = if cut.kept_from > 0 {
                    More::Follow
                } else {
                    More::None
                };
                let ends = entries.first().zip(entries.last());
                let ends = ends.map(|(first, last)| [*first, *last]);
                messages::write_end(more, ends, &mut out);
            }
        }
        Ok(Arc::new(out))
    }

    const fn listing(&self, dialect: Dialect) -> &Listing {
        match dialect {
            Dialect::Chat | Dialect::Responses => &self.chat,
            Dialect::Messages => &self.messages,
        }
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

impl Listing {
    /// A list without entries, of which only this `start` is written.
    fn new(start: &[u8]) -> Self {
        Self {
            text: Arc::new(start.to_vec()),
            start: start.len(),
            ends: Vec::new(),
        }
    }

    /// Adds an entry.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // It is not published yet, so that nothing is copied.
        let text = Arc::make_mut(&mut self.text);
        if !self.ends.is_empty() {
            text.push(b',');
        }
        write(text);
        self.ends.push(place(text.len()));
    }

    /// Ends the list, of which `write_end` is told the first and the last entry.
    fn finish(mut self, write_end: impl FnOnce(Option<[&[u8]; 2]>, &mut Vec<u8>)) -> Self {
        let last = self.ends.len().checked_sub(1);
        let ends = last.and_then(|last| Some([self.entry(0)?, self.entry(last)?]));
        let mut end = Vec::new();
        write_end(ends, &mut end);
        let text = Arc::make_mut(&mut self.text);
        text.extend_from_slice(&end);
        text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self
    }

    /// The entry at this place.
    fn entry(&self, place: usize) -> Option<&[u8]> {
        self.entries(place, place)
    }

    /// The entries from one place to another one, that included, and the commas between them.
    fn entries(&self, first: usize, last: usize) -> Option<&[u8]> {
        let start = match first.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize + 1,
            None => self.start,
        };
        let end = *self.ends.get(last)?;
        self.text.get(start..end as usize)
    }
}

/// A catalogue that is being made, in one pass over all lists.
struct Draft {
    chat: Listing,
    messages: Listing,
    models: Map<Box<str>, Model>,
    listers: Vec<Box<[ProviderId]>>,
    /// The group that a group becomes with one more provider.
    grown: Map<(u32, ProviderId), u32>,
    left_out: usize,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            chat: Listing::new(CHAT_START),
            messages: Listing::new(messages::START),
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
            self.chat.add(|text| chat::write_entry(name, owner, text));
            self.add(name, 0);
        }
    }

    /// Adds a model that an open provider lists; the first list that has it provides its entry.
    fn list(&mut self, name: &str, entry: &[u8], provider: ProviderId) {
        if !self.models.contains_key(name) {
            if self.models.len() >= MODELS_LISTED_MAX {
                self.left_out += 1;
                return;
            }
            self.chat.add(|text| text.extend_from_slice(entry));
            self.add(name, created(entry));
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

    /// Adds a model whose entry for chat stands already, and which was made at this Unix time.
    fn add(&mut self, name: &str, created: u64) {
        self.messages
            .add(|text| messages::write_entry(name, created, text));
        let model = Model {
            place: place(self.models.len()),
            listers: 0,
            turns: None,
        };
        self.models.insert(name.into(), model);
    }

    fn finish(mut self, former: Option<&Catalogue>) -> Catalogue {
        for (name, model) in &mut self.models {
            if self.listers[model.listers as usize].len() > 1 {
                let before = former.and_then(|former| former.models.get(name));
                let turns = before.and_then(|before| before.turns.clone());
                model.turns = Some(turns.unwrap_or_default());
            }
        }
        Catalogue {
            chat: self.chat.finish(|_, text| text.extend_from_slice(CHAT_END)),
            messages: self
                .messages
                .finish(|ends, text| messages::write_end(More::None, ends, text)),
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

/// When a model was made, in Unix seconds, as its entry says; zero where it does not.
fn created(entry: &[u8]) -> u64 {
    let created = json::member(entry, b"created").map(|member| member.value.text);
    let created = created.and_then(|text| std::str::from_utf8(text).ok());
    created.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What stands behind the entries of OpenAI's list.
const CHAT_END: &[u8] = b"]}";
const CHAT_START: &[u8] = b"{\"object\":\"list\",\"data\":[";

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
        assert_eq!(
            std::str::from_utf8(catalogue.text(Dialect::Chat)),
            Ok(&*expected)
        );
        assert_eq!(catalogue.counts(), (4, 0));
        assert_eq!(
            catalogue.entry(Dialect::Chat, "x/y"),
            Some(&br#"{"id":"x/y","z":1}"#[..])
        );
        assert_eq!(catalogue.entry(Dialect::Chat, "nobody"), None);
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
    fn anthropics_shape_has_the_same_models_and_pages_of_them() {
        let named = plan(PLAN);
        let lists = [
            ModelList::default(),
            list(r#"[{"id":"x","created":1763942400},{"id":"y","created":"then"}]"#),
        ];
        let catalogue = Catalogue::new(&named, |id| lists.get(id.index()), None);
        let entry = |id: &str| {
            let at = if id == "x" {
                "2025-11-24"
            } else {
                "1970-01-01"
            };
            format!(
                concat!(
                    r#"{{"type":"model","id":"{id}","display_name":"{id}","#,
                    r#""created_at":"{at}T00:00:00Z","lifecycle":"active"}}"#,
                ),
                id = id,
                at = at
            )
        };
        let text = |ids: &[&str], more: bool| {
            let entries: Vec<String> = ids.iter().map(|id| entry(id)).collect();
            let id = |id: Option<&&str>| id.map_or("null".to_owned(), |id| format!("\"{id}\""));
            format!(
                r#"{{"data":[{}],"has_more":{more},"first_id":{},"last_id":{}}}"#,
                entries.join(","),
                id(ids.first()),
                id(ids.last())
            )
        };
        for (query, ids, more) in [
            ("", &["m", "fast", "x", "y"][..], false),
            ("limit=1000", &["m", "fast", "x", "y"], false),
            ("limit=2", &["m", "fast"], true),
            ("after_id=fast&limit=1", &["x"], true),
            ("after_id=fast", &["x", "y"], false),
            ("before_id=y&limit=2", &["fast", "x"], true),
            ("after_id=y", &[], false),
        ] {
            let page = catalogue.page(&Page::read(query).unwrap()).unwrap();
            assert_eq!(
                std::str::from_utf8(&page).unwrap(),
                text(ids, more),
                "{query}"
            );
        }
        let unknown = Page::read("after_id=nobody").unwrap();
        assert!(catalogue.page(&unknown).is_err());
        let one = catalogue.entry(Dialect::Messages, "x").unwrap();
        assert_eq!(std::str::from_utf8(one).unwrap(), entry("x"));
        let none = Catalogue::new(&plan(NOBODY), |_| None, None);
        let page = none.page(&Page::default()).unwrap();
        assert_eq!(std::str::from_utf8(&page).unwrap(), text(&[], false));
        let all = none.text(Dialect::Chat);
        assert_eq!(
            std::str::from_utf8(all).unwrap(),
            r#"{"object":"list","data":[]}"#
        );
    }

    const NOBODY: &str = "providers:
  - {name: a, type: ollama}
";

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
