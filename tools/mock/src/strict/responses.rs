//! OpenAI's Responses: parameters, input items, tools, and that calls and outputs meet.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::body::{entries, given, is_name, text};
use crate::ask::Objection;
use crate::endpoint::Endpoint;

/// Objects to what the Responses API answers 400 to; calls and outputs are not looked at.
pub(super) fn check(endpoint: &Endpoint, body: &Map<String, Value>) -> Result<(), Objection> {
    check_keys(endpoint, body)?;
    check_state(body)?;
    match given(body, "input") {
        Some(Value::String(_)) => {}
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_item(item, &format!("input[{index}]"))?;
            }
        }
        Some(_) => return Err(wrong("input", "Invalid type for 'input'.")),
        None => {
            let instead = ["previous_response_id", "conversation", "prompt"];
            if instead.iter().all(|key| given(body, key).is_none()) {
                return Err(lacks("input"));
            }
        }
    }
    for (index, tool) in entries(body.get("tools")).iter().enumerate() {
        check_tool(tool, &format!("tools[{index}]"))?;
    }
    check_format(body)
}

/// Objects to outputs without calls, and to calls without outputs.
pub(crate) fn check_pairs(items: &[Value]) -> Result<(), Objection> {
    let mut called: HashSet<(&str, &str)> = HashSet::new();
    let mut open: Vec<(&str, &str)> = Vec::new();
    for item in items {
        let (kind, id) = (text(item, "type"), text(item, "call_id"));
        match kind {
            "function_call" | "custom_tool_call" => {
                called.insert((kind, id));
                open.push((kind, id));
            }
            "function_call_output" | "custom_tool_call_output" => {
                let call = kind.trim_end_matches("_output");
                if !called.contains(&(call, id)) {
                    let what = kind.replace('_', " ");
                    return Err(wrong(
                        "input",
                        format!("No tool call found for {what} with call_id {id}."),
                    ));
                }
                open.retain(|known| *known != (call, id));
            }
            _ => {}
        }
    }
    match open.first() {
        Some((kind, id)) => {
            let what = kind.replace('_', " ");
            Err(wrong(
                "input",
                format!("No tool output found for {what} {id}."),
            ))
        }
        None => Ok(()),
    }
}

fn check_keys(endpoint: &Endpoint, body: &Map<String, Value>) -> Result<(), Objection> {
    for key in body.keys().map(String::as_str) {
        let known =
            COUNTED.contains(&key) || KEYS.contains(&key) && *endpoint == Endpoint::Responses;
        if !known {
            return Err(unknown(key));
        }
    }
    Ok(())
}

fn check_state(body: &Map<String, Value>) -> Result<(), Objection> {
    let is = |key, value| body.get(key).and_then(Value::as_bool) == Some(value);
    if is("background", true) && is("store", false) {
        return Err(wrong("background", "Background mode requires store=true."));
    }
    if given(body, "stream_options").is_some() && !is("stream", true) {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(wrong("stream_options", message));
    }
    if given(body, "previous_response_id").is_some() && given(body, "conversation").is_some() {
        return Err(wrong(
            "previous_response_id",
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.",
        ));
    }
    Ok(())
}

