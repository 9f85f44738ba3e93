//! A JSON schema without the keywords that the API refuses.

use crate::base::limits::SCHEMA_DEPTH_MAX;
use crate::dialect::fields;
use crate::wire::json::{self, Elements, Kind, Member, Members, Name, NotJson, Value};

/// The schema as the API accepts it: without the keywords of [`REFUSED`], and with every object
/// closed. The answer need not comply with removed keywords.
///
/// # Errors
/// Why the API cannot be given the schema.
pub(super) fn accepted(schema: &Value<'_>) -> Result<Vec<u8>, &'static str> {
    let mut writer = Writer {
        out: Vec::with_capacity(schema.text.len() + 64),
        levels: Vec::new(),
    };
    writer.open(schema, Holds::Keywords);
    while let Some(level) = writer.levels.last_mut() {
        match level.next() {
            Ok(Some(entry)) => writer.add(&entry)?,
            Ok(None) => writer.close(),
            Err(NotJson { .. }) => return Err("is not valid JSON"),
        }
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

/// An entry; entries of a list have no name.
struct Entry<'a> {
    name: Option<Name<'a>>,
    value: Value<'a>,
}

impl<'a> Level<'a> {
    fn next(&mut self) -> Result<Option<Entry<'a>>, NotJson> {
        let entry = match &mut self.entries {
            Entries::Members(members) => {
                members
                    .next()
                    .transpose()?
                    .map(|Member { name, value }| Entry {
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
        let quoted = entry.name.map(|name| name.quoted);
        let (quoted, holds) = match (level.holds, entry.name) {
            (Holds::Schemas, _) => (quoted, Some(Holds::Keywords)),
            (Holds::Keywords, Some(name)) => match level.keyword(&name, &value) {
                Some((quoted, holds)) => (Some(quoted), holds),
                None => return Ok(()),
            },
            (Holds::Keywords, None) => (None, None),
        };
        if !std::mem::replace(&mut level.is_empty, false) {
            self.out.push(b',');
        }
        if let Some(quoted) = quoted {
            self.out.extend_from_slice(quoted);
            self.out.push(b':');
        }
        match holds {
            Some(holds) if matches!(value.kind, Kind::Object | Kind::Array) => {
                if self.levels.len() >= SCHEMA_DEPTH_MAX {
                    return Err("is nested too deeply");
                }
                // A list where a schema is expected: `items` of old drafts.
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
    /// The keyword to write, with its quotes, and the kind of entries in its value; `None`: the
    /// keyword is left out.
    fn keyword(&mut self, name: &Name<'a>, value: &Value<'a>) -> Option<(&'a [u8], Option<Holds>)> {
        let (quoted, mut room) = (name.quoted, Vec::new());
        match name.read(&mut room) {
            b"additionalProperties" => {
                self.additional = Some(value.text);
                None
            }
            b"minItems" if !matches!(value.text, b"0" | b"1") => None,
            b"type" => {
                self.is_object |= is_object_type(value);
                Some((quoted, None))
            }
            // Together they would become one name given twice, so only the first one is written.
            b"anyOf" | b"oneOf" => (!std::mem::replace(&mut self.has_choice, true))
                .then_some((b"\"anyOf\"", Some(Holds::Schemas))),
            b"allOf" => Some((quoted, Some(Holds::Schemas))),
            b"items" => Some((quoted, Some(Holds::Keywords))),
            b"properties" => {
                self.is_object = true;
                Some((quoted, Some(Holds::Schemas)))
            }
            b"$defs" | b"definitions" => Some((quoted, Some(Holds::Schemas))),
            name if REFUSED.contains(&name) => None,
            _ => Some((quoted, None)),
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
