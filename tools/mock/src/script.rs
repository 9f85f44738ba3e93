//! The script: how an instance behaves, as written in JSON.
//!
//! What one answer does is a flat object, an [`Answer`]. The script's own answer fields are the
//! defaults; an entry of `answers` and a rule lay their fields over them, key by key, before the
//! result is read. So every field works at every level.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Quirk};

/// How one instance behaves.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) key: Option<String>,
    /// The models it lists; if empty, it serves any model.
    pub(crate) models: Vec<String>,
    pub(crate) refuse: bool,
    pub(crate) record: bool,
    pub(crate) record_body_bytes: usize,
    /// Whether the turns of a Messages request must alternate, and begin with the user's.
    pub(crate) alternate: bool,
    /// Whether a chat request may only have what OpenAI's own endpoint knows.
    pub(crate) strict: bool,
    /// Whether it serves the paths of OpenAI's Responses.
    pub(crate) responses: bool,
    /// The conversations that a Responses request may name.
    pub(crate) conversations: Vec<String>,
    /// The parameters of a request that the model does not have.
    pub(crate) unsupported: Vec<String>,
    /// The first rule that matches a request answers it; the last one matches every POST.
    rules: Vec<Rule>,
    /// Whether bodies are read before an answer is chosen: because a rule depends on them, or no
    /// answer is canned. Then a malformed body uses up no entry.
    pub(crate) reads_bodies: bool,
    /// The JSON it was read from.
    pub(crate) source: Value,
}

/// The API that an instance speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's own.
    #[default]
    Openai,
    /// Azure OpenAI, classic and v1 paths.
    Azure,
    /// Ollama's form of OpenAI's.
    Ollama,
    /// Anthropic Messages.
    Anthropic,
}

/// A run of answers for the requests that match.
#[derive(Debug)]
struct Rule {
    when: Option<When>,
    base: Answer,
    answers: Vec<Answer>,
    then: Then,
    taken: AtomicUsize,
}

/// Which requests a rule is for: all that is named must match.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    method: Option<String>,
    path: Option<String>,
    model: Option<String>,
    stream: Option<bool>,
    headers: BTreeMap<String, String>,
}

/// What follows after the last entry of `answers`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Then {
    /// The last entry is repeated.
    #[default]
    Repeat,
    /// The defaults, as if there were no entries.
    Ok,
    /// The entries start over.
    Loop,
}

/// What is known about a request when its answer is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [httparse::Header<'a>],
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    /// Whether it costs nothing, and so takes no entry unless a rule means it.
    pub(crate) is_free: bool,
}

impl Script {
    /// Reads a script; parts of the instance's identity that it lacks are kept from `former`.
    pub(crate) fn parse(source: Value, former: Option<&Self>) -> Result<Self, String> {
        let Value::Object(mut map) = source.clone() else {
            return Err("a script is a JSON object".to_owned());
        };
        let key = map.remove("key");
        let name: Option<String> = take(&mut map, "name")?;
        let dialect: Option<Dialect> = take(&mut map, "dialect")?;
        let models: Option<Vec<String>> = take(&mut map, "models")?;
        let refuse = take(&mut map, "refuse")?.unwrap_or(false);
        let record = take(&mut map, "record")?.unwrap_or(true);
        let record_body_bytes = take(&mut map, "record_body_bytes")?.unwrap_or(BODY_KEPT);
        let alternate = take(&mut map, "alternate")?.unwrap_or(false);
        let strict = take(&mut map, "strict")?.unwrap_or(false);
        let unsupported = take(&mut map, "unsupported")?.unwrap_or_default();
        let dialect = dialect
            .or(former.map(|former| former.dialect))
            .unwrap_or_default();
        let has_responses = matches!(dialect, Dialect::Openai | Dialect::Azure);
        let responses = take(&mut map, "responses")?.unwrap_or(has_responses);
        let conversations = take(&mut map, "conversations")?.unwrap_or_default();
        let rules = read_rules(map)?;
        let canned = rules.iter().any(Rule::has_canned);
        let reads_bodies = !canned || rules.iter().any(Rule::reads_bodies);
        Ok(Self {
            name: name
                .or_else(|| former.map(|former| former.name.clone()))
                .unwrap_or_else(|| "mock".to_owned()),
            dialect,
            key: match key {
                None => former.and_then(|former| former.key.clone()),
                Some(Value::Null) => None,
                Some(Value::String(key)) => Some(key),
                Some(_) => return Err("key: not a string".to_owned()),
            },
            models: models
                .or_else(|| former.map(|former| former.models.clone()))
                .unwrap_or_default(),
            refuse,
            record,
            record_body_bytes,
            alternate,
            strict,
            responses,
            conversations,
            unsupported,
            rules,
            reads_bodies,
            source,
        })
    }