fn check_item(item: &Value, place: &str) -> Result<(), Objection> {
    let Some(object) = item.as_object() else {
        return Err(wrong(place, format!("Invalid type for '{place}'.")));
    };
    let kind = match text(item, "type") {
        "" if object.contains_key("role") => "message",
        "" => "item_reference",
        kind => kind,
    };
    let Some((_, prefix, keys)) = ITEMS.iter().find(|(known, _, _)| *known == kind) else {
        if HOSTED_ITEMS.contains(&kind) {
            return Ok(());
        }
        let message = format!("Invalid value: '{kind}'. Supported values are: 'message', ....");
        return Err(invalid(place, message));
    };
    let needed = keys.iter().filter_map(|key| key.strip_prefix('!'));
    for key in needed {
        if given(object, key).is_none() {
            return Err(lacks(&format!("{place}.{key}")));
        }
    }
    let known = |key: &str| {
        keys.iter()
            .any(|known| known.trim_start_matches('!') == key)
    };
    if let Some(key) = object.keys().find(|key| *key != "type" && !known(key)) {
        return Err(unknown(&format!("{place}.{key}")));
    }
    let id = text(item, "id");
    if !id.is_empty() && !id.starts_with(prefix) {
        let message =
            format!("Invalid '{place}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
        return Err(invalid(&format!("{place}.id"), message));
    }
    if text(item, "call_id").len() > CALL_ID_MAX {
        let message = format!("Invalid '{place}.call_id': string too long.");
        return Err(invalid(&format!("{place}.call_id"), message));
    }
    match kind {
        "message" => check_message(item, place),
        "function_call_output" | "custom_tool_call_output" => {
            check_parts(item.get("output"), TOLD, &format!("{place}.output"))
        }
        "additional_tools" => {
            for (index, tool) in entries(item.get("tools")).iter().enumerate() {
                check_tool(tool, &format!("{place}.tools[{index}]"))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_message(item: &Value, place: &str) -> Result<(), Objection> {
    let known: &[&str] = match text(item, "role") {
        "user" | "system" | "developer" => TOLD,
        "assistant" => &["output_text", "refusal"],
        role => {
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'assistant', 'system', \
                 'developer', and 'user'."
            );
            return Err(invalid(&format!("{place}.role"), message));
        }
    };
    check_parts(item.get("content"), known, &format!("{place}.content"))
}

/// Checks a text, or a list of parts of the known types.
fn check_parts(parts: Option<&Value>, known: &[&str], place: &str) -> Result<(), Objection> {
    if parts.is_none_or(|parts| !parts.is_string() && !parts.is_array()) {
        return Err(wrong(place, format!("Invalid type for '{place}'.")));
    }
    for (index, part) in entries(parts).iter().enumerate() {
        let kind = text(part, "type");
        if !known.contains(&kind) {
            let message = format!(
                "Invalid value: '{kind}'. Supported values are: '{}'.",
                known.join("', '")
            );
            return Err(invalid(&format!("{place}[{index}]"), message));
        }
    }
    Ok(())
}

fn check_tool(tool: &Value, place: &str) -> Result<(), Objection> {
    let (kind, name) = (text(tool, "type"), text(tool, "name"));
    let named = matches!(kind, "function" | "custom" | "namespace");
    if !named {
        // Some types have dates behind their names.
        if HOSTED.iter().any(|known| kind.starts_with(known)) {
            return Ok(());
        }
        let message = format!("Invalid value: '{kind}'. Supported values are: 'function', ....");
        return Err(invalid(&format!("{place}.type"), message));
    }
    if name.is_empty() {
        return Err(lacks(&format!("{place}.name")));
    }
    if !is_name(name, NAME_MAX) {
        let message = format!(
            "Invalid '{place}.name': string does not match pattern. Expected a string that \
             matches the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(invalid(&format!("{place}.name"), message));
    }
    for (index, member) in entries(tool.get("tools")).iter().enumerate() {
        let place = format!("{place}.tools[{index}]");
        if !matches!(text(member, "type"), "function" | "custom") {
            return Err(invalid(
                &place,
                "Invalid value: a namespace has functions alone",
            ));
        }
        if !is_name(text(member, "name"), NAME_MAX) {
            return Err(lacks(&format!("{place}.name")));
        }
    }
    Ok(())
}

fn check_format(body: &Map<String, Value>) -> Result<(), Objection> {
    let none = Value::Null;
    let format = body
        .get("text")
        .and_then(|text| text.get("format"))
        .unwrap_or(&none);
    match text(format, "type") {
        "" if format.is_null() => Ok(()),
        "text" | "json_object" => Ok(()),
        "json_schema" if text(format, "name").is_empty() => Err(lacks("text.format.name")),
        "json_schema"
            if format
                .get("schema")
                .is_none_or(|schema| !schema.is_object()) =>
        {
            Err(lacks("text.format.schema"))
        }
        "json_schema" => Ok(()),
        kind => Err(invalid(
            "text.format.type",
            format!("Invalid value: '{kind}'."),
        )),
    }
}

fn unknown(param: &str) -> Objection {
    let message = format!("Unknown parameter: '{param}'.");
    Objection::new(400, Some("unknown_parameter"), message).about(param)
}

fn lacks(param: &str) -> Objection {
    let message = format!("Missing required parameter: '{param}'.");
    Objection::new(400, Some("missing_required_parameter"), message).about(param)
}

fn invalid(param: &str, message: impl Into<String>) -> Objection {
    Objection::new(400, Some("invalid_value"), message).about(param)
}

fn wrong(param: &str, message: impl Into<String>) -> Objection {
    Objection::bad(message).about(param)
}

const NAME_MAX: usize = 128;
const CALL_ID_MAX: usize = 64;
/// The parts that a model is told.
const TOLD: &[&str] = &["input_text", "input_image", "input_file", "input_audio"];
/// The types of items: what their ids begin with, and their keys; `!` marks those that are needed.
const ITEMS: &[(&str, &str, &[&str])] = &[
    (
        "message",
        "msg",
        &["!role", "!content", "id", "status", "phase"],
    ),
    (
        "function_call",
        "fc",
        &[
            "!call_id",
            "!name",
            "!arguments",
            "namespace",
            "id",
            "status",
        ],
    ),
    (
        "function_call_output",
        "fc",
        &["!call_id", "!output", "id", "status"],
    ),
    (
        "custom_tool_call",
        "ctc",
        &["!call_id", "!name", "!input", "namespace", "id", "status"],
    ),
    (
        "custom_tool_call_output",
        "ctc",
        &["!call_id", "!output", "id", "status"],
    ),
    (
        "reasoning",
        "rs",
        &["!summary", "content", "encrypted_content", "id", "status"],
    ),
    ("item_reference", "", &["!id"]),
    ("compaction", "cmp", &["!encrypted_content", "id"]),
    ("compaction_trigger", "", &[]),
    ("additional_tools", "", &["!tools", "role", "id"]),
    ("configuration_update", "", &["role", "id", "reasoning"]),
];
/// The types of items that are not looked at more closely.
const HOSTED_ITEMS: &[&str] = &[
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
    "file_search_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];
/// The tools that are not functions: what their types begin with.
const HOSTED: &[&str] = &[
    "apply_patch",
    "code_interpreter",
    "computer",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
];
/// The keys of every request that has an input.
const COUNTED: &[&str] = &[
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "service_tier",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];
/// The further keys of a request for a response.
const KEYS: &[&str] = &[
    "background",
    "client_metadata",
    "context_management",
    "include",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt",
    "safety_identifier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
];
