//! The tools of a Messages request, and the choice between them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::body::{entries, given, is_name, text};
use crate::ask::Objection;

/// Objects to tools that are none, and to a choice that cannot be made.
pub(super) fn check(body: &Map<String, Value>) -> Result<(), Objection> {
    if given(body, "tools").is_some_and(|tools| !tools.is_array()) {
        return Err(Objection::bad("tools: Input should be a valid list"));
    }
    let tools = entries(body.get("tools"));
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let custom = matches!(text(tool, "type"), "" | "custom");
        if custom {
            check_custom(tool, index)?;
        }
        let name = text(tool, "name");
        if !name.is_empty() && !names.insert(name) {
            return Err(Objection::bad("tools: Tool names must be unique."));
        }
    }
    let Some(choice) = given(body, "tool_choice") else {
        return Ok(());
    };
    if tools.is_empty() {
        return Err(Objection::bad(
            "tool_choice: may only be specified while providing tools",
        ));
    }
    match text(choice, "type") {
        "auto" | "any" | "none" => Ok(()),
        "tool" if names.contains(text(choice, "name")) => Ok(()),
        "tool" => Err(Objection::bad(format!(
            "tool_choice: tool '{}' not found in provided tools",
            text(choice, "name")
        ))),
        kind => Err(Objection::bad(format!(
            "tool_choice: '{kind}' is none of auto, any, none, tool"
        ))),
    }
}

fn check_custom(tool: &Value, index: usize) -> Result<(), Objection> {
    if !is_name(text(tool, "name"), NAME_MAX) {
        return Err(Objection::bad(format!(
            "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )));
    }
    let schema = tool.get("input_schema");
    if schema.is_none_or(|schema| text(schema, "type") != "object") {
        return Err(Objection::bad(format!(
            "tools.{index}.custom.input_schema.type: Input should be 'object'"
        )));
    }
    for key in tool.as_object().into_iter().flat_map(Map::keys) {
        if !TOOL_KEYS.contains(&key.as_str()) {
            return Err(Objection::bad(format!(
                "tools.{index}.custom.{key}: Extra inputs are not permitted"
            )));
        }
    }
    Ok(())
}

const NAME_MAX: usize = 128;
const TOOL_KEYS: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "allowed_callers",
    "input_examples",
    "eager_input_streaming",
];