    /// The answer for a request; `None` where no rule matches it, and it is answered as usual.
    ///
    /// Choosing uses up the entry: the next request of that rule gets the next one.
    pub(crate) fn choose(&self, facts: &Facts<'_>) -> Option<&Answer> {
        self.rules
            .iter()
            .find(|rule| rule.is_for(facts))
            .map(Rule::next)
    }

    /// Starts every run of answers from its first entry.
    pub(crate) fn rewind(&self) {
        for rule in &self.rules {
            rule.taken.store(0, Ordering::SeqCst);
        }
    }
}

impl Rule {
    fn has_canned(&self) -> bool {
        self.base.canned || self.answers.iter().any(|answer| answer.canned)
    }

    fn reads_bodies(&self) -> bool {
        self.when
            .as_ref()
            .is_some_and(|when| when.model.is_some() || when.stream.is_some())
    }

    fn is_for(&self, facts: &Facts<'_>) -> bool {
        let Some(when) = &self.when else {
            return !facts.is_free;
        };
        // Health probes, listings and counts must not use up the answers meant for requests.
        let meant = when.method.is_some() || when.path.is_some() || !facts.is_free;
        meant
            && when
                .method
                .as_ref()
                .is_none_or(|method| method == facts.method)
            && when.path.as_ref().is_none_or(|path| path == facts.path)
            && when.model.as_ref().is_none_or(|model| model == facts.model)
            && when.stream.is_none_or(|stream| stream == facts.stream)
            && when.headers.iter().all(|(name, value)| {
                facts.headers.iter().any(|header| {
                    header.name.eq_ignore_ascii_case(name) && header.value == value.as_bytes()
                })
            })
    }

    fn next(&self) -> &Answer {
        if self.answers.is_empty() {
            return &self.base;
        }
        let taken = self.taken.fetch_add(1, Ordering::SeqCst);
        let last = self.answers.len() - 1;
        let index = match self.then {
            Then::Repeat => taken.min(last),
            Then::Ok => taken,
            Then::Loop => taken % self.answers.len(),
        };
        self.answers.get(index).unwrap_or(&self.base)
    }
}

fn read_rules(mut map: Map<String, Value>) -> Result<Vec<Rule>, String> {
    let extra: Vec<Map<String, Value>> = take(&mut map, "rules")?.unwrap_or_default();
    let (answers, then) = take_run(&mut map)?;
    let mut rules = Vec::new();
    for (index, mut own) in extra.into_iter().enumerate() {
        let place = |error| format!("rules[{index}].{error}");
        let when = take(&mut own, "when").map_err(place)?.unwrap_or_default();
        let (answers, then) = take_run(&mut own).map_err(place)?;
        let base = overlay(&map, own);
        rules.push(read_rule(Some(when), base, (answers, then)).map_err(place)?);
    }
    rules.push(read_rule(None, map, (answers, then))?);
    Ok(rules)
}

type Run = (Vec<Value>, Then);

fn take_run(map: &mut Map<String, Value>) -> Result<Run, String> {
    let answers = take(map, "answers")?.unwrap_or_default();
    Ok((answers, take(map, "then")?.unwrap_or_default()))
}

fn read_rule(
    when: Option<When>,
    base: Map<String, Value>,
    (entries, then): Run,
) -> Result<Rule, String> {
    let mut answers = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let place = |error| format!("answers[{index}]: {error}");
        let own = written_out(entry).map_err(place)?;
        answers.push(read_answer(overlay(&base, own)).map_err(place)?);
    }
    let base = read_answer(base)?;
    Ok(Rule {
        when,
        base,
        answers,
        then,
        taken: AtomicUsize::new(0),
    })
}

fn read_answer(map: Map<String, Value>) -> Result<Answer, String> {
    let answer: Answer =
        serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
    answer.check()
}

/// An entry's short forms, written out: a status, or the name of a deed, a quirk or a preset.
fn written_out(entry: Value) -> Result<Map<String, Value>, String> {
    let long = match entry {
        Value::Object(map) => return Ok(map),
        Value::Number(status) => json!({ "status": status }),
        Value::String(name) => match name.as_str() {
            "huge_head" => json!({ "head_bytes": 100_000 }),
            "slow_drip" => json!({ "chunk_bytes": 1, "chunk_interval_ms": 10 }),
            "reset_mid_stream" => json!({ "do": "cut_mid_stream", "reset": true }),
            _ if serde_json::from_value::<Quirk>(json!(name)).is_ok() => {
                json!({ "quirks": [name] })
            }
            _ => json!({ "do": name }),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) => {
            return Err("neither an object nor a status nor a name".to_owned());
        }
    };
    match long {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

fn overlay(under: &Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    let mut map = under.clone();
    map.extend(over);
    map
}

fn take<T: DeserializeOwned>(map: &mut Map<String, Value>, key: &str) -> Result<Option<T>, String> {
    match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| format!("{key}: {error}")),
    }
}

