//! `response_format`: the form that the answer must have.

use crate::dialect::fields;
use crate::dialect::prompt::Format;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// Reads `response_format`.
pub(super) fn read(value: Option<Value<'_>>) -> Result<Format<'_>, Unsupported> {
    let Some(value) = value else {
        return Ok(Format::Free);
    };
    let names = ["type", "json_schema"];
    let within = |fault: Unsupported| fault.within("response_format");
    let [kind, json_schema] = fields::read(&value, names).map_err(within)?;
    let kind = fields::required(kind, ".type").map_err(within)?;
    match &*fields::text_of(&kind) {
        "text" => Ok(Format::Free),
        "json_object" => Ok(Format::Object),
        "json_schema" => {
            let within = |fault: Unsupported| fault.within("response_format.json_schema");
            let missing = || Unsupported::new("", "is missing");
            let json_schema = json_schema.ok_or_else(missing).map_err(within)?;
            let [schema] = fields::read(&json_schema, ["schema"]).map_err(within)?;
            of_schema(schema)
        }
        _ => Err(within(Unsupported::new(".type", "cannot be expressed"))),
    }
}

/// The schema is optional: without one, any object is valid.
fn of_schema(schema: Option<Value<'_>>) -> Result<Format<'_>, Unsupported> {
    match schema {
        None => Ok(Format::Object),
        Some(schema) if schema.kind == Kind::Object => Ok(Format::Schema {
            schema,
            place: PLACE,
            named: None,
        }),
        Some(_) => Err(Unsupported::new(PLACE, "is not an object")),
    }
}

const PLACE: &str = "response_format.json_schema.schema";
