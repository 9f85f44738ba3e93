//! `text.format`: the form that the answer must have (rule B9).

use crate::dialect::fields;
use crate::dialect::prompt::{Format, Named};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads `text.format`.
pub(super) fn read(format: Option<Value<'_>>) -> Result<Format<'_>, Unsupported> {
    let Some(format) = format else {
        return Ok(Format::Free);
    };
    let names = ["type", "name", "description", "schema", "strict"];
    let within = |fault: Unsupported| fault.within("text.format");
    let [kind, name, description, schema, strict] = fields::read(&format, names).map_err(within)?;
    let kind = fields::required(kind, ".type").map_err(within)?;
    match &*kind.word() {
        b"text" => Ok(Format::Free),
        b"json_object" => Ok(Format::Object),
        b"json_schema" => {
            let schema = schema.ok_or_else(|| Unsupported::new(SCHEMA, "is missing"))?;
            if schema.kind != Kind::Object {
                return Err(Unsupported::new(SCHEMA, "is not an object"));
            }
            let is_string = |value: &Value<'_>| value.kind == Kind::String;
            let description = description.filter(is_string);
            Ok(Format::Schema {
                schema,
                place: SCHEMA,
                named: Some(Named {
                    name: name.filter(is_string).map(|name| name.text),
                    description: description.map(|description| description.text),
                    is_strict: strict.is_some_and(|strict| strict.kind == Kind::True),
                }),
            })
        }
        _ => Err(within(Unsupported::new(".type", "cannot be expressed"))),
    }
}

const SCHEMA: &str = "text.format.schema";
