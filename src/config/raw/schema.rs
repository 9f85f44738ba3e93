//! The list of keys as a JSON Schema (draft 2020-12), for editors and other checkers.
//!
//! The schema accepts whatever `validate --strict` accepts; whether fields make sense together,
//! only `validate` knows. A value of any type may be quoted, absent (`null`) or a variable.

use serde_json::{Map, Value, json};

use crate::config::duration;
use crate::config::raw::keys::{self, Fallback, Key, Kind};

/// The schema of a file.
#[must_use]
pub fn schema() -> Value {
    let mut sections: Vec<&str> = Vec::new();
    for key in keys::all() {
        if !key.section.is_empty() && !sections.contains(&key.section) {
            sections.push(key.section);
        }
    }
    let mut definitions: Map<String, Value> = sections
        .iter()
        .map(|section| (definition(section), mapping(section)))
        .collect();
    definitions.insert(VARIABLE.into(), variable());
    let mut root = mapping("");
    root["$schema"] = DRAFT.into();
    root["title"] = "infermux.yml".into();
    // Top-level keys with `x-` hold anchors.
    root["patternProperties"] = json!({"^x-": true});
    root["$defs"] = Value::Object(definitions);
    root
}

/// A mapping with the keys of `section`, and no others.
fn mapping(section: &str) -> Value {
    let keys = || keys::all().iter().filter(|key| key.section == section);
    let fields: Map<String, Value> = keys()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys()
        .filter(|key| key.default == Fallback::Required)
        .map(|key| key.name)
        .collect();
    let mut mapping = json!({
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    });
    match section {
        // The bare list of callers is allowed, too.
        "budgets" => {
            mapping["type"] = json!(["object", "array", "null"]);
            mapping["items"] = reference("budgets[]");
        }
        "" => mapping["type"] = json!("object"),
        item if item.ends_with("[]") => mapping["type"] = json!("object"),
        _ => mapping["type"] = json!(["object", "null"]),
    }
    mapping
}

fn property(key: &Key) -> Value {
    let mut property = form(key.kind, key.default);
    property["description"] = description(key).into();
    if let Fallback::Value(text) = key.default {
        property["default"] = literal(key.kind, text);
    }
    property
}

fn description(key: &Key) -> String {
    let meaning = key.meaning;
    match key.default {
        Fallback::Rule(rule) if rule.starts_with("required") => format!("{meaning} It is {rule}."),
        Fallback::Rule(rule) => format!("{meaning} Default: {rule}."),
        Fallback::Nothing | Fallback::Required | Fallback::Value(_) => meaning.to_owned(),
    }
}

/// The allowed forms of a value of this kind. `null` means absent, and is not allowed for a
/// required key.
fn form(kind: Kind, default: Fallback) -> Value {
    let is_required = default == Fallback::Required;
    let or_nothing = |name: &str| {
        if is_required {
            json!(name)
        } else {
            json!([name, "null"])
        }
    };
    let list = |items: Value| json!({"type": or_nothing("array"), "items": items});
    match kind {
        Kind::Text(_) if is_required => text(),
        Kind::Text(_) => json!({"type": ["string", "number", "boolean", "null"]}),
        Kind::Texts(_) => list(text()),
        Kind::Words(words) => list(json!({"anyOf": [{"enum": words}, reference(VARIABLE)]})),
        Kind::Entries(_, section) => list(json!({"anyOf": [text(), reference(section)]})),
        Kind::Names | Kind::Headers => {
            json!({"type": or_nothing("object"), "additionalProperties": text()})
        }
        Kind::Named(section) => {
            json!({"type": or_nothing("object"), "additionalProperties": reference(section)})
        }
        Kind::Values => json!({"type": or_nothing("object")}),
        Kind::Block(section) => reference(section),
        Kind::Blocks(section) => list(reference(section)),
        Kind::Table => {
            let prices = reference("pricing.<provider>.<model>");
            let models = json!({"type": ["object", "null"], "additionalProperties": prices});
            json!({"type": ["object", "null"], "additionalProperties": models})
        }
        Kind::Address
        | Kind::Url
        | Kind::Cores
        | Kind::Flag
        | Kind::Whole(..)
        | Kind::Ratio(..)
        | Kind::Share
        | Kind::Usd(_)
        | Kind::Span(..)
        | Kind::Word(_) => {
            let absent = (!is_required).then(|| json!({"enum": [null, ""]}));
            let forms = single(kind).into_iter().chain([reference(VARIABLE)]);
            let forms: Vec<Value> = forms.chain(absent).collect();
            json!({ "anyOf": forms })
        }
    }
}