/// How much of a request's body is recorded unless the script says otherwise.
const BODY_KEPT: usize = 1024 * 1024;
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::Deed;

    fn script(source: Value) -> Script {
        Script::parse(source, None).unwrap()
    }

    fn post<'a>(model: &'a str) -> Facts<'a> {
        Facts {
            method: "POST",
            path: "/v1/chat/completions",
            headers: &[],
            model,
            stream: false,
            is_free: false,
        }
    }

    fn statuses(script: &Script, count: usize) -> Vec<Option<u16>> {
        (0..count)
            .map(|_| script.choose(&post("m")).and_then(|answer| answer.status))
            .collect()
    }

    #[test]
    fn the_last_entry_repeats_unless_told_otherwise() {
        let entries = json!([500, {"status": 429}]);
        let repeat = script(json!({ "answers": entries }));
        assert_eq!(
            statuses(&repeat, 4),
            [Some(500), Some(429), Some(429), Some(429)]
        );
        let ok = script(json!({ "answers": entries, "then": "ok" }));
        assert_eq!(statuses(&ok, 4), [Some(500), Some(429), None, None]);
        let again = script(json!({ "answers": entries, "then": "loop" }));
        assert_eq!(
            statuses(&again, 4),
            [Some(500), Some(429), Some(500), Some(429)]
        );
    }

    #[test]
    fn a_rule_has_its_own_run_and_lays_its_fields_over_the_defaults() {
        let script = script(json!({
            "latency_ms": 7,
            "answers": [503],
            "rules": [{ "when": { "model": "x" }, "answers": [{ "status": 429 }], "then": "ok" }],
        }));
        assert_eq!(script.choose(&post("x")).unwrap().status, Some(429));
        let second = script.choose(&post("x")).unwrap();
        assert_eq!(
            (second.status, second.latency()),
            (None, Duration::from_millis(7))
        );
        assert_eq!(script.choose(&post("y")).unwrap().status, Some(503));
    }

    #[test]
    fn what_is_free_is_met_only_by_a_rule_that_means_it() {
        let get = Facts {
            method: "GET",
            path: "/v1/models",
            is_free: true,
            ..post("")
        };
        let unmeant = script(json!({ "answers": [500] }));
        assert!(unmeant.choose(&get).is_none());
        let meant = script(json!({
            "rules": [{ "when": { "path": "/v1/models" }, "answers": [500] }]
        }));
        assert_eq!(meant.choose(&get).unwrap().status, Some(500));
    }

    #[test]
    fn short_forms_are_written_out() {
        let script = script(json!({
            "answers": ["stall_mid_stream", "crlf", "slow_drip", "huge_head", "ok"]
        }));
        assert_eq!(script.choose(&post("")).unwrap().deed, Deed::StallMidStream);
        assert_eq!(script.choose(&post("")).unwrap().quirks, [Quirk::Crlf]);
        assert_eq!(script.choose(&post("")).unwrap().chunk_bytes, Some(1));
        assert_eq!(script.choose(&post("")).unwrap().head_bytes, 100_000);
        assert_eq!(script.choose(&post("")).unwrap().deed, Deed::Ok);
    }

    #[test]
    fn mistakes_are_named() {
        for (source, part) in [
            (json!({ "latencyms": 1 }), "latencyms"),
            (json!({ "answers": ["explode"] }), "answers[0]"),
            (
                json!({ "rules": [{ "when": { "modle": "x" } }] }),
                "rules[0]",
            ),
            (json!({ "events": 3, "completion_tokens": 2 }), "events"),
            (json!([]), "object"),
        ] {
            let error = Script::parse(source, None).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn identity_outlives_a_change_of_script() {
        let first = script(json!({ "name": "a", "dialect": "anthropic", "key": "k" }));
        let second = Script::parse(json!({ "latency_ms": 1 }), Some(&first)).unwrap();
        assert_eq!(
            (second.name.as_str(), second.dialect),
            ("a", Dialect::Anthropic)
        );
        assert_eq!(second.key.as_deref(), Some("k"));
        let third = Script::parse(json!({ "key": null }), Some(&second)).unwrap();
        assert_eq!(third.key, None);
    }
}
