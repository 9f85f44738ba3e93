//! The parameters of a request as its provider gets them: with the edits that infermux needs
//! itself, and then those of the rules for the provider and the model.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use crate::dialect::unsupported::Unsupported;
use crate::wire::draft::{Draft, Edited};
use crate::wire::path::Path;
use crate::wire::rules::{Kind, Rule, Rules};

/// What is to be changed in a request.
#[derive(Debug, Default)]
pub struct Changes {
    /// The provider's name for the model, as a JSON string.
    pub model: Option<Box<[u8]>>,
    /// Ask for the usage chunk of a stream.
    pub inject_usage: bool,
    /// Give `max_completion_tokens` as `max_tokens` too.
    pub copy_max_tokens: bool,
    /// The rules, those of each place after those of the places before.
    pub rules: Vec<Arc<Rules>>,
    /// Which of the rules hold.
    pub reach: Reach,
    /// Whether the changes are wanted as text.
    pub is_told: bool,
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    #[default]
    All,
    /// Those that add no parameter: a request that only counts tokens has no place for more.
    Fewer,
}

/// What is changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// The edits.
    pub edited: Edited,
    /// How many rules of each kind have changed something, by place in [`Kind::ALL`].
    pub counts: [u64; Kind::ALL.len()],
    /// The rules that have changed something, where that is wanted.
    pub told: Option<String>,
}

impl Changes {
    /// What is changed in `body`, a JSON object.
    ///
    /// # Errors
    ///
    /// The body repeats names so often that no reader can be expected to agree with another one.
    pub fn of(&self, body: &[u8]) -> Result<Changed, Unsupported> {
        let own = &*OWN;
        let mut names = own.names();
        self.rules.iter().for_each(|rules| rules.name(&mut names));
        let mut draft = Draft::new(body, names);
        if let Some(model) = &self.model {
            draft.set(&own.model, model);
        }
        if self.inject_usage {
            draft.set(&own.include_usage, b"true");
        }
        if self.copy_max_tokens
            && let Some(count) = draft.value(&own.max_completion_tokens)
        {
            draft.set_absent(&own.max_tokens, count);
        }
        let mut changed = Changed::default();
        let mut told = String::new();
        let holds = |kind| match (self.reach, kind) {
            (Reach::All, _) | (Reach::Fewer, Kind::Rename | Kind::Remove) => true,
            (Reach::Fewer, Kind::Default | Kind::Set) => false,
        };
        for (place, rules) in self.rules.iter().enumerate() {
            let later = self.rules.get(place + 1..).unwrap_or_default();
            // The model's default is the one for a caller who gives no value.
            let is_last = |rule: &Rule| !later.iter().any(|rules| rules.have_default_for(rule));
            let hold = |rule: &Rule| holds(rule.kind()) && is_last(rule);
            rules.apply(&mut draft, hold, |rule| {
                changed.counts[rule.kind() as usize] += 1;
                if self.is_told {
                    let comma = if told.is_empty() { "" } else { ", " };
                    let _ = write!(told, "{comma}{rule}");
                }
            });
        }
        let repeats = || Unsupported::new("body", "repeats names of parameters too often");
        changed.edited = draft.finish().ok_or_else(repeats)?;
        changed.told = (!told.is_empty()).then_some(told);
        Ok(changed)
    }
}

/// The members that infermux itself changes.
struct Own {
    model: Path,
    include_usage: Path,
    max_tokens: Path,
    max_completion_tokens: Path,
}

impl Own {
    fn names(&self) -> Vec<&[u8]> {
        let all = [
            &self.model,
            &self.include_usage,
            &self.max_tokens,
            &self.max_completion_tokens,
        ];
        let steps = all.into_iter().flat_map(Path::steps);
        steps.map(|step| &*step.name).collect()
    }
}