/// What a single value of this kind may look like, apart from variables.
fn single(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Address => vec![pattern(r":\d+$")],
        Kind::Url => vec![pattern("^[Hh][Tt][Tt][Pp][Ss]?://")],
        Kind::Cores => vec![json!({"type": "integer", "minimum": 0}), pattern(CORES)],
        Kind::Flag => vec![
            json!({"type": "boolean"}),
            json!({"enum": ["true", "True", "TRUE", "false", "False", "FALSE"]}),
        ],
        Kind::Whole(least, most) => vec![
            json!({"type": "integer", "minimum": least, "maximum": most}),
            pattern(NUMBER),
        ],
        Kind::Ratio(least, most) => vec![
            json!({"type": "number", "minimum": thousandths(least), "maximum": thousandths(most)}),
            pattern(NUMBER),
        ],
        Kind::Share => vec![
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
            pattern(NUMBER),
        ],
        Kind::Usd(most) => vec![
            json!({"type": "number", "minimum": 0, "maximum": most}),
            pattern(NUMBER),
        ],
        Kind::Span(least, most) => {
            let mut span = pattern(SPAN);
            let (least, most) = (duration::text(least), duration::text(most));
            span["description"] = format!("{least} to {most}").into();
            vec![span]
        }
        Kind::Word(words) => vec![json!({ "enum": words })],
        Kind::Text(_)
        | Kind::Texts(_)
        | Kind::Words(_)
        | Kind::Entries(..)
        | Kind::Names
        | Kind::Headers
        | Kind::Values
        | Kind::Named(_)
        | Kind::Block(_)
        | Kind::Blocks(_)
        | Kind::Table => Vec::new(),
    }
}

/// A text. YAML reads some unquoted texts as numbers, and infermux takes these as texts.
fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn variable() -> Value {
    json!({
        "type": "string",
        "pattern": r"\$\{[^}]+\}",
        "description": "From the environment: `${NAME}`, or `${NAME:-fallback}`.",
    })
}

fn reference(section: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", definition(section)) })
}

/// What a section is called in the schema: names that need no escapes in a reference.
fn definition(section: &str) -> String {
    section.replace("[]", "_item").replace(['<', '>'], "")
}

fn thousandths(number: u32) -> f64 {
    f64::from(number) / 1_000.0
}

/// A default as a value of its type; texts stay texts.
fn literal(kind: Kind, text: &str) -> Value {
    let number = || text.parse().map_or_else(|_| text.into(), Value::Number);
    match kind {
        Kind::Whole(..) | Kind::Ratio(..) | Kind::Share | Kind::Usd(_) => number(),
        Kind::Flag => (text == "true").into(),
        Kind::Text(_)
        | Kind::Texts(_)
        | Kind::Words(_)
        | Kind::Entries(..)
        | Kind::Names
        | Kind::Headers
        | Kind::Values
        | Kind::Named(_)
        | Kind::Address
        | Kind::Url
        | Kind::Cores
        | Kind::Span(..)
        | Kind::Word(_)
        | Kind::Block(_)
        | Kind::Blocks(_)
        | Kind::Table => text.into(),
    }
}

/// The draft that the schema follows.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The definition of a value from the environment.
const VARIABLE: &str = "variable";
/// A number in quotes.
const NUMBER: &str = r"^\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$";
const SPAN: &str = r"^\+?(\d+\.?\d*|\.\d+)(ms|s|m|h)$";
const CORES: &str = r"^\s*\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_schema_with_its_meaning_and_its_default() {
        let schema = schema();
        for key in keys::all() {
            let section = if key.section.is_empty() {
                &schema
            } else {
                &schema["$defs"][definition(key.section)]
            };
            let property = &section["properties"][key.name];
            let told = property["description"].as_str().unwrap_or_default();
            assert!(told.starts_with(key.meaning), "{}", key.path());
            assert_eq!(section["additionalProperties"], false);
            if let Fallback::Value(text) = key.default {
                let shown = property["default"].to_string();
                assert_eq!(shown.trim_matches('"'), text, "{}", key.path());
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let text = schema.to_string();
        for part in text.split("\"#/$defs/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(schema["$defs"][name].is_object(), "{name}");
        }
    }
}
