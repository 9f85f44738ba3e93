//! Whether OpenAI's strict mode takes a schema: it refuses objects that are open, or that have
//! optional properties (rule MR11).

use std::borrow::Cow;
use std::collections::HashSet;

use crate::base::limits::SCHEMA_DEPTH_MAX;
use crate::wire::json::{self, Kind, Value};

/// Whether every object schema in `schema` is closed and requires all of its properties.
pub(super) fn is_strict(schema: &Value<'_>) -> bool {
    let mut left = vec![Part {
        value: *schema,
        holds: Holds::Keywords,
        depth: 0,
    }];
    while let Some(part) = left.pop() {
        if part.depth > SCHEMA_DEPTH_MAX || !part.is_strict(&mut left) {
            return false;
        }
    }
    true
}

/// A part of a schema that is yet to be looked at.
struct Part<'a> {
    value: Value<'a>,
    holds: Holds,
    depth: usize,
}

/// What the members or elements of a part are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Keywords of a schema.
    Keywords,
    /// Schemas, by name or in a list.
    Schemas,
}

impl<'a> Part<'a> {
    /// Whether this part alone is strict; its parts are added to those that are `left`.
    fn is_strict(&self, left: &mut Vec<Self>) -> bool {
        let inner = |value: Value<'a>, holds| Self {
            value,
            holds,
            depth: self.depth + 1,
        };
        match (self.value.kind, self.holds) {
            (Kind::Object, Holds::Keywords) => {}
            (Kind::Object, Holds::Schemas) => {
                let members = json::members(self.value.text).map_while(Result::ok);
                left.extend(members.map(|member| inner(member.value, Holds::Keywords)));
                return true;
            }
            (Kind::Array, _) => {
                let elements = json::elements(self.value.text).map_while(Result::ok);
                left.extend(elements.map(|element| inner(element, Holds::Keywords)));
                return true;
            }
            (Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null, _) => {
                return true;
            }
        }
        let mut object = Object::default();
        let mut room = Vec::new();
        for member in json::members(self.value.text).map_while(Result::ok) {
            let value = member.value;
            match member.name.read(&mut room) {
                b"type" => object.is_one |= is_object_type(&value),
                b"required" => object.required = Some(value),
                b"additionalProperties" => {
                    object.is_closed = value.kind == Kind::False;
                    left.push(inner(value, Holds::Keywords));
                }
                b"properties" => {
                    object.is_one = true;
                    object.properties = Some(value);
                    left.push(inner(value, Holds::Schemas));
                }
                b"$defs" | b"definitions" | b"patternProperties" | b"dependentSchemas" => {
                    left.push(inner(value, Holds::Schemas));
                }
                b"items" | b"prefixItems" | b"contains" | b"anyOf" | b"oneOf" | b"allOf"
                | b"not" | b"if" | b"then" | b"else" => left.push(inner(value, Holds::Keywords)),
                _ => {}
            }
        }
        object.is_strict()
    }
}

/// What a schema says of objects.
#[derive(Default)]
struct Object<'a> {
    /// Whether it is a schema of objects at all.
    is_one: bool,
    is_closed: bool,
    properties: Option<Value<'a>>,
    required: Option<Value<'a>>,
}

impl Object<'_> {
    fn is_strict(&self) -> bool {
        if !self.is_one {
            return true;
        }
        let required: HashSet<Cow<'_, [u8]>> = self
            .required
            .filter(|required| required.kind == Kind::Array)
            .map(|required| {
                let names = json::elements(required.text).map_while(Result::ok);
                names.map(|name| name.word()).collect()
            })
            .unwrap_or_default();
        let mut room = Vec::new();
        let mut is_required =
            |member: json::Member<'_>| required.contains(member.name.read(&mut room));
        let properties = self.properties.map_or(&b"{}"[..], |all| all.text);
        self.is_closed
            && json::members(properties)
                .map_while(Result::ok)
                .all(&mut is_required)
    }
}

fn is_object_type(value: &Value<'_>) -> bool {
    value.says("object")
        || (value.kind == Kind::Array
            && json::elements(value.text)
                .map_while(Result::ok)
                .any(|one| one.says("object")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expected: bool) {
        let value = Value {
            text: schema.as_bytes(),
            at: 0,
            kind: Kind::Object,
        };
        assert_eq!(is_strict(&value), expected, "{schema}");
    }

    #[test]
    fn objects_must_be_closed_and_require_everything() {
        check("{}", true);
        check(r#"{"type":"string"}"#, true);
        check(r#"{"type":"object"}"#, false);
        check(r#"{"type":"object","additionalProperties":false}"#, true);
        check(r#"{"type":["object","null"]}"#, false);
        check(
            r#"{"properties":{"a":{}},"additionalProperties":false}"#,
            false,
        );
        let closed = r#""additionalProperties":false"#;
        check(
            &format!(r#"{{"properties":{{"a":{{}}}},"required":["\u0061"],{closed}}}"#),
            true,
        );
        check(
            &format!(r#"{{"properties":{{"a":{{}}}},"required":["b"],{closed}}}"#),
            false,
        );
        check(r#"{"properties":{},"additionalProperties":true}"#, false);
        check(r#"{"properties":{},"additionalProperties":{}}"#, false);
    }

    #[test]
    fn schemas_are_found_where_schemas_stand() {
        let open = r#"{"type":"object"}"#;
        for keyword in ["items", "not", "additionalProperties"] {
            check(&format!(r#"{{"{keyword}":{open}}}"#), false);
        }
        for keyword in ["anyOf", "allOf", "prefixItems", "items"] {
            check(&format!(r#"{{"{keyword}":[{{}},{open}]}}"#), false);
        }
        for keyword in ["$defs", "definitions"] {
            check(
                &format!(r#"{{"{keyword}":{{"properties":{open}}}}}"#),
                false,
            );
        }
        // Here they are values.
        for keyword in ["enum", "const", "default", "examples", "x"] {
            check(&format!(r#"{{"{keyword}":[{open}]}}"#), true);
        }
        // A property may be called like a keyword.
        let named = concat!(
            r#"{"properties":{"type":{},"properties":{}},"additionalProperties":false,"#,
            r#""required":["type","properties"]}"#,
        );
        check(named, true);
    }

    #[test]
    fn a_deep_schema_is_not_strict() {
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(70), "}".repeat(70));
        check(&deep, false);
    }
}
