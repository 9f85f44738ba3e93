//! Tools, and which of them must or may be called.

use std::borrow::Cow;

use super::turns;
use crate::dialect::compose::Composer;
use crate::dialect::fields;
use crate::dialect::prompt::{Choice, Prompt, Tool};
use crate::wire::json::{self, Value};

/// Makes of the tools of a prompt what the API takes.
///
/// Without tools the API refuses calls in the history: so the tools of those calls are declared,
/// and must not be called.
pub(super) fn shape(prompt: &mut Prompt<'_>) {
    if !prompt.tools.is_empty() {
        let serial = prompt.is_serial.then_some(Choice::Auto);
        prompt.choice = prompt.choice.take().or(serial);
        return;
    }
    let names = turns::called_tools(&prompt.turns);
    prompt.choice = (!names.is_empty()).then_some(Choice::None);
    prompt.tools = names.into_iter().map(called).collect();
}

const fn called(name: Cow<'_, [u8]>) -> Tool<'_> {
    Tool {
        name,
        description: None,
        parameters: None,
        is_strict: false,
        cache: None,
    }
}

/// Writes `tools` and `tool_choice`.
pub(super) fn write(prompt: &Prompt<'_>, body: &mut Composer<'_>) {
    if prompt.tools.is_empty() {
        return;
    }
    let mut list = Composer::array(body.member("tools"));
    for tool in &prompt.tools {
        write_tool(tool, list.element());
    }
    list.end();
    if let Some(choice) = &prompt.choice {
        write_choice(choice, prompt.is_serial, body.member("tool_choice"));
    }
}

fn write_choice(choice: &Choice<'_>, is_serial: bool, out: &mut Vec<u8>) {
    let mut object = Composer::object(out);
    let (kind, takes_serial) = match choice {
        Choice::Auto => ("auto", true),
        Choice::Any => ("any", true),
        Choice::None => ("none", false),
        Choice::Tool(_) => ("tool", true),
    };
    object.string("type", kind);
    if let Choice::Tool(name) = choice {
        object.raw("name", name);
    }
    if is_serial && takes_serial {
        object.raw("disable_parallel_tool_use", b"true");
    }
    object.end();
}

fn write_tool(tool: &Tool<'_>, out: &mut Vec<u8>) {
    let mut object = Composer::object(out);
    object.raw("name", &tool.name);
    object.raw_if("description", tool.description.as_deref());
    write_schema(tool.parameters, object.member("input_schema"));
    object.raw_if("cache_control", tool.cache);
    object.end();
}

/// The caller's whole schema, with the two keywords that the API requires.
fn write_schema(parameters: Option<Value<'_>>, out: &mut Vec<u8>) {
    let text = parameters.map_or(&b"{}"[..], |parameters| parameters.text);
    let kind = json::member(text, b"type");
    let is_object = kind.is_none_or(|kind| fields::says(&kind.value, "object"));
    let mut schema = Composer::object(out);
    if kind.is_none() {
        schema.string("type", "object");
    }
    if is_object && json::member(text, b"properties").is_none() {
        schema.raw("properties", b"{}");
    }
    let rest = text
        .get(1..text.len().saturating_sub(1))
        .unwrap_or_default();
    if !rest.trim_ascii().is_empty() {
        schema.element().extend_from_slice(rest);
    }
    schema.end();
}
