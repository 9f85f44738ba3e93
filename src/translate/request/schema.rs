//! A JSON schema without the keywords that the API refuses.

use super::Unsupported;
use crate::base::limits::SCHEMA_DEPTH_MAX;
use crate::translate::fields;
use crate::wire::json::{self, Elements, Kind, Member, Members, NotJson, Value};

/// The schema as the API takes it: without the keywords of [`REFUSED`], and with every object
/// closed. What the schema loses, the answer need not keep to.
pub(super) fn accepted(schema: &Value<'_>) -> Result<Vec<u8>, Unsupported> {
    let mut writer = Writer {
        out: Vec::with_capacity(schema.text.len() + 64),
        levels: Vec::new(),
    };
    writer.open(schema, Holds::Keywords);
    while let Some(level) = writer.levels.last_mut() {
        let place = match level.next() {
            Ok(Some(entry)) => writer.add(&entry),
            Ok(None) => {
                writer.close();
                Ok(())
            }
            Err(NotJson { .. }) => Err("is not valid JSON"),
        };
        place.map_err(|why| Unsupported::new(".schema", why))?;
    }
    Ok(writer.out)
}

struct Writer<'a> {
    out: Vec<u8>,
    levels: Vec<Level<'a>>,
}

/// An object or list of the schema that is being walked.
struct Level<'a> {
    entries: Entries<'a>,
    holds: Holds,
    is_empty: bool,
    /// Whether the schema is one of objects.
    is_object: bool,
    /// Whether an `anyOf` has been written.
    has_choice: bool,
    /// The value of `additionalProperties`.
    additional: Option<&'a [u8]>,
}

enum Entries<'a> {
    Members(Members<'a>),
    Elements(Elements<'a>),
}

/// What the entries of a level are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Keywords of a schema.
    Keywords,
    /// Schemas, by name or in a list.
    Schemas,
}

/// An entry, of a list without a name.
struct Entry<'a> {
    name: Option<&'a [u8]>,
    value: Value<'a>,
}

impl<'a> Level<'a> {
    fn next(&mut self) -> Result<Option<Entry<'a>>, NotJson> {
        let entry = match &mut self.entries {
            Entries::Members(members) => {
                members
                    .next()
                    .transpose()?
                    .map(|Member { name, value, .. }| Entry {
                        name: Some(name),
                        value,
                    })
            }
            Entries::Elements(elements) => {
                let value = elements.next().transpose()?;
                value.map(|value| Entry { name: None, value })
            }
        };
        Ok(entry)
    }
}

impl<'a> Writer<'a> {
    fn add(&mut self, entry: &Entry<'a>) -> Result<(), &'static str> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let value = entry.value;
        let (name, holds) = match (level.holds, entry.name) {
            (Holds::Schemas, name) => (name, Some(Holds::Keywords)),
            (Holds::Keywords, Some(name)) => match level.keyword(name, &value) {
                Some((name, holds)) => (Some(name), holds),
                None => return Ok(()),
            },
            (Holds::Keywords, None) => (None, None),
        };
        if !std::mem::replace(&mut level.is_empty, false) {
            self.out.push(b',');
        }
        if let Some(name) = name {
            self.out.push(b'"');
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(b"\":");
        }
        match holds {
            Some(holds) if matches!(value.kind, Kind::Object | Kind::Array) => {
                if self.levels.len() >= SCHEMA_DEPTH_MAX {
                    return Err("is nested too deeply");
                }
                // A list of schemas where one could stand: `items` of old drafts.
                let is_list = value.kind == Kind::Array;
                self.open(&value, if is_list { Holds::Schemas } else { holds });
            }
            Some(_) | None => self.out.extend_from_slice(value.text),
        }
        Ok(())
    }

    fn open(&mut self, value: &Value<'a>, holds: Holds) {
        let is_list = value.kind == Kind::Array;
        self.out.push(if is_list { b'[' } else { b'{' });
        self.levels.push(Level {
            entries: if is_list {
                Entries::Elements(json::elements(value.text))
            } else {
                Entries::Members(json::members(value.text))
            },
            holds,
            is_empty: true,
            is_object: false,
            has_choice: false,
            additional: None,
        });
    }

    fn close(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        let additional = if level.is_object {
            Some(&b"false"[..])
        } else {
            level.additional
        };
        if let Some(additional) = additional {
            self.out
                .extend_from_slice(if level.is_empty { b"" } else { b"," });
            self.out.extend_from_slice(b"\"additionalProperties\":");
            self.out.extend_from_slice(additional);
        }
        self.out.push(match level.entries {
            Entries::Members(_) => b'}',
            Entries::Elements(_) => b']',
        });
    }
}

impl<'a> Level<'a> {
    /// What to write for a keyword, and what its value holds; `None`: leave it out.
    fn keyword(&mut self, name: &'a [u8], value: &Value<'a>) -> Option<(&'a [u8], Option<Holds>)> {
        match name {
            b"additionalProperties" => {
                self.additional = Some(value.text);
                None
            }
            b"minItems" if !matches!(value.text, b"0" | b"1") => None,
            b"type" => {
                self.is_object |= is_object_type(value);
                Some((name, None))
            }
            // Beside each other the two would become one name given twice: the first one counts.
            b"anyOf" | b"oneOf" => (!std::mem::replace(&mut self.has_choice, true))
                .then_some((b"anyOf", Some(Holds::Schemas))),
            b"allOf" => Some((name, Some(Holds::Schemas))),
            b"items" => Some((name, Some(Holds::Keywords))),
            b"properties" => {
                self.is_object = true;
                Some((name, Some(Holds::Schemas)))
            }
            b"$defs" | b"definitions" => Some((name, Some(Holds::Schemas))),
            _ if REFUSED.contains(&name) => None,
            _ => Some((name, None)),
        }
    }
}

fn is_object_type(value: &Value<'_>) -> bool {
    let is_it = |value: &Value<'_>| fields::says(value, "object");
    is_it(value)
        || (value.kind == Kind::Array
            && json::elements(value.text)
                .map_while(Result::ok)
                .any(|one| is_it(&one)))
}

/// Keywords that the API refuses.
const REFUSED: [&[u8]; 24] = [
    b"maxItems",
    b"uniqueItems",
    b"contains",
    b"minContains",
    b"maxContains",
    b"prefixItems",
    b"minimum",
    b"maximum",
    b"exclusiveMinimum",
    b"exclusiveMaximum",
    b"multipleOf",
    b"minLength",
    b"maxLength",
    b"minProperties",
    b"maxProperties",
    b"patternProperties",
    b"propertyNames",
    b"dependentRequired",
    b"dependentSchemas",
    b"unevaluatedProperties",
    b"if",
    b"then",
    b"else",
    b"not",
];
