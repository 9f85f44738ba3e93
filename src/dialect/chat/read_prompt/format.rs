//! `response_format`: the form that the answer must have.

use super::schema;
use crate::dialect::compose::compact;
use crate::dialect::fields;
use crate::dialect::messages::model::{Class, SchemaSupport};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// How the model is told of the form.
pub(super) enum Format {
    /// Not at all.
    Free,
    /// By this schema.
    Native(Vec<u8>),
    /// In words, at the end of the system's text.
    Instruction(String),
}

/// Reads `response_format`.
pub(super) fn read(value: Option<Value<'_>>, class: &Class) -> Result<Format, Unsupported> {
    let Some(value) = value else {
        return Ok(Format::Free);
    };
    let names = ["type", "json_schema"];
    let within = |fault: Unsupported| fault.within("response_format");
    let [kind, json_schema] = fields::read(&value, names).map_err(within)?;
    let kind = fields::required(kind, ".type").map_err(within)?;
    match &*fields::text_of(&kind) {
        "text" => Ok(Format::Free),
        "json_object" => Ok(Format::Instruction(INSTRUCTION.to_owned())),
        "json_schema" => {
            let within = |fault: Unsupported| fault.within("response_format.json_schema");
            let missing = || Unsupported::new("", "is missing");
            let json_schema = json_schema.ok_or_else(missing).map_err(within)?;
            let [schema] = fields::read(&json_schema, ["schema"]).map_err(within)?;
            of_schema(schema, class).map_err(within)
        }
        _ => Err(within(Unsupported::new(".type", "cannot be expressed"))),
    }
}

fn of_schema(schema: Option<Value<'_>>, class: &Class) -> Result<Format, Unsupported> {
    // The schema is optional: without one, any object is valid.
    let Some(schema) = schema else {
        return Ok(Format::Instruction(INSTRUCTION.to_owned()));
    };
    if schema.kind != Kind::Object {
        return Err(Unsupported::new(".schema", "is not an object"));
    }
    match class.schema {
        SchemaSupport::Native => schema::accepted(&schema).map(Format::Native),
        SchemaSupport::Instruction => {
            let mut text = Vec::with_capacity(schema.text.len());
            compact(schema.text, &mut text);
            let text = String::from_utf8_lossy(&text);
            Ok(Format::Instruction(format!(
                "{INSTRUCTION} It must conform to this JSON Schema: {text}"
            )))
        }
    }
}

const INSTRUCTION: &str = "Respond with a single valid JSON object and no other text.";