static OWN: LazyLock<Own> = LazyLock::new(|| Own {
    model: Path::of(&["model"]),
    include_usage: Path::of(&["stream_options", "include_usage"]),
    max_tokens: Path::of(&["max_tokens"]),
    max_completion_tokens: Path::of(&["max_completion_tokens"]),
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::endpoint::Dialect;
    use crate::dialect::ask::{RequestEdits, edit_request, read_ask};

    fn made(changes: &Changes, body: &str) -> (String, Changed) {
        let changed = changes.of(body.as_bytes()).unwrap();
        let mut out = Vec::new();
        changed.edited.splice(body.as_bytes()).write(&mut out);
        (String::from_utf8(out).unwrap(), changed)
    }

    /// Without rules, the edits mean what they mean for a request that has none.
    #[test]
    fn own_edits_are_those_of_requests_without_rules() {
        for more in [
            "",
            r#","stream_options":null"#,
            r#","stream_options":{}"#,
            r#","stream_options":{"include_usage":null,"x":1}"#,
            r#","stream_options":{"include_usage":false}"#,
            r#","max_completion_tokens":5"#,
            r#","max_completion_tokens":5,"max_tokens":null"#,
            r#","max_completion_tokens":5,"max_tokens":7"#,
            r#","max_completion_tokens":null"#,
        ] {
            let body = format!(r#"{{"model":"a","stream":true,"messages":[]{more}}}"#);
            let ask = read_ask(Dialect::Chat, body.as_bytes()).unwrap();
            let edits = RequestEdits {
                model: Some(b"\"b\""),
                inject_usage: true,
                copy_max_tokens: true,
            };
            let mut expected = Vec::new();
            edit_request(body.as_bytes(), &ask, &edits).write(&mut expected);
            let changes = Changes {
                model: Some((*b"\"b\"").into()),
                inject_usage: true,
                copy_max_tokens: true,
                ..Changes::default()
            };
            let parsed = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            let (found, _) = made(&changes, &body);
            assert_eq!(parsed(found.as_bytes()), parsed(&expected), "{body}");
        }
    }

    #[test]
    fn rules_see_what_infermux_has_edited_and_a_models_rules_come_last() {
        let path = |text| Path::parse(text).unwrap();
        let rules = |all| Arc::new(Rules::new(all));
        let changes = Changes {
            inject_usage: true,
            rules: vec![
                rules(vec![
                    Rule::remove(path("stream_options")),
                    Rule::set(path("a"), (*b"1").into()),
                    Rule::default(path("b"), (*b"2").into()),
                ]),
                rules(vec![
                    Rule::rename(path("a"), path("c")),
                    Rule::set(path("b"), (*b"3").into()),
                ]),
            ],
            is_told: true,
            ..Changes::default()
        };
        let body = r#"{"model":"m","stream":true}"#;
        let (found, changed) = made(&changes, body);
        assert_eq!(found, r#"{"b":3,"c":1,"model":"m","stream":true}"#);
        let told = "remove stream_options, default b, set a, rename a to c, set b";
        assert_eq!(changed.told.as_deref(), Some(told));
        assert_eq!(changed.counts, [1, 1, 1, 2]);
        let fewer = Changes {
            reach: Reach::Fewer,
            is_told: false,
            ..changes
        };
        let (found, changed) = made(&fewer, r#"{"model":"m","a":5}"#);
        assert_eq!(found, r#"{"model":"m","c":5}"#);
        assert_eq!((changed.told, changed.counts), (None, [1, 1, 0, 0]));
    }

    #[test]
    fn a_models_default_comes_before_its_providers() {
        let path = |text| Path::parse(text).unwrap();
        let value = |text: &str| Box::from(text.as_bytes());
        let rules = |all| Arc::new(Rules::new(all));
        let changes = Changes {
            rules: vec![
                rules(vec![
                    Rule::default(path("a.x"), value("1")),
                    Rule::default(path("b"), value("1")),
                    Rule::set(path("c"), value("1")),
                ]),
                rules(vec![
                    Rule::default(path("a.x"), value("2")),
                    Rule::default(path("c"), value("2")),
                ]),
            ],
            is_told: true,
            ..Changes::default()
        };
        for (body, expected, told) in [
            (
                r#"{}"#,
                r#"{"b":1,"c":1,"a":{"x":2}}"#,
                "default b, set c, default a.x",
            ),
            (
                r#"{"a":{"x":0},"b":0}"#,
                r#"{"c":1,"a":{"x":0},"b":0}"#,
                "set c",
            ),
        ] {
            let (found, changed) = made(&changes, body);
            assert_eq!(found, expected);
            assert_eq!(changed.told.as_deref(), Some(told));
        }
    }

    #[test]
    fn a_body_that_repeats_a_name_thousands_of_times_is_refused() {
        let changes = Changes {
            rules: vec![Arc::new(Rules::new(vec![Rule::remove(Path::of(&["a"]))]))],
            ..Changes::default()
        };
        let body = format!("{{{}\"model\":\"m\"}}", "\"a\":1,".repeat(2_000));
        let told = changes.of(body.as_bytes()).err().unwrap().to_string();
        assert_eq!(told, "`body` repeats names of parameters too often");
    }
}
